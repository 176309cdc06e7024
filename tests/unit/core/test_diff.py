"""The line diff: what counts as a line, and where blocks stand."""

from __future__ import annotations

import pytest

from agentdiff.core.diff import diff_bytes, diff_lines, split_lines
from agentdiff.core.linediff import MAX_DISTANCE, Block


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"a", [b"a"]),
        (b"a\n", [b"a\n"]),
        (b"\n", [b"\n"]),
        (b"a\n\nb", [b"a\n", b"\n", b"b"]),
        (b"a\r\nb\r\n", [b"a\r\n", b"b\r\n"]),
        (b"a\rb\n", [b"a\rb\n"]),
        (b"a\x0cb\x0bc\n", [b"a\x0cb\x0bc\n"]),
        ("a\u2028b\u2029c\x85d\n".encode(), ["a\u2028b\u2029c\x85d\n".encode()]),
        (b"\xff\xfe\n\x00\n", [b"\xff\xfe\n", b"\x00\n"]),
    ],
)
def test_only_a_newline_ends_a_line(data: bytes, lines: list[bytes]) -> None:
    """Form feed, carriage return, U+2028 and U+0085 are content; terminators are kept."""
    assert split_lines(data) == lines


@pytest.mark.parametrize(
    ("old", "new", "blocks"),
    [
        pytest.param(b"", b"", [], id="both empty"),
        pytest.param(b"a\nb\n", b"a\nb\n", [], id="equal"),
        pytest.param(b"", b"a\nb\n", [Block(0, 0, 0, 2)], id="all new"),
        pytest.param(b"a\nb\n", b"", [Block(0, 2, 0, 0)], id="all gone"),
        pytest.param(b"a\nb\nc\n", b"a\nB\nc\n", [Block(1, 2, 1, 2)], id="one line replaced"),
        pytest.param(b"a\nc\n", b"a\nb\nc\n", [Block(1, 1, 1, 2)], id="one line inserted"),
        pytest.param(b"a\nb\nc\n", b"a\nc\n", [Block(1, 2, 1, 1)], id="one line deleted"),
        pytest.param(
            b"a\nb\nc\nd\n",
            b"A\nb\nc\nD\n",
            [Block(0, 1, 0, 1), Block(3, 4, 3, 4)],
            id="both ends",
        ),
        pytest.param(b"a\nb", b"a\nb\n", [Block(1, 2, 1, 2)], id="newline added at the end"),
        pytest.param(b"a\nb\n", b"a\nb", [Block(1, 2, 1, 2)], id="newline taken from the end"),
        pytest.param(b"a\nb", b"a\nc", [Block(1, 2, 1, 2)], id="last line without newline"),
        pytest.param(b"b\na", b"c\na", [Block(0, 1, 0, 1)], id="equal last line without newline"),
        pytest.param(b"ab\n", b"b\n", [Block(0, 1, 0, 1)], id="equal bytes are not equal lines"),
        pytest.param(b"a\x0cb\n", b"a\x0cc\n", [Block(0, 1, 0, 1)], id="form feed inside a line"),
    ],
)
def test_blocks_of_a_small_edit(old: bytes, new: bytes, blocks: list[Block]) -> None:
    """Each block names exactly the lines that differ, 0-based and half-open."""
    assert diff_bytes(old, new) == blocks


@pytest.mark.parametrize(
    ("old", "new", "blocks"),
    [
        pytest.param(
            b"f() {\n  a\n}\n\ng() {\n  b\n}\n",
            b"f() {\n  a\n}\n\nh() {\n  c\n}\n\ng() {\n  b\n}\n",
            [Block(4, 4, 4, 8)],
            id="a function and the blank line after it",
        ),
        pytest.param(b"x\n", b"x\nx\n", [Block(1, 1, 1, 2)], id="a repeated line is added below"),
        pytest.param(b"x\nx\n", b"x\n", [Block(1, 2, 1, 1)], id="and taken from below"),
    ],
)
def test_blocks_slide_to_where_a_reader_expects_them(
    old: bytes, new: bytes, blocks: list[Block]
) -> None:
    """Of all places where a block could stand, the least indented border wins, the lowest of them.

    The first case is git's own (indent heuristic).
    """
    assert diff_bytes(old, new) == blocks


def test_unique_lines_are_anchors() -> None:
    """A moved brace does not tear two functions apart: unique lines match before common ones."""
    old = [b"one {\n", b"}\n", b"two {\n", b"}\n"]
    new = [b"two {\n", b"}\n", b"one {\n", b"}\n"]
    blocks = diff_lines(old, new)
    kept = [old[i] for i in range(4) if not any(b.a0 <= i < b.a1 for b in blocks)]
    assert kept in ([b"one {\n", b"}\n"], [b"two {\n", b"}\n"])


def test_a_local_edit_of_a_long_file_touches_nothing_else() -> None:
    """Of 20,000 repetitive lines, two edited ones are two blocks of one line."""
    lines = [b"line %d\n" % (n % 7) for n in range(20_000)]
    new = list(lines)
    new[9_000] = b"edited\n"
    new[15_000] = b"edited too\n"
    blocks = diff_bytes(b"".join(lines), b"".join(new))
    assert blocks == [Block(9_000, 9_001, 9_000, 9_001), Block(15_000, 15_001, 15_000, 15_001)]


def test_a_rewrite_beyond_the_distance_limit_is_still_a_diff() -> None:
    """Where Myers gives up and goes on from the furthest point, the blocks still make the new text.

    Lines without anchors and more edits than `MAX_DISTANCE`.
    """
    old = [b"%d\n" % (n % 3) for n in range(MAX_DISTANCE * 4)]
    new = [b"%d\n" % (n * 7 % 5 % 3) for n in range(MAX_DISTANCE * 4)]
    built: list[bytes] = []
    at = 0
    for block in diff_lines(old, new):
        built += old[at : block.a0] + new[block.b0 : block.b1]
        at = block.a1
    assert built + old[at:] == new
