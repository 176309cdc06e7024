"""Workspaces that nobody needs are closed, and come back as they were."""

from __future__ import annotations

import errno
import os
import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from agentdiff.config import Config, DaemonConfig
from agentdiff.daemon import desks, engine, intake
from agentdiff.daemon.desk import Desk
from agentdiff.daemon.keeping import Keeping
from agentdiff.daemon.ports import RequestError
from tests.unit.daemon.bench import WAIT_S, Bench, Client


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """An engine that closes what is unused at once; nothing of it may fail."""
    monkeypatch.setattr(engine, "TICK_S", 0.005)
    monkeypatch.setattr(engine, "RESTLESS_TICK_S", 0.005)
    monkeypatch.setattr(desks, "GONE_S", 0.0)
    bench = Bench(tmp_path, Config(daemon=DaemonConfig(idle_minutes=1e-9)))
    yield bench
    bench.engine.close()
    assert bench.engine.counters["bugs"] == 0


def wait_open(bench: Bench, *roots: Path) -> None:
    """Waits until exactly these workspaces are open."""
    wanted = sorted(str(root.resolve()) for root in roots)
    deadline = time.monotonic() + WAIT_S
    while (found := sorted(one["root"] for one in bench.engine.describe()["workspaces"])) != wanted:
        assert time.monotonic() < deadline, (found, wanted)
        time.sleep(0.002)


def ticks_of(bench: Bench, count: int) -> None:
    """Waits until the worker has looked after everything so often."""
    looked = threading.Semaphore(0)
    tick = bench.engine._tick
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench.engine, "_tick", lambda: (tick(), looked.release()))
        assert all(looked.acquire(timeout=WAIT_S) for _ in range(count))


def test_an_idle_workspace_comes_back_as_it_was(bench: Bench) -> None:
    """What was decided can still be undone; what pends then is followed at once."""
    bench.prompt()
    bench.write("a", b"1\n")
    before = bench.status()["a"]
    bench.decide("accept", paths=["a"])
    bench.hook("SessionEnd", reason="other")
    wait_open(bench)
    assert bench.status() == {}
    wait_open(bench)
    bench.call("undo")
    after = bench.status()["a"]
    assert [h["owners"] for h in after["hunks"]] == [h["owners"] for h in before["hunks"]]
    (bench.root / "a").write_bytes(b"1\n2\n")
    assert bench.status()["a"]["added"] == 2


def test_others_stay(bench: Bench, tmp_path: Path) -> None:
    """Neither where a session is live, an editor is attached, nor anything pends."""
    attached, idle, pending = tmp_path / "attached", tmp_path / "idle", tmp_path / "pending"
    for folder in (attached, idle, pending):
        folder.mkdir()
        (folder / "f").touch()
    more = {"cwd": pending, "session": "session-2"}
    bench.prompt(**more)
    bench.shell(lambda: (pending / "f").write_bytes(b"1\n"), **more)
    bench.hook("SessionEnd", reason="other", **more)
    bench.prompt()
    editor = Client("nvim:1:1", "nvim")
    bench.call("attach", editor, cwd=str(attached))
    bench.call("status", cwd=str(idle))
    wait_open(bench, bench.root, attached, pending)
    bench.engine.client_gone(editor)
    wait_open(bench, bench.root, pending)
    bench.call("decide", cwd=str(pending), op="accept", selection={"all": True})
    wait_open(bench, bench.root)


def test_a_workspace_whose_folder_is_gone_is_closed(bench: Bench) -> None:
    """A work tree that was removed keeps nothing open, whatever its agent said last."""
    bench.prompt()
    bench.write("a", b"1\n")
    shutil.rmtree(bench.root)
    wait_open(bench)
    bench.root.mkdir()
    assert bench.status() == {}


def test_an_editor_is_told_that_the_folder_is_gone(bench: Bench) -> None:
    """It is attached to nothing any more: it shows nothing of it, and keeps nothing open."""
    editor = Client("nvim:1:1", "nvim")
    name = bench.call("attach", editor, cwd=str(bench.root))["workspace"]
    wait_open(bench, bench.root)
    shutil.rmtree(bench.root)
    wait_open(bench)
    editor.wait("closed", lambda params: params == {"workspace": name})


def test_a_mount_that_lost_its_server_stays_open(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its folder is not gone: what pends there stays under the eyes of its editors."""
    other = tmp_path / "other"
    other.mkdir()
    editor = Client("nvim:1:1", "nvim")
    bench.prompt()
    bench.write("a", b"1\n")
    bench.call("attach", editor)
    bench.call("status", cwd=str(other))
    lost, stat = os.fsencode(bench.root), os.stat

    def refuse(path: str | bytes, **more: Any) -> os.stat_result:
        if not isinstance(path, int) and os.fsencode(path) == lost:
            raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")
        return stat(path, **more)

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", refuse)
        shutil.rmtree(other)
        wait_open(bench, bench.root)
        ticks_of(bench, 3)
        wait_open(bench, bench.root)
        assert sorted(bench.status()) == ["a"]
    assert "closed" not in [method for method, _ in editor.told]
    bench.engine.client_gone(editor)


def test_a_session_goes_on_where_a_removed_work_tree_was(bench: Bench, tmp_path: Path) -> None:
    """It was in two workspaces; one of them is gone, the other hears of everything."""
    tree = tmp_path / "tree"
    (tree / ".git").mkdir(parents=True)
    bench.prompt()
    bench.write("a", b"1\n")
    bench.write(str(tree / "b"), b"1\n", call="toolu_2")
    wait_open(bench, bench.root, tree)
    shutil.rmtree(tree)
    wait_open(bench, bench.root)
    bench.hook("UserPromptSubmit", prompt="go on", turn="prompt-2")
    bench.shell(lambda: (bench.root / "c").write_bytes(b"1\n"))
    assert sorted(bench.status()) == ["a", "c"]


def test_what_waits_in_memory_for_a_disk_stays(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A full disk takes nothing: closing would lose it."""
    other = tmp_path / "other"
    other.mkdir()
    bench.prompt()
    bench.hook("SessionEnd", reason="other")
    with monkeypatch.context() as patch:
        full = property(lambda one: "disk full" if one.name == str(bench.root) else None)
        patch.setattr(Keeping, "problem", full)
        bench.call("status", cwd=str(bench.root))
        bench.call("status", cwd=str(other))
        wait_open(bench, bench.root)
    wait_open(bench)


def test_a_wrong_request_holds_nothing_open(bench: Bench) -> None:
    """A comment on a path outside is refused, and waits for no answer."""
    bench.prompt()
    bench.hook("SessionEnd", reason="other")
    with pytest.raises(RequestError):
        bench.call("comment", text="x", path="../x")
    wait_open(bench)


def test_an_agent_does_not_wait_for_a_worker_that_closes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answered in time, that the baseline is uncertain; and everything is told, in order."""
    closing, let_go, done = threading.Event(), threading.Event(), threading.Event()
    closed = bench.engine._desks.closed

    def slowly(desk: Desk) -> None:
        closing.set()
        let_go.wait(WAIT_S)
        done.set()
        closed(desk)

    monkeypatch.setattr(bench.engine._desks, "closed", slowly)
    (bench.root / "f").write_bytes(b"1\n")
    bench.prompt()
    assert bench.status() == {}
    bench.hook("SessionEnd", reason="other")
    assert closing.wait(WAIT_S)
    given, more = {"command": "make", "description": "x"}, {"session": "session-2"}
    with monkeypatch.context() as patch:
        patch.setattr(intake, "COLD_NS", 1_000_000)
        bench.prompt(**more)
        answers = [bench.hook("PreToolUse", "Bash", given, **more)]
        (bench.root / "a").write_bytes(b"1\n")
        answers.append(bench.hook("PostToolUse", "Bash", given, tool_response={}, **more))
    assert ([one.certain for one in answers], done.is_set()) == ([False, False], False)
    assert bench.locations.journal.stat().st_size > 0
    let_go.set()
    assert bench.engine.digested()
    (call,) = bench.call("log")["calls"]
    assert (call["session"], call["tool"], call["outcome"]) == ("session-2", "Bash", "ok")
    bench.engine.close()
    assert bench.locations.journal.stat().st_size == 0
    bench.start()


def test_it_is_never_closed_while_it_is_used(bench: Bench) -> None:
    """Opening, using and closing at the same time: every answer is right."""
    bench.prompt()
    bench.write("a", b"1\n")
    bench.decide("accept", all=True)
    bench.hook("SessionEnd", reason="other")
    seq = bench.call("status")["seq"]
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: bench.call("status")["seq"], range(100)):
            assert found == seq
