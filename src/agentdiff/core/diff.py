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

from agentdiff.core.linediff import Block, LineView, ListView, blocks, slide

_GALLOP_BYTES = 1 << 16
# Smaller regions are split into lines at once: searching for a cut would cost more.
_SMALL_BYTES = 1 << 14
_MANY_REGIONS = 16
_PROBES = (8, 4, 12, 6, 10, 2, 14)  # sixteenths of a region at which a cut is tried
_PROBE_LINES = 3


@dataclass(frozen=True, slots=True)
class _Region:
    """Bytes ``a0..a1`` of the old and ``b0..b1`` of the new text, whole lines, that may differ.

    `a_line` and `b_line` are the numbers of their first lines.
    """

    a0: int
    a1: int
    b0: int
    b1: int
    a_line: int
    b_line: int


class _Window:
    """A `LineView` around a region: lines beyond it are cut from the text as they are asked for."""

    def __init__(self, data: bytes, start: int, end: int, first: int) -> None:
        self.lines = split_lines(data[start:end])
        self._data = data
        self._first = first
        self._start = start
        self._end = end
        self._above: list[bytes] = []

    def line(self, number: int) -> bytes:
        """Returns a line."""
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


def diff_bytes(old: bytes, new: bytes) -> list[Block]:
    """Compares two texts.

    Returns:
        The changed blocks in order; between two blocks the texts are equal and at least one line
        long.
    """
    return slide(_found(old, new))


def diff_lines(a: Sequence[bytes], b: Sequence[bytes]) -> list[Block]:
    """Compares two sequences of lines; see `diff_bytes`."""
    view_a, view_b = ListView(a), ListView(b)
    return slide((block, view_a, view_b) for block in blocks(a, b))


def _found(old: bytes, new: bytes) -> Iterator[tuple[Block, LineView, LineView]]:
    for region in _regions(old, new):
        a = _Window(old, region.a0, region.a1, region.a_line)
        b = _Window(new, region.b0, region.b1, region.b_line)
        for block in blocks(a.lines, b.lines):
            yield block.shifted(region.a_line, region.b_line), a, b


def _regions(old: bytes, new: bytes) -> Iterator[_Region]:
    """Yields the regions that are worth comparing line by line, in order."""
    todo = [_Region(0, len(old), 0, len(new), 0, 0)]
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
    a, b = old[region.a0 : region.a1], new[region.b0 : region.b1]
    limit = min(len(a), len(b))
    prefix = _common_prefix(a, b, limit)
    if prefix < limit or len(a) != len(b):
        prefix = a.rfind(b"\n", 0, prefix) + 1
    suffix = _whole_line_suffix(a, b, limit - prefix)
    lines = a.count(b"\n", 0, prefix)
    return _Region(
        region.a0 + prefix,
        region.a1 - suffix,
        region.b0 + prefix,
        region.b1 - suffix,
        region.a_line + lines,
        region.b_line + lines,
    )


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
        a_line = region.a_line + old.count(b"\n", region.a0, at_a)
        b_line = region.b_line + new.count(b"\n", region.b0, at_b)
        return (
            _Region(region.a0, at_a, region.b0, at_b, region.a_line, region.b_line),
            _Region(at_a, region.a1, at_b, region.b1, a_line, b_line),
        )
    return None


def _common_prefix(a: bytes, b: bytes, limit: int) -> int:
    """Returns how many leading bytes are equal, at most `limit`."""
    low, step = 0, _GALLOP_BYTES
    while low < limit:
        size = min(step, limit - low)
        if a[low : low + size] == b[low : low + size]:
            low += size
            step <<= 1
            continue
        while size > 1:
            half = size >> 1
            if a[low : low + half] == b[low : low + half]:
                low += half
                size -= half
            else:
                size = half
        return low
    return limit


def _common_suffix(a: bytes, b: bytes, limit: int) -> int:
    """Returns how many trailing bytes are equal, at most `limit`."""
    end_a, end_b, low, step = len(a), len(b), 0, _GALLOP_BYTES
    while low < limit:
        size = min(step, limit - low)
        if a[end_a - low - size : end_a - low] == b[end_b - low - size : end_b - low]:
            low += size
            step <<= 1
            continue
        while size > 1:
            half = size >> 1
            if a[end_a - low - half : end_a - low] == b[end_b - low - half : end_b - low]:
                low += half
                size -= half
            else:
                size = half
        return low
    return limit


def _whole_line_suffix(old: bytes, new: bytes, limit: int) -> int:
    """Returns the length of the longest common suffix that starts at a line start on both sides."""
    suffix = _common_suffix(old, new, limit)
    if not suffix:
        return 0
    for text in (old, new):
        start = len(text) - suffix
        if start and text[start - 1 : start] != b"\n":
            break
    else:
        return suffix
    newline = old.find(b"\n", len(old) - suffix)
    return len(old) - newline - 1 if newline >= 0 else 0
