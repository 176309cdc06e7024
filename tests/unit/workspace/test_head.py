"""What real git commands are heard as."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from agentdiff.core.entries import ABSENT, File, git_blob_oid
from agentdiff.workspace.git import run_git
from agentdiff.workspace.head import Head, Move

Git = Callable[..., None]


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A repository with one commit of two files."""
    root = tmp_path / "repo"
    root.mkdir()
    git(root)("init", "-q", "-b", "main")
    (root / "a").write_text("a\n")
    (root / "b").write_text("b\n")
    git(root)("add", ".")
    git(root)("commit", "-qm", "one")
    return root


def git(root: Path) -> Git:
    """Returns a function that runs git in a folder."""

    def run(*arguments: str) -> None:
        identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
        subprocess.run(["git", *identity, *arguments], cwd=root, check=True, capture_output=True)

    return run


def heard(head: Head, *paths: bytes) -> dict[bytes, str | None]:
    """Returns what the moves since the last call put into the work tree."""
    out: dict[bytes, str | None] = {}
    for move in head.moves():
        assert not move.commits
        out.update(head.contents(move, paths))
    return out


def oid(text: str) -> str:
    """Returns the blob id of a text."""
    return git_blob_oid(text.encode())


def test_nothing_happens(repo: Path) -> None:
    """What was there before is history, and a quiet repository says nothing."""
    head = Head(os.fsencode(repo))
    assert head.moves() == []
    git(repo)("status")
    assert head.moves() == []


def test_a_commit(repo: Path) -> None:
    """Only what it changed, of what was asked for."""
    head = Head(os.fsencode(repo))
    (repo / "a").write_text("A\n")
    (repo / "new").write_text("new\n")
    (repo / "b").unlink()
    (repo / "x").symlink_to("a")
    git(repo)("add", "-A")
    git(repo)("commit", "-qm", "two")
    (move,) = head.moves()
    assert move.commits
    found = dict(head.committed(move, [b"a", b"b", b"new", b"unchanged"], []))
    assert found == {b"a": File(data=b"A\n"), b"b": ABSENT, b"new": File(data=b"new\n")}
    assert head.moves() == []


def test_a_checkout_and_back(repo: Path) -> None:
    """Files that differ between the branches, and those that only one of them has."""
    git(repo)("checkout", "-q", "-b", "other")
    (repo / "a").write_text("other\n")
    (repo / "c").write_text("c\n")
    git(repo)("add", "-A")
    git(repo)("commit", "-qm", "other")
    head = Head(os.fsencode(repo))
    git(repo)("checkout", "-q", "main")
    assert heard(head) == {b"a": oid("a\n"), b"c": None}
    git(repo)("checkout", "-q", "other")
    assert heard(head) == {b"a": oid("other\n"), b"c": oid("c\n")}


def test_objects_that_are_named_by_sha256(tmp_path: Path) -> None:
    """A deletion is one all the same; that no content can be recognised is said."""
    root = tmp_path / "repo"
    root.mkdir()
    git(root)("init", "-q", "-b", "main", "--object-format=sha256")
    (root / "a").write_text("a\n")
    git(root)("add", ".")
    git(root)("commit", "-qm", "one")
    git(root)("checkout", "-q", "-b", "other")
    (root / "c").write_text("c\n")
    git(root)("add", "-A")
    git(root)("commit", "-qm", "other")
    head = Head(os.fsencode(root))
    git(root)("checkout", "-q", "main")
    assert heard(head) == {b"c": None}
    assert str(head.problem).startswith("the repository names its objects by sha256, not by sha1")


def test_a_usual_repository_is_no_problem(repo: Path) -> None:
    """Also where the format is said."""
    assert Head(os.fsencode(repo)).problem is None
    git(repo)("config", "core.repositoryformatversion", "1")
    git(repo)("config", "extensions.objectFormat", "sha1")
    assert Head(os.fsencode(repo)).problem is None


def test_reset_hard_tells_of_the_paths_that_are_asked_for(repo: Path) -> None:
    """HEAD stays where it is: only the work tree knew of the changes."""
    head = Head(os.fsencode(repo))
    (repo / "a").write_text("changed\n")
    git(repo)("reset", "-q", "--hard")
    assert heard(head, b"a", b"unknown") == {b"a": oid("a\n"), b"unknown": None}


def test_stash_and_pop(repo: Path) -> None:
    """With what git did not track."""
    head = Head(os.fsencode(repo))
    (repo / "a").write_text("changed\n")
    (repo / "new").write_text("new\n")
    git(repo)("stash", "-u")
    gone = heard(head, b"a")
    assert (gone[b"a"], gone[b"new"]) == (oid("a\n"), None)
    git(repo)("stash", "pop")
    assert heard(head, b"a") == {b"a": oid("changed\n"), b"new": oid("new\n")}


@pytest.mark.parametrize("command", [("merge", "other"), ("rebase", "other")])
def test_merge_and_rebase(repo: Path, command: tuple[str, ...]) -> None:
    """Whatever moves HEAD to other contents."""
    git(repo)("checkout", "-q", "-b", "other")
    (repo / "a").write_text("other\n")
    git(repo)("commit", "-qam", "other")
    git(repo)("checkout", "-q", "main")
    head = Head(os.fsencode(repo))
    git(repo)(*command)
    assert heard(head)[b"a"] == oid("other\n")


def test_without_a_reflog(repo: Path) -> None:
    """HEAD itself tells, and a child of the old HEAD is a commit."""
    git(repo)("config", "core.logAllRefUpdates", "false")
    (repo / ".git/logs/HEAD").unlink()
    head = Head(os.fsencode(repo))
    (repo / "a").write_text("A\n")
    git(repo)("commit", "-qam", "two")
    (move,) = head.moves()
    assert move.commits
    git(repo)("checkout", "-q", "HEAD~1")
    assert heard(head) == {b"a": oid("a\n")}


def test_a_linked_work_tree_has_its_own_head(repo: Path, tmp_path: Path) -> None:
    """A commit there is none here."""
    git(repo)("worktree", "add", "-q", str(tmp_path / "linked"), "-b", "linked")
    here, there = Head(os.fsencode(repo)), Head(os.fsencode(tmp_path / "linked"))
    (tmp_path / "linked/a").write_text("A\n")
    git(tmp_path / "linked")("commit", "-qam", "two")
    assert here.moves() == []
    assert [move.commits for move in there.moves()] == [True]


def test_no_repository(tmp_path: Path) -> None:
    """Never moves; and is heard from the first commit on when it becomes one."""
    head = Head(os.fsencode(tmp_path))
    assert head.moves() == []
    git(tmp_path)("init", "-q")
    (tmp_path / "a").write_text("a\n")
    git(tmp_path)("add", "a")
    git(tmp_path)("commit", "-qm", "one")
    (move,) = head.moves()
    assert dict(head.committed(move, [b"a"], [])) == {b"a": File(data=b"a\n")}


def test_what_is_no_id_never_reaches_git(repo: Path, tmp_path: Path) -> None:
    """A reflog may be anybody's writing: ``--output=…`` in the place of a commit is no option."""
    head = Head(os.fsencode(repo))
    victim = tmp_path / "victim"
    victim.write_text("precious")
    for name in ("HEAD", "refs/stash"):
        log = repo / ".git/logs" / name
        log.parent.mkdir(exist_ok=True)
        with log.open("a") as file:
            file.write(f"--output={victim} HEAD t <t@example.org> 1 +0000\tcheckout: moving\n")
            file.write(f"HEAD --output={victim} t <t@example.org> 1 +0000\tcheckout: moving\n")
    assert head.moves() == []
    assert victim.read_text() == "precious"


def test_a_repository_moved_away_and_back_has_no_news(repo: Path) -> None:
    """Its old commits were no decisions of now."""
    (repo / "a").write_text("a2\n")
    git(repo)("commit", "-qam", "two")
    head = Head(os.fsencode(repo))
    (repo / ".git").rename(repo / "git")
    assert head.moves() == []
    (repo / "git").rename(repo / ".git")
    assert head.moves() == []
    (repo / "a").write_text("a3\n")
    git(repo)("commit", "-qam", "three")
    assert [move.commits for move in head.moves()] == [True]


def test_git_that_fails_says_nothing(repo: Path) -> None:
    """A tree that cannot be read is not an empty one, nor a blob an empty file."""
    head = Head(os.fsencode(repo))
    (repo / "b").write_text("b2\n")
    git(repo)("commit", "-qam", "two")
    (move,) = head.moves()
    lost = repo / ".git/objects" / oid("b2\n")[:2] / oid("b2\n")[2:]
    data = lost.read_bytes()
    lost.unlink()
    assert head.committed(move, [b"b"], ()) == ()
    lost.write_bytes(data)
    assert [path for path, _ in head.committed(move, [b"b"], ())] == [b"b"]
    for folder in (repo / ".git/objects").iterdir():
        folder.rename(repo / folder.name)
    assert head.contents(Move(label="reset", old=move.old, new=move.new), [b"a", b"b"]) == {}


def test_nothing_is_fetched(tmp_path: Path, repo: Path) -> None:
    """In a partial clone git would run what the repository's configuration says."""
    git(repo)("config", "uploadpack.allowFilter", "true")
    git(tmp_path)("clone", "-q", "--no-checkout", "--filter=blob:none", repo.as_uri(), "part")
    part, ran = tmp_path / "part", tmp_path / "ran"
    git(part)("config", "remote.origin.uploadpack", f"sh -c 'touch {ran}; exit 1' #")
    assert run_git(os.fsencode(part), b"cat-file", b"blob", oid("a\n").encode()) is None
    assert not ran.exists()
