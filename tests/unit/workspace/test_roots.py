"""Each path belongs to one workspace, and nothing outside is ever taken for inside."""

import errno
import os
from pathlib import Path

import pytest

from agentdiff.workspace.roots import confine, find_root, is_gone, owner_root, tree_allowed


@pytest.fixture
def place(tmp_path: Path) -> bytes:
    """A folder with work trees of both kinds, plain folders and links."""
    for folder in ("repo/.git", "repo/src/deep", "repo/sub", "plain/inner", "outside"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "repo" / "sub" / ".git").write_text("gitdir: ../.git/modules/sub\n")
    (tmp_path / "repo" / "way-out").symlink_to("../outside")
    (tmp_path / "repo" / "inside").symlink_to("src")
    (tmp_path / "repo" / "link").symlink_to("/etc/passwd")
    (tmp_path / "to-repo").symlink_to("repo")
    return os.fsencode(os.path.realpath(tmp_path))


@pytest.mark.parametrize(
    ("cwd", "known", "root"),
    [
        (b"/repo", [], b"/repo"),
        (b"/repo/src/deep", [], b"/repo"),
        (b"/repo/src/gone/away", [], b"/repo"),
        (b"/repo/sub", [], b"/repo/sub"),
        (b"/to-repo/src", [], b"/repo"),
        (b"/repo/src", [b"/repo/src"], b"/repo"),
        (b"/plain/inner", [], b"/plain/inner"),
        (b"/plain/inner", [b"/plain"], b"/plain"),
        (b"/plain/inner", [b"", b"/plain", b"/plain/inner"], b"/plain/inner"),
    ],
)
def test_finds_the_workspace_of_a_directory(
    place: bytes, cwd: bytes, known: list[bytes], root: bytes
) -> None:
    """Innermost work tree, else nearest known workspace, else the directory itself."""
    assert find_root(place + cwd, {place + path for path in known}) == place + root


def test_a_path_outside_every_workspace_has_no_owner(place: bytes) -> None:
    """Unlike a session's directory, a mere path makes no workspace."""
    assert owner_root(place + b"/outside/x", {place + b"/plain"}) is None


@pytest.mark.parametrize(
    ("path", "inside"),
    [
        (b"a", b"a"),
        (b"src/../a", b"a"),
        (b"inside/x", b"src/x"),
        (b"link", b"link"),
        (b"way-out", b"way-out"),
        (b"way-out/x", None),
        (b"new/deep/x", b"new/deep/x"),
        (b"src/", b"src"),
        (b"src/.", b"src"),
        (b"..", None),
        (b".", None),
        (b"", None),
        (b"a\0b", None),
        (b"../repo2/x", None),
        (b"../repo/x", b"x"),
        (b"/etc/passwd", None),
        (b"new\nline/\xff", b"new\nline/\xff"),
    ],
)
def test_confines_announced_paths(place: bytes, path: bytes, inside: bytes | None) -> None:
    """Parents are resolved, the last component is not, and what is outside is refused."""
    assert confine(place + b"/repo", path) == inside


def test_confines_absolute_paths_through_a_linked_root(place: bytes) -> None:
    """A payload may spell the workspace by a link."""
    assert confine(place + b"/repo", place + b"/to-repo/src/x") == b"src/x"
    assert confine(place + b"/to-repo", place + b"/repo/src/x") == b"src/x"


@pytest.mark.parametrize(
    ("root", "allowed"),
    [
        (b"/", False),
        (b"/home", False),
        (b"/home/me", False),
        (b"/home/me/", False),
        (b"/home/me/project", True),
        (b"/home/men", True),
        (b"/srv", True),
    ],
)
def test_guards_trees_that_are_too_much(root: bytes, allowed: bool) -> None:
    """The file system, the home directory and what contains it are never followed as a whole."""
    verdict, reason = tree_allowed(root, b"/home/me")
    assert (verdict, bool(reason)) == (allowed, not allowed)


@pytest.mark.parametrize(
    ("path", "gone"),
    [
        (b"/repo", False),
        (b"/to-repo", False),
        (b"/away", True),
        (b"/repo/sub/.git/x", True),
        (b"/\0", True),
    ],
)
def test_a_folder_is_gone_when_nothing_has_its_name(place: bytes, path: bytes, gone: bool) -> None:
    """Or something else has."""
    assert is_gone(place + path) is gone
    assert is_gone(place + b"/repo/sub/.git")


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE, errno.ENOTCONN])
def test_a_folder_that_cannot_be_asked_for_is_not_gone(
    place: bytes, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A network mount comes back."""

    def refuse(*_: object, **_more: object) -> os.stat_result:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", refuse)
        assert not is_gone(place)
