"""What a hook prints, so that the agent's model reads it."""

import json

import pytest

from agentdiff.agents import answers
from agentdiff.core.events import AgentEvent, PromptSubmitted, SessionStarted, ToolStarted


def _prompt(agent: str, **given: object) -> PromptSubmitted:
    return PromptSubmitted(agent=agent, session="s", **given)


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("claude", "UserPromptSubmit"),
        ("codex", "UserPromptSubmit"),
        ("gemini", "BeforeAgent"),
        ("opencode", "chat.message"),
        ("qwen", "UserPromptSubmit"),
    ],
)
def test_most_agents_want_an_envelope_that_names_the_event(agent: str, name: str) -> None:
    """Each under its own name of the event."""
    assert answers.can_tell(_prompt(agent))
    assert json.loads(answers.envelope(_prompt(agent), "é\n")) == {
        "hookSpecificOutput": {"hookEventName": name, "additionalContext": "é\n"}
    }


def test_copilot_wants_none() -> None:
    """It reads the top of the object."""
    assert json.loads(answers.envelope(_prompt("copilot"), "x")) == {"additionalContext": "x"}


@pytest.mark.parametrize("agent", ["claude", "codex", "copilot", "gemini", "qwen"])
def test_a_session_can_begin_with_it(agent: str) -> None:
    """What waits from an earlier session is told at the start of the next."""
    assert answers.can_tell(SessionStarted(agent=agent, session="s"))


@pytest.mark.parametrize(
    "event",
    [
        _prompt("run"),
        _prompt("claude", subagent="a"),
        _prompt("copilot", by_user=False),
        SessionStarted(agent="opencode", session="s"),
        ToolStarted(agent="gemini", session="s", tool_call="c", tool="t", scope="none"),
    ],
)
def test_nothing_is_printed_where_nobody_reads_it(event: AgentEvent) -> None:
    """It might be shown to the user as an error, or be lost."""
    assert not answers.can_tell(event)
