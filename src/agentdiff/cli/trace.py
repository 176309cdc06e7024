"""``agentdiff trace on|off|status|log``: the switch of the command trace, and what it wrote.

Owns the wording.  Works without a daemon.
"""

from __future__ import annotations

import shlex
from typing import Any

from agentdiff.cli import output
from agentdiff.cli.context import DONE, NOTHING, Context
from agentdiff.sources.trace import log as trace_log

_WIDTH = 100


def trace(context: Context) -> int:
    """``agentdiff trace``."""
    actions = {"on": _on, "off": _off, "status": _status, "log": _log}
    return actions[context.args.action](context)


def _off(context: Context) -> int:
    """Every launcher of every run, also of those that run now, only executes its program."""
    context.locations.trace.mkdir(mode=0o700, parents=True, exist_ok=True)
    (context.locations.trace / "off").touch()
    output.say("command traces are off")
    return DONE


def _on(context: Context) -> int:
    (context.locations.trace / "off").unlink(missing_ok=True)
    output.say("command traces are on")
    return DONE


def _status(context: Context) -> int:
    locations = context.locations
    runs = sorted(path.name for path in locations.launchers.glob("*") if path.is_dir())
    body: dict[str, Any] = {
        "v": 1,
        "on": not (locations.trace / "off").exists(),
        "log": str(locations.trace / trace_log.NAME),
        "launchers": str(locations.launchers),
        "runs": runs,
    }
    if context.args.json:
        output.say_json(body)
        return DONE
    output.say(f"command traces are {'on' if body['on'] else 'off'}")
    output.say(f"log: {output.escaped(body['log'])}")
    for name in runs:
        output.say(f"run: {output.escaped(name)}")
    return DONE


def _log(context: Context) -> int:
    args = context.args
    found = [
        record
        for record in trace_log.read(context.locations.trace)
        if args.session is None or str(record.get("session_id", "")).startswith(args.session)
    ]
    found = found[-args.last :] if args.last else found
    if args.json:
        output.say_json(found)
        return DONE
    for record in found:
        output.say(_line(record))
    return DONE if found else NOTHING


def _line(record: dict[str, Any]) -> str:
    """Returns one command for people: when, how long, how it ended, what."""
    duration = record.get("duration_ms")
    code = record.get("exit_code")
    argv = record.get("argv")
    words = shlex.join(str(word) for word in argv) if isinstance(argv, list) else ""
    took = f"{duration:.0f} ms" if isinstance(duration, int | float) else ""
    ended = "" if code in (0, None) else f"  [{output.escaped(str(code))}]"
    mode = "" if record.get("mode") == "run" else f"  ({output.escaped(str(record.get('mode')))})"
    shown = output.escaped(words, _WIDTH)
    return f"{output.escaped(str(record.get('ts', '')))}  {took:>9}  {shown}{ended}{mode}"
