"""Claude Code where no recording shows what must happen; the rest is in tests/golden."""

import json
from typing import Any

import pytest

from agentdiff.agents import claude
from agentdiff.core.events import (
    AgentEvent,
    CwdChanged,
    Target,
    ToolBatchFinished,
    ToolFinished,
    ToolStarted,
    TurnEnded,
)
from agentdiff.errors import MalformedPayload


def _parse(event: str, **given: object) -> Any:
    hook = {"session_id": "s", "cwd": "/ws", "hook_event_name": event, **given}
    (parsed,) = claude.parse(json.dumps(hook).encode(), 5)
    assert isinstance(parsed, AgentEvent)
    return parsed


def _started(tool: str, **given: object) -> ToolStarted:
    event = _parse("PreToolUse", tool_name=tool, tool_input=given, tool_use_id="t")
    assert isinstance(event, ToolStarted)
    return event


def test_an_event_of_a_later_version_is_nothing() -> None:
    """Events that we do not know are no error: a new version may add some."""
    payload = b'{"session_id":"s","hook_event_name":"DirectoryAdded"}'
    assert claude.parse(payload, 1) == ()


@pytest.mark.parametrize(
    ("tool", "scope"),
    [
        ("Bash", "tree"),
        ("mcp__files__write", "tree"),
        ("ToolOfTomorrow", "tree"),
        ("Read", "none"),
        ("Agent", "none"),
        ("TodoWrite", "none"),
    ],
)
def test_only_tools_known_to_write_nothing_are_narrowed(tool: str, scope: str) -> None:
    """A tool that we do not know may change anything."""
    assert _started(tool).scope == scope


def test_an_edit_announces_both_texts() -> None:
    """An Edit has the exact bytes that it replaces, and whether everywhere."""
    given = {"file_path": "ä.txt", "old_string": "ü\r\n", "new_string": "", "replace_all": "true"}
    assert _started("Edit", **given).targets == (
        Target(
            path="/ws/ä.txt".encode(),
            action="edit",
            old_text="ü\r\n".encode(),
            new_text=b"",
            replace_all=True,
        ),
    )


def test_a_command_is_only_taken_from_bash() -> None:
    """An MCP tool's argument with the name ``command`` is not a shell command."""
    assert _started("mcp__x__run", command="make").command is None


def test_start_and_finish_without_an_id_belong_together() -> None:
    """A call without ``tool_use_id`` has one derived id at its start, its end and its batch."""
    call = {"tool_name": "Bash", "tool_input": {"command": "a"}}
    started, finished = _parse("PreToolUse", **call), _parse("PostToolUse", **call)
    batch = _parse("PostToolBatch", tool_calls=[call])
    assert isinstance(batch, ToolBatchFinished)
    assert batch.tool_calls == (started.tool_call,) == (finished.tool_call,)


@pytest.mark.parametrize(
    ("event", "given", "outcome"),
    [
        ("PostToolUse", {"tool_response": {"interrupted": False}}, "ok"),
        ("PostToolUse", {"tool_response": {"interrupted": True}}, "interrupted"),
        ("PostToolUse", {"tool_response": "done"}, "ok"),
        ("PostToolUse", {"tool_response": [{"type": "text", "text": "done"}]}, "ok"),
        ("PostToolUse", {}, "ok"),
        ("PostToolUseFailure", {"error": "no"}, "error"),
        ("PostToolUseFailure", {"error": "no", "is_interrupt": True}, "interrupted"),
    ],
)
def test_outcome_of_a_call(event: str, given: dict[str, object], outcome: str) -> None:
    """An interrupted call is told from one that failed, whatever shape the response has."""
    finished = _parse(event, tool_name="Bash", tool_use_id="t", tool_input={}, **given)
    assert isinstance(finished, ToolFinished)
    assert finished.outcome == outcome


@pytest.mark.parametrize("foreign", ["no boolean", True])
def test_the_answer_of_another_tool_than_bash_says_nothing_of_the_call(foreign: object) -> None:
    """An MCP tool may use the same names for what it likes; the call has ended all the same."""
    answer = {"interrupted": foreign, "backgroundTaskId": 7, "bashEditDiff": [foreign]}
    call = {"tool_name": "mcp__timer__state", "tool_use_id": "t", "tool_input": {}}
    finished = _parse("PostToolUse", **call, tool_response=answer)
    assert isinstance(finished, ToolFinished)
    assert (finished.outcome, finished.background_task, finished.edits) == ("ok", None, ())


def test_a_turn_ends_with_its_background_jobs() -> None:
    """The ids of what still runs are kept, entries without one are not."""
    tasks = [{"id": "b1", "status": "running"}, {"status": "running"}]
    event = _parse("Stop", background_tasks=tasks)
    assert isinstance(event, TurnEnded)
    assert event.background == ("b1",)


def test_a_changed_cwd_is_the_cwd_of_its_event() -> None:
    """The folder a session moved to is the event's cwd even if the payload's own lags behind."""
    event = _parse("CwdChanged", old_cwd="/ws", new_cwd="/ws/sub")
    assert isinstance(event, CwdChanged)
    assert (event.old_cwd, event.cwd) == (b"/ws", b"/ws/sub")


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"session_id": None}, "session_id"),
        ({"session_id": 3}, "session_id"),
        ({"cwd": "relative"}, "cwd"),
        ({"tool_name": None}, "tool_name"),
        ({"tool_input": "{}"}, "tool_input"),
        ({"tool_input": {}}, "tool_input.file_path"),
        ({"tool_input": {"file_path": "/a", "old_string": 1}}, "tool_input.old_string"),
    ],
)
def test_a_broken_promise_names_its_field(given: dict[str, object], field: str) -> None:
    """What Claude Code always sends and did not is malformed, and the field is named."""
    good = {"tool_name": "Edit", "tool_input": {"file_path": "/a"}, "tool_use_id": "t"}
    with pytest.raises(MalformedPayload) as caught:
        _parse("PreToolUse", **{**good, **given})
    assert caught.value.field == field
