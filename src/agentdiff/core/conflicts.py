"""A merge as text that keeps both sides of every conflict.

Owns the markers.  Must not merge (`agentdiff.core.merge`).  Hop 6, for Neovim's modified buffers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from agentdiff.core.merge import Merge

OURS = b"<<<<<<< your unsaved text"
MIDDLE = b"======="
THEIRS = b">>>>>>> on disk"


def marked(merge: Merge) -> tuple[bytes, tuple[tuple[int, int], ...]]:
    """Returns the merged text with both sides of each conflict, and where they stand.

    Markers end as the lines around them do, so that the file keeps its kind of line ends; a line
    without terminator gets one where something follows it.

    Returns:
        The text, and for each conflict the 0-based half-open range of its lines, markers included.
    """
    eol = b"\r\n" if _is_dos(line for piece in merge.pieces for line in piece.ours) else b"\n"
    lines: list[bytes] = []
    places: list[tuple[int, int]] = []
    for piece in merge.pieces:
        if not piece.conflict:
            _extend(lines, piece.merged, eol)
            continue
        first = len(lines)
        _extend(lines, (OURS + eol, *piece.ours, MIDDLE + eol, *piece.theirs, THEIRS + eol), eol)
        places.append((first, len(lines)))
    return b"".join(lines), tuple(places)


def _is_dos(lines: Iterable[bytes]) -> bool:
    first = next(iter(lines), b"")
    return first.endswith(b"\r\n")


def _extend(lines: list[bytes], more: Sequence[bytes], eol: bytes) -> None:
    """Appends lines; what is not the last line of the text must end."""
    for line in more:
        if lines and not lines[-1].endswith(b"\n"):
            lines[-1] += eol
        lines.append(line)
