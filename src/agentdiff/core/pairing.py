"""What was moved among what pends: which pairs there are now, and which have come apart.

Owns the pairs of a ledger, and what went without having arrived.  Must not decide what is a move
(`agentdiff.core.departures`), what a pair is (`agentdiff.core.renames`) nor who wrote what.  Hop 4,
called by `agentdiff.core.observer`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from agentdiff.core import renames
from agentdiff.core.codec import decode_ref, origin_of
from agentdiff.core.commands import Command, Publish
from agentdiff.core.departures import (
    Arrived,
    Departure,
    Gone,
    Known,
    Replaced,
    find_moves,
    is_news,
)
from agentdiff.core.entries import ABSENT, ABSENT_REF, EMPTY_OID, Absent, Entry, File, Ref, begins
from agentdiff.core.owners import Owner
from agentdiff.core.pathstate import PathState, lines_of
from agentdiff.core.records import (
    DecisionMade,
    DecisionTurned,
    PathChanged,
    PathParked,
    Record,
    states_of,
)
from agentdiff.core.settled import Settled, verdict_of

if TYPE_CHECKING:
    from agentdiff.core.ledger import Ledger


# So many contents that had to make room are remembered: a call writes what it took from elsewhere.
MAX_ROOM = 64
# Of so many decided paths is known what was known of them before.
MAX_SETTLED = 4096


class Pairing:
    """Finds the pairs of a ledger, and lets go of them.

    Every reading asks; so only what changed since the last look is compared with what is open.

    Attributes:
        wanted: whether to compare everything instead.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.wanted = False
        self._gone: dict[bytes, Gone] = {}
        self._arrived: dict[bytes, Arrived] = {}
        # Pending deletions, for a look need not go through all that pends; the values mean nothing.
        self._deleted: dict[bytes, None] = {}
        # Who changed last what pends on a path: all that came may be in its base.
        self._last: dict[bytes, Owner] = {}
        self._aside: bytes | None = None
        self._settled = Settled[Known]()
        # What had to make room and is nowhere yet; of another daemon nobody remembers that.
        self._room: dict[bytes, Replaced] = {}
        # What pends where, by content.
        self._oid: dict[bytes, str] = {}
        self._holders: dict[str, set[bytes]] = {}
        # Since the last look: what pends otherwise, who changed a path, what had to make room.
        self._news: dict[bytes, None] = {}
        self._fresh: dict[bytes, Owner] = {}
        self._replaced: dict[bytes, Replaced] = {}
        # Where something had arrived that is told again since: it is there still.
        self._known: dict[bytes, bytes] = {}
        # Whether the newest record tells that the reading before it was over, and looked at.
        self._ended = False
        # Whether the newest records are a turn, and what it puts aside.
        self._turned = False

    def replayed(self) -> None:
        """Notes that all this is the past; the daemon may have died before anything was paired."""
        newest = next(reversed(self._fresh.values()), None)
        call = None if newest is None or self._ended else newest.tool_call
        self._fresh = {p: o for p, o in self._fresh.items() if call and o.tool_call == call}
        self._news, self._replaced, self._known, self.wanted = {}, {}, {}, True

    def fold(self, record: Record) -> None:
        """Notes what a record tells of contents that went, live and when a log is replayed."""
        self._ended = not isinstance(record, PathParked | PathChanged)
        turned = self._turned
        self._turned = isinstance(record, DecisionTurned | PathParked) and (turned or self._ended)
        match record:
            case PathParked():
                # The change that it was parked for comes next, but after a turn.
                self._aside = None if record.state is None or turned else record.path
            case PathChanged():
                if record.before != record.after:
                    self._note(record)
                    self._note_author(record)
                    arrived = self._arrived.pop(record.path, None)
                    if arrived is not None and record.since is not None:
                        self._known[arrived.path] = record.path
                self._note_departure(record, self._aside == record.path)
                self._aside = None
            case DecisionMade() | DecisionTurned():
                self._decided(record)
            case _:
                pass
        for path, state in states_of(record).items():
            self._index(path, None if state is None else decode_ref(state["cur"]))
            before = self._ledger.paths.get(path)
            if before is not None and before.origin is not None:
                self._news[before.origin] = None  # the deletion may be open again
                again = isinstance(record, PathChanged) and record.since is not None
                if again and state is not None and origin_of(state) is None:
                    self._known.setdefault(path, before.origin)

    def _decided(self, record: DecisionMade | DecisionTurned) -> None:
        """Forgets what went from some paths, or has arrived there, until that is undone."""
        verdict, items = verdict_of(record), {item.path: item for item in record.items}
        arrived: dict[bytes, dict[bytes, Arrived]] = {path: {} for path in items}
        for path, one in list(self._arrived.items()):
            if path in items or one.path in items:
                arrived[path if path in items else one.path][path] = self._arrived.pop(path)
        for path, item in items.items():
            self._room.pop(path, None)
            if item.after is None:
                self._last.pop(path, None)
            left = item.after is not None and _is_left(item.cur_after)
            known = Known(
                gone=None if left else self._gone.pop(path, None),
                arrived=arrived[path],
            )
            back = self._settled.turn(verdict, path, known or None)
            if back is not None:
                if back.gone is not None and path not in known.arrived:  # it has not arrived since
                    self._gone.setdefault(path, back.gone)
                for old, one in back.arrived.items():
                    self._arrived.setdefault(old, one)
        while len(self._settled) > MAX_SETTLED:
            self._settled.forget_oldest()

    def _index(self, path: bytes, cur: Ref | None) -> None:
        self._news[path] = None
        self._deleted.pop(path, None)
        if cur == ABSENT_REF:
            self._deleted[path] = None
        holders = self._holders.get(old := self._oid.pop(path, ""), set())
        holders.discard(path)
        if not holders:
            self._holders.pop(old, None)
        if cur is not None:
            self._oid[path] = cur.oid
            self._holders.setdefault(cur.oid, set()).add(path)

    def _note(self, record: PathChanged) -> None:
        """Notes who changed a path, and what was replaced there; of a replay that is forgotten."""
        self._fresh.pop(record.path, None)  # the newest comes last
        self._fresh[record.path] = record.owner
        was = self._ledger.paths.get(record.path)  # as before the change
        if record.after.kind == "file" and was is not None and was.cur.ref() == record.before:
            self._replaced.setdefault(record.path, Replaced(was, record.owner))

    def _note_author(self, record: PathChanged) -> None:
        if record.state is None:
            self._last.pop(record.path, None)
        elif not record.owner.proved:
            self._last[record.path] = record.owner

    def _note_departure(self, record: PathChanged, parked: bool) -> None:
        if record.came_from is not None:
            self._room.pop(record.came_from, None)
            gone = self._gone.pop(record.came_from, None)
            if gone is not None:
                self._arrived[record.came_from] = Arrived(record.path, gone, self._ledger.seq)
        elif record.since is not None:
            # What is given again, from before it arrived, has arrived nowhere yet.
            for path, one in list(self._arrived.items()):
                if one.path == record.path and record.since < one.seq:
                    self._gone.setdefault(path, self._arrived.pop(path).gone)
                    self._known[record.path] = path
        if not _is_left(record.after):
            self._gone.pop(record.path, None)
        elif not _is_left(record.before):
            self._gone.pop(record.path, None)  # the newest come last
            self._gone[record.path] = Gone(record.owner, parked)

    def pair(self, now_ns: int) -> list[Command]:
        """Finds what was moved, once everything of one reading was told."""
        news = None if self.wanted else self._news
        fresh, replaced, known = self._fresh, self._replaced, self._known
        mistakes = self._ledger.observer.parking.mistakes()
        self._news, self._fresh, self._replaced, self._known = {}, {}, {}, {}
        self.wanted = False
        departures = self._made_room(replaced, fresh)
        if news == {} or not (departures or self._gone or self._deleted or self._arrived):
            return []
        departures += self._departures()
        ledger, observer = self._ledger, self._ledger.observer
        some: Iterable[bytes] = ledger.paths
        if news is not None and not any(is_news(one, None, news) for one in departures):
            some = [path for path in news if path in ledger.paths]
        arrivals = {path: ledger.paths[path] for path in some if self._may_arrive(path)}
        moves = known | {
            target.move_to: target.path
            for targets in ledger.tracking.announced.values()
            for target in targets.values()
            if target.move_to is not None
        }
        commands = self._go_on(fresh, replaced, now_ns)
        for departure, new in find_moves(departures, arrivals, moves, fresh, self._last, news):
            owner = self._mover(departure, new)
            if (wrong := mistakes.get(departure.path)) is not None:
                new = renames.unhanded(new, wrong, departure.by or owner)
            state = self._arrived_state(departure, new, owner)
            commands += observer.changed(
                new.path, new.cur, new.cur, owner, state, now_ns, came_from=departure.pended
            )
            if state.origin is not None:
                commands.append(Publish(files=(state.origin,)))
        self._news = {}  # what arrived was compared with all that is open
        return commands

    def _go_on(
        self, fresh: Mapping[bytes, Owner], replaced: Mapping[bytes, Replaced], now_ns: int
    ) -> list[Command]:
        """Gives their owners to lines that arrive after the first part of a file has."""
        commands: list[Command] = []
        for path, one in self._arrived.items():
            state, by = self._ledger.paths.get(one.path), fresh.get(one.path)
            part = replaced.get(one.path)
            was = self._ledger.observer.parking.get(path) if one.gone.parked else None
            if was is None or state is None or by is None or part is None:
                continue
            if renames.author(by) != renames.author(one.gone.by):
                continue
            if not begins(part.was.cur, state.cur) or self._is_back(state):
                continue  # more than the rest of it was written, or nothing
            again = renames.grown(state, was, one.gone.by, self._ledger.new_id)
            if again is not None:
                cur, changed = state.cur, self._ledger.observer.changed
                commands += changed(one.path, cur, cur, by, again, now_ns)
        return commands

    def _may_arrive(self, path: bytes) -> bool:
        state = self._ledger.paths[path]
        if not (isinstance(state.cur, File) and state.cur.data):
            return False
        return not self._is_back(state)

    def _is_back(self, state: PathState) -> bool:
        """Whether what pends was there before: it has come from nowhere else."""
        return self._ledger.observer.parking.is_back(state)

    def _mover(self, departure: Departure, new: PathState) -> Owner:
        """Returns who brought what arrived; its state tells only if something of theirs pends."""
        last = self._last.get(new.path)
        if last is None or departure.by is None:
            return renames.mover_of(new)
        same = renames.author(last) == renames.author(departure.by)
        return last if same else renames.mover_of(new)

    def _arrived_state(self, departure: Departure, new: PathState, mover: Owner) -> PathState:
        new_id = self._ledger.new_id
        if departure.old is not None and new.status == "created":
            return renames.paired(departure.old, new, departure.was, departure.by, new_id)
        assert departure.was is not None
        return renames.handed(new, departure.was, departure.by, mover, new_id)

    def _made_room(
        self, replaced: Mapping[bytes, Replaced], fresh: Mapping[bytes, Owner]
    ) -> list[Departure]:
        """Returns what is at its path no more: what is there too was copied, if it is elsewhere.

        Args:
            replaced: what got another content since the last look.
            fresh: who changed what since then.
        """
        calls = {owner.tool_call for owner in fresh.values()} - {None}
        known = [
            (path, one)
            for path, one in self._room.items()
            if one.by.tool_call in calls or one.was.cur.ref().oid in self._holders
        ]
        found: list[Departure] = []
        for path, one in (*known, *replaced.items()):
            state, was = self._ledger.paths.get(path), one.was.cur.ref()
            now = one.was.base if state is None else state.cur
            # Most edits are of one file, and what is left of a file that went away is less.
            alone = path in fresh and len(fresh) == 1 and was.oid not in self._holders
            if alone and now.ref().size >= was.size:
                continue
            theirs = renames.foreign(one.was, one.by)
            if theirs and theirs - Counter(line for line in lines_of(now) if line in theirs):
                found += _departure(path, one.was.cur, None, one.was, one.by)
                self._room.pop(path, None)  # the newest come last
                self._room[path] = one
            elif self._room.get(path) is one:
                del self._room[path]  # it is back
        for path in list(self._room)[:-MAX_ROOM]:
            del self._room[path]
        return found

    def _departures(self) -> list[Departure]:
        """Returns every content that went and has not arrived anywhere."""
        paths, parking = self._ledger.paths, self._ledger.observer.parking
        known, arrived = self._gone.items(), self._arrived.items()
        self._gone = {p: gone for p, gone in known if p in paths or p in parking}
        self._arrived = {p: one for p, one in arrived if p in paths or p in parking}
        origins = {paths[path].origin for path in self._ledger.renamed}
        found: list[Departure] = []
        # The newest first: of a file that was renamed twice it is what counts.
        for path, gone in reversed(self._gone.items()):
            was, here = parking.get(path) if gone.parked else None, paths.get(path)
            if was is None or (here is not None and isinstance(here.cur, Absent)):
                continue  # a pending deletion: below
            if here is None and was.origin is None and not isinstance(was.base, Absent):
                continue  # with its base
            # Renamed to there, and gone on: the deletion of where it began is still open.
            began = None if was.origin in origins else paths.get(was.origin or b"")
            fits = began is not None and renames.can_be_origin(began) and began.base == was.base
            found += _departure(path, was.cur, began if fits else None, was, gone.by)
        for path in self._deleted:
            old = paths.get(path)
            if old is None or not renames.can_be_origin(old):
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
                commands += self._follow(old, state, now_ns)
                continue
            alone = renames.parted(state, ledger.new_id)
            commands += observer.changed(path, state.cur, state.cur, owner, alone, now_ns)
            self.wanted = True  # with another base the two may still belong together
        return commands

    def followed(self, state: PathState, now_ns: int) -> list[Command]:
        """Keeps the old path alike of what is put aside, before it was mended since its base moved.

        Args:
            state: what is put aside; it comes back only where its old path has its base.
            now_ns: wall clock.
        """
        ledger, old = self._ledger, self._ledger.paths.get(state.origin or b"")
        if old is None or old.base != ledger.moved.get(state.path):
            return []
        if not renames.can_be_origin(old):
            return []
        ledger.moved[state.path] = state.base
        return self._follow(old, state, now_ns)

    def _follow(self, old: PathState, state: PathState, now_ns: int) -> list[Command]:
        if old.base == state.base or not isinstance(state.base, File):
            return []
        observer, owner = self._ledger.observer, state.meta[0].owners[-1]
        observer.proofs.forget(old.path)  # what was seen of it had another base
        again = renames.rebased(old, state.base, self._ledger.new_id)
        return observer.changed(old.path, ABSENT, ABSENT, owner, again, now_ns)


def _departure(
    path: bytes, content: Entry, old: PathState | None, was: PathState | None, by: Owner | None
) -> list[Departure]:
    if not (isinstance(content, File) and content.data):
        return []  # empty files are all alike
    return [Departure(path=path, content=content, old=old, was=was, by=by)]


def _is_left(seen: Ref) -> bool:
    """Whether no line is there, and none that cannot be read: nothing, a link, a folder, empty."""
    return seen.kind in ("absent", "link", "dir") or seen.oid == EMPTY_OID
