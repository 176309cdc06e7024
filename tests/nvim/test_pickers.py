"""The pickers of PLUGINS_DIR, really opened: an entry is chosen with keys, and jumped to."""

from __future__ import annotations

import shutil

import pytest
from attached_ui import AttachedUI
from nvim_driver import Editor
from test_integration import plugin, shown

__all__ = ["shown"]  # a fixture

SETUP = {
    "telescope": ("plenary.nvim", "telescope.nvim"),
    "snacks": ("snacks.nvim",),
    "mini": ("mini.nvim",),
    "fzf": ("fzf-lua",),
}


@pytest.mark.parametrize("name", SETUP)
def test_an_entry_is_chosen(shown: Editor, name: str) -> None:
    """The second hunk is looked for by typing, and gone to."""
    if name == "telescope" and not shown.lua("return vim.hl ~= nil"):
        pytest.skip("telescope needs Neovim 0.11")
    if name == "fzf" and not shutil.which("fzf"):
        pytest.skip("no fzf on the PATH")
    plugin(shown, *SETUP[name])
    shown.command("enew")
    with AttachedUI(shown, 110, 36) as ui:
        ui.type(f":AgentDiff pick {name}<CR>")
        ui.wait(
            lambda rows: all(any(text in row for row in rows) for text in ("a.txt:10", "a.txt:15")),
            "both hunks are offered",
        )
        # For snacks `name:15` is a line of the file, not its text.
        ui.type("15" if name == "snacks" else "txt:15")
        ui.wait(
            lambda rows: "a.txt:15" in "".join(rows) and "a.txt:10" not in "".join(rows),
            "only one is left",
        )
        ui.type("<CR>")
        place = "{ vim.fn.expand('%:t'), vim.fn.line('.'), vim.bo.buftype }"
        shown.wait(f"vim.deep_equal({place}, {{ 'a.txt', 15, '' }})", "the cursor is there")
        ui.wait_text("fifteen")
