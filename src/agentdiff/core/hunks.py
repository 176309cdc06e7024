"""Hunks: where base and current differ line by line, and how they are carried.

Owns the algebra on lines: an edit of the current text moves, joins, splits or dissolves exactly the
hunks that it touches (`carry`), a decision removes exactly the hunks it names (`decide`).  Must not
know files, modes or existence: `agentdiff.core.pathstate` does.  Hops 4 and 6.

Theory.  A text under review is two line sequences, base B and current C, and an ordered list of
hunks. A hunk says that B[a0:a1] became C[b0:b1]; between hunks B and C are equal.  Hunks are
*carried*: a fresh diff of B and C would move hunks that nobody touched.  So an edit E = diff(C,
new) only rebuilds the hunks that it touches, by a diff inside the region they span; all others
shift.

An edit of an agent joins hunks that it touches or borders.  A proved edit of the user outside hunks
goes into B and C alike and never pends; inside a hunk, or at a pure deletion, it joins that hunk.
A line
without terminator can only be the last of its side: whatever would put one in the middle (two texts
glued together) is joined or refused instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from agentdiff.core.diff import diff_lines
from agentdiff.core.linediff import Block
from agentdiff.core.owners import Owner, unique

NewId: TypeAlias = Callable[[], int]
Verdict: TypeAlias = Literal["accept", "reject"]
Lines: TypeAlias = Sequence[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hunk:
    """Lines a0..a1 of the base became lines b0..b1 of the current text (0-based, half-open).

    Attributes:
        id: unique in the workspace, never reused.
        gen: raised whenever the hunk itself changes; a carried hunk keeps it.
        old_owners: who deleted each old line.
        new_owners: who wrote each new line.
    """

    id: int
    gen: int
    a0: int
    a1: int
    b0: int
    b1: int
    old_owners: tuple[Owner, ...]
    new_owners: tuple[Owner, ...]

    @property
    def owners(self) -> tuple[Owner, ...]:
        """The distinct owners, writers of new lines first."""
        return unique((*self.new_owners, *self.old_owners))

    @property
    def mixed(self) -> bool:
        """Whether the user and somebody else both have lines in it."""
        proved = {owner.proved for owner in self.owners}
        return proved == {True, False}

    @property
    def spares(self) -> bool:
        """Whether the user has lines in it, that a reject keeps: also when nobody else has any."""
        return any(owner.proved for owner in self.owners)

    def shifted(self, by_a: int, by_b: int) -> Hunk:
        """Returns the same hunk further down (or up) on each side."""
        if not (by_a or by_b):
            return self
        # Not `replace`: a decision shifts every hunk below it, and this is thrice as fast.
        return Hunk(
            id=self.id,
            gen=self.gen,
            a0=self.a0 + by_a,
            a1=self.a1 + by_a,
            b0=self.b0 + by_b,
            b1=self.b1 + by_b,
            old_owners=self.old_owners,
            new_owners=self.new_owners,
        )


@dataclass(frozen=True, slots=True)
class Text:
    """Both sides of a text under review."""

    base: Lines
    cur: Lines
    hunks: tuple[Hunk, ...]


def glued(lines: Lines) -> bool:
    """Whether a line before the last one lacks its terminator."""
    return any(not line.endswith(b"\n") for line in lines[:-1])


@dataclass(slots=True)
class _Group:
    """Consecutive blocks of one edit and the consecutive hunks that they touch."""

    blocks: list[Block]
    first: int  # index of the first touched hunk, or where it would be
    last: int  # one past the last touched hunk


def carry(
    text: Text, new: Lines, edit: Sequence[Block], owner: Owner, new_id: NewId, *, mirror: bool
) -> Text:
    """Returns the text after the current side became `new`.

    Args:
        text: the state before.
        new: the whole new current text.
        edit: diff of ``text.cur`` and `new`.
        owner: who did it.
        new_id: makes hunk ids and generations.
        mirror: whether edits outside hunks change the base too (proved owners) instead of pending.
    """
    moved = list(text.base) if mirror else None
    base: Lines = text.base if moved is None else moved
    out: list[Hunk] = []
    done = 0  # hunks copied so far
    grown_a = grown_b = 0  # how much longer each side has become
    for group in _groups(text, edit, mirror):
        if done < group.first:
            out += [hunk.shifted(grown_a, grown_b) for hunk in text.hunks[done : group.first]]
        done = group.last
        block, alone = group.blocks[0], group.first == group.last
        growth = block.growth if alone else sum(block.growth for block in group.blocks)
        if alone and moved is not None:
            a0 = block.a0 - _drift(text.hunks, group.first) + grown_a
            moved[a0 : a0 + block.a1 - block.a0] = new[block.b0 : block.b1]
            grown_a += growth
        elif alone and block.is_plain(text.cur, new):
            out.append(_fresh(block, grown_a - _drift(text.hunks, group.first), owner, new_id))
        else:
            out += _rebuild(text, base, new, group, owner, (grown_a, grown_b), new_id)
        grown_b += growth
    out += [hunk.shifted(grown_a, grown_b) for hunk in text.hunks[done:]]
    return Text(base, new, tuple(out))


def _drift(hunks: Sequence[Hunk], count: int) -> int:
    """Returns how many lines further down the current side is after the first `count` hunks."""
    return hunks[count - 1].b1 - hunks[count - 1].a1 if count else 0


def _fresh(block: Block, shift: int, owner: Owner, new_id: NewId) -> Hunk:
    """Returns a block as a hunk of its own; `shift` leads from the old text to the base."""
    a0, a1, b0, b1 = block
    return Hunk(
        id=new_id(),
        gen=new_id(),
        a0=a0 + shift,
        a1=a1 + shift,
        b0=b0,
        b1=b1,
        old_owners=(owner,) * (a1 - a0),
        new_owners=(owner,) * (b1 - b0),
    )


def _touches(hunk: Hunk, block: Block, borders: bool) -> bool:
    if borders or hunk.b0 == hunk.b1:
        return block.a0 <= hunk.b1 and hunk.b0 <= block.a1
    return block.a0 < hunk.b1 and hunk.b0 < block.a1


def _groups(text: Text, edit: Sequence[Block], mirror: bool) -> list[_Group]:
    """Sorts the blocks of an edit into groups that share no hunk."""
    hunks = text.hunks
    # Behind a hunk whose text ends without a terminator nothing can be mirrored: it would be glued.
    unterminated = hunks[-1] if hunks and open_ended(text, hunks[-1]) else None

    def touches(hunk: Hunk, block: Block) -> bool:
        return _touches(hunk, block, not mirror or hunk is unterminated)

    if not hunks:
        return [_Group([block], 0, 0) for block in edit]
    groups: list[_Group] = []
    at = 0
    for block in edit:
        while at < len(hunks) and hunks[at].b1 <= block.a0 and not touches(hunks[at], block):
            at += 1
        end = at
        while end < len(hunks) and touches(hunks[end], block):
            end += 1
        if groups and groups[-1].last > at:
            groups[-1].blocks.append(block)
            groups[-1].last = max(end, groups[-1].last)
        else:
            groups.append(_Group([block], at, end))
    return groups


def _rebuild(
    text: Text,
    base: Lines,
    new: Lines,
    group: _Group,
    owner: Owner,
    grown: tuple[int, int],
    new_id: NewId,
) -> list[Hunk]:
    """Returns the hunks of the region that a group spans, by a diff inside it."""
    hunks = text.hunks[group.first : group.last]
    low = min([group.blocks[0].a0, *(hunk.b0 for hunk in hunks[:1])])
    high = max([group.blocks[-1].a1, *(hunk.b1 for hunk in hunks[-1:])])
    a_low = low - _drift(text.hunks, group.first) + grown[0]
    a_high = high - _drift(text.hunks, group.last) + grown[0]
    b_low = low + grown[1]
    wrote, b_high = _writers(hunks, group.blocks, low, high, owner, b_low)
    deleted: list[Owner] = [owner] * (a_high - a_low)
    for hunk in hunks:
        at = hunk.a0 + grown[0] - a_low
        deleted[at : at + len(hunk.old_owners)] = hunk.old_owners
    blocks = diff_lines(base[a_low:a_high], new[b_low:b_high])
    ids = _inherit_ids(blocks, hunks, a_low - grown[0], new_id)
    gen = new_id()
    return [
        Hunk(
            id=ids[n],
            gen=gen,
            a0=block.a0 + a_low,
            a1=block.a1 + a_low,
            b0=block.b0 + b_low,
            b1=block.b1 + b_low,
            old_owners=tuple(deleted[block.a0 : block.a1]),
            new_owners=tuple(wrote[block.b0 : block.b1]),
        )
        for n, block in enumerate(blocks)
    ]


def _writers(
    hunks: Sequence[Hunk],
    blocks: Sequence[Block],
    low: int,
    high: int,
    owner: Owner,
    b_low: int,
) -> tuple[list[Owner], int]:
    """Returns the owner of each new line of a region, and where the region ends in the new text.

    A line that was equal before and is not any more (only its alignment changed) is the editor's.
    """
    before: list[Owner] = [owner] * (high - low)
    for hunk in hunks:
        before[hunk.b0 - low : hunk.b1 - low] = hunk.new_owners
    wrote: list[Owner] = []
    at = low
    for block in blocks:
        wrote += before[at - low : block.a0 - low]
        wrote += [owner] * (block.b1 - block.b0)
        at = block.a1
    wrote += before[at - low :]
    return wrote, b_low + len(wrote)


def _inherit_ids(
    blocks: Sequence[Block], hunks: Sequence[Hunk], a_low: int, new_id: NewId
) -> list[int]:
    """Returns one id per block: the oldest id of a hunk that it came from, else a new one."""
    ids: list[int | None] = [None] * len(blocks)
    for hunk in sorted(hunks, key=lambda hunk: hunk.id):
        for n, block in enumerate(blocks):
            if ids[n] is None and block.a0 + a_low <= hunk.a1 and hunk.a0 <= block.a1 + a_low:
                ids[n] = hunk.id
                break
    return [new_id() if known is None else known for known in ids]


def open_ended(text: Text, hunk: Hunk, span: tuple[int, int, int, int] | None = None) -> bool:
    """Whether a side of a hunk (or of a span of it) ends in a line without terminator."""
    o0, n0, o1, n1 = span or (0, 0, hunk.a1 - hunk.a0, hunk.b1 - hunk.b0)
    last_old = text.base[hunk.a0 + o1 - 1] if o1 > o0 else b"\n"
    last_new = text.cur[hunk.b0 + n1 - 1] if n1 > n0 else b"\n"
    return not (last_old.endswith(b"\n") and last_new.endswith(b"\n"))


def decide(
    text: Text, verdicts: dict[int, Verdict], *, keep_user: bool, discard: Callable[[Hunk], bool]
) -> Text:
    """Returns the text after hunks were accepted or rejected; the others only shift.

    Args:
        text: the state before.
        verdicts: hunk id → verdict.
        keep_user: whether a rejected hunk's proved lines stay (in both sides).
        discard: tells for a hunk whether its user lines are given up all the same.
    """
    base: list[bytes] = []
    cur: list[bytes] = []
    out: list[Hunk] = []
    at_a = at_b = 0
    for hunk in text.hunks:
        base += text.base[at_a : hunk.a0]
        cur += text.cur[at_b : hunk.b0]
        at_a, at_b = hunk.a1, hunk.b1
        old, new = text.base[hunk.a0 : hunk.a1], text.cur[hunk.b0 : hunk.b1]
        verdict = verdicts.get(hunk.id)
        if verdict is None:
            out.append(hunk.shifted(len(base) - hunk.a0, len(cur) - hunk.b0))
            base += old
            cur += new
            continue
        if verdict == "accept":
            kept: Lines = new
        elif keep_user and hunk.spares and not discard(hunk):
            kept = without_agents(hunk, old, new)
        else:
            kept = old
        base += kept
        cur += kept
    base += text.base[at_a:]
    cur += text.cur[at_b:]
    return Text(base, cur, tuple(out))


def without_agents(hunk: Hunk, old: Lines, new: Lines) -> list[bytes]:
    """Returns what a hunk is without its agents: old lines back, the user's lines kept.

    Old lines that the user deleted stay deleted.  The user's lines above the first line of an agent
    stay above the old lines, all others follow them.
    """
    restored = [line for line, owner in zip(old, hunk.old_owners, strict=True) if not owner.proved]
    above: list[bytes] = []
    below: list[bytes] = []
    target = above
    for line, owner in zip(new, hunk.new_owners, strict=True):
        if owner.proved:
            target.append(line)
        else:
            target = below
    lines = above + restored + below
    # Reordering may move the file's last line off the end; it then needs the terminator it lacked.
    return [
        line if line.endswith(b"\n") or n == len(lines) - 1 else line + b"\n"
        for n, line in enumerate(lines)
    ]
