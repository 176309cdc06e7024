"""Pending changes that were put aside: their content is gone, and may come back.

Owns which states are kept and when one returns.  Must not decide who wrote what.  Hop 4, called by
`agentdiff.core.observer`.

A file under review is deleted, stashed, taken back by somebody else than its author, or is nothing
that has lines for a moment (unreadable, empty, a link): what pended is gone from the disk.  If
exactly that content returns on the same base (``git stash pop``, a move there and back, an undo in
another program), it is what pended, with the same ids and owners, and nobody's new work, whoever
brings it.  What is written, changed, where nothing legible is left is compared with it, as if it
had stayed.  A state fits whenever base and content fit, until one of its changes is decided: what
was accepted and committed does not pend again when a branch brings it back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace

from agentdiff.core.codec import Json, decode_ref, decode_state
from agentdiff.core.entries import Absent, Entry, File, Other, Ref
from agentdiff.core.epochs import authored, on_another_base
from agentdiff.core.hunks import NewId
from agentdiff.core.merge import merge3
from agentdiff.core.observing import observe
from agentdiff.core.owners import Owner
from agentdiff.core.pathstate import PathState, is_binary, lines_of
from agentdiff.core.records import PathParked
from agentdiff.core.renames import SIMILAR, can_be_origin, similarity

MAX_PATHS = 4096
MAX_BYTES = 32 << 20


def size_of(stored: Json | None) -> int:
    """Returns how many bytes of content a stored state stands for."""
    return 0 if stored is None else decode_ref(stored["base"]).size + decode_ref(stored["cur"]).size


def ids_of(stored: Json | None) -> set[int]:
    """Returns every id that can be decided on a stored state."""
    return set() if stored is None else {one[0] for one in (*stored["hunks"], *stored["meta"])}


class Parking:
    """The states that were put aside, one per path, the oldest given up first."""

    def __init__(self) -> None:
        self._states: dict[bytes, PathState] = {}
        self._since: dict[bytes, int] = {}
        self._mistakes: dict[bytes, PathState] = {}
        self._bytes = 0

    def __contains__(self, path: bytes) -> bool:
        return path in self._states

    def __bool__(self) -> bool:
        return bool(self._states)

    def get(self, path: bytes) -> PathState | None:
        """Returns what was put aside for a path."""
        return self._states.get(path)

    def is_back(self, state: PathState) -> bool:
        """Whether what pends is what was put aside at its own path: all of it came back."""
        aside = self._states.get(state.path)
        return aside is not None and aside == replace(state, gen=aside.gen)

    def states(self) -> list[PathState]:
        """Returns everything that was put aside."""
        return list(self._states.values())

    def since(self, path: bytes) -> int:
        """Returns the number of a record right after which pended what was put aside for a path."""
        return self._since[path]

    def put(self, state: PathState, since: int) -> None:
        """Keeps a state; content that is too long for all room is not kept.

        Args:
            state: what pended.
            since: see `agentdiff.core.records.PathParked.since`.
        """
        self._drop(state.path)
        self._states[state.path] = state
        self._since[state.path] = since
        self._bytes += _size(state)
        while len(self._states) > MAX_PATHS or self._bytes > MAX_BYTES:
            self._drop(next(iter(self._states)))

    def load(self, stored: Mapping[bytes, PathParked], load: Callable[[Ref], Entry]) -> None:
        """Takes back what a log says was put aside, the oldest first."""
        room = MAX_BYTES
        newest: list[PathParked] = []
        for one in list(stored.values())[: -MAX_PATHS - 1 : -1]:
            room -= size_of(one.state)
            if room < 0:
                break
            newest.append(one)
        for one in reversed(newest):
            state = decode_state(one.state, load)
            if state is not None:
                self.put(state, one.since)

    def decided(self, path: bytes, before: Json | None) -> None:
        """Forgets what was put aside if a decision was about it: it came back, and is settled.

        Args:
            path: the path.
            before: what the decision started from, in stored shape.
        """
        parked = self._states.get(path)
        if parked is not None and not set(parked.ids).isdisjoint(ids_of(before)):
            self._drop(path)

    def mistaken(self, path: bytes, since: int) -> bool:
        """Forgets what was put aside since a mistake about an author; returns whether that was so.

        Given again, the same bytes would be what comes back, and the mistake with them.

        Args:
            path: the path.
            since: number of the newest record before the mistake.
        """
        found = self._since.get(path, -1) > since
        if found:
            self._mistakes[path] = self._states[path]
            self._drop(path)
        return found

    def mistakes(self) -> Mapping[bytes, PathState]:
        """Returns, once, what was forgotten so: it may have been handed on when it was moved."""
        found, self._mistakes = self._mistakes, {}
        return found

    def _drop(self, path: bytes) -> None:
        gone = self._states.pop(path, None)
        self._since.pop(path, None)
        if gone is not None:
            self._bytes -= _size(gone)

    def is_worth(
        self, state: PathState, after: Entry, owner: Owner, result: PathState | None
    ) -> bool:
        """Whether a state is to be kept because its content is gone.

        Args:
            state: what pended.
            after: what is there instead.
            owner: who did that.
            result: what pends now.
        """
        if isinstance(state.cur, Other):
            return False  # of what cannot be compared nobody can say that it came back
        if result is None and owner.kind != "agent":
            return True
        if result is None and not isinstance(after, Absent):
            return not _is_only_of(state, owner)  # what it took back itself is no change any more
        if has_lines(after) or isinstance(state.cur, Absent):
            return False
        older = self._states.get(state.path)
        if older is None:
            return True
        same = not set(older.ids).isdisjoint(state.ids)
        # Of one change what has lines, and no other change that waits while a program writes: that
        # one is forgotten only for lines of the user.
        if same:
            return has_lines(state.cur) or not has_lines(older.cur)
        return not _is_empty(after) or any(hunk.spares for hunk in state.hunks)

    def returning(
        self,
        path: bytes,
        base: Entry,
        after: Entry,
        owner: Owner,
        new_id: NewId,
        pending: Mapping[bytes, PathState],
        *,
        popped: bool = False,
    ) -> PathState | None:
        """Returns the state that comes back when a path holds `after`, None when none does.

        Args:
            path: the path.
            base: what it goes back to now.
            after: what it holds.
            owner: who brought it: of what was put aside nobody's, but another mode is theirs; only
                git merges what it brings back with what is there.
            new_id: makes ids and generations.
            pending: everything that pends now.
            popped: whether it came off the stash.  Another commit may hold by chance what was put
                aside, on top of what is there: that is the commit's.
        """
        parked = self._states.get(path)
        if parked is None or not _fits(parked, pending):
            return None
        if parked.cur == after:
            return parked if parked.rest == base else None
        if not (isinstance(parked.cur, File) and isinstance(after, File)):
            return None
        if owner.kind == "git" and owner.proved:
            # ``git stash pop`` on another commit: the same changes on another base.
            merged = observe(parked, path, parked.cur, after, owner, new_id) if popped else None
            return merged if merged is not None and merged.rest == base else None
        if parked.cur.data != after.data or parked.rest != base:
            return None
        return observe(parked, path, parked.cur, after, owner, new_id)

    def merged(
        self,
        path: bytes,
        state: PathState | None,
        before: Entry,
        after: Entry,
        owner: Owner,
        new_id: NewId,
    ) -> PathState | None:
        """Returns the state that comes back merged with another base, None when that is not so.

        ``git stash pop`` or ``apply`` on another commit, the end of an autostash: git says nowhere
        what it wrote, so that the content must show it.  It is what a three-way merge makes of what
        was put aside and of what was there.

        Args:
            path: the path.
            state: what pends there now, None when nothing does.
            before: what it held.
            after: what it holds.
            owner: who brought it.  What a person typed, an agent announced or a commit has is no
                merge, however alike.
            new_id: makes ids and generations.
        """
        parked = self._states.get(path)
        if parked is None or owner.kind == "user" or owner.evidence == "exact":
            return None
        if before == parked.base:
            return None  # merged with that it would be what it was
        alone = state is None or _is_only_of(state, owner) or _is_nobodys(state)
        moved = on_another_base(parked, after, new_id) if alone else None
        if moved is None or not _is_merge(parked, before, after):
            return None
        base = before if state is None else state.rest
        if moved.rest == base and authored(owner).proved:
            return moved
        kept = observe(parked, path, parked.cur, after, owner, new_id)
        return kept if kept is not None and kept.rest == base else None

    def resumed(
        self,
        path: bytes,
        state: PathState | None,
        before: Entry,
        after: Entry,
        owner: Owner,
        pending: Mapping[bytes, PathState],
    ) -> PathState | None:
        """Returns the state that a write starts from where nothing legible is left of it.

        ``rm f`` and a new ``f``, a save of the open buffer of a file that an agent deleted or that
        cannot be read just now: the lines that are there again are whose they were.

        Args:
            path: the path.
            state: what pends there now, None when nothing does.
            before: what it held.
            after: what it holds.
            owner: who wrote that; git's contents, by a person's command, stand for themselves.
            pending: everything that pends now.
        """
        parked = self._states.get(path)
        if parked is None or (owner.kind == "git" and owner.proved) or not _fits(parked, pending):
            return None
        base, here = (before, before) if state is None else (state.rest, state.cur)
        if has_lines(here) or parked.rest != base:
            return None
        if not (isinstance(parked.cur, File) and isinstance(after, File)):
            return None
        if not (has_lines(parked.cur) and has_lines(after)):
            return None
        if _is_empty(here) and not _is_of(parked, state, after, owner):
            return None
        if state is None:
            # Nothing pends there: a new file may just have that name.  But no line of the user's.
            spared = not owner.proved and any(hunk.spares for hunk in parked.hunks)
            alike = spared and similarity(parked.cur.data, after.data) >= SIMILAR
            return parked if alike and _is_away(parked.origin, pending) else None
        return parked


def has_lines(entry: Entry) -> bool:
    """Whether an entry has text: something of which every line has an author."""
    return isinstance(entry, File) and bool(entry.data) and not is_binary(entry.data)


def adds_of(aside: Entry, before: Entry, after: Entry) -> bool:
    """Whether a write brings lines that were put aside: what it found was not all of them yet."""
    return bool((Counter(lines_of(after)) - Counter(lines_of(before))) & Counter(lines_of(aside)))


def _is_merge(parked: PathState, here: Entry, after: Entry) -> bool:
    """Whether a content is what was put aside, merged with what was there."""
    base, ours = parked.base, parked.cur
    if not (isinstance(base, File) and isinstance(ours, File)):
        return False
    if not (isinstance(here, File) and isinstance(after, File)):
        return False
    if any(is_binary(entry.data) for entry in (base, ours, here, after)):
        return False
    merge = merge3(base.data, ours.data, here.data)
    return merge.clean and merge.data == after.data


def _is_empty(entry: Entry) -> bool:
    return isinstance(entry, File) and not entry.data


def _is_of(parked: PathState, emptied: PathState | None, after: File, owner: Owner) -> bool:
    """Whether what is written into an empty file follows on what was put aside.

    Another change may wait there while a program writes.  And a person who opens an empty file and
    types deletes nothing of what had been in it; the open buffer of it has most of its lines.  Of
    what has none of them whoever emptied it deleted the old lines, and nobody else.
    """
    if emptied is not None and set(parked.ids).isdisjoint(emptied.ids):
        return False
    old, new = lines_of(parked.cur), lines_of(after)
    same = (Counter(old) & Counter(new)).total()
    return same > 0 and (not owner.proved or same >= min(len(old), len(new)) * SIMILAR)


def _is_nobodys(state: PathState) -> bool:
    """Whether everything in a state is git's, or of nobody known."""
    owners = (one for change in state.changes().values() for one in change.owners)
    return all(one.kind in ("external", "git") for one in owners)


def _is_only_of(state: PathState, owner: Owner) -> bool:
    """Whether everything in a state is one agent's."""
    owners = (one for change in state.changes().values() for one in change.owners)
    return all(
        (o.kind, o.agent, o.session) == ("agent", owner.agent, owner.session) for o in owners
    )


def _fits(parked: PathState, pending: Mapping[bytes, PathState]) -> bool:
    """Whether a rename's old path has the base that it had; brought back, the pair shares one."""
    old = pending.get(parked.origin) if parked.origin is not None else None
    return old is None or old.base == parked.base


def _is_away(origin: bytes | None, pending: Mapping[bytes, PathState]) -> bool:
    """Whether a rename's old path is still gone: what is there again was moved back to it."""
    old = None if origin is None else pending.get(origin)
    return origin is None or (old is not None and can_be_origin(old))


def _size(state: PathState) -> int:
    return state.base.ref().size + state.cur.ref().size
