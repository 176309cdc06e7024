"""``:AgentBaseline``: each verb, and a vimdiff that leaves no trace."""

from __future__ import annotations

from pathlib import Path

import pytest
from nvim_driver import Editor
from scripted_agent import Agent
from test_review import pending

BEFORE = "".join(f"line {n}\n" for n in range(1, 21))
SHOWN = "vim.b.agentdiff_status_dict and vim.b.agentdiff_status_dict.hunks == "


@pytest.fixture
def shown(reviewer: Editor, agent: Agent) -> Editor:
    """An editor that shows ``a.txt`` with two pending hunks, and ``b.txt`` deleted by the agent."""
    agent.edit("a.txt", "line 10\n", "ten\n")
    agent.edit("a.txt", "line 15\n", "fifteen\n")
    agent.shell("rm b.txt")
    reviewer.wait(SHOWN + "2")
    return reviewer


def window_options(editor: Editor) -> list[list[object]]:
    """Returns what a vimdiff changes, for every window."""
    return list(
        editor.lua(
            """
            return vim.tbl_map(function(win)
              local wo = vim.wo[win]
              return { vim.api.nvim_win_get_buf(win), wo.diff, wo.scrollbind, wo.cursorbind,
                wo.wrap, wo.foldmethod, wo.foldcolumn, wo.foldenable }
            end, vim.api.nvim_list_wins())
            """
        )
    )


def test_baseline_shows_the_base_beside_the_file(shown: Editor) -> None:
    """``:AgentBaseline`` opens a vimdiff with the text before the agent came."""
    shown.command("AgentBaseline")
    base, diffs = shown.lua(
        """
        local wins = vim.api.nvim_tabpage_list_wins(0)
        return { vim.api.nvim_buf_get_lines(vim.api.nvim_win_get_buf(wins[1]), 0, -1, false),
          vim.tbl_map(function(win) return vim.wo[win].diff end, wins) }
        """
    )
    assert (BEFORE.splitlines(), [True, True]) == (base, diffs)


def test_the_screen_of_a_baseline(shown: Editor) -> None:
    """Base at the left, file at the right, line beside line."""
    shown.command("set columns=60 lines=26")
    shown.command("AgentBaseline")
    new = {10: "ten", 15: "fifteen"}
    rows = [f"{f'  line {n}':<30}│  {new.get(n, f'line {n}')}" for n in range(4, 21)]
    fold = "+ +--  3 lines: line 1········│+ +--  3 lines: line 1·······"
    assert shown.screen()[:18] == [fold, *rows]


def test_closing_the_baseline_restores_the_window(shown: Editor) -> None:
    """Options and layout are what they were, and inline hunks are back."""
    before = window_options(shown)
    screen = shown.screen()[:20]
    shown.command("AgentBaseline")
    shown.command("wincmd h")
    shown.keys("q")
    assert (before, screen) == (window_options(shown), shown.screen()[:20])


def test_baseline_leaves_other_diffs_alone(shown: Editor, workspace: Path) -> None:
    """With a diff in the tab page already, the comparison opens in a tab page of its own."""
    (workspace / "other.txt").write_text("x\n")
    shown.command("vertical diffsplit other.txt")
    before = window_options(shown)
    shown.command("wincmd l")
    shown.command("AgentBaseline")
    tabs = shown.lua("return #vim.api.nvim_list_tabpages()")
    shown.command("tabclose")
    assert (2, before) == (tabs, window_options(shown))


def test_baseline_set_accepts_the_file(shown: Editor, workspace: Path) -> None:
    """``:AgentBaseline set`` makes the present text the base; the disk stays."""
    text = (workspace / "a.txt").read_text()
    shown.command("AgentBaseline set")
    shown.wait(SHOWN + "0")
    assert text == (workspace / "a.txt").read_text()


def test_baseline_restore_puts_the_file_back(shown: Editor, workspace: Path) -> None:
    """``:AgentBaseline restore`` writes the base, and the buffer shows it."""
    shown.command("AgentBaseline restore")
    text = (workspace / "a.txt").read_text()
    assert (BEFORE, BEFORE.splitlines()) == (text, shown.lines())


def test_the_command_closes_what_it_opened(shown: Editor) -> None:
    """``:AgentBaseline`` in the file of an open comparison ends it."""
    before = window_options(shown)
    shown.command("AgentBaseline")
    shown.command("AgentBaseline")
    assert before == window_options(shown)


@pytest.mark.parametrize(
    ("hinder", "allow", "why"),
    [
        ("set winwidth=60 winminwidth=60", "set winminwidth=1", "E36: Not enough room"),
        ("autocmd WinNew * throw 'nope'", "autocmd! WinNew", "nope"),
        ("autocmd BufWinEnter agentdiff-base://* throw 'nope'", "autocmd! BufWinEnter", "nope"),
    ],
)
def test_a_comparison_that_cannot_be_opened(
    shown: Editor, hinder: str, allow: str, why: str
) -> None:
    """It is said, nothing is left behind, hunks stay in sight, and the next time it opens."""
    look = "return { #vim.api.nvim_list_wins(), #vim.api.nvim_list_bufs() }"
    before, screen = shown.lua(look), shown.screen()[:20]
    shown.command(hinder)
    told = shown.told("AgentBaseline")
    assert (why in told, shown.lua(look), shown.screen()[:20]) == (True, before, screen)
    shown.command(f"{allow} | AgentBaseline")
    assert shown.lua("return { #vim.api.nvim_list_wins(), vim.wo.diff }") == [2, True]


def test_the_base_of_bytes_that_are_no_text(
    reviewer: Editor, agent: Agent, workspace: Path
) -> None:
    """NUL and ^A are shown as they are."""
    (workspace / "x.bin").write_bytes(b"a\0b\nc\1d\n")
    reviewer.command("AgentBaseline! set | edit x.bin")
    reviewer.wait("vim.b.agentdiff_workspace")
    agent.shell("printf '\\000\\001' >> x.bin")
    reviewer.wait(SHOWN + "1")
    reviewer.command("AgentBaseline | wincmd h")
    assert reviewer.lines() == ["a\0b", "c\1d"]


def test_closing_the_file_closes_its_baseline(shown: Editor) -> None:
    """No half of a comparison is left behind."""
    shown.command("split b.txt")
    shown.command("wincmd j | AgentBaseline | close")
    names = shown.lua(
        """
        vim.wait(1000, function() return #vim.api.nvim_list_wins() == 1 end)
        return vim.tbl_map(function(win)
          return vim.fn.fnamemodify(vim.api.nvim_buf_get_name(vim.api.nvim_win_get_buf(win)), ':t')
        end, vim.api.nvim_list_wins())
        """
    )
    assert names == ["b.txt"]


def test_baseline_set_of_everything(shown: Editor, workspace: Path) -> None:
    """``:AgentBaseline! set`` leaves nothing pending and the disk alone."""
    shown.command("AgentBaseline! set")
    assert (pending(shown), (workspace / "b.txt").exists()) == (0, False)


def test_baseline_restore_of_everything_is_undone(shown: Editor, workspace: Path) -> None:
    """``:AgentBaseline! restore`` puts the tree back; one ``undo`` takes that back."""
    changed = (workspace / "a.txt").read_text()
    shown.command("AgentBaseline! restore")
    after = ((workspace / "a.txt").read_text(), (workspace / "b.txt").exists())
    shown.command("AgentDiff undo")
    undone = ((workspace / "a.txt").read_text(), (workspace / "b.txt").exists())
    assert (after, undone) == ((BEFORE, True), (changed, False))


def test_baseline_clear_ends_the_review(shown: Editor, workspace: Path) -> None:
    """``:AgentBaseline clear``: nothing pends, no file is touched, undo brings it back."""
    text = (workspace / "a.txt").read_text()
    shown.command("AgentBaseline clear")
    hunks = pending(shown)
    shown.command("AgentDiff undo")
    assert (hunks, pending(shown)) == (0, 3)
    assert (text, False) == ((workspace / "a.txt").read_text(), (workspace / "b.txt").exists())


@pytest.fixture
def turns(shown: Editor, agent: Agent) -> Editor:
    """The same after a second prompt, for which the agent changed line 1."""
    agent.stop()
    agent.hook("UserPromptSubmit", prompt="Once more\nplease", prompt_id="p2")
    agent.edit("a.txt", "line 1\n", "one\n")
    shown.wait(SHOWN + "3")
    return shown


SECOND = BEFORE.replace("line 10", "ten").replace("line 15", "fifteen")


def test_a_file_is_restored_to_the_start_of_a_turn(turns: Editor, workspace: Path) -> None:
    """``:AgentBaseline restore turn=2`` takes back what came later, and can be undone."""
    turns.command("AgentBaseline restore turn=2")
    text = (workspace / "a.txt").read_text()
    lines = turns.lines()
    turns.command("AgentDiff undo")
    undone = (workspace / "a.txt").read_text()
    expected = (SECOND, SECOND.splitlines(), SECOND.replace("line 1\n", "one\n", 1))
    assert expected == (text, lines, undone)


def test_turns_are_offered_as_restore_points(turns: Editor, workspace: Path) -> None:
    """``:AgentBaseline list`` names the prompts, newest first, and restores the choice."""
    offered = turns.lua(
        """
        local offered
        vim.ui.select = function(items, opts, choose)
          offered = { opts.prompt }
          for _, item in ipairs(items) do
            offered[#offered + 1] = opts.format_item(item):gsub('%d%d:%d%d', 'HH:MM')
          end
          choose(items[1])
        end
        vim.cmd('AgentBaseline list')
        return offered
        """
    )
    assert offered == [
        "Restore a.txt to the start of:",
        "turn 2  HH:MM  claude  Once more …",
        "turn 1  HH:MM  claude  Please change things",
    ]
    assert (workspace / "a.txt").read_text() == SECOND


def test_the_tree_is_restored_to_the_start_of_a_turn(turns: Editor, workspace: Path) -> None:
    """With ! every file is put back."""
    turns.command("AgentBaseline! restore turn=1")
    texts = ((workspace / "a.txt").read_text(), (workspace / "b.txt").exists())
    assert texts == (BEFORE, True)


def test_an_unknown_turn_is_named(turns: Editor) -> None:
    """A wrong turn changes nothing and says which."""
    assert "no turn '7' here" in turns.told("AgentBaseline restore turn=7")


def test_restore_keeps_unsaved_edits(shown: Editor, workspace: Path) -> None:
    """The disk goes back to the baseline; what is typed and not saved stays in the buffer."""
    shown.keys("1Gccmine<Esc>")
    shown.command("AgentBaseline restore")
    shown.wait("vim.fn.getline(10) == 'line 10'")
    expected = (BEFORE, "mine", True)
    assert expected == (
        (workspace / "a.txt").read_text(),
        shown.lines()[0],
        shown.lua("return vim.bo.modified"),
    )
