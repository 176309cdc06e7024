"""What the ACP proxy saw, as normalised events.

Owns what the fields of the Agent Client Protocol mean: version 1, and the draft of version 2 with
its ``changes``.  Must not keep state between payloads: `agentdiff.agents.acp_conversation` has put
together what several messages said.  Hop 2.

Seen in claude-agent-acp 0.49.0 and 0.100.0, codex-acp 0.16.0, Gemini CLI 0.61.0, opencode 1.18.33
(``tests/unit/agents/acp/``).  What a diff holds differs: codex-acp and Gemini CLI send the whole
file before and after, claude-agent-acp and opencode the text that is replaced, or a few lines
around it.  The draft of version 2 is taken from the protocol's own documents.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypedDict

from agentdiff.agents.fields import Fields, decode
from agentdiff.core import events
from agentdiff.core.events import AgentEvent, Outcome, Target, ToolScope
from agentdiff.errors import MalformedPayload

_OUTCOMES: Final[Mapping[str, Outcome]] = {
    "completed": "ok",
    "failed": "error",
    "denied": "denied",
    "cancelled": "interrupted",
}
_READ_ONLY: Final = frozenset({"read", "search", "fetch", "think", "switch_mode"})
_OF_PATHS: Final = frozenset({"edit", "delete", "move"})
_OLD: Final = ("old_string", "oldString")
_NEW: Final = ("new_string", "newString")


class _Base(TypedDict):
    """The fields of `AgentEvent`."""

    agent: str
    session: str
    turn: str | None
    cwd: bytes | None
    received_ns: int
    proxied: bool


def parse(payload: bytes, received_ns: int) -> tuple[AgentEvent, ...]:
    """Returns what one message of the proxy says.

    Args:
        payload: one JSON object: ``event``, ``agent``, ``session``, ``cwd``, ``turn``, and for a
            call ``call`` (the protocol's tool call, merged) and ``held``.
        received_ns: wall clock of the receiving source, in nanoseconds.

    Raises:
        MalformedPayload: a field is missing or of another type, or the event is unknown.
    """
    told = decode(payload)
    name = told.required_str("event")
    handler = _EVENTS.get(name)
    if handler is None:
        raise MalformedPayload(f"unknown event {name!r}", field="event")
    base = _Base(
        agent=told.required_str("agent"),
        session=told.required_str("session"),
        turn=told.optional_str("turn") or None,
        cwd=told.optional_path("cwd", cwd=None),
        received_ns=received_ns,
        proxied=True,
    )
    return handler(told, base)


def _session(told: Fields, base: _Base) -> tuple[AgentEvent, ...]:
    return (events.SessionStarted(**base, reason=told.optional_str("reason") or "startup"),)


def _session_end(_: Fields, base: _Base) -> tuple[AgentEvent, ...]:
    return (events.SessionEnded(**base, reason="closed"),)


def _prompt(told: Fields, base: _Base) -> tuple[AgentEvent, ...]:
    """A turn, and a window over all of it: not every agent asks or tells before it writes."""
    prompt = told.optional_str("prompt") or ""
    covering = events.ToolStarted(
        **base, tool_call=told.required_str("turn"), tool="turn", scope="tree", covers=True
    )
    return events.PromptSubmitted(**base, prompt=prompt), covering


def _turn_end(_: Fields, base: _Base) -> tuple[AgentEvent, ...]:
    return (events.TurnEnded(**base),)


def _call(told: Fields, base: _Base) -> tuple[AgentEvent, ...]:
    call = told.child("call")
    scope, targets = _touched(call, base["cwd"])
    started = events.ToolStarted(
        **base,
        tool_call=call.required_str("toolCallId"),
        tool=_tool(call),
        scope=scope,
        targets=targets,
        command=_command(call),
        parent=base["turn"],
        waits=told.optional_bool("held"),
    )
    asked = events.PermissionRequested(**base, tool=started.tool)
    return (started, asked) if told.optional_bool("permission") else (started,)


def _call_end(told: Fields, base: _Base) -> tuple[AgentEvent, ...]:
    call = told.child("call")
    scope, targets = _touched(call, base["cwd"])
    finished = events.ToolFinished(
        **base,
        tool_call=call.required_str("toolCallId"),
        tool=_tool(call),
        outcome=_OUTCOMES.get(call.optional_str("status") or "", "unknown"),
        scope=scope,
        targets=targets,
        command=_command(call),
        parent=base["turn"],
    )
    return (finished,)


def _tool(call: Fields) -> str:
    """The agent's own name where it is told (claude-agent-acp), else the protocol's kind."""
    own = call.child("_meta").child("claudeCode").optional_str("toolName")
    return own or call.optional_str("kind") or "other"


def _command(call: Fields) -> str | None:
    """The command line of an ``execute``; codex-acp has it as a list with its shell."""
    if call.optional_str("kind") != "execute":
        return None
    raw = call.value.get("rawInput")
    command = raw.get("command") if isinstance(raw, dict) else None
    if isinstance(command, list) and command and all(isinstance(word, str) for word in command):
        return str(command[-1])
    return command if isinstance(command, str) else call.optional_str("title")


def _touched(call: Fields, cwd: bytes | None) -> tuple[ToolScope, tuple[Target, ...]]:
    kind = call.optional_str("kind") or "other"
    if kind in _READ_ONLY:
        return "none", ()
    targets = tuple(targets_of(call, cwd))
    if targets:
        return "paths", targets
    return "tree", ()


def targets_of(call: Fields, cwd: bytes | None) -> list[Target]:
    """Returns the paths that a merged tool call names: those of its diffs, else its locations.

    Raises:
        MalformedPayload: a path is relative and `cwd` unknown, or a field has another type.
    """
    diffs = [one for one in call.children("content") if one.optional_str("type") == "diff"]
    found = [target for diff in diffs for target in _diff(diff, cwd)]
    kind = call.optional_str("kind") or "other"
    if found or kind not in _OF_PATHS:
        return found
    places = [one.path("path", cwd=cwd) for one in call.children("locations")]
    raw = call.value.get("rawInput")
    given = Fields(raw if isinstance(raw, dict) else {}, "rawInput")
    return [_located(kind, path, given if len(places) == 1 else Fields()) for path in places]


def _located(kind: str, path: bytes, given: Fields) -> Target:
    """opencode names the place and the arguments of its tool before it writes, and no diff."""
    if kind == "delete":
        return Target(path=path, action="delete")
    content = _text(given, ("content",))
    if content is not None:
        return Target(path=path, action="write", new_text=content)
    old, new = _text(given, _OLD), _text(given, _NEW)
    return Target(path=path, action="edit", old_text=old, new_text=new)


def _text(given: Fields, keys: tuple[str, ...]) -> bytes | None:
    texts = (given.optional_bytes(key) for key in keys if isinstance(given.value.get(key), str))
    return next(texts, None)


def _diff(diff: Fields, cwd: bytes | None) -> list[Target]:
    changes = diff.children("changes")
    if changes:
        return [_change(one, cwd) for one in changes]
    path = diff.path("path", cwd=cwd)
    if diff.child("_meta").optional_str("kind") == "delete":
        return [Target(path=path, action="delete")]
    old, new = diff.optional_bytes("oldText"), diff.optional_bytes("newText")
    if not old:
        return [Target(path=path, action="write", new_text=new)]
    return [Target(path=path, action="edit", old_text=old, new_text=new)]


def _change(change: Fields, cwd: bytes | None) -> Target:
    """One entry of ``changes``, the draft of version 2: an operation and absolute paths."""
    path = change.path("path", cwd=cwd)
    match change.optional_str("operation"):
        case "delete":
            return Target(path=path, action="delete")
        case "move":
            return Target(path=change.path("oldPath", cwd=cwd), action="move", move_to=path)
        case "add" | "copy":
            return Target(path=path, action="write")
        case _:
            return Target(path=path, action="edit")


_EVENTS: Final[Mapping[str, Callable[[Fields, _Base], tuple[AgentEvent, ...]]]] = {
    "session": _session,
    "session_end": _session_end,
    "prompt": _prompt,
    "turn_end": _turn_end,
    "call": _call,
    "call_end": _call_end,
}
