"""The way from rows and lines on the screen to a selection of hunks."""

from __future__ import annotations

from typing import Any

import pytest

from agentdiff.nvim.views import InlineView, ReviewView

ROWS = [
    ["title", -1, -1, -1, -1],
    ["file", 0, -1, -1, -1],
    ["hunk", 0, 0, -1, -1],
    ["context", 0, -1, -1, 1],
    ["deleted", 0, 0, 0, -1],
    ["deleted", 0, 0, 1, -1],
    ["added", 0, 0, -1, 0],
    ["added", 0, 0, -1, 1],
    ["context", 0, -1, -1, 4],
    ["file", 1, -1, -1, -1],
    ["meta", 1, 1, -1, -1],
]
REVIEW = ReviewView(
    token=1,
    filters={},
    data={
        "seq": 9,
        "lines": [row[0] for row in ROWS],
        "rows": ROWS,
        "files": [{"path": "a", "row": 1}, {"path": "b?", "path_b64": "Yv8=", "row": 9}],
        "hunks": [
            {"id": 5, "gen": 2, "file": 0, "row": 2, "rows": 7, "start": 2},
            {"id": 6, "gen": 1, "file": 1, "row": 10, "rows": 1, "start": 0},
        ],
    },
)
PSEUDO = {"id": 6, "gen": 1}
WHOLE = {"hunks": [{"id": 5, "gen": 2}]}


@pytest.mark.parametrize(
    ("scope", "first", "last", "expected"),
    [
        ("hunk", 2, 2, WHOLE),
        ("hunk", 3, 3, WHOLE),
        ("hunk", 6, 6, WHOLE),
        ("hunk", 8, 8, WHOLE),
        ("hunk", 10, 10, {"hunks": [PSEUDO]}),
        ("hunk", 0, 0, None),
        ("hunk", 1, 1, None),
        ("lines", 6, 6, {"hunks": [{"id": 5, "gen": 2, "old": [0, 0], "new": [0, 1]}]}),
        ("lines", 5, 6, {"hunks": [{"id": 5, "gen": 2, "old": [1, 2], "new": [0, 1]}]}),
        ("lines", 4, 7, WHOLE),
        ("lines", 3, 8, WHOLE),
        ("lines", 2, 2, WHOLE),
        ("lines", 7, 10, {"hunks": [{"id": 5, "gen": 2, "old": [0, 0], "new": [1, 2]}, PSEUDO]}),
        ("lines", 1, 1, {"paths": ["a"], "seen": 9}),
        ("lines", 3, 3, None),
        ("file", 4, 4, {"paths": ["a"], "seen": 9}),
        ("file", 10, 10, {"paths": [{"path_b64": "Yv8="}], "seen": 9}),
        ("file", 0, 0, None),
        ("all", 0, 0, {"all": True, "seen": 9}),
    ],
)  # fmt: skip
def test_rows_of_the_review(scope: Any, first: int, last: int, expected: Any) -> None:
    """Rows select the hunks that they show; partial rows select lines of them."""
    assert expected == REVIEW.select(scope, first, last)


def test_all_keeps_the_filters_of_the_review() -> None:
    """What a filter hides is not decided."""
    view = ReviewView(token=1, data=REVIEW.data, filters={"agent": "x", "path": "a", "context": 3})
    expected = {"agent": "x", "paths": ["a"], "seen": 9}
    assert expected == view.select("all", 0, 0)


def test_rows_know_the_line_of_the_file() -> None:
    """A row leads to its line, a deleted one to the line that took its place."""
    expected = [0, 0, 2, 1, 2, 2, 2, 3, 4, 0, 1]
    assert expected == REVIEW.payload()["lnums"]


def hunk(number: int, start: int, added: int, removed: int) -> dict[str, Any]:
    """Returns a text hunk of an inline view."""
    return {"id": number, "gen": 3, "start": start, "added": added, "removed": removed}


INLINE = InlineView(
    token=1,
    seq=4,
    data={
        "path": "a",
        "hunks": [
            hunk(1, 0, 0, 2),
            hunk(2, 3, 2, 2),
            hunk(3, 7, 3, 1),
            hunk(4, 12, 0, 1),
        ],
    },
)


def whole(number: int) -> dict[str, Any]:
    """Returns the selection of a whole hunk."""
    return {"hunks": [{"id": number, "gen": 3}]}


@pytest.mark.parametrize(
    ("scope", "first", "last", "expected"),
    [
        ("hunk", 1, 1, whole(1)),
        ("hunk", 3, 3, whole(2)),
        ("hunk", 4, 4, whole(2)),
        ("hunk", 5, 5, None),
        ("hunk", 12, 12, whole(4)),
        ("hunk", 13, 13, whole(4)),
        ("lines", 3, 4, whole(2)),
        ("lines", 4, 4, {"hunks": [{"id": 2, "gen": 3, "old": [1, 2], "new": [1, 2]}]}),
        ("lines", 7, 7, {"hunks": [{"id": 3, "gen": 3, "old": [0, 1], "new": [0, 1]}]}),
        ("lines", 8, 9, {"hunks": [{"id": 3, "gen": 3, "old": [0, 0], "new": [1, 3]}]}),
        ("lines", 1, 4, {"hunks": [{"id": 1, "gen": 3}, {"id": 2, "gen": 3}]}),
        ("lines", 10, 11, None),
        ("file", 5, 5, {"paths": ["a"], "seen": 4}),
    ],
)
def test_lines_of_a_file(scope: Any, first: int, last: int, expected: Any) -> None:
    """Lines select the hunks that touch them; part of a hunk selects its lines."""
    assert expected == INLINE.select(scope, first, last)


def test_nothing_pending_selects_nothing() -> None:
    """A file without hunks is not sent to the daemon."""
    view = InlineView(token=1, seq=4, data={"path": "a", "hunks": []})
    assert view.select("file", 1, 1) is None
