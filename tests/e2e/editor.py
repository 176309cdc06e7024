"""A real Neovim in which a user types, beside the agent.

Owns starting it with the plugin on the runtime path and nothing else of the user's, typing, and
waiting for what the screen would show.  Must not call into the plugin except as a user does:
commands and keys.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pynvim

from e2e.rig import CHECKOUT, Rig

WAIT_MS = 20_000
_WAIT_FOR = """
local code, timeout_ms = ...
local condition = assert(loadstring('return ' .. code))
return { vim.wait(timeout_ms, condition, 10), vim.inspect(condition()) }
"""


class Editor:
    """Use as a context manager; leaving ends this Neovim without saving anything."""

    def __init__(self, nvim: Path, rig: Rig) -> None:
        socket = rig.outside / "nvim.sock"
        argv = [str(nvim), "--headless", "--clean", "--cmd", f"set rtp^={CHECKOUT}"]
        # A socket and a process of our own: pynvim's child would inherit the environment of the
        # test, and leaves transports open behind it.
        self._process = subprocess.Popen(
            [*argv, "--listen", str(socket)],
            cwd=rig.workspace,
            env=rig.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._nvim = _attached(socket)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            error.add_note(f"Neovim's messages: {self.messages()}")
        # A Neovim that leaves answers nothing, and pynvim says so.
        with suppress(EOFError):
            self._nvim.command("qall!")
        self._nvim.close()
        self._process.wait(WAIT_MS / 1000)

    def run(self, command: str) -> None:
        """Runs an Ex command as if typed."""
        self._nvim.command(command)

    def edit(self, path: bytes) -> None:
        """Opens a file of the workspace in the current window."""
        self._nvim.api.cmd({"cmd": "edit", "args": [path.decode()]}, {})

    def type(self, keys: str) -> None:
        """Presses keys (``<Esc>`` notation) and returns when Neovim has worked them off."""
        raw = self._nvim.api.replace_termcodes(keys, True, True, True)
        self._nvim.api.feedkeys(raw, "tx", False)

    def lines(self) -> list[str]:
        """Returns the lines of the current buffer."""
        found: list[str] = self._nvim.current.buffer[:]
        return found

    def wait_for(self, condition: str) -> None:
        """Lets Neovim work until the Lua expression `condition` is true.

        Raises:
            AssertionError: it did not become true.
        """
        met, value = self.lua(_WAIT_FOR, condition, WAIT_MS)
        assert met, f"{condition} is still {value}; messages: {self.messages()}"

    def wait_for_lines(self, expected: Sequence[str]) -> None:
        """Lets Neovim work until the current buffer holds exactly `expected`."""
        met = self.lua(
            "local expected, ms = ...\n"
            "return vim.wait(ms, function()\n"
            "  return vim.deep_equal(vim.api.nvim_buf_get_lines(0, 0, -1, false), expected)\n"
            "end, 10)",
            list(expected),
            WAIT_MS,
        )
        assert met, (self.lines(), self.messages())

    def messages(self) -> str:
        """Returns ``:messages``."""
        shown: str = self._nvim.command_output("messages")
        return shown

    def lua(self, code: str, *args: Any) -> Any:
        """Runs a chunk of Lua and returns what it returns."""
        return self._nvim.exec_lua(code, *args)


def _attached(socket: Path) -> pynvim.Nvim:
    """Connects as soon as the socket is there; Neovim announces it in no other way.

    Raises:
        TimeoutError: it never came.
    """
    deadline = time.monotonic() + WAIT_MS / 1000
    while time.monotonic() < deadline:
        with suppress(FileNotFoundError, ConnectionRefusedError):
            return pynvim.attach("socket", path=str(socket))
        time.sleep(0.01)
    raise TimeoutError(f"Neovim did not listen on {socket}")
