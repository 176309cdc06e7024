"""Answers to what a reviewer asks: applying edits, the evidence behind a hunk, what was rejected.

Owns the parameters of ``review.apply``, ``explain`` and ``rejected`` (doc/protocol.md).
Must not settle or wait: the engine did.  Runs on the worker thread.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from agentdiff.core.events import BlockEdit, EditRequested
from agentdiff.core.explain import explain as explained
from agentdiff.core.rejected import rejected as listed
from agentdiff.daemon.ports import RequestError
from agentdiff.sources import editor

if TYPE_CHECKING:
    from agentdiff.daemon.requests import Request


def apply(request: Request) -> None:
    """Answers ``review.apply``."""
    given = request.params.get("edits")
    if not isinstance(given, list) or not given:
        raise RequestError("usage", "edits: expected a list of objects with id, gen, before, after")
    edits = tuple(_edit(item) for item in given)
    request.desk.handle(
        EditRequested(
            edits=edits,
            client=request.client.kind,
            received_ns=time.time_ns(),
            request=request.later(),
        )
    )


def _edit(item: object) -> BlockEdit:
    if not isinstance(item, dict):
        raise RequestError("usage", "edits: expected a list of objects with id, gen, before, after")
    return BlockEdit(
        hunk=editor.required(item, "id", int),
        gen=editor.required(item, "gen", int),
        before=_rows(item, "before"),
        after=_rows(item, "after"),
    )


def _rows(item: Mapping[str, object], name: str) -> tuple[str, ...]:
    rows = item.get(name)
    if not isinstance(rows, list) or not all(isinstance(row, str) for row in rows):
        raise RequestError("usage", f"edits: {name}: expected a list of lines")
    return tuple(rows)


def explain(request: Request) -> None:
    """Answers ``explain``."""
    ids = request.params.get("hunks")
    if not isinstance(ids, list) or not all(type(one) is int for one in ids):
        raise RequestError("usage", "hunks: expected a list of ids")
    ledger = request.desk.ledger
    request.answer({"v": 1, "seq": ledger.seq, "hunks": explained(ledger, set(ids))})


def rejected(request: Request) -> None:
    """Answers ``rejected``."""
    ledger = request.desk.ledger
    recall = request.desk.recall
    found = listed(ledger, recall.items, recall.load)
    request.answer({"v": 1, "seq": ledger.seq, "rejected": found})
