"""Where there is no room for a window, or none may be opened: it is said, nothing else happens."""

from __future__ import annotations

import pytest
from nvim_driver import Editor
from scripted_agent import Agent

NARROW = "set winwidth=60 winminwidth=60"
FLAT = "set laststatus=0 lines=3 | setlocal winbar="
OPEN = "lua require('agentdiff').setup({{ review = {{ open = '{}' }} }})"
NO_ROOM = "E36: Not enough room"
HUNKS = "vim.b.agentdiff_status_dict and vim.b.agentdiff_status_dict.hunks == "
WINDOWS = "return { #vim.api.nvim_list_wins(), vim.fn.expand('%:t'), vim.bo.filetype }"


@pytest.fixture
def shown(reviewer: Editor, agent: Agent) -> Editor:
    """An editor that shows ``a.txt`` with a pending hunk; ``b.txt`` has one, too."""
    agent.edit("b.txt", "two\n", "zwei\n")
    agent.edit("a.txt", "line 10\n", "ten\n")
    reviewer.wait(HUNKS + "1")
    return reviewer


@pytest.mark.parametrize(
    ("hinder", "command"),
    [
        (f"{NARROW} | {OPEN.format('vsplit')}", "AgentDiff"),
        (f"{FLAT} | {OPEN.format('split')}", "AgentDiff"),
        (f"{FLAT} | setlocal winfixbuf", "AgentDiff"),
        (FLAT, "AgentDiff log"),
        (f"{FLAT} | setlocal winfixbuf", "AgentDiff pick select"),
        (f"{FLAT} | setlocal winfixbuf", "AgentDiff files"),
    ],
)
def test_without_room_it_is_said(shown: Editor, hinder: str, command: str) -> None:
    """By Neovim's own message, in one line; what the user has is left as it was."""
    shown.lua("vim.ui.select = function(items, _, choose) choose(items[#items]) end")
    shown.command(hinder)
    before = shown.lua(WINDOWS)
    told = shown.told(command)
    assert (told, shown.lua(WINDOWS)) == (f"agentdiff: {NO_ROOM}", before)


def test_a_file_that_finds_no_room(shown: Editor) -> None:
    """``<CR>`` under 'winfixbuf', and ``CTRL-W f``: the review stays."""
    shown.command(f"AgentDiff | setlocal winfixbuf | {FLAT}")
    before = shown.lua(WINDOWS)
    shown.keys("G")
    for keys in ("<CR>", "<C-w>f"):
        shown.command("messages clear")
        shown.keys(keys)
        assert (shown.messages(), shown.lua(WINDOWS)) == (f"agentdiff: {NO_ROOM}", before)


@pytest.mark.parametrize(("bang", "entries"), [("", "getqflist()"), ("!", "getloclist(0)")])
def test_a_list_without_a_window(shown: Editor, bang: str, entries: str) -> None:
    """It is filled all the same: ``:cc`` and ``:lnext`` need no window."""
    shown.command(FLAT)
    told = shown.told(f"AgentDiff{bang} qf")
    assert (told, shown.lua(f"return #vim.fn.{entries}"), shown.lua(WINDOWS)[0]) == (
        f"agentdiff: the list is filled, but not shown: {NO_ROOM}",
        2,
        1,
    )


def test_no_list_from_the_command_line_window(shown: Editor) -> None:
    """No window can be opened from there: no list is made either, and it is said why."""
    shown.nvim.input("q:")
    shown.wait("vim.fn.getcmdwintype() == ':'")
    told = shown.told("AgentDiff qf"), shown.told("AgentDiff log")
    shown.nvim.input(":close<CR>")
    shown.wait("vim.fn.getcmdwintype() == ''")
    lists = shown.lua("return vim.fn.getqflist({ nr = '$' }).nr")
    assert (told[0], "E11" in told[1], lists) == (
        "agentdiff: close the command-line window first",
        True,
        0,
    )


def test_unsaved_changes_are_no_hindrance(shown: Editor) -> None:
    """With 'nohidden' what was chosen is shown beside them; in the buffer itself it is gone to."""
    shown.lua("vim.ui.select = function(items, _, choose) choose(items[vim.g.wanted]) end")
    shown.command("call setline(1, 'mine') | set nohidden | let g:wanted = 1")
    shown.command("AgentDiff pick select")
    here = shown.lua(WINDOWS), shown.cursor()[0]
    shown.command("let g:wanted = 2 | AgentDiff pick select")
    assert (here, shown.lua(WINDOWS)) == (([1, "a.txt", "text"], 10), [2, "b.txt", "text"])


def test_one_window_for_all_lists(shown: Editor) -> None:
    """The next list is shown where the one before was, and so many times one asks."""
    shown.command("10 | AgentDiff reject hunk | AgentDiff log")
    first = shown.lua(WINDOWS), shown.lua("return vim.api.nvim_get_current_win()")
    shown.command("AgentDiff log | wincmd p | AgentDiff rejected")
    second = shown.lua(WINDOWS), shown.lua("return vim.api.nvim_get_current_win()")
    patch = [line for line in shown.lines() if line.startswith("--- ")]
    shown.command("setlocal winfixbuf | AgentDiff log")
    third = shown.lua(WINDOWS)
    shown.command("tabnew | AgentDiff log")
    elsewhere = shown.lua("return #vim.api.nvim_tabpage_list_wins(0)")
    assert (first[0], second[0], patch, first[1] == second[1], third[0], elsewhere) == (
        [2, "", ""],
        [2, "", "diff"],
        ["--- a/a.txt"],
        True,
        3,
        2,
    )
