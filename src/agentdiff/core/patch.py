r"""Unified diffs that git can apply.

Owns the rendering of path states as patches: header lines, hunks with context, quoted names, binary
patches.  Must not decide what pends.  Hop 6.

Facts about the format were taken from git's own output and are checked by tests that run ``git
apply``.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from agentdiff.core.diff import split_lines
from agentdiff.core.entries import ZERO_OID, Absent, Directory, Entry, File, Link, Other
from agentdiff.core.hunks import Hunk, Text
from agentdiff.core.pathstate import PathState, is_binary, is_line_text
from agentdiff.core.renames import similarity

CONTEXT_LINES = 3
NO_NEWLINE = b"\\ No newline at end of file\n"
_BINARY_LINE_BYTES = 52
_ESCAPES = {
    0x07: b"\\a",
    0x08: b"\\b",
    0x09: b"\\t",
    0x0A: b"\\n",
    0x0B: b"\\v",
    0x0C: b"\\f",
    0x0D: b"\\r",
    0x22: b'\\"',
    0x5C: b"\\\\",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a hunk: `kind` as in a unified diff, `text` with its terminator.

    `old` and `new` are 0-based lines of the whole texts (-1 on the side that lacks it).
    """

    kind: Literal[" ", "-", "+"]
    text: bytes
    old: int
    new: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """One ``@@`` block: its rows and the hunks that it shows."""

    rows: tuple[Row, ...]
    hunks: tuple[Hunk, ...]
    old_start: int
    old_lines: int
    new_start: int
    new_lines: int

    @property
    def header(self) -> bytes:
        """The ``@@`` line without terminator."""
        return b"@@ -%s +%s @@" % (
            _range(self.old_start, self.old_lines),
            _range(self.new_start, self.new_lines),
        )


def _range(start: int, lines: int) -> bytes:
    # An empty range names the line before it; a range of one line leaves out its length.
    first = start + 1 if lines else start
    return b"%d" % first if lines == 1 else b"%d,%d" % (first, lines)


def chunks(text: Text, context: int = CONTEXT_LINES, *, joined: bool = True) -> list[Chunk]:
    """Returns the ``@@`` blocks of a text under review.

    Args:
        text: both sides and the hunks between them.
        context: equal lines shown around a hunk.
        joined: True joins hunks whose contexts meet, as ``git apply`` needs; False gives every hunk
            a block of its own and divides the lines between.
    """
    groups: list[list[Hunk]] = []
    for hunk in text.hunks:
        near = groups and hunk.a0 - groups[-1][-1].a1 <= (2 * context if joined else -1)
        if near:
            groups[-1].append(hunk)
        else:
            groups.append([hunk])
    out: list[Chunk] = []
    above = 0
    for n, group in enumerate(groups):
        below = groups[n + 1][0].a0 if n + 1 < len(groups) else len(text.base)
        out.append(_chunk(text, group, max(group[0].a0 - context, above), context, below))
        above = out[-1].old_start + out[-1].old_lines
    return out


def _chunk(text: Text, group: Sequence[Hunk], start: int, context: int, limit: int) -> Chunk:
    first, last = group[0], group[-1]
    end = min(last.a1 + context, limit)
    rows: list[Row] = []
    at_a, at_b = start, first.b0 - (first.a0 - start)
    new_start = at_b

    def equal_until(a: int) -> None:
        nonlocal at_a, at_b
        while at_a < a:
            rows.append(Row(" ", text.base[at_a], at_a, at_b))
            at_a, at_b = at_a + 1, at_b + 1

    for hunk in group:
        equal_until(hunk.a0)
        rows += [Row("-", text.base[a], a, -1) for a in range(hunk.a0, hunk.a1)]
        rows += [Row("+", text.cur[b], -1, b) for b in range(hunk.b0, hunk.b1)]
        at_a, at_b = hunk.a1, hunk.b1
    equal_until(end)
    return Chunk(tuple(rows), tuple(group), start, at_a - start, new_start, at_b - new_start)


def quote(path: bytes) -> bytes:
    """Returns a path as git writes it in a header: C-quoted when it holds unusual bytes."""
    if all(0x20 <= byte < 0x7F and byte not in (0x22, 0x5C) for byte in path):
        return path
    return b'"' + escape(path) + b'"'


def escape(path: bytes) -> bytes:
    """Returns the inside of a C-quoted name."""
    return b"".join(
        _ESCAPES[byte]
        if byte in _ESCAPES
        else bytes((byte,))
        if 0x20 <= byte < 0x7F
        else b"\\%03o" % byte
        for byte in path
    )


def git_mode(entry: Entry) -> bytes:
    """Returns git's mode of an entry (it knows only three of ours)."""
    if isinstance(entry, Link):
        return b"120000"
    return b"100755" if isinstance(entry, File) and entry.executable else b"100644"


def header(state: PathState) -> list[bytes]:
    """Returns the header lines of a path's patch, without terminators."""
    old, new = state.base, state.cur
    name_a, name_b = quote(b"a/" + _old_path(state)), quote(b"b/" + state.path)
    lines = [b"diff --git " + name_a + b" " + name_b]
    if isinstance(old, Absent):
        lines.append(b"new file mode " + git_mode(new))
    elif isinstance(new, Absent):
        lines.append(b"deleted file mode " + git_mode(old))
    elif git_mode(old) != git_mode(new):
        lines += [b"old mode " + git_mode(old), b"new mode " + git_mode(new)]
    if state.origin is not None:
        alike = similarity(_bytes_of(old), _bytes_of(new))
        lines += [
            b"similarity index %d%%" % int(alike * 100),
            b"rename from " + quote(state.origin),
            b"rename to " + quote(state.path),
        ]
    if not _same_content(old, new):
        same_mode = git_mode(old) == git_mode(new) and not isinstance(old, Absent)
        suffix = b" " + git_mode(new) if same_mode and not isinstance(new, Absent) else b""
        lines.append(b"index %s..%s%s" % (_oid(old), _oid(new), suffix))
    return lines


def _old_path(state: PathState) -> bytes:
    return state.path if state.origin is None else state.origin


def _oid(entry: Entry) -> bytes:
    return ZERO_OID.encode() if isinstance(entry, Absent) else entry.ref().oid.encode()


def _bytes_of(entry: Entry) -> bytes:
    if isinstance(entry, File):
        return entry.data
    return entry.target if isinstance(entry, Link) else b""


def _same_content(old: Entry, new: Entry) -> bool:
    present = not isinstance(old, Absent) and not isinstance(new, Absent)
    return present and _bytes_of(old) == _bytes_of(new)


def file_names(state: PathState) -> list[bytes]:
    """Returns the ``---`` and ``+++`` lines, without terminators."""

    # A name with a space would run into a timestamp without the tab that git adds.
    def named(prefix: bytes, path: bytes, entry: Entry) -> bytes:
        if isinstance(entry, Absent):
            return b"/dev/null"
        name = quote(prefix + path)
        return name + b"\t" if b" " in name and not name.startswith(b'"') else name

    old = named(b"a/", _old_path(state), state.base)
    return [b"--- " + old, b"+++ " + named(b"b/", state.path, state.cur)]


def unpatchable(state: PathState) -> str | None:
    """Returns why a state cannot be shown as a patch, None when it can."""
    for entry in (state.base, state.cur):
        if isinstance(entry, Other):
            return entry.kind
        if isinstance(entry, Directory):
            return "a directory took the place of a file"
    same = _same_content(state.base, state.cur) and git_mode(state.base) == git_mode(state.cur)
    if same and state.origin is None:
        # A header alone is what ``git apply`` refuses as "no valid patches in input".
        return "only permission bits differ that git does not keep"
    return None


def render(state: PathState) -> bytes:
    """Returns one path's patch, as ``git apply`` takes it.

    A change of type becomes a deletion and a creation, as git writes it.
    """
    if unpatchable(state) is not None:
        return b""
    if type(state.base) is not type(state.cur) and not (
        isinstance(state.base, Absent) or isinstance(state.cur, Absent)
    ):
        gone = _whole(state, state.base, Absent())
        return render(gone) + render(_whole(state, Absent(), state.cur))
    out = [line + b"\n" for line in header(state)]
    if _same_content(state.base, state.cur):
        return b"".join(out)
    old, new = _bytes_of(state.base), _bytes_of(state.cur)
    if is_binary(old) or is_binary(new):
        out += [b"GIT binary patch\n", *_literal(new), b"\n", *_literal(old), b"\n"]
        return b"".join(out)
    if not old and not new:
        return b"".join(out)
    out += [line + b"\n" for line in file_names(state)]
    text = state.text if is_line_text(state.base) and is_line_text(state.cur) else None
    if text is None or not text.hunks:
        text = _link_text(old, new)
    for chunk in chunks(text):
        out.append(chunk.header + b"\n")
        out += rendered_rows(chunk.rows)
    return b"".join(out)


def rendered_rows(rows: Iterable[Row]) -> list[bytes]:
    """Returns rows as diff lines with terminators, adding the marker for a missing newline."""
    out: list[bytes] = []
    for row in rows:
        terminated = row.text.endswith(b"\n")
        out.append(row.kind.encode() + row.text + (b"" if terminated else b"\n"))
        if not terminated:
            out.append(NO_NEWLINE)
    return out


def _whole(state: PathState, base: Entry, cur: Entry) -> PathState:
    return PathState(path=state.path, base=base, cur=cur, hunks=(), meta=(), gen=0)


def _link_text(old: bytes, new: bytes) -> Text:
    """Returns two contents as a text with one hunk (links and types carry no hunks)."""
    base, cur = split_lines(old), split_lines(new)
    hunk = Hunk(id=0, gen=0, a0=0, a1=len(base), b0=0, b1=len(cur), old_owners=(), new_owners=())
    return Text(base, cur, (hunk,))


def _literal(data: bytes) -> list[bytes]:
    """Returns one half of a binary patch: length, then deflated bytes in git's base 85."""
    packed = zlib.compress(data)
    out = [b"literal %d\n" % len(data)]
    for at in range(0, len(packed), _BINARY_LINE_BYTES):
        piece = packed[at : at + _BINARY_LINE_BYTES]
        size = len(piece)
        mark = chr(ord("A") + size - 1) if size <= 26 else chr(ord("a") + size - 27)
        out.append(mark.encode() + base64.b85encode(piece, pad=True) + b"\n")
    return out
