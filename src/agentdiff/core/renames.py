"""Renames: a deletion and a creation that are one change.

Owns what a paired state is, and how lines keep their owners over a move.  Must not decide what was
moved (`agentdiff.core.departures`) nor who did it.  Hop 4, called by `agentdiff.core.pairing`.

The new path takes the base of the old one (`PathState.origin`), so that its hunks are what changed
on the way; the old path goes on pending as deleted, and is not shown.  Rejecting the change
``renamed`` moves what is there back to the old path, accepting it lets go of the old path; hunks
are decided as everywhere.

Theory.  To the ladder a move is one author's: all that came is written by whoever moved it.  What
pended at the old path says otherwise of the lines that came along unchanged; so its hunks are
carried to what came, as if that were an edit of it, and the mover owns only what differs.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from agentdiff.core.diff import diff_bytes, split_lines
from agentdiff.core.entries import Entry, File
from agentdiff.core.hunks import Hunk, NewId
from agentdiff.core.observing import as_created, observe
from agentdiff.core.owners import USER, Owner, unique
from agentdiff.core.pathstate import (
    MetaChange,
    PathState,
    is_binary,
    is_line_text,
    lines_of,
    renumbered,
)

# Half of the larger one must be the same lines: git's own default.
SIMILAR = 0.5


def similarity(old: bytes, new: bytes) -> float:
    """Returns how much of the larger content is lines that both have, from 0 to 1.

    Less than `SIMILAR` is an upper bound: nearly all that is compared is not alike.
    """
    larger = max(len(old), len(new))
    if old == new or min(len(old), len(new)) < larger * SIMILAR:
        return float(old == new)
    if is_binary(old) or is_binary(new):
        return 0.0
    there, here = split_lines(old), _counted(new)
    most = sum(len(line) for line in there if line in here)
    if most < larger * SIMILAR:
        return most / larger
    common = Counter(there) & here
    return sum(len(line) * count for line, count in common.items()) / larger


@functools.lru_cache(maxsize=1)
def _counted(data: bytes) -> Counter[bytes]:
    """Returns the lines of what others are compared with in turn, each with how often it is."""
    return Counter(split_lines(data))


def paired(
    old: PathState, new: PathState, was: PathState | None, by: Owner | None, new_id: NewId
) -> PathState:
    """Returns the state of the new path as a rename of the old one.

    Args:
        old: the deleted path.
        new: the created path.
        was: what pended on what is here now, before it went; None when nothing did.
        by: who took it away, None where that is not known.
        new_id: makes ids and generations.
    """
    base, first = old.base, new.ids[0]
    known = was if was is not None and was.base == base else None
    # An earlier rename is part of this one.
    movers = [
        o for m in (() if known is None else known.meta) if m.kind == "renamed" for o in m.owners
    ]
    authors = unique([*movers, *new.meta[0].owners])
    authors = tuple(owner for owner in authors if not owner.proved) or authors
    taken = {first, *old.ids}
    apart = () if known is None else tuple(m for m in known.meta if m.kind in _ALONG)
    renamed = MetaChange(id=first, gen=new_id(), kind="renamed", owners=authors)
    start = replace(
        new,
        base=base,
        cur=base if known is None else known.cur,
        origin=old.path,
        origin_base=base if known is None or known.origin is None else known.origin_base,
        hunks=_free(() if known is None else known.hunks, taken, new_id),
        meta=(renamed, *(replace(m, id=new_id()) if m.id in taken else m for m in apart)),
        gen=max(old.gen, new.gen) + 1,
        coverage=old.coverage if old.coverage != "exact" else new.coverage,
    )
    state = _carried(start, new, mover_of(new), new_id)
    return _painted(state, _wrote(new, was, by, mover_of(new)), _deleted(old, known), new_id)


def hides_typed(new: PathState, base: Entry) -> bool:
    """Whether a line that the user typed in a created file would be one of the base of a rename.

    Nobody would know it for theirs when the pair comes apart.  It was there before the other file
    went: a copy that the user went on with.
    """
    if new.status != "created" or not (is_line_text(base) and is_line_text(new.cur)):
        return False
    typed = {
        n
        for hunk in new.hunks
        for n, owner in enumerate(hunk.new_owners, start=hunk.b0)
        if owner.proved
    }
    if typed:
        for block in diff_bytes(_data(base), _data(new.cur)):
            typed.difference_update(range(block.b0, block.b1))
    return bool(typed)


# What a rename takes along besides lines.
_ALONG = ("mode", "binary", "eol", "link")


def handed(
    new: PathState, was: PathState, by: Owner | None, mover: Owner, new_id: NewId
) -> PathState:
    """Returns the state of a path to which a pending content was moved, with that one's owners.

    Args:
        new: what the mover seems to have written: a creation, or a file with a base of its own.
        was: what pended on it where it was before.
        by: who took it away, None where that is not known.
        mover: who brought it; of a file with a base of its own the state need not tell.
        new_id: makes ids and generations.
    """
    if new.status == "created":
        return _created(new, was, by, new_id)
    alike = was.base == new.base
    start = replace(unnamed(was), path=new.path, gen=new.gen + 1)
    wrote = _wrote(new, was, by, mover)
    if alike and new.origin is None and start.base != start.cur:
        # What is not there now and was there is the mover's doing, whoever emptied this path.
        state = _carried(start, new, mover, new_id)
        deleted = _deleted(state, None)
    else:
        state = replace(new, gen=new.gen + 1)
        deleted = _deleted(new, was if alike else None)
    return _painted(state, wrote, deleted, new_id)


def _created(new: PathState, was: PathState, by: Owner | None, new_id: NewId) -> PathState:
    """Returns a creation that was moved: it goes on at the new path, everybody's in it."""
    first, state = new.ids[0], replace(new, gen=new.gen + 1)
    if was.status == "created":
        # Of what has lost lines to a decision every part is a change, and the first one all of it.
        start = renumbered(replace(was, path=new.path, gen=new.gen + 1), {was.ids[0]: first})
        state = _carried(start, new, mover_of(new), new_id)
    state = _painted(state, _wrote(new, was, by, mover_of(new)), (), new_id)
    wrote = [owner for hunk in state.hunks for owner in hunk.owners]
    wrote = wrote or [owner for change in was.meta for owner in change.owners]
    return _as_new(state, first, unique([*wrote, *new.meta[0].owners]), new_id)


def _as_new(state: PathState, change: int, owners: tuple[Owner, ...], new_id: NewId) -> PathState:
    first = state.hunks[0] if state.hunks else None
    change, gen = (change, new_id()) if first is None else (first.id, first.gen)
    return replace(state, meta=(MetaChange(id=change, gen=gen, kind="created", owners=owners),))


def grown(state: PathState, was: PathState, by: Owner, new_id: NewId) -> PathState | None:
    """Returns a state that has arrived before, and has more of what was moved by now; or None.

    Args:
        state: what pends where it arrived.
        was: what pended on it where it was before.
        by: who moved it, and has written here since.
        new_id: makes ids and generations.
    """
    wrote = _wrote(state, was, by, by)
    if all(list(hunk.new_owners) == wrote[hunk.b0 : hunk.b1] for hunk in state.hunks):
        return None
    again = _painted(replace(state, gen=state.gen + 1), wrote, _deleted(state, None), new_id)
    if state.status != "created":
        return again
    authors = unique([owner for hunk in again.hunks for owner in hunk.owners])
    return _as_new(again, state.meta[0].id, unique([*authors, *state.meta[0].owners]), new_id)


def mover_of(new: PathState) -> Owner:
    """Returns who brought what a state holds, as far as its changes tell: no proved writer."""
    owners = [owner for change in new.changes().values() for owner in change.owners]
    return next((owner for owner in reversed(owners) if not owner.proved), owners[-1])


def _free(hunks: Sequence[Hunk], taken: set[int], new_id: NewId) -> tuple[Hunk, ...]:
    return tuple(replace(hunk, id=new_id()) if hunk.id in taken else hunk for hunk in hunks)


def _carried(start: PathState, new: PathState, mover: Owner, new_id: NewId) -> PathState:
    """Returns a state after its content became that of another one."""
    after = observe(start, start.path, start.cur, new.cur, mover, new_id, mirror=False)
    assert after is not None, "what pends differs from its base"
    return after


def _wrote(new: PathState, was: PathState | None, by: Owner | None, mover: Owner) -> list[Owner]:
    """Returns who wrote each line that is there now: the mover none that came along unchanged."""
    wrote = [mover] * len(lines_of(new.cur))
    for hunk in new.hunks:
        wrote[hunk.b0 : hunk.b1] = hunk.new_owners
    if was is None or not (is_line_text(was.cur) and is_line_text(new.cur)):
        return wrote
    # All of it has come along then, whatever was here before; but a line of the user's stays one.
    same = _data(was.cur) == _data(new.cur)
    for here, owner in _came_along(was, new):
        mine = by is None or author(wrote[here]) == author(by)
        if mine or (same and not wrote[here].proved):
            wrote[here] = owner
    return wrote


def _came_along(was: PathState, new: PathState) -> Iterator[tuple[int, Owner]]:
    """Yields each line of a content that pended in another one, with whose it was there."""
    before: list[Owner | None] = [None] * len(lines_of(was.cur))
    for hunk in was.hunks:
        before[hunk.b0 : hunk.b1] = hunk.new_owners
    at_a = at_b = 0
    ends = [(b.a0, b.b0, b.a1, b.b1) for b in diff_bytes(_data(was.cur), _data(new.cur))]
    for a0, b0, a1, b1 in (*ends, (len(before), len(lines_of(new.cur)), 0, 0)):
        for there, here in zip(range(at_a, a0), range(at_b, b0), strict=True):
            owner = before[there]
            if owner is not None:
                yield here, owner
        at_a, at_b = a1, b1


def unhanded(new: PathState, wrong: PathState, mover: Owner) -> PathState:
    """Returns a state that has arrived as if its mover had written it, because it is told again.

    Args:
        new: what pends where it arrived.
        wrong: what pended on it where it was before, with the owners that were mistaken.
        mover: who brought it, whoever has written there since.
    """
    if not (is_line_text(wrong.cur) and is_line_text(new.cur)):
        return new
    wrote: list[Owner | None] = [None] * len(lines_of(new.cur))
    for hunk in new.hunks:
        wrote[hunk.b0 : hunk.b1] = hunk.new_owners
    for here, owner in _came_along(wrong, new):
        if wrote[here] == owner:
            wrote[here] = mover
    return replace(
        new,
        hunks=tuple(
            replace(hunk, new_owners=tuple(one for one in wrote[hunk.b0 : hunk.b1] if one))
            for hunk in new.hunks
        ),
    )


def _deleted(state: PathState, was: PathState | None) -> list[Owner]:
    """Returns who deleted each line of the base that is deleted."""
    deleted = [mover_of(state)] * len(lines_of(state.base))
    for one in (state, was):
        for hunk in () if one is None else one.hunks:
            deleted[hunk.a0 : hunk.a1] = hunk.old_owners
    return deleted


def _painted(
    state: PathState, wrote: Sequence[Owner], deleted: Sequence[Owner], new_id: NewId
) -> PathState:
    """Returns a state whose lines have these owners; a hunk that gets others is another one."""
    hunks = []
    for hunk in state.hunks:
        old, new = tuple(deleted[hunk.a0 : hunk.a1]), tuple(wrote[hunk.b0 : hunk.b1])
        if (old, new) != (hunk.old_owners, hunk.new_owners):
            hunk = replace(hunk, gen=new_id(), old_owners=old, new_owners=new)
        hunks.append(hunk)
    return replace(state, hunks=tuple(hunks))


def _data(entry: Entry) -> bytes:
    return entry.data if isinstance(entry, File) else b""


def author(owner: Owner) -> tuple[str, str | None, str | None]:
    """Returns what two owners share who are one: a session and its git, or nobody known."""
    kind = "agent" if owner.kind == "git" and owner.session is not None else owner.kind
    return kind, owner.agent, owner.session


def parted(state: PathState, new_id: NewId) -> PathState:
    """Returns a renamed path as created, because its pair came apart.

    What came into the base since it was renamed was never at the old path, and would be lost with a
    rejected creation: only the user, or an accept, can have put it there.
    """
    alone, held = as_created(state, new_id), state.origin_base
    if held is None or held == state.base or not (is_line_text(held) and alone.hunks):
        return alone
    wrote = list(alone.hunks[0].new_owners)
    added = diff_bytes(_data(held), _data(state.base))
    kept = [n for block in added for n in range(block.b0, block.b1)]
    for at in kept:
        above = [hunk for hunk in state.hunks if hunk.a0 <= at]
        if not above or at >= above[-1].a1:
            wrote[at + (above[-1].b1 - above[-1].a1 if above else 0)] = USER
    alone = _painted(alone, wrote, (), new_id)
    owners = unique([*alone.meta[0].owners, *alone.hunks[0].owners])
    return _as_new(alone, alone.meta[0].id, owners, new_id)


def foreign(state: PathState, by: Owner) -> Counter[bytes]:
    """Returns the lines that pend and that somebody else wrote, each with how often."""
    mine, found = author(by), Counter[bytes]()
    for hunk in state.hunks:
        # By identity, for every edit asks: a hunk of many lines has few owners.
        owners = {id(owner): owner for owner in hunk.new_owners}
        others = {one for one, owner in owners.items() if author(owner) != mine}
        if others:
            there = lines_of(state.cur)[hunk.b0 : hunk.b1]
            wrote = zip(there, hunk.new_owners, strict=True)
            found.update(line for line, owner in wrote if id(owner) in others)
    return found


def can_be_origin(state: PathState) -> bool:
    """Whether a path still is what a rename needs of its old path."""
    return state.status == "deleted" and isinstance(state.base, File)


def rebased(old: PathState, base: File, new_id: NewId) -> PathState:
    """Returns the deletion of the old path after the base of its rename became `base`."""
    change = old.meta[0]
    gen = new_id()
    lines = len(lines_of(base)) if is_line_text(base) else 0
    whole = Hunk(
        id=change.id,
        gen=gen,
        a0=0,
        a1=lines,
        b0=0,
        b1=0,
        old_owners=(change.owners[-1],) * lines,
        new_owners=(),
    )
    return replace(
        old,
        base=base,
        hunks=(whole,) if lines else (),
        meta=(replace(change, gen=gen),),
        gen=old.gen + 1,
    )


def unnamed(state: PathState) -> PathState:
    """Returns a renamed state without its rename: a change of the file at its own path."""
    meta = tuple(change for change in state.meta if change.kind != "renamed")
    return replace(state, origin=None, origin_base=None, meta=meta)


def rename_id(state: PathState) -> int:
    """Returns the id of a renamed state's rename."""
    return next(change.id for change in state.meta if change.kind == "renamed")
