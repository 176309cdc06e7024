"""The way from rows and lines on the screen to a selection of hunks."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentdiff.daemon.ports import RequestError
from agentdiff.nvim.editing import read_edits
from agentdiff.nvim.splices import splices
from agentdiff.nvim.views import NO_HUNKS, InlineView, ReviewView

REVIEW = ReviewView(
    token=1,
    filters={},
    data={
        "seq": 9,
        "group": "turn",
        "kinds": "tfhcddaacfm",
        "lines": ["t", "f a", "@@", " 1", "-2", "-3", "+two", "+three", " 4", "f b", "meta"],
        "groups": [{"row": 0, "kind": "agent", "agent": "x", "session": "s", "turn": "t"}],
        "files": [
            {"path": "a", "row": 1, "group": 0, "whole": True},
            {"path": "b?", "path_b64": "Yv8=", "row": 9, "group": 0, "whole": True},
        ],
        "hunks": [
            {"id": 5, "gen": 2, "file": 0, "row": 2, "rows": 7, "old": 1, "new": 1, "owner": "x"},
            {"id": 6, "gen": 1, "file": 1, "row": 10, "rows": 1, "old": 0, "new": 0, "owner": "y"},
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
        ("hunk", 0, 0, {"paths": ["a", {"path_b64": "Yv8="}], "seen": 9}),
        ("hunk", 1, 1, {"paths": ["a"], "seen": 9}),
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
        ("group", 8, 8, {"paths": ["a", {"path_b64": "Yv8="}], "seen": 9}),
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


def test_a_count_takes_hunks_from_the_first_on() -> None:
    """Not more than there are."""
    both = {"hunks": [{"id": 5, "gen": 2}, PSEUDO]}
    assert [both, both] == [REVIEW.select("hunk", 4, 4, 2), REVIEW.select("hunk", 4, 4, 9)]


def test_a_part_of_a_file_is_named_by_its_hunks() -> None:
    """What stands below another heading is not decided with it."""
    files = [{**REVIEW.data["files"][0], "whole": False}, REVIEW.data["files"][1]]
    view = ReviewView(token=1, filters={}, data={**REVIEW.data, "files": files})
    assert view.select("file", 1, 1) == WHOLE


def test_lua_gets_parallel_lists() -> None:
    """In one string, read when it is first needed; what was not drawn before comes whole."""
    payload = REVIEW.payload()
    index = json.loads(payload["index"])
    assert (index["hunks"]["id"], index["hunks"]["row"], payload["base"]) == ([5, 6], [2, 10], 0)


def edited(*changes: tuple[int, int, list[str]]) -> list[dict[str, Any]]:
    """Returns the edits that a buffer asks for in which rows were replaced."""
    lines = list(REVIEW.data["lines"])
    for start, end, new in reversed(changes):
        lines[start:end] = new
    return read_edits(REVIEW.data, lines)


def test_an_edited_block_is_found() -> None:
    """With its hunk, and the rows before and after."""
    before = [" 1", "-2", "-3", "+two", "+three", " 4"]
    after = [" 1", "-2", "-3", "+drei", " 4"]
    expected = [{"id": 5, "gen": 2, "before": before, "after": after}]
    assert (expected, []) == (edited((6, 8, ["+drei"])), edited())


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ((1, 2, []), "'f a'"),
        ((9, 11, []), "'f b' is gone"),
        ((2, 3, ["@@ mine"]), "'@@ mine'"),
        ((6, 7, ["no mark"]), "'no mark'"),
        ((11, 11, ["+more"]), "'+more'"),
        ((0, 0, ["+more"]), "'+more'"),
        ((11, 11, ["end"]), "'end'"),
    ],
)
def test_headings_are_not_edited(change: tuple[int, int, list[str]], named: str) -> None:
    """The refusal names the line."""
    with pytest.raises(RequestError, match=re.escape(named)):
        edited(change)


@st.composite
def reviews(draw: st.DrawFn) -> dict[str, Any]:
    """Draws a review of some of five files."""
    lines: list[str] = []
    files: list[dict[str, Any]] = []
    for name in draw(st.permutations("abcde"))[: draw(st.integers(0, 5))]:
        files.append({"path": name, "row": len(lines), "group": -1})
        lines += [f"modified {name}", *draw(st.lists(st.sampled_from(["+x", "-y", " z"])))]
    return {"lines": lines, "files": files, "groups": []}


@given(old=reviews(), new=reviews())
def test_splices_turn_one_review_into_the_other(old: dict[str, Any], new: dict[str, Any]) -> None:
    """Whatever came, went or moved."""
    lines, grown = list(old["lines"]), 0
    for start, end, fresh in splices(old, new):
        lines[start + grown : end + grown] = fresh
        grown += len(fresh) - (end - start)
    assert lines == new["lines"]


def test_files_that_stay_are_not_sent_again() -> None:
    """Two changed files far apart are two splices."""
    names = "abcdefgh"
    lines = [line for name in names for line in (name, "+1", "+2")]
    files = [{"path": name, "row": 3 * n, "group": -1} for n, name in enumerate(names)]
    old = {"lines": lines, "files": files, "groups": []}
    new = {**old, "lines": [*lines[:2], "+new", *lines[3:-1], "+new"]}
    assert splices(old, new) == [(2, 3, ["+new"]), (23, 24, ["+new"])]


INLINE = InlineView(
    token=1,
    seq=4,
    data={
        "path": "a",
        "new_path": "b",
        "hunks": {
            "id": [1, 2, 3, 4],
            "gen": [3, 3, 3, 3],
            "start": [0, 3, 7, 12],
            "added": [0, 2, 3, 0],
            "removed": [2, 2, 1, 1],
            "deleted": ["a", "b", "c", "d", "e", "f"],
            "owners": ["claude"],
            "owner": [0, 0, 0, 0],
            "mixed": [],
            "odd": [],
        },
    },
)


def test_hunks_go_as_one_string() -> None:
    """It says what is drawn: with another generation alone it is the same, and need not be read."""
    payload = INLINE.payload("/w/a")
    hunks = dict(INLINE.data["hunks"])
    assert (payload["path"], payload["moved_to"]) == ("/w/a", "b")
    later = {**INLINE.data, "hunks": {**hunks, "gen": [4, 4, 4, 4]}}
    assert InlineView(token=2, seq=5, data=later).payload("/w/a")["hunks"] == payload["hunks"]
    del hunks["gen"]
    assert json.loads(payload["hunks"]) == hunks


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
    view = InlineView(token=1, seq=4, data={"path": "a", "hunks": NO_HUNKS})
    assert view.select("file", 1, 1) is None
