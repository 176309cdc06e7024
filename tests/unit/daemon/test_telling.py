"""What agents are told, and what telemetry adds: the real engine, hooks and requests called."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentdiff.core.events import ToolReported
from agentdiff.daemon.ports import RequestError
from tests.unit.daemon.bench import Bench

BASE = b"".join(b"line %d\n" % n for n in range(1, 11))
WHY = "keep the old wording"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A workspace in which Claude Code has rewritten two lines of ``f``."""
    found = Bench(tmp_path)
    (found.root / "f").write_bytes(BASE)
    found.prompt()
    found.call("status")
    found.write("f", BASE.replace(b"line 2\n", b"line two\n").replace(b"line 8\n", b"eight\n"))
    yield found
    found.engine.close()
    assert found.engine.counters["bugs"] == 0


def told(bench: Bench, turn: str, event: str = "UserPromptSubmit", **more: Any) -> str:
    """Returns what the agent reads at its next prompt, empty when nothing is printed."""
    answer = bench.hook(event, turn=turn, prompt="go on", **more)
    if not answer.text:
        return ""
    output = json.loads(answer.text)["hookSpecificOutput"]
    assert output["hookEventName"] == event
    text: str = output["additionalContext"]
    return text


def reject(bench: Bench, **selection: object) -> None:
    """Rejects with a reason."""
    bench.call("decide", op="reject", selection=selection or {"all": True}, reason=WHY)


def hunks(bench: Bench) -> list[int]:
    """Returns the ids of the pending hunks of ``f``."""
    return [hunk["id"] for hunk in bench.status()["f"]["hunks"]]


def test_a_reason_is_told_once(bench: Bench) -> None:
    """With the lines it is about, and in no other event's answer."""
    reject(bench, hunks=[{"id": hunks(bench)[0]}])
    assert told(bench, "p2", event="Stop") == ""
    text = told(bench, "p2")
    assert WHY in text
    assert "-line 2\n+line two" in text
    assert "eight" not in text
    assert told(bench, "p3") == ""
    (note,) = bench.call("feedback", all=True)["notes"]
    assert (note["kind"], note["text"], note["path"]) == ("rejected", WHY, "f")
    assert note["told"] is not None


def test_nothing_is_told_twice_after_a_restart(bench: Bench) -> None:
    """What waits is kept, what was told is known."""
    reject(bench)
    bench.restart()
    assert WHY in told(bench, "p2")
    bench.restart()
    assert told(bench, "p3") == ""


def test_an_accept_is_not_told(bench: Bench) -> None:
    """The agent sees that its lines are there."""
    bench.decide("accept")
    assert told(bench, "p2") == ""


def test_an_undo_withdraws_or_is_told(bench: Bench) -> None:
    """Before it was told it never happened; after that the opposite is told."""
    reject(bench)
    bench.call("undo")
    assert told(bench, "p2") == ""
    reject(bench)
    assert "REJECTED" in told(bench, "p3")
    bench.call("undo")
    assert "took a rejection back" in told(bench, "p4")
    bench.call("redo")
    assert "REJECTED" in told(bench, "p5")


def test_another_session_is_not_told_while_the_first_lives(bench: Bench) -> None:
    """Once that one has ended the next session of the agent is told, at its start."""
    reject(bench)
    assert told(bench, "q1", session="session-2") == ""
    bench.hook("SessionEnd", reason="other")
    assert WHY in told(bench, "", event="SessionStart", session="session-3", source="startup")
    assert told(bench, "q2", session="session-3") == ""


def test_prompts_of_the_program_itself_are_not_answered(bench: Bench) -> None:
    """A background job that ended is no time to talk."""
    reject(bench)
    answer = bench.hook(
        "UserPromptSubmit", turn="p2", prompt="<task-notification>done</task-notification>"
    )
    assert answer.text == ""
    assert WHY in told(bench, "p3")


def test_a_replayed_hook_is_not_answered(bench: Bench) -> None:
    """Its agent listens no more: the text waits for one that does."""
    reject(bench)
    assert told(bench, "p2", preimages=()) == ""
    assert WHY in told(bench, "p3")


def test_a_comment_goes_to_whose_hunk_it_is(bench: Bench) -> None:
    """With the lines as they are; lines are named too."""
    answer = bench.call("comment", path="f", text="why?", hunk=hunks(bench)[1])
    assert answer["to"] == [{"agent": "claude", "session": "session-1"}]
    bench.call("comment", path="f", text="and here?", lines=[2, 3])
    text = told(bench, "p2")
    assert "Comment of the user on `f`: why?" in text
    assert "+eight" in text
    assert "lines 2-3: and here?" in text


def test_a_comment_on_what_nobody_changed_goes_to_whoever_asks(bench: Bench) -> None:
    """No agent is known to care."""
    (bench.root / "other").write_bytes(b"x\n")
    bench.decide("accept")
    assert bench.call("comment", path="g", text="needs tests")["to"] == []
    assert "needs tests" in told(bench, "q1", session="session-2")


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"text": ""}, "text"),
        ({"text": "x" * 5000}, "text"),
        ({"lines": [0, 1]}, "lines"),
        ({"lines": [2, 1]}, "lines"),
        ({"path": ""}, "path"),
        ({"path": "../x"}, "outside"),
    ],
)
def test_a_wrong_comment_is_refused(bench: Bench, wrong: dict[str, object], named: str) -> None:
    """The parameter is named."""
    with pytest.raises(RequestError, match=named):
        bench.call("comment", **{"path": "f", "text": "t", **wrong})


def test_taken_feedback_is_not_told_again(bench: Bench) -> None:
    """The user passes it on; what is only looked at still waits."""
    reject(bench)
    assert WHY in bench.call("feedback")["text"]
    assert WHY in bench.call("feedback", take=True)["text"]
    assert bench.call("feedback")["notes"] == []
    assert told(bench, "p2") == ""


def test_much_feedback_stays_short(bench: Bench) -> None:
    """What does not fit is counted, and can be listed."""
    for n in range(60):
        bench.call("comment", path="f", text=f"number {n} " + "x" * 400)
    text = told(bench, "p2")
    assert len(text) < 9000
    assert "more: the user can list them" in text
    assert len(bench.call("feedback", all=True)["notes"]) == 60


# --- telemetry -----------------------------------------------------------------------------------


def report(bench: Bench, **more: Any) -> None:
    """Sends a report about a call; one that closes a call is heeded a moment later."""
    given = {"agent": "claude", "session": "session-1", "tool_call": "open", **more}
    assert bench.engine.telemetry((ToolReported(**given, received_ns=1),))
    bench.call("log")  # queued behind it


def call(bench: Bench, name: str = "open") -> dict[str, Any]:
    """Returns a call of the log."""
    (found,) = [one for one in bench.call("log")["calls"] if one["tool_call"] == name]
    return found


def open_call(bench: Bench) -> None:
    """Lets a command begin that no hook ends."""
    bench.hook("PreToolUse", "Bash", {"command": "make"}, call="open")


def until_closed(bench: Bench) -> dict[str, Any]:
    """Returns the call as soon as it is closed."""
    for _ in range(2000):
        if (found := call(bench))["finished"] is not None:
            return found
        threading.Event().wait(0.01)
    raise AssertionError(found)


def test_a_refusal_closes_an_open_call(bench: Bench) -> None:
    """And says whose it was; the next prompt changes nothing about that."""
    open_call(bench)
    report(bench, allowed=False, decided_by="user", trace="00-1-2-01")
    found = until_closed(bench)
    assert (found["outcome"], found["decided_by"]) == ("denied", "user")
    assert found["trace"] == "00-1-2-01"
    bench.hook("UserPromptSubmit", turn="p2", prompt="again")
    assert call(bench)["outcome"] == "denied"


def test_what_an_interrupted_call_wrote_is_its_own(bench: Bench) -> None:
    """It is seen before the window closes."""
    open_call(bench)
    (bench.root / "partial").write_bytes(b"x\n")
    report(bench, outcome="interrupted", decided_by="config")
    assert until_closed(bench)["outcome"] == "interrupted"
    (owner,) = bench.status()["partial"]["hunks"][0]["owners"]
    assert (owner["tool_call"], owner["evidence"]) == ("open", "likely")


def test_a_late_report_only_names_what_was_unknown(bench: Bench) -> None:
    """The prompt closed the call without knowing why; a hook's own word stays."""
    open_call(bench)
    bench.hook("UserPromptSubmit", turn="p2", prompt="again")
    finished = call(bench)["finished"]
    report(bench, allowed=False, decided_by="user")
    report(bench, tool_call="toolu_1", outcome="error", decided_by="config")
    assert (call(bench)["outcome"], call(bench)["finished"]) == ("denied", finished)
    written = call(bench, "toolu_1")
    assert (written["outcome"], written["decided_by"]) == ("ok", "config")


def test_a_report_opens_nothing(bench: Bench) -> None:
    """Neither a call nor a session."""
    report(bench, tool_call="never-heard-of", outcome="ok")
    report(bench, session="nobody", outcome="ok")
    assert [one["tool_call"] for one in bench.call("log")["calls"]] == ["toolu_1"]
    assert [one["id"] for one in bench.call("status")["sessions"]] == ["session-1"]


def test_reports_of_an_unknown_session_wait_for_its_hooks(bench: Bench) -> None:
    """A daemon that was restarted learns where the session is from its next hook."""
    open_call(bench)
    bench.restart()
    report(bench, allowed=False, decided_by="user")
    bench.hook("CwdChanged", old_cwd="/", new_cwd=str(bench.root))
    assert until_closed(bench)["decided_by"] == "user"


def test_the_state_follows_dialogs(bench: Bench) -> None:
    """Waiting, answered, broken off: what the statusline shows."""

    def state() -> str:
        return str(bench.call("status")["summary"]["state"])

    open_call(bench)
    bench.hook("PermissionRequest", "Bash", {"command": "make"}, call="")
    assert state() == "waiting"
    report(bench, tool_call="toolu_1", tool="Write", allowed=True, decided_by="config")
    assert state() == "waiting"
    report(bench, allowed=True, decided_by="user")
    assert state() == "working"
    bench.hook("StopFailure", error="unknown", last_assistant_message="API Error: 400")
    assert state() == "error"
    bench.hook("UserPromptSubmit", turn="p2", prompt="again")
    assert state() == "working"


def test_an_agents_own_account_of_a_command_is_believed_where_it_fits(bench: Bench) -> None:
    """What fits becomes exact; what does not stays likely."""
    tool_input = {"command": "make"}
    bench.hook("PreToolUse", "Bash", tool_input, call="sh")
    for name in ("fits", "not"):
        (bench.root / name).write_bytes(b"one\ntwo\n")
    files = [
        {
            "filePath": str(bench.root / name),
            "hunks": [{"newStart": 1, "lines": ["+one", f"+{second}"]}],
            "created": True,
        }
        for name, second in (("fits", "two"), ("not", "2"))
    ]
    response = {"bashEditDiff": {"files": files, "moreFiles": 0}}
    bench.hook("PostToolUse", "Bash", tool_input, call="sh", tool_response=response)
    status = bench.status()
    evidence = {
        name: {owner["evidence"] for hunk in status[name]["hunks"] for owner in hunk["owners"]}
        for name in ("fits", "not")
    }
    assert evidence["fits"] == {"exact"}
    assert "exact" not in evidence["not"]


def test_a_finished_subagent_leaves_no_call_open(bench: Bench) -> None:
    """And its folder is not the session's."""
    bench.hook("PreToolUse", "Bash", {"command": "make"}, call="open", agent_id="sub")
    bench.hook("SubagentStop", agent_id="sub", agent_type="general-purpose")
    assert call(bench)["outcome"] == "unknown"
