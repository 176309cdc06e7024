"""What stands behind a subcommand: what it does not take, paths, and what completes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from nvim_driver import Editor
from scripted_agent import Agent

HUNKS = "vim.b.agentdiff_status_dict and vim.b.agentdiff_status_dict.hunks == "
NOT_TAKEN = {
    "AgentDiff undo 3": "undo: unknown argument 3",
    "AgentDiff next 3": "next: unknown argument 3",
    "AgentDiff qf foo": "qf: unknown argument foo",
    "AgentDiff log foo": "log: unknown argument foo",
    "AgentDiff status b.txt": "status: unknown argument b.txt",
    "AgentDiff feedback x": "feedback: unknown argument x",
    "AgentDiff inline on off": "inline: unknown argument off",
    "AgentDiff follow on off": "follow: unknown argument off",
    "AgentDiff pick select x": "pick: unknown argument x",
    "AgentDiff! undo": "undo: no ! allowed",
    "AgentDiff!": "review: no ! allowed",
    "1AgentDiff undo": "undo: no range allowed",
    "AgentBaseline show foo": "show: unknown argument foo",
    "AgentBaseline! clear": "clear: no ! allowed",
    "1,1AgentBaseline set": "set: no range allowed",
    "AgentDiff review group=": "group: expected one of turn, session, agent, file, not nothing",
    "AgentDiff filter turn=": "turn: expected a value, not nothing",
    "AgentDiff filter turn=1 turn=2": "turn: given twice",
    "AgentDiff reject file call=t1": "reject: call=t1 only with `all`",
    "AgentDiff reject agent=x why": "reject: agent=x only with `all`",
    "AgentDiff reject hunk discard-user turn=1": "reject: turn=1 only with `all`",
    "AgentDiff accept group session=x": "accept: session=x only with `all`",
    "AgentDiff! accept hunk": "accept: ! means all, not hunk",
    "AgentDiff! reject file": "reject: ! means all, not file",
    "AgentBaseline restore turn=": "turn: expected a value, not nothing",
    "AgentDiff filter path=%": "path: there is no file name for %",
    "AgentDiff filter path=*.txt": r"path: expected one file or folder, not *.txt (\* is a *)",
    "AgentDiff filter path=`echo`": "path: a ` in a name needs a backslash; nothing is run",
}
PATHS = {
    "../b.txt": ["b.txt"],
    "%": ["a.txt"],
    "../../link/b.txt": ["b.txt"],
    r"in\ here.txt": ["sub/in here.txt"],
    r"50\%.txt": ["sub/50%.txt"],
    ".": ["sub/50%.txt", "sub/in here.txt"],
    "%:h": ["a.txt", "b.txt", "sub/50%.txt", "sub/in here.txt"],
    "../sub/": ["sub/50%.txt", "sub/in here.txt"],
    "nothing": [],
}
OFFERED = {
    "AgentDiff follow on o": [],
    "AgentDiff undo ": [],
    "AgentDiff filter agent=x gr": ["group="],
    "AgentDiff filter c": ["call="],
    "AgentDiff reject all c": ["call="],
    "AgentDiff! reject c": ["call="],
    "AgentDiff reject file c": [],
    "AgentDiff accept hunk agent=": [],
    "AgentDiff accept ag": [],
    "AgentDiff qf | cope": ["copen"],
    "AgentDiff qf |cope": ["|copen"],
    "AgentDiff next|cope": ["next|copen"],
    "AgentDiff|cope": ["|copen"],
    "AgentDiff!acc": ["accept"],
    "AgentBaseline!rest": ["restore"],
    "AgentDiff next | set winfixb": ["winfixbuf"],
    "AgentDiff qf | AgentBaseline se": ["set"],
    "AgentBaseline set | AgentDiff unl": [],
    "AgentBaseline set | AgentDiff und": ["undo"],
    "AgentDiff comment see AgentDiff | cope": [],
    "AgentDiff reject hunk see | cope": [],
}


def completed(editor: Editor, typed: str) -> list[str]:
    """Returns what ``<Tab>`` offers behind a command line."""
    return list(editor.lua("return vim.fn.getcompletion(..., 'cmdline')", typed))


def test_what_a_command_does_not_take(editor: Editor) -> None:
    """It is named, and nothing is done: who wrote it would believe that it was heeded."""
    told = {command: editor.told(command).removeprefix("agentdiff: ") for command in NOT_TAKEN}
    assert told == NOT_TAKEN
    assert editor.lua("return require('agentdiff.rpc').used()") is False


@pytest.fixture
def below(reviewer: Editor, agent: Agent, workspace: Path) -> Editor:
    """An editor whose working directory is ``sub``, with changes in it and above."""
    (workspace / "sub").mkdir()
    agent.write("sub/in here.txt", "new\n")
    agent.write("sub/50%.txt", "new\n")
    agent.edit("b.txt", "two\n", "zwei\n")
    agent.edit("a.txt", "line 10\n", "ten\n")
    reviewer.wait(HUNKS + "1")
    (workspace.parent / "link").symlink_to(workspace)
    reviewer.command("cd sub")
    return reviewer


def test_a_path_is_one_of_the_working_directory(below: Editor) -> None:
    """Files and folders, as everywhere in Vim; also those that a link leads to."""
    found = {}
    for path in PATHS:
        below.command(f"AgentDiff filter group=file path={path}")
        files = [line.split("  +")[0] for line in below.lines() if "  +" in line]
        found[path] = [line.split(" ", 1)[1] for line in files]
        below.command("buffer a.txt")
    assert found == PATHS


def test_a_path_that_is_somewhere_else(below: Editor, workspace: Path) -> None:
    """It is said, and the review is not opened."""
    told = below.told("AgentDiff filter path=../../other")
    shown = below.lua("return vim.fn.expand('%:t')")
    assert (told, shown) == (
        f"agentdiff: {workspace.parent}/other is outside the workspace {workspace}",
        "a.txt",
    )
    below.command("AgentDiff")
    told = below.told("AgentDiff filter path=%")
    assert told == f"agentdiff: path: agentdiff://{workspace} is no file"


def test_a_filter_stays_with_the_next_grouping(below: Editor) -> None:
    """``gs`` and a limit: wherever the working directory goes, the path is the same file."""
    below.command(r"AgentDiff filter group=file path=in\ here.txt | cd /")
    below.keys("gs")
    assert [line for line in below.lines() if "here.txt" in line] == [
        "created sub/in here.txt  +1 -0"
    ]
    assert "path=sub/in here.txt" in below.lua("return vim.wo.winbar")


def test_completion_of_paths(below: Editor, workspace: Path) -> None:
    """What is offered is what can be typed: it means that file."""
    files = completed(below, "AgentDiff filter path=")
    above = completed(below, "AgentDiff review path=../b")
    expanded = completed(below, "AgentDiff filter path=%:h/b")
    assert files == [r"path=50\%.txt", r"path=in\ here.txt"]
    assert completed(below, r"AgentDiff filter path=in\ h") == [r"path=in\ here.txt"]
    assert (above, expanded) == (["path=../b.txt"], [f"path={workspace}/b.txt"])


def test_completion_of_what_pends(below: Editor) -> None:
    """Agents, sessions and turns, from what is shown already."""
    assert completed(below, "AgentDiff accept all agent=") == ["agent=claude"]
    assert completed(below, "AgentDiff filter turn=") == []
    below.command("AgentDiff")
    sessions = completed(below, "AgentDiff filter session=")
    assert [one.startswith("session=session-") for one in sessions] == [True]
    assert completed(below, "AgentDiff reject all turn=") == ["turn=1"]
    assert completed(below, "AgentBaseline restore turn=") == ["turn=1"]
    assert completed(below, "AgentDiff review group=s") == ["group=session"]


def test_completion_knows_where_it_is(editor: Editor) -> None:
    """Behind a bar it is another command, unless that is text of the user's."""
    assert {typed: completed(editor, typed) for typed in OFFERED} == OFFERED


def test_a_comment_needs_a_file(spawn: Callable[..., Editor], agent: Agent) -> None:
    """With a range, too, it is said that the buffer is not under review."""
    editor = spawn(cwd=agent.workspace)
    for where in ("enew", "help", "new | setlocal buftype=nofile | file notes"):
        editor.command(where)
        told = editor.told("1,1AgentDiff comment hi")
        assert told == "agentdiff: this buffer is not under review"
