"""Owns the tables of a workspace's SQLite file that say what was last seen of each path.

Must not commit: `agentdiff.workspace.store` owns the transactions.  Hop 5.

A first population of 50,000 files is written as a few compressed chunks (``crowd``), 45 bytes for
each file; what is seen afterwards is one row each (``seen_row``), which wins over the crowd.  When
the rows have become many, loading writes the crowd anew.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import astuple
from itertools import islice

import orjson
import zstandard

from agentdiff.core.codec import decode_ref, encode_ref
from agentdiff.core.entries import Ref
from agentdiff.workspace.known import SIGN, KnownTable, Row, pack
from agentdiff.workspace.observations import Known
from agentdiff.workspace.tree import Signature

TABLES = """
CREATE TABLE IF NOT EXISTS crowd (id INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS seen_row (path BLOB PRIMARY KEY, row BLOB NOT NULL) WITHOUT ROWID;
"""
_CHUNK = 4096
_ROW_BYTES = SIGN.size + 20
_GONE = b""
# Below that many rows, or below a quarter of the crowd, writing the crowd anew is not worth it.
_FEW_ROWS = 2000


class Seen:
    """What was last seen, in the running transaction of a connection.

    Args:
        db: an open database that has `TABLES`.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def load(self, *, tidy: bool = True) -> KnownTable:
        """Returns what is noted; writes many rows as a crowd, unless told not to `tidy`."""
        table = KnownTable()
        for (body,) in self._db.execute("SELECT body FROM crowd ORDER BY id"):
            for path, row in _members(body):
                table.put_row(path, row)
        crowd = len(table)
        rows = 0
        for path, packed in self._db.execute("SELECT path, row FROM seen_row"):
            rows += 1
            if packed == _GONE:
                table.discard(path)
            else:
                table.put_row(path, _decoded(packed))
        if tidy and rows > max(_FEW_ROWS, crowd // 4):
            self.populate(table.rows())
        return table

    def populate(self, rows: dict[bytes, Row]) -> None:
        """Replaces everything."""
        self._db.execute("DELETE FROM crowd")
        self._db.execute("DELETE FROM seen_row")
        self._crowd(rows)

    def add_population(self, rows: dict[bytes, Row]) -> None:
        """Notes a first population; what was noted before stays, and wins."""
        self._db.execute("DELETE FROM crowd")
        self._crowd(rows)

    def learn(self, seen: Iterable[tuple[bytes, Ref, Signature | None]]) -> None:
        """Notes paths, each with its content and its signature."""
        self._db.executemany(
            "INSERT OR REPLACE INTO seen_row (path, row) VALUES (?, ?)",
            (
                (path, _encoded(pack(Known(ref=ref, signature=signature))))
                for path, ref, signature in seen
            ),
        )

    def forget(self, paths: Iterable[bytes]) -> None:
        """Notes that nothing is to be remembered of paths."""
        self._db.executemany(
            "INSERT OR REPLACE INTO seen_row (path, row) VALUES (?, ?)",
            ((path, _GONE) for path in paths),
        )

    def _crowd(self, rows: dict[bytes, Row]) -> None:
        plain = ((path, row) for path, row in sorted(rows.items()) if isinstance(row, bytes))
        self._db.executemany("INSERT INTO crowd (body) VALUES (?)", _chunks(plain))
        self._db.executemany(
            "INSERT OR REPLACE INTO seen_row (path, row) VALUES (?, ?)",
            ((path, _encoded(row)) for path, row in rows.items() if not isinstance(row, bytes)),
        )


def _chunks(plain: Iterator[tuple[bytes, bytes]]) -> Iterator[tuple[bytes]]:
    compressor = zstandard.ZstdCompressor(level=3)
    while chunk := list(islice(plain, _CHUNK)):
        paths = b"\0".join(path for path, _ in chunk)
        # One column after the other: what is alike stands together.
        table = b"".join(row for _, row in chunk)
        columns = b"".join(table[at::_ROW_BYTES] for at in range(_ROW_BYTES))
        body = len(chunk).to_bytes(4, "big") + columns + paths
        yield (compressor.compress(body),)


def _members(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    body = zstandard.ZstdDecompressor().decompress(body)
    count = int.from_bytes(body[:4], "big")
    end = 4 + count * _ROW_BYTES
    table = bytearray(count * _ROW_BYTES)
    for at in range(_ROW_BYTES):
        table[at::_ROW_BYTES] = body[4 + at * count : 4 + (at + 1) * count]
    for number, path in enumerate(body[end:].split(b"\0")):
        yield path, bytes(table[number * _ROW_BYTES : (number + 1) * _ROW_BYTES])


def _encoded(row: Row) -> bytes:
    if isinstance(row, bytes):
        return b"F" + row
    signature = None if row.signature is None else astuple(row.signature)
    return b"J" + orjson.dumps([encode_ref(row.ref), signature])


def _decoded(packed: bytes) -> Row:
    if packed[:1] == b"F":
        return packed[1:]
    ref, found = orjson.loads(packed[1:])
    if found is None:
        return Known(ref=decode_ref(ref))
    mtime_ns, ctime_ns, size, ino, mode, kind = found
    signature = Signature(
        mtime_ns=mtime_ns, ctime_ns=ctime_ns, size=size, ino=ino, mode=mode, kind=kind
    )
    return Known(ref=decode_ref(ref), signature=signature)
