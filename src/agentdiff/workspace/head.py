r"""Owns hearing of git's moves: commits, checkouts, resets, merges, rebases, stashes and pops.

Must not decide whose command it was nor what it means (`agentdiff.core.epochs` does), and must not
change anything.  Hop 5; the engine's worker asks, often: an unchanged repository costs two `stat`.

The reflogs say what happened, in order, with git's own word for it (``checkout: moving from …``,
``commit: …``, ``reset: moving to HEAD`` also for a stash).  Where the user switched them off, HEAD
itself is read, and a new HEAD whose parent is the old one is taken for a commit.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from agentdiff.core.entries import ABSENT, Entry, File, Link
from agentdiff.workspace.git import read_config, run_git
from agentdiff.workspace.plain import open_plain, read_plain

# Whoever can write to the tree can write to the reflogs: what is no id might be an option to git.
_ID = re.compile(rb"[0-9a-f]{40}(?:[0-9a-f]{24})?")
# Some hundred paths fit on a command line; for more the whole tree is listed.
_NAMED_PATHS = 500
_MAX_LOG_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One move of HEAD or of the stash.

    Attributes:
        label: git's own word (``commit``, ``checkout``, ``stash``…).
        old: commit before; for a stash the commit that the work tree was reset to.
        new: commit after; for a stash its commit.
        popped: whether a stash was taken off; such a move has ``stash`` as its label.
    """

    label: str
    old: bytes
    new: bytes
    popped: bool = False

    @property
    def commits(self) -> bool:
        """Whether it recorded the work tree instead of changing it."""
        return self.label == "commit"


class _Log:
    """A reflog that grows."""

    def __init__(self, path: bytes) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self.changed()
        self._done = self._size()

    @property
    def exists(self) -> bool:
        """Whether there was such a file at the last look."""
        return self._stamp is not None

    def _size(self) -> int:
        return 0 if self._stamp is None else self._stamp[1]

    def changed(self) -> bool:
        """Whether the file is another one than at the last call."""
        before = self._stamp
        try:
            status = os.stat(self._path)
            self._stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        except OSError:
            self._stamp = None
        return before != self._stamp

    def added(self) -> list[bytes]:
        """Returns the complete lines that came since the last call; none if it was rewritten.

        One that was moved away and back goes on where it was: its lines are no news.
        """
        if self.exists and self._size() < self._done:
            self._done = self._size()
            return []
        lines, length = self._read(self._done)
        self._done += length
        return lines

    def lines(self) -> list[bytes]:
        """Returns all lines."""
        return self._read(0)[0]

    def _read(self, start: int) -> tuple[list[bytes], int]:
        try:
            with open(open_plain(self._path), "rb") as file:
                file.seek(start)
                data = file.read(_MAX_LOG_BYTES)
        except OSError:
            return [], 0
        end = data.rfind(b"\n") + 1
        return data[:end].split(b"\n")[:-1], end


class Head:
    """The moves of one work tree's HEAD and of its repository's stash, from now on.

    Attributes:
        problem: why what git wrote cannot be recognised, a sentence; None where it can.

    Args:
        root: the work tree; one that is not git's never moves.
    """

    def __init__(self, root: bytes) -> None:
        self._root = root
        folder = _git_dir(root) or os.path.join(root, b".git")
        self._folder, self._common = folder, _common_dir(folder)
        self.problem = _problem(root, os.path.join(self._common, b"config"))
        self._log = _Log(os.path.join(folder, b"logs", b"HEAD"))
        self._stash = _Log(os.path.join(self._common, b"logs", b"refs", b"stash"))
        self._stashed = self._stashes()
        self._head = self._read_head()

    def moves(self) -> list[Move]:
        """Returns what happened since the last call, oldest first."""
        moved: list[Move] = []
        if self._log.changed():
            moved += filter(None, map(_parsed, self._log.added()))
        elif not self._log.exists:
            moved += self._unlogged()
        if self._stash.changed():
            moved += self._restashed()
        return moved

    def _unlogged(self) -> Iterator[Move]:
        before, self._head = self._head, self._read_head()
        if before and self._head and before != self._head:
            parent = run_git(self._root, b"rev-parse", b"--verify", b"-q", self._head + b"^1")
            label = "commit" if parent is not None and parent.strip() == before else "checkout"
            yield Move(label=label, old=before, new=self._head)

    def _read_head(self) -> bytes:
        head = _read(os.path.join(self._folder, b"HEAD"))
        if head.startswith(b"ref: "):
            # A packed ref moves by becoming a loose one; until then it stands still.
            head = _read(os.path.join(self._common, head[5:]))
        return head if _ID.fullmatch(head) else b""

    def _stashes(self) -> list[bytes]:
        moves = filter(None, map(_parsed, self._stash.lines()))
        return [move.new for move in moves]

    def _restashed(self) -> list[Move]:
        before, self._stashed = self._stashed, self._stashes()
        base = self._stash_base()
        pushed = [one for one in self._stashed if one not in before]
        popped = [one for one in before if one not in self._stashed]
        return [
            *(Move(label="stash", old=base, new=one) for one in pushed),
            *(Move(label="stash", old=base, new=one, popped=True) for one in popped),
        ]

    def _stash_base(self) -> bytes:
        found = run_git(self._root, b"rev-parse", b"--verify", b"-q", b"HEAD")
        return b"" if found is None else found.strip()

    # --- contents --------------------------------------------------------------------------------

    def contents(self, move: Move, paths: Collection[bytes]) -> dict[bytes, str | None]:
        """Returns what a move put into the work tree: path → blob id, None where it deleted.

        Args:
            move: one that changes the work tree.
            paths: paths that may have changed though both commits agree on them (a reset).
        """
        if move.label != "stash":
            found = self._between(move.old, move.new)
            return {**self._tree(move.new, paths), **found}
        pushed, back = move.new, move.old
        tracked = self._between(pushed, back) if not move.popped else self._between(back, pushed)
        third = run_git(self._root, b"rev-parse", b"--verify", b"-q", pushed + b"^3")
        untracked = {} if third is None else self._tree(third.strip(), None)
        if not move.popped:
            untracked = dict.fromkeys(untracked)
        return {**tracked, **untracked}

    def committed(
        self, move: Move, paths: Collection[bytes], known: Collection[tuple[bytes, Entry]]
    ) -> tuple[tuple[bytes, Entry], ...]:
        """Returns what a commit has at those of some paths that it changed, as far as git tells.

        Args:
            move: the commit.
            paths: what is asked for.
            known: contents by path that need not be read again where the commit has the same.
        """
        between = self._between(move.old, move.new)
        changed = {path: oid for path, oid in between.items() if path in paths}
        held = {(path, entry.ref().oid): entry for path, entry in known}
        out: list[tuple[bytes, Entry]] = []
        for path, (mode, oid) in (self._listed(move.new, changed) or {}).items():
            entry = held.get((path, oid))
            if isinstance(entry, File):
                entry = File(data=entry.data, mode=_mode(mode), oid=entry.oid)
            entry = entry or self._read_blob(mode, oid)
            if entry is not None:
                out.append((path, entry))
        return (*out, *((path, ABSENT) for path, oid in changed.items() if oid is None))

    def _read_blob(self, mode: bytes, oid: str) -> Entry | None:
        data = run_git(self._root, b"cat-file", b"blob", oid.encode())
        if data is None:
            return None
        return Link(target=data) if mode == b"120000" else File(data=data, mode=_mode(mode))

    def _between(self, old: bytes, new: bytes) -> dict[bytes, str | None]:
        """Returns every path that two commits disagree on, with what the new one has."""
        if old.strip(b"0") == b"":
            return self._tree(new, None)
        output = run_git(
            self._root, b"diff-tree", b"-r", b"-z", b"--no-renames", b"--full-index", old, new
        )
        fields = (output or b"").split(b"\0")
        out: dict[bytes, str | None] = {}
        for meta, path in zip(fields[::2], fields[1::2], strict=False):
            _, _, _, oid, _ = meta.split(b" ")
            out[path] = oid.decode() if oid.strip(b"0") else None
        return out

    def _tree(self, commit: bytes, paths: Collection[bytes] | None) -> dict[bytes, str | None]:
        """Returns what a commit has at some paths (None: at all), None where it has nothing."""
        listed = self._listed(commit, paths)
        if listed is None:
            return {}  # not: it has none of them
        wanted = listed if paths is None else paths
        return {path: listed[path][1] if path in listed else None for path in wanted}

    def _listed(
        self, commit: bytes, paths: Collection[bytes] | None
    ) -> dict[bytes, tuple[bytes, str]] | None:
        """Returns path → (mode, blob id) of files and links, None when git fails."""
        if paths is not None and not paths:
            return {}
        named = () if paths is None or len(paths) > _NAMED_PATHS else (b"--", *paths)
        output = run_git(self._root, b"ls-tree", b"-r", b"-z", b"--full-tree", commit, *named)
        if output is None:
            return None
        out: dict[bytes, tuple[bytes, str]] = {}
        for row in output.split(b"\0"):
            meta, _, path = row.partition(b"\t")
            if path and (paths is None or path in paths):
                mode, _, oid = meta.split(b" ")
                out[path] = (mode, oid.decode())
        return out


def _parsed(line: bytes) -> Move | None:
    """Returns the move that a line of a reflog tells: ``old new who when zone<tab>word: …``."""
    ids, _, message = line.partition(b"\t")
    word = message.partition(b":")[0].partition(b" ")[0].decode(errors="replace")
    old, new, *_ = [*ids.split(b" "), b"", b""]
    if not (_ID.fullmatch(old) and _ID.fullmatch(new)):
        return None
    return Move(label=word or "update", old=old, new=new)


def _mode(git_mode: bytes) -> int:
    return 0o755 if git_mode == b"100755" else 0o644


def _git_dir(root: bytes) -> bytes | None:
    """Returns a work tree's own git folder; ``.git`` is a file in linked ones and submodules."""
    place = os.path.join(root, b".git")
    if os.path.isdir(place):
        return place
    said = _read(place)
    usable = said.startswith(b"gitdir: ") and b"\0" not in said
    return os.path.join(root, said[8:]) if usable else None


def _common_dir(folder: bytes) -> bytes:
    """Returns where a repository keeps what its work trees share (refs, stash)."""
    said = _read(os.path.join(folder, b"commondir"))
    return os.path.join(folder, said) if said and b"\0" not in said else folder


def _problem(root: bytes, config: bytes) -> str | None:
    """Returns what keeps blob ids of git's from being compared with ours, which are SHA-1."""
    if b"objectformat" not in _read(config, _MAX_LOG_BYTES).lower():
        return None  # git need not be asked
    name = b"extensions.objectformat"
    said = read_config(root, rb"^extensions\.objectformat$").get(name, b"sha1")
    if said.lower() == b"sha1":
        return None
    return (
        f"the repository names its objects by {said.decode(errors='replace')}, not by sha1: "
        "files that a checkout, reset, merge or stash writes are shown as external changes"
    )


def _read(path: bytes, max_bytes: int = 4096) -> bytes:
    try:
        return read_plain(path, max_bytes).strip()
    except OSError:
        return b""
