"""A hostile tree in a real Neovim: names, prompts and contents are shown, and do nothing."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from nvim_driver import Editor
from scripted_agent import Agent

# What Neovim, a shell, a statusline or a terminal would make something of.
NAMES = [
    "`touch pwned`.txt",
    "|touch pwned|.txt",
    "%{system('touch pwned')}%#Error#.txt",
    "=system('touch pwned').txt",
    "$(touch pwned).txt",
    "+exe 'qall!'.txt",
    "line\nfeed \x1b[2J\u202e\u009b.txt",
    "[a-z]*?.txt",
    "# < > & ~ \\.txt",
]
MODELINE = "vim: set shiftwidth=3 foldmethod=expr foldexpr=system('touch\\ pwned') :"
PROMPT = "do\n\x1b[2J \u202e %{system('touch pwned')} `touch pwned`"


@pytest.fixture
def hostile(agent: Agent, workspace: Path) -> Path:
    """The agent has written files with these names, and a modeline into each."""
    agent.prompt(PROMPT)
    text = "".join(f"{MODELINE}\n" for _ in range(5))
    for name in NAMES:
        with agent.tool(f"mcp__{NAMES[6]}", file_path=str(workspace / name), content=text):
            (workspace / name).write_text(text)
    with agent.tool("Bash", command=f"echo {PROMPT}"):
        (workspace / "a.txt").write_text(text)
    return workspace


def calm(editor: Editor, workspace: Path) -> bool:
    """Whether nothing was run, and nothing looks like an error."""
    said = editor.messages()
    assert not any(word in said for word in ("stack traceback", "Error", "E5108")), said
    return not list(workspace.parent.rglob("pwned"))


def test_names_and_prompts_are_only_shown(reviewer: Editor, hostile: Path) -> None:
    """In the review by every grouping, in lists, messages, the winbar and the statusline."""
    reviewer.command("AgentDiff")
    for group in ("turn", "session", "agent", "file"):
        reviewer.lua("require('agentdiff.review').regroup(...)", group)
        assert len(reviewer.lines()) > len(NAMES)
        reviewer.screen()
    for name in ("log", "status", "qf"):
        reviewer.command(f"AgentDiff {name}")
        reviewer.screen()
        reviewer.command("silent! only | enew")
    for name in NAMES:
        reviewer.lua("require('agentdiff').review({ path = ... })", name)
        assert MODELINE in "\n".join(reviewer.lines())
        reviewer.command("normal G")
        reviewer.command("AgentDiff explain")
        reviewer.screen()
    reviewer.command("set statusline=%{get(g:,'agentdiff_status','')} laststatus=2")
    reviewer.screen()
    assert calm(reviewer, hostile)


def test_a_hostile_name_is_opened_and_decided(reviewer: Editor, hostile: Path) -> None:
    """<CR> opens that file and no other; a reject removes it and nothing else."""
    for name in NAMES:
        reviewer.lua("require('agentdiff').review({ path = ... })", name)
        reviewer.keys("G<CR>")
        assert reviewer.lua("return vim.api.nvim_buf_get_name(0)") == str(hostile / name)
        reviewer.wait("(vim.b.agentdiff_status_dict or {}).hunks == 1")
        reviewer.keys("<Plug>(agentdiff-reject-file)")
        assert not (hostile / name).exists()
        reviewer.command("AgentDiff undo")
        assert (hostile / name).read_text().startswith("vim: set")
    assert calm(reviewer, hostile)


TYPED = [
    "`touch pwned`.txt",
    "c`touch pwned`d.txt",
    "$HOME*[a]?.txt",
    "50%#1.txt",
    "~root",
    "q\"it's|b\\.txt",
]


def test_no_name_is_run_when_it_is_typed_or_completed(editor: Editor, workspace: Path) -> None:
    """What is offered for ``path=`` means that file, again and again, and so does ``%``."""
    for name in TYPED:
        (workspace / name).write_text("x")
    editor.command(f"cd {workspace}")
    editor.lua("require('agentdiff.review').open = function(it) vim.g.path = it.path end")
    found: dict[str, list[str]] = {}

    def completed(typed: str) -> list[str]:
        return list(editor.lua("return vim.fn.getcompletion(..., 'cmdline')", typed))

    for offered in completed("AgentDiff filter path="):
        command = f"AgentDiff filter {offered}"
        assert completed(command) == [offered]
        assert editor.told(command) == ""
        found.setdefault(editor.lua("return vim.g.path"), []).append(offered)
    assert {str(workspace / name) for name in TYPED} <= found.keys()
    for name in TYPED:
        editor.lua("vim.cmd.edit(vim.fn.fnameescape(...))", str(workspace / name))
        assert editor.told("AgentDiff filter path=%") == ""
        assert editor.lua("return vim.g.path") == str(workspace / name)
        assert len(completed("AgentDiff filter path=%")) == 1
    for typed in (r"`touch\ pwned`", "`=writefile([],'pwned')`", r"c\`x`touch\ pwned`"):
        assert completed(f"AgentDiff filter path={typed}") == []
        assert "nothing is run" in editor.told(f"AgentDiff filter path={typed}")
    editor.lua("require('agentdiff.status').agents = function() return { 'a|!touch', 'b' } end")
    assert completed("AgentDiff filter agent=") == ["agent=b"]
    assert calm(editor, workspace)
    assert not Path("pwned").exists()


def test_no_modeline_of_a_file_counts_in_our_buffers(
    reviewer: Editor, agent: Agent, workspace: Path
) -> None:
    """Not even where the user lets modelines count, and the buffer is edited or read again."""
    reviewer.command("set modeline modelines=5 modelineexpr")
    text = "".join(f"{MODELINE}\n" for _ in range(5))
    (workspace / "b.txt").write_text(text)
    subprocess.run(["git", "commit", "-qam", "x"], cwd=workspace, check=True, env=_identity())
    agent.write("b.txt", text + "more\n")
    reviewer.command("edit b.txt | setlocal shiftwidth=8 foldmethod=manual")
    reviewer.wait("(vim.b.agentdiff_status_dict or {}).hunks == 1")
    for command in ("AgentDiff", "AgentBaseline", "AgentDiff log", "AgentDiff rejected"):
        reviewer.command(f"silent! only | edit b.txt | {command}")
        for window in reviewer.nvim.windows:
            buffer = window.buffer
            if not buffer.name.startswith(str(workspace)):
                reviewer.nvim.current.window = window
                reviewer.command("silent! doautocmd BufRead | silent! doautocmd BufWinEnter")
                found = reviewer.lua(
                    "return { vim.bo.shiftwidth, vim.wo.foldmethod, vim.bo.modeline }"
                )
                assert (found[0], found[2]) == (8, False), (command, buffer.name)
                assert found[1] != "expr"
    assert calm(reviewer, workspace)


def _identity() -> dict[str, str]:
    who = {
        f"GIT_{one}_{two}": "t@t" for one in ("AUTHOR", "COMMITTER") for two in ("NAME", "EMAIL")
    }
    return {**os.environ, **who}
