"""Undo and redo on paths that moved on: merged where that is possible, else nothing is done."""

import orjson
import pytest

from agentdiff.core.entries import ABSENT, Entry, File, Link
from agentdiff.core.events import Edited, EditorDetached, HunkPick, Selection, ToolFinished
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


def test_undo_keeps_what_an_agent_s_own_account_confirmed_since() -> None:
    """The account comes after the writing, and only raises the evidence."""
    play = _play()
    play.decide("accept", EVERYTHING)
    started = play.start("claude", "A")
    play.put(b"a", _with((3, b"three\n"), (20, b"twenty\n"), (30, b"thirty\n")))
    play.cut()
    finished = ToolFinished(
        agent="claude",
        session="A",
        tool_call=started.tool_call,
        tool=started.tool,
        scope=started.scope,
        outcome="ok",
        edits=(Edited(path=b"a", pieces=((30, (b"thirty",)),)),),
        received_ns=play.tick(),
    )
    play.handle(finished)
    assert play.owners(b"a") == [("agent", "A", "exact")]
    assert not play.undo()["refused"]
    assert [evidence for _, _, evidence in play.owners(b"a")] == ["likely", "likely", "exact"]


# --- what was seen otherwise at first ------------------------------------------------------------

USERS = b"the user's\n"


def _lines(*at: tuple[int, bytes]) -> File:
    """Returns the text with lines put before these numbers, the last one first."""
    lines = list(LINES)
    for number, line in sorted(at, reverse=True):
        lines.insert(number, line)
    return File(data=b"".join(lines))


def _accepted() -> Play:
    """An agent's line at the top, accepted."""
    play = Play(disk={b"a": TEXT})
    play.attach()
    play.prompt("claude", "A")
    play.prompt("codex", "B")
    play.run("claude", "A", {b"a": _lines((0, b"agent's\n"))})
    play.decide("accept", EVERYTHING)
    play.cut()
    return play


def _undone_and_rejected(play: Play, *, restarted: bool) -> None:
    if restarted:
        play.restart(play.reload())
        play.attach()
    assert not play.undo()["refused"]
    check(play.ledger.paths[b"a"])
    play.decide("reject", EVERYTHING)


@pytest.mark.parametrize("restarted", [False, True])
def test_a_user_s_write_that_was_proved_late_does_not_pend_after_an_undo(restarted: bool) -> None:
    """It was told twice, first as the agent's: only the correction counts."""
    play = _accepted()
    users = _lines((0, b"agent's\n"), (40, USERS))
    started = play.start("claude", "A")
    since_ns = play.tick()
    play.put(b"a", users)
    play.cut()
    play.claim(b"a", users.data, written=True, since_ns=since_ns)
    play.finish(started)
    _undone_and_rejected(play, restarted=restarted)
    assert play.disk[b"a"] == _lines((40, USERS))


@pytest.mark.parametrize("restarted", [False, True])
def test_a_user_s_write_that_the_agent_wrote_over_does_not_pend_after_an_undo(
    restarted: bool,
) -> None:
    """It was never seen itself: the correction has two steps."""
    play = _accepted()
    users = _lines((0, b"agent's\n"), (40, USERS))
    both = _lines((0, b"agent's\n"), (20, b"more\n"), (40, USERS))
    play.claim(b"a", users.data)
    started = play.start("claude", "A")
    play.put(b"a", both)
    play.cut()
    play.claim(b"a", users.data, written=True)
    play.finish(started)
    _undone_and_rejected(play, restarted=restarted)
    assert play.disk[b"a"] == _lines((40, USERS))


@pytest.mark.parametrize("part", [File(data=b""), File(data=b"agent's\n"), ABSENT])
def test_a_user_s_save_that_was_seen_in_steps_is_one_after_an_undo(part: Entry) -> None:
    """Else the agent's accepted line would look written by the user, and reject would keep it."""
    play = _accepted()
    users = _lines((0, b"agent's\n"), (20, USERS))
    play.claim(b"a", users.data)
    for entry in (part, users):
        play.put(b"a", entry)
        play.cut()
    play.claim(b"a", users.data, written=True)
    _undone_and_rejected(play, restarted=False)
    assert play.disk[b"a"] == _lines((20, USERS))


def test_an_agent_s_write_that_was_seen_in_steps_takes_nothing_after_an_undo() -> None:
    """The other hunk keeps the user's line in it, and its authors."""
    play = Play(disk={b"a": TEXT})
    play.prompt("claude", "A")
    play.prompt("codex", "B")
    play.run("claude", "A", {b"a": _lines((5, b"A1\nA2\n"))})
    users = _lines((5, b"A1\n" + USERS + b"A2\n"))
    play.save(b"a", users.data, users)
    play.run("claude", "A", {b"a": _lines((0, b"top\n"), (5, b"A1\n" + USERS + b"A2\n"))})
    play.decide("accept", Selection(picks=(HunkPick(hunk=play.ids(b"a")[0]),)))
    play.cut()
    started = play.start("codex", "B")
    after = _lines((0, b"top\n"), (5, b"A1\n" + USERS + b"A2\n"), (40, b"B\n"))
    for entry in (File(data=b""), after):
        play.put(b"a", entry)
        play.cut()
    play.finish(started)
    _undone_and_rejected(play, restarted=False)
    assert play.disk[b"a"] == _lines((5, USERS))


def test_what_came_back_has_its_authors_after_an_undo() -> None:
    """Somebody took a file away and brought it back: the return was nobody's writing."""
    play = Play(disk={b"a": TEXT})
    play.attach()
    play.prompt("claude", "A")
    play.run("claude", "A", {b"a": _lines((0, b"top\n"), (5, b"A1\nA2\n"))})
    users = _lines((0, b"top\n"), (5, b"A1\n" + USERS + b"A2\n"))
    play.save(b"a", users.data, users)
    play.end("claude", "A")
    play.now += 60 * 1_000_000_000
    play.decide("accept", Selection(picks=(HunkPick(hunk=play.ids(b"a")[0]),)))
    play.cut()
    for entry in (ABSENT, users):
        play.put(b"a", entry)
        play.cut()
    _undone_and_rejected(play, restarted=False)
    assert play.disk[b"a"] == _lines((5, USERS))


def _mixed() -> Play:
    """Two of an agent's lines with one of the user's between them, and another agent."""
    play = Play(disk={b"a": TEXT})
    play.prompt("claude", "A")
    play.prompt("codex", "B")
    play.run("claude", "A", {b"a": _lines((5, b"A1\nA2\n"))})
    users = _lines((5, b"A1\n" + USERS + b"A2\n"))
    play.save(b"a", users.data, users)
    return play


@pytest.mark.parametrize("gone", [ABSENT, Link(target=b"b"), File(data=b"\0")])
def test_what_came_back_edited_has_its_authors_after_an_undo(gone: Entry) -> None:
    """It was accepted when it went: the log knows no return, and an undo sees one nonetheless."""
    play = _mixed()
    play.decide("accept", EVERYTHING)
    play.run("codex", "B", {b"a": gone})
    play.run("codex", "B", {b"a": _lines((5, b"A1\n" + USERS + b"A2\n"), (40, b"B\n"))})
    assert not play.undo()["refused"]
    first, second = play.ledger.paths[b"a"].hunks
    assert [owner.session for owner in first.new_owners] == ["A", None, "A"]
    assert [owner.session for owner in second.new_owners] == ["B"]
    play.decide("reject", EVERYTHING)
    assert play.disk[b"a"] == _lines((5, USERS))


def test_what_was_taken_back_and_came_back_has_its_authors_after_an_undo() -> None:
    """Without the decision it would have been put aside in between, and have returned."""
    play = _mixed()
    users = _lines((5, b"A1\n" + USERS + b"A2\n"))
    play.decide("accept", EVERYTHING)
    play.end("claude", "A")
    play.now += 60 * 1_000_000_000
    play.put(b"a", TEXT)
    play.cut()
    play.run("codex", "B", {b"a": users})
    play.run("codex", "B", {b"a": _lines((5, b"A1\n" + USERS + b"A2\n"), (40, b"B\n"))})
    assert not play.undo()["refused"]
    first, second = play.ledger.paths[b"a"].hunks
    assert [owner.session for owner in first.new_owners] == ["A", None, "A"]
    assert [owner.session for owner in second.new_owners] == ["B"]
    play.decide("reject", EVERYTHING)
    assert play.disk[b"a"] == _lines((5, USERS))


def test_what_nobody_reviewed_does_not_pend_after_an_undo() -> None:
    """Nothing was under review, so that the base followed the disk; the log knows only the end."""
    play = _accepted()
    play.handle(EditorDetached(client="nvim", received_ns=play.tick()))
    play.end("claude", "A")
    play.end("codex", "B")
    play.now += 60 * 1_000_000_000
    play.put(b"a", _lines((0, b"agent's\n"), (40, USERS)))
    play.cut()
    play.prompt("claude", "A2")
    play.run("claude", "A2", {b"a": _lines((0, b"agent's\n"), (20, b"more\n"), (40, USERS))})
    _undone_and_rejected(play, restarted=False)
    assert play.disk[b"a"] == _lines((40, USERS))


def test_steps_that_do_not_give_what_pends_are_refused() -> None:
    """A log of an older version does not say what it gives again: rather nothing than the wrong."""
    play = _accepted()
    users = _lines((0, b"agent's\n"), (20, USERS))
    play.claim(b"a", users.data)
    for entry in (File(data=b""), users):
        play.put(b"a", entry)
        play.cut()
    for n, (seq, body) in enumerate(play.log):
        old = orjson.loads(body)
        for name in ("since", "steps"):
            old.pop(name, None)
        play.log[n] = (seq, orjson.dumps(old))
    play.read.clear()
    (refusal,) = play.undo()["refused"]
    assert "changed since" in refusal["reason"]
    assert (play.disk[b"a"], play.pending()) == (users, {})
