"""What the chunks of a Codex patch make of a file, found as tolerantly as Codex finds them.

Owns `Chunk` and `revise`.  Must not know the patch's text (`agentdiff.targets.apply_patch` reads
it) nor any path.  Used at hop 4, to tell whether what is on disk is what a patch announced.

Source: Codex 0.169.0, its binary run under the name ``apply_patch``; tests/e2e/test_apply_patch.py
compares it with this module.  Codex takes LF, CRLF and CR for line ends, keeps the file's context
lines as they are, gives every line that it writes the file's first line end, and ends an updated
file with one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

# What Rust trims: Unicode's White_Space.  Python's own strip() would also take U+001C to U+001F.
WHITE_SPACE: Final = (
    "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009"
    "\u200a\u2028\u2029\u202f\u205f\u3000"
)
MAX_COMPARED_LINES: Final = 20_000_000
"""Lines compared for one file; only a text made for it, of equal lines, comes near."""

_LINE_END: Final = re.compile("(\r\n|\r|\n)")
_DASHES: Final = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"
_QUOTES: Final = "\u2018\u2019\u201a\u201b"
_DOUBLE_QUOTES: Final = "\u201c\u201d\u201e\u201f"
_SPACES: Final = "\xa0\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_PLAIN: Final = {
    ord(fancy): plain
    for fancies, plain in ((_DASHES, "-"), (_QUOTES, "'"), (_DOUBLE_QUOTES, '"'), (_SPACES, " "))
    for fancy in fancies
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """One ``@@`` section of an update: lines without their ends, all of them UTF-8.

    Attributes:
        anchor: the line after ``@@ ``, searched first; None for a bare ``@@``.
        old: lines that must be there, context included.
        new: lines that will be there instead, context included.
        context: for each context line its 0-based index in `old` and in `new`.
        at_end: whether `old` must be the last lines of the file.
    """

    anchor: bytes | None = None
    old: tuple[bytes, ...] = ()
    new: tuple[bytes, ...] = ()
    context: tuple[tuple[int, int], ...] = ()
    at_end: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """Why chunks do not fit a file; `reason` names the first line that was not found."""

    reason: str


# Lines [start, start + count) become these lines.
_Edit: TypeAlias = tuple[int, int, Sequence[str]]


def revise(data: bytes, chunks: Sequence[Chunk]) -> bytes | Mismatch:
    """Returns the content of a file after its chunks, or why they do not fit.

    Args:
        data: the whole file.
        chunks: in the order of the patch; each one is searched after the one before it.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        return Mismatch(reason=f"is not UTF-8 at byte {error.start}")
    pieces = _LINE_END.split(text)
    lines, ends = pieces[::2], pieces[1::2]
    if lines[-1] == "":
        lines.pop()
    edits = _edits(_Search(lines), chunks)
    if isinstance(edits, Mismatch):
        return edits
    end = ends[0] if ends else "\n"
    ends += [end] * (len(lines) - len(ends))
    out: list[str] = []
    at = 0
    for start, count, new in edits:
        out += [lines[n] + ends[n] for n in range(at, start)]
        out += [line + end for line in new]
        at = start + count
    out += [lines[n] + ends[n] for n in range(at, len(lines))]
    return "".join(out).encode()


def _edits(search: _Search, chunks: Sequence[Chunk]) -> list[_Edit] | Mismatch:
    """Returns the edits in file order; they never overlap, as each search starts after the last."""
    edits: list[_Edit] = []
    at = 0
    for chunk in chunks:
        if chunk.anchor is not None:
            anchor = [chunk.anchor.decode()]
            found = search.find(anchor, at)
            if found is None:
                return search.missing(f"the context line {anchor[0]!r}")
            at = found + 1
        old, new = [line.decode() for line in chunk.old], [line.decode() for line in chunk.new]
        if not old:
            edits.append((len(search.lines), 0, new))
            continue
        found = search.find(old, at, at_end=chunk.at_end)
        if found is None and old[-1] == "":
            # The empty line may stand for the last line end, which is no line here.
            old.pop()
            if new and new[-1] == "":
                new.pop()
            found = search.find(old, at, at_end=chunk.at_end)
        if found is None:
            return search.missing(f"the line {chunk.old[0].decode()!r} and what follows it")
        edits += _between_context(found, old, new, chunk.context)
        at = found + len(old)
    return sorted(edits, key=lambda edit: edit[0])


def _between_context(
    found: int, old: Sequence[str], new: Sequence[str], context: Sequence[tuple[int, int]]
) -> list[_Edit]:
    """Returns the edits of one chunk, around its context lines."""
    edits: list[_Edit] = []
    o0 = n0 = 0
    inside = [(o1, n1) for o1, n1 in context if o1 < len(old) and n1 < len(new)]
    for o1, n1 in inside:
        if (o0, n0) != (o1, n1):
            edits.append((found + o0, o1 - o0, new[n0:n1]))
        o0, n0 = o1 + 1, n1 + 1
    if (o0, n0) != (len(old), len(new)):
        edits.append((found + o0, len(old) - o0, new[n0:]))
    return edits


def _exact(line: str) -> str:
    return line


def _without_trailing(line: str) -> str:
    return line.rstrip(WHITE_SPACE)


def _trimmed(line: str) -> str:
    return line.strip(WHITE_SPACE)


def _plain(line: str) -> str:
    return line.strip(WHITE_SPACE).translate(_PLAIN)


_PASSES: Final[tuple[Callable[[str], str], ...]] = (_exact, _without_trailing, _trimmed, _plain)


@dataclass(slots=True)
class _Search:
    """The lines of one file, as each pass of Codex compares them; the strictest pass wins."""

    lines: list[str]
    compared: int = 0
    _seen: dict[int, list[str]] = field(default_factory=dict)

    def find(self, wanted: Sequence[str], start: int, *, at_end: bool = False) -> int | None:
        """Returns the first place of the wanted lines at or after `start`, None if there is none.

        Codex looks at the end only for an ``*** End of File`` chunk, and finds nothing anywhere for
        no lines but `start` itself.
        """
        if not wanted:
            return start
        last = len(self.lines) - len(wanted)
        first = max(start, last) if at_end else start
        for number, key in enumerate(_PASSES):
            if number not in self._seen:
                self._seen[number] = [key(line) for line in self.lines]
            found = self._scan(self._seen[number], [key(line) for line in wanted], first, last)
            if found is not None:
                return found
        return None

    def missing(self, what: str) -> Mismatch:
        """Returns the failure of a search."""
        if self.compared > MAX_COMPARED_LINES:
            return Mismatch(reason="is too repetitive to be searched")
        return Mismatch(reason=f"does not hold {what}")

    def _scan(self, lines: list[str], wanted: list[str], first: int, last: int) -> int | None:
        at = first
        while at <= last and self.compared <= MAX_COMPARED_LINES:
            try:
                at = lines.index(wanted[0], at, last + 1)
            except ValueError:
                return None
            self.compared += len(wanted)
            if lines[at : at + len(wanted)] == wanted:
                return at
            at += 1
        return None
