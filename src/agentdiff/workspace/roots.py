"""Owns which workspace a path belongs to, and which paths are inside one.

Must not read contents.  Used where events enter hop 5: nothing an agent's payload says about a
path is trusted before `confine` has seen it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection

from agentdiff.workspace.spelling import real_path, true_path
from agentdiff.workspace.tree import NOT_THERE


def find_root(cwd: bytes, known: Collection[bytes]) -> bytes:
    """Returns the workspace of a working directory.

    Args:
        cwd: absolute path; need not exist any more.
        known: roots of known workspaces.

    Returns:
        The innermost git work tree that contains `cwd`, else the nearest known workspace that
        does, else `cwd` itself, symbolic links resolved.
    """
    real = real_path(cwd)
    return owner_root(real, known) or real


def owner_root(path: bytes, known: Collection[bytes]) -> bytes | None:
    """Returns the workspace that a path belongs to.

    Args:
        path: absolute path without symbolic links in its parents; need not exist.
        known: roots of known workspaces.

    Returns:
        The innermost git work tree that contains `path`, else the nearest known workspace that
        does, else None.  A known workspace inside a git work tree does not win: the path is
        git's.
    """
    nearest: bytes | None = None
    for folder in _upwards(path):
        # A file named .git is the work tree of a submodule or of `git worktree`.
        if os.path.lexists(os.path.join(folder, b".git")):
            return folder
        if nearest is None and folder in known:
            nearest = folder
    return nearest


def is_gone(root: bytes) -> bool:
    """Tells whether the folder of a workspace is not there any more; asks the disk.

    Args:
        root: absolute path.

    Returns:
        False also when nobody can tell now: a network mount that lost its server, a folder above
        it that may not be searched.  ``os.path.isdir`` says no to that, too.
    """
    try:
        return not stat.S_ISDIR(os.stat(root).st_mode)
    except OSError as error:
        return error.errno in NOT_THERE
    except ValueError:  # a NUL: no path at all
        return True


def tree_allowed(root: bytes, home: bytes) -> tuple[bool, str]:
    """Tells whether a whole tree may be followed.

    Args:
        root: absolute path of the workspace.
        home: the user's home directory.

    Returns:
        True and an empty reason; or False and the reason, when only named files may be.
    """
    top, own = os.path.realpath(root), os.path.realpath(home)
    if top == b"/":
        return False, "the workspace is the whole file system: only named files are followed"
    if top == own:
        return False, "the workspace is your home directory: only named files are followed"
    if own.startswith(top + b"/"):
        return False, "the workspace contains your home directory: only named files are followed"
    return True, ""


def confine(root: bytes, path: bytes) -> bytes | None:
    """Turns an announced path into one below the workspace.

    Symbolic links in its parents are resolved, the last component is not: a link is a thing of
    its own, which an edit may replace.

    Args:
        root: absolute path of the workspace.
        path: absolute, or relative to the root; need not exist.

    Returns:
        The path relative to the root, None when it is outside, or the root itself, or no path at
        all.
    """
    if not path or b"\0" in path:
        return None
    top = os.path.realpath(root)
    full = os.path.join(top, path)
    parent, name = os.path.split(full.rstrip(b"/"))
    if name in (b"", b".", b".."):
        parent, name = os.path.split(os.path.realpath(full))
    real = os.path.join(os.path.realpath(parent), name)
    known = top.rstrip(b"/")
    real = true_path(real, known if real.startswith(known + b"/") else b"")
    inside = real.removeprefix(known + b"/")
    return inside if inside and inside != real else None


def _upwards(path: bytes) -> list[bytes]:
    """Returns `path` and every directory above it, innermost first."""
    folders = [path]
    while folders[-1] not in (b"/", b""):
        folders.append(os.path.dirname(folders[-1]))
    return folders
