"""Tails: how long after its window a call may still have written something."""

from __future__ import annotations

import pytest

from agentdiff.core.entries import File
from agentdiff.core.events import SessionEnded, SessionStarted, ToolStarted, TurnEnded
from agentdiff.core.sessions import SECOND_NS, SILENT_SESSION_NS, TAIL_NS, Session, Sessions
from tests.play import Play

F = b"f"


@pytest.fixture
def play() -> Play:
    """A workspace with one file and one session in its first turn."""
    found = Play(disk={F: File(data=b"1\n2\n3\n")})
    found.prompt("claude", "s")
    return found


def stop(play: Play, *background: str) -> None:
    """Ends the turn."""
    play.handle(
        TurnEnded(agent="claude", session="s", background=background, received_ns=play.tick())
    )


def changed(play: Play, later_s: float = 0.0) -> list[tuple[str, str | None, str]]:
    """Returns the owners of a change seen some time later."""
    play.now += int(later_s * SECOND_NS)
    play.put(F, File(data=b"1\nlate\n3\n"))
    play.cut()
    return play.owners(F)


LATE = [("agent", "s", "late")]
EXTERNAL = [("external", None, "external")]


@pytest.mark.parametrize("wait_s", [0, 5, 600])
def test_a_call_has_a_tail_as_long_as_its_turn_goes_on(play: Play, wait_s: float) -> None:
    """A formatter run by a hook writes after the finish."""
    play.finish(play.start("claude", "s"))
    assert changed(play, wait_s) == LATE


@pytest.mark.parametrize(("wait_s", "owners"), [(0, LATE), (9.9, LATE), (10.1, EXTERNAL)])
def test_a_tail_ends_ten_seconds_after_the_turn(
    play: Play, wait_s: float, owners: list[tuple[str, str | None, str]]
) -> None:
    """Language servers and forgotten children write shortly after the agent stopped."""
    play.finish(play.start("claude", "s"))
    stop(play)
    assert changed(play, wait_s) == owners


@pytest.mark.parametrize("wait_s", [0, 60, 3600])
def test_a_background_job_has_a_tail_until_it_is_over(play: Play, wait_s: float) -> None:
    """It goes on writing after the turn."""
    play.finish(play.start("claude", "s"), background="job-1")
    stop(play, "job-1")
    assert changed(play, wait_s) == LATE


def test_a_job_that_the_agent_no_longer_lists_is_over(play: Play) -> None:
    """Ten seconds after the turn that does not name it, its writes are nobody's."""
    play.finish(play.start("claude", "s"), background="job-1")
    stop(play)
    assert changed(play, 11) == EXTERNAL


def test_the_tail_of_a_session_that_ended_is_as_long(play: Play) -> None:
    """Leaving kills children, but not at once."""
    play.finish(play.start("claude", "s"), background="job-1")
    play.handle(SessionEnded(agent="claude", session="s", received_ns=play.tick()))
    play.handle(SessionStarted(agent="codex", session="r", received_ns=play.tick()))
    assert changed(play, 1) == LATE


def test_an_ended_session_has_no_tail_later(play: Play) -> None:
    """Jobs and all."""
    play.finish(play.start("claude", "s"), background="job-1")
    play.handle(SessionEnded(agent="claude", session="s", received_ns=play.tick()))
    play.handle(SessionStarted(agent="codex", session="r", received_ns=play.tick()))
    assert changed(play, 11) == EXTERNAL


def test_a_session_without_calls_has_no_tail(play: Play) -> None:
    """Nothing it did could have written."""
    assert changed(play) == EXTERNAL


def test_an_open_window_comes_before_any_tail(play: Play) -> None:
    """The next call of the session takes over."""
    play.finish(play.start("claude", "s"))
    started = play.start("claude", "s")
    changed(play)
    state = play.ledger.paths[F]
    (owner,) = state.changes()[state.ids[0]].owners
    assert (owner.tool_call, owner.evidence) == (started.tool_call, "likely")


@pytest.mark.parametrize(("wait_ns", "live"), [(0, True), (SILENT_SESSION_NS, False)])
def test_a_silent_session_is_not_live(play: Play, wait_ns: int, live: bool) -> None:
    """Twelve hours without an event."""
    assert bool(play.ledger.sessions.live(play.now + wait_ns)) is live


def test_tails_are_a_matter_of_time_only(play: Play) -> None:
    """Asking does not change them."""
    play.finish(play.start("claude", "s"))
    stop(play)
    sessions = play.ledger.sessions
    assert sessions.tails(play.now) == sessions.tails(play.now + TAIL_NS) != []


def test_a_turn_that_was_superseded_has_no_tail_for_ever(play: Play) -> None:
    """Of the next turn only a call was heard; then a call of the first one comes late."""
    named = {"agent": "claude", "session": "s", "tool": "Bash", "scope": "tree"}
    first = play.ledger.sessions.by_key["claude", "s"].turn
    late_ns = play.tick()
    for turn, call in (("another", "call-2"), (first, "call-1")):
        at_ns = late_ns if turn == first else play.tick()
        play.handle(ToolStarted(**named, turn=turn, tool_call=call, received_ns=at_ns))
        stop(play)
    assert changed(play, later_s=TAIL_NS / SECOND_NS + 1) == EXTERNAL


def test_live_may_be_asked_while_a_session_is_added() -> None:
    """The daemon's other threads ask whether it is idle."""
    sessions = Sessions()

    class Adding(Session):
        def live(self, now_ns: int) -> bool:
            sessions.by_key["claude", "another"] = self
            return super().live(now_ns)

    one = Adding(agent="claude", id="s", cwd=b"/w", state="idle", seen_ns=0)
    sessions.by_key[one.key] = one
    assert sessions.live(0) == [one]
