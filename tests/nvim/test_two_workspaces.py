"""One Neovim, its working directory in one workspace, and a file of another one."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from nvim_driver import Editor
from scripted_agent import Agent

SHOWN = "vim.b.agentdiff_status_dict and vim.b.agentdiff_status_dict.hunks == "


@pytest.fixture
def other(workspace: Path, tmp_path: Path) -> Iterator[Path]:
    """Another work tree with the same files."""
    root = tmp_path / "other"
    shutil.copytree(workspace, root)
    subprocess.run(["git", "status", "-s"], cwd=root, check=True)
    yield root
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def elsewhere(reviewer: Editor, agent: Agent, other: Path) -> Editor:
    """The other tree's ``a.txt``, where ``fifteen`` pends, as ``ten`` does in the first's."""
    agent.edit("a.txt", "line 10\n", "ten\n")
    Agent(other).edit("a.txt", "line 15\n", "fifteen\n")
    reviewer.wait(SHOWN + "1")
    reviewer.command(f"edit {other}/a.txt")
    reviewer.wait(SHOWN + "1")
    return reviewer


def test_undo_walks_over_workspaces(elsewhere: Editor, workspace: Path, other: Path) -> None:
    """It takes back the last decision, wherever that was made, and redo repeats it."""

    def texts() -> tuple[bool, bool]:
        return (
            "ten\n" in (workspace / "a.txt").read_text(),
            "fifteen\n" in (other / "a.txt").read_text(),
        )

    elsewhere.command("edit a.txt")
    elsewhere.command("10AgentDiff reject")
    elsewhere.command("edit #")
    elsewhere.command("15AgentDiff reject")
    seen, said = [texts()], []
    for verb, columns in (("undo", 400), ("undo", 400), ("redo", 50), ("redo", 50)):
        elsewhere.command(f"set columns={columns}")
        said.append(elsewhere.command(f"AgentDiff {verb}").splitlines()[-1])
        seen.append(texts())
    none, second, both = (False, False), (False, True), (True, True)
    assert seen == [none, second, both, second, none]
    there = f"undo: 1 file in {workspace}"
    short = f"redo: 1 file in {elsewhere.nvim.funcs.pathshorten(str(workspace))}"
    assert said == ["undo: 1 file", there, short, "redo: 1 file"]
    assert elsewhere.told("AgentDiff redo") == "agentdiff: nothing to redo"


def test_undo_of_a_decision_before_this_start(
    elsewhere: Editor, spawn: Callable[..., Editor], workspace: Path, other: Path
) -> None:
    """Another Neovim knows no order: the workspace of its buffer's file is meant."""
    elsewhere.command("15AgentDiff reject")
    later = spawn(
        f"{other}/a.txt", cwd=workspace, config="let g:agentdiff = #{auto_attach: v:false}"
    )
    later.command("AgentDiff undo")
    assert "fifteen\n" in (other / "a.txt").read_text()


def test_turns_of_the_files_own_workspace_are_offered(elsewhere: Editor, other: Path) -> None:
    """``:AgentBaseline list`` restores the file to what was shown of that turn."""
    second = Agent(other)
    second.prompt("Once more")
    second.edit("a.txt", "line 1\n", "one\n")
    elsewhere.wait(SHOWN + "2")
    offered = elsewhere.lua(
        """
        local offered
        vim.ui.select = function(items, _, choose)
          offered = vim.tbl_map(function(item) return item.prompt end, items)
          choose(items[1])
        end
        vim.cmd('AgentBaseline list')
        return offered
        """
    )
    start = "Please change things"
    assert offered == ["Once more", start, start]
    lines = (other / "a.txt").read_text().splitlines()
    assert (lines[0], lines[14]) == ("line 1", "fifteen")


def test_a_turn_whose_id_two_sessions_have_is_restored(
    reviewer: Editor, agent: Agent, workspace: Path
) -> None:
    """The choice says whose turn it is."""
    agent.edit("a.txt", "line 10\n", "ten\n")
    for name, line in (("one", "fifteen"), ("two", "sixteen")):
        session = Agent(workspace, name)
        session._common["prompt_id"] = "same"
        session.prompt(f"Do {name}")
        session.edit("a.txt", f"line {15 if name == 'one' else 16}\n", f"{line}\n")
    reviewer.wait(SHOWN + "2")
    reviewer.lua(
        """
        vim.ui.select = function(items, _, choose) choose(items[1]) end
        vim.cmd('AgentBaseline list')
        """
    )
    lines = (workspace / "a.txt").read_text().splitlines()
    assert [lines[9], *lines[14:16]] == ["ten", "fifteen", "line 16"]


def test_turns_of_where_one_was_are_restored(
    elsewhere: Editor, workspace: Path, other: Path
) -> None:
    """The whole tree that was asked for is meant, wherever the choice is made."""
    elsewhere.lua(
        """
        vim.ui.select = function(items, _, choose)
          vim.cmd.cd(...)
          choose(items[1])
        end
        vim.cmd('AgentBaseline! list')
        """.replace("...", f"'{other}'")
    )
    texts = [(tree / "a.txt").read_text() for tree in (workspace, other)]
    assert ["ten\n" in texts[0], "fifteen\n" in texts[1]] == [False, True]
