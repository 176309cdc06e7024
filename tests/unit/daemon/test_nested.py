"""Workspaces inside workspaces: a shell command reaches them all, each is reviewed by itself."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from agentdiff.daemon import intake
from agentdiff.workspace.tracker import CutResult, Tracker
from tests.unit.daemon.bench import Bench


def git(root: Path, *arguments: str) -> None:
    """Runs git in a folder."""
    safe = ("-c", "user.name=t", "-c", "user.email=t@e.org", "-c", "protocol.file.allow=always")
    subprocess.run(["git", *safe, *arguments], cwd=root, check=True, capture_output=True)


def repository(root: Path) -> None:
    """Makes a repository with one commit of one file."""
    root.mkdir(parents=True, exist_ok=True)
    git(root, "init", "-q")
    (root / "f").write_text("f\n")
    git(root, "add", ".")
    git(root, "commit", "-qm", "one")


@pytest.fixture(params=["clone", "submodule", "worktree"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """An outer repository with an inner one in ``in``."""
    bench = Bench(tmp_path)
    repository(bench.root)
    if request.param == "clone":
        repository(bench.root / "in")
    elif request.param == "submodule":
        repository(tmp_path / "library")
        git(bench.root, "submodule", "add", "-q", str(tmp_path / "library"), "in")
        git(bench.root, "commit", "-qm", "submodule")
    else:
        git(bench.root, "worktree", "add", "-q", "in", "-b", "side")
    bench.prompt()
    yield bench
    bench.engine.close()


def status(bench: Bench, *below: str) -> dict[str, dict[str, Any]]:
    """Returns what pends in a folder's workspace."""
    answer = bench.call("status", cwd=str(bench.root.joinpath(*below)))
    return {one["path"]: one for one in answer["files"]}


def test_a_shell_command_reaches_what_is_inside(bench: Bench) -> None:
    """From the first command on: both have a baseline, both pend, both are restored."""

    def act() -> None:
        (bench.root / "f").write_text("outer\n")
        (bench.root / "in/f").write_text("inner\n")
        (bench.root / "in/new").write_text("new\n")

    bench.shell(act)
    assert set(status(bench)) == {"f"}
    inner = status(bench, "in")
    assert set(inner) == {"f", "new"}
    owners = [h["owners"][0] for one in inner.values() for h in one["hunks"]]
    assert {(o["agent"], o["session"], o["tool_call"]) for o in owners} == {
        ("claude", "session-1", "toolu_sh")
    }
    (told,) = bench.call("status")["inside"]
    assert (told["workspace"], told["files"]) == (str(bench.root / "in"), 2)
    bench.call("decide", op="reject", selection={"all": True}, cwd=str(bench.root / "in"))
    assert (bench.root / "in/f").read_text() == "f\n"
    assert not (bench.root / "in/new").exists()
    assert set(status(bench)) == {"f"}


def test_a_named_path_belongs_to_the_innermost(bench: Bench) -> None:
    """An edit tool of a session that works outside."""
    bench.write("in/f", b"inner\n")
    assert not status(bench)
    assert set(status(bench, "in")) == {"f"}


def test_what_is_followed_is_no_gap(bench: Bench) -> None:
    """Before the first command it is named as one."""
    before = {one["path"] for one in bench.call("status")["coverage"]}
    assert before == {"in"}
    bench.shell(lambda: None)
    assert bench.call("status")["coverage"] == []


def test_two_workspaces_do_not_mix(bench: Bench, tmp_path: Path) -> None:
    """A session of its own beside: neither sees the other."""
    beside = tmp_path / "beside"
    repository(beside)
    bench.prompt(session="session-2", cwd=beside)
    bench.shell(lambda: (beside / "f").write_text("x\n"), session="session-2", cwd=beside)
    assert not status(bench)
    answer = bench.call("status", cwd=str(beside))
    assert [one["path"] for one in answer["files"]] == ["f"]


def test_one_allowance_for_all_workspaces(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hook that waited as long as it may for one workspace does not wait for the next one.

    Its client would have left by then, and what the tool did would be taken for its baseline.
    """
    bench.shell(lambda: None)  # both are known by now
    now_ns = time.time_ns()
    deadlines: list[int] = []
    cut = Tracker.cut

    def slow(tracker: Tracker, deadline_ns: int | None = None, **more: bool) -> CutResult:
        nonlocal now_ns
        assert deadline_ns is not None
        deadlines.append(deadline_ns)
        now_ns = max(now_ns, deadline_ns)
        return cut(tracker, None, **more)

    with monkeypatch.context() as patch:
        patch.setattr(intake, "time", SimpleNamespace(time_ns=lambda: now_ns))
        patch.setattr(Tracker, "cut", slow)
        bench.hook("PreToolUse", tool_name="Bash", tool_input={"command": "true"}, tool_use_id="t9")
    assert deadlines[1:] == deadlines[:-1] != []
