"""Mappings that are about a hunk of a file do in the review what a person expects there."""

from __future__ import annotations

from pathlib import Path

import pytest
from nvim_driver import Editor, wait_for
from scripted_agent import Agent
from test_actions import FLOAT, press
from test_review import BEFORE, on_line, open_review

SHOWN = "vim.b.agentdiff_status_dict and vim.b.agentdiff_status_dict.hunks == "


@pytest.fixture
def review(reviewer: Editor, agent: Agent) -> Editor:
    """A review of two hunks of ``a.txt``, and of ``b.txt``, which the agent deleted."""
    agent.edit("a.txt", "line 5\n", "five\n")
    agent.edit("a.txt", "line 15\n", "fifteen\n")
    agent.shell("rm b.txt")
    reviewer.wait(SHOWN + "2")
    reviewer.wait("vim.g.agentdiff_status:find('2 files')")
    open_review(reviewer)
    return reviewer


@pytest.mark.parametrize("action", ["preview-hunk", "owner"])
def test_the_evidence_is_shown(review: Editor, action: str) -> None:
    """The same as with ``K``: the review shows old and new lines, and the owner, by itself."""
    on_line(review, "+fifteen")
    review.keys("K")
    expected = review.lua(FLOAT)
    review.command("fclose!")
    press(review, action)
    assert expected
    assert review.lua(FLOAT) == expected


def test_the_rows_of_a_hunk_are_a_text_object(review: Editor, workspace: Path) -> None:
    """From its heading to its last line of context; what is selected can be decided."""
    on_line(review, "+fifteen")
    review.keys("y<Plug>(agentdiff-select-hunk)")
    yanked = review.lua("return vim.fn.getreg('\"', 1, true)")
    assert (yanked[0][:3], yanked[-1]) == ("@@ ", " line 18")
    on_line(review, "+fifteen")
    review.keys("<Plug>(agentdiff-select-hunk)<Plug>(agentdiff-reject-hunk)")
    assert (workspace / "a.txt").read_text() == BEFORE.replace("line 5\n", "five\n", 1)


def test_the_menu_is_of_the_hunk_under_the_cursor(review: Editor, workspace: Path) -> None:
    """With its owner; the choice is done. On a heading there is none."""
    offered = """
    local prompt
    vim.ui.select = function(items, opts, choose)
      prompt = opts.prompt
      for _, item in ipairs(items) do
        if opts.format_item(item) == 'Reject the hunk' then choose(item) end
      end
    end
    vim.cmd('AgentDiff actions')
    return prompt
    """
    on_line(review, "+fifteen")
    assert review.lua(offered) == "claude · turn 1 · Edit"
    assert (workspace / "a.txt").read_text() == BEFORE.replace("line 5\n", "five\n", 1)
    review.keys("gg")
    assert review.told("AgentDiff actions") == "agentdiff: no hunk here"


def test_the_file_under_the_cursor_is_compared(review: Editor) -> None:
    """In a tab page of its own, at the line; closing it comes back to the untouched review."""
    on_line(review, "+fifteen")
    before = review.lua("return { vim.fn.winlayout(), vim.fn.line('.'), vim.fn.bufnr() }")
    for close in ("wincmd h | close", "AgentBaseline"):
        press(review, "baseline")
        look = "return { vim.fn.expand('%:t'), vim.fn.line('.'), vim.wo.diff, vim.fn.winnr('$') }"
        assert review.lua(look) == ["a.txt", 15, True, 2]
        review.command(close)
        wait_for(lambda: review.lua("return vim.fn.tabpagenr('$')") == 1, "one tab page", review)
        after = review.lua("return { vim.fn.winlayout(), vim.fn.line('.'), vim.fn.bufnr() }")
        assert after == before


def test_a_comparison_that_is_open_is_gone_to(review: Editor) -> None:
    """It is not opened twice, and not closed either."""
    on_line(review, "+fifteen")
    press(review, "baseline")
    review.command("tabprevious | AgentBaseline")
    look = "return { vim.fn.tabpagenr('$'), vim.fn.winnr('$'), vim.wo.diff }"
    assert review.lua(look) == [2, 2, True]


def test_a_file_that_is_gone_cannot_be_compared(review: Editor) -> None:
    """It is said, and nothing is opened."""
    on_line(review, "-two")
    told = review.told("AgentBaseline")
    tabs = review.lua("return vim.fn.tabpagenr('$')")
    assert (told, tabs) == ("agentdiff: b.txt is not on disk", 1)
