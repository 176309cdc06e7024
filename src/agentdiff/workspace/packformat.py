"""Owns how a content lies in a blob store's file.

File format (all integers big-endian): 8 bytes `FILE_MARK`, then records.  A record is a header of
36 bytes (`RECORD_MARK`, SHA-1 of the git blob, content length, stored length, CRC-32 of those 32
bytes) and a zstd frame.  The header's own checksum makes its lengths trustworthy, so that opening
reads headers only; the content is checked against its SHA-1 whenever it is read.

Must not know what is stored where: that is `agentdiff.workspace.blobs`.  Hop 5.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import zstandard

from agentdiff.core.entries import git_blob_oid

FILE_MARK = b"adblobs2"
RECORD_MARK = b"AdB2"
_BODY = struct.Struct(">4s20sII")
_CRC = struct.Struct(">I")
HEADER_BYTES = _BODY.size + _CRC.size
# What a crash leaves behind is at the end: that much is checked in full at every open (about 20
# ms).
_TAIL_CHECK_BYTES = 4 << 20
_LOCK_WITHIN_S = 2.0
_LOCK_AGAIN_S = 0.01


def make_header(key: bytes, size: int, stored: int) -> bytes:
    """Returns the header of a record: raw object id, content length, stored length."""
    body = _BODY.pack(RECORD_MARK, key, size, stored)
    return body + _CRC.pack(zlib.crc32(body))


def parse_header(header: bytes) -> tuple[bytes, int, int] | None:
    """Returns (raw object id, content length, stored length), None when it is not sound."""
    if len(header) < HEADER_BYTES:
        return None
    mark, key, size, stored = _BODY.unpack_from(header)
    (crc,) = _CRC.unpack_from(header, _BODY.size)
    if mark != RECORD_MARK or crc != zlib.crc32(header[: _BODY.size]):
        return None
    return key, size, stored


def next_record(pack: mmap.mmap, start: int, size: int) -> int | None:
    """Returns the offset of the first sound record at or after `start`, None when there is none."""
    offset = pack.find(RECORD_MARK, start)
    while offset >= 0:
        header = parse_header(pack[offset : offset + HEADER_BYTES])
        if header is not None and offset + HEADER_BYTES + header[2] <= size:
            return offset
        offset = pack.find(RECORD_MARK, offset + 1)
    return None


def scan_pack(pack: mmap.mmap, index: dict[bytes, int], problems: list[str]) -> int:
    """Reads the headers of a whole pack, and the contents at its end.

    Args:
        pack: with a sound mark.
        index: is given the offset of each record's header, by blob id (20 bytes).
        problems: is given what is damaged, one sentence each.

    Returns:
        Where the last sound record ends.
    """
    offset, size = len(FILE_MARK), len(pack)
    while offset < size:
        header = parse_header(pack[offset : offset + HEADER_BYTES])
        if header is None or offset + HEADER_BYTES + header[2] > size:
            following = next_record(pack, offset + 1, size)
            if following is None:
                return offset
            problems.append(f"skipped {following - offset} damaged bytes at {offset}")
            offset = following
            continue
        key, length, stored = header
        payload = offset + HEADER_BYTES
        if (
            payload + stored > size - _TAIL_CHECK_BYTES
            and decode(pack[payload : payload + stored], key, length) is None
        ):
            problems.append(f"blob {key.hex()} at offset {offset} is damaged")
        else:
            index[key] = offset
        offset = payload + stored
    return offset


def decode(payload: bytes, key: bytes, size: int) -> bytes | None:
    """Returns the content of a record, None unless it is exactly what `key` names."""
    try:
        # Bounded by the length that the header promises: a damaged frame cannot eat the memory.
        reader = zstandard.ZstdDecompressor().stream_reader(payload)
        data = reader.read(size + 1)
    except zstandard.ZstdError:
        return None
    return data if len(data) == size and git_blob_oid(data) == key.hex() else None


def lock_pack(fd: int, path: Path) -> None:
    """Makes sure that no other process has a pack open; one that just ends gets a moment.

    Raises:
        BlockingIOError: one has.
    """
    deadline_s = time.monotonic() + _LOCK_WITHIN_S
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > deadline_s:
                reason = "another agentdiff daemon has it open: stop that one"
                raise BlockingIOError(error.errno, reason, str(path)) from error
            time.sleep(_LOCK_AGAIN_S)
        else:
            return


def check_pack(path: Path) -> Iterator[str]:
    """Reads a whole pack and yields what is wrong with it, one sentence each.

    Also while it is open: a record that is being appended is no problem, it is not the last word.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if file.read(len(FILE_MARK)) != FILE_MARK:
            yield f"{path} is not a blob pack of a format that this version knows"
            return
        offset = len(FILE_MARK)
        while offset < size:
            file.seek(offset)
            header = parse_header(file.read(HEADER_BYTES))
            if header is None or offset + HEADER_BYTES + header[2] > size:
                if header is None and offset + HEADER_BYTES <= size:
                    yield f"{path}: no record at offset {offset}"
                return
            key, length, stored = header
            if decode(file.read(stored), key, length) is None:
                yield f"{path}: blob {key.hex()} at offset {offset} is damaged"
            offset += HEADER_BYTES + stored
