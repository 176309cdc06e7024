"""Codex where no recording shows what must happen; the rest is in tests/golden."""

import json
from typing import Any

import pytest

from agentdiff.agents import codex
from agentdiff.core.events import AgentEvent, ToolFinished, ToolStarted, TurnEnded
from agentdiff.errors import MalformedPayload


def _parse(event: str, **given: object) -> Any:
    hook = {"session_id": "s", "turn_id": "t", "cwd": "/ws", "hook_event_name": event, **given}
    (parsed,) = codex.parse(json.dumps(hook).encode(), 5)
    assert isinstance(parsed, AgentEvent)
    return parsed


def _started(tool: str, **given: object) -> ToolStarted:
    event = _parse("PreToolUse", tool_name=tool, tool_input=given, tool_use_id="c")
    assert isinstance(event, ToolStarted)
    return event


@pytest.mark.parametrize("event", ["PreCompact", "PostCompact", "OfALaterVersion"])
def test_an_event_that_says_nothing_for_us_is_nothing(event: str) -> None:
    """Events that we do not follow, or do not know, are no error."""
    payload = {"session_id": "s", "hook_event_name": event}
    assert codex.parse(json.dumps(payload).encode(), 1) == ()


@pytest.mark.parametrize(
    ("tool", "scope"),
    [
        ("Bash", "tree"),
        ("mcp__files__write", "tree"),
        ("write_stdin", "tree"),
        ("ToolOfTomorrow", "tree"),
        ("spawn_agent", "none"),
        ("collaborationwait_agent", "none"),
        ("update_plan", "none"),
    ],
)
def test_only_tools_known_to_write_nothing_are_narrowed(tool: str, scope: str) -> None:
    """A tool that we do not know may change anything."""
    assert _started(tool).scope == scope


def test_a_patch_that_makes_no_sense_may_change_anything() -> None:
    """The patch language may grow: a text that we cannot read narrows nothing."""
    call = _started("apply_patch", command="*** Begin Patch\n*** Copy File: a\n*** End Patch\n")
    assert (call.scope, call.targets) == ("tree", ())


def test_without_an_id_equal_calls_are_one_call() -> None:
    """The same call without an id has the same derived id at its end."""
    hook = {"tool_name": "Bash", "tool_input": {"command": "true"}}
    names = {_parse(event, **hook).tool_call for event in ("PreToolUse", "PostToolUse")}
    assert len(names) == 1


@pytest.mark.parametrize("answer", ["", "Exit code: 1\n", None, 5, {"content": []}, ["x"]])
def test_an_answer_that_claims_no_success_is_unknown(answer: object) -> None:
    """Only the patch tool says that it succeeded."""
    event = _parse(
        "PostToolUse", tool_name="x", tool_input={}, tool_use_id="c", tool_response=answer
    )
    assert isinstance(event, ToolFinished)
    assert event.outcome == "unknown"


def test_a_subagent_acts_in_the_turn_of_the_session() -> None:
    """Its own turn id is left out: the prompt that counts is the user's."""
    event = _parse("PreToolUse", agent_id="a", tool_name="Bash", tool_input={}, tool_use_id="c")
    assert (event.subagent, event.turn) == ("a", None)


def test_esc_ends_the_turn() -> None:
    """After ``Interrupt`` there is no ``Stop``."""
    assert isinstance(_parse("Interrupt"), TurnEnded)


@pytest.mark.parametrize(
    "hook",
    [
        {"hook_event_name": "Stop"},
        {"session_id": "s"},
        {"session_id": "s", "hook_event_name": "PreToolUse"},
        {"session_id": "s", "hook_event_name": "PreToolUse", "tool_name": 5},
        {"session_id": "s", "hook_event_name": "PreToolUse", "tool_name": "x", "tool_input": []},
        {"session_id": "s", "hook_event_name": "Stop", "cwd": "relative"},
    ],
)
def test_a_broken_promise_is_malformed(hook: dict[str, object]) -> None:
    """What Codex always sends, and does not send here, is named."""
    with pytest.raises(MalformedPayload):
        codex.parse(json.dumps(hook).encode(), 1)
