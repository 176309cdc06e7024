"""What decisions have settled, and what therefore nobody remembers until they are turned back.

Owns that it comes back with an undo.  Must not know what it is.  Hop 4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from agentdiff.core.records import DecisionMade, DecisionTurned

T = TypeVar("T")

U = TypeVar("U")


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision as it was made, or turned."""

    decision: int
    undone: bool


def verdict_of(record: DecisionMade | DecisionTurned) -> Verdict:
    """Returns what a record did; a redo does what the decision had done."""
    undone = isinstance(record, DecisionTurned) and record.undone
    return Verdict(record.decision, undone)


class Settled(Generic[T]):
    """What each decision has settled on each path; whoever has one sees to its size."""

    def __init__(self) -> None:
        self._of: dict[tuple[Verdict, bytes], T] = {}

    def __len__(self) -> int:
        return len(self._of)

    def values(self) -> list[T]:
        """Returns everything that was settled, oldest first."""
        return list(self._of.values())

    def get(self, verdict: Verdict, path: bytes) -> T | None:
        """Returns what a verdict has settled on a path."""
        return self._of.get((verdict, path))

    def turn(self, verdict: Verdict, path: bytes, settled: T | None) -> T | None:
        """Keeps what a verdict settles, and returns what its opposite had.

        Args:
            verdict: what was decided on the path.
            path: the path.
            settled: what nobody remembers from now on; None for nothing.
        """
        back = self._of.pop((Verdict(verdict.decision, not verdict.undone), path), None)
        if settled is not None:
            self._of[verdict, path] = settled
        return back

    def mapped(self, change: Callable[[T], U]) -> Settled[U]:
        """Returns the same of something else."""
        found = Settled[U]()
        found._of = {key: change(one) for key, one in self._of.items()}
        return found

    def forget_oldest(self) -> T:
        """Gives up what was settled longest ago, and returns it."""
        return self._of.pop(next(iter(self._of)))
