"""``status diff accept reject undo redo baseline``: what pends, and deciding it.

Owns the wording.  Must not compute anything about changes: the daemon did.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from typing import Any

from agentdiff.cli import output
from agentdiff.cli.context import DONE, NOTHING, REFUSED, Context, UsageError, number

_LETTERS = {"modified": "M", "created": "A", "deleted": "D", "renamed": "R", "type": "T"}
_PROMPT_WIDTH = 60
_MAX_GAPS = 5
_MAX_IGNORED = 3
_WEAK = (
    "not replaced in one step (a hard link, a program that has it open, or the file system); "
    "look whether something else was written there at that moment"
)
_OTHERS = "what was decided in an editor is undone there"
_PAST = {"accept": "accepted", "reject": "rejected", "undo": "undone", "redo": "redone"}


def status(context: Context) -> int:
    """``agentdiff status``."""
    with context.daemon() as client:
        answer = client.call("status", **context.place())
        answer.setdefault("daemon", client.daemon)
    if context.args.json:
        output.say_json(answer)
        return DONE
    totals = answer["totals"]
    if not answer["files"]:
        output.say("nothing pending")
    else:
        output.say(
            f"{output.counted(totals['files'], 'file')}, {output.counted(totals['hunks'], 'hunk')} "
            f"pending  +{totals['added']} -{totals['removed']}"
        )
        for line in output.table(map(_file_row, answer["files"])):
            output.say(line)
    for line in _gap_lines(answer.get("coverage", []), answer.get("ignored", {})):
        output.say(line)
    for session in answer.get("sessions", []):
        output.say(_session_line(session))
    if answer.get("store"):
        output.say(_store_line(answer["store"]))
    if not answer.get("settled", True):
        reasons = answer.get("unsettled", answer.get("reasons", []))
        why = ", ".join(output.escaped(str(reason)) for reason in reasons)
        output.complain(f"not settled{': ' + why if why else ''}")
    return DONE


def _gap_lines(coverage: list[dict[str, Any]], ignored: dict[str, Any]) -> Iterator[str]:
    """Yields what is not followed or not kept, and what else limits the baseline."""
    gaps = [gap for gap in coverage if not str(gap["reason"]).startswith("ignored")]
    for gap in gaps[:_MAX_GAPS]:
        reason = output.escaped(str(gap["reason"]))
        yield (
            f"not covered: {output.path_name(gap)}: {reason}" if gap["path"] else f"note: {reason}"
        )
    if len(gaps) > _MAX_GAPS:
        yield f"not covered: {len(gaps) - _MAX_GAPS} more (agentdiff status --json)"
    counts = [("folder", ignored.get("folders", 0)), ("file", ignored.get("files", 0))]
    passed = " and ".join(output.counted(count, noun) for noun, count in counts if count)
    if passed:
        named = [output.path_name(gap) for gap in coverage if gap not in gaps][:_MAX_IGNORED]
        more = ", …" if sum(count for _, count in counts) > len(named) else ""
        yield (
            f"ignored, not followed: {passed} ({', '.join(named)}{more}); "
            "workspace.include names exceptions"
        )


def _store_line(store: dict[str, int]) -> str:
    """Returns what earlier contents take of what they may."""
    used_mib, budget_mib = store["blob_bytes"] / (1 << 20), store["budget_bytes"] >> 20
    return f"store: {used_mib:.1f} of {budget_mib} MiB (workspace.store_mib)"


def _file_row(file: dict[str, Any]) -> tuple[str, ...]:
    """Returns the columns of one pending file."""
    name = output.path_name(file)
    if file.get("old_path"):
        name = f"{output.escaped(file['old_path'])} → {name}"
    owners = {
        output.owner_name(owner): None for hunk in file["hunks"] for owner in hunk.get("owners", [])
    }
    coverage = str(file.get("coverage") or "")
    note = "" if coverage in ("", "exact") else f"[{output.escaped(coverage)}]"
    return (
        _LETTERS.get(file["status"], "?"),
        name,
        output.counted(len(file["hunks"]), "hunk"),
        f"+{file['added']} -{file['removed']}",
        ", ".join(owners),
        note,
    )


def _session_line(session: dict[str, Any]) -> str:
    """Returns one line about a session and its newest turn."""
    line = (
        f"{output.escaped(session['agent'])} {output.escaped(session['id'], 12)} "
        f"{output.escaped(str(session['state']))}"
    )
    if session.get("turns"):
        turn = session["turns"][-1]
        line += f"  turn {turn['n']}: {output.escaped(str(turn['prompt'] or ''), _PROMPT_WIDTH)}"
    return line


def diff(context: Context) -> int:
    """``agentdiff diff``: exact bytes, for ``git apply``; escaped on a terminal."""
    args = context.args
    answer = context.call(
        "diff",
        paths=context.paths(args.path),
        agent=args.agent,
        session=args.session,
        turn=args.turn,
        call=args.call,
        external=args.external,
    )
    data = b64decode(answer["diff_b64"])
    output.say_content(data)
    for skipped in answer.get("skipped", []):
        reason = output.escaped(str(skipped["reason"]))
        output.complain(f"not in the diff: {output.path_name(skipped)}: {reason}")
    return DONE if data else NOTHING


def accept(context: Context) -> int:
    """``agentdiff accept``."""
    return _decide(context, "accept")


def reject(context: Context) -> int:
    """``agentdiff reject``."""
    args = context.args
    return _decide(context, "reject", reason=args.reason, discard_user=args.discard_user)


def _decide(context: Context, op: str, **params: object) -> int:
    """Sends one decision and reports it."""
    chosen = _selection(context, op)
    return _report(context, context.call("decide", op=op, selection=chosen, **params))


def _selection(context: Context, op: str) -> dict[str, object]:
    """Returns the *selection* of the protocol that the arguments describe.

    Raises:
        UsageError: nothing is selected, or in several ways at once.
    """
    args = context.args
    owner = {name: getattr(args, name) for name in ("agent", "session", "turn", "call")}
    filters = {name: value for name, value in owner.items() if value is not None}
    ways = [
        name
        for name, given in (("--all", args.all), ("PATH", args.path), ("--hunk", args.hunk))
        if given
    ]
    if len(ways) > 1:
        raise UsageError(f"{op}: {' and '.join(ways)} exclude each other")
    if not ways and not filters:
        options = "--agent, --session, --turn or --call"
        raise UsageError(f"{op}: say what: --all, PATH…, --hunk ID, {options}")
    chosen: dict[str, object] = {**filters, "external": args.external}
    if args.seen is not None:
        chosen["seen"] = args.seen
    if args.hunk:
        return {**chosen, "hunks": [_pick(text) for text in args.hunk]}
    if args.path:
        return {**chosen, "paths": context.paths(args.path)}
    return {**chosen, "all": True}


def _pick(text: str) -> dict[str, int]:
    """Returns the hunk that ``ID`` or ``ID@GEN`` names."""
    hunk, at, gen = text.partition("@")
    wrong = f"--hunk {text}: expected ID or ID@GEN, both numbers as `agentdiff status` has them"
    picked = {"id": number(hunk, wrong)}
    return {**picked, "gen": number(gen, wrong)} if at else picked


def undo(context: Context) -> int:
    """``agentdiff undo``."""
    return _report(context, context.call("undo"), nothing="nothing to undo; " + _OTHERS)


def redo(context: Context) -> int:
    """``agentdiff redo``."""
    return _report(context, context.call("redo"), nothing="nothing to redo; " + _OTHERS)


def _report(context: Context, answer: dict[str, Any], *, nothing: str = "nothing to do") -> int:
    """Prints a *decision result* and returns the exit code."""
    done, refused = answer.get("done", []), answer.get("refused", [])
    moved_on, written = answer.get("moved_on", []), answer.get("written", [])
    if context.args.json:
        output.say_json(answer)
    elif done or written:
        hunks = sum(len(item.get("hunks", [])) for item in done)
        verb = _PAST.get(str(answer.get("op")), output.escaped(str(answer.get("op"))))
        files = output.counted(len(done) or len(written), "file")
        what = f"{output.counted(hunks, 'hunk')} in {files}" if hunks else files
        output.say(f"{verb}: {what}")
    elif not refused and not moved_on:
        output.say(nothing)
    for item in refused:
        hunk = f" (hunk {item['hunk']})" if item.get("hunk") is not None else ""
        reason = output.escaped(str(item["reason"]))
        output.complain(f"refused: {output.path_name(item)}{hunk}: {reason}")
    for item in moved_on:
        output.complain(f"moved on, still pending: {output.path_name(item)}")
    if answer.get("weak"):
        names = ", ".join(output.escaped(str(path)) for path in answer["weak"])
        output.complain(f"{_WEAK}: {names}")
    if refused or moved_on:
        return REFUSED
    return DONE if done or written else NOTHING


def baseline(context: Context) -> int:
    """``agentdiff baseline``."""
    action = context.args.action
    if action == "list":
        return _baseline_list(context)
    if action == "show":
        return _baseline_show(context)
    params: dict[str, object] = {"paths": context.paths(getattr(context.args, "path", []))}
    if action == "restore":
        params |= {name: getattr(context.args, name) for name in ("turn", "agent", "session")}
    return _report(context, context.call(f"baseline.{action}", **params))


def _baseline_list(context: Context) -> int:
    answer = context.call("baseline.list")
    if context.args.json:
        output.say_json(answer)
        return DONE
    rows = [
        (str(turn["id"]), f"turn {turn['n']}", str(turn["agent"]), str(turn["prompt"] or ""))
        for turn in answer.get("turns", [])
    ]
    cells = [tuple(output.escaped(cell, _PROMPT_WIDTH) for cell in row) for row in rows]
    for line in output.table(cells, indent="") if cells else []:
        output.say(line)
    for line in output.table(map(_file_row, answer["files"])) if answer["files"] else []:
        output.say(line)
    if not answer["files"]:
        output.say("the baseline is the current content of every file")
    return DONE


def _baseline_show(context: Context) -> int:
    path = context.path(context.args.path)
    named = path if isinstance(path, dict) else {"path": path}
    answer = context.call("baseline.show", **named)
    if context.args.json:
        output.say_json(answer)
    elif answer["kind"] in ("file", "link"):
        output.say_content(b64decode(answer["data_b64"]))
    elif answer["kind"] == "absent":
        output.complain(f"{output.escaped(context.args.path)}: does not exist in the baseline")
        return NOTHING
    else:
        kind = output.escaped(str(answer["kind"]))
        output.complain(f"{output.escaped(context.args.path)}: not a file in the baseline ({kind})")
        return REFUSED
    return DONE
