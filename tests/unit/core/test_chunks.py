"""Chunks find their place as tolerantly as Codex finds it, and never more."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentdiff.core import chunks
from agentdiff.core.chunks import Chunk, Mismatch, revise


def chunk(*lines: str, anchor: str | None = None, at_end: bool = False) -> Chunk:
    """Returns a chunk from lines that start with a blank, ``+`` or ``-``."""
    old = [line[1:].encode() for line in lines if line[0] != "+"]
    new = [line[1:].encode() for line in lines if line[0] != "-"]
    context = [
        (sum(each[0] != "+" for each in lines[:n]), sum(each[0] != "-" for each in lines[:n]))
        for n, line in enumerate(lines)
        if line[0] == " "
    ]
    return Chunk(
        anchor=None if anchor is None else anchor.encode(),
        old=tuple(old),
        new=tuple(new),
        context=tuple(context),
        at_end=at_end,
    )


@pytest.mark.parametrize(
    ("before", "given", "after"),
    [
        pytest.param("a\nb\n", [chunk("-b", "+X")], "a\nX\n", id="exact"),
        pytest.param("a\nb", [chunk("-b", "+X")], "a\nX\n", id="the last line gets an end"),
        pytest.param("a\r\nb\nc", [chunk("-b", "+X")], "a\r\nX\r\nc\r\n", id="first line end"),
        pytest.param("a\rb\r", [chunk("-b", "+X")], "a\rX\r", id="old Macs"),
        pytest.param("a \t\nb\n", [chunk(" a", "-b", "+X")], "a \t\nX\n", id="context is kept"),
        pytest.param("  a\n", [chunk("-a ", "+X")], "X\n", id="white space around"),
        pytest.param("a \u2014 \u201cb\u201d\n", [chunk('-a - "b"', "+X")], "X\n", id="plain"),
        pytest.param("a \na\n", [chunk("-a", "+X")], "a \nX\n", id="the strictest pass wins"),
        pytest.param("f\na\ng\na\n", [chunk("-a", "+X", anchor="g")], "f\na\ng\nX\n", id="anchor"),
        pytest.param("a\nb\na\n", [chunk("-a", "+X", at_end=True)], "a\nb\nX\n", id="at the end"),
        pytest.param("a\n\n", [chunk("+X")], "a\n\nX\n", id="nothing old: appended"),
        pytest.param("", [chunk("+X")], "X\n", id="into an empty file"),
        pytest.param("a\n", [chunk("-a")], "", id="nothing left"),
        pytest.param("a\nb\n", [chunk("-b", " ", "+c")], "a\n\nc\n", id="empty line as the end"),
        pytest.param(
            "a\nb\na\n", [chunk("-a", "+1"), chunk("-a", "+2")], "1\nb\n2\n", id="in turn"
        ),
        pytest.param("a\nb\n", [chunk("+z"), chunk("-a", "+1")], "1\nb\nz\n", id="file order"),
    ],
)
def test_chunks_that_fit(before: str, given: list[Chunk], after: str) -> None:
    """What the file holds afterwards."""
    assert revise(before.encode(), given) == after.encode()


@pytest.mark.parametrize(
    ("before", "given", "reason"),
    [
        (b"a\n", [chunk("-b")], "does not hold the line 'b' and what follows it"),
        (b"a\n", [chunk("-a", anchor="f")], "does not hold the context line 'f'"),
        (b"a\nb\n", [chunk("-a", at_end=True)], "does not hold the line 'a' and what follows it"),
        (b"a\nb\n", [chunk("-b"), chunk("-a")], "does not hold the line 'a' and what follows it"),
        (b"a\n", [chunk("-a\x1c")], "does not hold the line 'a\\x1c' and what follows it"),
        (b"a\xff", [chunk("-a")], "is not UTF-8 at byte 1"),
    ],
)
def test_chunks_that_do_not_fit(before: bytes, given: list[Chunk], reason: str) -> None:
    """The reason names what is missing."""
    assert revise(before, given) == Mismatch(reason=reason)


def test_a_text_made_to_be_slow_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal lines without end cost a bounded search."""
    monkeypatch.setattr(chunks, "MAX_COMPARED_LINES", 1000)
    wanted = chunk(*["-a"] * 100, "-b")
    assert revise(b"a\n" * 1000, [wanted]) == Mismatch(reason="is too repetitive to be searched")


LINES = st.lists(st.sampled_from(["a", "b", " a", "", "a ", "\u2003b"]), max_size=6)


@given(LINES, LINES, LINES)
def test_what_is_found_exactly_is_replaced_exactly(
    head: list[str], old: list[str], new: list[str]
) -> None:
    """A chunk with lines that occur once, literally, changes these and no other line."""
    marked = ["<<", *old, ">>"]
    data = "".join(f"{line}\n" for line in [*head, *marked, "end"]).encode()
    lines = [f"-{line}" for line in marked] + [f"+{line}" for line in new]
    after = "".join(f"{line}\n" for line in [*head, *new, "end"]).encode()
    assert revise(data, [chunk(*lines)]) == after
