"""Renames: a deletion and a creation that are one change.

Owns the finding of pairs and what a paired state is.  Must not decide who wrote what, nor forget a
pair: once found, it stays until one of the two is something else.  Hop 4, called by
`agentdiff.core.observer`.

The new path takes the base of the old one (`PathState.origin`), so that its hunks are what changed
on the way; the old path goes on pending as deleted, and is not shown.  Rejecting the change
``renamed`` moves what is there back to the old path, accepting it lets go of the old path; hunks
are decided as everywhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from agentdiff.core.diff import diff_bytes, split_lines
from agentdiff.core.entries import File
from agentdiff.core.hunks import Hunk, NewId
from agentdiff.core.owners import Owner
from agentdiff.core.pathstate import (
    MetaChange,
    PathState,
    flips_eol,
    is_binary,
    is_line_text,
    lines_of,
    meta_kinds,
)

# Half of the larger one must be the same lines: git's own default.
SIMILAR = 0.5
# A directory of unrelated files moved and rewritten at once is not worth comparing pair by pair.
MAX_COMPARISONS = 2_500


def find_pairs(
    states: Iterable[PathState], moves: Mapping[bytes, bytes]
) -> list[tuple[PathState, PathState]]:
    """Returns (deleted, created) states that are one rename, at most one partner each.

    Args:
        states: everything that pends.
        moves: new path → old path, as a tool call announced it.
    """
    known = list(states)
    origins = {state.origin for state in known}
    gone = {s.path: s for s in known if s.path not in origins and _vanished(s)}
    made = {s.path: s for s in known if _appeared(s)} if gone else {}
    pairs: list[tuple[PathState, PathState]] = []
    for old, new in _matches(gone, made, moves):
        if old in gone and new in made:
            pairs.append((gone.pop(old), made.pop(new)))
    return pairs


def _matches(
    gone: Mapping[bytes, PathState], made: Mapping[bytes, PathState], moves: Mapping[bytes, bytes]
) -> Iterator[tuple[bytes, bytes]]:
    """Yields pairs, the surest first; `gone` and `made` shrink as they are taken."""
    yield from ((old, new) for new, old in moves.items())
    by_content: dict[str, list[bytes]] = {}
    for path, state in gone.items():
        by_content.setdefault(_file(state.base).oid, []).append(path)
    for path, state in list(made.items()):
        same = by_content.get(_file(state.cur).oid, [])
        # Of several equal files the one with the same name.
        for old in sorted(same, key=lambda one: _name(one) != _name(path)):
            if old in gone and path in made and _related(gone[old], state):
                yield old, path
    if len(gone) * len(made) > MAX_COMPARISONS:
        return
    scored = [
        (score, old.path, new.path)
        for old in gone.values()
        for new in made.values()
        if _related(old, new)
        and (score := similarity(_file(old.base).data, _file(new.cur).data)) >= SIMILAR
    ]
    yield from ((old, new) for _, old, new in sorted(scored, key=lambda one: -one[0]))


def _vanished(state: PathState) -> bool:
    return state.status == "deleted" and isinstance(state.base, File) and bool(state.base.data)


def _appeared(state: PathState) -> bool:
    return state.status == "created" and isinstance(state.cur, File) and bool(state.cur.data)


def _file(entry: object) -> File:
    assert isinstance(entry, File)
    return entry


def _name(path: bytes) -> bytes:
    return path.rpartition(b"/")[2]


def _related(old: PathState, new: PathState) -> bool:
    """Whether the same author can have done both."""

    def authors(state: PathState) -> set[tuple[str, str | None, str | None]]:
        owners = [owner for change in state.meta for owner in change.owners]
        return {(owner.kind, owner.agent, owner.session) for owner in owners}

    return bool(authors(old) & authors(new))


def similarity(old: bytes, new: bytes) -> float:
    """Returns how much of the larger content is lines that both have, from 0 to 1."""
    larger = max(len(old), len(new))
    if old == new or min(len(old), len(new)) < larger * SIMILAR:
        return float(old == new)
    if is_binary(old) or is_binary(new):
        return 0.0
    common = Counter(split_lines(old)) & Counter(split_lines(new))
    return sum(len(line) * count for line, count in common.items()) / larger


def paired(old: PathState, new: PathState, before: PathState | None, new_id: NewId) -> PathState:
    """Returns the state of the new path as a rename of the old one.

    Args:
        old: the deleted path.
        new: the created path.
        before: what pended on the old path before it went, which may be what is here now.
        new_id: makes ids and generations.
    """
    base, cur = _file(old.base), _file(new.cur)
    first = new.ids[0]
    author = new.meta[0].owners
    meta = [MetaChange(id=first, gen=new_id(), kind="renamed", owners=author)]
    hunks: tuple[Hunk, ...] = ()
    lined = is_line_text(base) and is_line_text(cur) and not flips_eol(base, cur)
    if before is not None and before.base == base and _data(before) == cur.data:
        taken = {first, *old.ids}
        hunks = tuple(replace(h, id=new_id()) if h.id in taken else h for h in before.hunks)
    elif lined:
        hunks = _hunks(old, new, new_id)
    meta += [
        MetaChange(id=new_id(), gen=new_id(), kind=kind, owners=author)
        for kind in meta_kinds(base, cur, lined=lined)
    ]
    return replace(
        new,
        base=base,
        origin=old.path,
        hunks=hunks,
        meta=tuple(meta),
        gen=max(old.gen, new.gen) + 1,
        coverage=old.coverage if old.coverage != "exact" else new.coverage,
    )


def _data(state: PathState) -> bytes | None:
    return state.cur.data if isinstance(state.cur, File) else None


def _hunks(old: PathState, new: PathState, new_id: NewId) -> tuple[Hunk, ...]:
    """Returns what differs between the two contents, each line with its author so far."""
    wrote = _authors(new, len(lines_of(new.cur)))
    deleted = _authors(old, len(lines_of(old.base)))
    for hunk in new.hunks:
        wrote[hunk.b0 : hunk.b1] = hunk.new_owners
    for hunk in old.hunks:
        deleted[hunk.a0 : hunk.a1] = hunk.old_owners
    return tuple(
        Hunk(
            id=new_id(),
            gen=new_id(),
            a0=block.a0,
            a1=block.a1,
            b0=block.b0,
            b1=block.b1,
            old_owners=tuple(deleted[block.a0 : block.a1]),
            new_owners=tuple(wrote[block.b0 : block.b1]),
        )
        for block in diff_bytes(_file(old.base).data, _file(new.cur).data)
    )


def _authors(state: PathState, lines: int) -> list[Owner]:
    return [state.meta[0].owners[-1]] * lines


def can_be_origin(state: PathState) -> bool:
    """Whether a path still is what a rename needs of its old path."""
    return state.status == "deleted" and isinstance(state.base, File)


def rebased(old: PathState, base: File, new_id: NewId) -> PathState:
    """Returns the deletion of the old path after the base of its rename became `base`."""
    change = old.meta[0]
    gen = new_id()
    lines = len(lines_of(base)) if is_line_text(base) else 0
    whole = Hunk(
        id=change.id,
        gen=gen,
        a0=0,
        a1=lines,
        b0=0,
        b1=0,
        old_owners=(change.owners[-1],) * lines,
        new_owners=(),
    )
    return replace(
        old,
        base=base,
        hunks=(whole,) if lines else (),
        meta=(replace(change, gen=gen),),
        gen=old.gen + 1,
    )


def unnamed(state: PathState) -> PathState:
    """Returns a renamed state without its rename: a change of the file at its own path."""
    meta = tuple(change for change in state.meta if change.kind != "renamed")
    return replace(state, origin=None, meta=meta)


def rename_id(state: PathState) -> int:
    """Returns the id of a renamed state's rename."""
    return next(change.id for change in state.meta if change.kind == "renamed")
