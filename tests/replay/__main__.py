"""``python -m tests.replay REPOSITORY [--commits N]``: replays the commits of a real repository."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.replay.checks import Commit, Shape, chained, replay
from tests.replay.repository import Repository

_AT_LEAST = 500
_WITHIN = 0.05
# So many are also replayed one on top of the other, with everything pending.
_CHAINED = 50


def main() -> int:
    """Replays, prints what was found, and returns the exit code."""
    parser = argparse.ArgumentParser(prog="make replay REPO=…")
    parser.add_argument("repository", type=Path)
    parser.add_argument("--commits", type=int, default=_AT_LEAST)
    args = parser.parse_args()
    repository = Repository(args.repository)
    total, done, failed = Shape(), 0, []
    replayed: list[Commit] = []
    with tempfile.TemporaryDirectory(prefix="agentdiff-replay-") as folder:
        for commit in repository.commits(args.commits):
            scratch = Path(folder, str(done))
            scratch.mkdir()
            try:
                total += replay(commit, scratch)
            except AssertionError as error:
                failed.append(f"{commit.name}: {error}")
            replayed.append(commit)
            done += 1
    repository.close()
    for first in range(0, done, _CHAINED):
        chain = replayed[first : first + _CHAINED][::-1]
        try:
            chained(chain)
        except AssertionError as error:
            failed.append(
                f"{len(chain)} commits on top of each other from {chain[0].name}: {error}"
            )
    for failure in failed:
        print(failure, file=sys.stderr)
    print(f"{done} commits replayed, also {_CHAINED} on top of each other: {len(failed)} not exact")
    hunks = total.hunks / max(total.git_hunks, 1)
    lines = total.lines / max(total.git_lines, 1)
    print(f"hunks {total.hunks} vs git --histogram {total.git_hunks}: {hunks:.3f}")
    print(f"changed lines {total.lines} vs git --histogram {total.git_lines}: {lines:.3f}")
    print(f"files that are one hunk where git has several: {len(total.swallowed)}")
    alike = abs(hunks - 1) <= _WITHIN and abs(lines - 1) <= _WITHIN and not total.swallowed
    if done < args.commits:
        print(f"the repository has only {done} such commits", file=sys.stderr)
    return 0 if alike and not failed and done >= args.commits else 1


sys.exit(main())
