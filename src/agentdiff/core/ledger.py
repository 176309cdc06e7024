"""The ledger of one workspace: event + state → records and commands.

Owns the review state of a workspace (pending paths, sessions, claims, decisions) and is the only
place where events meet it.  Must not read, write, wait or look at a clock.  Hop 4.

Theory.  Everything that lasts changes by a record: `handle` turns an event into records, folds each
at once with the same function that replays the log, and orders it to be appended.  What is not in
records (claims, what open calls announced, recent sightings) only sharpens labels and may be lost.

Contradictory or impossible sequences never raise: a finish without a start opens and closes the
call, a second delivery changes nothing, an unknown turn is made up.  They weaken labels; they never
move a base.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from agentdiff.core import events as ev
from agentdiff.core.attribution import resolve
from agentdiff.core.codec import Json, decode_state, encode_state
from agentdiff.core.commands import Append, Command, Publish, Report
from agentdiff.core.entries import ABSENT, Absent, Directory, Entry, File, Ref
from agentdiff.core.execution import Executor
from agentdiff.core.feedback import Feedback
from agentdiff.core.feedback import Feedback
from agentdiff.core.observing import observe
from agentdiff.core.owners import USER, Owner
from agentdiff.core.pathstate import PathState
from agentdiff.core.proofs import Correction, Proofs, Sighting
from agentdiff.core.records import (
    DecisionIntended,
    DecisionItem,
    DecisionMade,
    DecisionTurned,
    PathChanged,
    Record,
)
from agentdiff.core.sessions import Sessions
from agentdiff.core.tracking import Tracking


@dataclass(frozen=True, slots=True)
class OwnWrite:
    """A write of ours that the watcher has not seen yet."""

    at_ns: int
    replaced: Ref
    written: Entry


class Ledger:
    """The state of one workspace.

    Attributes:
        paths: every path with something pending.
        sessions: agents' sessions, turns and calls.
        decisions: every decision made, oldest first, by id.
        seq: number of the newest record.
        changed_at: path → number of the record that last changed it.
        editors: attached Neovims.
        own_writes: path → what a decision wrote, until the watcher has seen it.
    """

    def __init__(self) -> None:
        self.paths: dict[bytes, PathState] = {}
        self.sessions = Sessions()
        self.decisions: dict[int, DecisionMade] = {}
        self.unfinished: dict[int, DecisionIntended] = {}
        self.seq = 0
        self.changed_at: dict[bytes, int] = {}
        self.editors: set[str] = set()
        self.proofs = Proofs()
        self.own_writes: dict[bytes, OwnWrite] = {}
        self.tracking = Tracking(self)
        self.executor = Executor(self)
        self.feedback = Feedback(self)
        self.feedback = Feedback(self)
        self._last_id = 0
        self._done: dict[str, list[int]] = {}
        self._undone: dict[str, list[int]] = {}

    # --- records ---------------------------------------------------------------------------------

    @classmethod
    def replay(cls, records: Iterable[tuple[int, Record]], load: Callable[[Ref], Entry]) -> Ledger:
        """Returns the ledger that a log describes.

        Args:
            records: (sequence number, record), oldest first.
            load: brings the content that a ref names; called for pending paths only.
        """
        ledger = cls()
        pending: dict[bytes, Json | None] = {}
        for seq, record in records:
            ledger.seq = seq
            ledger._fold(record)
            pending.update(_states(record))
        for path, stored in pending.items():
            state = decode_state(stored, load)
            if state is not None:
                ledger.paths[path] = state
        return ledger

    def commit(
        self,
        record: Record,
        states: Mapping[bytes, PathState | None] | None = None,
        entries: tuple[Entry, ...] = (),
        *,
        durable: bool = False,
    ) -> Append:
        """Folds a record and returns the order to append it.

        Args:
            record: what happened.
            states: the live form of the path states that the record carries.
            entries: contents that the record names and nobody stored yet.
            durable: whether it must reach the disk before anything else happens.
        """
        self.seq += 1
        self._fold(record)
        for path, state in (states or {}).items():
            if state is None:
                self.paths.pop(path, None)
            else:
                self.paths[path] = state
        return Append(seq=self.seq, record=record, entries=entries, durable=durable)

    def _fold(self, record: Record) -> None:
        self.sessions.fold(record, self.seq)
        self.feedback.fold(record, self.seq)
        self.feedback.fold(record, self.seq)
        match record:
            case PathChanged():
                self._count_ids(record.state)
                self.changed_at[record.path] = self.seq
                self.sessions.count(record.owner, record.path)
            case DecisionIntended():
                self._last_id = max(self._last_id, record.decision)
                self.unfinished[record.decision] = record
            case DecisionMade():
                self._last_id = max(self._last_id, record.decision)
                self.decisions[record.decision] = record
                self.unfinished.pop(record.decision, None)
                if record.items:  # an interrupted one of which nothing had been done has none
                    self._done.setdefault(record.client, []).append(record.decision)
                    self._undone.pop(record.client, None)
                self._count_items(record.items)
            case DecisionTurned():
                self.unfinished.pop(record.decision, None)
                if not record.items:
                    return
                client = self.decisions[record.decision].client
                source, target = self._done, self._undone
                if not record.undone:
                    source, target = target, source
                source[client].remove(record.decision)
                target.setdefault(client, []).append(record.decision)
                self._count_items(record.items)
            case _:
                pass

    def _count_items(self, items: Iterable[DecisionItem]) -> None:
        for item in items:
            self._count_ids(item.after)
            self.changed_at[item.path] = self.seq
            self.proofs.forget(item.path)

    def _count_ids(self, stored: Json | None) -> None:
        if stored is not None:
            numbers = [n for change in (*stored["hunks"], *stored["meta"]) for n in change[:2]]
            self._last_id = max(self._last_id, *numbers, 0)

    def new_id(self) -> int:
        """Returns an id or generation that was never used in this workspace."""
        self._last_id += 1
        return self._last_id

    # --- questions -------------------------------------------------------------------------------

    def under_review(self, now_ns: int) -> bool:
        """Whether what nobody can explain pends instead of moving the baseline."""
        return bool(
            self.editors or self.paths or self.sessions.live(now_ns) or self.sessions.tails(now_ns)
        )

    def is_history(self, path: bytes, seen: Ref, seen_ns: int) -> bool:
        """Whether a reading shows what a decision of ours has replaced since."""
        own = self.own_writes.get(path)
        return own is not None and seen_ns < own.at_ns and seen == own.replaced

    def follows_disk(self, path: bytes, seen_ns: int) -> bool:
        """Whether a change of a path is nobody's business: its baseline is what is there.

        Asked for every reading before contents are loaded, so that a quiet workspace costs nothing.
        """
        if path in self.paths or self.under_review(seen_ns):
            return False
        self.own_writes.pop(path, None)
        return True

    def note_own_write(self, path: bytes, at_ns: int, replaced: Entry, written: Entry) -> None:
        """Remembers what a decision wrote."""
        self.own_writes[path] = OwnWrite(at_ns, replaced.ref(), written)

    def undo_target(self, client: str, *, redo: bool) -> DecisionMade | None:
        """Returns the decision that a client's undo (or redo) would turn."""
        stack = (self._undone if redo else self._done).get(client)
        return self.decisions[stack[-1]] if stack else None

    # --- events ----------------------------------------------------------------------------------

    def handle(self, event: ev.Event) -> list[Command]:
        """Returns what has to be done about an event.  Worker thread only."""
        match event:
            case ev.AgentEvent():
                return self.tracking.handle(event)
            case ev.FileObserved():
                return self._observed(event)
            case ev.EditorClaimed():
                return self._claimed(event)
            case ev.EditorAttached():
                self.editors.add(event.client)
                return []
            case ev.EditorDetached():
                self.editors.discard(event.client)
                return []
            case ev.CommentAdded():
                return self.feedback.comment(event)
            case ev.CommentAdded():
                return self.feedback.comment(event)
            case ev.TimePassed():
                self.proofs.expire(event.received_ns)
                return self.tracking.expire(event.received_ns)
            case _:
                return self.executor.handle(event)

    def _observed(self, event: ev.FileObserved) -> list[Command]:
        path, now = event.path, event.received_ns
        if self.is_history(path, event.after.ref(), now):
            return []
        state = self.paths.get(path)
        # The watcher does not know what we wrote ourselves; from this reading on it does.
        own = self.own_writes.pop(path, None)
        known = event.before if own is None else own.written
        known = known if state is None else state.cur
        after = _as_entry(event.after, known if state is None else state.base)
        if after == known or self.follows_disk(path, now):
            return []
        match = self.proofs.take(path, after)
        if match is not None and match.torn is not None:
            start = match.torn
            whole = observe(start.state, path, start.before, after, USER, self.new_id)
            self.proofs.forget(path)
            return self._changed(path, known, after, USER, whole, now)
        if match is not None:
            return self.observe_as(path, known, after, USER, now)
        commands: list[Command] = []
        user_data = self.proofs.overwritten(path, known)
        if user_data is not None and isinstance(known, File):
            between = File(data=user_data, mode=known.mode)
            commands += self.observe_as(path, known, between, USER, now)
            known = between
        owner = self._owner(path, known, after, now)
        return commands + self.observe_as(path, known, after, owner, now, event.uncertain)

    def _owner(self, path: bytes, before: Entry, after: Entry, now_ns: int) -> Owner:
        return resolve(
            path,
            before,
            after,
            windows=self.sessions.open_calls(),
            tails=self.sessions.tails(now_ns),
            targets=self.tracking.announced,
        )

    def observe_as(
        self,
        path: bytes,
        before: Entry,
        after: Entry,
        owner: Owner,
        now_ns: int,
        uncertain: bool = False,
    ) -> list[Command]:
        """Returns what follows from a change whose author is known."""
        state = self.paths.get(path)
        coverage = "baseline uncertain: the first cut took too long" if uncertain else "exact"
        result = observe(state, path, before, after, owner, self.new_id, coverage=coverage)
        self.proofs.note(path, Sighting(now_ns, state, before, after, owner))
        return self._changed(path, before, after, owner, result, now_ns)

    def _changed(
        self,
        path: bytes,
        before: Entry,
        after: Entry,
        owner: Owner,
        state: PathState | None,
        now_ns: int,
    ) -> list[Command]:
        record = PathChanged(
            path=path,
            before=before.ref(),
            after=after.ref(),
            owner=owner,
            state=encode_state(state),
            at_ns=now_ns,
        )
        made = () if state is None else (state.base,)
        append = self.commit(record, {path: state}, (*made, after))
        return [append, Publish(files=(path,), written=(path,))]

    # --- proofs ----------------------------------------------------------------------------------

    def _claimed(self, event: ev.EditorClaimed) -> list[Command]:
        if not event.written:
            self.proofs.claim(event.path, event.client, event.data, event.received_ns)
            return []
        correction = self.proofs.prove(event.path, event.client, event.data, event.received_ns)
        return [] if correction is None else self._correct(event, correction)

    def _correct(self, event: ev.EditorClaimed, correction: Correction) -> list[Command]:
        """Gives the sightings since the user's write again, with the right authors."""
        first = correction.sightings[0]
        state, before = first.state, first.before
        model = before if isinstance(before, File) else first.after
        users = File(data=event.data, mode=model.mode if isinstance(model, File) else 0o644)
        steps: list[tuple[Entry, Owner]] = [(users, USER)]
        rest = correction.sightings if correction.spliced else correction.sightings[1:]
        steps += [(sighting.after, sighting.owner) for sighting in rest]
        known = before
        for after, owner in steps:
            state = observe(state, event.path, known, after, owner, self.new_id)
            known = after
        self.proofs.forget(event.path)
        report = Report(level="info", message="a late proof of the user corrected an author")
        return [report, *self._changed(event.path, before, known, USER, state, event.received_ns)]


def _as_entry(seen: Entry, base: Entry) -> Entry:
    """Returns what was seen; a directory counts for something only where something else was."""
    return ABSENT if isinstance(seen, Directory) and isinstance(base, Absent) else seen


def _states(record: Record) -> dict[bytes, Json | None]:
    match record:
        case PathChanged():
            return {record.path: record.state}
        case DecisionMade() | DecisionTurned():
            return {item.path: item.after for item in record.items}
        case _:
            return {}
