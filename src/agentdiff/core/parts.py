"""Parts of a hunk: the lines of it that a decision names, and the cutting that it takes.

Owns how several parts of one hunk are united.  Must not decide anything
(`agentdiff.core.settle`).  Hop 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from agentdiff.core.hunks import Hunk, NewId, Text, open_ended

Range: TypeAlias = tuple[int, int]
_Span: TypeAlias = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Selected lines of one hunk, relative to it (0-based, half-open)."""

    old: Range
    new: Range


Picked: TypeAlias = tuple[Part, ...] | None
"""What is picked of one change: None for all of it, else parts as `united` returns them."""


def clipped(part: Part, hunk: Hunk) -> Part | None:
    """Returns a part without the lines that the hunk does not have, None when nothing is left."""

    def within(span: Range, size: int) -> Range:
        return max(0, span[0]), min(size, max(span))

    old, new = within(part.old, hunk.a1 - hunk.a0), within(part.new, hunk.b1 - hunk.b0)
    return Part(old=old, new=new) if _size(old) or _size(new) else None


def united(parts: Sequence[Part]) -> tuple[Part, ...] | None:
    """Returns parts of one hunk from top to bottom, those that overlap as one.

    None when that cannot be: they cross (the old lines of one stand above those of the other, and
    its new lines below), or they overlap on one side and are apart on the other.
    """
    apart: list[Part] = []
    todo = list(parts)
    while todo:
        one = todo.pop()
        near = [p for p in apart if _overlap(p.old, one.old) or _overlap(p.new, one.new)]
        if not near:
            apart.append(one)
            continue
        old, new = _hull(near[0].old, one.old), _hull(near[0].new, one.new)
        if old is None or new is None:
            return None
        apart.remove(near[0])
        todo.append(Part(old=old, new=new))
    ordered: list[Part] = []
    while apart:
        top = [p for p in apart if not any(_above(q, p) for q in apart)]
        if not top:
            return None
        ordered.append(top[0])
        apart.remove(top[0])
    return tuple(ordered)


def _size(span: Range) -> int:
    return max(0, span[1] - span[0])


def _overlap(one: Range, other: Range) -> bool:
    return _size((max(one[0], other[0]), min(one[1], other[1]))) > 0


def _hull(one: Range, other: Range) -> Range | None:
    if not (_size(one) and _size(other)):
        return one if _size(one) else other
    if max(one[0], other[0]) > min(one[1], other[1]):
        return None
    return min(one[0], other[0]), max(one[1], other[1])


def _above(one: Part, other: Part) -> bool:
    sides = ((one.old, other.old), (one.new, other.new))
    return any(_size(a) and _size(b) and a[1] <= b[0] for a, b in sides)


def split(
    text: Text, hunk: Hunk, parts: Sequence[Part], new_id: NewId
) -> tuple[list[Hunk], list[int]]:
    """Cuts a hunk so that each of the parts becomes a hunk of its own.

    A cut that would glue lines when only one piece is decided is widened to the next place that
    does not, so that the piece may hold a little more than was selected.

    Args:
        text: the text that holds `hunk`.
        hunk: one of its hunks.
        parts: what is selected of it, as `united` returns it.
        new_id: makes ids for the new pieces; the first piece keeps the hunk's own.

    Returns:
        The pieces in order, and the ids of the selected ones.
    """
    inside = [one for part in parts if (one := clipped(part, hunk)) is not None]
    if not inside:
        return [hunk], []
    joined: list[tuple[_Span, bool]] = []
    for span, selected in _spans(inside, hunk.a1 - hunk.a0, hunk.b1 - hunk.b0):
        if joined and open_ended(text, hunk, joined[-1][0]):
            before, also = joined[-1]
            joined[-1] = ((*before[:2], *span[2:]), also or selected)
        else:
            joined.append((span, selected))
    gen = new_id()
    pieces = [
        Hunk(
            id=hunk.id if n == 0 else new_id(),
            gen=gen,
            a0=hunk.a0 + o0,
            a1=hunk.a0 + o1,
            b0=hunk.b0 + n0,
            b1=hunk.b0 + n1,
            old_owners=hunk.old_owners[o0:o1],
            new_owners=hunk.new_owners[n0:n1],
        )
        for n, ((o0, n0, o1, n1), _) in enumerate(joined)
    ]
    chosen = [piece.id for piece, (_, one) in zip(pieces, joined, strict=True) if one]
    return pieces, chosen


def _spans(parts: Sequence[Part], size_old: int, size_new: int) -> list[tuple[_Span, bool]]:
    """Returns the pieces of a hunk: (old start, new start, old end, new end), and whether a part.

    Old lines on their own stand above the new ones that are left, new lines on their own below the
    old ones; but at the top of what is left each stands where it is.
    """
    spans: list[tuple[_Span, bool]] = []
    at_old = at_new = 0
    for n, part in enumerate(parts):
        old, new = part.old, part.new
        below = parts[n + 1 :]
        if not _size(old):
            next_old = min((one.old[0] for one in below if _size(one.old)), default=size_old)
            old = (at_old, at_old) if new[0] == at_new else (next_old, next_old)
        elif not _size(new):
            next_new = min((one.new[0] for one in below if _size(one.new)), default=size_new)
            new = (at_new, at_new) if old[0] == at_old else (next_new, next_new)
        spans.append(((at_old, at_new, old[0], new[0]), False))
        spans.append(((old[0], new[0], old[1], new[1]), True))
        at_old, at_new = old[1], new[1]
    spans.append(((at_old, at_new, size_old, size_new), False))
    return [(span, selected) for span, selected in spans if span[:2] != span[2:]]
