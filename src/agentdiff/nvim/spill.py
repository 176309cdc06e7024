"""A long text on its way into a buffer: by file, because Neovim reads one faster than a message.

Owns the files of long reviews in the runtime folder; Lua removes each when it has read it.  Hop 7.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]

HEAD_LINES = 300
"""More than any screen has rows: these are shown before the rest is read."""
LONG_LINES = 3000
"""From here on reading a file is faster than unpacking a message."""


def spill(payload: Json, folder: Path) -> Json:
    """Returns the payload of a review with its lines after the first in a file, if they are many.

    Args:
        payload: see `agentdiff.nvim.views.ReviewView.payload`.
        folder: private to the user.

    Raises:
        OSError: the file cannot be written.
    """
    lines = payload.get("lines")
    if lines is None or len(lines) <= LONG_LINES:
        return payload
    path = folder / f"review-{os.getpid()}-{payload['token']}.txt"
    text = "\n".join(lines[HEAD_LINES:]) + "\n"
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(text.encode("utf-8", "replace"))
    return {**payload, "lines": lines[:HEAD_LINES], "file": str(path)}
