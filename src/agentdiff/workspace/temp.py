"""Owns the temporary names beside a file that is being replaced: making, filling and removing them.

Used by `agentdiff.workspace.files` (hop 5); the tracker and the watcher never report such names.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat

from agentdiff.core.entries import Directory, Entry, File, Link

_PREFIX = b".agentdiff-"
_SUFFIX = b".tmp"
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def is_own_temp(name: bytes) -> bool:
    """Whether the last component `name` is one that agentdiff uses for a moment."""
    return name.startswith(_PREFIX) and name.endswith(_SUFFIX)


def temp_name() -> bytes:
    """Returns a name that nobody has or can guess."""
    return _PREFIX + secrets.token_hex(8).encode() + _SUFFIX


def make_temp(fd: int, write: Entry, *, like: bytes | None) -> bytes:
    """Makes `write` under a temporary name of the directory `fd`, and makes a file's bytes durable.

    Args:
        fd: the directory.
        write: a file, link or directory.
        like: name of the file whose owner and extended attributes are kept.

    Returns:
        The temporary name.

    Raises:
        OSError: it cannot be made; nothing is left behind.
    """
    temp = temp_name()
    if isinstance(write, Link):
        os.symlink(write.target, temp, dir_fd=fd)
    elif isinstance(write, Directory):
        os.mkdir(temp, 0o700, dir_fd=fd)
        os.chmod(temp, write.mode, dir_fd=fd)
    elif isinstance(write, File):
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.open(temp, flags, 0o600, dir_fd=fd)
        try:
            write_all(file, write.data)
            if like is not None:
                _keep_attributes(fd, like, file)
            os.fchmod(file, write.mode)  # after chown, which clears set-uid bits
            os.fsync(file)
        except OSError:
            discard(fd, temp)
            raise
        finally:
            os.close(file)
    return temp


def write_all(file: int, data: bytes) -> None:
    """Makes `data` the whole content of an open file.

    Raises:
        OSError: some of it may be written.
    """
    view, offset = memoryview(data), 0
    while offset < len(view):
        offset += os.pwrite(file, view[offset:], offset)
    os.ftruncate(file, len(view))


def discard(fd: int, temp: bytes) -> bool:
    """Removes a temporary name; False when it is a directory that is not empty.

    Raises:
        OSError: it cannot be removed.
    """
    try:
        os.unlink(temp, dir_fd=fd)
    except FileNotFoundError:
        pass
    except (IsADirectoryError, PermissionError):  # EISDIR on Linux, EPERM by POSIX and on macOS
        try:
            os.rmdir(temp, dir_fd=fd)
        except OSError:
            return False
    return True


def _keep_attributes(fd: int, source: bytes, file: int) -> None:
    """Copies owner, group and extended attributes; what the system refuses stays as it is."""
    try:
        if not stat.S_ISREG(os.stat(source, dir_fd=fd, follow_symlinks=False).st_mode):
            return
        old = os.open(source, _READ, dir_fd=fd)
    except OSError:
        return
    try:
        before, after = os.fstat(old), os.fstat(file)
        if (before.st_uid, before.st_gid) != (after.st_uid, after.st_gid):
            with contextlib.suppress(OSError):
                os.fchown(file, before.st_uid, before.st_gid)
        if hasattr(os, "listxattr"):  # macOS: Python offers none
            with contextlib.suppress(OSError):
                for attribute in os.listxattr(old):
                    with contextlib.suppress(OSError):
                        os.setxattr(file, attribute, os.getxattr(old, attribute))
    finally:
        os.close(old)
