"""Unix sockets that only their owner may use: binding, and asking who is on the other side.

Owns the platform differences between Linux and macOS.  Must not know any protocol.  Below hop 1.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
import sys
from pathlib import Path
from typing import Protocol

MAX_PATH_BYTES = 107 if sys.platform.startswith("linux") else 103
"""Longest path that fits into ``sockaddr_un`` (108 bytes on Linux, 104 on macOS) with its NUL."""

_BACKLOG = 128
_DARWIN_SOL_LOCAL = 0
_DARWIN_LOCAL_PEERCRED = 1


class SocketTaken(OSError):  # noqa: N818 - reads as a fact
    """Somebody else answers at the path of a socket that should be ours."""


def answers(path: Path) -> bool:
    """Returns whether a process of ours accepts connections at this path right now.

    In a folder that others may write to (a wrong ``XDG_RUNTIME_DIR``) it could be theirs: nothing
    is said to them.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(os.fsencode(path))
        except OSError as error:
            # EAGAIN: the backlog is full, so there is a listener, and a busy one.
            return error.errno == errno.EAGAIN
        return is_owner(probe)


def listen(path: Path) -> socket.socket:
    """Binds a listening socket with mode 0600, replacing a stale one.

    Only the holder of the daemon's lock may call this: it is what makes an existing file stale.

    Raises:
        SocketTaken: a daemon with another state folder answers there.
        OSError: the path is too long for the platform, or cannot be bound.
    """
    raw = os.fsencode(path)
    if len(raw) > MAX_PATH_BYTES:
        raise OSError(
            errno.ENAMETOOLONG,
            f"socket path of {len(raw)} bytes, {MAX_PATH_BYTES} are possible: "
            "set XDG_RUNTIME_DIR to a shorter folder",
            str(path),
        )
    if answers(path):
        raise SocketTaken(
            errno.EADDRINUSE,
            "a daemon with another state folder answers here: give it its own XDG_RUNTIME_DIR",
            str(path),
        )
    with contextlib.suppress(FileNotFoundError):
        os.unlink(raw)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(raw)
        os.chmod(raw, 0o600)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


class Connected(Protocol):
    """What asyncio's and ordinary sockets share, as far as it is needed here."""

    def getsockopt(self, level: int, option: int, size: int, /) -> bytes:
        """See `socket.socket.getsockopt`."""


def peer_uid(connection: Connected) -> int:
    """Returns the user id of the process on the other side, as the kernel saw it connect.

    Raises:
        OSError: the kernel does not say.
    """
    if sys.platform == "linux":
        size = struct.calcsize("3i")
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
        uid: int = struct.unpack("3i", credentials)[1]
    else:
        # struct xucred of <sys/ucred.h>: cr_version, cr_uid, cr_ngroups, cr_groups[16].
        # getpeereid(3) is this call, and Python does not wrap it.
        credentials = connection.getsockopt(_DARWIN_SOL_LOCAL, _DARWIN_LOCAL_PEERCRED, 76)
        version, uid = struct.unpack_from("II", credentials)
        if version != 0:
            raise OSError(errno.ENOTSUP, f"unknown xucred version {version}")
    return uid


def peer_pid(connection: Connected) -> int:
    """Returns the process on the other side, by its number among ours; 0 when that is not known.

    So it is for one in a pid namespace that cannot be seen from here, and outside of Linux.
    """
    if sys.platform != "linux":
        return 0
    try:
        size = struct.calcsize("3i")
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    except OSError:
        return 0
    pid: int = struct.unpack("3i", credentials)[0]
    return pid


def is_owner(connection: Connected) -> bool:
    """Returns whether the peer is this user (or root, who could read everything anyway)."""
    try:
        return peer_uid(connection) in (os.getuid(), 0)
    except OSError:
        return False
