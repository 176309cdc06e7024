"""The review buffer as a buffer: headings, folds, colours, editing, and what may go wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from nvim_driver import Editor, wait_for
from scripted_agent import Agent
from test_review import BEFORE, on_line, open_review, pending

CLOSED = "return vim.tbl_map(function(l) return vim.fn.foldclosed(l) > 0 end, vim.fn.range(1, {}))"
TOLD = """
vim.g.told = {}
vim.notify = function(text) vim.g.told = vim.list_extend(vim.g.told, { text }) end
"""


@pytest.fixture
def turns(agent: Agent, workspace: Path) -> str:
    """The text of ``a.txt`` after two prompts: one changed 10 and 11, one changed 15 and b.txt."""
    agent.edit("a.txt", "line 10\nline 11\n", "ten\neleven\n")
    agent.stop()
    agent.prompt("Now the rest")
    agent.edit("a.txt", "line 15\n", "fifteen\n")
    agent.edit("b.txt", "two\n", "zwei\n")
    return (workspace / "a.txt").read_text()


def headings(editor: Editor) -> list[str]:
    """Returns the lines of the review that are no rows of a hunk."""
    return [line for line in editor.lines() if line and line[0] not in "@ +-\\"]


def marks(editor: Editor, name: str, line: str) -> list[tuple[str, str]]:
    """Returns (text, highlight) of the marks of a namespace on the line with this text."""
    found = editor.lua(
        """
        local name, text = ...
        local row = vim.fn.search('\\\\V' .. vim.fn.escape(text, '\\\\'), 'nw') - 1
        local out = {}
        local ns = vim.api.nvim_create_namespace(name)
        local get = vim.api.nvim_buf_get_extmarks
        for _, mark in ipairs(get(0, ns, { row, 0 }, { row, -1 }, { details = true })) do
          local line = vim.fn.getline(row + 1)
          out[#out + 1] = { line:sub(mark[3] + 1, mark[4].end_col), mark[4].hl_group }
        end
        return out
        """,
        name,
        line,
    )
    return [(text, group) for text, group in found]


# --- grouping ------------------------------------------------------------------------------------


def test_the_review_is_grouped_by_prompt(reviewer: Editor, turns: str) -> None:
    """Each change stands below the prompt that led to it; a file may stand below several."""
    open_review(reviewer)
    assert headings(reviewer) == [
        "turn 1 · claude: Please change things  (1 file, 1 hunk)",
        "modified a.txt  +2 -2",
        "turn 2 · claude: Now the rest  (2 files, 2 hunks)",
        "modified a.txt  +1 -1",
        "modified b.txt  +1 -1",
    ]


def test_a_key_and_an_argument_change_the_grouping(reviewer: Editor, turns: str) -> None:
    """``gs`` goes round; ``group=`` names it; a filter keeps it, and so does coming back."""
    open_review(reviewer)
    seen = []
    for _ in range(4):
        reviewer.keys("gs")
        seen.append(re.sub(r"(session) .*:|  .*", r"\1", headings(reviewer)[0]))
    reviewer.command("AgentDiff review group=file")
    reviewer.command("AgentDiff filter turn=2")
    assert seen == [
        "claude · session Please change things",
        "claude",
        "modified a.txt",
        "turn 1 · claude: Please change things",
    ]
    assert headings(reviewer) == ["modified a.txt  +1 -1", "modified b.txt  +1 -1"]
    reviewer.command("edit b.txt")
    reviewer.command("AgentDiff")
    kept = reviewer.lua("return vim.wo.winbar")
    reviewer.keys("q")
    reviewer.command("AgentDiff")
    anew = reviewer.lua("return vim.wo.winbar")
    assert (kept.split("  ")[0], anew.split("  ")[0]) == ("%<by file", "%<by turn")


def test_a_heading_stands_for_what_is_below_it(
    reviewer: Editor, turns: str, workspace: Path
) -> None:
    """``x`` on a prompt rejects that turn and nothing of another one in the same file."""
    open_review(reviewer)
    reviewer.command("/^turn 2")
    reviewer.keys("x")
    left = turns.replace("fifteen", "line 15")
    assert (left, "one\ntwo\nthree\n") == tuple(
        (workspace / name).read_text() for name in ("a.txt", "b.txt")
    )
    reviewer.keys("u")
    assert turns == (workspace / "a.txt").read_text()


def test_the_group_is_decided_from_anywhere_in_it(reviewer: Editor, turns: str) -> None:
    """``gA`` accepts the turn of the hunk under the cursor."""
    open_review(reviewer)
    on_line(reviewer, "+zwei")
    reviewer.keys("gA")
    assert (1, turns.count("fifteen")) == (pending(reviewer), 1)


def test_a_file_below_a_heading_is_its_part_of_the_file(
    reviewer: Editor, turns: str, workspace: Path
) -> None:
    """``X`` takes back what this turn did to the file."""
    open_review(reviewer)
    on_line(reviewer, "+fifteen")
    reviewer.keys("X")
    assert turns.replace("fifteen", "line 15") == (workspace / "a.txt").read_text()


# --- keys ----------------------------------------------------------------------------------------


def test_a_count_takes_so_many_hunks(reviewer: Editor, turns: str, workspace: Path) -> None:
    """``2x`` rejects this hunk and the next one, as one decision."""
    open_review(reviewer)
    reviewer.keys("gg]c2x")
    left = pending(reviewer)
    reviewer.keys("u")
    assert (1, 3, turns) == (left, pending(reviewer), (workspace / "a.txt").read_text())


def test_undo_goes_to_what_came_back(reviewer: Editor, turns: str) -> None:
    """As in any buffer; also when nothing had been left."""
    open_review(reviewer)
    seen = []
    for keys in ("gg]cxG", "gX"):
        reviewer.keys(keys)
        reviewer.keys("u")
        seen.append(reviewer.lua("return vim.api.nvim_get_current_line()"))
    assert seen == ["@@ -7,8 +7,8 @@ claude · turn 1 · Edit"] * 2


def test_the_winbar_says_how_much_a_filter_hides(reviewer: Editor, turns: str) -> None:
    """And by what."""
    reviewer.command("AgentDiff filter path=b.txt")
    assert reviewer.screen()[0].split("  ")[:3] == ["by turn", "path=b.txt", "1 of 3 hunks"]


def test_a_decision_is_repeated(reviewer: Editor, turns: str, workspace: Path) -> None:
    """``.`` does to the next hunk what the last key did."""
    open_review(reviewer)
    reviewer.keys("gg]cx..")
    assert ((workspace / "a.txt").read_text(), pending(reviewer)) == (BEFORE, 0)


@pytest.mark.parametrize(
    ("keys", "line", "said"),
    [
        ("]c", "@@ -7,8 +7,8 @@ claude · turn 1 · Edit", "hunk 1/3"),
        ("2]c", "@@ -15,4 +15,4 @@ claude · turn 2 · Edit", "hunk 2/3"),
        ("[c", "@@ -1,3 +1,3 @@ claude · turn 2 · Edit", "hunk 3/3"),
        ("]f]f", "modified a.txt  +1 -1", "file 2/3"),
        ("G[f", "modified b.txt  +1 -1", "file 3/3"),
        ("]]", "turn 2 · claude: Now the rest  (2 files, 2 hunks)", "group 2/2"),
        ("G[[", "turn 2 · claude: Now the rest  (2 files, 2 hunks)", "group 2/2"),
    ],
)
def test_keys_go_from_thing_to_thing(
    reviewer: Editor, turns: str, keys: str, line: str, said: str
) -> None:
    """Hunks, files and headings, with the number of how many."""
    open_review(reviewer)
    reviewer.lua(
        "vim.g.said = ''; vim.api.nvim_echo = function(chunks) vim.g.said = chunks[1][1] end"
    )
    reviewer.keys("gg")
    reviewer.keys(keys)
    there = reviewer.lua("return vim.api.nvim_get_current_line()")
    assert (line, said) == (there, reviewer.lua("return vim.g.said"))


def test_the_line_of_the_file_is_exact(reviewer: Editor, turns: str) -> None:
    """``gf`` on a context line, with the column; ``<C-w>f`` opens a split."""
    open_review(reviewer)
    reviewer.command("/^ line 16")
    reviewer.keys("llll")
    reviewer.keys("gf")
    there = reviewer.lua("return { vim.fn.expand('%:t'), vim.fn.line('.'), vim.fn.col('.') }")
    reviewer.keys("<C-o>")
    reviewer.keys("<C-w>f")
    wins = reviewer.lua("return #vim.api.nvim_list_wins()")
    assert (there, wins) == (["a.txt", 16, 4], 2)


def test_the_evidence_is_shown_on_demand(reviewer: Editor, turns: str) -> None:
    """``K`` names prompt, tool and what it is known by."""
    open_review(reviewer)
    on_line(reviewer, "+zwei")
    reviewer.keys("K")
    text = "\n".join(
        reviewer.lua(
            """
            local wins = vim.api.nvim_list_wins()
            local buf = vim.api.nvim_win_get_buf(wins[#wins])
            return vim.api.nvim_buf_get_lines(buf, 0, -1, false)
            """
        )
    )
    for part in ("b.txt", "claude · turn 2", "Now the rest", "Edit", "exact"):
        assert part in text


def test_a_comment_is_kept_for_the_agent(reviewer: Editor, turns: str) -> None:
    """``:AgentDiff comment`` with words, and the key that asks for them."""
    open_review(reviewer)
    reviewer.lua(TOLD)
    on_line(reviewer, "+zwei")
    reviewer.command("AgentDiff comment please use English")
    reviewer.lua("vim.ui.input = function(_, on_confirm) on_confirm('and again') end")
    reviewer.keys("gC")
    on_line(reviewer, "+ten")
    reviewer.keys("VjgC")
    notes = reviewer.lua(
        """
        local ask = require('agentdiff.rpc').wait
        return ask('request', { method = 'feedback' }).notes
        """
    )
    assert reviewer.lua("return vim.g.told") == ["agentdiff: comment kept for claude"] * 3
    assert [(note["path"], note["text"], note["lines"]) for note in notes] == [
        ("b.txt", "please use English", None),
        ("b.txt", "and again", None),
        ("a.txt", "and again", [10, 11]),
    ]
    reviewer.command("AgentDiff feedback")
    assert "please use English" in reviewer.lua("return vim.fn.getreg('\"')")
    reviewer.command("AgentDiff feedback")
    told = reviewer.lua("return vim.g.told")[3:]
    assert told[0].startswith("agentdiff: 3 notes yanked into register")
    assert told[1] == "agentdiff: nothing waits to be told"


def test_what_was_rejected_can_be_read_again(reviewer: Editor, turns: str) -> None:
    """``:AgentDiff rejected`` shows patches, with the reason."""
    open_review(reviewer)
    on_line(reviewer, "+zwei")
    reviewer.command("AgentDiff reject no German please")
    reviewer.command("AgentDiff rejected")
    lines = reviewer.lines()
    assert (lines[0].split("  ")[1:], reviewer.lua("return vim.bo.filetype")) == (
        ["reject", "b.txt", "no German please"],
        "diff",
    )
    assert {"-two", "+zwei"} <= set(lines)


# --- folds and refresh ---------------------------------------------------------------------------


def test_folds_stay_while_the_agent_writes(reviewer: Editor, agent: Agent, turns: str) -> None:
    """A closed file and a closed turn stay closed, the others open."""
    open_review(reviewer)
    reviewer.command("/^turn 1")
    reviewer.keys("zc")
    reviewer.command("/^modified b.txt")
    reviewer.keys("=")
    closed = reviewer.lua(CLOSED.format(len(reviewer.lines())))
    agent.edit("a.txt", "line 18\n", "eighteen\n")
    reviewer.wait("vim.fn.search('+eighteen', 'nw') > 0")
    lines = reviewer.lines()
    still = reviewer.lua(CLOSED.format(len(lines)))
    shut = [line for line, hidden in zip(lines, still, strict=True) if hidden]
    assert (sum(closed), sum(still)) == (len(shut), len(shut))
    assert {"+ten", "+zwei"} <= set(shut)
    assert {"+fifteen", "+eighteen"}.isdisjoint(shut)


def test_a_decision_made_elsewhere_is_seen(
    reviewer: Editor, turns: str, spawn: Callable[..., Editor], workspace: Path
) -> None:
    """Another Neovim rejects everything: nothing stale is left on this screen."""
    open_review(reviewer)
    other = spawn(cwd=workspace, config="let g:agentdiff = #{auto_attach: v:false}")
    other.command("AgentDiff reject all")
    reviewer.wait("vim.fn.getline(1) == 'Nothing pends here.'")
    assert (workspace / "a.txt").read_text() == BEFORE


def test_the_agent_moves_no_window_and_no_cursor(
    reviewer: Editor, agent: Agent, turns: str
) -> None:
    """While it writes, layout, focus and mode are the user's."""
    open_review(reviewer)
    reviewer.command("split a.txt")
    reviewer.keys("5G")
    state = "return { vim.fn.winlayout(), vim.fn.getcurpos(), vim.fn.mode(), vim.fn.winnr() }"
    before = reviewer.lua(state)
    agent.edit("b.txt", "one\n", "eins\n")
    agent.write("new.txt", "new\n")
    agent.stop()
    reviewer.wait("vim.g.agentdiff_status:find('3 files')")
    assert before == reviewer.lua(state)


def test_a_selection_is_not_moved(
    reviewer: Editor, agent: Agent, turns: str, workspace: Path
) -> None:
    """While lines are selected nothing is refreshed; the decision is about what was seen."""
    open_review(reviewer)
    on_line(reviewer, "+fifteen")
    reviewer.nvim.api.input("V")
    agent.edit("a.txt", "line 2\n", "two\nand\nmore\n")
    reviewer.wait("vim.wo.winbar:find('not refreshed')")
    reviewer.nvim.api.input("x")
    expected = turns.replace("fifteen\n", "").replace("line 2\n", "two\nand\nmore\n")
    wait_for(lambda: (workspace / "a.txt").read_text() == expected, "the decision", reviewer)
    reviewer.wait("vim.fn.search('+more', 'nw') > 0")


def test_what_waits_for_a_selection_is_shown_when_it_ends(
    reviewer: Editor, agent: Agent, turns: str
) -> None:
    """Each time; and nothing looks out for such an end when nothing waits."""
    open_review(reviewer)
    looking_out = "#vim.api.nvim_get_autocmds({ event = { 'ModeChanged', 'TextChanged' } })"
    before = reviewer.lua(f"return {looking_out}")
    for old, new in (("one\n", "eins\n"), ("eins\n", "uno\n")):
        on_line(reviewer, "+ten")
        reviewer.nvim.api.input("V")
        agent.edit("b.txt", old, new)
        reviewer.wait("vim.wo.winbar:find('not refreshed')")
        assert reviewer.lua(f"return {looking_out}") == before + 2
        reviewer.nvim.api.input("<Esc>")
        reviewer.wait(f"vim.fn.search('+{new.strip()}', 'nw') > 0")

    def over() -> bool:
        reviewer.nvim.api.input("V<Esc>")
        return bool(reviewer.lua(f"return {looking_out}") == before)

    wait_for(over, "the end of what looked out", reviewer)


def test_a_refresh_while_the_command_line_window_is_open(
    reviewer: Editor, agent: Agent, turns: str
) -> None:
    """Nothing is said, and the text is there afterwards."""
    open_review(reviewer)
    reviewer.nvim.api.input(":<C-f>")
    reviewer.wait("vim.fn.getcmdwintype() == ':'")
    agent.edit("b.txt", "one\n", "eins\n")
    text = "table.concat(vim.api.nvim_buf_get_lines(vim.fn.bufnr('agentdiff://*'), 0, -1, false))"
    reviewer.wait(f"({text}):find('eins') ~= nil")
    reviewer.nvim.api.input("<CR>")
    reviewer.wait("vim.fn.getcmdwintype() == ''")
    assert ("E11" in reviewer.messages(), "Error" in reviewer.messages()) == (False, False)


def test_only_what_changed_is_drawn_again(reviewer: Editor, agent: Agent, turns: str) -> None:
    """Marks of other plugins on the rest stay where they are."""
    open_review(reviewer)
    on_line(reviewer, "+ten")
    reviewer.lua(
        """
        vim.g.ns = vim.api.nvim_create_namespace('other')
        vim.api.nvim_buf_set_extmark(0, vim.g.ns, vim.fn.line('.') - 1, 0, {
          end_row = vim.fn.line('.') + 1, invalidate = true })
        """
    )
    agent.edit("b.txt", "one\n", "eins\n")
    reviewer.wait("vim.fn.search('+eins', 'nw') > 0")
    kept = reviewer.lua(
        "return vim.api.nvim_buf_get_extmarks(0, vim.g.ns, 0, -1, { details = true })"
    )
    assert [(row, details.get("invalid")) for _, row, _, details in kept] == [
        (reviewer.lines().index("+ten"), None)
    ]


# --- colours -------------------------------------------------------------------------------------


def test_code_has_the_colours_of_its_language(reviewer: Editor, agent: Agent) -> None:
    """On both sides of a change, with the words that changed emphasised."""
    agent.write("m.lua", "local x = 1\nreturn x\n")
    reviewer.command("AgentDiff accept all")
    agent.edit("m.lua", "local x = 1\n", "local x = 'one'\n")
    open_review(reviewer)
    reviewer.command("redraw")
    new = wait_for(lambda: marks(reviewer, "agentdiff.colours", "+local x"), "colours", reviewer)
    old = marks(reviewer, "agentdiff.colours", "-local x")
    assert ("local", "@keyword.lua") in new
    assert ("local", "@keyword.lua") in old
    assert ("1", "AgentDiffDeletedWord") in old
    assert [group for text, group in new if text == "'one'" and "Word" in group]


def test_a_query_with_an_unknown_predicate_leaves_the_code_plain(
    reviewer: Editor, agent: Agent
) -> None:
    """A plugin that would register it may be missing: the words are emphasised all the same."""
    query = "((identifier) @variable (#nope? @variable))"
    reviewer.lua("vim.treesitter.query.set('lua', 'highlights', ...)", query)
    agent.write("m.lua", "local x = 1\nreturn x\n")
    reviewer.command("AgentDiff accept all")
    agent.edit("m.lua", "local x = 1\n", "local x = 'one'\n")
    open_review(reviewer)
    reviewer.command("redraw")
    new = wait_for(lambda: marks(reviewer, "agentdiff.colours", "+local x"), "words", reviewer)
    assert {group for _, group in new} == {"AgentDiffAddedWord"}


# --- editing -------------------------------------------------------------------------------------


def test_an_edit_is_written_to_the_file(reviewer: Editor, turns: str, workspace: Path) -> None:
    """A changed and a deleted added line; one decision, which is undone by ``u``."""
    open_review(reviewer)
    on_line(reviewer, "+ten")
    reviewer.keys("cc+TEN<Esc>jdd")
    reviewer.command("write")
    written = (workspace / "a.txt").read_text()
    left = reviewer.lua("return { vim.bo.modified, vim.fn.search('^+TEN', 'nw') > 0 }")
    reviewer.keys("u")
    assert (written, left) == (turns.replace("ten\neleven\n", "TEN\n", 1), [False, True])
    assert turns == (workspace / "a.txt").read_text()


def test_while_it_is_edited_it_is_a_plain_buffer(
    reviewer: Editor, agent: Agent, turns: str, workspace: Path
) -> None:
    """``x`` and ``u`` are those of Neovim, nothing is refreshed, and decisions wait."""
    open_review(reviewer)
    reviewer.lua(TOLD)
    on_line(reviewer, "+ten")
    reviewer.keys("cc+ten!<Esc>")
    reviewer.keys("x")
    agent.edit("b.txt", "one\n", "eins\n")
    reviewer.wait("vim.wo.winbar:find('not refreshed')")
    edited = reviewer.lua("return vim.api.nvim_get_current_line()")
    reviewer.command("AgentDiff reject")
    told = reviewer.lua("return vim.g.told")
    reviewer.keys("uu")
    reviewer.wait("vim.fn.search('+eins', 'nw') > 0")
    assert (edited, "being edited" in told[0]) == ("+ten", True)
    assert turns == (workspace / "a.txt").read_text()


def test_a_refused_edit_stays_in_the_buffer(reviewer: Editor, turns: str, workspace: Path) -> None:
    """A removed line is no text; the reason says what to do, ``:edit!`` drops the edit."""
    open_review(reviewer)
    reviewer.lua(TOLD)
    on_line(reviewer, "-line 10")
    reviewer.keys("dd")
    reviewer.command("write")
    kept = reviewer.lua("return { vim.bo.modified, vim.fn.search('^-line 10', 'nw') }")
    reviewer.command("edit!")
    back = reviewer.lua("return { vim.bo.modified, vim.fn.search('^-line 10', 'nw') > 0 }")
    assert (kept, back) == ([True, 0], [False, True])
    assert "removed line" in reviewer.lua("return vim.g.told")[0]
    assert turns == (workspace / "a.txt").read_text()


def test_an_edit_of_what_moved_on_is_refused(
    reviewer: Editor, agent: Agent, turns: str, workspace: Path
) -> None:
    """The agent changed the same hunk meanwhile: neither text is lost."""
    open_review(reviewer)
    reviewer.lua(TOLD)
    on_line(reviewer, "+ten")
    reviewer.keys("cc+ten mine<Esc>")
    agent.edit("a.txt", "ten\n", "TEN\n")
    reviewer.command("write")
    assert reviewer.lua("return { vim.bo.modified, vim.api.nvim_get_current_line() }") == [
        True,
        "+ten mine",
    ]
    assert "changed since" in reviewer.lua("return vim.g.told")[0]
    assert turns.replace("ten\n", "TEN\n", 1) == (workspace / "a.txt").read_text()


# --- bad input -----------------------------------------------------------------------------------


def test_a_long_review_comes_in_two_parts(
    home: Path, reviewer: Editor, agent: Agent, workspace: Path
) -> None:
    """Its head first, the rest from a file that is gone afterwards; decisions and folds work."""
    agent.write("long.txt", "".join(f"text {n}\n" for n in range(5000)))
    open_review(reviewer)
    reviewer.wait("vim.api.nvim_buf_line_count(0) == 5003")
    reviewer.wait("#vim.fn.glob(vim.env.XDG_RUNTIME_DIR .. '/agentdiff/review-*') == 0")
    lines = reviewer.lines()
    agent.edit("a.txt", "line 5\n", "five\n")
    reviewer.wait("vim.fn.search('+five', 'nw') > 0")
    reviewer.command("/^modified a.txt")
    reviewer.keys("X")
    assert reviewer.lua("return vim.fn.foldlevel(4000)") == 2
    assert lines[3:] == [f"+text {n}" for n in range(5000)] == reviewer.lines()[3:]
    assert (workspace / "a.txt").read_text() == BEFORE


@pytest.mark.parametrize("size", ["columns=40 lines=10", "columns=12 lines=3"])
def test_a_small_screen_and_odd_text_do_no_harm(reviewer: Editor, agent: Agent, size: str) -> None:
    """Wide, right-to-left and control characters, a binary, an empty file, one very long line."""
    (agent.workspace / "odd.txt").write_bytes("日本\nשלום עולם\n".encode() + b"a\0\x1b[m\r\n\xff")
    agent.shell("printf '\\000\\001' > bin; : > empty; printf 'x%.0s' $(seq 30000) > one")
    agent.shell("printf '日本語\\nعربى\\n\\033[31m\\r\\n\\377' > 'na me\u200f.txt'")
    reviewer.command(f"set {size} termguicolors")
    reviewer.command("edit")
    open_review(reviewer)
    for keys in ("G", "gg", "]c", "]c", "zc", "zo", "gs", "K", "j", "g?", "q", "[c", "2a", "u"):
        reviewer.keys(keys)
        reviewer.screen()
    said = reviewer.messages()
    assert ("Error" not in said, "traceback" not in said, "E5" not in said) == (True, True, True)


def test_a_buffer_that_is_wiped_during_a_refresh_is_let_go(
    reviewer: Editor, agent: Agent, turns: str
) -> None:
    """And another review can be opened."""
    open_review(reviewer)
    reviewer.lua(
        """
        vim.api.nvim_create_autocmd('User', { pattern = 'AgentDiffUpdate', once = true,
          callback = function() pcall(vim.cmd, 'bwipeout! agentdiff://*') end })
        local draw = require('agentdiff.review').draw
        require('agentdiff.review').draw = function(...)
          vim.cmd('bwipeout! ' .. vim.fn.bufnr('agentdiff://*'))
          require('agentdiff.review').draw = draw
          draw(...)
        end
        """
    )
    agent.edit("b.txt", "one\n", "eins\n")
    reviewer.wait("vim.fn.bufnr('agentdiff://*') == -1")
    assert ("+eins" in open_review(reviewer), "Error" in reviewer.messages()) == (True, False)


def test_a_window_that_shows_something_else_keeps_its_options(reviewer: Editor, turns: str) -> None:
    """Options of the review are those of its window with its buffer."""
    before = reviewer.lua("return { vim.wo.wrap, vim.wo.number, vim.wo.winbar, vim.wo.foldtext }")
    open_review(reviewer)
    reviewer.command("buffer a.txt")
    after = reviewer.lua("return { vim.wo.wrap, vim.wo.number, vim.wo.winbar, vim.wo.foldtext }")
    assert before == after


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("open: 'split'", [2, 1]),
        ("open: 'vsplit'", [2, 1]),
        ("open: 'tab'", [1, 2]),
        ("open: 'current'", [1, 1]),
    ],
)
def test_where_the_review_opens(
    spawn: Callable[..., Editor], agent: Agent, turns: str, option: str, expected: list[int]
) -> None:
    """The layout is changed only as the option says, and ``q`` gives it back.

    Going to a file and coming back leaves no window behind.
    """
    editor = spawn(
        "a.txt",
        cwd=agent.workspace,
        config=f"let g:agentdiff = #{{auto_attach: v:false, review: #{{{option}}}}}",
    )
    layout = "return { #vim.api.nvim_tabpage_list_wins(0), #vim.api.nvim_list_tabpages() }"
    editor.command("AgentDiff")
    opened = editor.lua(layout)
    editor.keys("<CR>")
    editor.command("AgentDiff")
    again = (editor.lua(layout), editor.lua("return vim.bo.filetype"))
    assert again == (opened, "agentdiff")
    editor.keys("q")
    assert (expected, [1, 1]) == (opened, editor.lua(layout))


def test_options_of_the_review(spawn: Callable[..., Editor], agent: Agent, turns: str) -> None:
    """Grouping, context, winbar and keys."""
    options = "group: 'file', context: 0, winbar: v:false, keys: {'accept-hunk': v:false}"
    editor = spawn(
        "a.txt",
        cwd=agent.workspace,
        config=f"let g:agentdiff = #{{auto_attach: v:false, review: #{{{options}}}}}",
    )
    editor.command("AgentDiff")
    seen = editor.lua("return { vim.wo.winbar, vim.fn.maparg('a', 'n'), vim.fn.maparg('x', 'n') }")
    assert editor.lines()[:3] == ["modified a.txt  +3 -3", *editor.lines()[1:3]]
    assert " line 9" not in editor.lines()
    assert (seen[0], seen[1], seen[2] != "") == ("", "", True)


# --- what a person sees --------------------------------------------------------------------------


def test_the_screen_of_a_review(reviewer: Editor, turns: str) -> None:
    """From the winbar to the last hunk."""
    reviewer.command("set columns=70 lines=24")
    open_review(reviewer)
    reviewer.keys("gg")
    assert reviewer.screen()[:22] == [
        "by turn  2 files 3 hunks" + " " * 39 + "g? help",
        "turn 1 · claude: Please change things  (1 file, 1 hunk)",
        "modified a.txt  +2 -2",
        "@@ -7,8 +7,8 @@ claude · turn 1 · Edit",
        " line 7",
        " line 8",
        " line 9",
        "-line 10",
        "-line 11",
        "+ten",
        "+eleven",
        " line 12",
        " line 13",
        " line 14",
        "",
        "turn 2 · claude: Now the rest  (2 files, 2 hunks)",
        "modified a.txt  +1 -1",
        "@@ -15,4 +15,4 @@ claude · turn 2 · Edit",
        "-line 15",
        "+fifteen",
        " line 16",
        " line 17",
    ]
