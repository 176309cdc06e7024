"""Owns reading blobs out of git's packs, raw; they are held open, so that nobody takes them away.

Must not run git and must not write: filters would execute commands, and follow today's attributes
instead of those that held when the file was checked out.  Hop 5; any thread.

Only packs are read.  A loose object can be deleted together with ``.git``; holding each one open
would take a descriptor, so that their files are stored like any others.  A blob that a partial
clone only promised is in no pack, and therefore not ours either.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
import threading
import zlib
from collections.abc import Iterator
from itertools import pairwise

from agentdiff.core.entries import git_blob_oid
from agentdiff.workspace.plain import open_plain, read_plain

_IDX_MARK = b"\xfftOc\x00\x00\x00\x02"
_FANOUT = struct.Struct(">256I")
_NAMES_AT = 8 + _FANOUT.size
_WORD, _LONG = struct.Struct(">I"), struct.Struct(">Q")
_BLOB, _OFS_DELTA, _REF_DELTA = 3, 6, 7
# More descriptors than that one workspace must not take; the largest packs come first.
_MAX_PACKS = 32
_MAX_ALTERNATES = 8
_MAX_CHAIN = 5000
# What one object and its deltas may take while they are unpacked: a pack of some kilobytes can say
# that it holds gigabytes.  Files that are kept are smaller (`max_file_bytes`).
_MAX_BYTES = 512 << 20
# Up to that many names, a set of all of them is cheaper than looking each file's up.
_MANY_OBJECTS = 300_000
_HEAD_BYTES = 64
# What comes of a pack that says something else than git would: numbers that no file has, too.
_DAMAGE = (OSError, ValueError, LookupError, OverflowError, zlib.error)


class GitPacks:
    """The packs of one repository; implements `agentdiff.workspace.blobs.Elsewhere`.

    Args:
        objects: absolute path of its ``objects`` directory.
    """

    def __init__(self, objects: bytes) -> None:
        self._lock = threading.Lock()
        self._packs: list[_Pack] = []
        paths = [path for folder in _object_folders(objects) for path in _pack_names(folder)]
        for path in sorted(paths, key=_size, reverse=True)[:_MAX_PACKS]:
            with contextlib.suppress(OSError, ValueError, struct.error):  # damaged: not ours then
                self._packs.append(_Pack(path))

    def __bool__(self) -> bool:
        return bool(self._packs)

    def holds(self, key: bytes) -> bool:
        """See `Elsewhere.holds`."""
        return any(pack.offset(key) is not None for pack in self._packs)

    def names(self) -> frozenset[bytes] | None:
        """Returns the names of all objects, None when they are too many for that."""
        if sum(pack.count for pack in self._packs) > _MANY_OBJECTS:
            return None
        return frozenset(name for pack in self._packs for name in pack.names())

    def get(self, key: bytes) -> bytes | None:
        """See `Elsewhere.get`; what does not hash to `key` is not returned."""
        with self._lock:
            try:
                kind, data = self._object(key)
            except _DAMAGE:
                return None
        return data if kind == _BLOB and git_blob_oid(data) == key.hex() else None

    def size(self, key: bytes) -> int | None:
        """Returns the length of a content without reading all of it; None when it is not there."""
        for pack in self._packs:
            offset = pack.offset(key)
            if offset is not None:
                try:
                    return pack.size(offset)
                except _DAMAGE:
                    return None
        return None

    def close(self) -> None:
        """Closes the packs; afterwards nothing is held."""
        with self._lock:
            packs, self._packs = self._packs, []
            for pack in packs:
                pack.close()

    def _object(self, key: bytes) -> tuple[int, bytes]:
        for pack in self._packs:
            offset = pack.offset(key)
            if offset is not None:
                return self._unpack(pack, offset)
        raise KeyError(key)

    def _unpack(self, pack: _Pack, offset: int) -> tuple[int, bytes]:
        """Returns type and content of the object at `offset`, its deltas applied."""
        deltas: list[bytes] = []
        left = _MAX_BYTES
        for _ in range(_MAX_CHAIN):
            kind, size, base, at = pack.head(offset)
            left -= size
            if left < 0:
                raise ValueError("an object that would take all memory")
            data = pack.inflate(at, size)
            if kind == _OFS_DELTA:
                deltas.append(data)
                back = int.from_bytes(base, "big")
                if not back:
                    raise ValueError("a delta of itself")
                offset -= back
            elif kind == _REF_DELTA:
                deltas.append(data)
                found = pack.offset(base)
                if found is None:  # a thin pack is completed on disk, so that this is damage
                    raise KeyError(base)
                offset = found
            else:
                for delta in reversed(deltas):
                    data = _patched(data, delta)
                return kind, data
        raise ValueError("a chain of deltas without an end")


class _Pack:
    """One pack with its index.

    Attributes:
        count: how many objects it has.

    Args:
        path: the ``.idx`` file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not an index of version 2.
    """

    def __init__(self, path: bytes) -> None:
        with open(open_plain(path), "rb") as file:
            self._idx = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        try:
            if self._idx[:8] != _IDX_MARK:
                raise ValueError("not a pack index of version 2")
            self._fanout = (0, *_FANOUT.unpack_from(self._idx, 8))
            self.count = self._fanout[256]
            # Whoever wrote the tree may have written its packs: what is looked up is there.
            if any(a > b for a, b in pairwise(self._fanout)):
                raise ValueError("the pack index is not sorted")
            if len(self._idx) < _NAMES_AT + 28 * self.count + 40:
                raise ValueError("the pack index is cut short")
            self._fd = open_plain(path[:-4] + b".pack")
        except (OSError, ValueError, struct.error):
            self._idx.close()
            raise

    def close(self) -> None:
        """Lets both files go."""
        self._idx.close()
        os.close(self._fd)

    def names(self) -> Iterator[bytes]:
        """Yields the names of all objects."""
        end = _NAMES_AT + 20 * self.count
        table = self._idx[_NAMES_AT:end]
        return (table[at : at + 20] for at in range(0, len(table), 20))

    def offset(self, key: bytes) -> int | None:
        """Returns where an object begins, None when it is not in this pack."""
        first, last = self._fanout[key[0]], self._fanout[key[0] + 1]
        if first == last:
            return None
        # Names are hashes: the next bytes tell about where in its bucket one lies.
        guess = first + ((last - first) * _WORD.unpack_from(key, 1)[0] >> 32)
        around = 32 + int(4 * (last - first) ** 0.5)
        low, high = max(first, guess - around), min(last, guess + around)
        at = self._find(key, low, high)
        if at is None and (low > first or high < last):
            at = self._find(key, first, last)
        if at is None:
            return None
        offsets_at = _NAMES_AT + 24 * self.count
        found: int = _WORD.unpack_from(self._idx, offsets_at + 4 * at)[0]
        if found & 0x80000000:
            long_at = offsets_at + 4 * self.count + 8 * (found & 0x7FFFFFFF)
            if long_at + _LONG.size > len(self._idx):
                return None
            found = _LONG.unpack_from(self._idx, long_at)[0]
        return found

    def _find(self, key: bytes, low: int, high: int) -> int | None:
        start, end = _NAMES_AT + 20 * low, _NAMES_AT + 20 * high
        at = self._idx.find(key, start, end)
        while at >= 0:
            if (at - _NAMES_AT) % 20 == 0:
                return (at - _NAMES_AT) // 20
            at = self._idx.find(key, at + 1, end)
        return None

    def head(self, offset: int) -> tuple[int, int, bytes, int]:
        """Returns type, length, base (of a delta) and the offset of the deflated data."""
        head = os.pread(self._fd, _HEAD_BYTES, offset)
        byte = head[0]
        kind, size, shift, at = byte >> 4 & 7, byte & 15, 4, 1
        while byte & 0x80:
            byte = head[at]
            size |= (byte & 0x7F) << shift
            shift, at = shift + 7, at + 1
        base = b""
        if kind == _REF_DELTA:
            base = head[at : at + 20]
            at += 20
        elif kind == _OFS_DELTA:
            byte = head[at]
            back, at = byte & 0x7F, at + 1
            while byte & 0x80:
                byte = head[at]
                back = (back + 1 << 7) | (byte & 0x7F)
                at += 1
            base = back.to_bytes(8, "big")
        return kind, size, base, offset + at

    def inflate(self, at: int, size: int) -> bytes:
        """Returns `size` bytes of inflated data."""
        inflater, parts, left = zlib.decompressobj(), [], size
        while left > 0 or not inflater.eof:
            chunk = os.pread(self._fd, max(min(size, 1 << 20), 256), at)
            if not chunk:
                raise ValueError("the pack ends inside of an object")
            at += len(chunk)
            part = inflater.decompress(chunk, left + 1)
            left -= len(part)
            parts.append(part)
            if left < 0:
                raise ValueError("an object is longer than it says")
            if inflater.eof:
                break
            at -= len(inflater.unconsumed_tail)
        if left:
            raise ValueError("an object is shorter than it says")
        return b"".join(parts)

    def size(self, offset: int) -> int:
        """Returns the length of the object at `offset`."""
        kind, size, _, at = self.head(offset)
        if kind not in (_OFS_DELTA, _REF_DELTA):
            return size
        start = zlib.decompressobj().decompress(os.pread(self._fd, _HEAD_BYTES, at), 24)
        _, at = _varint(start, 0)
        return _varint(start, at)[0]


def _patched(base: bytes, delta: bytes) -> bytes:
    """Returns what git's delta makes of `base`."""
    expected, at = _varint(delta, 0)
    size, at = _varint(delta, at)
    if expected != len(base):
        raise ValueError("a delta of something else")
    if size > _MAX_BYTES:
        raise ValueError("a delta that would take all memory")
    parts = []
    made = 0
    while at < len(delta):
        code, at = delta[at], at + 1
        if code & 0x80:
            start = length = 0
            for bit in range(4):
                if code & 1 << bit:
                    start |= delta[at] << 8 * bit
                    at += 1
            for bit in range(3):
                if code & 0x10 << bit:
                    length |= delta[at] << 8 * bit
                    at += 1
            parts.append(base[start : start + (length or 0x10000)])
        elif code:
            parts.append(delta[at : at + code])
            at += code
        else:
            raise ValueError("a delta with a code that means nothing")
        made += len(parts[-1])
        if made > size:
            raise ValueError("a delta that makes more than it says")
    data = b"".join(parts)
    if len(data) != size:
        raise ValueError("a delta that makes something else")
    return data


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 64:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if not byte & 0x80:
            return value, at
    raise ValueError("a number without an end")


def _object_folders(objects: bytes) -> list[bytes]:
    """Returns the object directory and those that it borrows from."""
    folders = [objects]
    for folder in folders:
        try:
            lines = read_plain(os.path.join(folder, b"info", b"alternates"), 1 << 16).split(b"\n")
        except OSError:
            continue
        for line in lines:
            other = os.path.normpath(os.path.join(folder, line)) if line else b""
            usable = other and b"\0" not in other and not line.startswith(b"#")
            if usable and other not in folders:
                folders.append(other)
        if len(folders) > _MAX_ALTERNATES:
            break
    return folders


def _pack_names(objects: bytes) -> Iterator[bytes]:
    folder = os.path.join(objects, b"pack")
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            if name.endswith(b".idx"):
                yield os.path.join(folder, name)


def _size(path: bytes) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
