"""Restores: what pends after one, and whose lines came back with it."""

import pytest

from agentdiff.core.entries import ABSENT, File
from agentdiff.core.events import Selection
from agentdiff.core.pathstate import check
from tests.play import Play, image

LINES = [b"line %d\n" % n for n in range(12)]
USERS = b"the user's\n"
EVERYTHING = Selection(everything=True, include_external=True)


def _text(*put: bytes, end: bytes = b"") -> File:
    return File(data=b"".join([*LINES[:5], *put, *LINES[5:], end]))


FIRST = _text(b"A1\n", b"A2\n")
MIXED = _text(b"A1\n", USERS, b"A2\n")


def _play() -> tuple[Play, int, int]:
    """Two lines of an agent's, later one of the user's between them: a moment after each."""
    play = Play(disk={b"a": _text()})
    play.attach()
    play.prompt("claude", "A")
    play.prompt("codex", "B")
    play.run("claude", "A", {b"a": FIRST})
    early = play.ledger.seq
    play.save(b"a", MIXED.data, MIXED)
    return play, early, play.ledger.seq


def _owners(play: Play, path: bytes = b"a") -> list[str | None]:
    state = play.ledger.paths[path]
    check(state)
    return [owner.session for hunk in state.hunks for owner in hunk.new_owners]


@pytest.mark.parametrize("to", [{}, {b"b": MIXED}, {b"b": _text(b"A1\n", USERS, b"A2\n", b"B\n")}])
@pytest.mark.parametrize("restarted", [False, True])
def test_what_was_put_aside_comes_back_with_its_owners(
    to: dict[bytes, File], restarted: bool
) -> None:
    """Deleted or moved: a restore brings it back as another program would, and can be undone."""
    play, _, seq = _play()
    play.run("codex", "B", {b"a": ABSENT, **to})
    gone, disk = play.pending(), dict(play.disk)
    if restarted:
        play.restart(play.reload())
        play.attach()
    assert play.restore(seq)["refused"] == []
    assert (play.disk, play.pending()) == ({b"a": MIXED}, {b"a": "modified"})
    assert _owners(play) == ["A", None, "A"]
    assert image(play.reload()) == image(play.ledger)
    assert play.undo()["refused"] == []
    assert (play.disk, play.pending()) == (disk, gone)
    assert play.undo(redo=True)["refused"] == []
    assert play.decide("reject", EVERYTHING)["refused"] == []
    assert play.disk == {b"a": _text(USERS)}


def test_an_older_version_of_what_was_put_aside_has_its_owners() -> None:
    """Nothing legible is at the path: what comes there is compared with what was."""
    play, early, _ = _play()
    play.run("codex", "B", {b"a": ABSENT})
    play.restore(early)
    assert (play.disk[b"a"], _owners(play)) == (FIRST, ["A", "A"])


def test_a_restored_path_shares_no_id_with_the_one_that_keeps_what_was_moved() -> None:
    """Only the old path is put back: the lines are at both paths then."""
    play, _, seq = _play()
    play.run("codex", "B", {b"a": ABSENT, b"b": MIXED})
    play.restore(seq, [b"a"])
    assert (play.disk, play.pending()) == (
        {b"a": MIXED, b"b": MIXED},
        {b"a": "modified", b"b": "created"},
    )
    assert _owners(play) == ["A", None, "A"]
    assert set(play.ids(b"a")).isdisjoint(play.ids(b"b"))


def test_what_nobody_put_aside_counts_as_the_user_s() -> None:
    """The log does not say whose it is on the base of today: no reject of an agent takes it."""
    play, _, seq = _play()
    play.run("codex", "B", {b"a": _text(b"B\n")})
    play.restore(seq)
    play.decide("reject", EVERYTHING)
    assert play.disk == {b"a": MIXED}


def test_a_restore_to_the_base_brings_nothing_back() -> None:
    """What was put aside is not what is asked for."""
    play, _, _ = _play()
    play.run("codex", "B", {b"a": ABSENT})
    play.restore(0)
    assert (play.disk, play.pending()) == ({b"a": _text()}, {})


def test_a_file_that_was_deleted_at_that_time_stays_deleted() -> None:
    """The restore deletes it for the user, and a reject of everything leaves no empty file."""
    play, _, _ = _play()
    play.run("codex", "B", {b"a": ABSENT})
    seq = play.ledger.seq
    play.run("codex", "B", {b"a": _text(b"B\n")})
    play.restore(seq)
    assert play.disk == {}
    play.decide("reject", EVERYTHING)
    assert (play.disk, play.pending()) == ({}, {})
