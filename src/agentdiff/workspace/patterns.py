"""Owns patterns of ``.gitignore`` and ``.gitattributes`` as expressions that take linear time.

Must not read files.  Hop 5.  Whoever wrote the tree wrote these patterns: `*a*a*a*a*a*a*b` makes a
backtracking engine try each place of each star for each place of the others, for hours, and no
other thread of Python runs meanwhile.  A star that others follow needs only the first place that
fits, so that it never has to come back (atomic groups).  re2, which has no such trouble, is no
dependency because it is compiled for fewer platforms than we run on.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pathspec import GitIgnoreSpec

MAX_LINES = 5_000
MAX_LINE = 4_096

_STAR = "[^/]*"
_DEEPER = "(?:/.+)?"
_FROM_TOP = "^(?:.+/)?"
# What pathspec makes of `*` does not say whether it matched a folder.  For pathspec a pattern that
# matched a file then counts more than one for folders below it: `!*/` would never allow one again.
_EVERYTHING = "."
_ANY_NAME = f"{_FROM_TOP}[^/]+(?:(?P<ps_d>/)|$)"
# One character of a name: itself, escaped, `?`, or a class (which never holds a slash in git).
_ONE = re.compile(
    r"\\.|\[\^/\]|(?P<class>\[\^?\]?(?:\\.|[^\]\\])*+\])|[^\\/()|$^.*+?{}\[\]]", re.DOTALL
)


def compile_patterns(lines: Sequence[str]) -> GitIgnoreSpec:
    """Returns the patterns of some lines; what is too much, too long or no pattern is left out.

    Git passes over a line that is no pattern, too.
    """
    lines = [line for line in lines[:MAX_LINES] if len(line) <= MAX_LINE]
    try:
        spec = GitIgnoreSpec.from_lines(lines)
    except (ValueError, re.error):  # a class such as ``[z-a]``
        # One line that is no pattern must not switch off the others.
        spec = GitIgnoreSpec.from_lines([line for line in lines if _is_pattern(line)])
    for pattern in spec.patterns:
        if pattern.regex is not None:
            before = pattern.regex.pattern
            after = linear(before) if before != _EVERYTHING else _ANY_NAME
            if after != before:
                pattern.regex = re.compile(after)
    return spec


def _is_pattern(line: str) -> bool:
    try:
        GitIgnoreSpec.from_lines([line])
    except (ValueError, re.error):
        return False
    return True


def linear(expression: str) -> str:
    """Returns an expression of pathspec's that matches the same, without coming back to a star.

    Where a double star is followed by another one, the first place for what stands between them is
    enough; within a name, the same holds for single stars.
    """
    head, *deeper = expression.split(_DEEPER)
    if deeper and head.startswith(_FROM_TOP):
        head = f"^(?>(?:.+?/)??{_within(head[len(_FROM_TOP) :])}(?=/))"
    else:
        head = _within(head)
    parts = [f"(?>(?:/.+?)??{_within(part)}(?=/))" for part in deeper[:-1]]
    last = [_DEEPER + _within(part) for part in deeper[-1:]]
    return "".join((head, *parts, *last))


def _within(part: str) -> str:
    """Makes every star atomic that another one follows in the same name."""
    while _STAR * 2 in part:
        part = part.replace(_STAR * 2, _STAR)
    first, *rest = part.split(_STAR)
    out = [first]
    for at, piece in enumerate(rest):
        plain = _plain(piece) if at + 1 < len(rest) else None
        out.append(f"{_STAR}{piece}" if plain is None else f"(?>{_STAR}?{plain})")
    return "".join(out)


def _plain(piece: str) -> str | None:
    """Returns a piece of so many characters, no slash among them; None when it is none."""
    out, at = [], 0
    while at < len(piece):
        found = _ONE.match(piece, at)
        if found is None:
            return None
        out.append(f"(?!/){found[0]}" if found["class"] else found[0])
        at = found.end()
    return "".join(out)
