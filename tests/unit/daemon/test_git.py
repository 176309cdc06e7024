"""Real git commands in a workspace under review, by a person and by an agent."""

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agentdiff.core.entries import git_blob_oid
from agentdiff.core.sessions import TAIL_NS
from tests.unit.daemon.bench import WAIT_S, Bench, Client

LINES = [f"line {n}\n" for n in range(40)]
TEXT = "".join(LINES)
Git = Callable[..., None]


def edited(*changes: tuple[int, str]) -> str:
    """Returns the text with some lines replaced."""
    lines = list(LINES)
    for at, line in changes:
        lines[at] = line
    return "".join(lines)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A repository with two branches; an editor is attached, the agent's tails are over at once."""
    bench = Bench(tmp_path)
    bench.behind_ns = 2 * TAIL_NS
    git(bench, "init", "-q", "-b", "main")
    (bench.root / "a").write_text(TEXT)
    (bench.root / "b").write_text(TEXT)
    git(bench, "add", ".")
    git(bench, "commit", "-qm", "one")
    git(bench, "checkout", "-q", "-b", "other")
    for n in range(20):
        (bench.root / f"other{n}").write_text(f"{n}\n")
    (bench.root / "b").write_text(edited((5, "other\n")))
    git(bench, "add", ".")
    git(bench, "commit", "-qm", "other")
    git(bench, "checkout", "-q", "main")
    bench.call("attach", Client(id="nvim:1:1", kind="nvim"))
    bench.prompt()
    yield bench
    bench.engine.close()


def git(bench: Bench, *arguments: str) -> None:
    """Runs git in the workspace."""
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    command = ["git", *identity, *arguments]
    subprocess.run(command, cwd=bench.root, check=True, capture_output=True)


def settle(bench: Bench, wanted: Callable[[dict[str, dict[str, Any]]], bool]) -> None:
    """Waits until what pends is as wanted: HEAD may move just after the files were told."""
    deadline = time.monotonic() + WAIT_S
    while not wanted(status := bench.status()):
        assert time.monotonic() < deadline, status


def ids(bench: Bench, name: str) -> list[int]:
    """Returns the ids of what pends on a path."""
    return [hunk["id"] for hunk in bench.status()[name]["hunks"]]


def change(bench: Bench) -> None:
    """Lets the agent edit ``a`` twice, create a file and delete none; its turn ends."""
    text = edited((3, "three\n"), (30, "thirty\n"))
    bench.shell(lambda: (bench.root / "a").write_text(text))
    bench.write("new", b"new\n", call="toolu_2")
    bench.hook("Stop")


def test_a_branch_switch_with_pending_hunks_and_back(bench: Bench) -> None:
    """The pending hunks stay as they are, nothing else pends."""
    change(bench)
    before = bench.status()
    git(bench, "checkout", "-q", "other")
    settle(bench, lambda status: set(status) == {"a", "new"})
    assert (bench.root / "other3").exists()
    git(bench, "checkout", "-q", "main")
    settle(bench, lambda status: set(status) == {"a", "new"})
    assert bench.status() == before


def test_stash_and_pop(bench: Bench) -> None:
    """Gone with the stash, back with the pop: same ids, same owners, and still to be rejected."""
    change(bench)
    before = bench.status()
    git(bench, "stash", "-u")
    settle(bench, lambda status: not status)
    git(bench, "stash", "pop")
    settle(bench, lambda status: set(status) == {"a", "new"})
    after = bench.status()
    for name in ("a", "new"):
        assert [(h["id"], h["owners"]) for h in after[name]["hunks"]] == [
            (h["id"], h["owners"]) for h in before[name]["hunks"]
        ]
    bench.decide("reject")
    assert (bench.root / "a").read_text() == TEXT
    assert not (bench.root / "new").exists()


def test_a_new_branch_explains_nothing(bench: Bench) -> None:
    """Who put back what HEAD has, over a person's own lines, is still not known."""
    own = edited((7, "own\n"))
    bench.engine.desk(bytes(bench.root.resolve())).ledger.editors.clear()
    bench.hook("SessionEnd", reason="other")
    (bench.root / "a").write_text(own)
    settle(bench, lambda status: not status)
    bench.call("attach", Client(id="nvim:1:2", kind="nvim"))
    bench.prompt(session="session-2", turn="prompt-2")
    (bench.root / "a").write_text(TEXT)
    settle(bench, lambda status: set(status) == {"a"})
    git(bench, "switch", "-q", "-c", "new")
    assert set(bench.status()) == {"a"}
    bench.decide("reject", paths=["a"])
    assert (bench.root / "a").read_text() == own


def test_a_stash_outlives_a_store_that_is_too_small(bench: Bench) -> None:
    """What may come back is kept like what pends; else a pop would look like the user's."""
    change(bench)
    bench.write("big", b"".join(b"%d\n" % (n * n) for n in range(20_000)), call="toolu_3")
    bench.hook("Stop")
    bench.decide("reject", paths=["big"])
    git(bench, "stash", "-u")
    settle(bench, lambda status: not status)
    bench.restart()
    desk = bench.engine.desk(bytes(bench.root.resolve()))
    desk.upkeep.budget_bytes = 1
    size = desk.blobs.size_bytes
    desk.tidy()
    assert desk.blobs.size_bytes < size / 2
    bench.restart()
    bench.call("attach", Client(id="nvim:1:1", kind="nvim"))
    git(bench, "stash", "pop")
    settle(bench, lambda status: set(status) == {"a", "new"})
    bench.decide("reject")
    assert (bench.root / "a").read_text() == TEXT


def test_a_person_commits_part_of_the_hunks(bench: Bench) -> None:
    """What is in the commit is reviewed; the other hunk pends as before."""
    change(bench)
    first, second = ids(bench, "a")
    part = bench.locations.state / "part"  # staged without touching the file, as `add -p` does
    part.write_text(edited((3, "three\n")))
    git(bench, "hash-object", "-w", "--no-filters", str(part))
    oid = git_blob_oid(part.read_bytes())
    git(bench, "update-index", "--cacheinfo", f"100644,{oid},a")
    git(bench, "commit", "-qm", "part")
    settle(bench, lambda status: [h["id"] for h in status["a"]["hunks"]] == [second])
    assert "new" in bench.status()
    git(bench, "add", "-A")
    git(bench, "commit", "-qm", "all")
    settle(bench, lambda status: not status)
    assert first != second


def test_an_agent_commits_its_own_work(bench: Bench) -> None:
    """Nothing is accepted; what it committed says so."""
    change(bench)
    before = ids(bench, "a")
    bench.shell(lambda: (git(bench, "add", "a"), git(bench, "commit", "-qm", "agent")))
    status = bench.status()
    assert ids(bench, "a") == before
    assert {bool(h["committed"]) for h in status["a"]["hunks"]} == {True}
    assert {bool(h["committed"]) for h in status["new"]["hunks"]} == {False}
    bench.decide("reject")
    assert (bench.root / "a").read_text() == TEXT


def test_an_agent_switches_branches(bench: Bench) -> None:
    """Its checkout pends as one group of its own, which a bulk reject leaves alone."""
    bench.shell(lambda: git(bench, "checkout", "-q", "other"))
    owners = [h["owners"][0] for one in bench.status().values() for h in one["hunks"]]
    assert {(o["kind"], o["agent"]) for o in owners} == {("git", "claude")}
    assert len(owners) == 21
    bench.write("mine", b"agent\n", call="toolu_9")
    bench.decide("reject", all=True)
    assert "mine" not in bench.status()
    assert len(bench.status()) == 21


def test_reset_hard_discards_what_pends(bench: Bench) -> None:
    """A person's command: what the agent wrote is gone, nothing floods the review."""
    change(bench)
    git(bench, "reset", "-q", "--hard")
    settle(bench, lambda status: set(status) == {"new"})


def test_a_rebase_moves_the_base_along(bench: Bench) -> None:
    """With a pending file that upstream did not touch."""
    bench.write("new", b"new\n", call="toolu_2")
    bench.hook("Stop")
    (bench.root / "c").write_text("c\n")
    git(bench, "add", "c")
    git(bench, "commit", "-qm", "c")
    settle(bench, lambda status: "c" not in status)
    git(bench, "rebase", "-q", "other")
    settle(bench, lambda status: set(status) == {"new"})
    bench.write("b", b"agent\n", call="toolu_3")
    bench.decide("reject", paths=["b"])
    assert (bench.root / "b").read_text() == edited((5, "other\n"))


def test_git_mv_is_a_rename(bench: Bench) -> None:
    """Shown and decided as one."""
    bench.shell(lambda: git(bench, "mv", "a", "moved"))
    (one,) = bench.status().values()
    assert (one["status"], one["path"], one["old_path"]) == ("renamed", "moved", "a")
    bench.decide("reject", paths=["moved"])
    assert (bench.root / "a").read_text() == TEXT
    assert not (bench.root / "moved").exists()


def test_a_repository_whose_contents_cannot_be_recognised_says_so(tmp_path: Path) -> None:
    """The status names it beside the gaps, and the daemon's status of the workspace too."""
    bench = Bench(tmp_path)
    try:
        git(bench, "init", "-q", "--object-format=sha256")
        coverage = bench.call("status")["coverage"]
        [workspace] = bench.engine.describe()["workspaces"]  # type: ignore[misc]
    finally:
        bench.engine.close()
    wanted = "the repository names its objects by sha256"
    assert [one["path"] for one in coverage if wanted in one["reason"]] == [""]
    assert wanted in workspace["git_problem"]
