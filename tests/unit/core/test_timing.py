"""Whatever comes late, twice or half done: labels may suffer, what somebody wrote may not."""

from __future__ import annotations

import pytest

from agentdiff.core.entries import ABSENT, Directory, Entry, File
from agentdiff.core.events import FileObserved, Selection, SessionEnded, Target, TimePassed
from agentdiff.core.proofs import WHOLE_NS
from agentdiff.core.sessions import TAIL_NS
from tests.play import Play

PATH = b"f"
ALL = Selection(everything=True, include_external=True)


def text(data: str) -> File:
    """Returns a file."""
    return File(data=data.encode())


def started(**disk: str) -> Play:
    """Returns a workspace with one live agent."""
    play = Play(disk={name.encode(): text(data) for name, data in disk.items()})
    play.prompt("claude", "s")
    return play


def end(play: Play) -> None:
    """Ends the session, and waits until its tail is over."""
    play.handle(SessionEnded(agent="claude", session="s", received_ns=play.tick()))
    play.now += 2 * TAIL_NS


def test_an_old_write_of_ours_never_becomes_a_base() -> None:
    """What the user did after the review is over is there when the next session starts."""
    play = started(f="1\n")
    play.run("claude", "s", {PATH: text("agent\n")})
    play.decide("reject", ALL)
    end(play)
    play.put(PATH, text("1\nby hand\n"))
    play.cut()
    play.prompt("claude", "t")
    play.run("claude", "t", {PATH: text("1\nby hand\nagent\n")})
    assert play.base(PATH) == text("1\nby hand\n")


def test_of_two_saves_only_the_second_was_seen() -> None:
    """The first is not taken for something that the agent wrote over."""
    play = started(f="1\n")
    play.claim(PATH, b"1\n2\n")
    play.put(PATH, text("1\n2\n"))
    play.claim(PATH, b"1\n2\n", written=True)
    play.save(PATH, b"1\n2\n3\n", text("1\n2\n3\n"))
    play.run("claude", "s", {PATH: text("1\n2\n3\nagent\n")})
    assert play.base(PATH) == text("1\n2\n3\n")


@pytest.mark.parametrize("half", [ABSENT, text(""), text("1\n2")], ids=["gone", "empty", "part"])
@pytest.mark.parametrize("window", [False, True], ids=["alone", "in a window"])
def test_a_save_seen_half_done_is_the_users(half: Entry, window: bool) -> None:
    """Neovim truncates, then writes; who looks in between must not take the lines for lost."""
    play = started(f="1\n2\n3\n")
    opened = play.start("claude", "s") if window else None
    play.claim(PATH, b"1\n2\ntyped\n3\n")
    for seen in (half, text("1\n2\ntyped\n3\n")):
        play.put(PATH, seen)
        play.cut()
    play.claim(PATH, b"1\n2\ntyped\n3\n", written=True)
    if opened is not None:
        play.finish(opened)
    assert (play.pending(), play.base(PATH)) == ({}, text("1\n2\ntyped\n3\n"))


HALVES = pytest.mark.parametrize(
    "half", [ABSENT, text(""), text("1\nage")], ids=["gone", "empty", "part"]
)
AGENTS = "1\nagent\n3\n"
SAVED = "1\nagent\ntyped\n3\n"


def saved_half(half: Entry) -> Play:
    """Returns a workspace with a pending line, and a save whose proof came before its rest."""
    play = started(f="1\n2\n3\n")
    play.run("claude", "s", {PATH: text(AGENTS)})
    play.claim(PATH, SAVED.encode())
    play.put(PATH, half)
    play.cut()
    play.claim(PATH, SAVED.encode(), written=True)
    return play


@HALVES
def test_a_proof_before_the_rest_was_seen(half: Entry) -> None:
    """The lines of the agent stay the agent's, though the proof met half a file."""
    play = saved_half(half)
    play.put(PATH, text(SAVED))
    play.cut()
    play.decide("reject", ALL)
    assert (play.disk[PATH], play.pending()) == (text("1\n2\ntyped\n3\n"), {})


@HALVES
def test_a_save_half_seen_and_written_over(half: Entry) -> None:
    """What the user typed is below what the agent wrote next, and outlives its reject."""
    play = saved_half(half)
    play.run("claude", "s", {PATH: text(SAVED + "more\n")})
    play.decide("reject", ALL)
    assert (play.disk[PATH], play.pending()) == (text("1\n2\ntyped\n3\n"), {})


@HALVES
@pytest.mark.parametrize("later", ["asked", "waited"])
def test_a_save_that_somebody_cut_short_at_once(half: Entry, later: str) -> None:
    """It was whole, or the proof would not have come: rejecting what took it away restores it."""
    play = saved_half(half)
    if later == "waited":
        play.now += WHOLE_NS
        play.handle(TimePassed(received_ns=play.tick()))
        assert play.base(PATH) == text("1\n2\ntyped\n3\n")
    play.decide("reject", ALL)
    assert (play.disk[PATH], play.pending()) == (text("1\n2\ntyped\n3\n"), {})


@HALVES
def test_a_proof_long_after_both_halves_were_seen(half: Entry) -> None:
    """Its claim was lost, with the editor's host say; the proof knows when the write began."""
    play = started(f="1\n2\n3\n")
    play.run("claude", "s", {PATH: text(AGENTS)})
    since_ns = play.tick()
    for seen in (half, text(SAVED)):
        play.put(PATH, seen)
        play.cut()
    play.claim(PATH, SAVED.encode(), written=True, since_ns=since_ns)
    play.decide("reject", ALL)
    assert (play.disk[PATH], play.pending()) == (text("1\n2\ntyped\n3\n"), {})


def test_two_saves_in_a_row_seen_half_done() -> None:
    """Neovim's stamp is renewed by a save of its own: the same bytes are written twice."""
    play = saved_half(text(""))
    play.claim(PATH, SAVED.encode(), written=True)
    play.put(PATH, text(SAVED))
    play.cut()
    play.decide("reject", ALL)
    assert (play.disk[PATH], play.pending()) == (text("1\n2\ntyped\n3\n"), {})


@pytest.mark.parametrize(
    "half", [ABSENT, text(""), text("1\nby t\n")], ids=["gone", "empty", "part"]
)
@pytest.mark.parametrize("tool", ["Edit", "Bash"])
def test_a_write_seen_half_done_takes_nobodys_lines(half: Entry, tool: str) -> None:
    """Found by the soak: the lines of another agent were the writer's afterwards."""
    play = started(f="1\n2\n3\n")
    play.run("claude", "s", {PATH: text("1\n2\n3\nby s\n")})
    (theirs,) = play.ledger.paths[PATH].hunks
    play.prompt("claude", "t")
    target = Target(path=PATH, action="edit", old_text=b"2\n", new_text=b"by t\n")
    call = play.start("claude", "t", *([target] if tool == "Edit" else []), tool=tool)
    play.put(PATH, half)
    play.cut()
    play.put(PATH, text("1\nby t\n3\nby s\n"))
    play.finish(call)
    mine, *others = play.ledger.paths[PATH].hunks
    assert [owner.session for owner in mine.owners] == ["t"]
    assert [(hunk.id, hunk.owners) for hunk in others] == [(theirs.id, theirs.owners)]


def test_a_hunk_that_grows_line_by_line_keeps_its_id() -> None:
    """What only adds to a file was never half of another write."""
    play = started(f="1\n")
    call = play.start("claude", "s")
    ids = set()
    for end_line in range(2, 5):
        play.put(PATH, text("".join(f"{n}\n" for n in range(1, end_line + 1))))
        play.cut()
        ids |= {hunk.id for hunk in play.ledger.paths[PATH].hunks}
    play.finish(call)
    assert len(ids) == 1


def test_a_job_that_writes_right_after_the_session_is_still_its_work() -> None:
    """The tail of a session that ended keeps the workspace under review."""
    play = started(f="1\n")
    play.run("claude", "s", {b"g": text("x\n")})
    play.decide("accept", ALL)
    play.handle(SessionEnded(agent="claude", session="s", received_ns=play.tick()))
    play.put(PATH, text("late\n"))
    play.cut()
    owners = play.ledger.paths[PATH].hunks[0].owners
    assert [(owner.session, owner.evidence) for owner in owners] == [("s", "late")]


def test_a_write_during_our_own_write_is_seen() -> None:
    """A reading older than our write counts, unless it shows what we replaced."""
    play = started(f="1\n")
    play.run("claude", "s", {PATH: text("agent\n")})
    before = play.tick()
    play.decide("reject", ALL)
    play.handle(
        FileObserved(
            path=PATH, before=text("agent\n"), after=text("agent\n2\n"), received_ns=before
        )
    )
    assert play.ledger.paths[PATH].cur == text("agent\n2\n")


def test_a_reading_of_what_we_replaced_is_history() -> None:
    """It lay in the queue while we wrote; nothing pends because of it."""
    play = started(f="1\n")
    play.run("claude", "s", {PATH: text("agent\n")})
    before = play.tick()
    play.decide("reject", ALL)
    play.handle(
        FileObserved(path=PATH, before=text("1\n"), after=text("agent\n"), received_ns=before)
    )
    assert play.pending() == {}


def test_a_directory_where_nothing_was_is_no_change() -> None:
    """Only what takes the place of something is a change of type."""
    play = started()
    play.run("claude", "s", {b"d": text("x\n")})
    play.run("claude", "s", {b"d": Directory()})
    assert play.pending() == {}


def test_what_is_deleted_makes_room_first() -> None:
    """A folder that took a file's place is emptied before the file comes back."""
    play = started(d="x\n")
    play.run("claude", "s", {b"d": ABSENT})
    play.run("claude", "s", {b"d/e/f": text("1\n"), b"d/g": text("2\n")})
    answer = play.decide("reject", ALL)
    assert answer["written"] == ["d/e/f", "d/g", "d"]
