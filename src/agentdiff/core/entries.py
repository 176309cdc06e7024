"""What a path is at one moment: absent, a file, a link, or something that is not followed.

Owns the `Entry` union (the content itself) and `Ref` (its compact name, used by the index and the
log).
Must not read a disk: `agentdiff.workspace.files` makes entries.  Used at hops 4 to 6.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

PERMISSION_BITS = 0o7777
EMPTY_OID = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
ZERO_OID = "0" * 40

RefKind: TypeAlias = Literal["absent", "file", "link", "dir", "other"]


def git_blob_oid(data: bytes) -> str:
    """Returns git's object id (SHA-1, 40 hexadecimal digits) of a blob with this content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ref:
    """The name of an entry: enough to compare it, and to fetch its content from the blob store.

    Attributes:
        kind: which member of `Entry` it names.
        mode: permission bits (``0o7777``) of a file or directory, else 0.
        oid: git blob id of the file's content or the link's target, else ``""``.
        size: content length in bytes.
        note: why an ``other`` is not followed (`Other.kind`), else ``""``.
    """

    kind: RefKind
    mode: int = 0
    oid: str = ""
    size: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """Nothing is there.  Not the same as an empty file."""

    def ref(self) -> Ref:
        """Returns the compact name of this entry."""
        return ABSENT_REF


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A regular file: exact bytes and permission bits (``0o7777``)."""

    data: bytes = field(repr=False)
    mode: int = 0o644
    oid: str = ""

    def __post_init__(self) -> None:
        if not self.oid:
            object.__setattr__(self, "oid", git_blob_oid(self.data))

    @property
    def executable(self) -> bool:
        """Whether git would call it 100755."""
        return bool(self.mode & 0o100)

    def ref(self) -> Ref:
        """Returns the compact name of this entry."""
        return Ref(kind="file", mode=self.mode, oid=self.oid, size=len(self.data))


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A symbolic link; `target` is its raw text, never resolved."""

    target: bytes

    def ref(self) -> Ref:
        """Returns the compact name of this entry."""
        return Ref(kind="link", oid=git_blob_oid(self.target), size=len(self.target))


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """A directory where a file was, or will be, expected."""

    mode: int = 0o755

    def ref(self) -> Ref:
        """Returns the compact name of this entry."""
        return Ref(kind="dir", mode=self.mode)


@dataclass(frozen=True, slots=True, kw_only=True)
class Other:
    """Something whose content is not kept, so that it cannot be restored.

    Attributes:
        kind: ``fifo``, ``socket``, ``device``, ``unreadable: <reason>`` or ``oversized: <n>
            bytes``.
        stamp: changes when the thing changes, as far as that can be told (size and mtime).
    """

    kind: str
    stamp: str = ""

    def ref(self) -> Ref:
        """Returns the compact name of this entry."""
        return Ref(kind="other", note=self.kind, oid=self.stamp)


Entry: TypeAlias = Absent | File | Link | Directory | Other

ABSENT = Absent()
ABSENT_REF = Ref(kind="absent")


def begins(part: Entry, whole: Entry) -> bool:
    """Whether `part` may be `whole` while that is being written: nothing yet, or not all of it."""
    if isinstance(part, File) and isinstance(whole, File):
        return whole.data.startswith(part.data)
    return isinstance(part, Absent)


def as_seen(entry: Entry, base: Entry) -> Entry:
    """Returns what counts as there; a directory does only where something else was."""
    return ABSENT if isinstance(entry, Directory) and isinstance(base, Absent) else entry
