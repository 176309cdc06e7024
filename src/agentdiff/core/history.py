"""What the log tells of paths since a decision, for its undo.

Owns the choice of the steps that count, out of records.  Must not read the log (hop 5 gives the
records and loads contents) nor decide what they mean (`agentdiff.core.turning` does).  Hop 4.

What was seen may have been mistaken at first, and given again: the later record says so, and what
it supersedes is no step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TypeAlias

from agentdiff.core.codec import decode_state, origin_of
from agentdiff.core.entries import ABSENT_REF, Entry, Ref
from agentdiff.core.events import LoadedItem, Step
from agentdiff.core.owners import USER, Owner
from agentdiff.core.records import (
    DecisionItem,
    DecisionMade,
    DecisionTurned,
    PathChanged,
    Record,
    states_of,
)

_Told: TypeAlias = tuple[Ref, Owner, str]
_Numbered: TypeAlias = tuple[int, PathChanged | DecisionMade | DecisionTurned]


class History:
    """The records of paths after a record, by path.

    Args:
        seq: number of that record.
        later: (number, record) of what changed paths since, oldest first.
    """

    def __init__(self, seq: int, later: Iterable[tuple[int, Record]]) -> None:
        self._seq = seq
        self._of: dict[bytes, list[_Numbered]] = {}
        origins: dict[bytes, bytes | None] = {}
        for at, record in later:
            if isinstance(record, PathChanged | DecisionMade | DecisionTurned):
                for path, state in states_of(record).items():
                    self._of.setdefault(path, []).append((at, record))
                    origins[path] = None if state is None else origin_of(state)
        self._renamed = {origin: path for path, origin in origins.items() if origin is not None}

    def told(self, path: bytes, left: Ref) -> list[_Told] | None:
        """Returns (content, author, coverage) of each change of a path, from what was left there.

        None when a decision was among that, or when a change starts from what was before.  A
        decision that was undone before anything else happened to the path counts for nothing.
        """
        changes: list[tuple[int, PathChanged]] = []
        made: list[tuple[int, int]] = []
        for at, record in self._of.get(path, ()):
            if isinstance(record, PathChanged):
                since = at if record.since is None else record.since
                if since < self._seq:
                    return None
                changes = [one for one in changes if one[0] <= since]
                changes.append((at, record))
                continue
            mark = (record.decision, changes[-1][0] if changes else self._seq)
            if isinstance(record, DecisionMade) or not record.undone:
                made.append(mark)
            elif made[-1:] == [mark]:
                made.pop()
            else:
                return None
        return None if made else _steps(left, [record for _, record in changes])

    def told_elsewhere(self, path: bytes, here: Sequence[_Told]) -> list[_Told] | None:
        """Returns what happened at a path (`here`) and then at the one that it was renamed to."""
        to = self._renamed.get(path)
        there = None if to is None else self.told(to, ABSENT_REF)
        if there is None:
            return None
        known = list(here)
        while known and known[-1][0] == ABSENT_REF:
            known.pop()
        return known + there


def recalled(
    item: DecisionItem,
    load: Callable[[Ref], Entry],
    history: History | None = None,
    *,
    redo: bool = False,
) -> LoadedItem:
    """Returns a decision's path with its states and contents.

    Args:
        item: what the decision did to the path.
        load: brings the content that a ref names.
        history: of what happened since; None when it does not matter.
        redo: whether the decision is undone, so that the path was left as the item has it before.
    """
    here = moved = None
    if history is not None:
        here = history.told(item.path, item.cur_before if redo else item.cur_after)
        moved = None if here is None else history.told_elsewhere(item.path, here)

    def steps(told: Sequence[_Told] | None) -> tuple[Step, ...] | None:
        if told is None:
            return None
        return tuple(
            Step(after=load(after), owner=owner, coverage=coverage)
            for after, owner, coverage in told
        )

    return LoadedItem(
        path=item.path,
        before=decode_state(item.before, load),
        after=decode_state(item.after, load),
        cur_before=load(item.cur_before),
        cur_after=load(item.cur_after),
        since=steps(here),
        moved=steps(moved),
    )


def _steps(left: Ref, changes: Sequence[PathChanged]) -> list[_Told]:
    """Returns the steps of changes that follow each other, from the content that was left."""
    out: list[_Told] = []
    known = left
    for change in changes:
        if change.since is None and change.before != known:
            # While nothing was under review the base followed the disk: as if a person had saved.
            out.append((change.before, USER, "exact"))
        coverage = "exact" if change.state is None else change.state["coverage"]
        steps = change.steps or ((change.after, change.owner),)
        out += [(after, owner, coverage) for after, owner in steps]
        if change.before == change.after and change.owner.evidence == "exact":
            # The agent's own account came after its writing (`agentdiff.core.confirming`).
            out = [(after, _confirmed(owner, change.owner), how) for after, owner, how in out]
        known = change.after
    return out


def _confirmed(owner: Owner, by: Owner) -> Owner:
    return by if owner == replace(by, evidence="likely") and by.tool_call is not None else owner
