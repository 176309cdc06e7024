"""Which lines a decision or a comment is about: selected ones, also among unsaved edits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from nvim_driver import Editor
from scripted_agent import Agent
from test_review import on_line, open_review

SHOWN = "vim.b.agentdiff_status_dict and vim.b.agentdiff_status_dict.hunks == "
REQUESTS = """
local rpc = require('agentdiff.rpc')
local wait = rpc.wait
rpc.wait = function(kind, payload)
  if kind == 'request' and payload.method == 'comment' then
    vim.g.lines = payload.params.lines or payload.params.hunk
  end
  return wait(kind, payload)
end
"""


def test_keys_typed_ahead_wait_for_the_decision(
    reviewer: Editor, agent: Agent, workspace: Path
) -> None:
    """``VxGkVx`` at once, as a macro does: each ``x`` is about its own line."""
    agent.edit("a.txt", "line 10\nline 11\n", "ten\neleven\n")
    agent.edit("b.txt", "two\n", "zwei\n")
    expected = (workspace / "a.txt").read_text().replace("ten\n", "", 1)
    open_review(reviewer)
    on_line(reviewer, "+ten")
    reviewer.keys("VxGkVx")
    texts = tuple((workspace / name).read_text() for name in ("a.txt", "b.txt"))
    assert texts == (expected, "one\nthree\n")


def test_the_selection_can_be_selected_again(reviewer: Editor, agent: Agent) -> None:
    """A decision leaves Visual mode as ``<Esc>`` does: ``gv`` knows the lines."""
    agent.edit("a.txt", "line 10\n", "ten\n")
    reviewer.wait(SHOWN + "1")
    reviewer.keys("10GVj<Plug>(agentdiff-accept-hunk)")
    marks = reviewer.lua("return { vim.fn.mode(), vim.fn.line([['<]]), vim.fn.line([['>]]) }")
    assert marks == ["n", 10, 11]


@pytest.fixture
def edited(reviewer: Editor, agent: Agent, workspace: Path) -> Editor:
    """An agent's line 10, and unsaved: two lines below it, one above line 1."""
    agent.edit("a.txt", "line 10\n", "ten\n")
    reviewer.wait(SHOWN + "1")
    reviewer.nvim.api.buf_set_lines(0, 10, 10, False, ["mine 1", "mine 2"])
    reviewer.nvim.api.buf_set_lines(0, 0, 0, False, ["top"])
    reviewer.lua(REQUESTS)
    return reviewer


def test_own_unsaved_lines_are_nobodys_hunk(edited: Editor, workspace: Path) -> None:
    """Neither the line above them is decided nor anything else."""
    before = (workspace / "a.txt").read_text()
    told = [edited.told(f"{lines}AgentDiff reject") for lines in ("12,13", "1")]
    assert (told, (workspace / "a.txt").read_text()) == (["agentdiff: no hunk here"] * 2, before)
    edited.command("11,13AgentDiff reject")
    assert (workspace / "a.txt").read_text() == before.replace("ten", "line 10")


@pytest.mark.parametrize(
    ("lines", "expected"), [("1,11", [1, 10]), ("11,13", [10, 10]), ("12,15", [11, 12])]
)
def test_a_comment_is_about_lines_of_the_disk(edited: Editor, lines: str, expected: Any) -> None:
    """Whatever stands above them unsaved."""
    edited.command(f"{lines}AgentDiff comment look here")
    assert edited.lua("return vim.g.lines") == expected


def test_lines_are_mapped_both_ways(editor: Editor, tmp_path: Path) -> None:
    """Lines of the buffer that are not on disk: inserted, in the place of others, at both ends."""
    (tmp_path / "x.txt").write_text("a\nb\nc\nd\n")
    editor.command(f"edit {tmp_path}/x.txt")
    editor.nvim.api.buf_set_lines(0, 0, -1, False, ["0", "a", "B", "B2", "d", "z"])
    found = [
        editor.lua(
            "return { require('agentdiff.linemap').of(0 + vim.fn.bufnr()).to_disk(...) }", *lines
        )
        for lines in [(1, 1), (1, 2), (3, 3), (4, 4), (2, 6), (5, 6), (6, 6)]
    ]
    assert found == [[], [1, 1], [2, 2], [3, 3], [1, 4], [4, 4], []]
