"""A conflict in a text names both sides, and loses neither."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentdiff.core.conflicts import MIDDLE, OURS, THEIRS, marked
from agentdiff.core.diff import split_lines
from agentdiff.core.merge import merge3
from tests.properties.strategies import edits, texts


def test_both_sides_stand_in_the_text() -> None:
    """Between markers, ours before theirs."""
    text, places = marked(merge3(b"a\nb\nc\n", b"a\nours\nc\n", b"a\ntheirs\nc\n"))
    expected = b"a\n" + OURS + b"\nours\n" + MIDDLE + b"\ntheirs\n" + THEIRS + b"\nc\n"
    assert (text, places) == (expected, ((1, 6),))


def test_markers_end_as_the_lines_do() -> None:
    """A file with CRLF keeps CRLF everywhere."""
    text, _ = marked(merge3(b"a\r\nb\r\n", b"a\r\nx\r\n", b"a\r\ny\r\n"))
    assert text.count(b"\r\n") == text.count(b"\n")


@pytest.mark.parametrize("ours", [b"x", b"x\n", b""])
@pytest.mark.parametrize("theirs", [b"y", b"y\n", b""])
def test_no_line_is_glued_to_a_marker(ours: bytes, theirs: bytes) -> None:
    """Lines without terminator get one where a marker follows."""
    text, places = marked(merge3(b"a\n", ours, theirs))
    lines = split_lines(text)
    for first, end in places:
        found = [line.rstrip(b"\n") for line in lines[first:end]]
        assert (found[0], found[-1], MIDDLE in found) == (OURS, THEIRS, True)


@st.composite
def _three(draw: st.DrawFn) -> tuple[bytes, bytes, bytes]:
    base = draw(texts())
    return base, draw(edits(base)), draw(edits(base))


@given(_three())
def test_nothing_is_lost(three: tuple[bytes, bytes, bytes]) -> None:
    """A clean merge is its text; else choosing one side everywhere gives what that side wrote."""
    merge = merge3(*three)
    text, places = marked(merge)
    if merge.clean:
        assert (text, places) == (merge.data, ())
        return
    lines = [line.rstrip(b"\r\n") for line in split_lines(text)]
    for (first, end), piece in zip(
        places, [piece for piece in merge.pieces if piece.conflict], strict=True
    ):
        wanted = [line.rstrip(b"\r\n") for line in (*piece.ours, MIDDLE, *piece.theirs)]
        assert lines[first + 1 : end - 1] == wanted
