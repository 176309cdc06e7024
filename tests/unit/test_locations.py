"""Where things are kept."""

from pathlib import Path

import pytest

from agentdiff.locations import Locations


@pytest.mark.parametrize("value", ["", "relative/folder"])
def test_a_relative_xdg_folder_is_ignored(tmp_path: Path, value: str) -> None:
    """The XDG rules say so; the default below HOME holds."""
    locations = Locations.from_env({"HOME": str(tmp_path), "XDG_STATE_HOME": value})
    assert locations.state == tmp_path / ".local" / "state" / "agentdiff"


def test_the_folders_are_private(tmp_path: Path) -> None:
    """Nobody else may read what an agent was told, or connect."""
    locations = Locations.from_env({"HOME": str(tmp_path)})
    locations.prepare()
    modes = [folder.stat().st_mode & 0o777 for folder in (locations.state, locations.runtime)]
    assert modes == [0o700, 0o700]


def test_each_workspace_has_a_folder_of_its_own(tmp_path: Path) -> None:
    """Named by its root alone, so that it is found again."""
    locations = Locations.from_env({"HOME": str(tmp_path)})
    names = {locations.workspace_folder(root) for root in (b"/a", b"/b", b"/a/")}
    assert len(names) == 3
    assert locations.workspace_folder(b"/a") == locations.workspace_folder(b"/a")
