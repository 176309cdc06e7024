"""Code actions for hunks, as any other language server's are found and run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from nvim_driver import Editor, wait_for
from scripted_agent import Agent

BEFORE = "".join(f"line {n}\n" for n in range(1, 21))
SHOWN = "vim.b.agentdiff_status_dict and vim.b.agentdiff_status_dict.hunks == "
CLIENTS = "#vim.lsp.get_clients({ bufnr = 0, name = 'agentdiff' })"
# What the server offers for lines (1-based) when only these kinds are asked for.
OFFERED = """
local first, last, only = ...
local params = {
  textDocument = vim.lsp.util.make_text_document_params(),
  range = {
    start = { line = first - 1, character = 0 },
    ['end'] = { line = last - 1, character = 0 },
  },
  context = { diagnostics = {}, only = only ~= '' and { only } or nil },
}
local found = vim.lsp.buf_request_sync(0, 'textDocument/codeAction', params, 20000) or {}
local titles = {}
for _, answer in pairs(found) do
  for _, action in ipairs(answer.result or {}) do titles[#titles + 1] = action.title end
end
return titles
"""
RUN = """
local title, first, last = ...
vim.api.nvim_win_set_cursor(0, { first, 0 })
vim.lsp.buf.code_action({
  apply = true,
  filter = function(action) return vim.startswith(action.title, title) end,
  range = last > 0 and { start = { first, 0 }, ['end'] = { last, 0 } } or nil,
})
"""


@pytest.fixture
def offering(spawn: Callable[..., Editor], agent: Agent, workspace: Path) -> Editor:
    """An editor with the option, and two pending hunks in ``a.txt``."""
    editor = spawn("a.txt", cwd=workspace, config="let g:agentdiff = #{code_actions: v:true}")
    editor.wait("vim.b.agentdiff_workspace")
    before = editor.lua("return " + CLIENTS)
    agent.edit("a.txt", "line 5\nline 6\n", "five\nsix\n")
    agent.edit("a.txt", "line 15\n", "fifteen\n")
    editor.wait(SHOWN + "2")
    editor.wait(CLIENTS + " == 1")
    assert before == 0
    return editor


def test_actions_stand_where_there_is_a_hunk(offering: Editor) -> None:
    """With the owner; elsewhere, and for other kinds, there are none."""
    here = offering.lua(OFFERED, 5, 5, "")
    assert here[:2] == [
        "Accept the hunk (claude · turn 1 · Edit)",
        "Reject the hunk (claude · turn 1 · Edit)",
    ]
    assert "Compare the file with its baseline" in here
    assert offering.lua(OFFERED, 5, 5, "agentdiff") == here
    assert offering.lua(OFFERED, 9, 9, "") == []
    assert offering.lua(OFFERED, 5, 5, "quickfix") == []
    assert offering.lua(OFFERED, 5, 6, "") == [
        "Accept the selected lines",
        "Reject the selected lines",
    ]


def test_an_action_is_done(offering: Editor, workspace: Path) -> None:
    """`vim.lsp.buf.code_action()` rejects the hunk, or the lines of its range."""
    path = workspace / "a.txt"
    both = path.read_text()
    offering.lua(RUN, "Reject the hunk", 15, 0)
    one = both.replace("fifteen", "line 15")
    wait_for(lambda: path.read_text() == one, "the hunk", offering)
    offering.lua(RUN, "Reject the selected", 4, 5)
    wait_for(lambda: path.read_text() == one.replace("five", "line 5"), "the line", offering)
    offering.lua(RUN, "Undo", 6, 0)
    wait_for(lambda: path.read_text() == one, "the undo", offering)


def test_without_the_option_there_is_no_server(reviewer: Editor, agent: Agent) -> None:
    """It is opt-in: a client more is seen by whoever counts them."""
    agent.edit("a.txt", "line 5\n", "five\n")
    reviewer.wait(SHOWN + "1")
    assert reviewer.lua("return #vim.lsp.get_clients()") == 0


def test_a_buffer_that_was_unloaded_gets_its_actions_back(offering: Editor) -> None:
    """Neovim detaches servers from it; with its hunks they come again."""
    offering.command("enew | bunload a.txt")
    gone = offering.lua("return #vim.lsp.get_clients({ bufnr = vim.fn.bufnr('a.txt') })")
    offering.command("buffer a.txt")
    offering.wait(CLIENTS + " == 1")
    assert (gone, offering.lua(OFFERED, 5, 5, "quickfix")) == (0, [])
