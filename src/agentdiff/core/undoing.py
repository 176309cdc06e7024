"""What each client can undo and redo, and in which order.

Owns the two stacks of every client, and what of a decision is in effect.  Must not plan or write.
Hop 4: folded from records by `agentdiff.core.ledger`.

Theory.  A step is what one undo or redo turns: a decision, or what was left of it when an earlier
step turned it on some of its paths only.  What is refused goes under everything else of its stack,
or nobody could undo an older decision; it comes again when those are done.  A redo turns exactly
what one undo has turned.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from agentdiff.core.records import DecisionMade, DecisionTurned


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoStep:
    """What one undo, or one redo, would turn.

    Attributes:
        made: the decision, with the items of this step only.
        since: number of the record that did this last.
    """

    made: DecisionMade
    since: int


class Turns:
    """The decisions of one workspace that can be turned; changed only by `made` and `turned`."""

    def __init__(self) -> None:
        # By client; what is turned next is at the end.
        self._done: dict[str, list[UndoStep]] = {}
        self._undone: dict[str, list[UndoStep]] = {}

    def made(self, record: DecisionMade, seq: int) -> None:
        """Folds a decision; one of which nothing was done (a crash came first) is none."""
        if record.items:
            self._done.setdefault(record.client, []).append(UndoStep(made=record, since=seq))
            self._undone.pop(record.client, None)

    def turned(self, record: DecisionTurned, client: str, seq: int) -> None:
        """Folds an undo or a redo of a decision of that client."""
        source = self._done.setdefault(client, [])
        target = self._undone.setdefault(client, [])
        # What it did to paths that had moved on is what can be turned again.
        items = tuple(item.swapped() for item in record.items) if record.undone else record.items
        if not record.undone:
            source, target = target, source
        at = max(n for n, step in enumerate(source) if step.made.decision == record.decision)
        step, paths = source.pop(at), {item.path for item in items}
        left = tuple(item for item in step.made.items if item.path not in paths)
        if items:
            target.append(UndoStep(made=replace(step.made, items=items), since=seq))
        if left:
            # An interruption is no refusal: that stays in its place.
            source.insert(
                0 if record.refused else at, replace(step, made=replace(step.made, items=left))
            )

    def target(self, client: str, *, redo: bool) -> UndoStep | None:
        """Returns what a client's undo (or redo) would turn, None for nothing."""
        steps = self.left(client, redo=redo)
        return steps[-1] if steps else None

    def left(self, client: str, *, redo: bool) -> list[UndoStep]:
        """Returns all that a client can undo (or redo); the last comes first."""
        return list((self._undone if redo else self._done).get(client, ()))

    def in_effect(self) -> list[DecisionMade]:
        """Returns what is not undone, newest decision first, one with several steps several times.

        Newest is the one that was made last, whatever was undone and redone since.
        """
        standing = [step.made for steps in self._done.values() for step in steps]
        return sorted(standing, key=lambda made: made.decision, reverse=True)
