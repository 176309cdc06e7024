"""What is seen on disk, and what that means for the ledger: author, state, records.

Owns the road of an observation: own write, the user's proof, the ladder, git and parking.
Must not read anything, nor open or close windows (`agentdiff.core.tracking`).  Hop 4, called by
`agentdiff.core.ledger`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agentdiff.core import events as ev
from agentdiff.core.attribution import resolve
from agentdiff.core.codec import encode_state
from agentdiff.core.commands import Command, Publish, Report
from agentdiff.core.commits import commit_heard
from agentdiff.core.entries import ABSENT, Entry, File, Ref, as_seen, begins
from agentdiff.core.epochs import Epochs, authored, seen_of_git
from agentdiff.core.observing import observe
from agentdiff.core.owners import USER, Owner
from agentdiff.core.pairing import Pairing
from agentdiff.core.parking import Parking, adds_of
from agentdiff.core.pathstate import PathState
from agentdiff.core.proofs import WHOLE_NS, Correction, Match, Proofs, Sighting, mode_before
from agentdiff.core.records import PathChanged, PathParked

if TYPE_CHECKING:
    from agentdiff.core.ledger import Ledger


@dataclass(frozen=True, slots=True)
class OwnWrite:
    """A write of ours that the watcher has not seen yet."""

    at_ns: int
    replaced: Ref
    written: Entry


class Observer:
    """Turns observations, proofs and git's epochs into records.

    Attributes:
        proofs: what the editor claimed, and recent sightings.
        epochs: what git is known to have written.
        parking: pending changes whose content is gone for now.
        pairing: what was renamed.
        own_writes: path → what a decision wrote, until the watcher has seen it.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.proofs = Proofs()
        self.epochs = Epochs()
        self.parking = Parking()
        self.own_writes: dict[bytes, OwnWrite] = {}
        self.pairing = Pairing(ledger)

    def handle(self, event: ev.Event) -> list[Command]:
        """Returns the commands for what was seen, proved, or done by git."""
        match event:
            case ev.FileObserved():
                return self._observed(event)  # pairs are mended once for a whole reading
            case ev.ReadingEnded():
                return [
                    *self.pairing.pair(event.received_ns),
                    *self.pairing.mend(event.received_ns),
                ]
            case ev.EditorClaimed():
                commands = self._claimed(event)
            case ev.GitMoved():
                commands = self._git_moved(event)
            case ev.GitCommitted():
                commands = commit_heard(self._ledger, event)
            case _:
                commands = []
        return [*commands, *self.pairing.mend(event.received_ns)] if commands else commands

    def expire(self, now_ns: int) -> list[Command]:
        """Decides what stayed open for long, and drops what is too old to matter."""
        commands = self.settle(now_ns - WHOLE_NS, now_ns)
        self.proofs.expire(now_ns)
        self.epochs.expire(now_ns)
        return commands

    # --- questions -------------------------------------------------------------------------------

    def is_history(self, path: bytes, seen: Ref, seen_ns: int) -> bool:
        """Whether a reading shows what a decision of ours has replaced since."""
        own = self.own_writes.get(path)
        return own is not None and seen_ns < own.at_ns and seen == own.replaced

    def note_own_write(self, path: bytes, at_ns: int, replaced: Entry, written: Entry) -> None:
        """Remembers what a decision wrote."""
        self.own_writes[path] = OwnWrite(at_ns, replaced.ref(), written)

    # --- observations ----------------------------------------------------------------------------

    def _observed(self, event: ev.FileObserved) -> list[Command]:
        ledger, path, now = self._ledger, event.path, event.received_ns
        if self.is_history(path, event.after.ref(), now):
            return []
        state = ledger.paths.get(path)
        # The watcher does not know what we wrote ourselves; from this reading on it does.
        own = self.own_writes.pop(path, None)
        known = event.before if own is None else own.written
        known = as_seen(known, ABSENT) if state is None else state.cur
        after = as_seen(event.after, known if state is None else state.rest)
        if after == known or ledger.follows_disk(path, now):
            return []
        match = self.proofs.take(path, after)
        if match is not None:
            return self._saved(event, known, after, match)
        commands: list[Command] = []
        hidden = self.proofs.overwritten(path, known, after)
        model = hidden.torn.before if hidden and hidden.torn else known
        if hidden is not None and isinstance(model, File):
            between = File(data=hidden.data, mode=model.mode)
            commands += self._saved(event, known, between, hidden)
            known = between
        owner = self._owner(path, known, after, now)
        owner = self.epochs.author(path, after, owner, now)
        return commands + self._observe_as(event, known, after, owner)

    def _saved(
        self, event: ev.FileObserved, known: Entry, after: Entry, match: Match
    ) -> list[Command]:
        """Returns what follows from a write of the user's, seen half done before or not.

        What the editor proves is the content; a mode that changed with it has an author of its own.
        """
        start, path, now = match.torn, event.path, event.received_ns
        assert isinstance(after, File)
        pended = self._ledger.paths.get(path)
        users = replace(
            after, mode=mode_before(pended, known if not start else start.before, after)
        )
        by = USER if users == after else self._owner(path, users, after, now)
        if start is None:
            commands = [] if users == known else self._observe_as(event, known, users, USER)
            return commands + ([] if by is USER else self._observe_as(event, users, after, by))
        self._ledger.leaves(start.state)
        whole = self._stepped(start.state, path, start.before, users, USER)
        self.proofs.forget(path)
        if by is USER:
            return self.changed(path, known, after, USER, whole, now, since=start.seq)
        whole = self._stepped(whole, path, users, after, by)
        both = [(users, USER), (after, by)]
        return self.changed(path, known, after, by, whole, now, since=start.seq, steps=both)

    def _owner(self, path: bytes, before: Entry, after: Entry, now_ns: int) -> Owner:
        ledger = self._ledger
        return resolve(
            path,
            before,
            after,
            windows=ledger.sessions.open_calls(),
            tails=ledger.sessions.tails(now_ns),
            targets=ledger.tracking.announced,
            promised=ledger.tracking.promised,
        )

    def _observe_as(
        self, event: ev.FileObserved, before: Entry, after: Entry, owner: Owner
    ) -> list[Command]:
        """Returns what follows from a change whose author is known."""
        ledger, path, now = self._ledger, event.path, event.received_ns
        state = ledger.paths.get(path)
        coverage = "baseline uncertain: not read in time" if event.uncertain else "exact"
        result, seq = self._returned(state, path, before, after, owner), ledger.seq
        if result is not None:
            since: int | None = self.parking.since(result)
        elif state is None and not ledger.under_review(now):
            return []  # only looked at because something may return here
        else:
            start, whole, since = self._start(state, path, before, after, owner)
            result = self._step(start, path, whole, after, owner, coverage)
        read_ns = event.read_ns or now
        self.proofs.note(path, Sighting(now, read_ns, state, before, after, owner, seq))
        commands = self._put_aside(state, after, owner, result, now, seq)
        return commands + self.changed(path, before, after, owner, result, now, since=since)

    def _step(
        self,
        state: PathState | None,
        path: bytes,
        before: Entry,
        after: Entry,
        owner: Owner,
        coverage: str = "exact",
    ) -> PathState | None:
        if owner.kind == "git" and owner.proved:
            return None  # exactly git's content, by a person's command: it is the base now
        if owner.kind == "external" and state is not None:
            pulled = self.epochs.pulled(state, after, self._ledger.new_id)
            if pulled is not None:
                return pulled
        return observe(state, path, before, after, owner, self._ledger.new_id, coverage=coverage)

    def _returned(
        self, state: PathState | None, path: bytes, before: Entry, after: Entry, owner: Owner
    ) -> PathState | None:
        base, popped = before if state is None else state.rest, self.epochs.popped(path, after)
        new_id, paths = self._ledger.new_id, self._ledger.paths
        back = self.parking.returning(path, base, after, owner, new_id, paths, popped=popped)
        if back is not None:
            return back
        for aside in self.parking.all_of(path) if owner.kind == "external" else ():
            back = back or self.epochs.pulled(aside, after, new_id)
        return back or self.parking.merged(path, state, before, after, owner, new_id)

    def _start(
        self, state: PathState | None, path: bytes, before: Entry, after: Entry, owner: Owner
    ) -> tuple[PathState | None, Entry, int | None]:
        """Returns state and content that a write starts from, and since when: see `begun`."""
        if state is not None and self.parking.is_back(state):
            return state, before, None  # nothing is half done
        start, known, since = self.proofs.begun(path, state, before, after, owner)
        aside = self.parking.resumed(path, start, known, after, owner, self._ledger.paths)
        if aside is not None and (since is None or adds_of(aside.cur, before, after)):
            return aside, aside.cur, self.parking.since(aside)
        # A write that only adds was never half of another one: its hunk keeps its id.
        adds = aside is not None or begins(known, before)
        return (state, before, None) if adds else (start, known, since)

    def _stepped(
        self, state: PathState | None, path: bytes, before: Entry, after: Entry, owner: Owner
    ) -> PathState | None:
        """Returns what pends after a change that is given again."""
        back = self._returned(state, path, before, after, owner)
        if back is not None:
            return back
        aside = self.parking.resumed(path, state, before, after, owner, self._ledger.paths)
        start, known = (state, before) if aside is None else (aside, aside.cur)
        return self._step(start, path, known, after, owner)

    def _put_aside(
        self,
        state: PathState | None,
        after: Entry,
        owner: Owner,
        result: PathState | None,
        now_ns: int,
        seq: int,
    ) -> list[Command]:
        """Keeps what pended, after record `seq` or never (0), if its content may come back."""
        if state is None or not self.parking.is_worth(state, after, owner, result):
            return []
        state, seq = self._before_steps(state, after, seq)
        followed = self.pairing.followed(state, now_ns)
        return [*followed, self._ledger.park(state, seq, now_ns)]

    def _before_steps(self, state: PathState, after: Entry, seq: int) -> tuple[PathState, int]:
        """Returns what pended before a program replaced the content in steps.

        Git leaves a file gone, or empty, or half written for a moment: what pends then is nothing
        to keep in place of what was there.
        """
        for seen in reversed(self.proofs.recent(state.path)):
            if seen.after != state.cur:
                continue  # newer than what pends: the change itself
            nobody = seen.owner.kind in ("external", "git")
            if not nobody or seen.state is None or not begins(seen.after, after):
                break
            state, seq = seen.state, seen.seq
        return state, seq

    def changed(
        self,
        path: bytes,
        before: Entry,
        after: Entry,
        owner: Owner,
        state: PathState | None,
        now_ns: int,
        *,
        since: int | None = None,
        steps: Sequence[tuple[Entry, Owner]] = (),
        came_from: bytes | None = None,
    ) -> list[Command]:
        """Records what a path holds now, by whom, and what pends on it.

        `since`, `steps` and `came_from` are those of the record.
        """
        state = self._ledger.apart(state)
        record = PathChanged(
            path=path,
            before=before.ref(),
            after=after.ref(),
            owner=owner,
            state=encode_state(state),
            at_ns=now_ns,
            since=since,
            steps=tuple((entry.ref(), by) for entry, by in steps),
            came_from=came_from,
        )
        made = (*(() if state is None else (state.base,)), *(entry for entry, _ in steps), after)
        append = self._ledger.commit(record, {path: state}, made)
        written = (path,) if before != after else ()
        return [append, Publish(files=(path,), written=written)]

    # --- proofs ----------------------------------------------------------------------------------

    def _claimed(self, event: ev.EditorClaimed) -> list[Command]:
        if self._ledger.tracking.handed(event.path, event.data):
            return []  # the editor saves what the agent gave it: not the user's words
        if not event.written:
            self.proofs.claim(event.path, event.client, event.data, event.received_ns)
            return []
        since_ns = event.since_ns or event.received_ns
        correction = self.proofs.prove(event.path, event.client, event.data, since_ns)
        now = event.received_ns
        return [] if correction is None else self._correct(event.path, correction, now)

    def settle(self, before_ns: int, now_ns: int) -> list[Command]:
        """Decides what became of saves of which only a part was seen, if they are old enough."""
        commands: list[Command] = []
        for path, correction in self.proofs.settle(before_ns):
            commands += self._correct(path, correction, now_ns)
        if commands or self.pairing.wanted:  # a pair may have come apart while the daemon was dead
            commands += self.pairing.mend(now_ns)
        return commands

    def _correct(self, path: bytes, correction: Correction, now_ns: int) -> list[Command]:
        """Gives the sightings since the user's write again, with the right authors."""
        first, whole = correction.sightings[0], correction.whole
        mode = mode_before(first.state, first.before, first.after if whole is None else whole.after)
        users = File(data=correction.data, mode=mode)
        steps: list[tuple[Entry, Owner]] = [(users, USER)]
        if whole is not None and whole.after != users:
            steps.append((whole.after, whole.owner))  # the mode, which no proof covers
        rest = correction.sightings if whole is None else correction.sightings[1:]
        steps += [(sighting.after, sighting.owner) for sighting in rest]
        return self._again(path, first, steps, now_ns, "a late proof corrected an author")

    def _again(
        self,
        path: bytes,
        first: Sighting,
        steps: Sequence[tuple[Entry, Owner]],
        now_ns: int,
        why: str,
    ) -> list[Command]:
        """Gives what was seen from one sighting on again, step by step, with other authors."""
        commands: list[Command] = [Report(level="info", message=why)]
        first, steps = first.root or first, (*first.steps, *steps)
        state, known, author, seq = first.state, first.before, USER, first.seq
        given: list[Sighting] = []
        self._ledger.leaves(state)
        if self.parking.mistaken(path, first.seq):
            mistaken = PathParked(path=path, state=None, at_ns=now_ns, since=first.seq)
            commands += [self._ledger.commit(mistaken)]
        for after, owner in steps:
            # One record for several authors: it must not look proved when one of them is not.
            author = owner if not owner.proved or author.proved else author
            result = self._stepped(state, path, known, after, owner)
            one = replace(first, state=state, before=known, after=after, owner=owner, seq=seq)
            given.append(replace(one, steps=steps[: len(given)]))
            commands += self._put_aside(state, after, owner, result, now_ns, seq)
            state, known, seq = result, after, 0
        self.proofs.given_again(path, first, given)
        return commands + self.changed(
            path, first.before, known, author, state, now_ns, since=first.seq, steps=steps
        )

    # --- git -------------------------------------------------------------------------------------

    def _git_moved(self, event: ev.GitMoved) -> list[Command]:
        """Corrects the authors of what was seen already, and expects the rest."""
        lately = self.epochs.unexplained(self.proofs.sightings(event.contents))
        self.epochs.expect(event.contents, event.received_ns, popped=event.popped)
        commands, why = list[Command](), f"git {event.label} explains a change"
        for path, seen in lately:
            steps = [(one.after, one.owner) for one in seen]
            n = seen_of_git(seen, event.contents, path)
            if n is not None:
                steps[n] = (seen[n].after, authored(seen[n].owner))
            else:
                n = self._first_pulled(path, seen)
            if n is not None:
                commands += self._again(path, seen[n], steps[n:], event.received_ns, why)
        return commands

    def _first_pulled(self, path: bytes, seen: Sequence[Sighting]) -> int | None:
        """Returns which sighting first saw what pends, or was put aside, on git's new base."""
        new_id, asides = self._ledger.new_id, self.parking.all_of(path)
        for n, one in enumerate(seen):
            states = (one.state, *asides) if one.owner.kind == "external" else ()
            if any(s is not None and self.epochs.pulled(s, one.after, new_id) for s in states):
                return n
        return None
