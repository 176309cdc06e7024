"""Workspaces that nobody needs are closed, and come back as they were."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agentdiff.config import Config, DaemonConfig
from agentdiff.daemon import desks, engine
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


def test_an_idle_workspace_comes_back_as_it_was(bench: Bench) -> None:
    """What pends, what was decided and the numbers of hunks survive; so does watching."""
    bench.prompt()
    bench.write("a", b"1\n")
    bench.write("b", b"1\n", call="toolu_2")
    before = bench.status()
    bench.decide("accept", paths=["b"])
    bench.hook("SessionEnd", reason="other")
    wait_open(bench)
    assert bench.status() == {"a": before["a"]}
    wait_open(bench)
    bench.call("undo")
    assert sorted(bench.status()) == ["a", "b"]


def test_others_stay(bench: Bench, tmp_path: Path) -> None:
    """Neither where a session is live nor where an editor is attached anything is closed."""
    attached, idle = tmp_path / "attached", tmp_path / "idle"
    for folder in (attached, idle):
        folder.mkdir()
        (folder / "f").touch()
    bench.prompt()
    editor = Client("nvim:1:1", "nvim")
    bench.call("attach", editor, cwd=str(attached))
    bench.call("status", cwd=str(idle))
    wait_open(bench, bench.root, attached)
    bench.engine.client_gone(editor)
    wait_open(bench, bench.root)


def test_a_workspace_whose_folder_is_gone_is_closed(bench: Bench) -> None:
    """A work tree that was removed keeps nothing open, whatever its agent said last."""
    bench.prompt()
    bench.write("a", b"1\n")
    shutil.rmtree(bench.root)
    wait_open(bench)
    bench.root.mkdir()
    assert bench.status() == {}


def test_it_is_never_closed_while_it_is_used(bench: Bench) -> None:
    """Opening, using and closing at the same time: every answer is right."""
    bench.prompt()
    bench.write("a", b"1\n")
    bench.hook("SessionEnd", reason="other")
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: bench.call("status")["totals"]["hunks"], range(100)):
            assert found == 1
