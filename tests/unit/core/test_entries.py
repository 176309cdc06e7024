"""Entries: what a path is, and the names that git gives contents."""

from __future__ import annotations

import pytest

from agentdiff.core.entries import (
    ABSENT,
    ABSENT_REF,
    EMPTY_OID,
    Directory,
    Entry,
    File,
    Link,
    Other,
    Ref,
    git_blob_oid,
)


@pytest.mark.parametrize(
    ("data", "oid"),
    [
        (b"", EMPTY_OID),
        (b"hello\n", "ce013625030ba8dba906f756967f9e9ca394464a"),
    ],
)
def test_oids_are_gits(data: bytes, oid: str) -> None:
    """They are what ``git hash-object`` prints."""
    assert git_blob_oid(data) == oid


@pytest.mark.parametrize(
    ("entry", "ref"),
    [
        (ABSENT, ABSENT_REF),
        (File(data=b"", mode=0o600), Ref(kind="file", mode=0o600, oid=EMPTY_OID, size=0)),
        (Link(target=b""), Ref(kind="link", oid=EMPTY_OID)),
        (Directory(mode=0o700), Ref(kind="dir", mode=0o700)),
        (Other(kind="fifo", stamp="1"), Ref(kind="other", note="fifo", oid="1")),
    ],
)
def test_a_ref_names_kind_mode_and_content(entry: Entry, ref: Ref) -> None:
    """Enough to compare an entry and to fetch its content."""
    assert entry.ref() == ref


def test_absent_is_not_an_empty_file() -> None:
    """P9: neither as an entry nor by its ref."""
    assert File(data=b"") != ABSENT
    assert File(data=b"").ref() != ABSENT.ref()


def test_files_differ_by_mode() -> None:
    """Equal bytes with another mode are a change."""
    assert File(data=b"x", mode=0o644) != File(data=b"x", mode=0o755)


@pytest.mark.parametrize(("mode", "executable"), [(0o644, False), (0o755, True), (0o611, False)])
def test_executable_is_the_owners_bit(mode: int, executable: bool) -> None:
    """As git decides between 100644 and 100755."""
    assert File(data=b"", mode=mode).executable is executable
