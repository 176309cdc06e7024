"""How the log and the contents of one workspace get to disk, also when the disk refuses.

Owns the order (contents before the records that name them) and what happens while nothing can be
written: everything goes on in memory, in order, and is written as soon as the disk takes it; only
decisions that would write files are refused, because nobody could finish them after a crash.  Must
not decide what is kept.  Hop 5; the engine's worker thread.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from dataclasses import dataclass

from agentdiff.core.commands import Append
from agentdiff.core.records import DecisionMade, DecisionTurned
from agentdiff.daemon.recall import Recall

SYNC_EVERY_S = 2.0


@dataclass(slots=True)
class Keeping:
    """The way to disk of one workspace.

    Attributes:
        refusal: why the decision that is being carried out must not write, None when it may.
    """

    recall: Recall
    logger: logging.Logger
    name: str
    refusal: str | None = None
    _told: str | None = None
    _synced_s: float = 0.0

    @property
    def problem(self) -> str | None:
        """Why nothing can be written to the state folder; None while all is well."""
        return self.recall.blobs.problem or self.recall.store.problem

    def append(self, command: Append) -> None:
        """Adds a record and its contents to what the next commit writes, or commits at once."""
        store = self.recall.store
        try:
            for entry in command.entries:
                self.recall.keep(entry)
        except OSError as error:  # the disk refuses, and memory holds all it may: never in silence
            extra = {"workspace": self.name, "reason": str(error)}
            self.logger.error("a content is not kept", extra=extra)
        store.append(command.seq, command.record)
        if isinstance(command.record, DecisionMade | DecisionTurned):
            # After a crash the tracker must not take our own write for somebody's.
            store.learn((i.path, i.cur_after, None) for i in command.record.items)
        if command.durable:
            self._sync()

    def commit(self) -> None:
        """Commits, unless a content that a record names waits for the disk."""
        if self.recall.blobs.problem is not None:
            self.recall.blobs.flush()
        if self.recall.blobs.problem is None:
            self.recall.store.commit()
        self._tell()

    def rest(self) -> None:
        """Makes what happened lately durable, when nobody waits for anything; not too often."""
        now_s = time.monotonic()
        if self.recall.store.unsynced and now_s - self._synced_s > SYNC_EVERY_S:
            self._synced_s = now_s
            self._sync()

    def _sync(self) -> None:
        self.refusal = None
        try:
            # Contents first: a record must never name what a power cut took.
            self.recall.blobs.sync()
            self.recall.store.commit(durable=True)
        except (OSError, sqlite3.Error) as error:
            reason = self.problem or str(error)
            self.refusal = f"{reason}; the file was left as it is: free space and try again"
        self._tell()

    def _tell(self) -> None:
        """Logs once that nothing can be written, and once that it can again."""
        problem = self.problem
        if problem == self._told:
            return
        self._told = problem
        if problem is None:
            self.logger.info("state can be written again", extra={"workspace": self.name})
        else:
            extra = {"workspace": self.name, "reason": problem}
            self.logger.error("state is kept in memory only", extra=extra)
