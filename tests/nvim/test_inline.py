"""Hunks inside file buffers: what a person sees there, and what keys do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from nvim_driver import Editor
from scripted_agent import Agent

BEFORE = "".join(f"line {n}\n" for n in range(1, 21))
SHOWN = "vim.b.agentdiff_status_dict and vim.b.agentdiff_status_dict.hunks == "


def screen_of(editor: Editor) -> list[str]:
    """Returns the text rows of the only window, without its sign column and the count."""
    return [re.sub(r" +\d+/\d+$", "", row[2:]) for row in editor.screen()[:-2]]


def sign_of(editor: Editor, text: str) -> str:
    """Returns the sign beside the first row that shows this text."""
    rows = [row for row in editor.screen() if row[2:] == text]
    return rows[0][:2].strip()


def test_a_deletion_at_line_1_is_visible(reviewer: Editor, agent: Agent) -> None:
    """The deleted line stands above the first line, without scrolling."""
    agent.edit("a.txt", "line 1\n", "")
    reviewer.wait(SHOWN + "1")
    assert screen_of(reviewer)[:3] == ["line 1", "line 2", "line 3"]


def test_a_deletion_at_the_end_is_visible(reviewer: Editor, agent: Agent) -> None:
    """Deleted lines stand below the last line."""
    agent.edit("a.txt", "line 19\nline 20\n", "")
    reviewer.wait(SHOWN + "1")
    shown = screen_of(reviewer)
    assert shown[17:20] == ["line 18", "line 19", "line 20"]


def test_a_deletion_of_everything_is_visible(reviewer: Editor, agent: Agent) -> None:
    """An emptied file shows its old lines."""
    agent.write("a.txt", "")
    reviewer.wait(SHOWN + "1")
    assert {"line 1", "line 20"} <= set(screen_of(reviewer))


def test_a_change_shows_old_above_new(reviewer: Editor, agent: Agent) -> None:
    """The replaced line stands above its replacement, which has a sign."""
    agent.edit("a.txt", "line 5\n", "five\n")
    reviewer.wait(SHOWN + "1")
    assert (
        screen_of(reviewer)[3:7],
        sign_of(reviewer, "five"),
    ) == (["line 4", "line 5", "five", "line 6"], "┃")


def test_signs_of_the_three_kinds(reviewer: Editor, agent: Agent) -> None:
    """Added, changed and deleted lines have signs, other lines none."""
    agent.edit("a.txt", "line 3\n", "line 3\nnew\n")
    agent.edit("a.txt", "line 10\n", "")
    reviewer.wait(SHOWN + "2")
    assert [sign_of(reviewer, text) for text in ("new", "line 9", "line 15")] == ["┃", "▁", ""]


def test_marks_follow_the_users_edits(reviewer: Editor, agent: Agent) -> None:
    """Lines typed above a hunk move its marks; an update meanwhile does not move them back."""
    agent.edit("a.txt", "line 10\n", "ten\n")
    reviewer.wait(SHOWN + "1")
    reviewer.nvim.api.buf_set_lines(0, 0, 0, False, ["mine", "too"])
    agent.edit("b.txt", "one\n", "eins\n")
    agent.edit("a.txt", "line 15\n", "fifteen\n")
    reviewer.wait("vim.fn.getline(17) == 'fifteen'")
    reviewer.wait(SHOWN + "2")
    places = reviewer.lua("return require('agentdiff.inline').positions(0 + vim.fn.bufnr())")
    assert [(place["first"], place["last"]) for place in places] == [(12, 12), (17, 17)]


def test_an_unmodified_buffer_shows_the_write(reviewer: Editor, agent: Agent) -> None:
    """The buffer follows without anybody asking for it."""
    agent.shell("sed -i 's/line 7/seven/' a.txt")
    reviewer.wait("vim.fn.getline(7) == 'seven'")
    assert reviewer.lua("return vim.bo.modified") is False


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("10G<Plug>(agentdiff-reject-hunk)", BEFORE.replace("line 15", "fifteen")),
        ("15GV<Plug>(agentdiff-reject-hunk)", BEFORE.replace("line 10", "ten")),
        ("<Plug>(agentdiff-reject-file)", BEFORE),
        ("<Plug>(agentdiff-reject-all)", BEFORE),
        ("<Plug>(agentdiff-reject-all)<Plug>(agentdiff-undo)", None),
        ("gg<Plug>(agentdiff-next-hunk)<Plug>(agentdiff-reject-hunk)",
         BEFORE.replace("line 15", "fifteen")),
        ("gg<Plug>(agentdiff-prev-hunk)<Plug>(agentdiff-reject-hunk)",
         BEFORE.replace("line 10", "ten")),
        ("10G<Plug>(agentdiff-accept-hunk)<Plug>(agentdiff-reject-all)",
         BEFORE.replace("line 10", "ten")),
    ],
)  # fmt: skip
def test_plug_mappings_in_a_file(
    reviewer: Editor, agent: Agent, workspace: Path, keys: str, expected: str | None
) -> None:
    """The same names work in file buffers, and the buffer shows the result at once."""
    agent.edit("a.txt", "line 10\n", "ten\n")
    agent.edit("a.txt", "line 15\n", "fifteen\n")
    both = BEFORE.replace("line 10", "ten").replace("line 15", "fifteen")
    reviewer.wait(SHOWN + "2")
    reviewer.keys(keys)
    text = (workspace / "a.txt").read_text()
    assert (expected or both, text.splitlines()) == (text, reviewer.lines())


def test_accepting_in_a_modified_buffer_finds_the_moved_hunk(
    reviewer: Editor, agent: Agent
) -> None:
    """Accepting touches no disk; the hunk under the cursor is the one that moved there."""
    agent.edit("a.txt", "line 10\n", "ten\n")
    reviewer.wait(SHOWN + "1")
    reviewer.nvim.api.buf_set_lines(0, 0, 0, False, ["mine"])
    reviewer.keys("11G<Plug>(agentdiff-accept-hunk)")
    reviewer.wait(SHOWN + "0")
    assert reviewer.lines()[0] == "mine"


def test_inline_off_draws_nothing(reviewer: Editor, agent: Agent) -> None:
    """``:AgentDiff inline off`` hides signs and deleted lines; hunks can still be visited."""
    agent.edit("a.txt", "line 10\n", "ten\n")
    reviewer.wait(SHOWN + "1")
    reviewer.command("AgentDiff inline off")
    hidden = [row.strip() for row in reviewer.screen()[8:11]]
    reviewer.keys("gg<Plug>(agentdiff-next-hunk)")
    assert (hidden, reviewer.cursor()) == (["line 9", "ten", "line 11"], (10, 0))


def test_the_status_variables(reviewer: Editor, agent: Agent) -> None:
    """Buffer and editor have what statuslines need; `statusline()` reads it."""
    agent.edit("a.txt", "line 10\n", "ten\nnew\n")
    agent.edit("a.txt", "line 15\n", "")
    reviewer.wait(SHOWN + "2")
    dict_, text, everywhere, line = reviewer.lua(
        """
        return { vim.b.agentdiff_status_dict, vim.b.agentdiff_status, vim.g.agentdiff_status,
          require('agentdiff').statusline() }
        """
    )
    expected = {
        "added": 1,
        "changed": 1,
        "removed": 1,
        "hunks": 2,
        "pending": True,
        "agent": "claude",
        "state": "working",
        "coverage": "exact",
    }
    assert (expected, "+1 ~1 -1", "1 file 2 hunks claude working", "+1 ~1 -1") == (
        dict_,
        text,
        everywhere,
        line,
    )


def test_the_count_follows_the_hunks(reviewer: Editor, agent: Agent) -> None:
    """Without a movement of the cursor: other hunks, or none, are drawn where it stands."""
    reviewer.keys("5G")
    agent.edit("a.txt", "line 5\n", "five\n")
    reviewer.wait(SHOWN + "1")
    assert reviewer.screen()[5].endswith("1/1")
    agent.edit("a.txt", "line 2\n", "two\n")
    reviewer.wait(SHOWN + "2")
    assert reviewer.screen()[6].endswith("2/2")
    agent.edit("a.txt", "five\n", "line 5\n")
    reviewer.wait(SHOWN + "1")
    assert not [row for row in reviewer.screen() if row.endswith(("1/1", "2/2"))]


def test_the_screen_of_a_file(reviewer: Editor, agent: Agent) -> None:
    """Signs, numbers, deleted lines, owners and the count, as a person sees them."""
    agent.edit("a.txt", "line 1\n", "")
    agent.edit("a.txt", "line 4\n", "line four\nand more\n")
    agent.edit("a.txt", "line 20\n", "")
    reviewer.wait(SHOWN + "3")
    reviewer.command("set columns=60 lines=26 number signcolumn=yes")
    reviewer.keys("<Plug>(agentdiff-owner)gg<Plug>(agentdiff-next-hunk)")
    reviewer.lua("vim.api.nvim_exec_autocmds('CursorMoved', {})")
    owner = "   claude · turn 1 · Edit"
    assert reviewer.screen()[:22] == [
        "      line 1",
        "▔   1 line 2" + owner,
        "    2 line 3",
        "      line 4",
        "┃   3 line four" + owner + " " * 17 + "2/3",
        "┃   4 and more",
        *[f"   {n:>2} line {n}" for n in range(5, 19)],
        "▁  19 line 19" + owner,
        "      line 20",
    ]


def attribute(editor: Editor, row: int, column: int) -> int:
    """Returns the attribute of a cell of the screen, counted from 1."""
    return int(editor.lua("vim.cmd('redraw!'); return vim.fn.screenattr(...)", row, column))


def row_of(editor: Editor, text: str) -> int:
    """Returns the row of the screen that shows this text, counted from 1."""
    return screen_of(editor).index(text) + 1


def test_changed_words_stand_out(reviewer: Editor, agent: Agent) -> None:
    """The word that changed has another colour than its line, in the old line and in the new."""
    agent.edit("a.txt", "line 5\n", "line five\n")
    reviewer.wait(SHOWN + "1")
    old, new = row_of(reviewer, "line 5"), row_of(reviewer, "line five")
    for row in (old, new):
        same, word = attribute(reviewer, row, 4), attribute(reviewer, row, 8)
        assert same != word
    reviewer.lua("require('agentdiff').setup({ inline = { words = false } })")
    assert attribute(reviewer, new, 4) == attribute(reviewer, new, 8)


def test_words_follow_the_users_typing(reviewer: Editor, agent: Agent) -> None:
    """The emphasis is that of the text as it is now."""
    agent.edit("a.txt", "line 5\n", "line five\n")
    reviewer.wait(SHOWN + "1")
    reviewer.keys("5Gwcw5<Esc>")
    row = row_of(reviewer, "line 5") + 1
    assert attribute(reviewer, row, 4) == attribute(reviewer, row, 8)


@pytest.mark.parametrize(
    ("option", "differs"),
    [
        ("line = false", "text"),
        ("number = true", "number"),
        ("signs = false", "sign"),
        ("deleted = false", "deleted"),
    ],
)
def test_options_of_the_drawing(reviewer: Editor, agent: Agent, option: str, differs: str) -> None:
    """Each part of the drawing has its option, which changes nothing else."""
    reviewer.command("set number signcolumn=yes")
    agent.edit("a.txt", "line 5\n", "five\n")
    reviewer.wait(SHOWN + "1")

    def look(options: str) -> dict[str, object]:
        table = f"{{ inline = {{ words = false, count = false, {options} }} }}"
        reviewer.lua(f"require('agentdiff').setup({table})")
        reviewer.command("AgentDiff inline off | AgentDiff inline on")
        rows = reviewer.screen()
        row = next(n for n, text in enumerate(rows, 1) if text.endswith("five"))
        return {
            "deleted": any(text.endswith("line 5") for text in rows),
            "sign": rows[row - 1][0] != " ",
            "number": attribute(reviewer, row, 5),
            "text": attribute(reviewer, row, 8),
        }

    before, after = look(""), look(option)
    assert [name for name in before if before[name] != after[name]] == [differs]


def test_the_count_stands_beside_the_hunk(reviewer: Editor, agent: Agent) -> None:
    """``2/2`` at the right edge of the hunk that the cursor is in, nowhere else."""
    agent.edit("a.txt", "line 5\n", "five\n")
    agent.edit("a.txt", "line 10\n", "ten\n")
    reviewer.wait(SHOWN + "2")
    reviewer.keys("gg<Plug>(agentdiff-next-hunk)<Plug>(agentdiff-next-hunk)")
    reviewer.lua("vim.api.nvim_exec_autocmds('CursorMoved', {})")
    shown = [row.split()[-2:] for row in reviewer.screen() if re.search(r"\d/\d$", row)]
    assert shown == [["ten", "2/2"]]


def test_owners_are_shown_on_demand(reviewer: Editor, agent: Agent) -> None:
    """``<Plug>(agentdiff-owner)`` writes who did it at the end of the line, and takes it away."""
    agent.edit("a.txt", "line 5\n", "five\n")
    reviewer.wait(SHOWN + "1")
    reviewer.keys("<Plug>(agentdiff-owner)")
    shown = [row for row in screen_of(reviewer) if row.startswith("five")]
    reviewer.keys("<Plug>(agentdiff-owner)")
    assert (shown, "five" in screen_of(reviewer)) == (["five   claude · turn 1 · Edit"], True)


def test_a_hunk_is_a_text_object(reviewer: Editor, agent: Agent) -> None:
    """``<Plug>(agentdiff-select-hunk)`` after an operator and in visual mode."""
    agent.edit("a.txt", "line 5\nline 6\n", "five\nsix\n")
    reviewer.wait(SHOWN + "1")
    reviewer.command("omap ih <Plug>(agentdiff-select-hunk)")
    reviewer.command("xmap ih <Plug>(agentdiff-select-hunk)")
    reviewer.keys("6Gyih")
    yanked = reviewer.lua("return vim.fn.getreg('0')")
    reviewer.keys("6Gvih<Esc>")
    selected = reviewer.lua('return { vim.fn.line("\'<"), vim.fn.line("\'>") }')
    assert (yanked, selected) == ("five\nsix\n", [5, 6])


def test_an_operator_without_a_hunk_does_nothing(reviewer: Editor, agent: Agent) -> None:
    """Not even begin: ``c`` would leave the user in Insert mode. As for Neovim's own objects."""
    agent.edit("a.txt", "line 5\n", "five\n")
    agent.edit("a.txt", "line 10\n", "")
    reviewer.wait(SHOWN + "2")
    reviewer.command("omap ih <Plug>(agentdiff-select-hunk)")
    tries = [("2G$cih", "no hunk here"), ("9Gcih", "it only deletes"), ("2G.", "no hunk here")]
    for keys, why in tries:
        if keys.endswith("."):
            reviewer.nvim.input("5Gcihmine<Esc>")
            reviewer.wait("vim.fn.getline(5) == 'mine' and vim.fn.mode() == 'n'")
        reviewer.command("messages clear")
        reviewer.nvim.input(keys)
        reviewer.wait(f"vim.fn.execute('messages'):find('{why}')")
        assert reviewer.lua("return vim.api.nvim_get_mode().mode") == "n"
    assert reviewer.lines()[:5] == ["line 1", "line 2", "line 3", "line 4", "mine"]


def test_actions_are_offered(reviewer: Editor, agent: Agent, workspace: Path) -> None:
    """``:AgentDiff actions`` asks with `vim.ui.select` what to do with the hunk, and does it."""
    agent.edit("a.txt", "line 5\n", "five\n")
    reviewer.wait(SHOWN + "1")
    offered = reviewer.lua(
        """
        vim.api.nvim_win_set_cursor(0, { 5, 0 })
        local offered
        vim.ui.select = function(items, opts, choose)
          offered = vim.tbl_map(opts.format_item, items)
          choose(items[2])
        end
        vim.cmd('AgentDiff actions')
        return offered
        """
    )
    assert offered[:2] == ["Accept the hunk", "Reject the hunk"]
    assert (workspace / "a.txt").read_text() == BEFORE


def test_what_is_deleted_at_the_end_can_be_reached(reviewer: Editor, agent: Agent) -> None:
    """``G`` in a small window scrolls to the deleted lines below the last line."""
    agent.edit("a.txt", "line 19\nline 20\n", "")
    reviewer.wait(SHOWN + "1")
    reviewer.command("set lines=12")
    reviewer.keys("G")
    reviewer.lua("vim.api.nvim_exec_autocmds('CursorMoved', {})")
    assert screen_of(reviewer)[-3:] == ["line 18", "line 19", "line 20"]


def test_many_hunks_are_drawn_where_they_are_seen(
    reviewer: Editor, agent: Agent, workspace: Path
) -> None:
    """A thousand hunks: those in sight are drawn, and all of them move with the user's edits."""
    lines = [f"row {n}" for n in range(1, 2001)]
    agent.write("big.txt", "\n".join(lines) + "\n")
    reviewer.command("AgentBaseline! set | edit big.txt")
    reviewer.wait("vim.b.agentdiff_workspace")
    changed = [f"new {n}" if n % 2 else text for n, text in enumerate(lines, 1)]
    agent.write("big.txt", "\n".join(changed) + "\n")
    reviewer.wait(SHOWN + "1000")
    few = reviewer.lua(
        """
        local ns = vim.api.nvim_create_namespace('agentdiff.inline')
        return #vim.api.nvim_buf_get_extmarks(0, ns, 0, -1, {})
        """
    )
    reviewer.keys("G")
    reviewer.lua("vim.cmd.redraw(); vim.wait(1); vim.cmd.doautocmd('WinScrolled')")
    bottom = screen_of(reviewer)[-3:]
    reviewer.nvim.api.buf_set_lines(0, 0, 0, False, ["mine"])
    last = reviewer.lua("return require('agentdiff.inline').positions(vim.fn.bufnr())[1000]")
    expected = (True, ["row 1999", "new 1999", "row 2000"], (2000, 2000))
    assert expected == (few < 400, bottom, (last["first"], last["last"]))
