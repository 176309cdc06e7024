"""N4, N5: what an agent's writes cost the editor, and how soon they are seen.

Absolute rows: the reference is the time that is allowed.  A real daemon, a real hook client, a
Neovim with a screen, a review buffer and a file buffer that show what changes.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agentdiff.daemon.launch import ensure_running
from agentdiff.locations import Locations
from tests.bench.harness import MIN_ROUNDS, Pair, Row
from tests.bench.nvim import Neovim
from tests.nvim.scripted_agent import Agent

STALL_S = 0.008
SEEN_S = 0.050
FILES = 200
WRITING_S = 10.0
WRITES = 40

# A timer that should fire every millisecond: what Neovim computed between two of its calls is how
# long a key would have waited.  Computing time, because a busy machine stops any process for more.
_WATCH = """
local function spent()
  local usage = vim.uv.getrusage()
  return usage.utime.sec + usage.stime.sec + (usage.utime.usec + usage.stime.usec) / 1e6
end
local last, longest, timer = spent(), 0, vim.uv.new_timer()
timer:start(1, 1, function()
  local now = spent()
  longest, last = math.max(longest, now - last), now
end)
_G.longest = function()
  local was = longest
  longest, last = 0, spent()
  return was
end
"""
_NOTE_UPDATES = """
vim.api.nvim_create_autocmd('User', {
  pattern = 'AgentDiffUpdate',
  callback = function()
    vim.cmd.redraw()
    local dict = vim.b.agentdiff_status_dict
    _G.seen = { dict and dict.hunks or 0, vim.uv.hrtime() }
  end,
})
_G.seen = { 0, 0 }
"""


def rows(scratch: Path) -> Iterator[Row]:
    """Yields the two rows."""
    yield Row(
        name="N4",
        what=f"longest stall of the main loop while an agent writes {FILES} files in "
        f"{WRITING_S:g} s, vs {STALL_S * 1e3:g} ms",
        at_most=1.0,
        measure=lambda rounds: _stalls(scratch),
    )
    yield Row(
        name="N5",
        what=f"write on disk to inline hunk drawn, p95 of {WRITES}, vs {SEEN_S * 1e3:g} ms",
        at_most=1.0,
        measure=lambda rounds: _delays(scratch),
    )


@contextmanager
def _user(scratch: Path) -> Iterator[Path]:
    """Yields a git work tree of a user who has a daemon of his own, and nothing else."""
    home = Path(tempfile.mkdtemp(dir=scratch))
    runtime = tempfile.mkdtemp(prefix="ad-", dir="/tmp")
    mine = {f"XDG_{name}_HOME": str(home / name) for name in ("STATE", "CONFIG", "DATA", "CACHE")}
    mine |= {"XDG_RUNTIME_DIR": runtime, "HOME": str(home), "GIT_CONFIG_GLOBAL": os.devnull}
    before = dict(os.environ)
    os.environ.update(mine)
    work = home / "work"
    work.mkdir()
    (work / "a.txt").write_text("".join(f"line {n}\n" for n in range(1000)))
    subprocess.run(["git", "init", "-q"], cwd=work, check=True)
    try:
        locations = Locations.from_env(os.environ)
        ensure_running(locations)
        yield work
        pid = int((locations.state / "daemon.lock").read_text().split()[0])
        os.kill(pid, 15)
    finally:
        os.environ.clear()
        os.environ.update(before)
        shutil.rmtree(runtime, ignore_errors=True)


def _watched(nvim: Neovim) -> None:
    nvim.lua("vim.cmd('edit a.txt')")
    nvim.wait("vim.b.agentdiff_workspace")


def _stalls(scratch: Path) -> Pair:
    longest: list[float] = []
    with _user(scratch) as work, Neovim(work) as nvim:
        _watched(nvim)
        agent = Agent(work)
        nvim.lua("vim.cmd('AgentDiff | vsplit a.txt')")
        nvim.lua(_WATCH)
        for number in range(MIN_ROUNDS):
            nvim.lua("return longest()")
            with agent.tool("Bash", command="generate"):
                for one in range(FILES):
                    text = "".join(f"{number} {one} {line}\n" for line in range(100))
                    (work / f"new-{one}.txt").write_text(text)
                    time.sleep(WRITING_S / FILES)
            longest.append(float(nvim.lua("return longest()")))
    return Pair(ours_s=tuple(longest), reference_s=(STALL_S,) * len(longest))


def _delays(scratch: Path) -> Pair:
    taken: list[float] = []
    with _user(scratch) as work, Neovim(work) as nvim:
        _watched(nvim)
        agent = Agent(work)
        nvim.lua(_NOTE_UPDATES)
        path = work / "a.txt"
        with agent.tool("Bash", command="sed"):
            for number in range(WRITES):
                text = path.read_text().replace(f"line {10 * number}\n", f"new {number}\n", 1)
                wrote_ns = time.monotonic_ns()
                path.write_text(text)
                nvim.wait(f"_G.seen[1] > {number}")
                taken.append((int(nvim.lua("return _G.seen[2]")) - wrote_ns) / 1e9)
    p95 = statistics.quantiles(taken, n=20)[-1]
    return Pair(ours_s=(p95,), reference_s=(SEEN_S,))
