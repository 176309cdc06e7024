"""What Lua sends, as the daemon is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentdiff.daemon.ports import RequestError
from agentdiff.nvim.params import filters
from agentdiff.nvim.screen import Workspace
from agentdiff.nvim.views import ReviewView


def limited(root: Path, path: str) -> dict[str, object]:
    """Returns the filters of a review that Lua wants limited to a path."""
    workspace = Workspace(root=str(root).encode())
    return filters({"filters": {"group": "file", "path": path}}, workspace)


def test_a_path_that_is_not_utf8_is_shown_and_meant(tmp_path: Path) -> None:
    """It stays exact on its way through another grouping, and to a decision on all of it."""
    found = limited(tmp_path, f"{tmp_path}/caf\udce9")
    again = filters({"filters": found}, Workspace(root=str(tmp_path).encode()))
    view = ReviewView(token=1, data={"seq": 3, "kinds": ""}, filters=again)
    exact = {"path_b64": "Y2Fm6Q=="}
    assert again == {"group": "file", "path": "caf\ufffd", **exact}
    assert view.select("all", 0, 0) == {"paths": [exact], "seen": 3}


def test_a_link_is_followed_to_what_is_under_review(tmp_path: Path) -> None:
    """Through folders; one at the end is under review itself. The root is no limit."""
    (tmp_path / "work").mkdir()
    (tmp_path / "work/itself").symlink_to("/")
    (tmp_path / "link").symlink_to("work")
    root = tmp_path / "work"
    found = [limited(root, f"{tmp_path}/link/{name}").get("path") for name in ("itself", "x", ".")]
    assert found == ["itself", "x", None]
    with pytest.raises(RequestError, match=f"{tmp_path}/other is outside"):
        limited(root, f"{tmp_path}/other")
