"""Undo and redo of a decision on a path that moved on.

Owns the replay of what happened since (`agentdiff.core.history`) on top of what the decision is
turned back to.  Must not write.  Hop 4, called by `agentdiff.core.execution`.

Theory.  A decision took a path from one state and content to another.  Later steps were seen on top
of the latter.  To turn the decision is to see the same steps on top of the former: their contents
are merged three-way where the decision had changed the content, and each is observed with its own
author; what is gone for a step is put aside, as it was live.  Where a merge conflicts nothing is
done.

Whether the steps are what happened is put to the proof: seen on top of what the decision had left,
they must give what pends now, line by line and owner by owner.  Else the log tells less than there
was (a rename, a record of an older version), and a turn would give a person's line to an agent.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from agentdiff.core.codec import encode_state
from agentdiff.core.decisions import PathPlan, Plan, Refusal
from agentdiff.core.entries import ABSENT, Entry, File
from agentdiff.core.events import LoadedItem, Step, UndoRequested
from agentdiff.core.hunks import NewId
from agentdiff.core.merge import merge3
from agentdiff.core.observing import observe
from agentdiff.core.parking import Parking
from agentdiff.core.pathstate import PathState, is_binary, renumbered
from agentdiff.core.renames import rebased, unnamed

_FAR = 1 << 62
"""Ids from here on name nothing that lasts."""


def planned(
    paths: Mapping[bytes, PathState],
    renamed: Iterable[bytes],
    event: UndoRequested,
    where: Mapping[int, bytes],
    waited: Callable[[bytes], Sequence[PathState]],
    new_id: NewId,
) -> Plan:
    """Returns what an undo or a redo does; both halves of a rename, or neither.

    Args:
        paths: every path with something pending.
        renamed: those of them that were renamed.
        event: the request.
        where: change → the path on which it pends.
        waited: returns what was put aside for a path, and settled by what is turned.
        new_id: makes ids and generations.
    """
    items = [turned(item, redo=event.redo) for item in event.items]
    pairs, moved = halves(items), {paths[path].origin: path for path in renamed}
    found: dict[bytes, PathPlan | Refusal] = {}
    for item in items:
        if item.path in pairs or item.path not in moved:
            here = paths.get(item.path)
            found[item.path] = _planned(item, here, waited(item.path), new_id)
        elif any(other.path == moved[item.path] for other in items):
            found[item.path] = _moved_away(item.path, moved[item.path])
        else:
            old, new = paths[item.path], paths[moved[item.path]]
            both = _renamed(item, old, new, waited(item.path), new_id)
            found |= {one.path: one for one in both}
    refused = {path for path, one in found.items() if isinstance(one, Refusal)}
    for path, other in pairs.items():
        if other in refused and path not in refused:
            found[path] = _one_change(path, other)
    return Plan(
        paths=_apart([one for one in found.values() if isinstance(one, PathPlan)], where, new_id),
        refused=[one for one in found.values() if isinstance(one, Refusal)],
        moved_on=[],
    )


def _apart(plans: Sequence[PathPlan], where: Mapping[int, bytes], new_id: NewId) -> list[PathPlan]:
    """Returns plans that bring no id that went to another path since: there it goes on."""
    here, used = {one.path for one in plans}, set[int]()
    out: list[PathPlan] = []
    for one in plans:
        known = () if one.after is None else one.after.ids
        ids = {n: new_id() for n in known if n in used or where.get(n, one.path) not in here}
        used.update(ids.get(n, n) for n in known)
        if one.after is not None and ids:
            picks = {ids.get(n, n): part for n, part in one.picks.items()}
            one = replace(one, picks=picks, after=renumbered(one.after, ids))
        out.append(one)
    return out


def halves(changes: Iterable[LoadedItem | PathPlan]) -> dict[bytes, bytes]:
    """Returns path → the other path of a rename, in both directions, where both are changed."""
    known = {change.path: (change.before, change.after) for change in changes}
    out: dict[bytes, bytes] = {}
    for path, states in known.items():
        for state in states:
            if state is not None and state.origin in known:
                out |= {path: state.origin, state.origin: path}
    return out


def _planned(
    item: LoadedItem, current: PathState | None, waited: Sequence[PathState], new_id: NewId
) -> PathPlan | Refusal:
    """Returns what the turn of a decision does to one path."""
    after, cur_before, cur_after = item.after, item.cur_before, item.cur_after
    asides: tuple[PathState, ...] = ()
    if not (same_state(current, item.before) and is_unmoved(item)):
        found = caught_up(item, current, waited, new_id)
        if found is None:
            return moved_on(item.path)
        after, cur_before, cur_after, asides = found
    return PathPlan(
        path=item.path,
        picks=dict.fromkeys(() if after is None else after.ids),
        before=current,
        after=after,
        cur_before=cur_before,
        cur_after=cur_after,
        asides=asides,
    )


def _renamed(
    item: LoadedItem,
    old: PathState,
    new: PathState,
    waited: Sequence[PathState],
    new_id: NewId,
) -> Sequence[PathPlan | Refusal]:
    """Returns what the turn of a decision on a path does to that and the path it was renamed to.

    The rename goes on pending; what is turned back to is its base, and both paths have that.

    Args:
        item: of the old path, from `turned`, with what happened to it at both.
        old: what pends on the old path.
        new: what pends on the new path.
        waited: what had been put aside for the path, before the decision.
        new_id: makes ids and generations.
    """
    item = replace(item, since=item.moved)
    found = caught_up(item, None if new.base == new.cur else unnamed(new), waited, new_id)
    if found is None:
        return [_moved_away(item.path, new.path)]
    state, there, wanted, _ = found
    base = wanted if state is None else state.base
    if there != new.cur or not (isinstance(base, File) and isinstance(wanted, File)):
        return [_moved_away(item.path, new.path)]
    name = next(change for change in new.meta if change.kind == "renamed")
    after = replace(
        new,
        base=base,
        cur=wanted,
        hunks=() if state is None else state.hunks,
        meta=(name, *(() if state is None else state.meta)),
        gen=new.gen + 1,
        coverage=new.coverage if state is None else state.coverage,
    )
    picks = dict.fromkeys(() if state is None else state.ids)
    return [
        PathPlan(
            path=item.path,
            picks={},
            before=old,
            after=rebased(old, base, new_id),
            cur_before=ABSENT,
            cur_after=ABSENT,
        ),
        PathPlan(
            path=new.path, picks=picks, before=new, after=after, cur_before=there, cur_after=wanted
        ),
    ]


def moved_on(path: bytes) -> Refusal:
    """Returns the refusal of what is something else now."""
    reason = "it changed since that decision: decide its hunks, or put it back by hand"
    return Refusal(path=path, change=None, reason=reason)


def _moved_away(path: bytes, to: bytes) -> Refusal:
    name = to.decode(errors="replace")
    reason = f"it was renamed to {name} since that decision: decide the hunks there"
    return Refusal(path=path, change=None, reason=reason)


def _one_change(path: bytes, other: bytes) -> Refusal:
    name = other.decode(errors="replace")
    reason = f"it is one rename with {name}, which changed since that decision"
    return Refusal(path=path, change=None, reason=reason)


def same_state(left: PathState | None, right: PathState | None) -> bool:
    """Whether two states agree in everything but their generations."""
    if left is None or right is None:
        return left is right
    plain = (encode_state(replace(state, gen=0)) for state in (left, right))
    return next(plain) == next(plain)


def turned(item: LoadedItem, *, redo: bool) -> LoadedItem:
    """Returns a decision's item in the direction in which it is turned."""
    if redo:
        return item
    return replace(
        item,
        before=item.after,
        after=item.before,
        cur_before=item.cur_after,
        cur_after=item.cur_before,
    )


def is_unmoved(item: LoadedItem) -> bool:
    """Whether the path holds what the decision left there, as far as the log tells."""
    return not item.since or item.since[-1].after == item.cur_before


def caught_up(
    item: LoadedItem, current: PathState | None, waited: Sequence[PathState], new_id: NewId
) -> tuple[PathState | None, Entry, Entry, tuple[PathState, ...]] | None:
    """Returns (state, content there now, content to be, asides) of a turned decision on a path.

    The asides are what the steps put aside: without the decision it would wait now.

    Args:
        item: from `turned`.
        current: what pends on the path now.
        waited: what had been put aside for the path before the decision settled it; it comes back
            as it would have come back without that.
        new_id: makes ids and generations.

    Returns:
        None where it cannot be said what the path would be: a conflict, another decision since, a
        rename, a git command that replaced the content, or steps that are not all that happened.
    """
    steps = item.since
    states = (item.before, item.after, current)
    renamed = any(state is not None and state.origin is not None for state in states)
    if not steps or renamed or any(s.owner.kind == "git" and s.owner.proved for s in steps):
        return None
    far = itertools.count(_FAR).__next__
    what_is = _seen(item, item.before, item.cur_before, steps, (), far)
    if what_is is None or not _alike(what_is[0], current):
        return None
    to_be = _seen(item, item.after, item.cur_after, steps, waited, new_id)
    return None if to_be is None else (to_be[0], steps[-1].after, *to_be[1:])


def _seen(
    item: LoadedItem,
    state: PathState | None,
    content: Entry,
    steps: Sequence[Step],
    waited: Sequence[PathState],
    new_id: NewId,
) -> tuple[PathState | None, Entry, tuple[PathState, ...]] | None:
    """Returns what there is after the steps were seen on top of these; None in a conflict.

    That is the state, the content, and what was put aside for one of the steps, oldest first.
    """
    wanted, aside = content, Parking()
    for one in waited:
        aside.put(one, 0, 0)
    for step in steps:
        merged = _merged(item.cur_before, step, wanted)
        if merged is None:
            return None
        pended = state
        state = _step(aside, state, item.path, content, replace(step, after=merged), new_id)
        if pended is not None and aside.is_worth(pended, merged, step.owner, state):
            aside.put(pended, 0, 0)
        content = merged
    asides = [one for one in reversed(aside.all_of(item.path)) if one not in waited]
    return state, content, tuple(asides)


def _step(
    aside: Parking,
    state: PathState | None,
    path: bytes,
    before: Entry,
    step: Step,
    new_id: NewId,
) -> PathState | None:
    """Returns what pends after a step, by whoever's lines are gone since an earlier one.

    As in `agentdiff.core.observer`: what came back meanwhile need not have pended there at all,
    because the decision was in effect, so that the log does not say that it came back.
    """
    base, after, owner = before if state is None else state.rest, step.after, step.owner
    back = aside.returning(path, base, after, owner, new_id, {})
    back = back or aside.merged(path, state, before, after, owner, new_id)
    if back is not None:
        return back
    left = aside.resumed(path, state, before, after, owner, {})
    start, known = (state, before) if left is None else (left, left.cur)
    return observe(start, path, known, after, owner, new_id, coverage=step.coverage)


def _alike(one: PathState | None, other: PathState | None) -> bool:
    """Whether two states agree in everything but ids, generations and coverage."""
    if one is None or other is None:
        return one is other
    return _shape(one) == _shape(other)


def _shape(state: PathState) -> tuple[object, ...]:
    hunks = [(h.a0, h.a1, h.b0, h.b1, h.old_owners, h.new_owners) for h in state.hunks]
    return state.base, state.cur, hunks, [(m.kind, m.owners) for m in state.meta]


def _merged(original: Entry, step: Step, wanted: Entry) -> Entry | None:
    """Returns what a step would have made of the content that is wanted."""
    if original == wanted:
        return step.after
    if step.after == original:
        return wanted
    after = step.after
    if not (isinstance(original, File) and isinstance(after, File) and isinstance(wanted, File)):
        return None
    if any(is_binary(entry.data) for entry in (original, after, wanted)):
        return None
    merge = merge3(original.data, after.data, wanted.data)
    if not merge.clean:
        return None
    mode = wanted.mode if after.mode == original.mode else after.mode
    return File(data=merge.data, mode=mode)
