"""The whole road: an agent's hook, the daemon, the review on the screen, a key, the disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from nvim_driver import Editor, wait_for
from scripted_agent import Agent

BEFORE = "".join(f"line {n}\n" for n in range(1, 21))


def pending(editor: Editor) -> int:
    """Returns how many hunks pend, once the daemon has seen everything."""
    code = """
    local result, err = require('agentdiff.rpc').wait('request', { method = 'status' })
    assert(result, err and err.message)
    return result.settled and { result.totals.hunks }
    """
    # On a busy machine the state may be older than the disk; then it says so.
    return int(wait_for(lambda: editor.lua(code), "a settled status", editor)[0])


def open_review(editor: Editor) -> list[str]:
    """Opens the review and returns its lines."""
    editor.command("AgentDiff")
    return editor.lines()


def on_line(editor: Editor, text: str) -> None:
    """Puts the cursor on the line that is exactly this."""
    editor.nvim.api.win_set_cursor(0, (editor.lines().index(text) + 1, 0))


@pytest.fixture
def changed(agent: Agent, workspace: Path) -> str:
    """The text of ``a.txt`` after an agent deleted 1, changed 10 and 11, and deleted 20."""
    agent.edit("a.txt", "line 1\n", "")
    agent.edit("a.txt", "line 10\nline 11\n", "ten\neleven\n")
    agent.edit("a.txt", "line 20\n", "")
    return (workspace / "a.txt").read_text()


def test_the_review_is_a_unified_diff(reviewer: Editor, changed: str) -> None:
    """``:AgentDiff`` shows what pends, with the agent that did it."""
    lines = open_review(reviewer)
    first = lines.index("-line 10")
    expected = ("agentdiff", ["-line 10", "-line 11", "+ten", "+eleven"])
    assert expected == (reviewer.lua("return vim.bo.filetype"), lines[first : first + 4])


def test_the_hunk_under_the_cursor_is_rejected(
    reviewer: Editor, changed: str, workspace: Path
) -> None:
    """``x`` puts the hunk back on disk, and leaves the others alone."""
    open_review(reviewer)
    on_line(reviewer, "+ten")
    reviewer.keys("x")
    expected = changed.replace("ten\neleven\n", "line 10\nline 11\n")
    assert (expected, 2) == ((workspace / "a.txt").read_text(), pending(reviewer))


def test_the_hunk_under_the_cursor_is_accepted(
    reviewer: Editor, changed: str, workspace: Path
) -> None:
    """``a`` takes the hunk out of the review and leaves the disk alone."""
    open_review(reviewer)
    on_line(reviewer, "-line 10")
    reviewer.keys("a")
    assert (changed, 2, False) == (
        (workspace / "a.txt").read_text(),
        pending(reviewer),
        "+ten" in reviewer.lines(),
    )


def test_selected_lines_are_rejected(reviewer: Editor, changed: str, workspace: Path) -> None:
    """In visual mode ``x`` rejects exactly the selected lines."""
    open_review(reviewer)
    on_line(reviewer, "+eleven")
    reviewer.keys("Vx")
    assert changed.replace("eleven\n", "") == (workspace / "a.txt").read_text()


def test_a_file_is_rejected(reviewer: Editor, agent: Agent, changed: str, workspace: Path) -> None:
    """``X`` rejects everything in the file of the cursor, and nothing else."""
    agent.write("c.txt", "new\n")
    open_review(reviewer)
    on_line(reviewer, "+ten")
    reviewer.keys("X")
    assert ((workspace / "a.txt").read_text(), (workspace / "c.txt").exists()) == (BEFORE, True)


def test_everything_is_rejected_and_that_is_undone_and_redone(
    reviewer: Editor, agent: Agent, changed: str, workspace: Path
) -> None:
    """``gX``, ``u`` and ``<C-r>``: one command is one decision."""
    agent.write("c.txt", "new\n")
    open_review(reviewer)
    seen = []
    for key in ("gX", "u", "<C-r>"):
        reviewer.keys(key)
        seen.append(((workspace / "a.txt").read_text(), (workspace / "c.txt").exists()))
    assert seen == [(BEFORE, False), (changed, True), (BEFORE, False)]


def test_everything_is_accepted(reviewer: Editor, changed: str, workspace: Path) -> None:
    """``ga`` leaves the disk alone and nothing pending."""
    open_review(reviewer)
    reviewer.keys("ga")
    assert (changed, 0) == ((workspace / "a.txt").read_text(), pending(reviewer))


def test_keys_act_on_one_hunk_after_the_other(
    reviewer: Editor, changed: str, workspace: Path
) -> None:
    """After a decision the cursor is on the next hunk: ``x`` three times rejects three hunks."""
    open_review(reviewer)
    reviewer.keys("gg]cxxx")
    assert ((workspace / "a.txt").read_text(), pending(reviewer)) == (BEFORE, 0)


def test_the_cursor_stays_in_its_hunk_while_the_agent_writes(
    reviewer: Editor, agent: Agent, changed: str
) -> None:
    """A refresh moves the text under the cursor, not the cursor to another text."""
    open_review(reviewer)
    on_line(reviewer, "+eleven")
    agent.edit("a.txt", "line 5\n", "five\nfive\nfive\n")
    reviewer.wait("vim.fn.search('+five', 'nw') > 0")
    assert reviewer.lua("return vim.api.nvim_get_current_line()") == "+eleven"


def test_nothing_is_hidden_above_while_there_is_room_below(
    reviewer: Editor, agent: Agent, changed: str
) -> None:
    """After a decision a review that fits into the window is seen from its first line."""
    agent.write("z.txt", "new\n")
    reviewer.command("set lines=60")
    open_review(reviewer)
    on_line(reviewer, "-line 20")
    reviewer.lua("vim.fn.search('^@@', 'b') vim.cmd.redraw()")
    reviewer.keys("x")
    left = "-line 20" in reviewer.lines()
    assert (left, reviewer.lua("return vim.fn.winsaveview().topline")) == (False, 1)


def test_next_hunk_crosses_files_and_wraps(reviewer: Editor, agent: Agent, changed: str) -> None:
    """``]c`` and ``[c`` go through all hunks of all files."""
    agent.edit("b.txt", "two\n", "zwei\n")
    open_review(reviewer)
    reviewer.keys("gg")
    rows = []
    for keys in ("]c", "]c", "]c", "]c", "]c", "[c"):
        reviewer.keys(keys)
        rows.append(reviewer.lua("return vim.api.nvim_get_current_line()").split(" ")[1])
    assert rows == ["-1,4", "-7,8", "-17,4", "-1,3", "-1,4", "-1,3"]


def test_enter_jumps_to_the_line(reviewer: Editor, changed: str) -> None:
    """``<CR>`` on an added line opens the file there, and ``<C-o>`` comes back."""
    open_review(reviewer)
    on_line(reviewer, "+eleven")
    reviewer.keys("<CR>")
    there = reviewer.lua("return {vim.fn.expand('%:t'), vim.fn.line('.')}")
    reviewer.keys("<C-o>")
    assert (there, reviewer.lua("return vim.bo.filetype")) == (["a.txt", 10], "agentdiff")


def test_closing_gives_the_window_back(reviewer: Editor, changed: str) -> None:
    """``q`` shows what was there before, and the buffer is gone."""
    open_review(reviewer)
    reviewer.keys("q")
    left = reviewer.lua("return #vim.fn.getbufinfo({bufloaded = 1})")
    assert (reviewer.lua("return vim.fn.expand('%:t')"), left) == ("a.txt", 1)


@pytest.mark.parametrize("key", ["g?", "K"])
def test_closing_closes_a_float_first(reviewer: Editor, changed: str, key: str) -> None:
    """``q`` after ``g?`` or ``K`` leaves the review where it is."""
    open_review(reviewer)
    reviewer.keys(key)
    opened = reviewer.lua("return #vim.api.nvim_list_wins()")
    reviewer.keys("q")
    still = reviewer.lua("return { vim.bo.filetype, #vim.api.nvim_list_wins() }")
    assert opened == 2
    reviewer.keys("q")
    assert (still, reviewer.lua("return vim.fn.expand('%:t')")) == (["agentdiff", 1], "a.txt")


def floats(editor: Editor) -> bool:
    """Whether a window floats; Neovim had the chance to say that the cursor moved."""
    editor.command("doautocmd CursorMoved")
    return bool(editor.lua("return #vim.api.nvim_list_wins() == 2"))


def test_an_update_leaves_the_float_open(reviewer: Editor, changed: str, agent: Agent) -> None:
    """What an agent does above moves lines and cursor, but the user is where they were."""
    open_review(reviewer)
    on_line(reviewer, "+ten")
    reviewer.keys("K")
    agent.edit("a.txt", "line 4\n", "four\n4\nvier\n")
    wait_for(lambda: "+four" in reviewer.lines(), "the update", reviewer)
    still = floats(reviewer)
    reviewer.keys("q")
    assert (still, floats(reviewer), "+ten" in reviewer.lines()) == (True, False, True)


def test_a_float_goes_when_it_is_left_for_a_third_window(reviewer: Editor, changed: str) -> None:
    """Into the float, and out of it to somewhere else."""
    open_review(reviewer)
    reviewer.command("vnew")
    other = reviewer.lua("return vim.api.nvim_get_current_win()")
    reviewer.command("wincmd p")
    on_line(reviewer, "+ten")
    reviewer.keys("KK")
    inside = reviewer.lua("return { #vim.api.nvim_list_wins(), vim.bo.filetype }")
    reviewer.nvim.api.set_current_win(other)
    left = reviewer.lua("return #vim.api.nvim_list_wins()")
    assert (inside[0], inside[1] != "agentdiff", left) == (3, True, 2)


@pytest.mark.parametrize("keys", ["j", "x", "]c"])
def test_a_float_goes_when_its_hunk_is_left_or_decided(
    reviewer: Editor, changed: str, keys: str
) -> None:
    """What a float says is about the line of the cursor."""
    open_review(reviewer)
    on_line(reviewer, "+ten")
    reviewer.keys("K")
    before = floats(reviewer)
    reviewer.keys(keys)
    gone = wait_for(lambda: not floats(reviewer), "that the float is gone", reviewer)
    assert (before, gone) == (True, True)


def test_a_range_of_the_command_selects_lines(
    reviewer: Editor, changed: str, workspace: Path
) -> None:
    """``:10AgentDiff reject`` in the file rejects that line with the one it replaced."""
    reviewer.wait("vim.b.agentdiff_status_dict and vim.b.agentdiff_status_dict.hunks == 3")
    reviewer.command("10AgentDiff reject")
    expected = changed.replace("eleven\n", "line 11\n")
    assert expected == (workspace / "a.txt").read_text()


def test_a_review_opened_later_is_there(agent: Agent, changed: str, spawn, workspace: Path) -> None:
    """Neovim was closed while the agent worked."""
    editor = spawn(cwd=workspace, config="let g:agentdiff = #{auto_attach: v:false}")
    assert "+ten" in open_review(editor)


def test_colours_of_the_visible_rows(reviewer: Editor, changed: str) -> None:
    """Added, deleted and heading rows have the highlights of their kind."""
    open_review(reviewer)
    reviewer.command("highlight AgentDiffAdded guibg=#123456 ctermbg=22")
    reviewer.command("highlight AgentDiffDeleted guibg=#654321 ctermbg=52")

    def attribute(text: str) -> int:
        row = reviewer.lines().index(text) + 1
        code = "vim.cmd.redraw(); return vim.fn.screenattr(vim.fn.screenpos(0, ..., 1).row, 1)"
        return int(reviewer.lua(code, row))

    kinds = [attribute(text) for text in ("+ten", "+eleven", "-line 10", " line 9")]
    assert kinds[0] == kinds[1]
    assert 3 == len(set(kinds))  # noqa: SIM300


def test_a_daemon_that_goes_away_is_said_once_and_comes_back(
    reviewer: Editor, changed: str, home: Path
) -> None:
    """The view stays, marked stale; the next command starts a daemon and finds everything."""
    open_review(reviewer)
    reviewer.lua("vim.g.said = 0; vim.notify = function() vim.g.said = vim.g.said + 1 end")
    pid = int((home / "state/agentdiff/daemon.lock").read_text().split()[0])
    reviewer.lua("vim.uv.kill(..., 'sigterm')", pid)
    reviewer.wait("require('agentdiff.status').is_stale()")
    kept = "+ten" in reviewer.lines()
    reviewer.keys("R")
    open_review(reviewer)
    again = int((home / "state/agentdiff/daemon.lock").read_text().split()[0])
    assert (
        kept,
        reviewer.lua("return vim.g.said"),
        "+ten" in reviewer.lines(),
        again != pid,
    ) == (True, 1, True, True)


def test_updates_are_announced(reviewer: Editor, agent: Agent) -> None:
    """``User AgentDiffUpdate`` and ``AgentDiffTurnEnd`` carry data."""
    reviewer.lua(
        """
        vim.g.seen = {}
        vim.api.nvim_create_autocmd('User', {
          pattern = { 'AgentDiffUpdate', 'AgentDiffTurnEnd' },
          callback = function(args)
            local seen = vim.g.seen
            seen[args.match] = args.data
            vim.g.seen = seen
          end,
        })
        """
    )
    agent.edit("a.txt", "line 2\n", "two\n")
    agent.stop()
    # The first update may only say that the agent works; the next one rests before it comes.
    reviewer.wait("(vim.tbl_get(vim.g.seen, 'AgentDiffUpdate', 'summary', 'hunks') or 0) == 1")
    reviewer.wait("vim.g.seen.AgentDiffTurnEnd")
    assert reviewer.lua("return vim.g.seen.AgentDiffTurnEnd.agent") == "claude"
