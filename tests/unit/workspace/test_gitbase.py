"""A first baseline comes from git where that is exactly what the disk holds, and only there."""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from agentdiff.core.entries import git_blob_oid
from agentdiff.workspace.blobs import BlobStore
from agentdiff.workspace.gitbase import open_packs
from agentdiff.workspace.gitindex import GitIndex, UnusableIndex
from agentdiff.workspace.gitpacks import GitPacks
from agentdiff.workspace.tracker import Batch, Tracker, TrackerSettings

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="no git")


def git(repo: Path, *arguments: str) -> bytes:
    """Runs git without the user's settings."""
    environment = {
        **os.environ,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        **{
            f"GIT_{who}_{what}": "a@b"
            for who in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        },
    }
    done = subprocess.run(
        ["git", *arguments], cwd=repo, env=environment, check=True, capture_output=True
    )
    return done.stdout


def age(repo: Path) -> None:
    """Waits until no file and no index is younger than a tick of the clock; git looks again."""
    newest = max(one.lstat().st_ctime_ns for one in repo.rglob("*"))
    deadline = time.monotonic() + 20
    while time.time_ns() < newest + 50_000_000:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def commit(repo: Path) -> None:
    """Commits everything, packs it, and lets git write its index when all files are old."""
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "x")
    git(repo, "repack", "-adq")
    age(repo)
    git(repo, "update-index", "-q", "--really-refresh")
    (repo / ".git" / "index").touch()
    age(repo)


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A repository with three files, one of them by a delta."""
    folder = tmp_path / "repo"
    (folder / "d").mkdir(parents=True)
    git(tmp_path, "init", "-q", str(folder))
    lines = b"".join(b"line %d of a text that is long enough\n" % number for number in range(500))
    (folder / "a").write_bytes(lines)
    (folder / "d" / "b").write_bytes(lines + b"more\n")
    (folder / "c.txt").write_bytes(b"short\n")
    commit(folder)
    return folder


class Taken:
    """A first baseline of a repository."""

    def __init__(self, repo: Path, state: Path) -> None:
        self.blobs = BlobStore(state)
        self.empty = self.blobs.size_bytes
        self.blobs.lean_on(open_packs(os.fsencode(repo)))
        self.batches: list[Batch] = []
        self.tracker = Tracker(
            os.fsencode(repo), self.blobs, None, self.batches.append, TrackerSettings()
        )
        assert self.tracker.cut().certain

    def content(self, path: bytes) -> bytes:
        """Returns what the baseline says."""
        known = self.tracker.lookup(path)
        assert known is not None
        return self.blobs.get(known.ref.oid)

    @property
    def stored(self) -> int:
        """How many contents are our own."""
        return self.blobs.count

    def close(self) -> None:
        """Ends it."""
        self.tracker.close()
        self.blobs.close()


@pytest.fixture
def take(repo: Path, tmp_path: Path):
    """Takes first baselines."""
    taken: list[Taken] = []

    def start() -> Taken:
        taken.append(Taken(repo, tmp_path / f"blobs{len(taken)}"))
        return taken[-1]

    yield start
    for one in taken:
        one.close()


def test_clean_files_are_neither_read_nor_stored(repo: Path, take) -> None:
    """Their contents come from git's packs, deltas applied."""
    base = take()
    assert base.stored == 0
    for name in (b"a", b"d/b", b"c.txt"):
        assert base.content(name) == (repo / os.fsdecode(name)).read_bytes()


def test_another_cut_comes_before_the_baseline_is_verified(repo: Path, tmp_path: Path) -> None:
    """A hook's cut is worth more; git's index is needed for the first one only."""
    blobs = BlobStore(tmp_path / "blobs")
    blobs.lean_on(open_packs(os.fsencode(repo)))
    tracker: Tracker

    def take(batch: Batch) -> None:
        if batch.initial:
            tracker.warm()

    tracker = Tracker(os.fsencode(repo), blobs, None, take, TrackerSettings())
    assert tracker.cut().certain
    (repo / "new").write_bytes(b"new\n")
    assert tracker.cut().certain
    assert tracker.lookup(b"new") is not None
    tracker.close()
    blobs.close()


def test_a_tree_that_is_too_large_leaves_nothing_behind(repo: Path, tmp_path: Path) -> None:
    """What git vouched for until the limit was reached is nobody's baseline."""
    blobs = BlobStore(tmp_path / "blobs")
    blobs.lean_on(open_packs(os.fsencode(repo)))
    settings = TrackerSettings(max_files=1)
    tracker = Tracker(os.fsencode(repo), blobs, None, lambda _: None, settings)
    assert [tracker.cut().scanned for _ in range(2)] == [0, 0]
    assert tracker.known() == {}
    tracker.close()
    blobs.close()


def test_deleting_the_repository_does_not_lose_a_baseline(repo: Path, take) -> None:
    """The packs are held open."""
    expected = (repo / "d" / "b").read_bytes()
    base = take()
    shutil.rmtree(repo / ".git")
    (repo / "d" / "b").write_bytes(b"other\n")
    assert base.tracker.cut().certain
    [seen] = [one for batch in base.batches[1:] for one in batch.observations]
    assert base.blobs.get(seen.before.oid) == expected


def split(repo: Path) -> None:
    """A large part of the index is in another file."""
    git(repo, "update-index", "--split-index")


def split_and_lost(repo: Path) -> None:
    """That other file is missing."""
    split(repo)
    for shared in (repo / ".git").glob("sharedindex.*"):
        shared.unlink()


def unknown_extension(repo: Path) -> None:
    """Something that must be understood, by its lower-case letters, and is not."""
    index = repo / ".git" / "index"
    body = index.read_bytes()[:-20] + b"what" + (4).to_bytes(4, "big") + b"data"
    index.write_bytes(body + hashlib.sha1(body).digest())


def damaged(repo: Path) -> None:
    """A disk, or a crash."""
    index = repo / ".git" / "index"
    index.write_bytes(index.read_bytes()[:40])


def line_ends(repo: Path) -> None:
    """What is on the disk may be another text than the blob."""
    git(repo, "config", "core.autocrlf", "true")


def long_names(repo: Path) -> None:
    """Objects that are named by SHA-256."""
    git(repo, "config", "core.repositoryFormatVersion", "1")
    git(repo, "config", "extensions.objectFormat", "sha256")


UNUSABLE = [
    (split, "split"),
    (split_and_lost, "split"),
    (unknown_extension, "extension"),
    (damaged, "damaged"),
    (line_ends, "line ends"),
    (long_names, "SHA-1"),
]


@pytest.mark.parametrize(("spoil", "says"), UNUSABLE)
def test_an_index_that_cannot_serve_is_said_and_nothing_is_missing(
    repo: Path, take, spoil: Callable[[Path], None], says: str
) -> None:
    """Then every file is read, as without git."""
    spoil(repo)
    base = take()
    assert says in str(base.tracker.git_problem)
    for name in (b"a", b"d/b", b"c.txt"):
        assert base.content(name) == (repo / os.fsdecode(name)).read_bytes()


def test_a_sparse_index_serves(repo: Path, take) -> None:
    """What is left out of the work tree is nobody's change."""
    expected = (repo / "c.txt").read_bytes()
    git(repo, "sparse-checkout", "set", "--cone", "--sparse-index", "no-such-folder")
    age(repo)
    base = take()
    assert not (repo / "d").exists()
    assert (base.tracker.git_problem, base.tracker.lookup(b"d/b")) == (None, None)
    assert base.content(b"c.txt") == expected


def modified(repo: Path) -> None:
    """Another content."""
    (repo / "a").write_bytes(b"modified\n")


def same_size(repo: Path) -> None:
    """Another content of the same length."""
    text = (repo / "a").read_bytes()
    (repo / "a").write_bytes(text.replace(b"line", b"LINE"))


def assumed(repo: Path) -> None:
    """Git is told not to look."""
    git(repo, "update-index", "--assume-unchanged", "a")
    (repo / "a").write_bytes(b"x\n")


def skipped(repo: Path) -> None:
    """Git is told not to look, another way."""
    git(repo, "update-index", "--skip-worktree", "a")
    (repo / "a").write_bytes(b"x\n")


def loose(repo: Path) -> None:
    """Staged, in no pack."""
    (repo / "a").write_bytes(b"in a loose object\n")
    age(repo)
    git(repo, "add", "a")
    (repo / ".git" / "index").touch()


def missing(repo: Path) -> None:
    """A partial clone has none of them."""
    for one in (repo / ".git" / "objects" / "pack").iterdir():
        one.unlink()


def line_ends(repo: Path) -> None:
    """Git writes other line ends."""
    (repo / ".gitattributes").write_text("* text eol=crlf\n")
    (repo / "a").unlink()
    git(repo, "checkout", "a")
    assert b"\r\n" in (repo / "a").read_bytes()
    age(repo)
    git(repo, "update-index", "-q", "--really-refresh")
    (repo / ".git" / "index").touch()


def line_ends_before(repo: Path) -> None:
    """Git wrote other line ends; nobody remembers why."""
    line_ends(repo)
    (repo / ".gitattributes").unlink()


def normalised(repo: Path) -> None:
    """Git keeps other line ends."""
    (repo / ".gitattributes").write_text("*.txt text=auto\n")
    (repo / "c.txt").write_bytes(b"one\r\ntwo\r\n")
    commit(repo)


def filtered(repo: Path) -> None:
    """Git keeps another text."""
    git(repo, "config", "filter.up.clean", "tr a-z A-Z")
    git(repo, "config", "filter.up.smudge", "tr A-Z a-z")
    (repo / ".gitattributes").write_text("d/** filter=up\n")
    (repo / "d" / "b").write_bytes(b"lower\n")
    commit(repo)


def encoded(repo: Path) -> None:
    """Git keeps another encoding."""
    (repo / ".gitattributes").write_text("*.txt working-tree-encoding=UTF-16LE\n")
    (repo / "c.txt").write_bytes("short\n".encode("utf-16-le"))
    commit(repo)


def split(repo: Path) -> None:
    """Two index files."""
    git(repo, "update-index", "--split-index")


def damaged(repo: Path) -> None:
    """A flipped byte."""
    data = bytearray((repo / ".git" / "index").read_bytes())
    data[40] ^= 0xFF
    (repo / ".git" / "index").write_bytes(data)


def older_format(repo: Path) -> None:
    """Compressed names."""
    git(repo, "update-index", "--index-version", "4")


def untracked(repo: Path) -> None:
    """Unknown to git."""
    (repo / "new").write_bytes(b"new\n")


def autocrlf(repo: Path) -> None:
    """Line ends by the user's settings."""
    git(repo, "config", "core.autocrlf", "true")
    (repo / "a").unlink()
    git(repo, "checkout", "a")
    age(repo)


def intended(repo: Path) -> None:
    """Announced, not staged."""
    (repo / "new").write_bytes(b"new\n")
    git(repo, "add", "-N", "new")


@pytest.mark.parametrize(
    "change",
    [
        *(modified, same_size, assumed, skipped, loose, missing, line_ends, line_ends_before),
        *(normalised, filtered, encoded, split, damaged, older_format, untracked, autocrlf),
        intended,
    ],
)
def test_a_baseline_is_what_the_disk_holds(
    repo: Path, take, change: Callable[[Path], None]
) -> None:
    """Whatever git may believe about a file, its baseline is its bytes."""
    change(repo)
    if change is not same_size:
        age(repo)
    files = [one for one in repo.rglob("*") if one.is_file() and ".git" not in one.parts]
    expected = {os.fsencode(one.relative_to(repo)): one.read_bytes() for one in files}
    base = take()
    deadline = time.monotonic() + 20
    while True:  # what git has in another form is found out beside
        assert base.tracker.cut_paths([]).certain
        known = {path: seen.ref for path, seen in base.tracker.known().items()}
        wrong = [path for path, data in expected.items() if known[path].oid != git_blob_oid(data)]
        if not wrong:
            break
        assert time.monotonic() < deadline, wrong
        time.sleep(0.01)
    for path, data in expected.items():
        assert base.content(path) == data


@pytest.mark.parametrize("version", ["2", "3", "4"])
def test_every_version_of_the_index_is_read(repo: Path, version: str) -> None:
    """The names are those that git lists."""
    for number in range(30):
        (repo / "d" / f"name {number}").write_bytes(b"")
    git(repo, "add", "-A")
    git(repo, "update-index", "--index-version", version)
    index = GitIndex((repo / ".git" / "index").read_bytes(), time.time_ns())
    assert len(index) == len(git(repo, "ls-files", "-z").split(b"\0")) - 1


def test_a_damaged_index_is_refused(repo: Path) -> None:
    """Every truncation and every flipped byte is noticed."""
    data = (repo / ".git" / "index").read_bytes()
    for cut in range(0, len(data), 7):
        with pytest.raises(UnusableIndex):
            GitIndex(data[:cut], 0)
    for at in range(len(data)):
        broken = bytearray(data)
        broken[at] ^= 0x55
        with pytest.raises(UnusableIndex):
            GitIndex(bytes(broken), 0)
    for at in range(len(data)):  # without a checksum, as index.skipHash leaves it
        broken = bytearray(data[:-20] + bytes(20))
        broken[at] ^= 0x55
        try:
            GitIndex(bytes(broken), 0)
        except UnusableIndex:
            continue


def test_every_object_of_a_pack_is_read(repo: Path) -> None:
    """By names that git lists; other objects than blobs are nobody's content."""
    for number in range(12):
        text = (repo / "a").read_bytes().splitlines(keepends=True)
        text[number * 7 : number * 7 + 3] = [b"changed %d\n" % number]
        (repo / "a").write_bytes(b"".join(text))
        git(repo, "commit", "-qam", str(number))
    git(repo, "repack", "-adfq", "--depth=50")
    packs = GitPacks(os.fsencode(repo / ".git" / "objects"))
    listed = git(repo, "cat-file", "--batch-check", "--batch-all-objects").decode().splitlines()
    for line in listed:
        oid, kind, size = line.split()
        data = packs.get(bytes.fromhex(oid))
        assert packs.size(bytes.fromhex(oid)) == int(size)
        assert (data is not None) == (kind == "blob")
        assert data is None or (len(data), git_blob_oid(data)) == (int(size), oid)
    assert not packs.holds(b"\x01" * 20)
    packs.close()
    assert packs.get(bytes.fromhex(listed[0].split()[0])) is None


def test_a_damaged_pack_gives_nothing_wrong(repo: Path) -> None:
    """A content that does not hash to its name is not returned."""
    [pack] = (repo / ".git" / "objects" / "pack").glob("*.pack")
    data = bytearray(pack.read_bytes())
    for at in range(12, len(data) - 20):
        data[at] ^= 0x10
    pack.chmod(0o600)
    pack.write_bytes(data)
    packs = GitPacks(os.fsencode(repo / ".git" / "objects"))
    for name in ("a", "d/b", "c.txt"):
        assert packs.get(bytes.fromhex(git_blob_oid((repo / name).read_bytes()))) is None
    packs.close()


@pytest.mark.skipif(sys.platform != "linux", reason="symbolic links as git makes them on Linux")
def test_borrowed_objects_are_read(repo: Path, tmp_path: Path) -> None:
    """A clone with alternates has its contents in the other repository."""
    git(tmp_path, "clone", "-qs", str(repo), str(tmp_path / "clone"))
    packs = open_packs(os.fsencode(tmp_path / "clone"))
    assert packs is not None
    assert packs.holds(bytes.fromhex(git_blob_oid(b"short\n")))
    packs.close()
