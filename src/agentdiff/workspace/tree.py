"""Owns reading one path below a workspace root: no link is followed, the root is never left.

Must not write, and must not know what is ignored.  Hop 5; `agentdiff.workspace.files` writes.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from agentdiff.core.entries import (
    ABSENT,
    PERMISSION_BITS,
    Directory,
    Entry,
    File,
    Link,
    Other,
    RefKind,
)

# O_PATH needs no permission to list; macOS has no such thing.
_DIRECTORY = (
    (os.O_PATH if sys.platform == "linux" else os.O_RDONLY)
    | os.O_DIRECTORY
    | os.O_NOFOLLOW
    | os.O_CLOEXEC
)
_LISTING = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: a FIFO that took the file's place meanwhile must not hang the daemon.
_CONTENT = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
NOT_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG})
"""Of a path: nothing is there.  Others (EACCES, EIO, ESTALE, ENOTCONN) say nothing of that."""
# A path that ``lstat`` saw and that is gone, a link (ELOOP) or no link (EINVAL) when it is opened.
_REPLACED = NOT_THERE | {errno.EINVAL}
# What only another mode makes good, which the signature shows.  Anything else (EMFILE, EIO, ESTALE)
# may be over the next time, and nothing shows that.
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM})
REPLACED = Other(kind="unreadable: it is being replaced all the time")
_READ_TRIES = 4
_TICK_NS = 20_000_000
_KINDS: dict[int, RefKind] = {
    stat.S_IFREG: "file",
    stat.S_IFLNK: "link",
    stat.S_IFDIR: "dir",
}
_OTHER_KINDS = {
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What ``lstat`` says of a path: equal signatures mean equal content, if old enough when read.

    Attributes:
        mode: permission bits (``0o7777``).
        kind: ``file``, ``link``, ``dir`` or ``other``.
    """

    mtime_ns: int
    ctime_ns: int
    size: int
    ino: int
    mode: int
    kind: RefKind

    @classmethod
    def of(cls, status: os.stat_result) -> Signature:
        """Returns the signature of what ``lstat`` answered."""
        return cls(
            mtime_ns=status.st_mtime_ns,
            ctime_ns=status.st_ctime_ns,
            size=status.st_size,
            ino=status.st_ino,
            mode=status.st_mode & PERMISSION_BITS,
            kind=_KINDS.get(stat.S_IFMT(status.st_mode), "other"),
        )

    def matches(self, status: os.stat_result) -> bool:
        """Whether this is the signature of `status`: ``self == of(status)`` at half the price."""
        return (
            self.ctime_ns == status.st_ctime_ns
            and self.mtime_ns == status.st_mtime_ns
            and self.size == status.st_size
            and self.ino == status.st_ino
            and self.mode == status.st_mode & PERMISSION_BITS
            and self.kind == _KINDS.get(stat.S_IFMT(status.st_mode), "other")
        )


def is_settled(signature: Signature, read_ns: int) -> bool:
    """Whether a later write is certain to change this signature.

    Time stamps advance in ticks of up to 10 ms: a write right after the read may leave them as
    they were.

    Args:
        signature: of what was read.
        read_ns: wall clock just before it was read.
    """
    # A modification time in the future (`touch -d`) proves nothing and must not cost a read each
    # time.
    return (
        signature.ctime_ns < read_ns - _TICK_NS
        and not read_ns - _TICK_NS <= signature.mtime_ns <= read_ns
    )


class Root:
    """A workspace root, held by descriptor so that nothing can be put in its place unnoticed.

    Callable from any thread.

    Attributes:
        replaced: how often another directory had taken the path when `refresh` looked.

    Args:
        path: absolute path of the directory.

    Raises:
        OSError: it is missing, or no directory.
    """

    def __init__(self, path: bytes) -> None:
        self.path = path
        self.replaced = 0
        self._lock = threading.Lock()
        self._fd = os.open(path, _DIRECTORY & ~os.O_NOFOLLOW)

    def refresh(self) -> bool:
        """Looks whether another directory has the root's path now, and if so holds that one.

        Returns:
            Whether the root exists.  If not, the old directory stays held, in which nothing is
            found.
        """
        try:
            current = os.stat(self.path)
            held = os.fstat(self._fd)
            if (current.st_dev, current.st_ino) != (held.st_dev, held.st_ino):
                fresh = os.open(self.path, _DIRECTORY & ~os.O_NOFOLLOW)
                with self._lock:
                    os.dup2(fresh, self._fd, inheritable=False)
                os.close(fresh)
                self.replaced += 1
        except OSError as error:
            if error.errno in NOT_THERE:
                return False
            raise
        return True

    def close(self) -> None:
        """Lets the directory go; harmless when closed already."""
        with self._lock:
            fd, self._fd = self._fd, -1
            if fd >= 0:
                os.close(fd)

    @contextlib.contextmanager
    def open_directory(self, path: bytes, *, listing: bool = False) -> Iterator[int]:
        """Opens a directory below the root (``b""`` is the root) component by component.

        Args:
            path: relative, ``/``-separated.
            listing: whether the descriptor must be readable (``os.scandir``).

        Yields:
            A descriptor, closed afterwards.

        Raises:
            ValueError: `path` is not a clean relative path.
            OSError: a component is missing (ENOENT), no directory or a link (ENOTDIR, ELOOP)…
        """
        fd = self.open_path(path, listing=listing)
        try:
            yield fd
        finally:
            os.close(fd)

    def open_path(self, path: bytes, *, listing: bool = False) -> int:
        """Does what `open_directory` does; the caller closes the descriptor."""
        parts = split_path(path) if path else []
        fd = self.open_self()
        try:
            for part in parts:
                below = os.open(part, _DIRECTORY, dir_fd=fd)
                os.close(fd)
                fd = below
            if listing:
                readable = os.open(b".", _LISTING, dir_fd=fd)
                os.close(fd)
                fd = readable
        except OSError:
            os.close(fd)
            raise
        return fd

    def lstat(self, path: bytes) -> os.stat_result | None:
        """Returns what ``lstat`` says of `path`, None when nothing is there or it cannot be asked.

        Raises:
            ValueError: `path` is not a clean relative path.
        """
        parent, _, name = path.rpartition(b"/")
        split_path(path)
        try:
            with self.open_directory(parent) as fd:
                return os.stat(name, dir_fd=fd, follow_symlinks=False)
        except OSError:
            return None

    def open_self(self) -> int:
        """Returns a fresh descriptor of the root; the caller closes it."""
        with self._lock:
            return os.open(b".", _DIRECTORY, dir_fd=self._fd)


def open_below(dir_fd: int, name: bytes | str) -> int:
    """Returns a listable descriptor of the subdirectory `name`; links are not followed.

    Raises:
        OSError: it is missing, no directory any more, or must not be read.
    """
    return os.open(name, _LISTING, dir_fd=dir_fd)


def open_step(dir_fd: int, name: bytes) -> int:
    """Returns a descriptor of the subdirectory `name`, good for walking on; links are not followed.

    Raises:
        OSError: it is missing, or no directory.
    """
    return os.open(name, _DIRECTORY, dir_fd=dir_fd)


def split_path(path: bytes) -> list[bytes]:
    """Returns the components of a relative path.

    Raises:
        ValueError: it is empty, absolute, or has an empty, ``.`` or ``..`` component or a NUL.
    """
    parts = path.split(b"/")
    if b"\0" in path or any(part in (b"", b".", b"..") for part in parts):
        raise ValueError(f"not a clean path below a workspace root: {path!r}")
    return parts


def read_entry(root: Root, path: bytes, *, max_bytes: int) -> Entry:
    """Returns what is at `path` now.  See `read_signed`."""
    return read_signed(root, path, max_bytes=max_bytes)[0]


def read_signed(root: Root, path: bytes, *, max_bytes: int) -> tuple[Entry, Signature | None]:
    """Returns what is at `path` now, with the signature it had while it was read.

    A path below a link, or below something that is no directory, is `ABSENT`.  What cannot be kept
    is an `Other` that says why (``unreadable: …``, ``oversized: n bytes``, ``fifo``…).

    Args:
        root: where `path` starts.
        path: relative to the root.
        max_bytes: longest content that is read.

    Returns:
        The entry, and its signature: None when nothing is there, when the content did not hold
        still while it was read (then the entry is what the last attempt saw), or when it could not
        be read for a reason that may be over the next time.

    Raises:
        ValueError: `path` is not a clean relative path.
    """
    parent, _, name = path.rpartition(b"/")
    split_path(path)
    try:
        with root.open_directory(parent) as fd:
            return read_at(fd, name, max_bytes=max_bytes)
    except OSError as error:
        if error.errno in NOT_THERE:
            return ABSENT, None
        return Other(kind=f"unreadable: {error.strerror}"), None


def read_at(dir_fd: int, name: bytes, *, max_bytes: int) -> tuple[Entry, Signature | None]:
    """Does what `read_signed` does, for one name of an open directory."""
    for _ in range(_READ_TRIES):
        try:
            status = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
        except OSError as error:
            if error.errno in NOT_THERE:
                return ABSENT, None
            return Other(kind=f"unreadable: {error.strerror}"), None
        try:
            found = _read_as(dir_fd, name, status, max_bytes)
        except OSError as error:
            if error.errno in _REPLACED:
                continue
            signature = Signature.of(status)
            entry = Other(kind=f"unreadable: {error.strerror}", stamp=_stamp(signature))
            return entry, signature if error.errno in _FORBIDDEN else None
        if found is not None:
            return found
    return REPLACED, None


def _read_as(
    dir_fd: int, name: bytes, status: os.stat_result, max_bytes: int
) -> tuple[Entry, Signature | None] | None:
    """Reads what ``lstat`` saw; None or an errno of `_REPLACED` when it is something else now."""
    signature = Signature.of(status)
    if signature.kind == "file":
        return _read_file(dir_fd, name, signature, max_bytes)
    if signature.kind == "link":
        return Link(target=os.readlink(name, dir_fd=dir_fd)), signature
    if signature.kind == "dir":
        return Directory(mode=signature.mode), signature
    kind = _OTHER_KINDS.get(stat.S_IFMT(status.st_mode), "unknown")
    return Other(kind=kind, stamp=_stamp(signature)), signature


def _read_file(
    dir_fd: int, name: bytes, seen: Signature, max_bytes: int
) -> tuple[Entry, Signature | None] | None:
    if seen.size > max_bytes:
        return _oversized(seen)
    fd = os.open(name, _CONTENT, dir_fd=dir_fd)
    try:
        for _ in range(_READ_TRIES):
            before = Signature.of(os.fstat(fd))
            if before.kind != "file":
                return None
            data = read_all(fd, min(before.size, max_bytes) + 1, max_bytes)
            after = os.fstat(fd)
            if len(data) > max_bytes:
                return _oversized(Signature.of(after))
            if before.matches(after):
                return File(data=data, mode=before.mode), before
        return File(data=data, mode=before.mode), None
    finally:
        os.close(fd)


def read_all(fd: int, first_bytes: int, max_bytes: int) -> bytes:
    """Returns the content of an open file from its start, at most ``max_bytes + 1`` bytes of it.

    Args:
        fd: a regular file.
        first_bytes: how much to ask for at first; one more than the expected size saves a call.
        max_bytes: where to stop.

    Raises:
        OSError: reading fails.
    """
    chunks: list[bytes] = []
    offset = 0
    want = first_bytes
    while offset <= max_bytes:
        wanted = min(want, max_bytes + 1 - offset)
        chunk = os.pread(fd, wanted, offset)
        offset += len(chunk)
        chunks.append(chunk)
        # A short read is the end, as regular files have it; before the size that was announced it
        # may be a file system in user space that takes its time.
        if not chunk or (len(chunk) < wanted and offset >= first_bytes - 1):
            break
        want = max(want, 1 << 16)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _oversized(signature: Signature) -> tuple[Entry, Signature]:
    return Other(kind=f"oversized: {signature.size} bytes", stamp=_stamp(signature)), signature


def _stamp(signature: Signature) -> str:
    return f"{signature.size}:{signature.mtime_ns}"
