"""Owns sets of paths: what lies below what, and what globs name.

Must not read contents.  Hop 5.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable

from agentdiff.workspace.ignore import METADATA
from agentdiff.workspace.tree import split_path

# Up to that many directories, comparing prefixes is faster than going upwards.
_MANY = 16


def included(root: bytes, globs: Iterable[str]) -> set[bytes]:
    """Returns the paths below `root` that match, and those that a glob without a wildcard names."""
    top = os.fsdecode(root)
    found: set[bytes] = set()
    for pattern in globs:
        if os.path.isabs(pattern) or ".." in pattern.split("/"):
            continue  # nothing outside is ever followed
        if not glob.has_magic(pattern):
            found.add(os.fsencode(os.path.normpath(pattern)))
        matches = glob.iglob(pattern, root_dir=top, recursive=True, include_hidden=True)
        found.update(os.fsencode(one) for one in matches if not os.path.isdir(f"{top}/{one}"))
    return {path for path in found if METADATA.isdisjoint(path.split(b"/"))} - {b"."}


def clean(paths: Iterable[bytes]) -> tuple[bytes, ...]:
    """Returns the paths.

    Raises:
        ValueError: one is not a clean path relative to the root.
    """
    listed = tuple(paths)
    for path in listed:
        split_path(path)
    return listed


def is_clean(path: bytes) -> bool:
    """Whether a path is relative to the root and clean; see `agentdiff.workspace.tree`."""
    try:
        split_path(path)
    except ValueError:
        return False
    return True


def below(paths: Iterable[bytes], directories: set[bytes]) -> set[bytes]:
    """Returns those of `paths` that lie below one of `directories`, at any depth."""
    if b"" in directories:
        return set(paths)
    if len(directories) <= _MANY:
        prefixes = tuple(one + b"/" for one in directories)
        return {path for path in paths if path.startswith(prefixes)}
    return {path for path in paths if any(above in directories for above in _above(path))}


def parent_of(path: bytes) -> bytes:
    """Returns the directory of a path, which is empty for one at the top."""
    return path.rpartition(b"/")[0]


def parents(path: bytes) -> list[bytes]:
    """Returns the directories above a path, without the root, outermost first."""
    return [path[:at] for at, byte in enumerate(path) if byte == 0x2F]


def _above(path: bytes) -> Iterable[bytes]:
    at = path.rfind(b"/")
    while at > 0:
        yield path[:at]
        at = path.rfind(b"/", 0, at)
