"""Owns the question whether a path is ignored, with git's own answer.

Must not read anything but ignore files, and must not decide what is followed although ignored:
that is `agentdiff.workspace.scan`.  Hop 5.  Not thread-safe: used by one tracker's thread.

Rules nest: each directory has a `Scope` whose parent is the directory above; the top scope's
parents are ``.git/info/exclude`` and the user's ``core.excludesFile``.  The deepest scope with a
matching pattern decides, within a file the last pattern.  A scope keeps its verdicts until its
own file, or that of a scope above, changes.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent import futures

from pathspec import GitIgnoreSpec

from agentdiff.core.entries import File
from agentdiff.workspace.git import GitPaths, find_excludes_file, find_git, tracked_but_ignored
from agentdiff.workspace.patterns import compile_patterns
from agentdiff.workspace.plain import read_plain
from agentdiff.workspace.tree import Root, Signature, is_settled, read_signed

_MAX_BYTES = 1 << 20
# Git needs 0.3 s for 100,000 files; a FIFO named ``.gitignore`` somewhere would hold it for ever.
_GIT_ANSWERS_WITHIN_S = 8.0
# What version control keeps for itself is never followed: rejecting in there would break it.
METADATA = frozenset({b".git", b".hg", b".jj", b".svn"})
# Stands for "any name": only patterns like ``*`` match it.
_ANY_NAME = b"\x01any"


class Scope:
    """The ignore rules that hold for the names of one directory.

    Args:
        path: the directory, relative to the root (``b""`` is the root).
        parent: the scope above, None at the top.
        source: content of the directory's ignore file.
    """

    __slots__ = ("_prefix_chars", "_silent", "_spec", "_verdicts", "parent", "path", "source")

    def __init__(self, path: bytes, parent: Scope | None, source: bytes) -> None:
        self.path = path
        self.parent = parent
        self.source = source
        self._spec = _compile(source) if source else None
        # No pattern anywhere above: nothing to ask.
        self._silent: bool = self._spec is None and (parent is None or parent._silent)
        self._prefix_chars = len(path) + 1 if path else 0
        self._verdicts: dict[bytes, bool] = {}

    def ignores(self, name: bytes, *, directory: bool) -> bool:
        """Whether the entry `name` of this directory is ignored."""
        if self._silent:
            return False
        key = name + b"/" if directory else name
        verdict = self._verdicts.get(key)
        if verdict is None:
            verdict = self._verdicts[key] = self._decide(key)
        return verdict

    @property
    def is_blanket(self) -> bool:
        """Whether this directory, though not ignored itself, has all that is in it ignored.

        Caches and virtual environments ignore themselves by a ``.gitignore`` with ``*``.
        """
        return bool(self.path) and all(
            self.ignores(_ANY_NAME, directory=directory) for directory in (False, True)
        )

    def _decide(self, key: bytes) -> bool:
        # Latin-1 makes one character of each byte: git matches bytes, whatever they may encode.
        full = (self.path + b"/" + key if self.path else key).decode("latin-1")
        scope: Scope | None = self
        while scope is not None:
            if scope._spec is not None:
                found = scope._spec.check_file(full[scope._prefix_chars :]).include
                if found is not None:
                    return found
            scope = scope.parent
        return False


class IgnoreRules:
    """All ignore rules of one workspace.

    Attributes:
        tracked: paths that git tracks although a pattern ignores them.
        top: scope of the root directory as of the last `refresh`.

    Args:
        root: the workspace.
        clock_ns: wall clock; ignore files that changed just now are read again next time.
    """

    def __init__(self, root: Root, clock_ns: Callable[[], int]) -> None:
        self._root = root
        self._clock_ns = clock_ns
        self._scopes: dict[bytes, tuple[Scope, Signature | None]] = {}
        self._git: GitPaths | None = None
        self._excludes_file: bytes | None = None
        self._index_signature: Signature | None = None
        self._git_entry: Signature | None = None
        self._answer: futures.Future[frozenset[bytes]] | None = None
        self.tracked: frozenset[bytes] = frozenset()
        self.top = Scope(b"", None, b"")
        # Of each directory asked for since the last refresh: its scope, and whether it is pruned.
        self._places: dict[bytes, tuple[Scope, bool]] = {}

    def refresh(self, *, trusting: bool = False) -> Scope:
        """Looks what changed in git's own files and at the top; returns the root directory's scope.

        To be called once before each series of questions.

        Args:
            trusting: whether somebody calls `forget_places` when an ignore file further down, or a
                directory, changes.
        """
        self._refresh_git()
        git = self._git
        outer = self._outside(b"//user", None, self._excludes_file or b"")
        inner = self._outside(b"//exclude", outer, git.exclude if git else b"")
        self.top = self.enter(b"", inner, self._root.lstat(b".gitignore"))
        if not trusting:
            self._places.clear()
        return self.top

    def forget_places(self) -> None:
        """Lets the ignore files of directories be looked at again."""
        self._places.clear()

    def newly_tracked(self) -> frozenset[bytes]:
        """Returns what joined `tracked`, if git answered since the last call.

        Git needs as long as there are tracked files, which no hook may wait for.
        """
        answer = self._answer
        if answer is None or not answer.done():
            return frozenset()
        self._answer = None
        before, self.tracked = self.tracked, answer.result()
        return self.tracked - before

    def await_tracked(self) -> None:
        """Waits until git has answered what `tracked` is now, but not for ever.

        What comes later is in `newly_tracked`.
        """
        if self._answer is not None:
            futures.wait([self._answer], _GIT_ANSWERS_WITHIN_S)
            self.newly_tracked()

    def enter(self, path: bytes, parent: Scope, status: os.stat_result | None) -> Scope:
        """Returns the scope of the directory `path`, reading its ``.gitignore`` if that changed.

        Args:
            path: the directory, relative to the root.
            parent: scope of the directory above.
            status: ``lstat`` of its ``.gitignore``, None when there is none.
        """
        cached = self._scopes.get(path)
        if cached is not None and cached[0].parent is parent:
            if status is None:
                if not cached[0].source:
                    return cached[0]
            elif cached[1] is not None and cached[1].matches(status):
                return cached[0]
        if status is None:  # most directories; the general way costs three times as much
            scope = Scope(path, parent, b"")
            self._scopes[path] = (scope, None)
            return scope
        name = path + b"/.gitignore" if path else b".gitignore"
        started_ns = self._clock_ns()
        entry, signature = read_signed(self._root, name, max_bytes=_MAX_BYTES)
        source = entry.data if isinstance(entry, File) else b""
        return self._remember(path, path, parent, source, signature, started_ns)

    def is_pruned(self, path: bytes) -> bool:
        """Whether `path` is, or lies in, what no walk enters, or lies in an ignored directory."""
        parent, _, name = path.rpartition(b"/")
        return name in METADATA or self._place(parent)[1]

    def is_ignored(self, path: bytes, *, directory: bool) -> bool:
        """Whether the last component of `path` is ignored, its directories being followed."""
        parent, _, name = path.rpartition(b"/")
        return self._place(parent)[0].ignores(name, directory=directory)

    def scope(self, directory: bytes) -> Scope:
        """Returns the rules for the names of a directory that is not pruned."""
        return self._place(directory)[0]

    def _place(self, directory: bytes) -> tuple[Scope, bool]:
        """Returns the scope of a directory, and whether a walk does not come by there."""
        if not directory:
            return self.top, False
        place = self._places.get(directory)
        if place is None:
            parent, _, name = directory.rpartition(b"/")
            scope, pruned = self._place(parent)
            pruned = (
                pruned
                or name in METADATA
                or scope.ignores(name, directory=True)
                or self._root.lstat(directory + b"/.git") is not None
            )
            if not pruned:
                scope = self.enter(directory, scope, self._root.lstat(directory + b"/.gitignore"))
            place = self._places[directory] = (scope, pruned)
        return place

    def _refresh_git(self) -> None:
        started_ns = self._clock_ns()
        entry = _sign(os.path.join(self._root.path, b".git"))
        before = self._git_entry
        # Of a repository that is being made, git knows nothing yet.
        other = entry != before if self._git is None else _inode(entry) != _inode(before)
        if self._excludes_file is None or other:
            # Asked once, and again when a repository appears, goes, or is replaced.
            self._git = find_git(self._root.path) if entry else None
            settled = self._git or (entry and is_settled(entry, started_ns))
            self._git_entry = entry if settled else None
            self._index_signature = None
            self._answer = None
            self.tracked = frozenset()
            self._excludes_file = (
                self._git.excludes_file if self._git else find_excludes_file(self._root.path)
            )
        if self._git is None:
            return
        started_ns = self._clock_ns()
        index = _sign(self._git.index)
        if index is not None and index != self._index_signature and self._answer is None:
            self._answer = futures.Future()
            asking = threading.Thread(
                target=_answer_tracked,
                args=(self._root.path, self._answer),
                name="tracked",
                daemon=True,
            )
            asking.start()
            self._index_signature = index if is_settled(index, started_ns) else None

    def _outside(self, key: bytes, parent: Scope | None, file: bytes) -> Scope:
        """Returns the scope of an ignore file outside the tree; its patterns start at the root."""
        started_ns = self._clock_ns()
        signature = _sign(file) if file else None
        cached = self._scopes.get(key)
        if cached is not None and cached[0].parent is parent and cached[1] == signature is not None:
            return cached[0]
        source = b""
        if signature is not None:
            try:
                source = read_plain(file, _MAX_BYTES)
            except OSError:  # gone, unreadable, no file: git goes on without it, too
                source = b""
        return self._remember(key, b"", parent, source, signature, started_ns)

    def _remember(
        self,
        key: bytes,
        path: bytes,
        parent: Scope | None,
        source: bytes,
        signature: Signature | None,
        started_ns: int,
    ) -> Scope:
        cached = self._scopes.get(key)
        if cached is not None and cached[0].parent is parent and cached[0].source == source:
            scope = cached[0]
        else:
            scope = Scope(path, parent, source)
        if signature is not None and not is_settled(signature, started_ns):
            signature = None
        self._scopes[key] = (scope, signature)
        return scope


def _compile(source: bytes) -> GitIgnoreSpec | None:
    """Returns the patterns of an ignore file, None when there are none."""
    lines = source.removeprefix(b"\xef\xbb\xbf").decode("latin-1").split("\n")
    lines = [line.removesuffix("\r") for line in lines if line.strip() and line[0] != "#"]
    if not lines:
        return None
    return compile_patterns(lines)


def _answer_tracked(root: bytes, answer: futures.Future[frozenset[bytes]]) -> None:
    answer.set_result(tracked_but_ignored(root))


def _sign(path: bytes) -> Signature | None:
    try:
        return Signature.of(os.stat(path))
    except OSError:
        return None


def _inode(signature: Signature | None) -> int | None:
    return signature.ino if signature else None
