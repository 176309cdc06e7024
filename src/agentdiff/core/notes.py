"""The words in which notes are told, to an agent and to a person.

Owns the text: what was done, to which lines, why, and what to do now; short enough for a model's
context.  Must not choose the notes (`agentdiff.core.feedback`) nor the envelope that an agent wants
(`agentdiff.agents.answers`).  Hop 6.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from agentdiff.core.codec import path_fields
from agentdiff.core.diff import diff_bytes, split_lines
from agentdiff.core.entries import Absent, Entry, File, Ref
from agentdiff.core.feedback import Note
from agentdiff.core.pathstate import is_binary

MAX_CHARS: Final = 8000
"""Claude Code moves longer additional context into a file (seen in 2.1.197: 10,000)."""
MAX_DIFF_LINES: Final = 40
_HEAD = "The user reviewed changes in this workspace with agentdiff."
_DECIDED = (
    " Rejected changes are undone on disk already: do not repair that, and do not make them again "
    "unless the user asks for it."
)
_COMMENTED = " Comments are requests of the user: act on them."
_TAIL = " Read these files again before you edit them."

Load = Callable[[Ref], Entry]


def compose(notes: Sequence[Note], load: Load) -> str:
    """Returns one text about all notes, empty for none.

    Args:
        notes: oldest first.
        load: brings the content that a ref names.
    """
    if not notes:
        return ""
    head = _HEAD
    head += _DECIDED if any(note.kind == "rejected" for note in notes) else ""
    head += _COMMENTED if any(note.kind == "comment" for note in notes) else ""
    head += _TAIL
    parts, size, left = [head], len(head), 0
    for number, note in enumerate(notes, start=1):
        part = f"{number}. " + "\n".join(_lines(note, load))
        if size + len(part) > MAX_CHARS:
            part = f"{number}. {_title(note)}"  # without the lines it may still fit
        if size + len(part) > MAX_CHARS:
            left += 1
            continue
        parts.append(part)
        size += len(part) + 2
    if left:
        parts.append(f"({left} more: the user can list them with `agentdiff feedback --all`)")
    return "\n\n".join(parts) + "\n"


def note_json(note: Note) -> dict[str, Any]:
    """Returns a note in the shape of ``agentdiff feedback --json``."""
    return {
        "id": note.id,
        "kind": note.kind,
        **path_fields(note.path),
        "text": note.text,
        "hunk": note.hunk,
        "lines": None if note.lines is None else list(note.lines),
        "agent": note.to[0] or None if note.to else None,
        "session": note.to[1] if note.to else None,
        "at": note.at_ns / 1_000_000_000,
        "told": note.told_ns / 1_000_000_000 if note.told_ns else None,
    }


def _lines(note: Note, load: Load) -> Iterator[str]:
    yield _title(note)
    body = note.excerpt
    if note.before is not None and note.after is not None:
        body = _diff(load(note.after), load(note.before))
    if body:
        yield "```diff"
        yield body.rstrip("\n")
        yield "```"


def _title(note: Note) -> str:
    shown = note.path.decode(errors="replace")
    name = "`" + "".join(c if c.isprintable() else "?" for c in shown) + "`"
    said = " ".join(note.text.split())
    if note.kind == "comment":
        where = ""
        if note.lines is not None:
            first, last = note.lines
            where = f" line {first}" if first == last else f" lines {first}-{last}"
        return f"Comment of the user on {name}{where}: {said}"
    what = _what(note, name)
    if note.kind == "restored":
        return f"The user took a rejection back: {what} is there again."
    reason = f" Reason: {said}" if said else " No reason was given."
    return f"The user REJECTED {what}; it was undone.{reason}"


def _what(note: Note, name: str) -> str:
    if note.before is None or note.after is None:
        return f"your change to {name}"
    if note.after.kind == "absent":
        return f"the file {name} that you created"
    if note.before.kind == "absent":
        return f"your deletion of {name}"
    return f"your change to {name}"


def _diff(old: Entry, new: Entry) -> str:
    """Returns the agent's own edit, `old` without it and `new` with it; empty when it has none."""
    sides = [entry.data if isinstance(entry, File) else b"" for entry in (old, new)]
    if any(not isinstance(entry, File | Absent) for entry in (old, new)):
        return ""
    if any(is_binary(data) for data in sides):
        return ""
    a, b = split_lines(sides[0]), split_lines(sides[1])
    out: list[str] = []
    for block in diff_bytes(*sides):
        out.append(f"@@ line {block.b0 + 1} @@")
        out += [_row("-", line) for line in a[block.a0 : block.a1]]
        out += [_row("+", line) for line in b[block.b0 : block.b1]]
    if len(out) > MAX_DIFF_LINES:
        more = len(out) - MAX_DIFF_LINES
        out = [*out[:MAX_DIFF_LINES], f"… {more} more lines"]
    return "\n".join(out)


def _row(sign: str, line: bytes) -> str:
    return sign + line.decode(errors="replace").rstrip("\r\n")[:400]
