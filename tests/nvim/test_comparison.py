"""The windows of ``:AgentBaseline``: however a comparison ends, nothing of it is left behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from nvim_driver import Editor, wait_for
from test_baseline import shown

__all__ = ["shown"]  # a fixture

BASES = """#vim.tbl_filter(function(buf)
  return vim.startswith(vim.api.nvim_buf_get_name(buf), 'agentdiff-base:')
end, vim.api.nvim_list_bufs())"""
DIFFS = """#vim.tbl_filter(function(win)
  return vim.wo[win].diff
end, vim.api.nvim_list_wins())"""
FILE_SHOWN = "require('agentdiff.inline').shown(vim.fn.bufnr('a.txt'))"
OPTIONS = "return { vim.wo.wrap, vim.wo.foldmethod, vim.wo.foldlevel }"


def test_options_of_one_file_stay_its_own(shown: Editor, workspace: Path) -> None:
    """What was ``:setlocal`` comes back to the file, and is no default for the next one."""
    (workspace / "next.txt").write_text("next\n")
    shown.command("setlocal nowrap foldmethod=indent foldlevel=5")
    shown.command("AgentBaseline | AgentBaseline")
    own = shown.lua(OPTIONS)
    shown.command("edit next.txt")
    assert (own, shown.lua(OPTIONS)) == ([False, "indent", 5], [True, "manual", 0])


def test_a_base_that_is_left_ends_the_comparison(shown: Editor) -> None:
    """Another buffer in the base's window: the file's hunks and options are back."""
    shown.command("AgentBaseline")
    during = shown.lua(f"return {{ {DIFFS}, {FILE_SHOWN} }}")
    shown.command("wincmd h | enew")
    after = shown.lua(f"return {{ {DIFFS}, {FILE_SHOWN}, {BASES} }}")
    assert (during, after) == ([2, False], [0, True, 0])


@pytest.mark.parametrize("elsewhere", ["", "tab split | tabprevious | "])
def test_a_comparison_ends_when_its_file_leaves_its_window(shown: Editor, elsewhere: str) -> None:
    """The base goes by itself, and so does what it changed; what is shown there is not touched."""
    shown.command(f"{elsewhere}setlocal foldlevel=3 | AgentBaseline | enew | setlocal foldlevel=7")
    shown.wait(f"{BASES} == 0")
    assert shown.lua(f"return {{ vim.wo.foldlevel, {DIFFS}, #vim.fn.gettabinfo() }}")[:2] == [7, 0]
    shown.command("split | buffer a.txt")  # it would inherit from the window that it left
    other = shown.lua(f"return {{ vim.wo.foldlevel, {DIFFS}, {FILE_SHOWN} }}")
    shown.command("close | buffer a.txt")
    assert (other, shown.lua(f"return {{ vim.wo.foldlevel, {DIFFS} }}")) == ([3, 0, True], [3, 0])


def test_a_tab_page_of_a_comparison_goes_with_it_under_a_float(shown: Editor) -> None:
    """A notification in it is no window of the user's."""
    shown.command("split | diffthis | vnew | diffthis | wincmd p | AgentBaseline")
    tabs = "#vim.api.nvim_list_tabpages()"
    float_ = "#{relative: 'editor', row: 1, col: 1, width: 9, height: 1, focusable: v:false}"
    shown.command(f"call nvim_open_win(nvim_create_buf(v:false, v:true), 0, {float_})")
    during = shown.lua(f"return {tabs}")
    shown.command("AgentBaseline")
    shown.wait(f"{tabs} == 1")
    assert during == 2


@pytest.mark.parametrize("command", ["AgentBaseline", "AgentDiff log | wincmd p"])
def test_q_ends_a_recording_there_too(shown: Editor, command: str) -> None:
    """And closes what it stands in otherwise."""
    shown.command(command)
    shown.keys("qa<C-w>wq")
    recorded = shown.lua("return { vim.fn.reg_recording(), vim.fn.getreg('a') }")
    windows = "return #vim.api.nvim_list_wins()"
    during = shown.lua(windows)
    shown.keys("q")
    assert (recorded, during, shown.lua(windows)) == (["", "\x17w"], 2, 1)


def test_the_next_file_is_compared_in_the_same_windows(shown: Editor, workspace: Path) -> None:
    """Also in one command: the base of the file before is no reason for a tab page."""
    (workspace / "next.txt").write_text("next\n")
    shown.command("AgentBaseline | edit next.txt | AgentBaseline")
    look = f"return {{ {BASES}, {DIFFS}, #vim.api.nvim_list_tabpages(), vim.fn.winnr('$') }}"
    shown.wait(f"{BASES} == 1")
    assert shown.lua(look) == [1, 2, 1, 2]
    base = shown.lua("return vim.fn.winbufnr(1)")
    assert shown.lines(base) != shown.lines()  # of an unknown file there is none


def test_a_file_that_another_window_compares_may_leave(shown: Editor) -> None:
    """A split of it is compared as well; with that one it ends."""
    shown.command("AgentBaseline | split | wincmd j | enew")
    during = shown.lua(f"return {{ {BASES}, {DIFFS} }}")
    shown.command("wincmd k | enew")
    shown.wait(f"{BASES} == 0")
    assert (during, shown.lua(f"return {DIFFS}")) == ([1, 2], 0)


LAYOUT = """
local out = { vim.fn.winlayout(), vim.fn.winnr(), vim.fn.winnr('#') }
for _, win in ipairs(vim.api.nvim_tabpage_list_wins(0)) do
  local look = vim.api.nvim_win_call(win, vim.fn.winsaveview)
  out[#out + 1] = { vim.api.nvim_win_get_width(win), vim.api.nvim_win_get_height(win),
    look.lnum, look.col, look.topline }
end
return out
"""
ENDINGS = ["AgentBaseline", "wincmd h | normal q", "wincmd h | close", "bwipeout! {base}"]


@pytest.mark.parametrize("equal", ["equalalways", "noequalalways splitright"])
def test_the_layout_is_restored(shown: Editor, tmp_path: Path, equal: str) -> None:
    """Sizes, previous window, and where every window looks; however the comparison ends."""
    (tmp_path / "long.txt").write_text("".join(f"{n} {'x' * 70}\n" for n in range(1, 201)))
    shown.command(f"vsplit {tmp_path}/long.txt | wincmd l | new | resize 25 | wincmd h")
    shown.command("vertical resize 72 | normal! 150Gzb")
    shown.command("wincmd b | normal! 12Gzt")
    shown.command(f"set {equal} | redraw")
    before = shown.lua(LAYOUT)
    assert before[1:3] == [3, 1]
    for ending in ENDINGS:
        shown.command("AgentBaseline | redraw")
        during = shown.lua(LAYOUT)
        base = shown.lua("return vim.fn.winbufnr(vim.fn.winnr() - 1)")
        shown.command(ending.format(base=base))
        wait_for(lambda: shown.lua(LAYOUT) == before, f"{ending}: {before}", shown)
        assert during != before
    shown.command("AgentBaseline | tab split | AgentBaseline | tabclose")
    wait_for(lambda: shown.lua(LAYOUT) == before, f"from another tab page: {before}", shown)


def test_a_layout_that_the_user_changed_is_theirs(shown: Editor, tmp_path: Path) -> None:
    """Another window: nothing is moved; the same ones: where they were gone through, they stay."""
    (tmp_path / "long.txt").write_text("".join(f"{n}\n" for n in range(1, 201)))
    shown.command(f"split {tmp_path}/long.txt | resize 10 | wincmd j | AgentBaseline")
    shown.command("1wincmd w | normal! 100Gzt")
    shown.command("3wincmd w | AgentBaseline")
    stayed = shown.lua(LAYOUT)
    assert (stayed[2], stayed[3][1:], stayed[1]) == (1, [10, 100, 0, 100], 2)
    shown.command("AgentBaseline | new | resize 3 | wincmd p")
    sizes = shown.lua("return vim.fn.winheight(1)")
    shown.command("AgentBaseline")
    assert shown.lua("return { vim.fn.winheight(2), vim.fn.winheight(1) }") == [3, sizes]


def test_entering_the_base_at_once_moves_no_cursor(shown: Editor) -> None:
    """As keys that are typed ahead do; Neovim binds the cursors only after a command."""
    shown.command("normal! 13G")
    shown.command("AgentBaseline | wincmd h | exe 'normal! j' | wincmd l")
    moved = shown.cursor()[0]
    shown.command("normal! k")
    shown.command("wincmd h")
    shown.keys("q")
    assert (moved, shown.cursor()[0]) == (14, 13)


def test_the_command_line_gets_no_rows_of_a_layout(shown: Editor) -> None:
    """There is a line of tab pages less when it is restored: the windows have one row more."""
    shown.command("tab new | tabprevious | vsplit | vertical resize 30")
    before = shown.lua("return { vim.o.cmdheight, vim.fn.winheight(1) }")
    shown.command("AgentBaseline | tabonly | AgentBaseline")
    after = shown.lua("return { vim.o.cmdheight, vim.fn.winheight(1), vim.fn.winwidth(1) }")
    assert after == [before[0], before[1] + 1, 30]


def test_a_tab_page_for_a_comparison_goes_with_it(shown: Editor) -> None:
    """It was opened because of another diff; one is back in the window that one came from."""
    shown.command("tabnew | tabprevious | diffthis | new | diffthis | wincmd p")
    home = shown.lua("return vim.api.nvim_get_current_win()")
    shown.command("AgentBaseline")
    during = shown.lua("return #vim.api.nvim_list_tabpages()")
    shown.command("AgentBaseline")
    shown.wait("#vim.api.nvim_list_tabpages() == 2")
    assert (during, home) == (3, shown.lua("return vim.api.nvim_get_current_win()"))


def test_a_comparison_ends_with_its_file(shown: Editor) -> None:
    """Neovim closes the file's window by whatever command, and the base follows (no E855)."""
    for command in ("quit", "wincmd h | only", "bdelete", "bwipeout"):
        shown.command("silent! only | edit a.txt | AgentBaseline")
        assert shown.lua(f"return {{ {BASES}, {DIFFS} }}") == [1, 2], command
        shown.command(command)
        shown.wait(f"{BASES} == 0")
        assert shown.lua(f"return {{ #vim.api.nvim_list_wins(), {DIFFS} }}") == [1, 0], command


def test_comparisons_leave_no_handlers(shown: Editor) -> None:
    """Ten of them leave as many autocommands as one did."""
    # Of these events only: others come and go with what is scheduled.
    count = "return #vim.api.nvim_get_autocmds({ event = { 'WinClosed', 'BufWipeout' } })"
    shown.command("AgentBaseline | AgentBaseline")
    before = shown.lua(count)
    for _ in range(10):
        shown.command("AgentBaseline | AgentBaseline")
    assert before == shown.lua(count)


@pytest.mark.parametrize("more", ["", "localoptions"])
@pytest.mark.parametrize("told", [True, False])
def test_a_session_file_brings_no_comparison_back(
    shown: Editor, spawn: Callable[..., Editor], workspace: Path, more: str, told: bool
) -> None:
    """The text of a base is not in it: the file has its window, and its own options, alone."""
    session = workspace.parent / "Session.vim"
    shown.command(f"set sessionoptions+={more} | setlocal foldmethod=indent")
    shown.command(f"AgentBaseline | {'' if told else 'noautocmd '}mksession {session}")
    again = spawn("-S", str(session), cwd=workspace)
    again.wait(f"{BASES} == 0 and vim.fn.winnr('$') == 1")
    # Written without autocommands it cannot tell: then they are those of any window.
    method = "indent" if told else "manual"
    look = "return { vim.fn.bufname(), vim.wo.foldmethod, vim.wo.diff, vim.wo.scrollbind }"
    assert again.lua(look) == ["a.txt", method, False, False]
    again.wait("vim.b.agentdiff_workspace")
    again.command("AgentBaseline")
    assert again.lua(f"return {{ {BASES}, {DIFFS}, vim.fn.winnr('$') }}") == [1, 2, 2]
