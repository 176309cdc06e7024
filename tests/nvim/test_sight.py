"""What is drawn beside folds and in the user's own vimdiff."""

from __future__ import annotations

from pathlib import Path

from nvim_driver import Editor, wait_for

DRAW = """
local hunks = ...
local view = { token = 1, seq = 1, path = '', status = 'modified', coverage = 'exact',
  moved_to = '', hunks = vim.tbl_map(function(hunk)
    return { id = hunk[1], kind = 'text', start = hunk[2], added = 1, removed = #hunk[3],
      deleted = hunk[3], mixed = false, owner = 'claude' }
  end, hunks) }
require('agentdiff.inline').set(vim.api.nvim_get_current_buf(), view)
"""
"""Draws hunks of one line: id, line, deleted lines."""
MARKED = """
local first, last = ...
local ns = vim.api.nvim_create_namespace('agentdiff.inline')
local found = vim.api.nvim_buf_get_extmarks(0, ns, { first - 1, 0 }, { last - 1, -1 },
  { details = true })
local rows = {}
for _, mark in ipairs(found) do
  if mark[4].hl_group then rows[#rows + 1] = mark[2] + 1 end
end
return rows
"""
DELETED = """
local ns = vim.api.nvim_create_namespace('agentdiff.inline')
return vim.tbl_contains(vim.api.nvim_buf_get_extmarks(..., ns, 0, -1, { details = true }),
  function(mark) return mark[4].virt_lines ~= nil end, { predicate = true })
"""


def in_sight(editor: Editor, end: int) -> bool:
    """Whether every hunk that shows is drawn, those of a closed fold too: each second line has one.

    Returns:
        False also when no line below `end` shows.
    """
    editor.command("redraw")
    top, last = editor.lua("return { vim.fn.line('w0'), vim.fn.line('w$') }")
    rows = [row for row in range(top, last + 1) if row % 2 == 0]
    return rows[-1] > end and rows == [row for row in editor.lua(MARKED, top, last) if row <= last]


def test_hunks_beside_folds_are_drawn(editor: Editor, tmp_path: Path) -> None:
    """Of very many: those below a closed fold, and those in it, for when it is opened."""
    (tmp_path / "big.txt").write_text("".join(f"row {n}\n" for n in range(1, 4001)))
    editor.command("edit big.txt | 1,2400fold | normal! gg")
    editor.lua("require('agentdiff.buffers').enable(); vim.cmd.redraw()")
    editor.lua(DRAW, [[n, n * 2, []] for n in range(1, 2001)])
    wait_for(lambda: in_sight(editor, 2400), "what shows below the fold", editor)
    assert len(editor.lua(MARKED, 1, 4000)) < 1400  # and not yet what is out of sight
    editor.command("normal! zR")
    assert in_sight(editor, 1)


def test_a_vimdiff_of_the_user_is_not_shifted(editor: Editor, tmp_path: Path) -> None:
    """Deleted lines are left out as long as a window compares the buffer."""
    (tmp_path / "a.txt").write_text("one\ntwo\nthree\n")
    (tmp_path / "b.txt").write_text("one\ntwo\n")
    editor.command("edit a.txt")
    buf = editor.lua("return vim.api.nvim_get_current_buf()")
    editor.lua(DRAW, [[1, 2, ["zwei"]]])
    alone = editor.lua(DELETED, buf)

    def comes(wanted: bool) -> None:
        wait_for(lambda: editor.lua(DELETED, buf) is wanted, f"deleted lines: {wanted}", editor)

    for begin, end in (
        ("vertical diffsplit b.txt", "wincmd p | diffoff!"),
        ("split | diffthis", "close"),
        ("split | diffthis", "edit b.txt"),
        ("edit b.txt | diffthis | split | diffthis | buffer a.txt | diffthis", "diffoff!"),
    ):
        editor.command(f"silent! only | edit a.txt | {begin}")
        comes(False)
        editor.lua(DRAW, [[1, 2, ["zwei"]], [2, 3, []]])
        editor.lua(DRAW, [[1, 2, ["zwei"]]])
        comes(False)
        editor.command(end)
        comes(True)
    assert alone is True
