"""A decision that writes does not cut into an agent's edit that is under way.

Owns the waiting, at most `WAIT_S`, and saying so.  Must not decide: after that the decision is
carried out all the same, and compare-and-swap keeps what the agent writes.  Hop 3, on the thread
that serves the request, never on the worker.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Mapping
from typing import Any

from agentdiff.core.codec import path_fields
from agentdiff.core.decisions import below, concerned
from agentdiff.daemon.desk import Desk
from agentdiff.daemon.ports import ClientPort, RequestError
from agentdiff.sources import editor

WAIT_S = 2.0
_POLL_S = 0.02

# Methods that may write to disk.
WRITING = frozenset({"decide", "undo", "redo", "baseline.restore"})


def wait_for_edits(
    ask: Callable[[], list[dict[str, Any]]], client: ClientPort, workspace: str
) -> None:
    """Waits until no edit is under way on what a request writes.

    Args:
        ask: returns the edits, from `edits_under_way`; called again and again.
        client: is told once, if there is something to wait for.
        workspace: its name, for the client.
    """
    deadline = time.monotonic() + WAIT_S
    told = False
    while (edits := ask()) and time.monotonic() < deadline:
        if not told:
            client.send("waiting", {"workspace": workspace, "for": edits})
            told = True
        time.sleep(_POLL_S)


def edits_under_way(
    desk: Desk, method: str, params: Mapping[str, object], client: str
) -> list[dict[str, Any]]:
    """Returns the open calls that announced a path which a request may write; worker thread."""
    calls = [one for one in desk.ledger.sessions.open_calls() if one.opened.scope == "paths"]
    if not calls:
        return []
    try:
        may_write = _written(desk, method, params, client)
    except (RequestError, sqlite3.OperationalError):
        return []  # the request itself will say so
    return [
        {"agent": call.opened.agent, "tool": call.opened.tool, **path_fields(path)}
        for call in calls
        for path in call.opened.targets
        if may_write(path)
    ]


def _written(
    desk: Desk, method: str, params: Mapping[str, object], client: str
) -> Callable[[bytes], bool]:
    """Returns what tells whether a request may write a path."""
    ledger, root = desk.ledger, desk.root
    if method == "decide":
        event = editor.decision(params, client, 0, root=root)
        paths = concerned(ledger.paths, event.selection) if event.op == "reject" else set()
        # A rename that is rejected writes where it came from, too.
        origins = {ledger.paths[path].origin for path in paths & ledger.renamed}
        return lambda path: path in paths or path in origins
    if method == "baseline.restore":
        named = editor.paths(params, root)  # none: everything
        return lambda path: not named or below(path, named)
    step = ledger.turns.target(client, redo=method == "redo")
    items = () if step is None else desk.recall.items(step)
    return {item.path for item in items}.__contains__
