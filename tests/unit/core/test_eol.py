"""A change of line endings throughout is one change of one property."""

import pytest

from agentdiff.core import eol
from agentdiff.core.entries import File
from agentdiff.core.events import HunkPick, Selection
from agentdiff.core.pathstate import check
from tests.play import Play

LF = b"".join(b"line %d\n" % n for n in range(30))
CRLF = eol.converted(LF, "crlf")
EVERYTHING = Selection(everything=True, include_external=True)


def _play(data: bytes = LF) -> Play:
    play = Play(disk={b"x": File(data=data)})
    play.prompt("claude", "A")
    return play


def _data(play: Play) -> bytes:
    entry = play.disk[b"x"]
    assert isinstance(entry, File)
    return entry.data


@pytest.mark.parametrize(
    ("old", "new", "flips"),
    [
        (LF, CRLF, True),
        (CRLF, LF, True),
        (b"a\n", b"a\r\n", True),
        (b"a\nb", b"a\r\nb", True),
        (LF, LF, False),
        (LF, CRLF + b"more\r\n", False),
        (LF, CRLF.replace(b"line 3\r\n", b"line 3\n"), False),
        (b"a", b"a", False),
        (b"\n", b"\r\n", True),
        (b"a\r\n", b"a\r\r\n", False),
    ],
)
def test_flips(old: bytes, new: bytes, flips: bool) -> None:
    """Every line, and nothing but its ending."""
    assert eol.flips(old, new) is flips


@pytest.mark.parametrize("op", ["accept", "reject"])
@pytest.mark.parametrize(("old", "new"), [(LF, CRLF), (CRLF, LF)])
def test_an_agent_flips_a_file(op: str, old: bytes, new: bytes) -> None:
    """One pseudo-hunk, decided whole."""
    play = _play(old)
    play.run("claude", "A", {b"x": File(data=new)})
    state = play.ledger.paths[b"x"]
    check(state)
    assert [m.kind for m in state.meta] == ["eol"]
    assert not state.hunks
    play.decide(op, EVERYTHING)
    assert not play.ledger.paths
    assert _data(play) == (new if op == "accept" else old)


def test_an_edit_of_a_flipped_file_keeps_who_flipped_it() -> None:
    """The change becomes lines: the new line is its writer's, the others are the flipper's."""
    play = _play()
    play.prompt("codex", "B")
    play.run("claude", "A", {b"x": File(data=CRLF)})
    (first,) = play.ids(b"x")
    play.run("codex", "B", {b"x": File(data=CRLF.replace(b"line 7\r", b"seven\r"))})
    state = play.ledger.paths[b"x"]
    check(state)
    assert first in state.ids
    wrote = {
        line: owner.session
        for hunk in state.hunks
        for line, owner in zip(state.text.cur[hunk.b0 : hunk.b1], hunk.new_owners, strict=True)
    }
    assert wrote.pop(b"seven\r\n") == "B"
    assert set(wrote.values()) == {"A"}
    play.decide("reject", EVERYTHING)
    assert _data(play) == LF


def test_a_flip_swallows_hunks_and_keeps_the_oldest_id() -> None:
    """The agent edits, somebody takes the edit back and flips: one change is left."""
    play = _play()
    play.run("claude", "A", {b"x": File(data=LF.replace(b"line 3\n", b"three\n"))})
    (first,) = play.ids(b"x")
    play.run("claude", "A", {b"x": File(data=CRLF)})
    state = play.ledger.paths[b"x"]
    check(state)
    assert (state.ids, [m.kind for m in state.meta]) == ((first,), ["eol"])


def test_the_user_flips_a_file_under_review() -> None:
    """The user's change of style goes into both sides; the agent's hunk stays as it was."""
    play = _play()
    changed = LF.replace(b"line 3\n", b"three\n")
    play.run("claude", "A", {b"x": File(data=changed)})
    (first,) = play.ids(b"x")
    users = eol.converted(changed, "crlf")
    play.save(b"x", users, File(data=users))
    state = play.ledger.paths[b"x"]
    check(state)
    assert state.ids == (first,)
    assert state.hunks[0].b1 - state.hunks[0].b0 == 1
    play.decide("reject", EVERYTHING)
    assert _data(play) == CRLF


def test_mode_and_style_are_decided_apart() -> None:
    """A flip and a chmod are two changes; deciding one leaves the other."""
    play = _play()
    play.run("claude", "A", {b"x": File(data=CRLF, mode=0o755)})
    state = play.ledger.paths[b"x"]
    assert [m.kind for m in state.meta] == ["eol", "mode"]
    flip, mode = state.ids
    play.decide("reject", Selection(picks=(HunkPick(hunk=flip),)))
    check(play.ledger.paths[b"x"])
    assert play.disk[b"x"] == File(data=LF, mode=0o755)
    play.decide("reject", Selection(picks=(HunkPick(hunk=mode),)))
    assert play.disk[b"x"] == File(data=LF)
    assert not play.ledger.paths
