"""The bytes of a claim are the bytes that Neovim writes."""

from __future__ import annotations

from pathlib import Path

import pytest
from nvim_driver import Editor

CASES = {
    "plain": (b"one\ntwo\n", "", ["one", "two", "three"]),
    "empty buffer": (b"", "", None),
    "one empty line": (b"\n", "", None),
    "emptied": (b"one\n", "%delete", None),
    "no final newline kept": (b"one", "setlocal nofixendofline", ["uno"]),
    "no final newline fixed": (b"one", "", ["uno"]),
    "crlf": (b"one\r\ntwo\r\n", "", ["uno", "dos"]),
    "crlf without the last": (b"one\r\ntwo", "setlocal nofixeol", ["uno", "dos"]),
    "to mac": (b"one\ntwo\n", "setlocal fileformat=mac", None),
    "bom": (b"\xef\xbb\xbfone\n", "", ["uno"]),
    "bom and nothing else": (b"\xef\xbb\xbf", "setlocal nofixeol", None),
    "new bom": (b"one\n", "setlocal bomb", None),
    "latin1": (b"caf\xe9\n", "", ["caf\u00e9", "\u00fc"]),
    "latin1 with bomb": (b"caf\xe9\n", "setlocal bomb", ["caf\u00e9"]),
    "to utf-16le": (b"one\n", "setlocal fileencoding=utf-16le", ["\u00e9"]),
    "to utf-16 with bom": (b"one\n", "setlocal fileencoding=utf-16 bomb", ["\u00e9"]),
    "to ucs-2": (b"one\n", "setlocal fileencoding=ucs-2", ["\u00e9"]),
    "to utf-32": (b"one\n", "setlocal fileencoding=utf-32", ["\u00e9"]),
    "to ucs-4le with bom": (b"one\n", "setlocal fileencoding=ucs-4le bomb", ["\u00e9"]),
    "binary": (b"one\r\ntwo", "setlocal binary", None),
    "binary with bomb": (b"one", "setlocal binary bomb", None),
    "nul": (b"a\0b\n\0\n", "", None),
    "carriage returns": (b"one\r\ntwo\nthree\r\n", "", None),
    "form feed": (b"a\x0cb\xe2\x80\xa8c\n", "", None),
    "ctrl-z": (b"one\n\x1a", "setlocal nofixeol", None),
    "ctrl-z in dos": (b"one\r\n\x1a", "setlocal nofixeol", None),
    "endoffile": (b"one\n", "setlocal endoffile nofixeol", None),
    "noeol and fixeol off": (b"one\n", "setlocal noeol nofixeol", None),
}


@pytest.mark.parametrize("name", CASES)
def test_bytes_are_those_that_are_written(editor: Editor, tmp_path: Path, name: str) -> None:
    """For every option that changes what a write puts on disk."""
    before, options, lines = CASES[name]
    path = tmp_path / "file.txt"
    path.write_bytes(before)
    editor.command(f"edit {path}")
    if options:
        editor.command(options)
    if lines is not None:
        editor.nvim.api.buf_set_lines(0, 0, -1, False, lines)
    expected = editor.lua(
        "return vim.base64.encode(require('agentdiff.bytes').of_buffer(0, '') or 'refused')"
    )
    editor.command("silent write")
    written = editor.lua("return vim.base64.encode(...)", path.read_bytes())
    assert expected == written


@pytest.mark.parametrize("argument", ["++ff=dos", "++enc=latin1", "++bin", "++ff=mac"])
def test_arguments_of_write_are_followed(editor: Editor, tmp_path: Path, argument: str) -> None:
    """``:write ++opt`` overrides the options for one write."""
    path = tmp_path / "file.txt"
    path.write_bytes("é\n".encode())
    editor.command(f"edit {path}")
    editor.lua(
        """
        vim.api.nvim_create_autocmd('BufWritePre', { callback = function(args)
          vim.g.bytes = vim.base64.encode(
            require('agentdiff.bytes').of_buffer(args.buf, vim.v.cmdarg))
        end })
        """
    )
    editor.command(f"silent write! {argument}")
    written = editor.lua("return vim.base64.encode(...)", path.read_bytes())
    assert editor.lua("return vim.g.bytes") == written


def test_what_cannot_be_encoded_has_no_bytes(editor: Editor, tmp_path: Path) -> None:
    """Neovim refuses such a write, so nothing is claimed."""
    path = tmp_path / "file.txt"
    path.write_bytes(b"one\n")
    editor.command(f"edit {path} | setlocal fileencoding=latin1")
    editor.nvim.api.buf_set_lines(0, 0, -1, False, ["\u4e2d"])
    assert editor.lua("return require('agentdiff.bytes').of_buffer(0, '') == nil")
