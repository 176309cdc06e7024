"""Which workspace a buffer's file may belong to, and what it is called there.

Owns the look at the file system that this needs (``.git`` on the way up, links resolved).  Must not
talk to the daemon: only the daemon knows what a workspace really is.  Hop 1.
"""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Callable, Iterable


def to_bytes(name: str) -> bytes:
    """Returns the exact bytes of a name that came from Neovim (UTF-8 with surrogate escapes)."""
    return name.encode("utf-8", "surrogateescape")


def path_param(path: bytes) -> dict[str, str]:
    """Returns the ``path`` or ``path_b64`` parameter of a request about one file."""
    try:
        return {"path": path.decode("utf-8")}
    except UnicodeDecodeError:
        return {"path_b64": b64encode(path).decode("ascii")}


def path_key(path: bytes) -> str:
    """Returns the lossy form of a path, as the daemon's ``path`` fields hold it."""
    return path.decode("utf-8", "replace")


def resolve(name: str) -> bytes:
    """Returns the absolute path of the file that a write to a buffer of this name reaches."""
    return os.path.realpath(to_bytes(name))


def holding(path: bytes, data: bytes) -> Callable[[], bool]:
    """Returns a question: whether a file holds exactly these bytes at that time."""

    def holds() -> bool:
        try:
            with open(path, "rb") as file:
                return file.read(len(data) + 1) == data
        except OSError:
            return False

    return holds


def git_top(path: bytes) -> bytes | None:
    """Returns the top of the innermost git work tree around a path, None outside of any."""
    folder = os.path.dirname(path)
    while True:
        # A file in worktrees and submodules, a folder elsewhere.
        if os.path.exists(os.path.join(folder, b".git")):
            return folder
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        folder = parent


def relative(path: bytes, root: bytes) -> bytes | None:
    """Returns `path` relative to `root`, None when it is not inside."""
    prefix = root.rstrip(b"/") + b"/"
    return path[len(prefix) :] if path.startswith(prefix) else None


def home_folder(path: bytes, cwd: bytes, roots: Iterable[bytes]) -> bytes | None:
    """Returns the folder from which the daemon should look for the path's workspace.

    The innermost of: the git work tree, a workspace already attached, the editor's working
    directory.  None when the path is in none of them: somebody's ``/etc/hosts`` is not under
    review.
    """
    candidates = [git_top(path), *roots, cwd]
    around = [folder for folder in candidates if folder and relative(path, folder) is not None]
    return max(around, key=len) if around else None
