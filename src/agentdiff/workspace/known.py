"""Owns what was last seen of each path, in a form that a hundred thousand of them can have.

Must not look at a disk.  Hop 5: the index of one tracker.  A regular file, which almost every path
is, takes one row of 54 bytes; everything else is kept as it comes.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator, KeysView, Sequence, Set
from typing import TypeAlias, overload

from agentdiff.core.entries import PERMISSION_BITS, Ref
from agentdiff.workspace.observations import Known, Observation
from agentdiff.workspace.tree import Signature

# mtime_ns, ctime_ns, size, inode, st_mode; then the 20 bytes of the blob id.
SIGN = struct.Struct("<qqqQH")
_REGULAR = 0o100000
# The ctime of a row whose signature proves nothing.
_NEVER = -(1 << 63)

_MANY_GONE = 10_000

Row: TypeAlias = bytes | Known


class KnownTable:
    """A mapping of paths to `Known`.

    Attributes:
        generation: another one whenever there is a path more or less.
        folders: permission bits of the directories that were walked, also of those that are gone.

    Lookups are callable from any thread while one thread writes.
    """

    def __init__(self, known: dict[bytes, Known] | None = None) -> None:
        self.generation = 0
        self.folders: dict[bytes, int] = {}
        self._rows: dict[bytes, Row] = {}
        for path, seen in (known or {}).items():
            self[path] = seen

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, path: bytes) -> bool:
        return path in self._rows

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._rows)

    def __setitem__(self, path: bytes, seen: Known) -> None:
        self.put_row(path, pack(seen))

    def keys(self) -> KeysView[bytes]:
        """Returns the paths."""
        return self._rows.keys()

    def get(self, path: bytes) -> Known | None:
        """Returns what was last seen of a path."""
        row = self._rows.get(path)
        return unpack(row) if row is not None else None

    def keep_folders(self, there: Set[bytes]) -> None:
        """Lets go of the folders that are gone, unless they are few: one of them may come back."""
        if len(self.folders) > len(there) + _MANY_GONE:
            self.folders = {path: self.folders[path] for path in there if path in self.folders}

    def discard(self, path: bytes) -> None:
        """Forgets a path."""
        if self._rows.pop(path, None) is not None:
            self.generation += 1

    def row(self, path: bytes) -> Row | None:
        """Returns a path's row, for `is_unchanged`."""
        return self._rows.get(path)

    def put_row(self, path: bytes, row: Row) -> None:
        """Notes a row."""
        fresh = path not in self._rows
        self._rows[path] = row
        if fresh:  # after it: another thread may be about to look
            self.generation += 1

    def others(self) -> list[tuple[bytes, Known]]:
        """Returns what is not a plain file."""
        return [(path, row) for path, row in self._rows.items() if isinstance(row, Known)]

    def contents(self) -> set[bytes]:
        """Returns the blob ids (20 bytes) of all contents; any thread."""
        return {
            row[SIGN.size :] if isinstance(row, bytes) else bytes.fromhex(row.ref.oid)
            for row in self.rows().values()
            if isinstance(row, bytes) or row.ref.kind in ("file", "link")
        }

    def unpacked(self) -> dict[bytes, Known]:
        """Returns everything; for people and tests."""
        return {path: unpack(row) for path, row in self.rows().items()}

    def doubt(self, holds: Callable[[bytes], bool]) -> None:
        """Lets every path be read again whose content is held by nobody any more.

        Args:
            holds: whether the content with this blob id (20 bytes) is there.
        """
        for path, row in self.rows().items():
            if isinstance(row, bytes):
                if not holds(row[SIGN.size :]):
                    self[path] = Known(ref=unpack(row).ref)
            elif row.ref.kind in ("file", "link") and not holds(bytes.fromhex(row.ref.oid)):
                self[path] = Known(ref=row.ref)

    def rows(self) -> dict[bytes, Row]:
        """Returns a copy of all rows; they are not changed later."""
        return dict(self._rows)


def is_unchanged(row: Row, status: os.stat_result) -> bool:
    """Whether ``lstat`` says what it said when the row was made."""
    if isinstance(row, bytes):
        return row.startswith(sign(status))
    signature = row.signature
    return signature is not None and signature.matches(status)


def sign(status: os.stat_result) -> bytes:
    """Returns the first part of the row of a file with this status."""
    return SIGN.pack(
        status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino, status.st_mode
    )


def pack(seen: Known) -> Row:
    """Returns the row of what was seen."""
    ref, found = seen.ref, seen.signature
    if ref.kind != "file" or ref.note:
        return seen
    if found is None:
        times = (0, _NEVER, ref.size, 0)
    elif (found.kind, found.size, found.mode) == ("file", ref.size, ref.mode):
        times = (found.mtime_ns, found.ctime_ns, found.size, found.ino)
    else:
        return seen
    try:
        return SIGN.pack(*times, _REGULAR | ref.mode) + bytes.fromhex(ref.oid)
    except struct.error:  # a time that no 64 bits hold
        return seen


def unpack(row: Row) -> Known:
    """Returns what a row says."""
    if isinstance(row, Known):
        return row
    mtime_ns, ctime_ns, size, ino, mode = SIGN.unpack_from(row)
    mode &= PERMISSION_BITS
    ref = Ref(kind="file", mode=mode, oid=row[SIGN.size :].hex(), size=size)
    if ctime_ns == _NEVER:
        return Known(ref=ref)
    signature = Signature(
        mtime_ns=mtime_ns, ctime_ns=ctime_ns, size=size, ino=ino, mode=mode, kind="file"
    )
    return Known(ref=ref, signature=signature)


class Population(Sequence[Observation]):
    """The observations of a first population, made one by one when they are asked for.

    There is one for each file of the workspace: a hundred thousand at once would be the daemon's
    largest possession.

    Attributes:
        rows: what was last seen of each path; not changed by anybody from now on.

    Args:
        rows: see there.
        seen_ns: wall clock when the population began.
    """

    def __init__(self, rows: dict[bytes, Row], seen_ns: int) -> None:
        self.rows = rows
        self._paths = list(rows)
        self._seen_ns = seen_ns

    def __len__(self) -> int:
        return len(self._paths)

    def __iter__(self) -> Iterator[Observation]:
        return (self._observation(path) for path in self._paths)

    @overload
    def __getitem__(self, at: int) -> Observation: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Observation]: ...
    def __getitem__(self, at: int | slice) -> Observation | Sequence[Observation]:
        """Returns one observation, or several."""
        if isinstance(at, slice):
            return [self._observation(path) for path in self._paths[at]]
        return self._observation(self._paths[at])

    def _observation(self, path: bytes) -> Observation:
        seen = unpack(self.rows[path])
        return Observation(
            path=path,
            before=seen.ref,
            after=seen.ref,
            signature=seen.signature,
            seen_ns=self._seen_ns,
        )
