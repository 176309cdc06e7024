"""Qwen Code's hook payloads as normalised events.

Owns what Qwen Code's fields mean.  Must not keep state between payloads.  Hop 2.

Seen in Qwen Code 0.24.4; a docstring below names the recording of each fact, in
``tests/golden/qwen/<version>/``.  Events and fields are those of Claude Code, tools those of
Gemini CLI.  A call has two ids: ``tool_call_id`` is the model's, the same at start, finish and
batch; ``tool_use_id`` is another one in the batch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from agentdiff.agents.calls import Base, Call, Tools, changes, edits, writes
from agentdiff.agents.fields import Fields, decode, derived_id
from agentdiff.core import events
from agentdiff.core.events import AgentEvent

# fmt: off
_READ_ONLY: Final = frozenset({
    "agent", "ask_user_question", "exit_plan_mode", "get_goal", "glob", "grep_search",
    "list_agents", "list_directory", "read_file", "read_many_files", "skill", "task", "todo_write",
    "tool_search", "update_goal", "web_fetch", "web_search",
})
# fmt: on
_TOOLS: Final = Tools(
    targets={
        "edit": edits("file_path", "old_string", "new_string", "replace_all"),
        "write_file": writes("file_path", "content"),
        "notebook_edit": changes("notebook_path"),
    },
    shells=frozenset({"run_shell_command"}),
    read_only=_READ_ONLY,
    starts_in_cwd=True,
    folder="directory",
)
"""pre_tool_use.*; ``agent`` starts a subagent, whose calls arrive with its ``agent_id``.  The
schema of ``run_shell_command`` in the bundle names ``directory``; without it the command starts in
the project's root, which is the cwd."""

_BACKGROUND: Final = re.compile(r"Background shell started\.\nid: (\S+)\n")


def parse(payload: bytes, received_ns: int) -> tuple[AgentEvent, ...]:
    """Returns what one hook payload of Qwen Code says; empty for events that we do not follow.

    Args:
        payload: one JSON object, as Qwen Code writes it to a hook's stdin.
        received_ns: wall clock of the receiving source, in nanoseconds.

    Raises:
        MalformedPayload: a field that Qwen Code always sends is missing or of another type.
    """
    hook = decode(payload)
    handler = _EVENTS.get(hook.required_str("hook_event_name"))
    return () if handler is None else handler(hook, _base(hook, received_ns))


def _base(hook: Fields, received_ns: int) -> Base:
    return Base(
        agent="qwen",
        session=hook.required_str("session_id"),
        turn=hook.optional_str("prompt_id") or None,
        subagent=hook.optional_str("agent_id") or None,
        cwd=hook.optional_path("cwd", cwd=None),
        received_ns=received_ns,
    )


def _call(hook: Fields, base: Base) -> Call:
    tool, given = hook.required_str("tool_name"), hook.child("tool_input")
    return _TOOLS.call(_call_id(hook, base), tool, given, base["cwd"])


def _call_id(hook: Fields, base: Base) -> str:
    """pre_tool_use.edit against post_tool_batch."""
    call = (hook.value.get("tool_name"), hook.value.get("tool_input"))
    given = hook.optional_str("tool_call_id") or hook.optional_str("tool_use_id")
    return given or derived_id(base["session"], base["subagent"], *call)


def _tool_succeeded(hook: Fields, base: Base) -> tuple[AgentEvent, ...]:
    """post_tool_use.run_shell_command.background."""
    said = hook.child("tool_response").value.get("llmContent")
    background = _BACKGROUND.match(said) if isinstance(said, str) else None
    finished = events.ToolFinished(
        **base,
        **_call(hook, base),
        outcome="ok",
        background_task=background[1] if background else None,
    )
    return (finished,)


def _tool_failed(hook: Fields, base: Base) -> tuple[AgentEvent, ...]:
    """post_tool_use_failure.run_shell_command: it may have written all the same."""
    finished = events.ToolFinished(
        **base,
        **_call(hook, base),
        outcome="interrupted" if hook.optional_bool("is_interrupt") else "error",
        error=hook.optional_str("error"),
    )
    return (finished,)


def _batch_finished(hook: Fields, base: Base) -> tuple[AgentEvent, ...]:
    """post_tool_batch.unknown_tool is the only sign of a call that never started."""
    calls = tuple(_call_id(call, base) for call in hook.children("tool_calls"))
    return (events.ToolBatchFinished(**base, tool_calls=calls),)


def _prompt_submitted(hook: Fields, base: Base) -> tuple[AgentEvent, ...]:
    """user_prompt_submit.repeated comes after every batch, without a text and without a meaning.

    Taken for a prompt it would close the calls of a subagent that works in the background.
    """
    prompt = hook.optional_str("prompt") or ""
    if not prompt:
        return ()
    by_user = not prompt.startswith("<task-notification>")
    return (events.PromptSubmitted(**base, prompt=prompt, by_user=by_user),)


def _turn_ended(hook: Fields, base: Base) -> tuple[AgentEvent, ...]:
    """stop.background lists what runs, stop also what has ended."""
    running = (
        task.optional_str("id")
        for task in hook.children("background_tasks")
        if task.optional_str("status") == "running"
    )
    return (events.TurnEnded(**base, background=tuple(task for task in running if task)),)


_EVENTS: Final[Mapping[str, Callable[[Fields, Base], tuple[AgentEvent, ...]]]] = {
    "SessionStart": lambda hook, base: (
        events.SessionStarted(**base, reason=hook.optional_str("source") or ""),
    ),
    "UserPromptSubmit": _prompt_submitted,
    "PreToolUse": lambda hook, base: (events.ToolStarted(**base, **_call(hook, base)),),
    "PermissionRequest": lambda hook, base: (
        events.PermissionRequested(**base, tool=hook.required_str("tool_name")),
    ),
    "PostToolUse": _tool_succeeded,
    "PostToolUseFailure": _tool_failed,
    "PostToolBatch": _batch_finished,
    "SubagentStart": lambda hook, base: (
        events.SubagentStarted(**base, name=hook.optional_str("agent_type") or ""),
    ),
    "SubagentStop": lambda hook, base: (
        events.SubagentFinished(**base, name=hook.optional_str("agent_type") or ""),
    ),
    "Notification": lambda hook, base: (
        events.Notified(
            **base,
            kind=hook.optional_str("notification_type") or "",
            message=hook.optional_str("message") or "",
        ),
    ),
    "Stop": _turn_ended,
    "SessionEnd": lambda hook, base: (
        events.SessionEnded(**base, reason=hook.optional_str("reason") or ""),
    ),
}
