"""Undo and redo on paths that moved on: merged where that is possible, else nothing is done."""

from agentdiff.core.entries import ABSENT, File
from agentdiff.core.events import HunkPick, Selection
from agentdiff.core.pathstate import check
from tests.play import Play

LINES = [b"line %d\n" % n for n in range(40)]
TEXT = File(data=b"".join(LINES))
EVERYTHING = Selection(everything=True, include_external=True)


def _with(*changes: tuple[int, bytes]) -> File:
    lines = list(LINES)
    for at, line in changes:
        lines[at] = line
    return File(data=b"".join(lines))


def _play() -> Play:
    play = Play(disk={b"a": TEXT})
    play.prompt("claude", "A")
    play.run("claude", "A", {b"a": _with((3, b"three\n"), (20, b"twenty\n"))})
    return play


def test_undo_of_an_accept_keeps_what_an_agent_wrote_since() -> None:
    """The accepted hunk pends again, beside the new one."""
    play = _play()
    first, second = play.ids(b"a")
    play.decide("accept", Selection(picks=(HunkPick(hunk=first),)))
    after = _with((3, b"three\n"), (20, b"twenty\n"), (30, b"thirty\n"))
    play.run("claude", "A", {b"a": after})
    assert not play.undo()["refused"]
    state = play.ledger.paths[b"a"]
    check(state)
    assert state.ids[:2] == (first, second)
    assert len(state.hunks) == 3
    assert (state.base, play.disk[b"a"]) == (TEXT, after)
    assert not play.undo(redo=True)["refused"]
    assert play.base(b"a") == _with((3, b"three\n"))


def test_undo_of_a_reject_merges_with_what_was_written_since() -> None:
    """The rejected text comes back beside the user's new line; the user's line does not pend."""
    play = _play()
    play.decide("reject", EVERYTHING)
    users = _with((30, b"mine\n"))
    play.save(b"a", users.data, users)
    assert not play.undo()["refused"]
    assert play.disk[b"a"] == _with((3, b"three\n"), (20, b"twenty\n"), (30, b"mine\n"))
    state = play.ledger.paths[b"a"]
    check(state)
    assert (len(state.hunks), state.base) == (2, users)
    assert not play.undo(redo=True)["refused"]
    assert play.disk[b"a"] == users
    assert not play.ledger.paths
    assert not play.undo()["refused"]
    assert len(play.ledger.paths[b"a"].hunks) == 2


def test_a_conflict_is_refused() -> None:
    """Somebody wrote what the undo would bring back differently: nothing is done."""
    play = _play()
    play.decide("reject", EVERYTHING)
    there = _with((3, b"another three\n"))
    play.run("claude", "A", {b"a": there})
    before = play.ledger.paths[b"a"]
    (refusal,) = play.undo()["refused"]
    assert "changed since" in refusal["reason"]
    assert (play.disk[b"a"], play.ledger.paths[b"a"]) == (there, before)


def test_another_decision_in_between_is_refused() -> None:
    """The cli undoes its own decision, not the editor's on top of it."""
    play = _play()
    first, second = play.ids(b"a")
    play.decide("accept", Selection(picks=(HunkPick(hunk=first),)))
    play.decide("reject", Selection(picks=(HunkPick(hunk=second),)), client="nvim")
    assert play.undo()["refused"]
    assert not play.undo(client="nvim")["refused"]


def test_an_undo_leaves_what_somebody_else_accepted() -> None:
    """No accept touches the disk: only the state can tell that another one came in between."""
    play = _play()
    first, second = play.ids(b"a")
    play.decide("accept", Selection(picks=(HunkPick(hunk=first),)))
    play.decide("accept", Selection(picks=(HunkPick(hunk=second),)), client="nvim")
    play.undo()
    assert play.base(b"a") != TEXT
    assert b"twenty\n" in play.base(b"a").data.splitlines(keepends=True)


def test_a_deleted_file_is_not_merged() -> None:
    """There is nothing to merge with."""
    play = _play()
    play.decide("reject", EVERYTHING)
    play.run("claude", "A", {b"a": ABSENT})
    assert play.undo()["refused"]
    assert b"a" not in play.disk


def test_after_a_restart() -> None:
    """The steps are in the log."""
    play = _play()
    play.decide("reject", EVERYTHING)
    users = _with((30, b"mine\n"))
    play.save(b"a", users.data, users)
    play.restart(play.reload())
    assert not play.undo()["refused"]
    play.restart(play.reload())
    assert not play.undo(redo=True)["refused"]
    assert play.disk[b"a"] == users
