"""Every action and option that no other module presses or sets."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from nvim_driver import CHECKOUT, DEADLINE_S, Editor, wait_for
from scripted_agent import Agent
from test_review import BEFORE, on_line, open_review, pending

SHOWN = "vim.b.agentdiff_status_dict and vim.b.agentdiff_status_dict.hunks == "
FLOAT = """
for _, win in ipairs(vim.api.nvim_list_wins()) do
  if vim.api.nvim_win_get_config(win).relative ~= '' then
    return vim.api.nvim_buf_get_lines(vim.api.nvim_win_get_buf(win), 0, -1, false)
  end
end
return {}
"""
ASKED = """
vim.g.asked = {}
local function note(what) vim.g.asked = vim.list_extend(vim.g.asked, { what }) end
vim.ui.input = function(_, answer) note('input'); answer('said') end
vim.ui.select = function() note('select') end
vim.notify = note
"""


@pytest.fixture
def shown(reviewer: Editor, agent: Agent) -> Editor:
    """An editor that shows ``a.txt`` with two pending hunks, of two prompts."""
    agent.edit("a.txt", "line 10\n", "ten\n")
    agent.stop()
    agent.prompt("Now the rest")
    agent.edit("a.txt", "line 15\n", "fifteen\n")
    reviewer.wait(SHOWN + "2")
    return reviewer


def press(editor: Editor, action: str) -> None:
    """Presses the mapping of an action."""
    editor.keys(f"<Plug>(agentdiff-{action})")


def test_what_a_mapping_shows_of_a_hunk(shown: Editor) -> None:
    """Preview and evidence, also as commands; comment, menu, baseline, review and its grouping."""
    shown.lua(ASKED)
    seen = []
    for show in ("preview-hunk", "explain"):
        shown.keys("9G10G")
        press(shown, show)
        seen.append(shown.lua(FLOAT))
        shown.keys("9G10G")
        shown.command("AgentDiff " + show.removesuffix("-hunk"))
        seen.append(shown.lua(FLOAT))
        shown.command("fclose!")
    assert seen[0] == seen[1] == ["@@ claude · turn 1 · Edit @@", "-line 10", "+ten"]
    assert (seen[2], "  tool      Edit" in seen[2], "  call      t1" in seen[2]) == (
        seen[3],
        True,
        True,
    )
    press(shown, "comment")
    press(shown, "actions")
    asked = shown.lua("return vim.g.asked")
    assert asked == ["input", "agentdiff: comment kept for claude", "select"]
    diffs = []
    for _ in range(2):
        press(shown, "baseline")
        diffs.append(shown.lua("return vim.wo.diff"))
    press(shown, "review")
    press(shown, "cycle-group")
    there = shown.lua("return { vim.bo.filetype, vim.wo.winbar:match('by %w+') }")
    assert (diffs, there) == ([True, False], ["agentdiff", "by session"])


def test_what_a_mapping_decides(shown: Editor, workspace: Path) -> None:
    """File, group, everything, and back, wherever the cursor may be."""
    both = BEFORE.replace("line 10", "ten").replace("line 15", "fifteen")
    counts = []
    for action in ("accept-file", "undo", "redo", "undo", "accept-all", "undo"):
        press(shown, action)
        counts.append(pending(shown))
    shown.command("AgentDiff redo")
    counts.append(pending(shown))
    shown.command("AgentDiff undo")
    assert (counts, (workspace / "a.txt").read_text()) == ([0, 2, 0, 2, 0, 2, 0], both)
    open_review(shown)
    texts = []
    for action in ("reject-group", "undo", "accept-group"):
        if action != "undo":
            on_line(shown, "+fifteen")
        press(shown, action)
        texts.append((workspace / "a.txt").read_text())
    assert texts == [both.replace("fifteen", "line 15"), both, both]
    assert pending(shown) == 1


def test_keys_of_the_review_that_have_a_longer_name(shown: Editor, workspace: Path) -> None:
    """``gR``, ``A``, ``<CR>``, ``<C-w>gf``, ``R``."""
    open_review(shown)
    on_line(shown, "+fifteen")
    shown.keys("gR")
    rejected = (workspace / "a.txt").read_text()
    shown.keys("u")
    on_line(shown, "+ten")
    shown.keys("A")
    left = pending(shown)
    shown.keys("u")
    on_line(shown, "+fifteen")
    shown.keys("<CR>")
    there = shown.lua("return { vim.fn.expand('%:t'), vim.fn.line('.') }")
    shown.keys("<C-o>")
    shown.keys("<C-w>gf")
    pages = shown.lua("return { vim.fn.tabpagenr('$'), vim.fn.line('.') }")
    shown.command("tabclose")
    token = shown.lua("return require('agentdiff.review').get(vim.fn.bufnr()).view.token")
    shown.keys("R")
    shown.wait(f"require('agentdiff.review').get(vim.fn.bufnr()).view.token > {token}")
    assert (rejected.count("line 15"), left) == (1, 1)
    assert (there, pages) == (["a.txt", 15], [2, 15])


def test_every_key_is_in_the_list(editor: Editor) -> None:
    """``g?`` knows each key of the option, and leaves out those that the user removed."""
    editor.lua("require('agentdiff').setup({ review = { keys = { comment = false } } })")
    editor.lua("require('agentdiff.about').help()")
    lines = editor.lua(FLOAT)
    keys = editor.lua("return require('agentdiff.config').get().review.keys")
    listed = [key for line in lines if "  " in line for key in line[:16].split()]
    assert sorted(listed) == sorted(key for key in keys.values() if key)
    assert len(lines) < 23


def test_the_location_list(shown: Editor) -> None:
    """``:AgentDiff! qf`` fills that of the window and leaves the quickfix list alone."""
    shown.command("AgentDiff! qf")
    items = "return { #vim.fn.getloclist(0), #vim.fn.getqflist() }"
    assert shown.lua(items) == [2, 0]


def test_an_installation_is_shown_before_it_is_done(
    editor: Editor, home: Path, workspace: Path
) -> None:
    """``:AgentDiff install claude --dry-run`` opens the diff of the settings and writes nothing."""
    editor.command(f"cd {workspace}")
    editor.command("AgentDiff install claude --dry-run")
    shown = "return vim.bo.filetype == 'diff' and vim.fn.search('PreToolUse', 'nw') > 0"
    # A Python of its own has to start, beside everything else that a busy machine does.
    wait_for(lambda: editor.lua(shown), "the diff", editor, timeout_s=3 * DEADLINE_S)
    assert not (home / ".claude/settings.json").exists()


# --- options -------------------------------------------------------------------------------------


def test_signs_priority_and_owners_of_inline_hunks(
    spawn: Callable[..., Editor], agent: Agent, workspace: Path
) -> None:
    """As the options say, from the first drawing on."""
    inline = "sign_add: 'A', sign_change: 'C', sign_delete: 'D', sign_topdelete: 'T', "
    inline += "priority: 77, owner: v:true, count: v:false, words: v:false, deleted: v:false"
    editor = spawn("a.txt", cwd=workspace, config=f"let g:agentdiff = #{{inline: #{{{inline}}}}}")
    editor.wait("vim.b.agentdiff_workspace")
    agent.edit("a.txt", "line 1\n", "")
    agent.edit("a.txt", "line 5\n", "line five\n")
    agent.edit("a.txt", "line 10\n", "")
    agent.edit("a.txt", "line 15\n", "line 15\nnew\n")
    editor.wait(SHOWN + "4")
    editor.keys("4G")
    rows = editor.screen()
    signs = {row[2:].split("   ")[0].strip(): row[0] for row in rows if row[:1] in set("ACDT")}
    priorities = editor.lua(
        """
        local ns, out = vim.api.nvim_create_namespace('agentdiff.inline'), {}
        for _, mark in ipairs(vim.api.nvim_buf_get_extmarks(0, ns, 0, -1, { details = true })) do
          out[tostring(mark[4].priority)] = true
        end
        return vim.tbl_keys(out)
        """
    )
    assert signs == {"line 2": "T", "line five": "C", "line 9": "D", "new": "A"}
    assert priorities == ["77"]
    assert any(row.endswith("line five   claude · turn 1 · Edit") for row in rows)


def test_inline_hunks_can_be_off_from_the_start(
    spawn: Callable[..., Editor], agent: Agent, workspace: Path
) -> None:
    """``inline.enabled = false``; they are known all the same, and can be switched on."""
    config = "let g:agentdiff = #{inline: #{enabled: v:false}}"
    editor = spawn("a.txt", cwd=workspace, config=config)
    editor.wait("vim.b.agentdiff_workspace")
    agent.edit("a.txt", "line 5\n", "five\n")
    editor.wait(SHOWN + "1")
    before = editor.screen()[4]
    editor.command("AgentDiff inline")
    assert (before, editor.screen()[5]) == ("five", "┃ five")


def test_a_command_waits_no_longer_than_it_may(
    spawn: Callable[..., Editor], home: Path, agent: Agent, workspace: Path
) -> None:
    """A daemon that hangs: the command says so, and works again afterwards."""
    editor = spawn("a.txt", cwd=workspace)
    editor.wait("vim.b.agentdiff_workspace")
    pid = int((home / "state/agentdiff/daemon.lock").read_text().split()[0])
    editor.lua("require('agentdiff').setup({ timeout_ms = 50 })")
    os.kill(pid, signal.SIGSTOP)
    try:
        told = editor.told("AgentDiff")
    finally:
        os.kill(pid, signal.SIGCONT)
    editor.lua("require('agentdiff').setup({ timeout_ms = 20000 })")
    editor.command("AgentDiff")
    assert told == "agentdiff: no answer within 50 ms"
    assert editor.lua("return vim.bo.filetype") == "agentdiff"


def test_the_interpreter_can_be_named(spawn: Callable[..., Editor], tmp_path: Path) -> None:
    """``python``, then ``g:agentdiff_python``, then ``g:python3_host_prog``, without a .venv."""
    copy = tmp_path / "plugin"
    copy.mkdir()
    for part in ("lua", "plugin", "rplugin"):
        (copy / part).symlink_to(CHECKOUT / part)
    config = f"set rtp-={CHECKOUT} | set rtp^={copy} | let g:agentdiff = #{{auto_attach: v:false}}"
    editor = spawn(config=config)
    editor.lua("vim.g.python3_host_prog = ...", sys.executable)
    found = []
    for setting in (
        "vim.g.python3_host_prog = vim.g.python3_host_prog",
        "vim.g.agentdiff_python = '/bin/sh'",
        "require('agentdiff').setup({ python = '/bin/cat' })",
    ):
        editor.lua(setting)
        found.append(editor.lua("return require('agentdiff.rpc').interpreter()"))
    assert found == [sys.executable, "/bin/sh", "/bin/cat"]


def test_without_auto_attach_nothing_starts_by_itself(
    spawn: Callable[..., Editor], agent: Agent, workspace: Path
) -> None:
    """The first command starts the host, and then the buffer is watched, too."""
    editor = spawn("a.txt", cwd=workspace, config="let g:agentdiff = #{auto_attach: v:false}")
    agent.edit("a.txt", "line 5\n", "five\n")
    before = editor.lua("vim.wait(20); return require('agentdiff.rpc').used()")
    editor.command("AgentDiff")
    editor.wait("vim.fn.getbufvar('a.txt', 'agentdiff_workspace') ~= ''")
    assert before is False
