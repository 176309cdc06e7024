"""A change of line endings throughout is one change of one property."""

import pytest

from agentdiff.core import eol
from agentdiff.core.entries import File
from agentdiff.core.events import HunkPick, Selection
from agentdiff.core.pathstate import check
from tests.play import Play, image

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


# --- the user edits a file whose style pends ------------------------------------------------------


def _sound(play: Play) -> None:
    state = play.ledger.paths.get(b"x")
    if state is not None:
        check(state)
        assert state.cur == play.disk[b"x"]
    assert image(play.reload()) == image(play.ledger)


def _typed(data: bytes, line: bytes) -> bytes:
    """Returns a text with a line typed in its middle, one changed and one deleted."""
    lines = data.splitlines(keepends=True)
    return b"".join([*lines[:10], line, *lines[10:19], b"changed " + lines[19], *lines[21:]])


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("op", ["accept", "reject"])
@pytest.mark.parametrize(("old", "new"), [(LF, CRLF), (CRLF, LF), (LF[:-1], CRLF[:-2])])
def test_the_user_edits_a_flipped_file(op: str, old: bytes, new: bytes, late: bool) -> None:
    """Both sides have the edit, each in its own style; what pends is what the agent did."""
    play = _play(old)
    play.run("claude", "A", {b"x": File(data=new)})
    change = play.ledger.paths[b"x"].meta[0]
    end = b"\r\n" if eol.style(new) == "crlf" else b"\n"
    users = _typed(new, b"USER" + end)
    if late:
        since_ns = play.tick()
        play.put(b"x", File(data=users))
        play.cut()
        play.claim(b"x", users, written=True, since_ns=since_ns)
    else:
        play.save(b"x", users, File(data=users))
    state = play.ledger.paths[b"x"]
    assert (state.meta, state.hunks) == ((change,), ())
    other = eol.converted(users, eol.style(old))
    assert (state.base, state.cur) == (File(data=other), File(data=users))
    _sound(play)
    assert play.decide(op, EVERYTHING)["refused"] == []
    assert (_data(play), play.pending()) == (users if op == "accept" else other, {})
    _sound(play)
    play.undo()
    assert play.ledger.paths[b"x"].meta[0].owners == change.owners
    _sound(play)


@pytest.mark.parametrize(("old", "new", "end"), [(LF, CRLF, b"\n"), (CRLF, LF, b"\r\n")])
def test_a_line_of_the_other_style_is_the_users_alone(old: bytes, new: bytes, end: bytes) -> None:
    """Not the whole file joins: around the user's line the style pends as it was."""
    play = _play(old)
    play.run("claude", "A", {b"x": File(data=new)})
    (first,) = play.ids(b"x")
    lines = new.splitlines(keepends=True)
    users = b"".join([*lines[:10], b"USER" + end, *lines[10:]])
    play.save(b"x", users, File(data=users))
    state = play.ledger.paths[b"x"]
    assert [(h.a0, h.a1) for h in state.hunks] == [(0, 10), (11, 31)]
    assert state.hunks[0].id == first
    assert {owner.session for hunk in state.hunks for owner in hunk.owners} == {"A"}
    _sound(play)
    play.decide("reject", EVERYTHING)
    assert _data(play) == eol.converted(users, eol.style(old))
    assert not play.pending()


def test_the_users_save_in_the_old_style_takes_the_flip_back() -> None:
    """The buffer was older than the flip: what is there now is the user's, in the base's style."""
    play = _play()
    play.run("claude", "A", {b"x": File(data=CRLF)})
    users = _typed(LF, b"USER\n")
    play.save(b"x", users, File(data=users))
    assert not play.pending()
    play.run("claude", "A", {b"x": File(data=eol.converted(users, "crlf"))})
    play.save(b"x", b"", File(data=b""))
    assert not play.pending()


def test_the_user_takes_one_line_of_a_flip_back() -> None:
    """That line is as it was; the style of the others pends."""
    play = _play()
    play.run("claude", "A", {b"x": File(data=CRLF)})
    users = CRLF.replace(b"line 7\r\n", b"line 7\n")
    play.save(b"x", users, File(data=users))
    state = play.ledger.paths[b"x"]
    assert [(h.a0, h.a1) for h in state.hunks] == [(0, 7), (8, 30)]
    assert {owner.session for hunk in state.hunks for owner in hunk.owners} == {"A"}
    _sound(play)


def test_a_mode_beside_a_flip_stays_when_the_user_edits() -> None:
    """Style and mode pend, the edit does not."""
    play = _play()
    play.run("claude", "A", {b"x": File(data=CRLF, mode=0o755)})
    before = play.ledger.paths[b"x"].meta
    users = _typed(CRLF, b"USER\r\n")
    play.save(b"x", users, File(data=users, mode=0o755))
    assert play.ledger.paths[b"x"].meta == before
    _sound(play)
    play.decide("reject", EVERYTHING)
    assert play.disk[b"x"] == File(data=eol.converted(users, "lf"))


def test_what_has_no_other_style_joins() -> None:
    """A line that ends in two carriage returns: nothing of it is lost by a reject."""
    play = _play()
    play.run("claude", "A", {b"x": File(data=CRLF)})
    users = CRLF.replace(b"line 7\r\n", b"line 7\r\nUSER\r\r\n")
    play.save(b"x", users, File(data=users))
    _sound(play)
    play.decide("reject", EVERYTHING)
    assert b"USER\r\r\n" in _data(play)
