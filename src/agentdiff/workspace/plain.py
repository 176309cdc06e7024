"""Owns opening files that git made, or somebody in its place: only regular ones, never waiting.

Must not be used for paths of the workspace itself: `agentdiff.workspace.tree` follows no link,
while git's own files may be links.  Hop 5.

A FIFO named ``.git/index`` or ``.gitignore`` would hold the daemon for ever, a device has no end.
"""

from __future__ import annotations

import errno
import os
import stat

_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def open_plain(path: bytes) -> int:
    """Returns a descriptor of a regular file; links are followed.

    Raises:
        OSError: it cannot be opened, or is no regular file.
    """
    if b"\0" in path:
        raise OSError(errno.EINVAL, "no path", path)
    _check(os.stat(path), path)  # opening a device may do something
    fd = os.open(path, _FLAGS)
    try:
        _check(os.fstat(fd), path)
    except OSError:
        os.close(fd)
        raise
    return fd


def read_plain(path: bytes, max_bytes: int) -> bytes:
    """Returns the content of a regular file, at most so many bytes of it.

    Raises:
        OSError: as `open_plain`, or it cannot be read.
    """
    with open(open_plain(path), "rb") as file:
        return file.read(max_bytes)


def _check(status: os.stat_result, path: bytes) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "no regular file", path)


def is_special(path: bytes) -> bool:
    """Whether something is at a path that is neither a regular file nor a directory."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
