"""Finds the adapter of an agent by the name on its hook command line.

Owns the table of known agents.  Must not guess an agent from a payload or from the environment:
Gemini, Qwen and Copilot all set ``CLAUDE_PROJECT_DIR`` for their hooks.  Hop 2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

from agentdiff.agents import acp, claude, codex, copilot, gemini, opencode, qwen, run
from agentdiff.core.events import AgentEvent
from agentdiff.errors import MalformedPayload

Parse: TypeAlias = Callable[[bytes, int], tuple[AgentEvent, ...]]

PARSERS: Final[Mapping[str, Parse]] = MappingProxyType(
    {
        "acp": acp.parse,
        "claude": claude.parse,
        "codex": codex.parse,
        "copilot": copilot.parse,
        "gemini": gemini.parse,
        "opencode": opencode.parse,
        "qwen": qwen.parse,
        "run": run.parse,
    }
)


def parse(agent: str, payload: bytes, received_ns: int) -> tuple[AgentEvent, ...]:
    """Returns what one hook payload says, in order; empty when it says nothing we follow.

    Args:
        agent: the name given on the hook command line.
        payload: the bytes as the agent sent them.
        received_ns: wall clock of the receiving source, in nanoseconds.

    Raises:
        MalformedPayload: the payload breaks its sender's promise, or the agent is unknown.
    """
    adapter = PARSERS.get(agent)
    if adapter is None:
        raise MalformedPayload(f"unknown agent {agent!r}, known are: {', '.join(sorted(PARSERS))}")
    return adapter(payload, received_ns)
