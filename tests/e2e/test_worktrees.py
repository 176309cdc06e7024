"""Claude Code in work trees of its own: each has its own review, the user's tree has another."""

from __future__ import annotations

import json
from pathlib import Path

from e2e import tree
from e2e.agent_claude import ClaudeCode
from e2e.case import TEN, played
from e2e.claims import path_of
from e2e.driver import Launch, said, step, steps
from e2e.model_server import Call, Scenario, Step
from e2e.rig import Rig, Turn

FILES = {b"a.txt": TEN, b"gone.txt": b"gone\n"}


class _InWorktree(ClaudeCode):
    """Claude Code, started in a work tree that it makes."""

    def command(self, launch: Launch) -> list[str]:
        """See `Driver.command`."""
        return [*ClaudeCode.command(self, launch), "--worktree", "side"]


def test_a_session_in_a_worktree(claude: ClaudeCode) -> None:
    """``claude --worktree``: nothing pends in the user's tree."""
    with Rig(agent=_InWorktree(claude.program), kind="git") as rig:
        rig.prepare(FILES)
        rig.install_hooks()
        side = _folders(rig) / "side"
        (turn,) = played(rig, *_work(rig, side))
        assert _pending(rig, rig.workspace, turn) == set()
        _check_side(rig, side, turn)


def test_a_session_that_enters_a_worktree(claude: ClaudeCode) -> None:
    """``EnterWorktree``: what it did before stays where it was done."""
    with Rig(agent=claude, kind="git") as rig:
        rig.prepare(FILES)
        rig.install_hooks()
        side = _folders(rig) / "side"
        (turn,) = played(
            rig,
            *steps(
                claude.read(rig.workspace, b"a.txt"),
                claude.edit(rig.workspace, b"a.txt", "line 9\n", "line nine\n"),
                Call(tool="EnterWorktree", input={"name": "side"}),
            ),
            *_work(rig, side),
        )
        assert _pending(rig, rig.workspace, turn) == {b"a.txt"}
        _check_side(rig, side, turn)
        assert (rig.workspace / "a.txt").read_bytes() == TEN.replace(b"line 9\n", b"line nine\n")
        rig.agentdiff("reject", "--all")
        assert (rig.workspace / "a.txt").read_bytes() == TEN


def test_a_subagent_in_a_worktree(claude: ClaudeCode) -> None:
    """``isolation: worktree``, while its parent works in the user's tree."""
    with Rig(agent=claude, kind="git") as rig:
        rig.prepare(FILES)
        rig.install_hooks()
        # It is told its folder when it is started, and the script cannot know its name before.
        call, track = claude.subagent("ALPHA", *_work(rig, Path()))
        assert not isinstance(call.input, str)
        isolated = Call(tool=call.tool, input={**call.input, "isolation": "worktree"})
        scenario = Scenario(
            steps=said(
                step(isolated),
                step(claude.read(rig.workspace, b"a.txt")),
                step(claude.edit(rig.workspace, b"a.txt", "line 9\n", "line nine\n")),
            ),
            tracks=(track,),
        )
        with rig.run(scenario) as run:
            pass
        (side,) = _folders(rig).iterdir()
        assert _pending(rig, rig.workspace, run.turn) == {b"a.txt"}
        _check_side(rig, side, run.turn)
        rig.agentdiff("reject", "--all")
        assert (rig.workspace / "a.txt").read_bytes() == TEN


def _folders(rig: Rig) -> Path:
    """Returns where Claude Code makes its work trees."""
    return rig.workspace / ".claude" / "worktrees"


def _work(rig: Rig, side: Path) -> tuple[Step, ...]:
    """Returns messages that edit a file and run a command in a work tree."""
    agent = rig.agent
    return said(
        step(agent.read(side, b"a.txt")),
        step(agent.edit(side, b"a.txt", "line 2\n", "line two\n")),
        step(agent.bash("rm gone.txt; echo new > new.txt", b"gone.txt", b"new.txt")),
    )


def _check_side(rig: Rig, side: Path, turn: Turn) -> None:
    """What the work tree's review holds is what was done there; it can be taken back."""
    assert _pending(rig, side, turn) == {b"a.txt", b"gone.txt", b"new.txt"}
    (told,) = json.loads(rig.agentdiff("status", "--json"))["inside"]
    assert (told["workspace"], told["files"]) == (str(side), 3)
    rig.agentdiff("-C", str(side), "reject", "--all")
    left = tree.files(tree.walk(bytes(side)))
    assert {path: node.data for path, node in left.items()} == FILES
    assert _pending(rig, side, turn) == set()


def _pending(rig: Rig, folder: Path, turn: Turn) -> set[bytes]:
    """Returns what pends in a workspace, all of it by calls of the turn."""
    calls = {scripted.id for scripted in turn.scenario.calls()}
    files = json.loads(rig.agentdiff("-C", str(folder), "status", "--json"))["files"]
    for owner in (owner for file in files for hunk in file["hunks"] for owner in hunk["owners"]):
        assert (owner["agent"], owner["session"]) == ("claude", turn.session), owner
        assert owner["tool_call"] in calls, owner
    return {path_of(file) for file in files}
