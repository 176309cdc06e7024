"""``comment feedback``: what the user says about changes, and what waits to be told.

Owns the wording around it; the text that an agent gets is the daemon's.
"""

from __future__ import annotations

from typing import Any

from agentdiff.cli import output
from agentdiff.cli.context import DONE, NOTHING, Context, number


def comment(context: Context) -> int:
    """``agentdiff comment``."""
    args = context.args
    params: dict[str, Any] = {**context.place(), "text": args.text}
    (params["path"],) = context.paths([args.path])
    if args.hunk is not None:
        params["hunk"] = args.hunk
    if args.lines is not None:
        params["lines"] = _lines(args.lines)
    with context.daemon() as client:
        answer = client.call("comment", **params)
    if args.json:
        output.say_json(answer)
        return DONE
    told = ", ".join(sorted({str(one["agent"] or "an agent") for one in answer["to"]}))
    output.say(f"noted; {output.escaped(told) or 'the next agent'} is told at its next prompt")
    return DONE


def _lines(text: str) -> list[int]:
    """Returns first and last line of ``12`` or ``12-14``."""
    first, _, last = text.partition("-")
    wrong = f"--lines {text}: expected FIRST or FIRST-LAST, both numbers of lines"
    return [number(first, wrong), number(last or first, wrong)]


def feedback(context: Context) -> int:
    """``agentdiff feedback``."""
    args = context.args
    with context.daemon() as client:
        answer = client.call("feedback", **context.place(), all=args.all, take=args.take)
    if args.json:
        output.say_json(answer)
    elif answer["notes"]:
        for line in answer["text"].splitlines():
            output.say(output.escaped(line))
    else:
        output.say("nothing waits to be told")
    return DONE if answer["notes"] else NOTHING
