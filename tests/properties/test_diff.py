"""Whatever the two texts are: blocks rebuild the new one, and are as small as they look."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from agentdiff.core.diff import diff_bytes, diff_lines, split_lines
from agentdiff.core.linediff import Block
from tests.properties.strategies import edits, texts


@st.composite
def pairs(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """Draws a text and an edit of it, or two texts that have nothing to do with each other."""
    old = draw(texts())
    return old, draw(st.one_of(edits(old), texts()))


@st.composite
def long_pairs(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """Draws two texts so long that they are compared region by region."""
    # Of random length, for the cuts to fall anywhere; all lines of them stand once.
    filler = draw(st.integers(100, 400))
    parts = draw(st.lists(pairs(), min_size=3, max_size=6))
    sides = []
    for side in (0, 1):
        unique = (b"".join(b"line %d of %d\n" % (n, k) for n in range(filler)) for k in range(9))
        sides.append(b"".join(part[side] + b"\n" + next(unique) for part in parts))
    return sides[0], sides[1]


def rebuilt(old: bytes, new: bytes, blocks: list[Block]) -> bytes:
    """Returns the old text with its blocks replaced."""
    a, b = split_lines(old), split_lines(new)
    out: list[bytes] = []
    at = 0
    for block in blocks:
        out += a[at : block.a0] + b[block.b0 : block.b1]
        at = block.a1
    return b"".join(out + a[at:])


@given(pairs())
def test_blocks_make_the_new_text_of_the_old(texts_: tuple[bytes, bytes]) -> None:
    """Replacing the old lines of each block by its new ones gives the new text, byte for byte."""
    old, new = texts_
    assert rebuilt(old, new, diff_bytes(old, new)) == new


@given(long_pairs())
def test_lines_that_are_at_hand_change_nothing(texts_: tuple[bytes, bytes]) -> None:
    """With the lines given or cut from the text where they are needed: the same blocks."""
    old, new = texts_
    blocks = diff_bytes(old, new)
    assert diff_bytes(old, new, a=split_lines(old), b=split_lines(new)) == blocks
    assert rebuilt(old, new, blocks) == new


@given(pairs())
def test_blocks_are_in_order_and_apart(texts_: tuple[bytes, bytes]) -> None:
    """No block is empty; between two of them, as many lines are equal on both sides, at least one.

    Joining blocks that touch is what makes them maximal.
    """
    blocks = diff_bytes(*texts_)
    assert all(b.a1 > b.a0 or b.b1 > b.b0 for b in blocks)
    gaps = [(r.a0 - l.a1, r.b0 - l.b1) for l, r in pairwise(blocks)]  # noqa: E741
    assert all(of_a == of_b >= 1 for of_a, of_b in gaps)


@given(pairs())
def test_a_replacement_has_no_equal_border(texts_: tuple[bytes, bytes]) -> None:
    """A block never begins or ends with the same line on both sides: no unchanged line is shown."""
    old, new = texts_
    a, b = split_lines(old), split_lines(new)
    replaced = [x for x in diff_bytes(old, new) if x.a1 > x.a0 and x.b1 > x.b0]
    assert [x for x in replaced if a[x.a0] == b[x.b0] or a[x.a1 - 1] == b[x.b1 - 1]] == []


@given(pairs())
def test_trimming_agrees_with_the_plain_path(texts_: tuple[bytes, bytes]) -> None:
    """Skipping equal ends as bytes is only faster: whole lines compared give the same blocks."""
    old, new = texts_
    assert diff_bytes(old, new) == diff_lines(split_lines(old), split_lines(new))


@given(pairs(), texts(), texts())
def test_equal_surroundings_do_not_grow_a_diff(
    texts_: tuple[bytes, bytes], before: bytes, after: bytes
) -> None:
    """Between equal surroundings no more lines change than the two texts have."""
    old, new = texts_
    head = before + b"\n"
    blocks = diff_bytes(head + old + b"\n" + after, head + new + b"\n" + after)
    assert sum(b.a1 - b.a0 for b in blocks) <= len(split_lines(old + b"\n"))
    assert sum(b.b1 - b.b0 for b in blocks) <= len(split_lines(new + b"\n"))
