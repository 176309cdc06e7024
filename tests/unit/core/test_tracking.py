"""Windows, turns and sessions: what opens them, what closes them, and what never raises."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from agentdiff.core.commands import PublishTurnEnd
from agentdiff.core.entries import ABSENT, File
from agentdiff.core.events import (
    AgentEvent,
    CwdChanged,
    EditorAttached,
    FileObserved,
    Notified,
    PermissionRequested,
    PromptSubmitted,
    Reach,
    SessionEnded,
    SessionStarted,
    SubagentStarted,
    Target,
    TimePassed,
    ToolBatchFinished,
    ToolFinished,
    ToolStarted,
    TurnEnded,
)
from agentdiff.core.sessions import SILENT_SESSION_NS
from tests.play import Play, image

WHO = {"agent": "claude", "session": "s"}


@pytest.fixture
def play() -> Play:
    """A workspace with one file and one session in its first turn."""
    found = Play(disk={b"f": File(data=b"1\n2\n3\n")})
    found.prompt("claude", "s", "first", turn="t1")
    return found


def turns(play: Play) -> list[tuple[str, int, str, bool]]:
    """Returns (id, number, prompt, finished) of every turn."""
    found = play.ledger.sessions.turns.values()
    return [(t.id, t.n, t.prompt, t.finished_ns is not None) for t in found]


def open_calls(play: Play) -> list[str]:
    """Returns the ids of the calls whose windows are open."""
    return [call.opened.tool_call for call in play.ledger.sessions.open_calls()]


def calls_of(play: Play) -> dict[bytes, set[str | None]]:
    """Returns the calls that own something of what pends on each path."""
    return {
        path: {one.tool_call for change in state.changes().values() for one in change.owners}
        for path, state in play.ledger.paths.items()
    }


def outcome(play: Play, name: str) -> str:
    """Returns how a call ended."""
    return play.ledger.sessions.by_key["claude", "s"].calls[name].outcome


def test_a_prompt_starts_a_turn_and_ends_the_one_before(play: Play) -> None:
    """Turn numbers count per workspace."""
    play.prompt("claude", "s", "second", turn="t2")
    play.prompt("codex", "r", "third")
    assert turns(play) == [
        ("t1", 1, "first", True),
        ("t2", 2, "second", False),
        ("r:3", 3, "third", False),
    ]


def test_a_prompt_that_is_delivered_twice_is_one_turn(play: Play) -> None:
    """User and project installs may both fire."""
    play.prompt("claude", "s", "first", turn="t1")
    assert turns(play) == [("t1", 1, "first", False)]


def test_a_prompt_that_the_agent_wrote_goes_on_with_the_turn(play: Play) -> None:
    """A task notification is no prompt of the user; its id is another name of the turn."""
    play.handle(TurnEnded(**WHO, turn="t1", received_ns=play.tick()))
    play.handle(
        PromptSubmitted(**WHO, turn="t1b", prompt="task", by_user=False, received_ns=play.tick())
    )
    play.handle(
        ToolStarted(
            **WHO, turn="t1b", tool_call="c", tool="Bash", scope="tree", received_ns=play.tick()
        )
    )
    assert turns(play) == [("t1", 1, "first", False)]
    assert play.ledger.sessions.by_key["claude", "s"].calls["c"].opened.turn == "t1"


def test_an_unknown_turn_is_made_up(play: Play) -> None:
    """A call whose prompt was missed belongs to a turn of its own, without a prompt."""
    play.handle(
        ToolStarted(
            **WHO, turn="t9", tool_call="c", tool="Bash", scope="tree", received_ns=play.tick()
        )
    )
    assert turns(play)[1:] == [("t9", 2, "", False)]


def test_long_prompts_are_cut(play: Play) -> None:
    """They are titles here; the agent keeps the text."""
    play.prompt("claude", "s", "x" * 5000, turn="t2")
    assert len(turns(play)[1][2]) == 4000


def test_calls_that_only_read_open_no_window(play: Play) -> None:
    """Scope ``none``: nothing can be theirs."""
    play.handle(
        ToolStarted(**WHO, tool_call="c", tool="Read", scope="none", received_ns=play.tick())
    )
    assert open_calls(play) == []


def test_several_windows_are_open_at_once(play: Play) -> None:
    """Parallel tool calls are normal; each is closed by its own finish."""
    first, second = play.start("claude", "s"), play.start("claude", "s")
    play.finish(first)
    assert open_calls(play) == [second.tool_call]


def _unnamed(play: Play, name: str, kind: type[ToolStarted | ToolFinished]) -> None:
    """An agent without ids of calls: what is alike is all that start and finish share."""
    call = {"tool_call": name, "tool": "shell", "scope": "tree", "command": "make"}
    if kind is ToolStarted:
        play.handle(ToolStarted(**WHO, **call, received_ns=play.tick()))
        return
    finish = ToolFinished(**WHO, **call, outcome="ok", unnamed=True, received_ns=play.tick())
    play.handle(finish.as_start())  # as the daemon does, in case the start was missed
    play.handle(finish)


def test_a_finish_without_an_id_is_of_the_oldest_open_call_like_it(play: Play) -> None:
    """Equal calls one after the other, and at once."""
    _unnamed(play, "a", ToolStarted)
    _unnamed(play, "x", ToolFinished)
    assert open_calls(play) == []
    _unnamed(play, "b", ToolStarted)
    _unnamed(play, "c", ToolStarted)
    _unnamed(play, "y", ToolFinished)
    assert open_calls(play) == ["c"]
    assert list(play.ledger.sessions.by_key["claude", "s"].calls) == ["a", "b", "c"]


def test_a_finish_without_an_id_that_comes_twice_is_no_other_call(play: Play) -> None:
    """A user's and a project's installation both send it."""
    _unnamed(play, "a", ToolStarted)
    _unnamed(play, "x", ToolFinished)
    _unnamed(play, "x", ToolFinished)
    assert list(play.ledger.sessions.by_key["claude", "s"].calls) == ["a"]


def test_a_finish_without_an_id_whose_start_was_missed_is_a_call(play: Play) -> None:
    """As with ids: what it did has an owner."""
    _unnamed(play, "x", ToolFinished)
    assert outcome(play, "x") == "ok"


CLOSERS: list[tuple[str, Callable[[Play], AgentEvent]]] = [
    ("prompt", lambda p: PromptSubmitted(**WHO, turn="t2", received_ns=p.tick())),
    ("stop", lambda p: TurnEnded(**WHO, received_ns=p.tick())),
    ("end of the session", lambda p: SessionEnded(**WHO, received_ns=p.tick())),
    (
        "end of the batch",
        lambda p: ToolBatchFinished(**WHO, tool_calls=("claude-1",), received_ns=p.tick()),
    ),
]


@pytest.mark.parametrize(("name", "closer"), CLOSERS, ids=[name for name, _ in CLOSERS])
def test_a_window_without_finish_is_closed_by_what_proves_it_over(
    play: Play, name: str, closer: Callable[[Play], AgentEvent]
) -> None:
    """A missing finish is normal: denied, interrupted and failed calls have none."""
    play.start("claude", "s")
    play.handle(closer(play))
    assert open_calls(play) == []


def _patch(play: Play, name: str, *, subagent: str | None = None, alone: bool = True) -> None:
    play.handle(
        ToolStarted(
            **WHO,
            subagent=subagent,
            tool_call=name,
            tool="apply_patch",
            scope="paths",
            targets=(Target(path=b"/ws/f", action="edit"),),
            alone=alone,
            received_ns=play.tick(),
        )
    )


def test_a_call_that_runs_alone_is_over_when_the_next_one_starts(play: Play) -> None:
    """A patch that does not match has no finish, and must not own what later calls do."""
    _patch(play, "a")
    _patch(play, "b", alone=False)
    assert (open_calls(play), outcome(play, "a")) == (["b"], "unknown")


def test_a_call_that_runs_alone_is_so_among_its_own(play: Play) -> None:
    """A subagent's calls run beside those of its parent; the same start may come twice."""
    _patch(play, "a")
    _patch(play, "a")
    _patch(play, "b", subagent="x")
    assert open_calls(play) == ["a", "b"]


def test_a_command_that_its_agent_leaves_running_is_a_job(play: Play) -> None:
    """What it writes after the turn, also long after, is its own; its late finish ends that."""
    play.prompt("codex", "r", turn="u1")
    started = play.start("codex", "r")
    end = TurnEnded(agent="codex", session="r", leaves_running=True, received_ns=play.tick())
    play.handle(end)
    jobs = [call.opened.tool_call for call in play.ledger.sessions.jobs()]
    assert (open_calls(play), jobs) == ([], [started.tool_call])
    play.finish(started)
    assert play.ledger.sessions.jobs() == []


def test_a_finish_that_the_end_of_its_turn_overtook_still_says_how_it_ended(play: Play) -> None:
    """opencode says that it is idle before it says that the command is aborted."""
    started = play.start("claude", "s")
    play.handle(TurnEnded(**WHO, received_ns=play.tick()))
    assert outcome(play, started.tool_call) == "unknown"
    call = play.ledger.sessions.by_key["claude", "s"].calls[started.tool_call]
    closed_ns = call.closed_ns
    end = {**WHO, "tool_call": started.tool_call, "tool": started.tool, "scope": "tree"}
    play.handle(ToolFinished(**end, outcome="interrupted", received_ns=play.tick()))
    assert (call.outcome, call.closed_ns) == ("interrupted", closed_ns)
    assert image(play.reload()) == image(play.ledger)
    play.finish(started)
    assert outcome(play, started.tool_call) == "interrupted"


def test_other_sessions_windows_stay_open(play: Play) -> None:
    """What one session says proves nothing about another."""
    play.prompt("codex", "r")
    started = play.start("codex", "r")
    play.handle(TurnEnded(**WHO, received_ns=play.tick()))
    assert open_calls(play) == [started.tool_call]


def test_a_denied_call_is_told_from_a_finished_one(play: Play) -> None:
    """Only the end of the batch closes it."""
    started = play.start("claude", "s")
    play.handle(
        ToolBatchFinished(**WHO, tool_calls=(started.tool_call, "no"), received_ns=play.tick())
    )
    assert outcome(play, started.tool_call) == "denied"


def test_the_end_of_a_turn_is_announced_once(play: Play) -> None:
    """Stop may be delivered twice."""
    first = play.handle(TurnEnded(**WHO, received_ns=play.tick()))
    second = play.handle(TurnEnded(**WHO, received_ns=play.tick()))
    ended = PublishTurnEnd(agent="claude", session="s", turn="t1")
    assert (first.count(ended), second.count(ended)) == (1, 0)


def test_an_answered_dialogue_is_work_again(play: Play) -> None:
    """opencode tells of the answer; the tool may run for long before the next event."""
    play.handle(PermissionRequested(**WHO, received_ns=play.tick()))
    play.handle(Notified(**WHO, kind="permission_replied", received_ns=play.tick()))
    assert play.ledger.sessions.by_key["claude", "s"].state == "working"


@pytest.mark.parametrize(
    ("event", "state"),
    [
        (SessionStarted(**WHO), "idle"),
        (PromptSubmitted(**WHO, turn="t2"), "working"),
        (PermissionRequested(**WHO), "waiting"),
        (Notified(**WHO, kind="permission_prompt"), "waiting"),
        (Notified(**WHO, kind="idle_prompt"), "idle"),
        (Notified(**WHO, kind="auth_success"), "working"),
        (SubagentStarted(**WHO, subagent="a"), "working"),
        (CwdChanged(**WHO, cwd=b"/w/d"), "working"),
        (TurnEnded(**WHO), "idle"),
        (SessionEnded(**WHO), "ended"),
    ],
)
def test_the_state_of_a_session_follows_its_events(
    play: Play, event: AgentEvent, state: str
) -> None:
    """An event that proves nothing leaves the state alone."""
    play.handle(event)
    assert play.ledger.sessions.by_key["claude", "s"].state == state


def test_a_session_that_fell_silent_ends(play: Play) -> None:
    """A killed agent says no goodbye; its windows close with it."""
    play.start("claude", "s")
    play.handle(TimePassed(received_ns=play.now + SILENT_SESSION_NS))
    assert play.ledger.sessions.by_key["claude", "s"].state == "ended"
    assert open_calls(play) == []
    assert image(play.reload()) == image(play.ledger)


def history(play: Play) -> list[AgentEvent]:
    """Returns a turn of two calls, well ordered."""
    call = {**WHO, "turn": "t1", "tool": "Bash", "scope": "tree"}
    return [
        ToolStarted(**call, tool_call="a", received_ns=play.tick()),
        ToolStarted(**call, tool_call="b", received_ns=play.tick()),
        ToolFinished(**call, tool_call="a", outcome="ok", received_ns=play.tick()),
        ToolFinished(
            **call, tool_call="b", outcome="ok", background_task="j", received_ns=play.tick()
        ),
        ToolBatchFinished(**WHO, tool_calls=("a", "b"), received_ns=play.tick()),
        TurnEnded(**WHO, background=("j",), received_ns=play.tick()),
        SessionEnded(**WHO, received_ns=play.tick()),
    ]


@pytest.mark.parametrize("seed", range(40))
def test_no_order_of_events_raises_or_moves_a_base(play: Play, seed: int) -> None:
    """P13: lost, doubled and shuffled events weaken labels; what is on disk pends all the same."""
    chance = random.Random(seed)
    events = [e for e in history(play) * 2 if chance.random() < 0.7]
    chance.shuffle(events)
    before = File(data=b"1\n2\n3\n")
    play.handle(EditorAttached(client="nvim", received_ns=play.tick()))  # under review throughout
    for n, event in enumerate(events):
        play.handle(event)
        after = File(data=b"1\n%d\n3\n" % (n + 4))
        play.put(b"f", after)
        play.cut()
        assert play.base(b"f") == before
        assert image(play.reload()) == image(play.ledger)


def test_a_finish_without_a_start_opens_and_closes_the_call(play: Play) -> None:
    """The call is in the log, with how it ended."""
    play.handle(
        ToolFinished(
            **WHO, tool_call="c", tool="Bash", outcome="ok", scope="tree", received_ns=play.tick()
        )
    )
    assert (open_calls(play), outcome(play, "c")) == ([], "ok")


def test_a_finish_before_its_start_leaves_no_window_open(play: Play) -> None:
    """A late start must not hold a window that nobody will close."""
    finished = ToolFinished(
        **WHO, tool_call="c", tool="Bash", outcome="ok", scope="tree", received_ns=play.tick()
    )
    play.handle(finished)
    play.handle(
        ToolStarted(**WHO, tool_call="c", tool="Bash", scope="tree", received_ns=play.tick())
    )
    assert open_calls(play) == []


@pytest.mark.parametrize("kind", ["start", "finish"])
def test_a_second_delivery_changes_nothing(play: Play, kind: str) -> None:
    """Delivery is idempotent on (session, tool id, kind)."""
    started = play.start("claude", "s")
    if kind == "finish":
        play.finish(started)
    before = image(play.ledger)
    if kind == "start":
        play.handle(started)
    else:
        play.finish(started)
    assert image(play.ledger) == before


def test_paths_are_counted_for_the_call_that_changed_them(play: Play) -> None:
    """``agentdiff log`` names them, after a restart too."""
    play.run("claude", "s", {b"f": File(data=b"x"), b"g": File(data=b"y")})
    (call,) = play.reload().sessions.calls()
    assert sorted(call.paths) == [b"f", b"g"]


def test_an_observation_of_a_path_nobody_named_is_not_counted(play: Play) -> None:
    """External changes belong to no call."""
    play.handle(
        FileObserved(
            path=b"f", before=play.disk[b"f"], after=File(data=b"x"), received_ns=play.tick()
        )
    )
    assert list(play.ledger.sessions.calls()) == []


def test_a_move_names_both_of_its_paths(play: Play) -> None:
    """What appears at the destination is the call's as well."""
    started = play.start("claude", "s", Target(path=b"f", action="move", move_to=b"g"))
    play.put(b"f", ABSENT)
    play.put(b"g", File(data=b"1\n2\n3\n4\n"))
    play.finish(started)
    assert calls_of(play) == {b"f": {"claude-1"}, b"g": {"claude-1"}}


def test_two_parallel_shells_are_told_apart(play: Play) -> None:
    """Each command line names what it writes; the file is in nobody's shared heap."""
    play.prompt("codex", "r")
    events = [
        ToolStarted(
            agent=agent,
            session=session,
            tool_call=f"{agent} shell",
            tool="Bash",
            scope="tree",
            reach=Reach(paths=(path,), complete=True),
            received_ns=play.tick(),
        )
        for agent, session, path in (("claude", "s", b"f"), ("codex", "r", b"g"))
    ]
    for event in events:
        play.handle(event)
    play.put(b"f", File(data=b"claude\n"))
    play.put(b"g", File(data=b"codex\n"))
    play.cut()
    assert calls_of(play) == {b"f": {"claude shell"}, b"g": {"codex shell"}}
