"""What Neovim draws: the review of a workspace, and the hunks of one file.

Owns the shapes of ``review`` and ``inline`` (doc/protocol.md).  Must not change anything.  Hop 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from agentdiff.core.codec import path_fields
from agentdiff.core.hunks import Hunk
from agentdiff.core.ledger import Ledger
from agentdiff.core.owners import Owner
from agentdiff.core.patch import CONTEXT_LINES, Chunk, chunks, escape, unpatchable
from agentdiff.core.pathstate import MetaChange, PathState, describe
from agentdiff.core.view import Json, counts, summary

RowKind: TypeAlias = Literal[
    "title", "file", "meta", "hunk", "context", "deleted", "added", "nonl", "blank"
]


def owner_label(ledger: Ledger, owners: Sequence[Owner]) -> str:
    """Returns owners as a short phrase: ``claude · turn 3 · Edit``."""
    out: list[str] = []
    for owner in owners:
        if owner.kind != "agent":
            out.append(owner.kind)
            continue
        key = (owner.agent or "", owner.session or "", owner.turn or "")
        turn = ledger.sessions.turns.get(key)
        parts = [owner.agent or "agent"]
        if turn is not None:
            parts.append(f"turn {turn.n}")
        parts.append(owner.tool or "")
        out.append(" · ".join(part for part in parts if part))
    return ", ".join(dict.fromkeys(out))


@dataclass(slots=True)
class _Review:
    ledger: Ledger
    lines: list[str] = field(default_factory=list)
    rows: list[list[Any]] = field(default_factory=list)
    files: list[Json] = field(default_factory=list)
    hunks: list[Json] = field(default_factory=list)

    def add(self, kind: RowKind, text: str, hunk: int = -1, old: int = -1, new: int = -1) -> None:
        self.lines.append(text)
        self.rows.append([kind, len(self.files) - 1, hunk, old, new])

    def file(self, state: PathState, context: int) -> None:
        if self.lines:
            self.add("blank", "")
        self.files.append(
            {
                **path_fields(state.path),
                "status": state.status,
                "coverage": state.coverage,
                "row": len(self.lines),
            }
        )
        added, removed = counts(state)
        name = escape(state.path).decode() if _odd(state.path) else state.path.decode()
        badge = "" if state.coverage == "exact" else f"  [{state.coverage}]"
        self.add("file", f"{state.status} {name}  +{added} -{removed}{badge}")
        lined = {hunk.id for hunk in state.hunks}
        for change in state.meta:
            if change.id not in lined:
                self.change(state, change)
        for chunk in chunks(state.text, context, joined=False) if state.hunks else ():
            self.chunk(chunk)

    def change(self, state: PathState, change: MetaChange) -> None:
        self.begin(change, change.owners, start=1)
        self.add("meta", _meta_line(state, change), len(self.hunks) - 1)
        self.hunks[-1]["rows"] = 1

    def begin(self, change: Hunk | MetaChange, owners: tuple[Owner, ...], start: int) -> None:
        proved = {owner.proved for owner in owners}
        self.hunks.append(
            {
                "id": change.id,
                "gen": change.gen,
                "file": len(self.files) - 1,
                "row": len(self.lines),
                "rows": 0,
                "mixed": proved == {True, False},
                "owner": owner_label(self.ledger, owners),
                "start": start,
            }
        )

    def chunk(self, chunk: Chunk) -> None:
        hunk = chunk.hunks[0]
        start = hunk.b0 + 1 if hunk.b1 > hunk.b0 else hunk.b0
        self.begin(hunk, hunk.owners, start)
        index = len(self.hunks) - 1
        header = f"{chunk.header.decode()} {self.hunks[index]['owner']}"
        self.add("hunk", header, index)
        for row in chunk.rows:
            text = row.kind + _shown(row.text)
            if row.kind == "-":
                self.add("deleted", text, index, row.old - hunk.a0, -1)
            elif row.kind == "+":
                self.add("added", text, index, -1, row.new - hunk.b0)
            else:
                self.add("context", text, index, -1, row.new + 1)
            if not row.text.endswith(b"\n"):
                self.add("nonl", "\\ No newline at end of file", index)
        self.hunks[index]["rows"] = len(self.lines) - self.hunks[index]["row"]


def _odd(path: bytes) -> bool:
    return any(byte < 0x20 or byte == 0x7F for byte in path) or not _is_utf8(path)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _shown(line: bytes) -> str:
    """Returns a line without terminator as it may stand in a buffer."""
    return line.removesuffix(b"\n").decode(errors="replace").replace("\0", "␀")


def _meta_line(state: PathState, change: MetaChange) -> str:
    if change.kind == "mode":
        old, new = (getattr(entry, "mode", 0) for entry in (state.base, state.cur))
        return f"mode {old:04o} → {new:04o}"
    if change.kind == "binary":
        return f"binary: {describe(state.base)} → {describe(state.cur)}"
    reason = unpatchable(state)
    if reason is not None:
        return f"{change.kind}: {reason}"
    return f"{change.kind}: {describe(state.base)} → {describe(state.cur)}"


def review(
    ledger: Ledger,
    workspace: bytes,
    states: Sequence[PathState],
    now_ns: int,
    context: int = CONTEXT_LINES,
) -> Json:
    """Returns the review view of some paths."""
    body = _Review(ledger)
    for state in states:
        body.file(state, context)
    return {
        "v": 1,
        "seq": ledger.seq,
        "workspace": workspace.decode(errors="replace"),
        "lines": body.lines,
        "rows": body.rows,
        "files": body.files,
        "hunks": body.hunks,
        "summary": summary(ledger, now_ns),
    }


def inline(ledger: Ledger, state: PathState) -> Json:
    """Returns the inline view of one path."""
    base = state.text.base
    hunks: list[Json] = [
        {
            "id": m.id,
            "gen": m.gen,
            "kind": m.kind,
            "mixed": False,
            "start": 0,
            "added": 0,
            "removed": 0,
            "deleted": [],
            "owner": owner_label(ledger, m.owners),
        }
        for m in state.meta
        if m.id not in {hunk.id for hunk in state.hunks}
    ]
    hunks += [
        {
            "id": hunk.id,
            "gen": hunk.gen,
            "kind": "text",
            "mixed": hunk.mixed,
            "start": hunk.b0 + 1 if hunk.b1 > hunk.b0 else hunk.b0,
            "added": hunk.b1 - hunk.b0,
            "removed": hunk.a1 - hunk.a0,
            "deleted": [_shown(line) for line in base[hunk.a0 : hunk.a1]],
            "owner": owner_label(ledger, hunk.owners),
        }
        for hunk in state.hunks
    ]
    return {
        **path_fields(state.path),
        "status": state.status,
        "gen": state.gen,
        "coverage": state.coverage,
        "hunks": hunks,
    }
