"""One open workspace: its ledger, and the performing of what the ledger orders.

Owns store, blobs, tracker and watcher of one workspace.  Must not decide anything.  Hop 5;
everything except `settle`, `tracker` and the constructor runs on the engine's worker thread.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeAlias

from agentdiff.config import Config
from agentdiff.core.codec import decode_state, path_fields
from agentdiff.core.commands import (
    Answer,
    Append,
    Command,
    Publish,
    PublishTurnEnd,
    Report,
    WriteEntry,
)
from agentdiff.core.decisions import below
from agentdiff.core.entries import (
    ABSENT,
    Absent,
    Directory,
    Entry,
    File,
    Link,
    Other,
    Ref,
)
from agentdiff.core.events import EntryWritten, Event, FileObserved, LoadedItem, ReadingEnded
from agentdiff.core.ledger import Ledger
from agentdiff.core.records import DecisionItem, DecisionMade, DecisionTurned
from agentdiff.core.view import summary
from agentdiff.daemon.ports import ClientPort, PreImage
from agentdiff.sources.watch import Watcher, open_feed
from agentdiff.workspace.blobs import BlobStore
from agentdiff.workspace.files import (
    Changed,
    Failed,
    Root,
    Written,
    read_entry,
    remove_empty_parents,
    write_entry,
)
from agentdiff.workspace.gitbase import open_packs
from agentdiff.workspace.known import Population
from agentdiff.workspace.observations import Batch, Observation, TrackerSettings
from agentdiff.workspace.roots import confine, tree_allowed
from agentdiff.workspace.store import Store
from agentdiff.workspace.tracker import Tracker

Emit: TypeAlias = Callable[["Desk", Batch], None]


class Desk:
    """An open workspace.

    Args:
        root: absolute path.
        folder: its folder in the state folder.
        config: settings.
        home: the user's home, which is never followed as a whole.
        logger: the daemon's.
        emit: queues what the tracker saw.

    Raises:
        OSError: the workspace or its folder cannot be used.
        sqlite3.Error: its store cannot be used.
    """

    def __init__(
        self,
        root: bytes,
        folder: Path,
        config: Config,
        home: bytes,
        logger: logging.Logger,
        emit: Emit,
    ) -> None:
        self.root = root
        self._logger = logger
        self._max_bytes = config.workspace.max_file_bytes
        with contextlib.ExitStack() as opened:  # what cannot be opened keeps nothing open
            self.held = Root(root)
            opened.callback(self.held.close)
            self.store = Store(folder, root)
            opened.callback(self.store.close)
            self.blobs = BlobStore(folder / "blobs.pack")
            opened.pop_all()
        self.blobs.lean_on(open_packs(root))
        self.ledger = Ledger.replay(self.store.records(), self.load)
        self.clients: dict[str, ClientPort] = {}
        self.answers: dict[int, Future[dict[str, Any]]] = {}
        self.cold = threading.Event()
        seen = self.store.seen()
        if seen is None:
            self.cold.set()
        else:
            seen.doubt(self.blobs.holds)  # a power cut may have taken contents
        self._whole, reason = tree_allowed(root, home)
        settings = TrackerSettings(
            max_file_bytes=config.workspace.max_file_bytes,
            max_files=config.workspace.max_files,
            whole_tree=self._whole,
            reason=reason,
        )
        feed = open_feed(root) if self._whole else None
        self.tracker = Tracker(root, self.blobs, seen, lambda b: emit(self, b), settings, feed=feed)
        self.watcher = Watcher(root, self.tracker.touch, feed)
        self._made = self.store.made()
        self._files, self._written = dict[bytes, None](), dict[bytes, None]()
        self._changed = False

    def watch(self) -> None:
        """Begins to watch, except where only named files are followed: watching takes the tree."""
        if self._whole:
            self.watcher.start()

    @property
    def watching(self) -> bool:
        """Whether changes are heard of at once."""
        return self._whole and self.watcher.problem is None

    def close(self) -> None:
        """Stops watching and closes the store; what was observed is kept."""
        self.watcher.stop()
        self.tracker.close()
        self.store.close()
        self.blobs.close()
        self.held.close()

    @property
    def name(self) -> str:
        """The root as text, for people and messages (lossy when it is not UTF-8)."""
        return self.root.decode(errors="replace")

    # --- content ---------------------------------------------------------------------------------

    def load(self, ref: Ref) -> Entry:
        """Returns the entry that a ref names; content that is gone is an `Other` that says so."""
        if ref.kind == "absent":
            return ABSENT
        if ref.kind == "dir":
            return Directory(mode=ref.mode)
        if ref.kind == "other":
            return Other(kind=ref.note, stamp=ref.oid)
        try:
            data = self.blobs.get(ref.oid)
        except KeyError:
            return Other(kind="content lost: it is not in the store", stamp=ref.oid)
        if ref.kind == "link":
            return Link(target=data)
        if len(data) != ref.size:  # git converted the file, and it changed before that was noticed
            return Other(kind="content lost: git has it in another form", stamp=ref.oid)
        return File(data=data, mode=ref.mode, oid=ref.oid)

    def load_item(self, item: DecisionItem) -> LoadedItem:
        """Returns a decision's path with its states and contents."""
        return LoadedItem(
            path=item.path,
            before=decode_state(item.before, self.load),
            after=decode_state(item.after, self.load),
            cur_before=self.load(item.cur_before),
            cur_after=self.load(item.cur_after),
        )

    def base_of(self, path: bytes) -> Entry:
        """Returns what a path goes back to when everything pending is rejected."""
        state = self.ledger.paths.get(path)
        return self.current(path) if state is None else state.base

    def current(self, path: bytes) -> Entry:
        """Returns what is known to be at a path now."""
        state = self.ledger.paths.get(path)
        if state is not None:
            return state.cur
        known = self.tracker.lookup(path)
        if known is not None:
            return self.load(known.ref)
        return read_entry(self.held, path, max_bytes=self._max_bytes)

    def recover(self) -> list[Command]:
        """Completes decisions that a crash interrupted, as far as the disk shows they were done."""
        commands: list[Command] = []
        for intended in list(self.ledger.unfinished.values()):
            found = [
                self.load_item(item)
                for item in intended.items
                if item.cur_before != item.cur_after
                and read_entry(self.held, item.path, max_bytes=self._max_bytes).ref()
                == item.cur_after
            ]
            self._logger.warning(
                "decision was interrupted",
                extra={"decision": intended.decision, "recovered": len(found)},
            )
            commands += self.ledger.executor.recover(intended, found)
        return commands

    def content_at(self, seq: int, paths: Iterable[bytes]) -> dict[bytes, Ref]:
        """Returns what paths were at a record, for those that changed since.

        Args:
            seq: that record.
            paths: what is asked for, a folder meaning everything below it; empty means all.
        """
        wanted = tuple(paths)
        found: dict[bytes, Ref] = {}
        for record in self.store.changes_since(seq):
            items = getattr(record, "items", None)
            pairs = (
                [(record.path, record.before)]  # type: ignore[union-attr]
                if items is None
                else [(item.path, item.cur_before) for item in items]
            )
            for path, ref in pairs:
                if not wanted or below(path, wanted):
                    found.setdefault(path, ref)
        return found

    # --- what the tracker saw --------------------------------------------------------------------

    def take(self, batch: Batch) -> None:
        """Tells the ledger what changed, and remembers everything that was seen."""
        if isinstance(batch.observations, Population):
            self.store.populate(batch.observations.rows)
            self.cold.clear()
            return
        history = self.ledger.observer.is_history
        news = [o for o in batch.observations if not history(o.path, o.after, o.seen_ns)]
        sessions = self.ledger.sessions
        # What changed while nothing watched is nobody's, unless a call was, or still is, at work.
        unwatched = batch.catching_up and not (sessions.open_calls() or sessions.jobs())
        for one in news:
            # The tracker does not know what we wrote: "unchanged" is news if it is the old content.
            changed = one.before != one.after or one.path in self.ledger.observer.own_writes
            if changed and not (unwatched and not self.ledger.remembers(one.path)):
                self._observe(one, uncertain=batch.uncertain)
        self.handle(ReadingEnded(received_ns=time.time_ns()))
        self.store.learn(
            ((o.path, o.after, o.signature) for o in news if not o.forget),
            (o.path for o in news if o.forget),
        )
        self._note_made(directory for one in news for directory in one.new_parents)

    def _observe(self, one: Observation, *, uncertain: bool) -> None:
        if self.ledger.follows_disk(one.path, one.seen_ns):
            return
        event = FileObserved(
            path=one.path,
            before=self.load(one.before),
            after=self.load(one.after),
            received_ns=one.seen_ns,
            uncertain=uncertain,
        )
        self.handle(event)

    def seed(self, image: PreImage) -> None:
        """Tells what a path held before a call that no daemon saw (a spooled hook).

        By now the disk holds what the call made of it; the ledger is told of that change.
        """
        path = confine(self.root, image.path)
        if path is None:
            return
        before: Entry = ABSENT
        if image.data is not None:
            before = File(data=image.data, mode=image.mode)
            self._keep(before)
        after = read_entry(self.held, path, max_bytes=self._max_bytes)
        self._keep(after)
        now = time.time_ns()
        self.handle(FileObserved(path=path, before=before, after=after, received_ns=now))

    # --- performing ------------------------------------------------------------------------------

    def handle(self, event: Event) -> None:
        """Tells the ledger an event and does what it orders."""
        self.perform(self.ledger.handle(event))

    def perform(self, commands: Iterable[Command]) -> None:
        """Does what the ledger orders, in order; the outcome of a write is told at once."""
        for command in commands:
            match command:
                case Append():
                    self._append(command)
                case WriteEntry():
                    self.handle(self._write(command))
                case Publish():
                    self._changed = True
                    self._files.update(dict.fromkeys(command.files))
                    self._written.update(dict.fromkeys(command.written))
                case PublishTurnEnd():
                    self._tell(
                        "turn_ended",
                        agent=command.agent,
                        session=command.session,
                        turn=command.turn,
                    )
                case Answer():
                    self.store.commit()
                    self._answer(command)
                case Report():
                    level = logging.INFO if command.level == "info" else logging.WARNING
                    self._logger.log(level, command.message)

    def _answer(self, command: Answer) -> None:
        waiting = self.answers.pop(command.request, None)
        if waiting is not None:  # what git decided was nobody's request
            waiting.set_result(command.result)

    def _append(self, command: Append) -> None:
        for entry in command.entries:
            self._keep(entry)
        self.store.append(command.seq, command.record)
        if isinstance(command.record, DecisionMade | DecisionTurned):
            # After a crash the tracker must not take our own write for somebody's.
            self.store.learn((i.path, i.cur_after, None) for i in command.record.items)
        if command.durable:
            # Contents first: a record must never name what a power cut took.
            self.blobs.sync()
            self.store.commit(durable=True)

    def _keep(self, entry: Entry) -> None:
        if isinstance(entry, File):
            self.blobs.put(entry.data)
        elif isinstance(entry, Link):
            self.blobs.put(entry.target)

    def _write(self, command: WriteEntry) -> EntryWritten:
        path = command.path
        if command.expect == command.write:
            found = read_entry(self.held, path, max_bytes=self._max_bytes)
            same = found == command.expect
            return EntryWritten(
                path=path, received_ns=time.time_ns(), found=None if same else found
            )
        outcome = write_entry(self.held, path, expect=command.expect, write=command.write)
        now = time.time_ns()
        match outcome:
            case Written():
                if isinstance(command.write, Absent):
                    remove_empty_parents(self.held, path, self._made)
                self._note_made(outcome.created)
                self.tracker.touch([path])
                return EntryWritten(path=path, received_ns=now, weak=outcome.weak)
            case Changed():
                if outcome.displaced is not None:
                    self._rescue(path, outcome.displaced)
                return EntryWritten(path=path, received_ns=now, found=outcome.found)
            case Failed():
                return EntryWritten(path=path, received_ns=now, failed=outcome.reason)

    def _note_made(self, directories: Iterable[bytes]) -> None:
        """Remembers directories that came with a file: they go with it when they are empty."""
        made = set(directories) - self._made
        if made:
            self._made |= made
            self.store.note_made(made)

    def _rescue(self, path: bytes, entry: Entry) -> None:
        """Keeps a content that is nowhere on disk any more: three writers met on one name."""
        self._keep(entry)
        self._logger.error(
            "content displaced by a concurrent write is kept in the store",
            extra={"path": repr(path), "oid": entry.ref().oid},
        )

    # --- telling editors -------------------------------------------------------------------------

    def publish(self) -> None:
        """Commits, and tells attached editors what changed since the last call."""
        self.store.commit()
        if not self._changed:
            return
        self._changed = False
        files, written = list(self._files), list(self._written)
        self._files.clear()
        self._written.clear()
        self._tell(
            "changed",
            seq=self.ledger.seq,
            files=[_named(path) for path in files],
            written=[_named(path) for path in written],
            summary=summary(self.ledger, time.time_ns()),
        )

    def _tell(self, method: str, **params: object) -> None:
        body = {"workspace": self.name, **params}
        for client in self.clients.values():
            client.send(method, body)


def _named(path: bytes) -> str | dict[str, Any]:
    """Returns a path as requests may name it: a string, or an object when it is not UTF-8."""
    named = path_fields(path)
    return named if len(named) > 1 else str(named["path"])
