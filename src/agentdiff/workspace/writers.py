"""Owns one question: does a program still hold this file open for writing?

Used by `agentdiff.workspace.files` (hop 5), for a file that has no public name any more.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
import sys
import time

_WAIT_S = 0.1
_POLL_S = 0.001


def wait_for_writers(dir_fd: int, name: bytes) -> bool:
    """Waits at most 0.1 s until nobody has `name` open for writing.

    A program that opened the file before we took its name away can still write into it.  Linux
    grants a read lease exactly when nobody can: so a lease granted means that what is read next
    is final.

    Returns:
        Whether somebody still has it open for writing.  False where that cannot be told (macOS,
        network file systems, somebody else's file, anything but a regular file).
    """
    if sys.platform != "linux":
        return False
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        if not stat.S_ISREG(os.stat(name, dir_fd=dir_fd, follow_symlinks=False).st_mode):
            return False
        fd = os.open(name, flags, dir_fd=dir_fd)
    except OSError:  # not to be read
        return False
    try:
        deadline = time.monotonic() + _WAIT_S
        while _has_writer(fd):
            if time.monotonic() > deadline:
                return True
            time.sleep(_POLL_S)
        return False
    finally:
        os.close(fd)


def _has_writer(fd: int) -> bool:
    try:
        # Whoever opens the file for writing while a lease stands makes the kernel signal us.  The
        # default, SIGIO, would end the daemon; SIGURG is ignored by default.
        fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False
