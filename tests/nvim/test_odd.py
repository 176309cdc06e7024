"""What is out of the ordinary: no stack trace, nothing lost, and it works again afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from nvim_driver import Editor
from scripted_agent import Agent

BEFORE = "".join(f"line {n}\n" for n in range(1, 21))
SHOWN = "(vim.b.agentdiff_status_dict or {}).hunks == "


def complaints(editor: Editor) -> str:
    """Returns what was said, if any of it looks like an error."""
    said = editor.messages()
    wrong = any(word in said for word in ("stack traceback", "Error", "error:", "E5108", "E21:"))
    return said if wrong else ""


@pytest.mark.parametrize(
    "option", ["nomodifiable", "readonly", "noautoread", "nowrap", "hidden", "bufhidden=hide"]
)
def test_options_do_not_keep_a_write_out(reviewer: Editor, agent: Agent, option: str) -> None:
    """A buffer that the user must not change still shows what is on disk, and keeps its option."""
    reviewer.command(f"setlocal {option}")
    before = reviewer.lua("return { vim.bo.modifiable, vim.bo.readonly }")
    agent.edit("a.txt", "line 7\n", "seven\n")
    reviewer.wait("vim.fn.getline(7) == 'seven'")
    assert reviewer.lua("return { vim.bo.modifiable, vim.bo.readonly }") == before
    assert complaints(reviewer) == ""


def test_a_buffer_wiped_during_a_refresh(reviewer: Editor, agent: Agent) -> None:
    """A merge or a view that arrives for a buffer that is gone is dropped."""
    agent.edit("a.txt", "line 5\n", "five\n")
    reviewer.wait(SHOWN + "1")
    reviewer.lua(
        """
        vim.api.nvim_create_autocmd('User', { pattern = 'AgentDiffUpdate', once = true,
          callback = function() vim.cmd('silent! bwipeout! a.txt') end })
        """
    )
    reviewer.keys("ggxx")
    agent.edit("a.txt", "line 7\n", "seven\n")
    reviewer.wait("vim.fn.bufnr('a.txt') == -1")
    agent.edit("a.txt", "line 12\n", "twelve\n")
    reviewer.command("edit a.txt")
    reviewer.wait(SHOWN + "3")
    assert complaints(reviewer) == ""


def test_a_deleted_file(reviewer: Editor, agent: Agent, workspace: Path) -> None:
    """The buffer keeps its text, marked as deleted; rejecting on any line brings the file back."""
    agent.shell("rm a.txt")
    reviewer.wait(SHOWN + "1")
    gone = reviewer.screen()[:21]
    reviewer.command("checktime")
    reviewer.keys("7G<Plug>(agentdiff-reject-hunk)")
    assert (workspace / "a.txt").read_text() == BEFORE
    reviewer.wait(SHOWN + "0")
    back = reviewer.screen()[:21]
    lines = [*BEFORE.splitlines(), "~"]
    marked = [f"▁ {line}" for line in lines[:20]]
    marked[0] += "   deleted  claude · turn 1 · Bash"
    assert (gone, back) == ([*marked, "~"], lines)
    assert complaints(reviewer) == ""


def test_a_file_that_the_agent_creates(reviewer: Editor, agent: Agent, workspace: Path) -> None:
    """A buffer that was opened before its file existed is filled; rejecting removes the file."""
    reviewer.command("edit new.txt")
    reviewer.wait("vim.b.agentdiff_workspace")
    agent.write("new.txt", "one\ntwo\n")
    reviewer.wait("vim.fn.getline(2) == 'two'")
    reviewer.wait(SHOWN + "1")
    reviewer.keys("<Plug>(agentdiff-reject-file)")
    assert ((workspace / "new.txt").exists(), complaints(reviewer)) == (False, "")


def test_a_renamed_file(reviewer: Editor, agent: Agent, workspace: Path) -> None:
    """Its buffer keeps the text and says where it went; the new name can be opened."""
    reviewer.lua("vim.g.told = {}; vim.notify = function(t) vim.g.told = { t, vim.g.told } end")
    agent.shell("mv a.txt c.txt")
    reviewer.wait("vim.g.told[1]")
    agent.edit("b.txt", "one\n", "eins\n")
    reviewer.wait("vim.g.agentdiff_status:find('2 files')")
    told = reviewer.lua("return vim.g.told")
    assert told == ["agentdiff: a.txt was renamed to c.txt (claude · turn 1 · Bash)", []]
    assert reviewer.screen()[0].endswith("line 1   renamed to c.txt  claude · turn 1 · Bash")
    reviewer.command("checktime | edit c.txt")
    reviewer.wait("vim.b.agentdiff_workspace")
    reviewer.wait("(vim.b.agentdiff_status_dict or { pending = false }).pending")
    reviewer.command("AgentDiff! reject")
    names = ((workspace / "a.txt").exists(), (workspace / "c.txt").exists())
    assert (names, complaints(reviewer)) == ((True, False), "")


@pytest.mark.parametrize("size", ["columns=40 lines=10", "columns=12 lines=4"])
def test_small_screens(reviewer: Editor, agent: Agent, size: str) -> None:
    """Everything can be opened and closed; a picture of nothing is no error."""
    reviewer.command(f"set {size}")
    agent.edit("a.txt", "line 1\n", "")
    agent.edit("a.txt", "line 20\n", "a long line that does not fit into forty columns at all\n")
    reviewer.wait(SHOWN + "2")
    reviewer.keys("Ggg<Plug>(agentdiff-next-hunk)<Plug>(agentdiff-preview-hunk)<Esc>")
    reviewer.command("AgentDiff")
    reviewer.keys("g?qq")
    reviewer.command("edit a.txt | AgentBaseline")
    reviewer.screen()
    reviewer.command("AgentBaseline")
    assert complaints(reviewer) == ""


def test_wide_and_right_to_left_text(reviewer: Editor, agent: Agent) -> None:
    """Double-width, combining and right-to-left characters stand where they belong."""
    agent.edit("a.txt", "line 3\n", "\t\u6f22\u5b57 word e\u0301\n")
    agent.edit("a.txt", "\u6f22\u5b57 word", "\u05e9\u05dc\u05d5\u05dd word")
    agent.edit("a.txt", "line 9\n", "\u6f22\u5b57\n")
    reviewer.wait(SHOWN + "2")
    agent.edit("a.txt", "\u6f22\u5b57\n", "\u6f22\u8a9e\n")
    reviewer.wait("vim.fn.getline(9) == '\u6f22\u8a9e'")
    reviewer.command("AgentDiff owner | setlocal rightleft")
    shown = "\n".join(reviewer.screen())
    assert ("\u8a9e" in shown, complaints(reviewer)) == (True, "")


def test_a_binary_file(reviewer: Editor, agent: Agent, workspace: Path) -> None:
    """One change without lines; it can be rejected where it is."""
    (workspace / "x.bin").write_bytes(bytes(range(256)) * 4)
    reviewer.command("AgentBaseline! set | edit x.bin")
    reviewer.wait("vim.b.agentdiff_workspace")
    agent.shell("printf '\\000\\001' >> x.bin")
    reviewer.wait(SHOWN + "1")
    reviewer.keys("<Plug>(agentdiff-next-hunk)<Plug>(agentdiff-preview-hunk)")
    reviewer.keys("<Plug>(agentdiff-reject-file)")
    assert (workspace / "x.bin").read_bytes() == bytes(range(256)) * 4
    assert complaints(reviewer) == ""


def test_a_huge_file(reviewer: Editor, agent: Agent, workspace: Path) -> None:
    """50,000 lines: the write shows, unsaved edits in it survive."""
    big = "".join(f"row {n}\n" for n in range(50_000))
    (workspace / "big.txt").write_text(big)
    reviewer.command("AgentBaseline! set | edit big.txt")
    reviewer.wait("vim.b.agentdiff_workspace")
    reviewer.keys("ggccmine<Esc>")
    agent.shell("sed -i 's/^row 40000$/changed/' big.txt")
    reviewer.wait("vim.fn.getline(40001) == 'changed'")
    assert (reviewer.lines()[0], complaints(reviewer)) == ("mine", "")


def test_a_file_that_may_not_be_written(reviewer: Editor, agent: Agent, workspace: Path) -> None:
    """A reject in a folder without write permission says so, once, and nothing is lost."""
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    agent.edit("a.txt", "line 5\n", "five\n")
    reviewer.wait(SHOWN + "1")
    workspace.chmod(0o555)
    try:
        told = reviewer.told("AgentDiff! reject")
    finally:
        workspace.chmod(0o755)
    assert ("a.txt" in told, "five" in (workspace / "a.txt").read_text()) == (True, True)


def test_the_daemon_goes_while_edits_are_unsaved(
    reviewer: Editor, agent: Agent, home: Path
) -> None:
    """One notice; typing and merging go on, and the next command starts another daemon."""
    agent.edit("a.txt", "line 10\n", "ten\n")
    reviewer.wait(SHOWN + "1")
    reviewer.keys("ggccmine<Esc>")
    pid = int((home / "state/agentdiff/daemon.lock").read_text().split()[0])
    reviewer.lua("vim.uv.kill(..., 'sigterm')", pid)
    reviewer.wait("require('agentdiff.status').is_stale()")
    path = agent.workspace / "a.txt"
    path.write_text(path.read_text().replace("line 15", "fifteen"))
    reviewer.command("write")
    text = path.read_text().splitlines()
    reviewer.command("AgentDiff")
    assert (text[0], text[9], text[14]) == ("mine", "ten", "fifteen")
    assert (reviewer.lua("return vim.bo.filetype"), complaints(reviewer)) == ("agentdiff", "")


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Another work tree."""
    root = tmp_path / "other"
    root.mkdir()
    (root / "x.txt").write_text("one\ntwo\n")
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    return root


@pytest.fixture
def two(spawn: Callable[..., Editor], agent: Agent, other: Path) -> Editor:
    """A Neovim that shows a file of the other tree, where something pends, and then ``a.txt``."""
    editor = spawn("x.txt", cwd=other)
    editor.wait("vim.b.agentdiff_workspace")
    Agent(other).edit("x.txt", "two\n", "three\n")
    editor.wait(SHOWN + "1")
    editor.command(f"edit {agent.workspace}/a.txt")
    editor.wait("vim.b.agentdiff_workspace")
    return editor


def test_a_work_tree_is_removed(two: Editor, agent: Agent, other: Path) -> None:
    """Nothing is shown of it any more; the other workspace goes on."""
    two.command("AgentDiff | tabnew | buffer x.txt")
    two.wait(SHOWN + "1")
    shutil.rmtree(other)
    two.wait(SHOWN + "0")
    two.command("tabfirst")
    assert two.lines() == ["This folder is gone."]
    two.command("buffer a.txt")
    agent.edit("a.txt", "line 5\n", "five\n")
    two.wait(SHOWN + "1")
    assert complaints(two) == ""


def test_a_work_tree_comes_back(two: Editor, agent: Agent, other: Path) -> None:
    """While it is away the statusline tells of what pends elsewhere; then it is followed again."""
    agent.edit("a.txt", "line 5\n", "five\n")
    two.wait(SHOWN + "1")
    two.command("buffer x.txt")
    two.wait(SHOWN + "1")
    shutil.rmtree(other)
    two.wait(SHOWN + "0")
    assert "1 file 1 hunk" in two.lua("return vim.g.agentdiff_status")
    other.mkdir()
    (other / "x.txt").write_text("one\ntwo\n")
    subprocess.run(["git", "init", "-q"], cwd=other, check=True)
    two.wait("vim.api.nvim_buf_get_lines(0, 1, 2, true)[1] == 'two'")
    Agent(other).edit("x.txt", "two\n", "three\n")
    two.wait(SHOWN + "1")
    assert complaints(two) == ""


def test_a_work_tree_is_removed_while_no_daemon_runs(
    home: Path, two: Editor, agent: Agent, other: Path
) -> None:
    """The next daemon is told of the workspace that is left, and of what was missed there."""
    pid = int((home / "state/agentdiff/daemon.lock").read_text().split()[0])
    two.lua("vim.uv.kill(..., 'sigterm')", pid)
    two.wait("require('agentdiff.status').is_stale()")
    shutil.rmtree(other)
    agent.edit("a.txt", "line 5\n", "five\n")
    two.wait(SHOWN + "1")
    stale = two.lua("return require('agentdiff.status').is_stale()")
    assert (stale, complaints(two)) == (False, "")


SPY = """
local rpc, told = require('agentdiff.rpc'), {}
local send = rpc.send
rpc.send = function(kind, payload)
  told[#told + 1] = kind == 'unwatch' and payload.path or nil
  return send(kind, payload)
end
_G.unwatched = told
"""


def test_python_forgets_a_buffer_that_is_in_no_workspace(reviewer: Editor, tmp_path: Path) -> None:
    """Also under a name that it had before: it would be looked for at each new workspace."""
    reviewer.lua(SPY)
    old, new = tmp_path / "old.md", tmp_path / "new.md"
    reviewer.command(f"edit {old} | file {new} | bwipeout")
    assert reviewer.lua("return unwatched") == [str(old), str(new)]
