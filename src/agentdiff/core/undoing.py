"""What each client can undo and redo, and in which order.

Owns the two stacks of every client, and what of a decision is in effect.  Must not plan or write.
Hop 4: folded from records by `agentdiff.core.ledger`.

Theory.  A decision that was turned on some of its paths only is in both stacks: what was done in
one, what was refused in the other.  What is refused goes under everything else of its stack, or
nobody could undo an older decision; it comes again when those are done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from agentdiff.core.records import DecisionItem, DecisionMade, DecisionTurned


@dataclass(frozen=True, slots=True, kw_only=True)
class Turnable:
    """What of a decision one undo, or one redo, would turn.

    Attributes:
        made: the decision with these items only.
        since: path → number of the record that last did this to it.
    """

    made: DecisionMade
    since: Mapping[bytes, int]

    def without(self, paths: frozenset[bytes]) -> Turnable | None:
        """Returns what is left of it, None for nothing."""
        items = tuple(item for item in self.made.items if item.path not in paths)
        return replace(self, made=replace(self.made, items=items)) if items else None

    def joined(self, items: tuple[DecisionItem, ...], seq: int) -> Turnable:
        """Returns it with items that the record `seq` added."""
        since = {**self.since, **{item.path: seq for item in items}}
        return Turnable(made=replace(self.made, items=self.made.items + items), since=since)


_Stack: TypeAlias = dict[int, Turnable]
"""By decision, the one that is turned next at the end."""


class Turns:
    """The decisions of one workspace that can be turned; changed only by `made` and `turned`."""

    def __init__(self) -> None:
        self._done: dict[str, _Stack] = {}
        self._undone: dict[str, _Stack] = {}

    def made(self, record: DecisionMade, seq: int) -> None:
        """Folds a decision; one of which nothing was done (a crash came first) is none."""
        if record.items:
            nothing = Turnable(made=replace(record, items=()), since={})
            stack = self._done.setdefault(record.client, {})
            stack[record.decision] = nothing.joined(record.items, seq)
            self._undone.pop(record.client, None)

    def turned(self, record: DecisionTurned, made: DecisionMade, seq: int) -> None:
        """Folds an undo or a redo of the decision `made`."""
        source = self._done.setdefault(made.client, {})
        target = self._undone.setdefault(made.client, {})
        # What it did to paths that had moved on is what can be turned again.
        items = tuple(item.swapped() for item in record.items) if record.undone else record.items
        if not record.undone:
            source, target = target, source
        if items:
            nothing = Turnable(made=replace(made, items=()), since={})
            target[made.decision] = target.pop(made.decision, nothing).joined(items, seq)
        turnable = source.get(made.decision)
        rest = turnable and turnable.without(frozenset(item.path for item in items))
        if rest is None:
            source.pop(made.decision, None)
        elif not record.refused:
            source[made.decision] = rest  # in its place: an interruption is no refusal
        else:
            others = {number: one for number, one in source.items() if number != made.decision}
            source.clear()
            source.update({made.decision: rest, **others})

    def target(self, client: str, *, redo: bool) -> Turnable | None:
        """Returns what a client's undo (or redo) would turn, None for nothing."""
        stack = self.left(client, redo=redo)
        return stack[-1] if stack else None

    def left(self, client: str, *, redo: bool) -> list[Turnable]:
        """Returns all that a client can undo (or redo); the last comes first."""
        return list((self._undone if redo else self._done).get(client, {}).values())

    def in_effect(self) -> list[DecisionMade]:
        """Returns the decisions that are not undone, with what is in effect of each, newest first.

        Newest is the one that was made last, whatever was undone and redone since.
        """
        standing = [one.made for stack in self._done.values() for one in stack.values()]
        return sorted(standing, key=lambda made: made.decision, reverse=True)
