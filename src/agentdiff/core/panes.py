"""What Neovim draws: the review of a workspace, and the hunks of one file.

Owns the shapes of ``review`` and ``inline`` (doc/protocol.md).  Must not change anything.  Hop 6.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from agentdiff.core.codec import path_fields
from agentdiff.core.edits import shown
from agentdiff.core.events import Selection
from agentdiff.core.grouping import Group, Grouping, group_of, owner_label
from agentdiff.core.hunks import Hunk
from agentdiff.core.ledger import Ledger
from agentdiff.core.owners import Owner
from agentdiff.core.patch import CONTEXT_LINES, Chunk, chunks, escape, unpatchable
from agentdiff.core.pathstate import MetaChange, PathState, describe, lines_of
from agentdiff.core.view import Json, matching, summary

NO_NEWLINE = "\\ No newline at end of file"
_MARKS = {" ": "c", "-": "d", "+": "a"}


@dataclass(slots=True)
class _Review:
    """A review under construction; `kinds` has one letter per line (doc/protocol.md)."""

    ledger: Ledger
    context: int
    lines: list[str] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    groups: list[Json] = field(default_factory=list)
    files: list[Json] = field(default_factory=list)
    hunks: list[Json] = field(default_factory=list)

    def add(self, kind: str, text: str) -> None:
        self.lines.append(text)
        self.kinds.append(kind)

    def group(self, group: Group, entries: Sequence[tuple[PathState, frozenset[int]]]) -> None:
        """Adds a heading and the files below it; each shows the changes with the given ids."""
        if self.lines:
            self.add("b", "")
        row = len(self.lines)
        self.groups.append({**group.to_json(), "row": row})
        self.add("t", "")
        first, first_hunk = len(self.files), len(self.hunks)
        for state, ids in entries:
            self.file(state, ids)
        files, hunks = len(self.files) - first, len(self.hunks) - first_hunk
        counted = f"{_count(files, 'file')}, {_count(hunks, 'hunk')}"
        self.lines[row] = f"{group.label}  ({counted})"

    def file(self, state: PathState, ids: frozenset[int]) -> None:
        """Adds a file with those of its changes that have these ids."""
        if self.lines and self.kinds[-1] != "t":
            self.add("b", "")
        hunks = [hunk for hunk in state.hunks if hunk.id in ids]
        added = sum(hunk.b1 - hunk.b0 for hunk in hunks)
        removed = sum(hunk.a1 - hunk.a0 for hunk in hunks)
        origin = {} if state.origin is None else path_fields(state.origin, "old_path")
        self.files.append(
            {
                **path_fields(state.path),
                **origin,
                "status": state.status,
                "coverage": state.coverage,
                "row": len(self.lines),
                "group": len(self.groups) - 1,
                "whole": len(ids) == len(state.ids),
            }
        )
        name = _name(state.path)
        if state.origin is not None:
            name = f"{_name(state.origin)} → {name}"
        badge = "" if state.coverage == "exact" else f"  [{state.coverage}]"
        self.add("f", f"{state.status} {name}  +{added} -{removed}{badge}")
        lined = {hunk.id for hunk in state.hunks}
        for change in state.meta:
            if change.id not in lined and change.id in ids:
                self.begin(change, change.owners, 0, 0)
                self.add("m", _meta_line(state, change))
                self.hunks[-1]["rows"] = 1
        for chunk in chunks(state.text, self.context, joined=False) if hunks else ():
            if chunk.hunks[0].id in ids:
                self.chunk(chunk)

    def begin(
        self, change: Hunk | MetaChange, owners: tuple[Owner, ...], old: int, new: int
    ) -> None:
        proved = {owner.proved for owner in owners}
        self.hunks.append(
            {
                "id": change.id,
                "gen": change.gen,
                "file": len(self.files) - 1,
                "row": len(self.lines),
                "rows": 0,
                "mixed": proved == {True, False},
                "owner": owner_label(self.ledger, owners),
                "old": old,
                "new": new,
            }
        )

    def chunk(self, chunk: Chunk) -> None:
        hunk = chunk.hunks[0]
        self.begin(hunk, hunk.owners, chunk.old_start + 1, chunk.new_start + 1)
        item = self.hunks[-1]
        badge = "  [with lines of yours]" if item["mixed"] else ""
        self.add("h", f"{chunk.header.decode()} {item['owner']}{badge}")
        for row in chunk.rows:
            self.add(_MARKS[row.kind], row.kind + shown(row.text))
            if not row.text.endswith(b"\n"):
                self.add("n", NO_NEWLINE)
        item["rows"] = len(self.lines) - item["row"]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _name(path: bytes) -> str:
    return escape(path).decode() if _odd(path) else path.decode()


def _odd(path: bytes) -> bool:
    return any(byte < 0x20 or byte == 0x7F for byte in path) or not _is_utf8(path)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _meta_line(state: PathState, change: MetaChange) -> str:
    if change.kind == "mode":
        old, new = (getattr(entry, "mode", 0) for entry in (state.base, state.cur))
        return f"mode {old:04o} → {new:04o}"
    if change.kind == "binary":
        return f"binary: {describe(state.base)} → {describe(state.cur)}"
    if change.kind == "renamed" and state.origin is not None:
        return f"renamed from {_name(state.origin)}"
    reason = unpatchable(state)
    if reason is not None:
        return f"{change.kind}: {reason}"
    return f"{change.kind}: {describe(state.base)} → {describe(state.cur)}"


def review(
    ledger: Ledger,
    workspace: bytes,
    states: Sequence[PathState],
    now_ns: int,
    context: int = CONTEXT_LINES,
    by: Grouping = "file",
    chosen: Selection | None = None,
) -> Json:
    """Returns the review view of some paths, grouped by turn, session, agent or not at all.

    Of each path only the changes are shown whose owners `chosen` names: all of them by default.
    """
    body = _Review(ledger, context)
    wanted = [(state, matching(state, chosen or Selection())) for state in states]
    if by == "file":
        for state, ids in wanted:
            body.file(state, ids)
    else:
        for group, entries in _grouped(ledger, wanted, by):
            body.group(group, entries)
    if not body.lines:
        body.add("m", "Nothing pends here.")
    return {
        "v": 1,
        "seq": ledger.seq,
        "workspace": workspace.decode(errors="replace"),
        "group": by,
        "lines": body.lines,
        "kinds": "".join(body.kinds),
        "groups": body.groups,
        "files": body.files,
        "hunks": body.hunks,
        "summary": summary(ledger, now_ns),
    }


def _grouped(
    ledger: Ledger, states: Iterable[tuple[PathState, frozenset[int]]], by: Grouping
) -> list[tuple[Group, list[tuple[PathState, frozenset[int]]]]]:
    """Returns the groups in order, each with its files and the ids of their changes in it."""
    found: dict[Group, list[tuple[PathState, frozenset[int]]]] = {}
    for state, wanted in states:
        shares: dict[Group, set[int]] = {}
        for number, change in state.changes().items():
            if number not in wanted:
                continue
            shares.setdefault(group_of(ledger, change.owners, by), set()).add(number)
        for group, ids in shares.items():
            found.setdefault(group, []).append((state, frozenset(ids)))
    return sorted(found.items(), key=lambda item: item[0].order)


class _Labels:
    """Who made each change of a file, as phrases that are said once: most share one owner object.

    Attributes:
        phrases: the phrases, each with its number.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.phrases: dict[str, int] = {}
        self._ledger = ledger
        self._known: dict[int, int] = {}

    def number(self, owners: Sequence[Owner]) -> int:
        """Returns the number of the phrase for some owners."""
        return self.phrases.setdefault(owner_label(self._ledger, owners), len(self.phrases))

    def of(self, hunk: Hunk) -> tuple[int, bool]:
        """Returns the number of a hunk's phrase, and whether the hunk is mixed (`Hunk.mixed`)."""
        new, old = hunk.new_owners, hunk.old_owners
        first = (new or old)[0]
        if new.count(first) + old.count(first) < len(new) + len(old):
            return self.number(hunk.owners), hunk.mixed
        # The state keeps the owner alive: its id is no other's meanwhile.
        number = self._known.get(id(first))
        if number is None:
            number = self._known[id(first)] = self.number((first,))
        return number, False


def inline(ledger: Ledger, state: PathState) -> Json:
    """Returns the inline view of one path, its changes as parallel lists: whole ones come first."""
    hunks = state.hunks
    lined = {hunk.id for hunk in hunks}
    whole = [change for change in state.meta if change.id not in lined]
    changes: list[MetaChange | Hunk] = [*whole, *hunks]
    none = [0] * len(whole)
    base = lines_of(state.base) if hunks else ()
    labels = _Labels(ledger)
    owners = [(labels.number(change.owners), False) for change in whole]
    owners += map(labels.of, hunks)
    return {
        **path_fields(state.path),
        "status": state.status,
        "gen": state.gen,
        "coverage": state.coverage,
        "hunks": {
            "id": [change.id for change in changes],
            "gen": [change.gen for change in changes],
            "start": none + [hunk.b0 + 1 if hunk.b1 > hunk.b0 else hunk.b0 for hunk in hunks],
            "added": none + [hunk.b1 - hunk.b0 for hunk in hunks],
            "removed": none + [hunk.a1 - hunk.a0 for hunk in hunks],
            "deleted": [shown(line) for hunk in hunks for line in base[hunk.a0 : hunk.a1]],
            "owners": list(labels.phrases),
            "owner": [number for number, _ in owners],
            "mixed": [n for n, (_, mixed) in enumerate(owners) if mixed],
            "odd": [(n, change.kind) for n, change in enumerate(whole)],
        },
    }
