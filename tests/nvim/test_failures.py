"""What goes wrong in one place stays there: everything else is drawn, and right afterwards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from nvim_driver import Editor
from scripted_agent import Agent
from test_review import open_review

SHOWN = "(vim.b.agentdiff_status_dict or {}).hunks == "
PLACES = "return require('agentdiff.inline').positions(vim.fn.bufnr())[...]"


@pytest.fixture
def many(reviewer: Editor, agent: Agent, workspace: Path) -> Editor:
    """An editor in ``big.txt``, 600 lines of which every second one was changed."""
    (workspace / "big.txt").write_text("".join(f"row {n}\n" for n in range(1, 601)))
    reviewer.command("AgentBaseline! set | edit big.txt")
    reviewer.wait("vim.b.agentdiff_workspace")
    changed = [f"new {n}" if n % 2 else f"row {n}" for n in range(1, 601)]
    agent.write("big.txt", "\n".join(changed) + "\n")
    reviewer.wait(SHOWN + "300")
    return reviewer


def test_every_hunk_moves_whichever_were_seen(many: Editor, workspace: Path) -> None:
    """Seen in any order, with gaps: the decision is about the hunk under the cursor."""
    for line in (100, 300, 520, 600):
        many.keys(f"{line}Gzz")
        many.lua("vim.cmd.redraw(); vim.wait(1); vim.cmd.doautocmd('WinScrolled')")
    many.nvim.api.buf_set_lines(0, 0, 0, False, ["my 1", "my 2", "my 3"])
    place = many.lua(PLACES, 226)
    many.keys("454G<Plug>(agentdiff-reject-hunk)")
    rows = (workspace / "big.txt").read_text().splitlines()
    back = [n for n, row in enumerate(rows, 1) if n % 2 and row == f"row {n}"]
    assert ((place["first"], place["last"]), back) == ((454, 454), [451])


def test_places_stay_inside_the_text(many: Editor) -> None:
    """Hunks that are not drawn yet, of a file that is longer than the text."""
    many.keys("gg")
    last = many.lua(
        """
        local function same(line) return line end
        require('agentdiff.linemap').of = function() return { to_buffer = same } end
        vim.api.nvim_buf_set_lines(0, 10, -1, false, {})
        require('agentdiff.inline').redraw(vim.fn.bufnr())
        return require('agentdiff.inline').positions(vim.fn.bufnr())[300]
        """
    )
    many.keys("gg<Plug>(agentdiff-prev-hunk)")
    assert ((last["first"], last["last"]), many.cursor()[0]) == ((10, 10), 10)


def test_a_buffer_is_listened_to_once(many: Editor) -> None:
    """However often it is drawn before its text changes."""
    attached = many.lua(
        """
        local attach, count = vim.api.nvim_buf_attach, 0
        vim.api.nvim_buf_attach = function(...)
          count = count + 1
          return attach(...)
        end
        local function draw()
          for _ = 1, 3 do require('agentdiff.inline').redraw(vim.fn.bufnr()) end
          return count
        end
        local before = draw()
        vim.api.nvim_buf_set_lines(0, 0, 0, false, { 'mine' })
        return { before, draw() }
        """
    )
    assert attached == [0, 1]


def test_a_deleted_hunk_at_the_end_is_jumped_to(reviewer: Editor, agent: Agent) -> None:
    """Its place is the last line."""
    agent.edit("a.txt", "line 20\n", "line 20\nmore\n")
    reviewer.wait(SHOWN + "1")
    reviewer.keys("Gddgg<Plug>(agentdiff-next-hunk)")
    assert (reviewer.cursor()[0], reviewer.lua("return vim.v.errmsg")) == (20, "")


def test_a_pipe_in_the_place_of_the_file(reviewer: Editor, agent: Agent) -> None:
    """It is not opened: nobody writes into it, and that would be waited for."""
    agent.edit("a.txt", "line 5\n", "five\n")
    reviewer.wait(SHOWN + "1")
    reviewer.keys("ggccmine<Esc>")
    reviewer.lua(
        """
        local open = io.open
        io.open = function(name, ...)
          if vim.fn.getftype(name) == 'fifo' then
            vim.g.opened = true
            return nil
          end
          return open(name, ...)
        end
        """
    )
    agent.shell("rm a.txt && mkfifo a.txt")
    reviewer.wait("vim.fn.execute('messages'):find('not on disk')")
    reviewer.lua("require('agentdiff.inline').redraw(vim.fn.bufnr())")
    assert (reviewer.lines()[0], reviewer.lua("return vim.g.opened")) == ("mine", None)


def test_what_the_user_ignores_is_no_matter_of_ours(reviewer: Editor) -> None:
    """The environment is found though 'wildignore' hides it from completion."""
    reviewer.command("set wildignore+=*/.venv/*,*/python*")
    assert reviewer.lua("return (require('agentdiff.rpc').interpreter())").endswith("python")


def test_a_drawing_that_was_broken_off_is_done_again(reviewer: Editor, agent: Agent) -> None:
    """Also when the hunks are the same as before."""
    agent.edit("a.txt", "line 5\n", "five\n")
    reviewer.wait(SHOWN + "1")
    reviewer.lua(
        """
        local marks, place = require('agentdiff.marks'), require('agentdiff.marks').place
        marks.place = function() error('no room') end
        pcall(require('agentdiff.inline').redraw, vim.fn.bufnr())
        marks.place = place
        """
    )
    reviewer.lua("require('agentdiff.rpc').send('refresh', { full = true })")
    reviewer.wait(
        "#vim.api.nvim_buf_get_extmarks(0, "
        "vim.api.nvim_create_namespace('agentdiff.inline'), { 4, 0 }, -1, {}) > 0"
    )


@pytest.mark.parametrize("unsaved", [False, True])
def test_an_update_waits_while_text_is_locked(
    reviewer: Editor, agent: Agent, unsaved: bool
) -> None:
    """A mapping's expression waits for a key: what comes meanwhile is shown after it, in order."""
    agent.edit("a.txt", "line 15\n", "fifteen\n")
    reviewer.wait(SHOWN + "1")
    if unsaved:
        reviewer.keys("ggccmine<Esc>")
    reviewer.command("split | AgentDiff | wincmd w")
    reviewer.lua(
        """
        vim.g.came = 0
        vim.keymap.set('n', 'Q', function()
          vim.g.asked = true
          return vim.fn.getcharstr() == 'x' and '' or 'u'
        end, { expr = true })
        local deliver = require('agentdiff.rpc').deliver
        require('agentdiff.rpc').deliver = function(messages)
          deliver(messages)
          for _, message in ipairs(messages) do
            local written = message[1] == 'update' and #message[2].written or 0
            vim.g.came = vim.g.came + written
          end
        end
        """
    )
    reviewer.nvim.input("Q")
    reviewer.wait("vim.g.asked")
    for old, new in (("line 5\n", "five\nsix\n"), ("line 10\n", "ten\n")):
        reviewer.lua("vim.g.came = 0")
        agent.edit("a.txt", old, new)
        reviewer.wait("vim.g.came > 0")
    during = reviewer.lua("return { vim.fn.getline(5), vim.bo.modifiable }")
    reviewer.nvim.input("x")
    reviewer.wait(SHOWN + "3")
    reviewer.wait("vim.fn.getline(5, 6)[2] == 'six' and vim.fn.getline(11) == 'ten'")
    places = reviewer.lua(
        """
        return vim.tbl_map(function(place)
          return { place.first, place.last }
        end, require('agentdiff.inline').positions(vim.fn.bufnr()))
        """
    )
    assert during == ["line 5", True]
    assert sorted(places) == [[5, 6], [11, 11], [16, 16]]
    reviewer.command("wincmd w")
    assert {"+six", "+ten"} <= set(reviewer.lines())


def test_one_buffer_that_fails_keeps_nothing_back(reviewer: Editor, agent: Agent) -> None:
    """The others, the review and the status are drawn; it is told once, and done again."""
    reviewer.command("split b.txt")
    reviewer.wait("vim.b.agentdiff_workspace")
    reviewer.command("AgentDiff | wincmd w")
    reviewer.lua(
        """
        vim.g.told = {}
        vim.notify = function(text) vim.g.told = vim.list_extend(vim.g.told, { text }) end
        local reload = require('agentdiff.reload')
        local sync, fails = reload.sync, 1
        reload.sync = function(buf)
          if vim.fs.basename(vim.api.nvim_buf_get_name(buf)) == 'a.txt' and fails > 0 then
            fails = fails - 1
            error('the disk is on fire')
          end
          return sync(buf)
        end
        """
    )
    agent.edit("a.txt", "line 5\n", "five\n")
    agent.edit("b.txt", "two\n", "zwei\n")
    get = "vim.api.nvim_buf_get_lines(vim.fn.bufnr('{}'), {}, {}, false)[1] == '{}'"
    reviewer.wait(get.format("b.txt", 1, 2, "zwei"))
    reviewer.wait(get.format("a.txt", 4, 5, "five"))
    reviewer.wait("vim.g.agentdiff_status:find('2 files')")
    told = [text for text in reviewer.lua("return vim.g.told") if "internal error" in text]
    said = reviewer.messages()
    reviewer.command("messages clear | checkhealth agentdiff")
    health = [line for line in reviewer.lines() if "internal error" in line]
    reviewer.command("messages clear")
    assert (len(told), "the disk is on fire" in told[0]) == (1, True)
    assert ("stack traceback" in said, len(health)) == (True, 1)


def test_a_buffer_that_went_without_a_word(reviewer: Editor, agent: Agent) -> None:
    """``:noautocmd bwipeout!`` of a file and of the review: what is there still works."""
    agent.edit("b.txt", "two\n", "zwei\n")
    reviewer.command("edit b.txt")
    reviewer.wait(SHOWN + "1")
    open_review(reviewer)
    reviewer.command("silent! only | edit a.txt | noautocmd bwipeout! b.txt")
    reviewer.lua("vim.cmd('noautocmd bwipeout! ' .. vim.fn.bufnr('agentdiff://*'))")
    reviewer.command("AgentDiff inline | AgentDiff inline")
    agent.edit("a.txt", "line 5\n", "five\n")
    reviewer.wait(SHOWN + "1")
    assert {"+zwei", "+five"} <= set(open_review(reviewer))


@pytest.mark.parametrize("command", ["bdelete", "bunload"])
def test_a_review_that_is_unloaded_is_gone(reviewer: Editor, agent: Agent, command: str) -> None:
    """No empty buffer of its name is left; the next one has text, keys and options."""
    agent.edit("a.txt", "line 5\n", "five\n")
    open_review(reviewer)
    reviewer.command(f"{command}!")
    reviewer.wait("vim.fn.bufnr('agentdiff://*') == -1")
    agent.edit("b.txt", "two\n", "zwei\n")
    reviewer.wait("(vim.g.agentdiff_status or ''):find('2 files')")
    left = reviewer.lua("return vim.fn.bufnr('agentdiff://*')")
    lines = open_review(reviewer)
    kept = reviewer.lua("return { vim.bo.buftype, vim.fn.maparg('x', 'n') ~= '' }")
    assert (left, "+zwei" in lines, kept) == (-1, True, ["acwrite", True])


def test_a_review_that_cannot_be_made(reviewer: Editor, agent: Agent) -> None:
    """It is said why, and nothing of it is in the way of the next one."""
    agent.edit("a.txt", "line 5\n", "five\n")
    reviewer.lua(
        """
        local keys = require('agentdiff.keys')
        local map = keys.map_review
        keys.map_review = function()
          keys.map_review = map
          error('no such key')
        end
        """
    )
    told = reviewer.told("AgentDiff")
    reviewer.command("messages clear")
    lines = open_review(reviewer)
    assert ("cannot be made" in told, "no such key" in told) == (True, True)
    assert ("could not be shown" in told, "+five" in lines) == (True, True)


def test_moving_in_a_review_that_is_edited(reviewer: Editor, agent: Agent) -> None:
    """Its rows are no longer those of the hunks: it is refused, from wherever it is asked."""
    agent.edit("a.txt", "line 5\n", "five\n")
    open_review(reviewer)
    reviewer.command("%d _")
    refused = reviewer.told("AgentDiff next")
    reviewer.command("split a.txt")
    reviewer.command("AgentDiff")
    assert "the review is being edited" in refused
    assert reviewer.lua("return { vim.bo.filetype, vim.v.errmsg }") == ["agentdiff", ""]


def test_a_long_review_whose_files_are_gone(
    reviewer: Editor, agent: Agent, user: Path, workspace: Path
) -> None:
    """The runtime folder was cleaned before the rest was read: it is sent again."""
    reviewer.lua(
        """
        local uv, once = vim.uv, true
        local draw = require('agentdiff.render').draw
        require('agentdiff.render').draw = function(buf, view)
          local changed = draw(buf, view)
          if view.file and once then
            once = false
            assert(uv.fs_unlink(view.file))
            assert(uv.fs_unlink(view.index_file))
          end
          return changed
        end
        """
    )
    agent.write("long.txt", "".join(f"row {n}\n" for n in range(4000)))
    open_review(reviewer)
    reviewer.wait("vim.fn.search('^+row 3999$', 'nw') > 0")
    reviewer.keys("gg]c")
    assert reviewer.lua("return { vim.bo.modifiable, vim.fn.getline('.') ~= '' }") == [True, True]


def test_the_last_window_with_a_float_open(spawn: Callable[..., Editor], agent: Agent) -> None:
    """``q`` gives the window something else to show: a float alone cannot stay."""
    agent.edit("a.txt", "line 5\n", "five\n")
    options = "auto_attach: v:false, review: #{open: 'split'}"
    editor = spawn("a.txt", cwd=agent.workspace, config=f"let g:agentdiff = #{{{options}}}")
    editor.command("AgentDiff | only")
    editor.lua(
        """
        local place = { relative = 'editor', row = 1, col = 1, width = 9, height = 1 }
        vim.api.nvim_open_win(vim.api.nvim_create_buf(false, true), false, place)
        """
    )
    editor.keys("q")
    seen = editor.lua("return { vim.fn.expand('%:t'), vim.fn.bufnr('agentdiff://*') }")
    assert (seen, editor.lua("return vim.v.errmsg")) == (["a.txt", -1], "")


@pytest.mark.parametrize("how", ["current", "split", "tab"])
def test_a_window_that_keeps_its_buffer(
    spawn: Callable[..., Editor], agent: Agent, how: str
) -> None:
    """With 'winfixbuf' the review, and a file from it, are shown beside."""
    agent.edit("a.txt", "line 5\n", "five\n")
    options = f"auto_attach: v:false, review: #{{open: '{how}'}}"
    editor = spawn("b.txt", cwd=agent.workspace, config=f"let g:agentdiff = #{{{options}}}")
    editor.command("setlocal winfixbuf")
    editor.command("AgentDiff")
    opened = editor.lua("return { vim.bo.filetype, #vim.api.nvim_list_wins() }")
    editor.command("setlocal winfixbuf")
    editor.keys("G<CR>")
    jumped = editor.lua("return { vim.fn.expand('%:t'), #vim.api.nvim_list_wins() }")
    assert (opened, jumped) == (["agentdiff", 2], ["a.txt", 3])
