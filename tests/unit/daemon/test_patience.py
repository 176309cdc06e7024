"""A decision waits for an edit that is under way, and says so; it never waits for ever."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from agentdiff.daemon import patience
from tests.unit.daemon.bench import WAIT_S, Bench

BASE = b"one\ntwo\n"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A workspace in which ``f`` pends and the agent is editing it again."""
    bench = Bench(tmp_path)
    (bench.root / "f").write_bytes(BASE)
    (bench.root / "g").write_bytes(BASE)
    bench.prompt()
    bench.write("f", b"one\ntwo\nthree\n")
    bench.write("g", b"one\n", call="toolu_g")
    bench.hook("PreToolUse", "Write", _input(bench), call="toolu_2")
    yield bench
    bench.engine.close()


def _input(bench: Bench) -> dict[str, Any]:
    return {"file_path": str(bench.root / "f"), "content": "one\ntwo\nthree\nfour\n"}


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("decide", {"op": "reject", "selection": {"all": True, "external": True}}),
        ("decide", {"op": "reject", "selection": {"paths": ["f"]}}),
        ("baseline.restore", {"paths": ["f"]}),
        ("baseline.restore", {"paths": ["."]}),
    ],
)
def test_it_waits_for_the_edit(bench: Bench, method: str, params: dict[str, Any]) -> None:
    """The agent's last write is rejected with the others: nothing comes after the decision."""
    with ThreadPoolExecutor(1) as pool:
        answer: Future[dict[str, Any]] = pool.submit(lambda: bench.call(method, **params))
        told = bench.cli.wait("waiting", lambda params: True)
        assert told["for"] == [{"agent": "claude", "tool": "Write", "path": "f"}]
        (bench.root / "f").write_bytes(b"one\ntwo\nthree\nfour\n")
        bench.hook("PostToolUse", "Write", _input(bench), call="toolu_2", tool_response={})
        assert not answer.result(WAIT_S)["refused"]
    assert (bench.root / "f").read_bytes() == BASE
    assert "f" not in bench.status()


def test_a_folder_waits_for_the_edits_in_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """``baseline restore FOLDER`` may write whatever is below, and nothing else."""
    monkeypatch.setattr(patience, "WAIT_S", 0.05)
    (bench.root / "sub").mkdir()
    tool_input = {"file_path": str(bench.root / "sub" / "g"), "content": "1\n"}
    bench.hook("PreToolUse", "Write", tool_input, call="toolu_3")
    bench.call("baseline.restore", paths=["sub"])
    [(method, params)] = bench.cli.told
    assert (method, [one["path"] for one in params["for"]]) == ("waiting", ["sub/g"])


def test_it_does_not_wait_for_ever(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """An edit that never ends (a missing finish) delays a decision, and no more."""
    monkeypatch.setattr(patience, "WAIT_S", 0.05)
    bench.decide("reject", paths=["f"])
    assert (bench.root / "f").read_bytes() == BASE
    assert [method for method, _ in bench.cli.told] == ["waiting"]


@pytest.mark.parametrize(
    ("op", "selection"), [("reject", {"paths": ["g"]}), ("accept", {"paths": ["f"]})]
)
def test_it_waits_for_nothing_else(bench: Bench, op: str, selection: dict[str, Any]) -> None:
    """Another file, or a decision that writes nothing."""
    bench.decide(op, **selection)
    assert bench.cli.told == []
