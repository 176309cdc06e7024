"""What each RPC method of the engine answers.

Owns one handler per method of doc/protocol.md.  Must not settle or wait: the engine did.  Runs on
the worker thread, so that an answer describes one state.
"""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from agentdiff.core import panes, patch, scoping, view
from agentdiff.core.codec import path_fields
from agentdiff.core.entries import Entry, File, Link
from agentdiff.core.events import (
    DecisionRequested,
    RestoreRequested,
    Selection,
    UndoRequested,
)
from agentdiff.core.grouping import GROUPINGS
from agentdiff.daemon import reviewing, telling
from agentdiff.daemon.desk import Desk
from agentdiff.daemon.ports import ClientPort, RequestError
from agentdiff.sources import editor

if TYPE_CHECKING:
    from agentdiff.daemon.engine import Engine

Json: TypeAlias = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request:
    """One request, with the workspace it is about.

    Attributes:
        unsettled: why the state may be older than the disk; empty when it is not.
    """

    engine: Engine
    desk: Desk
    params: Mapping[str, object]
    client: ClientPort
    future: Future[dict[str, object]]
    unsettled: tuple[str, ...]

    def answer(self, result: Json) -> None:
        """Gives the client its result."""
        self.future.set_result(result)

    def later(self) -> int:
        """Lets the ledger's `Answer` with the returned number be the answer of this request."""
        number, answers = self.engine.new_request(), self.desk.answers
        answers[number] = self.future
        # Also when it fails: what still waits for an answer keeps its workspace open.
        self.future.add_done_callback(lambda _: answers.pop(number, None))
        return number

    def filter(self) -> Selection:
        """Returns the owner and path filter of the parameters."""
        owner = editor.owner(self.params)
        return self.meant(replace(owner, paths=editor.paths(self.params, self.desk.root)))

    def meant(self, selection: Selection) -> Selection:
        """Returns a selection whose turn and calls are those of one session.

        Raises:
            RequestError: ``usage``, there is no such turn or call, or several sessions have one.
        """
        return _found(scoping.pinned(self.desk.ledger.sessions, selection))


def _found(named: T | str) -> T:
    if isinstance(named, str):
        raise RequestError("usage", named)
    return named


Handler: TypeAlias = Callable[[Request], None]


def _settled(request: Request) -> Json:
    body: Json = {"settled": not request.unsettled}
    return {**body, "unsettled": list(request.unsettled)} if request.unsettled else body


def status(request: Request) -> None:
    """Answers ``status``."""
    desk = request.desk
    inside = {one.root: one for one in request.engine.inside(desk)}
    coverage = [
        {**path_fields(skipped.path), "reason": skipped.reason}
        for skipped in desk.tracker.coverage()
        if os.path.join(desk.root, skipped.path) not in inside
    ]
    problems = (desk.watcher.problem, desk.upkeep.problem, desk.git_problem)
    coverage += [{"path": "", "reason": problem} for problem in problems if problem is not None]
    ignored = desk.tracker.ignored()
    coverage += [{**path_fields(one.path), "reason": one.reason} for one in ignored.first]
    request.answer(
        {
            **view.status(desk.ledger),
            **_settled(request),
            "workspace": desk.name,
            "coverage": coverage,
            "ignored": {"folders": ignored.folders, "files": ignored.files},
            "inside": [
                {"workspace": one.name, **view.status_totals(view.shown(one.ledger))}
                for one in inside.values()
                if one.ledger.paths
            ],
            "store": {
                "blobs": desk.blobs.count,
                "blob_bytes": desk.blobs.size_bytes,
                "budget_bytes": desk.upkeep.budget_bytes,
            },
            "summary": view.summary(desk.ledger, time.time_ns()),
        }
    )


def diff(request: Request) -> None:
    """Answers ``diff``."""
    external = editor.flag(request.params, "external")
    chosen = request.filter()
    selected = view.selected(request.desk.ledger, chosen, external=external)
    states = [view.scoped(state, chosen, external=external) for state in selected]
    skipped = [
        {**path_fields(state.path), "reason": reason}
        for state in states
        if (reason := patch.unpatchable(state)) is not None
    ]
    text = b"".join(patch.render(state) for state in states)
    request.answer(
        {
            "seq": request.desk.ledger.seq,
            **_settled(request),
            "diff_b64": base64.b64encode(text).decode(),
            "skipped": skipped,
        }
    )


def review(request: Request) -> None:
    """Answers ``review``."""
    context = editor.optional(request.params, "context", int)
    chosen = request.filter()
    if request.params.get("path") is not None or request.params.get("path_b64") is not None:
        chosen = replace(chosen, paths=(editor.path_of(request.params, request.desk.root),))
    by = editor.optional(request.params, "group", str) or "file"
    if by not in GROUPINGS:
        raise RequestError("usage", f"group: {' '.join(GROUPINGS)}, not {by!r}")
    states = view.selected(request.desk.ledger, chosen, external=True)
    body = panes.review(
        request.desk.ledger,
        request.desk.root,
        states,
        time.time_ns(),
        patch.CONTEXT_LINES if context is None else max(context, 0),
        by,
        chosen,
    )
    request.answer({**body, **_settled(request)})


def inline(request: Request) -> None:
    """Answers ``inline``: one view per path that has something pending."""
    ledger = request.desk.ledger
    wanted = editor.paths(request.params, request.desk.root)
    states = [ledger.paths[path] for path in wanted if path in ledger.paths]
    moved: dict[bytes, bytes] = {}
    if any(state.status == "deleted" for state in states):
        moved = {state.origin: path for path, state in ledger.paths.items() if state.origin}
    files = [
        {
            **panes.inline(ledger, state),
            **(path_fields(moved[state.path], "new_path") if state.path in moved else {}),
        }
        for state in states
    ]
    request.answer({"seq": ledger.seq, "files": files})


def log(request: Request) -> None:
    """Answers ``log``."""
    ledger = request.desk.ledger
    request.answer({"seq": ledger.seq, "calls": view.log(ledger)})


# --- decisions -----------------------------------------------------------------------------------


def decide(request: Request) -> None:
    """Answers ``decide``."""
    client = request.client.kind
    root = request.desk.root
    event = editor.decision(request.params, client, time.time_ns(), root=root)
    selection = request.meant(event.selection)
    request.desk.handle(replace(event, selection=selection, request=request.later()))


def undo(request: Request) -> None:
    """Answers ``undo``."""
    _turn(request, redo=False)


def redo(request: Request) -> None:
    """Answers ``redo``."""
    _turn(request, redo=True)


def _turn(request: Request, *, redo: bool) -> None:
    client = request.client.kind
    ledger = request.desk.ledger
    step = ledger.turns.target(client, redo=redo)
    items = () if step is None else request.desk.recall.turned(step, redo=redo)
    request.desk.handle(
        UndoRequested(
            client=client,
            received_ns=time.time_ns(),
            request=request.later(),
            redo=redo,
            decision=None if step is None else step.decision,
            items=items,
        )
    )


# --- baseline ------------------------------------------------------------------------------------


def baseline_list(request: Request) -> None:
    """Answers ``baseline.list``."""
    ledger = request.desk.ledger
    full = view.status(ledger)
    turns = sorted(ledger.sessions.turns.values(), key=lambda turn: turn.n)
    request.answer(
        {
            "seq": ledger.seq,
            "files": full["files"],
            "turns": [
                {
                    "id": turn.id,
                    "n": turn.n,
                    "agent": turn.agent,
                    "session": turn.session,
                    "prompt": turn.prompt,
                    "started": turn.started_ns / 1_000_000_000,
                }
                for turn in turns
            ],
        }
    )


def baseline_show(request: Request) -> None:
    """Answers ``baseline.show``."""
    path = editor.path_of(request.params, request.desk.root)
    if path == b".":
        raise RequestError("usage", "path: it is the workspace itself; name a file in it")
    entry = request.desk.base_of(path)
    ref = entry.ref()
    request.answer(
        {
            **path_fields(path),
            "kind": ref.kind,
            "mode": ref.mode,
            "data_b64": base64.b64encode(_content(entry)).decode(),
            "reason": ref.note,
        }
    )


def _content(entry: Entry) -> bytes:
    if isinstance(entry, File):
        return entry.data
    return entry.target if isinstance(entry, Link) else b""


def baseline_set(request: Request) -> None:
    """Answers ``baseline.set``: what is there now becomes the base."""
    _decide_all(request, "accept", "set")


def baseline_clear(request: Request) -> None:
    """Answers ``baseline.clear``: nothing pends any more, the disk is left alone."""
    _decide_all(request, "accept", "clear")


def baseline_restore(request: Request) -> None:
    """Answers ``baseline.restore``: the base, or what was there when a turn started."""
    name = editor.optional(request.params, "turn", str)
    whose = [editor.optional(request.params, one, str) for one in ("agent", "session")]
    if name is None and any(whose):
        raise RequestError("usage", "turn: missing: agent and session say whose turn is meant")
    if name is None:
        _decide_all(request, "reject", "restore")
        return
    desk = request.desk
    turn = _found(scoping.turn_named(desk.ledger.sessions, name, *whose))
    refs = desk.recall.content_at(turn.started_seq, editor.paths(request.params, request.desk.root))
    contents = []
    for path, ref in refs.items():
        current, wanted = desk.current(path), desk.recall.load(ref)
        if current != wanted:
            contents.append((path, current, wanted))
    desk.handle(
        RestoreRequested(
            client=request.client.kind,
            received_ns=time.time_ns(),
            request=request.later(),
            contents=tuple(contents),
            turn=turn.id,
        )
    )


def _decide_all(request: Request, op: Literal["accept", "reject"], label: str) -> None:
    paths = editor.paths(request.params, request.desk.root)
    request.desk.handle(
        DecisionRequested(
            op=op,
            selection=Selection(everything=not paths, paths=paths, include_external=True),
            client=request.client.kind,
            received_ns=time.time_ns(),
            request=request.later(),
            label=label,
            discard_user=op == "reject",
        )
    )


# --- editors -------------------------------------------------------------------------------------


def attach(request: Request) -> None:
    """Answers ``attach``."""
    request.engine.attach(request.desk, request.client)
    ledger = request.desk.ledger
    request.answer(
        {
            "workspace": request.desk.name,
            "seq": ledger.seq,
            "summary": view.summary(ledger, time.time_ns()),
        }
    )


def detach(request: Request) -> None:
    """Answers ``detach``."""
    request.engine.detach(request.desk, request.client)
    request.answer({})


METHODS: dict[str, Handler] = {
    "status": status,
    "diff": diff,
    "review": review,
    "review.apply": reviewing.apply,
    "explain": reviewing.explain,
    "rejected": reviewing.rejected,
    "inline": inline,
    "log": log,
    "decide": decide,
    "undo": undo,
    "redo": redo,
    "baseline.list": baseline_list,
    "baseline.show": baseline_show,
    "baseline.set": baseline_set,
    "baseline.restore": baseline_restore,
    "baseline.clear": baseline_clear,
    "comment": telling.comment,
    "feedback": telling.feedback,
    "attach": attach,
    "detach": detach,
}
# An editor's own views follow the `changed` notification: they need not wait for the disk.
UNSETTLED = frozenset({"inline", "attach", "detach", "comment", "feedback"})
