"""The engine from hook to answer: real folders, real tracker, real store, no sockets."""

from __future__ import annotations

import base64
import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agentdiff.core.codec import SCHEMA
from agentdiff.daemon import engine
from agentdiff.daemon.ports import PreImage, RequestError
from agentdiff.errors import MalformedPayload
from tests.unit.daemon.bench import WAIT_S, Bench, Client

GOLDEN = Path(__file__).parents[2] / "golden" / "claude" / "2.1.197"
RECORDED = sorted(set(GOLDEN.glob("*.json")) - set(GOLDEN.glob("*.expected.json")))
BASE = b"1\n2\n3\n4\n5\n6\n7\n8\n"
# watchdog's own, harmless: a directory that appears within another new one is added twice.
pytestmark = pytest.mark.filterwarnings("ignore:Callback with id:RuntimeWarning")
NEW = b"1\ntwo\n3\n4\n5\n6\n7\n8\n"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """An engine and a workspace with one file; Claude Code has been given a prompt."""
    found = Bench(tmp_path)
    (found.root / "f").write_bytes(BASE)
    found.prompt()
    found.call("status")  # the first look at the tree is over
    yield found
    found.engine.close()
    assert found.engine.counters["bugs"] == 0


def nvim(bench: Bench, n: int = 1) -> Client:
    """Returns an editor that is attached and answers when it is asked to settle."""
    client = Client(id=f"nvim:{n}:1", kind="nvim")
    client.on_settle = lambda token: bench.engine.notify("settled", {"token": token}, client)
    bench.call("attach", client, pid=n)
    return client


# --- from hook to status -------------------------------------------------------------------------


def test_an_edit_pends_with_its_author(bench: Bench) -> None:
    """Baseline before the tool, content after it, and who it was."""
    bench.write("f", NEW)
    (hunk,) = bench.status()["f"]["hunks"]
    (owner,) = hunk["owners"]
    assert (hunk["old_start"], hunk["new_lines"]) == (2, 1)
    assert [owner[k] for k in ("kind", "agent", "session", "turn", "tool", "evidence")] == [
        "agent",
        "claude",
        "session-1",
        "prompt-1",
        "Write",
        "exact",
    ]


def test_a_shell_command_may_touch_anything(bench: Bench) -> None:
    """Created, deleted, changed and made executable: each is seen and owned."""
    (bench.root / "gone").write_bytes(b"x\n")
    (bench.root / "run").write_bytes(b"#!/bin/sh\n")
    bench.call("baseline.set")

    def act() -> None:
        (bench.root / "f").write_bytes(NEW)
        (bench.root / "gone").unlink()
        (bench.root / "run").chmod(0o755)
        (bench.root / "d").mkdir()
        (bench.root / "d" / "new").write_bytes(b"")

    bench.shell(act)
    found = bench.status()
    assert {path: (one["status"], one["changes"]) for path, one in found.items()} == {
        "d/new": ("created", ["text"]),
        "f": ("modified", ["text"]),
        "gone": ("deleted", ["text"]),
        "run": ("modified", ["mode"]),
    }
    owners = {o["evidence"] for one in found.values() for h in one["hunks"] for o in h["owners"]}
    assert owners == {"likely"}


def test_the_answer_says_that_the_state_is_settled(bench: Bench) -> None:
    """A change without any event is in the next answer."""
    (bench.root / "f").write_bytes(NEW)
    answer = bench.call("status")
    assert (answer["settled"], [one["path"] for one in answer["files"]]) == (True, ["f"])


def test_sessions_and_turns_are_in_the_status(bench: Bench) -> None:
    """With the state that the statusline shows."""
    bench.hook("Stop", stop_hook_active=False, background_tasks=[])
    (session,) = bench.call("status")["sessions"]
    assert (session["agent"], session["id"], session["state"]) == ("claude", "session-1", "idle")
    assert [(turn["n"], turn["finished"] is not None) for turn in session["turns"]] == [(1, True)]


def test_every_call_is_in_the_log(bench: Bench) -> None:
    """Sessions, turns, calls, files."""
    bench.write("f", NEW)
    bench.shell(lambda: (bench.root / "g").write_bytes(b"x"))
    calls = bench.call("log")["calls"]
    assert [(c["tool"], [p["path"] for p in c["paths"]], c["outcome"]) for c in calls] == [
        ("Write", ["f"], "ok"),
        ("Bash", ["g"], "ok"),
    ]


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_no_recorded_payload_is_a_surprise(bench: Bench, path: Path) -> None:
    """Each payload of the real program, alone and in this workspace, is taken."""
    payload = path.read_text().replace("/ws", str(bench.root))
    bench.engine.hook("claude", payload.encode(), time.time_ns())
    assert bench.call("status")["settled"]


@pytest.mark.parametrize(
    ("agent", "payload"),
    [
        ("claude", b""),
        ("claude", b"not json"),
        ("claude", b"[]"),
        ("claude", b'{"hook_event_name": 3}'),
        ("claude", b"\xff\xfe"),
        ("nobody", b"{}"),
    ],
)
def test_a_broken_payload_is_malformed(bench: Bench, agent: str, payload: bytes) -> None:
    """The caller counts it; nothing else happens."""
    with pytest.raises(MalformedPayload):
        bench.engine.hook(agent, payload, time.time_ns())


def test_a_path_outside_every_workspace_is_counted_and_not_read(
    bench: Bench, tmp_path: Path
) -> None:
    """A payload is text that an agent wrote: its paths are confined."""
    outside = tmp_path / "outside"
    outside.write_bytes(b"secret\n")
    tool_input = {"file_path": str(outside), "content": "x"}
    bench.hook("PreToolUse", "Write", tool_input)
    outside.write_bytes(b"x")
    bench.hook("PostToolUse", "Write", tool_input, tool_response={})
    assert bench.engine.intake.counters["ignored_paths"] == 2
    assert bench.status() == {}


def test_a_finish_alone_is_looked_at(bench: Bench) -> None:
    """The start was lost: the change still pends, as that call's."""
    bench.call("status")
    (bench.root / "f").write_bytes(NEW)
    tool_input = {"file_path": str(bench.root / "f"), "content": NEW.decode()}
    bench.hook("PostToolUse", "Write", tool_input, tool_response={})
    (owner,) = bench.status()["f"]["hunks"][0]["owners"]
    assert owner["kind"] == "agent"


def test_hooks_that_arrive_twice_change_nothing(bench: Bench) -> None:
    """User and project install both fire."""
    bench.write("f", NEW)
    before = bench.call("status")
    tool_input = {"file_path": str(bench.root / "f"), "content": NEW.decode()}
    bench.hook("PreToolUse", "Write", tool_input)
    bench.hook("PostToolUse", "Write", tool_input, tool_response={})
    assert bench.call("status")["seq"] == before["seq"]


# --- decisions -----------------------------------------------------------------------------------


def test_the_diff_is_what_pends(bench: Bench) -> None:
    """A unified diff with git's header."""
    bench.write("f", NEW)
    diff = base64.b64decode(bench.call("diff")["diff_b64"])
    assert diff.splitlines()[0] == b"diff --git a/f b/f"
    assert b"\n-2\n+two\n" in diff


def test_external_changes_are_in_the_diff_when_named(bench: Bench) -> None:
    """Else only what agents did (DESIGN §5.3)."""
    (bench.root / "f").write_bytes(NEW)
    assert base64.b64decode(bench.call("diff")["diff_b64"]) == b""
    assert base64.b64decode(bench.call("diff", external=True)["diff_b64"]) != b""
    assert base64.b64decode(bench.call("diff", paths=["f"])["diff_b64"]) != b""


def test_reject_undo_and_redo_write_the_disk(bench: Bench) -> None:
    """One command is one decision, and nothing of it pends again."""
    bench.write("f", NEW)
    bench.write("d/e/new", b"x\n")
    bench.decide("reject")
    assert (bench.tree(), bench.status()) == ({"f": BASE}, {})
    bench.call("undo")
    assert (bench.tree(), sorted(bench.status())) == (
        {"f": NEW, "d/e/new": b"x\n"},
        ["d/e/new", "f"],
    )
    bench.call("redo")
    assert (bench.tree(), bench.status()) == ({"f": BASE}, {})


def test_accept_leaves_the_disk_alone(bench: Bench) -> None:
    """And undo makes it pend again."""
    bench.write("f", NEW)
    bench.decide("accept")
    assert (bench.tree(), bench.status()) == ({"f": NEW}, {})
    bench.call("undo")
    assert list(bench.status()) == ["f"]


def test_folders_that_the_agent_made_go_with_their_last_file(bench: Bench) -> None:
    """Folders that held something before stay."""
    (bench.root / "kept").mkdir()
    (bench.root / "kept" / "old").write_bytes(b"x")
    bench.call("baseline.set")
    bench.write("made/by/agent", b"x\n")
    bench.write("kept/new", b"x\n", call="toolu_2")
    bench.decide("reject")
    assert sorted(p.name for p in bench.root.iterdir()) == ["f", "kept"]


def test_a_write_that_nobody_saw_survives_a_reject(bench: Bench) -> None:
    """P12: settling sees it first."""
    bench.write("f", NEW)
    (bench.root / "f").write_bytes(NEW.replace(b"7\n", b"seven\n"))
    hunk = bench.status()["f"]["hunks"][0]["id"]
    bench.decide("reject", hunks=[{"id": hunk}])
    assert bench.tree()["f"] == BASE.replace(b"7\n", b"seven\n")


def test_each_kind_of_client_undoes_its_own(bench: Bench) -> None:
    """A terminal's undo never takes back the editor's decision."""
    bench.write("f", NEW)
    bench.decide("accept", nvim(bench))
    assert bench.call("undo")["done"] == []
    assert bench.status() == {}


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("nonsense", {}, "unknown_method"),
        ("status", {"cwd": "/nowhere/at/all"}, "usage"),
        ("status", {"cwd": "relative"}, "usage"),
        ("decide", {"op": "maybe", "selection": {"all": True}}, "usage"),
        ("decide", {"op": "accept", "selection": {}}, "usage"),
        ("decide", {"op": "accept", "selection": {"all": True, "paths": ["f"]}}, "usage"),
        ("diff", {"paths": ["/etc/passwd"]}, "refused"),
        ("diff", {"paths": "f"}, "usage"),
        ("baseline.restore", {"turn": "no such"}, "usage"),
        ("baseline.show", {}, "usage"),
        ("review", {"context": "many"}, "usage"),
    ],
)
def test_wrong_requests_are_errors_with_a_code(
    bench: Bench, method: str, params: dict[str, Any], code: str
) -> None:
    """Documented codes; the daemon goes on."""
    with pytest.raises(RequestError) as failed:
        bench.call(method, **params)
    assert failed.value.code == code
    assert bench.call("status")["settled"]


# --- baselines -----------------------------------------------------------------------------------


def test_the_baseline_is_what_was_there_before_the_agent(bench: Bench) -> None:
    """``baseline.show`` gives the exact bytes; of a clean file they are what is there."""
    bench.write("f", NEW)
    bench.write("new", b"x\n", call="toolu_2")
    shown = {name: bench.call("baseline.show", path=name) for name in ("f", "new")}
    assert base64.b64decode(shown["f"]["data_b64"]) == BASE
    assert (shown["new"]["kind"], shown["f"]["mode"]) == ("absent", 0o644)


def test_baseline_list_names_files_and_turns(bench: Bench) -> None:
    """What can be restored, and to when."""
    bench.write("f", NEW)
    listed = bench.call("baseline.list")
    assert [one["path"] for one in listed["files"]] == ["f"]
    assert [(t["id"], t["n"], t["agent"]) for t in listed["turns"]] == [("prompt-1", 1, "claude")]


@pytest.mark.parametrize("method", ["baseline.set", "baseline.clear"])
def test_set_and_clear_leave_the_disk_alone(bench: Bench, method: str) -> None:
    """Nothing pends any more; one undo brings it back."""
    bench.write("f", NEW)
    answer = bench.call(method)
    assert (answer["op"], bench.tree(), bench.status()) == (
        method.split(".")[1],
        {"f": NEW},
        {},
    )
    bench.call("undo")
    assert list(bench.status()) == ["f"]


def test_restore_brings_the_base_back(bench: Bench) -> None:
    """External changes too, where they are named."""
    bench.write("f", NEW)
    (bench.root / "g").write_bytes(b"external\n")
    bench.call("baseline.restore", paths=["f"])
    assert bench.tree() == {"f": BASE, "g": b"external\n"}
    bench.call("undo")
    assert bench.tree()["f"] == NEW


@pytest.mark.parametrize("paths", [["f"], ["d"], []])
def test_restore_to_a_turn_brings_back_what_was_there_then(bench: Bench, paths: list[str]) -> None:
    """The start of the second turn, not the base; a folder means everything below it."""
    bench.write("f", NEW)
    bench.write("d/e", b"first\n", call="toolu_2")
    bench.hook("Stop", stop_hook_active=False, background_tasks=[])
    bench.prompt("prompt-2")
    later = {"f": NEW.replace(b"8\n", b"eight\n"), "d/e": b"second\n"}
    bench.write("f", later["f"], call="toolu_3", turn="prompt-2")
    bench.write("d/e", later["d/e"], call="toolu_4", turn="prompt-2")
    bench.call("baseline.restore", turn="2", paths=paths)
    then = {"f": NEW, "d/e": b"first\n"}
    named = {"f": ["f"], "d": ["d/e"]}.get(paths[0], []) if paths else ["f", "d/e"]
    assert bench.tree() == {**later, **{name: then[name] for name in named}}
    assert sorted(bench.status()) == ["d/e", "f"]


# --- editors -------------------------------------------------------------------------------------


def test_an_attached_editor_hears_what_changed(bench: Bench) -> None:
    """The paths, what was written on disk, and the summary."""
    editor = nvim(bench)
    bench.write("f", NEW)
    told = editor.wait("changed", lambda params: params["files"] == ["f"])
    assert told["written"] == ["f"]
    assert (told["summary"]["files"], told["summary"]["agents"]) == (1, ["claude"])


def test_a_reject_tells_editors_what_to_reload(bench: Bench) -> None:
    """Also an editor that did not ask for it."""
    bench.write("f", NEW)
    bench.call("status")
    editor = nvim(bench)
    bench.decide("reject")
    told = editor.wait("changed", lambda params: params["written"] == ["f"])
    assert told["summary"]["files"] == 0


def test_the_end_of_a_turn_is_told(bench: Bench) -> None:
    """With agent, session and turn."""
    editor = nvim(bench)
    bench.hook("Stop", stop_hook_active=False, background_tasks=[])
    told = editor.wait("turn_ended", lambda params: True)
    assert (told["agent"], told["session"], told["turn"]) == ("claude", "session-1", "prompt-1")


def test_a_detached_editor_hears_nothing_more(bench: Bench) -> None:
    """Detached, or its connection gone."""
    left, gone = nvim(bench, 1), nvim(bench, 2)
    bench.call("detach", left)
    bench.engine.client_gone(gone)
    bench.call("status")
    left.told.clear()
    gone.told.clear()
    bench.write("f", NEW)
    bench.call("status")
    assert (left.told, gone.told) == ([], [])


def test_reading_waits_for_claims_that_are_under_way(bench: Bench) -> None:
    """The editor is asked to settle; what it says then is in the answer."""
    editor = nvim(bench)
    typed = BASE.replace(b"5\n", b"user\n")

    def settle(token: str) -> None:
        bench.claim(editor, "f", typed, written=False)
        (bench.root / "f").write_bytes(typed)
        bench.claim(editor, "f", typed, written=True)
        bench.engine.notify("settled", {"token": token}, editor)

    editor.on_settle = settle
    answer = bench.call("status")
    assert (answer["settled"], answer["files"]) == (True, [])


def test_an_editor_that_does_not_answer_is_said(bench: Bench) -> None:
    """The answer comes all the same, with the reason."""
    nvim(bench).on_settle = lambda token: None
    answer = bench.call("status")
    assert (answer["settled"], answer["unsettled"]) == (
        False,
        ["an editor did not answer in time"],
    )


def test_an_editor_does_not_wait_for_itself(bench: Bench) -> None:
    """Its own request settles the others only."""
    editor = nvim(bench)
    editor.on_settle = lambda token: None
    assert bench.call("status", editor)["settled"]


def test_a_users_save_beside_the_agents_is_not_in_the_review(bench: Bench) -> None:
    """P6, end to end: rejecting everything keeps the user's line."""
    editor = nvim(bench)
    bench.write("f", NEW)
    typed = NEW.replace(b"7\n", b"user\n")
    bench.claim(editor, "f", typed, written=False)
    (bench.root / "f").write_bytes(typed)
    bench.claim(editor, "f", typed, written=True)
    assert bench.status()["f"]["added"] == 1
    bench.decide("reject")
    assert bench.tree()["f"] == BASE.replace(b"7\n", b"user\n")


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("claim", {}),
        ("claim", {"cwd": "/nowhere", "path": "f", "data_b64": "", "written": True}),
        ("claim", {"cwd": "/", "path": "f", "data_b64": "???", "written": True}),
        ("settled", {}),
        ("settled", {"token": "unknown"}),
        ("nonsense", {}),
    ],
)
def test_a_wrong_notification_never_raises(
    bench: Bench, method: str, params: dict[str, Any]
) -> None:
    """There is nobody to tell; the log has it."""
    bench.engine.notify(method, {"cwd": str(bench.root), **params}, bench.cli)
    assert bench.call("status")["settled"]


# --- several workspaces --------------------------------------------------------------------------


def test_a_session_may_span_two_workspaces(bench: Bench, tmp_path: Path) -> None:
    """Each path pends where it belongs, with the session and its turn."""
    other = tmp_path / "other"
    (other / ".git").mkdir(parents=True)
    (other / "g").write_bytes(BASE)
    path = other / "g"
    tool_input = {"file_path": str(path), "content": NEW.decode()}
    bench.hook("PreToolUse", "Write", tool_input)
    path.write_bytes(NEW)
    bench.hook("PostToolUse", "Write", tool_input, tool_response={})
    assert bench.status() == {}
    there = bench.call("status", cwd=str(other))
    assert [one["path"] for one in there["files"]] == ["g"]
    assert [s["id"] for s in there["sessions"]] == ["session-1"]


def test_a_shell_window_covers_every_workspace_of_its_session(bench: Bench, tmp_path: Path) -> None:
    """The agent walked into another tree and writes in both."""
    other = tmp_path / "other"
    (other / ".git").mkdir(parents=True)
    (other / "g").write_bytes(BASE)
    bench.hook("UserPromptSubmit", cwd=other, prompt="go there")
    bench.call("status", cwd=str(other))

    def act() -> None:
        (bench.root / "f").write_bytes(NEW)
        (other / "g").write_bytes(NEW)

    bench.shell(act)
    found = [bench.status()["f"], bench.call("status", cwd=str(other))["files"][0]]
    assert [one["hunks"][0]["owners"][0]["tool"] for one in found] == ["Bash", "Bash"]


# --- restarts ------------------------------------------------------------------------------------


def test_a_restart_loses_nothing(bench: Bench) -> None:
    """P11: the same hunks with the same ids, and undo still works."""
    bench.write("f", NEW)
    bench.write("g", b"x\n", call="toolu_2")
    bench.decide("reject", paths=["g"])
    before = bench.call("status")
    bench.restart()
    after = bench.call("status")
    assert (after["files"], after["seq"]) == (before["files"], before["seq"])
    bench.call("undo")
    assert bench.tree()["g"] == b"x\n"


def test_what_changed_while_nothing_pended_is_the_baseline(bench: Bench) -> None:
    """DESIGN §5.5: the path follows the disk, weeks of other work never flood a review."""
    (bench.root / "other").write_bytes(b"old\n")
    bench.call("baseline.set")
    bench.write("f", NEW)
    bench.hook("SessionEnd", reason="prompt_input_exit")
    bench.decide("accept")
    bench.restart()
    (bench.root / "other").write_bytes(b"new\n")
    assert bench.status() == {}
    bench.prompt()
    assert base64.b64decode(bench.call("baseline.show", path="other")["data_b64"]) == b"new\n"


def test_a_pending_path_keeps_its_hunks_while_nobody_watches(bench: Bench) -> None:
    """And what was added meanwhile pends with them."""
    bench.write("f", NEW)
    bench.hook("SessionEnd", reason="prompt_input_exit")
    bench.restart()
    (bench.root / "f").write_bytes(NEW.replace(b"8\n", b"eight\n"))
    assert bench.status()["f"]["added"] == 2


def test_a_spooled_hook_brings_its_pre_image(bench: Bench) -> None:
    """No daemon was there before the call: what the client saved is the base."""
    bench.engine.close()
    (bench.root / "f").write_bytes(NEW)
    bench.start()
    tool_input = {"file_path": str(bench.root / "f"), "content": NEW.decode()}
    image = PreImage(path=bytes(bench.root / "f"), data=BASE, mode=0o644)
    bench.hook("PreToolUse", "Write", tool_input, preimages=(image,))
    bench.hook("PostToolUse", "Write", tool_input, tool_response={})
    shown = bench.call("baseline.show", path="f")
    assert base64.b64decode(shown["data_b64"]) == BASE
    assert bench.status()["f"]["hunks"][0]["owners"][0]["agent"] == "claude"


def test_a_spooled_hook_of_a_new_file_knows_that_nothing_was_there(bench: Bench) -> None:
    """P9: absent, not empty."""
    bench.engine.close()
    (bench.root / "new").write_bytes(b"x\n")
    bench.start()
    tool_input = {"file_path": str(bench.root / "new"), "content": "x\n"}
    image = PreImage(path=bytes(bench.root / "new"), data=None)
    bench.hook("PreToolUse", "Write", tool_input, preimages=(image,))
    assert bench.status()["new"]["status"] == "created"


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Bench]:
    """A workspace that was used once; its state file may be tampered with before the next use."""
    found = Bench(tmp_path)
    found.call("status")
    found.restart()
    yield found
    found.engine.close()


def state_file(bench: Bench) -> Path:
    """Returns the store of the workspace."""
    folder = bench.locations.workspace_folder(bytes(bench.root))
    return folder / "state.sqlite3"


def test_the_state_of_a_newer_version_is_refused(closed: Bench) -> None:
    """It is not touched; the message says what to do."""
    with closing(sqlite3.connect(state_file(closed))) as database, database:
        database.execute("UPDATE meta SET value = ? WHERE key = 'schema'", (str(SCHEMA + 1),))
    with pytest.raises(RequestError, match="upgrade agentdiff") as failed:
        closed.call("status")
    assert failed.value.code == "unavailable"
    with pytest.raises(OSError, match="upgrade agentdiff"):
        closed.prompt()


def test_a_workspace_that_holds_your_home_is_not_watched(bench: Bench) -> None:
    """Only named files are followed there: watching would walk the whole file system."""
    bench.call("status")
    bench.engine.call("status", {"cwd": "/"}, bench.cli).result(10)
    described: Any = bench.engine.describe()["workspaces"]
    assert {one["root"]: one["watching"] for one in described} == {
        str(bench.root): True,
        "/": False,
    }


def test_a_damaged_state_is_an_answer_not_a_silence(closed: Bench) -> None:
    """A client must never wait for an answer that nobody will give."""
    state_file(closed).write_bytes(b"not a database, and longer than a header " * 99)
    with pytest.raises(RequestError) as failed:
        closed.engine.call("status", {"cwd": str(closed.root)}, closed.cli).result(WAIT_S / 4)
    assert failed.value.code == "unavailable"
    with pytest.raises(sqlite3.Error):
        closed.prompt()
    closed.claim(closed.cli, "f", b"", written=True)  # never raises


def test_the_daemon_is_busy_while_a_session_lives(bench: Bench) -> None:
    """It must not leave before the agent does."""
    bench.call("status")
    assert bench.engine.busy()
    bench.hook("SessionEnd", reason="prompt_input_exit")
    bench.call("status")
    assert not bench.engine.busy()


def test_nothing_is_written_into_the_workspace(bench: Bench) -> None:
    """P15: neither by watching nor by deciding."""
    bench.write("f", NEW)
    bench.decide("reject")
    assert list(bench.root.iterdir()) == [bench.root / "f"]


def test_the_engine_describes_itself(bench: Bench) -> None:
    """For ``daemon status``: JSON-ready."""
    bench.write("f", NEW)
    bench.call("status")
    described = json.loads(json.dumps(bench.engine.describe()))
    (workspace,) = described["workspaces"]
    assert (workspace["root"], workspace["pending"]) == (str(bench.root), 1)


def test_workspaces_are_looked_after_while_others_ask(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A statusline that asks more often than that must not keep the worker from it."""
    monkeypatch.setattr(engine, "TICK_S", 0.05)
    monkeypatch.setattr(engine, "RESTLESS_TICK_S", 0.05)
    looked, over = threading.Event(), threading.Event()
    monkeypatch.setattr(bench.engine, "_look_after", lambda desk: looked.set())

    def ask() -> None:  # there is always one more
        if not over.is_set():
            bench.engine._queue.put(ask)

    bench.engine._queue.put(ask)
    try:
        assert looked.wait(WAIT_S)
    finally:
        over.set()


def test_a_claim_asks_no_file_system_on_the_event_loop(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its root a workspace is known at once; by a folder in it, a reader finds it."""
    client = nvim(bench)
    (bench.root / "d").mkdir()
    asked: list[threading.Thread] = []
    root_of = bench.engine.root_of

    def asking(params: Mapping[str, object]) -> bytes:
        asked.append(threading.current_thread())
        return root_of(params)

    claimed = threading.Semaphore(0)
    desk = bench.engine.desk(bytes(bench.root))
    monkeypatch.setattr(bench.engine, "root_of", asking)
    monkeypatch.setattr(desk, "claimed", lambda claim: claimed.release())
    for folder, others in ((bench.root, 0), (bench.root / "d", 1)):
        named = {"workspace" if not others else "cwd": str(folder), "path": "f", "data_b64": ""}
        bench.engine.notify("claim", {**named, "written": False}, client)
        assert claimed.acquire(timeout=WAIT_S)
        assert len(asked) == others
    assert threading.current_thread() not in asked
