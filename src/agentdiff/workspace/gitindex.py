"""Owns what git's index says about files: which of them hold exactly what one of its blobs holds.

Must not run git and must not believe the index further than its stat data go.  Hop 5, once for
each first population.

A file is vouched for when size, inode, and both times are those that git noted, and when it was not
modified in the moment in which the index was written (then git itself would have to compare).  Left
out are entries that git does not compare (assume-unchanged, skip-worktree, intent-to-add, merges),
split indexes, and files whose blob may be another text than the file: filters (LFS), identifiers,
encodings, line ends.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import struct

from agentdiff.workspace.known import Row, sign
from agentdiff.workspace.patterns import MAX_LINE, MAX_LINES, compile_patterns

# ctime and mtime (s, ns each), inode, size, blob id; between them device, mode, uid and gid.
_ENTRY = struct.Struct(">4I4xI12xI20s")
_EXTENDED, _UNCOMPARED = 0x4000, 0x8000 | 0x3000
_SKIP_OR_INTENT = 0x6000
_ATTRIBUTES = b".gitattributes"
# No system opens a longer path; without a limit a small index could name paths of many gigabytes.
_MAX_PATH = 4096
# A write within one tick of the clock may leave all times as they were.
_TICK_NS = 20_000_000


class UnusableIndex(Exception):  # noqa: N818 - reads as a fact
    """Nothing can be concluded from this index; the message says why."""


class GitIndex:
    """The entries of one index file that can be vouched for.

    Attributes:
        attributes: paths of tracked ``.gitattributes`` files.

    Args:
        data: content of the file.
        written_ns: when it was modified.

    Raises:
        UnusableIndex: it is damaged, split, or of a format that is not known.
    """

    def __init__(self, data: bytes, written_ns: int) -> None:
        if len(data) < 32 or data[:4] != b"DIRC":
            raise UnusableIndex("the index is no index")
        if (
            any(data[-20:])
            and hashlib.sha1(data[:-20], usedforsecurity=False).digest() != data[-20:]
        ):
            raise UnusableIndex("the index is damaged: its checksum is wrong")
        self._data = data
        self._written_ns = written_ns
        self._offsets: dict[bytes, int] = {}
        self.attributes: list[bytes] = []
        version, count = struct.unpack_from(">II", data, 4)
        if version not in (2, 3, 4):
            raise UnusableIndex(f"the index has version {version}")
        try:
            end = self._parse(version, count)
            self._check_extensions(end)
        except (IndexError, ValueError, struct.error) as error:
            raise UnusableIndex("the index is damaged") from error

    def __len__(self) -> int:
        return len(self._offsets)

    def blob(self, path: bytes, status: os.stat_result) -> bytes | None:
        """Returns the id (20 bytes) of the blob that a file with this status was compared with."""
        at = self._offsets.get(path)
        if at is None:
            return None
        ctime, ctime_ns, mtime, mtime_ns, ino, size, oid = _ENTRY.unpack_from(self._data, at)
        modified_ns = mtime * 1_000_000_000 + mtime_ns
        if (
            modified_ns != status.st_mtime_ns
            or ctime * 1_000_000_000 + ctime_ns != status.st_ctime_ns
            or size != status.st_size & 0xFFFFFFFF
            or ino != status.st_ino & 0xFFFFFFFF
            or modified_ns + _TICK_NS >= self._written_ns
        ):
            return None
        found: bytes = oid
        return found

    def _parse(self, version: int, count: int) -> int:
        """Notes the usable entries; returns where they end."""
        data, offsets = self._data, self._offsets
        at, path = 12, b""
        for _ in range(count):
            name_at = at + 62
            mode = int.from_bytes(data[at + 24 : at + 28], "big")
            flags = data[at + 60] << 8
            usable = not flags & _UNCOMPARED
            if flags & _EXTENDED:
                usable = usable and not (data[name_at] << 8) & _SKIP_OR_INTENT
                name_at += 2
            if version == 4:
                strip, name_at = _offset_varint(data, name_at)
                end = data.index(b"\0", name_at)
                path = path[: len(path) - strip] + data[name_at:end]
                following = end + 1
            else:
                end = data.index(b"\0", name_at)
                path = data[name_at:end]
                following = at + (end - at + 8 & ~7)
            if len(path) > _MAX_PATH:
                raise ValueError("a path that no system opens")
            if usable and stat.S_ISREG(mode):
                offsets[path] = at
                if path.endswith(_ATTRIBUTES):
                    self.attributes.append(path)
            at = following
        return at

    def _check_extensions(self, at: int) -> None:
        while at + 8 <= len(self._data) - 20:
            name = self._data[at : at + 4]
            if name == b"link":
                raise UnusableIndex("the index is split")
            if name[:1].islower() and name != b"sdir":
                raise UnusableIndex(f"the index has an extension {name!r}")
            at += 8 + int.from_bytes(self._data[at + 4 : at + 8], "big")


class Conversions:
    """Which files may be another text than their blobs.

    Args:
        sources: (directory with a slash behind it or ``b""``, content) of attribute files.

    Raises:
        UnusableIndex: they define macros, which may mean anything.
    """

    def __init__(self, sources: list[tuple[bytes, bytes]]) -> None:
        self._always: list[tuple[bytes, re.Pattern[str]]] = []
        self._maybe: list[tuple[bytes, re.Pattern[str]]] = []
        for prefix, content in sources:
            always: list[str] = []
            maybe: list[str] = []
            for line in content.decode("latin-1").split("\n"):
                _sort_line(line, always, maybe)
            for found, into in ((always, self._always), (maybe, self._maybe)):
                if found:
                    into.append((prefix, _union(found)))

    def converts(self, path: bytes) -> bool:
        """Whether the blob of `path` is, or may be, a text of its own."""
        return bool(self._always) and _matches(self._always, path)

    def may_normalise(self, path: bytes) -> bool:
        """Whether line ends of `path` may have been dropped on the way into git."""
        return bool(self._maybe) and _matches(self._maybe, path)


def _sort_line(line: str, always: list[str], maybe: list[str]) -> None:
    words = line.split()
    if not words or words[0].startswith("#"):
        return
    if words[0].startswith("[attr]"):
        raise UnusableIndex("attributes define macros")
    if words[0].startswith('"'):
        raise UnusableIndex("attributes have quoted patterns")
    for word in words[1:]:
        name, _, value = word.partition("=")
        if name in ("filter", "ident", "working-tree-encoding") or (name, value) == ("eol", "crlf"):
            always.append(words[0])
        elif name in ("text", "crlf", "eol"):
            maybe.append(words[0])


def _union(patterns: list[str]) -> re.Pattern[str]:
    """Returns one expression for patterns of git; a directory's covers what is in it, as well."""
    if len(patterns) > MAX_LINES or max(map(len, patterns)) > MAX_LINE:
        raise UnusableIndex("attributes have more patterns than can be looked at")
    spec = compile_patterns([pattern.lstrip("!") for pattern in patterns])
    parts = [one.regex.pattern for one in spec.patterns if one.regex is not None]
    # pathspec names a group, which an expression may do only once.
    return re.compile("|".join(f"(?:{re.sub(r'[(][?]P<[a-z_]+>', '(?:', part)})" for part in parts))


def _matches(rules: list[tuple[bytes, re.Pattern[str]]], path: bytes) -> bool:
    return any(
        path.startswith(prefix) and rule.match(path[len(prefix) :].decode("latin-1")) is not None
        for prefix, rule in rules
    )


def _offset_varint(data: bytes, at: int) -> tuple[int, int]:
    byte = data[at]
    value, at = byte & 0x7F, at + 1
    while byte & 0x80:
        if value >> 32:
            raise ValueError("a number without an end")
        byte = data[at]
        value = (value + 1 << 7) | (byte & 0x7F)
        at += 1
    return value, at


def row_of(status: os.stat_result, oid: bytes) -> Row:
    """Returns the row of a file whose content has the id `oid`."""
    return sign(status) + oid
