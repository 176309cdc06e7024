"""Owns the folders above a path that is written: making what is missing, and removing it again.

Must not follow a link, and must never make a folder that lets in more people than the one that was
there.  Hop 5.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection
from typing import TypeAlias

from agentdiff.core.entries import Directory, Entry, File
from agentdiff.workspace.tree import Root, open_below, open_step, split_path

FolderMode: TypeAlias = Callable[[bytes], int | None]
"""Returns the permission bits that a folder was last seen with, None where it never was."""


def unknown(_: bytes) -> int | None:
    """The `FolderMode` of whoever has not looked."""
    return None


def open_parent(
    root: Root, parent: bytes, created: list[bytes] | None, mode: FolderMode, write: Entry
) -> int:
    """Opens the directory `parent`; what is missing is made and noted if `created` is a list.

    Args:
        root: where `parent` starts.
        parent: relative to the root, empty for the root itself.
        created: takes what had to be made, relative to the root, outermost first.
        mode: what the folders had.
        write: for which it is made.

    Returns:
        Its descriptor; the caller closes it.

    Raises:
        OSError: one of them is missing, cannot be made, or is no directory.
    """
    fd = root.open_self()
    walked = b""
    try:
        for part in split_path(parent) if parent else []:
            walked = walked + b"/" + part if walked else part
            try:
                below = open_step(fd, part)
            except FileNotFoundError:
                if created is None:
                    raise
                with contextlib.suppress(FileExistsError):
                    _make(fd, part, mode(walked), write)
                    created.append(walked)
                below = open_step(fd, part)
            os.close(fd)
            fd = below
    except OSError:
        os.close(fd)
        raise
    return fd


def _make(fd: int, name: bytes, mode: int | None, write: Entry) -> None:
    """Makes a folder with the bits that it had; else as closed as what is written into it.

    Whoever writes can always enter it: more is to be written.
    """
    if mode is None:
        os.mkdir(name, _like(write), dir_fd=fd)
        return
    os.mkdir(name, 0o700, dir_fd=fd)
    with contextlib.suppress(OSError):  # then it stays closed to others
        made = open_below(fd, name)
        try:
            os.fchmod(made, mode | 0o700)
        finally:
            os.close(made)


def _like(entry: Entry) -> int:
    """Returns bits for a folder that let nobody in who may not read what is in it."""
    bits = entry.mode if isinstance(entry, File | Directory) else 0
    mode = 0o700
    for shift in (3, 0):
        may = bits >> shift & 7
        mode |= (may | 1 if may & 4 else may & 1) << shift
    return mode


def remove_empty_parents(root: Root, path: bytes, created: Collection[bytes]) -> tuple[bytes, ...]:
    """Removes the parents of `path` that are empty and in `created`, innermost first.

    Returns:
        The directories that were removed.
    """
    removed = []
    directory = path.rpartition(b"/")[0]
    while directory and directory in created:
        parent, _, name = directory.rpartition(b"/")
        try:
            with root.open_directory(parent) as fd:
                os.rmdir(name, dir_fd=fd)
        except OSError:  # not empty, gone, or not ours to remove: it stays, and so do those above
            break
        removed.append(directory)
        directory = parent
    return tuple(removed)
