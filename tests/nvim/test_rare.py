"""What seldom happens in an editor: odd windows, odd options, folders that are gone."""

from __future__ import annotations

from pathlib import Path

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


FOLLOWED = "return vim.fs.basename(vim.api.nvim_buf_get_name(vim.api.nvim_win_get_buf(...)))"


@pytest.fixture
def followed(editor: Editor, tmp_path: Path) -> int:
    """A window that follows, below the one with ``a.txt``, and shows ``b.txt``."""
    for name in ("a.txt", "b.txt", "c.txt"):
        (tmp_path / name).write_text("one\ntwo\n")
    editor.command("edit a.txt")
    editor.command("AgentDiff follow on")
    wrote(editor, tmp_path, "b.txt")
    return int(editor.lua("return vim.fn.win_getid(2)"))


def wrote(editor: Editor, folder: Path, name: str) -> None:
    """Tells the follow window that an agent wrote a file."""
    editor.lua("require('agentdiff.follow').wrote(...)", str(folder), [name])


@pytest.mark.parametrize(
    ("hinder", "allow"),
    [
        ("set nohidden | wincmd w | call setline(1, 'x') | wincmd w", "set hidden"),
        (
            "set hidden | wincmd w | setlocal winfixbuf | wincmd w",
            "call win_execute({}, 'set nowfb')",
        ),
    ],
)
def test_following_waits_for_a_window_that_may_change(
    editor: Editor, followed: int, tmp_path: Path, hinder: str, allow: str
) -> None:
    """No error and nothing lost while the window must keep its buffer; then it follows again."""
    editor.command(hinder)
    wrote(editor, tmp_path, "c.txt")
    kept = editor.lua(FOLLOWED, followed)
    editor.command(allow.format(followed))
    wrote(editor, tmp_path, "c.txt")
    assert (kept, editor.lua(FOLLOWED, followed)) == ("b.txt", "c.txt")


def test_following_waits_for_the_command_line_window(
    editor: Editor, followed: int, tmp_path: Path
) -> None:
    """While it is open no window may show another buffer (E11)."""
    editor.lua(
        """
        local folder = ...
        vim.api.nvim_create_autocmd('CmdwinEnter', { callback = function()
          local follow = require('agentdiff.follow')
          vim.g.fine = pcall(follow.wrote, folder, { 'c.txt' })
        end })
        """,
        str(tmp_path),
    )
    editor.keys("q::close<CR>")
    assert (editor.lua("return vim.g.fine"), editor.lua(FOLLOWED, followed)) == (True, "b.txt")


BARS = """
return vim.tbl_map(function(win)
  return vim.wo[win].winbar ~= ''
end, vim.api.nvim_list_wins())
"""


@pytest.mark.usefixtures("followed")
def test_the_bar_of_the_follow_window_stays_there(editor: Editor, tmp_path: Path) -> None:
    """Neovim gives the options of a window to the next one that shows its buffer."""
    editor.command("edit b.txt")
    beside = editor.lua(BARS)
    wrote(editor, tmp_path, "c.txt")
    another = editor.lua(BARS)
    editor.command("edit c.txt | AgentDiff follow off | new c.txt | new b.txt")
    off = editor.lua(BARS)
    editor.command("only | AgentDiff follow on")
    wrote(editor, tmp_path, "c.txt")
    editor.command("wincmd w | quit | edit c.txt")
    closed = editor.lua(BARS)
    editor.command("AgentDiff follow on | only! | AgentDiff follow on")
    wrote(editor, tmp_path, "b.txt")
    editor.command("quit | AgentDiff follow off")
    shown = (beside, another, off, closed, editor.lua(BARS))
    assert shown == ([False, True], [False, True], [False] * 3, [False], [False])


def test_a_followed_file_that_is_edited_gets_its_swap_file(editor: Editor, tmp_path: Path) -> None:
    """Without one it is opened only as long as nobody types into it."""
    (tmp_path / "c.txt").write_text("one\n")
    editor.command("set swapfile | AgentDiff follow on")
    wrote(editor, tmp_path, "c.txt")
    editor.command("buffer c.txt")
    before = editor.lua("return vim.bo.swapfile")
    editor.nvim.input("ox<Esc>")
    editor.wait("vim.bo.swapfile")
    assert before is False


FLOAT = "call nvim_open_win(0, 1, #{relative: 'editor', row: 1, col: 1, width: 9, height: 3})"


@pytest.mark.parametrize(("where", "windows"), [("set lines=3", 1), ("set lines=5", 2), (FLOAT, 3)])
def test_following_can_be_asked_for_anywhere(editor: Editor, where: str, windows: int) -> None:
    """From a floating window another one is split; a small screen is no reason for an error."""
    editor.command(where)
    told = editor.told("AgentDiff follow on")
    found = editor.lua("return #vim.api.nvim_list_wins()")
    active = editor.lua("return require('agentdiff.follow').active()")
    assert (found, active) == (windows, windows > 1)
    assert told == ("" if active else "agentdiff: follow: E36: Not enough room")


def test_a_working_directory_that_is_gone_is_said(editor: Editor, tmp_path: Path) -> None:
    """No program can be started in it."""
    gone = tmp_path / "gone"
    gone.mkdir()
    editor.command(f"cd {gone}")
    gone.rmdir()
    assert "working directory" in editor.told("AgentDiff install --detect")
