"""inotify, asked directly: which paths of a tree changed, known the moment a writer's call returns.

Owns one inotify instance per workspace and the emitter that makes watchdog ring when it has news.
Must not walk the tree (whoever walks it names each directory before listing it, so that nothing
falls between) and must not read files.  Hop 1, Linux only.

Why not watchdog's own emitter: it asks for every opened and closed file, so that one ``rg`` over
50,000 of them floods the kernel's queue for good; it cannot leave directories out; at the limit of
watches it goes on in silence; it holds a move back for half a second; and its queue cannot be asked
whether everything up to now has been seen.  The kernel queues an event inside of the system call
that causes it, so reading the queue dry is all that such a question takes.
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import struct
import sys
import threading
from typing import Any

from watchdog.events import DirModifiedEvent
from watchdog.observers.api import EventEmitter

from agentdiff.sources.descriptors import readable
from agentdiff.workspace.feed import Drained
from agentdiff.workspace.mounts import remote_file_system
from agentdiff.workspace.paths import below

_MODIFY, _ATTRIB, _CLOSE_WRITE = 0x2, 0x4, 0x8
_MOVED, _CREATE, _DELETE = 0x40 | 0x80, 0x100, 0x200
_DELETE_SELF, _MOVE_SELF, _UNMOUNT = 0x400, 0x800, 0x2000
_OVERFLOW, _IGNORED, _ONLYDIR, _EXCL_UNLINK = 0x4000, 0x8000, 0x1000000, 0x4000000
# Nothing that reading causes.  A write through a mapping shows only when its file is closed.
_CHANGES = _MODIFY | _ATTRIB | _CLOSE_WRITE | _MOVED | _CREATE | _DELETE | _ONLYDIR | _EXCL_UNLINK
_ROOT = _CHANGES | _DELETE_SELF | _MOVE_SELF
_EVENT = struct.Struct("iIII")
_READ_BYTES = 1 << 16
_PATH_MAX = 4096
# More names than this are a reason to look at everything; and nobody may fill our memory.
_MAX_DIRTY = 100_000
# Long enough to take a burst of writes in one go, short enough that a screen follows.
_PAUSE_S = 0.01


class Inotify:
    """Watches directories of one workspace; implements `agentdiff.workspace.feed.Feed`.

    Args:
        root: absolute path of the workspace.

    Raises:
        OSError: there is no inotify, or no instance left for this user (EMFILE).
    """

    def __init__(self, root: bytes) -> None:
        # PyDLL keeps the interpreter lock: these calls are shorter than giving it away.
        self._libc = ctypes.PyDLL(None, use_errno=True)
        self._fd = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        self._lock = threading.Lock()
        self._root = root.rstrip(b"/") + b"/"
        # Of each watch: the path of its directory with a slash behind it (the root has neither).
        self._prefixes: dict[int, bytes] = {}
        self._watches: dict[bytes, int] = {}
        # A directory may show up twice, by a bind mount or while it is being moved.
        self._aliases: dict[int, set[bytes]] = {}
        self._dirty: set[bytes] = set()
        self._lost = False
        self._full = False
        self._problem: str | None = None
        remote = remote_file_system(root)
        self._remote = f"{remote} tells nothing of changes made elsewhere" if remote else None

    @property
    def problem(self) -> str | None:
        """See `Feed.problem`."""
        return self._remote or self._problem

    @property
    def count(self) -> int:
        """How many directories are watched."""
        return len(self._watches)

    def begin(self, *, afresh: bool) -> None:
        """See `Feed.begin`."""
        with self._lock:
            self._full, self._problem = False, None
            if afresh:
                self._drop({b""})

    def watch(self, path: bytes, fd: int) -> None:
        """See `Feed.watch`."""
        with self._lock:
            if self._full or self._fd < 0:
                return
            # By name, which costs a third of the way over /proc/self/fd.  Should something else
            # have taken a name on the way here, the directory above tells, and is walked again.
            name = self._root + path
            if len(name) >= _PATH_MAX:
                name = b"/proc/self/fd/%d" % fd
            wd = self._libc.inotify_add_watch(self._fd, name, _CHANGES if path else _ROOT)
            if wd < 0:
                self._refused(path, ctypes.get_errno())
                return
            prefix = path + b"/" if path else b""
            before = self._watches.get(prefix)
            if before is not None and before != wd:  # another directory has the name now
                self._detach(before, prefix)
            known = self._prefixes.setdefault(wd, prefix)
            if known != prefix:
                self._aliases.setdefault(wd, {known}).add(prefix)
            self._watches[prefix] = wd

    def forget(self, paths: tuple[bytes, ...]) -> None:
        """See `Feed.forget`."""
        with self._lock:
            self._drop(set(paths))

    def drain(self) -> Drained:
        """See `Feed.drain`."""
        with self._lock:
            self._collect()
            paths, self._dirty = self._dirty, set()
            lost, self._lost = self._lost, False
        return Drained(paths=paths, lost=lost)

    def collect(self) -> bool:
        """Empties the kernel's queue and keeps what it held for `drain`; whether that is anything.

        For the emitter: the queue is short, and whoever drains may be busy reading files.
        """
        with self._lock:
            self._collect()
            return bool(self._dirty) or self._lost

    def wait(self, wake_fd: int, timeout_s: float | None) -> bool:
        """Waits for news; False when `wake_fd` is readable, the time is over, or it was closed."""
        poll = select.poll()
        poll.register(wake_fd, select.POLLIN)
        with self._lock:
            if self._fd < 0:
                return False
            news_fd = self._fd
            poll.register(news_fd, select.POLLIN)
        ready = {fd for fd, _ in poll.poll(None if timeout_s is None else timeout_s * 1000)}
        return news_fd in ready and wake_fd not in ready

    def close(self) -> None:
        """See `Feed.close`; the emitter must have ended."""
        with self._lock:
            fd, self._fd = self._fd, -1
            self._prefixes.clear()
            self._watches.clear()
            if fd >= 0:
                os.close(fd)

    def _refused(self, path: bytes, number: int) -> None:
        if number in (errno.ENOENT, errno.ENOTDIR):  # gone meanwhile: its parent tells
            return
        if number == errno.ENOSPC:
            self._full = True  # the other directories of this walk would be refused, too
            self._problem = (
                f"the limit of file system watches is reached at {len(self._watches)} folders "
                "(raise fs.inotify.max_user_watches): every cut looks at all files"
            )
        elif self._problem is None:
            shown = path.decode(errors="replace") or "the workspace"
            self._problem = f"{shown} cannot be watched: {os.strerror(number)}"

    def _drop(self, directories: set[bytes]) -> None:
        for prefix in below(self._watches, directories):  # with their slash, also these themselves
            self._detach(self._watches.pop(prefix), prefix)

    def _detach(self, wd: int, prefix: bytes) -> None:
        """Takes one of its paths from a watch, and ends it with the last one."""
        others = self._aliases.pop(wd, {prefix}) - {prefix}
        if len(others) > 1:
            self._aliases[wd] = others
        if others:
            self._prefixes[wd] = next(iter(others))
        elif self._prefixes.pop(wd, None) is not None and self._fd >= 0:
            self._libc.inotify_rm_watch(self._fd, wd)  # fails when the directory is gone

    def _collect(self) -> None:
        """Reads the queue dry; the caller holds the lock."""
        if self._fd < 0:
            return
        unpack, prefixes, dirty = _EVENT.unpack_from, self._prefixes, self._dirty
        while True:
            try:
                data = os.read(self._fd, _READ_BYTES)
            except BlockingIOError:
                break
            at, end = 0, len(data)
            while at < end:
                wd, mask, _, length = unpack(data, at)
                at += 16
                if length:
                    prefix = prefixes.get(wd)
                    if prefix is not None:
                        name = data[at : at + length].rstrip(b"\0")
                        dirty.add(prefix + name)
                        if wd in self._aliases:
                            dirty.update(other + name for other in self._aliases[wd])
                    at += length
                else:
                    self._about_itself(wd, mask)
        if len(dirty) > _MAX_DIRTY:
            dirty.clear()
            self._lost = True

    def _about_itself(self, wd: int, mask: int) -> None:
        """Takes an event without a name: of a watch, a watched directory, or the queue."""
        if mask & (_OVERFLOW | _UNMOUNT | _DELETE_SELF | _MOVE_SELF):
            self._lost = True
        if mask & _IGNORED:
            prefix = self._prefixes.pop(wd, None)
            for one in self._aliases.pop(wd, {prefix}):
                if one is not None and self._watches.get(one) == wd:
                    del self._watches[one]


class InotifyEmitter(EventEmitter):
    """Rings: one `DirModifiedEvent` of the root whenever the feed has news.

    What the news is, the feed itself tells (`Inotify.drain`): one watchdog event for each path
    would cost four times as much as everything else together.
    """

    def __init__(self, *arguments: Any, feed: Inotify, **settings: Any) -> None:  # noqa: ANN401
        super().__init__(*arguments, **settings)
        self._feed = feed
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC)

    def queue_events(self, timeout: float) -> None:  # noqa: ARG002 - watchdog's shape
        """Waits for news and queues one event; called by watchdog until the emitter stops."""
        if self._feed.wait(self._wake_read, None) and self._feed.collect():
            self.queue_event(DirModifiedEvent(self.watch.path))
        readable(self._wake_read, _PAUSE_S)

    def on_thread_stop(self) -> None:
        """Lets the thread notice that it is to end; also called when it never began."""
        write_end, self._wake_write = self._wake_write, -1
        if write_end >= 0:
            os.close(write_end)
            if self.ident is None:
                os.close(self._wake_read)

    def run(self) -> None:
        """Runs until stopped."""
        try:
            super().run()
        finally:
            os.close(self._wake_read)


def open_feed(root: bytes) -> Inotify | None:
    """Returns the feed of a workspace, None where it cannot be had.

    Then watchdog's own observer is what is left, or its reason why it cannot watch either.

    Args:
        root: absolute path.
    """
    if sys.platform != "linux":
        return None
    try:
        return Inotify(root)
    except OSError:
        return None
