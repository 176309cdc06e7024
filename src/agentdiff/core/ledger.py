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

from agentdiff.core import events as ev
from agentdiff.core.asides import Asides, stored_aside
from agentdiff.core.codec import Json, decode_ref, decode_state, encode_state, origin_of
from agentdiff.core.commands import Append, Command
from agentdiff.core.entries import Entry, Ref
from agentdiff.core.execution import Executor
from agentdiff.core.feedback import Feedback
from agentdiff.core.observer import Observer
from agentdiff.core.pathstate import PathState, renumbered
from agentdiff.core.records import (
    Decided,
    DecisionIntended,
    DecisionMade,
    DecisionTurned,
    HunksCommitted,
    PathChanged,
    PathParked,
    Record,
    SessionChanged,
    states_of,
)
from agentdiff.core.sessions import Sessions
from agentdiff.core.settled import verdict_of
from agentdiff.core.tracking import Tracking
from agentdiff.core.undoing import Turns


class Ledger:
    """The state of one workspace.

    Attributes:
        paths: every path with something pending.
        sessions: agents' sessions, turns and calls.
        decisions: every decision, without what it did, oldest first, by id.
        turns: what can be undone and redone.
        seq: number of the newest record.
        changed_at: pending path → number of the record that last changed it.
        where: change → the path on which it pends.
        editors: attached Neovims.
        renamed: the pending paths that were renamed.
        moved: renamed path → what its base was when it last agreed with its old path's; until the
            pair is mended.
        committed: change → the commit in which an agent put it, unreviewed.
    """

    def __init__(self) -> None:
        self.paths: dict[bytes, PathState] = {}
        self.sessions = Sessions()
        self.decisions: dict[int, Decided] = {}
        self.turns = Turns()
        self.unfinished: dict[int, DecisionIntended] = {}
        self.seq = 0
        self.changed_at: dict[bytes, int] = {}
        self.where: dict[int, bytes] = {}
        self.editors: set[str] = set()
        self.renamed: set[bytes] = set()
        self.moved: dict[bytes, Entry] = {}
        self.committed: dict[int, str] = {}
        self.observer = Observer(self)
        self.tracking = Tracking(self)
        self.executor = Executor(self)
        self.feedback = Feedback(self)
        self._last_id = 0

    # --- records ---------------------------------------------------------------------------------

    @classmethod
    def replay(cls, records: Iterable[tuple[int, Record]], load: Callable[[Ref], Entry]) -> Ledger:
        """Returns the ledger that a log describes.

        Args:
            records: (sequence number, record), oldest first.
            load: brings the content that a ref names; called for what pends, or may again.
        """
        ledger = cls()
        pending: dict[bytes, Json | None] = {}
        agreed: dict[bytes, Ref] = {}
        parked = Asides[Json]()
        for seq, record in records:
            ledger.seq = seq
            ledger._fold(record)
            changed = states_of(record)
            agreed |= _agreeing(pending, changed)
            pending.update(changed)
            if isinstance(record, PathParked):
                if record.state is None:
                    parked.mistaken(record.path, record.since)
                else:
                    parked.put(record.path, stored_aside(record, seq))
            elif isinstance(record, DecisionMade | DecisionTurned):
                for item in record.items:
                    parked.decided(item, verdict_of(record))
        for path, stored in pending.items():
            state = decode_state(stored, load)
            if state is not None:
                ledger.paths[path] = state
                ledger.where.update(dict.fromkeys(state.ids, path))
                if state.origin is not None:
                    ledger.renamed.add(path)
        ledger.moved = _moved(ledger.paths, ledger.renamed, agreed)
        ledger.observer.parking.load(parked, load)
        ledger.observer.pairing.replayed()
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
            before = self.paths.get(path)
            self.leaves(before)
            for change in () if before is None else before.ids:
                if self.where.get(change) == path:
                    del self.where[change]
            if state is None:
                self.paths.pop(path, None)
            else:
                self.paths[path] = state
                self.where.update(dict.fromkeys(state.ids, path))
            if state is not None and state.origin is not None:
                self.renamed.add(path)
            else:
                self.renamed.discard(path)
        return Append(seq=self.seq, record=record, entries=entries, durable=durable)

    def park(self, state: PathState, since: int, at_ns: int) -> Append:
        """Puts a state aside; see `agentdiff.core.records.PathParked`."""
        stored = encode_state(state)
        parked = PathParked(path=state.path, state=stored, at_ns=at_ns, since=since)
        append = self.commit(parked, entries=(state.base, state.cur))
        self.observer.parking.put(state, since, append.seq)
        return append

    def leaves(self, state: PathState | None) -> None:
        """Remembers that a state becomes another one, for its old path if it is a rename."""
        if state is not None and state.origin is not None:
            self.moved.setdefault(state.path, state.base)

    def _fold(self, record: Record) -> None:
        self.sessions.fold(record, self.seq)
        self.feedback.fold(record, self.seq)
        self.observer.pairing.fold(record)
        match record:
            case PathChanged():
                self._count_ids(record.state)
                self._note_change(record.path, record.state)
                self.sessions.count(record.owner, record.path)
            case HunksCommitted():
                self.committed.update(dict.fromkeys(record.changes, record.commit))
            case DecisionIntended():
                self._last_id = max(self._last_id, record.decision)
                self.unfinished[record.decision] = record
            case DecisionMade():
                self._last_id = max(self._last_id, record.decision)
                self.decisions[record.decision] = record.decided()
                self.unfinished.pop(record.decision, None)
                self.turns.made(record, self.seq)
                self._count_items(record)
            case DecisionTurned():
                self.unfinished.pop(record.decision, None)
                if (made := self.decisions.get(record.decision)) is not None:
                    self.turns.turned(record, made.client, self.seq)
                self._count_items(record)
            case _:
                pass

    def _count_items(self, record: DecisionMade | DecisionTurned) -> None:
        verdict = verdict_of(record)
        for item in record.items:
            self._count_ids(item.after)
            self._note_change(item.path, item.after)
            self.observer.proofs.decided(item.path, record.at_ns)
            self.observer.parking.decided(item, verdict)

    def _note_change(self, path: bytes, stored: Json | None) -> None:
        if stored is None:
            self.changed_at.pop(path, None)  # only what pends is decided
        else:
            self.changed_at[path] = self.seq

    def _count_ids(self, stored: Json | None) -> None:
        if stored is not None:
            numbers = [n for change in (*stored["hunks"], *stored["meta"]) for n in change[:2]]
            self._last_id = max(self._last_id, *numbers, 0)

    def new_id(self) -> int:
        """Returns an id or generation that was never used in this workspace."""
        self._last_id += 1
        return self._last_id

    def apart(self, state: PathState | None) -> PathState | None:
        """Returns a state none of whose changes has the id of one that pends elsewhere.

        With a content ids go to another path.  What was put aside, or is given again, may have them
        still: they go on where they are, and here others begin.
        """
        if state is None:
            return None
        taken = [one for one in state.ids if self.where.get(one, state.path) != state.path]
        return renumbered(state, {one: self.new_id() for one in taken}) if taken else state

    # --- questions -------------------------------------------------------------------------------

    def under_review(self, now_ns: int) -> bool:
        """Whether what nobody can explain pends instead of moving the baseline."""
        return bool(
            self.editors or self.paths or self.sessions.live(now_ns) or self.sessions.tails(now_ns)
        )

    def remembers(self, path: bytes) -> bool:
        """Whether something pends on a path, or was put aside and may return."""
        return path in self.paths or path in self.observer.parking

    def follows_disk(self, path: bytes, seen_ns: int) -> bool:
        """Whether a change of a path is nobody's business: its baseline is what is there.

        Asked for every reading before contents are loaded, so that a quiet workspace costs nothing.
        """
        if self.remembers(path) or self.under_review(seen_ns):
            return False
        self.observer.own_writes.pop(path, None)
        return True

    # --- events ----------------------------------------------------------------------------------

    def resume(self, now_ns: int, slept_ns: int) -> list[Command]:
        """Returns what follows from a time in which nothing could be heard of anybody.

        A machine that was suspended, or a clock that was set, is no agent's silence: its call may
        be in the middle.  Worker thread only.

        Args:
            now_ns: wall clock.
            slept_ns: for how long nothing happened before that.
        """
        live = self.sessions.live(now_ns - slept_ns)
        return [
            self.commit(SessionChanged(agent=s.agent, session=s.id, state=s.state, at_ns=now_ns))
            for s in live
        ]

    def handle(self, event: ev.Event) -> list[Command]:
        """Returns what has to be done about an event.  Worker thread only."""
        match event:
            case ev.AgentEvent():
                return self.tracking.handle(event)
            case ev.EditorAttached():
                self.editors.add(event.client)
                return []
            case ev.EditorDetached():
                self.editors.discard(event.client)
                return []
            case ev.CommentAdded():
                return self.feedback.comment(event)
            case ev.TimePassed():
                settled = self.observer.expire(event.received_ns)
                return [*settled, *self.tracking.expire(event.received_ns)]
            case (
                ev.FileObserved()
                | ev.ReadingEnded()
                | ev.EditorClaimed()
                | ev.GitMoved()
                | ev.GitCommitted()
            ):
                return self.observer.handle(event)
            case ev.EntryWritten():
                return self.executor.handle(event)
            case _:
                # Whoever asks has had the disk read: what is only half there is all there is.
                settled = self.observer.settle(event.received_ns, event.received_ns)
                return [*settled, *self.executor.handle(event)]


def _agreeing(pending: Mapping[bytes, Json | None], changed: Iterable[bytes]) -> dict[bytes, Ref]:
    """Returns path → its base, for the renamed paths that change and agree with their old path."""
    found: dict[bytes, Ref] = {}
    for path in changed:
        new = pending.get(path)
        origin = None if new is None else origin_of(new)
        old = None if origin is None else pending.get(origin)
        if new is not None and old is not None and old["base"] == new["base"]:
            found[path] = decode_ref(new["base"])
    return found


def _moved(
    paths: Mapping[bytes, PathState], renamed: Iterable[bytes], agreed: Mapping[bytes, Ref]
) -> dict[bytes, Entry]:
    """Returns `Ledger.moved` as it was when the log ended, maybe between the two halves of a pair.

    A decision on a renamed file is durable before its old path follows.

    Args:
        paths: every path with something pending.
        renamed: those of them that were renamed.
        agreed: renamed path → the last base in which it agreed with its old path.
    """
    found: dict[bytes, Entry] = {}
    for path in renamed:
        old = paths.get(paths[path].origin or b"")
        if old is not None and agreed.get(path) == old.base.ref():
            found[path] = old.base
    return found
