"""Owns the contents that reviews may need again: one append-only pack file of compressed blobs.

Must not decide what is kept, nor know a path.  Hop 5; also read whenever an old content is shown or
restored.

Why a pack of our own and not git's object store or SQLite: creating a loose object costs 0.6 ms,
a row of its own transaction 0.08 ms, an appended record 0.02 ms; and nothing may be written to
``.git`` (`doc/decisions/0010-baselines-in-o-changed.md`).
"""

from __future__ import annotations

import contextlib
import mmap
import os
import threading
import time
from collections.abc import Callable
from itertools import takewhile
from pathlib import Path
from typing import Protocol

import zstandard

from agentdiff.core.entries import git_blob_oid
from agentdiff.workspace.packformat import (
    FILE_MARK,
    HEADER_BYTES,
    decode,
    lock_pack,
    make_header,
    parse_header,
    scan_pack,
)
from agentdiff.workspace.rewrite import Rewrite, fresh_path

_ZSTD_LEVEL = 1
# What was put lazily is written at the latest when it is that much.
_BUFFER_BYTES = 1 << 18
# What a disk that is full or fails does not take is kept in memory, up to that much.
_PATIENCE_BYTES = 64 << 20
_TRY_AGAIN_S = 0.5
# How often a rewrite looks what was stored meanwhile, before it makes everybody wait for the rest.
_ROUNDS = 3


class Elsewhere(Protocol):
    """Contents that somebody else keeps, and that nobody can take away while we run."""

    def holds(self, key: bytes) -> bool:
        """Whether the content with this blob id (20 bytes) is there."""

    def get(self, key: bytes) -> bytes | None:
        """Returns a content, None when it is not there or damaged."""

    def close(self) -> None:
        """Lets it go."""


class BlobStore:
    """Content-addressed store in one append-only file, named by git's blob id.

    Callable from any thread.  Only one process may have a pack open: the daemon's lock sees to
    that, and where that lock was removed under a running daemon, a lock on the pack itself.

    Args:
        path: the pack file; made (mode 0600) when missing, its folder must exist.
        patience_bytes: how much may wait in memory for a disk that refuses.

    Attributes:
        problem: why contents wait in memory, a sentence; None while all of them are written.

    Raises:
        OSError: the file cannot be opened, is used by another process (EWOULDBLOCK), or is no pack
            of this format version (EINVAL).
    """

    def __init__(self, path: Path, *, patience_bytes: int = _PATIENCE_BYTES) -> None:
        self.path = path
        self.problem: str | None = None
        self._patience_bytes = patience_bytes
        self._try_again_s = 0.0
        self._lock = threading.Lock()
        self._index: dict[bytes, int] = {}
        self._problems: list[str] = []
        self._damaged: list[bytes] = []
        # What was put once more since `keep_only` looked.
        self._again: set[bytes] = set()
        self._compressor = zstandard.ZstdCompressor(level=_ZSTD_LEVEL)
        self._elsewhere: Elsewhere | None = None
        # What is not written yet: the file ends at `_end - len(_buffer)`.
        self._buffer = bytearray()
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            lock_pack(self._fd, path)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(fresh_path(path))  # a rewrite that a crash interrupted
            self._end = self._load()
        except OSError:
            os.close(self._fd)
            raise

    @property
    def elsewhere(self) -> Elsewhere | None:
        """What `lean_on` named."""
        return self._elsewhere

    def lean_on(self, elsewhere: Elsewhere | None) -> None:
        """Lets contents that `elsewhere` holds be read from there, and not be stored lazily."""
        before, self._elsewhere = self._elsewhere, elsewhere
        if before is not None and before is not elsewhere:
            before.close()

    def put(self, data: bytes, *, lazily: bool = False, oid: str = "") -> str:
        """Stores `data` unless it is there, and returns its git blob id (40 hexadecimal digits).

        Durable only after `sync`.

        Args:
            data: the content.
            lazily: whether the death of the process may take it until `flush`, and whether it is
                enough that it is held elsewhere.
            oid: the content's blob id, when the caller has computed it.

        Raises:
            OSError: the disk refuses, and more waits for it than memory may hold; the store is as
                it was before.
        """
        oid = oid or git_blob_oid(data)
        key = bytes.fromhex(oid)
        if self._is_here(key) or (lazily and self._held_elsewhere(key)):
            return oid
        with self._lock:
            if key not in self._index:
                payload = self._compressor.compress(data)
                before = self._end
                self._index[key] = before
                self._buffer += make_header(key, len(data), len(payload))
                self._buffer += payload
                self._end += HEADER_BYTES + len(payload)
                if not lazily or len(self._buffer) > _BUFFER_BYTES:
                    refused = self._write()
                    if refused is not None and len(self._buffer) > self._patience_bytes:
                        del self._index[key]
                        del self._buffer[before - self._end :]
                        self._end = before
                        self.problem = self.problem if self._buffer else None
                        raise refused
        return oid

    def get(self, oid: str) -> bytes:
        """Returns the content named `oid`.

        Raises:
            KeyError: it was never stored, or its record is damaged (then `problems` says so, and
                the next `put` of the same content stores it afresh).
            OSError: the pack cannot be read.
        """
        key = bytes.fromhex(oid)
        with self._lock:
            offset = self._index.get(key)
            data = None if offset is None else self._read(offset, key)
            if offset is not None and data is None:
                del self._index[key]
                self._damaged.append(key)
                self._problems.append(f"blob {oid} at offset {offset} is damaged")
        if data is None and self._elsewhere is not None:
            data = self._elsewhere.get(key)
        if data is None:
            raise KeyError(oid)
        return data

    def __contains__(self, oid: str) -> bool:
        return self.holds(bytes.fromhex(oid))

    def holds(self, key: bytes) -> bool:
        """Whether the content with this blob id (20 bytes) can be had."""
        return key in self._index or self._held_elsewhere(key)

    def _is_here(self, key: bytes) -> bool:
        """Whether a content is stored, and stays so for who will name it; without the lock."""
        if key not in self._index:
            return False
        self._again.add(key)
        return key in self._index  # a rewrite first changes that, and then looks who asked

    def _held_elsewhere(self, key: bytes) -> bool:
        return self._elsewhere is not None and self._elsewhere.holds(key)

    @property
    def count(self) -> int:
        """How many different contents are stored."""
        return len(self._index)

    @property
    def size_bytes(self) -> int:
        """Length of the pack file."""
        return self._end

    @property
    def problems(self) -> tuple[str, ...]:
        """What was found damaged since the store was opened, one sentence each."""
        return tuple(self._problems)

    def flush(self) -> None:
        """Hands everything that was put lazily to the operating system, or notes a `problem`."""
        with self._lock:
            self._write()

    def sync(self) -> None:
        """Makes everything stored so far durable.

        Raises:
            OSError: the disk refuses; nothing is lost yet.
        """
        with self._lock:
            self._write_or_raise()
        os.fsync(self._fd)

    def sizes(self) -> dict[bytes, int]:
        """Returns what each content takes in the pack, header included, by its blob id."""
        with self._lock:
            order = sorted(self._index.items(), key=lambda item: item[1])
            ends = [*(at for _, at in order[1:]), self._end]
        return {key: end - at for (key, at), end in zip(order, ends, strict=False)}

    def is_after(self, key: bytes, until: int) -> bool:
        """Whether a content was stored when the pack was at least that long."""
        return self._index.get(key, -1) >= until

    def keep_only(self, wanted: Callable[[bytes], bool], *, until: int) -> int:
        """Writes the pack anew without what nobody wants; readers and writers notice nothing.

        Args:
            wanted: whether the content with this blob id (20 bytes) is still named by somebody.
            until: `size_bytes` at a time when all that was stored had been named if it ever would
                be: what came later is kept.

        Returns:
            By how many bytes the pack became smaller.

        Raises:
            OSError: it cannot be written; the store is as it was before.
        """
        # Put once more since the last time: who will name it may not have done so yet.
        again, self._again = self._again, set()
        with self._lock:
            self._write_or_raise()
            done, index = self._end, dict(self._index)
        kept = sorted(
            (at, key) for key, at in index.items() if at >= until or key in again or wanted(key)
        )
        fresh = Rewrite(self.path)
        try:
            fresh.copy(self._fd, ((key, at) for at, key in kept))
            fresh.sync()
            # What was stored meanwhile; the last round, in which everybody waits, is a short one.
            for _ in range(_ROUNDS):
                with self._lock:
                    self._write_or_raise()
                    start, done, stored = done, self._end, self._stored_since(done)
                if done == start:
                    break
                fresh.copy(self._fd, stored)
                fresh.sync()
            with self._lock:
                before = self._replace(fresh, done, again)
        except OSError:
            fresh.discard()
            raise
        self._problems += fresh.problems
        return before - fresh.end

    def _replace(self, fresh: Rewrite, done: int, again: set[bytes]) -> int:
        """Goes on with another pack, the caller holding the lock; returns where the old one ended.

        Args:
            fresh: has everything that is kept of what was stored before `done`.
            done: offset in the old pack.
            again: see `keep_only`.
        """
        self._write_or_raise()
        index, end = self._index, fresh.end
        fresh.copy(self._fd, self._stored_since(done))
        for key in self._damaged:
            if key not in index:
                fresh.index.pop(key, None)
        # From here on whoever puts what is not kept stores it; and who did before is heard.
        self._index = fresh.index
        try:
            heard = (key for key in (*again, *self._again) if key not in fresh.index)
            fresh.copy(self._fd, [(key, index[key]) for key in heard if key in index])
            if fresh.end > end:
                fresh.sync()
            fresh.take_place()
        except OSError:
            self._index = index
            raise
        before, old = self._end, self._fd
        self._fd, self._end = fresh.fd, fresh.end
        self._damaged.clear()
        with contextlib.suppress(OSError):
            os.close(old)
        return before

    def _stored_since(self, done: int) -> list[tuple[bytes, int]]:
        """Returns what was stored when the pack was at least that long; the caller has the lock."""
        newest_first = reversed(self._index.items())  # in the order in which they were put
        return list(takewhile(lambda item: item[1] >= done, newest_first))[::-1]

    def _write_or_raise(self) -> None:
        refused = self._write(anyhow=True)
        if refused is not None:
            raise refused

    def close(self) -> None:
        """Syncs and closes the pack; harmless when closed already."""
        self.lean_on(None)
        with self._lock:
            fd = self._fd
            if fd >= 0:
                try:
                    self._write_or_raise()
                    os.fsync(fd)
                finally:
                    self._fd = -1
                    os.close(fd)

    def _write(self, *, anyhow: bool = False) -> OSError | None:
        """Writes the buffer, the caller holding the lock; returns why it could not be written.

        Args:
            anyhow: also when the disk refused a moment ago.
        """
        if not self._buffer:
            return None
        now_s = time.monotonic()
        if self.problem is not None and now_s < self._try_again_s and not anyhow:
            return OSError(self.problem)
        start = offset = self._end - len(self._buffer)
        view = memoryview(bytes(self._buffer))
        try:
            while view:
                written = os.pwrite(self._fd, view, offset)
                view, offset = view[written:], offset + written
        except OSError as error:
            self.problem = f"{self.path} cannot be written: {error.strerror}"
            self._try_again_s = now_s + _TRY_AGAIN_S
            # Half a record would be overwritten by the next one in any case.
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, start)
            return error
        self._buffer.clear()
        self.problem = None
        return None

    def _read(self, offset: int, key: bytes) -> bytes | None:
        """Returns the content of the record at `offset`, None when it is not what `key` names."""
        written = self._end - len(self._buffer)
        if offset >= written:
            start = offset - written
            header = parse_header(bytes(self._buffer[start : start + HEADER_BYTES]))
            if header is None:
                return None
            start += HEADER_BYTES
            return decode(bytes(self._buffer[start : start + header[2]]), key, header[1])
        header = parse_header(os.pread(self._fd, HEADER_BYTES, offset))
        if header is None or header[0] != key:
            return None
        _, size, stored = header
        return decode(os.pread(self._fd, stored, offset + HEADER_BYTES), key, size)

    def _load(self) -> int:
        """Fills the index from the file, cuts a torn tail off, and returns where records end."""
        size = os.fstat(self._fd).st_size
        start = os.pread(self._fd, len(FILE_MARK), 0)
        if not FILE_MARK.startswith(start):
            raise OSError(22, "not a blob pack of a format that this version knows", str(self.path))
        if len(start) < len(FILE_MARK):
            os.pwrite(self._fd, FILE_MARK, 0)
            return len(FILE_MARK)
        with mmap.mmap(self._fd, size, access=mmap.ACCESS_READ) as pack:
            end = scan_pack(pack, self._index, self._problems)
        if end < size:
            self._problems.append(f"cut {size - end} torn bytes off the end of {self.path.name}")
            os.ftruncate(self._fd, end)
        return end
