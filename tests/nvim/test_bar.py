"""Where ``:AgentDiff`` ends: at a bar, except in what people write to an agent."""

from __future__ import annotations

import pytest
from nvim_driver import Editor

GIVEN = """
require('agentdiff.command').run = function(_, ctx)
  vim.g.given = vim.list_extend(vim.g.given or {}, { ctx.fargs })
end
vim.g.next = 0
"""


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('comment use "double" quotes', ["comment", "use", '"double"', "quotes"]),
        ("comment a | b", ["comment", "a", "|", "b"]),
        (r"comment a\|b \\ c", ["comment", r"a\|b", r"\\", "c"]),
        ('reject "so" | let g:next = 1', ["reject", '"so"', "|", "let", "g:next", "=", "1"]),
        ("reject file discard-user a | b", ["reject", "file", "discard-user", "a", "|", "b"]),
        ("reject filed | b", ["reject", "filed", "|", "b"]),
    ],
)
def test_text_is_taken_as_it_is(editor: Editor, line: str, words: list[str]) -> None:
    """Of comments and reasons nothing is cut off, and nothing is run."""
    editor.lua(GIVEN)
    editor.command(f"AgentDiff {line}")
    assert editor.lua("return { vim.g.given, vim.g.next }") == [[words], 0]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("AgentDiff | let g:next = 1", []),
        ("AgentDiff follow on|let g:next = 1", ["follow", "on"]),
        ("AgentDiff comment | let g:next = 1", ["comment"]),
        ("AgentDiff reject file| let g:next = 1", ["reject", "file"]),
        ("AgentDiff reject all external | let g:next = 1", ["reject", "all", "external"]),
        ("AgentDiff! reject external | let g:next = 1", ["reject", "external"]),
        (r"AgentDiff filter path=a\ b\|c\\d | let g:next = 1", ["filter", r"path=a b|c\d"]),
        ('silent AgentDiff qf " a comment | let g:next = 2', ["qf"]),
    ],
)
def test_a_bar_ends_everything_else(editor: Editor, line: str, words: list[str]) -> None:
    """What stands behind it runs; what stands behind a quote is a comment."""
    editor.lua(GIVEN)
    editor.command(line)
    run = 0 if '"' in line else 1
    assert editor.lua("return { vim.g.given, vim.g.next }") == [[words], run]


def test_what_fails_behind_a_bar_fails_as_ever(editor: Editor) -> None:
    """Without a trace of ours, and ``:try`` sees it."""
    editor.lua(GIVEN)
    editor.command("try | exe 'AgentDiff qf | throw 42' | catch /^42/ | let g:next = 1 | endtry")
    assert editor.lua("return vim.g.next") == 1
