"""Parts of a hunk: how it is cut, and how several of one hunk are united."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement, count, product

import pytest

from agentdiff.core.hunks import Hunk, Text
from agentdiff.core.parts import Part, Range, clipped, split, united
from tests.properties.strategies import AGENT_A


def changed(base: list[bytes], cur: list[bytes], a0: int, a1: int, b0: int, b1: int) -> Text:
    """Returns a text with one hunk of an agent's."""
    mine = (AGENT_A,)
    sides = {"old_owners": mine * (a1 - a0), "new_owners": mine * (b1 - b0)}
    return Text(base, cur, (Hunk(id=1, gen=2, a0=a0, a1=a1, b0=b0, b1=b1, **sides),))


LINES = [b"%d\n" % n for n in range(10)]
ONE = changed(LINES, [*LINES[:2], b"A\n", b"B\n", b"C\n", *LINES[5:]], 2, 5, 2, 5)


@pytest.mark.parametrize(
    ("old", "new", "pieces"),
    [
        pytest.param((0, 1), (0, 1), [(2, 3, 2, 3), (3, 5, 3, 5)], id="first lines"),
        pytest.param((1, 2), (1, 2), [(2, 3, 2, 3), (3, 4, 3, 4), (4, 5, 4, 5)], id="the middle"),
        pytest.param((2, 3), (2, 3), [(2, 4, 2, 4), (4, 5, 4, 5)], id="last lines"),
        pytest.param((0, 3), (0, 3), [(2, 5, 2, 5)], id="everything"),
        pytest.param((0, 9), (0, 9), [(2, 5, 2, 5)], id="more than there is"),
        pytest.param((0, 0), (0, 1), [(2, 2, 2, 3), (2, 5, 3, 5)], id="first new line only"),
        pytest.param((2, 2), (1, 2), [(2, 5, 2, 3), (5, 5, 3, 4), (5, 5, 4, 5)], id="a new line"),
        pytest.param((1, 2), (2, 2), [(2, 3, 2, 5), (3, 4, 5, 5), (4, 5, 5, 5)], id="an old line"),
    ],
)
def test_selected_lines_become_a_hunk_of_their_own(
    old: tuple[int, int], new: tuple[int, int], pieces: list[tuple[int, int, int, int]]
) -> None:
    """Old lines on their own stand before the new ones, new lines on their own behind the old."""
    ids = count(100)
    cut, chosen = split(ONE, ONE.hunks[0], [Part(old=old, new=new)], lambda: next(ids))
    assert [(h.a0, h.a1, h.b0, h.b1) for h in cut] == pieces
    (one,) = chosen
    assert one in [h.id for h in cut]
    assert cut[0].id == ONE.hunks[0].id


def test_selecting_no_line_cuts_nothing() -> None:
    """An empty selection on both sides picks nothing."""
    nothing = Part(old=(1, 1), new=(2, 2))
    assert clipped(nothing, ONE.hunks[0]) is None
    assert split(ONE, ONE.hunks[0], [nothing], lambda: 0) == ([ONE.hunks[0]], [])


def test_a_cut_never_glues_lines() -> None:
    """P10: a piece whose last line has no newline takes what follows with it."""
    text = changed([b"a"], [b"x\n", b"y"], 0, 1, 0, 2)
    ids = count(100)
    cut, chosen = split(text, text.hunks[0], [Part(old=(0, 1), new=(0, 0))], lambda: next(ids))
    assert len(cut) == 1
    assert chosen == [text.hunks[0].id]


def part(old: Sequence[int], new: Sequence[int]) -> Part:
    """Returns a part from two pairs."""
    return Part(old=(old[0], old[1]), new=(new[0], new[1]))


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        pytest.param([((0, 1), (0, 1)), ((2, 3), (2, 3))], None, id="apart"),
        pytest.param([((2, 3), (2, 3)), ((0, 1), (0, 1))], None, id="bottom first"),
        pytest.param([((0, 2), (0, 2)), ((1, 3), (1, 3))], ((0, 3), (0, 3)), id="overlapping"),
        pytest.param([((0, 1), (0, 1)), ((0, 1), (0, 1))], ((0, 1), (0, 1)), id="the same"),
        pytest.param([((0, 2), (0, 0)), ((1, 3), (1, 2))], ((0, 3), (1, 2)), id="on one side"),
    ],
)
def test_parts_of_one_hunk_are_united(
    parts: list[tuple[Range, Range]], whole: tuple[Range, Range] | None
) -> None:
    """From top to bottom; what overlaps is one."""
    together = united([part(*one) for one in parts])
    assert together == tuple(part(*one) for one in ([whole] if whole else sorted(parts)))


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([((0, 1), (2, 3)), ((1, 2), (0, 1))], id="crossing"),
        pytest.param([((0, 2), (0, 1)), ((1, 3), (2, 3))], id="one side overlaps"),
    ],
)
def test_parts_that_cannot_be_united(parts: list[tuple[Range, Range]]) -> None:
    """No cut gives both: more than was selected would be decided."""
    assert united([part(*one) for one in parts]) is None


def test_exactly_the_selected_lines_are_cut_out() -> None:
    """Every two parts of a hunk of 3 and 3 lines: the chosen pieces are theirs, all tile it."""
    ranges = list(combinations_with_replacement(range(4), 2))
    every = [part(old, new) for old, new in product(ranges, ranges)]
    hunk = ONE.hunks[0]
    for one, other in combinations_with_replacement(every, 2):
        parts = [p for p in (clipped(one, hunk), clipped(other, hunk)) if p is not None]
        together = united(parts)
        if together is None:
            assert len(parts) == 2
            continue
        ids = count(100)
        pieces, chosen = split(ONE, hunk, together, lambda ids=ids: next(ids))
        at = (hunk.a0, hunk.b0)
        for piece in pieces:
            assert (piece.a0, piece.b0) == at
            at = (piece.a1, piece.b1)
        assert at == (hunk.a1, hunk.b1)
        mine = [piece for piece in pieces if piece.id in chosen]
        olds = {n - 2 for piece in mine for n in range(piece.a0, piece.a1)}
        news = {n - 2 for piece in mine for n in range(piece.b0, piece.b1)}
        assert olds == {n for p in parts for n in range(*p.old)}
        assert news == {n for p in parts for n in range(*p.new)}
