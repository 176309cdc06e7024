"""What a person looks at, or has selected, stays in its place while an agent writes."""

from __future__ import annotations

import pytest
from nvim_driver import Editor
from scripted_agent import Agent
from test_review import BEFORE

SHOWN = "vim.b.agentdiff_status_dict and vim.b.agentdiff_status_dict.hunks == "
FIRST_EIGHT = "".join(f"line {n}\n" for n in range(1, 9))
SELECTED = """
local texts = {}
for i, at in ipairs({ 'v', '.' }) do
  texts[i] = vim.fn.getline(at):sub(vim.fn.col(at))
end
return { vim.fn.mode(), unpack(texts) }
"""


def put(agent: Agent, text: str) -> None:
    """Writes ``a.txt`` in one step: of a file that is empty for a moment nothing would be left."""
    path, beside = agent.workspace / "a.txt", agent.workspace.parent / "beside"
    with agent.tool("Write", file_path=str(path), content=text):
        beside.write_text(text)
        beside.replace(path)


@pytest.mark.parametrize(("height", "scrolloff", "fill"), [(18, 0, 8), (18, 1, 0), (12, 0, 0)])
def test_a_deletion_at_the_top_leaves_the_cursor_on_the_screen(
    reviewer: Editor, agent: Agent, height: int, scrolloff: int, fill: int
) -> None:
    """Its virtual lines are shown where there is room for them, also while somebody types."""
    reviewer.command(f"set scrolloff={scrolloff} | resize {height}")
    reviewer.nvim.input("18Gi")
    reviewer.wait("vim.fn.mode() == 'i'")
    put(agent, BEFORE.replace(FIRST_EIGHT, ""))
    reviewer.wait(SHOWN + "1")
    row = reviewer.lua("vim.cmd.redraw(); return vim.fn.winline()")
    view = reviewer.lua("return vim.fn.winsaveview()")
    seen = (view["lnum"], view["topline"], view["topfill"], row)
    assert seen == (10, 1, fill, 10 + fill)


@pytest.mark.parametrize("keys", ["12GVkk", "10G2lvj", "10Gl<C-v>jl"])
def test_a_selection_stays_on_its_text(reviewer: Editor, agent: Agent, keys: str) -> None:
    """Both ends of it, when lines come and go above."""
    reviewer.nvim.input(keys)
    reviewer.wait("vim.fn.mode() ~= 'n'")
    before = reviewer.lua(SELECTED)
    put(agent, BEFORE.replace("line 2\n", "line 2\nnew\nnewer\n").replace("line 5\n", ""))
    reviewer.wait(SHOWN + "2")
    assert reviewer.lua(SELECTED) == before
