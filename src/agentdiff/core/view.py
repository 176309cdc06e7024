"""View models: the ledger's state in the shapes that clients see.

Owns the JSON of ``status`` and ``log`` (doc/protocol.md), and the conversion from 0-based half-open
ranges to 1-based lines.  Must not change anything.  Hop 6.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from agentdiff.core.codec import path_fields
from agentdiff.core.decisions import below
from agentdiff.core.entries import File
from agentdiff.core.events import Selection
from agentdiff.core.hunks import Hunk, Verdict, decide
from agentdiff.core.ledger import Ledger
from agentdiff.core.owners import Owner
from agentdiff.core.patch import git_mode
from agentdiff.core.pathstate import MetaChange, PathState
from agentdiff.core.sessions import Call, Session

Json: TypeAlias = dict[str, Any]

_ORDER = {"idle": 0, "ended": 0, "error": 1, "working": 2, "waiting": 3}


def owner_json(owner: Owner) -> Json:
    """Returns an owner in the shape of ``status --json``."""
    body: Json = {
        "kind": owner.kind,
        "agent": owner.agent,
        "session": owner.session,
        "subagent": owner.subagent,
        "turn": owner.turn,
        "tool_call": owner.tool_call,
        "tool": owner.tool,
        "evidence": owner.evidence,
    }
    if owner.kind != "shared":
        return body
    return {**body, "among": list(dict.fromkeys(one.session for one in owner.among))}


def counts(state: PathState) -> tuple[int, int]:
    """Returns how many lines a path adds and removes."""
    return (
        sum(h.b1 - h.b0 for h in state.hunks),
        sum(h.a1 - h.a0 for h in state.hunks),
    )


def changes(state: PathState) -> list[str]:
    """Returns what differs: of ``text mode link eol binary``."""
    kinds = {m.kind for m in state.meta}
    named = ["text"] if state.hunks else []
    named += [kind for kind in ("mode", "link", "eol", "binary") if kind in kinds]
    if not named and kinds & {"created", "deleted", "type"}:
        entry = state.base if state.status == "deleted" else state.cur
        named.append(
            "link" if git_mode(entry) == b"120000" else "binary" if _has(entry) else "text"
        )
    return named


def _has(entry: object) -> bool:
    return bool(getattr(entry, "data", b""))


def _range(start: int, end: int) -> tuple[int, int]:
    """Returns (1-based first line, count); an empty range names the line before it."""
    return (start + 1 if end > start else start), end - start


def hunk_json(hunk: Hunk) -> Json:
    """Returns a hunk in the shape of ``status --json``."""
    old_start, old_lines = _range(hunk.a0, hunk.a1)
    new_start, new_lines = _range(hunk.b0, hunk.b1)
    return {
        "id": hunk.id,
        "gen": hunk.gen,
        "kind": "text",
        "old_start": old_start,
        "old_lines": old_lines,
        "new_start": new_start,
        "new_lines": new_lines,
        "mixed": hunk.mixed,
        "owners": [owner_json(owner) for owner in hunk.owners],
    }


def meta_json(change: MetaChange) -> Json:
    """Returns a whole change in the same shape, without lines."""
    return {
        "id": change.id,
        "gen": change.gen,
        "kind": change.kind,
        "old_start": 0,
        "old_lines": 0,
        "new_start": 0,
        "new_lines": 0,
        "mixed": False,
        "owners": [owner_json(owner) for owner in change.owners],
    }


def file_json(state: PathState, committed: Mapping[int, str]) -> Json:
    """Returns a path in the shape of ``status --json``.

    Args:
        state: what pends.
        committed: change → the commit in which an agent put it (`Ledger.committed`).
    """
    added, removed = counts(state)
    lined = {hunk.id for hunk in state.hunks}
    origin = {} if state.origin is None else path_fields(state.origin, "old_path")
    return {
        **path_fields(state.path),
        **origin,
        "status": state.status,
        "changes": changes(state),
        "added": added,
        "removed": removed,
        "coverage": state.coverage,
        "hunks": [
            {**body, "committed": committed.get(body["id"])}
            for body in (
                *(meta_json(m) for m in state.meta if m.id not in lined),
                *(hunk_json(hunk) for hunk in state.hunks),
            )
        ],
    }


def _seconds(at_ns: int | None) -> float | None:
    return None if at_ns is None else at_ns / 1_000_000_000


def session_json(ledger: Ledger, session: Session) -> Json:
    """Returns a session with its turns in the shape of ``status --json``."""
    turns = [turn for (agent, name, _), turn in ledger.sessions.turns.items()]
    turns = [turn for turn in turns if (turn.agent, turn.session) == session.key]
    return {
        "id": session.id,
        "agent": session.agent,
        "state": session.state,
        "turns": [
            {
                "id": turn.id,
                "n": turn.n,
                "prompt": turn.prompt,
                "started": _seconds(turn.started_ns),
                "finished": _seconds(turn.finished_ns),
            }
            for turn in turns
        ],
    }


def shown(ledger: Ledger) -> list[PathState]:
    """Returns what pends, by path; the old path of a rename is shown with the new one."""
    origins = {ledger.paths[path].origin for path in ledger.renamed}
    return [ledger.paths[path] for path in sorted(ledger.paths) if path not in origins]


def status(ledger: Ledger) -> Json:
    """Returns the parts of ``status --json`` that the ledger knows."""
    states = shown(ledger)
    totals = [counts(state) for state in states]
    return {
        "v": 1,
        "seq": ledger.seq,
        "sessions": [session_json(ledger, s) for s in ledger.sessions.by_key.values()],
        "files": [file_json(state, ledger.committed) for state in states],
        "totals": {
            "files": len(states),
            "hunks": sum(len(state.ids) for state in states),
            "added": sum(added for added, _ in totals),
            "removed": sum(removed for _, removed in totals),
        },
    }


def summary(ledger: Ledger, now_ns: int) -> Json:
    """Returns what a statusline shows."""
    live = ledger.sessions.live(now_ns)
    state = max((s.state for s in live), key=lambda name: _ORDER.get(name, 0), default="idle")
    totals = status_totals(shown(ledger))
    return {**totals, "state": state, "agents": sorted({s.agent for s in live})}


def status_totals(states: Iterable[PathState]) -> Json:
    """Returns files, hunks and lines that pend."""
    body = {"files": 0, "hunks": 0, "added": 0, "removed": 0}
    for state in states:
        added, removed = counts(state)
        body["files"] += 1
        body["hunks"] += len(state.ids)
        body["added"] += added
        body["removed"] += removed
    return body


def call_json(ledger: Ledger, call: Call) -> Json:
    """Returns a call in the shape of ``log --json``."""
    opened = call.opened
    turn = ledger.sessions.turns.get((opened.agent, opened.session, opened.turn))
    return {
        "agent": opened.agent,
        "session": opened.session,
        "subagent": opened.subagent,
        "turn": opened.turn,
        "n": turn.n if turn is not None else None,
        "prompt": turn.prompt if turn is not None else "",
        "tool_call": opened.tool_call,
        "parent": opened.parent,
        "covers": opened.covers,
        "depth": 0,
        "tool": opened.tool,
        "command": opened.command,
        "cwd": path_fields(opened.cwd, "cwd")["cwd"],
        "started": _seconds(opened.at_ns),
        "finished": _seconds(call.closed_ns),
        "paths": [path_fields(path) for path in call.paths],
        "outcome": call.outcome or "open",
        "decided_by": call.decided_by or None,
        "trace": call.trace or None,
    }


def log(ledger: Ledger) -> list[Json]:
    """Returns every call, oldest first.

    `depth` counts the calls around one: 1 for a command that a shell call ran.  A window over a
    whole turn or program (`covers`) is none of them.
    """
    calls = sorted(ledger.sessions.calls(), key=lambda call: call.opened.at_ns)
    depths: dict[str | None, int] = {}
    out = []
    for call in calls:
        body = call_json(ledger, call)
        # A window is opened before those inside it; it does not count when it only covers.
        body["depth"] = depths.get(call.opened.parent, 0)
        depths[call.opened.tool_call] = body["depth"] + (not call.opened.covers)
        out.append(body)
    return out


def selected(ledger: Ledger, selection: Selection, *, external: bool) -> list[PathState]:
    """Returns the paths that a filter of ``diff`` and ``review`` shows.

    Args:
        ledger: the state.
        selection: paths and owners; a path is selected when one of its changes matches.
        external: whether paths that only nobody or git changed are shown.
    """
    out: list[PathState] = []
    for state in shown(ledger):
        both = (state.path, state.path if state.origin is None else state.origin)
        if selection.paths and not any(below(path, selection.paths) for path in both):
            continue
        owners = [owner for change in state.changes().values() for owner in change.owners]
        if selection.by_owner and not _matched(owners, selection):
            continue
        if not external and not selection.paths and _nobody(owners):
            continue
        out.append(state)
    return out


def matching(state: PathState, selection: Selection) -> frozenset[int]:
    """Returns the ids of those changes of a path that a filter by owner shows."""
    if not selection.by_owner:
        return frozenset(state.ids)
    return frozenset(
        number for number, change in state.changes().items() if _matched(change.owners, selection)
    )


def scoped(state: PathState, selection: Selection, *, external: bool) -> PathState:
    """Returns a selected path with only those of its changes that the filter shows.

    What differs only by other changes is as in the base, so that the rest is a patch of its own.
    Created, deleted and whole changes are one thing, and are shown if they are selected at all.
    """
    base, cur = state.base, state.cur
    if not (isinstance(base, File) and isinstance(cur, File)):
        return state

    def wanted(owners: Collection[Owner]) -> bool:
        named = bool(selection.paths) or external
        return _matched(owners, selection) and (named or not _nobody(owners))

    others: dict[int, Verdict] = {h.id: "reject" for h in state.hunks if not wanted(h.owners)}
    kept = tuple(m for m in state.meta if m.kind != "mode" or wanted(m.owners))
    if others:
        left = decide(state.text, others, keep_user=False, discard=lambda _: True)
        cur = replace(cur, data=b"".join(left.cur), oid="")
        state = replace(state, cur=cur, hunks=left.hunks)
    if kept != state.meta:
        state = replace(state, cur=replace(cur, mode=base.mode), meta=kept)
    return state


def _matched(owners: Iterable[Owner], selection: Selection) -> bool:
    return any(selection.meets(owner) for owner in owners)


def _nobody(owners: Collection[Owner]) -> bool:
    return bool(owners) and all(owner.kind in ("external", "git", "user") for owner in owners)
