"""The Agent Client Protocol: recorded conversations, the draft of version 2, and nonsense."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from agentdiff.agents import acp
from agentdiff.agents.acp_conversation import Conversation, Told
from agentdiff.core.events import (
    AgentEvent,
    PermissionRequested,
    PromptSubmitted,
    SessionEnded,
    SessionStarted,
    Target,
    ToolFinished,
    ToolStarted,
    TurnEnded,
)

RECORDED = Path(__file__).with_name("acp")
TURN = "acp-n-1"


def conversation() -> Conversation:
    """A fresh connection."""
    return Conversation("agent", "n", "/ws")


def feed(talk: Conversation, sender: str, message: object) -> list[Told]:
    """Gives one message to a conversation."""
    return talk.from_client(message) if sender == "client" else talk.from_agent(message)


def events_of(told: list[Told]) -> list[AgentEvent]:
    """Returns what the daemon would make of it."""
    return [event for one in told for event in acp.parse(one.payload, 1)]


def replay(name: str) -> list[tuple[bool, AgentEvent]]:
    """Returns (held, event) of a recorded conversation."""
    talk, found = conversation(), []
    for line in (RECORDED / f"{name}.jsonl").read_text().splitlines():
        spoken = json.loads(line)
        for told in feed(talk, spoken["from"], spoken["message"]):
            found += [(told.held, event) for event in acp.parse(told.payload, 1)]
    return [*found, *((False, event) for event in events_of(talk.end()))]


NAMES = sorted(path.stem for path in RECORDED.glob("*.jsonl"))


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_turn_has_its_frame(name: str) -> None:
    """Session, held prompt with its covering window, end of turn, end of session."""
    found = [event for _, event in replay(name)]
    session, prompt, covering, *_, ended, gone = found
    assert isinstance(session, SessionStarted)
    assert isinstance(prompt, PromptSubmitted)
    assert (prompt.prompt, prompt.turn) == ("do it", TURN)
    assert isinstance(covering, ToolStarted)
    assert (covering.covers, covering.scope, covering.tool_call) == (True, "tree", TURN)
    assert isinstance(ended, TurnEnded)
    assert isinstance(gone, SessionEnded)
    assert all(event.proxied and event.cwd == b"/ws" for event in found)


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_call_that_writes_is_opened_and_closed(name: str) -> None:
    """Every call that may write has a start before its end; what was asked for was held."""
    opened: set[str] = set()
    for held, event in replay(name)[3:]:
        if isinstance(event, ToolStarted):
            assert event.waits == held
            assert event.parent == TURN
            opened.add(event.tool_call)
        elif isinstance(event, ToolFinished):
            assert event.tool_call in opened
        elif isinstance(event, PermissionRequested):
            assert held


def calls(name: str) -> dict[str, tuple[tuple[Target, ...], str | None, str]]:
    """Returns the calls that write: first announced targets, command, outcome."""
    starts: dict[str, ToolStarted] = {}
    found = {}
    for _, event in replay(name)[3:]:
        if isinstance(event, ToolStarted):
            starts.setdefault(event.tool_call, event)
        elif isinstance(event, ToolFinished) and event.scope != "none":
            start = starts[event.tool_call]
            found[event.tool_call] = (start.targets, event.command, event.outcome)
    return found


A_TXT = Target(path=b"/ws/a.txt", action="edit", old_text=b"two", new_text=b"TWO")
A_WHOLE = Target(
    path=b"/ws/a.txt",
    action="edit",
    old_text=b"one\ntwo\nthree\n",
    new_text=b"one\nTWO\nthree\n",
)
B_TXT = Target(path=b"/ws/b.txt", action="write", new_text=b"b\n")


def test_claude_announces_snippets() -> None:
    """claude-agent-acp 0.100.0: the text that is replaced; the ids are Claude Code's own."""
    assert calls("claude-agent-acp-0.100.0") == {
        "toolu_m_01_0": ((A_TXT,), None, "ok"),
        "toolu_m_02_0": ((B_TXT,), None, "ok"),
        "toolu_m_03_0": ((), "echo c > c.txt", "ok"),
    }


def test_a_refused_permission_denies_the_call() -> None:
    """claude-agent-acp 0.49.0, the user chose the option that rejects."""
    assert calls("claude-agent-acp-0.49.0-reject") == {"toolu_m_01_0": ((A_TXT,), None, "denied")}


def test_codex_announces_whole_files() -> None:
    """codex-acp 0.16.0: a new file has no old text, one patch may be several files."""
    new = Target(path=b"/ws/new.txt", action="write", new_text=b"hello\n")
    assert calls("codex-acp-0.16.0") == {
        "call_m_01_0": ((new, A_WHOLE), None, "ok"),
        "call_m_02_0": ((), "echo c > c.txt", "ok"),
    }


def test_gemini_lets_the_client_write() -> None:
    """Gemini CLI 0.61.0: ``fs/write_text_file`` belongs to the permitted call, and is held."""
    found = calls("gemini-0.61.0")
    replaced, written, command = found.values()
    assert replaced == ((A_WHOLE,), None, "ok")
    assert written[2] == "error"
    assert command[1:] == ("echo c > c.txt", "ok")
    held = [e.tool_call for held, e in replay("gemini-0.61.0") if held and type(e) is ToolStarted]
    assert sum("replace" in name for name in held) == 2


def test_opencode_names_the_place_before_the_diff() -> None:
    """opencode 1.18.33: the arguments of its tool say what the diff will be."""
    assert calls("opencode-1.18.33") == {
        "call_m_01_0": ((A_TXT,), None, "ok"),
        "call_m_02_0": ((B_TXT,), None, "ok"),
        "call_m_03_0": ((), "echo c > c.txt", "ok"),
    }


def update(**fields: object) -> dict[str, Any]:
    """A ``session/update`` notification."""
    return {"method": "session/update", "params": {"sessionId": "s", "update": fields}}


def started() -> Conversation:
    """A conversation whose turn is under way."""
    talk = conversation()
    params = {"sessionId": "s", "prompt": [{"type": "text", "text": "x"}]}
    talk.from_client({"id": 1, "method": "session/new", "params": {"cwd": "/ws"}})
    talk.from_agent({"id": 1, "result": {"sessionId": "s"}})
    talk.from_client({"id": 2, "method": "session/prompt", "params": params})
    return talk


def test_version_2_tells_operations_and_ends_a_turn_by_a_state() -> None:
    """``changes`` with operations; the answer to a prompt says only that it was taken."""
    talk = started()
    assert talk.from_agent({"id": 2, "result": {}}) == []
    changes = [
        {"operation": "add", "path": "/ws/n"},
        {"operation": "modify", "path": "/ws/m"},
        {"operation": "delete", "path": "/ws/d"},
        {"operation": "move", "oldPath": "/ws/from", "path": "/ws/to"},
    ]
    patch = {"format": "git_patch", "text": "diff --git a/n b/n\n"}
    diff = {"type": "diff", "changes": changes, "patch": patch}
    told = talk.from_agent(
        update(
            sessionUpdate="tool_call_update",
            toolCallId="c",
            kind="edit",
            status="in_progress",
            content=[diff],
        )
    )
    (event,) = events_of(told)
    assert isinstance(event, ToolStarted)
    assert event.targets == (
        Target(path=b"/ws/n", action="write"),
        Target(path=b"/ws/m", action="edit"),
        Target(path=b"/ws/d", action="delete"),
        Target(path=b"/ws/from", action="move", move_to=b"/ws/to"),
    )
    idle = update(sessionUpdate="state_update", state="idle", stopReason="end_turn")
    assert [type(e) for e in events_of(talk.from_agent(idle))] == [TurnEnded]


@pytest.mark.parametrize("method", ["session/load", "session/resume"])
@pytest.mark.parametrize("answer", [{"result": {}}, {"error": {"code": -1, "message": "no"}}])
def test_history_of_a_loaded_session_is_no_news(method: str, answer: dict[str, Any]) -> None:
    """What is replayed until the request is answered has happened long ago."""
    talk = conversation()
    load = {"id": 1, "method": method, "params": {"sessionId": "s", "cwd": "/ws"}}
    assert [type(e) for e in events_of(talk.from_client(load))] == [SessionStarted]
    old = update(sessionUpdate="tool_call", toolCallId="c", kind="execute", status="completed")
    assert talk.from_agent(old) == []
    talk.from_agent({"id": 1, **answer})
    assert len(talk.from_agent(old)) == 2


def test_a_write_that_no_call_announced_is_a_call_of_its_own() -> None:
    """It is held, and ends with the client's answer."""
    talk = started()
    params = {"sessionId": "s", "path": "/ws/f", "content": "x\n"}
    (told,) = talk.from_agent({"id": "w", "method": "fs/write_text_file", "params": params})
    assert told.held
    (start,) = events_of([told])
    assert isinstance(start, ToolStarted)
    assert start.targets == (Target(path=b"/ws/f", action="write", new_text=b"x\n"),)
    (end,) = events_of(talk.from_client({"id": "w", "result": {}}))
    assert isinstance(end, ToolFinished)
    assert (end.tool_call, end.outcome) == (start.tool_call, "ok")


def test_a_command_in_the_clients_terminal_is_a_call() -> None:
    """From ``terminal/create`` until its exit code is told."""
    talk = started()
    params = {"sessionId": "s", "command": "make", "args": ["all"]}
    (told,) = talk.from_agent({"id": 7, "method": "terminal/create", "params": params})
    (start,) = events_of([told])
    assert isinstance(start, ToolStarted)
    assert (told.held, start.scope, start.command) == (True, "tree", "make all")
    talk.from_client({"id": 7, "result": {"terminalId": "t"}})
    wait = {"sessionId": "s", "terminalId": "t"}
    talk.from_agent({"id": 8, "method": "terminal/wait_for_exit", "params": wait})
    (end,) = events_of(talk.from_client({"id": 8, "result": {"exitCode": 2}}))
    assert isinstance(end, ToolFinished)
    assert end.outcome == "error"
    assert talk.from_agent({"id": 9, "method": "terminal/release", "params": wait}) == []


def test_nonsense_is_passed_over() -> None:
    """Whatever the two sides say, a conversation never raises, and what it tells can be parsed."""
    pick = random.Random(8)
    values: list[Any] = [None, 1, "x", "s", [], {}, ["x"], {"type": "diff"}, {"path": 1}, True]
    methods = ["session/new", "session/prompt", "session/update", "session/request_permission"]
    methods += ["fs/write_text_file", "terminal/create", "terminal/release", "session/load", 3]
    keys = ["sessionId", "update", "toolCall", "options", "path", "content", "prompt", "cwd"]
    talk = started()
    for _ in range(3000):
        params = {pick.choice(keys): pick.choice(values) for _ in range(3)} | {"sessionId": "s"}
        fields = ["sessionUpdate", "toolCallId", "kind", "status", "content", "locations"]
        known = [*values, "tool_call", "edit", "completed", "c"]
        params["update"] = {pick.choice(fields): pick.choice(known) for _ in range(4)}
        message = {"id": pick.randrange(4), "method": pick.choice(methods), "params": params}
        message = pick.choice([message, {"id": 1, "result": pick.choice(values)}, values[3]])
        told = feed(talk, pick.choice(["client", "agent"]), message)
        for one in told:
            assert json.loads(one.payload)["agent"] == "agent"
