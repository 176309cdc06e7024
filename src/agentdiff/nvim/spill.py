"""A long text on its way into a buffer: by file, because Neovim reads one faster than a message.

Owns the files of long reviews in the runtime folder; Lua removes each when it has read it.  Must
not decide what is shown.  Hop 7.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]

HEAD_LINES = 150
"""More than nearly any screen has rows: these are shown before the rest is read."""
LONG_LINES = 3000
"""From here on reading a file is faster than unpacking a message."""


def spill(payload: Json, folder: Path) -> Json:
    """Returns the payload of a review with all but its first lines in two files, if they are many.

    ``file`` holds the lines after the first, ``index_file`` the letters of all lines and the
    ``index``.

    Args:
        payload: see `agentdiff.nvim.views.ReviewView.payload`.
        folder: private to the user.  Where no file can be written (it is full) the payload is
            returned as it is: slower to draw, but drawn.
    """
    lines = payload.get("lines")
    if lines is None or len(lines) <= LONG_LINES:
        return payload
    name = str(folder / f"review-{os.getpid()}-{payload['token']}")
    try:
        _write(f"{name}.txt", "\n".join(lines[HEAD_LINES:]) + "\n")
        _write(f"{name}.idx", payload["kinds"] + "\n" + payload["index"])
    except OSError:
        _remove(f"{name}.txt")
        _remove(f"{name}.idx")
        return payload
    return {
        **payload,
        "lines": lines[:HEAD_LINES],
        "kinds": payload["kinds"][:HEAD_LINES],
        "index": "",
        "file": f"{name}.txt",
        "index_file": f"{name}.idx",
    }


def _write(path: str, text: str) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(text.encode("utf-8", "replace"))


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)
