"""What each client can undo and redo, and in which order.

Owns the two stacks of every client, and what of a decision is in effect.  Must not plan or write.
Hop 4: folded from records by `agentdiff.core.ledger`.

Theory.  A step is what one undo or redo turns: a decision, or what was left of it when an earlier
step turned it on some of its paths only.  What is refused goes under everything else of its stack,
or nobody could undo an older decision; it comes again when those are done.  A redo turns exactly
what one undo has turned.

Every decision can be undone for as long as its log is there, but its items (states of thousands of
hunks) stay in the log: a step knows the record that has them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from agentdiff.core.records import DecisionItem, DecisionMade, DecisionTurned

Turning: TypeAlias = DecisionMade | DecisionTurned


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoStep:
    """What one undo, or one redo, would turn.

    Attributes:
        decision: id of the decision.
        since: number of the record that did this last, and that has the items.
        size: of how many paths this is.
        without: those paths of the record that it is not of.
        wrote: whether the record wrote to disk.
    """

    decision: int
    since: int
    size: int
    wrote: bool
    without: frozenset[bytes] = frozenset()

    def items(self, record: Turning) -> tuple[DecisionItem, ...]:
        """Returns what it turns, as the decision did it, given the record `since`."""
        kept = (item for item in record.items if item.path not in self.without)
        # What an undo did to paths that had moved on is what can be turned again.
        undone = isinstance(record, DecisionTurned) and record.undone
        return tuple(item.swapped() if undone else item for item in kept)


class Turns:
    """The decisions of one workspace that can be turned; changed only by `made` and `turned`."""

    def __init__(self) -> None:
        # By client; what is turned next is at the end.
        self._done: dict[str, list[UndoStep]] = {}
        self._undone: dict[str, list[UndoStep]] = {}

    def made(self, record: DecisionMade, seq: int) -> None:
        """Folds a decision; one of which nothing was done (a crash came first) is none."""
        if record.items:
            self._done.setdefault(record.client, []).append(_step(record, seq))
            self._undone.pop(record.client, None)

    def turned(self, record: DecisionTurned, client: str, seq: int) -> None:
        """Folds an undo or a redo of a decision of that client.

        What a hole in the log has taken cannot be turned, and is passed over.
        """
        source = self._done.setdefault(client, [])
        target = self._undone.setdefault(client, [])
        if not record.undone:
            source, target = target, source
        found = [n for n, step in enumerate(source) if step.decision == record.decision]
        if not found:
            return
        step, paths = source.pop(found[-1]), {item.path for item in record.items}
        if paths:
            target.append(_step(record, seq))
        size = step.size - len(paths) if record.left is None else record.left
        if size > 0:
            left = replace(step, size=size, without=step.without | paths)
            # An interruption is no refusal: that stays in its place.
            source.insert(0 if record.refused else found[-1], left)

    def target(self, client: str, *, redo: bool) -> UndoStep | None:
        """Returns what a client's undo (or redo) would turn, None for nothing."""
        steps = self.left(client, redo=redo)
        return steps[-1] if steps else None

    def left(self, client: str, *, redo: bool) -> list[UndoStep]:
        """Returns all that a client can undo (or redo); the last comes first."""
        return list((self._undone if redo else self._done).get(client, ()))

    def in_effect(self) -> list[UndoStep]:
        """Returns what is not undone, newest decision first, one with several steps several times.

        Newest is the one that was made last, whatever was undone and redone since.
        """
        standing = [step for steps in self._done.values() for step in steps]
        return sorted(standing, key=lambda step: step.decision, reverse=True)


def _step(record: Turning, seq: int) -> UndoStep:
    return UndoStep(
        decision=record.decision,
        since=seq,
        size=len(record.items),
        wrote=any(item.cur_before != item.cur_after for item in record.items),
    )
