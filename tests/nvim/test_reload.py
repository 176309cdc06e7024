"""Loaded buffers follow the disk, without prompts and without losing anything."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from nvim_driver import DEADLINE_S, Editor

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
        require('agentdiff.buffers').watching(vim.api.nvim_buf_get_name(0), '/somewhere')
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
            require('agentdiff.buffers').watching(vim.api.nvim_buf_get_name(0), '/somewhere')
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


@pytest.fixture
def pipe(path: Path) -> Iterator[Path]:
    """A named pipe in the place of the file."""
    path.unlink()
    os.mkfifo(path)
    done = threading.Event()

    def release() -> None:
        # An editor that waits for a writer gets one in the end: the test fails, and does not hang.
        while not done.wait(DEADLINE_S):
            with contextlib.suppress(OSError):
                os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))

    thread = threading.Thread(target=release)
    thread.start()
    yield path
    done.set()
    thread.join()


def test_a_pipe_in_the_place_of_a_file_is_not_read(editor: Editor, pipe: Path) -> None:
    """To open a named pipe waits for its writer: it counts as a file that is gone."""
    synced = editor.lua(SYNC)
    editor.command("checktime")
    assert (synced, editor.lines(), editor.messages()) == (False, TEXT, "")
    guard = "return require('agentdiff.merge').guard(vim.fn.bufnr()) ~= nil"
    assert editor.lua(guard), "to write into it would wait, too"


@pytest.mark.parametrize("scope", ["setlocal", "set"])
def test_without_undo_history_a_write_shows(editor: Editor, path: Path, scope: str) -> None:
    """'undolevels' may keep no state to step back to; the buffer has seen the disk all the same."""
    editor.command(f"{scope} undolevels=0")
    for text in (changed(), ["one", *changed()], [*changed(), "last"]):
        write(path, text)
        editor.lua(SYNC)
        seen = editor.lua("return require('agentdiff.reload').seen(vim.fn.bufnr())")
        modified = editor.lua("return vim.bo.modified")
        assert (editor.lines(), seen, modified) == (text, True, False)
    editor.command("checktime")
    assert editor.messages() == ""


@pytest.mark.parametrize("after", [b"", b"caf\xe9\n", b"a\0b\n", b"one\ntwo\n"])
def test_the_command_line_window_delays_a_write(editor: Editor, path: Path, after: bytes) -> None:
    """|:checktime| is not allowed there (E11): what needs it is shown when the window is closed."""
    buffer = editor.nvim.api.get_current_buf().number
    editor.lua(
        """
        vim.g.lines = {}
        vim.api.nvim_create_autocmd('CmdwinEnter', { callback = function()
          require('agentdiff.reload').sync(...)
          vim.g.seen = require('agentdiff.reload').seen(...)
        end })
        """.replace("...", str(buffer))
    )
    path.write_bytes(after)
    os.utime(path, ns=(1, path.stat().st_mtime_ns + 1_000_000))
    editor.keys("q::close<CR>")
    assert editor.lua("return vim.fn.getcmdwintype()") == ""
    editor.wait(f"require('agentdiff.reload').seen({buffer})")
    shown = editor.lines()
    options = editor.lua("return { vim.bo.fileencoding, vim.bo.modified }")
    editor.command("silent edit!")
    assert (shown, options) == (
        editor.lines(),
        editor.lua("return { vim.bo.fileencoding, vim.bo.modified }"),
    )
    assert (editor.lua("return vim.g.seen"), editor.messages()) == (False, "")


def test_a_read_only_buffer_follows_in_silence(editor: Editor, path: Path) -> None:
    """An agent's write is no change by the user: neither W10 nor |FileChangedRO|; options stay."""
    editor.lua(
        """
        vim.cmd('setlocal readonly nomodifiable')
        vim.g.warned = 0
        vim.api.nvim_create_autocmd('FileChangedRO', {
          callback = function() vim.g.warned = vim.g.warned + 1 end
        })
        """
    )
    write(path, changed())
    editor.lua(SYNC)
    options = editor.lua("return { vim.bo.readonly, vim.bo.modifiable, vim.bo.modified }")
    assert (options, editor.lua("return vim.g.warned")) == ([True, False, False], 0)
    assert (editor.lines(), editor.messages()) == (changed(), "")


def test_options_are_put_back_whatever_happens(editor: Editor, path: Path) -> None:
    """Where no text may change (|textlock|), 'readonly' and 'modifiable' are left alone."""
    editor.command("setlocal readonly nomodifiable")
    editor.lua(
        """
        vim.keymap.set('n', 'Z', function()
          local buf = vim.api.nvim_get_current_buf()
          vim.g.synced = pcall(require('agentdiff.reload').sync, buf)
          return ''
        end, { expr = true })
        """
    )
    write(path, changed())
    editor.keys("Z")
    locked = editor.lua("return { vim.g.synced, vim.bo.readonly, vim.bo.modifiable }")
    editor.lua(SYNC)
    assert (locked, editor.lines()) == ([False, True, False], changed())
