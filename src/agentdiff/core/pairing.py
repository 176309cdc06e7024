"""What was moved among what pends: which pairs there are now, and which have come apart.

Owns the pairs of a ledger, and what went without having arrived.  Must not decide what is a move
(`agentdiff.core.departures`), what a pair is (`agentdiff.core.renames`) nor who wrote what.  Hop 4,
called by `agentdiff.core.observer`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agentdiff.core import renames
from agentdiff.core.commands import Command, Publish
from agentdiff.core.departures import Departure, find_moves
from agentdiff.core.entries import ABSENT, ABSENT_REF, Absent, Entry, File
from agentdiff.core.owners import Owner
from agentdiff.core.pathstate import PathState, lines_of
from agentdiff.core.records import DecisionMade, DecisionTurned, PathChanged, PathParked, Record

if TYPE_CHECKING:
    from agentdiff.core.ledger import Ledger


@dataclass(frozen=True, slots=True)
class _Gone:
    """A path that holds nothing any more: by whom, and whether something pended and was parked."""

    by: Owner
    parked: bool


@dataclass(frozen=True, slots=True)
class _Replaced:
    """What pended on a path that got another content in this reading, and by whom it did."""

    was: PathState
    by: Owner


class Pairing:
    """Finds the pairs of a ledger, and lets go of them.

    Attributes:
        wanted: whether a path came or went since pairs were looked for.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.wanted = False
        self._gone: dict[bytes, _Gone] = {}
        # Who changed last what pends on a path: all that came may be in its base.
        self._last: dict[bytes, Owner] = {}
        self._aside: bytes | None = None
        # Of one reading: who changed a path, what had to make room, and every content that came.
        self._fresh: dict[bytes, Owner] = {}
        self._replaced: dict[bytes, _Replaced] = {}
        self._brought: set[str] = set()

    def fold(self, record: Record) -> None:
        """Notes what a record tells of contents that went, live and when a log is replayed."""
        match record:
            case PathParked():
                self._aside = record.path  # the change that it was parked for comes next
            case PathChanged():
                if record.before != record.after:
                    self._note(record)
                    self._note_author(record)
                if record.came_from is not None:
                    self._gone.pop(record.came_from, None)
                if record.after != ABSENT_REF:
                    self._gone.pop(record.path, None)
                elif record.before != ABSENT_REF:
                    parked = self._aside == record.path
                    self._gone.pop(record.path, None)  # the newest come last
                    self._gone[record.path] = _Gone(record.owner, parked)
                self._aside = None
            case DecisionMade() | DecisionTurned():
                for item in record.items:
                    self._gone.pop(item.path, None)
                    if item.after is None:
                        self._last.pop(item.path, None)
            case _:
                pass

    def _note(self, record: PathChanged) -> None:
        """Notes what a change replaces; a log that is replayed knows no states and no readings."""
        paths = self._ledger.paths  # as before the change
        if not (paths or self._fresh):
            return
        self._fresh[record.path] = record.owner
        if record.after.kind == "file":
            self._brought.add(record.after.oid)
            was = paths.get(record.path)
            if was is not None and isinstance(was.cur, File) and was.cur.ref() == record.before:
                self._replaced.setdefault(record.path, _Replaced(was, record.owner))

    def _note_author(self, record: PathChanged) -> None:
        if record.state is None:
            self._last.pop(record.path, None)
        elif not record.owner.proved:
            self._last[record.path] = record.owner

    def pair(self, now_ns: int) -> list[Command]:
        """Finds what was moved, once everything of one reading was told."""
        replaced, brought, fresh = self._replaced, self._brought, self._fresh
        self._replaced, self._brought, self._fresh = {}, set(), {}
        replaced = {p: one for p, one in replaced.items() if one.was.cur.ref().oid in brought}
        if not self.wanted and not replaced:
            return []
        self.wanted = False
        ledger, observer = self._ledger, self._ledger.observer
        departures = [*self._made_room(replaced), *self._departures()]
        if not departures:
            return []
        moves = {
            target.move_to: target.path
            for targets in ledger.tracking.announced.values()
            for target in targets.values()
            if target.move_to is not None
        }
        arrivals = {
            path: state
            for path, state in ledger.paths.items()
            if _has_content(state.cur) and not self._is_back(state)
        }
        commands: list[Command] = []
        for departure, new in find_moves(departures, arrivals, moves, fresh, self._last):
            owner = self._mover(departure, new)
            state = self._arrived(departure, new, owner)
            commands += observer.changed(
                new.path, new.cur, new.cur, owner, state, now_ns, came_from=departure.pended
            )
            if state.origin is not None:
                commands.append(Publish(files=(state.origin,)))
        return commands

    def _is_back(self, state: PathState) -> bool:
        """Whether what pends is what was put aside at its own path: that has come from nowhere."""
        aside = self._ledger.observer.parking.get(state.path)
        return aside is not None and aside == replace(state, gen=aside.gen)

    def _mover(self, departure: Departure, new: PathState) -> Owner:
        """Returns who brought what arrived; its state tells only if something of theirs pends."""
        last = self._last.get(new.path)
        if last is None or departure.by is None:
            return renames.mover_of(new)
        same = renames.author(last) == renames.author(departure.by)
        return last if same else renames.mover_of(new)

    def _arrived(self, departure: Departure, new: PathState, mover: Owner) -> PathState:
        new_id = self._ledger.new_id
        if departure.old is not None and new.status == "created":
            return renames.paired(departure.old, new, departure.was, departure.by, new_id)
        assert departure.was is not None
        return renames.handed(new, departure.was, departure.by, mover, new_id)

    def _made_room(self, replaced: Mapping[bytes, _Replaced]) -> list[Departure]:
        """Returns what is elsewhere now, and at its path no more: what is there too was copied."""
        found: list[Departure] = []
        for path, one in replaced.items():
            state = self._ledger.paths.get(path)
            now = one.was.base if state is None else state.cur
            if renames.foreign(one.was, one.by) - Counter(lines_of(now)):
                found += _departure(path, one.was.cur, None, one.was, one.by)
        return found

    def _departures(self) -> list[Departure]:
        """Returns every content that went and has not arrived anywhere."""
        paths, parking = self._ledger.paths, self._ledger.observer.parking
        known = self._gone.items()
        self._gone = {p: gone for p, gone in known if p in paths or p in parking}
        origins = {paths[path].origin for path in self._ledger.renamed}
        found: list[Departure] = []
        # The newest first: of a file that was renamed twice it is what counts.
        for path, gone in reversed(self._gone.items()):
            was = parking.get(path) if gone.parked and path not in paths else None
            if was is None or not (was.origin or isinstance(was.base, Absent)):
                continue
            # Renamed to there, and gone on: the deletion of where it began is still open.
            began = None if was.origin in origins else paths.get(was.origin or b"")
            fits = began is not None and renames.can_be_origin(began) and began.base == was.base
            found += _departure(path, was.cur, began if fits else None, was, gone.by)
        for path, old in paths.items():
            if not renames.can_be_origin(old):
                continue
            half = None if path in origins else old
            left = self._gone.get(path)
            by = None if left is None else left.by
            was = parking.get(path) if left is not None and left.parked else None
            if was is not None:
                found += _departure(path, was.cur, half, was, by)
            if half is not None:
                found += _departure(path, old.base, half, None, by)
        return found

    def mend(self, now_ns: int) -> list[Command]:
        """Lets go of pairs one half of which is something else now, and keeps the others alike."""
        ledger, commands, whole = self._ledger, list[Command](), set[bytes]()
        observer = ledger.observer
        moved, ledger.moved = ledger.moved, {}
        for path in sorted(ledger.renamed):
            state = ledger.paths[path]
            old = ledger.paths.get(state.origin or b"")
            owner = state.meta[0].owners[-1]
            fits = old is not None and old.path not in whole and renames.can_be_origin(old)
            if fits and old is not None and old.base in (state.base, moved.get(path)):
                whole.add(old.path)
                if old.base != state.base and isinstance(state.base, File):
                    observer.proofs.forget(old.path)  # what was seen of it had another base
                    again = renames.rebased(old, state.base, ledger.new_id)
                    commands += observer.changed(old.path, ABSENT, ABSENT, owner, again, now_ns)
                continue
            alone = renames.parted(state, ledger.new_id)
            commands += observer.changed(path, state.cur, state.cur, owner, alone, now_ns)
            self.wanted = True  # with another base the two may still belong together
        return commands


def _departure(
    path: bytes, content: Entry, old: PathState | None, was: PathState | None, by: Owner | None
) -> list[Departure]:
    if not (isinstance(content, File) and content.data):
        return []  # empty files are all alike
    return [Departure(path=path, content=content, old=old, was=was, by=by)]


def _has_content(entry: Entry) -> bool:
    return isinstance(entry, File) and bool(entry.data)
