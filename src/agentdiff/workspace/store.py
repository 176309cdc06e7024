"""The memory of one workspace on disk: its log, and what was last seen of each path.

Owns one SQLite file (WAL) per workspace.  Must not interpret records: `agentdiff.core.records`
does.  Hop 5; used by the engine's worker thread only, after it was opened.

One transaction holds a record, what it implies for the table of seen files, and nothing else, so
that any prefix of commits is a consistent state.  An ordinary commit survives the death of the
process; a durable one also a power cut.

A disk that is full or fails does not make the log differ from the state in memory: SQLite gives the
transaction up, we keep what it held, and the next commit that succeeds writes all of it, in order.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

import orjson

from agentdiff.core.codec import SCHEMA
from agentdiff.core.entries import Ref
from agentdiff.core.records import Record, decode_record, encode_record
from agentdiff.workspace import migrations
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
_TRY_AGAIN_S = 0.5


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


def schema_of(folder: Path) -> int:
    """Returns the schema of a workspace's log, 0 when there is none; changes nothing.

    Raises:
        OSError: it is no log, or cannot be read.
    """
    file = folder / "state.sqlite3"
    if not file.exists():
        return 0
    try:
        db = sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True)
        with contextlib.closing(db):
            row = db.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
            return 0 if row is None else int(row[0])
    except (sqlite3.Error, ValueError) as error:
        raise OSError(f"{file.name} cannot be read: {error}") from error


class Store:
    """One workspace's log and table of seen files.

    Args:
        folder: the workspace's folder below `Locations.workspaces`; made when missing (0700).
        root: absolute path of the workspace, written down for people who look into the folder.

    Attributes:
        path: the file.
        problem: why nothing can be written to it, a sentence; None while all is well.
        unsynced: whether a power cut may take something that was noted.

    Raises:
        StoreTooNew: the schema is newer than ours.
        agentdiff.workspace.migrations.CannotMigrate: it is older than anything we read.
        OSError: the copy that comes before a migration cannot be written.
        sqlite3.Error: the file cannot be opened or is not a database.
    """

    def __init__(self, folder: Path, root: bytes) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = folder / "state.sqlite3"
        self.problem: str | None = None
        self.unsynced = False
        # What the running transaction holds, to be done again when SQLite gives it up.
        self._owed: list[Callable[[], object]] = []
        self._try_again_s = 0.0
        # The engine opens a store on a hook thread and then uses it on its worker only.
        self._db = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None)
        self._seen = Seen(self._db)
        try:
            self._open(root)
        except sqlite3.Error as error:
            self._db.close()
            damaged = not isinstance(error, sqlite3.OperationalError)
            remedy = "; `agentdiff purge` forgets this review" if damaged else ""
            raise type(error)(f"{self.path} cannot be opened: {error}{remedy}") from error
        except OSError:
            self._db.close()
            raise

    def _open(self, root: bytes) -> None:
        """Looks at the file before anything is written to it, and makes it one of today."""
        stored = self._stored_schema()
        if stored > SCHEMA:
            raise StoreTooNew(
                f"{self.path} has schema {stored}, this agentdiff knows {SCHEMA}: upgrade agentdiff"
            )
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self.path.chmod(0o600)
        if stored and stored < SCHEMA:
            migrations.migrate(self._db, self.path, stored, SCHEMA)
            self._set_meta("schema", str(SCHEMA))
            self._db.execute("COMMIT")
        if stored == SCHEMA and self._meta("root") == root.hex():
            return  # opening needs no room on the disk
        self._db.executescript(_TABLES + TABLES)
        self._db.execute("BEGIN")
        self._set_meta("schema", str(SCHEMA))
        self._set_meta("root", root.hex())
        self._db.execute("COMMIT")

    def _stored_schema(self) -> int:
        """Returns the schema of the file, 0 for a new one."""
        if self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone() is None:
            return 0
        return int(self._meta("schema") or 0)

    def close(self) -> None:
        """Commits what is left, if the disk takes it by now, and closes the file."""
        self._try_again_s = 0.0
        self.commit()
        self._db.close()

    def records(self) -> Iterator[tuple[int, Record]]:
        """Yields (sequence number, record), oldest first."""
        for seq, body in self._db.execute("SELECT seq, body FROM log ORDER BY seq"):
            yield seq, decode_record(orjson.loads(body))

    def record(self, seq: int) -> Record:
        """Returns the record with a number.

        Raises:
            KeyError: there is none.
            sqlite3.OperationalError: as `changes_since`.
        """
        if self.problem is not None:
            raise sqlite3.OperationalError(self.problem)
        row = self._db.execute("SELECT body FROM log WHERE seq = ?", (seq,)).fetchone()
        if row is None:
            raise KeyError(seq)
        return decode_record(orjson.loads(row[0]))

    def changes_since(self, seq: int) -> Iterator[tuple[int, Record]]:
        """Yields (number, record) of what changed paths after a record, oldest first.

        Raises:
            sqlite3.OperationalError: the disk refuses, so that the newest are not in the file.
        """
        if self.problem is not None:
            raise sqlite3.OperationalError(self.problem)
        rows = self._db.execute(
            "SELECT seq, body FROM log WHERE seq > ? AND kind IN "
            "('PathChanged', 'DecisionMade', 'DecisionTurned') ORDER BY seq",
            (seq,),
        )
        for at, body in rows:
            yield at, decode_record(orjson.loads(body))

    def changes_until(self, seq: int, since_ns: int) -> Iterator[Record]:
        """Yields what changed paths up to a record, oldest first, from a time on.

        Raises:
            sqlite3.OperationalError: as `changes_since`.
        """
        if self.problem is not None:
            raise sqlite3.OperationalError(self.problem)
        rows = self._db.execute(
            "SELECT body FROM log WHERE seq <= ? AND at_ns >= ? AND kind IN "
            "('PathChanged', 'DecisionMade', 'DecisionTurned') ORDER BY seq",
            (seq, since_ns),
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
        row = (seq, type(record).__name__, record.at_ns, orjson.dumps(encode_record(record)))
        sql = "INSERT INTO log (seq, kind, at_ns, body) VALUES (?, ?, ?, ?)"
        self._do(lambda: self._db.execute(sql, row))

    def seen(self) -> KnownTable | None:
        """Returns what was last seen of each path, None when the workspace was never populated."""
        if self._meta("population") is None:
            return None
        try:
            self._begin()
            table = self._seen.load()
        except sqlite3.OperationalError as error:  # the disk has no room to write the crowd anew
            self._give_up(error)
            table = self._seen.load(tidy=False)
        self.commit()
        return table

    def populate(self, rows: dict[bytes, Row]) -> None:
        """Notes, in the running transaction, that the whole workspace was seen once.

        Args:
            rows: what was there; what was learnt before stays, and wins.
        """
        self._do(lambda: self._seen.add_population(rows))
        self._do(lambda: self._set_meta("population", "1"))

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
        if rows := list(seen):
            self._do(lambda: self._seen.learn(rows))
        if gone := list(forgotten):
            self._do(lambda: self._seen.forget(gone))

    def made(self) -> set[bytes]:
        """Returns the directories that came with created files."""
        return {directory for (directory,) in self._db.execute("SELECT directory FROM made")}

    def note_made(self, directories: Iterable[bytes]) -> None:
        """Notes directories that came with a created file, in the running transaction."""
        rows = [(one,) for one in directories]
        sql = "INSERT OR IGNORE INTO made (directory) VALUES (?)"
        self._do(lambda: self._db.executemany(sql, rows))

    def commit(self, *, durable: bool = False) -> None:
        """Ends the running transaction; harmless when there is none.

        Args:
            durable: whether it must survive a power cut; then also everything committed before
                does.

        Raises:
            sqlite3.OperationalError: durable, and the disk refuses: nothing is lost yet, see
                `problem`.  An ordinary commit only notes it.
        """
        if self.problem is not None:
            self._do_again(anyhow=durable)
        if not (self._db.in_transaction or self._owed or (durable and self.unsynced)):
            return
        try:
            if self._db.in_transaction:
                self._db.execute("COMMIT")
                self._owed.clear()
            if durable:
                # Only a pragma outside of a transaction has an effect; COMMIT itself syncs then.
                self._db.execute("PRAGMA synchronous=FULL")
                self._db.execute("BEGIN IMMEDIATE")
                self._set_meta("synced", str(self._count()))
                self._db.execute("COMMIT")
                self._db.execute("PRAGMA synchronous=NORMAL")
                self.unsynced = False
        except sqlite3.Error as error:
            self._give_up(error)
        if durable and self.problem is not None:
            raise sqlite3.OperationalError(self.problem)

    def _do(self, act: Callable[[], object]) -> None:
        """Changes something in the running transaction, now or, while the disk refuses, later."""
        self.unsynced = True
        if self.problem is None:
            try:
                self._begin()
                act()
            except sqlite3.OperationalError as error:
                self._give_up(error)
        self._owed.append(act)

    def _do_again(self, *, anyhow: bool) -> None:
        """Executes what is owed; `anyhow` without waiting a moment since the last time."""
        now_s = time.monotonic()
        if now_s < self._try_again_s and not anyhow:
            return
        self._try_again_s = now_s + _TRY_AGAIN_S
        try:
            self._begin()
            for act in self._owed:
                act()
        except sqlite3.OperationalError as error:
            self._give_up(error)
        else:
            self.problem = None

    def _give_up(self, error: sqlite3.Error) -> None:
        """Notes that nothing can be written; what the transaction held is owed."""
        self.problem = f"{self.path} cannot be written: {error}"
        with contextlib.suppress(sqlite3.Error):
            self._db.execute("ROLLBACK")
        self._db.execute("PRAGMA synchronous=NORMAL")

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
