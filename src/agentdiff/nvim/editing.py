"""An edited review buffer, taken apart into the blocks that were changed.

Owns the way from the buffer's lines to the edits of `review.apply` (doc/protocol.md).  Must not
judge an edit: `agentdiff.core.edits` reads the blocks as diffs.  Hop 1.

Headings (turns, files, ``@@`` lines) are what tells one block from the next; they are the view's,
not the user's, so they must all be there as they were.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from agentdiff.daemon.ports import RequestError

Json: TypeAlias = dict[str, Any]

_HEADINGS = "tfmh"


def read_edits(view: Mapping[str, Any], lines: Sequence[str]) -> list[Json]:
    """Returns the blocks that differ from the view: ``id gen before after``.

    Args:
        view: the *review view* that was shown.
        lines: the buffer as it is now.

    Raises:
        RequestError: ``refused``, a heading is not there, or a line stands outside of a block.
    """
    headings = [row for row, kind in enumerate(view["kinds"]) if kind in _HEADINGS]
    blocks = {hunk["row"]: hunk for hunk in view["hunks"]}
    found = _sections(lines)
    _compare(view, headings, [heading for heading, _ in found])
    ends = [*headings[1:], len(view["lines"])]
    edits: list[Json] = []
    for row, end, (_, body) in zip(headings, ends, found, strict=True):
        blank = view["kinds"].count("b", row, end)
        before = list(view["lines"][row + 1 : end - blank])
        after = _without_blanks(body, blank)
        if before == after:
            continue
        if view["kinds"][row] != "h":
            raise RequestError("refused", f"a line outside of a hunk: {after[0]!r}: take it out")
        hunk = blocks[row]
        edits.append({"id": hunk["id"], "gen": hunk["gen"], "before": before, "after": after})
    return edits


def _sections(lines: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Returns each heading of the buffer with the lines below it."""
    found: list[tuple[str, list[str]]] = []
    for line in lines:
        if line and line[0] not in " +-\\":
            found.append((line, []))
        elif found:
            found[-1][1].append(line)
        elif line:
            raise RequestError("refused", f"a line above the first heading: {line!r}: take it out")
    return found


def _compare(view: Mapping[str, Any], headings: Sequence[int], present: Sequence[str]) -> None:
    """Raises RequestError unless the headings are those that were shown."""
    wanted = [view["lines"][row] for row in headings]
    for one, other in zip(wanted, present, strict=False):
        if one != other:
            reason = f"expected the heading {one!r}, found {other!r}: headings cannot be edited, "
            raise RequestError("refused", reason + "and a line of a hunk begins with space, - or +")
    if len(present) < len(wanted):
        gone = wanted[len(present)]
        reason = f"the heading {gone!r} is gone: undo that, or :edit! to start again"
        raise RequestError("refused", reason)
    if len(present) > len(wanted):
        extra = present[len(wanted)]
        reason = f"{extra!r} is no line of a hunk: it needs a space, - or + in front"
        raise RequestError("refused", reason)


def _without_blanks(body: list[str], blank: int) -> list[str]:
    """Returns a block without the empty rows that set it apart from the next heading."""
    rows = list(body)
    for _ in range(blank):
        if rows and not rows[-1]:
            rows.pop()
    return rows
