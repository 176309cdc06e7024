"""Orders, in the imperative: everything the ledger can ask for.

Owns the command types.  Must not perform them: `agentdiff.daemon.engine` does.  Made at hop 4,
performed at hops 5 to 7.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from agentdiff.core.entries import Entry
from agentdiff.core.records import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Append:
    """Put a record into the log under this sequence number.

    Attributes:
        entries: contents that the record names and that no observation has stored yet.
        durable: whether it must survive a power cut before the next command is performed.
    """

    seq: int
    record: Record
    entries: tuple[Entry, ...] = ()
    durable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteEntry:
    """Replace what is at `path` by `write`, if it still is `expect`; answer with `EntryWritten`.

    When both are equal nothing is written: the content is only compared.
    """

    path: bytes
    expect: Entry
    write: Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish:
    """Tell attached editors what changed: what pends (`files`), and what is on disk (`written`)."""

    files: tuple[bytes, ...] = ()
    written: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishTurnEnd:
    """Tell attached editors that a turn is over."""

    agent: str
    session: str
    turn: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Give the client of a request its result."""

    request: int
    result: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Write a line to the daemon's log; the core has no logger, so that tests can see it."""

    level: Literal["info", "warning"]
    message: str


Command: TypeAlias = Append | WriteEntry | Publish | PublishTurnEnd | Answer | Report
