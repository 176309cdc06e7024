"""The memory of one workspace on disk: its log, and what was last seen of each path.

Owns one SQLite file (WAL) per workspace.  Must not interpret records: `agentdiff.core.records`
does.  Hop 5; used by the engine's worker thread only, after it was opened.

One transaction holds a record, what it implies for the table of seen files, and nothing else, so
that any prefix of commits is a consistent state.  An ordinary commit survives the death of the
process; a durable one also a power cut.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

import orjson

from agentdiff.core.codec import SCHEMA
from agentdiff.core.entries import Ref
from agentdiff.core.records import Record, decode_record, encode_record
from agentdiff.workspace.known import KnownTable, Row
from agentdiff.workspace.seen import TABLES, Seen
from agentdiff.workspace.tree import Signature

_OID = re.compile(rb"(?<![0-9a-f])[0-9a-f]{40}(?![0-9a-f])")
_TABLES = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS log (
  seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, at_ns INTEGER NOT NULL, body BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS made (directory BLOB PRIMARY KEY) WITHOUT ROWID;
"""


class StoreTooNew(OSError):  # noqa: N818 - reads as a fact
    """The folder was written by a newer agentdiff: this one must not touch it."""


def root_of(folder: Path) -> bytes | None:
    """Returns the workspace that a folder was made for, None when that cannot be told."""
    try:
        db = sqlite3.connect(f"file:{quote(str(folder))}/state.sqlite3?mode=ro", uri=True)
    except sqlite3.Error:
        return None
    with contextlib.closing(db):
        try:
            row = db.execute("SELECT value FROM meta WHERE key = 'root'").fetchone()
            return None if row is None else bytes.fromhex(row[0])
        except (sqlite3.Error, ValueError):
            return None


class Store:
    """One workspace's log and table of seen files.

    Args:
        folder: the workspace's folder below `Locations.workspaces`; made when missing (0700).
        root: absolute path of the workspace, written down for people who look into the folder.

    Raises:
        StoreTooNew: the schema is newer than ours.
        sqlite3.Error: the file cannot be opened or is not a database.
    """

    def __init__(self, folder: Path, root: bytes) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = folder / "state.sqlite3"
        # The engine opens a store on a hook thread and then uses it on its worker only.
        self._db = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_TABLES + TABLES)
        self._seen = Seen(self._db)
        self.path.chmod(0o600)
        stored = self._meta("schema")
        if stored is not None and int(stored) > SCHEMA:
            self._db.close()
            raise StoreTooNew(
                f"{self.path} has schema {stored}, this agentdiff knows {SCHEMA}: upgrade agentdiff"
            )
        self._db.execute("BEGIN")
        self._set_meta("schema", str(SCHEMA))
        self._set_meta("root", root.hex())
        self._db.execute("COMMIT")

    def close(self) -> None:
        """Commits what is left and closes the file."""
        self.commit()
        self._db.close()

    def records(self) -> Iterator[tuple[int, Record]]:
        """Yields (sequence number, record), oldest first."""
        for seq, body in self._db.execute("SELECT seq, body FROM log ORDER BY seq"):
            yield seq, decode_record(orjson.loads(body))

    def changes_since(self, seq: int) -> Iterator[Record]:
        """Yields what changed paths after a record, oldest first (changes and decisions)."""
        rows = self._db.execute(
            "SELECT body FROM log WHERE seq > ? AND kind IN "
            "('PathChanged', 'DecisionMade', 'DecisionTurned') ORDER BY seq",
            (seq,),
        )
        for (body,) in rows:
            yield decode_record(orjson.loads(body))

    def oids(self) -> Iterator[str]:
        """Yields what may be the id of a content in a record, the newest record first.

        Every word of forty hexadecimal digits: rather one too many than one too few.
        """
        for (body,) in self._db.execute("SELECT body FROM log ORDER BY seq DESC"):
            for oid in _OID.findall(body):
                yield oid.decode()

    def append(self, seq: int, record: Record) -> None:
        """Adds a record to the running transaction."""
        self._begin()
        self._db.execute(
            "INSERT INTO log (seq, kind, at_ns, body) VALUES (?, ?, ?, ?)",
            (seq, type(record).__name__, record.at_ns, orjson.dumps(encode_record(record))),
        )

    def seen(self) -> KnownTable | None:
        """Returns what was last seen of each path, None when the workspace was never populated."""
        if self._meta("population") is None:
            return None
        self._begin()
        table = self._seen.load()
        self.commit()
        return table

    def populate(self, rows: dict[bytes, Row]) -> None:
        """Notes, in the running transaction, that the whole workspace was seen once.

        Args:
            rows: what was there; what was learnt before stays, and wins.
        """
        self._begin()
        self._seen.add_population(rows)
        self._set_meta("population", "1")

    def learn(
        self,
        seen: Iterable[tuple[bytes, Ref, Signature | None]],
        forgotten: Iterable[bytes] = (),
    ) -> None:
        """Notes what was seen of paths, in the running transaction.

        Args:
            seen: (path, content, signature; None makes the tracker read it again).
            forgotten: paths of which nothing is to be remembered.
        """
        self._begin()
        self._seen.learn(seen)
        self._seen.forget(forgotten)

    def made(self) -> set[bytes]:
        """Returns the directories that came with created files."""
        return {directory for (directory,) in self._db.execute("SELECT directory FROM made")}

    def note_made(self, directories: Iterable[bytes]) -> None:
        """Notes directories that came with a created file, in the running transaction."""
        self._begin()
        self._db.executemany(
            "INSERT OR IGNORE INTO made (directory) VALUES (?)", ((one,) for one in directories)
        )

    def commit(self, *, durable: bool = False) -> None:
        """Ends the running transaction; harmless when there is none.

        Args:
            durable: whether it must survive a power cut; then also everything committed before
                does.
        """
        if not self._db.in_transaction:
            return
        if durable:
            # Only a pragma outside of a transaction has an effect; COMMIT itself syncs under FULL.
            self._db.execute("COMMIT")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute("BEGIN IMMEDIATE")
            self._set_meta("synced", str(self._count()))
            self._db.execute("COMMIT")
            self._db.execute("PRAGMA synchronous=NORMAL")
        else:
            self._db.execute("COMMIT")

    def _count(self) -> int:
        row = self._db.execute("SELECT coalesce(max(seq), 0) FROM log").fetchone()
        return int(row[0])

    def _begin(self) -> None:
        # SQLite rolls back by itself when the disk is full; only it knows.
        if not self._db.in_transaction:
            self._db.execute("BEGIN IMMEDIATE")

    def _meta(self, key: str) -> str | None:
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def _set_meta(self, key: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (key, value))
