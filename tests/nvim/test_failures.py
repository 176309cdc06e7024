"""What goes wrong in one place stays there: everything else is drawn, and right afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest
from nvim_driver import Editor
from scripted_agent import Agent

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
