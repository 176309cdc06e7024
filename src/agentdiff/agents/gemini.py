"""Gemini CLI's hook payloads as normalised events.

Owns what Gemini CLI's fields mean.  Must not keep state between payloads.  Hop 2.

Seen in Gemini CLI 0.61.0; a docstring below names the recording of each fact, in
``tests/golden/gemini/<version>/``.  A call has no id: ours is derived from the start, and a finish
is paired with the oldest open call of the same arguments (`ToolFinished.unnamed`).  Calls come one
after the other; those of a subagent cannot be told from the main agent's.  Nothing is sent when the
user rejects a call or presses Esc, not even the end of the turn: the next ``BeforeAgent`` is the
first sign (before_agent.after_reject).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from agentdiff.agents.calls import Base, Call, Tools, edits, writes
from agentdiff.agents.fields import Fields, decode, derived_id
from agentdiff.core import events
from agentdiff.core.events import AgentEvent, Outcome

# fmt: off
_READ_ONLY: Final = frozenset({
    "activate_skill", "ask_user", "codebase_investigator", "complete_task", "enter_plan_mode",
    "exit_plan_mode", "glob", "google_web_search", "grep_search", "invoke_agent",
    "list_background_processes", "list_directory", "read_background_output", "read_file",
    "read_many_files", "search_file_content", "update_topic", "web_fetch", "write_todos",
})
# fmt: on
_TOOLS: Final = Tools(
    targets={
        "replace": edits("file_path", "old_string", "new_string", "allow_multiple"),
        "write_file": writes("file_path", "content"),
    },
    shells=frozenset({"run_shell_command"}),
    read_only=_READ_ONLY,
    starts_in_cwd=True,
    folder="dir_path",
)
"""before_tool.*; a path may be relative (before_tool.write_file.relative).  The schema of
``run_shell_command`` in the bundle names ``dir_path``; without it the command starts in the cwd."""

_BACKGROUND: Final = re.compile(r"Command moved to background \(PID: (\d+)\)")
_EXIT_CODE: Final = re.compile(r"Command exited with code: (-?\d+)")


def parse(payload: bytes, received_ns: int) -> tuple[AgentEvent, ...]:
    """Returns what one hook payload of Gemini CLI says; empty for events that we do not follow.

    Args:
        payload: one JSON object, as Gemini CLI writes it to a hook's stdin.
        received_ns: wall clock of the receiving source, in nanoseconds.

    Raises:
        MalformedPayload: a field that Gemini CLI always sends is missing or of another type.
    """
    hook = decode(payload)
    handler = _EVENTS.get(hook.required_str("hook_event_name"))
    return () if handler is None else handler(hook, _base(hook, received_ns))


def _base(hook: Fields, received_ns: int) -> Base:
    return Base(
        agent="gemini",
        session=hook.required_str("session_id"),
        turn=None,
        subagent=None,
        cwd=hook.optional_path("cwd", cwd=None),
        received_ns=received_ns,
    )


def _derived(hook: Fields, base: Base, *parts: object) -> str:
    """The hook's time tells equal calls apart; two installations get the same time."""
    return derived_id(base["session"], hook.optional_str("timestamp"), *parts)


def _call(hook: Fields, base: Base) -> Call:
    tool, given = hook.required_str("tool_name"), hook.child("tool_input")
    identity = _derived(hook, base, tool, given.value)
    return _TOOLS.call(identity, tool, given, base["cwd"])


def _tool_started(hook: Fields, base: Base) -> tuple[AgentEvent, ...]:
    return (events.ToolStarted(**base, **_call(hook, base)),)


def _tool_finished(hook: Fields, base: Base) -> tuple[AgentEvent, ...]:
    """after_tool.replace.error, after_tool.run_shell_command.{exit,background}."""
    response = hook.child("tool_response")
    shown = response.value.get("returnDisplay")
    said = shown if isinstance(shown, str) else ""
    background = _BACKGROUND.match(said)
    failed = response.value.get("error") is not None or _EXIT_CODE.fullmatch(said) is not None
    outcome: Outcome = "error" if failed else "ok"
    finished = events.ToolFinished(
        **base,
        **_call(hook, base),
        outcome=outcome,
        unnamed=True,
        background_task=background[1] if background else None,
        error=_error(response) if failed else None,
    )
    return (finished,)


def _error(response: Fields) -> str | None:
    """The object ``error`` has a message; a failed command has only what is shown."""
    error = response.value.get("error")
    if isinstance(error, dict):
        return Fields(error, "tool_response.error").optional_str("message")
    return str(response.value.get("returnDisplay"))


def _prompt_submitted(hook: Fields, base: Base) -> tuple[AgentEvent, ...]:
    """before_agent: a turn has no id either."""
    base["turn"] = _derived(hook, base, "turn")
    return (events.PromptSubmitted(**base, prompt=hook.optional_str("prompt") or ""),)


def _notified(hook: Fields, base: Base) -> tuple[AgentEvent, ...]:
    """notification.tool_permission: the dialogue is on the screen."""
    kind, message = hook.optional_str("notification_type"), hook.optional_str("message")
    if kind == "ToolPermission":
        title = hook.child("details").optional_str("title")
        return (events.PermissionRequested(**base, tool=title or ""),)
    return (events.Notified(**base, kind=kind or "", message=message or ""),)


_EVENTS: Final[Mapping[str, Callable[[Fields, Base], tuple[AgentEvent, ...]]]] = {
    "SessionStart": lambda hook, base: (
        events.SessionStarted(**base, reason=hook.optional_str("source") or ""),
    ),
    "BeforeAgent": _prompt_submitted,
    "BeforeTool": _tool_started,
    "AfterTool": _tool_finished,
    "AfterAgent": lambda _hook, base: (events.TurnEnded(**base),),
    "Notification": _notified,
    "SessionEnd": lambda hook, base: (
        events.SessionEnded(**base, reason=hook.optional_str("reason") or ""),
    ),
}
