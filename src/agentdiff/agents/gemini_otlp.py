"""Gemini CLI's telemetry about tool calls.

Owns what its attributes mean.  Must not keep state.  Hop 2.  Recorded with Gemini CLI 0.61.0, in
``tests/unit/agents/otlp/``.  A record comes when the call is over, also when the user refused it,
which hooks do not tell.  It names the tool and not the call.
"""

from __future__ import annotations

from agentdiff.agents.fields import Fields
from agentdiff.core.events import ToolReported


def finished(record: Fields, trace: str, received_ns: int) -> tuple[ToolReported, ...]:
    """``gemini_cli.tool_call``: ``decision`` is ``accept``, ``reject``, ``modify`` or absent.

    ``accept`` is the settings' decision where nobody can be asked; else it may also be the user's.
    """
    decision = record.optional_str("decision")
    refused = decision == "reject"
    ok = record.optional_bool("success")
    asked = record.optional_bool("interactive", default=True)
    by = {"reject": "user", "modify": "user", "accept": "accepted" if asked else "config"}
    return (
        ToolReported(
            agent="gemini",
            session=record.required_str("session.id"),
            received_ns=received_ns,
            trace=trace,
            tool_call="",
            tool=record.required_str("function_name"),
            allowed=not refused,
            outcome="denied" if refused else "ok" if ok else "error",
            decided_by=by.get(decision or "", "config"),
        ),
    )
