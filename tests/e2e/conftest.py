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
from e2e.agent_codex import CODE, Codex
from e2e.agent_copilot import CopilotCli
from e2e.agent_gemini import GeminiCli
from e2e.agent_opencode import OpenCode
from e2e.agent_qwen import QwenCode
from e2e.rig import CHECKOUT

_TEST_TIMEOUT_S = 900.0
"""More than the deadlines inside of any test together: theirs say what was waited for."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Gives the tests of this folder the time that real agents take on a loaded machine."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(_TEST_TIMEOUT_S))


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
def codex() -> Codex:
    """The pinned Codex, from the checkout's cache or from npm, with a model that has the tools."""
    return Codex(_fetched("fetch_agents.py", "codex"))


@pytest.fixture(scope="session")
def codex_in_code_mode(codex: Codex) -> Codex:
    """The same with a model that writes programs which call the tools."""
    return Codex(codex.program, CODE)


@pytest.fixture(scope="session")
def copilot() -> CopilotCli:
    """The pinned GitHub Copilot CLI, from the checkout's cache or from npm."""
    return CopilotCli(_fetched("fetch_agents.py", "copilot"))


@pytest.fixture(scope="session")
def gemini() -> GeminiCli:
    """The pinned Gemini CLI, from the checkout's cache or from npm."""
    return GeminiCli(_fetched("fetch_agents.py", "gemini-cli"))


@pytest.fixture(scope="session")
def opencode() -> OpenCode:
    """The pinned opencode, from the checkout's cache or from npm."""
    return OpenCode(_fetched("fetch_agents.py", "opencode"))


@pytest.fixture(scope="session")
def qwen() -> QwenCode:
    """The pinned Qwen Code, from the checkout's cache or from npm."""
    return QwenCode(_fetched("fetch_agents.py", "qwen-code"))


@pytest.fixture(scope="session")
def nvim() -> Path:
    """$NVIM_BIN, else the Neovim on PATH, else the newest series that the checkout fetches."""
    return (
        Path(os.environ["NVIM_BIN"])
        if "NVIM_BIN" in os.environ
        else _fetched("fetch_nvim.py", "any")
    )
