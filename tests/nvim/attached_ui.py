"""A user interface attached to a Neovim: keeps the screen that a person would have before them.

A connection of its own speaks msgpack-rpc and asks for ``ext_linegrid`` and ``ext_hlstate``
(``:help ui-linegrid``): rows of cells, each with its text and the names of the highlight groups
that colour it.  It is read while a test waits, by nobody else: no thread, nothing is missed.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

import msgpack
import pytest
from nvim_driver import DEADLINE_S, Editor

Cell = tuple[str, int]
BLANK: Cell = (" ", 0)

OWN_COLOURS = """
local number = 0
for name in vim.spairs(require('agentdiff.highlight').groups) do
  number = number + 1
  vim.api.nvim_set_hl(0, name, { fg = number, bg = 256 * number })
end
"""


class AttachedUI:
    """The screen of one Neovim; a context manager that ends the connection."""

    def __init__(self, editor: Editor, columns: int = 80, lines: int = 24) -> None:
        self._groups: dict[int, tuple[str, ...]] = {0: ()}
        self._grid: list[list[Cell]] = []
        self._shown: list[list[Cell]] = []  # the grid at the last ``flush``: never half a screen
        self._answers: dict[int, Any] = {}
        self._requests = 0
        self._unpacker = msgpack.Unpacker(raw=False, strict_map_key=False)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(editor.lua("return vim.v.servername"))
        # Linked groups are called by what they link to: only colours of their own tell them apart.
        editor.lua(OWN_COLOURS)
        options = {"rgb": True, "ext_linegrid": True, "ext_hlstate": True}
        self._request("nvim_ui_attach", columns, lines, options)

    def __enter__(self) -> AttachedUI:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        asked = False
        deadline = time.monotonic() + DEADLINE_S
        # Neovim answers nobody while a question is on the screen: the test's end would hang.
        while self.is_asking() and time.monotonic() < deadline:
            asked = True
            self.type("<CR>")
        shown = str(self)
        self._socket.close()
        if kind is None:
            assert not asked, f"a question was left on the screen:\n{shown}"

    # --- what a person does ----------------------------------------------------------------------

    def type(self, keys: str) -> None:
        """Types keys as a terminal would; they are executed some time later."""
        self._request("nvim_input", keys)

    def resize(self, columns: int, lines: int) -> None:
        """Gives the terminal another size."""
        self._request("nvim_ui_try_resize", columns, lines)

    def is_asking(self) -> bool:
        """Whether Neovim waits for an answer: a prompt, or |hit-enter|."""
        return bool(self._request("nvim_get_mode")["blocking"])

    # --- what a person sees ----------------------------------------------------------------------

    def rows(self) -> list[str]:
        """Returns the rows without the blanks at their ends."""
        return ["".join(text for text, _ in row).rstrip() for row in self._shown]

    def groups(self, row: int) -> list[tuple[str, str]]:
        """Returns a row (0-based) as runs of (text, groups), the strongest group last.

        Runs that no group colours are left out, and so are blanks at the end of a run.
        """
        runs: list[tuple[str, tuple[str, ...]]] = []
        for text, number in self._shown[row]:
            names = self._groups[number]
            if runs and runs[-1][1] == names:
                runs[-1] = (runs[-1][0] + text, names)
            else:
                runs.append((text, names))
        return [(text.rstrip(), " ".join(names)) for text, names in runs if names]

    def ours(self, row: int) -> list[tuple[str, str]]:
        """Returns the runs of a row that a group of agentdiff colours, with its strongest one."""
        found: list[tuple[str, str]] = []
        for text, names in self.groups(row):
            own = [name for name in names.split() if name.startswith("AgentDiff")]
            if own:
                found.append((text, own[-1]))
        return found

    def row(self, text: str) -> int:
        """Returns the first row (0-based) that holds this text."""
        found = [n for n, row in enumerate(self.rows()) if text in row]
        assert found, f"{text!r} is not on the screen:\n{self}"
        return found[0]

    def wait(self, seen: Callable[[list[str]], Any], what: str) -> list[str]:
        """Waits for a finished screen on which `seen` is true; returns its rows."""
        deadline = time.monotonic() + DEADLINE_S
        while not seen(self.rows()):
            if not self._read(deadline):
                pytest.fail(f"waited {DEADLINE_S} s for the screen: {what}\n{self}")
        return self.rows()

    def wait_text(self, text: str) -> list[str]:
        """Waits for a screen that shows this text."""
        return self.wait(lambda rows: any(text in row for row in rows), repr(text))

    def wait_ours(self, text: str, expected: list[tuple[str, str]]) -> None:
        """Waits until the first row with this text is coloured by us as expected (`ours`)."""

        def seen(rows: list[str]) -> bool:
            found = [n for n, row in enumerate(rows) if text in row]
            return bool(found) and self.ours(found[0]) == expected

        self.wait(seen, f"{text!r} with the colours {expected}")

    def drawn(self) -> list[str]:
        """Redraws, and returns the rows of what Neovim knows now."""
        # Events go out before the answer, on the same connection.
        self._request("nvim_command", "redraw!")
        return self.rows()

    def __str__(self) -> str:
        return "\n".join(f"{n:>3} |{row}" for n, row in enumerate(self.rows()))

    # --- the wire --------------------------------------------------------------------------------

    def _request(self, method: str, *args: Any) -> Any:
        self._requests += 1
        number = self._requests
        self._socket.sendall(msgpack.packb([0, number, method, args]))
        deadline = time.monotonic() + DEADLINE_S
        while number not in self._answers:
            assert self._read(deadline), f"no answer to {method}; the screen:\n{self}"
        problem, result = self._answers.pop(number)
        assert problem is None, f"{method}: {problem}"
        return result

    def _read(self, deadline: float) -> bool:
        """Takes in what comes next; false when nothing did before the deadline."""
        ready, _, _ = select.select([self._socket], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return False
        data = self._socket.recv(1 << 16)
        assert data, "Neovim ended"
        self._unpacker.feed(data)
        for message in self._unpacker:
            if message[0] == 1:
                self._answers[message[1]] = message[2:]
            elif message[1] == "redraw":
                for name, *batch in message[2]:
                    for args in batch:
                        self._event(name, args)
        return True

    def _event(self, name: str, args: list[Any]) -> None:
        if name == "grid_resize":
            _, columns, lines = args
            self._grid = [[BLANK] * columns for _ in range(lines)]
        elif name == "grid_clear":
            self._grid = [[BLANK] * len(row) for row in self._grid]
        elif name == "grid_line":
            self._line(*args[1:4])
        elif name == "grid_scroll":
            self._scroll(*args[1:6])
        elif name == "hl_attr_define":
            number, _, _, info = args
            names = (one.get("hi_name") or one.get("ui_name", "") for one in info)
            self._groups[number] = tuple(name for name in names if name)
        elif name == "flush":
            self._shown = [list(row) for row in self._grid]

    def _line(self, row: int, column: int, cells: list[list[Any]]) -> None:
        group = 0
        for text, *more in cells:
            group = more[0] if more else group
            for _ in range(more[1] if len(more) > 1 else 1):
                self._grid[row][column] = (text, group)
                column += 1

    def _scroll(self, top: int, bottom: int, left: int, right: int, rows: int) -> None:
        order = range(top, bottom - rows) if rows > 0 else range(bottom - 1, top - rows - 1, -1)
        for row in order:
            self._grid[row][left:right] = self._grid[row + rows][left:right]
