"""The claims that hold after whatever an agent did, each checked through the command line only.

Owns the meaning of "every change is pending, attributed, and can be kept or undone to the byte".
Must not know what a scenario did: the truth comes from the disk (`e2e.tree`) and from the script
(`e2e.model_server`). Every claim leaves the review as it found it, so that claims can be checked in
any order.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from e2e import tree
from e2e.driver import path_of
from e2e.model_server import ScriptedCall
from e2e.rig import Rig, Turn

Claim: TypeAlias = "Callable[[Review], None]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A rig after the agent's run.

    Attributes:
        base: what ``reject --all`` must bring back: the baseline with the user's own edits.
        now: what the agent and the user left on disk.
        turns: the turns of the agent, oldest first.
        git_names: what was inside ``.git`` before the run.
    """

    rig: Rig
    base: tree.Tree
    now: tree.Tree
    turns: tuple[Turn, ...]
    git_names: frozenset[bytes]

    def calls_by_path(self) -> dict[bytes, dict[str, tuple[ScriptedCall, Turn]]]:
        """Returns, for each path that the script says will be pending, its calls by id."""
        found: dict[bytes, dict[str, tuple[ScriptedCall, Turn]]] = {}
        logged = self.rig.log()
        for turn in self.turns:
            for scripted in turn.agent.known_ids(turn, logged):
                for path in scripted.call.touches:
                    found.setdefault(path, {})[scripted.id] = (scripted, turn)
        return found


def pending_is_what_changed(review: Review) -> None:
    """Exactly the paths that differ on disk from the base are pending, each with what differs."""
    status = review.rig.status()
    files = {path_of(file): file for file in status["files"]}
    moved_from = {path_of(f, "old_path") for f in status["files"] if f.get("old_path")}
    assert sorted(files.keys() | moved_from) == sorted(tree.changed(review.base, review.now))
    for path, file in files.items():
        was, now = review.base.get(path), review.now.get(path)
        if not file.get("old_path"):
            expected = "created" if was is None else "deleted" if now is None else "modified"
            assert (path, file["status"]) == (path, expected)
        if was is not None and now is not None:
            assert (path, "mode" in file["changes"]) == (path, was.mode != now.mode)
            content = {"text", "binary", "eol"} & set(file["changes"])
            assert (path, bool(content)) == (path, was.data != now.data)
        assert (path, file["coverage"]) == (path, "exact")
    assert status["totals"]["files"] == len(files)
    assert status["totals"]["hunks"] == sum(len(file["hunks"]) for file in files.values())
    assert status["settled"] is True


def pending_names_its_calls(review: Review) -> None:
    """Every hunk names agent, session, turn, prompt and tool call, and they are the scripted."""
    status = review.rig.status()
    prompts = {
        (session["agent"], session["id"], turn["id"]): turn["prompt"]
        for session in status["sessions"]
        for turn in session["turns"]
    }
    calls = review.calls_by_path()
    for file in status["files"]:
        path = path_of(file)
        assert file["hunks"], file
        named = set()
        for owner in (owner for hunk in file["hunks"] for owner in hunk["owners"]):
            assert owner["tool_call"] in calls[path], (path, owner)
            scripted, turn = calls[path][owner["tool_call"]]
            who = (path, owner["kind"], owner["agent"], owner["session"], owner["tool"])
            tool = scripted.call.reported
            assert who == (path, "agent", turn.agent.name, turn.session, tool)
            assert prompts[turn.agent.name, turn.session, owner["turn"]] == turn.prompt
            assert (path, bool(owner["subagent"])) == (path, scripted.subagent)
            assert owner["evidence"] in scripted.call.evidence, (path, owner)
            named.add(owner["tool_call"])
        assert (path, named) == (path, set(calls[path]))


def patch_turns_base_into_now(review: Review) -> None:
    """``agentdiff diff``, applied by git to a copy of the base, gives the tree byte for byte."""
    patch = review.rig.agentdiff("diff")
    with tempfile.TemporaryDirectory(dir=review.rig.outside) as copy:
        tree.restore(review.base, os.fsencode(copy))
        environment = {**review.rig.environment(), "GIT_CEILING_DIRECTORIES": os.path.dirname(copy)}
        done = subprocess.run(
            ["git", "apply", "--whitespace=nowarn", "-"],
            input=patch,
            cwd=copy,
            env=environment,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, (done.stderr, patch)
        made = tree.files(tree.walk(os.fsencode(copy)))
    expected = tree.files(review.now)
    as_git = {path: node.as_git_sees_it for path, node in made.items()}
    assert as_git == {path: node.as_git_sees_it for path, node in expected.items()}, patch


def reject_restores_base(review: Review) -> None:
    """``reject --all`` brings content, mode and existence of every path back, folders included."""
    with _decided(review, "reject"):
        now = review.rig.tree()
        assert now == review.base, tree.describe(review.base, now)
        assert review.rig.status()["files"] == []


def undo_brings_the_agents_version_back(review: Review) -> None:
    """``undo`` after ``reject --all`` restores the disk and everything pending, with its owners."""
    before = _pending(review)
    review.rig.agentdiff("reject", "--all")
    review.rig.agentdiff("undo")
    now = review.rig.tree()
    assert now == review.now, tree.describe(review.now, now)
    assert _pending(review) == before


def accept_leaves_the_disk(review: Review) -> None:
    """``accept --all`` changes nothing on disk and leaves nothing pending and an empty diff."""
    with _decided(review, "accept"):
        now = review.rig.tree()
        assert now == review.now, tree.describe(review.now, now)
        assert review.rig.status()["files"] == []
        assert review.rig.agentdiff("diff", expect=1) == b""


def log_names_every_call(review: Review) -> None:
    """``log --json`` has every call that matters, once, with its prompt, its paths and its end."""
    logged: dict[str, dict[str, Any]] = {}
    for entry in review.rig.log():
        assert entry["tool_call"] not in logged, entry
        logged[entry["tool_call"]] = entry
    for turn in review.turns:
        for scripted in turn.agent.known_ids(turn, list(logged.values())):
            if not scripted.call.touches and not scripted.call.outcome:
                continue
            entry = logged[scripted.id]
            assert (entry["agent"], entry["session"]) == (turn.agent.name, turn.session)
            assert (entry["prompt"], entry["tool"]) == (turn.prompt, scripted.call.reported)
            assert set(scripted.call.touches) <= set(map(path_of, entry["paths"])), entry
            assert scripted.call.outcome in ("", entry["outcome"]), entry


def review_survives_a_restart(review: Review) -> None:
    """Everything pending, ids included, is the same after the daemon was stopped."""
    before = review.rig.status()["files"]
    review.rig.agentdiff("daemon", "stop")
    assert review.rig.status()["files"] == before


def git_gained_nothing(review: Review) -> None:
    """No file was added inside ``.git``, but by the agent itself."""
    agents = (review.rig.agent, *review.rig.others)
    theirs = frozenset[bytes]().union(*(agent.own_in_git for agent in agents))
    assert review.rig.git_names() - review.git_names <= theirs


def hunk_lines(patch: bytes) -> list[str]:
    """Returns the added and removed lines of a unified diff, with their sign, lossily decoded."""
    lines, left = [], [0, 0]
    for line in patch.split(b"\n"):
        header = re.match(rb"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@", line)
        if header and left == [0, 0]:
            left = [int(1 if count is None else count) for count in header.groups()]
        elif left != [0, 0] and line[:1] in b"-+ ":
            left = [left[0] - (line[:1] != b"+"), left[1] - (line[:1] != b"-")]
            if line[:1] != b" ":
                lines.append(line.decode("utf-8", "replace"))
    return lines


def _pending(review: Review) -> dict[bytes, tuple[str, list[Any]]]:
    """Returns what is pending without what every decision renews (ids, generations)."""
    return {
        path_of(file): (
            file["status"],
            [{k: v for k, v in hunk.items() if k not in ("id", "gen")} for hunk in file["hunks"]],
        )
        for file in review.rig.status()["files"]
    }


@contextmanager
def _decided(review: Review, operation: str) -> Iterator[None]:
    """Decides everything for the time of the block, then takes the decision back."""
    review.rig.agentdiff(operation, "--all")
    try:
        yield
    finally:
        review.rig.agentdiff("undo")
