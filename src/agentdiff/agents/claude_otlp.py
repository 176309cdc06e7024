"""Claude Code's telemetry about tool calls.

Owns what its attributes mean.  Must not keep state.  Hop 2.  Recorded with Claude Code 2.1.197 and
2.1.329, in ``tests/unit/agents/otlp/``.

It is what hooks do not say: a call that the user refused has ``tool_decision`` with ``reject`` and
nothing after it; a command that was interrupted with Esc has ``tool_result`` with ``success`` false
and no hook.  All numbers and flags are text.
"""

from __future__ import annotations

from agentdiff.agents.fields import Fields
from agentdiff.core.events import ToolReported


def decided(record: Fields, trace: str, received_ns: int) -> tuple[ToolReported, ...]:
    """``claude_code.tool_decision``: ``source`` is ``config``, ``hook`` or ``user_…``."""
    decision = record.required_str("decision")
    return (_report(record, trace, received_ns, decision == "accept"),)


def finished(record: Fields, trace: str, received_ns: int) -> tuple[ToolReported, ...]:
    """``claude_code.tool_result``.

    A failure that hooks told of was closed by them; what is still open then was interrupted.
    """
    ok = record.optional_bool("success")
    report = _report(record, trace, received_ns, None, outcome_ok=ok)
    return (report,)


def _report(
    record: Fields,
    trace: str,
    received_ns: int,
    allowed: bool | None,
    *,
    outcome_ok: bool | None = None,
) -> ToolReported:
    source = record.optional_str("source") or record.optional_str("decision_source") or ""
    outcome = None if outcome_ok is None else "ok" if outcome_ok else "interrupted"
    return ToolReported(
        agent="claude",
        session=record.required_str("session.id"),
        turn=record.optional_str("prompt.id") or None,
        received_ns=received_ns,
        trace=trace,
        tool_call=record.required_str("tool_use_id"),
        tool=record.optional_str("tool_name") or "",
        allowed=allowed,
        outcome=outcome,  # type: ignore[arg-type]  # one of three literals
        decided_by="user" if source.startswith("user") else source,
    )
