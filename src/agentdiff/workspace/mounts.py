"""Owns the question on which kinds of file systems a tree lies.

Must not look at the tree itself.  Hop 5, and asked by the watcher of hop 1.
"""

from __future__ import annotations

import os

# Others write there and this kernel never hears of it.  FUSE: nobody can tell which of them do.
_REMOTE = (b"nfs", b"cifs", b"smb", b"9p", b"fuse", b"ceph", b"afs", b"virtiofs", b"vboxsf")
_REMOTE_TOO = (b"prl_fs", b"vmhgfs", b"lustre", b"glusterfs", b"ocfs2", b"gfs2", b"coda")
# Local in spite of its prefix.
_LOCAL = frozenset({b"fuseblk"})


def remote_file_system(root: bytes, table: bytes | None = None) -> str | None:
    """Returns the type of a file system below or at `root` that others may write to, else None.

    Args:
        root: absolute path without symbolic links.
        table: content of ``/proc/self/mountinfo``; read when not given.
    """
    if table is None:
        try:
            with open("/proc/self/mountinfo", "rb") as file:
                table = file.read()
        except OSError:  # no such thing here: nothing is known to be remote
            return None
    at_root: tuple[int, bytes] = (-1, b"")
    for line in table.splitlines():
        fields, _, source = line.partition(b" - ")
        point, kind = _unescaped(fields.split(b" ")[4]), source.split(b" ")[0]
        inside = point.startswith(root.rstrip(b"/") + b"/")
        if inside and _is_remote(kind):
            return os.fsdecode(kind)
        # The innermost mount that holds the root; of several on one point the last one counts.
        holds = point == root or root.startswith(point.rstrip(b"/") + b"/")
        if holds and len(point) >= at_root[0]:
            at_root = (len(point), kind)
    return os.fsdecode(at_root[1]) if _is_remote(at_root[1]) else None


def _is_remote(kind: bytes) -> bool:
    return kind.startswith(_REMOTE + _REMOTE_TOO) and kind not in _LOCAL


def _unescaped(field: bytes) -> bytes:
    for code in (b"040", b"011", b"012", b"134"):
        field = field.replace(b"\\" + code, bytes([int(code, 8)]))
    return field
