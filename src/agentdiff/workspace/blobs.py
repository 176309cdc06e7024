"""Owns the contents that reviews may need again: one append-only pack file of compressed blobs.

Must not decide what is kept, nor know a path.  Hop 5; also read whenever an old content is shown or
restored.

Why a pack of our own and not git's object store or SQLite: creating a loose object costs 0.6 ms,
a row of its own transaction 0.08 ms, an appended record 0.02 to 0.06 ms; and nothing may be
written to ``.git``.

File format (all integers big-endian): 8 bytes `FILE_MARK`, then records.  A record is a header of
36 bytes (`RECORD_MARK`, SHA-1 of the git blob, content length, stored length, CRC-32 of those 32
bytes) and a zlib stream.  The header's own checksum makes its lengths trustworthy, so that
opening reads headers only; the content is checked against its SHA-1 whenever it is read.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
import threading
import zlib
from pathlib import Path

from agentdiff.core.entries import git_blob_oid

FILE_MARK = b"adblobs1"
RECORD_MARK = b"AdB1"
_BODY = struct.Struct(">4s20sII")
_CRC = struct.Struct(">I")
HEADER_BYTES = _BODY.size + _CRC.size
# What a crash leaves behind is at the end: that much is checked in full at every open (about 20
# ms).
_TAIL_CHECK_BYTES = 4 << 20
_ZLIB_LEVEL = 1


class BlobStore:
    """Content-addressed store in one append-only file, named by git's blob id.

    Callable from any thread.  Only one process may have a pack open: the daemon's lock sees to
    that.

    Args:
        path: the pack file; made (mode 0600) when missing, its folder must exist.

    Raises:
        OSError: the file cannot be opened, or is no pack of this format version (EINVAL).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._index: dict[bytes, int] = {}
        self._problems: list[str] = []
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            self._end = self._load()
        except OSError:
            os.close(self._fd)
            raise

    def put(self, data: bytes, *, lazily: bool = False) -> str:  # noqa: ARG002
        """Stores `data` unless it is there, and returns its git blob id (40 hexadecimal digits).

        Durable only after `sync`.

        Args:
            data: the content.
            lazily: whether the death of the process may take it until `flush`.

        Raises:
            OSError: it cannot be written; the store is as it was before.
        """
        oid = git_blob_oid(data)
        key = bytes.fromhex(oid)
        if key in self._index:
            return oid
        payload = zlib.compress(data, _ZLIB_LEVEL)
        body = _BODY.pack(RECORD_MARK, key, len(data), len(payload))
        record = b"".join((body, _CRC.pack(zlib.crc32(body)), payload))
        with self._lock:
            if key not in self._index:
                self._append(record)
                self._index[key] = self._end
                self._end += len(record)
        return oid

    def get(self, oid: str) -> bytes:
        """Returns the content named `oid`.

        Raises:
            KeyError: it was never stored, or its record is damaged (then `problems` says so, and
                the next `put` of the same content stores it afresh).
            OSError: the pack cannot be read.
        """
        key = bytes.fromhex(oid)
        offset = self._index[key]
        data = self._read(offset, key)
        if data is None:
            with self._lock:
                if self._index.get(key) == offset:
                    del self._index[key]
                    self._problems.append(f"blob {oid} at offset {offset} is damaged")
            raise KeyError(oid)
        return data

    def __contains__(self, oid: str) -> bool:
        return bytes.fromhex(oid) in self._index

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
        """Hands everything that was put lazily to the operating system.

        Raises:
            OSError: it cannot be written; it is tried again next time.
        """

    def sync(self) -> None:
        """Makes everything stored so far durable.

        Raises:
            OSError: the disk refuses.
        """
        os.fsync(self._fd)

    def close(self) -> None:
        """Syncs and closes the pack; harmless when closed already."""
        with self._lock:
            fd, self._fd = self._fd, -1
            if fd >= 0:
                os.fsync(fd)
                os.close(fd)

    def _append(self, record: bytes) -> None:
        view, offset = memoryview(record), self._end
        try:
            while view:
                written = os.pwrite(self._fd, view, offset)
                view, offset = view[written:], offset + written
        except OSError:
            # The end was not moved, so that half a record is overwritten by the next one in any
            # case.
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self._end)
            raise

    def _read(self, offset: int, key: bytes) -> bytes | None:
        """Returns the content of the record at `offset`, None when it is not what `key` names."""
        header = _parse_header(os.pread(self._fd, HEADER_BYTES, offset))
        if header is None or header[0] != key:
            return None
        _, size, stored = header
        return _decode(os.pread(self._fd, stored, offset + HEADER_BYTES), key, size)

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
            end = self._scan(pack, size)
        if end < size:
            self._problems.append(f"cut {size - end} torn bytes off the end of {self.path.name}")
            os.ftruncate(self._fd, end)
        return end

    def _scan(self, pack: mmap.mmap, size: int) -> int:
        offset = len(FILE_MARK)
        while offset < size:
            header = _parse_header(pack[offset : offset + HEADER_BYTES])
            if header is None or offset + HEADER_BYTES + header[2] > size:
                following = _next_record(pack, offset + 1, size)
                if following is None:
                    return offset
                self._problems.append(f"skipped {following - offset} damaged bytes at {offset}")
                offset = following
                continue
            key, length, stored = header
            payload = offset + HEADER_BYTES
            if (
                payload + stored > size - _TAIL_CHECK_BYTES
                and _decode(pack[payload : payload + stored], key, length) is None
            ):
                self._problems.append(f"blob {key.hex()} at offset {offset} is damaged")
            else:
                self._index[key] = offset
            offset = payload + stored
        return offset


def _parse_header(header: bytes) -> tuple[bytes, int, int] | None:
    """Returns (raw object id, content length, stored length), None when it is not sound."""
    if len(header) < HEADER_BYTES:
        return None
    mark, key, size, stored = _BODY.unpack_from(header)
    (crc,) = _CRC.unpack_from(header, _BODY.size)
    if mark != RECORD_MARK or crc != zlib.crc32(header[: _BODY.size]):
        return None
    return key, size, stored


def _next_record(pack: mmap.mmap, start: int, size: int) -> int | None:
    """Returns the offset of the first sound record at or after `start`, None when there is none."""
    offset = pack.find(RECORD_MARK, start)
    while offset >= 0:
        header = _parse_header(pack[offset : offset + HEADER_BYTES])
        if header is not None and offset + HEADER_BYTES + header[2] <= size:
            return offset
        offset = pack.find(RECORD_MARK, offset + 1)
    return None


def _decode(payload: bytes, key: bytes, size: int) -> bytes | None:
    """Returns the content of a record, None unless it is exactly what `key` names."""
    try:
        # Bounded by the length that the header promises: a damaged stream cannot eat the memory.
        data = zlib.decompressobj().decompress(payload, size + 1)
    except zlib.error:
        return None
    return data if len(data) == size and git_blob_oid(data) == key.hex() else None
