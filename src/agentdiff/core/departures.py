"""What left its path, and where it arrived.

Owns the matching of contents that went with contents that came.  Must not change a state
(`agentdiff.core.renames` does) nor know a ledger.  Hop 4, called by `agentdiff.core.pairing`.

Theory.  A move is seen as two changes: a path holds nothing any more, and another one holds what it
had.  Whose the lines are is known only at the old path, and only until it is empty.  So what went
is kept as a `Departure`, with the state that it had, and whatever comes is compared with that and
not with the base alone: the two may have few lines in common.  Who took a content away must be who
brought it.  The same bytes are a move however long that took; a content that is merely like
another one is that of a pending deletion, or of the same call.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from agentdiff.core.entries import File
from agentdiff.core.owners import Owner
from agentdiff.core.pathstate import PathState
from agentdiff.core.renames import SIMILAR, author, hides_typed, similarity

# A directory of unrelated files moved and rewritten at once is not worth comparing pair by pair.
MAX_COMPARISONS = 2_500

_Author: TypeAlias = tuple[str, str | None, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """A content that is at its path no more.

    Attributes:
        path: where it was last.
        content: what it was.
        old: the deletion that pends for it, at `path` or at the origin of what was renamed to
            there; None where nothing was before.
        was: what pended on it, None when it was the base.
        by: who took it away, None where that is not known any more.
    """

    path: bytes
    content: File
    old: PathState | None
    was: PathState | None
    by: Owner | None

    @property
    def origin(self) -> bytes | None:
        """The path that is half of a rename when it has arrived, and can be that once only."""
        return None if self.old is None else self.old.path

    @property
    def pended(self) -> bytes | None:
        """The path whose pending content it is, and which arrives once only."""
        return None if self.was is None else self.path


@dataclass(frozen=True, slots=True)
class Gone:
    """A path that holds no line any more: by whom, and whether something pended and was parked."""

    by: Owner
    parked: bool


@dataclass(frozen=True, slots=True)
class Arrived:
    """Where something that went has arrived, and by which record."""

    path: bytes
    gone: Gone
    seq: int


@dataclass(frozen=True, slots=True)
class Replaced:
    """What pended on a path that got another content in this reading, and by whom it did."""

    was: PathState
    by: Owner


@dataclass(frozen=True, slots=True)
class Known:
    """What was known of a path until it was decided."""

    gone: Gone | None
    arrived: Mapping[bytes, Arrived]

    def __bool__(self) -> bool:
        return bool(self.gone or self.arrived)


def find_moves(
    departures: Sequence[Departure],
    arrivals: Mapping[bytes, PathState],
    moves: Mapping[bytes, bytes],
    fresh: Mapping[bytes, Owner],
    last: Mapping[bytes, Owner],
    news: Collection[bytes] | None = None,
) -> list[tuple[Departure, PathState]]:
    """Returns what arrived where, at most one partner each.

    Args:
        departures: everything that went and has not arrived yet.
        arrivals: path → state of what may have come: a file, and not paired.
        moves: new path → old path, as a tool call announced it.
        fresh: path → who changed it in this reading.
        last: path → who changed it last and is no proved writer, as far as that is known.
        news: the paths of which something else pends since the last look; all others were compared
            with each other already.  None when they were not.
    """
    here = dict(arrivals)
    open_ = _Open({one.origin for one in departures}, {one.pended for one in departures})
    found: list[tuple[Departure, PathState]] = []
    for departure, path in _matches(departures, here, open_, moves, fresh, last, news):
        left = open_.left(departure)
        if left is not None and path in here:
            left = _without_typed(left, here[path])
        if left is not None and path in here and _gives(left, here[path]):
            open_.spend(left)
            found.append((left, here.pop(path)))
    return found


def _without_typed(departure: Departure, state: PathState) -> Departure | None:
    """Returns what is left of a departure where a rename would hide a line of the user's."""
    if departure.old is None or not hides_typed(state, departure.old.base):
        return departure
    return None if departure.was is None else replace(departure, old=None)


@dataclass(frozen=True, slots=True)
class _Open:
    """What is not matched yet."""

    origins: set[bytes | None]
    pended: set[bytes | None]

    def left(self, departure: Departure) -> Departure | None:
        """Returns what is left of a departure: without its deletion if another one has that."""
        if departure.pended not in self.pended:
            return None
        if departure.origin in self.origins:
            return departure
        return None if departure.was is None else replace(departure, old=None)

    def spend(self, departure: Departure) -> None:
        """Takes out what has arrived; of each there is one, and of nothing there is enough."""
        self.origins.discard(departure.origin or b"")
        self.pended.discard(departure.pended or b"")


def _matches(
    departures: Sequence[Departure],
    here: Mapping[bytes, PathState],
    open_: _Open,
    moves: Mapping[bytes, bytes],
    fresh: Mapping[bytes, Owner],
    last: Mapping[bytes, Owner],
    news: Collection[bytes] | None,
) -> Iterator[tuple[Departure, bytes]]:
    """Yields pairs, the surest first; `here` and `open_` shrink as they are taken."""
    yield from _announced(departures, here, moves)
    by_content: dict[str, list[Departure]] = {}
    for departure in departures:
        by_content.setdefault(departure.content.oid, []).append(departure)
    # What came just now has it, and not what was there before.
    for path, state in sorted(here.items(), key=lambda one: one[0] not in fresh):
        same = by_content.get(_file(state).oid, [])
        # Of several equal files what went just now, and has the same name, and folder.
        for one in sorted(
            same, key=lambda one: (one.path not in fresh, -_same_end(one.path, path))
        ):
            fits = is_news(one, path, news) and _gives(one, state) and _related(one, state, last)
            if path in here and fits:
                yield one, path
    rest = [left for one in departures if (left := open_.left(one)) is not None]
    yield from _alike(rest, here, fresh, last, news)


def _alike(
    departures: Sequence[Departure],
    here: Mapping[bytes, PathState],
    fresh: Mapping[bytes, Owner],
    last: Mapping[bytes, Owner],
    news: Collection[bytes] | None,
) -> Iterator[tuple[Departure, bytes]]:
    """Yields what has at least half of its lines in common, the most alike first."""
    # Files that were there before, and that nobody wrote just now, nor the call that took something
    # away, are compared by content only.
    calls = {one.by.tool_call for one in departures if one.by is not None} - {None}
    likely = [
        one
        for one in here.values()
        if one.status == "created"
        or one.path in fresh
        or (one.path in last and last[one.path].tool_call in calls)
    ]
    came = [one for one in likely if news is None or one.path in news]
    known = [one for one in likely if not (news is None or one.path in news)]
    went = [one for one in departures if is_news(one, None, news)]
    compared = [(came, departures), (known, went)]
    if _count(compared) > MAX_COMPARISONS:
        compared = [(came, went)]  # what happened just now, however much waits for a review
    if _count(compared) > MAX_COMPARISONS:
        return
    scored = [
        (score, departure, state.path)
        for arrivals, some in compared
        for state, writers in [(one, _writers(one, last)) for one in arrivals]
        for departure in some
        if _may_be_edited(departure, state, fresh)
        and not writers.isdisjoint(_takers(departure))
        and (score := similarity(departure.content.data, _file(state).data)) >= SIMILAR
    ]
    for _, departure, path in sorted(scored, key=lambda one: -one[0]):
        yield departure, path


def _count(compared: Sequence[tuple[Sequence[PathState], Sequence[Departure]]]) -> int:
    return sum(len({one.path for one in some}) * len(arrivals) for arrivals, some in compared)


def is_news(departure: Departure, path: bytes | None, news: Collection[bytes] | None) -> bool:
    """Whether a departure and a path, if there is one, were not compared as they are."""
    if news is None or departure.path in news or departure.origin in news:
        return True
    return path in news


def _announced(
    departures: Sequence[Departure], here: Mapping[bytes, PathState], moves: Mapping[bytes, bytes]
) -> Iterator[tuple[Departure, bytes]]:
    """Yields what a tool call said: however different the new content is."""
    for new, old in moves.items():
        if new not in here:
            continue
        cur = _file(here[new])
        said = [
            one for one in departures if old in (one.path, one.origin) and _gives(one, here[new])
        ]
        by_likeness = [(_unlikely(one, old, cur), one) for one in said]
        for _, one in sorted(by_likeness, key=lambda scored: scored[0]):
            yield one, new


def _unlikely(departure: Departure, old: bytes, new: File) -> tuple[bool, float, bool]:
    """Returns what sorts that first which, as a tool call said, was moved from a path."""
    # Less than `SIMILAR` says nothing; then what pended there has gone, and not its base.
    score = similarity(departure.content.data, new.data)
    return departure.path != old, -score if score >= SIMILAR else 0.0, departure.was is None


def _file(state: PathState) -> File:
    assert isinstance(state.cur, File)
    return state.cur


def _same_end(old: bytes, new: bytes) -> int:
    """Returns how many names two paths have in common, from the end."""
    count = 0
    for one, other in zip(reversed(old.split(b"/")), reversed(new.split(b"/")), strict=False):
        if one != other:
            break
        count += 1
    return count


def _gives(departure: Departure, state: PathState) -> bool:
    """Whether an arrival learns anything: one that stands on a base of its own has no origin."""
    return departure.was is not None or (departure.old is not None and state.status == "created")


def _may_be_edited(departure: Departure, state: PathState, fresh: Mapping[bytes, Owner]) -> bool:
    """Whether a content that is merely like it may be what went."""
    new, by = state.status == "created", departure.by
    if departure.path == state.path:
        return False
    if departure.old is not None and new:
        return True
    # Where no deletion is open likeness is no proof for long: at least one half is seen just now.
    writer = fresh.get(state.path)
    if by is None or (
        departure.path not in fresh and (writer is None or author(writer) != author(by))
    ):
        return False
    if departure.was is not None and departure.was.origin == state.path:
        return True  # renamed, and back at its old path
    if by.tool_call is None and not new:
        return False
    changes = state.changes().values()
    return any(owner.tool_call == by.tool_call for change in changes for owner in change.owners)


def _related(departure: Departure, state: PathState, last: Mapping[bytes, Owner]) -> bool:
    """Whether the same author can have done both."""
    return not _writers(state, last).isdisjoint(_takers(departure))


def _takers(departure: Departure) -> list[_Author]:
    """Returns who may have taken a content away: of one that had been renamed, whoever did it."""
    owners = [] if departure.by is None else [departure.by]
    old = departure.old
    if old is not None and (old.path == departure.path or not owners):
        owners += [owner for change in old.meta for owner in change.owners]
    return [author(owner) for owner in owners]


def _writers(state: PathState, last: Mapping[bytes, Owner]) -> set[_Author]:
    """Returns who may have brought what is there: also one of whom nothing pends there."""
    owners = [owner for change in state.changes().values() for owner in change.owners]
    owners += [last[state.path]] if state.path in last else []
    return {author(owner) for owner in owners if not owner.proved}
