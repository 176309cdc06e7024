"""The review state of one path: base, current, and everything that differs between them.

Owns the shape of a state and what makes it sound.  Must not change one: observations
(`agentdiff.core.observing`) and decisions (`agentdiff.core.settle`) do.  Hops 4 and 6.

A path is in one of two shapes.  *Text*: base and current are both text, or one is text and the
other absent; the differing lines are hunks.  *Whole*: anything else, and a mere change of line
endings; one `MetaChange`, with an id of its own, stands for the content.  Created and deleted texts
have one id for the change and its one hunk.  A *renamed* path has the base of the path that it was
renamed from, which itself pends as deleted.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, assert_never

from agentdiff.core import eol
from agentdiff.core.diff import split_lines
from agentdiff.core.entries import ABSENT, Absent, Directory, Entry, File, Link, Other
from agentdiff.core.hunks import Hunk, Text
from agentdiff.core.owners import Owner, unique
from agentdiff.errors import InvariantBroken

MetaKind: TypeAlias = Literal[
    "renamed", "created", "deleted", "type", "binary", "link", "eol", "mode"
]
Status: TypeAlias = Literal["modified", "created", "deleted", "renamed", "type"]

# git's own rule: a NUL among the first 8000 bytes makes a file binary.
BINARY_PROBE_BYTES = 8000
_REMEMBERED_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class MetaChange:
    """A pending change that is not a change of lines."""

    id: int
    gen: int
    kind: MetaKind
    owners: tuple[Owner, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a decision names: the generation of a hunk or whole change, and its distinct owners."""

    gen: int
    owners: tuple[Owner, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PathState:
    """One path with something pending.

    Attributes:
        path: relative to the workspace root.
        base: what remains if everything pending is rejected (B).
        cur: last content observed on disk (C).
        hunks: differing lines, in order; empty for the whole shape.
        meta: differing properties; a ``created`` or ``deleted`` text shares the id of its hunk.
        gen: raised by every change of base, current or hunks; hunks have generations of their own.
        coverage: ``exact``, or the reason why the base cannot be restored.
        origin: the path that it was renamed from: `base` is what that one held, and nothing was
            here.  Both sides are files then, and the origin pends as deleted with the same base.
        origin_base: what that one held when it was renamed.  What came into `base` since, typed or
            accepted, was never at the origin.  None without one.
    """

    path: bytes
    base: Entry
    cur: Entry
    hunks: tuple[Hunk, ...]
    meta: tuple[MetaChange, ...]
    gen: int
    coverage: str = "exact"
    origin: bytes | None = None
    origin_base: Entry | None = None

    @property
    def contents(self) -> tuple[Entry, ...]:
        """Everything that a stored form of it names: base, current and what the origin held."""
        return (self.base, self.cur, *(() if self.origin_base is None else (self.origin_base,)))

    @property
    def rest(self) -> Entry:
        """What is left at this very path when everything pending is rejected."""
        return self.base if self.origin is None else ABSENT

    @property
    def ids(self) -> tuple[int, ...]:
        """Every id that can be decided, whole changes first."""
        return tuple(dict.fromkeys([*(m.id for m in self.meta), *(h.id for h in self.hunks)]))

    @property
    def status(self) -> Status:
        """The dominating change."""
        if self.origin is not None:
            return "renamed"
        if isinstance(self.base, Absent):
            return "created"
        if isinstance(self.cur, Absent):
            return "deleted"
        if any(m.kind == "type" for m in self.meta):
            return "type"
        return "modified"

    @property
    def text(self) -> Text:
        """Both sides as lines (only for the text shape)."""
        base = lines_of(self.base)
        # Nothing differs before the first observation: one list serves both.
        return Text(base, base if self.cur is self.base else lines_of(self.cur), self.hunks)

    def generations(self) -> dict[int, int]:
        """Returns the generation of everything that can be decided; cheaper than `changes`."""
        return {m.id: m.gen for m in self.meta} | {hunk.id: hunk.gen for hunk in self.hunks}

    def owners_of(self, change: int) -> tuple[Owner, ...]:
        """Returns the distinct owners of what one id stands for."""
        owners = [o for hunk in self.hunks if hunk.id == change for o in hunk.owners]
        return unique([*owners, *(o for m in self.meta if m.id == change for o in m.owners)])

    def changes(self) -> dict[int, Change]:
        """Returns everything that can be decided, whole changes first."""
        out = {m.id: Change(gen=m.gen, owners=m.owners) for m in self.meta}
        for hunk in self.hunks:
            above = out.get(hunk.id)
            owners = hunk.owners if above is None else unique((*hunk.owners, *above.owners))
            out[hunk.id] = Change(gen=hunk.gen, owners=owners)
        return out


def is_binary(data: bytes) -> bool:
    """Whether git would treat the content as binary."""
    return b"\0" in data[:BINARY_PROBE_BYTES]


def is_line_text(entry: Entry) -> bool:
    """Whether an entry has lines: a text file, or nothing at all (no lines)."""
    return isinstance(entry, Absent) or (isinstance(entry, File) and not is_binary(entry.data))


def lines_of(entry: Entry) -> Sequence[bytes]:
    """Returns the lines of a file; whatever is none has none.  Not to be changed."""
    if not isinstance(entry, File):
        return ()
    # The two sides of a state are asked for several times in one step.
    if len(entry.data) <= _REMEMBERED_BYTES:
        return _remembered_lines(entry.data)
    return split_lines(entry.data)


@functools.lru_cache(maxsize=8)
def _remembered_lines(data: bytes) -> Sequence[bytes]:
    return split_lines(data)


def meta_kinds(
    base: Entry, cur: Entry, *, lined: bool, origin: bytes | None = None
) -> list[MetaKind]:
    """Returns which properties differ between two entries, other than lines of text.

    Args:
        base: the one side.
        cur: the other side.
        lined: whether hunks stand for the difference of two texts.
        origin: see `PathState.origin`.
    """
    kinds: list[MetaKind] = [] if origin is None else ["renamed"]
    if base == cur:
        return kinds
    if isinstance(base, Absent):
        return ["created"]
    if isinstance(cur, Absent):
        return ["deleted"]
    if type(base) is not type(cur):
        return ["type"]
    if isinstance(base, Link):
        return ["link"]
    if isinstance(base, File) and isinstance(cur, File):
        if base.data != cur.data and not lined:
            binary = is_binary(base.data) or is_binary(cur.data)
            kinds.append("binary" if binary else "eol")
        if base.mode != cur.mode:
            kinds.append("mode")
        return kinds
    return ["type"] if isinstance(base, Other | Directory) else kinds


def without_lines(state: PathState, *, base_lost: bool) -> PathState:
    """Returns a state one of whose contents is lost: one whole change, by the same authors.

    Its lines stand on nothing any more; rejected, they would leave a hole.  A renamed path loses
    its origin: nothing was here.

    Args:
        state: has an `Other` in the place of what is lost.
        base_lost: whether that is the base: then it cannot be rejected.
    """
    base = state.base if state.origin is None else ABSENT
    first = min(state.ids)
    change = state.changes()[first]
    owners = unique([owner for one in state.changes().values() for owner in one.owners])
    coverage = state.coverage
    if base_lost and isinstance(base, Other):
        coverage = base.kind if coverage == "exact" else coverage
    meta = tuple(
        MetaChange(id=first, gen=change.gen, kind=kind, owners=owners)
        for kind in meta_kinds(base, state.cur, lined=False)
    )
    hunks: tuple[Hunk, ...] = ()
    if state.origin is not None and (lines := len(lines_of(state.cur))):
        wrote = [state.meta[0].owners[0]] * lines
        for hunk in state.hunks:
            wrote[hunk.b0 : hunk.b1] = hunk.new_owners
        here = {"id": first, "gen": change.gen, "a0": 0, "a1": 0, "b0": 0, "b1": lines}
        text = is_line_text(state.cur)
        hunks = (Hunk(**here, old_owners=(), new_owners=tuple(wrote)),) if text else ()
    return replace(
        state,
        base=base,
        origin=None,
        origin_base=None,
        hunks=hunks,
        meta=meta,
        coverage=coverage,
    )


def renumbered(state: PathState, ids: Mapping[int, int]) -> PathState:
    """Returns a state with other ids for some of its changes; `ids` maps old ones to new ones."""
    return replace(
        state,
        hunks=tuple(replace(hunk, id=ids.get(hunk.id, hunk.id)) for hunk in state.hunks),
        meta=tuple(replace(change, id=ids.get(change.id, change.id)) for change in state.meta),
    )


def flips_eol(base: Entry, cur: Entry) -> bool:
    """Whether two entries are texts that differ in their style of line endings only."""
    return (
        isinstance(base, File)
        and isinstance(cur, File)
        and eol.flips(base.data, cur.data)
        and not is_binary(base.data)
    )


def check(state: PathState) -> None:
    """Raises `InvariantBroken` when a state contradicts itself (P1, P10)."""
    if state.base == state.cur and state.origin is None:
        raise InvariantBroken(f"P1 {state.path!r}: nothing differs but a state is kept")
    if not state.ids:
        raise InvariantBroken(f"P1 {state.path!r}: differs but nothing can be decided")
    text = state.text
    at_a = at_b = 0
    for hunk in state.hunks:
        if hunk.a0 < at_a or hunk.b0 < at_b or (hunk.a0 == hunk.a1 and hunk.b0 == hunk.b1):
            raise InvariantBroken(f"P1 {state.path!r}: hunk {hunk.id} is empty or out of order")
        if list(text.base[at_a : hunk.a0]) != list(text.cur[at_b : hunk.b0]):
            raise InvariantBroken(f"P1 {state.path!r}: lines before hunk {hunk.id} differ")
        if len(hunk.old_owners) != hunk.a1 - hunk.a0 or len(hunk.new_owners) != hunk.b1 - hunk.b0:
            raise InvariantBroken(f"P14 {state.path!r}: hunk {hunk.id} has lines without owner")
        at_a, at_b = hunk.a1, hunk.b1
    ids = [hunk.id for hunk in state.hunks]
    ids += [m.id for m in state.meta if m.kind not in ("created", "deleted") and ids]
    if len(set(ids)) < len(ids):
        raise InvariantBroken(f"P10 {state.path!r}: two changes have one id: {ids}")
    lined = is_line_text(state.base) and is_line_text(state.cur)
    lined = lined and (bool(state.hunks) or not flips_eol(state.base, state.cur))
    if lined and list(text.base[at_a:]) != list(text.cur[at_b:]):
        raise InvariantBroken(f"P1 {state.path!r}: lines after the last hunk differ")
    if not lined and state.hunks:
        raise InvariantBroken(f"P1 {state.path!r}: hunks in something that has no lines")
    whole = [m.kind for m in state.meta]
    if whole != meta_kinds(state.base, state.cur, lined=lined, origin=state.origin):
        raise InvariantBroken(f"P9 {state.path!r}: meta {whole} does not fit base and current")
    _check_whole(state)
    _check_rename(state)


def _check_whole(state: PathState) -> None:
    whole = [m.id for m in state.meta if m.kind in ("created", "deleted")]
    if whole and state.hunks and whole[0] != state.hunks[0].id:
        raise InvariantBroken(f"P10 {state.path!r}: its first hunk has another id than the whole")


def _check_rename(state: PathState) -> None:
    if state.origin is not None and not all(isinstance(one, File) for one in state.contents):
        raise InvariantBroken(f"P9 {state.path!r}: renamed, but not a file on both sides")
    if (state.origin is None) != (state.origin_base is None):
        raise InvariantBroken(f"P9 {state.path!r}: what its origin held does not fit its origin")


def describe(entry: Entry) -> str:
    """Returns a short phrase for an entry, for messages."""
    match entry:
        case Absent():
            return "nothing"
        case File():
            return f"a file of {len(entry.data)} bytes"
        case Link():
            return "a symbolic link"
        case Directory():
            return "a directory"
        case Other():
            return entry.kind
        case _:
            assert_never(entry)
