"""``:w`` of an edited review gives exactly the file that the diff says."""

from __future__ import annotations

from dataclasses import replace
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
from agentdiff.core.owners import EXTERNAL, USER, Owner
from agentdiff.core.patch import Chunk, chunks
from agentdiff.core.pathstate import PathState, check, is_line_text
from agentdiff.core.sessions import Turn
from agentdiff.nvim.editing import read_edits
from tests.properties.strategies import AGENT_A, AGENT_B, entries

TYPED = st.sampled_from(["a", "b", "}", "typed", "", "x\r", "ü\u2028"])
MARKER = "\\ No newline at end of file"


def of_turn(owner: Owner, n: int) -> Owner:
    """Returns an agent's owner in one of its turns."""
    turn = Turn(
        id=f"t{n}",
        n=n,
        agent=owner.agent or "",
        session=owner.session or "",
        prompt=f"Prompt {n}",
        started_ns=n,
        started_seq=n,
    )
    LEDGER.sessions.turns[turn.agent, turn.session, turn.id] = turn
    return replace(owner, turn=turn.id)


LEDGER = Ledger()
WRITERS = st.sampled_from(
    [of_turn(AGENT_A, 1), of_turn(AGENT_B, 2), of_turn(AGENT_A, 3), AGENT_B, USER, EXTERNAL]
)


@st.composite
def pending(draw: st.DrawFn, path: bytes = b"f", first: int = 1) -> PathState:
    """Draws a path with lines pending, after one to three writes of anybody; ids from `first`."""
    ids = count(first)
    known: Entry = draw(entries())
    state: PathState | None = None
    for _ in range(draw(st.integers(1, 3))):
        after = draw(entries(known))
        state = observe(state, path, known, after, draw(WRITERS), lambda: next(ids))
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


@given(data=st.data())
def test_writing_an_edited_review_gives_what_it_says(data: st.DataObject) -> None:
    """Any lines but the removed ones, in any blocks of any files, however the review is grouped."""
    number = data.draw(st.integers(1, 3))
    states = [data.draw(pending(b"f%d" % n, 1000 * n + 1)) for n in range(number)]
    ids = count(10_000)
    context = data.draw(st.integers(0, 4))
    by = data.draw(st.sampled_from(["turn", "file"]))
    view = panes.review(LEDGER, b"/w", states, 0, context, by)
    where = {
        chunk.hunks[0].id: (state, chunk)
        for state in states
        for chunk in chunks(state.text, context, joined=False)
    }
    buffer = list(view["lines"])
    blocks: dict[bytes, list[tuple[Chunk, list[tuple[str, bytes]]]]] = {s.path: [] for s in states}
    for hunk in reversed([h for h in view["hunks"] if h["new"]]):
        state, chunk = where.pop(hunk["id"])
        block = rows(chunk)
        after = data.draw(touched(block))
        blocks[state.path].append((chunk, after))
        start, end = hunk["row"] + 1, hunk["row"] + hunk["rows"]
        assert displayed(block) == tuple(buffer[start:end])
        buffer[start:end] = displayed(after)
    assert where == {}
    changes = [
        BlockEdit(
            hunk=edit["id"],
            gen=edit["gen"],
            before=tuple(edit["before"]),
            after=tuple(edit["after"]),
        )
        for edit in read_edits(view, buffer)
    ]
    result = plan_edits({state.path: state for state in states}, changes, lambda: next(ids))
    assert result.refused == []
    planned = {plan.path: plan for plan in result.paths}
    for state in states:
        ordered = sorted(blocks[state.path], key=lambda found: found[0].new_start)
        plan = planned.get(state.path)
        written = plan.cur_after if plan else state.cur
        assert said(state.text, ordered) == (written.data if isinstance(written, File) else b"")
        left = plan.after if plan else state
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
