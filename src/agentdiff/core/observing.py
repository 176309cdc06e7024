"""What an observation makes of a path's state.

Owns the step from one content to the next: which hunks are touched, when the base moves along, and
which whole changes (existence, type, mode, binary, line endings) there are now.  Must not know
sessions, windows or disks.  Hop 4.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby

from agentdiff.core import eol
from agentdiff.core.diff import diff_bytes
from agentdiff.core.entries import ABSENT, Absent, Directory, Entry, File, Other
from agentdiff.core.hunks import Hunk, NewId, Text, carry
from agentdiff.core.owners import Owner, unique
from agentdiff.core.pathstate import (
    MetaChange,
    PathState,
    flips_eol,
    is_line_text,
    lines_of,
    meta_kinds,
)

# What pends beside the content, whatever becomes of that.
_APART = ("mode", "renamed")


def _data(entry: Entry) -> bytes:
    return entry.data if isinstance(entry, File) else b""


def _same_bytes(one: Entry, other: Entry) -> bool:
    return isinstance(one, File) and isinstance(other, File) and one.data == other.data


def observe(
    state: PathState | None,
    path: bytes,
    before: Entry,
    after: Entry,
    owner: Owner,
    new_id: NewId,
    *,
    coverage: str = "exact",
    mirror: bool | None = None,
) -> PathState | None:
    """Returns the state after `after` was seen on disk, None when nothing pends any more.

    Args:
        state: the state so far, None when nothing pended.
        path: the path.
        before: content last known when `state` is None; it becomes the base.
        after: content seen now.
        owner: who did it.  A proved owner (user, git) moves the base along outside hunks.
        new_id: makes ids.
        coverage: recorded when a new state begins; see `PathState.coverage`.
        mirror: whether the base moves along outside hunks; by default when the owner is proved.
    """
    mirror = owner.proved if mirror is None else mirror
    if state is None:
        if mirror:
            return None
        state = PathState(
            path=path, base=before, cur=before, hunks=(), meta=(), gen=0, coverage=coverage
        )
        if isinstance(before, Other):
            state = replace(state, coverage=before.kind)
    if after == state.cur:
        return state if state.gen else None
    if state.origin is not None and not isinstance(after, File):
        state = as_created(state, new_id)
    base = state.base
    if mirror:
        moved = _proved_base(state, after)
        if moved is None:
            return None
        base = moved
    restyled = _restyled_base(state, base, after) if mirror else None
    base = restyled or base
    if after == base or _same_bytes(base, after):
        return _finish(state, base, after, (), owner, new_id)
    state = replace(state, base=base)
    if restyled is not None and not flips_eol(base, after):
        return _finish(state, base, after, _styled_hunks(state, after, new_id), owner, new_id)
    if mirror and flips_eol(state.cur, after):
        state = _restyled(state, after, new_id)
    if not (is_line_text(base) and is_line_text(after)) or flips_eol(state.base, after):
        return _finish(state, state.base, after, (), owner, new_id)
    base, hunks = _observe_text(state, after, owner, new_id, mirror)
    return _finish(state, base, after, hunks, owner, new_id)


def _restyled_base(state: PathState, base: Entry, after: Entry) -> File | None:
    """Returns the base after the user edited a file of which only the style of line endings pends.

    The edit goes into both sides, into each in its own style.  None where that is not the case.

    Args:
        state: the state so far.
        base: what a proved write works on.
        after: what the user left.
    """
    if state.hunks or not flips_eol(state.base, state.cur):
        return None
    if not (isinstance(base, File) and isinstance(after, File) and is_line_text(after)):
        return None
    to = eol.style(base.data)
    data = eol.converted(after.data, to)
    if eol.style(data) not in (to, "none"):
        return None  # what ends in two carriage returns has no other style
    return replace(base, data=data, oid="")


def _styled_hunks(state: PathState, after: Entry, new_id: NewId) -> tuple[Hunk, ...]:
    """Returns the lines that differ, in their style only, where some lines do not: the user's."""
    change = next(m for m in state.meta if m.kind == "eol")
    pairs = zip(lines_of(state.base), lines_of(after), strict=True)
    hunks: list[Hunk] = []
    for differs, run in groupby(enumerate(pairs), key=lambda one: one[1][0] != one[1][1]):
        at = [n for n, _ in run]
        if not differs:
            continue
        owners = (change.owners[0],) * len(at)
        here = {"a0": at[0], "a1": at[-1] + 1, "b0": at[0], "b1": at[-1] + 1}
        hunk_id = new_id() if hunks else change.id
        hunks.append(Hunk(id=hunk_id, gen=new_id(), **here, old_owners=owners, new_owners=owners))
    return tuple(hunks)


def _restyled(state: PathState, after: Entry, new_id: NewId) -> PathState:
    """Returns the state after the user changed all line endings: both sides change, no hunk does.

    Where the base has another style than what the user changed, the change of style joins what
    pends, like any edit inside a hunk.
    """
    base, cur = state.base, state.cur
    if not (isinstance(base, File) and isinstance(cur, File) and isinstance(after, File)):
        return state
    if not state.hunks or eol.style(base.data) not in (eol.style(cur.data), "none"):
        return state
    to = eol.style(after.data)
    return replace(
        state,
        base=replace(base, data=eol.converted(base.data, to), oid=""),
        cur=replace(cur, data=after.data, oid=after.oid),
        hunks=tuple(replace(hunk, gen=new_id()) for hunk in state.hunks),
    )


def as_created(state: PathState, new_id: NewId) -> PathState:
    """Returns a renamed path as what it is without its origin: created here."""
    lines = lines_of(state.cur) if is_line_text(state.cur) else []
    renamed = next(m for m in state.meta if m.kind == "renamed")
    owners = [renamed.owners[0]] * len(lines)
    for hunk in state.hunks:
        owners[hunk.b0 : hunk.b1] = hunk.new_owners
    gen = new_id()
    whole = Hunk(
        id=renamed.id,
        gen=gen,
        a0=0,
        a1=0,
        b0=0,
        b1=len(lines),
        old_owners=(),
        new_owners=tuple(owners),
    )
    everybody = unique([o for change in state.changes().values() for o in change.owners])
    return replace(
        state,
        base=ABSENT,
        origin=None,
        origin_base=None,
        hunks=(whole,) if lines else (),
        meta=(MetaChange(id=renamed.id, gen=gen, kind="created", owners=everybody),),
        gen=state.gen + 1,
    )


def _observe_text(
    state: PathState, after: Entry, owner: Owner, new_id: NewId, mirror: bool
) -> tuple[Entry, tuple[Hunk, ...]]:
    """Returns base and hunks after a write that leaves both sides lines of text."""
    if not is_line_text(state.cur):
        # The content had no lines until now: all that is known is the base and what is there.
        text = Text(lines_of(state.base), lines_of(state.base), ())
        edit = diff_bytes(_data(state.base), _data(after))
        hunks = carry(text, lines_of(after), edit, owner, new_id, mirror=False).hunks
        # Its id goes on; modes and renames, which may be older, have one of their own.
        oldest = min(m.id for m in state.meta if m.kind not in _APART)
        return state.base, tuple(
            replace(hunk, id=oldest) if n == 0 else hunk for n, hunk in enumerate(hunks)
        )
    text = state.text
    if not state.hunks and flips_eol(state.base, state.cur):
        text = _styled_text(state)
    new = lines_of(after)
    edit = diff_bytes(_data(state.cur), _data(after), a=text.cur, b=new)
    # A file that one side lacks has no "outside of hunks": whatever is written there joins.
    mirror = mirror and isinstance(state.base, File) and isinstance(state.cur, File)
    carried = carry(text, new, edit, owner, new_id, mirror=mirror)
    base = state.base
    if mirror and isinstance(base, File) and carried.base != text.base:
        base = replace(base, data=b"".join(carried.base), oid="")
    return base, () if _data(base) == _data(after) else carried.hunks


def _styled_text(state: PathState) -> Text:
    """Returns a pending change of line endings as lines, for an edit that is more than that."""
    change = next(m for m in state.meta if m.kind == "eol")
    base, cur = lines_of(state.base), lines_of(state.cur)
    # What the last line lacks a terminator on both sides, it is equal.
    end = len(base) - (base[-1] == cur[-1])
    whole = Hunk(
        id=change.id,
        gen=change.gen,
        a0=0,
        a1=end,
        b0=0,
        b1=end,
        old_owners=(change.owners[0],) * end,
        new_owners=(change.owners[0],) * end,
    )
    return Text(base, cur, (whole,))


def _proved_base(state: PathState, after: Entry) -> Entry | None:
    """Returns the base that a proved write works on; None when the base simply follows it."""
    base, cur = state.base, state.cur
    lined = is_line_text(base) and is_line_text(after) and not isinstance(after, Absent)
    if lined and isinstance(cur, Other) and state.gen > 1:
        return base  # something pended before it could not be read: it is in there, undecided
    if not lined or not is_line_text(cur):
        modes = [entry.mode for entry in (base, cur) if isinstance(entry, File)]
        if isinstance(after, File) and len(set(modes)) > 1:
            return replace(after, mode=modes[0])  # the content follows, a mode that pends does not
        return None
    if not (isinstance(base, File) and isinstance(cur, File) and isinstance(after, File)):
        return base
    return replace(base, mode=after.mode) if base.mode == cur.mode else base


def _finish(
    state: PathState,
    base: Entry,
    cur: Entry,
    hunks: tuple[Hunk, ...],
    owner: Owner,
    new_id: NewId,
) -> PathState | None:
    """Derives the whole changes of (base, cur), keeping ids and owners; raises the generation."""
    if base == cur and state.origin is None:
        return None
    known = {meta.kind: meta for meta in state.meta}
    carried = [meta for meta in state.meta if meta.kind not in _APART]
    meta: list[MetaChange] = []
    for kind in meta_kinds(base, cur, lined=_lined(base, cur, hunks), origin=state.origin):
        if kind == "renamed" or (kind == "eol" and kind in known and owner.proved):
            meta.append(known[kind])  # the user's edit of a file is none of its style
            continue
        if kind == "mode":
            old = known.get("mode")
            same = old is not None and _mode(cur) == _mode(state.cur)
            owners = old.owners if old is not None and same else (owner,)
            gen = old.gen if old is not None and same else new_id()
            meta.append(
                MetaChange(id=old.id if old else new_id(), gen=gen, kind=kind, owners=owners)
            )
            continue
        gen = new_id()
        if hunks:
            change, gen = hunks[0].id, hunks[0].gen
            owners = hunks[0].owners
        else:
            change = min([*(m.id for m in carried), *(h.id for h in state.hunks)], default=0)
            change = change or new_id()
            before = [o for m in carried for o in m.owners] + [
                o for h in state.hunks for o in h.owners
            ]
            owners = unique([*before, owner])
        meta.append(MetaChange(id=change, gen=gen, kind=kind, owners=owners))
    return replace(state, base=base, cur=cur, hunks=hunks, meta=tuple(meta), gen=state.gen + 1)


def _lined(base: Entry, cur: Entry, hunks: tuple[Hunk, ...]) -> bool:
    """Whether hunks stand for the difference of two entries, or there is none to stand for."""
    return bool(hunks) or _data(base) == _data(cur)


def _mode(entry: Entry) -> int:
    return entry.mode if isinstance(entry, File | Directory) else 0
