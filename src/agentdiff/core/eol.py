r"""The line-ending style of a text: LF, CRLF, or neither throughout.

Owns recognising a change of style and nothing else, and repeating it.  Must not decide what such a
change means: `agentdiff.core.observing` does.  Hop 4.

A whole file whose every line ends differently is one change of one property, as its author meant
it; as lines it would be a hunk that hides everything.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

Style: TypeAlias = Literal["lf", "crlf", "mixed", "none"]


def style(data: bytes) -> Style:
    """Returns how the terminated lines of a text end; ``none`` when no line is terminated."""
    crlf = data.count(b"\r\n")
    lines = data.count(b"\n")
    if not lines:
        return "none"
    return "lf" if not crlf else "crlf" if crlf == lines else "mixed"


def flips(old: bytes, new: bytes) -> bool:
    """Whether two texts differ in their style of line endings, throughout, and in nothing else."""
    at_old, at_new = old.find(b"\n"), new.find(b"\n")
    if at_old < 0 or at_new < 0 or abs(at_old - at_new) != 1:
        return False  # the first line says no, as it nearly always does
    if {style(old), style(new)} != {"lf", "crlf"}:
        return False
    return old.replace(b"\r\n", b"\n") == new.replace(b"\r\n", b"\n")


def converted(data: bytes, to: Style) -> bytes:
    """Returns a text of one style in the style `to` (``lf`` or ``crlf``)."""
    plain = data.replace(b"\r\n", b"\n")
    return plain if to == "lf" else plain.replace(b"\n", b"\r\n")
