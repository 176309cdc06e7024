"""What changed inside of lines: emphasis for the eye, in a real Neovim."""

from __future__ import annotations

import random

import pytest
from nvim_driver import Editor
from scripted_agent import Agent

ALPHABET = ["a", "bb", " ", "  ", "\t", "", "", "é", "漢", "_", ".", "\x00", "\r", "\xa0"]
SPANS = """
local words, out = require('agentdiff.words'), {}
for i, case in ipairs(...) do
  local paired = words.pair(case[1], case[2])
  for _, pair in ipairs(paired) do
    local old, new = case[1][pair[1]], case[2][pair[2]]
    for side, spans in pairs({ words.compare(old, new) }) do
      local line, last = side == 1 and old or new, 0
      for _, span in ipairs(spans) do
        local fits = last <= span[1] and span[1] < span[2] and span[2] <= #line
        out[#out + 1] = (not fits) and { i, pair, side, span } or nil
        last = span[2]
      end
    end
  end
end
return out
"""


def lines(rng: random.Random) -> list[str]:
    """Returns a few lines."""
    return ["".join(rng.choices(ALPHABET, k=rng.randrange(6))) for _ in range(rng.randrange(4))]


def test_spans_lie_inside_of_their_lines(editor: Editor) -> None:
    """Whatever the lines are: empty, white, with NULs, of other counts."""
    rng = random.Random(1)
    cases = [[lines(rng), lines(rng)] for _ in range(2000)]
    assert editor.lua(SPANS, cases) == []


@pytest.mark.parametrize(("old", "new"), [("line 5\n", "\n"), ("line 5\nline 6\n", "\nsix\n")])
def test_a_line_that_was_emptied(reviewer: Editor, agent: Agent, old: str, new: str) -> None:
    """It is drawn like any other change (`spawn` looks whether anything failed)."""
    agent.edit("a.txt", old, new)
    reviewer.wait("(vim.b.agentdiff_status_dict or {}).changed == " + str(new.count("\n")))
    assert "line 5" in "\n".join(reviewer.screen())
    reviewer.command("AgentDiff")
    assert "-line 5" in "\n".join(reviewer.screen())
    reviewer.keys("u")
