"""What an editor does about daemons, folders and answers that come late, fail or come back."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from agentdiff.locations import Locations
from agentdiff.nvim.attached import Attached
from agentdiff.nvim.claims import Claims
from agentdiff.nvim.link import WAITS_AT_MOST_S, Connection, DaemonLink
from agentdiff.nvim.spill import LONG_LINES, spill, sweep
from tests.unit.nvim.scripted import Daemon, Lua


def _nowhere(_: bool) -> Locations:
    raise ConnectionRefusedError


async def _nobody(_: DaemonLink) -> None:
    return


def _nothing(*_: object) -> None:
    return


def _is_gone(update: dict[str, Any]) -> bool:
    return bool(update["summary"].get("gone"))


def test_many_buffers_of_one_tree_are_one_request(lua: Lua, daemon: Daemon) -> None:
    """However many are restored at once, each is told of once."""
    names = [f"{lua.tree}/{n}" for n in range(30)]
    daemon.held.add(lua.tree)
    for name in names:
        lua.watch(name)
    daemon.wait(lambda: daemon.count("attach") > 0)
    lua.ask("doctor", "/")
    daemon.answer_held()
    for name in names:
        lua.wait_watched(name)
    lua.ask("doctor", "/")
    assert (daemon.count("attach"), len(lua.all("watching"))) == (1, len(names))


def test_a_folder_that_comes_back_is_followed_again(lua: Lua, daemon: Daemon) -> None:
    """Its buffers and its review are as they were."""
    lua.watch(f"{lua.tree}/a")
    lua.wait_watched(f"{lua.tree}/a")
    lua.ask("review.open", lua.tree)
    shutil.rmtree(lua.tree)
    daemon.say("closed", workspace=lua.tree)
    lua.wait("update", _is_gone)
    lua.got.clear()
    lua.make(Path(lua.tree))
    lua.wait_watched(f"{lua.tree}/a")
    lua.wait("update", lambda update: update.get("review", {}).get("lines") == ["shown"])


def test_a_folder_that_could_not_be_attached_is_asked_for_again(lua: Lua, daemon: Daemon) -> None:
    """The daemon was short of something: that says nothing about the folder."""
    daemon.errors[lua.tree] = "unavailable"
    lua.watch(f"{lua.tree}/a")
    daemon.wait(lambda: daemon.count("attach") > 1)
    daemon.errors.clear()
    lua.wait_watched(f"{lua.tree}/a")


def test_a_folder_that_is_not_reviewed_may_be_attached_by_a_command(
    lua: Lua, daemon: Daemon
) -> None:
    """It is asked for once, and followed from the time that the daemon takes it."""
    daemon.errors[lua.tree] = "refused"
    lua.watch(f"{lua.tree}/a")
    daemon.wait(lambda: daemon.count("attach") > 0)
    assert "error" in lua.ask("review.open", lua.tree)
    daemon.errors.clear()
    assert "error" not in lua.ask("review.open", lua.tree)
    lua.watch(f"{lua.tree}/a")
    lua.wait_watched(f"{lua.tree}/a")


@pytest.mark.parametrize("has_buffer", [True, False])
def test_a_new_daemon_that_cannot_attach_now_is_asked_again(
    lua: Lua, daemon: Daemon, has_buffer: bool
) -> None:
    """The folder is there: nothing is emptied, one message says why nothing moves."""
    if has_buffer:
        lua.watch(f"{lua.tree}/a")
        lua.wait_watched(f"{lua.tree}/a")
    lua.ask("review.open", lua.tree)
    daemon.errors[lua.tree] = "unavailable"
    before = daemon.count("attach")
    daemon.drop()
    daemon.wait(lambda: daemon.count("attach") > before + 2)
    lua.wait("problem", lambda problem: "Too many open files" in problem["message"])
    lua.got.clear()
    daemon.errors.clear()
    if has_buffer:
        lua.wait_watched(f"{lua.tree}/a")
    lua.wait("update", lambda update: update["summary"] == {"hunks": 1})
    assert (lua.all("problem"), [u for u in lua.all("update") if _is_gone(u)]) == ([], [])


def test_what_is_fetched_of_a_workspace_that_was_left_is_not_shown(
    lua: Lua, daemon: Daemon
) -> None:
    """Its folder went while the answer was on its way."""
    lua.watch(f"{lua.tree}/a")
    lua.wait("update", lambda update: update["inline"])
    daemon.held.add(lua.tree)
    before = daemon.count("inline")
    daemon.say("changed", workspace=lua.tree, files=["a"], written=["a"])
    daemon.wait(lambda: daemon.count("inline") > before)
    shutil.rmtree(lua.tree)
    daemon.say("closed", workspace=lua.tree)
    lua.wait("update", _is_gone)
    daemon.answer_held()
    lua.ask("doctor", "/")
    assert _is_gone(lua.all("update")[-1])


def test_a_review_that_is_closed_while_it_is_fetched_is_not_shown(lua: Lua, daemon: Daemon) -> None:
    """Lua has no buffer for it any more."""
    lua.ask("review.open", lua.tree)
    daemon.held.add(lua.tree)
    before = daemon.count("review")
    daemon.say("changed", workspace=lua.tree, files=["a"], written=["a"])
    daemon.wait(lambda: daemon.count("review") > before)
    shown = len(lua.all("update"))
    lua.send("review.close", {"workspace": lua.tree})
    lua.ask("doctor", "/")
    daemon.answer_held()
    lua.wait("update", lambda _: len(lua.all("update")) > shown)
    assert "review" not in lua.all("update")[shown]


def test_a_slow_workspace_keeps_no_other_one_waiting(lua: Lua, daemon: Daemon) -> None:
    """What is saved in it meanwhile is told behind its attachment."""
    other = str(lua.make(lua.folder / "other"))
    for tree in (lua.tree, other):
        lua.watch(f"{tree}/a")
        lua.wait_watched(f"{tree}/a")
    daemon.held.add(lua.tree)
    before = daemon.count("attach")
    daemon.drop()
    daemon.wait(lambda: daemon.count("attach") == before + 2)
    assert "error" not in lua.ask("review.open", other)
    Path(lua.tree, "a").write_text("mine")
    lua.send("claim", {"path": f"{lua.tree}/a", "data": "mine", "written": True, "at_us": 1})
    lua.ask("review.open", other)
    assert (daemon.count("attach"), daemon.count("claim")) == (before + 2, 0)
    daemon.answer_held()
    daemon.wait(lambda: daemon.count("claim") == 1)


def test_a_daemon_of_another_version_is_told_of_once(lua: Lua) -> None:
    """The next one is found without a command."""
    remedy = {"code": "version", "message": "run `agentdiff daemon stop`"}
    old = Daemon(lua.socket, greeting={"error": remedy})
    lua.watch(f"{lua.tree}/a")
    lua.wait("problem", lambda problem: "daemon stop" in problem["message"])
    old.close()
    lua.socket.unlink()
    new = Daemon(lua.socket)
    lua.wait_watched(f"{lua.tree}/a")
    new.close()
    assert len(lua.all("problem")) == 1


def test_saves_before_there_is_a_daemon(lua: Lua) -> None:
    """The last one of each file is told of: the text of an older one is nowhere."""
    path = f"{lua.tree}/a"
    lua.watch(path)
    for text in ("one", "two"):
        lua.send("claim", {"path": path, "data": text, "written": True, "at_us": 1})
    daemon = Daemon(lua.socket)
    daemon.wait(lambda: daemon.count("claim") > 0)
    lua.ask("doctor", "/")
    claims = [params["data_b64"] for method, params in daemon.heard if method == "claim"]
    daemon.close()
    assert claims == ["dHdv"]


def test_saves_of_files_in_no_workspace_are_not_kept() -> None:
    """Neither long, nor after their buffers."""
    now_s = [0.0]
    attached = Attached(1, lambda *_: None)
    connection = Connection(_nowhere, on_notification=_nothing, on_link=_nobody, on_lost=_nothing)
    claims = Claims(attached, connection, clock=lambda: now_s[0])
    for name in ("/notes", "/todo"):
        claims.take({"path": name, "data": "x", "written": True, "at_us": 1}, awaited=True)
    claims.forget("/todo")
    assert len(claims) == 1
    now_s[0] = WAITS_AT_MOST_S
    claims.prune()
    assert len(claims) == 0


def test_a_long_review_is_shown_without_room_for_files(tmp_path: Path) -> None:
    """It comes as a message then; nothing half-written stays behind."""
    lines = ["x"] * (LONG_LINES + 1)
    update = {"review": {"lines": lines, "kinds": "c" * len(lines), "index": "{}", "token": 1}}
    assert spill(update, tmp_path / "missing") == update


def test_the_rest_of_a_long_review_is_gone_with_its_neovim(tmp_path: Path) -> None:
    """A host that was killed, or whose Neovim ended before it had read all, leaves nothing."""
    ended = subprocess.Popen(["true"])
    ended.wait()
    kept = tmp_path / f"review-{os.getpid()}-1.txt"
    for path in (
        kept,
        tmp_path / f"review-{ended.pid}-1.txt",
        tmp_path / f"review-{ended.pid}-1.idx",
    ):
        path.touch()
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == [kept]
