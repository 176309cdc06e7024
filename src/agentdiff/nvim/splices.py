"""What changed between two versions of a review, as few replaced rows.

Owns the comparison, file by file, so that a refresh of a long review costs Neovim what changed and
leaves folds and marks of the rest alone.  Must not do any I/O.  Hop 7.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

Splice: TypeAlias = tuple[int, int, list[str]]
"""Old rows ``start..end`` (0-based, half-open) become these lines."""


def splices(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Splice]:
    """Returns what turns the lines of one *review view* into those of another, top to bottom."""
    before, after = _parts(old), _parts(new)
    places = {key: n for n, (key, _, _) in enumerate(before)}
    out: list[Splice] = []
    at_old = at_new = 0
    done = 0  # parts of `before` that are behind us
    for key, start, end in after:
        found = places.get(key, -1)
        if found < done:  # new, or it moved up past something that is kept
            continue
        _, old_start, old_end = before[found]
        _compare(old["lines"], new["lines"], (at_old, old_start), (at_new, start), out)
        _compare(old["lines"], new["lines"], (old_start, old_end), (start, end), out)
        at_old, at_new, done = old_end, end, found + 1
    rest = ((at_old, len(old["lines"])), (at_new, len(new["lines"])))
    _compare(old["lines"], new["lines"], *rest, out)
    return out


def _parts(view: Mapping[str, Any]) -> list[tuple[object, int, int]]:
    """Returns (identity, first row, end) of every heading and every file."""
    groups, files = view["groups"], view["files"]
    marks: list[tuple[int, object]] = [
        (item["row"], ("t", item["kind"], item["agent"], item["session"], item["turn"]))
        for item in groups
    ]
    for item in files:
        group = groups[item["group"]] if groups else {}
        name = item.get("path_b64") or item["path"]
        key = ("f", name, group.get("agent"), group.get("session"), group.get("turn"))
        marks.append((item["row"], (*key, group.get("kind"))))
    marks.sort(key=lambda mark: mark[0])
    rows = [row for row, _ in marks] + [len(view["lines"])]
    return [(key, row, rows[n + 1]) for n, (row, key) in enumerate(marks)]


def _compare(
    old: Sequence[str],
    new: Sequence[str],
    old_rows: tuple[int, int],
    new_rows: tuple[int, int],
    out: list[Splice],
) -> None:
    """Adds the splice between two ranges, without the equal rows at both ends."""
    a0, a1 = old_rows
    b0, b1 = new_rows
    if old[a0:a1] == new[b0:b1]:
        return
    while a0 < a1 and b0 < b1 and old[a0] == new[b0]:
        a0, b0 = a0 + 1, b0 + 1
    while a0 < a1 and b0 < b1 and old[a1 - 1] == new[b1 - 1]:
        a1, b1 = a1 - 1, b1 - 1
    if out and out[-1][1] == a0:
        out[-1] = (out[-1][0], a1, [*out[-1][2], *new[b0:b1]])
    else:
        out.append((a0, a1, list(new[b0:b1])))
