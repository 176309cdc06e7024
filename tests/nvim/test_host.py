"""How Lua reaches Python: the pynvim plugin class answers RPC in its host."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from nvim_driver import CHECKOUT, DEADLINE_S, Editor, wait_for
from scripted_agent import Agent
from test_claims import save
from test_review import open_review, pending

from agentdiff.daemon.launch import ensure_running
from agentdiff.locations import Locations

PLUGIN = str(CHECKOUT / "rplugin/python3/agentdiff_rplugin.py")
OTHER = """
import pynvim

@pynvim.plugin
class Other:
    def __init__(self, nvim):
        self.nvim = nvim

    @pynvim.function("OtherAnswer", sync=True)
    def answer(self, args):
        return 42
"""


def test_the_plugin_class_answers_in_its_host(editor: Editor) -> None:
    """A request reaches the @pynvim.plugin class, which runs in the plugin's own environment."""
    info = editor.lua("return require('agentdiff.rpc').ping()")
    assert ("", str(CHECKOUT / ".venv/bin/python")) == (info["problem"], info["python"])


def test_loading_the_plugin_requires_nothing(editor: Editor) -> None:
    """Until something is used, no module of the plugin is loaded."""
    loaded = editor.lua(
        """
        local loaded = {}
        for name in pairs(package.loaded) do
          if name:find('^agentdiff') then loaded[#loaded + 1] = name end
        end
        table.sort(loaded)
        return loaded
        """
    )
    # `buffers` and `config` are what looks whether to attach.
    assert loaded == ["agentdiff.buffers", "agentdiff.config"]


def test_no_interpreter_names_the_remedy(spawn: Callable[..., Editor], tmp_path: Path) -> None:
    """Without a Python environment one message names the command that makes it."""
    copy = tmp_path / "plugin"
    for part in ("lua", "plugin", "rplugin"):
        os.makedirs(copy, exist_ok=True)
        os.symlink(CHECKOUT / part, copy / part)
    editor = spawn(config=f"set rtp-={CHECKOUT} | set rtp^={copy} | let g:agentdiff = {{}}")
    message = editor.lua(
        """
        local seen = {}
        vim.notify = function(text) seen[#seen + 1] = text end
        vim.cmd('AgentDiff review')
        vim.cmd('AgentDiff review')
        return seen
        """
    )
    # Once for each command: what the commands send beside their request says nothing more.
    assert ["make install" in text for text in message] == [True, True]


def manifest(editor: Editor) -> str:
    """Writes a manifest of all remote plugins on 'runtimepath', and returns it."""
    editor.command("silent UpdateRemotePlugins")
    return Path(os.environ["NVIM_RPLUGIN_MANIFEST"]).read_text()


def test_works_beside_a_manifest_and_another_remote_plugin(
    spawn: Callable[..., Editor], tmp_path: Path, monkeypatch
) -> None:
    """With our plugin and a foreign one in the manifest, both answer, in hosts of their own."""
    other = tmp_path / "other"
    (other / "rplugin/python3").mkdir(parents=True)
    (other / "rplugin/python3/other_plugin.py").write_text(OTHER)
    monkeypatch.setenv("NVIM_RPLUGIN_MANIFEST", str(tmp_path / "rplugin.vim"))
    config = (
        f"set rtp^={other} | let g:python3_host_prog = '{sys.executable}' | "
        "let g:agentdiff = #{auto_attach: v:false}"
    )
    # --clean ignores manifests; the folders of this user are empty anyway.
    written = manifest(spawn(config=config, clean=False))
    assert all(name in written for name in ("AgentDiffPing", "OtherAnswer"))
    editor = spawn(config=config, clean=False)
    assert 42 == editor.lua("return vim.fn.OtherAnswer()")  # noqa: SIM300
    assert editor.lua("return require('agentdiff.rpc').ping().problem") == ""
    assert editor.lua("return vim.fn.AgentDiffPing().problem") == ""
    assert editor.lua("return vim.fn.OtherAnswer()") == 42


def kill_host(editor: Editor) -> None:
    """Kills the Python host and waits until Neovim knows."""
    editor.lua(
        """
        vim.g.said = 0
        vim.notify = function() vim.g.said = vim.g.said + 1 end
        for _, chan in ipairs(vim.api.nvim_list_chans()) do
          if chan.argv and vim.tbl_contains(chan.argv, '-P') then
            vim.uv.kill(vim.fn.jobpid(chan.id), 'sigkill')
          end
        end
        """
    )
    editor.wait("vim.g.said > 0")


def test_a_message_to_a_host_that_just_ended_starts_another(reviewer: Editor) -> None:
    """Its end has not been told yet: no error, and the message is not lost."""
    told = reviewer.lua(
        """
        for _, chan in ipairs(vim.api.nvim_list_chans()) do
          if chan.stream == 'job' then
            vim.fn.chanclose(chan.id)
          end
        end
        require('agentdiff.rpc').send('refresh', { full = true })
        return require('agentdiff.rpc').ping()
        """
    )
    assert told["problem"] == ""
    assert "Invalid channel" not in reviewer.messages()


def test_a_dead_host_is_said_once_and_comes_back(editor: Editor) -> None:
    """When the host dies one notice says so; the next message starts a new host."""
    editor.lua("require('agentdiff.rpc').ping()")
    kill_host(editor)
    answer = editor.lua("return require('agentdiff.rpc').ping().problem")
    assert (editor.lua("return vim.g.said"), answer) == (1, "")


def test_a_save_after_the_host_died_is_claimed(reviewer: Editor, agent: Agent) -> None:
    """The save itself starts a new host, which watches what the old one watched."""
    kill_host(reviewer)
    with agent.tool("Bash", command="sleep"):
        save(reviewer, 1, "mine")
        reviewer.wait("not require('agentdiff.status').is_stale()")
    assert pending(reviewer) == 0


def test_a_review_survives_the_host(reviewer: Editor, agent: Agent) -> None:
    """An open review buffer is followed by the new host."""
    agent.edit("a.txt", "line 10\n", "ten\n")
    open_review(reviewer)
    kill_host(reviewer)
    reviewer.keys("R")
    agent.edit("a.txt", "line 15\n", "fifteen\n")
    reviewer.wait("vim.fn.search('+fifteen', 'nw') > 0")


def test_hosts_end_with_their_neovim(editor: Editor) -> None:
    """A Neovim that is killed leaves no Python behind."""
    editor.lua("require('agentdiff.rpc').ping()")
    host = editor.lua(
        """
        for _, chan in ipairs(vim.api.nvim_list_chans()) do
          if chan.argv and vim.tbl_contains(chan.argv, '-P') then return vim.fn.jobpid(chan.id) end
        end
        """
    )
    os.kill(editor.pid, signal.SIGKILL)
    wait_for(lambda: not is_running(host), "the host's end")


def is_running(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.strip()
    return bool(state) and not state.startswith("Z")


def test_a_daemon_that_comes_later_is_found(
    spawn: Callable[..., Editor], home: Path, workspace: Path
) -> None:
    """Neovim was there first: the agent's first hook starts the daemon, and hunks appear."""
    editor = spawn("a.txt", cwd=workspace)
    editor.lua("require('agentdiff.rpc').ping()")
    before = (home / "state/agentdiff/daemon.lock").exists()
    ensure_running(Locations.from_env(os.environ), DEADLINE_S)
    Agent(workspace).edit("a.txt", "line 10\n", "ten\n")
    editor.wait("(vim.b.agentdiff_status_dict or {}).hunks == 1")
    assert (before, editor.lines()[9]) == (False, "ten")


def test_reading_the_file_again_keeps_it_watched(reviewer: Editor, agent: Agent) -> None:
    """``:edit`` unloads the buffer for a moment; its hunks come back."""
    agent.edit("a.txt", "line 10\n", "ten\n")
    reviewer.wait("(vim.b.agentdiff_status_dict or {}).hunks == 1")
    reviewer.command("edit!")
    agent.edit("a.txt", "line 15\n", "fifteen\n")
    reviewer.wait("(vim.b.agentdiff_status_dict or {}).hunks == 2")
    reviewer.wait("#require('agentdiff.inline').positions(vim.fn.bufnr()) == 2")


@pytest.fixture
def odd(workspace: Path) -> bytes:
    """The path of a file in the workspace whose name is Latin-1."""
    path = os.fsencode(workspace) + b"/caf\xe9.txt"
    with open(path, "wb") as file:
        file.write(b"one\ntwo\n")
    return path


def test_names_that_are_not_utf8_work(
    odd: bytes, spawn: Callable[..., Editor], agent: Agent, workspace: Path
) -> None:
    """A file named in Latin-1 is shown and followed, and a save of it is the user's."""
    editor = spawn(cwd=workspace)
    editor.lua("vim.cmd.edit({ 'caf*.txt' })")
    editor.wait("vim.b.agentdiff_workspace")
    with agent.tool("Bash", command="sed"):
        with open(odd, "wb") as file:
            file.write(b"one\nzwei\n")
        editor.wait("vim.fn.getline(2) == 'zwei'")
        save(editor, 1, "mine")
    editor.wait("(vim.b.agentdiff_status_dict or {}).hunks == 1")
    editor.keys("2G<Plug>(agentdiff-reject-hunk)")
    with open(odd, "rb") as file:
        assert file.read() == b"mine\ntwo\n"


def test_no_host_is_started_at_the_end(reviewer: Editor, tmp_path: Path) -> None:
    """One that died is not needed any more to forget the buffers that go."""
    kill_host(reviewer)
    count = tmp_path / "started"
    reviewer.lua(
        """
        local path, started, start = ..., 0, vim.fn.jobstart
        vim.fn.jobstart = function(...)
          started = started + 1
          return start(...)
        end
        vim.api.nvim_create_autocmd('VimLeave', { callback = function()
          vim.fn.writefile({ tostring(started) }, path)
        end })
        """,
        str(count),
    )
    reviewer.nvim.command("qall!", async_=True)
    wait_for(lambda: count.exists() and count.read_text(), "Neovim's end")
    assert count.read_text() == "0\n"
