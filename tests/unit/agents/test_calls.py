"""What the readers of tools' arguments make of them, whatever the agent."""

from __future__ import annotations

import pytest

from agentdiff.agents.calls import Tools
from agentdiff.agents.fields import Fields
from agentdiff.core.events import Reach

HERE = Tools(targets={}, shells=frozenset({"sh"}), starts_in_cwd=True, folder="dir")
ELSEWHERE = Tools(targets={}, shells=frozenset({"sh"}))


def reach(tools: Tools, given: dict[str, object], tool: str = "sh") -> Reach | None:
    """Returns what a call of a tool may change."""
    return tools.call("c", tool, Fields(given), b"/w")["reach"]


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"command": "> f"}, b"/w/f"),
        ({"command": "> f", "dir": "d"}, b"/w/d/f"),
        ({"command": "> f", "dir": "/x"}, b"/x/f"),
    ],
)
def test_a_shell_starts_where_the_payload_says(given: dict[str, object], path: bytes) -> None:
    """In the working directory, or in the folder that an argument names."""
    assert reach(HERE, given) == Reach(paths=(path,), complete=True)


@pytest.mark.parametrize("folder", [7, "", "a\0b"])
def test_a_folder_that_is_none_costs_only_the_paths(folder: object) -> None:
    """The call itself is not missed for it."""
    assert reach(HERE, {"command": "> f > /g", "dir": folder}) == Reach(paths=(b"/g",))


def test_a_shell_that_starts_anywhere() -> None:
    """The working directory is a guess, and what depends on it is not complete."""
    assert reach(ELSEWHERE, {"command": "ls"}) == Reach(complete=True)
    assert reach(ELSEWHERE, {"command": "rm /g"}) == Reach(paths=(b"/g",), complete=True)
    assert reach(ELSEWHERE, {"command": "rm f"}) == Reach(paths=(b"/w/f",))


def test_other_tools_have_no_command() -> None:
    """Whatever their arguments are called."""
    assert reach(HERE, {"command": "ls"}, tool="mcp") is None
