"""Selections: whose changes fall under one, possibly and surely."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agentdiff.core.events import Selection
from agentdiff.core.owners import EXTERNAL, USER, Owner

CALL = Owner(kind="agent", evidence="exact", agent="claude", session="s", turn="t", tool_call="c")
NEXT = replace(CALL, turn="u", tool_call="d")
OTHER = Owner(kind="agent", evidence="exact", agent="codex", session="r", turn="t", tool_call="c")
SECOND = replace(CALL, session="q")
SHARED = Owner(kind="shared", evidence="shared", among=(CALL, OTHER))
BOTH_CLAUDE = Owner(kind="shared", evidence="shared", among=(CALL, SECOND))
PARALLEL = replace(NEXT, evidence="shared", among=(CALL, NEXT))


@pytest.mark.parametrize(
    ("restricted", "owner", "meets", "covers"),
    [
        ({}, CALL, True, True),
        ({}, USER, True, True),
        ({"agent": "claude"}, CALL, True, True),
        ({"agent": "codex"}, CALL, False, False),
        ({"agent": "claude"}, EXTERNAL, False, False),
        ({"session": "s"}, CALL, True, True),
        ({"session": "r"}, CALL, False, False),
        ({"agent": "claude", "session": "s", "turn": "t"}, CALL, True, True),
        ({"agent": "claude", "session": "s", "turn": "u"}, CALL, False, False),
        ({"calls": ("c",)}, CALL, True, True),
        ({"calls": ("d", "c")}, CALL, True, True),
        ({"calls": ("d",)}, CALL, False, False),
        ({"session": "s", "calls": ("c",)}, OTHER, False, False),
        ({"agent": "codex"}, SHARED, True, False),
        ({"session": "s"}, SHARED, True, False),
        ({"session": "q"}, SHARED, False, False),
        ({"agent": "claude"}, BOTH_CLAUDE, True, True),
        ({"turn": "t"}, SHARED, True, True),
        ({"session": "s"}, PARALLEL, True, True),
        ({"turn": "t"}, PARALLEL, True, False),
        ({"calls": ("d",)}, PARALLEL, True, False),
        ({"calls": ("c", "d")}, PARALLEL, True, True),
    ],
)
def test_every_restriction_that_is_given_counts(
    restricted: dict[str, Any], owner: Owner, meets: bool, covers: bool
) -> None:
    """Of an owner that may be one of several, each of them is asked."""
    selection = Selection(everything=True, **restricted)
    assert (selection.meets(owner), selection.covers(owner)) == (meets, covers)
    assert selection.by_owner is bool(restricted)
