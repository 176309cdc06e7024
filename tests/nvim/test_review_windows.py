"""The review and the windows around it: coming back, closing, writing it elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from nvim_driver import Editor
from scripted_agent import Agent
from test_review import on_line, open_review, pending

NAMES = """
return vim.tbl_map(function(win)
  return vim.fs.basename(vim.api.nvim_buf_get_name(vim.api.nvim_win_get_buf(win)))
end, vim.api.nvim_list_wins())
"""
SHUT = """
return vim.tbl_filter(function(line) return vim.fn.foldclosed(vim.fn.search('^' .. line)) > 0 end, {
  'modified a.txt', 'modified b.txt', 'created c.txt'
})
"""


@pytest.fixture
def review(reviewer: Editor, agent: Agent) -> Editor:
    """A review by file: three lines of ``a.txt``, one of ``b.txt``, a file that is new."""
    agent.edit("a.txt", "line 10\n", "ten\n10\n1010\n")
    agent.edit("b.txt", "two\n", "zwei\n")
    agent.write("c.txt", "new\n")
    reviewer.command("AgentDiff review group=file")
    return reviewer


def test_folds_come_back_to_their_files(review: Editor, agent: Agent) -> None:
    """Also when rows went while the window showed a file."""
    review.command("/^modified b.txt")
    review.keys("zc")
    on_line(review, "+ten")
    review.keys("<CR>")
    buffer = review.lua("return vim.fn.bufnr('agentdiff://*')")
    agent.edit("a.txt", "ten\n10\n1010\n", "ten\n")
    review.wait(f"not vim.list_contains(vim.api.nvim_buf_get_lines({buffer}, 0, -1, true), '+10')")
    there = review.lua("return vim.fn.expand('%:t')")
    review.keys("<C-o>")
    assert (there, review.lua(SHUT)) == ("a.txt", ["modified b.txt"])


def test_it_is_copied_into_a_file(review: Editor, workspace: Path) -> None:
    """``:w {file}`` writes what stands there, asks before it overwrites, and applies nothing."""
    copy = workspace.parent / "copy.diff"
    before = (workspace / "a.txt").read_text()
    review.command(f"silent write {copy}")
    assert copy.read_text().splitlines() == review.lines()
    row = review.lines().index("+ten")
    review.nvim.api.buf_set_lines(0, row, row + 1, False, ["+edited"])
    refused = review.lua("return select(2, pcall(vim.cmd, ...))", f"write {copy}")
    missing = review.lua("return select(2, pcall(vim.cmd, ...))", f"write {copy}/none")
    assert ("E13:" in refused, "E212:" in missing, "traceback" in missing) == (True, True, False)
    review.command(f"silent write! {copy}")
    assert copy.read_text().splitlines() == review.lines()
    review.command(f"silent write >> {copy}")
    review.command(f"silent 1,2write! {copy}2")
    assert copy.read_text().splitlines() == review.lines() * 2
    assert Path(f"{copy}2").read_text().splitlines() == review.lines()[:2]
    assert (review.lua("return vim.bo.modified"), (workspace / "a.txt").read_text()) == (
        True,
        before,
    )
    review.command("silent write")
    assert (workspace / "a.txt").read_text() == before.replace("ten", "edited")


def test_a_review_that_was_emptied_is_sent_as_a_whole(
    review: Editor, agent: Agent, workspace: Path
) -> None:
    """``:edit`` that gets no answer empties it: nothing is decided in it, nothing spliced in."""
    before = (workspace / "a.txt").read_text()
    review.lua(
        """
        local rpc = require('agentdiff.rpc')
        local wait = rpc.wait
        rpc.wait = function() return nil, { code = 'unavailable', message = 'no answer' } end
        pcall(vim.cmd.edit)
        rpc.wait = wait
        """
    )
    emptied = review.lines()
    told = review.told("normal X")
    assert (emptied, told) == (
        [""],
        "agentdiff: nothing is shown that this could be about; :AgentDiff shows it",
    )
    agent.edit("b.txt", "three\n", "drei\n")
    review.wait("vim.fn.search('+drei', 'nw') > 0")
    assert {"+ten", "+zwei", "+new"} <= set(review.lines())
    assert (workspace / "a.txt").read_text() == before


@pytest.mark.parametrize(
    ("before", "left"),
    [
        ("split", ["work"]),
        ("split | wincmd w", ["work", "a.txt"]),
        ("new | only | buffer agentdiff", [""]),
        ("new b.txt | only | buffer agentdiff", ["b.txt"]),
        ("new | buffer agentdiff | wincmd p | edit b.txt | wincmd p", ["b.txt"]),
    ],
)
def test_closing_leaves_no_empty_buffer(review: Editor, before: str, left: list[str]) -> None:
    """``q`` in the user's own window closes it while there is another one."""
    review.command(before)
    listed = review.lua("return #vim.fn.getbufinfo({ buflisted = 1 })")
    review.keys("q")
    assert review.lua(NAMES) == left
    assert review.lua("return #vim.fn.getbufinfo({ buflisted = 1 })") == listed


def test_unsaved_changes_stay_in_their_window(reviewer: Editor, agent: Agent) -> None:
    """With 'nohidden' the review opens beside them, and ``q`` closes it again."""
    agent.edit("b.txt", "two\n", "zwei\n")
    reviewer.command("set nohidden | call setline(1, 'mine')")
    open_review(reviewer)
    names = reviewer.lua(NAMES)
    reviewer.keys("q")
    assert (names, reviewer.lua(NAMES), pending(reviewer)) == (["work", "a.txt"], ["a.txt"], 1)


def test_the_command_line_window_is_not_left(reviewer: Editor, agent: Agent) -> None:
    """From there nothing can be opened (E11), and it is said why."""
    reviewer.nvim.input("q:")
    reviewer.wait("vim.fn.getcmdwintype() == ':'")
    told = reviewer.told("AgentDiff")
    reviewer.nvim.input(":close<CR>")
    reviewer.wait("vim.fn.getcmdwintype() == ''")
    assert (told, reviewer.lua(NAMES)) == (
        "agentdiff: close the command-line window first",
        ["a.txt"],
    )


def test_who_is_in_a_review_stays_in_that_window(review: Editor) -> None:
    """Also when another tab page and another window show it, too."""
    for line in ("split", "tab split", "split", "wincmd j"):
        review.command(line)
    there = review.lua("return vim.api.nvim_get_current_win()")
    for line in ("AgentDiff", "AgentDiff filter path=a.txt", "edit", "normal gs"):
        review.command(line)
        assert review.lua("return vim.api.nvim_get_current_win()") == there, line


def test_the_review_of_this_tab_page_is_gone_to(review: Editor) -> None:
    """From a file beside it, not another tab page's."""
    review.command("tab split")
    there = review.lua("return vim.api.nvim_get_current_win()")
    review.command("new b.txt")
    review.command("AgentDiff")
    assert review.lua("return vim.api.nvim_get_current_win()") == there


def test_closing_gives_the_alternate_file_back(review: Editor) -> None:
    """With ``q`` and ``:bdelete``; a review elsewhere changes nothing about that."""
    names = "return { vim.fn.expand('%:t'), vim.fn.expand('#:t') }"
    review.keys("q")
    for name in ("b.txt", "a.txt"):
        review.command(f"edit {name}")
    review.command("AgentDiff")
    review.keys("q")
    after_q = review.lua(names)
    review.command("AgentDiff")
    review.command("tab split | tabprevious")
    review.keys("q")
    elsewhere = review.lua(names)
    review.command("tabonly")
    review.command("AgentDiff")
    review.command("bdelete")
    review.wait("vim.fn.expand('#:t') ~= ''")
    assert [after_q, elsewhere, review.lua(names)] == [["a.txt", "b.txt"]] * 3


def test_going_to_a_file_from_the_review_keeps_the_alternate_file(review: Editor) -> None:
    """The file of before is the alternate one then, as if one had gone there from it."""
    names = "return { vim.fn.expand('%:t'), vim.fn.expand('#:t') }"
    review.keys("q")
    for name in ("b.txt", "a.txt"):
        review.command(f"edit {name}")
    seen = []
    for line in ("+ten", "+zwei", "+new"):
        review.command("AgentDiff")
        on_line(review, line)
        review.keys("<CR>")
        review.command("AgentDiff")
        if line != "+zwei":  # there one goes on in the review
            review.keys("q")
            seen.append(review.lua(names))
    assert seen == [["a.txt", "b.txt"], ["c.txt", "b.txt"]]


def test_a_window_that_is_fixed_to_the_review_is_left(review: Editor) -> None:
    """Whoever closes the review does not want it to stay there."""
    review.command("setlocal winfixbuf")
    review.keys("q")
    assert review.lua("return { vim.fn.expand('%:t'), vim.wo.winfixbuf }") == ["a.txt", False]


def test_folds_of_a_split_stay_as_they_were(review: Editor, agent: Agent) -> None:
    """Also in a tab page of its own (CTRL-W T), while the agent goes on."""
    shut = SHUT.replace("return ", "local function shut() return ", 1) + "end\n"
    shut += "return vim.tbl_map(function(win) return vim.api.nvim_win_call(win, shut) end, ...)"
    wins = "vim.fn.win_findbuf(vim.fn.bufnr('agentdiff://*'))"
    review.command("/^modified b.txt")
    review.keys("zc")
    review.command("split")
    review.command("wincmd T | tabprevious | split")
    agent.edit("c.txt", "new\n", "new\nmore\n")
    review.wait("vim.fn.search('^+more', 'n') > 0")
    assert review.lua(shut, review.lua(f"return {wins}")) == [["modified b.txt"]] * 3


def test_another_window_is_folded_anew(review: Editor, agent: Agent) -> None:
    """Neovim brings the folds of the last window back, at line numbers of then."""
    levels = "return vim.tbl_map(vim.fn.foldlevel, vim.fn.range(1, vim.fn.line('$')))"
    review.command("edit a.txt")
    review.command("only")
    agent.edit("a.txt", "line 2\n", "".join(f"new {n}\n" for n in range(9)))
    buffer = "vim.fn.bufnr('agentdiff://*')"
    review.wait(f"vim.list_contains(vim.api.nvim_buf_get_lines({buffer}, 0, -1, true), '+new 8')")
    review.command("vnew")
    review.command("AgentDiff")
    starts = [line.split()[0] in ("modified", "created") for line in review.lines() if line]
    folded = [level for level, line in zip(review.lua(levels), review.lines(), strict=True) if line]
    assert (starts.count(True), set(folded)) == (3, {1})


@pytest.mark.parametrize("bang", ["", "!"])
def test_reading_it_again_moves_no_cursor(review: Editor, bang: str) -> None:
    """``:edit`` and ``:edit!`` leave every window's cursor on its line, and folds closed."""
    review.command("/^modified b.txt")
    review.keys("zc")
    review.command("split")
    on_line(review, "+1010")
    review.command("wincmd p")
    on_line(review, "+new")
    if bang:
        row = review.lines().index("+10")
        review.nvim.api.buf_set_lines(0, row, row + 1, False, ["+edited"])
    review.command(f"edit{bang}")
    lines = review.lua(
        """
        return vim.tbl_map(function(win)
          return vim.api.nvim_win_call(win, vim.api.nvim_get_current_line)
        end, vim.api.nvim_tabpage_list_wins(0))
        """
    )
    assert (lines, review.lua(SHUT)) == (["+1010", "+new"], ["modified b.txt"])


def test_reading_it_again_leaves_who_came_back_alone(review: Editor, agent: Agent) -> None:
    """With CTRL-W p the cursor has come back; what it was on when it left counts no more."""
    buffer = review.nvim.current.buffer
    review.command("new b.txt | wincmd p")
    for line in ("+1010", "+zwei"):
        on_line(review, "+new")
        review.command("wincmd p | wincmd p")
        on_line(review, line)
        review.command("edit")
        assert (review.nvim.current.buffer, review.nvim.current.line) == (buffer, line)
    agent.write("d.txt", "".join(f"d{n}\n" for n in range(4000)))
    review.wait("vim.fn.search('^+d3999', 'n') > 0")
    for command in ("edit", "normal R"):
        on_line(review, "+new")
        review.command("wincmd p | wincmd p")
        on_line(review, "+d3000")
        review.lua("shape = require('agentdiff.review').get(vim.fn.bufnr()).shape")
        review.command(command)
        review.wait("vim.w.agentdiff_folded[2] > shape")
        assert (review.nvim.current.buffer, review.nvim.current.line) == (buffer, "+d3000")


def test_a_recording_ends_as_everywhere(review: Editor) -> None:
    """The first ``q`` ends it and leaves the review open; the next one closes that."""
    review.keys("<CR>")
    for keys in ("qa0", ":AgentDiff<CR>"):
        review.nvim.input(keys)
    review.wait("vim.bo.filetype == 'agentdiff'")
    review.nvim.input("jq")
    review.wait("vim.fn.reg_recording() == ''")
    recorded = review.lua("return { vim.fn.getreg('a'), vim.bo.filetype }")
    assert recorded == ["0:AgentDiff\rj", "agentdiff"]
    review.keys("q")
    assert review.lua("return vim.bo.filetype") != "agentdiff"


def test_a_review_keeps_its_name(review: Editor, workspace: Path) -> None:
    """``:saveas`` copies it as ``:w {file}`` does, and ``:file`` changes nothing."""
    before = (workspace / "a.txt").read_text()
    name = review.lua("return vim.fn.bufname()")
    listed = review.command("ls!").count("agentdiff:")
    row = review.lines().index("+ten")
    review.nvim.api.buf_set_lines(0, row, row + 1, False, ["+edited"])
    copy = workspace.parent / "copy.diff"
    for line in (f"silent saveas {copy}", "silent file other"):
        review.command(line)
        review.wait(f"vim.fn.bufname() == '{name}'")
        assert (review.lua("return vim.bo.modified"), listed) == (
            True,
            review.command("ls!").count("agentdiff:"),
        )
    assert (copy.read_text().splitlines(), (workspace / "a.txt").read_text()) == (
        review.lines(),
        before,
    )
    review.command("silent write")
    assert (workspace / "a.txt").read_text() == before.replace("ten", "edited")


@pytest.mark.parametrize("rename", ["file other", "keepalt file other", "0file"])
def test_a_rename_leaves_no_trace(review: Editor, rename: str) -> None:
    """No buffer of the other name, and the window has its alternate file."""
    review.keys("q")
    for line in ("edit b.txt", "edit a.txt", "AgentDiff"):
        review.command(line)
    scratch = review.nvim.api.create_buf(False, True)
    name = review.nvim.current.buffer.name
    buffers = [buffer.name for buffer in review.nvim.buffers]
    review.command(f"silent {rename}")
    review.wait(f"vim.fn.bufname() == '{name}' and vim.fn.expand('#:t') == 'a.txt'")
    assert ([buffer.name for buffer in review.nvim.buffers], scratch.valid) == (buffers, True)
    review.keys("q")
    assert review.lua("return { vim.fn.expand('%:t'), vim.fn.expand('#:t') }") == ["a.txt", "b.txt"]


def test_the_cursor_comes_back_to_its_line(review: Editor, agent: Agent) -> None:
    """Also when all of a long review was sent again while the window showed a file."""
    for name in "def":
        agent.write(f"{name}.txt", "".join(f"{name}{n}\n" for n in range(2000)))
    review.wait("vim.fn.search('^+f1999', 'n') > 0")
    on_line(review, "+e1500")
    review.keys("<CR>")
    review.lua(
        """
        local review = require('agentdiff.review')
        for _, buf in ipairs(vim.api.nvim_list_bufs()) do
          if review.get(buf) then
            local token = review.get(buf).view.token
            whole = function()
              local now, rendered = review.get(buf).view.token, require('agentdiff.render')
              return now ~= token and not rendered.partial(buf)
            end
          end
        end
        review.ask_again()
        """
    )
    review.wait("whole()")
    review.keys("<C-o>")
    review.wait("vim.fn.getline('.') == '+e1500'")


def test_the_cursor_comes_back_to_the_top(review: Editor) -> None:
    """Who left from a heading did not leave from the first hunk, where a review is opened."""
    opened = review.nvim.current.window.cursor
    review.command("1")
    review.command("edit b.txt")
    review.command("AgentDiff")
    assert (opened > (1, 0), review.nvim.current.window.cursor) == (True, (1, 0))
