"""Files outside of every workspace: Neovim says of them what it says without us."""

from __future__ import annotations

from pathlib import Path

import pytest
from attached_ui import AttachedUI
from nvim_driver import Editor
from scripted_agent import Agent
from test_reload import TEXT, write

ANSWERS = "return #vim.api.nvim_get_autocmds({ group = 'agentdiff', event = 'FileChangedShell' })"


@pytest.fixture
def path(tmp_path: Path, editor: Editor) -> Path:
    """A file that the editor shows and nobody follows, beside one that is followed."""
    for name in ("followed.txt", "file.txt"):
        write(tmp_path / name, TEXT)
        editor.command(f"edit {tmp_path}/{name}")
        editor.lua("require('agentdiff.buffers').enable()")
    editor.lua("require('agentdiff.buffers').watching(...)", f"{tmp_path}/followed.txt", "/some")
    editor.command("set noautoread")
    return tmp_path / "file.txt"


def test_a_deleted_file_is_told(editor: Editor, path: Path) -> None:
    """E211 is said for it, and for nothing that is followed."""
    path.unlink()
    path.with_name("followed.txt").unlink()
    editor.lua("pcall(vim.cmd, 'checktime')")
    said = editor.messages() + editor.lua("return vim.v.errmsg")
    assert ("E211" in said, "file.txt" in said, "followed" in said) == (True, True, False)


def test_a_conflict_is_asked_about(editor: Editor, path: Path) -> None:
    """W12 stands on the screen and waits for an answer."""
    with AttachedUI(editor, 100, 24) as ui:
        ui.type("ggccmine<Esc>")
        ui.wait_text("mine")
        write(path, ["theirs", *TEXT])
        ui.type(":checktime<CR>")
        ui.wait_text("W12")
        ui.type("L")
        ui.wait_text("theirs")
    assert editor.lines() == ["theirs", *TEXT]


@pytest.mark.parametrize(
    "command", ["set autoread", "autocmd FileChangedShell * let v:fcs_choice = 'reload'"]
)
def test_options_and_handlers_of_others_decide(editor: Editor, path: Path, command: str) -> None:
    """'autoread' reloads without a question; so does the choice of another plugin."""
    editor.command(command)
    write(path, ["theirs"])
    editor.command("checktime")
    assert (editor.lines(), editor.messages()) == (["theirs"], "")


def test_who_is_not_followed_any_more_is_asked_again(
    reviewer: Editor, agent: Agent, workspace: Path
) -> None:
    """Unloaded buffers have no handler; one that is loaded again has one."""
    seen = [reviewer.lua(ANSWERS)]
    for command in ("enew | bunload a.txt", "edit a.txt", "enew | bdelete a.txt"):
        reviewer.command(command)
        seen.append(reviewer.lua(ANSWERS))
    reviewer.command("edit a.txt")
    reviewer.wait("vim.b.agentdiff_workspace")
    assert [*seen, reviewer.lua(ANSWERS)] == [1, 0, 1, 0, 1]


def test_a_buffer_that_went_unseen_is_asked_about(editor: Editor, path: Path) -> None:
    """``:noautocmd bdelete`` leaves a handler behind, which stands aside and goes."""
    followed = path.with_name("followed.txt")
    editor.command("noautocmd bdelete followed.txt")
    editor.command(f"noautocmd edit {followed}")
    followed.unlink()
    editor.lua("pcall(vim.cmd, 'checktime')")
    assert "E211" in editor.messages() + editor.lua("return vim.v.errmsg")
    assert editor.lua(ANSWERS) == 0
