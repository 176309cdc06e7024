"""A workspace in memory: the ledger with a dict for a disk, for tests that need no daemon.

`Play` performs the ledger's commands as the engine does, against `disk`; the log is a list, and
`reload` replays it, so that every test can crash wherever it likes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import orjson

from agentdiff.core.codec import encode_state
from agentdiff.core.commands import Answer, Append, Command, Publish, Report, WriteEntry
from agentdiff.core.entries import ABSENT, Directory, Entry, File, Link, Other, Ref
from agentdiff.core.events import (
    DecisionRequested,
    EditorAttached,
    EditorClaimed,
    EntryWritten,
    Event,
    FileObserved,
    PromptSubmitted,
    ReadingEnded,
    RestoreRequested,
    Selection,
    SessionEnded,
    SessionStarted,
    Target,
    ToolFinished,
    ToolStarted,
    UndoRequested,
)
from agentdiff.core.ledger import Ledger
from agentdiff.core.records import (
    DecisionMade,
    DecisionTurned,
    PathChanged,
    Record,
    decode_record,
    encode_record,
)
from agentdiff.daemon.recall import Recall
from agentdiff.workspace.blobs import BlobStore
from agentdiff.workspace.store import Store

STEP_NS = 1_000_000


class Memory:
    """The log and the contents of a `Play`, as far as `agentdiff.daemon.recall` asks for them."""

    def __init__(self, play: Play) -> None:
        self._play = play

    def get(self, oid: str) -> bytes:
        """Returns a content, as `BlobStore.get`."""
        return self._play.blobs[oid]

    def record(self, seq: int) -> Record:
        """Returns the record with a number, as `Store.record`."""
        return dict(self._play.records())[seq]

    def changes_since(self, seq: int) -> Iterator[tuple[int, Record]]:
        """Yields what changed paths after a record, as `Store.changes_since`."""
        for at, record in self._play.records():
            if at > seq and isinstance(record, PathChanged | DecisionMade | DecisionTurned):
                yield at, record

    def changes_until(self, seq: int, since_ns: int) -> Iterator[Record]:
        """Yields what changed paths up to a record, as `Store.changes_until`."""
        for at, record in self._play.records():
            kept = isinstance(record, PathChanged | DecisionMade | DecisionTurned)
            if kept and at <= seq and record.at_ns >= since_ns:
                yield record


@dataclass
class Play:
    """One workspace; `now` advances by `STEP_NS` with every event."""

    disk: dict[bytes, Entry] = field(default_factory=dict)
    ledger: Ledger = field(default_factory=Ledger)
    log: list[tuple[int, bytes]] = field(default_factory=list)
    read: list[tuple[int, Record]] = field(default_factory=list)
    contents: dict[Ref, Entry] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    answers: list[dict[str, Any]] = field(default_factory=list)
    published: list[Publish] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    seen: dict[bytes, Entry] = field(default_factory=dict)
    now: int = 1_000_000_000
    calls: int = 0
    meddle: dict[bytes, Entry] = field(default_factory=dict)
    fails: dict[bytes, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # The index knows directories only where a file was.
        self.seen = {p: e for p, e in self.disk.items() if not isinstance(e, Directory)}
        memory = Memory(self)
        # What undo and restore know is found by the daemon's own code.
        self.recall = Recall(store=cast("Store", memory), blobs=cast("BlobStore", memory))

    # --- the engine's part -----------------------------------------------------------------------

    def tick(self) -> int:
        """Returns the next moment."""
        self.now += STEP_NS
        return self.now

    def handle(self, event: Event) -> list[Command]:
        """Tells the ledger and performs what it orders; returns the commands."""
        commands = self.ledger.handle(event)
        for command in commands:
            self.perform(command)
        return commands

    def perform(self, command: Command) -> None:
        """Does one command."""
        match command:
            case Append():
                for entry in command.entries:
                    self.keep(entry)
                self.log.append((command.seq, orjson.dumps(encode_record(command.record))))
            case WriteEntry():
                self.handle(self.swap(command))
            case Answer():
                self.answers.append(command.result)
            case Publish():
                self.published.append(command)
            case Report():
                self.reports.append(command)
            case _:
                pass

    def swap(self, command: WriteEntry) -> EntryWritten:
        """Compares and swaps; `meddle` writes in between, once per path; `fails` says why not."""
        if command.path in self.fails:
            failed = self.fails[command.path]
            return EntryWritten(path=command.path, received_ns=self.tick(), failed=failed)
        sides = (command.expect, command.write)
        if command.expect != command.write and any(isinstance(one, Other) for one in sides):
            failed = "its content is not kept, so that it can neither be compared nor restored"
            return EntryWritten(path=command.path, received_ns=self.tick(), failed=failed)
        if command.path in self.meddle:
            self.put(command.path, self.meddle.pop(command.path))
        there = self.disk.get(command.path, ABSENT)
        if there != command.expect:
            self.keep(there)
            return EntryWritten(path=command.path, received_ns=self.tick(), found=there)
        self.put(command.path, command.write)
        return EntryWritten(path=command.path, received_ns=self.tick())

    def keep(self, entry: Entry) -> None:
        """Stores a content, as the blob store would."""
        self.contents[entry.ref()] = entry
        if isinstance(entry, File):
            self.blobs[entry.oid] = entry.data
        elif isinstance(entry, Link):
            self.blobs[entry.ref().oid] = entry.target

    def put(self, path: bytes, entry: Entry) -> None:
        """Writes to the disk behind the ledger's back."""
        if entry == ABSENT:
            self.disk.pop(path, None)
        else:
            self.disk[path] = entry

    def observation(self, path: bytes) -> FileObserved:
        """Returns what is seen of a path now, as news."""
        before, after = self.seen.get(path, ABSENT), self.disk.get(path, ABSENT)
        self.seen[path] = after
        self.keep(before)
        self.keep(after)
        return FileObserved(path=path, before=before, after=after, received_ns=self.tick())

    def cut(self) -> None:
        """Observes every path that differs from what was last seen, in path order."""
        for path in sorted({*self.disk, *self.seen}):
            before, after = self.seen.get(path, ABSENT), self.disk.get(path, ABSENT)
            own = path in self.ledger.observer.own_writes
            if isinstance(after, Directory) and before == ABSENT and not own:
                continue
            # What we wrote ourselves is read again, as the engine's tracker does.
            if before != after or own:
                self.handle(self.observation(path))
        self.handle(ReadingEnded(received_ns=self.tick()))

    def reload(self) -> Ledger:
        """Returns the ledger that the log alone describes."""
        return Ledger.replay(self.records(), self.contents.__getitem__)

    def restart(self, ledger: Ledger) -> None:
        """Goes on with a reloaded ledger.

        The store notes what a decision wrote as seen, in the transaction that logs the decision.
        """
        for path, own in self.ledger.observer.own_writes.items():
            self.seen[path] = own.written
        self.ledger = ledger

    def records(self) -> list[tuple[int, Record]]:
        """Returns the log, read back from its stored form."""
        # What was read once is not read again: records are frozen, and logs only grow.
        for seq, body in self.log[len(self.read) :]:
            self.read.append((seq, decode_record(orjson.loads(body))))
        return list(self.read)

    # --- people and agents -----------------------------------------------------------------------

    def prompt(
        self, agent: str, session: str, text: str = "do it", turn: str | None = None
    ) -> None:
        """Starts a turn (and the session, when it is new)."""
        if (agent, session) not in self.ledger.sessions.by_key:
            self.handle(SessionStarted(agent=agent, session=session, received_ns=self.tick()))
        self.handle(
            PromptSubmitted(
                agent=agent, session=session, turn=turn, prompt=text, received_ns=self.tick()
            )
        )

    def attach(self) -> None:
        """Lets an editor show the workspace, which keeps it under review."""
        self.handle(EditorAttached(client="nvim", received_ns=self.tick()))

    def end(self, agent: str, session: str) -> None:
        """Ends a session."""
        self.handle(SessionEnded(agent=agent, session=session, received_ns=self.tick()))

    def start(
        self,
        agent: str,
        session: str,
        *targets: Target,
        tool: str = "Bash",
        subagent: str | None = None,
    ) -> ToolStarted:
        """Opens a window: over the targets, or over everything when there are none."""
        self.cut()
        self.calls += 1
        event = ToolStarted(
            agent=agent,
            session=session,
            tool_call=f"{agent}-{self.calls}",
            tool="Edit" if targets else tool,
            scope="paths" if targets else "tree",
            targets=targets,
            subagent=subagent,
            received_ns=self.tick(),
        )
        self.handle(event)
        return event

    def finish(self, started: ToolStarted, background: str | None = None) -> None:
        """Looks at the disk, then closes the window."""
        self.cut()
        self.handle(
            ToolFinished(
                agent=started.agent,
                session=started.session,
                tool_call=started.tool_call,
                tool=started.tool,
                scope=started.scope,
                targets=started.targets,
                outcome="ok",
                background_task=background,
                received_ns=self.tick(),
            )
        )

    def run(self, agent: str, session: str, changes: dict[bytes, Entry]) -> None:
        """Runs a shell command that makes these changes."""
        started = self.start(agent, session)
        for path, entry in changes.items():
            self.put(path, entry)
        self.finish(started)

    def save(self, path: bytes, data: bytes, entry: Entry) -> None:
        """Saves from the editor: claim, write, look, proof."""
        self.claim(path, data)
        self.put(path, entry)
        self.cut()
        self.claim(path, data, written=True)

    def claim(self, path: bytes, data: bytes, *, written: bool = False, since_ns: int = 0) -> None:
        """Sends a claim or a proof of the editor."""
        self.handle(
            EditorClaimed(
                client="nvim",
                path=path,
                data=data,
                written=written,
                received_ns=self.tick(),
                since_ns=since_ns,
            )
        )

    def ask(self, event: Event) -> dict[str, Any]:
        """Hands in a request and returns its answer."""
        self.handle(event)
        return self.answers[-1]

    def decide(
        self, op: str, selection: Selection, *, client: str = "cli", **more: Any
    ) -> dict[str, Any]:
        """Requests a decision and returns its answer."""
        return self.ask(
            DecisionRequested(
                op=op,  # type: ignore[arg-type]
                selection=selection,
                client=client,
                received_ns=self.tick(),
                **more,
            )
        )

    def undo(self, *, redo: bool = False, client: str = "cli") -> dict[str, Any]:
        """Undoes (or redoes) and returns the answer."""
        step = self.ledger.turns.target(client, redo=redo)
        items = () if step is None else self.recall.turned(step, redo=redo)
        return self.ask(
            UndoRequested(
                client=client,
                received_ns=self.tick(),
                redo=redo,
                decision=None if step is None else step.decision,
                items=items,
            )
        )

    def restore(self, seq: int, paths: Iterable[bytes] = ()) -> dict[str, Any]:
        """Puts paths (all of them, when none is named) back to what they were at a record."""
        contents = []
        for path, ref in self.recall.content_at(seq, paths).items():
            there, wanted = self.disk.get(path, ABSENT), self.recall.load(ref)
            if there != wanted:
                contents.append((path, there, wanted))
        return self.ask(
            RestoreRequested(client="cli", received_ns=self.tick(), contents=tuple(contents))
        )

    def write(self, agent: str, session: str, path: bytes, data: bytes) -> ToolStarted:
        """Writes a file with an edit tool that announced exactly this content."""
        started = self.start(agent, session, Target(path=path, action="write", new_text=data))
        old = self.disk.get(path)
        self.put(path, File(data=data, mode=old.mode if isinstance(old, File) else 0o644))
        self.finish(started)
        return started

    # --- questions -------------------------------------------------------------------------------

    def ids(self, path: bytes) -> tuple[int, ...]:
        """Returns every id that can be decided on a path, in order."""
        state = self.ledger.paths.get(path)
        return () if state is None else state.ids

    def owners(self, path: bytes) -> list[tuple[str, str | None, str]]:
        """Returns (kind, session, evidence) of every owner on a path, in order of its changes."""
        state = self.ledger.paths.get(path)
        changes = () if state is None else state.ids
        return [
            (owner.kind, owner.session, owner.evidence)
            for change in changes
            for owner in state.changes()[change].owners  # type: ignore[union-attr]
        ]

    def base(self, path: bytes) -> Entry:
        """Returns what the path goes back to when everything is rejected."""
        state = self.ledger.paths.get(path)
        return self.disk.get(path, ABSENT) if state is None else state.rest

    def pending(self) -> dict[bytes, str]:
        """Returns path → status of everything pending."""
        return {path: state.status for path, state in sorted(self.ledger.paths.items())}


def image(ledger: Ledger) -> dict[str, Any]:
    """Returns everything that must survive a restart, comparable."""
    return {
        "seq": ledger.seq,
        "paths": {path: encode_state(state) for path, state in ledger.paths.items()},
        "sessions": {
            key: (s.state, s.turn, sorted(s.calls), sorted(s.open), sorted(s.jobs), dict(s.aliases))
            for key, s in ledger.sessions.by_key.items()
        },
        "calls": {
            (c.key, c.opened.tool_call): (c.opened, c.outcome, sorted(c.paths))
            for c in ledger.sessions.calls()
        },
        "turns": {key: (t.n, t.prompt, t.finished_ns) for key, t in ledger.sessions.turns.items()},
        "decisions": sorted(ledger.decisions),
        "undo": [ledger.turns.target("cli", redo=redo) for redo in (False, True)],
        "in effect": ledger.turns.in_effect(),
        "changed_at": dict(ledger.changed_at),
        "where": dict(ledger.where),
    }
