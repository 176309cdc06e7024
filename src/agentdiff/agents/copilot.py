"""GitHub Copilot CLI's hook payloads as normalised events.

Owns what Copilot CLI's fields mean.  Must not keep state between payloads.  Hop 2.

Seen in Copilot CLI 1.0.102; a docstring below names the recording of each fact, in
``tests/golden/copilot/<version>/``.  The hooks are registered by the names of Claude Code, and then
the fields are Claude Code's as well, nearly: a call has no id (see `agentdiff.agents.gemini`), the
calls of one message overlap, and a subagent is a session of its own that names its parent
(pre_tool_use.Write.subagent).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from agentdiff.agents.calls import Base, Call, Tools, edits, patches, writes
from agentdiff.agents.fields import Fields, decode, derived_id
from agentdiff.core import events
from agentdiff.core.events import AgentEvent, Outcome

# fmt: off
_READ_ONLY: Final = frozenset({
    "Agent", "AskUser", "Glob", "Grep", "Read", "Skill", "WebFetch", "WebSearch", "ask_user",
    "fetch_copilot_cli_documentation", "list_agents", "list_bash", "read_agent", "read_bash",
    "report_intent", "session_store_sql", "sql", "stop_bash", "update_todo", "web_fetch",
    "web_search", "write_agent",
})
# fmt: on
_TOOLS: Final = Tools(
    targets={
        "Edit": edits("path", "old_str", "new_str"),
        "Write": writes("path", "file_text"),
        "apply_patch": patches("input"),
    },
    shells=frozenset({"Bash"}),
    read_only=_READ_ONLY,
)
"""pre_tool_use.*: the tools that Claude Code has as well go by its names, the rest by their own."""

_BACKGROUND: Final = re.compile(r"<command started in background with shellId: (\S+)>")
_EXIT_CODE: Final = re.compile(r"<shellId: \S+ completed with exit code (-?\d+)>\Z")


def parse(payload: bytes, received_ns: int) -> tuple[AgentEvent, ...]:
    """Returns what one hook payload of Copilot CLI says; empty for events that we do not follow.

    Args:
        payload: one JSON object, as Copilot CLI writes it to a hook's stdin.
        received_ns: wall clock of the receiving source, in nanoseconds.

    Raises:
        MalformedPayload: a field that Copilot CLI always sends is missing or of another type.
    """
    hook = decode(payload)
    # Some events keep other names of their fields, this one included: permission_request,
    # subagent_start.
    handler = _EVENTS.get(hook.optional_str("hook_event_name") or "")
    return () if handler is None else handler(hook, _base(hook, received_ns))


def _base(hook: Fields, received_ns: int) -> Base:
    """notification.shell_completed has ``sessionId`` and ``hook_event_name``, nobody knows why."""
    session = hook.optional_str("session_id") or hook.required_str("sessionId")
    subagent = hook.optional_str("agent_id") or None
    return Base(
        agent="copilot",
        session=hook.optional_str("parent_agent_id") or session,
        turn=None,
        subagent=subagent,
        cwd=hook.optional_path("cwd", cwd=None),
        received_ns=received_ns,
    )


def _derived(hook: Fields, base: Base, *parts: object) -> str:
    """The hook's time tells equal calls apart; two installations get the same time."""
    when = hook.value.get("timestamp")
    return derived_id(base["session"], base["subagent"], when, *parts)


def _call(hook: Fields, base: Base) -> Call:
    tool, given = hook.required_str("tool_name"), hook.child("tool_input")
    identity = _derived(hook, base, tool, given.value)
    return _TOOLS.call(identity, tool, given, base["cwd"])


def _tool_succeeded(hook: Fields, base: Base) -> tuple[AgentEvent, ...]:
    """post_tool_use.Bash.{exit,background}: Copilot CLI calls a command that failed a success."""
    said = hook.child("tool_result").optional_str("text_result_for_llm") or ""
    background, code = _BACKGROUND.fullmatch(said), _EXIT_CODE.search(said)
    outcome: Outcome = "error" if code is not None and code[1] != "0" else "ok"
    finished = events.ToolFinished(
        **base,
        **_call(hook, base),
        outcome=outcome,
        unnamed=True,
        background_task=background[1] if background else None,
    )
    return (finished,)


def _tool_failed(hook: Fields, base: Base) -> tuple[AgentEvent, ...]:
    """post_tool_use_failure.Edit."""
    error = hook.optional_str("error")
    call = _call(hook, base)
    return (events.ToolFinished(**base, **call, outcome="error", unnamed=True, error=error),)


def _prompt_submitted(hook: Fields, base: Base) -> tuple[AgentEvent, ...]:
    """user_prompt_submit.subagent is a task, user_prompt_submit.system_notification no prompt."""
    if base["subagent"] is not None:
        return (events.SubagentStarted(**base, name=hook.optional_str("agent_type") or ""),)
    prompt = hook.optional_str("prompt") or ""
    base["turn"] = _derived(hook, base, "turn")
    by_user = not prompt.startswith("<system_notification>")
    return (events.PromptSubmitted(**base, prompt=prompt, by_user=by_user),)


def _stopped(hook: Fields, base: Base) -> tuple[AgentEvent, ...]:
    """stop.subagent does not end the turn."""
    if base["subagent"] is not None:
        return (events.SubagentFinished(**base, name=hook.optional_str("agent_type") or ""),)
    return (events.TurnEnded(**base),)


_EVENTS: Final[Mapping[str, Callable[[Fields, Base], tuple[AgentEvent, ...]]]] = {
    "SessionStart": lambda hook, base: (
        events.SessionStarted(**base, reason=hook.optional_str("source") or ""),
    ),
    "UserPromptSubmit": _prompt_submitted,
    "PreToolUse": lambda hook, base: (events.ToolStarted(**base, **_call(hook, base)),),
    "PostToolUse": _tool_succeeded,
    "PostToolUseFailure": _tool_failed,
    "Notification": lambda hook, base: (
        events.Notified(
            **base,
            kind=hook.optional_str("notification_type") or "",
            message=hook.optional_str("message") or "",
        ),
    ),
    "Stop": _stopped,
    "SessionEnd": lambda hook, base: (
        events.SessionEnded(**base, reason=hook.optional_str("reason") or ""),
    ),
}
