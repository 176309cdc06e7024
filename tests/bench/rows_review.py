"""N3: a review of 100,000 lines on the screen, against ``:noautocmd edit`` of the same text.

Both sides run in the same Neovim with a UI attached, and are timed there, from the first call to
the drawn screen: making and filling the buffer and drawing it all count.  What Python does before
is not in it, because it does not keep Neovim waiting; the message that it sends is some kilobytes.
Folds and the colours of the language come once the text is on the screen; the other gets none.
"""

from __future__ import annotations

import os
import random
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack

from agentdiff.nvim.spill import spill
from agentdiff.nvim.views import ReviewView
from tests.bench.harness import Pair, Row, Skipped

CHECKOUT = Path(__file__).resolve().parents[2]
FILES, HUNKS, ROWS = 200, 10, 49
DRAW = """
local payload, whole = ...
local start = vim.uv.hrtime()
require('agentdiff.review').draw('/bench', payload, { files = 200, hunks = 2000 })
local buf = vim.fn.bufnr('agentdiff:///bench')
if vim.api.nvim_get_current_buf() ~= buf then vim.api.nvim_win_set_buf(0, buf) end
if whole then require('agentdiff.render').fill(buf) end
vim.cmd.redraw()
return { vim.uv.hrtime() - start, vim.api.nvim_buf_line_count(buf) }
"""
EDIT = """
local start = vim.uv.hrtime()
vim.cmd('noautocmd edit ' .. ...)
vim.cmd.redraw()
local taken = { vim.uv.hrtime() - start, vim.api.nvim_buf_line_count(0) }
vim.cmd('enew | bwipeout! ' .. ...)
return taken
"""
FORGET = """
local buf = vim.fn.bufnr('agentdiff:///bench')
if buf > 0 then
  require('agentdiff.render').fill(buf)
  vim.cmd('enew')
  vim.api.nvim_buf_delete(buf, { force = true })
end
"""


def rows(scratch: Path) -> Iterator[Row]:
    """Yields the first screen and the whole text."""
    for name, whole, at_most in (("N3-first-screen", False, 0.2), ("N3-full-fill", True, 1.2)):

        def measure(rounds: int, whole: bool = whole) -> Pair:
            with Neovim() as nvim:
                return _measure(scratch, nvim, rounds, whole=whole)

        what = "a review of 100,000 lines vs :noautocmd edit of the same text"
        yield Row(name=name, what=what, at_most=at_most, measure=measure)


class Neovim:
    """A headless Neovim with a UI attached, asked over its socket by raw messages."""

    def __enter__(self) -> Neovim:
        binary = os.environ.get("NVIM_BIN") or str(CHECKOUT / ".cache/nvim/0.12/nvim")
        self._folder = tempfile.TemporaryDirectory(prefix="ad-", dir="/tmp")
        path = f"{self._folder.name}/s"
        argv = [binary, "--clean", "-n", "-i", "NONE", "--headless", "--listen", path]
        argv += ["--cmd", f"set rtp^={CHECKOUT} shortmess+=I"]
        argv += ["--cmd", "let g:agentdiff = #{auto_attach: v:false}"]
        try:
            self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
        except FileNotFoundError:
            raise Skipped(f"no Neovim at {binary}") from None
        self._socket = socket.socket(socket.AF_UNIX)
        deadline = time.monotonic() + 20
        while self._socket.connect_ex(path) and time.monotonic() < deadline:
            time.sleep(0.01)
        self._unpacker = msgpack.Unpacker(strict_map_key=False)
        self.ask(self.packed("nvim_ui_attach", 160, 50, {"ext_linegrid": True}))
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._process.terminate()
        self._process.wait()
        self._folder.cleanup()

    @staticmethod
    def packed(method: str, *args: Any) -> bytes:
        """Returns a request as bytes."""
        return bytes(msgpack.packb([0, 1, method, list(args)]))

    def ask(self, request: bytes) -> Any:
        """Sends a packed request and returns its answer; notifications of the UI are dropped."""
        self._socket.sendall(request)
        while True:
            for message in self._unpacker:
                if message[0] == 1:
                    if message[2]:
                        raise AssertionError(message[2])
                    return message[3]
            self._unpacker.feed(self._socket.recv(1 << 20))


def review() -> dict[str, Any]:
    """Returns a *review view* of 200 files with 10 hunks each, 100,000 rows in all."""
    chosen = random.Random(1)
    words = ["return", "value", "if", "self.state", "=", "index", "+", "None", "(", ")", "for"]
    lines: list[str] = []
    kinds: list[str] = []
    files, hunks = [], []
    for number in range(FILES):
        name = f"src/module_{number}.txt"
        files.append({"path": name, "row": len(lines), "group": -1, "whole": True})
        lines.append(f"modified {name}  +230 -230")
        kinds.append("f")
        for hunk in range(HUNKS):
            at = {"row": len(lines), "rows": ROWS + 1, "file": number, "old": 1, "new": 1}
            hunks.append({**at, "id": len(hunks) + 1, "gen": 1, "owner": "claude · turn 1 · Edit"})
            lines.append(f"@@ -{hunk * 60},26 +{hunk * 60},26 @@ claude · turn 1 · Edit")
            kinds.append("h")
            letters = "ccc" + "d" * 22 + "a" * 22 + "cc"
            kinds.append(letters)
            lines += [
                " +-"["cad".index(letter)] + "    " + " ".join(chosen.choices(words, k=6))
                for letter in letters
            ]
    body = {"seq": 1, "group": "file", "lines": lines, "kinds": "".join(kinds)}
    return {**body, "groups": [], "files": files, "hunks": hunks}


def _measure(scratch: Path, nvim: Neovim, rounds: int, *, whole: bool) -> Pair:
    data = review()
    text = scratch / "review.txt"
    text.write_text("\n".join(data["lines"]) + "\n", encoding="utf-8")
    ours: list[float] = []
    reference: list[float] = []
    for number in range(max(rounds, 5) + 1):
        view = ReviewView(token=number + 1, data=data, filters={})
        payload = spill({"review": view.payload()}, scratch)["review"]
        sample, lines = nvim.ask(nvim.packed("nvim_exec_lua", DRAW, [payload, whole]))
        nvim.ask(nvim.packed("nvim_exec_lua", FORGET, []))
        other, of_text = nvim.ask(nvim.packed("nvim_exec_lua", EDIT, [str(text)]))
        if whole and lines != of_text:
            raise AssertionError(f"the review has {lines} lines instead of {of_text}")
        if number:  # the first round is for warmth
            ours.append(sample / 1e9)
            reference.append(other / 1e9)
    return Pair(ours_s=tuple(ours), reference_s=tuple(reference))
