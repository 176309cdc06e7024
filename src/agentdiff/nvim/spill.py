"""A long text on its way into a buffer: by file, because Neovim reads one faster than a message.

Owns the files of long reviews in the runtime folder: Lua removes each when it has read it, and the
next host those of a Neovim that ended before.  Must not decide what is shown.  Hop 7.
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


def spill(update: Json, folder: Path) -> Json:
    """Returns an update with all but the first lines of its review in two files, if they are many.

    ``file`` holds the lines after the first, ``index_file`` the letters of all lines and the
    ``index``.

    Args:
        update: what Lua is about to be sent: `agentdiff.nvim.screen.Screen.update`.
        folder: private to the user.  Where no file can be written (it is full) the update is
            returned as it is: slower to draw, but drawn.
    """
    review = update.get("review") or {}
    lines = review.get("lines")
    if lines is None or len(lines) <= LONG_LINES:
        return update
    name = str(folder / f"review-{os.getpid()}-{review['token']}")
    try:
        _write(f"{name}.txt", "\n".join(lines[HEAD_LINES:]) + "\n")
        _write(f"{name}.idx", review["kinds"] + "\n" + review["index"])
    except OSError:
        _remove(f"{name}.txt")
        _remove(f"{name}.idx")
        return update
    head: Json = {
        "lines": lines[:HEAD_LINES],
        "kinds": review["kinds"][:HEAD_LINES],
        "index": "",
        "file": f"{name}.txt",
        "index_file": f"{name}.idx",
    }
    return {**update, "review": {**review, **head}}


def sweep(folder: Path) -> None:
    """Removes the files of hosts that have ended before Lua had read them."""
    for path in folder.glob("review-*-*"):
        try:
            os.kill(int(path.name.split("-")[1]), 0)
        except (ProcessLookupError, ValueError):
            _remove(str(path))
        except PermissionError:
            continue


def _write(path: str, text: str) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(text.encode("utf-8", "replace"))


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)
