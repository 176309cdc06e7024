"""A workspace whose process may be killed while it decides, and starts again.

What a kill takes is what was not committed: a durable record commits itself and all before it, the
rest is committed with the answer (`agentdiff.daemon.desk.Desk.perform`,
`agentdiff.daemon.keeping.Keeping.append`).  What comes next is what the daemon does when it opens a
workspace: it replays the log, finds out on the disk which writes of an unfinished decision were
done, and takes them for its own (`agentdiff.daemon.desk.Desk.recover`).
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from agentdiff.core.commands import Answer, Append, Command, WriteEntry
from agentdiff.core.entries import ABSENT, Directory, Entry
from agentdiff.core.events import EntryWritten, Event
from agentdiff.core.records import DecisionIntended, DecisionMade, DecisionTurned
from tests.play import Play
from tests.properties.oracles import hunks_of


class KilledError(Exception):
    """The process is gone."""


@dataclass
class Mortal(Play):
    """A play that can be killed, and that can be had twice.

    Attributes:
        lives: how many more durable records and writes it survives, None for all.
        kept: how many records are committed.
        died: whether it was killed.
    """

    lives: int | None = None
    kept: int = 0
    died: bool = False

    def twin(self) -> Self:
        """Returns one that goes its own way from here on; what never changes is shared."""
        fixed = [*self.contents.values(), *self.disk.values(), *self.log, *self.read]
        return copy.deepcopy(self, {id(one): one for one in fixed})

    def perform(self, command: Command) -> None:
        """Does one command, and may die of it."""
        super().perform(command)
        if isinstance(command, Answer) or (isinstance(command, Append) and command.durable):
            self.kept = len(self.log)
        if isinstance(command, Append) and command.durable:
            self._survives()

    def swap(self, command: WriteEntry) -> EntryWritten:
        """Compares and swaps, and may die before it can say so."""
        written = super().swap(command)
        self._survives()
        return written

    def _survives(self) -> None:
        if self.lives is not None:
            if self.lives == 0:
                raise KilledError
            self.lives -= 1

    def ask(self, event: Event) -> dict[str, Any]:
        """Hands in a request; returns its answer, or what the log tells of it after a kill."""
        self.kept = first = len(self.log)
        try:
            self.handle(event)
        except KilledError:
            self._begin_again(first)
            return self._told(first)
        return self.answers[-1]

    def _begin_again(self, first: int) -> None:
        self.lives, self.died = None, True
        del self.log[self.kept :]
        del self.read[self.kept :]
        for _, record in self.records()[first:]:
            if isinstance(record, DecisionMade | DecisionTurned):
                # In the transaction that logs it.
                self.seen.update({i.path: self.recall.load(i.cur_after) for i in record.items})
        self.ledger = self.reload()
        for intended in list(self.ledger.unfinished.values()):
            done = [
                item
                for item in intended.items
                if item.cur_before != item.cur_after
                and self.disk.get(item.path, ABSENT).ref() == item.cur_after
            ]
            self.seen.update({item.path: self.disk.get(item.path, ABSENT) for item in done})
            found = [self.recall.item(item) for item in done]
            for command in self.ledger.executor.recover(intended, found):
                self.perform(command)
        self.cut()

    def _told(self, first: int) -> dict[str, Any]:
        records = [record for _, record in self.records()[first:]]
        made = [r for r in records if isinstance(r, DecisionMade | DecisionTurned) and r.items]
        begun = [r for r in records if isinstance(r, DecisionIntended)]
        decision = next((r.decision for r in (*made, *begun)), None)
        return {"decision": decision if made else None, "refused": [], "done": [], "moved_on": []}


@dataclass(frozen=True)
class End:
    """What a path holds and what pends on it, but for ids."""

    there: Entry
    rest: Entry
    origin: bytes | None
    hunks: tuple[object, ...]


def ends(play: Play, paths: Iterable[bytes]) -> dict[bytes, End]:
    """Returns what paths hold, and what pends on them."""
    found: dict[bytes, End] = {}
    for path in paths:
        state, there = play.ledger.paths.get(path), play.disk.get(path, ABSENT)
        there = ABSENT if isinstance(there, Directory) else there
        if state is None:
            found[path] = End(there, there, None, ())
        else:
            found[path] = End(there, state.rest, state.origin, tuple(hunks_of(state)))
    return found


def decided_since(play: Play, seq: int) -> list[tuple[bytes, object]]:
    """Returns what was logged as decided since a record: (path, what was left there)."""
    return [
        (item.path, item.cur_after)
        for at, record in play.records()
        if at > seq and isinstance(record, DecisionMade | DecisionTurned)
        for item in record.items
    ]
