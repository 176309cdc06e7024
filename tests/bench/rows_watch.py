"""W and S8: what following a workspace costs: against plain watchdog, and against fixed limits."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from watchdog import events
from watchdog.observers import Observer

from agentdiff.sources.watch import Watcher, open_feed
from tests.bench.harness import MIN_ROUNDS, Pair, Row, Skipped, timed
from tests.bench.repository import repository
from tests.bench.rows_baseline import Tracked

FOLDERS = 11_000
WRITES = 4_000
MIB = 1 << 20
WRITER = """
import os, sys
for number in range(int(sys.argv[2])):
    fd = os.open(f"{sys.argv[1]}/f{number % 200}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(fd, b"x")
    os.close(fd)
open(sys.argv[1] + "/end", "w").close()
"""
# Runs alone, so that nothing but the daemon's own parts is in its memory.
MEMORY = """
import sys, time
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/src"]
from pathlib import Path
import agentdiff.daemon.run, agentdiff.daemon.engine
from agentdiff.workspace.known import Population
from agentdiff.workspace.store import Store
from tests.bench.rows_baseline import Tracked
tree, state = Path(sys.argv[2]), Path(sys.argv[3])
state.mkdir()
tracked = Tracked(tree, state / "blobs.pack", lean=True)
store = Store(state, b"/w")
tracked.start()
store.populate(tracked.population())
store.commit()
time.sleep(1)
tracked.cut()
pages = int(open("/proc/self/statm").read().split()[1])
store.close()
tracked.close()
print(pages * 4096, sum(one.stat().st_size for one in state.iterdir()))
"""


def rows(scratch: Path) -> Iterator[Row]:
    """Yields the rows of following."""
    if not sys.platform.startswith("linux"):
        return
    yield Row(
        name="W-setup",
        what=f"following {FOLDERS} folders vs watchdog's own observer",
        at_most=0.6,
        measure=lambda rounds: _setup(scratch, rounds),
    )
    yield Row(
        name="W-write",
        what="CPU time for each open+append+close vs watchdog's own observer",
        at_most=0.25,
        measure=lambda rounds: _writes(scratch, rounds),
    )
    yield Row(
        name="S8-memory",
        what="resident memory with 100,000 files vs 120 MiB",
        at_most=1.0,
        measure=lambda _: _footprint(scratch, 100_000, 0, 120),
        unit="MiB",
    )
    yield Row(
        name="S8-disk",
        what="state of 50,000 clean tracked files vs 5 MiB",
        at_most=1.0,
        measure=lambda _: _footprint(scratch, 50_000, 1, 5),
        unit="MiB",
    )


class _Counter(events.FileSystemEventHandler):
    """Collects paths, as anybody does who wants to know what changed."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self.ended = threading.Event()

    def on_any_event(self, event: events.FileSystemEvent) -> None:
        """Takes one."""
        self.take([str(event.src_path)])

    def take(self, paths: Iterable[str]) -> None:
        """Takes several."""
        self.seen.update(paths)
        if any(path.endswith("end") for path in paths):
            self.ended.set()


def _setup(scratch: Path, rounds: int) -> Pair:
    tree = scratch / "folders"
    for number in range(FOLDERS):
        (tree / f"a{number // 1000}" / f"b{number // 10 % 100}" / f"c{number % 10}").mkdir(
            parents=True, exist_ok=True
        )

    def ours() -> float:
        tracked = Tracked(tree, scratch / "blobs-setup", lean=False)
        took = timed(tracked.start)
        if not tracked.tracker.trusts_feed:
            raise Skipped("not enough inotify watches")
        tracked.close()
        return took

    def reference() -> float:
        observer = Observer()

        def start() -> None:
            observer.schedule(_Counter(), str(tree), recursive=True)
            observer.start()

        took = timed(start)
        observer.stop()
        observer.join()
        return took

    return _in_turns(ours, reference, rounds)


def _writes(scratch: Path, rounds: int) -> Pair:
    tree = scratch / "written"
    tree.mkdir()

    def measured(counter: _Counter) -> float:
        before = time.process_time()
        command = [sys.executable, "-ISE", "-c", WRITER, str(tree), str(WRITES)]
        subprocess.run(command, check=True)
        if not counter.ended.wait(60) or len(counter.seen) < 200:
            raise AssertionError("writes were not seen")
        return (time.process_time() - before) / WRITES

    def ours() -> float:
        root = os.fsencode(tree)
        feed, counter = open_feed(root), _Counter()
        if feed is None:
            raise Skipped("no inotify instance left")
        fd = os.open(tree, os.O_RDONLY)
        feed.watch(b"", fd)
        watcher = Watcher(
            root, lambda _: counter.take([*map(os.fsdecode, feed.drain().paths)]), feed
        )
        watcher.start()
        watcher.wait_ready(20)
        took = measured(counter)
        watcher.stop()
        feed.close()
        os.close(fd)
        return took

    def reference() -> float:
        observer, counter = Observer(), _Counter()
        observer.schedule(counter, str(tree), recursive=True)
        observer.start()
        took = measured(counter)
        observer.stop()
        observer.join()
        return took

    return _in_turns(ours, reference, rounds)


def _in_turns(ours: Callable[[], float], reference: Callable[[], float], rounds: int) -> Pair:
    samples: tuple[list[float], list[float]] = ([], [])
    for number in range(max(rounds, MIN_ROUNDS) + 1):
        sides = [(0, ours), (1, reference)]
        for side, action in sides if number % 2 else sides[::-1]:
            samples[side].append(action())
    return Pair(ours_s=tuple(samples[0][1:]), reference_s=tuple(samples[1][1:]))


def _footprint(scratch: Path, files: int, which: int, limit_mib: int) -> Pair:
    tree = repository(scratch, files)
    found = []
    for number in range(MIN_ROUNDS):
        state = scratch / f"state-{files}-{which}-{number}"
        checkout = Path(__file__).resolve().parents[2]
        command = [sys.executable, "-c", MEMORY, str(checkout), str(tree), str(state)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        found.append(int(done.stdout.split()[which]) / MIB)
    return Pair(ours_s=tuple(found), reference_s=(float(limit_mib),) * len(found))
