"""Runs what takes long for as long as there is time, on every core, each chunk with its seed.

Owns what a chunk is, and the ledger of chunks in ``.cache/deep.json``: every call goes on where the
last one stopped, so that a night may be made of several evenings.  A chunk is one pytest process
over one file with a seed of its own; nothing but commit, seed and number of examples is needed to
have it again.  Now and then a chunk is a run of `tests.kills` instead: real processes, killed at
random points, of which the seed chooses the events, and the machine the moments.

    make deep                    an hour, on every core
    make deep DEEP_MINUTES=300   five hours
    make deep DEEP_JOBS=1        on one core
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
RESULTS = CHECKOUT / ".cache" / "deep.json"
LOGS = CHECKOUT / ".cache" / "deep"
MACHINE = "tests/properties/test_review_machine.py"
KILLS = "tests/kills"
KILL_EVENTS = 1000
# About ninety kills in each run.
KILL_EVERY = 12
# Of so many such runs one has a Neovim, which is killed as well.
EDITOR_EVERY = 3
# Of so many rounds of the other chunks, each about three minutes of a core, one begins with such a
# run, which takes as long.
KILLS_EVERY = 3
# A chunk of the machine takes about half a minute of one core that has nothing else to do.
EXAMPLES = int(os.environ.get("DEEP_EXAMPLES") or 400)
# Of so many chunks one is of the other properties, which are simpler.
OTHERS_EVERY = 5
COUNTED = re.compile(r"^(?:editor )?kills: (\d+)$", re.MULTILINE)
TALLY = re.compile(r"^ +- (\d+) passing, (\d+) failing", re.MULTILINE)
BLOB = re.compile(r"@reproduce_failure\((.*?)\) as a decorator")
FAULTS = "tests/faults/test_faults.py"
# They draw nothing: once for each commit.
SEEDLESS = ("test_races.py", "test_commits.py", "test_faults.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """One process: a file of tests, the seed, and what came of it.

    Attributes:
        commit: HEAD when it began.
        dirty: whether sources or tests differed from that commit.
        file: the tests, relative to the checkout.
        seed: of Hypothesis.
        examples: as many of each property were asked for.
        runs: examples that passed; of a file that draws nothing, tests that passed.
        failures: examples that failed; at least 1 when the process did.
        seconds: how long it took.
        blob: arguments of ``@reproduce_failure``, empty when nothing failed.
        kills: how many processes were killed; `runs` is 1 then, or 0.
    """

    commit: str
    dirty: bool
    file: str
    seed: int
    examples: int
    runs: int
    failures: int
    seconds: float
    blob: str = ""
    kills: int = 0


def git(*args: str) -> str:
    """Returns what a git command prints."""
    command = ["git", *args]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout


class Results:
    """The chunks of all times; used by several threads."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self.chunks: list[Chunk] = []
        if file.exists():
            self.chunks = [Chunk(**one) for one in json.loads(file.read_text())["chunks"]]
        self._running: set[tuple[str, str, int]] = set()

    def claim(self, commit: str, dirty: bool, file: str) -> int | None:
        """Returns a seed that this commit has not seen; None when the file needs no other one."""
        with self._lock:
            seen = {(c.commit, c.file, c.seed) for c in self.chunks if c.dirty == dirty}
            first = int(commit[:6], 16) * 100_000  # other examples for every commit
            seed = first
            while (commit, file, seed) in seen | self._running:
                seed += 1
            if seed != first and file.endswith(SEEDLESS):
                return None
            self._running.add((commit, file, seed))
            return seed

    def add(self, chunk: Chunk) -> None:
        """Writes down what came of a chunk."""
        with self._lock:
            self.chunks.append(chunk)
            self._file.parent.mkdir(parents=True, exist_ok=True)
            new = self._file.with_suffix(".new")
            new.write_text(json.dumps({"chunks": [asdict(one) for one in self.chunks]}, indent=1))
            new.replace(self._file)


def command_of(file: str, seed: int) -> list[str]:
    """Returns the command that runs a chunk."""
    if file == KILLS:
        numbers = [f"--seed={seed}", f"--events={KILL_EVENTS}", f"--kill-every={KILL_EVERY}"]
        editor = ["--editor"] if seed % EDITOR_EVERY == 0 else []
        return [sys.executable, "-m", "tests.kills", *numbers, *editor]
    options = ["-q", "--timeout=0", "-p", "no:cacheprovider", "--hypothesis-show-statistics"]
    return [sys.executable, "-m", "pytest", *options, f"--hypothesis-seed={seed}", file]


def run(results: Results, file: str) -> Chunk | None:
    """Runs the next chunk of a file; None when the file needs no more of them."""
    commit = git("rev-parse", "HEAD").strip()
    dirty = bool(git("status", "--porcelain", "--", "src", "tests").strip())
    seed = results.claim(commit, dirty, file)
    if seed is None:
        return None
    began = time.monotonic()
    more = {"HYPOTHESIS_PROFILE": "deep", "DEEP_EXAMPLES": str(EXAMPLES)}
    done = subprocess.run(
        command_of(file, seed),
        cwd=CHECKOUT,
        env={**os.environ, **more},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    tallies = [(int(ok), int(bad)) for ok, bad in TALLY.findall(done.stdout)]
    passed = re.findall(r"(\d+) passed", done.stdout)
    runs = sum(ok for ok, _ in tallies) if tallies else int(passed[-1]) if passed else 0
    kills = sum(map(int, COUNTED.findall(done.stdout)))
    if file == KILLS:
        runs = int(done.returncode == 0)
    failures = 0 if done.returncode == 0 else max(1, sum(bad for _, bad in tallies))
    blob = BLOB.search(done.stdout)
    chunk = Chunk(
        commit=commit,
        dirty=dirty,
        file=file,
        seed=seed,
        examples=EXAMPLES,
        runs=runs,
        failures=failures,
        seconds=round(time.monotonic() - began, 1),
        blob=blob.group(1) if blob else "",
        kills=kills,
    )
    if failures:
        LOGS.mkdir(parents=True, exist_ok=True)
        (LOGS / f"{Path(file).stem}-{seed}.log").write_text(done.stdout)
    results.add(chunk)
    return chunk


def schedule() -> Iterator[str]:
    """Yields files for ever: mostly the machine, and the others in turn."""
    others = sorted((CHECKOUT / "tests" / "properties").glob("test_*.py"))
    names = [str(file.relative_to(CHECKOUT)) for file in others]
    names.remove(MACHINE)
    yield from [FAULTS, *(name for name in names if name.endswith(SEEDLESS))]
    names = [name for name in names if not name.endswith(SEEDLESS)]
    turn = 0
    while True:
        if turn % KILLS_EVERY == 0:
            yield KILLS
        yield names[turn % len(names)]
        yield from [MACHINE] * (OTHERS_EVERY - 1)
        turn += 1


def work(results: Results, files: Iterator[str], lock: threading.Lock, until: float) -> None:
    """Runs chunks one after the other until the time is over; one of these for each core."""
    while time.monotonic() < until:
        with lock:
            file = next(files)
        chunk = run(results, file)
        if chunk is not None:
            say(chunk)


def say(chunk: Chunk) -> None:
    """Prints what came of a chunk; of a failure, how to have it again."""
    name, word = Path(chunk.file).stem, "FAILED" if chunk.failures else "passed"
    took = f"{chunk.seconds:.0f} s"
    what = f"{chunk.kills} kills" if chunk.file == KILLS else f"{chunk.runs} runs"
    print(f"{word} {name} seed {chunk.seed}: {what} in {took}", flush=True)
    if chunk.failures and chunk.file == KILLS:
        print(f"  at {chunk.commit[:10]}: {' '.join(command_of(chunk.file, chunk.seed))}")
        print(f"  output: {(LOGS / f'{name}-{chunk.seed}.log').relative_to(CHECKOUT)}", flush=True)
    elif chunk.failures:
        where = f"{chunk.commit[:10]}{' with changes on top' if chunk.dirty else ''}"
        again = f"HYPOTHESIS_PROFILE=deep DEEP_EXAMPLES={chunk.examples} .venv/bin/python -m pytest"
        print(f"  at {where}: {again} --hypothesis-seed={chunk.seed} {chunk.file}")
        print(f"  or at once: @reproduce_failure({chunk.blob})" if chunk.blob else "  (no blob)")
        print(f"  output: {(LOGS / f'{name}-{chunk.seed}.log').relative_to(CHECKOUT)}", flush=True)


def summarise(chunks: list[Chunk], wall_s: float, began: int) -> None:
    """Prints runs, failures and rate, of this call and of every commit so far."""
    now = chunks[began:]
    runs = sum(c.runs for c in now if c.file != KILLS)
    kills = sum(c.kills for c in now)
    print(f"this call: {runs} runs, {kills} kills, {sum(c.failures for c in now)} failures", end="")
    print(f", {runs / max(wall_s, 1e-9):.1f} runs/s in {wall_s / 60:.1f} min")
    by_commit: dict[str, Counter[str]] = {}
    for one in chunks:
        name = one.commit[:10] + ("+changes" if one.dirty else "")
        tally = by_commit.setdefault(name, Counter())
        if one.file != KILLS:
            tally["machine" if one.file == MACHINE else "others"] += one.runs
        tally["kills"] += one.kills
        tally["failures"] += one.failures
        tally["seconds"] += round(one.seconds)
    for name, tally in [*by_commit.items(), ("all", sum(by_commit.values(), Counter()))]:
        what = f"{tally['machine']} of the machine, {tally['others']} of other properties"
        what += f", {tally['kills']} kills"
        hours = f"{tally['seconds'] / 3600:.1f} h of a core"
        print(f"{name:20} {what}, {tally['failures']} failures, {hours}")
    head = git("rev-parse", "HEAD").strip()
    print(f"the machine on {head[:10]} as committed: {proved(chunks, head)}")


def proved(chunks: list[Chunk], head: str) -> str:
    """Returns what the machine's runs of one clean commit are; no other run says anything of it."""
    mine = [one for one in chunks if one.file == MACHINE]
    clean = [one for one in mine if one.commit == head and not one.dirty]
    runs, failures = sum(one.runs for one in clean), sum(one.failures for one in clean)
    others = sum(one.runs for one in mine) - runs
    return f"{runs} runs, {failures} failures ({others} runs on other commits, or with changes)"


def main() -> int:
    """Runs until the time is over; returns 1 when anything failed."""
    minutes = float(os.environ.get("DEEP_MINUTES") or 60)
    jobs = int(os.environ.get("DEEP_JOBS") or os.cpu_count() or 1)
    results = Results(RESULTS)
    before, began = len(results.chunks), time.monotonic()
    lock, files = threading.Lock(), schedule()
    until = began + minutes * 60
    workers = [
        threading.Thread(target=work, args=(results, files, lock, until)) for _ in range(jobs)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    summarise(results.chunks, time.monotonic() - began, before)
    return 1 if any(chunk.failures for chunk in results.chunks[before:]) else 0


if __name__ == "__main__":
    sys.exit(main())
