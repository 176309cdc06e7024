"""What a person made of a diff: the file that an edited block of the review describes.

Owns the reading of edited ``@@`` blocks (by unidiff) and the plan of the write that they ask for.
Must not write, and must not change a ledger.  Hop 4.

Theory.  A block shows one hunk with the equal lines around it.  Its new side (context and ``+``
lines) is what the file shall hold there; its old side is the baseline, which is no text to edit.
So context and ``+`` lines may be changed, added and deleted; a ``-`` line may only become context,
which puts the line back.  The user wrote what is new, so the result is an observation of theirs:
outside hunks the base follows, and nothing that they typed alone pends.

A block is compared with the state before anything is planned, so that an edit of something that
moved on meanwhile is refused instead of guessed.  Lines are compared as they were shown: a line
that was not touched keeps its exact bytes, also where the screen could not show them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from unidiff.errors import UnidiffParseError
from unidiff.patch import PatchSet

from agentdiff.core.decisions import PathPlan, Plan, Refusal
from agentdiff.core.diff import diff_lines
from agentdiff.core.entries import Absent, Entry, File
from agentdiff.core.events import BlockEdit
from agentdiff.core.hunks import Hunk, NewId
from agentdiff.core.observing import observe
from agentdiff.core.owners import USER
from agentdiff.core.pathstate import PathState

MAX_REMOVED = 2000
"""How many removed lines of one block are looked through for those that became context."""

_UNSHOWN = ("\ufffd".encode(), "␀".encode())


@dataclass(frozen=True, slots=True)
class _Row:
    kind: str
    text: str  # as shown, with a terminator unless the file's last line has none


class _Refused(Exception):  # noqa: N818 - an outcome inside this module, never seen outside
    """An edit cannot be applied; the text says why and what to do."""


def shown(line: bytes) -> str:
    """Returns a line without terminator as it may stand in a buffer (lossy)."""
    return line.removesuffix(b"\n").decode("utf-8", "replace").replace("\0", "␀")


def plan_edits(paths: Mapping[bytes, PathState], edits: Sequence[BlockEdit], new_id: NewId) -> Plan:
    """Returns what applying edited blocks does: all of them, or nothing and the reasons.

    Args:
        paths: every path with something pending.
        edits: the blocks that differ from what was shown.
        new_id: makes ids for what the user's lines split.
    """
    result = Plan([], [], [])
    where = {hunk.id: path for path, state in paths.items() for hunk in state.hunks}
    by_path: dict[bytes, list[BlockEdit]] = {}
    for edit in edits:
        path = where.get(edit.hunk)
        if path is None:
            reason = f"hunk {edit.hunk} is gone: decided already, or the text under it changed"
            result.refused.append(Refusal(path=b"", change=edit.hunk, reason=reason))
        else:
            by_path.setdefault(path, []).append(edit)
    for path, chosen in by_path.items():
        state = paths[path]
        after = edited(state, chosen, result.refused.append)
        if after is not None and after != state.cur:
            left = observe(state, path, state.cur, after, USER, new_id)
            result.paths.append(
                PathPlan(
                    path=path,
                    picks=dict.fromkeys(edit.hunk for edit in chosen),
                    before=state,
                    after=left,
                    cur_before=state.cur,
                    cur_after=after,
                )
            )
    if result.refused:
        result.paths.clear()
    return result


def edited(
    state: PathState, edits: Iterable[BlockEdit], refuse: Callable[[Refusal], None]
) -> Entry | None:
    """Returns what a path shall hold after edits of its blocks, None when one was refused."""
    hunks = {hunk.id: hunk for hunk in state.hunks}
    lines = list(state.text.cur)
    ordered = sorted(edits, key=lambda edit: hunks[edit.hunk].b0, reverse=True)
    fine = True
    for edit in ordered:
        try:
            start, end, new = _region(state, hunks[edit.hunk], edit)
        except _Refused as problem:
            refuse(Refusal(path=state.path, change=edit.hunk, reason=str(problem)))
            fine = False
        else:
            lines[start:end] = new
    if not fine:
        return None
    data = b"".join(
        line if line.endswith(b"\n") or n == len(lines) - 1 else line + b"\n"
        for n, line in enumerate(lines)
    )
    return _holding(state, data)


def _holding(state: PathState, data: bytes) -> Entry:
    if isinstance(state.cur, File):
        same = state.cur.data == data
        return state.cur if same else replace(state.cur, data=data, oid="")
    if isinstance(state.cur, Absent) and not data:
        return state.cur
    mode = state.base.mode if isinstance(state.base, File) else 0o644
    return File(data=data, mode=mode)


def _region(state: PathState, hunk: Hunk, edit: BlockEdit) -> tuple[int, int, list[bytes]]:
    """Returns which lines of the current text (0-based, half-open) become which.

    Raises:
        _Refused: the block does not say, or it is not the one that was shown.
    """
    if hunk.gen != edit.gen:
        raise _Refused("it changed since it was shown: :edit! shows it as it is now")
    before, after = _parse(edit.before), _parse(edit.after)
    above = len(list(takewhile(lambda row: row.kind == " ", before)))
    below = len(list(takewhile(lambda row: row.kind == " ", reversed(before))))
    start, end = hunk.b0 - above, hunk.b1 + below
    old_side = [row.text for row in before if row.kind in " -"]
    new_side = [row.text for row in before if row.kind in " +"]
    base = state.text.base[max(hunk.a0 - above, 0) : hunk.a1 + below]
    cur = state.text.cur[max(start, 0) : end]
    if [_shown_row(line) for line in base] != old_side or [
        _shown_row(line) for line in cur
    ] != new_side:
        raise _Refused("lines around it changed since it was shown: :edit! shows them")
    _check_removed(before, after)
    return start, end, _merged(base, cur, [row for row in after if row.kind in " +"])


def _shown_row(line: bytes) -> str:
    return shown(line) + ("\n" if line.endswith(b"\n") else "")


def _parse(rows: Sequence[str]) -> list[_Row]:
    """Returns the rows of a block, read by unidiff under a header that counts them anew."""
    for row in rows:
        if "\n" in row or row[:1] not in ("", " ", "-", "+", "\\"):
            raise _Refused(f"not a line of a diff (space, - or + in front): {row[:40]!r}")
    rows = [row or " " for row in rows]  # an editor that trims took the space of an empty line
    old = sum(1 for row in rows if row[0] in " -")
    new = sum(1 for row in rows if row[0] in " +")
    body = "".join(row + "\n" for row in rows)
    if not (old or new):
        return []
    try:
        patch = PatchSet.from_string(f"--- a\n+++ b\n@@ -1,{old} +1,{new} @@\n{body}")
    except UnidiffParseError as problem:
        raise _Refused(f"not a diff: {problem}") from problem
    out: list[_Row] = []
    for line in patch[0][0]:
        if line.line_type == "\\":
            if out:
                out[-1] = replace(out[-1], text=out[-1].text.removesuffix("\n"))
        else:
            out.append(_Row(line.line_type, line.value))
    return out


def _check_removed(before: Sequence[_Row], after: Sequence[_Row]) -> None:
    """Raises `_Refused` unless every removed line is there still, as ``-`` or as context."""
    removed = [row.text for row in before if row.kind == "-"]
    rows = [row for row in after if row.kind in " -"]
    if [row.text for row in rows if row.kind == "-"] == removed:
        return
    if len(removed) > MAX_REMOVED:
        raise _Refused(f"more than {MAX_REMOVED} removed lines: put them back by rejecting lines")
    # Which removed lines can all be accounted for after each row; a set, for equal lines.
    reached = {0}
    for row in rows:
        used = {n + 1 for n in reached if n < len(removed) and removed[n] == row.text}
        reached = used if row.kind == "-" else reached | used
    if len(removed) not in reached:
        raise _Refused(
            "a removed line (-) was edited or deleted: it shows the baseline.  Make it a context "
            "line (a space in front) to put it back, or accept it to be rid of it"
        )


def _merged(base: Sequence[bytes], cur: Sequence[bytes], rows: Sequence[_Row]) -> list[bytes]:
    """Returns the rows as bytes: the exact ones of `cur` where a row was not touched."""
    old = [_shown_row(line).encode("utf-8", "surrogatepass") for line in cur]
    new = [row.text.encode("utf-8", "surrogatepass") for row in rows]
    inexact: dict[bytes, set[bytes]] = {}
    for line in (*base, *cur):
        seen = _shown_row(line).encode("utf-8", "surrogatepass")
        if line != seen:
            inexact.setdefault(seen, set()).add(line)
    out: list[bytes] = []
    at = 0
    for block in diff_lines(old, new):
        out += cur[at : block.a0]
        out += [_typed(line, inexact) for line in new[block.b0 : block.b1]]
        at = block.a1
    return out + list(cur[at:])


def _typed(line: bytes, inexact: Mapping[bytes, set[bytes]]) -> bytes:
    """Returns a row that has no counterpart; one that was only moved keeps its exact bytes."""
    known = inexact.get(line)
    if known is None and inexact and any(mark in line for mark in _UNSHOWN):
        raise _Refused("it holds bytes that cannot be shown: change that line in the file")
    if known is not None and len(known) > 1:
        raise _Refused("lines look alike that are not the same bytes: change them in the file")
    return line if known is None else next(iter(known))
