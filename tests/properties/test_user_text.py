"""P6, P8: what the user typed survives whatever is decided about the agents."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agentdiff.core.diff import split_lines
from agentdiff.core.entries import File
from agentdiff.core.events import Selection
from agentdiff.core.owners import Owner
from agentdiff.core.sessions import SECOND_NS
from tests.play import Play
from tests.properties.strategies import edits, texts

F = b"f"
EVERYTHING = Selection(everything=True, include_external=True)


def data_of(play: Play) -> bytes:
    """Returns what is on disk."""
    entry = play.disk[F]
    assert isinstance(entry, File)
    return entry.data


def save(play: Play, data: bytes) -> None:
    """Saves from the editor, as long after what was there as people take."""
    play.now += SECOND_NS
    play.save(F, data, File(data=data))


def run(play: Play, agent: str, session: str, data: bytes) -> None:
    """Lets an agent write the file."""
    play.run(agent, session, {F: File(data=data)})


@st.composite
def histories(draw: st.DrawFn) -> tuple[Play, list[bytes]]:
    """Draws a file that agents edit and into which the user types marker lines outside of hunks.

    Returns the workspace and the markers: each is unique, and was typed where nothing pended.
    """
    play = Play(disk={F: File(data=draw(texts()) + b"\n")})
    play.prompt("claude", "s")
    play.prompt("codex", "r")
    markers: list[bytes] = []
    for n in range(draw(st.integers(1, 5))):
        there = data_of(play)
        if draw(st.booleans()):
            agent, session = draw(st.sampled_from([("claude", "s"), ("codex", "r")]))
            wanted = draw(edits(there))
            if all(marker in wanted for marker in markers):
                run(play, agent, session, wanted)
            continue
        lines = split_lines(there)
        outside = places(play, len(lines))
        if outside and (not lines or lines[-1].endswith(b"\n")):
            marker = b"user line %d\n" % n
            lines.insert(draw(st.sampled_from(outside)), marker)
            save(play, b"".join(lines))
            markers.append(marker)
    return play, markers


def places(play: Play, size: int) -> list[int]:
    """Returns where a line can be typed that is neither in a hunk nor at its border."""
    state = play.ledger.paths.get(F)
    if state is None:
        return list(range(size + 1))
    if not isinstance(state.base, File):
        return []
    taken = {at for hunk in state.hunks for at in range(hunk.b0, hunk.b1 + 1)}
    return [at for at in range(size + 1) if at not in taken]


@given(histories(), st.booleans())
def test_lines_typed_outside_hunks_survive_every_reject(
    history: tuple[Play, list[bytes]], discard: bool
) -> None:
    """P6: even with the user's lines in mixed hunks given up: these are in none."""
    play, markers = history
    play.decide("reject", EVERYTHING, discard_user=discard)
    assert play.pending() == {}
    assert [marker for marker in markers if marker not in data_of(play)] == []


@given(histories())
def test_lines_typed_outside_hunks_never_pend(history: tuple[Play, list[bytes]]) -> None:
    """P6: they are in the base from the moment they were typed."""
    play, markers = history
    base = play.base(F)
    assert isinstance(base, File)
    assert [marker for marker in markers if marker not in base.data] == []


@given(texts(), st.data())
def test_a_history_of_saves_never_pends(first: bytes, data: st.DataObject) -> None:
    """P6: whatever the user does to a file that nobody else touches."""
    play = Play(disk={F: File(data=first)})
    play.prompt("claude", "s")
    for _ in range(3):
        save(play, data.draw(edits(data_of(play))))
        assert play.pending() == {}


def is_of(owner: Owner, session: str) -> bool:
    """Whether an owner is that session."""
    return owner.session == session


@given(st.data())
def test_rejecting_one_agent_keeps_everything_of_the_others(data: st.DataObject) -> None:
    """P8: with disjoint owners; each writes marked lines into its own part of the file.

    The parts are separated by lines that nobody touches, and drawn in any order.
    """
    parts = [[b"part %d line %d\n" % (part, n) for n in range(6)] for part in range(4)]
    play = Play(disk={F: File(data=b"".join(line for part in parts for line in part))})
    play.prompt("claude", "s")
    play.prompt("codex", "r")
    authors = data.draw(st.permutations(["claude", "codex", "user", "codex"]))
    expected = [list(part) for part in parts]
    for part, author in data.draw(st.permutations(list(enumerate(authors)))):
        start = data.draw(st.integers(1, 3))
        size = data.draw(st.integers(0, 2))
        new = [b"%s %d\n" % (author.encode(), n) for n in range(data.draw(st.integers(0, 3)))]
        parts[part][start : start + size] = new
        if author != "claude":
            expected[part] = list(parts[part])
        text = b"".join(line for one in parts for line in one)
        if text == data_of(play):
            continue
        if author == "user":
            save(play, text)
        else:
            run(play, author, "s" if author == "claude" else "r", text)
    answer = play.decide("reject", Selection(everything=True, agent="claude"))
    assert answer["refused"] == []
    assert data_of(play) == b"".join(line for part in expected for line in part)
    left = play.ledger.paths.get(F)
    owners = [] if left is None else [o for c in left.ids for o in left.changes()[c].owners]
    assert all(is_of(owner, "r") for owner in owners)
