"""Owners: which filter they fall under, and what proves a write."""

from __future__ import annotations

import pytest

from agentdiff.core.owners import EXTERNAL, USER, Owner, unique

CALL = Owner(kind="agent", evidence="exact", agent="claude", session="s", turn="t", tool_call="c")
SHARED = Owner(kind="shared", evidence="shared", among=("s", "r"))
GIT = Owner(kind="git", evidence="exact")


@pytest.mark.parametrize(
    ("owner", "proved"),
    [(CALL, False), (SHARED, False), (EXTERNAL, False), (USER, True), (GIT, True)],
)
def test_only_user_and_git_prove_a_write(owner: Owner, proved: bool) -> None:
    """Nobody else moves the base."""
    assert owner.proved is proved


@pytest.mark.parametrize(
    ("owner", "agent", "session", "turn", "matches"),
    [
        (CALL, None, None, None, True),
        (CALL, "claude", None, None, True),
        (CALL, "codex", None, None, False),
        (CALL, None, "s", None, True),
        (CALL, None, "r", None, False),
        (CALL, "claude", "s", "t", True),
        (CALL, "claude", "s", "u", False),
        (SHARED, None, "r", None, True),
        (SHARED, None, "q", None, False),
        (EXTERNAL, "claude", None, None, False),
        (USER, None, None, None, True),
    ],
)
def test_filters_restrict_by_every_field_that_is_given(
    owner: Owner, agent: str | None, session: str | None, turn: str | None, matches: bool
) -> None:
    """None matches everything; a shared owner belongs to each of its sessions."""
    assert owner.matches(agent=agent, session=session, turn=turn) is matches


def test_unique_keeps_the_order_of_first_appearance() -> None:
    """Whoever wrote first is named first."""
    assert unique([USER, CALL, USER, EXTERNAL, CALL]) == (USER, CALL, EXTERNAL)
