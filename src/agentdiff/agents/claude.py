"""Claude Code's hook payloads as normalised events.

Owns what Claude Code's fields mean.  Must not keep state between payloads.  Hop 2.

Seen in Claude Code 2.1.197 and 2.1.329; a docstring below names the recording of each fact, in
``tests/golden/claude/<version>/``.  Claude Code sends nothing when the user rejects or interrupts a
call with Esc (the next ``UserPromptSubmit`` is the first sign), and no start for a call that a deny
rule or its own input check stopped (``PostToolBatch`` is the only sign).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypedDict

from agentdiff.agents.fields import Fields, decode, derived_id, exact_bytes
from agentdiff.core import events
from agentdiff.core.events import AgentEvent, Edited, Reach, Target, ToolFinished, ToolScope
from agentdiff.errors import MalformedPayload
from agentdiff.targets.reach import reach_of

# fmt: off
_READ_ONLY: Final = frozenset({
    "Agent", "AskUserQuestion", "BashOutput", "EnterPlanMode", "ExitPlanMode", "Glob", "Grep",
    "KillBash", "KillShell", "LS", "ListMcpResourcesTool", "NotebookRead", "Read",
    "ReadMcpResourceTool", "Skill", "SlashCommand", "Task", "TaskCreate", "TaskGet", "TaskList",
    "TaskOutput", "TaskStop", "TaskUpdate", "TodoRead", "TodoWrite", "ToolSearch", "WebFetch",
    "WebSearch",
})
# fmt: on
"""Tools that write nothing themselves.  ``Agent`` (once ``Task``) starts a subagent, whose calls
arrive with its ``agent_id`` (2.1.197/pre_tool_use.Agent and pre_tool_use.Edit.subagent)."""


class _Base(TypedDict):
    """The fields of `AgentEvent`."""

    agent: str
    session: str
    turn: str | None
    subagent: str | None
    cwd: bytes | None
    received_ns: int


class _Call(NamedTuple):
    tool_call: str
    tool: str
    scope: ToolScope
    targets: tuple[Target, ...]
    command: str | None
    reach: Reach | None


def parse(payload: bytes, received_ns: int) -> tuple[AgentEvent, ...]:
    """Returns what one hook payload of Claude Code says; empty for events that we do not follow.

    Args:
        payload: one JSON object, as Claude Code writes it to a hook's stdin.
        received_ns: wall clock of the receiving source, in nanoseconds.

    Raises:
        MalformedPayload: a field that Claude Code always sends is missing or of another type.
    """
    hook = decode(payload)
    handler = _EVENTS.get(hook.required_str("hook_event_name"))
    return () if handler is None else (handler(hook, _base(hook, received_ns)),)


def _base(hook: Fields, received_ns: int) -> _Base:
    """2.1.329/session_start has no ``prompt_id`` (the turn); ``cwd`` follows a ``cd`` of Bash."""
    return _Base(
        agent="claude",
        session=hook.required_str("session_id"),
        turn=hook.optional_str("prompt_id") or None,
        subagent=hook.optional_str("agent_id") or None,
        cwd=hook.optional_path("cwd", cwd=None),
        received_ns=received_ns,
    )


def _call(hook: Fields, base: _Base) -> _Call:
    """2.1.197/pre_tool_use.*: MCP tools, and tools of versions to come, may touch anything."""
    tool, given = hook.required_str("tool_name"), hook.child("tool_input")
    target = _TARGETS.get(tool)
    return _Call(
        tool_call=_call_id(hook, base),
        tool=tool,
        scope="paths" if target else "none" if tool in _READ_ONLY else "tree",
        targets=(target(given, base["cwd"]),) if target else (),
        command=given.optional_str("command") if tool == "Bash" else None,
        reach=reach_of(given.optional_bytes("command"), base["cwd"]) if tool == "Bash" else None,
    )


def _call_id(hook: Fields, base: _Base) -> str:
    """Every recorded call has ``tool_use_id``; without one, equal calls of a session are one."""
    call = (hook.value.get("tool_name"), hook.value.get("tool_input"))
    given = hook.optional_str("tool_use_id")
    return given or derived_id(base["session"], base["subagent"], *call)


def _edit(given: Fields, cwd: bytes | None) -> Target:
    """2.1.197/pre_tool_use.Edit."""
    return Target(
        path=given.path("file_path", cwd=cwd),
        action="edit",
        old_text=given.optional_bytes("old_string"),
        new_text=given.optional_bytes("new_string"),
        replace_all=given.optional_bool("replace_all"),
    )


def _write(given: Fields, cwd: bytes | None) -> Target:
    """2.1.197/pre_tool_use.Write: ``content`` is the whole new file."""
    content = given.optional_bytes("content")
    return Target(path=given.path("file_path", cwd=cwd), action="write", new_text=content)


def _notebook(given: Fields, cwd: bytes | None) -> Target:
    """2.1.197/pre_tool_use.NotebookEdit: ``new_source`` is a cell, which the file holds escaped."""
    return Target(path=given.path("notebook_path", cwd=cwd), action="edit")


_TARGETS: Final[Mapping[str, Callable[[Fields, bytes | None], Target]]] = {
    "Edit": _edit,
    "Write": _write,
    "NotebookEdit": _notebook,
}


def _tool_succeeded(hook: Fields, base: _Base) -> ToolFinished:
    """2.1.197/post_tool_use.Bash.background: what is read of a response is Bash's alone.

    That of an MCP tool may be text or a list, and in an object the same names mean what they like.
    """
    call, answer = _call(hook, base), hook.value.get("tool_response")
    response = Fields()
    if call.tool == "Bash" and isinstance(answer, dict):
        response = Fields(answer, "tool_response")
    return ToolFinished(
        **base,
        **call._asdict(),
        outcome="interrupted" if response.optional_bool("interrupted") else "ok",
        background_task=response.optional_str("backgroundTaskId") or None,
        edits=_edits(response, base["cwd"]),
    )


def _edits(response: Fields, cwd: bytes | None) -> tuple[Edited, ...]:
    """2.1.329/post_tool_use.Bash.edit_diff: there when the user or the permission mode wants it.

    A hunk's lines begin with a sign as in a unified diff; ``newStart`` counts from 1.
    """
    return tuple(
        Edited(
            path=file.path("filePath", cwd=cwd),
            pieces=tuple(_piece(hunk) for hunk in file.children("hunks")),
            deleted=file.optional_bool("deleted"),
        )
        for file in response.child("bashEditDiff").children("files")
    )


def _piece(hunk: Fields) -> tuple[int, tuple[bytes, ...]]:
    start, lines = hunk.value.get("newStart"), hunk.value.get("lines")
    if not isinstance(start, int) or not isinstance(lines, list):
        raise MalformedPayload("is not a hunk", field=hunk.at)
    there = [line for line in lines if isinstance(line, str) and line[:1] in (" ", "+")]
    return max(start - 1, 0), tuple(exact_bytes(line[1:]) for line in there)


def _tool_failed(hook: Fields, base: _Base) -> ToolFinished:
    """2.1.197/post_tool_use_failure.Bash: a command that failed may have written all the same."""
    return ToolFinished(
        **base,
        **_call(hook, base)._asdict(),
        outcome="interrupted" if hook.optional_bool("is_interrupt") else "error",
        error=hook.optional_str("error"),
    )


def _batch_finished(hook: Fields, base: _Base) -> AgentEvent:
    """2.1.197/post_tool_batch.denied; the paths of ``tool_input`` may be relative here: unused."""
    calls = tuple(_call_id(call, base) for call in hook.children("tool_calls"))
    return events.ToolBatchFinished(**base, tool_calls=calls)


def _prompt_submitted(hook: Fields, base: _Base) -> AgentEvent:
    """2.1.329/user_prompt_submit.task_notification is the program's own, a background job ended."""
    prompt = hook.optional_str("prompt") or ""
    by_user = not prompt.startswith("<task-notification>")
    return events.PromptSubmitted(**base, prompt=prompt, by_user=by_user)


def _turn_ended(hook: Fields, base: _Base) -> AgentEvent:
    """2.1.197/stop; what an entry of ``background_tasks`` is: 2.1.197/subagent_stop.background."""
    tasks = (task.optional_str("id") for task in hook.children("background_tasks"))
    return events.TurnEnded(**base, background=tuple(task for task in tasks if task))


def _turn_failed(hook: Fields, base: _Base) -> AgentEvent:
    """2.1.197/stop_failure: the model could not be asked; no ``Stop`` comes."""
    said = hook.optional_str("last_assistant_message") or hook.optional_str("error")
    return events.TurnEnded(**base, error=said or "unknown")


def _cwd_changed(hook: Fields, base: _Base) -> AgentEvent:
    """2.1.197/cwd_changed: the ``cwd`` of the payload has moved already."""
    base["cwd"] = hook.path("new_cwd", cwd=base["cwd"])
    return events.CwdChanged(**base, old_cwd=hook.optional_path("old_cwd", cwd=None))


_EVENTS: Final[Mapping[str, Callable[[Fields, _Base], AgentEvent]]] = {
    "SessionStart": lambda hook, base: events.SessionStarted(
        **base, reason=hook.optional_str("source") or ""
    ),
    "UserPromptSubmit": _prompt_submitted,
    "PreToolUse": lambda hook, base: events.ToolStarted(**base, **_call(hook, base)._asdict()),
    "PermissionRequest": lambda hook, base: events.PermissionRequested(
        **base, tool=hook.required_str("tool_name")
    ),
    "PostToolUse": _tool_succeeded,
    "PostToolUseFailure": _tool_failed,
    "PostToolBatch": _batch_finished,
    "SubagentStart": lambda hook, base: events.SubagentStarted(
        **base, name=hook.optional_str("agent_type") or ""
    ),
    "SubagentStop": lambda hook, base: events.SubagentFinished(
        **base, name=hook.optional_str("agent_type") or ""
    ),
    "CwdChanged": _cwd_changed,
    "Notification": lambda hook, base: events.Notified(
        **base,
        kind=hook.optional_str("notification_type") or "",
        message=hook.optional_str("message") or "",
    ),
    "Stop": _turn_ended,
    "StopFailure": _turn_failed,
    "SessionEnd": lambda hook, base: events.SessionEnded(
        **base, reason=hook.optional_str("reason") or ""
    ),
}
