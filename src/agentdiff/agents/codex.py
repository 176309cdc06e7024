"""Codex's hook payloads as normalised events.

Owns what Codex's fields mean.  Must not keep state between payloads.  Hop 2.

Seen in Codex 0.169.0; a docstring below names the recording of each fact, in
``tests/golden/codex/<version>/``.  Models in code mode write JavaScript that calls the same tools:
the hooks tell of the calls, each under an id of its own, and never of the program around them.
Nothing is sent after the start of a call that the user declined, of a patch that does not match
(neither its own nor one in a heredoc), and of a command that still runs when the turn ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from agentdiff.agents.calls import Base, Call, Tools, patches
from agentdiff.agents.fields import Fields, decode, derived_id
from agentdiff.core import events
from agentdiff.core.events import AgentEvent, Outcome

# fmt: off
_TOOLS: Final = Tools(
    targets={"apply_patch": patches("command")},
    shells=frozenset({"Bash"}),
    read_only=frozenset({
        "clocksleep", "close_agent", "collaborationfollowup_task", "collaborationinterrupt_agent",
        "collaborationlist_agents", "collaborationsend_message", "collaborationspawn_agent",
        "collaborationwait_agent", "create_goal", "get_goal", "list_mcp_resource_templates",
        "list_mcp_resources", "read_mcp_resource", "request_permissions", "request_user_input",
        "request_user_input_async", "resume_agent", "send_input", "spawn_agent", "tool_search",
        "update_goal", "update_plan", "view_image", "wait_agent", "web_search",
    }),
)
# fmt: on
"""pre_tool_use.Bash: every shell tool of the model is ``Bash`` here, whatever its own name.
pre_tool_use.collaborationspawn_agent: namespace and name are glued together; a tool that starts a
subagent writes nothing itself, and the subagent's calls arrive with its ``agent_id``."""

_PATCHED: Final = "Exit code: 0\n"


def parse(payload: bytes, received_ns: int) -> tuple[AgentEvent, ...]:
    """Returns what one hook payload of Codex says; empty for events that we do not follow.

    Args:
        payload: one JSON object, as Codex writes it to a hook's stdin.
        received_ns: wall clock of the receiving source, in nanoseconds.

    Raises:
        MalformedPayload: a field that Codex always sends is missing or of another type.
    """
    hook = decode(payload)
    handler = _EVENTS.get(hook.required_str("hook_event_name"))
    return () if handler is None else handler(hook, _base(hook, received_ns))


def _base(hook: Fields, received_ns: int) -> Base:
    """pre_tool_use.Bash.subagent.code_mode: a subagent has a turn of its own in the session.

    It is left out: what a subagent does belongs to the user's prompt, which is the session's turn.
    subagent_start and subagent_stop have that turn as well.
    """
    subagent = hook.optional_str("agent_id") or None
    return Base(
        agent="codex",
        session=hook.required_str("session_id"),
        turn=None if subagent else hook.optional_str("turn_id") or None,
        subagent=subagent,
        cwd=hook.optional_path("cwd", cwd=None),
        received_ns=received_ns,
    )


def _call(hook: Fields, base: Base) -> Call:
    """pre_tool_use.apply_patch, pre_tool_use.Bash.workdir: paths are relative to ``cwd``.

    That is the ``workdir`` of the call where it has one.
    """
    tool, given = hook.required_str("tool_name"), hook.child("tool_input")
    name = hook.optional_str("tool_use_id")
    derived = derived_id(base["session"], base["subagent"], tool, given.value)
    return _TOOLS.call(name or derived, tool, given, base["cwd"])


def _tool_started(hook: Fields, base: Base) -> tuple[AgentEvent, ...]:
    """A patch runs alone, from before its hook on: recorded with calls beside it in one message."""
    call = _call(hook, base)
    return (events.ToolStarted(**base, **call, alone=call["tool"] == "apply_patch"),)


def _tool_finished(hook: Fields, base: Base) -> tuple[AgentEvent, ...]:
    """post_tool_use.Bash.failed: the answer to a command says nothing of its exit code.

    A patch that failed has no finish (pre_tool_use.apply_patch.no_match).
    """
    answer = hook.value.get("tool_response")
    patched = isinstance(answer, str) and answer.startswith(_PATCHED)
    outcome: Outcome = "ok" if patched else "unknown"
    return (events.ToolFinished(**base, **_call(hook, base), outcome=outcome),)


def _prompt_submitted(hook: Fields, base: Base) -> tuple[AgentEvent, ...]:
    """user_prompt_submit.subagent is what the agent itself told its subagent: no turn of the user.

    It must not close the calls that the parent has open meanwhile.
    """
    if base["subagent"] is not None:
        return ()
    return (events.PromptSubmitted(**base, prompt=hook.optional_str("prompt") or ""),)


def _turn_ended(hook: Fields, base: Base) -> tuple[AgentEvent, ...]:
    """stop; interrupt.tui: Esc, also on the question for permission, and no ``Stop`` follows.

    A command that has not returned goes on in its terminal, after Esc as well (seen in the terminal
    interface, which counts them); its finish may come in a later turn, or never.
    """
    del hook
    return (events.TurnEnded(**base, leaves_running=True),)


_EVENTS: Final[Mapping[str, Callable[[Fields, Base], tuple[AgentEvent, ...]]]] = {
    "SessionStart": lambda hook, base: (
        events.SessionStarted(**base, reason=hook.optional_str("source") or ""),
    ),
    "UserPromptSubmit": _prompt_submitted,
    "PreToolUse": _tool_started,
    "PermissionRequest": lambda hook, base: (
        events.PermissionRequested(**base, tool=hook.required_str("tool_name")),
    ),
    "PostToolUse": _tool_finished,
    "SubagentStart": lambda hook, base: (
        events.SubagentStarted(**base, name=hook.optional_str("agent_type") or ""),
    ),
    "SubagentStop": lambda hook, base: (
        events.SubagentFinished(**base, name=hook.optional_str("agent_type") or ""),
    ),
    "Interrupt": _turn_ended,
    "Stop": _turn_ended,
    "SessionEnd": lambda hook, base: (
        events.SessionEnded(**base, reason=hook.optional_str("reason") or ""),
    ),
}
