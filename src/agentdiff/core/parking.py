"""Pending changes that were put aside: their content is gone, and may come back.

Owns what is worth keeping and when it returns; what waits on a path is in `agentdiff.core.asides`.
Must not decide who wrote what.  Hop 4, called by `agentdiff.core.observer`.

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

from agentdiff.core.asides import Asides, aside_of
from agentdiff.core.codec import Json, decode_state
from agentdiff.core.entries import Absent, Entry, File, Other, Ref
from agentdiff.core.epochs import authored, on_another_base
from agentdiff.core.hunks import NewId
from agentdiff.core.merge import merge3
from agentdiff.core.observing import observe
from agentdiff.core.owners import Owner
from agentdiff.core.pathstate import PathState, is_binary, lines_of
from agentdiff.core.records import DecisionItem
from agentdiff.core.renames import SIMILAR, can_be_origin, similarity
from agentdiff.core.settled import Verdict


class Parking:
    """The states that were put aside."""

    def __init__(self) -> None:
        self._asides = Asides[PathState]()
        self._mistakes: dict[bytes, PathState] = {}

    def __contains__(self, path: bytes) -> bool:
        return path in self._asides

    def __bool__(self) -> bool:
        return bool(self._asides)

    def get(self, path: bytes) -> PathState | None:
        """Returns what was put aside for a path: of several what went last, with its text."""
        return next(iter(self.all_of(path)), None)

    def all_of(self, path: bytes) -> list[PathState]:
        """Returns everything that was put aside for a path, first what `get` returns."""
        return [one.state for one in self._asides.of(path)]

    def is_back(self, state: PathState) -> bool:
        """Whether what pends is what was put aside at its own path: all of it came back."""
        return any(aside == replace(state, gen=aside.gen) for aside in self.all_of(state.path))

    def states(self) -> list[PathState]:
        """Returns everything that was put aside, also what only an undo can bring back."""
        return [one.state for one in self._asides.all()]

    def since(self, state: PathState) -> int:
        """Returns the number of a record right after which pended what a state came back from."""
        asides = self._asides.of(state.path)
        same = [one for one in asides if not one.ids.isdisjoint(state.ids)]
        return next((one for one in same if one.state is state), (same or asides)[0]).since

    def put(self, state: PathState, since: int, at: int) -> None:
        """Keeps a state; see `agentdiff.core.asides.Aside`."""
        self._asides.put(state.path, aside_of(state, since, at))

    def load(self, stored: Asides[Json], load: Callable[[Ref], Entry]) -> None:
        """Takes back what a log says was put aside."""
        self._asides = stored.loaded(lambda state: decode_state(state, load))

    def decided(self, item: DecisionItem, verdict: Verdict) -> None:
        """Forgets what was put aside if a decision was about it: it came back, and is settled.

        Undone, it waits again.
        """
        self._asides.decided(item, verdict)

    def settled(self, verdict: Verdict, path: bytes) -> list[PathState]:
        """Returns what a verdict has settled on a path, oldest first."""
        return [one.state for one in self._asides.settled(verdict, path)]

    def mistaken(self, path: bytes, since: int) -> bool:
        """Forgets what was put aside since a mistake about an author; returns whether that was so.

        Given again, the same bytes would be what comes back, and the mistake with them.

        Args:
            path: the path.
            since: number of the newest record before the mistake.
        """
        mistakes = [one for one in self._asides.of(path) if one.is_newer(since)]
        if mistakes:
            self._mistakes[path] = mistakes[0].state
            self._asides.mistaken(path, since)
        return bool(mistakes)

    def mistakes(self) -> Mapping[bytes, PathState]:
        """Returns, once, what was forgotten so: it may have been handed on when it was moved."""
        found, self._mistakes = self._mistakes, {}
        return found

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
        if result is None or not has_lines(after):
            return not isinstance(state.cur, Absent)
        # A stash where HEAD is not the base takes all of it away, with what was accepted.
        # For every write asks: first whether it wrote anything.
        if any(hunk.b0 < hunk.b1 for hunk in result.hunks) or not has_lines(state.cur):
            return False
        return set(state.ids).isdisjoint(result.ids) and not _is_only_of(state, owner)

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
        fitting = [one for one in self.all_of(path) if _fits(one, pending)]
        for parked in fitting:
            if parked.cur == after and parked.rest == base:
                return parked
        for parked in fitting:
            if not (isinstance(parked.cur, File) and isinstance(after, File)):
                continue
            if parked.cur == after:
                known = popped and owner.kind == "git" and owner.proved
                if known and _is_of_base(parked, base, after):
                    return parked  # the stash took what was accepted away with it
                continue
            if owner.kind == "git" and owner.proved:
                # ``git stash pop`` on another commit: the same changes on another base.
                back = observe(parked, path, parked.cur, after, owner, new_id) if popped else None
                if back is not None and back.rest == base:
                    return back
            elif parked.cur.data == after.data and parked.rest == base:
                return observe(parked, path, parked.cur, after, owner, new_id)
        return None

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
        if owner.kind == "user" or owner.evidence == "exact":
            return None
        # Merged with its base it would be what it was.
        for parked in (one for one in self.all_of(path) if one.base != before):
            alone = state is None or _is_only_of(state, owner) or _is_nobodys(state)
            moved = on_another_base(parked, after, new_id) if alone else None
            if moved is None or not _is_merge(parked, before, after):
                continue
            base = before if state is None else state.rest
            if moved.rest == base and authored(owner).proved:
                return moved
            kept = observe(parked, path, parked.cur, after, owner, new_id)
            if kept is not None and kept.rest == base:
                return kept
        return None

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
        parked = self.get(path)
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


def _is_of_base(parked: PathState, base: Entry, after: File) -> bool:
    """Whether nothing of what is there came into the base since a state was put aside."""
    if not (has_lines(after) and all(has_lines(one) for one in (parked.rest, base))):
        return False
    shared = Counter(lines_of(base)) & Counter(lines_of(after))
    return not shared - Counter(lines_of(parked.rest))


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
