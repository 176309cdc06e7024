"""The store keeps its budget, and never at the price of what pends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentdiff.core.entries import ABSENT_REF, File
from agentdiff.core.owners import USER
from agentdiff.core.records import PathChanged
from agentdiff.workspace import upkeep
from agentdiff.workspace.blobs import BlobStore
from agentdiff.workspace.known import KnownTable
from agentdiff.workspace.observations import Known
from agentdiff.workspace.store import Store
from agentdiff.workspace.upkeep import Upkeep

KIB = 1 << 10


class Kept:
    """A workspace's store, with contents of 10 KiB each."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder, b"/w")
        self.blobs = BlobStore(folder / "blobs.pack")
        self.known = KnownTable()

    def content(self) -> str:
        """Stores a content that nobody names."""
        return self.blobs.put(os.urandom(10 * KIB))

    def logged(self, seq: int) -> str:
        """Stores a content that the log names."""
        data = os.urandom(10 * KIB)
        after = File(data=data).ref()
        record = PathChanged(
            path=b"f", before=ABSENT_REF, after=after, owner=USER, state=None, at_ns=seq
        )
        self.store.append(seq, record)
        return self.blobs.put(data)

    def followed(self) -> str:
        """Stores a content that a followed path has."""
        data = os.urandom(10 * KIB)
        self.known[b"k%d" % len(self.known)] = Known(ref=File(data=data).ref())
        return self.blobs.put(data)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kept]:
    """A store whose size is looked at from the first byte on."""
    monkeypatch.setattr(upkeep, "_SMALL_BYTES", 0)
    monkeypatch.setattr(upkeep, "_LOOK_AGAIN_S", 0.0)
    made = Kept(tmp_path / "ws")
    yield made
    made.store.close()
    made.blobs.close()


def test_what_nobody_names_goes(kept: Kept) -> None:
    """As soon as it is a good part of the whole."""
    named = [kept.logged(1), kept.followed(), kept.content()]
    garbage = [kept.content() for _ in range(5)]
    freed = Upkeep(kept.store, kept.blobs, 1 << 30).begin([named[2]], kept.known)
    assert freed > 50 * KIB
    assert [oid in kept.blobs for oid in named] == [True, True, True]
    assert not any(oid in kept.blobs for oid in garbage)


def test_over_the_budget_the_oldest_history_goes_first(kept: Kept) -> None:
    """What pends and what is followed stays."""
    pending, followed = kept.content(), kept.followed()
    history = [kept.logged(seq) for seq in range(1, 9)]
    tidy = Upkeep(kept.store, kept.blobs, 65 * KIB)
    tidy.begin([pending], kept.known)
    assert (pending in kept.blobs, followed in kept.blobs, tidy.problem) == (True, True, None)
    assert [oid in kept.blobs for oid in history] == [False] * 4 + [True] * 4
    assert kept.blobs.size_bytes <= 65 * KIB


def test_what_pends_may_exceed_the_budget_and_it_is_said(kept: Kept) -> None:
    """Never evicted, and never in silence."""
    pending = [kept.content() for _ in range(8)]
    tidy = Upkeep(kept.store, kept.blobs, 65 * KIB)
    tidy.begin(pending, kept.known)
    assert all(oid in kept.blobs for oid in pending)
    assert tidy.problem is not None


def test_while_at_work_the_newest_contents_are_left_alone(kept: Kept) -> None:
    """They may be on their way to those who will name them."""
    tidy = Upkeep(kept.store, kept.blobs, 65 * KIB)
    tidy.begin([], kept.known)
    young = [kept.content() for _ in range(8)]
    assert tidy.tick(list, kept.known) == 0
    assert all(oid in kept.blobs for oid in young)
    newer = [kept.content() for _ in range(8)]
    assert tidy.tick(list, kept.known) > 0
    assert not any(oid in kept.blobs for oid in young)
    assert all(oid in kept.blobs for oid in newer)
