"""Owns following one workspace: cuts on demand, hints from the watcher, one thread that reads.

Must not know agents, and must not decide whose a change is.  Hop 5, and the receiving end of the
watcher of hop 1.

Everything is read on one thread per workspace, so that observations come in read order and
nothing but the queue of jobs needs a lock.  Callers only wait: a hook for the time it may take,
no longer.  A long scan is interrupted before each directory and file for jobs that name paths,
because an edit tool waits for them.

Today a cut looks at every followed path (lstat, and a read where that differs), which is right
whatever the watcher missed.
"""

from __future__ import annotations

import functools
import itertools
import threading
import time
from collections.abc import Callable, Iterable

from agentdiff.workspace.blobs import BlobStore
from agentdiff.workspace.index import Index
from agentdiff.workspace.observations import (
    Batch,
    CutResult,
    Known,
    Observation,
    Skipped,
    TrackerSettings,
)
from agentdiff.workspace.tree import Root, Signature, split_path

__all__ = [
    "Batch",
    "CutResult",
    "Known",
    "Observation",
    "Signature",
    "Skipped",
    "Tracker",
    "TrackerSettings",
]

_DEBOUNCE_S = 0.015


class _Job:
    """One caller's wish: these paths, or the whole tree where `paths` is None."""

    __slots__ = ("before_tool", "done", "follow", "late", "paths", "result")

    def __init__(
        self, paths: tuple[bytes, ...] | None, *, follow: bool = False, before_tool: bool = False
    ) -> None:
        self.paths = paths
        self.before_tool = before_tool
        self.follow = follow
        self.done = threading.Event()
        self.late = False
        self.result: CutResult | None = None


class Tracker:
    """Follows one workspace.  Every method is callable from any thread except from `emit`.

    Args:
        root: absolute path of the workspace.
        blobs: where contents go before they are emitted.
        known: what was last seen of each path, None for a workspace that nobody knew: then the
            first cut only populates.
        emit: takes each `Batch`, on the tracker's thread, in the order of reading; must only
            enqueue.
        settings: limits.
        clock_ns: wall clock in nanoseconds, also of deadlines.

    Raises:
        OSError: the root is missing or cannot be entered.
    """

    def __init__(
        self,
        root: bytes,
        blobs: BlobStore,
        known: dict[bytes, Known] | None,
        emit: Callable[[Batch], None],
        settings: TrackerSettings,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.root = root
        self._clock_ns = clock_ns
        self._held = Root(root)
        self._index = Index(self._held, blobs, known, emit, self._is_late, settings, clock_ns)
        self._wake = threading.Condition()
        self._tree_jobs: list[_Job] = []
        self._path_jobs: list[_Job] = []
        # Whose reading is going on, innermost last: named paths are served within a scan.
        self._serving: list[list[_Job]] = []
        self._hints: set[bytes] = set()
        self._hints_due_s = 0.0
        self._closed = False
        self._gaps: tuple[Skipped, ...] = self._index.gaps()
        self._trouble: tuple[Skipped, ...] = ()
        self._thread: threading.Thread | None = None

    def cut(self, deadline_ns: int | None = None, *, before_tool: bool = False) -> CutResult:
        """Reads whatever changed in the whole workspace; all of it is emitted when this returns.

        Args:
            deadline_ns: when to stop waiting, None for never.  Reading goes on after that.
            before_tool: a tool runs as soon as this returns: what is read after the deadline may
                be its work already, and is marked uncertain.
        """
        return self._wait(_Job(None, before_tool=before_tool), deadline_ns)

    def warm(self) -> None:
        """Starts a cut that nobody waits for, so that the next one finds little to read."""
        with self._wake:
            if not self._closed:
                self._tree_jobs.append(_Job(None))
                self._start()
                self._wake.notify_all()

    def cut_paths(self, paths: Iterable[bytes], deadline_ns: int | None = None) -> CutResult:
        """Does what `cut` does for these paths and what is below them.

        Raises:
            ValueError: one is not a clean path relative to the root.
        """
        return self._wait(_Job(_clean(paths)), deadline_ns)

    def follow(
        self, path: bytes, deadline_ns: int | None = None, *, before_tool: bool = False
    ) -> CutResult:
        """Reads a path that somebody named; it is followed from now on, ignored or absent or not.

        The arguments are those of `cut`.

        Raises:
            ValueError: it is not a clean path relative to the root.
        """
        return self._wait(_Job(_clean([path]), follow=True, before_tool=before_tool), deadline_ns)

    def touch(self, paths: Iterable[bytes]) -> None:
        """Takes a hint that these paths may have changed; they are read within about 15 ms.

        Paths that are not clean, or not followed, are ignored.
        """
        with self._wake:
            if not self._hints:
                self._hints_due_s = time.monotonic() + _DEBOUNCE_S
            self._hints.update(paths)
            self._start()
            self._wake.notify_all()

    def coverage(self) -> tuple[Skipped, ...]:
        """Returns what is not followed or not kept, and why, as of the last cut."""
        return self._gaps + self._trouble

    def known(self) -> dict[bytes, Known]:
        """Returns what is known of each followed path; stable only while nothing is being read."""
        return self._index.known()

    def lookup(self, path: bytes) -> Known | None:
        """Returns what is known of one path, None when it is absent or not followed."""
        return self._index.lookup(path)

    def close(self) -> None:
        """Ends the thread; callers that still wait get an uncertain result.  Harmless twice."""
        with self._wake:
            self._closed = True
            self._wake.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join()
        self._held.close()

    def _wait(self, job: _Job, deadline_ns: int | None) -> CutResult:
        with self._wake:
            if not self._closed:
                (self._tree_jobs if job.paths is None else self._path_jobs).append(job)
                self._start()
                self._wake.notify_all()
            else:
                job.done.set()
        timeout_s = None if deadline_ns is None else (deadline_ns - self._clock_ns()) / 1e9
        job.done.wait(timeout_s if timeout_s is None else max(timeout_s, 0.0))
        with self._wake:
            if job.result is not None:
                return job.result
            job.late = job.before_tool
        return CutResult(certain=False, skipped=self.coverage())

    def _start(self) -> None:
        if self._thread is None and not self._closed:
            self._thread = threading.Thread(target=self._run, name="tracker", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        try:
            while self._wait_for_work():
                self._serve_paths(self._proceed)
                self._serve_tree()
                self._serve_hints()
        finally:
            # Also after a bug: nobody may wait for a thread that is gone, and the next job starts
            # another.
            with self._wake:
                self._thread = None
                jobs = [*itertools.chain(*self._serving), *self._tree_jobs, *self._path_jobs]
                self._serving, self._tree_jobs, self._path_jobs = [], [], []
            for job in jobs:
                job.done.set()

    def _wait_for_work(self) -> bool:
        with self._wake:
            while not self._closed:
                if self._tree_jobs or self._path_jobs:
                    return True
                left_s = self._hints_due_s - time.monotonic() if self._hints else None
                if left_s is not None and left_s <= 0:
                    return True
                self._wake.wait(left_s)
        return False

    def _serve_tree(self) -> None:
        with self._wake:
            # Parallel tool calls share one scan, as long as it starts after the last of them asked.
            jobs, self._tree_jobs = self._tree_jobs, []
        if jobs:
            self._perform(jobs, lambda: self._index.read_tree(self._proceed))

    def _serve_paths(self, proceed: Callable[[], bool]) -> None:
        while True:
            with self._wake:
                if not self._path_jobs:
                    return
                job = self._path_jobs.pop(0)
            read = functools.partial(
                self._index.read_paths, job.paths or (), proceed, follow=job.follow
            )
            self._perform([job], read)

    def _serve_hints(self) -> None:
        with self._wake:
            if not self._hints or self._hints_due_s > time.monotonic():
                return
            hints, self._hints = self._hints, set()
        paths = [path for path in sorted(hints) if _is_clean(path)]
        self._perform([], lambda: self._index.read_paths(paths, self._proceed, follow=False))

    def _perform(self, jobs: list[_Job], read: Callable[[], int]) -> None:
        """Reads, emits, and only then lets the callers go."""
        self._serving.append(jobs)
        changed = self._index.changed
        try:
            self._index.begin()
            scanned = read()
        except OSError as error:  # the root: everything below it has become an entry or a gap
            self._trouble = (Skipped(path=b"", reason=f"unreadable: {error.strerror}"),)
            certain, scanned = False, 0
        else:
            self._trouble = ()
            certain = not self._closed
        self._index.flush()
        self._gaps = self._index.gaps()
        with self._wake:
            for job in jobs:
                job.result = CutResult(
                    certain=certain,
                    scanned=scanned,
                    changed=self._index.changed - changed,
                    skipped=self.coverage(),
                )
            self._serving.pop()
        for job in jobs:
            job.done.set()

    def _proceed(self) -> bool:
        """Serves, in the middle of a scan, those who named paths; False when closed."""
        if self._path_jobs:
            self._index.flush()  # what the scan noted so far is the scan's
            self._serve_paths(lambda: not self._closed)
        return not self._closed

    def _is_late(self) -> bool:
        return bool(self._serving) and any(job.late for job in self._serving[-1])


def _clean(paths: Iterable[bytes]) -> tuple[bytes, ...]:
    listed = tuple(paths)
    for path in listed:
        split_path(path)
    return listed


def _is_clean(path: bytes) -> bool:
    try:
        split_path(path)
    except ValueError:
        return False
    return True
