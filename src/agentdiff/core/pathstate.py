"""The review state of one path: base, current, and everything that differs between them.

Owns existence, type, mode and binary changes (each a `MetaChange` with an id of its own, so that
every pending thing can be named), and hands text to `agentdiff.core.hunks`.  Must not know
sessions, windows or disks.  Hops 4 and 6.

A path is in one of two shapes.  *Text*: base and current are both text, or one is text and the
other absent; the differing lines are hunks.  *Whole*: anything else; one `MetaChange` stands for
the content.  Created and deleted texts have one id for the change and its one hunk.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, assert_never

from agentdiff.core.diff import diff_bytes, split_lines
from agentdiff.core.entries import Absent, Directory, Entry, File, Link, Other
from agentdiff.core.hunks import Hunk, NewId, Text, carry
from agentdiff.core.owners import Owner, unique
from agentdiff.errors import InvariantBroken

MetaKind: TypeAlias = Literal["created", "deleted", "type", "binary", "link", "mode"]
Status: TypeAlias = Literal["modified", "created", "deleted", "type"]

# git's own rule: a NUL among the first 8000 bytes makes a file binary.
BINARY_PROBE_BYTES = 8000


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
    """

    path: bytes
    base: Entry
    cur: Entry
    hunks: tuple[Hunk, ...]
    meta: tuple[MetaChange, ...]
    gen: int
    coverage: str = "exact"

    @property
    def ids(self) -> tuple[int, ...]:
        """Every id that can be decided, whole changes first."""
        return tuple(dict.fromkeys([*(m.id for m in self.meta), *(h.id for h in self.hunks)]))

    @property
    def status(self) -> Status:
        """The dominating change."""
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
        return Text(_lines(self.base), _lines(self.cur), self.hunks)

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


def _lines(entry: Entry) -> list[bytes]:
    return split_lines(entry.data) if isinstance(entry, File) else []


def _data(entry: Entry) -> bytes:
    return entry.data if isinstance(entry, File) else b""


def observe(
    state: PathState | None,
    path: bytes,
    before: Entry,
    after: Entry,
    owner: Owner,
    new_id: NewId,
    *,
    coverage: str = "exact",
    mirror: bool | None = None,
) -> PathState | None:
    """Returns the state after `after` was seen on disk, None when nothing pends any more.

    Args:
        state: the state so far, None when nothing pended.
        path: the path.
        before: content last known when `state` is None; it becomes the base.
        after: content seen now.
        owner: who did it.  A proved owner (user, git) moves the base along outside hunks.
        new_id: makes ids.
        coverage: recorded when a new state begins; see `PathState.coverage`.
        mirror: whether the base moves along outside hunks; by default when the owner is proved.
    """
    mirror = owner.proved if mirror is None else mirror
    if state is None:
        if mirror:
            return None
        state = PathState(
            path=path, base=before, cur=before, hunks=(), meta=(), gen=0, coverage=coverage
        )
        if isinstance(before, Other):
            state = replace(state, coverage=before.kind)
    if after == state.cur:
        return state if state.gen else None
    base = state.base
    if mirror:
        moved = _proved_base(state, after)
        if moved is None:
            return None
        base = moved
    if after == base:
        return None
    state = replace(state, base=base)
    if is_line_text(base) and is_line_text(after):
        base, hunks = _observe_text(state, after, owner, new_id, mirror)
        return _finish(state, base, after, hunks, owner, new_id)
    return _finish(state, base, after, (), owner, new_id)


def _observe_text(
    state: PathState, after: Entry, owner: Owner, new_id: NewId, mirror: bool
) -> tuple[Entry, tuple[Hunk, ...]]:
    """Returns base and hunks after a write that leaves both sides lines of text."""
    if not is_line_text(state.cur):
        # The content had no lines until now: all that is known is the base and what is there.
        text = Text(_lines(state.base), _lines(state.base), ())
        edit = diff_bytes(_data(state.base), _data(after))
        hunks = carry(text, _lines(after), edit, owner, new_id, mirror=False).hunks
        oldest = min(state.ids)
        return state.base, tuple(
            replace(hunk, id=oldest) if n == 0 else hunk for n, hunk in enumerate(hunks)
        )
    text = state.text
    edit = diff_bytes(_data(state.cur), _data(after))
    # A file that one side lacks has no "outside of hunks": whatever is written there joins.
    mirror = mirror and isinstance(state.base, File) and isinstance(state.cur, File)
    carried = carry(text, _lines(after), edit, owner, new_id, mirror=mirror)
    base = state.base
    if mirror and isinstance(base, File) and carried.base != text.base:
        base = replace(base, data=b"".join(carried.base), oid="")
    return base, () if _data(base) == _data(after) else carried.hunks


def _proved_base(state: PathState, after: Entry) -> Entry | None:
    """Returns the base that a proved write works on; None when the base simply follows it."""
    base, cur = state.base, state.cur
    lined = is_line_text(base) and is_line_text(cur) and is_line_text(after)
    if not lined or isinstance(after, Absent):
        return None
    if not (isinstance(base, File) and isinstance(cur, File) and isinstance(after, File)):
        return base
    return replace(base, mode=after.mode) if base.mode == cur.mode else base


def _finish(
    state: PathState,
    base: Entry,
    cur: Entry,
    hunks: tuple[Hunk, ...],
    owner: Owner,
    new_id: NewId,
) -> PathState | None:
    """Derives the whole changes of (base, cur), keeping ids and owners; raises the generation."""
    if base == cur:
        return None
    known = {meta.kind: meta for meta in state.meta}
    carried = [meta for meta in state.meta if meta.kind != "mode"]
    meta: list[MetaChange] = []
    for kind in meta_kinds(base, cur):
        if kind == "mode":
            old = known.get("mode")
            same = old is not None and _mode(cur) == _mode(state.cur)
            owners = old.owners if old is not None and same else (owner,)
            gen = old.gen if old is not None and same else new_id()
            meta.append(
                MetaChange(id=old.id if old else new_id(), gen=gen, kind=kind, owners=owners)
            )
            continue
        gen = new_id()
        if hunks:
            change, gen = hunks[0].id, hunks[0].gen
            owners = hunks[0].owners
        else:
            change = min([*(m.id for m in carried), *(h.id for h in state.hunks)], default=0)
            change = change or new_id()
            before = [o for m in carried for o in m.owners] + [
                o for h in state.hunks for o in h.owners
            ]
            owners = unique([*before, owner])
        meta.append(MetaChange(id=change, gen=gen, kind=kind, owners=owners))
    return replace(state, base=base, cur=cur, hunks=hunks, meta=tuple(meta), gen=state.gen + 1)


def meta_kinds(base: Entry, cur: Entry) -> list[MetaKind]:
    """Returns which properties differ between two entries, other than lines of text."""
    if base == cur:
        return []
    if isinstance(base, Absent):
        return ["created"]
    if isinstance(cur, Absent):
        return ["deleted"]
    if type(base) is not type(cur):
        return ["type"]
    if isinstance(base, Link):
        return ["link"]
    kinds: list[MetaKind] = []
    if isinstance(base, File) and isinstance(cur, File):
        if base.data != cur.data and (is_binary(base.data) or is_binary(cur.data)):
            kinds.append("binary")
        if base.mode != cur.mode:
            kinds.append("mode")
        return kinds
    return ["type"] if isinstance(base, Other | Directory) else kinds


def _mode(entry: Entry) -> int:
    return entry.mode if isinstance(entry, File | Directory) else 0


def check(state: PathState) -> None:
    """Raises `InvariantBroken` when a state contradicts itself (P1, P10)."""
    if state.base == state.cur:
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
    lined = is_line_text(state.base) and is_line_text(state.cur)
    if lined and list(text.base[at_a:]) != list(text.cur[at_b:]):
        raise InvariantBroken(f"P1 {state.path!r}: lines after the last hunk differ")
    if not lined and state.hunks:
        raise InvariantBroken(f"P1 {state.path!r}: hunks in something that has no lines")
    whole = [m.kind for m in state.meta]
    if whole != meta_kinds(state.base, state.cur):
        raise InvariantBroken(f"P9 {state.path!r}: meta {whole} does not fit base and current")


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
