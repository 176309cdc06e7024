"""What makes the daemon the only one: the lock; and what it leaves for the next: the token.

Owns the lock file and the token file.  Must not know sockets' protocols or the engine.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

_TRIES = 4
_TRY_AGAIN_S = 0.005
_TOKEN = re.compile(r"[0-9a-f]{64}")


class AlreadyRunning(OSError):  # noqa: N818 - reads as a fact
    """Another process holds the lock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who holds the lock, as the lock file says.

    Attributes:
        pid: the daemon's process id.
        runtime: folder of its sockets, which may differ from what this environment resolves to.
    """

    pid: int
    runtime: Path


class Lock:
    """The flock that is held for a daemon's whole life.

    The kernel drops it with the process, however that ends, so a stale one cannot exist.  The file
    itself is never removed by a daemon: removing a locked file lets two processes lock two files of
    one name.
    """

    def __init__(self, path: Path, fd: int) -> None:
        self._path = path
        self._fd = fd

    @classmethod
    def acquire(cls, path: Path, runtime: Path) -> Lock:
        """Takes the lock at once, and writes down who has it.

        Raises:
            AlreadyRunning: another process has it.
        """
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            _lock_patiently(fd)
        except BlockingIOError as error:
            os.close(fd)
            raise AlreadyRunning(error.errno, "another daemon runs", str(path)) from error
        os.ftruncate(fd, 0)
        os.pwrite(fd, b"%d\n%b\n" % (os.getpid(), os.fsencode(runtime)), 0)
        return cls(path, fd)

    def intact(self) -> bool:
        """Returns whether the file at the path is still the locked one."""
        try:
            return os.path.samestat(os.fstat(self._fd), os.stat(self._path))
        except OSError:
            return False

    def release(self) -> None:
        """Gives the lock back."""
        os.close(self._fd)


def _lock_patiently(fd: int) -> None:
    """Takes the lock; tries again for an instant, in case somebody only looked (see `holder`)."""
    for _ in range(_TRIES - 1):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(_TRY_AGAIN_S)
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


def last_holder(path: Path) -> Holder | None:
    """Returns who took the lock last, None when nobody ever did; it may be gone."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    with open(fd, "rb") as file:
        pid, _, runtime = file.read(8192).partition(b"\n")
    if not pid.isdigit() or not runtime.endswith(b"\n"):
        return None
    return Holder(pid=int(pid), runtime=Path(os.fsdecode(runtime[:-1])))


def holder(path: Path) -> Holder | None:
    """Returns who holds the lock now, None when nobody does.

    Looking takes a shared lock for an instant, which `Lock.acquire` of a daemon that starts just
    then has to sit out: not for code that runs often.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return last_holder(path)
    finally:
        os.close(fd)
    return None


def load_token(path: Path) -> str:
    """Returns the OTLP token, 64 hexadecimal digits; makes it when there is none.

    Agents' configurations hold it, so it survives restarts.  The caller holds the lock.

    Raises:
        OSError: it cannot be read or written.
    """
    with contextlib.suppress(FileNotFoundError):
        token = path.read_text("ascii", errors="replace").strip()
        if _TOKEN.fullmatch(token):
            path.chmod(0o600)
            return token
    token = secrets.token_hex(32)
    partial = path.with_suffix(".partial")
    with contextlib.suppress(FileNotFoundError):
        partial.unlink()
    fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(fd, "w", encoding="ascii") as file:
        file.write(token + "\n")
    os.replace(partial, path)
    return token
