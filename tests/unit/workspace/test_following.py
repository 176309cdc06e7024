"""What is followed from when on, and when the feed's word is enough: cuts without a thread."""

import errno
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agentdiff.sources.inotify import Inotify
from agentdiff.workspace.blobs import BlobStore
from agentdiff.workspace.index import Index
from agentdiff.workspace.known import KnownTable
from agentdiff.workspace.observations import Batch, Known, TrackerSettings
from agentdiff.workspace.survey import Survey
from agentdiff.workspace.tree import Root

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")

Changes = dict[bytes, tuple[str, str]]


class Limited(Inotify):
    """A feed that reaches the limit of watches at folders whose names begin with ``z``."""

    def watch(self, path: bytes, fd: int) -> None:
        """Refuses, as the kernel does."""
        if path.startswith(b"z"):
            with self._lock:
                self._refused(path, errno.ENOSPC)
        else:
            super().watch(path, fd)


class Surveyed:
    """The index of a tree, kept true by whoever calls."""

    def __init__(
        self,
        tree: Path,
        state: Path,
        known: dict[bytes, Known] | None = None,
        settings: TrackerSettings | None = None,
        kind: type[Inotify] | None = Inotify,
    ) -> None:
        self.batches: list[Batch] = []
        self.blobs = BlobStore(state)
        self.root = Root(os.fsencode(tree))
        self.feed = kind(os.fsencode(tree)) if kind else None
        settings = settings or TrackerSettings()
        self.index = Index(
            self.root,
            self.blobs,
            None if known is None else KnownTable(known),
            self.batches.append,
            lambda: False,
            settings,
            time.time_ns,
        )
        self.survey = Survey(self.root, self.index, settings, self.feed, time.time_ns, self.blobs)
        self.looked_at = 0
        self.cut()

    def cut(self, proceed: Callable[[], bool] = lambda: True, *, sweep: bool = False) -> Changes:
        """Reads what changed; returns it, and how much was looked at in `looked_at`."""
        self.survey.begin()
        self.looked_at = self.survey.read_tree(proceed, sweep=sweep)
        self.index.flush()
        batches, self.batches[:] = self.batches[:], []
        return {
            seen.path: (seen.before.kind, seen.after.kind)
            for batch in batches
            for seen in batch.observations
            if seen.before != seen.after
        }

    def stopped_sweep(self, after: int) -> None:
        """Begins to look at everything, until a hook comes."""
        steps = iter(range(after))
        assert self.cut(lambda: next(steps, None) is not None, sweep=True) == {}
        assert self.looked_at == 0

    def close(self) -> None:
        """Lets everything go."""
        if self.feed is not None:
            self.feed.close()
        self.root.close()
        self.blobs.close()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """An empty workspace."""
    folder = tmp_path / "tree"
    folder.mkdir()
    return folder


@pytest.fixture
def survey(tree: Path, tmp_path: Path) -> Iterator[Callable[..., Surveyed]]:
    """Starts surveys of the tree, each after its first walk."""
    begun: list[Surveyed] = []

    def start(**arguments) -> Surveyed:
        begun.append(Surveyed(tree, tmp_path / f"blobs{len(begun)}", **arguments))
        return begun[-1]

    yield start
    for one in begun:
        one.close()


def put(path: Path, text: str = "old\n") -> None:
    """Writes a file with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_stopped_sweep_at_the_limit_of_watches_trusts_nothing(tree: Path, survey) -> None:
    """It did not come as far as the folder that cannot be watched."""
    for name in ("a", "b", "z"):
        put(tree / name / "f")
    one = survey(kind=Limited)
    assert not one.survey.trusts_feed
    one.stopped_sweep(1)
    put(tree / "z" / "f", "new\n")
    assert one.cut() == {b"z/f": ("file", "file")}


def test_a_stopped_sweep_after_changed_rules_trusts_nothing(tree: Path, survey) -> None:
    """What is not ignored any more is not watched yet."""
    put(tree / ".gitignore", "dist/\n")
    put(tree / "dist" / "a.js")
    one = survey()
    put(tree / ".gitignore", "other\n")
    one.stopped_sweep(0)
    assert one.cut() == {b".gitignore": ("file", "file")}
    put(tree / "dist" / "new.js")
    assert one.cut() == {b"dist/new.js": ("absent", "file")}
