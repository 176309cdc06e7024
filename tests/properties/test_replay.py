"""P11: at every prefix, the log gives the ledger that was live then."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agentdiff.core.entries import ABSENT, File
from agentdiff.core.events import (
    HunkPick,
    Selection,
    SessionEnded,
    TimePassed,
    ToolBatchFinished,
    ToolFinished,
    ToolStarted,
    TurnEnded,
)
from agentdiff.core.ledger import Ledger
from agentdiff.core.records import DecisionIntended
from agentdiff.core.sessions import SILENT_SESSION_NS
from tests.play import Play, image
from tests.properties.strategies import entries

PATHS = [b"a", b"d/b", b"c \xff"]
SESSIONS = [("claude", "s"), ("codex", "r")]


class Recorder(Play):
    """A workspace that keeps an image of the ledger after every event that was logged."""

    images: dict[int, dict[str, Any]]

    def handle(self, event: Any) -> Any:
        """Tells the ledger; a decision in flight is not a state that anybody sees."""
        commands = super().handle(event)
        self.__dict__.setdefault("images", {})[self.ledger.seq] = image(self.ledger)
        return commands


def agent_event(draw: st.DrawFn, play: Play) -> None:
    """Sends an event that may be late, doubled, or make no sense."""
    agent, session = draw(st.sampled_from(SESSIONS))
    who = {"agent": agent, "session": session, "received_ns": play.tick()}
    call = {**who, "tool_call": draw(st.sampled_from("xyz")), "tool": "Bash", "scope": "tree"}
    kind = draw(st.sampled_from(["start", "finish", "batch", "stop", "end", "silence"]))
    match kind:
        case "start":
            play.handle(ToolStarted(**call, turn=draw(st.sampled_from([None, "t", "u"]))))
        case "finish":
            background = draw(st.sampled_from([None, "job"]))
            play.handle(ToolFinished(**call, outcome="ok", background_task=background))
        case "batch":
            play.handle(ToolBatchFinished(**who, tool_calls=("x", "y", "unknown")))
        case "stop":
            play.handle(TurnEnded(**who, background=draw(st.sampled_from([(), ("job",)]))))
        case "end":
            play.handle(SessionEnded(**who))
        case _:
            play.now += SILENT_SESSION_NS
            play.handle(TimePassed(received_ns=play.now))


def decision(draw: st.DrawFn, play: Play) -> None:
    """Decides something, or takes a decision back."""
    op = draw(st.sampled_from(["accept", "reject", "undo", "redo", "pick"]))
    if op in ("undo", "redo"):
        play.undo(redo=op == "redo")
    elif op == "pick" and play.ledger.paths:
        ids = [change for path in sorted(play.ledger.paths) for change in play.ids(path)]
        pick = HunkPick(hunk=draw(st.sampled_from(ids)), old=(0, 1), new=(0, 1))
        play.decide("reject", Selection(picks=(pick,)))
    else:
        chosen = Selection(paths=(draw(st.sampled_from(PATHS)),))
        play.decide("reject" if op == "reject" else "accept", chosen)


@st.composite
def histories(draw: st.DrawFn) -> Recorder:
    """Draws a history of everything that can be told."""
    play = Recorder(disk={PATHS[0]: File(data=b"1\n2\n3\n")})
    play.prompt(*SESSIONS[0], turn="t")
    for _ in range(draw(st.integers(1, 8))):
        kind = draw(st.sampled_from(["write", "write", "save", "decide", "event", "prompt"]))
        path = draw(st.sampled_from(PATHS))
        if kind == "write":
            play.run(*draw(st.sampled_from(SESSIONS)), {path: draw(entries(play.disk.get(path)))})
        elif kind == "save":
            text = draw(st.sampled_from([b"u\n", b"1\nu\n3\n"]))
            play.save(path, text, File(data=text))
        elif kind == "decide":
            decision(draw, play)
        elif kind == "event":
            agent_event(draw, play)
        else:
            play.prompt(*draw(st.sampled_from(SESSIONS)), turn=draw(st.sampled_from("tuv")))
    return play


@given(histories())
def test_every_prefix_of_the_log_is_the_ledger_of_that_time(play: Recorder) -> None:
    """Sessions, turns, calls, paths, decisions, and what can be undone."""
    records = play.records()
    for seq, live in play.images.items():
        reloaded = Ledger.replay(records[:seq], play.contents.__getitem__)
        assert image(reloaded) == live


@given(histories())
def test_a_crash_between_any_two_records_is_survived(play: Recorder) -> None:
    """Also within a decision: only then is something unfinished, and it is the last record."""
    records = play.records()
    for cut in range(len(records) + 1):
        ledger = Ledger.replay(records[:cut], play.contents.__getitem__)
        last = records[cut - 1][1] if cut else None
        expected = [last.decision] if isinstance(last, DecisionIntended) else []
        known = set(ledger.unfinished)
        assert set(expected) <= known
        assert ledger.seq == cut


@given(histories())
def test_going_on_after_a_restart_is_going_on(play: Recorder) -> None:
    """The reloaded ledger takes the next events, and its log still replays."""
    play.restart(play.reload())
    play.prompt("claude", "s", turn="after")
    play.run("claude", "s", {PATHS[0]: File(data=b"after\n"), PATHS[1]: ABSENT})
    play.decide("reject", Selection(everything=True, include_external=True))
    assert image(play.reload()) == image(play.ledger)
