"""What an accept or a reject makes of one path: both sides, and what is left pending.

Owns decisions on whole changes (existence, type, mode, binary) and their interplay with lines;
lines themselves are `agentdiff.core.hunks`'.  Must not choose what is decided
(`agentdiff.core.decisions`). Hop 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from agentdiff.core.entries import ABSENT, Absent, Entry, File
from agentdiff.core.hunks import Hunk, NewId, Text, Verdict, decide
from agentdiff.core.parts import Picked, split
from agentdiff.core.pathstate import MetaChange, PathState, meta_kinds
from agentdiff.errors import InvariantBroken


def settle_entries(
    state: PathState,
    op: Verdict,
    picks: Mapping[int, Picked],
    new_id: NewId,
    *,
    discard_user: bool = False,
) -> tuple[Entry, Entry, PathState]:
    """Returns (base, current, what is left) after a decision.

    When both sides are equal nothing pends any more and what is left means nothing.

    Args:
        state: the state before.
        op: the verdict.
        picks: ids to decide, each with the selected parts or None for all of it.
        new_id: makes ids and generations for the pieces of split hunks.
        discard_user: whether a reject also gives up the user's lines inside mixed hunks.
    """
    base, cur = state.base, state.cur
    hunks = state.hunks
    whole = {m.id for m in state.meta if m.id in picks and picks[m.id] is None}
    kinds = {m.kind for m in state.meta if m.id in whole}
    if "mode" in kinds:
        if op == "accept":
            base = _with_mode(base, cur)
        else:
            cur = _with_mode(cur, base)
    picked_hunks = [h for h in hunks if h.id in picks]
    content = kinds - {"mode", "renamed"}
    keeps_lines = op == "reject" and not discard_user and any(h.spares for h in picked_hunks)
    # A part that was decided before leaves a created or deleted text in several hunks: its id is
    # the first one's, and stands for the others no more.
    some = 0 < sum(picks[h.id] is None for h in picked_hunks) < len(hunks)
    if content and not keeps_lines and not some:
        base, cur = _settle_whole(base, cur, op)
        hunks = ()
    elif picked_hunks:
        base, cur, hunks = _settle_lines(state, base, cur, op, picks, new_id, discard_user)
    meta = _remaining_meta(state, base, cur, hunks)
    left = replace(state, base=base, cur=cur, hunks=hunks, meta=meta, gen=state.gen + 1)
    return base, cur, left


def _with_mode(entry: Entry, like: Entry) -> Entry:
    if isinstance(entry, File) and isinstance(like, File):
        return replace(entry, mode=like.mode)
    raise InvariantBroken("a mode change stands on a path that is not a file on both sides")


def _settle_whole(base: Entry, cur: Entry, op: Verdict) -> tuple[Entry, Entry]:
    """Returns both sides after the content was decided whole; a mode change stays pending."""
    if isinstance(base, File) and isinstance(cur, File):
        if op == "accept":
            return replace(cur, mode=base.mode), cur
        return base, replace(base, mode=cur.mode)
    return (cur, cur) if op == "accept" else (base, base)


def _settle_lines(
    state: PathState,
    base: Entry,
    cur: Entry,
    op: Verdict,
    picks: Mapping[int, Picked],
    new_id: NewId,
    discard_user: bool,
) -> tuple[Entry, Entry, tuple[Hunk, ...]]:
    text = state.text
    cut: list[Hunk] = []
    verdicts: dict[int, Verdict] = {}
    for hunk in text.hunks:
        parts = picks.get(hunk.id)
        if parts is None:
            cut.append(hunk)
            if hunk.id in picks:
                verdicts[hunk.id] = op
            continue
        pieces, chosen = split(text, hunk, parts, new_id)
        cut += pieces
        verdicts |= dict.fromkeys(chosen, op)
    after = decide(
        Text(text.base, text.cur, tuple(cut)),
        verdicts,
        keep_user=not discard_user,
        discard=lambda _hunk: discard_user,
    )
    # A side that was absent comes to life when it gets lines, and takes the other side's mode; a
    # side that loses its last line of an existence change goes back to absent.
    new_base = _sided(base, b"".join(after.base), like=cur)
    new_cur = _sided(cur, b"".join(after.cur), like=base)
    if not after.hunks and base is not cur:
        users = all(owner.proved for one in state.meta for owner in one.owners)
        new_base, new_cur = _meet(base, cur, new_base, new_cur, op, users=users)
    return new_base, new_cur, after.hunks


def _sided(entry: Entry, data: bytes, *, like: Entry) -> Entry:
    if isinstance(entry, File):
        return entry if entry.data == data else replace(entry, data=data, oid="")
    if not data:
        return entry
    mode = like.mode if isinstance(like, File) else 0o644
    return File(data=data, mode=mode)


def _meet(
    base: Entry, cur: Entry, new_base: Entry, new_cur: Entry, op: Verdict, *, users: bool
) -> tuple[Entry, Entry]:
    """Settles existence when no differing line is left of a created or deleted file.

    What the user deleted (`users`), by a restore, is gone as its lines are.
    """
    if isinstance(base, Absent) and isinstance(new_cur, File):
        # Rejecting every agent line of a created file: gone, unless lines of the user are left.
        return (ABSENT, ABSENT) if op == "reject" and not new_cur.data else (new_cur, new_cur)
    if isinstance(cur, Absent) and isinstance(new_base, File):
        gone = not new_base.data and (op == "accept" or users)
        return (ABSENT, ABSENT) if gone else (new_base, new_base)
    return new_base, new_cur


def _remaining_meta(
    state: PathState, base: Entry, cur: Entry, hunks: tuple[Hunk, ...]
) -> tuple[MetaChange, ...]:
    by_kind = {meta.kind: meta for meta in state.meta}
    meta: list[MetaChange] = []
    lined = not by_kind.keys() & {"binary", "eol"}
    for kind in meta_kinds(base, cur, lined=lined, origin=state.origin):
        if kind in by_kind:
            known = by_kind[kind]
            # A created or deleted text keeps one id for the change and its hunk.
            if hunks and kind in ("created", "deleted"):
                known = replace(known, id=hunks[0].id, gen=hunks[0].gen)
            meta.append(known)
    return tuple(meta)
