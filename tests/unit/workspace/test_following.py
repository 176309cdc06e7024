"""What is followed from when on, and when the feed's word is enough: cuts without a thread."""

import errno
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agentdiff.core.entries import ABSENT_REF
from agentdiff.sources.inotify import Inotify
from agentdiff.workspace import tree as tree_reading
from agentdiff.workspace.blobs import BlobStore
from agentdiff.workspace.index import Index
from agentdiff.workspace.known import KnownTable
from agentdiff.workspace.observations import Batch, Known, TrackerSettings
from agentdiff.workspace.survey import Survey
from agentdiff.workspace.tracker import Tracker
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
        self.forgotten = {
            seen.path for batch in batches for seen in batch.observations if seen.forget
        }
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


def wait_until_settled(path: Path) -> None:
    """Waits until the file's times lie far enough back to be trusted."""
    deadline = time.monotonic() + 20
    while time.time_ns() < path.stat().st_ctime_ns + 50_000_000:
        assert time.monotonic() < deadline
        time.sleep(0.005)


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


def test_what_is_followed_anew_is_seen_to_be_made(tree: Path, survey) -> None:
    """An ignore file further down forgets a folder: its old files are a baseline, new ones not."""
    put(tree / "pkg" / ".gitignore", "dist/\n")
    put(tree / "pkg" / "dist" / "old.js")
    one = survey()
    put(tree / "pkg" / ".gitignore", "other\n")
    assert one.cut() == {b"pkg/.gitignore": ("file", "file")}
    put(tree / "pkg" / "dist" / "new.js")
    assert one.cut() == {b"pkg/dist/new.js": ("absent", "file")}


def test_a_repository_that_is_none_any_more_is_followed(tree: Path, survey) -> None:
    """Without its ``.git`` a folder is like the others; and also when all of it is made anew."""
    put(tree / "vendor" / ".git" / "HEAD")
    put(tree / "vendor" / "a.c")
    one = survey()
    shutil.rmtree(tree / "vendor" / ".git")
    assert one.cut() == {}
    put(tree / "vendor" / "new.c")
    assert one.cut() == {b"vendor/new.c": ("absent", "file")}


@pytest.mark.parametrize("hidden", ["vendor/.git/HEAD", "vendor/big.log"])
def test_what_was_passed_over_is_removed_and_made_anew(tree: Path, survey, hidden: str) -> None:
    """Nothing of it can be older than its removal."""
    put(tree / ".gitignore", "*.log\n")
    put(tree / hidden, "x" * 70_000)
    put(tree / "vendor" / "a.c")
    one = survey()
    shutil.rmtree(tree / "vendor")
    one.cut()
    put(tree / "vendor" / "again.c")
    put(tree / "vendor" / "big.log", "small\n")
    made = {b"vendor/again.c": ("absent", "file"), b"vendor/big.log": ("absent", "file")}
    assert one.cut() == made


def test_what_was_made_while_it_was_ignored_is_a_baseline(tree: Path, survey) -> None:
    """Also when it was made since the last walk: rejecting must not delete it."""
    put(tree / ".gitignore", "dist/\n")
    one = survey()
    put(tree / "dist" / "built.js")
    one.cut()
    put(tree / ".gitignore", "other\n")
    assert one.cut() == {b".gitignore": ("file", "file")}
    assert b"dist/built.js" in one.index.known


def test_a_link_in_place_of_a_folder_under_rules_that_allow_little(tree: Path, survey) -> None:
    """The link is ignored, the folder was not: what was in it is gone."""
    put(tree / ".gitignore", "*\n!*/\n!*.py\n")
    put(tree / "src" / "a.py")
    one = survey()
    (tree / "lib").mkdir()
    (tree / "src").rename(tree / "lib" / "src")
    (tree / "src").symlink_to("lib/src")
    gone = {b"src/a.py": ("file", "absent"), b"lib/src/a.py": ("absent", "file")}
    assert one.cut() == gone
    put(tree / "lib" / "src" / "a.py", "new\n")
    assert one.cut() == {b"lib/src/a.py": ("file", "file")}


def test_files_that_are_ignored_late_cost_nothing(tree: Path, survey) -> None:
    """They are followed by the feed's word, in this life of the daemon and in the next one."""
    for number in range(20):
        put(tree / "pack" / f"d{number % 4}" / f"f{number}")
    one = survey()
    put(tree / ".gitignore", "pack/\n")
    one.cut()
    two = one
    for life in ("first", "second"):
        assert (two.cut(), two.looked_at) == ({}, 0)
        put(tree / "pack" / "d1" / "f1", f"new in the {life}\n")
        put(tree / "pack" / "d1" / f"nobody knew it in the {life}")
        assert two.cut() == {b"pack/d1/f1": ("file", "file")}
        if life == "first":
            two = survey(known=one.index.known.unpacked())
    (tree / "pack" / "d1").rename(tree / "pack" / "moved")
    put(tree / "pack" / "d1" / "f5", "another one\n")
    gone = ("file", "absent")
    expected = {b"pack/d1/f%d" % number: gone for number in (1, 9, 13, 17)}
    assert two.cut() == {**expected, b"pack/d1/f5": ("file", "file")}
    put(tree / "pack" / "d1" / "f5", "and again\n")
    assert two.cut() == {b"pack/d1/f5": ("file", "file")}


def test_what_was_in_a_hidden_folder_is_forgotten_with_it(tree: Path, survey) -> None:
    """No later cut looks for it; what somebody named is looked for."""
    put(tree / ".gitignore", "*.o\nout/\n")
    one = survey()
    for number in range(5):
        put(tree / f"build{number}" / "x.o")
        put(tree / f"build{number}" / "x.c")
    put(tree / "out" / "named")
    one.survey.read_paths([b"out/named"], lambda: True, follow=True)
    one.cut()
    for number in range(5):
        if number % 2:
            (tree / f"build{number}" / "x.o").unlink()
            one.cut()
        shutil.rmtree(tree / f"build{number}")
    shutil.rmtree(tree / "out")
    one.cut()
    assert sorted(one.index.known) == [b".gitignore", b"out/named"]
    assert (one.cut(), one.looked_at) == ({}, 1)
    put(tree / "out" / "named", "back\n")
    assert one.cut() == {b"out/named": ("absent", "file")}


def test_what_an_earlier_run_left_of_such_folders_is_forgotten(tree: Path, survey) -> None:
    """The store is told, too."""
    put(tree / ".gitignore", "pack/\n")
    dead = {b"pack/d%d/f" % number: Known(ref=ABSENT_REF) for number in range(9)}
    one = survey(known=dead)
    assert sorted(one.index.known) == [b".gitignore"]
    assert one.forgotten == set(dead)
    assert (one.cut(), one.looked_at) == ({}, 0)


def test_a_tree_that_is_too_large_is_not_read_at_each_cut(
    tree: Path, survey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is known is looked at, and read where that differs."""
    for number in range(6):
        put(tree / f"f{number}")
    wait_until_settled(tree / "f5")
    one = survey(settings=TrackerSettings(max_files=8))
    for number in range(6):
        put(tree / "more" / f"g{number}")
    one.cut(sweep=True)
    read: list[bytes] = []
    reading = tree_reading._read_file

    def count(dir_fd: int, name: bytes, *others):
        read.append(name)
        return reading(dir_fd, name, *others)

    monkeypatch.setattr(tree_reading, "_read_file", count)
    put(tree / "f3", "new\n")
    assert one.cut() == {b"f3": ("file", "file")}
    assert [name for name in read if name.startswith(b"f")] == [b"f3"]


def test_a_path_that_is_named_during_a_walk_is_looked_at_later(tree: Path, survey) -> None:
    """It lies in an ignored folder, which that walk does not enter."""
    put(tree / ".gitignore", "gen/\n")
    put(tree / "gen" / "out.js")
    one = survey()
    put(tree / "made")
    steps: list[int] = []

    def proceed() -> bool:
        steps.append(0)
        if len(steps) == 2:  # the root was entered, and the first file is about to be read
            steps[0] = one.survey.read_paths([b"gen/out.js"], lambda: True, follow=True)
        return True

    assert one.cut(proceed, sweep=True) == {b"made": ("absent", "file")}
    assert steps[0] == 1
    put(tree / "gen" / "out.js", "new\n")
    assert one.cut() == {b"gen/out.js": ("file", "file")}


def test_a_file_that_could_not_be_opened_is_read_again(
    tree: Path, survey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No descriptor was left for a moment; nothing about the file changes when there is one."""
    put(tree / "a")
    one = survey()
    put(tree / "a", "new\n")
    wait_until_settled(tree / "a")

    def refuse(*arguments):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patch:
        patch.setattr(tree_reading, "_read_file", refuse)
        assert one.cut() == {b"a": ("file", "other")}
    assert one.cut(sweep=True) == {b"a": ("other", "file")}


def test_a_tree_that_is_small_again_is_followed_without_a_feed(tree: Path, tmp_path: Path) -> None:
    """Sweeps find out, in the background."""
    for number in range(5):
        put(tree / f"f{number}")
    blobs = BlobStore(tmp_path / "blobs")
    told = threading.Event()
    told_of: set[bytes] = set()

    def take(batch: Batch) -> None:
        told_of.update(seen.path for seen in batch.observations)
        if b"f0" in told_of:
            told.set()

    settings = TrackerSettings(max_files=4, sweep_s=0.01)
    tracker = Tracker(os.fsencode(tree), blobs, None, take, settings)
    assert tracker.cut().scanned == 0
    for number in (3, 4):
        (tree / f"f{number}").unlink()
    tracker.cut()
    assert told.wait(60)
    tracker.close()
    blobs.close()
