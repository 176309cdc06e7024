"""Fixtures of the end-to-end tests: the programs that they drive.

A program that cannot be had is a failure, never a skip: these tests are the proof that the product
works with the real thing.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from e2e.agent_claude import ClaudeCode
from e2e.rig import CHECKOUT


def _fetched(tool: str, what: str) -> Path:
    """Runs one of the checkout's fetchers and returns the program that it names."""
    argv = [sys.executable, str(CHECKOUT / "tools" / tool), what]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.fail(f"{what} is needed and could not be fetched:\n{done.stderr}", pytrace=False)
    return Path(done.stdout.strip())


@pytest.fixture(scope="session")
def claude() -> ClaudeCode:
    """The pinned Claude Code, from the checkout's cache or from npm."""
    return ClaudeCode(_fetched("fetch_agents.py", "claude-code"))


@pytest.fixture(scope="session")
def codex() -> Path:
    """The pinned Codex, from the checkout's cache or from npm."""
    return _fetched("fetch_agents.py", "codex")


@pytest.fixture(scope="session")
def nvim() -> Path:
    """$NVIM_BIN, else the Neovim on PATH, else the newest series that the checkout fetches."""
    return (
        Path(os.environ["NVIM_BIN"])
        if "NVIM_BIN" in os.environ
        else _fetched("fetch_nvim.py", "any")
    )
