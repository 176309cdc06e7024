"""Names of turns and tool calls: whose they are, and when that is not known."""

from __future__ import annotations

from typing import Any

import pytest

from agentdiff.core.entries import File
from agentdiff.core.events import Selection
from agentdiff.core.scoping import pinned, turn_named
from tests.play import Play

REMEDY = "name the session or the agent, too"


@pytest.fixture
def play() -> Play:
    """Three sessions with a turn ``1``; the second turn of the first one is the fourth of all."""
    found = Play()
    for agent, session in (("claude", "A"), ("codex", "B"), ("codex", "C")):
        found.prompt(agent, session, turn="1")
        found.run(agent, session, {session.encode(): File(data=b"x\n")})
    found.prompt("claude", "A", turn="t")
    return found


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({"turn": "t"}, ("claude", "A", "t")),
        ({"turn": "4"}, ("claude", "A", "t")),
        ({"turn": "3"}, ("codex", "C", "1")),
        ({"turn": "1", "agent": "claude"}, ("claude", "A", "1")),
        ({"turn": "1", "session": "B"}, ("codex", "B", "1")),
        ({"agent": "codex"}, ("codex", None, None)),
        ({}, (None, None, None)),
    ],
)
def test_a_turn_is_pinned_to_its_session(
    play: Play, given: dict[str, str], meant: tuple[str | None, ...]
) -> None:
    """By its id, or by its number in the workspace; once more, it is the same."""
    found = pinned(play.ledger.sessions, Selection(**given))  # type: ignore[arg-type]
    assert isinstance(found, Selection)
    assert (found.agent, found.session, found.turn) == meant
    assert pinned(play.ledger.sessions, found) == found


def test_an_id_goes_before_a_number(play: Play) -> None:
    """Programs send ids: the second turn of a session may have the id of another's number."""
    play.prompt("claude", "A", turn="4")
    found = turn_named(play.ledger.sessions, "4", "claude", "A")
    assert not isinstance(found, str)
    assert (found.id, found.n) == ("4", 5)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (
            {"turn": "1"},
            "turn: '1' may be that of claude A, codex B, codex C: " + REMEDY,
        ),
        (
            {"turn": "1", "agent": "codex"},
            "turn: '1' may be that of codex B, codex C: " + REMEDY,
        ),
        ({"turn": "9"}, "turn: no turn '9' here: see `agentdiff log`"),
        (
            {"turn": "4", "agent": "codex"},
            "turn: no turn '4' of codex here: see `agentdiff log`",
        ),
        ({"calls": ("nope",)}, "call: no tool call 'nope' here: see `agentdiff log`"),
        (
            {"calls": ("claude-1",), "session": "B"},
            "call: no tool call 'claude-1' of B here: see `agentdiff log`",
        ),
        (
            {"calls": ("claude-1",), "turn": "t"},
            "call: no tool call 'claude-1' in that turn of claude A: see `agentdiff log`",
        ),
    ],
)
def test_what_cannot_be_meant_is_said(play: Play, given: dict[str, Any], why: str) -> None:
    """With the remedy; whose it may be is named."""
    assert pinned(play.ledger.sessions, Selection(**given)) == why


def test_a_call_of_two_sessions_is_ambiguous(play: Play) -> None:
    """Ids are an agent's own."""
    play.calls = 0
    play.prompt("claude", "D")
    play.run("claude", "D", {b"D": File(data=b"x\n")})
    why = "call: 'claude-1' may be that of claude A, claude D: " + REMEDY
    assert pinned(play.ledger.sessions, Selection(calls=("claude-1",))) == why
    found = pinned(play.ledger.sessions, Selection(calls=("claude-1",), session="D"))
    assert isinstance(found, Selection)
    assert (found.agent, found.session, found.calls) == ("claude", "D", ("claude-1",))
