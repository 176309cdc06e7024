"""Random files, edits and histories that look like real trouble.

Files are long and repetitive: short ones never showed the bugs of carried hunks.
"""

from __future__ import annotations

from hypothesis import strategies as st

from agentdiff.core.diff import split_lines
from agentdiff.core.entries import ABSENT, Directory, Entry, File, Link, Other
from agentdiff.core.owners import EXTERNAL, USER, Owner

AGENT_A = Owner(kind="agent", evidence="likely", agent="claude", session="A", tool_call="a1")
AGENT_B = Owner(kind="agent", evidence="likely", agent="codex", session="B", tool_call="b1")
AUTHORS = st.sampled_from([AGENT_A, AGENT_B, USER, EXTERNAL])

ALPHABET = [b"a\n", b"b\n", b"\n", b"}\n", b"x\r\n", b"\xff\xfe\n", b"  return\n", b"\tend\n"]
# Made once: what Hypothesis works out about a strategy is kept with it, and would be half the time.
KINDS = [*["edit"] * 12, "text", "absent", "binary", "link", "empty", "eol"]
MODES = [0o644] * 8 + [0o755]
WHAT = st.sampled_from([(kind, mode) for kind in KINDS for mode in MODES])
# What cannot be put back, or cannot be read: only where a test knows what to do about it.
ODD_KINDS = [*KINDS, "odd", "odd"]
ODD = st.sampled_from([(kind, mode) for kind in ODD_KINDS for mode in MODES])
ODDITIES = st.sampled_from(
    [
        Other(kind="oversized: 9 bytes", stamp="1"),
        Other(kind="oversized: 9 bytes", stamp="2"),
        Other(kind="unreadable: Permission denied"),
        Directory(),
    ]
)
# What is there while a file is not.
GONE = st.sampled_from([
    ABSENT, File(data=b""), File(data=b"\0"), Link(target=b"x"),
    Other(kind="unreadable: Permission denied"),
])  # fmt: skip
# What parts two steps: nothing (both are seen in one reading), a reading, or the end of a call.
BREAKS = st.sampled_from(["", "reading", "call"])
TARGETS = st.sampled_from([b"t", b"../t", b"\xff"])
HOW_MANY = st.integers(1, 4)
ENDINGS = ["keep", "keep", "keep", "strip", "tail"]
TAILS = [b"", b"", b"", b"tail", b"\xef\xbb\xbfq"]
# One draw for all that an edit is, or all lines of a text, is ten times as fast as one for each.
EDIT_BYTES = 8
TYPED = b"typed "
CODES = [st.binary(min_size=size, max_size=size) for size in range(128)]


def lines(codes: bytes) -> list[bytes]:
    """Returns a line for each byte."""
    return [ALPHABET[code % len(ALPHABET)] for code in codes]


def terminated(lines: list[bytes]) -> list[bytes]:
    """Returns the lines with every line but the last one terminated."""
    return [
        line if line.endswith(b"\n") or n == len(lines) - 1 else line + b"\n"
        for n, line in enumerate(lines)
    ]


def restyled(data: bytes) -> bytes:
    """Returns a text with every line ending of the other style; mixed ones become CRLF."""
    plain = data.replace(b"\r\n", b"\n")
    return plain if plain != data else data.replace(b"\n", b"\r\n")


@st.composite
def texts(draw: st.DrawFn, max_lines: int = 60) -> bytes:
    """Draws a text of repetitive lines, maybe without a final newline."""
    # Left to itself, Hypothesis makes collections of five: too short for what goes wrong here.
    codes = draw(CODES[draw(st.integers(0, max_lines)) + 1])
    return b"".join(lines(codes[1:])) + TAILS[codes[0] % len(TAILS)]


@st.composite
def edits(draw: st.DrawFn, data: bytes, typed: bytes = b"") -> bytes:
    """Draws a text that comes from `data` by a few local edits.

    Args:
        draw: Hypothesis's.
        data: the text.
        typed: a line (without terminator) that one more edit inserts somewhere, for what must be
            found again; lines that hold `TYPED` are never copied.
    """
    now = split_lines(data)
    codes = draw(CODES[draw(HOW_MANY) * EDIT_BYTES + 1])
    for first in range(1, len(codes), EDIT_BYTES):
        one = codes[first : first + EDIT_BYTES]
        at = int.from_bytes(one[1:3]) % (len(now) + 1)
        size = one[3] % 3 + 1
        match one[0] % 4:
            case 0:
                now[at:at] = lines(one[4 : 4 + size])
            case 1:
                del now[at : at + one[3] % 4 + 1]
            case 2:
                now[at : at + size] = lines(one[5 : 5 + one[4] % 4])
            case _:
                start = int.from_bytes(one[4:6]) % (len(now) + 1)
                copied = now[start : start + one[3] % 8 + 1]
                now[at:at] = [line for line in copied if TYPED not in line]
    if typed:
        now.insert(codes[-1] % (len(now) + 1), typed + b"\n")
    data = b"".join(terminated(now))
    ending = ENDINGS[codes[0] % len(ENDINGS)]
    if ending == "strip":
        return data.rstrip(b"\n")
    return data + b"tail" if ending == "tail" else data


@st.composite
def entries(draw: st.DrawFn, previous: Entry | None = None, *, odd: bool = False) -> Entry:
    """Draws what a path is next, given what it was; `odd` ones may be impossible to restore."""
    kind, mode = draw(ODD if odd else WHAT)
    if kind == "edit" and isinstance(previous, File):
        return File(data=draw(edits(previous.data)), mode=mode)
    if kind == "eol" and isinstance(previous, File):
        return File(data=restyled(previous.data), mode=mode)
    if kind == "absent":
        return ABSENT
    if kind == "binary":
        return File(data=b"\0" + draw(st.binary(max_size=4)), mode=mode)
    if kind == "link":
        return Link(target=draw(TARGETS))
    if kind == "empty":
        return File(data=b"", mode=mode)
    if kind == "odd":
        return draw(ODDITIES)
    return File(data=draw(texts()), mode=mode)
