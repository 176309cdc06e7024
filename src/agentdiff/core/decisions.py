"""What a decision means: which changes it picks, what it leaves behind, what it refuses.

Owns the planning of accepts and rejects over path states.  Must not write, and must not change a
ledger: it returns plans.  Hop 4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agentdiff.core.codec import encode_state, path_fields
from agentdiff.core.entries import ABSENT, Absent, Entry, Other
from agentdiff.core.events import DecisionRequested, HunkPick, Selection
from agentdiff.core.hunks import NewId
from agentdiff.core.parts import Part, Picked, clipped, united
from agentdiff.core.pathstate import PathState
from agentdiff.core.records import DecisionItem
from agentdiff.core.renames import rename_id, unnamed
from agentdiff.core.settle import settle_entries

_ENTANGLED = "lines of somebody else are entangled with it: decide it by its hunk"
_OTHERS = "lines of it may be somebody else's (several calls were at work): decide it by its hunk"
_STRANGERS = (
    "lines of git's or of nobody known are entangled with it: "
    "decide it by its hunk or file, or name what is external, too"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PathPlan:
    """What a decision does to one path.

    Attributes:
        picks: change id → selected parts, None for all of it.
        before: the state that was decided on, None when nothing pended (undo).
        after: the state that is left, None when nothing pends any more.
        cur_before: content that the disk must hold when the plan is carried out.
        cur_after: content that the disk holds afterwards; equal when nothing is written.
        asides: what waits on the path from then on, besides what did.
    """

    path: bytes
    picks: Mapping[int, Picked]
    before: PathState | None
    after: PathState | None
    cur_before: Entry
    cur_after: Entry
    asides: tuple[PathState, ...] = ()

    def item(self) -> DecisionItem:
        """Returns the plan as the log holds it."""
        return DecisionItem(
            path=self.path,
            changes=tuple(self.picks),
            before=encode_state(self.before),
            after=encode_state(self.after),
            cur_before=self.cur_before.ref(),
            cur_after=self.cur_after.ref(),
        )

    def entries(self) -> tuple[Entry, ...]:
        """Returns contents that the item names and that only this decision made."""
        after = () if self.after is None else (self.after.base, self.after.cur)
        return (*after, self.cur_after)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A change that was asked for and not decided, with the reason for the user."""

    path: bytes
    change: int | None
    reason: str

    def to_json(self) -> dict[str, Any]:
        """Returns the shape of the protocol."""
        return {**path_fields(self.path), "hunk": self.change, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole decision."""

    paths: list[PathPlan]
    refused: list[Refusal]
    moved_on: list[bytes]


def plan(
    paths: Mapping[bytes, PathState],
    event: DecisionRequested,
    changed_since: Callable[[bytes, int], bool],
    new_id: NewId,
) -> Plan:
    """Returns what a decision does.

    Args:
        paths: every path with something pending.
        event: the request.
        changed_since: tells whether a path changed after a log sequence number.
        new_id: makes ids for the pieces of split hunks.
    """
    selection = event.selection
    result = Plan([], [], [])
    chosen = _with_renames(paths, _by_path(paths, selection, result))
    for path, picks in chosen.items():
        state = paths[path]
        both = (path,) if state.origin is None else (path, state.origin)
        if selection.seen is not None and any(changed_since(p, selection.seen) for p in both):
            result.moved_on.append(path)
            continue
        kept = _filtered(state, event, picks, result)
        if not kept:
            continue
        planned: Sequence[PathPlan] | Refusal
        if state.origin is not None and rename_id(state) in kept:
            planned = plan_rename(state, paths[state.origin], event, kept, new_id)
        else:
            one = plan_path(state, event, kept, new_id)
            planned = one if isinstance(one, Refusal) else [one]
        if isinstance(planned, Refusal):
            result.refused.append(planned)
        else:
            result.paths.extend(planned)
    return result


def _with_renames(
    paths: Mapping[bytes, PathState], chosen: dict[bytes, dict[int, Picked]]
) -> dict[bytes, dict[int, Picked]]:
    """Returns the picks with those of a rename's old path turned into picks of the new path."""
    for path, state in paths.items():
        if state.origin in chosen:
            del chosen[state.origin]
            chosen.setdefault(path, {}).update(dict.fromkeys(state.ids))
    return chosen


def plan_path(
    state: PathState, event: DecisionRequested, picks: Mapping[int, Picked], new_id: NewId
) -> PathPlan | Refusal:
    """Returns what a decision does to one path, or why it cannot."""
    if event.op == "reject":
        if state.coverage != "exact":
            why = state.coverage
            reason = f"its baseline is not recoverable ({why}): accept it, or restore it by hand"
            return Refusal(path=state.path, change=None, reason=reason)
        if isinstance(state.cur, Other):
            reason = (
                f"what is there now cannot be compared ({state.cur.kind}): "
                "make it readable, or move it away, and decide again"
            )
            return Refusal(path=state.path, change=None, reason=reason)
    base, cur, left = settle_entries(
        state, event.op, picks, new_id, discard_user=event.discard_user
    )
    return PathPlan(
        path=state.path,
        picks=picks,
        before=state,
        after=None if base == cur and state.origin is None else left,
        cur_before=state.cur,
        cur_after=cur,
    )


def plan_rename(
    state: PathState,
    old: PathState,
    event: DecisionRequested,
    picks: Mapping[int, Picked],
    new_id: NewId,
) -> Sequence[PathPlan] | Refusal:
    """Returns what a decision on a rename does to both of its paths, or why it cannot.

    Accepted, the old path is let go.  Rejected, what is left of the new path goes back to the old
    one, with the changes in it that were not decided.
    """
    rest = {change: part for change, part in picks.items() if change != rename_id(state)}
    planned = plan_path(state, event, rest, new_id)
    if isinstance(planned, Refusal):
        return planned
    assert planned.after is not None
    left = unnamed(planned.after)
    alone = None if left.base == left.cur else left
    if event.op == "accept":
        here = replace(planned, picks=picks, after=alone)
        there = PathPlan(
            path=old.path, picks={}, before=old, after=None, cur_before=ABSENT, cur_after=ABSENT
        )
        return here, there
    here = replace(planned, picks=picks, after=None, cur_after=ABSENT)
    moved = None if alone is None else replace(alone, path=old.path, gen=max(old.gen, left.gen) + 1)
    there = PathPlan(
        path=old.path,
        picks={},
        before=old,
        after=moved,
        cur_before=ABSENT,
        cur_after=planned.cur_after,
    )
    return here, there


def _by_path(
    paths: Mapping[bytes, PathState], selection: Selection, result: Plan
) -> dict[bytes, dict[int, Picked]]:
    if selection.picks:
        return _picked(paths, selection.picks, result)
    if selection.paths:
        named = [path for path in paths if below(path, selection.paths)]
        for path in selection.paths:
            if not any(below(one, (path,)) for one in named):
                result.refused.append(Refusal(path=path, change=None, reason="nothing pends there"))
        return {path: dict.fromkeys(paths[path].ids) for path in named}
    return {path: dict.fromkeys(state.ids) for path, state in paths.items()}


def concerned(paths: Mapping[bytes, PathState], selection: Selection) -> set[bytes]:
    """Returns the pending paths that a selection is about, before owners are looked at."""
    return set(_by_path(paths, selection, Plan([], [], [])))


def below(path: bytes, named: Sequence[bytes]) -> bool:
    """Whether a path is one of those named, or in a folder that is; the root is ``.``."""
    folders = (one.rstrip(b"/") for one in named)
    return any(path == one or one in (b"", b".") or path.startswith(one + b"/") for one in folders)


def _picked(
    paths: Mapping[bytes, PathState], picks: Sequence[HunkPick], result: Plan
) -> dict[bytes, dict[int, Picked]]:
    where = {
        change: (path, gen)
        for path, state in paths.items()
        for change, gen in state.generations().items()
    }
    out: dict[bytes, dict[int, list[Part | None]]] = {}

    def refuse(path: bytes, change: int, reason: str) -> None:
        result.refused.append(Refusal(path=path, change=change, reason=reason))

    for pick in picks:
        path, gen = where.get(pick.hunk, (None, 0))
        if path is None:
            reason = f"hunk {pick.hunk} is gone: decided already, or the text under it changed"
            refuse(b"", pick.hunk, reason)
        elif pick.gen is not None and pick.gen != gen:
            now = f"{pick.hunk}@{gen}"
            refuse(
                path,
                pick.hunk,
                f"hunk {pick.hunk} changed since it was shown (now {now}): look again",
            )
        elif isinstance(part := _part(paths[path], pick), str):
            refuse(path, pick.hunk, part)
        else:
            out.setdefault(path, {}).setdefault(pick.hunk, []).append(part)
    found = {path: _united(path, changes, refuse) for path, changes in out.items()}
    return {path: changes for path, changes in found.items() if changes}


def _united(
    path: bytes,
    changes: Mapping[int, Sequence[Part | None]],
    refuse: Callable[[bytes, int, str], None],
) -> dict[int, Picked]:
    """Returns what several picks of one change name together."""
    out: dict[int, Picked] = {}
    for change, picked in changes.items():
        parts = [part for part in picked if part is not None]
        together = None if len(parts) < len(picked) else united(parts)
        if len(parts) == len(picked) and together is None:
            reason = f"selections of hunk {change} cross: decide them one after another"
            refuse(path, change, reason)
        else:
            out[change] = together
    return out


def _part(state: PathState, pick: HunkPick) -> Part | str | None:
    """Returns the lines that a pick names, None for all of the change, or why there are none."""
    if pick.old is None and pick.new is None:
        return None
    hunk = next((hunk for hunk in state.hunks if hunk.id == pick.hunk), None)
    if hunk is None:
        return f"change {pick.hunk} has no lines to choose from: decide all of it"
    part = clipped(Part(old=pick.old or (0, 0), new=pick.new or (0, 0)), hunk)
    if part is None:
        sizes = f"{hunk.a1 - hunk.a0} old and {hunk.b1 - hunk.b0} new lines"
        return f"none of the lines of hunk {pick.hunk} is selected: it has {sizes}"
    return part


def _filtered(
    state: PathState, event: DecisionRequested, picks: Mapping[int, Picked], result: Plan
) -> dict[int, Picked]:
    """Leaves out what the owner filter does not cover, and what a bulk reject must not touch."""
    selection = event.selection
    bulk = not selection.picks and not selection.paths
    kept: dict[int, Picked] = {}
    for change, part in picks.items():
        owners = [owner for owner in state.owners_of(change) if not owner.proved]
        if selection.by_owner:
            if not any(selection.meets(owner) for owner in owners):
                continue
            if event.op == "reject" and not all(selection.covers(owner) for owner in owners):
                reason = _OTHERS if all(map(selection.meets, owners)) else _ENTANGLED
                result.refused.append(Refusal(path=state.path, change=change, reason=reason))
                continue
        spared = [
            owner.kind in ("external", "git")
            for owner in owners
            if event.op == "reject" and bulk and not selection.include_external
        ]
        if any(spared):
            if not all(spared):
                result.refused.append(Refusal(path=state.path, change=change, reason=_STRANGERS))
            continue
        kept[change] = part
    return kept


# --- carrying plans out ---------------------------------------------------------------------------


def creates(planned: PathPlan) -> tuple[bool, int]:
    """Sorts what is deleted before what is written, and the deepest first."""
    return not isinstance(planned.cur_after, Absent), -planned.path.count(b"/")


def held_back(plans: Mapping[bytes, PathPlan]) -> dict[bytes, bytes]:
    """Returns path to write → path whose deletion waits for that, for each rename that goes back.

    What is at the one path is meant to be at the other: it must not be at neither, if that cannot
    be written or we are killed in between.
    """
    held: dict[bytes, bytes] = {}
    for planned in plans.values():
        for state in (planned.before, planned.after):
            other = plans.get(b"" if state is None or state.origin is None else state.origin)
            if other is None:
                continue
            gone, made = sorted((planned, other), key=creates)
            into_room = below(gone.path, (made.path,)) or below(made.path, (gone.path,))
            if creates(made)[0] and not creates(gone)[0] and not into_room:
                held[made.path] = gone.path
    return held


def still_meant(planned: PathPlan, state: PathState | None, *, whatever: bool) -> dict[int, Picked]:
    """Returns the picks of changes that are as they were planned; a later state may have more."""
    now, then = ({} if one is None else one.generations() for one in (state, planned.before))
    return {
        change: part
        for change, part in planned.picks.items()
        if change in now and (whatever or now[change] == then.get(change))
    }
