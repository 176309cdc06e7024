"""Values of the core as JSON-ready dicts, and back.

Owns the stored shape of paths, refs, owners, hunks and path states (schema `SCHEMA`).  Must not
read or
write anything: content is named by `Ref`, and the caller brings entries when decoding.  Hop 5.

A path state stores owners once in a table and runs of equal owners as ``[index, count]``.
"""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, TypeAlias

from agentdiff.core.entries import Entry, File, Other, Ref
from agentdiff.core.hunks import Hunk
from agentdiff.core.owners import Owner
from agentdiff.core.pathstate import MetaChange, PathState, without_lines

SCHEMA = 1

Json: TypeAlias = dict[str, Any]


def path_fields(path: bytes, key: str = "path") -> Json:
    """Returns ``{"path": …}``, and an exact ``path_b64`` when the bytes are not UTF-8."""
    try:
        return {key: path.decode()}
    except UnicodeDecodeError:
        return {
            key: path.decode(errors="replace"),
            f"{key}_b64": base64.b64encode(path).decode(),
        }


def path_of(obj: Json, key: str = "path") -> bytes:
    """Returns the path that `path_fields` stored."""
    exact = obj.get(f"{key}_b64")
    return base64.b64decode(exact) if exact is not None else str(obj[key]).encode()


def encode_ref(ref: Ref) -> list[Any]:
    """Returns a ref as a list without trailing defaults."""
    full = [ref.kind, ref.mode, ref.oid, ref.size, ref.note]
    defaults: list[Any] = [None, 0, "", 0, ""]
    while len(full) > 1 and full[-1] == defaults[len(full) - 1]:
        full.pop()
    return full


def decode_ref(value: Sequence[Any]) -> Ref:
    """Returns the ref that `encode_ref` stored."""
    return Ref(**dict(zip(("kind", "mode", "oid", "size", "note"), value, strict=False)))


def encode_owner(owner: Owner) -> Json:
    """Returns an owner without its empty fields."""
    named = {field.name: getattr(owner, field.name) for field in fields(owner)}
    return {
        key: [encode_owner(one) for one in value] if isinstance(value, tuple) else value
        for key, value in named.items()
        if value not in (None, ())
    }


def decode_owner(obj: Json) -> Owner:
    """Returns the owner that `encode_owner` stored; older logs have session ids only in `among`."""
    among = tuple(
        Owner(kind="agent", evidence="shared", session=one)
        if isinstance(one, str)
        else decode_owner(one)
        for one in obj.get("among", ())
    )
    return Owner(**{**obj, "among": among})


# The state that a decision starts from was encoded when it was observed: with a thousand hunks
# that is the largest part of the decision's time.
_ENCODED: deque[tuple[PathState, Json]] = deque(maxlen=2)


def encode_state(state: PathState | None) -> Json | None:
    """Returns a path state with its contents named by ref.  Not to be changed."""
    if state is None:
        return None
    for known, body in _ENCODED:
        if known is state:
            return body
    body = _encode_state(state)
    _ENCODED.append((state, body))
    return body


def _encode_state(state: PathState) -> Json:
    table: dict[Owner, int] = {}
    indexes: dict[int, int] = {}  # by identity: hashing an owner costs more than all the rest

    def index_of(owner: Owner) -> int:
        index = indexes.get(id(owner))
        if index is None:
            index = indexes[id(owner)] = table.setdefault(owner, len(table))
        return index

    def runs(owners: Sequence[Owner]) -> list[list[int]]:
        if not owners:
            return []
        if owners.count(owners[0]) == len(owners):  # nearly every hunk has one author
            return [[index_of(owners[0]), len(owners)]]
        out: list[list[int]] = []
        for owner in owners:
            index = index_of(owner)
            if out and out[-1][0] == index:
                out[-1][1] += 1
            else:
                out.append([index, 1])
        return out

    hunks = [
        [h.id, h.gen, h.a0, h.a1, h.b0, h.b1, runs(h.old_owners), runs(h.new_owners)]
        for h in state.hunks
    ]
    meta = [[m.id, m.gen, m.kind, runs(m.owners)] for m in state.meta]
    renamed: Json = {} if state.origin is None else path_fields(state.origin, "origin")
    if state.origin_base is not None and state.origin_base != state.base:
        renamed["origin_base"] = encode_ref(state.origin_base.ref())
    return {
        **path_fields(state.path),
        **renamed,
        "base": encode_ref(state.base.ref()),
        "cur": encode_ref(state.cur.ref()),
        "hunks": hunks,
        "meta": meta,
        "gen": state.gen,
        "coverage": state.coverage,
        "owners": [encode_owner(owner) for owner in table],
    }


def decode_state(obj: Json | None, load: Callable[[Ref], Entry]) -> PathState | None:
    """Returns the path state that `encode_state` stored.

    Args:
        obj: the stored shape.
        load: brings the entry that a ref names; an `Other` where a content is lost, and then the
            state is whole, and says so.
    """
    if obj is None:
        return None
    table = [decode_owner(owner) for owner in obj["owners"]]

    def spread(runs: Sequence[Sequence[int]]) -> tuple[Owner, ...]:
        return tuple(table[index] for index, count in runs for _ in range(count))

    base, cur, *held = map(load, state_refs(obj))
    origin = origin_of(obj)
    origin_base = held[0] if held else base
    if not isinstance(origin_base, File):
        # What a rename has gained since is not known any more: rather all of it is kept.
        origin_base = File(data=b"")
    state = PathState(
        path=path_of(obj),
        base=base,
        cur=cur,
        hunks=tuple(
            Hunk(
                id=change,
                gen=gen,
                a0=a0,
                a1=a1,
                b0=b0,
                b1=b1,
                old_owners=spread(old),
                new_owners=spread(new),
            )
            for change, gen, a0, a1, b0, b1, old, new in obj["hunks"]
        ),
        meta=tuple(
            MetaChange(id=change, gen=gen, kind=kind, owners=spread(owners))
            for change, gen, kind, owners in obj["meta"]
        ),
        gen=obj["gen"],
        coverage=obj["coverage"],
        origin=origin,
        origin_base=None if origin is None else origin_base,
    )
    base_lost, cur_lost = (
        ref.kind in ("file", "link") and isinstance(entry, Other)
        for ref, entry in zip(state_refs(obj), (base, cur), strict=False)
    )
    return without_lines(state, base_lost=base_lost) if base_lost or cur_lost else state


def origin_of(obj: Json) -> bytes | None:
    """Returns the path from which a stored path state was renamed."""
    return path_of(obj, "origin") if "origin" in obj else None


def state_refs(obj: Json | None) -> tuple[Ref, ...]:
    """Returns the refs that a stored path state needs: base, current, what its origin held."""
    if obj is None:
        return ()
    return tuple(decode_ref(obj[side]) for side in ("base", "cur", "origin_base") if side in obj)
