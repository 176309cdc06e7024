"""An agent's write merged into a buffer with unsaved changes.

Owns the form in which Lua sends and gets texts.  Must not do any I/O: it needs no daemon.  Hop 7.
"""

from __future__ import annotations

from agentdiff.core.conflicts import marked
from agentdiff.core.merge import merge3
from agentdiff.nvim.paths import to_bytes
from agentdiff.nvim.views import Json


def merged(payload: Json) -> Json:
    """Returns the merge of two edits of one text.

    Args:
        payload: ``base`` (what the buffer last agreed with), ``ours`` (what saving it would write)
            and ``theirs`` (what is on disk), as Neovim passes bytes.

    Returns:
        ``text``, the bytes that the buffer shall hold, and ``conflicts``, 0-based half-open ranges
        of its lines.
    """
    sides = (to_bytes(payload[name]) for name in ("base", "ours", "theirs"))
    text, places = marked(merge3(*sides))
    return {"text": text, "conflicts": [list(place) for place in places]}
