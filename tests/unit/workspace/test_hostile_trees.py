"""Trees as one would not wish them: shut, in circles, mounted twice, never at rest."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agentdiff.core.entries import File, Link
from agentdiff.sources.inotify import Inotify
from agentdiff.workspace.blobs import BlobStore
from agentdiff.workspace.feed import Drained, Feed
from agentdiff.workspace.moving import MIXTURE, Moving, is_mixture
from agentdiff.workspace.roots import confine
from agentdiff.workspace.tracker import Batch, Observation, Tracker, TrackerSettings
from agentdiff.workspace.tree import Root, read_signed

SOURCE = Path(__file__).resolve().parents[3] / "src"
NOBODY = 65534
LIMIT = 1 << 20


@contextmanager
def followed(
    tree: Path,
    state: Path,
    clock_ns: Callable[[], int] = time.time_ns,
    on_emit: Callable[[], None] = lambda: None,
    feed: Feed | None = None,
) -> Iterator[tuple[Tracker, list[Batch]]]:
    """Follows a tree without a feed; yields the tracker and what it tells after the first cut."""
    told: list[Batch] = []

    def take(batch: Batch) -> None:
        told.append(batch)
        on_emit()

    blobs = BlobStore(state)
    settings = TrackerSettings()
    tracker = Tracker(os.fsencode(tree), blobs, None, take, settings, clock_ns, feed)
    try:
        assert tracker.cut().certain
        told.clear()
        yield tracker, told
    finally:
        tracker.close()
        blobs.close()


def changes(told: list[Batch]) -> list[Observation]:
    """Returns what is said to have changed."""
    return [one for batch in told for one in batch.observations if one.before != one.after]


def names(told: list[Batch]) -> list[bytes]:
    """Returns which paths are said to have changed."""
    return sorted(one.path for one in changes(told))


def gaps(tracker: Tracker) -> dict[bytes, str]:
    """Returns what is not covered."""
    return {one.path: one.reason for one in tracker.coverage()}


# --- shut ----------------------------------------------------------------------------------------


def as_nobody(act: Callable[[Path], object]) -> object:
    """Returns what `act` returns (JSON) in a process that may not read everything.

    Args:
        act: gets an empty folder of its own.
    """
    folder = Path(tempfile.mkdtemp(prefix="ad-", dir="/tmp"))
    folder.chmod(0o777)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.getuid() == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            os.write(writing, json.dumps(act(folder)).encode())
        finally:
            os._exit(0)  # nothing of the tests' own may go on in here
    os.close(writing)
    with open(reading, "rb") as stream:
        answer = stream.read()
    os.waitpid(child, 0)
    for shut in folder.rglob("*"):
        if shut.is_dir():
            shut.chmod(0o700)
    shutil.rmtree(folder)
    assert answer, "it came to no end"
    return json.loads(answer)


def _shut_and_open(folder: Path) -> object:
    tree = folder / "tree"
    for name in ("open", "shut", "never"):
        (tree / name).mkdir(parents=True)
        (tree / name / "f").write_text(name)
    (tree / "never").chmod(0)
    with followed(tree, folder / "blobs") as (tracker, told):
        first = gaps(tracker)
        (tree / "shut").chmod(0)
        (tree / "open" / "f").write_text("changed")
        assert tracker.cut().certain
        shut = {path.decode(): reason for path, reason in gaps(tracker).items()}
        kinds = [
            (one.path.decode(), one.after.kind)
            for batch in told
            for one in batch.observations
            if one.before != one.after
        ]
        told.clear()
        (tree / "shut").chmod(0o700)
        assert tracker.cut().certain
        known = tracker.lookup(b"shut/f")
        again = None if known is None else known.ref.size
        (tree / "never").chmod(0o700)
        assert tracker.cut().certain
        return [first.get(b"never"), shut, sorted(kinds), again, names(told) == [b"shut/f"]]


def test_a_directory_that_is_shut_is_a_gap_and_not_a_deletion() -> None:
    """What was below it is there again when it opens; what nobody ever saw there is no news."""
    first, shut, kinds, again, only = as_nobody(_shut_and_open)  # type: ignore[misc]
    assert first == "unreadable: Permission denied"
    assert shut["shut"] == shut["never"] == "unreadable: Permission denied"
    assert kinds == [["open/f", "file"], ["shut/f", "other"]]
    assert (again, only) == (len("shut"), True)


# --- in circles ----------------------------------------------------------------------------------


def test_links_that_go_in_circles_are_links(tmp_path: Path) -> None:
    """None is followed: not to itself, not upwards, not to one that leads back."""
    tree = tmp_path / "tree"
    (tree / "d").mkdir(parents=True)
    for name, target in {"self": "self", "a": "b", "b": "a", "d/up": "..", "d/here": "."}.items():
        (tree / name).symlink_to(target)
    with followed(tree, tmp_path / "blobs") as (tracker, told):
        assert sorted(tracker.known()) == [b"a", b"b", b"d/here", b"d/up", b"self"]
        (tree / "a").unlink()
        (tree / "a").symlink_to("d")
        assert tracker.cut().certain
        assert names(told) == [b"a"]
    root = Root(os.fsencode(tree))
    assert read_signed(root, b"self", max_bytes=LIMIT)[0] == Link(target=b"self")
    root.close()
    assert confine(os.fsencode(tree), b"d/up/d/here/f") == b"d/f"
    assert confine(os.fsencode(tree), b"self") == b"self"


def test_a_tree_that_is_nested_without_end_has_a_gap_and_the_rest_is_followed(
    tmp_path: Path,
) -> None:
    """Each level holds a descriptor."""
    tree = tmp_path / "tree"
    deepest = tree.joinpath(*["d"] * 210)
    deepest.mkdir(parents=True)
    (tree / "f").write_text("x")
    with followed(tree, tmp_path / "blobs") as (tracker, _):
        assert list(tracker.known()) == [b"f"]
        assert list(gaps(tracker).values()) == ["nested too deep"]


# --- mounted twice -------------------------------------------------------------------------------

# Runs where it may mount; the same folder is to be seen under two names, and inside itself.
MOUNTED = """
    import os, sys
    sys.path.insert(0, sys.argv[1])
    from pathlib import Path
    from agentdiff.sources.watch import open_feed
    from agentdiff.workspace.blobs import BlobStore
    from agentdiff.workspace.tracker import Tracker, TrackerSettings

    tree = Path(sys.argv[2])
    told = []
    blobs = BlobStore(tree.parent / "blobs")
    root = os.fsencode(tree)
    tracker = Tracker(root, blobs, None, told.append, TrackerSettings(), feed=open_feed(root))
    assert tracker.cut().certain
    told.clear()
    (tree / "one" / "f").write_text("changed")
    assert tracker.cut().certain
    print(*sorted(os.fsdecode(p.path) for batch in told for p in batch.observations))
    tracker.close()
    blobs.close()
"""


@pytest.mark.skipif(shutil.which("unshare") is None, reason="no unshare")
def test_a_folder_that_is_mounted_twice_is_two_folders(tmp_path: Path) -> None:
    """And one that holds itself ends."""
    tree = tmp_path / "tree"
    for name in ("one", "two", "inside"):
        (tree / name).mkdir(parents=True)
    (tree / "one" / "f").write_text("x")
    program = textwrap.dedent(MOUNTED)
    mount = 'mount --bind "$1/one" "$1/two" && mount --bind "$1" "$1/inside" && shift && exec "$@"'
    done = subprocess.run(
        [
            *("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh"),
            *(str(tree), sys.executable, "-c", program, str(SOURCE), str(tree)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0 and ("unshare" in done.stderr or "mount" in done.stderr):
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    assert (done.stderr, done.stdout.split()) == ("", ["inside/one/f", "one/f", "two/f"])


# --- never at rest -------------------------------------------------------------------------------


def test_a_file_that_changes_while_it_is_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until it holds still: then its signature holds as well."""
    path, grown, read = tmp_path / "f", 0, os.pread
    path.write_text("start")

    def growing(fd: int, count: int, at: int) -> bytes:
        nonlocal grown
        if grown < 2:
            grown += 1
            path.write_text("x" * 10 * grown)
        return read(fd, count, at)

    monkeypatch.setattr(os, "pread", growing)
    root = Root(os.fsencode(tmp_path))
    entry, signature = read_signed(root, b"f", max_bytes=LIMIT)
    root.close()
    assert isinstance(entry, File)
    assert entry.data == b"x" * 20
    assert signature is not None
    assert signature.size == 20


class Restless:
    """A file that grows at each read of it, for as long as nobody calms it.

    The program that does it never closes it.
    """

    def __init__(self, path: Path, patch: pytest.MonkeyPatch) -> None:
        self.path = path
        self.calm = False
        self._read = os.pread
        self._file = open(path, "ab", buffering=0)  # noqa: SIM115 closed by the test's end
        patch.setattr(os, "pread", self._grow)

    def _grow(self, fd: int, count: int, at: int) -> bytes:
        if not self.calm and os.path.samestat(os.fstat(fd), os.fstat(self._file.fileno())):
            self._file.write(b"x")
        return self._read(fd, count, at)

    def begin(self) -> None:
        """Begins to write; creates the file if it is not there."""
        self._file.close()
        self._file = open(self.path, "ab", buffering=0)  # noqa: SIM115
        self._file.write(b"begun")
        self.calm = False

    def close(self) -> None:
        """Lets the file go."""
        self.calm = True
        self._file.close()


@pytest.fixture
def restless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Restless]:
    """One in a tree of its own."""
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "f").write_text("start")
    found = Restless(tree / "f", monkeypatch)
    yield found
    found.close()


def test_a_file_that_never_holds_still_is_not_trusted(restless: Restless) -> None:
    """Reading ends all the same, and says that this may be a mixture."""
    root = Root(os.fsencode(restless.path.parent))
    entry, signature = read_signed(root, b"f", max_bytes=LIMIT)
    root.close()
    assert isinstance(entry, File)
    assert signature is None
    assert is_mixture(entry, signature)


def test_a_mixture_is_no_baseline(restless: Restless, tmp_path: Path) -> None:
    """What nobody knew before has none, until it can be read."""
    with followed(restless.path.parent, tmp_path / "state") as (tracker, told):
        assert gaps(tracker) == {b"f": MIXTURE.kind}
        assert tracker.known()[b"f"].ref == MIXTURE.ref()
        restless.calm = True
        tracker.cut()
        assert (gaps(tracker), names(told)) == ({}, [b"f"])
        (seen,) = changes(told)
        assert seen.before == MIXTURE.ref()


@pytest.mark.parametrize("before_tool", [False, True])
def test_a_mixture_changes_nothing(restless: Restless, tmp_path: Path, before_tool: bool) -> None:
    """A known file stays what it was; after a tool was let go, its next change is uncertain."""
    restless.calm = True
    with followed(restless.path.parent, tmp_path / "state") as (tracker, told):
        start = tracker.known()[b"f"].ref
        restless.begin()
        found = tracker.cut(before_tool=before_tool)
        assert found.certain is not before_tool
        assert {one.path: one.reason for one in found.skipped} == {b"f": MIXTURE.kind}
        assert (tracker.known()[b"f"].ref, names(told)) == (start, [])
        restless.calm = True
        assert tracker.cut().certain
        (seen,) = changes(told)
        assert (seen.before, seen.uncertain, gaps(tracker)) == (start, before_tool, {})


def test_a_mixture_of_a_new_file_is_not_told(restless: Restless, tmp_path: Path) -> None:
    """It comes to be when it can be read, and is forgotten if it is gone before that."""
    restless.calm = True
    restless.path.unlink()
    with followed(restless.path.parent, tmp_path / "state") as (tracker, told):
        restless.begin()
        tracker.cut()
        assert (gaps(tracker), names(told)) == ({b"f": MIXTURE.kind}, [])
        restless.path.unlink()
        tracker.cut_paths([b"f"])
        assert (gaps(tracker), names(told), tracker.lookup(b"f")) == ({}, [], None)


class Deaf(Inotify):
    """Hears nothing, as of stores through a mapping."""

    def drain(self) -> Drained:
        """Names nothing."""
        super().drain()
        return Drained(paths=set(), lost=False)


@pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")
def test_each_cut_reads_again_what_was_a_mixture(restless: Restless, tmp_path: Path) -> None:
    """Also when the watcher has nothing to tell."""
    restless.calm = True
    feed = Deaf(os.fsencode(restless.path.parent))
    with followed(restless.path.parent, tmp_path / "state", feed=feed) as (tracker, told):
        restless.begin()
        tracker.cut_paths([b"f"])
        assert gaps(tracker) == {b"f": MIXTURE.kind}
        assert tracker.trusts_feed
        restless.calm = True
        tracker.cut()
        assert (gaps(tracker), names(told)) == ({}, [b"f"])


def test_a_file_that_comes_to_rest_is_read_again_unasked(
    restless: Restless, tmp_path: Path
) -> None:
    """Nobody tells of it: the program that wrote it may have it open for hours."""
    restless.calm = True
    read = threading.Event()
    with followed(restless.path.parent, tmp_path / "state", on_emit=read.set) as (tracker, told):
        restless.begin()
        tracker.cut()
        read.clear()
        restless.calm = True
        assert read.wait(30)
        assert (names(told), gaps(tracker)) == ([b"f"], {})


def test_what_never_rests_is_read_less_and_less_often() -> None:
    """Twenty times a second at first, every five seconds in the end."""
    now_s = 100.0
    moving = Moving(lambda: now_s)
    waits = []
    for _ in range(9):
        moving.note(b"f")
        assert moving.due_s is not None
        waits.append(moving.due_s - now_s)
        now_s = moving.due_s
        assert moving.due() == [b"f"]
    assert waits == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0])
    assert not moving.settle(b"f")
    assert (moving.due_s, moving.due()) == (None, [])


def test_a_path_that_is_replaced_all_the_time_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file when it is looked at, a link when it is opened."""
    path, look = tmp_path / "f", os.stat

    def looking(name: object, **more: object) -> os.stat_result:
        path.unlink(missing_ok=True)
        path.write_text("x")
        found = look(name, **more)  # type: ignore[arg-type]
        path.unlink()
        path.symlink_to("elsewhere")
        return found

    root = Root(os.fsencode(tmp_path))
    monkeypatch.setattr(os, "stat", looking)
    entry, signature = read_signed(root, b"f", max_bytes=LIMIT)
    monkeypatch.undo()
    root.close()
    assert entry.ref().note == "unreadable: it is being replaced all the time"
    assert signature is None


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_was_set_hides_no_change(tmp_path: Path, hours: int) -> None:
    """Of the same length, and with the old time put back."""
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "f").write_text("before")
    offset_ns = hours * 3_600_000_000_000
    with followed(tree, tmp_path / "b", lambda: time.time_ns() + offset_ns) as (tracker, told):
        times = (tree / "f").stat()
        (tree / "f").write_text("behind")
        os.utime(tree / "f", ns=(times.st_atime_ns, times.st_mtime_ns))
        assert tracker.cut().certain
        assert names(told) == [b"f"]
