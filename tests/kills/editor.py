"""A real Neovim with the plugin, in which the user saves; it and its plugin host can be killed.

Owns the process.  Must not know what is right.
"""

from __future__ import annotations

import contextlib
import gc
import os
import random
import signal
import subprocess
import tempfile
import warnings
from pathlib import Path

import pynvim

from tests.kills.user import User, until

CHECKOUT = Path(__file__).resolve().parents[2]
_JOBS = """
local pids = {}
for _, channel in ipairs(vim.api.nvim_list_chans()) do
  local alive, pid = pcall(vim.fn.jobpid, channel.id)
  if channel.stream == 'job' and alive then pids[#pids + 1] = pid end
end
return pids
"""
_SAVE = """
local path, lines = ...
vim.cmd('silent edit! ' .. vim.fn.fnameescape(path))
vim.api.nvim_buf_set_lines(0, 0, -1, true, lines)
local watched = vim.b.agentdiff_workspace ~= nil
vim.cmd('silent write!')
return watched
"""


class Editor:
    """One Neovim after the other.

    Attributes:
        kills: how many processes were killed.

    Args:
        user: whose.
        nvim: the program.
    """

    def __init__(self, user: User, nvim: str) -> None:
        self.kills = 0
        self._user = user
        self._program = nvim
        self._start()

    def _start(self) -> None:
        folder = Path(tempfile.mkdtemp(dir=self._user.home))
        socket = str(folder / "n")
        options = ["--clean", "-i", "NONE", "-n", "--headless", "--listen", socket]
        self._process = subprocess.Popen(
            [self._program, *options, "--cmd", f"set rtp^={CHECKOUT}", "f0"],
            cwd=self._user.root,
            env=self._user.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._nvim: pynvim.Nvim = until(lambda: _attached(socket), "Neovim's socket")

    def linked(self) -> bool:
        """Whether the daemon has an editor that shows the workspace."""
        found = self._user.ask_patiently("daemon.status")["workspaces"]
        return any(one["clients"] for one in found)

    def save(self, name: str, content: bytes) -> bool:
        """Gives a file another content and saves it; returns when it is on disk.

        Returns:
            Whether the plugin had said that it follows the file.
        """
        lines = content.decode().removesuffix("\n").split("\n")
        return self._nvim.exec_lua(_SAVE, str(self._user.root / name), lines)

    def kill(self, chance: random.Random) -> str:
        """Kills the plugin host, or Neovim and starts another one; returns which."""
        self.kills += 1
        if chance.random() < 0.5:
            pids = self._nvim.exec_lua(_JOBS)
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            until(lambda: self._looked(pids), "another host")
            return "the plugin host"
        self._end()
        self._start()
        return "Neovim"

    def _looked(self, gone: list[int]) -> bool:
        """Looks at a file, which starts a host where there is none; returns whether there is."""
        self._nvim.command("silent edit! f0")
        return bool(set(self._nvim.exec_lua(_JOBS)) - set(gone))

    def messages(self) -> str:
        """Returns what it said."""
        return str(self._nvim.api.exec2("messages", {"output": True})["output"])

    def close(self) -> None:
        """Ends it."""
        self._end()

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()
        with contextlib.suppress(OSError, EOFError):
            self._nvim.close()
        del self._nvim
        with warnings.catch_warnings():
            # pynvim closes its loop before the transport: the collector would say so later.
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()


def _attached(socket: str) -> pynvim.Nvim | None:
    try:
        return pynvim.attach("socket", path=socket)
    except OSError:
        return None
