"""What ``agentdiff log`` makes of one call."""

from __future__ import annotations

from typing import Any

import pytest

from agentdiff.cli.log import _lines


@pytest.mark.parametrize(
    ("call", "shown"),
    [
        ({"tool": "git", "command": "git mv a b"}, ["git mv a b  1.5 s"]),
        ({"tool": "Bash", "command": "git mv a b"}, ["Bash  git mv a b  1.5 s"]),
        ({"tool": "Edit", "paths": [{"path": "a"}]}, ["Edit  1.5 s", "  a"]),
        ({"tool": "sh", "covers": True}, []),
        (
            {"tool": "sh", "tool_call": "c", "covers": True, "paths": [{"path": "a"}]},
            ["(itself)  1.5 s  c", "  a"],
        ),
        (
            {"tool": "Bash", "outcome": "denied", "decided_by": "user"},
            ["Bash  1.5 s  [denied by user]"],
        ),
        ({"tool": "x", "command": "x \x1b[31m"}, ["x \\x1b[31m  1.5 s"]),
        ({"tool": "Edit", "tool_call": "c\x1b"}, ["Edit  1.5 s  c\\x1b"]),
        ({"tool": "ls", "tool_call": "c", "depth": 1}, ["  ls  1.5 s"]),
        (
            {"tool": "ls", "tool_call": "c", "depth": 1, "paths": [{"path": "a"}]},
            ["  ls  1.5 s  c", "    a"],
        ),
    ],
)
def test_a_call_is_named_once_with_time_outcome_and_files(
    call: dict[str, Any], shown: list[str]
) -> None:
    """With the id that ``--call`` takes, where that can be about something.

    A traced command is its own tool; one that only covers shows what nobody inside it did.
    """
    assert _lines({"started": 10.0, "finished": 11.5, "outcome": "ok", **call}) == shown
