"""Two spellings of one name are one path where the file system says so, and only there.

The functions that decide are tested everywhere, on a directory that pretends.  A real file system
of this kind (a Mac has one; on Linux, say, exFAT) is tested where ``tmp_path`` lies on one, or in
the folder that ``AGENTDIFF_FOLDING_DIR`` names.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agentdiff.core.entries import ABSENT, File, Ref
from agentdiff.workspace import spelling
from agentdiff.workspace.blobs import BlobStore
from agentdiff.workspace.files import Written, read_entry, write_entry
from agentdiff.workspace.known import Known, KnownTable
from agentdiff.workspace.roots import confine, find_root
from agentdiff.workspace.scan import Walk
from agentdiff.workspace.tracker import Batch, Tracker, TrackerSettings
from agentdiff.workspace.tree import Root
from tests.unit.daemon.bench import Bench, Client

COMPOSED, DECOMPOSED = "é".encode(), "e\u0301".encode()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (b"src/Main.py", b"SRC/main.PY", True),
        (b"a", b"b", False),
        (COMPOSED, DECOMPOSED, True),
        ("É".encode(), DECOMPOSED, True),
        ("ß".encode(), b"SS", True),
        (b"\xff\xfe", b"\xff\xfe", True),
        (b"\xff", b"\xfe", False),
    ],
)
def test_what_spellings_have_in_common(one: bytes, other: bytes, same: bool) -> None:
    """Case, composition, and bytes that are no text."""
    assert (spelling.fold(one) == spelling.fold(other)) == same


@pytest.fixture
def pretending(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A directory in which each spelling of a name finds it."""
    really = os.path.lexists

    def lexists(path: bytes) -> bool:
        if really(path):
            return True
        folder, name = os.path.split(path)
        alike = (spelling.fold(os.fsencode(one)) for one in os.listdir(folder))
        return spelling.fold(os.fsencode(name)) in alike

    root = tmp_path / "r"
    (root / "Src").mkdir(parents=True)
    (root / "Src" / os.fsdecode(COMPOSED)).touch()
    monkeypatch.setattr(os.path, "lexists", lexists)
    return os.fsencode(root)


def test_a_path_is_spelled_as_on_disk(pretending: bytes) -> None:
    """Each component; what is missing stays as it was said."""
    assert spelling.folds(pretending)
    assert spelling.true_path(pretending + b"/Src") == pretending + b"/Src"
    assert spelling.true_path(pretending + b"/sRC/new") == pretending + b"/Src/new"
    assert spelling.true_path(pretending + b"/src/" + DECOMPOSED).endswith(b"/Src/" + COMPOSED)
    assert spelling.true_path(pretending + b"/other") == pretending + b"/other"
    assert spelling.true_path(b"/") == b"/"
    assert spelling.true_path(pretending + b"/sRC/x", pretending) == pretending + b"/Src/x"


def test_elsewhere_each_spelling_is_a_name(tmp_path: Path) -> None:
    """Also where both are there, or only the other one."""
    (tmp_path / "Both").touch()
    if (tmp_path / "bOTH").exists():
        pytest.skip("here they are one")
    assert not spelling.folds(os.fsencode(tmp_path))
    (tmp_path / "bOTH").touch()
    (tmp_path / "oNLY").touch()
    for name in ("Both", "bOTH", "Only", "new"):
        path = os.fsencode(tmp_path / name)
        assert spelling.true_path(path) == path
    assert not spelling.folds(os.fsencode(tmp_path / "missing"))


def test_a_known_path_keeps_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a walk, a hint or git's index calls it."""
    monkeypatch.setattr(spelling, "folds", lambda _: True)
    seen = Known(ref=Ref(kind="file", mode=0o644, oid="0" * 40))
    found = spelling.Spellings(b"/r", KnownTable({b"Src/Foo": seen}))
    found.look()
    walk = Walk(followed={b"src/foo", b"New"}, dirty=[b"New", b"src/foo"])
    found.settle(walk)
    assert (walk.followed, walk.dirty) == ({b"Src/Foo", b"New"}, [b"New", b"Src/Foo"])
    assert list(found.keys([b"x", b"SRC/FOO", b"Src/Foo"])) == [b"Src/Foo", b"x"]
    assert found.absent({b"new", b"NEWER"}, walk) == {b"NEWER"}


# --- a real one ----------------------------------------------------------------------------------


@pytest.fixture
def folding(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system where two spellings are one name."""
    place = os.environ.get("AGENTDIFF_FOLDING_DIR")
    folder = Path(tempfile.mkdtemp(dir=place)) if place else tmp_path
    (folder / "Probe").touch()
    if not (folder / "pROBE").exists():
        pytest.skip("no file system here on which two spellings are one name")
    (folder / "Probe").unlink()
    yield folder
    if place:
        shutil.rmtree(folder)


@contextmanager
def followed(tree: Path, state: Path) -> Iterator[tuple[Tracker, list[Batch]]]:
    """Follows a tree; yields the tracker and what it tells after the first cut."""
    told: list[Batch] = []
    blobs = BlobStore(state)
    tracker = Tracker(os.fsencode(tree), blobs, None, told.append, TrackerSettings())
    try:
        assert tracker.cut().certain
        told.clear()
        yield tracker, told
    finally:
        tracker.close()
        blobs.close()


def changes(told: list[Batch]) -> list[bytes]:
    """Returns which paths are said to have changed, and forgets it."""
    paths = [one.path for batch in told for one in batch.observations if one.before != one.after]
    told.clear()
    return paths


def test_a_file_is_one_path_whatever_it_is_called(folding: Path, tmp_path: Path) -> None:
    """Renamed by case alone, changed, removed, made again, named by a tool."""
    tree = folding / "Tree"
    (tree / "Src").mkdir(parents=True)
    (tree / "Src" / "Foo").write_bytes(b"one\n")
    (tree / "Bar").write_bytes(b"bar\n")
    with followed(tree, tmp_path / "blobs") as (tracker, told):
        os.rename(tree / "Src" / "Foo", tree / "Src" / "fOO")
        assert tracker.cut().certain
        assert changes(told) == []
        (tree / "src" / "FOO").write_bytes(b"two\n")
        assert tracker.cut().certain
        assert changes(told) == [b"Src/Foo"]
        (tree / "Src" / "foo").unlink()
        assert tracker.cut().certain
        assert changes(told) == [b"Src/Foo"]
        (tree / "Src" / "FOO").write_bytes(b"three\n")
        (tree / "Src" / "New").write_bytes(b"new\n")
        assert tracker.cut().certain
        assert sorted(changes(told)) == [b"Src/Foo", b"Src/New"]
        assert tracker.follow(b"bAR").certain
        assert changes(told) == []
        assert sorted(tracker.known()) == [b"Bar", b"Src/Foo", b"Src/New"]


def test_a_directory_is_one_whatever_it_is_called(folding: Path, tmp_path: Path) -> None:
    """What is below it keeps its names."""
    tree = folding / "tree"
    (tree / "Src").mkdir(parents=True)
    (tree / "Src" / "a").write_bytes(b"a\n")
    with followed(tree, tmp_path / "blobs") as (tracker, told):
        os.rename(tree / "Src", tree / "src")
        assert tracker.cut().certain
        assert changes(told) == []
        (tree / "src" / "a").write_bytes(b"changed\n")
        assert tracker.cut().certain
        assert changes(told) == [b"Src/a"]


def test_git_may_call_it_otherwise(folding: Path, tmp_path: Path) -> None:
    """Its index keeps the name under which a file was added."""
    tree = folding / "tree"
    tree.mkdir()
    (tree / "Foo").write_bytes(b"foo\n")
    for words in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", "-C", str(tree), *words], check=True)
    os.rename(tree / "Foo", tree / "foo")
    with followed(tree, tmp_path / "blobs") as (tracker, _):
        assert list(tracker.known()) == [b"foo"]
        assert tracker.cut().certain
        assert list(tracker.known()) == [b"foo"]


def test_a_workspace_is_one_whatever_it_is_called(folding: Path) -> None:
    """So are the paths that tools name in it."""
    tree = folding / "Tree"
    (tree / ".git").mkdir(parents=True)
    (tree / "Foo").touch()
    root = os.fsencode(tree.resolve())
    other = os.fsencode(folding.resolve() / "tREE")
    assert find_root(other, ()) == find_root(root, ()) == root
    assert confine(root, other + b"/FOO") == confine(root, b"foo") == b"Foo"
    assert confine(root, b"nEW") == b"nEW"


def test_a_review_knows_one_file(folding: Path, tmp_path: Path) -> None:
    """An agent's tool, a shell command, a person's editor and a decision call it each otherwise."""
    bench = Bench(tmp_path)
    bench.root = folding / "Tree"
    bench.root.mkdir()
    try:
        (bench.root / "Foo").write_bytes(b"1\n2\n3\n4\n5\n")
        bench.prompt()
        bench.write("fOO", b"1\nTWO\n3\n4\n5\n")
        assert list(bench.status()) == ["Foo"]
        bench.shell(lambda: os.rename(bench.root / "Foo", bench.root / "foo"))
        assert list(bench.status()) == ["Foo"]
        editor = Client(id="nvim:1:1", kind="nvim")
        typed = b"1\nTWO\n3\n4\nfive\n"
        bench.claim(editor, "FOO", typed, written=False)
        (bench.root / "FOO").write_bytes(typed)
        bench.claim(editor, "FOO", typed, written=True)
        (file,) = bench.status().values()
        assert (file["path"], len(file["hunks"])) == ("Foo", 1)
        bench.decide("reject")
        assert list(bench.tree().values()) == [b"1\n2\n3\n4\nfive\n"]
        assert bench.status() == {}
    finally:
        bench.engine.close()


def test_a_write_reaches_the_file_under_its_first_name(folding: Path) -> None:
    """What a reject does to a file that was renamed by case alone meanwhile."""
    (folding / "Foo").write_bytes(b"after\n")
    os.rename(folding / "Foo", folding / "foo")
    root = Root(os.fsencode(folding))
    found = read_entry(root, b"Foo", max_bytes=1 << 20)
    assert isinstance(found, File)
    wanted = File(data=b"before\n", mode=found.mode)
    assert isinstance(write_entry(root, b"Foo", expect=found, write=wanted), Written)
    assert [one.read_bytes() for one in folding.iterdir()] == [b"before\n"]
    assert isinstance(write_entry(root, b"FOO", expect=wanted, write=ABSENT), Written)
    assert list(folding.iterdir()) == []
    root.close()


def test_as_many_names_are_not_the_same_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """One file went, another one came."""
    monkeypatch.setattr(spelling, "folds", lambda directory: True)
    there = Known(ref=File(data=b"x").ref())
    known = KnownTable({b"A.txt": there})
    spellings = spelling.Spellings(b"/tree", known)
    spellings.look()
    assert spellings.key(b"a.txt") == b"A.txt"
    known.discard(b"A.txt")
    known[b"B.txt"] = there
    assert spellings.key(b"b.txt") == b"B.txt"
