"""Records: what the log holds, and the only things that change a ledger.

Owns the record types and their stored shape.  Must not decide: `agentdiff.core.ledger` makes
records from events, and folds the same records into its state, so that a replay of the log equals
the live state by construction.  Hops 4 and 5.

A record never needs a diff to be replayed: `PathChanged` and `DecisionItem` carry whole path
states, in their stored shape (`agentdiff.core.codec`), because an old decision must not keep file
contents in memory.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields, replace
from typing import Any, TypeAlias, get_args

from agentdiff.core.agent_events import Reach
from agentdiff.core.codec import (
    SCHEMA,
    Json,
    decode_owner,
    decode_ref,
    encode_owner,
    encode_ref,
    path_fields,
    path_of,
)
from agentdiff.core.entries import Ref
from agentdiff.core.owners import Owner


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionChanged:
    """A session appeared, moved, changed state or ended; `state` as in the statusline."""

    agent: str
    session: str
    state: str
    at_ns: int
    cwd: bytes = b""
    within: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnStarted:
    """A turn started; `n` counts per workspace."""

    turn: str
    n: int
    agent: str
    session: str
    prompt: str
    at_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnAliased:
    """The agent gave a turn a further id (a prompt that it wrote itself)."""

    agent: str
    session: str
    turn: str
    alias: str
    at_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnFinished:
    """A turn is over."""

    agent: str
    session: str
    turn: str
    at_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOpened:
    """A tool call's window opened.

    Attributes:
        targets: the exact paths that it announced, destinations of moves included.
        reach: what its command line may change, None when it has none or nobody looked.
    """

    agent: str
    session: str
    subagent: str | None
    turn: str
    tool_call: str
    tool: str
    scope: str
    targets: tuple[bytes, ...]
    command: str | None
    cwd: bytes
    at_ns: int
    certain: bool = True
    parent: str | None = None
    covers: bool = False
    reach: Reach | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallClosed:
    """A tool call's window closed; it goes on in the background when `background` names a task."""

    agent: str
    session: str
    tool_call: str
    outcome: str
    background: str | None
    at_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CallReported:
    """Telemetry said who let a call run, and in which trace; empty where it did not say."""

    agent: str
    session: str
    tool_call: str
    decided_by: str
    trace: str
    at_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PathChanged:
    """A path was seen to change from `before` to `after`; `state` is the result, stored shape.

    Attributes:
        since: number of a record: `state` starts from what pended right after that one, and what
            later records tell of the path is superseded; None where it starts from the newest.
        steps: the contents that were observed one after the other, each with its author, where that
            is more than `after` by `owner`.
        came_from: the path that the content was moved from, whose owners `state` took over.
    """

    path: bytes
    before: Ref
    after: Ref
    owner: Owner
    state: Json | None
    at_ns: int
    since: int | None = None
    steps: tuple[tuple[Ref, Owner], ...] = ()
    came_from: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PathParked:
    """What pended on a path was put aside with its content; `state` is the stored shape.

    Attributes:
        state: None where what was put aside after `since` had been given to the wrong author, and
            is forgotten.  Otherwise it waits with what is aside already, see
            `agentdiff.core.asides`.
        since: number of a record right after which `state` pended, 0 where there is none.
    """

    path: bytes
    state: Json | None
    at_ns: int
    since: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class HunksCommitted:
    """An agent committed pending changes, which go on pending: nobody has reviewed them."""

    commit: str
    agent: str
    session: str
    changes: tuple[int, ...]
    at_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionItem:
    """What one decision did to one path; the states are in their stored shape."""

    path: bytes
    changes: tuple[int, ...]
    before: Json | None
    after: Json | None
    cur_before: Ref
    cur_after: Ref

    def swapped(self) -> DecisionItem:
        """Returns the same in the other direction."""
        return replace(
            self,
            before=self.after,
            after=self.before,
            cur_before=self.cur_after,
            cur_after=self.cur_before,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What is known of a decision; `op` is the user's word (``accept``, ``undo``, ``restore``).

    This much of every decision stays in memory.
    """

    decision: int
    client: str
    op: str
    reason: str
    at_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Decision(Decided):
    items: tuple[DecisionItem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionIntended(_Decision):
    """A decision is about to write to disk; synced before the first write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionMade(_Decision):
    """A decision was carried out: one undoable step of one client."""

    def decided(self) -> Decided:
        """Returns it without what it did."""
        return Decided(**{name: getattr(self, name) for name in Decided.__slots__})


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionTurned:
    """A decision was undone (`undone` True) or redone (False).

    Attributes:
        refused: whether what `items` lacks was refused, and not only interrupted.
        left: of how many paths of the decision that is so; None: as many as it had more.  `items`
            has both paths of a rename where the decision had one.
    """

    decision: int
    undone: bool
    items: tuple[DecisionItem, ...]
    at_ns: int
    refused: bool = False
    left: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CommentMade:
    """The user commented on a change or on lines; `to` holds (agent, session) pairs."""

    client: str
    path: bytes
    text: str
    hunk: int | None
    lines: tuple[int, ...]
    to: tuple[tuple[str, str], ...]
    excerpt: str
    at_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackTold:
    """Notes, by `agentdiff.core.feedback.Note.id`, were told; to a person if there is no agent."""

    notes: tuple[str, ...]
    agent: str
    session: str
    at_ns: int


Record: TypeAlias = (
    SessionChanged
    | TurnStarted
    | TurnAliased
    | TurnFinished
    | CallOpened
    | CallClosed
    | CallReported
    | PathChanged
    | PathParked
    | HunksCommitted
    | DecisionIntended
    | DecisionMade
    | DecisionTurned
    | CommentMade
    | FeedbackTold
)


def states_of(record: Record) -> dict[bytes, Json | None]:
    """Returns path → what pends on it after a record, in stored shape, for those it changed."""
    match record:
        case PathChanged():
            return {record.path: record.state}
        case DecisionMade() | DecisionTurned():
            return {item.path: item.after for item in record.items}
        case _:
            return {}


_KINDS: dict[str, type[Record]] = {cls.__name__: cls for cls in get_args(Record)}


def encode_record(record: Record) -> Json:
    """Returns a record as a JSON-ready dict with its kind and schema version."""
    body: Json = {"v": SCHEMA, "kind": type(record).__name__}
    for field in fields(record):
        body.update(_encode(field.name, getattr(record, field.name)))
    return body


def _encode(name: str, value: Any) -> Json:  # noqa: ANN401 - a field of any record
    if isinstance(value, bytes):
        return path_fields(value, name)
    if isinstance(value, Ref):
        return {name: encode_ref(value)}
    if isinstance(value, Owner):
        return {name: encode_owner(value)}
    if isinstance(value, Reach):
        paths, below = ([path_fields(path) for path in some] for some in (value.paths, value.below))
        return {name: {"paths": paths, "below": below, "complete": value.complete}}
    if name == "targets":
        return {name: [path_fields(path) for path in value]}
    if name == "items":
        return {name: [_encode_item(item) for item in value]}
    if name == "steps":
        return {name: [[encode_ref(after), encode_owner(owner)] for after, owner in value]}
    return {name: value}


def _encode_item(item: DecisionItem) -> Json:
    body: Json = {}
    for field in fields(item):
        body.update(_encode(field.name, getattr(item, field.name)))
    return body


def decode_record(body: Json) -> Record:
    """Returns the record that `encode_record` stored.

    Raises:
        KeyError: the kind or a field is unknown to this version; the store refuses newer schemas.
    """
    cls = _KINDS[body["kind"]]
    # A field that came later has a default: older logs stay readable.
    known = [f.name for f in fields(cls) if f.default is MISSING or f.name in body]
    return cls(**{name: _decode(name, body) for name in known})


def _decode(name: str, body: Json) -> Any:  # noqa: ANN401 - a field of any record
    if name in ("path", "cwd") or (name == "came_from" and body[name] is not None):
        return path_of(body, name)
    if name in ("before", "after", "cur_before", "cur_after") and isinstance(body[name], list):
        return decode_ref(body[name])
    if name == "owner":
        return decode_owner(body[name])
    if name == "targets":
        return tuple(path_of(target) for target in body[name])
    if name == "reach" and body[name] is not None:
        stored = body[name]
        paths, below = (tuple(path_of(one) for one in stored[key]) for key in ("paths", "below"))
        return Reach(paths=paths, below=below, complete=stored["complete"])
    if name == "items":
        return tuple(
            DecisionItem(
                **{field.name: _decode(field.name, item) for field in fields(DecisionItem)}
            )
            for item in body[name]
        )
    value = body[name]
    if name == "steps":
        return tuple((decode_ref(after), decode_owner(owner)) for after, owner in value)
    if name == "to":
        return tuple((agent, session) for agent, session in value)
    return tuple(value) if name in ("changes", "lines", "notes") else value
