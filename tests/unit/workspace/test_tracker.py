"""The tracker knows what is on disk, tells what changed, and never takes old files for new."""

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from agentdiff.core.entries import ABSENT_REF, File, Link, Ref
from agentdiff.sources.inotify import Inotify
from agentdiff.workspace.blobs import BlobStore
from agentdiff.workspace.feed import Feed
from agentdiff.workspace.ignored import MAX_NAMED
from agentdiff.workspace.known import KnownTable
from agentdiff.workspace.tracker import Batch, Known, Signature, Tracker, TrackerSettings

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")


class HeldBlobs(BlobStore):
    """A blob store whose next put waits until it may go on."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.reached, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()
        self.order: list[bytes] = []

    def hold(self) -> None:
        """Makes the next put wait."""
        self.go_on.clear()

    def put(self, data: bytes, *, lazily: bool = False, oid: str = "") -> str:
        """Stores, when it may."""
        self.reached.set()
        assert self.go_on.wait(10)
        self.order.append(data)
        return super().put(data, lazily=lazily, oid=oid)


class Follower:
    """A tracker on a folder, with all that it emitted."""

    def __init__(
        self,
        tree: Path,
        state: Path,
        known: dict[bytes, Known] | None = None,
        settings: TrackerSettings | None = None,
        on_emit: Callable[[Batch], None] = lambda batch: None,
        feed: Feed | None = None,
    ) -> None:
        self.tree = tree
        self.batches: list[Batch] = []
        self.blobs = HeldBlobs(state)
        self._on_emit = on_emit
        self.arrived = threading.Condition()
        self.tracker = Tracker(
            os.fsencode(tree),
            self.blobs,
            None if known is None else KnownTable(known),
            self._take,
            settings or TrackerSettings(),
            feed=feed,
        )

    def _take(self, batch: Batch) -> None:
        self._on_emit(batch)
        with self.arrived:
            self.batches.append(batch)
            self.arrived.notify_all()

    def changes(self) -> dict[bytes, tuple[Ref, Ref]]:
        """Returns what changed since the last call, as path → (before, after)."""
        batches, self.batches = self.batches, []
        return {
            seen.path: (seen.before, seen.after)
            for batch in batches
            for seen in batch.observations
            if seen.before != seen.after
        }

    def cut(self) -> dict[bytes, tuple[Ref, Ref]]:
        """Cuts the whole tree and returns what changed."""
        assert self.tracker.cut().certain
        return self.changes()

    def paths(self) -> list[bytes]:
        """Lists what is followed and exists."""
        return sorted(
            path for path, seen in self.tracker.known().items() if seen.ref.kind != "absent"
        )

    def close(self) -> None:
        """Ends thread and store."""
        self.tracker.close()
        self.blobs.close()


@pytest.fixture(params=["sweep", pytest.param("feed", marks=LINUX)])
def follow(tree: Path, tmp_path: Path, request: pytest.FixtureRequest):
    """Starts followers of the workspace, with and without a feed, and closes them."""
    followers: list[Follower] = []

    def start(**arguments) -> Follower:
        feed = Inotify(os.fsencode(tree)) if request.param == "feed" else None
        state = tmp_path / f"blobs{len(followers)}"
        followers.append(Follower(tree, state, feed=feed, **arguments))
        return followers[-1]

    yield start
    for follower in followers:
        follower.close()


def ref(data: bytes, mode: int = 0o644) -> Ref:
    """Names a regular file."""
    return File(data=data, mode=mode).ref()


def put(path: Path, data: bytes = b"old\n", mode: int = 0o644) -> None:
    """Writes a file with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(mode)


def wait_until_settled(path: Path) -> None:
    """Waits until the file's times lie far enough back to be trusted."""
    deadline = time.monotonic() + 5
    while time.time_ns() < path.stat().st_ctime_ns + 25_000_000:
        assert time.monotonic() < deadline
        threading.Event().wait(0.005)


def test_the_first_cut_populates_without_changes(tree: Path, follow) -> None:
    """What was there when nobody knew the workspace is its baseline."""
    put(tree / "a" / "b")
    follower = follow()
    assert follower.tracker.cut().certain
    assert [batch.initial for batch in follower.batches] == [True]
    assert (follower.changes(), follower.paths()) == ({}, [b"a/b"])


def test_a_cut_tells_created_changed_and_deleted(tree: Path, follow) -> None:
    """Each change is one observation with the content before and after."""
    put(tree / "changed")
    put(tree / "deleted")
    put(tree / "mode")
    follower = follow()
    follower.cut()
    put(tree / "changed", b"new\n")
    put(tree / "created", b"")
    (tree / "deleted").unlink()
    (tree / "mode").chmod(0o755)
    assert follower.cut() == {
        b"changed": (ref(b"old\n"), ref(b"new\n")),
        b"created": (ABSENT_REF, ref(b"")),
        b"deleted": (ref(b"old\n"), ABSENT_REF),
        b"mode": (ref(b"old\n"), ref(b"old\n", 0o755)),
    }


def test_contents_are_stored_before_they_are_emitted(tree: Path, follow) -> None:
    """Whoever is told of a content can fetch it at once."""
    stored = []

    def check(batch: Batch) -> None:
        stored.extend(seen.after.oid in follower.blobs for seen in batch.observations)

    put(tree / "a", b"some content\n")
    follower = follow(on_emit=check)
    follower.cut()
    assert stored == [True]


def test_a_change_of_equal_length_within_one_clock_tick_is_seen(tree: Path, follow) -> None:
    """A write right after the read may leave every time stamp as it was, and is still seen."""
    put(tree / "a", b"1")
    status = (tree / "a").stat()
    follower = follow()
    follower.cut()
    with (tree / "a").open("r+b") as file:
        file.write(b"2")
    os.utime(tree / "a", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert follower.cut() == {b"a": (ref(b"1"), ref(b"2"))}


def test_a_settled_signature_is_trusted(tree: Path, follow) -> None:
    """A file whose old signature still holds is not read again."""
    put(tree / "a")
    wait_until_settled(tree / "a")
    signature = Signature.of((tree / "a").stat())
    believed = Known(ref=ref(b"believed\n"), signature=signature)
    assert follow(known={b"a": believed}).cut() == {}


def test_a_signature_that_became_trustworthy_is_emitted(tree: Path, follow) -> None:
    """The store hears of it as an observation whose before equals its after."""
    put(tree / "a")
    wait_until_settled(tree / "a")
    follower = follow(known={b"a": Known(ref=ref(b"old\n"))})
    follower.tracker.cut()
    [seen] = [seen for batch in follower.batches for seen in batch.observations]
    signature = Signature.of((tree / "a").stat())
    assert (seen.before, seen.signature) == (seen.after, signature)


def test_what_an_earlier_run_knew_is_compared(tree: Path, follow) -> None:
    """After a restart with the stored state, changes made meanwhile are seen."""
    put(tree / "a")
    first = follow()
    first.cut()
    known = first.tracker.known()
    put(tree / "a", b"new\n")
    put(tree / "b", b"created\n")
    second = follow(known=known)
    assert second.cut() == {
        b"a": (ref(b"old\n"), ref(b"new\n")),
        b"b": (ABSENT_REF, ref(b"created\n")),
    }
    assert [batch.initial for batch in second.batches] == []


def test_deleted_files_are_forgotten_and_hidden_ones_are_not(tree: Path, follow) -> None:
    """Of stored absences only those last that a walk could not find when they return."""
    put(tree / ".gitignore", b"build/\n")
    (tree / "build").mkdir()
    gone = Known(ref=ABSENT_REF)
    follower = follow(known={b"deleted": gone, b"build/named": gone, b"build/gone/with": gone})
    follower.cut()
    assert sorted(follower.tracker.known()) == [b".gitignore", b"build/named"]
    put(tree / "deleted")
    put(tree / "build" / "named")
    assert sorted(follower.cut()) == [b"build/named", b"deleted"]


def test_a_file_becomes_a_directory_and_back(tree: Path, follow) -> None:
    """The path itself and what is below it are told."""
    put(tree / "x")
    follower = follow()
    follower.cut()
    (tree / "x").unlink()
    put(tree / "x" / "inner", b"in\n")
    there = follower.cut()
    assert {path: after.kind for path, (_, after) in there.items()} == {
        b"x": "dir",
        b"x/inner": "file",
    }
    (tree / "x" / "inner").unlink()
    (tree / "x").rmdir()
    put(tree / "x", b"again\n")
    back = follower.cut()
    assert back[b"x"][1] == ref(b"again\n")
    assert back[b"x/inner"] == (ref(b"in\n"), ABSENT_REF)


def test_a_directory_becomes_a_link_and_is_not_entered(tree: Path, tmp_path: Path, follow) -> None:
    """What was below is gone; what is behind the link is nobody's business."""
    put(tree / "dir" / "f")
    put(tmp_path / "outside" / "f", b"secret\n")
    follower = follow()
    follower.cut()
    (tree / "dir" / "f").unlink()
    (tree / "dir").rmdir()
    (tree / "dir").symlink_to(tmp_path / "outside")
    assert follower.cut() == {
        b"dir": (ABSENT_REF, Link(target=os.fsencode(tmp_path / "outside")).ref()),
        b"dir/f": (ref(b"old\n"), ABSENT_REF),
    }


def test_a_repository_below_is_another_workspace(tree: Path, follow) -> None:
    """Directories with a ``.git`` of their own are not entered, and the coverage says so."""
    put(tree / "vendor" / "lib" / ".git", b"gitdir: ../..\n")
    put(tree / "vendor" / "lib" / "code")
    put(tree / "vendor" / "mine")
    follower = follow()
    follower.cut()
    gaps = [gap.path for gap in follower.tracker.coverage()]
    assert (follower.paths(), gaps) == ([b"vendor/mine"], [b"vendor/lib"])


def test_what_leaves_an_ignored_directory_is_not_new(tree: Path, follow) -> None:
    """Files that become visible because the rules changed are baseline, not creations."""
    put(tree / ".gitignore", b"build/\n")
    put(tree / "build" / "old")
    follower = follow()
    follower.cut()
    put(tree / ".gitignore", b"")
    changed = follower.cut()
    assert list(changed) == [b".gitignore"]
    assert b"build/old" in follower.paths()


def test_a_followed_file_stays_followed_when_it_becomes_ignored(tree: Path, follow) -> None:
    """Its pending change must not disappear, and neither must its deletion and return."""
    put(tree / "out" / "f")
    follower = follow()
    follower.cut()
    put(tree / ".gitignore", b"out/\n")
    put(tree / "out" / "f", b"new\n")
    assert follower.cut()[b"out/f"] == (ref(b"old\n"), ref(b"new\n"))
    (tree / "out" / "f").unlink()
    assert follower.cut()[b"out/f"] == (ref(b"new\n"), ABSENT_REF)
    put(tree / "out" / "f", b"back\n")
    assert follower.cut()[b"out/f"] == (ABSENT_REF, ref(b"back\n"))


def test_a_named_ignored_file_is_followed_from_its_baseline(tree: Path, follow) -> None:
    """Naming an ignored path takes its pre-image; later changes are told."""
    put(tree / ".gitignore", b"build/\n")
    put(tree / "build" / "f")
    follower = follow()
    follower.cut()
    follower.tracker.follow(b"build/f")
    follower.tracker.follow(b"build/new")
    assert follower.changes() == {}
    put(tree / "build" / "f", b"new\n")
    put(tree / "build" / "new", b"created\n")
    assert follower.cut() == {
        b"build/f": (ref(b"old\n"), ref(b"new\n")),
        b"build/new": (ABSENT_REF, ref(b"created\n")),
    }


def test_what_version_control_keeps_is_never_followed(tree: Path, follow) -> None:
    """Nothing in ``.git`` and its like is observed, whoever names it."""
    put(tree / ".git" / "config")
    put(tree / ".hg" / "store")
    follower = follow()
    follower.tracker.follow(b".git/config")
    follower.tracker.follow(b".hg/store")
    follower.cut()
    assert follower.paths() == []


def test_small_ignored_files_are_followed(tree: Path, follow) -> None:
    """An ignored ``.env`` is covered, an ignored large log is not."""
    put(tree / ".gitignore", b".env\n*.log\n")
    put(tree / ".env", b"KEY=1\n")
    put(tree / "big.log", b"x" * 70_000)
    follower = follow()
    follower.cut()
    assert follower.paths() == [b".env", b".gitignore"]


@pytest.mark.parametrize("rules", ["venv/.gitignore", ".gitignore"])
def test_directories_that_are_ignored_by_their_content_are_not_followed(
    tree: Path, follow, rules: str
) -> None:
    """Virtual environments and caches ignore themselves by ``*``, small files included."""
    put(tree / rules, b"*\n" if rules.startswith("venv") else b"venv/*\n")
    put(tree / "venv" / "pyvenv.cfg")
    put(tree / "venv" / "lib" / "module.py")
    follower = follow()
    follower.cut()
    follower.tracker.cut_paths([b"venv/pyvenv.cfg", b"venv/lib/module.py"])
    assert b"venv/pyvenv.cfg" not in follower.paths()
    assert b"venv/lib/module.py" not in follower.paths()


def passed_over(follower: Follower) -> list[tuple[bytes, str]]:
    """Returns what is told to be ignored, after a cut."""
    follower.cut()
    return [(one.path, one.reason) for one in follower.tracker.ignored().first]


def test_what_is_ignored_is_told_and_is_no_gap(tree: Path, follow) -> None:
    """Folders as one, without what is in them; what comes, goes, or is not ignored any more."""
    limit = TrackerSettings(small_file_bytes=10, include=("dist/kept",))
    put(tree / ".gitignore", b"dist/\n*.log\n")
    put(tree / "dist" / "deep" / "bundle.js")
    put(tree / "dist" / "kept")
    put(tree / "src" / "small.log")
    put(tree / "src" / "big.log", b"x" * 11)
    put(tree / "venv" / ".gitignore", b"*\n")
    put(tree / "venv" / "lib" / "module.py")
    put(tree / "venv" / "pyvenv.cfg")
    follower = follow(settings=limit)
    partly = (b"dist/", "ignored, except the files in it that are followed")
    always = [partly, (b"venv/", "ignored")]
    assert passed_over(follower) == [*always, (b"src/big.log", "ignored")]
    told = follower.tracker.ignored()
    assert (told.folders, told.files, follower.tracker.coverage()) == (2, 1, ())
    put(tree / "new.log", b"x" * 11)
    (tree / "src" / "big.log").unlink()
    assert passed_over(follower) == [partly, (b"new.log", "ignored"), (b"venv/", "ignored")]
    follower.tracker.follow(b"new.log")
    assert passed_over(follower) == always
    put(tree / ".gitignore", b"*.log\n")
    assert passed_over(follower) == [(b"venv/", "ignored")]
    (tree / "venv" / ".gitignore").unlink()
    assert passed_over(follower) == []


def test_a_folder_that_goes_takes_what_was_ignored_in_it_along(tree: Path, follow) -> None:
    """Nothing is told of what is not there."""
    put(tree / ".gitignore", b"out/\n")
    put(tree / "sub" / "out" / "x")
    put(tree / "sub" / "f")
    follower = follow()
    assert passed_over(follower) == [(b"sub/out/", "ignored")]
    shutil.rmtree(tree / "sub")
    assert passed_over(follower) == []


def test_of_very_much_that_is_ignored_the_first_is_named(tree: Path, follow) -> None:
    """All is counted."""
    put(tree / ".gitignore", b"out*/\n")
    for number in range(MAX_NAMED + 1):
        (tree / f"out{number}").mkdir()
    follower = follow()
    assert len(passed_over(follower)) == MAX_NAMED
    assert follower.tracker.ignored().folders == MAX_NAMED + 1


def test_what_the_settings_include_is_followed_though_ignored(tree: Path, follow) -> None:
    """By name, also before it is there, or by a glob; never outside, never git's own."""
    put(tree / ".gitignore", b"build/\n")
    put(tree / "build" / "deep" / "a.env")
    put(tree / "build" / "else")
    put(tree.parent / "outside.env")
    globs = ("build/**/*.env", "build/later", "../*.env", "/etc/*", ".git/*")
    follower = follow(settings=TrackerSettings(include=globs))
    follower.cut()
    assert follower.paths() == [b".gitignore", b"build/deep/a.env"]
    put(tree / "build" / "deep" / "a.env", b"new\n")
    put(tree / "build" / "later", b"new\n")
    assert follower.cut() == {
        b"build/deep/a.env": (ref(b"old\n"), ref(b"new\n")),
        b"build/later": (ABSENT_REF, ref(b"new\n")),
    }


def test_a_tracked_file_is_followed_though_ignored(tree: Path, follow) -> None:
    """What git tracks is covered in ignored directories, and not new when git learns of it."""
    put(tree / ".gitignore", b"build/\n")
    put(tree / "build" / "kept")
    subprocess.run(["git", "init", "-q"], cwd=tree, check=True)
    follower = follow()
    follower.cut()
    subprocess.run(["git", "add", "-f", "build/kept"], cwd=tree, check=True)
    deadline = time.monotonic() + 20
    while b"build/kept" not in follower.tracker.known():  # git answers beside the cut
        assert follower.cut() == {}
        assert time.monotonic() < deadline
    put(tree / "build" / "kept", b"new\n")
    assert follower.cut() == {b"build/kept": (ref(b"old\n"), ref(b"new\n"))}


def test_hints_are_read_without_a_cut(tree: Path, follow) -> None:
    """Touching a path makes its change known soon after."""
    put(tree / "a")
    follower = follow()
    follower.cut()
    follower.batches.clear()
    put(tree / "a", b"new\n")
    follower.tracker.touch([b"a", b"/not/clean", b"missing"])
    with follower.arrived:
        assert follower.arrived.wait_for(lambda: follower.batches, timeout=5)
    assert follower.changes() == {b"a": (ref(b"old\n"), ref(b"new\n"))}


def test_cutting_a_directory_covers_what_is_and_was_below(tree: Path, follow) -> None:
    """New, changed and vanished files below a named directory are told, others are not."""
    put(tree / "d" / "changed")
    put(tree / "d" / "sub" / "gone")
    put(tree / "else")
    follower = follow()
    follower.cut()
    put(tree / "d" / "changed", b"new\n")
    (tree / "d" / "sub" / "gone").unlink()
    put(tree / "d" / "more" / "new", b"n\n")
    put(tree / "else", b"unasked\n")
    follower.tracker.cut_paths([b"d"])
    assert sorted(follower.changes()) == [b"d/changed", b"d/more/new", b"d/sub/gone"]


def test_a_vanished_directory_is_noticed_by_its_name(tree: Path, follow) -> None:
    """A hint that names a directory which is gone covers everything that was in it."""
    put(tree / "d" / "one")
    put(tree / "d" / "two" / "three")
    follower = follow()
    follower.cut()
    (tree / "d").rename(tree.parent / "moved")
    follower.tracker.cut_paths([b"d"])
    assert sorted(follower.changes()) == [b"d/one", b"d/two/three"]


def test_a_vanished_root_is_everything_deleted(tree: Path, follow) -> None:
    """When the workspace itself goes, its files are gone; when it is back, so are they."""
    put(tree / "a")
    follower = follow()
    follower.cut()
    tree.rename(tree.parent / "away")
    assert follower.cut() == {b"a": (ref(b"old\n"), ABSENT_REF)}
    (tree.parent / "away").rename(tree)
    assert follower.cut() == {b"a": (ABSENT_REF, ref(b"old\n"))}


def test_too_many_files_leave_only_named_ones(tree: Path, follow) -> None:
    """Over the limit nothing is populated, the coverage says so, and named files still work."""
    for number in range(5):
        put(tree / f"f{number}")
    follower = follow(settings=TrackerSettings(max_files=4))
    follower.cut()
    follower.tracker.follow(b"f1")
    assert follower.paths() == [b"f1"]
    assert [gap.path for gap in follower.tracker.coverage()] == [b""]
    put(tree / "f1", b"new\n")
    put(tree / "f2", b"unseen\n")
    assert list(follower.cut()) == [b"f1"]


def test_a_tree_that_may_not_be_followed_says_why(tree: Path, follow) -> None:
    """With the guard of ``$HOME`` only named files are read."""
    put(tree / "a")
    follower = follow(settings=TrackerSettings(whole_tree=False, reason="it is $HOME"))
    follower.cut()
    follower.tracker.touch([b"a"])
    follower.tracker.follow(b"b")
    assert follower.paths() == []
    assert [gap.reason for gap in follower.tracker.coverage()] == ["it is $HOME"]


def test_oversized_files_are_gaps(tree: Path, follow) -> None:
    """A content over the limit is not kept, and is listed with its size."""
    put(tree / "big", b"x" * 11)
    follower = follow(settings=TrackerSettings(max_file_bytes=10))
    follower.cut()
    [gap] = follower.tracker.coverage()
    assert (gap.path, gap.reason) == (b"big", "oversized: 11 bytes")


def test_own_temporary_files_are_never_observed(tree: Path, follow) -> None:
    """A replacement in progress does not show."""
    follower = follow()
    follower.cut()
    put(tree / ".agentdiff-00.tmp")
    follower.tracker.cut_paths([b".agentdiff-00.tmp"])
    assert follower.cut() == {}


@pytest.mark.parametrize("before_tool", [True, False])
def test_past_the_deadline_the_caller_goes_on(tree: Path, follow, before_tool: bool) -> None:
    """The caller is told; what is read then is uncertain only if a tool may have written it."""
    put(tree / "a")
    follower = follow()
    follower.cut()
    put(tree / "a", b"new\n")
    follower.blobs.hold()
    result = follower.tracker.cut(deadline_ns=time.time_ns(), before_tool=before_tool)
    follower.blobs.go_on.set()
    assert follower.tracker.cut().certain
    uncertain = [batch.uncertain for batch in follower.batches]
    assert (result.certain, uncertain, list(follower.changes())) == (False, [before_tool], [b"a"])


def test_named_paths_are_served_during_a_long_scan(tree: Path, follow) -> None:
    """An edit tool does not wait for the first population of a large tree."""
    for name in ("a", "b", "sub/named"):
        put(tree / name, name.encode())
    os.utime(tree / "sub" / "named", (1, 1))  # the newest come first
    follower = follow()
    follower.blobs.hold()
    whole = threading.Thread(target=follower.tracker.cut)
    whole.start()
    assert follower.blobs.reached.wait(10)
    follower.tracker.follow(b"sub/named", deadline_ns=time.time_ns())
    follower.blobs.go_on.set()
    whole.join(10)
    assert follower.blobs.order.index(b"sub/named") == 1


def test_a_change_during_the_first_population_is_told(tree: Path, follow) -> None:
    """A file that was named, then changed, keeps its baseline; the initial batch comes last."""
    put(tree / "a")
    put(tree / "z")
    follower = follow()
    follower.tracker.follow(b"z")
    put(tree / "z", b"new\n")
    follower.tracker.follow(b"z")
    assert follower.tracker.cut().certain
    assert [batch.initial for batch in follower.batches] == [False, True]
    assert [seen.path for seen in follower.batches[1].observations] == [b"a"]
    assert follower.changes() == {b"z": (ref(b"old\n"), ref(b"new\n"))}


def test_an_empty_workspace_is_populated_too(follow) -> None:
    """The initial batch comes even when there is nothing in it: what appears next is new."""
    follower = follow()
    follower.tracker.cut()
    assert [(batch.initial, [*batch.observations]) for batch in follower.batches] == [(True, [])]
    put(follower.tree / "a")
    assert follower.cut() == {b"a": (ABSENT_REF, ref(b"old\n"))}


def test_a_consumer_that_fails_does_not_hang_callers(
    tree: Path, follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller goes on, uncertain, and the next cut finds a thread that works."""
    reported = threading.Event()
    monkeypatch.setattr(threading, "excepthook", lambda error: reported.set())
    failing = [True]

    def fail(batch: Batch) -> None:
        if failing:
            raise LookupError(failing.pop())

    put(tree / "a")
    follower = follow(on_emit=fail)
    assert follower.tracker.cut().certain is False
    assert reported.wait(10)
    assert follower.tracker.cut().certain is True


def test_closing_lets_waiting_callers_go(tree: Path, follow) -> None:
    """After close a cut returns at once, uncertain."""
    follower = follow()
    follower.tracker.close()
    assert follower.tracker.cut().certain is False


def test_a_directory_that_came_with_a_file_is_told_with_it(tree: Path, follow) -> None:
    """Also when a hint noticed the directory before there was a file in it."""
    put(tree / "old" / "x")
    follower = follow()
    follower.cut()
    (tree / "old" / "new" / "inner").mkdir(parents=True)
    follower.tracker.cut_paths([b"old/new"])
    put(tree / "old" / "new" / "inner" / "file")
    follower.tracker.cut()
    seen = [one for batch in follower.batches for one in batch.observations]
    made = [one.new_parents for one in seen if one.path.endswith(b"file")]
    assert made == [(b"old/new", b"old/new/inner")]
