"""The table of known agents."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentdiff.agents import registry
from agentdiff.core.events import AgentEvent
from agentdiff.errors import MalformedPayload

KEYS = st.sampled_from(
    [
        *("session_id", "cwd", "prompt_id", "agent_id", "tool_name", "tool_input", "tool_use_id"),
        *("tool_response", "tool_calls", "prompt", "background_tasks", "new_cwd", "old_cwd"),
        *("error", "is_interrupt", "notification_type", "message", "reason", "source"),
    ]
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["/a", "a", "\udcff", "\ud800", "a\0", "Bash", "Edit", "Write", "true"]),
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(
            st.sampled_from(["file_path", "content", "command", "old_string", "id"]), below
        )
    ),
    max_leaves=8,
)
EVENTS = st.sampled_from(
    [
        *("SessionStart", "UserPromptSubmit", "PreToolUse", "PermissionRequest", "PostToolUse"),
        *("PostToolUseFailure", "PostToolBatch", "SubagentStart", "SubagentStop", "CwdChanged"),
        *("Notification", "Stop", "SessionEnd", "SomethingNew"),
    ]
)


def _outcome(agent: str, payload: bytes) -> bool:
    try:
        events = registry.parse(agent, payload, 1)
    except MalformedPayload:
        return True
    return all(isinstance(event, AgentEvent) for event in events)


def test_an_unknown_agent_names_the_known_ones() -> None:
    """A wrong name on the hook command line is answered with the right ones."""
    with pytest.raises(MalformedPayload, match=r"unknown agent 'clude', known are: .*claude"):
        registry.parse("clude", b"{}", 1)


@pytest.mark.parametrize("agent", sorted(registry.PARSERS))
@given(event=EVENTS, hook=st.dictionaries(KEYS, JSON))
def test_any_json_is_events_or_malformed(agent: str, event: str, hook: dict[str, object]) -> None:
    """Any JSON in the fields of a hook becomes events or `MalformedPayload`, and nothing else."""
    payload = {"session_id": "s", **hook, "hook_event_name": event}
    assert _outcome(agent, json.dumps(payload).encode())
