"""Random files, edits and histories that look like real trouble.

Files are long and repetitive: short ones never showed the bugs of carried hunks.
"""

from __future__ import annotations

from hypothesis import strategies as st

from agentdiff.core.diff import split_lines
from agentdiff.core.entries import ABSENT, Entry, File, Link
from agentdiff.core.owners import EXTERNAL, USER, Owner

AGENT_A = Owner(kind="agent", evidence="likely", agent="claude", session="A", tool_call="a1")
AGENT_B = Owner(kind="agent", evidence="likely", agent="codex", session="B", tool_call="b1")
AUTHORS = st.sampled_from([AGENT_A, AGENT_B, USER, EXTERNAL])

ALPHABET = [b"a\n", b"b\n", b"\n", b"}\n", b"x\r\n", b"\xff\xfe\n", b"  return\n", b"\tend\n"]
# Made once: what Hypothesis works out about a strategy is kept with it, and would be half the time.
KINDS = st.sampled_from([*["edit"] * 12, "text", "absent", "binary", "link", "empty", "eol"])
MODES = st.sampled_from([0o644] * 8 + [0o755])
TARGETS = st.sampled_from([b"t", b"../t", b"\xff"])
HOW_MANY = st.integers(1, 4)
EDITS = st.sampled_from(["insert", "delete", "replace", "copy"])
ENDINGS = st.sampled_from(["keep", "keep", "keep", "strip", "tail"])
TAIL = st.sampled_from([b"", b"", b"", b"tail", b"\xef\xbb\xbfq"])


def lines(min_size: int = 0, max_size: int = 60) -> st.SearchStrategy[list[bytes]]:
    """Returns a strategy of lines: one draw for all of them, which is ten times as fast."""
    codes = st.binary(min_size=min_size, max_size=max_size)
    return codes.map(lambda drawn: [ALPHABET[code % len(ALPHABET)] for code in drawn])


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
    size = draw(st.integers(0, max_lines))
    return b"".join(draw(lines(size, size))) + draw(TAIL)


@st.composite
def edits(draw: st.DrawFn, data: bytes) -> bytes:
    """Draws a text that comes from `data` by a few local edits."""
    now = split_lines(data)
    for _ in range(draw(HOW_MANY)):
        at = draw(st.integers(0, len(now)))
        kind = draw(EDITS)
        if kind == "insert":
            now[at:at] = draw(lines(1, 3))
        elif kind == "delete":
            del now[at : at + draw(st.integers(1, 4))]
        elif kind == "replace":
            now[at : at + draw(st.integers(1, 3))] = draw(lines(0, 3))
        else:
            start = draw(st.integers(0, len(now)))
            now[at:at] = now[start : start + draw(st.integers(1, 8))]
    data = b"".join(terminated(now))
    ending = draw(ENDINGS)
    if ending == "strip":
        return data.rstrip(b"\n")
    return data + b"tail" if ending == "tail" else data


@st.composite
def entries(draw: st.DrawFn, previous: Entry | None = None) -> Entry:
    """Draws what a path is next, given what it was."""
    kind, mode = draw(KINDS), draw(MODES)
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
    return File(data=draw(texts()), mode=mode)
