"""Owns names with several spellings: file systems that ignore case, or how an accent is composed.

Two spellings of one name are one path there.  What a program calls a file is turned into what its
directory calls it (`true_path`); and a path that is known keeps its first spelling, also when only
that was changed since (`Spellings`): the same file under two keys would be told to have changed
twice, and rejecting the one would delete the other.

Whether a file system is of this kind is asked of itself: a name that is there is looked for in
another spelling, which on any other file system costs one ``lstat`` that finds nothing.  Its type
says too little (ext4 and tmpfs do it by directory, APFS and ZFS by volume).  Hop 5.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable
from typing import TYPE_CHECKING

from agentdiff.workspace.known import KnownTable

if TYPE_CHECKING:
    from agentdiff.workspace.scan import Walk


def fold(path: bytes) -> bytes:
    """Returns what all spellings of a path have in common; bytes that are no UTF-8 stay."""
    if path.isascii():
        return path.lower()
    text = unicodedata.normalize("NFC", path.decode("utf-8", "surrogateescape"))
    folded = unicodedata.normalize("NFC", text.casefold())
    return folded.encode("utf-8", "surrogateescape")


def true_path(path: bytes, top: bytes = b"") -> bytes:
    """Returns an absolute path as the directories on its way spell it; what is missing stays.

    Args:
        path: without symbolic links in its parents.
        top: a directory on its way, without a slash behind it, that is spelled so already.
    """
    place = top
    for name in path[len(top) :].split(b"/")[1:]:
        place += b"/" + _listed(place or b"/", name)
    return place or b"/"


def real_path(path: bytes) -> bytes:
    """Returns an absolute path with its links resolved, as it is spelled on disk."""
    return true_path(os.path.realpath(path))


def folds(directory: bytes) -> bool:
    """Whether two spellings of a name in a directory are one; False for one that is empty."""
    try:
        names = set(os.listdir(directory))
    except OSError:
        return False
    for name in names:
        other = _other(name)
        if other is not None and other not in names:
            return os.path.lexists(os.path.join(directory, other))
    return False


def _listed(directory: bytes, name: bytes) -> bytes:
    """Returns a name as its directory lists it."""
    other = _other(name)
    if other is None or not os.path.lexists(os.path.join(directory, other)):
        return name
    if not os.path.lexists(os.path.join(directory, name)):
        return name  # it is missing: the other one is another file
    try:
        names = os.listdir(directory)
    except OSError:
        return name
    alike = [one for one in names if fold(one) == fold(name)]
    return alike[0] if name not in names and len(alike) == 1 else name


def _other(name: bytes) -> bytes | None:
    """Returns another spelling of a name, None for one that has none."""
    if name.isascii():  # nearly all: paid for each part of each path that a tool names
        other = name.swapcase()
        return other if other != name else None
    try:
        text = name.decode("utf-8")
    except UnicodeDecodeError:
        return None
    composed = unicodedata.normalize("NFC", text)
    for spelled in (text.swapcase(), unicodedata.normalize("NFD", text), composed):
        encoded = spelled.encode("utf-8")
        if encoded != name and fold(encoded) == fold(name):
            return encoded
    return None


class Spellings:
    """Turns what a walk or a hint calls a path into what it is known as; any thread.

    Does nothing at all where each spelling is a name of its own.

    Args:
        root: absolute path of the workspace.
        known: what was last seen of each path.
    """

    def __init__(self, root: bytes, known: KnownTable) -> None:
        self._root = root
        self._known = known
        self._folds = False
        self._keys: dict[bytes, bytes] = {}
        self._generation = -1

    def look(self) -> None:
        """Finds out what kind of file system this is; to be called before a walk."""
        self._folds = folds(self._root)

    def keys(self, paths: Iterable[bytes]) -> Iterable[bytes]:
        """Returns what paths are known as, sorted; one that is not known is its own key."""
        if not self._folds:
            return paths
        return sorted({self.key(path) for path in paths})

    def settle(self, walk: Walk) -> None:
        """Gives what a walk found the names that it is known by."""
        if not self._folds:
            return
        respelled = {path: key for path in walk.followed if (key := self.key(path)) != path}
        walk.followed.difference_update(respelled)
        walk.followed.update(respelled.values())
        walk.dirty[:] = [respelled.get(path, path) for path in walk.dirty]

    def absent(self, paths: set[bytes], walk: Walk) -> set[bytes]:
        """Returns those of `paths` that are no other spelling of anything that a walk found."""
        if not self._folds:
            return paths
        found = {fold(path) for path in walk.followed}
        return {path for path in paths if path in self._known or fold(path) not in found}

    def key(self, path: bytes) -> bytes:
        """Returns what a path is known as."""
        if not self._folds or path in self._known:
            return path
        generation = self._known.generation  # first: a path that is added meanwhile is told again
        if self._generation != generation:
            self._keys = {fold(key): key for key in list(self._known.keys())}
            self._generation = generation
        return self._keys.get(fold(path), path)
