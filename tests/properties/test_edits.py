"""``:w`` of an edited review gives exactly the file that the diff says."""

from __future__ import annotations

from itertools import count

from hypothesis import assume, given
from hypothesis import strategies as st

from agentdiff.core import panes
from agentdiff.core.edits import edited, plan_edits, shown
from agentdiff.core.entries import Entry, File
from agentdiff.core.events import BlockEdit
from agentdiff.core.hunks import Text
from agentdiff.core.ledger import Ledger
from agentdiff.core.observing import observe
from agentdiff.core.patch import Chunk, chunks
from agentdiff.core.pathstate import PathState, check, is_line_text
from agentdiff.nvim.editing import read_edits
from tests.properties.strategies import AUTHORS, entries

TYPED = st.sampled_from(["a", "b", "}", "typed", "", "x\r", "ü\u2028"])
MARKER = "\\ No newline at end of file"


@st.composite
def pending(draw: st.DrawFn) -> PathState:
    """Draws a path with lines pending, after one to three writes of anybody."""
    ids = count(1)
    known: Entry = draw(entries())
    state: PathState | None = None
    for _ in range(draw(st.integers(1, 3))):
        after = draw(entries(known))
        state = observe(state, b"f", known, after, draw(AUTHORS), lambda: next(ids))
        known = after
    assume(state is not None and state.hunks)
    assert state is not None
    return state


def rows(chunk: Chunk) -> list[tuple[str, bytes]]:
    """Returns a block as (mark, exact line)."""
    return [(row.kind, row.text) for row in chunk.rows]


def displayed(block: list[tuple[str, bytes]]) -> tuple[str, ...]:
    """Returns a block as it stands in the buffer."""
    out: list[str] = []
    for kind, line in block:
        out.append(kind + shown(line))
        if not line.endswith(b"\n"):
            out.append(MARKER)
    return tuple(out)


@st.composite
def touched(draw: st.DrawFn, block: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """Draws what a person may make of a block: everything but the removed lines is theirs."""
    out: list[tuple[str, bytes]] = []
    for kind, line in block:
        verb = draw(st.sampled_from(["keep"] * 6 + ["drop", "change", "insert", "restore"]))
        ending = b"\n" if line.endswith(b"\n") else b""
        if verb == "insert":
            out.append((draw(st.sampled_from(" +")), draw(TYPED).encode() + b"\n"))
        if kind == "-":
            out.append((" " if verb == "restore" else "-", line))
        elif verb == "change":
            out.append((kind, draw(TYPED).encode() + ending))
        elif verb != "drop":
            out.append((kind, line))
    return out


def said(text: Text, blocks: list[tuple[Chunk, list[tuple[str, bytes]]]]) -> bytes:
    """Returns the file that the whole diff describes, by walking it as ``patch`` does."""
    out: list[bytes] = []
    at = 0
    for chunk, block in blocks:
        out += text.cur[at : chunk.new_start]
        out += [line for kind, line in block if kind in " +"]
        at = chunk.new_start + chunk.new_lines
    out += text.cur[at:]
    # A line that is not the last one of a file ends in a newline, whatever the marker said.
    return b"".join(x if x.endswith(b"\n") or n == len(out) - 1 else x + b"\n"
                    for n, x in enumerate(out))  # fmt: skip


@given(state=pending(), data=st.data())
def test_writing_an_edited_diff_gives_what_it_says(state: PathState, data: st.DataObject) -> None:
    """Any lines but the removed ones changed, in any blocks: the file is what the buffer shows."""
    ids = count(10_000)
    context = data.draw(st.integers(0, 4))
    view = panes.review(Ledger(), b"/w", [state], 0, context)
    buffer, blocks = list(view["lines"]), []
    for chunk, hunk in reversed(
        list(
            zip(
                chunks(state.text, context, joined=False),
                [h for h in view["hunks"] if h["new"]],
                strict=True,
            )
        )
    ):
        block = rows(chunk)
        after = data.draw(touched(block))
        blocks.insert(0, (chunk, after))
        start, end = hunk["row"] + 1, hunk["row"] + hunk["rows"]
        assert displayed(block) == tuple(buffer[start:end])
        buffer[start:end] = displayed(after)
    changes = [
        BlockEdit(
            hunk=edit["id"],
            gen=edit["gen"],
            before=tuple(edit["before"]),
            after=tuple(edit["after"]),
        )
        for edit in read_edits(view, buffer)
    ]
    result = plan_edits({b"f": state}, changes, lambda: next(ids))
    expected = said(state.text, blocks)
    assert result.refused == []
    written = result.paths[0].cur_after if result.paths else state.cur
    assert expected == (written.data if isinstance(written, File) else b"")
    left = result.paths[0].after if result.paths else state
    if left is not None:
        check(left)
        assert left.cur == written


@given(state=pending(), data=st.data())
def test_an_unedited_diff_writes_nothing(state: PathState, data: st.DataObject) -> None:
    """Bytes that a screen cannot show are not lost by a write of the buffer."""
    blocks = chunks(state.text, 3, joined=False)
    chunk = data.draw(st.sampled_from(blocks))
    same = displayed(rows(chunk))
    hunk = chunk.hunks[0]
    edit = BlockEdit(hunk=hunk.id, gen=hunk.gen, before=same, after=same)
    assert edited(state, [edit], lambda _: None) == state.cur
    assert is_line_text(state.cur)


@given(state=pending(), data=st.data())
def test_the_old_side_cannot_be_edited(state: PathState, data: st.DataObject) -> None:
    """A removed line that is gone or changed refuses the whole write."""
    found = [c for c in chunks(state.text, 3, joined=False) if any(r.kind == "-" for r in c.rows)]
    assume(found)
    chunk = data.draw(st.sampled_from(found))
    block = rows(chunk)
    at = data.draw(st.sampled_from([n for n, (kind, _) in enumerate(block) if kind == "-"]))
    after = [*block[:at], *block[at + 1 :]]
    if data.draw(st.booleans()):
        after.insert(at, ("-", b"never there\n"))
    hunk = chunk.hunks[0]
    edit = BlockEdit(hunk=hunk.id, gen=hunk.gen, before=displayed(block), after=displayed(after))
    old = [line for kind, line in block if kind in "- "]
    assume(sum(line == block[at][1] for line in old) == 1)
    result = plan_edits({b"f": state}, [edit], lambda: 1)
    assert ([], "removed line" in result.refused[0].reason) == (result.paths, True)
