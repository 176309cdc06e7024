"""What agents' OTLP log records say about tool calls.

Owns the table of events that are followed, over all agents.  Must not open calls: telemetry comes
after the fact (0.2 to 5 s, batched), except for Codex' enriched decision, whose exporter waits for
our answer before the command runs.  Hop 2.

A record merges by the ids that hooks have too: Claude Code ``session.id`` and ``tool_use_id``,
Codex ``conversation.id`` and ``call_id``, Gemini CLI ``session.id`` alone, which names no calls.
Qwen Code's telemetry was not recorded and is not read; its hooks leave no call open.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, TypeAlias

from agentdiff.agents import claude_otlp, codex_otlp, gemini_otlp, otlp
from agentdiff.agents.fields import Fields
from agentdiff.core.events import ToolReported, ToolStarted
from agentdiff.errors import MalformedPayload

Event: TypeAlias = ToolReported | ToolStarted
Adapter: TypeAlias = Callable[[Fields, str, int], tuple[Event, ...]]
"""From a record's attributes, its trace context and the time of receipt to events."""

ADAPTERS: Final[Mapping[str, Adapter]] = MappingProxyType(
    {
        "claude_code.tool_decision": claude_otlp.decided,
        "claude_code.tool_result": claude_otlp.finished,
        "codex.tool_decision": codex_otlp.decided,
        "codex.tool_result": codex_otlp.finished,
        "gemini_cli.tool_call": gemini_otlp.finished,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """What one request says.

    Attributes:
        events: in order.
        malformed: why records were passed over; the others of their request count all the same.
    """

    events: tuple[Event, ...]
    malformed: tuple[str, ...] = ()


def parse(body: bytes, content_type: str, received_ns: int) -> Parsed:
    """Returns what an OTLP request with logs says about tool calls.

    Args:
        body: unpacked.
        content_type: its media type without parameters.
        received_ns: wall clock of the receipt.

    Raises:
        MalformedPayload: it is no such request.
    """
    events: list[Event] = []
    malformed: list[str] = []
    for record in otlp.records(body, content_type, ADAPTERS):
        try:
            fields = Fields(record.attributes, record.name)
            events += ADAPTERS[record.name](fields, record.trace, received_ns)
        except MalformedPayload as error:
            malformed.append(str(error))
    return Parsed(events=tuple(events), malformed=tuple(malformed))
