"""What `agentdiff run` and its command trace tell, as normalised events.

Owns the payload that our own supervisor sends through the hook path: ``started``, ``alive``,
``command_started``, ``command_finished``, ``ended``.  Must not keep state between payloads.  Hop 2.

The whole program is one call that covers everything inside it (`ToolStarted.covers`); each traced
command is a call inside that one, or inside the command that started it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypedDict

from agentdiff.agents.fields import Fields, decode
from agentdiff.core import events
from agentdiff.core.events import AgentEvent, Outcome
from agentdiff.errors import MalformedPayload


class _Base(TypedDict):
    """The fields of `AgentEvent`."""

    agent: str
    session: str
    turn: str | None
    cwd: bytes | None
    received_ns: int
    proxied: bool


def parse(payload: bytes, received_ns: int) -> tuple[AgentEvent, ...]:
    """Returns what one message of the supervisor says.

    Args:
        payload: one JSON object: ``event``, ``agent`` (the name given with ``--name``, or the
            program's), ``session``, ``cwd``; for commands ``call``, ``parent``, ``tool``,
            ``command``; for an end ``outcome``.
        received_ns: wall clock of the receiving source, in nanoseconds.

    Raises:
        MalformedPayload: a field is missing or of another type, or the event is unknown.
    """
    told = decode(payload)
    name = told.required_str("event")
    handler = _EVENTS.get(name)
    if handler is None:
        raise MalformedPayload(f"unknown event {name!r}", field="event")
    session = told.required_str("session")
    base = _Base(
        agent=told.required_str("agent"),
        session=session,
        turn=session,
        cwd=told.optional_path("cwd", cwd=None),
        received_ns=received_ns,
        proxied=True,
    )
    return handler(told, base)


def _started(told: Fields, base: _Base) -> tuple[AgentEvent, ...]:
    """The program is about to be executed: session, its one turn, and the window over all of it."""
    command = told.optional_str("command") or ""
    return (
        events.SessionStarted(**base, reason="startup"),
        events.PromptSubmitted(**base, prompt=command),
        events.ToolStarted(
            **base,
            tool_call=base["session"],
            tool=told.required_str("tool"),
            scope="tree",
            command=command,
            covers=True,
        ),
    )


def _ended(told: Fields, base: _Base) -> tuple[AgentEvent, ...]:
    finished = events.ToolFinished(
        **base,
        tool_call=base["session"],
        tool=told.required_str("tool"),
        outcome=_outcome(told),
        scope="tree",
        command=told.optional_str("command"),
    )
    return finished, events.TurnEnded(**base), events.SessionEnded(**base, reason="exit")


def _command_started(told: Fields, base: _Base) -> tuple[AgentEvent, ...]:
    return (
        events.ToolStarted(
            **base,
            tool_call=told.required_str("call"),
            tool=told.required_str("tool"),
            scope="tree",
            command=told.optional_str("command"),
            parent=told.optional_str("parent") or base["session"],
        ),
    )


def _command_finished(told: Fields, base: _Base) -> tuple[AgentEvent, ...]:
    return (
        events.ToolFinished(
            **base,
            tool_call=told.required_str("call"),
            tool=told.required_str("tool"),
            outcome=_outcome(told),
            scope="tree",
            command=told.optional_str("command"),
            parent=told.optional_str("parent") or base["session"],
        ),
    )


def _outcome(told: Fields) -> Outcome:
    match told.optional_str("outcome"):
        case "ok":
            return "ok"
        case "error":
            return "error"
        case "interrupted":
            return "interrupted"
        case _:
            return "unknown"


def _alive(_: Fields, base: _Base) -> tuple[AgentEvent, ...]:
    """An agent that works for days without a word must not count as gone."""
    return (events.Notified(**base, kind="alive"),)


_EVENTS: Final[Mapping[str, Callable[[Fields, _Base], tuple[AgentEvent, ...]]]] = {
    "started": _started,
    "ended": _ended,
    "command_started": _command_started,
    "command_finished": _command_finished,
    "alive": _alive,
}
