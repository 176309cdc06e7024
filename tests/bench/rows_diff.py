"""D1, D2, E1: the line diff and what is carried on top of it.

D1 compares with ``git diff --no-index`` on the same two files of 100,000 lines.  Git starts a
process and reads both files, as every plugin that asks git does; ours compares bytes that the
daemon already holds.  That difference is the point, and the ratio includes it.

D2 compares how changes are cut into hunks, over the commits of a real repository where one is given
(``make bench REPO=path``, as for ``make replay``), else over seeded edits of files of the standard
library, which are alike on every machine but nobody's work.  The row says which.
"""

from __future__ import annotations

import functools
import os
import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from agentdiff.core.diff import diff_bytes
from agentdiff.core.entries import File
from agentdiff.core.events import DecisionRequested, Event, HunkPick, Selection
from tests.bench.harness import Pair, Row, Skipped, interleaved
from tests.play import Play
from tests.replay.checks import Commit, Shape, replay
from tests.replay.generated import commits
from tests.replay.repository import Repository

LINES = 100_000
CARRIED_LINES, CARRIED_HUNKS = 20_000, 1_000
SHAPE_SEEDS, SHAPE_COMMITS, REAL_COMMITS = 4, 40, 500
CASES = (("D1-local", 1, 0.12), ("D1-5-hunks", 5, 0.25), ("D1-5000-hunks", 5_000, 1.2))


def rows(scratch: Path) -> Iterator[Row]:
    """Yields one row for each number of hunks."""
    for name, hunks, at_most in CASES:

        def measure(rounds: int, hunks: int = hunks) -> Pair:
            return _measure(scratch, hunks, rounds)

        what = f"diff_bytes vs git diff --no-index, {LINES} lines, {hunks} hunks"
        yield Row(name=name, what=what, at_most=at_most, measure=measure)

    yield from _shape_rows(scratch)
    yield Row(
        name="E1",
        what=f"observe + decide, {CARRIED_LINES} lines, {CARRIED_HUNKS} hunks pending, vs 20 ms",
        at_most=1.0,
        measure=_measure_carrying,
    )


def _shape_rows(scratch: Path) -> Iterator[Row]:
    """Yields D2, for the number of hunks and for the number of changed lines."""
    real = os.environ.get("REPO", "")

    @functools.cache
    def shape() -> Shape:
        total = Shape()
        for n, commit in enumerate(_corpus(real)):
            folder = scratch / f"D2.{n}"
            folder.mkdir()
            total += replay(commit, folder)
        if total.swallowed:
            raise AssertionError(f"one hunk where git has several: {total.swallowed}")
        return total

    def measure(ours: int, git: int) -> Pair:
        if ours < git * 0.95:
            raise AssertionError(f"{ours} where git has {git}: too few")
        return Pair(ours_s=(float(ours),), reference_s=(float(git),))

    corpus = f"{SHAPE_SEEDS * SHAPE_COMMITS} generated commits"
    if real:
        corpus = f"the newest {REAL_COMMITS} commits of {Path(real).resolve().name}"
    yield Row(
        name="D2-hunks",
        what=f"hunks vs git diff --histogram -U0, {corpus}",
        at_most=1.05,
        measure=lambda _: measure(shape().hunks, shape().git_hunks),
        unit="n",
    )
    yield Row(
        name="D2-lines",
        what=f"changed lines vs git diff --histogram, {corpus}",
        at_most=1.05,
        measure=lambda _: measure(shape().lines, shape().git_lines),
        unit="n",
    )


def _corpus(real: str) -> Iterator[Commit]:
    """Yields the commits of D2: of that repository, generated ones where it is empty."""
    if not real:
        for seed in range(SHAPE_SEEDS):
            yield from commits(SHAPE_COMMITS, seed)
        return
    repository = Repository(Path(real))
    try:
        yield from repository.commits(REAL_COMMITS)
    finally:
        repository.close()


def _measure_carrying(rounds: int) -> Pair:
    """Measures one observed edit of an agent and one accepted hunk on top of many."""
    lines = [b"    line number %d of the file\n" % n for n in range(CARRIED_LINES)]
    step = CARRIED_LINES // CARRIED_HUNKS
    play = Play(disk={b"f": File(data=b"".join(lines))})
    play.prompt("claude", "s")
    changed = [b"changed %d\n" % n if n % step == 7 else line for n, line in enumerate(lines)]
    play.run("claude", "s", {b"f": File(data=b"".join(changed))})
    samples = []
    for n in range(rounds):
        changed[10 + step * n] = b"again %d\n" % n
        play.start("claude", "s")
        play.put(b"f", File(data=b"".join(changed)))
        samples.append(_handled(play, play.observation(b"f")) + _handled(play, _accept(play)))
    if len(play.ledger.paths[b"f"].hunks) < CARRIED_HUNKS - rounds:
        raise AssertionError("the hunks went away")
    return Pair(ours_s=tuple(samples), reference_s=(0.020,) * rounds)


def _accept(play: Play) -> DecisionRequested:
    hunk = play.ledger.paths[b"f"].hunks[CARRIED_HUNKS // 2]
    selection = Selection(picks=(HunkPick(hunk=hunk.id),))
    return DecisionRequested(
        op="accept", selection=selection, client="cli", received_ns=play.tick()
    )


def _handled(play: Play, event: Event) -> float:
    """Returns how long the ledger took for an event; what it orders is performed afterwards."""
    start = time.perf_counter()
    commands = play.ledger.handle(event)
    seconds = time.perf_counter() - start
    for command in commands:
        play.perform(command)
    return seconds


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
