"""Owns following one workspace: cuts on demand, hints from the watcher, one thread that reads.

Must not know agents, and must not decide whose a change is.  Hop 5, and the receiving end of the
watcher of hop 1.

Everything is read on one thread per workspace, so that observations come in read order and
nothing but the queue of jobs needs a lock.  Callers only wait: a hook for the time it may take,
no longer.  A long scan is interrupted before each directory and file for jobs that name paths,
because an edit tool waits for them.

A cut reads what the feed names; without a feed that can be trusted it looks at every followed path.
While a workspace is busy, everything is looked at now and then all the same (a sweep), because two
kinds of writes are told by nobody: through a mapping whose file is closed, and through a hard link
from outside.
"""

from __future__ import annotations

import functools
import itertools
import threading
import time
from collections.abc import Callable, Iterable

from agentdiff.workspace.blobs import BlobStore
from agentdiff.workspace.feed import Feed
from agentdiff.workspace.index import Index
from agentdiff.workspace.known import KnownTable
from agentdiff.workspace.observations import (
    Batch,
    CutResult,
    Known,
    Observation,
    Passed,
    Skipped,
    TrackerSettings,
)
from agentdiff.workspace.paths import clean, is_clean
from agentdiff.workspace.survey import Survey
from agentdiff.workspace.tree import Root, Signature

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
# A sweep may take no more than this part of the time.
_SWEEP_SHARE = 0.02
_SWEEP_AGAIN_S = 2.0


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
        feed: names what changes below the root; closed by `close`.

    Raises:
        OSError: the root is missing or cannot be entered.
    """

    def __init__(
        self,
        root: bytes,
        blobs: BlobStore,
        known: KnownTable | None,
        emit: Callable[[Batch], None],
        settings: TrackerSettings,
        clock_ns: Callable[[], int] = time.time_ns,
        feed: Feed | None = None,
    ) -> None:
        self.root = root
        self._clock_ns = clock_ns
        self._held = Root(root)
        self._index = Index(self._held, blobs, known, emit, self._is_late, settings, clock_ns)
        self._survey = Survey(self._held, self._index, settings, feed, clock_ns, blobs)
        self._feed = feed
        self._sweep_s = settings.sweep_s
        # When to sweep next, once there was something to do; monotonic clock.
        self._sweep_due_s = 0.0
        self._swept_changes = True
        self._wake = threading.Condition()
        self._tree_jobs: list[_Job] = []
        self._path_jobs: list[_Job] = []
        # Whose reading is going on, innermost last: named paths are served within a scan.
        self._serving: list[list[_Job]] = []
        self._hints: set[bytes] = set()
        self._hints_due_s = 0.0
        self._rung = False
        self._closed = False
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
        return self._wait(_Job(clean(paths)), deadline_ns)

    def follow(
        self, path: bytes, deadline_ns: int | None = None, *, before_tool: bool = False
    ) -> CutResult:
        """Reads a path that somebody named; it is followed from now on, ignored or absent or not.

        The arguments are those of `cut`.

        Raises:
            ValueError: it is not a clean path relative to the root.
        """
        return self._wait(_Job(clean([path]), follow=True, before_tool=before_tool), deadline_ns)

    def touch(self, paths: Iterable[bytes]) -> None:
        """Takes a hint that these paths may have changed; they are read within about 15 ms.

        Paths that are not clean, or not followed, are ignored.  No path at all: the feed has news.
        """
        with self._wake:
            if not (self._hints or self._rung):
                self._hints_due_s = time.monotonic() + _DEBOUNCE_S
            self._rung = True
            self._hints.update(paths)
            self._start()
            self._wake.notify_all()

    @property
    def is_warm(self) -> bool:
        """Whether the whole tree was seen since this tracker began."""
        return self._index.walked

    @property
    def trusts_feed(self) -> bool:
        """Whether the next cut reads no more than what the feed names."""
        return self._survey.trusts_feed

    def coverage(self) -> tuple[Skipped, ...]:
        """Returns what is not followed or not kept, and why, as of the last cut."""
        return self._survey.gaps() + self._trouble

    def ignored(self) -> Passed:
        """Returns what is not followed because it is ignored, which is no gap; any thread."""
        index = self._index
        return index.ignored.told(index.named | index.rules.tracked)

    @property
    def git_problem(self) -> str | None:
        """Why git could not serve as the first baseline, a sentence; any thread."""
        return self._survey.base.problem

    def key(self, path: bytes) -> bytes:
        """Returns what a path is known as, where it has several spellings; any thread."""
        return self._survey.spellings.key(path)

    def known(self) -> dict[bytes, Known]:
        """Returns what is known of each followed path; stable only while nothing is being read."""
        return self._index.known.unpacked()

    @property
    def table(self) -> KnownTable:
        """What is known, to be looked at only."""
        return self._index.known

    def lookup(self, path: bytes) -> Known | None:
        """Returns what is known of one path, None when it is absent or not followed."""
        return self._index.known.get(path)

    def close(self) -> None:
        """Ends the thread; callers that still wait get an uncertain result.  Harmless twice."""
        with self._wake:
            self._closed = True
            self._wake.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join()
        if self._feed is not None:
            self._feed.close()
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
            thread = threading.Thread(target=self._run, name="tracker", daemon=True)
            thread.start()
            self._thread = thread

    def _run(self) -> None:
        try:
            while self._wait_for_work():
                self._serve_paths(self._proceed)
                self._serve_tree()
                self._serve_hints()
                self._serve_moving()
                self._verify()
                self._sweep()
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
                due_s = self._due_s()
                left_s = None if due_s is None else due_s - time.monotonic()
                if left_s is not None and left_s <= 0:
                    return True
                self._wake.wait(left_s)
        return False

    def _due_s(self) -> float | None:
        """Returns when there is something to do that nobody waits for."""
        due = []
        if self._hints or self._rung:
            due.append(self._hints_due_s)
        if self._needs_sweep():
            due.append(self._sweep_due_s)
        if (moving_s := self._index.moving.due_s) is not None:
            due.append(moving_s)
        if self._survey.base.doubts:
            due.append(0.0)
        return min(due, default=None)

    def _needs_sweep(self) -> bool:
        # Without a feed each cut looks at everything anyhow, unless that is too much.
        wanted = self._feed is not None or self._survey.overflow
        return wanted and self._index.walked and not self._swept_changes

    def _verify(self) -> None:
        def proceed() -> bool:
            hinted = (self._hints or self._rung) and time.monotonic() >= self._hints_due_s
            return not (self._closed or self._tree_jobs or self._path_jobs or hinted)

        if self._survey.base.doubts and proceed():
            self._perform([], lambda: self._survey.base.verify(proceed))

    def _note_activity(self) -> None:
        if self._swept_changes:
            self._swept_changes = False
            self._sweep_due_s = max(self._sweep_due_s, time.monotonic() + self._sweep_s)

    def _sweep(self) -> None:
        if not self._needs_sweep() or time.monotonic() < self._sweep_due_s:
            return
        began_s = time.monotonic()
        self._sweep_due_s = began_s + _SWEEP_AGAIN_S

        def proceed() -> bool:
            return self._proceed() and not self._tree_jobs  # a cut is worth more

        scanned = self._perform([], lambda: self._survey.read_tree(proceed, sweep=True))
        if scanned:
            took_s = time.monotonic() - began_s
            self._swept_changes = True
            self._sweep_due_s = began_s + max(self._sweep_s, took_s / _SWEEP_SHARE)

    def _serve_tree(self) -> None:
        with self._wake:
            # Parallel tool calls share one scan, as long as it starts after the last of them asked.
            jobs, self._tree_jobs = self._tree_jobs, []
        if jobs:
            self._note_activity()
            self._perform(jobs, lambda: self._survey.read_tree(self._proceed))

    def _serve_paths(self, proceed: Callable[[], bool]) -> None:
        while True:
            with self._wake:
                if not self._path_jobs:
                    return
                job = self._path_jobs.pop(0)
            read = functools.partial(
                self._survey.read_paths, job.paths or (), proceed, follow=job.follow
            )
            self._perform([job], read)

    def _serve_hints(self) -> None:
        with self._wake:
            if not (self._hints or self._rung) or self._hints_due_s > time.monotonic():
                return
            hints, self._hints = self._hints, set()
            self._rung = False
        paths = [path for path in hints if is_clean(path)]
        trusted = self._survey.trusts_feed
        self._note_activity()
        self._perform([], lambda: self._survey.read_news(paths, self._proceed))
        if trusted and not self._survey.trusts_feed:
            self.warm()  # something was lost: look at everything before somebody has to wait

    def _serve_moving(self) -> None:
        if paths := self._index.moving.due():
            self._perform([], lambda: self._survey.read_moving(paths))

    def _perform(self, jobs: list[_Job], read: Callable[[], int]) -> int:
        """Reads, emits, and only then lets the callers go; returns how much was looked at."""
        self._serving.append(jobs)
        changed = self._index.changed
        try:
            self._survey.begin()
            scanned = read()
        except OSError as error:  # the root: everything below it has become an entry or a gap
            self._trouble = (Skipped(path=b"", reason=f"unreadable: {error.strerror}"),)
            certain, scanned = False, 0
        else:
            self._trouble = ()
            moving = [self._index.moving.doubt(job.paths) for job in jobs if job.before_tool]
            certain = not (self._closed or any(moving))
        self._index.flush()
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
        return scanned

    def _proceed(self) -> bool:
        """Serves, in the middle of a scan, those who named paths; False when closed."""
        if self._path_jobs:
            self._index.flush()  # what the scan noted so far is the scan's
            self._serve_paths(lambda: not self._closed)
        return not self._closed

    def _is_late(self) -> bool:
        return bool(self._serving) and any(job.late for job in self._serving[-1])
