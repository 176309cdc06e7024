"""Drives one real Neovim over its RPC, and waits with deadlines instead of sleeping."""

from __future__ import annotations

import gc
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pynvim
import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
DEADLINE_S = 20.0


def wait_for(
    condition: Callable[[], Any],
    what: str,
    editor: Editor | None = None,
    timeout_s: float = DEADLINE_S,
) -> Any:
    """Returns the first true value of `condition`; fails the test after the deadline."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        if time.monotonic() > deadline:
            shown = editor.messages() if editor else ""
            pytest.fail(f"waited {timeout_s} s for: {what}\nmessages: {shown}")
        time.sleep(0.01)
    return value


class Editor:
    """One Neovim, driven over its RPC."""

    def __init__(self, nvim: pynvim.Nvim) -> None:
        self.nvim = nvim
        self.pid: int = nvim.funcs.getpid()

    def close(self) -> None:
        """Ends the connection.

        pynvim closes its event loop before the transport has closed: the collector would warn about
        that later, in somebody else's test.
        """
        self.nvim.close()
        del self.nvim
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()

    def lua(self, code: str, *args: Any) -> Any:
        """Runs Lua and returns its value."""
        return self.nvim.exec_lua(code, *args)

    def command(self, line: str) -> str:
        """Runs an Ex command and returns what it printed."""
        try:
            return str(self.nvim.api.exec2(line, {"output": True}).get("output", ""))
        except pynvim.NvimError as error:
            # The exception has only the first line of what was said.
            error.add_note(str(self.nvim.api.exec2("messages", {"output": True})["output"]))
            raise

    def told(self, line: str) -> str:
        """Runs an Ex command and returns what the plugin said with `vim.notify`."""
        return str(
            self.lua(
                """
                local told, notify = {}, vim.notify
                vim.notify = function(text) told[#told + 1] = text end
                vim.cmd(...)
                vim.notify = notify
                return table.concat(told, '\\n')
                """,
                line,
            )
        )

    def keys(self, keys: str) -> None:
        """Types keys; returns when they have been executed."""
        self.nvim.api.feedkeys(
            self.nvim.api.replace_termcodes(keys, True, True, True), "mtx", False
        )

    def lines(self, buffer: int = 0) -> list[str]:
        """Returns the lines of a buffer."""
        return list(self.nvim.api.buf_get_lines(buffer, 0, -1, False))

    def cursor(self) -> tuple[int, int]:
        """Returns the cursor of the current window: 1-based line, 0-based byte."""
        line, column = self.nvim.api.win_get_cursor(0)
        return line, column

    def messages(self) -> str:
        """Returns ``:messages``."""
        return self.command("messages")

    def screen(self) -> list[str]:
        """Returns the rows of the screen as a person sees them."""
        return list(
            self.lua(
                """
                vim.cmd.redraw()
                local rows = {}
                for r = 1, vim.o.lines do
                  local cells = {}
                  for c = 1, vim.o.columns do cells[c] = vim.fn.screenstring(r, c) end
                  rows[r] = (table.concat(cells):gsub('%s+$', ''))
                end
                return rows
                """
            )
        )

    def wait(self, expression: str, what: str | None = None) -> Any:
        """Waits until a Lua expression is true and returns its value."""
        return wait_for(lambda: self.lua("return " + expression), what or expression, self)
