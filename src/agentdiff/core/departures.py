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

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from agentdiff.core.entries import File
from agentdiff.core.owners import Owner
from agentdiff.core.pathstate import PathState
from agentdiff.core.renames import SIMILAR, author, similarity

# A directory of unrelated files moved and rewritten at once is not worth comparing pair by pair.
MAX_COMPARISONS = 2_500


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
    def key(self) -> bytes:
        """What is spent when it has arrived: a deletion is half of one rename."""
        return self.path if self.old is None else self.old.path


def find_moves(
    departures: Sequence[Departure],
    arrivals: Mapping[bytes, PathState],
    moves: Mapping[bytes, bytes],
) -> list[tuple[Departure, PathState]]:
    """Returns what arrived where, at most one partner each.

    Args:
        departures: everything that went and has not arrived yet.
        arrivals: path → state of what may have come: a file, and not paired.
        moves: new path → old path, as a tool call announced it.
    """
    here = dict(arrivals)
    left = {departure.key for departure in departures}
    found: list[tuple[Departure, PathState]] = []
    for departure, path in _matches(departures, here, left, moves):
        if departure.key in left and path in here:
            left.discard(departure.key)
            found.append((departure, here.pop(path)))
    return found


def _matches(
    departures: Sequence[Departure],
    here: Mapping[bytes, PathState],
    left: set[bytes],
    moves: Mapping[bytes, bytes],
) -> Iterator[tuple[Departure, bytes]]:
    """Yields pairs, the surest first; `here` and `left` shrink as they are taken."""
    yield from _announced(departures, here, moves)
    by_content: dict[str, list[Departure]] = {}
    for departure in departures:
        by_content.setdefault(departure.content.oid, []).append(departure)
    for path, state in list(here.items()):
        same = by_content.get(_file(state).oid, [])
        # Of several equal files the one whose name, and folder, is the same.
        for one in sorted(same, key=lambda one: -_same_end(one.path, path)):
            if one.key in left and path in here and _gives(one, state) and _related(one, state):
                yield one, path
    rest = [one for one in departures if one.key in left]
    if len(rest) * len(here) > MAX_COMPARISONS:
        return
    scored = [
        (score, departure, path)
        for departure in rest
        for path, state in here.items()
        if _may_be_edited(departure, state)
        and _related(departure, state)
        and (score := similarity(departure.content.data, _file(state).data)) >= SIMILAR
    ]
    for _, departure, path in sorted(scored, key=lambda one: -one[0]):
        yield departure, path


def _announced(
    departures: Sequence[Departure], here: Mapping[bytes, PathState], moves: Mapping[bytes, bytes]
) -> Iterator[tuple[Departure, bytes]]:
    """Yields what a tool call said: however different the new content is."""
    for new, old in moves.items():
        if new not in here:
            continue
        cur = _file(here[new])
        said = [one for one in departures if old in (one.path, one.key) and _gives(one, here[new])]
        for one in sorted(said, key=lambda one: -similarity(one.content.data, cur.data)):
            yield one, new


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
    return state.status == "created" or departure.was is not None


def _may_be_edited(departure: Departure, state: PathState) -> bool:
    """Whether a content that is merely like it may be what went."""
    if departure.path == state.path:
        return False
    if departure.was is not None and departure.was.origin == state.path:
        return True  # renamed, and back at its old path
    if state.status != "created":
        return False
    if departure.old is not None:
        return True
    call = None if departure.by is None else departure.by.tool_call
    return any(owner.tool_call == call for change in state.meta for owner in change.owners)


def _related(departure: Departure, state: PathState) -> bool:
    """Whether the same author can have done both."""
    owners = [] if departure.by is None else [departure.by]
    if departure.old is not None:
        owners += [owner for change in departure.old.meta for owner in change.owners]
    new = [owner for change in state.changes().values() for owner in change.owners]
    here = {author(owner) for owner in new if not owner.proved}
    return not here.isdisjoint(author(owner) for owner in owners)
