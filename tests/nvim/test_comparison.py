"""The windows of ``:AgentBaseline``: however a comparison ends, nothing of it is left behind."""

from __future__ import annotations

from pathlib import Path

from nvim_driver import Editor
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


def test_a_file_that_left_its_window_gets_its_options_later(shown: Editor) -> None:
    """What is shown there meanwhile is not touched."""
    shown.command("setlocal foldlevel=3 | AgentBaseline | enew | setlocal foldlevel=7")
    shown.command("wincmd h")
    shown.keys("q")
    meanwhile = shown.lua("return vim.wo.foldlevel")
    shown.command("buffer a.txt")
    assert (meanwhile, shown.lua(f"return {{ vim.wo.foldlevel, {DIFFS} }}")) == (7, [3, 0])


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
