"""Restarts, links and clients that leave: with the real tracker and store."""

from __future__ import annotations

import base64
import gc
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agentdiff.daemon.ports import RequestError
from tests.unit.daemon.bench import Bench, Client


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A running engine on an empty workspace."""
    bench = Bench(tmp_path)
    yield bench
    bench.engine.close()


def pending(bench: Bench) -> dict[str, Any]:
    """Returns path → owners of everything pending."""
    files = bench.call("status")["files"]
    return {
        file["path"]: sorted({o["evidence"] for h in file["hunks"] for o in h["owners"]})
        for file in files
    }


def test_what_changed_while_no_daemon_ran_is_nobodys(bench: Bench) -> None:
    """It moves the baseline and never pends: no agent's call was open."""
    bench.prompt()
    bench.write("a", b"agent\n")
    bench.engine.close()
    (bench.root / "notes").write_bytes(b"mine\n")
    bench.start()
    assert pending(bench) == {"a": ["exact"]}


def test_what_changed_while_no_daemon_ran_belongs_to_an_open_call(bench: Bench) -> None:
    """A daemon that dies during a command finds the command's work when it is back."""
    bench.prompt()
    bench.hook("PreToolUse", "Bash", {"command": "x", "description": "x"})
    bench.engine.close()
    (bench.root / "made").write_bytes(b"agent\n")
    bench.start()
    assert pending(bench) == {"made": ["likely"]}


def test_a_plain_folder_stays_one_workspace_after_a_restart(bench: Bench) -> None:
    """A subfolder of a workspace without git is found to belong to it."""
    bench.prompt()
    bench.write("sub/a", b"1\n")
    bench.restart()
    answer = bench.engine.call("status", {"cwd": str(bench.root / "sub")}, bench.cli).result(10)
    assert answer["workspace"] == str(bench.root)


def test_going_into_a_folder_does_not_open_a_workspace(bench: Bench, tmp_path: Path) -> None:
    """Only the first directory of a session becomes a workspace without git."""
    bench.prompt()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    bench.hook("PreToolUse", "Bash", {"command": "x", "description": "x"}, cwd=elsewhere)
    assert str(elsewhere) not in {w["root"] for w in bench.engine.describe()["workspaces"]}  # type: ignore[attr-defined]


def test_an_edit_through_a_link_is_the_agents(bench: Bench) -> None:
    """``CLAUDE.md`` that points to ``AGENTS.md``: the file behind it is followed and named."""
    (bench.root / "AGENTS.md").write_bytes(b"1\n")
    (bench.root / "CLAUDE.md").symlink_to("AGENTS.md")
    bench.prompt()
    bench.write("CLAUDE.md", b"2\n")
    assert pending(bench) == {"AGENTS.md": ["exact"]}


def test_a_path_through_a_linked_folder_is_where_it_leads(bench: Bench, tmp_path: Path) -> None:
    """The agent names the file by a link to the workspace; there is one workspace all the same."""
    (bench.root / "a").write_bytes(b"1\n")
    link = tmp_path / "link"
    link.symlink_to(bench.root)
    bench.prompt()
    tool_input = {"file_path": str(link / "a"), "content": "2\n"}
    bench.hook("PreToolUse", "Write", tool_input)
    (bench.root / "a").write_bytes(b"2\n")
    bench.hook("PostToolUse", "Write", tool_input, tool_response={})
    roots = [one["root"] for one in bench.engine.describe()["workspaces"]]  # type: ignore[attr-defined]
    assert (pending(bench), roots) == ({"a": ["exact"]}, [str(bench.root)])


def test_a_client_that_left_before_its_attach_was_answered_is_not_waited_for(bench: Bench) -> None:
    """Nobody waits for it to settle, and it does not keep the review open."""
    gone = Client()
    future = bench.engine.call("attach", {"cwd": str(bench.root)}, gone)
    bench.engine.client_gone(gone)
    future.result(10)
    bench.engine.client_gone(gone)
    assert bench.call("status")["settled"]


def test_an_editor_that_attaches_makes_the_workspace_warm(bench: Bench) -> None:
    """The first tool call finds the first cut done."""
    (bench.root / "a").write_bytes(b"1\n")
    bench.engine.call("attach", {"cwd": str(bench.root)}, Client()).result(10)
    answer = bench.hook("PreToolUse", "Bash", {"command": "x", "description": "x"})
    (bench.root / "a").write_bytes(b"2\n")
    bench.hook("PostToolUse", "Bash", {"command": "x", "description": "x"}, tool_response={})
    assert (answer.certain, pending(bench)) == (True, {"a": ["likely"]})


def test_a_restore_to_a_turn_keeps_what_came_before_it(bench: Bench) -> None:
    """Also what was only noticed when the turn's prompt came."""
    (bench.root / "a").write_bytes(b"1\n")
    bench.prompt()
    bench.status()  # the first cut, which a prompt does not wait for, is done
    bench.write("a", b"2\n")
    (bench.root / "a").write_bytes(b"2\nby hand\n")
    bench.hook("UserPromptSubmit", turn="prompt-2", prompt="more")
    bench.write("a", b"3\n", call="toolu_2", turn="prompt-2")
    bench.call("baseline.restore", paths=["a"], turn="2")
    assert (bench.root / "a").read_bytes() == b"2\nby hand\n"


def test_a_restore_to_a_turn_keeps_what_was_proved_later(bench: Bench) -> None:
    """A save that was somebody's when the turn began, and turned out to be the user's after it."""
    (bench.root / "a").write_bytes(b"1\n")
    bench.prompt()
    bench.status()
    since_us = time.time_ns() // 1000
    (bench.root / "a").write_bytes(b"1\nby hand\n")
    assert list(pending(bench)) == ["a"]
    bench.hook("UserPromptSubmit", turn="prompt-2", prompt="more")
    proof = {"data_b64": base64.b64encode(b"1\nby hand\n").decode(), "since_us": since_us}
    params = {"cwd": str(bench.root), "path": "a", "written": True, **proof}
    bench.engine.notify("claim", params, Client())
    assert pending(bench) == {}
    bench.write("a", b"3\n", call="toolu_2", turn="prompt-2")
    bench.call("baseline.restore", paths=["a"], turn="2")
    assert (bench.root / "a").read_bytes() == b"1\nby hand\n"


def test_a_restore_to_a_turn_keeps_what_nobody_reviewed(bench: Bench) -> None:
    """The log says nothing of it: what it says of an earlier time is not what was there."""
    (bench.root / "a").write_bytes(b"1\n")
    bench.prompt()
    bench.status()
    bench.write("a", b"2\n")
    bench.decide("accept")
    bench.hook("SessionEnd", reason="exit")
    bench.engine.close()
    (bench.root / "a").write_bytes(b"1\n")
    bench.start()
    bench.prompt("prompt-2", session="session-2")
    bench.status()
    bench.write("a", b"2\n", call="toolu_2", turn="prompt-2", session="session-2")
    bench.call("baseline.restore", paths=["a"], turn="prompt-2")
    assert (bench.root / "a").read_bytes() == b"1\n"


def test_a_turn_is_named_by_its_number_too(bench: Bench) -> None:
    """People read numbers on the screen; a number that does not exist is an error."""
    bench.prompt()
    bench.write("a", b"1\n")
    bench.hook("UserPromptSubmit", turn="prompt-2", prompt="more")
    bench.write("b", b"2\n", call="toolu_2", turn="prompt-2")
    bench.call("decide", op="reject", selection={"all": True, "turn": "2"})
    assert sorted(pending(bench)) == ["a"]
    with pytest.raises(RequestError, match="no turn '9' here"):
        bench.call("diff", turn="9")


def test_a_log_that_makes_no_sense_is_answered(bench: Bench) -> None:
    """A bug in opening is ours; the client is told, and does not wait until it gives up."""
    bench.prompt()
    bench.write("a", b"1\n")
    bench.engine.close()
    database = bench.locations.workspace_folder(bytes(bench.root)) / "state.sqlite3"
    with closing(sqlite3.connect(database)) as opened, opened:
        opened.execute("UPDATE log SET body = ?", (b'{"v":1,"kind":"Nonsense"}',))
    bench.start()
    with pytest.raises(RequestError, match="see the daemon's log") as failed:
        bench.engine.call("status", {"cwd": str(bench.root)}, bench.cli).result(10)
    assert failed.value.code == "internal"


def test_a_workspace_that_cannot_be_opened_keeps_nothing_open(bench: Bench) -> None:
    """Every hook of every agent tries again: a descriptor each time would be the daemon's end."""
    bench.engine.close()
    folder = bench.locations.workspace_folder(bytes(bench.root))
    folder.mkdir(parents=True)
    (folder / "state.sqlite3").write_bytes(b"not a database, by any means" * 100)
    bench.start()
    counts = []
    for _ in range(3):
        with pytest.raises(sqlite3.Error):
            bench.prompt()
        gc.collect()
        counts.append(len(os.listdir("/dev/fd")))
    assert len(set(counts)) == 1


def test_undo_and_redo_walk_every_decision_across_restarts(bench: Bench) -> None:
    """Back to the first one and forth to the last one, twice, a new daemon at each turn."""
    names = [f"f{n}" for n in range(6)]
    for name in names:
        (bench.root / name).write_bytes(b"one\ntwo\n")
    bench.prompt()
    for n, name in enumerate(names):
        bench.write(name, b"one\nchanged\n", call=f"toolu_{n}")
    trees = [bench.tree()]
    pending = [set(bench.status())]
    for n, name in enumerate(names):
        bench.decide("reject" if n % 2 else "accept", paths=[name])
        trees.append(bench.tree())
        pending.append(set(bench.status()))
    for _ in range(2):
        for step, verb in ((-1, "undo"), (1, "redo")):
            bench.restart()
            walk = range(len(names) - 1, -1, -1) if step < 0 else range(1, len(names) + 1)
            for n in walk:
                assert not bench.call(verb)["refused"]
                assert (bench.tree(), set(bench.status())) == (trees[n], pending[n])
            assert bench.call(verb)["done"] == []


def shape(bench: Bench) -> dict[str, Any]:
    """Returns everything that pends: status, ids, places and owners of each change."""
    keys = ("path", "old_path", "status", "changes")
    return {
        name: (
            [one.get(key) for key in keys],
            [{k: v for k, v in hunk.items() if k != "gen"} for hunk in one["hunks"]],
        )
        for name, one in bench.status().items()
    }


def test_decisions_of_every_kind_are_undone_and_redone_across_restarts(bench: Bench) -> None:
    """Three on one path, one of them of a line; a rename that was edited, and a deletion."""
    lines = [b"line %d\n" % n for n in range(30)]
    for name in ("f", "old", "gone"):
        (bench.root / name).write_bytes(name.encode() + b"\n" + b"".join(lines))
    bench.prompt()
    text = b"f\n" + b"".join(lines)
    for line in (3, 13, 23):
        text = text.replace(b"line %d\n" % line, b"new %d\nmore %d\n" % (line, line))
    bench.write("f", text)

    def moves() -> None:
        (bench.root / "old").rename(bench.root / "new")
        there = (bench.root / "new").read_bytes()
        (bench.root / "new").write_bytes(there.replace(b"line 9\n", b"moved 9\n"))
        (bench.root / "gone").unlink()

    bench.shell(moves)
    assert sorted(bench.status()) == ["f", "gone", "new"]
    first, second, third = (hunk["id"] for hunk in bench.status()["f"]["hunks"])
    decisions: list[tuple[str, dict[str, Any]]] = [
        ("accept", {"hunks": [{"id": first}]}),
        ("reject", {"hunks": [{"id": third, "old": [0, 0], "new": [1, 2]}]}),
        ("reject", {"hunks": [{"id": second}]}),
        ("reject", {"paths": ["new"]}),
        ("accept", {"paths": ["gone"]}),
    ]
    seen = [(bench.tree(), shape(bench))]
    for op, selection in decisions:
        assert bench.decide(op, **selection)["refused"] == []
        seen.append((bench.tree(), shape(bench)))
    assert len({repr(one) for one in seen}) == len(seen)
    for _ in range(2):
        for verb, walk in (("undo", seen[-2::-1]), ("redo", seen[1:])):
            bench.restart()
            for expected in walk:
                assert bench.call(verb)["refused"] == []
                assert (bench.tree(), shape(bench)) == expected
            assert bench.call(verb)["done"] == []
