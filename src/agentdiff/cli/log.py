"""``agentdiff log``: prompt, calls, the commands that those ran, files, and how long it all took.

Owns the wording, and the live view.  Must not compute anything about changes: the daemon did.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any, TypeAlias

import orjson

from agentdiff.cli import output
from agentdiff.cli.context import DONE, Context

Json: TypeAlias = dict[str, Any]

_WIDTH = 60
_EVERY_S = 0.5


def log(context: Context) -> int:
    """``agentdiff log``."""
    if context.args.follow:
        return _follow(context)
    calls = context.call("log")["calls"]
    if context.args.json:
        output.say_json(calls)
        return DONE
    if not calls:
        output.say("no tool calls yet")
    session = turn = None
    for call in _as_tree(calls):
        if (call["agent"], call["session"]) != session:
            session, turn = (call["agent"], call["session"]), None
            output.say(f"{output.escaped(call['agent'])} {output.escaped(call['session'])}")
        if call["turn"] != turn:
            turn = call["turn"]
            output.say(f"  {_heading(call)}")
        for line in _lines(call):
            output.say(f"    {line}")
    return DONE


def _as_tree(calls: list[Json]) -> Iterator[Json]:
    """Yields calls by session and turn, each before those that it enclosed; else oldest first."""
    inner: dict[tuple[str, str | None], list[Json]] = {}
    known = {(call["session"], call["tool_call"]) for call in calls}
    turns: dict[tuple[str, str, str], list[Json]] = {}
    for call in calls:
        if (call["session"], call["parent"]) in known:
            inner.setdefault((call["session"], call["parent"]), []).append(call)
        else:
            turns.setdefault((call["agent"], call["session"], call["turn"]), []).append(call)

    def below(call: Json) -> Iterator[Json]:
        yield call
        for one in inner.get((call["session"], call["tool_call"]), ()):
            yield from below(one)

    sessions = dict.fromkeys(key[:2] for key in turns)
    for session in sessions:
        for key, tops in turns.items():
            if key[:2] == session:
                yield from (one for top in tops for one in below(top))


def _heading(call: Json) -> str:
    """Returns the turn of a call, with its prompt."""
    number = call["n"] if call["n"] is not None else output.escaped(str(call["turn"]))
    return f"turn {number}: {output.escaped(str(call.get('prompt') or ''), _WIDTH)}"


def _lines(call: Json) -> list[str]:
    """Returns the lines about one call; one that only covers shows what nobody inside it did."""
    indent = "  " * int(call.get("depth", 0))
    files = [f"{indent}  {output.path_name(path)}" for path in call.get("paths", [])]
    if call.get("covers"):
        return [f"{indent}(itself){_took(call)}{_id(call)}", *files] if files else []
    return [f"{indent}{_head(call)}{_took(call)}{_outcome(call)}{_id(call)}", *files]


def _head(call: Json) -> str:
    tool, command = str(call["tool"]), str(call.get("command") or "")
    if command.split(" ", 1)[0] == tool:
        return output.escaped(command, _WIDTH)  # a traced command: its program is the tool
    shown = f"  {output.escaped(command, _WIDTH)}" if command else ""
    return f"{output.escaped(tool)}{shown}"


def _outcome(call: Json) -> str:
    outcome = call.get("outcome")
    if outcome in (None, "ok"):
        return ""
    by = f" by {call['decided_by']}" if outcome == "denied" and call.get("decided_by") else ""
    return f"  [{output.escaped(f'{outcome}{by}')}]"


def _id(call: Json) -> str:
    """Returns what ``--call`` names it by; of a command inside a call only if it changed a file."""
    named = call.get("tool_call") and (not call.get("depth") or call.get("paths"))
    return f"  {output.escaped(str(call['tool_call']))}" if named else ""


def _took(call: Json) -> str:
    """Returns how long a call took, nothing while it goes on."""
    if call.get("started") is None or call.get("finished") is None:
        return ""
    seconds = float(call["finished"]) - float(call["started"])
    if seconds < 1:
        return f"  {max(seconds, 0) * 1000:.0f} ms"
    return f"  {seconds:.1f} s" if seconds < 60 else f"  {seconds / 60:.1f} min"


def _follow(context: Context) -> int:
    """Shows calls as they start and end, and their files as they are seen, until Ctrl-C.

    It asks again and again: a notification would make this an editor that others wait for.
    """
    shown: dict[tuple[str, str], tuple[str, int]] = {}
    turn: tuple[str, str] | None = None
    try:
        while True:
            for call in context.call("log")["calls"]:
                if context.args.json:
                    _follow_json(call, shown)
                    continue
                lines = list(_news(call, shown))
                if lines and (call["session"], call["turn"]) != turn:
                    turn = (call["session"], call["turn"])
                    output.say(f"{_clock(call)} {output.escaped(call['agent'])} {_heading(call)}")
                for line in lines:
                    output.say(f"{_clock(call)}   {line}")
            output.flush()
            threading.Event().wait(_EVERY_S)
    except KeyboardInterrupt:
        return DONE


def _news(call: Json, shown: dict[tuple[str, str], tuple[str, int]]) -> Iterator[str]:
    """Yields what is new about a call since it was last looked at."""
    key = (call["session"], call["tool_call"])
    outcome, files = shown.get(key, ("", 0))
    paths = call.get("paths", [])
    shown[key] = (str(call["outcome"]), len(paths))
    indent = "  " * int(call.get("depth", 0))
    if not call.get("covers") and call["outcome"] != outcome:
        yield f"{indent}{_head(call)}{_took(call)}{_outcome(call)}{_id(call)}"
    for path in paths[files:]:
        yield f"{indent}  {output.path_name(path)}"


def _follow_json(call: Json, shown: dict[tuple[str, str], tuple[str, int]]) -> None:
    """Prints a call whenever something about it has changed, one object per line."""
    key = (call["session"], call["tool_call"])
    state = (str(call["outcome"]), len(call.get("paths", [])))
    if shown.get(key) != state:
        shown[key] = state
        output.say(orjson.dumps(call).decode())


def _clock(call: Json) -> str:
    """Returns when a call was last heard of, in local time."""
    return time.strftime("%H:%M:%S", time.localtime(call.get("finished") or call.get("started")))
