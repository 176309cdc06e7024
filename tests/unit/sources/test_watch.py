"""The watcher hints at every change of a tree, and at nothing else."""

import contextlib
import os
import resource
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from agentdiff.sources import watch
from agentdiff.sources.inotify import open_feed
from agentdiff.sources.watch import Watcher
from agentdiff.workspace.blobs import BlobStore
from agentdiff.workspace.tracker import Tracker, TrackerSettings

DEADLINE_S = 10.0


class Hints:
    """Collects hints and waits for them."""

    def __init__(self) -> None:
        self._arrived = threading.Condition()
        self.seen: list[bytes] = []

    def touch(self, paths: Iterable[bytes]) -> None:
        """Takes hints."""
        with self._arrived:
            self.seen.extend(paths)
            self._arrived.notify_all()

    def wait(self, *paths: bytes) -> bool:
        """Waits until all these paths were hinted at."""
        with self._arrived:
            return self._arrived.wait_for(lambda: {*paths} <= {*self.seen}, DEADLINE_S)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A workspace with something in it."""
    folder = tmp_path / "tree"
    (folder / "dir").mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder / "dir" / "file").write_text("one\n")
    return folder


@pytest.fixture
def hints(tree: Path):
    """The hints of a watcher that is at work."""
    hints = Hints()
    watcher = Watcher(os.fsencode(tree), hints.touch)
    watcher.start()
    assert watcher.wait_ready(DEADLINE_S)
    assert watcher.problem is None
    yield hints
    watcher.stop()


CHANGES: dict[str, tuple[Callable[[Path], object], list[bytes]]] = {
    "write": (lambda tree: (tree / "dir/file").write_text("two\n"), [b"dir/file"]),
    "create": (lambda tree: (tree / "dir/new").touch(), [b"dir/new"]),
    "delete": (lambda tree: (tree / "dir/file").unlink(), [b"dir/file"]),
    "mode": (lambda tree: (tree / "dir/file").chmod(0o755), [b"dir/file"]),
    "move": (lambda tree: (tree / "dir/file").rename(tree / "to"), [b"dir/file", b"to"]),
    "move away": (lambda tree: (tree / "dir").rename(tree.parent / "gone"), [b"dir"]),
    "link": (lambda tree: (tree / "link").symlink_to("nowhere"), [b"link"]),
    "new folders": (lambda tree: (tree / "x/y").mkdir(parents=True), [b"x"]),
    "odd name": (
        lambda tree: Path(os.fsdecode(os.fsencode(tree) + b"/n\n\xff")).touch(),
        [b"n\n\xff"],
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_hints_at_every_kind_of_change(tree: Path, hints: Hints, change: str) -> None:
    """Whatever changes, its path is hinted at, relative to the root and as bytes."""
    act, paths = CHANGES[change]
    act(tree)
    assert hints.wait(*paths)


def test_watches_folders_that_are_made_later(tree: Path, hints: Hints) -> None:
    """A file in a new folder is hinted at, too."""
    (tree / "later").mkdir()
    assert hints.wait(b"later")
    (tree / "later" / "file").write_text("x")
    assert hints.wait(b"later/file")


def test_is_silent_about_git_own_files_and_reading(tree: Path, hints: Hints) -> None:
    """Reading, ``.git`` and our temporary names give no hint."""
    (tree / "dir" / "file").read_text()
    (tree / ".git" / "index").write_text("x")
    (tree / "dir" / ".agentdiff-0f.tmp").write_text("x")
    (tree / "last").touch()
    assert hints.wait(b"last")
    assert {*hints.seen} == {b"last"}


@pytest.mark.parametrize("own", [True, False])
def test_a_tracker_follows_the_hints(tree: Path, tmp_path: Path, own: bool) -> None:
    """Watcher and tracker together tell a write without anybody asking for a cut."""
    told = Hints()
    feed = open_feed(os.fsencode(tree)) if own else None
    blobs = BlobStore(tmp_path / "blobs")
    tracker = Tracker(
        os.fsencode(tree),
        blobs,
        None,
        lambda batch: told.touch([seen.path for seen in batch.observations if not batch.initial]),
        TrackerSettings(),
        feed=feed,
    )
    watcher = Watcher(os.fsencode(tree), tracker.touch, feed)
    watcher.start()
    assert watcher.wait_ready(DEADLINE_S)
    tracker.cut()
    (tree / "x" / "y").mkdir(parents=True)
    (tree / "x" / "y" / "new").write_text("new\n")
    assert told.wait(b"x/y/new")
    watcher.stop()
    tracker.close()
    blobs.close()


def test_a_missing_root_is_a_problem_not_an_error(tmp_path: Path) -> None:
    """When watching cannot start, the reason is there to be shown."""
    watcher = Watcher(os.fsencode(tmp_path / "missing"), Hints().touch)
    watcher.start()
    assert watcher.wait_ready(DEADLINE_S)
    assert watcher.problem == "cannot watch the workspace: No such file or directory"
    watcher.stop()


@pytest.mark.parametrize("refused", ["watch-start", "Thread-"])
def test_a_system_without_a_thread_to_give_is_a_problem_not_an_error(
    tree: Path, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    """Neither for the beginning nor for the watching itself: cuts find everything all the same."""
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name.startswith(refused):
            raise RuntimeError("can't start new thread")
        start(thread)

    before = threading.active_count()
    feed = open_feed(os.fsencode(tree))
    watcher = Watcher(os.fsencode(tree), Hints().touch, feed)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        watcher.start()
        assert watcher.wait_ready(DEADLINE_S)
    assert watcher.problem == "cannot watch the workspace: can't start new thread"
    watcher.stop()
    assert threading.active_count() == before
    if feed is not None:
        feed.close()


def test_the_limit_of_watches_is_a_problem(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """watchdog leaves directories out in silence when the limit is reached; we say so."""
    monkeypatch.setattr(watch, "_at_watch_limit", lambda root: True)
    watcher = Watcher(os.fsencode(tree), Hints().touch)
    watcher.start()
    assert watcher.wait_ready(DEADLINE_S)
    assert watcher.problem is not None
    assert "limit" in watcher.problem
    watcher.stop()


def test_stopping_ends_all_threads(tree: Path) -> None:
    """After stop no thread of the watcher is left, started or not."""
    before = threading.active_count()
    Watcher(os.fsencode(tree), Hints().touch).stop()
    watcher = Watcher(os.fsencode(tree), Hints().touch)
    watcher.start()
    watcher.stop()
    watcher.stop()
    assert threading.active_count() == before


def test_many_open_files_do_not_end_it(tree: Path, tmp_path: Path) -> None:
    """A daemon of many workspaces has descriptors beyond the 1023 that ``select`` can take."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    heard = threading.Semaphore(0)
    with contextlib.ExitStack() as opened:
        opened.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        while opened.enter_context(open(tree / "dir" / "file", "rb")).fileno() < 1024:
            pass
        feed = open_feed(os.fsencode(tree))
        assert feed is not None
        opened.callback(feed.close)
        watcher = Watcher(os.fsencode(tree), lambda _: heard.release(), feed)
        watcher.start()
        opened.callback(watcher.stop)
        assert watcher.wait_ready(DEADLINE_S)
        feed.watch(b"", os.open(tree, os.O_RDONLY))
        for name in ("one", "two"):  # the second after the rest that follows each news
            (tree / name).touch()
            assert heard.acquire(timeout=DEADLINE_S)
            feed.drain()
