"""What the user typed, followed through a history: the part of P6 that no single step shows.

Each line that the user types here is unique.  It may go because somebody's own write takes it away
(an agent's, git's, anybody's, the user's) or because a decision gives it up in so many words
(``--discard-user``, the undo of an edit of the user's); nothing else may take it.  `Watched` is a
play that knows where these lines are, and fails as soon as a decision takes one.

What counts as taking it is the weakest reading of DESIGN: a write that touches the line is its
author's.  A line survives a rename (found as one, or of a file that was created and is moved as it
is) and comes back with the bytes that it was in, if these come back on the same base.

A decision may bring a line into a file: a reject puts a base line back, an undo what was rejected.
To turn that decision takes the line out of that file again, and nothing else does.  What a reject
brought is a line of the base, and what was taken while it was followed is what it was: both are
followed from then on.  What else a decision brings is its author's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from agentdiff.core.commands import WriteEntry
from agentdiff.core.diff import diff_bytes, split_lines
from agentdiff.core.entries import ABSENT, Absent, Entry, File
from agentdiff.core.events import EntryWritten, Selection
from agentdiff.core.pathstate import PathState, is_line_text
from agentdiff.core.records import PathChanged
from tests.properties.dying import Mortal

TYPED = re.compile(rb"typed \d{5}")
Place: TypeAlias = tuple[bytes, bytes]
"""A typed line, and the path of a file that has it."""


@dataclass(frozen=True, slots=True)
class Left:
    """A file that typed lines were in when its content went away."""

    path: bytes
    content: Entry
    base: Entry
    origin: bytes | None
    created: bool
    lines: frozenset[bytes]


@dataclass
class Watched(Mortal):
    """A play in which `alive` says where each typed line is that must survive decisions.

    `away` has, for each path, the content that took typed lines with it and may return; `brought`
    and `taken`, for each decision, what it or a turn of it put into files, and took from there
    while it was followed; `rejects` are the decisions that put back what would remain; `also` has
    where these put lines that were followed elsewhere; `moved` are lines of a base that went along
    with a rename: they stay in that base when the two halves come apart.
    """

    alive: dict[bytes, bytes] = field(default_factory=dict)
    away: dict[bytes, Left] = field(default_factory=dict)
    last: dict[bytes, Entry] = field(default_factory=dict)
    brought: dict[int, set[Place]] = field(default_factory=dict)
    taken: dict[int, set[Place]] = field(default_factory=dict)
    rejects: set[int] = field(default_factory=set)
    also: set[Place] = field(default_factory=set)
    moved: set[bytes] = field(default_factory=set)
    number: int = 0
    half_seen: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self.last = dict(self.disk)

    # --- typing ----------------------------------------------------------------------------------

    def line(self) -> bytes:
        """Returns a line that was never there."""
        self.number += 1
        return b"typed %05d" % self.number

    def types(self, path: bytes, line: bytes) -> None:
        """Remembers a line that the user has saved, if it is there as a line of a text."""
        entry = self.disk.get(path, ABSENT)
        if is_line_text(entry) and isinstance(entry, File) and line in TYPED.findall(entry.data):
            self.alive[line] = path
            self.moved.discard(line)

    def types_in_review(self, decision: int, path: bytes, line: bytes) -> None:
        """Remembers a line that the user typed into a review: that decision brought it."""
        self.types(path, line)
        self.brought.setdefault(decision, set()).add((line, path))

    def follows(self, lines: Iterable[bytes], old: bytes, new: bytes) -> None:
        """Follows lines that were moved, whatever is left at the old path."""
        entry = self.disk.get(new, ABSENT)
        for line in lines:
            if line in _typed_in(entry):
                self._follow(line, old, new)

    @contextmanager
    def in_steps(self) -> Iterator[None]:
        """Takes every reading inside for a part of one write."""
        self.half_seen = True
        try:
            yield
        finally:
            self.half_seen = False
            left = self._leave()
            self._arrive(left)

    # --- writes ----------------------------------------------------------------------------------

    def cut(self) -> None:
        """Reads the disk, and works out which typed lines a write took."""
        if self.half_seen or self.disk == self.last:
            super().cut()
            return
        left = self._leave()
        super().cut()
        self._arrive(left)

    def swap(self, command: WriteEntry) -> EntryWritten:
        """Compares and swaps; somebody who writes in between takes the lines that they touch."""
        path, there = command.path, self.disk.get(command.path, ABSENT)
        if path in self.meddle and path not in self.fails:
            self._take(path, there, self.meddle[path])
        return super().swap(command)

    def _leave(self) -> list[Left]:
        """Takes the lines that are no longer where they were out of `alive`."""
        found: list[Left] = []
        for path in set(self.alive.values()):
            before = self.last.get(path, ABSENT)
            gone = self._take(path, before, self.disk.get(path, ABSENT))
            if gone:
                state = self.ledger.paths.get(path)
                found.append(_left(path, before, state, gone))
        return found

    def _take(self, path: bytes, before: Entry, after: Entry) -> frozenset[bytes]:
        """Takes the lines that a write touches out of `alive`, and returns them."""
        if before == after:
            return frozenset()
        here = {line for line, where in self.alive.items() if where == path}
        gone = here - _untouched(before, after, here)
        for line in gone:
            del self.alive[line]
        return frozenset(gone)

    def _arrive(self, left: list[Left]) -> None:
        """Puts those lines back that arrived elsewhere, or whose content is back."""
        appeared = [p for p, e in self.disk.items() if isinstance(e, File) and p not in self.last]
        for one in left:
            for path in appeared:
                if one.path not in self.disk and self._renamed(one, path):
                    lines = _untouched(one.content, self.disk[path], set(one.lines))
                    for line in lines:
                        self._follow(line, one.path, path)
                    self.moved |= lines & _typed_in(one.base)
            if self._went_aside(one):
                self.away[one.path] = one
            else:
                self.away.pop(one.path, None)
        for one in list(self.away.values()):
            state = self.ledger.paths.get(one.path)
            base = self.base(one.path) if state is None else state.base
            if self.disk.get(one.path, ABSENT) == one.content and base == one.base:
                self.alive.update(dict.fromkeys(one.lines, one.path))
                del self.away[one.path]
        self.last = dict(self.disk)

    def _follow(self, line: bytes, old: bytes, new: bytes) -> None:
        """Follows a line to another path; whoever brought it to the old one may take it there."""
        self.alive[line] = new
        for places in self.brought.values():
            if (line, old) in places:
                places.add((line, new))

    def _renamed(self, one: Left, path: bytes) -> bool:
        """Whether a path is what another one was, with what pended there."""
        state = self.ledger.paths.get(path)
        if state is None:
            return False
        if state.origin is not None:
            return state.origin in (one.path, one.origin)
        return one.created and state.status == "created" and state.cur == one.content

    def _went_aside(self, one: Left) -> bool:
        """Whether a content went as a whole, and not because an agent took its own work back."""
        after = self.disk.get(one.path, ABSENT)
        if not is_line_text(after) or isinstance(after, Absent):
            return True
        changed = [
            r for _, r in self.records() if isinstance(r, PathChanged) and r.path == one.path
        ]
        by_agent = bool(changed) and changed[-1].owner.kind == "agent"
        return one.path not in self.ledger.paths and not by_agent

    # --- decisions -------------------------------------------------------------------------------

    def decide(
        self, op: str, selection: Selection, *, client: str = "cli", **more: Any
    ) -> dict[str, Any]:
        """Requests a decision; what the user typed is there still, unless it is given up."""
        before, paired, rejects = self._places(), set(self.ledger.renamed), op == "reject"
        given_up = self._pending() if rejects and more.get("discard_user") else set[Place]()
        answer = super().decide(op, selection, client=client, **more)
        decision = answer["decision"]
        if rejects and decision is not None:
            self.rejects.add(decision)
        self._settle(decision, before, paired, given_up)
        return answer

    def undo(self, *, redo: bool = False, client: str = "cli") -> dict[str, Any]:
        """Undoes; of what the user typed only what that decision brought may go."""
        step = self.ledger.turns.target(client, redo=redo)
        before, paired = self._places(), set(self.ledger.renamed)
        answer = super().undo(redo=redo, client=client)
        if step is not None:
            brought = set(self.brought.get(step.decision, ()))
            self._settle(step.decision, before, paired, brought, undone=not redo)
        return answer

    def restore(self, seq: int, paths: Iterable[bytes] = ()) -> dict[str, Any]:
        """Goes back to what was there; what was typed since is given up, in so many words."""
        before, paired = self._places(), set(self.ledger.renamed)
        answer = super().restore(seq, paths)
        self._settle(answer["decision"], before, paired, before)
        return answer

    def _places(self) -> set[Place]:
        """Returns where each typed line is, followed or not."""
        files = [(path, e.data) for path, e in self.disk.items() if isinstance(e, File)]
        return {(line, path) for path, data in files for line in TYPED.findall(data)}

    def _pending(self) -> set[Place]:
        """Returns those of these places that are in what pends: all that a reject can take."""
        found: set[Place] = set()
        for path, state in self.ledger.paths.items():
            lines = [state.cur.data] if isinstance(state.cur, File) else []
            if is_line_text(state.base) and is_line_text(state.cur):
                lines = [line for h in state.hunks for line in state.text.cur[h.b0 : h.b1]]
            found |= {(typed, path) for line in lines for typed in TYPED.findall(line)}
        return found

    def _settle(
        self,
        decision: int | None,
        before: set[Place],
        paired: set[bytes],
        given_up: set[Place],
        *,
        undone: bool = False,
    ) -> None:
        """Works out what a decision, or a turn of one, did to typed lines.

        Args:
            decision: its id, None when nothing was done.
            before: where each line was.
            paired: the paths that were renamed.
            given_up: what of the user's may go.
            undone: whether this is an undo.
        """
        now = self._places()
        new = now - before
        brought = set() if decision is None else self.brought.setdefault(decision, set())
        taken = set() if decision is None else self.taken.setdefault(decision, set())
        for line, path in list(self.alive.items()):
            if (line, path) in now:
                continue
            elsewhere = new | (self.also & now)
            other = next((p for one, p in sorted(elsewhere) if one == line), None)
            if other is not None:
                self._follow(line, path, other)  # a rename was taken back
                continue
            # Of what was moved with its base a reject takes the copy when the pair came apart.
            kept = (line, path) in given_up or (line in self.moved and path not in paired)
            assert kept, f"{line!r} in {path!r} is gone"
            del self.alive[line]
            taken.add((line, path))
        brought |= new
        remains = decision in self.rejects and not undone
        for line, path in sorted(new if remains else new & taken):
            self.also.add((line, path))
            if line not in self.alive:
                self.types(path, line)
        self.away.clear()
        self.last = dict(self.disk)


def _typed_in(entry: Entry) -> set[bytes]:
    return set(TYPED.findall(entry.data)) if isinstance(entry, File) else set()


def _left(path: bytes, before: Entry, state: PathState | None, lines: frozenset[bytes]) -> Left:
    if state is None:
        return Left(path, before, before, None, False, lines)
    return Left(path, before, state.base, state.origin, state.status == "created", lines)


def _untouched(before: Entry, after: Entry, lines: set[bytes]) -> set[bytes]:
    """Returns those of some lines that a write has left alone."""
    if not (isinstance(before, File) and isinstance(after, File) and is_line_text(after)):
        return set()
    if before.data == after.data:
        return lines
    at = {
        found[0]: n
        for n, line in enumerate(split_lines(before.data))
        if (found := TYPED.findall(line))
    }
    blocks = diff_bytes(before.data, after.data)
    return {
        line
        for line in lines
        if line in at and not any(block.a0 <= at[line] < block.a1 for block in blocks)
    }
