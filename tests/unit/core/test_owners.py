"""Owners: who may be meant by one, and what proves a write."""

from __future__ import annotations

import pytest

from agentdiff.core.owners import EXTERNAL, USER, Owner, unique

CALL = Owner(kind="agent", evidence="exact", agent="claude", session="s", turn="t", tool_call="c")
OTHER = Owner(kind="agent", evidence="shared", agent="codex", session="r", tool_call="d")
SHARED = Owner(kind="shared", evidence="shared", among=(CALL, OTHER))
GIT = Owner(kind="git", evidence="exact")


@pytest.mark.parametrize(
    ("owner", "proved"),
    [(CALL, False), (SHARED, False), (EXTERNAL, False), (USER, True), (GIT, True)],
)
def test_only_user_and_git_prove_a_write(owner: Owner, proved: bool) -> None:
    """Nobody else moves the base."""
    assert owner.proved is proved


@pytest.mark.parametrize(
    ("owner", "possible"), [(CALL, (CALL,)), (SHARED, (CALL, OTHER)), (EXTERNAL, (EXTERNAL,))]
)
def test_everybody_who_may_have_written_it(owner: Owner, possible: tuple[Owner, ...]) -> None:
    """An owner is itself, where that is known."""
    assert owner.possible == possible


def test_unique_keeps_the_order_of_first_appearance() -> None:
    """Whoever wrote first is named first."""
    assert unique([USER, CALL, USER, EXTERNAL, CALL]) == (USER, CALL, EXTERNAL)
