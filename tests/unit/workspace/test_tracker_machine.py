"""Whatever happens to a tree, a cut knows it, and what was there before can be restored."""

import os
import shutil
import stat
import sys
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from agentdiff.core.entries import ABSENT_REF, Directory, File, Link, Other, Ref
from agentdiff.sources.inotify import open_feed
from agentdiff.workspace.blobs import BlobStore
from agentdiff.workspace.feed import Feed
from agentdiff.workspace.tracker import Batch, Tracker, TrackerSettings

NAMES = [b"a", b"b c", b"d\nd", b"\xff'\"$", b".h"]
PATHS = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map(b"/".join)
CONTENTS = st.sampled_from([b"", b"1", b"2", b"1\n", b"\r\n\0\xff", b"x" * 5000])
MODES = st.sampled_from([0o644, 0o755, 0o600])


def refs_below(top: bytes) -> dict[bytes, Ref]:
    """Walks a tree by plain means and names everything in it, directories too."""
    found: dict[bytes, Ref] = {}
    for folder, folders, files in os.walk(top):
        for name in folders + files:
            path = os.path.join(folder, name)
            status = os.lstat(path)
            mode = stat.S_IMODE(status.st_mode)
            if stat.S_ISLNK(status.st_mode):
                found[path[len(top) + 1 :]] = Link(target=os.readlink(path)).ref()
            elif stat.S_ISDIR(status.st_mode):
                found[path[len(top) + 1 :]] = Directory(mode=mode).ref()
            elif stat.S_ISREG(status.st_mode):
                data = Path(os.fsdecode(path)).read_bytes()
                found[path[len(top) + 1 :]] = File(data=data, mode=mode).ref()
            else:
                stamp = f"{status.st_size}:{status.st_mtime_ns}"
                found[path[len(top) + 1 :]] = Other(kind="fifo", stamp=stamp).ref()
    return found


class TreeMachine(RuleBasedStateMachine):
    """Random operations on a tree, each followed by a cut that looks at everything."""

    @staticmethod
    def make_feed(top: bytes) -> Feed | None:
        """Returns what the tracker asks for changes."""
        return None

    @initialize(files=st.dictionaries(PATHS, CONTENTS, max_size=4))
    def populate(self, files: dict[bytes, bytes]) -> None:
        """Starts with a few files that nobody knows yet."""
        self.base = tempfile.mkdtemp(prefix="ad-").encode()
        self.top = self.base + b"/tree"
        os.mkdir(self.top)
        os.mkdir(self.base + b"/outside")
        for path, data in files.items():
            self.write(path, data)
        self.emitted: list[Batch] = []
        self.blobs = BlobStore(Path(os.fsdecode(self.base)) / "blobs")
        settings = TrackerSettings(max_file_bytes=1 << 20)
        feed = self.make_feed(self.top)
        self.tracker = Tracker(self.top, self.blobs, None, self.emitted.append, settings, feed=feed)
        self.tracker.cut()
        self.before = refs_below(self.top)
        self.cut_done = True

    def full(self, path: bytes) -> bytes:
        """Returns the absolute path."""
        return self.top + b"/" + path

    @rule(path=PATHS, data=CONTENTS)
    def write(self, path: bytes, data: bytes) -> None:
        """Creates or rewrites a file in place, with its folders."""
        full = self.full(path)
        try:
            os.makedirs(os.path.dirname(full), exist_ok=True)
            if not os.path.islink(full) and not os.path.isdir(full):
                self.remove(path, only_fifo=True)
                with open(full, "wb") as file:
                    file.write(data)
        except OSError:  # through a file, or a link to nowhere
            return

    @rule(path=PATHS, only_fifo=st.just(False))
    def remove(self, path: bytes, only_fifo: bool) -> None:
        """Removes whatever is there."""
        full = self.full(path)
        if only_fifo and not (os.path.lexists(full) and stat.S_ISFIFO(os.lstat(full).st_mode)):
            return
        if os.path.isdir(full) and not os.path.islink(full):
            shutil.rmtree(full)
        elif os.path.lexists(full):
            os.unlink(full)

    @rule(origin=PATHS, to=PATHS)
    def rename(self, origin: bytes, to: bytes) -> None:
        """Moves a file, link or whole directory."""
        try:
            os.rename(self.full(origin), self.full(to))
        except OSError:
            return

    @rule(path=PATHS, mode=MODES)
    def chmod(self, path: bytes, mode: int) -> None:
        """Changes permission bits of a file."""
        full = self.full(path)
        if os.path.isfile(full) and not os.path.islink(full):
            os.chmod(full, mode)

    @rule(path=PATHS, to=st.sampled_from([b"a", b"../outside", b"nowhere"]))
    def symlink(self, path: bytes, to: bytes) -> None:
        """Makes a link, also to directories inside and outside."""
        try:
            os.symlink(to, self.full(path))
        except OSError:
            return

    @rule(path=PATHS)
    def mkfifo(self, path: bytes) -> None:
        """Makes something that must not be opened."""
        try:
            os.mkfifo(self.full(path))
        except OSError:
            return

    @rule(path=PATHS)
    def mkdir(self, path: bytes) -> None:
        """Makes an empty directory."""
        try:
            os.mkdir(self.full(path))
        except OSError:
            return

    @rule(data=st.data())
    def hint(self, data: st.DataObject) -> None:
        """Lets only some paths be read, as the watcher does."""
        self.tracker.cut_paths(data.draw(st.lists(PATHS, max_size=3)))

    @rule()
    def cut(self) -> None:
        """Cuts, and compares with an independent walk, the emitted story and the stored bytes."""
        assert self.tracker.cut().certain
        after = refs_below(self.top)
        known = {path: seen.ref for path, seen in self.tracker.known().items()}
        entries = {path: there for path, there in after.items() if there.kind != "dir"}
        assert {path: there for path, there in known.items() if there.kind != "dir"} == entries
        for path, there in known.items():
            assert there.kind != "dir" or after[path] == there

    @invariant()
    def story_is_gapless(self) -> None:
        """Each observation starts where the one before it of the same path ended."""
        if not hasattr(self, "cut_done"):
            return
        told: dict[bytes, Ref] = {}
        for batch in self.emitted:
            for seen in batch.observations:
                baseline = seen.before if batch.initial else ABSENT_REF
                assert seen.before == told.get(seen.path, baseline)
                told[seen.path] = seen.after
        known = {path: seen.ref for path, seen in self.tracker.known().items()}
        assert {path: there for path, there in told.items() if there != ABSENT_REF} == known

    @invariant()
    def every_content_can_be_restored(self) -> None:
        """The bytes of each state ever told are in the store."""
        if not hasattr(self, "cut_done"):
            return
        for batch in self.emitted[-5:]:
            for seen in batch.observations:
                if seen.after.kind in ("file", "link"):
                    assert len(self.blobs.get(seen.after.oid)) == seen.after.size

    def teardown(self) -> None:
        """Ends the thread and removes the tree."""
        if hasattr(self, "cut_done"):
            self.tracker.close()
            self.blobs.close()
            shutil.rmtree(self.base)


class FedTreeMachine(TreeMachine):
    """The same, by the feed's word alone."""

    @staticmethod
    def make_feed(top: bytes) -> Feed | None:
        """Returns an inotify feed."""
        return open_feed(top)

    @invariant()
    def feed_is_trusted(self) -> None:
        """Nothing that happens to a tree makes it look at everything."""
        if hasattr(self, "cut_done"):
            assert sys.platform != "linux" or self.tracker.trusts_feed


TestTree = TreeMachine.TestCase
TestFedTree = FedTreeMachine.TestCase
# A run touches the disk some hundred times: fewer of them than of pure properties.
TestTree.settings = settings(max_examples=max(settings.default.max_examples // 4, 10))
TestFedTree.settings = TestTree.settings
