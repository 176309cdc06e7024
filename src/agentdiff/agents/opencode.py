"""What our opencode plugin sends, as normalised events.

Owns what its fields mean; the plugin is ``agentdiff/sources/opencode_plugin.js``, and its fields
are those of opencode with other names.  Must not keep state between payloads.  Hop 2.

Seen in opencode 1.18.33; a docstring below names the recording of each fact, in
``tests/golden/opencode/<version>/``.  Calls of one session overlap.  A call that failed or was
rejected has no ``tool.execute.after``: a part of its message says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from agentdiff.agents.calls import Base, Call, Tools, edits, patches, writes
from agentdiff.agents.fields import Fields, decode
from agentdiff.core import events
from agentdiff.core.events import AgentEvent, Outcome

# fmt: off
_READ_ONLY: Final = frozenset({
    "codesearch", "glob", "grep", "invalid", "list", "lsp", "plan_enter", "plan_exit", "question",
    "read", "skill", "task", "todoread", "todowrite", "webfetch", "websearch",
})
# fmt: on
_TOOLS: Final = Tools(
    targets={
        "edit": edits("filePath", "oldString", "newString", "replaceAll"),
        "write": writes("filePath", "content"),
        "apply_patch": patches("patchText"),
    },
    shells=frozenset({"bash"}),
    read_only=_READ_ONLY,
    starts_in_cwd=True,
    folder="workdir",
)
"""tool.execute.before.*: a path may be relative; ``invalid`` is a call that opencode refused;
``bash`` starts in the directory of the project, or where tool.execute.before.bash.folder says."""


def parse(payload: bytes, received_ns: int) -> tuple[AgentEvent, ...]:
    """Returns what one payload of our plugin says; empty for what this version does not know.

    Args:
        payload: one JSON object, as the plugin writes it to the hook client's stdin.
        received_ns: wall clock of the receiving source, in nanoseconds.

    Raises:
        MalformedPayload: a field that the plugin always sends is missing or of another type.
    """
    hook = decode(payload)
    handler = _EVENTS.get(hook.required_str("hook"))
    return () if handler is None else handler(hook, _base(hook, received_ns))


def _base(hook: Fields, received_ns: int) -> Base:
    """tool.execute.before.write.subagent: ``session`` is the user's, ``subagent`` the child's."""
    return Base(
        agent="opencode",
        session=hook.required_str("session"),
        turn=None,
        subagent=hook.optional_str("subagent") or None,
        cwd=hook.optional_path("directory", cwd=None),
        received_ns=received_ns,
    )


def _call(hook: Fields, base: Base) -> Call:
    identity, tool = hook.required_str("call"), hook.required_str("tool")
    return _TOOLS.call(identity, tool, hook.child("args"), base["cwd"])


def _tool_finished(hook: Fields, base: Base) -> tuple[AgentEvent, ...]:
    """tool.execute.after.bash.{exit,aborted}; only ``bash`` has an exit code.

    It is null of a command that opencode ended, because the user wanted so or its time was over.
    """
    code = hook.value.get("exit", 0)
    outcome: Outcome = "interrupted" if code is None else "error" if code != 0 else "ok"
    return (events.ToolFinished(**base, **_call(hook, base), outcome=outcome),)


def _tool_failed(hook: Fields, base: Base) -> tuple[AgentEvent, ...]:
    """message.part.updated.edit.{error,rejected}."""
    error = hook.optional_str("error") or ""
    rejected = error.startswith("The user rejected permission")
    outcome: Outcome = "denied" if rejected else "error"
    return (events.ToolFinished(**base, **_call(hook, base), outcome=outcome, error=error),)


def _prompt_submitted(hook: Fields, base: Base) -> tuple[AgentEvent, ...]:
    """chat.message.subagent is the task that the main agent gives."""
    if base["subagent"] is not None:
        return (events.SubagentStarted(**base),)
    base["turn"] = hook.required_str("message")
    return (events.PromptSubmitted(**base, prompt=hook.optional_str("text") or ""),)


def _idle(hook: Fields, base: Base) -> tuple[AgentEvent, ...]:
    """session.idle.subagent does not end the turn."""
    del hook
    if base["subagent"] is not None:
        return (events.SubagentFinished(**base),)
    return (events.TurnEnded(**base),)


def _failed(hook: Fields, base: Base) -> tuple[AgentEvent, ...]:
    """session.error comes before session.idle, also when the user aborts."""
    error = hook.child("error")
    if base["subagent"] is not None or error.optional_str("name") == "MessageAbortedError":
        return ()
    message = error.child("data").optional_str("message") or error.optional_str("name") or ""
    return (events.TurnEnded(**base, error=message),)


_EVENTS: Final[Mapping[str, Callable[[Fields, Base], tuple[AgentEvent, ...]]]] = {
    "chat.message": _prompt_submitted,
    "tool.execute.before": lambda hook, base: (events.ToolStarted(**base, **_call(hook, base)),),
    "tool.execute.after": _tool_finished,
    "message.part.updated": _tool_failed,
    "permission.asked": lambda hook, base: (
        events.PermissionRequested(**base, tool=hook.optional_str("permission") or ""),
    ),
    "permission.replied": lambda _hook, base: (events.Notified(**base, kind="permission_replied"),),
    "session.idle": _idle,
    "session.error": _failed,
    "session.deleted": lambda _hook, base: (events.SessionEnded(**base, reason="deleted"),),
    "dispose": lambda _hook, base: (events.SessionEnded(**base, reason="exit"),),
}
