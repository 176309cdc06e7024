"""What the user types and saves in Neovim never becomes pending."""

from __future__ import annotations

from pathlib import Path

import pytest
from nvim_driver import Editor
from scripted_agent import Agent
from test_review import pending

BEFORE = "".join(f"line {n}\n" for n in range(1, 21))


def save(editor: Editor, line: int, text: str) -> None:
    """Types over a line and saves, as a person does."""
    editor.keys(f"{line}Gcc{text}<Esc>:silent write<CR>")


def test_a_save_between_tool_calls_does_not_pend(
    reviewer: Editor, agent: Agent, workspace: Path
) -> None:
    """The user's lines survive rejecting everything."""
    agent.edit("a.txt", "line 10\n", "ten\n")
    reviewer.wait("vim.fn.getline(10) == 'ten'")
    save(reviewer, 1, "mine")
    hunks = pending(reviewer)
    reviewer.command("AgentDiff! reject")
    expected = BEFORE.replace("line 1\n", "mine\n", 1)
    assert (1, expected) == (hunks, (workspace / "a.txt").read_text())


def test_a_save_during_a_shell_command_does_not_pend(
    reviewer: Editor, agent: Agent, workspace: Path
) -> None:
    """While a Bash call is open, a claimed write is still the user's."""
    with agent.tool("Bash", command="make"):
        save(reviewer, 1, "mine")
        (workspace / "b.txt").write_text("one\nzwei\nthree\n")
    hunks = pending(reviewer)
    reviewer.command("AgentDiff! reject")
    seen = ((workspace / "a.txt").read_text(), (workspace / "b.txt").read_text())
    expected = (1, (BEFORE.replace("line 1\n", "mine\n", 1), "one\ntwo\nthree\n"))
    assert expected == (hunks, seen)


def test_a_formatter_on_write_is_the_users(reviewer: Editor, agent: Agent) -> None:
    """A handler that changes the text before the write changes what is claimed."""
    reviewer.lua(
        """
        vim.api.nvim_create_autocmd('BufWritePre', { callback = function()
          vim.cmd([[keeppatterns %s/mine/MINE/e]])
        end })
        """
    )
    with agent.tool("Bash", command="sleep"):
        save(reviewer, 1, "mine")
    assert (pending(reviewer), reviewer.lines()[0]) == (0, "MINE")


@pytest.mark.parametrize(
    "options", ["fileformat=dos", "fileencoding=latin1", "bomb", "noeol nofixeol"]
)
def test_every_kind_of_write_is_proved(
    reviewer: Editor, agent: Agent, workspace: Path, options: str
) -> None:
    """The claimed bytes are those on disk, whatever the file's options."""
    with agent.tool("Bash", command="sleep"):
        reviewer.command(f"setlocal {options}")
        save(reviewer, 1, "caf\u00e9")
    assert pending(reviewer) == 0


def test_a_new_file_of_the_user_does_not_pend(
    reviewer: Editor, agent: Agent, workspace: Path
) -> None:
    """``:edit new`` and ``:write`` while an agent works."""
    with agent.tool("Bash", command="sleep"):
        reviewer.command("edit new.txt")
        save(reviewer, 1, "mine")
    hunks = pending(reviewer)
    reviewer.command("AgentDiff! reject")
    assert (hunks, (workspace / "new.txt").read_text()) == (0, "mine\n")


def test_saves_without_a_daemon_are_claimed_when_it_is_back(
    reviewer: Editor, agent: Agent, home: Path
) -> None:
    """What was saved meanwhile is proved as soon as somebody listens."""
    agent.edit("a.txt", "line 10\n", "ten\n")
    reviewer.wait("vim.fn.getline(10) == 'ten'")
    pid = int((home / "state/agentdiff/daemon.lock").read_text().split()[0])
    reviewer.lua("vim.uv.kill(..., 'sigterm')", pid)
    reviewer.wait("require('agentdiff.status').is_stale()")
    save(reviewer, 1, "mine")
    assert pending(reviewer) == 1


def test_parts_that_are_written_or_appended_are_the_users(
    reviewer: Editor, agent: Agent, workspace: Path
) -> None:
    """``:3,$write part`` and ``:write >> part`` while an agent works, whatever the options."""
    kinds = ["fileencoding=utf-8", "fileformat=dos", "bomb", "nobomb fileencoding=utf-16", "noeol"]
    with agent.tool("Bash", command="make"):
        for n, options in enumerate(kinds):
            reviewer.command(f"setlocal fileformat=unix {options}")
            reviewer.command(f"silent 3,$write part{n}.txt | silent 2,3write >> part{n}.txt")
        reviewer.command("setlocal fileencoding=utf-8 | silent 1,2write >> b.txt")
        reviewer.command("set nofixeol | silent write >> b.txt")
        reviewer.command("silent 1,15write! %")
    text = (workspace / "b.txt").read_text()
    assert (pending(reviewer), text) == (0, f"one\ntwo\nthree\nline 1\nline 2\n{BEFORE[:-1]}")
