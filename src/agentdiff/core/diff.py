r"""The diff of two texts: regions as bytes first, then lines.

Owns splitting into lines, and finding the regions that differ without looking at every line.  Must
not know hunks, owners or files.  Hop 6 (and hop 4, through `agentdiff.core.hunks`).

Theory.  Nearly every edit is local, and comparing or searching bytes runs at memory speed while a
line costs an object.  So both ends are trimmed as bytes; a region that is still large is cut in two
at some lines that stand exactly once on both sides, and each half is trimmed again.  Only regions
that are small, or have no such lines, are split into lines and handed to `agentdiff.core.linediff`.

Rejected: ``difflib`` (quadratic, seconds on 20,000 lines, splits on form feed), ``git diff`` as a
process (a spawn per observation), xdiff bindings (compiled dependencies, some of them GPL).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agentdiff.core.linediff import Block, LineAt, blocks, line_of, slide

_GALLOP_BYTES = 1 << 16
# Smaller regions are split into lines at once: searching for a cut would cost more.
_SMALL_BYTES = 1 << 14
_MANY_REGIONS = 16
_PROBES = (8, 4, 12, 6, 10, 2, 14)  # sixteenths of a region at which a cut is tried
_PROBE_LINES = 3


@dataclass(frozen=True, slots=True)
class _Region:
    """Bytes ``a0..a1`` of the old and ``b0..b1`` of the new text, whole lines, that may differ."""

    a0: int
    a1: int
    b0: int
    b1: int


class _Window:
    """The lines of a region; those around it are cut from the text as they are asked for."""

    def __init__(self, data: bytes, start: int, end: int, first: int) -> None:
        self.lines = split_lines(data[start:end])
        self._data = data
        self._first = first
        self._start = start
        self._end = end
        self._above: list[bytes] = []

    def line(self, number: int) -> bytes:
        """Returns a line; a `LineAt`."""
        at = number - self._first
        while at < -len(self._above):
            start = self._data.rfind(b"\n", 0, self._start - 1) + 1
            self._above.append(self._data[start : self._start])
            self._start = start
        if at < 0:
            return self._above[-at - 1]
        while at >= len(self.lines):
            newline = self._data.find(b"\n", self._end)
            end = len(self._data) if newline < 0 else newline + 1
            if end == self._end:
                return b""
            self.lines.append(self._data[self._end : end])
            self._end = end
        return self.lines[at]


class _Side:
    """One of both texts; cut into lines where it is compared, unless they are at hand."""

    def __init__(self, data: bytes, lines: Sequence[bytes] | None) -> None:
        self._data = data
        self._at_hand = None if lines is None else (lines, line_of(lines))

    def part(self, start: int, end: int, first: int) -> tuple[Sequence[bytes], LineAt]:
        """Returns the lines of a region, of which `first` is the number of the first one."""
        if self._at_hand is None:
            window = _Window(self._data, start, end, first)
            return window.lines, window.line
        lines, line = self._at_hand
        size = self._data.count(b"\n", start, end)
        if start < end and self._data[end - 1] != 0x0A:
            size += 1
        return lines[first : first + size], line


def split_lines(data: bytes) -> list[bytes]:
    r"""Returns the lines of `data`, split on ``\n`` only, each with its terminator."""
    if b"\r" not in data:
        return data.splitlines(keepends=True)  # faster; bytes have no other line ends than these
    lines = data.split(b"\n")
    last = lines.pop()
    lines = [line + b"\n" for line in lines]
    if last:
        lines.append(last)
    return lines


def diff_bytes(
    old: bytes,
    new: bytes,
    *,
    a: Sequence[bytes] | None = None,
    b: Sequence[bytes] | None = None,
) -> list[Block]:
    """Compares two texts.

    Args:
        old: the one text.
        new: the other one.
        a: the lines of `old`, where they are at hand: splitting a long text takes a good part of
            the time.
        b: the lines of `new`, likewise.

    Returns:
        The changed blocks in order; between two blocks the texts are equal and at least one line
        long.
    """
    return slide(_found(old, new, a, b))


def diff_lines(a: Sequence[bytes], b: Sequence[bytes]) -> list[Block]:
    """Compares two sequences of lines; see `diff_bytes`."""
    return slide([(blocks(a, b), line_of(a), line_of(b))])


def _found(
    old: bytes, new: bytes, a: Sequence[bytes] | None, b: Sequence[bytes] | None
) -> Iterator[tuple[Sequence[Block], LineAt, LineAt]]:
    """Yields the blocks of each region, numbered in the texts, and the lines around them."""
    side_a, side_b = _Side(old, a), _Side(new, b)
    at = first_a = first_b = 0
    for region in _regions(old, new):
        equal = old.count(b"\n", at, region.a0)  # since the region before
        first_a, first_b = first_a + equal, first_b + equal
        lines_a, line_a = side_a.part(region.a0, region.a1, first_a)
        lines_b, line_b = side_b.part(region.b0, region.b1, first_b)
        yield blocks(lines_a, lines_b, first_a, first_b), line_a, line_b
        at, first_a, first_b = region.a1, first_a + len(lines_a), first_b + len(lines_b)


def _regions(old: bytes, new: bytes) -> Iterator[_Region]:
    """Yields the regions that are worth comparing line by line, in order."""
    todo = [_Region(0, len(old), 0, len(new))]
    found = 0
    while todo:
        region = _trimmed(old, new, todo.pop())
        if region.a0 == region.a1 and region.b0 == region.b1:
            continue
        # Where changes are everywhere, cutting saves nothing: what is left is compared by lines.
        halves = _cut(old, new, region) if found < _MANY_REGIONS else None
        if halves is None:
            found += 1
            yield region
        else:
            todo += reversed(halves)


def _trimmed(old: bytes, new: bytes, region: _Region) -> _Region:
    """Returns a region without the equal lines at its ends."""
    a0, a1, b0, b1 = region.a0, region.a1, region.b0, region.b1
    limit = min(a1 - a0, b1 - b0)
    prefix = _common_prefix(old, a0, new, b0, limit)
    if prefix < limit or a1 - a0 != b1 - b0:
        prefix = max(0, old.rfind(b"\n", a0, a0 + prefix) + 1 - a0)
    suffix = _whole_line_suffix(old, new, region, limit - prefix)
    return _Region(a0 + prefix, a1 - suffix, b0 + prefix, b1 - suffix)


def _cut(old: bytes, new: bytes, region: _Region) -> tuple[_Region, _Region] | None:
    """Returns both halves of a large region, cut before lines that are unique on both sides."""
    size = region.a1 - region.a0
    if size < _SMALL_BYTES or region.b1 - region.b0 < _SMALL_BYTES:
        return None
    for sixteenths in _PROBES:
        # The newline before the lines belongs to the probe: it must match whole lines.
        start = old.find(b"\n", region.a0 + size * sixteenths // 16, region.a1)
        end = start
        for _ in range(_PROBE_LINES):
            end = old.find(b"\n", end + 1, region.a1) if end >= 0 else -1
        if start < 0 or end < 0:
            continue
        probe = old[start : end + 1]
        there = new.find(probe, region.b0, region.b1)
        if there < 0 or new.find(probe, there + 1, region.b1) >= 0:
            continue
        if old.find(probe, region.a0, region.a1) != start:
            continue
        if old.find(probe, start + 1, region.a1) >= 0:
            continue
        at_a, at_b = start + 1, there + 1
        return (
            _Region(region.a0, at_a, region.b0, at_b),
            _Region(at_a, region.a1, at_b, region.b1),
        )
    return None


def _common_prefix(old: bytes, a: int, new: bytes, b: int, limit: int) -> int:
    """Returns how many bytes are equal from `a` and `b` on, at most `limit`."""
    low, step = 0, _GALLOP_BYTES
    while low < limit:
        size = min(step, limit - low)
        if old[a + low : a + low + size] == new[b + low : b + low + size]:
            low += size
            step <<= 1
            continue
        while size > 1:
            half = size >> 1
            if old[a + low : a + low + half] == new[b + low : b + low + half]:
                low += half
                size -= half
            else:
                size = half
        return low
    return limit


def _common_suffix(old: bytes, a: int, new: bytes, b: int, limit: int) -> int:
    """Returns how many bytes are equal before `a` and `b`, at most `limit`."""
    low, step = 0, _GALLOP_BYTES
    while low < limit:
        size = min(step, limit - low)
        if old[a - low - size : a - low] == new[b - low - size : b - low]:
            low += size
            step <<= 1
            continue
        while size > 1:
            half = size >> 1
            if old[a - low - half : a - low] == new[b - low - half : b - low]:
                low += half
                size -= half
            else:
                size = half
        return low
    return limit


def _whole_line_suffix(old: bytes, new: bytes, region: _Region, limit: int) -> int:
    """Returns the length of the longest common suffix that starts at a line start on both sides."""
    suffix = _common_suffix(old, region.a1, new, region.b1, limit)
    if not suffix:
        return 0
    for text, first, end in ((old, region.a0, region.a1), (new, region.b0, region.b1)):
        start = end - suffix
        if start > first and text[start - 1] != 0x0A:
            break
    else:
        return suffix
    newline = old.find(b"\n", region.a1 - suffix, region.a1)
    return region.a1 - newline - 1 if newline >= 0 else 0
