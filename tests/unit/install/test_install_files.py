"""Replacing files that belong to the user."""

import errno
from pathlib import Path

import pytest

from agentdiff.install import files


def test_a_file_that_changed_meanwhile_is_left_alone(tmp_path: Path) -> None:
    """What somebody wrote after the change was planned is not overwritten."""
    path = tmp_path / "a"
    path.write_bytes(b"theirs")
    with pytest.raises(OSError, match="changed at the same time") as caught:
        files.replace(path, b"old", b"ours")
    left = [(entry.name, entry.read_bytes()) for entry in tmp_path.iterdir()]
    assert (caught.value.errno, left) == (errno.EAGAIN, [("a", b"theirs")])


def test_a_file_that_vanished_meanwhile_is_not_made_again(tmp_path: Path) -> None:
    """Somebody's deletion counts as a change."""
    with pytest.raises(OSError, match="changed at the same time"):
        files.replace(tmp_path / "a", b"old", b"ours")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_somebody_used_meanwhile_is_not_removed(tmp_path: Path) -> None:
    """Removing is refused as well when the content is not what was planned for."""
    (tmp_path / "a").write_bytes(b"theirs")
    with pytest.raises(OSError, match="changed at the same time"):
        files.remove(tmp_path / "a", b"old")
    assert (tmp_path / "a").read_bytes() == b"theirs"


def test_folders_that_are_used_stay(tmp_path: Path) -> None:
    """Of the folders to remove, only empty ones go."""
    inner = tmp_path / "outer" / "inner"
    inner.mkdir(parents=True)
    (inner / "a").touch()
    (tmp_path / "outer" / "b").touch()
    files.remove(inner / "a", b"", (inner, tmp_path / "outer"))
    assert (inner.exists(), (tmp_path / "outer").exists()) == (False, True)


def test_the_newest_ten_backups_are_kept(tmp_path: Path) -> None:
    """Backups of one file do not pile up, and those of another are not counted."""
    for number in range(12):
        files.back_up(tmp_path, Path("/a/settings.json"), b"%d" % number)
    files.back_up(tmp_path, Path("/b/settings.json"), b"other")
    kept = {copy.read_bytes() for copy in tmp_path.iterdir()}
    assert kept == {b"other", *(b"%d" % number for number in range(2, 12))}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (b"a\n", b"a\n", ""),
        (None, b"a\n", "--- /dev/null\n+++ /f\n@@ -0,0 +1 @@\n+a\n"),
        (b"a\n", None, "--- /f\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n"),
        (
            b"a",
            b"a\n",
            "--- /f\n+++ /f\n@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n",
        ),
    ],
)
def test_a_difference_is_shown_as_git_would(
    old: bytes | None, new: bytes | None, expected: str
) -> None:
    """The difference names absent files, and marks a missing final newline."""
    assert files.unified_diff(Path("/f"), old, new) == expected
