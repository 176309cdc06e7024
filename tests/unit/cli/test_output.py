"""What reaches a terminal."""

from __future__ import annotations

import json

import pytest

from agentdiff.cli import output


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ünïcode 漢字.txt", "plain ünïcode 漢字.txt"),
        ("two\nlines\r\t", "two\\nlines\\r\\t"),
        ("back\\slash", "back\\\\slash"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("c1 \x9b31m", "c1 \\x9b31m"),
        ("abc\u202egpj.exe", "abc\\u202egpj.exe"),
        ("line\u2028break", "line\\u2028break"),
        (b"not \xff utf-8".decode("utf-8", "surrogateescape"), "not \\xff utf-8"),
        ("\x00", "\\x00"),
    ],
)
def test_nothing_controls_the_terminal(text: str, shown: str) -> None:
    """Control, format and direction characters are shown, never sent."""
    assert output.escaped(text) == shown


def test_long_text_is_cut() -> None:
    """A prompt takes its width and no more, and the cut is visible."""
    assert output.escaped("0123456789", 5) == "0123…"


@pytest.mark.parametrize(("number", "words"), [(0, "0 hunks"), (1, "1 hunk"), (2, "2 hunks")])
def test_counted(number: int, words: str) -> None:
    """Numbers agree with their nouns."""
    assert output.counted(number, "hunk") == words


def test_table_aligns_columns() -> None:
    """Columns are as wide as their widest cell, and lines have no trailing blanks."""
    assert output.table([("M", "long name", "x"), ("A", "n", "")]) == [
        "  M  long name  x",
        "  A  n",
    ]


def test_json_of_a_name_that_is_not_utf8(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """A folder of ours below a home with such a name is shown, not a traceback."""
    output.say_json({"log": ["/home/\udcff/log"], "\udcff": 1})
    out = capsysbinary.readouterr().out
    assert json.loads(out) == {"log": ["/home/\ufffd/log"], "\ufffd": 1}
