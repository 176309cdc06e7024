"""Fixtures of a session without Neovim."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentdiff.nvim import session as sessions
from tests.unit.nvim.scripted import Daemon, Lua


@pytest.fixture
def lua(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lua]:
    """A session that looks for its daemon often."""
    monkeypatch.setattr(sessions, "RETRY_S", 0.02)
    folder = Path(tempfile.mkdtemp(prefix="ad-", dir="/tmp"))
    one = Lua(folder)
    yield one
    one.close()
    shutil.rmtree(folder)


@pytest.fixture
def daemon(lua: Lua) -> Iterator[Daemon]:
    """A daemon that runs."""
    one = Daemon(lua.socket)
    yield one
    one.close()
