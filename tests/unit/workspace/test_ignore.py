"""Ignoring is git's: compared with ``git check-ignore`` itself."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from agentdiff.workspace.git import find_git, tracked_but_ignored
from agentdiff.workspace.ignore import IgnoreRules
from agentdiff.workspace.tree import Root

RULES = {
    ".gitignore": (
        b"# comment\n*.log\n!keep.log\n/top\nbuild/\ndoc/*.txt\n**/deep/x\na/**/z\n"
        b"\\#hash\n\\!bang\nspace\\ \ntrailing   \n[ab]c\nq?e\n[z-\n\xff*\ndir/\n!dir/in\n"
        b"lib/*\n!lib/kept\ncr\r\n"
    ),
    "sub/.gitignore": b"!*.log\n/only-here\nbuild2\n*.tmp\n",
    "sub/below/.gitignore": b"*.log\n!/very.tmp\n",
}
PATHS = [
    b"x.log",
    b"keep.log",
    b"top",
    b"sub/top",
    b"build/",
    b"sub/build/",
    b"build2/",
    b"sub/build2/",
    b"doc/a.txt",
    b"doc/b/a.txt",
    b"p/deep/x",
    b"a/z",
    b"a/m/n/z",
    b"#hash",
    b"!bang",
    b"space ",
    b"trailing",
    b"ac",
    b"abc",
    b"que",
    b"\xfe",
    b"\xff\xfe",
    b"sub/x.log",
    b"sub/only-here",
    b"sub/below/only-here",
    b"sub/below/x.log",
    b"sub/below/very.tmp",
    b"sub/below/more/very.tmp",
    b"lib/kept",
    b"lib/other",
    b"cr",
    b"plain\nname",
    b"by-exclude",
    b"by-user",
]


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git work tree with nested ignore files and one of the user's own."""
    top = tmp_path / "repo"
    top.mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    (tmp_path / ".gitconfig").write_text(
        "[core]\n\texcludesFile = ~/mine\n[user]\n\tname = t\n\temail = t@t\n"
    )
    (tmp_path / "mine").write_text("by-user\n")
    git(top, "init", "-q")
    for name, rules in RULES.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(rules)
    (top / ".git" / "info" / "exclude").write_text("by-exclude\n")
    return top


def git(top: Path, *arguments: str) -> bytes:
    """Runs git."""
    return subprocess.run(["git", *arguments], cwd=top, check=True, stdout=subprocess.PIPE).stdout


def ask(rules: IgnoreRules, path: bytes) -> bool:
    """Whether our rules ignore a path by its own name."""
    return rules.is_ignored(path.rstrip(b"/"), directory=path.endswith(b"/"))


@pytest.fixture
def rules(repo: Path):
    """Our rules for the repository."""
    root = Root(os.fsencode(repo))
    found = IgnoreRules(root, time.time_ns)
    found.refresh()
    yield found
    root.close()


@pytest.mark.parametrize("path", PATHS)
def test_agrees_with_git(repo: Path, rules: IgnoreRules, path: bytes) -> None:
    """Each path is ignored if and only if git says so."""
    asked = subprocess.run(
        ["git", "check-ignore", "-q", "--no-index", "-z", "--stdin"],
        cwd=repo,
        input=path + b"\0",
        check=False,
    )
    assert ask(rules, path) == (asked.returncode == 0)


@pytest.mark.parametrize(
    "allowed", [b"*\n!*/\n!*.py", b"**\n!*/\n!*.py", b"/**\n!*/\n!*.py", b"*\n!/src/\n!src/*"]
)
def test_rules_that_allow_little_agree_with_git(
    repo: Path, rules: IgnoreRules, allowed: bytes
) -> None:
    """Everything is ignored but folders and some names, as people do it."""
    (repo / ".gitignore").write_bytes(allowed)
    (repo / "src" / "in").mkdir(parents=True)
    (repo / "o").mkdir()
    rules.refresh()
    for path in (b"a.py", b"x", b"src/", b"src/a.py", b"src/x", b"src/in/", b"src/in/b.py", b"o/"):
        asked = subprocess.run(
            ["git", "check-ignore", "-q", "--no-index", "-z", "--stdin"],
            cwd=repo,
            input=path.rstrip(b"/") + b"\0",  # git sees that it is a folder
            check=False,
        )
        ignored = rules.is_pruned(path.rstrip(b"/")) or ask(rules, path)
        assert (path, ignored) == (path, asked.returncode == 0)


@pytest.mark.parametrize(
    ("path", "pruned"),
    [
        (b"build/x", True),
        (b"sub/build2/deep/x", True),
        (b".git/config", True),
        (b"vendor/x", True),
        (b"sub/x", False),
        (b"x.log", False),
    ],
)
def test_knows_what_lies_in_pruned_directories(
    repo: Path, rules: IgnoreRules, path: bytes, pruned: bool
) -> None:
    """Ignored directories, ``.git`` and repositories below are not entered."""
    (repo / "vendor" / ".git").mkdir(parents=True)
    assert rules.is_pruned(path) is pruned


def test_a_changed_ignore_file_changes_the_verdicts(repo: Path, rules: IgnoreRules) -> None:
    """Verdicts do not outlive the rules that they came from, in this directory or below."""
    assert (ask(rules, b"sub/below/f"), ask(rules, b"x.log")) == (False, True)
    (repo / ".gitignore").write_text("f\n")
    rules.refresh()
    assert (ask(rules, b"sub/below/f"), ask(rules, b"x.log")) == (True, False)
    (repo / "sub" / ".gitignore").unlink()
    (repo / ".git" / "info" / "exclude").write_text("g\n")
    rules.refresh()
    assert (ask(rules, b"sub/only-here"), ask(rules, b"g")) == (False, True)


def test_a_broken_line_does_not_switch_off_the_others(repo: Path, rules: IgnoreRules) -> None:
    """A pattern that is none is passed over."""
    (repo / ".gitignore").write_bytes(b"//\n/\n!\nfoo\n")
    rules.refresh()
    assert ask(rules, b"foo") is True


def test_tracked_files_are_found_though_ignored(repo: Path, rules: IgnoreRules) -> None:
    """What git tracks is followed; the list is renewed when the index changes."""
    (repo / "build").mkdir()
    (repo / "build" / "odd\nname").write_text("x")
    assert rules.tracked == frozenset()
    git(repo, "add", "-f", "build")
    rules.refresh()
    rules.await_tracked()
    assert rules.tracked == {b"build/odd\nname"}


def test_without_git_ignore_files_count_the_same(tmp_path: Path) -> None:
    """A folder that is no repository has its ``.gitignore`` files honoured."""
    (tmp_path / ".gitignore").write_text("*.o\n")
    root = Root(os.fsencode(tmp_path))
    rules = IgnoreRules(root, time.time_ns)
    rules.refresh()
    assert (ask(rules, b"a.o"), ask(rules, b"a.c")) == (True, False)
    root.close()


def test_a_linked_work_tree_has_its_own_index(repo: Path, tmp_path: Path) -> None:
    """``git worktree`` keeps index and exclude file elsewhere; both are found."""
    git(repo, "commit", "-q", "--allow-empty", "-m", "first")
    git(repo, "worktree", "add", "-q", str(tmp_path / "linked"))
    found = find_git(os.fsencode(tmp_path / "linked"))
    assert found is not None
    assert Path(os.fsdecode(found.index)).exists()
    assert Path(os.fsdecode(found.exclude)).read_text() == "by-exclude\n"


def test_a_folder_inside_a_repository_is_not_taken_for_it(repo: Path) -> None:
    """Only the top of a work tree has git's files."""
    assert find_git(os.fsencode(repo / "sub")) is None


def test_the_repository_cannot_make_us_run_anything(repo: Path, tmp_path: Path) -> None:
    """A file system monitor that the repository configures is not started."""
    hook = tmp_path / "hook"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    git(repo, "config", "core.fsmonitor", str(hook))
    tracked_but_ignored(os.fsencode(repo))
    assert not (tmp_path / "ran").exists()


def test_a_repository_that_is_being_made_is_asked_again(tmp_path: Path) -> None:
    """``git init`` makes the folder first; git knows nothing of it yet."""
    top = tmp_path / "tree"
    (top / ".git").mkdir(parents=True)
    root = Root(os.fsencode(top))
    rules = IgnoreRules(root, time.time_ns)
    rules.refresh()
    git(top, "init", "-q")
    (top / ".git" / "info").mkdir(exist_ok=True)
    (top / ".git" / "info" / "exclude").write_text("by-exclude\n")
    rules.refresh()
    assert ask(rules, b"by-exclude")
    root.close()
