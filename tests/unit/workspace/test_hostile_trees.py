"""Trees as one would not wish them: shut, in circles, mounted twice, never at rest."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agentdiff.core.entries import File, Link
from agentdiff.workspace.blobs import BlobStore
from agentdiff.workspace.roots import confine
from agentdiff.workspace.tracker import Batch, Tracker, TrackerSettings
from agentdiff.workspace.tree import Root, read_signed

SOURCE = Path(__file__).resolve().parents[3] / "src"
NOBODY = 65534
LIMIT = 1 << 20


@contextmanager
def followed(
    tree: Path, state: Path, clock_ns: Callable[[], int] = time.time_ns
) -> Iterator[tuple[Tracker, list[Batch]]]:
    """Follows a tree without a feed; yields the tracker and what it tells after the first cut."""
    told: list[Batch] = []
    blobs = BlobStore(state)
    tracker = Tracker(os.fsencode(tree), blobs, None, told.append, TrackerSettings(), clock_ns)
    try:
        assert tracker.cut().certain
        told.clear()
        yield tracker, told
    finally:
        tracker.close()
        blobs.close()


def names(told: list[Batch]) -> list[bytes]:
    """Returns which paths are said to have changed."""
    return sorted(
        one.path for batch in told for one in batch.observations if one.before != one.after
    )


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


def test_a_file_that_never_holds_still_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading ends all the same; without a signature, the next cut reads it again."""
    path, read = tmp_path / "f", os.pread
    path.write_text("start")

    def growing(fd: int, count: int, at: int) -> bytes:
        with open(path, "ab") as file:
            file.write(b"x")
        return read(fd, count, at)

    monkeypatch.setattr(os, "pread", growing)
    root = Root(os.fsencode(tmp_path))
    entry, signature = read_signed(root, b"f", max_bytes=LIMIT)
    root.close()
    assert isinstance(entry, File)
    assert signature is None


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
