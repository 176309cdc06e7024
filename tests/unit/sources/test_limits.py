"""Where inotify ends, everything is looked at instead, and somebody says so."""

from __future__ import annotations

import mmap
import os
import shutil
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agentdiff.core.entries import File, git_blob_oid
from agentdiff.sources.inotify import Inotify
from agentdiff.workspace.blobs import BlobStore
from agentdiff.workspace.mounts import remote_file_system
from agentdiff.workspace.tracker import Batch, Tracker, TrackerSettings

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")

SOURCE = Path(__file__).resolve().parents[3] / "src"
UNSHARE = ("unshare", "--user", "--map-root-user")
# Runs in a user namespace with limits of its own; prints what was seen and what was said.
IN_NAMESPACE = """
    import os, sys
    sys.path.insert(0, sys.argv[1])
    from pathlib import Path
    from agentdiff.sources.watch import Watcher, open_feed
    from agentdiff.workspace.blobs import BlobStore
    from agentdiff.workspace.tracker import Tracker, TrackerSettings

    tree = Path(sys.argv[2])
    root = os.fsencode(tree)
    feed = open_feed(root)
    blobs = BlobStore(tree.parent / "blobs")
    told = []
    tracker = Tracker(root, blobs, None, told.append, TrackerSettings(), feed=feed)
    watcher = Watcher(root, tracker.touch, feed)
    watcher.start()
    assert watcher.wait_ready(60)
    assert tracker.cut().certain
    told.clear()
    for number in range(60):
        (tree / f"d{number}" / "file").write_text("new")
    assert tracker.cut().certain
    seen = {one.path for batch in told for one in batch.observations}
    print(len(seen), feed is not None, tracker.trusts_feed, watcher.problem)
    watcher.stop()
    tracker.close()
    blobs.close()
"""


def in_namespace(tree: Path, limit: str) -> str:
    """Runs the program above with a limit of inotify's set; returns what it printed."""
    script = f'echo {limit.split()[1]} > /proc/sys/user/{limit.split()[0]} && exec "$@"'
    program = textwrap.dedent(IN_NAMESPACE)
    done = subprocess.run(
        [*UNSHARE, "sh", "-c", script, "sh", sys.executable, "-c", program, str(SOURCE), str(tree)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0 and ("unshare" in done.stderr or "/proc/sys/user" in done.stderr):
        pytest.skip(f"no user namespaces here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """A workspace of sixty folders with a file each."""
    tree = tmp_path / "tree"
    for number in range(60):
        (tree / f"d{number}").mkdir(parents=True)
        (tree / f"d{number}" / "file").write_text("old")
    return tree


@pytest.mark.skipif(not Path("/usr/bin/unshare").exists(), reason="no unshare")
def test_at_the_limit_of_watches_nothing_is_missed_and_it_is_said(folders: Path) -> None:
    """Twenty watches for sixty folders: every cut looks at all files, visibly."""
    printed = in_namespace(folders, "max_inotify_watches 20")
    assert printed.startswith("60 True False the limit of file system watches is reached at ")


@pytest.mark.skipif(not Path("/usr/bin/unshare").exists(), reason="no unshare")
def test_without_an_instance_nothing_is_missed_and_it_is_said(folders: Path) -> None:
    """No inotify at all: the same, and watchdog cannot watch either."""
    printed = in_namespace(folders, "max_inotify_instances 0")
    assert printed.startswith("60 False False cannot watch the workspace: ")
    assert printed.endswith(" (raise fs.inotify.max_user_instances)")


class Followed:
    """A tracker with a feed, and nobody who empties the feed unasked."""

    def __init__(self, tree: Path, state: Path, settings: TrackerSettings) -> None:
        self.batches: list[Batch] = []
        self.arrived = threading.Condition()
        self.blobs = BlobStore(state)
        self.feed = Inotify(os.fsencode(tree))
        self.tracker = Tracker(
            os.fsencode(tree), self.blobs, None, self._take, settings, feed=self.feed
        )
        assert self.tracker.cut().certain
        self.batches.clear()

    def _take(self, batch: Batch) -> None:
        with self.arrived:
            self.batches.append(batch)
            self.arrived.notify_all()

    def seen(self) -> dict[bytes, str]:
        """Returns what changed, by path, with the names of the new contents."""
        return {
            one.path: one.after.oid
            for batch in self.batches
            for one in batch.observations
            if one.before != one.after
        }

    def wait_for(self, path: bytes, data: bytes) -> bool:
        """Waits until somebody was told that a path holds something."""
        oid = git_blob_oid(data)
        with self.arrived:
            return self.arrived.wait_for(lambda: self.seen().get(path) == oid, 60)


@pytest.fixture
def follow(tmp_path: Path) -> Iterator[Callable[..., Followed]]:
    """Follows trees."""
    followed: list[Followed] = []

    def start(tree: Path, **settings: float) -> Followed:
        followed.append(Followed(tree, tmp_path / "blobs", TrackerSettings(**settings)))
        return followed[-1]

    yield start
    for one in followed:
        one.tracker.close()
        one.blobs.close()


def test_an_overflow_of_the_queue_is_made_good(folders: Path, follow) -> None:
    """More events than the kernel keeps; the last change is among those that it dropped."""
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    one = follow(folders)
    names = [os.fsencode(folders / f"d{number}" / "file") for number in (0, 1)]
    for number in range(limit // 2 + 10):  # two in turns: equal events in a row become one
        for name in names:
            os.utime(name, (number, number))
    (folders / "d59" / "file").write_text("new")
    assert one.tracker.cut().certain
    assert b"d59/file" in one.seen()
    assert one.tracker.trusts_feed  # the walk has watched everything anew
    (folders / "d58" / "file").write_text("new")
    assert one.tracker.cut().scanned == 1


def test_folders_that_came_and_went_cost_nothing(folders: Path, follow) -> None:
    """A cut looks at what changed since the last one, however many folders there were before."""
    one = follow(folders)
    for number in range(20):
        inner = folders / "d0" / f"new{number}" / "a" / "b"
        inner.mkdir(parents=True)
        (inner / "file").write_text("new")
        one.tracker.cut()
        if number % 2:
            (inner / "file").unlink()
        shutil.rmtree(folders / "d0" / f"new{number}")
    one.tracker.cut()
    (folders / "d59" / "file").write_text("new")
    assert one.tracker.cut().scanned == 1


def test_a_write_through_a_mapping_is_found_by_the_sweep(folders: Path, follow) -> None:
    """Nobody tells of it when the file was closed before."""
    path = folders / "d0" / "file"
    path.write_bytes(b"x" * 5000)
    with path.open("r+b") as file:
        view = mmap.mmap(file.fileno(), 5000)
    one = follow(folders, sweep_s=0.05)
    one.tracker.cut()
    with view:
        view[:5] = b"hello"
        view.flush()
    assert one.wait_for(b"d0/file", b"hello" + b"x" * 4995)


def test_a_write_through_a_link_from_outside_is_found_by_the_sweep(
    folders: Path, follow, tmp_path: Path
) -> None:
    """Its directory is not watched."""
    os.link(folders / "d0" / "file", tmp_path / "outside")
    one = follow(folders, sweep_s=0.05)
    one.tracker.cut()
    (tmp_path / "outside").write_bytes(b"from outside")
    assert one.wait_for(b"d0/file", b"from outside")


def test_a_directory_that_shows_up_twice_is_followed_twice(folders: Path) -> None:
    """By a bind mount, say: one watch, two names."""
    feed = Inotify(os.fsencode(folders))
    fd = os.open(folders / "d0", os.O_RDONLY)
    feed.begin(afresh=False)
    feed.watch(b"d0", fd)
    os.rename(folders / "d0", folders / "moved")  # the same directory under another name
    feed.watch(b"moved", fd)
    (folders / "moved" / "file").write_text("new")
    assert {b"d0/file", b"moved/file"} <= feed.drain().paths
    feed.forget((b"d0",))
    (folders / "moved" / "file").write_text("newer")
    assert feed.drain().paths == {b"moved/file"}
    feed.forget((b"moved",))
    (folders / "moved" / "file").write_text("newest")
    assert (feed.drain().paths, feed.count) == (set(), 0)
    os.close(fd)
    feed.close()


def test_many_directories_are_forgotten_at_once(folders: Path) -> None:
    """And what is below them; no others."""
    feed = Inotify(os.fsencode(folders))
    for name in ("d1/in", "d10/in"):
        (folders / name).mkdir()
    fd = os.open(folders, os.O_RDONLY)
    names = [b"", *(b"d%d" % number for number in range(60)), b"d1/in", b"d10/in"]
    for name in names:
        feed.watch(name, fd)
    feed.forget((*(b"d%d" % number for number in range(20, 60)), b"d1"))
    assert feed.count == len(names) - 42
    (folders / "d10" / "in" / "new").touch()
    (folders / "d1" / "in" / "new").touch()
    assert feed.drain().paths == {b"d10/in/new"}
    feed.begin(afresh=True)
    assert feed.count == 0
    os.close(fd)
    feed.close()


TABLE = b"""\
21 1 8:1 / / rw - ext4 /dev/root rw
22 21 0:5 / /home/me rw - nfs4 host:/x rw
23 21 0:6 / /data\\040disk rw - fuseblk /dev/sdb rw
24 21 0:7 / /srv/tree/mnt rw - fuse.sshfs host:/ rw
25 22 8:2 / /home/me/local rw - xfs /dev/sdc rw
"""


@pytest.mark.parametrize(
    ("root", "kind"),
    [
        (b"/srv/other", None),
        (b"/srv/tree", "fuse.sshfs"),
        (b"/home/me/work", "nfs4"),
        (b"/home/me", "nfs4"),
        (b"/home/me/local/x", None),
        (b"/data disk/x", None),
        (b"/srv/tree/mnt/x", "fuse.sshfs"),
    ],
)
def test_file_systems_that_others_write_to_are_known(root: bytes, kind: str | None) -> None:
    """At the root or below it; the innermost mount decides."""
    assert remote_file_system(root, TABLE) == kind


def test_a_remote_tree_is_looked_at_in_every_cut(
    folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The feed says why it is not enough."""
    monkeypatch.setattr("agentdiff.sources.inotify.remote_file_system", lambda root: "nfs4")
    blobs = BlobStore(tmp_path / "blobs")
    feed = Inotify(os.fsencode(folders))
    tracker = Tracker(
        os.fsencode(folders), blobs, None, lambda _: None, TrackerSettings(), feed=feed
    )
    assert [tracker.cut().scanned for _ in range(2)] == [60, 60]
    assert feed.problem == "nfs4 tells nothing of changes made elsewhere"
    assert tracker.lookup(b"d0/file").ref.oid == File(data=b"old").oid
    tracker.close()
    blobs.close()
