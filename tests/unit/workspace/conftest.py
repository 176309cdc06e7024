"""What several tests of following need."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """An empty workspace."""
    folder = tmp_path / "tree"
    folder.mkdir()
    return folder
