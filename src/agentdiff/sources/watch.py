"""Owns the file system watcher: hints that paths of one workspace may have changed.

Must not read files.  On Linux it only rings: what changed, the tracker asks the feed itself
(`agentdiff.sources.inotify`).  Elsewhere watchdog's own observer names paths, and must not be
believed: it misses changes at the limit of watches, after an overflow of the kernel's queue and on
network file systems, so a cut never relies on it.  Hop 1; what is read because of a hint is
`agentdiff.workspace.tracker`'s business.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import os
import sys
import threading
from collections.abc import Callable, Iterable

from watchdog import events
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from agentdiff.sources.inotify import Inotify, InotifyEmitter, open_feed
from agentdiff.workspace.temp import is_own_temp

__all__ = ["Watcher", "open_feed"]

# Everything that means change.  Opened and closed-without-write would make one `rg` over a large
# tree overflow the kernel's queue for good; a directory's own modification is the change of what
# is in it.
_CHANGES: list[type[events.FileSystemEvent]] = [
    events.FileCreatedEvent,
    events.FileModifiedEvent,
    events.FileClosedEvent,
    events.FileDeletedEvent,
    events.FileMovedEvent,
    events.DirCreatedEvent,
    events.DirDeletedEvent,
    events.DirMovedEvent,
    # A class of its own since watchdog 7; before, a changed mode came as FileModifiedEvent.
    *filter(None, [getattr(events, "FileAttribEvent", None)]),
]
_LIMIT = "the limit of file system watches is reached: some changes show late"


class Watcher:
    """Watches one workspace until it is stopped.

    Watching starts on a thread of its own, because it walks the whole tree; nobody waits for it.

    Args:
        root: absolute path of the workspace.
        touch: takes paths relative to the root that may have changed, none when `feed` has news;
            called on the watcher's thread.
        feed: what the tracker asks; None for watchdog's own observer, which names paths.
    """

    def __init__(
        self,
        root: bytes,
        touch: Callable[[Iterable[bytes]], None],
        feed: Inotify | None = None,
    ) -> None:
        self._feed = feed
        # FSEvents reports resolved paths, whatever was asked for.
        self._root = os.path.realpath(root)
        self._touch = touch
        self._problem: str | None = None
        self._observer: BaseObserver | None = None
        self._stopping = threading.Event()
        self._ready = threading.Event()
        self._starter = threading.Thread(target=self._start, name="watch-start", daemon=True)

    def start(self) -> None:
        """Begins to watch, and returns at once.

        Raises:
            RuntimeError: it was started before.
        """
        try:
            self._starter.start()
        except RuntimeError as error:
            if self._starter.ident is not None:
                raise
            self._fail(error)

    @property
    def problem(self) -> str | None:
        """Why hints are missing or incomplete, a sentence; None while all is well."""
        return self._problem or (self._feed.problem if self._feed else None)

    def wait_ready(self, timeout_s: float) -> bool:
        """Waits until watching began, or failed (see `problem`); False when the time is over."""
        return self._ready.wait(timeout_s)

    def stop(self) -> None:
        """Ends watching and waits for its threads; no hint comes after that.  Harmless twice."""
        self._stopping.set()
        if self._starter.ident is not None:
            self._starter.join()
        observer, self._observer = self._observer, None
        if observer is not None:
            _end(observer)

    def _start(self) -> None:
        try:
            if self._feed is not None:
                emitter = functools.partial(InotifyEmitter, feed=self._feed)
                # watchdog only calls it, as it would the class.
                bell = _Bell(self._touch)
                self._observe(BaseObserver(emitter), bell, None)  # type: ignore[arg-type]
            else:
                handler = _Handler(self._root, self._touch, self._check_limit)
                self._observe(Observer(), handler, _CHANGES)
                self._check_limit()
        except (OSError, RuntimeError) as error:
            # The root is gone, unreadable, or a limit of inotify's; or no thread can be had.
            self._fail(error)
            return
        self._ready.set()

    def _observe(
        self,
        observer: BaseObserver,
        handler: events.FileSystemEventHandler,
        only: list[type[events.FileSystemEvent]] | None,
    ) -> None:
        self._observer = observer
        observer.schedule(handler, os.fsdecode(self._root), recursive=True, event_filter=only)
        observer.start()

    def _fail(self, error: OSError | RuntimeError) -> None:
        number, reason = None, str(error)
        if isinstance(error, OSError):
            number, reason = error.errno, error.strerror or reason
        # A limit of the user's, which other programs share; ours takes one for each workspace.
        limit = number == errno.EMFILE and sys.platform == "linux"
        remedy = " (raise fs.inotify.max_user_instances)" if limit else ""
        self._problem = f"cannot watch the workspace: {reason}{remedy}"
        self._ready.set()

    def _check_limit(self) -> None:
        """Notes when no further watch can be had: watchdog leaves directories out in silence."""
        if self._problem is None and _at_watch_limit(self._root):
            self._problem = _LIMIT


class _Bell(events.FileSystemEventHandler):
    """Passes on that the feed has news."""

    def __init__(self, touch: Callable[[Iterable[bytes]], None]) -> None:
        self._touch = touch

    def on_any_event(self, event: events.FileSystemEvent) -> None:  # noqa: ARG002
        """Rings."""
        self._touch(())


class _Handler(events.FileSystemEventHandler):
    """Turns watchdog's events into hints."""

    def __init__(
        self,
        root: bytes,
        touch: Callable[[Iterable[bytes]], None],
        on_directory: Callable[[], None],
    ) -> None:
        self._prefix = root.rstrip(b"/") + b"/"
        self._touch = touch
        self._on_directory = on_directory

    def on_any_event(self, event: events.FileSystemEvent) -> None:
        """Passes on the paths of one event."""
        if isinstance(event, events.DirCreatedEvent):
            self._on_directory()
        paths = [path for path in map(self._relative, (event.src_path, event.dest_path)) if path]
        if paths:
            self._touch(paths)

    def _relative(self, path: bytes | str) -> bytes | None:
        """Returns a path as the tracker wants it, None when it is none of its business."""
        full = os.fsencode(path)
        if not full.startswith(self._prefix):
            return None
        relative = full[len(self._prefix) :]
        parts = relative.split(b"/")
        return None if b".git" in parts or is_own_temp(parts[-1]) else relative


def _end(observer: BaseObserver) -> None:
    observer.stop()
    with contextlib.suppress(RuntimeError):  # its thread never started
        observer.join()


def _at_watch_limit(root: bytes) -> bool:
    """Whether the kernel refuses one more inotify watch; False where there is no inotify."""
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.inotify_init1(os.O_CLOEXEC)
    if fd < 0:
        return False
    try:
        # IN_DELETE_SELF: a mask that stays silent in practice.
        refused = libc.inotify_add_watch(fd, root, 0x400) < 0
        return refused and ctypes.get_errno() == errno.ENOSPC
    finally:
        os.close(fd)
