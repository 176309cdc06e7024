r"""The line diff proper: which lines of one sequence became which lines of another.

Owns the matching of lines and where a block that could stand in several places is put.  Must not
know texts as bytes: `agentdiff.core.diff` finds the regions that are worth comparing.  Hop 6.

Theory.  Lines that occur exactly once on both sides are anchors
(patience); a longest increasing subsequence of them cuts the region into gaps, each treated the
same way again.  A gap without anchors is solved by Myers' greedy algorithm over the lines that
occur on both sides; when the edit distance passes `MAX_DISTANCE` the furthest point reached is
taken and the rest is solved from there, so time stays linear in the gap for a fixed limit.  Last,
blocks that could stand in several places slide to where a reader expects them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import compress, count, pairwise, repeat
from operator import ne, sub
from typing import NamedTuple, TypeAlias

MAX_DISTANCE = 256
MAX_SLIDE = 200
_FAR = 1 << 60
_MANY_LINES = 256
_MOSTLY = 8  # of so many lines at most one differs
_NOWHERE = -2  # not -1: a line before the first one would seem to be followed by it


class Block(NamedTuple):
    """Old lines ``a0..a1`` were replaced by new lines ``b0..b1`` (0-based, half-open)."""

    a0: int
    a1: int
    b0: int
    b1: int

    @property
    def growth(self) -> int:
        """How many lines longer the new side is."""
        a0, a1, b0, b1 = self
        return b1 - b0 - a1 + a0

    def shifted(self, by: int) -> Block:
        """Returns the same block further down on both sides."""
        return Block(self.a0 + by, self.a1 + by, self.b0 + by, self.b1 + by)

    def is_plain(self, a: Sequence[bytes], b: Sequence[bytes]) -> bool:
        """Whether a diff of what was replaced with what replaced it can only give this block."""
        a0, a1, b0, b1 = self
        return a0 == a1 or b0 == b1 or (a1 - a0 == b1 - b0 == 1 and a[a0] != b[b0])


LineAt: TypeAlias = Callable[[int], bytes]
"""Returns a line by its number; behind the last one there is an empty one, which matches nothing.

Numbers are asked for step by step away from a block.
"""

_Run: TypeAlias = tuple[int, int, int]  # (start in a, start in b, number of equal lines)
_Region: TypeAlias = tuple[int, int, int, int]


def blocks(
    a: Sequence[bytes], b: Sequence[bytes], first_a: int = 0, first_b: int = 0
) -> list[Block]:
    """Returns the complement of the matched runs.

    Args:
        a: the old lines.
        b: the new lines.
        first_a: what the first old line is numbered.
        first_b: likewise for the new ones.
    """
    runs: list[_Run] = []
    todo: list[_Region] = [(0, len(a), 0, len(b))]
    while todo:
        _match_region(a, b, todo.pop(), runs, todo)
    runs.sort()
    blocks: list[Block] = []
    at_a = at_b = 0
    for start_a, start_b, size in [*runs, (len(a), len(b), 0)]:
        if start_a > at_a or start_b > at_b:
            blocks.append(
                Block(at_a + first_a, start_a + first_a, at_b + first_b, start_b + first_b)
            )
        at_a, at_b = start_a + size, start_b + size
    return blocks


def _match_region(
    a: Sequence[bytes],
    b: Sequence[bytes],
    region: _Region,
    runs: list[_Run],
    todo: list[_Region],
) -> None:
    a0, a1, b0, b1 = region
    size = 0
    while a0 + size < a1 and b0 + size < b1 and a[a0 + size] == b[b0 + size]:
        size += 1
    if size:
        runs.append((a0, b0, size))
        a0, b0 = a0 + size, b0 + size
    size = 0
    while a0 < a1 - size and b0 < b1 - size and a[a1 - 1 - size] == b[b1 - 1 - size]:
        size += 1
    if size:
        a1, b1 = a1 - size, b1 - size
        runs.append((a1, b1, size))
    if a0 == a1 or b0 == b1 or (a1 - a0 == 1 and b1 - b0 == 1):
        return
    if a1 - a0 == b1 - b0 > _MANY_LINES and _match_in_place(a, b, (a0, a1, b0, b1), runs, todo):
        return
    anchors = _anchors(a, b, (a0, a1, b0, b1))
    if not anchors:
        _myers(a, b, (a0, a1, b0, b1), runs, todo)
        return
    runs += anchors
    for i, j, size in anchors:
        # Single lines that no anchor matched most often just differ.
        if i > a0 and j > b0 and not (i - a0 == j - b0 == 1 and a[a0] != b[b0]):
            todo.append((a0, i, b0, j))
        a0, b0 = i + size, j + size
    if a0 < a1 and b0 < b1:
        todo.append((a0, a1, b0, b1))


def _match_in_place(
    a: Sequence[bytes], b: Sequence[bytes], region: _Region, runs: list[_Run], todo: list[_Region]
) -> bool:
    """Matches a long region line by line where it stands, if nearly all of it is equal so.

    Lines that were replaced one for one are by far the cheapest case, and the most frequent one
    in long texts with many changes; no chain of anchors could match more.
    """
    a0, a1, b0, b1 = region
    differ = [n for n, (x, y) in enumerate(zip(a[a0:a1], b[b0:b1], strict=True)) if x != y]
    if len(differ) * _MOSTLY > a1 - a0:
        return False
    at = 0
    n = 0
    while n < len(differ):
        first = end = differ[n]
        while n < len(differ) and differ[n] == end:
            n, end = n + 1, end + 1
        if first > at:
            runs.append((a0 + at, b0 + at, first - at))
        if end - first > 1:
            todo.append((a0 + first, a0 + end, b0 + first, b0 + end))
        at = end
    if a1 - a0 > at:
        runs.append((a0 + at, b0 + at, a1 - a0 - at))
    return True


def _anchors(a: Sequence[bytes], b: Sequence[bytes], region: _Region) -> list[_Run]:
    """Returns the longest chain of lines that are unique in both regions, as runs in order."""
    a0, a1, b0, b1 = region
    # Without a loop over each line: this is where the time goes in long texts.
    there = list(map(_places(a, a0, a1).get, b[b0:b1], repeat(_NOWHERE)))
    runs = _runs(there, b0)
    if all(i + size <= following for (i, _, size), (following, _, _) in pairwise(runs)):
        return runs  # the common case: nothing moved, nothing stands twice
    chain = [_NOWHERE] * (b1 - b0)
    for i, j in _longest_chain([(i, j) for j, i in enumerate(there) if i != _NOWHERE]):
        chain[j] = i
    return _runs(chain, b0)


def _runs(there: list[int], first: int) -> list[_Run]:
    """Returns where consecutive lines stand consecutively on the old side too.

    Args:
        there: for each new line its place on the old side, or `_NOWHERE`.
        first: the number of the first new line.
    """
    steps = map(sub, there[1:], there)
    starts = [0, *compress(count(1), map(ne, steps, repeat(1))), len(there)]
    return [
        (there[start], start + first, end - start)
        for start, end in pairwise(starts)
        if there[start] != _NOWHERE
    ]


def _longest_chain(found: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Returns the longest part of some pairs (in a, in b) that ascends on both sides.

    What stands twice on the old side is left out.
    """
    seen = Counter(i for i, _ in found)
    pairs = sorted(pair for pair in found if seen[pair[0]] == 1)
    tails: list[int] = []
    index: list[int] = []
    previous = [-1] * len(pairs)
    for n, (_, j) in enumerate(pairs):
        k = bisect_left(tails, j)
        previous[n] = index[k - 1] if k else -1
        if k == len(tails):
            tails.append(j)
            index.append(n)
        else:
            tails[k], index[k] = j, n
    chain: list[tuple[int, int]] = []
    n = index[-1] if index else -1
    while n >= 0:
        chain.append(pairs[n])
        n = previous[n]
    chain.reverse()
    return chain


def _places(lines: Sequence[bytes], start: int, end: int) -> dict[bytes, int]:
    """Returns where each line stands that a region has once, in order."""
    part = lines[start:end]
    places = dict(zip(part, range(start, end), strict=True))
    if len(places) < len(part):
        # Built from the end, a dict holds first places; a line whose last one differs stands twice.
        first = dict(zip(reversed(part), range(end - 1, start - 1, -1), strict=True))
        twice = map(ne, places.values(), map(first.__getitem__, places))
        for line in list(compress(places, twice)):
            del places[line]
    return places


def _myers(
    a: Sequence[bytes],
    b: Sequence[bytes],
    region: _Region,
    runs: list[_Run],
    todo: list[_Region],
) -> None:
    """Matches a region without anchors by Myers' algorithm, at most `MAX_DISTANCE` edits far.

    Lines that occur on one side only can never match; leaving them out first makes rewrites cheap.
    """
    a0, a1, b0, b1 = region
    common = {line: n for n, line in enumerate(set(a[a0:a1]).intersection(b[b0:b1]))}
    if not common:
        return
    at_a = [i for i in range(a0, a1) if a[i] in common]
    at_b = [j for j in range(b0, b1) if b[j] in common]
    pairs, end_a, end_b = _greedy([common[a[i]] for i in at_a], [common[b[j]] for j in at_b])
    runs.extend((at_a[i], at_b[j], 1) for i, j in pairs)
    if end_a < len(at_a) and end_b < len(at_b):
        todo.append((at_a[end_a], a1, at_b[end_b], b1))


def _greedy(a: list[int], b: list[int]) -> tuple[list[tuple[int, int]], int, int]:
    """Returns matched index pairs, and how far (in a, in b) the match reached before the limit."""
    n, m = len(a), len(b)
    limit = min(MAX_DISTANCE, n + m)
    reach = [0] * (2 * limit + 3)
    zero = limit + 1
    trace: list[list[int]] = []
    for distance in range(limit + 1):
        trace.append(reach[zero - distance - 1 : zero + distance + 2])
        for k in range(-distance, distance + 1, 2):
            if k == -distance or (k != distance and reach[zero + k - 1] < reach[zero + k + 1]):
                i = reach[zero + k + 1]
            else:
                i = reach[zero + k - 1] + 1
            j = i - k
            while i < n and j < m and a[i] == b[j]:
                i, j = i + 1, j + 1
            reach[zero + k] = i
            if i >= n and j >= m:
                return _walk_back(trace, n, m), n, m
    best = max(
        (min(reach[zero + k], n) * 2 - k, k)
        for k in range(-limit, limit + 1, 2)
        if reach[zero + k] <= n and reach[zero + k] - k <= m
    )[1]
    end_a = reach[zero + best]
    end_b = end_a - best
    return _walk_back(trace, end_a, end_b), end_a, end_b


def _walk_back(trace: list[list[int]], i: int, j: int) -> list[tuple[int, int]]:
    pairs: list[tuple[int, int]] = []
    for distance in range(len(trace) - 1, 0, -1):
        row = trace[distance]
        k = i - j
        middle = distance + 1
        down = k == -distance or (k != distance and row[middle + k - 1] < row[middle + k + 1])
        from_k = k + 1 if down else k - 1
        from_i = row[middle + from_k]
        from_j = from_i - from_k
        start_i = from_i if down else from_i + 1
        while i > start_i:
            i, j = i - 1, j - 1
            pairs.append((i, j))
        i, j = from_i, from_j
    while i > 0 and j > 0:
        i, j = i - 1, j - 1
        pairs.append((i, j))
    pairs.reverse()
    return pairs


def line_of(lines: Sequence[bytes]) -> LineAt:
    """Returns the function that gives lines which are all at hand."""
    return [*lines, b""].__getitem__


def slide(found: Iterable[tuple[Sequence[Block], LineAt, LineAt]]) -> list[Block]:
    """Moves pure insertions and deletions to the place a reader expects, joining blocks that meet.

    A block ``xyz`` followed by ``x`` may equally start one line later.  Of all such places the one
    whose border lines are least indented wins, a blank line counting as more indented than
    anything, and the lowest of equals, which is what git's own heuristic aims at.

    Args:
        found: blocks in order, region by region, with the lines around them on both sides.
    """
    regions = list(found)
    starts = [block.a0 for blocks, _, _ in regions for block in blocks]
    following = iter([*starts[1:], _FAR])
    out: list[Block] = []
    ended = 0  # where the block before ends on the old side; what follows it is equal on both
    for blocks, a, b in regions:
        for block in blocks:
            a0, a1, b0, b1 = block
            below = next(following)
            if a0 == a1 or b0 == b1:
                line, start, end = (b, b0, b1) if a0 == a1 else (a, a0, a1)
                up, down = a0 - ended, below - a1
                # Most blocks can stand in one place only.
                if (up and line(start - 1) == line(end - 1)) or (down and line(start) == line(end)):
                    block = block.shifted(_best_shift(line, start, end, up, down))
            if out and ended == block.a0:
                before = out.pop()
                block = Block(before.a0, block.a1, before.b0, block.b1)
            out.append(block)
            ended = block.a1
    return out


def _best_shift(line: LineAt, start: int, end: int, up: int, down: int) -> int:
    """Returns by how much a block moves that could do so by `up` and `down` lines at most."""
    up, down = min(up, MAX_SLIDE), min(down, MAX_SLIDE)
    low = high = 0
    while low < up and line(start - low - 1) == line(end - low - 1):
        low += 1
    while high < down and line(start + high) == line(end + high):
        high += 1

    def cost(shift: int) -> tuple[int, int]:
        return _indent(line(start + shift)) + _indent(line(end + shift)), -shift

    return min(range(-low, high + 1), key=cost)


def _indent(line: bytes) -> int:
    stripped = line.lstrip(b" \t")
    if not stripped.strip():
        return 200 if line else 0
    width = 0
    for byte in line[: len(line) - len(stripped)]:
        width = width + 1 if byte == 0x20 else (width // 8 + 1) * 8
    return min(width, 199)
