"""N1, N2: inline hunks against gitsigns and mini.diff, in a Neovim with a screen.

N1 is what happens after a file was written: from the text on disk to a drawn screen.  Ours: reading
it, the diff against the base that the daemon holds, the hunks, their way over the socket as JSON,
one call into Neovim, the drawing.  Gitsigns, as it comes: git's text of the file, the diff, the
drawing.  N1-open is what happens when the buffer of a file that pends is opened: the hunks are
carried, no diff is made, while gitsigns has to do all of the above.  N2 is drawing with
the diff of Neovim's own library on both sides and equal settings; what mini.diff does not draw (the
deleted lines) is prepared before.  Each sample is taken in a fresh Neovim.
"""

from __future__ import annotations

import functools
import itertools
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from agentdiff.core import panes
from agentdiff.core.entries import File
from agentdiff.core.ledger import Ledger
from agentdiff.core.observing import observe
from agentdiff.core.owners import EXTERNAL
from agentdiff.core.pathstate import PathState
from agentdiff.nvim.views import InlineView
from agentdiff.wire import decode, encode
from tests.bench.harness import MIN_ROUNDS, Pair, Row
from tests.bench.nvim import Neovim, plugins

SIZES = ((20_000, 1_000), (100_000, 10_000))
GITSIGNS_AT_MOST = {20_000: 0.15, 100_000: 0.02}
MINI_AT_MOST = 1.15

_OPEN = "vim.cmd('silent edit f.txt | set nofoldenable'); vim.cmd.redraw()"
_DRAW = """
local view = require('agentdiff.update').view(...)
local buf = vim.api.nvim_get_current_buf()
require('agentdiff.inline').set(buf, view)
vim.cmd.redraw()
return #view.hunks
"""
_GITSIGNS = """
local buf = vim.api.nvim_get_current_buf()
local start = vim.uv.hrtime()
require('gitsigns').setup({
  max_file_length = 1e7, attach_to_untracked = false, watch_gitdir = { enable = false },
})
require('gitsigns').attach(buf)
local cache = require('gitsigns.cache').cache
vim.wait(600000, function()
  return cache[buf] and cache[buf].hunks and #cache[buf].hunks > 0
end, 1)
vim.cmd.redraw()
return { (vim.uv.hrtime() - start) / 1e9, #cache[buf].hunks }
"""
_MINI = """
local file = assert(io.open('old', 'rb'))
local old = file:read('*a')
file:close()
require('mini.diff').setup({
  source = { attach = function() end, name = 'none' },
  view = { style = 'sign' },
  delay = { text_change = 0 },
  options = { algorithm = 'myers', linematch = 0, indent_heuristic = false },
})
MiniDiff.enable(0)
local start = vim.uv.hrtime()
MiniDiff.set_ref_text(0, old)
vim.wait(600000, function()
  local data = MiniDiff.get_buf_data(0)
  return data and data.hunks and #data.hunks > 0
end, 0)
vim.cmd.redraw()
return { (vim.uv.hrtime() - start) / 1e9, #MiniDiff.get_buf_data(0).hunks }
"""
_OURS_IN_LUA = """
local file = assert(io.open('old', 'rb'))
local old = file:read('*a')
file:close()
local buf = vim.api.nvim_get_current_buf()
local inline = require('agentdiff.inline')
local lines = vim.split(old, '\\n', { plain = true })
local start = vim.uv.hrtime()
local new = table.concat(vim.api.nvim_buf_get_lines(buf, 0, -1, false), '\\n') .. '\\n'
local diff = vim.text and vim.text.diff or vim.diff
local hunks = {}
for i, block in ipairs(diff(old, new, { result_type = 'indices', algorithm = 'myers' })) do
  local from, removed, start_line, added = unpack(block)
  hunks[i] = {
    id = i, kind = 'text', start = start_line, added = added, removed = removed,
    deleted = vim.list_slice(lines, from, from + removed - 1), mixed = false, owner = '',
  }
end
local name = vim.api.nvim_buf_get_name(buf)
inline.set(buf, {
  token = 1, seq = 1, path = name, status = 'modified', coverage = 'exact', moved_to = '',
  hunks = hunks,
})
vim.cmd.redraw()
return { (vim.uv.hrtime() - start) / 1e9, #hunks }
"""


def rows(scratch: Path) -> Iterator[Row]:
    """Yields one row for each size and peer."""
    for lines, hunks in SIZES:
        size = f"{lines} lines, {hunks} hunks"

        def gitsigns(
            rounds: int, lines: int = lines, hunks: int = hunks, *, carried: bool = False
        ) -> Pair:
            peer = plugins("gitsigns.nvim")
            folder = _repository(scratch, lines, hunks)
            return _taken(
                rounds,
                lambda: _ours(folder, carried=carried),
                lambda: _peer(folder, peer, _GITSIGNS),
            )

        def mini(rounds: int, lines: int = lines, hunks: int = hunks) -> Pair:
            peer = plugins("mini.nvim", "mini.diff")
            folder = _repository(scratch, lines, hunks)
            return _taken(
                rounds,
                lambda: _peer(folder, peer, _OURS_IN_LUA),
                lambda: _peer(folder, peer, _MINI),
            )

        yield Row(
            name=f"N1-{lines}",
            what=f"from a text on disk to its hunks drawn, vs gitsigns at its defaults, {size}",
            at_most=GITSIGNS_AT_MOST[lines],
            measure=gitsigns,
        )
        yield Row(
            name=f"N1-open-{lines}",
            what=f"hunks of an opened buffer vs gitsigns at its defaults, {size}",
            at_most=GITSIGNS_AT_MOST[lines],
            measure=functools.partial(gitsigns, carried=True),
        )
        yield Row(
            name=f"N2-{lines}",
            what=f"inline render vs mini.diff with equal diff settings, {size}",
            at_most=MINI_AT_MOST,
            measure=mini,
        )


def _taken(rounds: int, ours: Callable[[], float], reference: Callable[[], float]) -> Pair:
    """Takes samples in turns; each side times itself, without the start of its Neovim."""
    samples: tuple[list[float], list[float]] = ([], [])
    for number in range(max(MIN_ROUNDS, min(rounds, MIN_ROUNDS))):
        sides = [(samples[0], ours), (samples[1], reference)]
        for found, action in sides if number % 2 == 0 else reversed(sides):
            found.append(action())
    return Pair(ours_s=tuple(samples[0]), reference_s=tuple(samples[1]))


def _repository(scratch: Path, lines: int, hunks: int) -> Path:
    """Returns a work tree whose only file has that many hunks against its commit."""
    folder = scratch / f"render-{lines}"
    if folder.exists():
        return folder
    folder.mkdir()
    old, new = _texts(lines, hunks)
    (folder / "old").write_bytes(old)
    (folder / "f.txt").write_bytes(old)
    for arguments in (
        ["init", "-q"],
        ["add", "f.txt"],
        ["-c", "user.name=b", "-c", "user.email=b@example.org", "commit", "-q", "-m", "b"],
    ):
        subprocess.run(["git", *arguments], cwd=folder, check=True)
    (folder / "f.txt").write_bytes(new)
    return folder


def _texts(lines: int, hunks: int) -> tuple[bytes, bytes]:
    """Returns a text like source code and the same with lines changed, inserted and deleted."""
    chosen = random.Random(2)
    words = ["return", "value", "if", "self.state", "=", "index", "+", "None", "(", ")", "for"]
    old = [
        f"    {' '.join(chosen.choices(words, k=5))}  # {chosen.randrange(10**6)}"
        for _ in range(lines)
    ]
    new = list(old)
    for at in range(lines - 3, 2, -(lines // hunks)):
        kind = chosen.randrange(3)
        if kind == 0:
            new[at] += " changed"
        elif kind == 1:
            new[at:at] = [f"inserted {at}", "another"]
        else:
            del new[at : at + 2]
    return "\n".join(old).encode() + b"\n", "\n".join(new).encode() + b"\n"


def _state(folder: Path, old: File) -> PathState:
    """Returns what pends once the file has been looked at."""
    ids = itertools.count(1)
    new = File(data=(folder / "f.txt").read_bytes(), mode=0o644)
    state = observe(None, b"f.txt", old, new, EXTERNAL, lambda: next(ids))
    assert state is not None
    return state


def _ours(folder: Path, *, carried: bool) -> float:
    """Returns how long the way to a drawn screen takes, from the disk or from carried hunks."""
    old = File(data=(folder / "old").read_bytes(), mode=0o644)
    known = _state(folder, old) if carried else None
    with Neovim(folder, config="let g:agentdiff = #{auto_attach: v:false}") as nvim:
        nvim.lua(_OPEN)
        nvim.lua("require('agentdiff.highlight').setup()")
        nvim.lua("require('agentdiff.inline'); require('agentdiff.update')")
        started_ns = time.perf_counter_ns()
        state = known or _state(folder, old)
        sent = encode({"id": 1, "result": {"seq": 1, "files": [panes.inline(Ledger(), state)]}})
        view = InlineView(token=1, seq=1, data=decode(sent)["result"]["files"][0])
        drawn = nvim.lua(_DRAW, view.payload(str(folder / "f.txt")))
        taken_s = (time.perf_counter_ns() - started_ns) / 1e9
    if drawn < 100:
        raise AssertionError(f"only {drawn} hunks were drawn")
    return taken_s


def _peer(folder: Path, plugin: Path, code: str) -> float:
    """Returns how long a chunk says that it took."""
    with Neovim(folder, plugin, config="let g:agentdiff = #{auto_attach: v:false}") as nvim:
        nvim.lua(_OPEN)
        taken_s, hunks = nvim.lua(code)
    if hunks < 100:
        raise AssertionError(f"only {hunks} hunks were drawn")
    return float(taken_s)
