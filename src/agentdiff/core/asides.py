"""What waits on each path: the states that were put aside, and which of them are kept.

Owns order and limits, the same live and when a log is replayed.  Must not say what is worth to be
put aside, nor what comes back: `agentdiff.core.parking` does.  Hop 4.

Several changes may wait on one path: one that was stashed, and another one that went just now.  Of
one change the newest is kept that has text, and the newest that has none (an emptied file, a link):
that one says only who did that.  The changes of a path are in the order in which they went.  What
was decided waits no more, until the decision is undone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from agentdiff.core.codec import Json, decode_ref, origin_of
from agentdiff.core.entries import ABSENT_REF, Ref
from agentdiff.core.pathstate import PathState
from agentdiff.core.records import DecisionItem, PathParked
from agentdiff.core.settled import Settled, Verdict

T = TypeVar("T")
U = TypeVar("U")

MAX_PATHS = 4096
MAX_EACH = 3
MAX_BYTES = 32 << 20


@dataclass(frozen=True, slots=True)
class Aside(Generic[T]):
    """A state that was put aside, live or in stored shape.

    Attributes:
        state: what pended.
        since: see `agentdiff.core.records.PathParked.since`.
        at: number of the record by which it was put aside.
        ids: everything that can be decided on it.
        sides: what is left at the path when all of it is rejected, and what it held.
        has_text: whether it held lines.
        size: how many bytes of content it stands for.
    """

    state: T
    since: int
    at: int
    ids: frozenset[int]
    sides: tuple[Ref, Ref]
    has_text: bool
    size: int

    def is_newer(self, seq: int) -> bool:
        """Whether it pended only after a record; what never did itself, when it was put aside."""
        return (self.since or self.at) > seq


class Asides(Generic[T]):
    """The states that were put aside; the path that was put aside longest ago is given up first.

    What was decided counts, and is given up before all others.
    """

    def __init__(self) -> None:
        self._of: dict[bytes, tuple[Aside[T], ...]] = {}
        self._settled = Settled[tuple[Aside[T], ...]]()
        self._bytes = 0

    def __contains__(self, path: bytes) -> bool:
        return path in self._of

    def __bool__(self) -> bool:
        return bool(self._of)

    def of(self, path: bytes) -> Sequence[Aside[T]]:
        """Returns what waits on a path, what counts most first."""
        return self._of.get(path, ())[::-1]

    def all(self) -> list[Aside[T]]:
        """Returns everything, also what waits only when a decision is undone."""
        return [one for some in (*self._of.values(), *self._settled.values()) for one in some]

    def put(self, path: bytes, new: Aside[T]) -> None:
        """Keeps a state; content that is too long for all room is not kept."""
        older = [one for one in self._of.get(path, ()) if not _replaces(new, one)]
        others = [one for one in older if one.ids.isdisjoint(new.ids)]
        same = [one for one in older if not one.ids.isdisjoint(new.ids)]
        self._keep(path, [*others, new, *same][-MAX_EACH:], last=True)
        self._trim()

    def decided(self, item: DecisionItem, verdict: Verdict) -> None:
        """Forgets what a decision was about, and remembers what its opposite was about."""
        ids, here = ids_of(item.before), self._of.get(item.path, ())
        left = [one for one in here if one.ids.isdisjoint(ids)]
        gone = tuple(one for one in here if not one.ids.isdisjoint(ids))
        back = self._settled.turn(verdict, item.path, gone or None) or ()
        self._bytes += _size(gone) - _size(back)
        older = [one for one in back if not any(_replaces(new, one) for new in left)]
        for one in older:
            newest = max(other.at for other in older if not one.ids.isdisjoint(other.ids))
            later = (n for n, other in enumerate(left) if other.at > newest)
            left.insert(next(later, len(left)), one)
        self._keep(item.path, left[-MAX_EACH:])
        self._trim()

    def settled(self, verdict: Verdict, path: bytes) -> Sequence[Aside[T]]:
        """Returns what a verdict has settled on a path, oldest first."""
        return self._settled.get(verdict, path) or ()

    def mistaken(self, path: bytes, since: int) -> None:
        """Forgets what was put aside on a path, where it pended only after a record."""
        self._keep(path, [one for one in self._of.get(path, ()) if not one.is_newer(since)])

    def loaded(self, load: Callable[[T], U | None]) -> Asides[U]:
        """Returns the same with other states, without those of which there is none any more."""

        def every(waiting: tuple[Aside[T], ...]) -> tuple[Aside[U], ...]:
            states = [(one, load(one.state)) for one in waiting]
            return tuple(
                Aside(state, one.since, one.at, one.ids, one.sides, one.has_text, one.size)
                for one, state in states
                if state is not None
            )

        found = Asides[U]()
        for path, waiting in self._of.items():
            found._keep(path, every(waiting), last=True)
        found._settled = self._settled.mapped(every)
        found._bytes = _size(found.all())
        return found

    def _trim(self) -> None:
        while len(self._of) + len(self._settled) > MAX_PATHS or self._bytes > MAX_BYTES:
            if self._settled:
                self._bytes -= _size(self._settled.forget_oldest())
                continue
            oldest, waiting = next(iter(self._of.items()))
            self._keep(oldest, waiting[1:])

    def _keep(self, path: bytes, waiting: Sequence[Aside[T]], *, last: bool = False) -> None:
        was = self._of.pop(path, ()) if last or not waiting else self._of.get(path, ())
        self._bytes += _size(waiting) - _size(was)
        if waiting:
            self._of[path] = tuple(waiting)


def _size(waiting: Iterable[Aside[T]]) -> int:
    return sum(one.size for one in waiting)


def _replaces(new: Aside[T], old: Aside[T]) -> bool:
    """Whether a state is the newer one of the same change, or nobody could tell which comes back.

    What has no text tells nothing of what had been there: both wait.
    """
    same = not new.ids.isdisjoint(old.ids)
    return new.sides == old.sides or (same and (new.has_text or not old.has_text))


def aside_of(state: PathState, since: int, at: int) -> Aside[PathState]:
    """Returns a live state as it waits."""
    sides = state.rest.ref(), state.cur.ref()
    kinds = {one.kind for one in state.meta}
    size = state.base.ref().size + sides[1].size
    text = _has_text(sides[1], bool(state.hunks), kinds)
    return Aside(state, since, at, frozenset(state.ids), sides, text, size)


def stored_aside(parked: PathParked, at: int) -> Aside[Json]:
    """Returns as it waits what a record, number `at`, which has a state, says was put aside."""
    stored = parked.state
    assert stored is not None
    base, cur = decode_ref(stored["base"]), decode_ref(stored["cur"])
    sides = base if origin_of(stored) is None else ABSENT_REF, cur
    kinds = {one[2] for one in stored["meta"]}
    text = _has_text(cur, bool(stored["hunks"]), kinds)
    ids, size = frozenset(ids_of(stored)), base.size + cur.size
    return Aside(stored, parked.since, at, ids, sides, text, size)


def _has_text(cur: Ref, hunks: bool, kinds: Collection[str]) -> bool:
    """Whether a content has lines, as far as a state says so without it."""
    binary = not hunks and not {"binary", "created"}.isdisjoint(kinds)
    return cur.kind == "file" and cur.size > 0 and not binary


def ids_of(stored: Json | None) -> set[int]:
    """Returns every id that can be decided on a stored state."""
    return set() if stored is None else {one[0] for one in (*stored["hunks"], *stored["meta"])}
