"""Comparisons and lists that are open follow what is decided, by whomever, without waiting."""

from __future__ import annotations

from typing import Any

import pytest
from nvim_driver import Editor, wait_for
from scripted_agent import Agent
from test_integration import WAITS

BEFORE = [f"line {n}" for n in range(1, 21)]
SHOWN = "vim.b.agentdiff_status_dict and vim.b.agentdiff_status_dict.hunks == "
DECIDE = """
local root, op, hunk = ...
require('agentdiff.rpc').request('request', { workspace = root, method = op, params = hunk and {
  op = 'accept', selection = { hunks = { { id = hunk } } } } or {} }, function() end)
"""
"""What somebody else decides: nothing here waits for it, and no view says that it was asked for."""


@pytest.fixture
def shown(reviewer: Editor, agent: Agent) -> Editor:
    """An editor that shows ``a.txt`` with three pending hunks."""
    agent.edit("a.txt", "line 5\n", "line 5\nnew\n")
    agent.edit("a.txt", "line 10\n", "ten\n")
    agent.edit("a.txt", "line 15\n", "fifteen\n")
    reviewer.wait(SHOWN + "3")
    return reviewer


def decide(editor: Editor, op: str, hunk: int | None = None) -> None:
    """Decides as another client of the daemon does; returns at once."""
    editor.lua(DECIDE, editor.lua("return vim.b.agentdiff_workspace"), op, hunk)


def hunks(editor: Editor) -> list[int]:
    """Returns the ids of the hunks of the current buffer, from top to bottom."""
    return [hunk["id"] for hunk in editor.lua("return require('agentdiff').hunks()")]


def base_of(editor: Editor) -> dict[str, Any]:
    """Returns what the left window shows, the line its cursor is on, and how the tab page looks."""
    return dict(
        editor.lua(
            """
            local win = vim.api.nvim_tabpage_list_wins(0)[1]
            local buf = vim.api.nvim_win_get_buf(win)
            local line = vim.api.nvim_win_get_cursor(win)[1]
            return {
              lines = vim.api.nvim_buf_get_lines(buf, 0, -1, false),
              cursor = vim.api.nvim_buf_get_lines(buf, line - 1, line, false)[1],
              modifiable = vim.bo[buf].modifiable,
              layout = vim.fn.winlayout(),
              diff = vim.tbl_map(function(w) return vim.wo[w].diff end,
                vim.api.nvim_tabpage_list_wins(0)),
            }
            """
        )
    )


def test_an_open_baseline_follows_decisions(shown: Editor) -> None:
    """Of other clients, of an undo, and of keys: text, cursor, diff mode and layout are right."""
    first, second, _ = hunks(shown)
    shown.command("AgentBaseline")
    shown.keys("12G")  # the cursors are bound: Neovim moves the other one, in its own time
    wait_for(lambda: base_of(shown)["cursor"] == "line 11", "the bound cursor", shown)
    before = base_of(shown)
    shown.lua(WAITS)
    decide(shown, "decide", first)
    accepted = [*BEFORE[:5], "new", *BEFORE[5:]]
    after = {**before, "lines": accepted}
    wait_for(lambda: base_of(shown) == after, "the accepted line, and nothing else", shown)
    assert before["lines"] == BEFORE
    rows = [row for row in shown.screen() if row.strip().startswith("new")]
    assert [row.split("│")[1].strip() for row in rows] == ["new"]
    decide(shown, "decide", second)
    wait_for(lambda: base_of(shown)["lines"][10] == "ten", "the accepted change", shown)
    decide(shown, "undo")
    decide(shown, "undo")
    wait_for(lambda: base_of(shown)["lines"] == BEFORE, "the undone ones", shown)
    assert shown.lua("return _G.asked") == []
    shown.keys("16G<Plug>(agentdiff-accept-hunk)")
    wait_for(lambda: base_of(shown)["lines"][14] == "fifteen", "the key", shown)
    shown.command("AgentBaseline set")
    wait_for(lambda: base_of(shown)["lines"] == shown.lines(), "the new baseline", shown)


def test_a_baseline_in_another_tab_page_follows(shown: Editor) -> None:
    """And the comparison is right when one comes back to it."""
    first = hunks(shown)[0]
    shown.command("AgentBaseline")
    # It remembers its last answer as long as the text of that buffer is the same.
    look = "vim.fn.diff_hlID(1, 1); return vim.fn.diff_hlID(6, 1) > 0"
    coloured = shown.lua(look)
    base = shown.lua("return vim.fn.winbufnr(1)")
    shown.command("tabnew")
    shown.lua(
        DECIDE,
        shown.lua("return vim.fn.getbufvar('a.txt', 'agentdiff_workspace')"),
        "decide",
        first,
    )
    wait_for(lambda: "new" in shown.lines(base), "the accepted line", shown)
    shown.command("tabprevious")
    assert (coloured, shown.lua(look)) == (True, False)


ENTRIES = """
local win = ...
local what = { items = 0, idx = 0, id = 0, title = 0 }
local list = win and vim.fn.getloclist(win, what) or vim.fn.getqflist(what)
local texts = vim.tbl_map(function(item) return item.lnum end, list.items)
return { texts, list.idx, list.id, list.title }
"""


def test_the_quickfix_list_follows_decisions(shown: Editor) -> None:
    """Entries go and come back; selection and cursor stay on their hunks; nothing waits."""
    first, _, third = hunks(shown)
    shown.command("AgentDiff qf | cc 2")
    listed = shown.lua(ENTRIES)
    shown.command("copen | 3 | wincmd p")
    shown.lua(WAITS)
    decide(shown, "decide", first)
    wait_for(lambda: len(shown.lua(ENTRIES)[0]) == 2, "an entry less", shown)
    assert shown.lua(ENTRIES) == [[11, 16], 1, listed[2], "agentdiff"]
    look = "return { vim.fn.line('.', vim.fn.win_getid(2)), vim.fn.line('$', vim.fn.win_getid(2)) }"
    assert (listed[:2], shown.lua(look)) == ([[6, 11, 16], 2], [2, 2])
    decide(shown, "decide", third)
    wait_for(lambda: len(shown.lua(ENTRIES)[0]) == 1, "one more", shown)
    decide(shown, "undo")
    decide(shown, "undo")
    wait_for(lambda: shown.lua(ENTRIES)[:2] == [[6, 11, 16], 2], "all of them", shown)
    assert shown.lua("return _G.asked") == []
    shown.command("AgentDiff! accept")
    wait_for(lambda: shown.lua(ENTRIES)[0] == [], "none", shown)
    shown.command("AgentDiff undo")
    wait_for(lambda: shown.lua(ENTRIES)[0] == [6, 11, 16], "all of them again", shown)


def test_a_location_list_follows_decisions(shown: Editor) -> None:
    """Also when it is not the newest of its window any more."""
    first = hunks(shown)[0]
    win = shown.lua("return vim.api.nvim_get_current_win()")
    shown.command("AgentDiff! qf | wincmd p")
    listed = shown.lua(ENTRIES, win)
    shown.command("lexpr ['a.txt:1:mine']")
    decide(shown, "decide", first)
    look = "return #vim.fn.getloclist(..., { id = select(2, ...), items = 0 }).items"
    wait_for(lambda: shown.lua(look, win, listed[2]) == 2, "an entry less", shown)
    assert shown.lua(ENTRIES, win)[0] == [1]
    shown.command("lolder")
    assert shown.lua(ENTRIES, win)[:3] == [[11, 16], 1, listed[2]]


def test_a_list_that_the_user_changed_is_left_alone(shown: Editor) -> None:
    """Whatever was done to it: it is the user's from then on."""
    first = hunks(shown)[0]
    shown.command("AgentDiff qf | cclose")
    kept = shown.lua("return vim.fn.getqflist({ id = 0 }).id")
    shown.command("AgentDiff qf | cclose")
    shown.lua(
        """
        local items = vim.fn.getqflist()
        table.remove(items, 2)
        vim.fn.setqflist({}, 'r', { items = items })
        """
    )
    mine = shown.lua(ENTRIES)
    shown.command("cgetexpr ['a.txt:1:mine']")
    decide(shown, "decide", first)
    look = "return #vim.fn.getqflist({ id = ..., items = 0 }).items"
    wait_for(lambda: shown.lua(look, kept) == 2, "the list that is still ours", shown)
    assert shown.lua(ENTRIES)[0] == [1]
    shown.command("colder")
    assert (mine[0], shown.lua(ENTRIES)) == ([6, 16], mine)


def test_cdo_decides_every_hunk(shown: Editor) -> None:
    """The list that it walks is not changed under it."""
    shown.command("AgentDiff qf | cfirst | silent cdo AgentDiff accept")
    wait_for(lambda: shown.lua(ENTRIES)[0] == [], "no entry", shown)
