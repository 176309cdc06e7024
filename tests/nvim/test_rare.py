"""What seldom happens in an editor: odd windows, odd options, folders that are gone."""

from __future__ import annotations

import pytest
from nvim_driver import Editor
from scripted_agent import Agent

SHOWN = "vim.b.agentdiff_status_dict and vim.b.agentdiff_status_dict.hunks == "
CHOOSE = "vim.ui.select = function(items, _, choose) choose(items[1]) end"


@pytest.mark.parametrize("command", ["files", "pick select"])
def test_a_window_that_keeps_its_buffer_is_split(
    reviewer: Editor, agent: Agent, command: str
) -> None:
    """With 'winfixbuf' a chosen file is opened in a window beside."""
    agent.edit("b.txt", "two\n", "zwei\n")
    reviewer.wait("(vim.g.agentdiff_status or ''):find('1 hunk')")
    reviewer.lua(CHOOSE)
    reviewer.command("setlocal winfixbuf")
    reviewer.command(f"AgentDiff {command}")
    assert reviewer.lua(
        """
        return vim.tbl_map(function(win)
          return vim.fs.basename(vim.api.nvim_buf_get_name(vim.api.nvim_win_get_buf(win)))
        end, vim.api.nvim_list_wins())
        """
    ) == ["b.txt", "a.txt"]
