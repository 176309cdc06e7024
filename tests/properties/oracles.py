"""What decisions must do, said once more without the code that does it: plain lists of lines.

Nothing here may call `agentdiff.core.hunks.split` or `agentdiff.core.hunks.decide`.
"""

from __future__ import annotations

from collections.abc import Sequence

from agentdiff.core.entries import Entry, File
from agentdiff.core.hunks import Hunk
from agentdiff.core.owners import Owner
from agentdiff.core.pathstate import PathState

Span = tuple[int, int]


def lines(entry: Entry) -> list[bytes]:
    """Returns the lines of a file, terminators and all."""
    return entry.data.splitlines(keepends=True) if isinstance(entry, File) else []


def is_plain(state: PathState) -> bool:
    r"""Whether both sides are files whose every line ends in ``\n`` and has no other terminator.

    A file's last line that lacks its terminator cannot be parted from its neighbours at will, and
    whether a file exists is decided with its last line: both are other tests'.
    """
    sides = (state.base, state.cur)
    return all(isinstance(one, File) and _is_terminated(one.data) for one in sides)


def _is_terminated(data: bytes) -> bool:
    text = data.decode("latin-1")
    return text.endswith("\n") and not set(text) & set("\x0b\x0c\x1c\x1d\x1e\x85\r")


def part_of(hunk: Hunk, old: Span, new: Span) -> tuple[Span, Span]:
    """Returns the lines that a selection means: an empty side lies at the border of the other."""
    olds, news = hunk.a1 - hunk.a0, hunk.b1 - hunk.b0
    if old[0] == old[1] and new[0] == new[1]:
        return (0, 0), (0, 0)
    if old[0] == old[1]:
        old = (0, 0) if new[0] == 0 else (olds, olds)
    elif new[0] == new[1]:
        new = (0, 0) if old[0] == 0 else (news, news)
    return old, new


def decided(
    state: PathState, hunk: Hunk, old: Span, new: Span, op: str, *, keep: bool
) -> tuple[list[bytes], list[bytes]]:
    """Returns both sides after some lines of one hunk were decided.

    Args:
        state: as `is_plain` has it.
        hunk: one of its hunks.
        old: the selected old lines, relative to the hunk, 0-based, half-open.
        new: the selected new lines, likewise.
        op: ``accept`` or ``reject``.
        keep: whether a reject leaves the user's lines.
    """
    base, cur = lines(state.base), lines(state.cur)
    (i, j), (k, m) = part_of(hunk, old, new)
    at_old, at_new = slice(hunk.a0 + i, hunk.a0 + j), slice(hunk.b0 + k, hunk.b0 + m)
    if op == "accept":
        left = cur[at_new]
    elif keep:
        left = _without_agents(
            base[at_old],
            [owner.proved for owner in hunk.old_owners[i:j]],
            cur[at_new],
            [owner.proved for owner in hunk.new_owners[k:m]],
        )
    else:
        left = base[at_old]
    base[at_old] = left
    cur[at_new] = left
    return base, cur


def _without_agents(
    old: Sequence[bytes],
    old_users: Sequence[bool],
    new: Sequence[bytes],
    new_users: Sequence[bool],
) -> list[bytes]:
    """Returns the old lines that no user deleted, between the user's own: P6 in a mixed hunk."""
    back = [line for line, users in zip(old, old_users, strict=True) if not users]
    first = new_users.index(False) if False in new_users else len(new)
    users = [n for n, is_users in enumerate(new_users) if is_users]
    above = [new[n] for n in users if n < first]
    return above + back + [new[n] for n in users if n > first]


def alike(one: PathState | None, other: PathState | None) -> bool:
    """Whether two states are the same, apart from ids and the path that they were renamed from.

    At the end of a reading a path may be paired with one that is gone: then its hunks are those
    against that one, and the lines that are in hunks both times have the same owners.
    """
    if one is None or other is None:
        return one is other
    if one.origin is not None or other.origin is not None:
        first, second = _owners(one), _owners(other)
        same = all(first[line] == second[line] for line in first.keys() & second.keys())
        return same and (one.rest, one.cur) == (other.rest, other.cur)
    return (one.rest, one.cur, hunks_of(one)) == (other.rest, other.cur, hunks_of(other))


def keeps_proved(one: PathState | None, other: PathState | None) -> bool:
    """Whether the lines of the user in one state are the user's in another of that content, too."""
    if one is None or other is None or (one.rest, one.cur) != (other.rest, other.cur):
        return False
    known = _owners(other)
    return all(known.get(n, owner).proved for n, owner in _owners(one).items() if owner.proved)


def _owners(state: PathState) -> dict[int, Owner]:
    return {h.b0 + n: owner for h in state.hunks for n, owner in enumerate(h.new_owners)}


def hunks_of(state: PathState) -> list[tuple[object, ...]]:
    """Returns all there is to hunks but ids and generations."""
    return [(h.a0, h.a1, h.b0, h.b1, h.old_owners, h.new_owners) for h in state.hunks]
