"""Loaded buffers follow the disk, without prompts and without losing anything."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from nvim_driver import Editor

SYNC = "return require('agentdiff.reload').sync(vim.api.nvim_get_current_buf())"
TEXT = [f"line {n}" for n in range(1, 41)]


def write(path: Path, lines: list[str]) -> None:
    """Writes as an agent does: a new time stamp in any case."""
    path.write_text("".join(f"{line}\n" for line in lines))
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1_000_000))


@pytest.fixture
def path(tmp_path: Path, editor: Editor) -> Path:
    """A file of 40 lines that the editor shows, followed."""
    path = tmp_path / "file.txt"
    write(path, TEXT)
    editor.command(f"edit {path}")
    editor.lua(
        """
        require('agentdiff.buffers').enable()
        vim.b.agentdiff_workspace = '/somewhere'
        vim.o.autoread = false
        """
    )
    return path


def changed() -> list[str]:
    """What an agent makes of the file: two lines more at the top, one changed."""
    lines = [*TEXT[:2], "new 1", "new 2", *TEXT[2:]]
    lines[11] = "changed"
    return lines


def test_the_text_is_that_of_the_disk(editor: Editor, path: Path) -> None:
    """An unmodified buffer shows the agent's write and stays unmodified."""
    write(path, changed())
    assert editor.lua(SYNC)
    assert (changed(), False) == (editor.lines(), editor.lua("return vim.bo.modified"))


def test_cursor_marks_extmarks_and_folds_stay_with_their_text(editor: Editor, path: Path) -> None:
    """Everything that stood on line 30 stands on line 32 after two lines were inserted above."""
    editor.command("30mark a | setlocal foldmethod=manual | 28,31fold | normal! zR")
    editor.nvim.api.win_set_cursor(0, (30, 3))
    mark = editor.lua(
        """
        vim.g.ns = vim.api.nvim_create_namespace('test')
        return vim.api.nvim_buf_set_extmark(0, vim.g.ns, 29, 2, {})
        """
    )
    write(path, changed())
    editor.lua(SYNC)
    found = editor.lua(
        """
        return {
          vim.fn.line("'a"),
          vim.api.nvim_buf_get_extmark_by_id(0, vim.g.ns, ..., {})[1] + 1,
          vim.fn.foldlevel(29),
          vim.fn.foldlevel(30),
        }
        """,
        mark,
    )
    expected = ((32, 3), [32, 32, 0, 1])
    assert expected == (editor.cursor(), found)


def test_a_write_before_anybody_looked_is_shown(editor: Editor, tmp_path: Path) -> None:
    """A file that changed between its loading and the first look at it is read again."""
    path = tmp_path / "file.txt"
    write(path, TEXT)
    editor.command(f"edit {path}")
    write(path, changed())
    editor.lua("require('agentdiff.buffers').enable()")
    editor.lua(SYNC)
    assert changed() == editor.lines()


def test_a_look_at_an_unchanged_file_leaves_no_trace(editor: Editor, tmp_path: Path) -> None:
    """The first look changes neither text nor undo history."""
    path = tmp_path / "file.txt"
    write(path, TEXT)
    editor.command(f"edit {path}")
    editor.lua("require('agentdiff.buffers').enable()")
    before = editor.lua("return { vim.b.changedtick, vim.fn.undotree().seq_last }")
    editor.lua(SYNC)
    assert before == editor.lua("return { vim.b.changedtick, vim.fn.undotree().seq_last }")


def test_the_view_of_the_window_stays(editor: Editor, path: Path) -> None:
    """The cursor's line does not move on the screen."""
    editor.nvim.api.win_set_cursor(0, (40, 0))
    editor.command("resize 10 | normal! zt")
    before = editor.lua("return vim.fn.winline()")
    write(path, changed())
    editor.lua(SYNC)
    assert before == editor.lua("return vim.fn.winline()")


def test_undo_takes_back_the_reload_and_then_the_users_edit(editor: Editor, path: Path) -> None:
    """A reload is one step of the undo history, on top of what was there."""
    editor.nvim.api.buf_set_lines(0, 39, 40, False, ["mine"])
    editor.command("silent write")
    mine = editor.lines()
    write(path, [*mine[:2], "new", *mine[2:]])
    editor.lua(SYNC)
    editor.command("silent undo")
    first = editor.lines()
    editor.command("silent undo")
    assert (mine, TEXT) == (first, editor.lines())


def test_a_save_after_a_reload_asks_nothing(editor: Editor, path: Path) -> None:
    """The time stamp of the buffer is that of the file: no W12."""
    write(path, changed())
    editor.lua(SYNC)
    editor.nvim.api.buf_set_lines(0, 0, 1, False, ["mine"])
    editor.command("write")
    assert ["mine", *changed()[1:]] == path.read_text().splitlines()


@pytest.mark.parametrize("autoread", [True, False])
def test_checktime_follows_without_a_question(editor: Editor, path: Path, autoread: bool) -> None:
    """``:checktime`` shows the new text, whatever 'autoread' says."""
    editor.lua("vim.o.autoread = ...", autoread)
    write(path, changed())
    editor.command("checktime")
    editor.wait("vim.api.nvim_buf_line_count(0) == 42")
    assert ("", changed()) == (editor.messages(), editor.lines())


def test_autoread_is_what_it_was(editor: Editor, path: Path) -> None:
    """The reload borrows 'autoread' and 'undoreload' and gives them back."""
    editor.command("setlocal autoread | set undoreload=123")
    write(path, changed())
    editor.lua(SYNC)
    options = editor.lua("return { vim.bo.autoread, vim.go.autoread, vim.o.undoreload }")
    assert options == [True, False, 123]


def test_a_vanished_file_leaves_the_buffer(editor: Editor, path: Path) -> None:
    """A deleted file is no reason to empty its buffer, nor for a prompt."""
    path.unlink()
    editor.command("checktime")
    expected = (TEXT, "")
    assert expected == (editor.lines(), editor.messages())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"one\r\ntwo\r\n", b"one\r\nzwei\r\ndrei\r\n"),
        (b"one\ntwo\n", b"one\r\ntwo\r\n"),
        (b"one\r\ntwo\r\n", b"one\ntwo\n"),
        (b"one\ntwo\n", b"one\ntwo"),
        (b"one", b"one\n"),
        (b"\xef\xbb\xbfone\n", b"\xef\xbb\xbftwo\n"),
        (b"\xef\xbb\xbfone\n", b"one\n"),
        (b"caf\xe9\n", b"caf\xe9\nth\xe9\n"),
        (b"caf\xc3\xa9\n", b"caf\xe9\n"),
        (b"one\n", b"a\0b\n"),
        (b"one\n", b""),
        (b"", b"one\n"),
        (b"\n", b"\n\n"),
        (b"one\ntwo\n", b"one\r\ntwo\n"),
    ],
)
def test_a_reload_reads_what_an_edit_would(
    editor: Editor, tmp_path: Path, before: bytes, after: bytes
) -> None:
    """Text and file options after a reload are those of reading it afresh."""
    options = "{vim.bo.fileformat, vim.bo.fileencoding, vim.bo.bomb, vim.bo.endofline}"
    look = f"return {{ vim.api.nvim_buf_get_lines(0, 0, -1, false), {options} }}"
    seen = []
    for name in ("ours", "neovims"):
        path = tmp_path / name
        path.write_bytes(before)
        editor.command(f"edit {path}")
        editor.lua(
            """
            require('agentdiff.buffers').enable()
            require('agentdiff.reload').synced(vim.api.nvim_get_current_buf())
            vim.b.agentdiff_workspace = '/somewhere'
            """
        )
        path.write_bytes(after)
        os.utime(path, ns=(1, path.stat().st_mtime_ns + 1_000_000))
        if name == "ours":
            editor.lua(SYNC)
        else:
            editor.command("silent edit!")
        seen.append(editor.lua(look))
    assert seen[0] == seen[1]
