"""One open workspace: its ledger, and the performing of what the ledger orders.

Owns store, blobs, tracker and watcher of one workspace.  Must not decide anything.  Hop 5;
everything except `settle`, `tracker` and the constructor runs on the engine's worker thread.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from agentdiff.config import Config
from agentdiff.core.commands import (
    Answer,
    Append,
    Command,
    Publish,
    PublishTurnEnd,
    Report,
    WriteEntry,
)
from agentdiff.core.entries import ABSENT, Absent, Entry, File
from agentdiff.core.events import (
    EditorClaimed,
    EntryWritten,
    Event,
    FileObserved,
    ReadingEnded,
)
from agentdiff.core.ledger import Ledger
from agentdiff.core.records import DecisionIntended, DecisionItem
from agentdiff.daemon import gitnews, rescue
from agentdiff.daemon.audience import Audience
from agentdiff.daemon.keeping import Keeping
from agentdiff.daemon.ports import PreImage
from agentdiff.daemon.recall import Recall
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
from agentdiff.workspace.head import Head
from agentdiff.workspace.known import KnownTable, Population
from agentdiff.workspace.observations import Batch, Known, Observation, TrackerSettings
from agentdiff.workspace.roots import confine, tree_allowed
from agentdiff.workspace.store import Store
from agentdiff.workspace.tracker import Tracker
from agentdiff.workspace.upkeep import Upkeep

RESTLESS_S = 3.0

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
            opened.callback(self.blobs.close)
            self.blobs.lean_on(open_packs(root))
            self.recall = Recall(self.store, self.blobs)
            self.keeping = Keeping(self.recall, logger, self.name)
            self.ledger = Ledger.replay(self.store.records(), self.recall.load)
            self.audience = Audience(self.name)
            self.answers: dict[int, Future[dict[str, Any]]] = {}
            self.cold = threading.Event()
            seen = self.store.seen()
            if seen is None:
                self.cold.set()
            else:
                seen.doubt(self.blobs.holds)  # a power cut may have taken contents
                self._own_up(seen)
            self.upkeep = Upkeep(self.store, self.blobs, config.workspace.store_mib << 20)
            self.upkeep.begin(self._pending(), seen)
            self._whole, reason = tree_allowed(root, home)
            settings = TrackerSettings(
                max_file_bytes=config.workspace.max_file_bytes,
                max_files=config.workspace.max_files,
                include=config.workspace.include,
                whole_tree=self._whole,
                reason=reason,
            )
            feed = open_feed(root) if self._whole else None
            if feed is not None:
                opened.callback(feed.close)
            take: Callable[[Batch], None] = functools.partial(emit, self)
            self.tracker = Tracker(root, self.blobs, seen, take, settings, feed=feed)
            self.watcher = Watcher(root, self.tracker.touch, feed)
            self._made = self.store.made()
            self.head = Head(root)
            self._restless_until = 0.0
            self._closed = False
            opened.pop_all()

    def watch(self) -> None:
        """Begins to watch, except where only named files are followed: watching takes the tree."""
        if self._whole:
            self.watcher.start()

    def _pending(self) -> set[str]:
        """Returns the ids of the contents that pend, or may pend again."""
        states = [*self.ledger.paths.values(), *self.ledger.observer.parking.states()]
        return {entry.ref().oid for state in states for entry in state.contents}

    def tidy(self) -> None:
        """Syncs, and keeps the store within its budget; cheap when there is nothing to do."""
        self.keeping.rest()
        if self.keeping.problem is not None:
            return  # what the log would name is not all in it
        freed = self.upkeep.tick(self._pending, self.tracker.table)
        if freed:
            self._logger.info("store tidied up", extra={"workspace": self.name, "freed": freed})

    @property
    def watching(self) -> bool:
        """Whether changes are heard of at once."""
        return self._whole and self.watcher.problem is None

    @property
    def live(self) -> bool:
        """Whether an agent's session is live here; any thread."""
        return bool(self.ledger.sessions.live(time.time_ns()))

    @property
    def git_problem(self) -> str | None:
        """What git could not do for this workspace, a sentence; any thread."""
        return "; ".join(filter(None, (self.tracker.git_problem, self.head.problem))) or None

    def fall_silent(self) -> None:
        """Stops watching and reading: nothing is emitted after that."""
        self.watcher.stop()
        self.tracker.close()

    def close(self) -> None:
        """Closes what is open, whatever fails; what was observed is kept.  Harmless twice."""
        if self._closed:
            return
        self._closed = True
        with contextlib.ExitStack() as closing:  # the last one first
            closing.callback(self.held.close)
            closing.callback(self.blobs.close)
            closing.callback(self.store.close)
            closing.callback(self.fall_silent)

    @property
    def name(self) -> str:
        """The root as text, for people and messages (lossy when it is not UTF-8)."""
        return self.root.decode(errors="replace")

    # --- content ---------------------------------------------------------------------------------

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
            return self.recall.load(known.ref)
        return read_entry(self.held, path, max_bytes=self._max_bytes)

    def _carried_out(self, intended: DecisionIntended) -> list[DecisionItem]:
        """Returns the writes of an interrupted decision that the disk shows were done."""
        return [
            item
            for item in intended.items
            if item.cur_before != item.cur_after
            and read_entry(self.held, item.path, max_bytes=self._max_bytes).ref() == item.cur_after
        ]

    def _own_up(self, seen: KnownTable) -> None:
        """Lets nobody be blamed for what an interrupted decision of ours wrote."""
        for intended in self.ledger.unfinished.values():
            for item in self._carried_out(intended):
                if item.cur_after.kind == "absent":
                    seen.discard(item.path)
                else:
                    seen[item.path] = Known(ref=item.cur_after)

    def recover(self) -> list[Command]:
        """Completes decisions that a crash interrupted, as far as the disk shows they were done."""
        commands: list[Command] = []
        for intended in list(self.ledger.unfinished.values()):
            found = [self.recall.item(item) for item in self._carried_out(intended)]
            self._logger.warning(
                "decision was interrupted",
                extra={"decision": intended.decision, "recovered": len(found)},
            )
            paths = [item.path for item in intended.items]
            rescue.clear_up(self.recall, self._logger, self.held, paths, self._max_bytes)
            commands += self.ledger.executor.recover(intended, found)
        return commands

    # --- what the tracker saw --------------------------------------------------------------------

    def take(self, batch: Batch) -> None:
        """Tells the ledger what changed, and remembers everything that was seen."""
        if isinstance(batch.observations, Population):
            self.store.populate(batch.observations.rows)
            self.cold.clear()
            return
        history = self.ledger.observer.is_history
        news = [o for o in batch.observations if not history(o.path, o.after, o.seen_ns)]
        self._restless_until = time.monotonic() + RESTLESS_S
        sessions = self.ledger.sessions
        # What changed while nothing watched is nobody's, unless a call was, or still is, at work.
        unwatched = batch.catching_up and not (sessions.open_calls() or sessions.jobs())
        for one in news:
            # The tracker does not know what we wrote: "unchanged" is news if it is the old content.
            changed = one.before != one.after or one.path in self.ledger.observer.own_writes
            if changed and not (unwatched and not self.ledger.remembers(one.path)):
                self._observe(one, uncertain=batch.uncertain or one.uncertain)
        self.handle(ReadingEnded(received_ns=time.time_ns()))
        self.store.learn(
            ((o.path, o.after, o.signature) for o in news if not o.forget),
            (o.path for o in news if o.forget),
        )
        self._note_made(directory for one in news for directory in one.new_parents)

    def hear_git(self, paths: Iterable[bytes] = ()) -> None:
        """Tells the ledger what git did; `paths` are about to be told as observed."""
        for event in gitnews.news(self.head, self.ledger, paths):
            self.handle(event)

    @property
    def restless(self) -> bool:
        """Whether something was seen that git may explain in a moment: it moves HEAD last."""
        return time.monotonic() < self._restless_until

    def _observe(self, one: Observation, *, uncertain: bool) -> None:
        if self.ledger.follows_disk(one.path, one.seen_ns):
            return
        event = FileObserved(
            path=one.path,
            before=self.recall.load(one.before),
            after=self.recall.load(one.after),
            received_ns=one.seen_ns,
            read_ns=one.read_ns,
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
            self.recall.keep(before)
        after = read_entry(self.held, path, max_bytes=self._max_bytes)
        self.recall.keep(after)
        now = time.time_ns()
        self.handle(FileObserved(path=path, before=before, after=after, received_ns=now))
        self.handle(ReadingEnded(received_ns=now))

    def claimed(self, claim: EditorClaimed) -> None:
        """Takes an editor's word about a file, under the name that we know it by."""
        path = confine(self.root, claim.path)
        if path is not None:
            claim = replace(claim, path=self.tracker.key(path))
        self.handle(claim)
        if claim.written:
            self.tracker.touch([claim.path])

    # --- performing ------------------------------------------------------------------------------

    def handle(self, event: Event) -> None:
        """Tells the ledger an event and does what it orders."""
        self.perform(self.ledger.handle(event))

    def perform(self, commands: Iterable[Command]) -> None:
        """Does what the ledger orders, in order; the outcome of a write is told at once."""
        for command in commands:
            match command:
                case Append():
                    self.keeping.append(command)
                case WriteEntry():
                    self.handle(self._write(command))
                case Publish():
                    self.audience.note(command)
                case PublishTurnEnd():
                    self.audience.tell(
                        "turn_ended",
                        agent=command.agent,
                        session=command.session,
                        turn=command.turn,
                    )
                case Answer():
                    self.keeping.commit()
                    self._answer(command)
                case Report():
                    level = logging.INFO if command.level == "info" else logging.WARNING
                    self._logger.log(level, command.message)

    def _answer(self, command: Answer) -> None:
        waiting = self.answers.pop(command.request, None)
        if waiting is not None:  # what git decided was nobody's request
            waiting.set_result(command.result)

    def _write(self, command: WriteEntry) -> EntryWritten:
        path = command.path
        if command.expect == command.write:
            found = read_entry(self.held, path, max_bytes=self._max_bytes)
            same = found == command.expect
            return EntryWritten(
                path=path, received_ns=time.time_ns(), found=None if same else found
            )
        if (refusal := self.keeping.refusal) is not None:
            return EntryWritten(path=path, received_ns=time.time_ns(), failed=refusal)
        modes = self.tracker.table.folders.get
        outcome = write_entry(
            self.held, path, expect=command.expect, write=command.write, folder_mode=modes
        )
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
                    rescue.keep(self.recall, self._logger, path, outcome.displaced)
                return EntryWritten(path=path, received_ns=now, found=outcome.found)
            case Failed():
                return EntryWritten(path=path, received_ns=now, failed=outcome.reason)

    def _note_made(self, directories: Iterable[bytes]) -> None:
        """Remembers directories that came with a file: they go with it when they are empty."""
        made = set(directories) - self._made
        if made:
            self._made |= made
            self.store.note_made(made)

    # --- telling editors -------------------------------------------------------------------------

    def publish(self) -> None:
        """Commits, and tells attached editors what changed since the last call."""
        self.keeping.commit()
        self.audience.publish(self.ledger)
