"""What is told to autocommands, filtered by session, and never asked about swap files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from attached_ui import AttachedUI
from nvim_driver import DEADLINE_S, Editor
from scripted_agent import Agent
from test_host import kill_host
from test_review import pending

from agentdiff.daemon.launch import ensure_running
from agentdiff.locations import Locations
from conftest import stop_daemon

SEEN = """
_G.seen = {}
vim.api.nvim_create_autocmd('User', {
  pattern = { 'AgentDiffLost', 'AgentDiffConnected', 'AgentDiffConflict' },
  callback = function(args)
    local data = next(args.data) and args.data or vim.empty_dict()
    table.insert(_G.seen, { args.match, data })
  end,
})
"""


def test_the_review_of_one_session(reviewer: Editor, agent: Agent, workspace: Path) -> None:
    """Of two sessions of the same agent only what one did is shown, and decided by ``all``."""
    name = f"second-{workspace.parent.name}"
    other = Agent(workspace, name)
    agent.edit("a.txt", "line 10\n", "ten\n")
    other.edit("a.txt", "line 15\n", "fifteen\n")
    other.edit("b.txt", "two\n", "zwei\n")
    assert pending(reviewer) == 3
    reviewer.command(f"AgentDiff filter session={name}")
    added = [line for line in reviewer.lines() if line[:1] == "+"]
    bar = reviewer.lua("return vim.wo.winbar")
    assert (added, f"session={name}  2 of 3 hunks" in bar) == (["+fifteen", "+zwei"], True)
    reviewer.keys("<Plug>(agentdiff-reject-all)")
    assert pending(reviewer) == 1
    text = (workspace / "a.txt").read_text()
    assert ("ten\n" in text, "fifteen" in text) == (True, False)
    assert (workspace / "b.txt").read_text() == "one\ntwo\nthree\n"


def test_a_conflict_is_told(reviewer: Editor, agent: Agent, workspace: Path) -> None:
    """With the buffer, its file, and how many there are."""
    reviewer.lua(SEEN)
    reviewer.keys("3Gccmine<Esc>10Gccalso mine<Esc>")
    path = workspace / "a.txt"
    text = path.read_text().replace("line 3\n", "theirs\n").replace("line 10\n", "their ten\n")
    agent.write("a.txt", text)
    reviewer.wait("#_G.seen > 0")
    data = {"buf": reviewer.lua("return vim.fn.bufnr()"), "path": str(path), "conflicts": 2}
    assert reviewer.lua("return _G.seen") == [["AgentDiffConflict", data]]
    assert reviewer.lua("return vim.fn.getline(3)") == "<<<<<<< your unsaved text"


def test_the_end_of_the_daemon_is_told(home: Path, reviewer: Editor) -> None:
    """Who went away, once; and that it is back."""
    reviewer.lua(SEEN)
    stop_daemon(home / "state" / "agentdiff" / "daemon.lock")
    reviewer.wait("#_G.seen > 0")
    assert reviewer.lua("return _G.seen[1]") == ["AgentDiffLost", {"who": "the daemon"}]
    ensure_running(Locations.from_env(os.environ), DEADLINE_S)
    reviewer.wait("#_G.seen > 1")
    assert reviewer.lua("return _G.seen") == [
        ["AgentDiffLost", {"who": "the daemon"}],
        ["AgentDiffConnected", {}],
    ]


def test_a_notice_is_given_to_whatever_notifies(editor: Editor) -> None:
    """Also to a table that can be called, as nvim-notify is."""
    editor.lua("vim.notify = setmetatable({}, { __call = function(_, m) vim.g.said = m end })")
    editor.lua("require('agentdiff').notice(('long '):rep(60), vim.log.levels.WARN)")
    assert editor.lua("return vim.g.said") == "agentdiff: " + "long " * 60


def test_the_end_of_the_host_is_told(reviewer: Editor) -> None:
    """It comes back with the next thing to do."""
    reviewer.lua(SEEN)
    kill_host(reviewer)
    assert reviewer.lua("return _G.seen") == [["AgentDiffLost", {"who": "the Python host"}]]
    reviewer.lua("require('agentdiff.rpc').ping()")
    reviewer.wait("#_G.seen > 1")
    assert reviewer.lua("return _G.seen[2]") == ["AgentDiffConnected", {}]


def test_swap_files_bring_no_question(
    spawn: Callable[..., Editor], agent: Agent, workspace: Path, tmp_path: Path
) -> None:
    """Another Neovim has the file open, too: an agent's writes are followed, merged and saved."""
    # What -n switches off.
    swaps = f"set swapfile updatecount=1 directory={tmp_path}"
    other = spawn(cwd=workspace, config="let g:agentdiff = #{auto_attach: v:false}")
    other.command(f"{swaps} | edit a.txt | call setline(20, 'theirs') | preserve")
    ours = spawn(cwd=workspace)
    # The one question that is Neovim's own is answered; a second one would be on the screen.
    ours.command(f"{swaps} | autocmd SwapExists * ++once let v:swapchoice = 'e'")
    ours.command("silent edit a.txt")
    ours.wait("vim.b.agentdiff_workspace")
    assert len(list(tmp_path.glob("*.sw?"))) == 2
    with AttachedUI(ours, 80, 24) as ui:
        agent.edit("a.txt", "line 10\n", "ten\n")
        ui.wait_text("ten")
        ui.type("ggccmine<Esc>")
        ui.wait_text("mine")
        agent.edit("a.txt", "line 12\n", "twelve\n")
        ui.wait_text("twelve")
        ui.type(":checktime<CR>:write<CR>")
        ui.wait_text("written")
        screen = "\n".join(ui.drawn())
        assert not ui.is_asking(), screen
    said = ours.messages()
    assert [name for name in ("E325", "W11", "W12", "ATTENTION") if name in said + screen] == []
    text = (workspace / "a.txt").read_text().splitlines()
    assert (text[0], text[9], text[11]) == ("mine", "ten", "twelve")
