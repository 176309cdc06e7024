"""Codex' telemetry about tool calls, stock and enriched.

Owns what its attributes mean.  Must not keep state, and must not read ``env``: its values are
secrets.  Hop 2.  Recorded with Codex 0.169.0, in ``tests/unit/agents/otlp/``.

Stock: ``codex.tool_decision`` and ``codex.tool_result`` come in batches, a second late.  Enriched:
a ``codex.tool_decision`` that has ``argv``, ``cwd`` and ``env`` comes from an exporter that waits
for our answer before it lets the command run, so that a baseline can be taken for it.
"""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from typing import Final

from agentdiff.agents.fields import Fields
from agentdiff.core.events import Outcome, ToolReported, ToolStarted
from agentdiff.errors import MalformedPayload

_EXIT: Final = re.compile(r"^(?:Process exited with code|Exit code:) (-?\d+)", re.MULTILINE)
_RUNNING: Final = re.compile(r"^Process running with session ID (\S+)", re.MULTILINE)
_SHELLS: Final = frozenset({"bash", "sh", "zsh", "dash"})


def decided(record: Fields, trace: str, received_ns: int) -> tuple[ToolReported | ToolStarted, ...]:
    """``codex.tool_decision``: ``approved…`` or ``denied``/``abort``, by ``Config`` or ``User``."""
    allowed = record.required_str("decision").lower().startswith("approved")
    report = ToolReported(
        agent="codex",
        session=record.required_str("conversation.id"),
        received_ns=received_ns,
        trace=trace,
        tool_call=record.required_str("call_id"),
        tool=record.optional_str("tool_name") or "",
        allowed=allowed,
        decided_by=_who(record.optional_str("source") or ""),
    )
    argv = _argv(record)
    if argv is None or not allowed or record.optional_path("cwd", cwd=None) is None:
        return (report,)
    started = ToolStarted(
        agent="codex",
        session=report.session,
        cwd=record.path("cwd", cwd=None),
        received_ns=received_ns,
        trace=trace,
        tool_call=report.tool_call,
        tool=report.tool or "exec_command",
        scope="tree",
        command=_command(argv),
    )
    return (started, report)


def finished(record: Fields, trace: str, received_ns: int) -> tuple[ToolReported, ...]:
    """``codex.tool_result``: ``success`` says that there was a result; the exit code is in it."""
    output = record.optional_str("output") or ""
    code, running = _EXIT.search(output), _RUNNING.search(output)
    outcome: Outcome = "ok"
    if not record.optional_bool("success") or (code is not None and code[1] != "0"):
        outcome = "error"
    return (
        ToolReported(
            agent="codex",
            session=record.required_str("conversation.id"),
            received_ns=received_ns,
            trace=trace,
            tool_call=record.required_str("call_id"),
            tool=record.optional_str("tool_name") or "",
            outcome=outcome,
            background=running[1] if running is not None else None,
        ),
    )


def _who(source: str) -> str:
    name = source.lower()
    return "user" if name.startswith("user") else name


def _argv(record: Fields) -> list[str] | None:
    """Returns the words of the command, None for a stock record; they may come as JSON text."""
    given = record.value.get("argv")
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except (ValueError, RecursionError):
            raise MalformedPayload("is not a JSON array", field=record.name_of("argv")) from None
    if given is None:
        return None
    if not isinstance(given, list) or not all(isinstance(word, str) for word in given):
        raise MalformedPayload("is not an array of strings", field=record.name_of("argv"))
    return given


def _command(argv: list[str]) -> str:
    """Returns the command line for display; of ``bash -lc SCRIPT`` only the script."""
    if len(argv) == 3 and posixpath.basename(argv[0]) in _SHELLS and argv[1] in ("-c", "-lc"):
        return argv[2]
    return shlex.join(argv)
