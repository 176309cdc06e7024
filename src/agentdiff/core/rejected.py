"""What decisions took away from the disk: the texts that can still be had back.

Owns the JSON of ``rejected`` (doc/protocol.md).  Must not change anything.  Hop 6.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from agentdiff.core.codec import path_fields
from agentdiff.core.diff import diff_bytes
from agentdiff.core.entries import Absent, Entry, File, Ref
from agentdiff.core.hunks import Hunk
from agentdiff.core.ledger import Ledger
from agentdiff.core.patch import render
from agentdiff.core.pathstate import PathState, is_line_text
from agentdiff.core.records import DecisionItem
from agentdiff.core.undoing import UndoStep

Json: TypeAlias = dict[str, Any]

MAX_ITEMS = 100
MAX_CHARS = 200_000
"""Of one patch: more is not read in a list."""


def rejected(
    ledger: Ledger,
    items: Callable[[UndoStep], Iterable[DecisionItem]],
    load: Callable[[Ref], Entry],
    limit: int = MAX_ITEMS,
) -> list[Json]:
    """Returns what decisions in effect replaced on disk, newest first, one object for each path.

    ``patch`` is a unified diff that puts the text back with ``git apply``, from what the decision
    left; empty where there is none (``reason`` then says why).

    Args:
        ledger: the state.
        items: brings what a step did, from the log.
        load: brings the content that a ref names.
        limit: largest number of objects.
    """
    out: list[Json] = []
    for step in ledger.turns.in_effect():
        made = ledger.decisions[step.decision]
        for item in items(step) if step.wrote else ():
            if item.cur_before == item.cur_after:
                continue
            if len(out) == limit:
                return out
            patch, reason = _patch(item, load)
            out.append(
                {
                    **path_fields(item.path),
                    "decision": made.decision,
                    "op": made.op,
                    "reason": made.reason or reason,
                    "at": made.at_ns / 1_000_000_000,
                    "patch": patch,
                }
            )
    return out


def _patch(item: DecisionItem, load: Callable[[Ref], Entry]) -> tuple[str, str]:
    """Returns (patch, why there is none)."""
    left, gone = load(item.cur_after), load(item.cur_before)
    for entry in (left, gone):
        if not isinstance(entry, File | Absent) or not is_line_text(entry):
            return "", f"no text: {getattr(entry, 'kind', 'a binary file or a link')}"
    old, new = (entry.data if isinstance(entry, File) else b"" for entry in (left, gone))
    hunks = tuple(
        Hunk(
            id=n,
            gen=0,
            a0=block.a0,
            a1=block.a1,
            b0=block.b0,
            b1=block.b1,
            old_owners=(),
            new_owners=(),
        )
        for n, block in enumerate(diff_bytes(old, new))
    )
    state = PathState(path=item.path, base=left, cur=gone, hunks=hunks, meta=(), gen=0)
    text = render(state).decode(errors="replace")
    if len(text) > MAX_CHARS:
        return "", f"too long to list: {len(text)} characters"
    return text, ""
