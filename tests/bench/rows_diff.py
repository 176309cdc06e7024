"""D1: the line diff against ``git diff --no-index`` on the same two files of 100,000 lines.

Git starts a process and reads both files, as every plugin that asks git does; ours compares bytes
that the daemon already holds.  That difference is the point, and the ratio includes it.
"""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

from agentdiff.core.diff import diff_bytes
from tests.bench.harness import Pair, Row, Skipped, interleaved

LINES = 100_000
CASES = (("D1-local", 1, 0.12), ("D1-5-hunks", 5, 0.25), ("D1-5000-hunks", 5_000, 1.2))


def rows(scratch: Path) -> Iterator[Row]:
    """Yields one row for each number of hunks."""
    for name, hunks, at_most in CASES:

        def measure(rounds: int, hunks: int = hunks) -> Pair:
            return _measure(scratch, hunks, rounds)

        what = f"diff_bytes vs git diff --no-index, {LINES} lines, {hunks} hunks"
        yield Row(name=name, what=what, at_most=at_most, measure=measure)


def _texts(hunks: int) -> tuple[bytes, bytes]:
    """Returns a text like source code and the same with `hunks` changed lines, evenly spread."""
    chosen = random.Random(1)
    words = ["return", "value", "if", "self.state", "=", "index", "+", "None", "(", ")", "for"]
    indents = ["", "    ", "        ", "            "]
    lines = [
        f"{chosen.choice(indents)}{' '.join(chosen.choices(words, k=6))} # {number}\n".encode()
        for number in range(LINES)
    ]
    changed = list(lines)
    for number in range(hunks):
        changed[(2 * number + 1) * LINES // (2 * hunks)] = f"changed line {number}\n".encode()
    return b"".join(lines), b"".join(changed)


def _measure(scratch: Path, hunks: int, rounds: int) -> Pair:
    old, new = _texts(hunks)
    (scratch / "old").write_bytes(old)
    (scratch / "new").write_bytes(new)
    found = len(diff_bytes(old, new))
    if found != hunks:
        raise AssertionError(f"the diff has {found} hunks instead of {hunks}")
    command = ["git", "diff", "--no-index", "--no-color", "--no-ext-diff", "old", "new"]
    env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}

    def git() -> None:
        done = subprocess.run(command, cwd=scratch, env=env, stdout=subprocess.DEVNULL, check=False)
        if done.returncode != 1:
            raise AssertionError(f"git diff says {done.returncode}")

    try:
        return interleaved(lambda: diff_bytes(old, new), git, rounds)
    except FileNotFoundError:
        raise Skipped("no git on PATH") from None
