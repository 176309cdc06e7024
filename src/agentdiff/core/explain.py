"""Why a change is whose: its owners with prompt, command and evidence.

Owns the JSON of ``explain`` (doc/protocol.md).  Must not change anything.  Hop 6.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from agentdiff.core.codec import path_fields
from agentdiff.core.grouping import turn_of
from agentdiff.core.hunks import Hunk
from agentdiff.core.ledger import Ledger
from agentdiff.core.owners import Owner
from agentdiff.core.pathstate import PathState
from agentdiff.core.view import Json, owner_json


def explain(ledger: Ledger, ids: Collection[int]) -> list[Json]:
    """Returns one object for each of these ids that pends, in the order of paths and lines."""
    calls = {
        (call.opened.agent, call.opened.session, call.opened.tool_call): call
        for call in ledger.sessions.calls()
    }
    return [
        {
            **path_fields(state.path),
            "id": number,
            "gen": change.gen,
            "status": state.status,
            "coverage": state.coverage,
            "owners": [
                {**_owner(ledger, owner, calls), "lines": _lines(state, number, owner)}
                for owner in change.owners
            ],
        }
        for state in sorted(ledger.paths.values(), key=lambda state: state.path)
        for number, change in state.changes().items()
        if number in ids
    ]


def _owner(ledger: Ledger, owner: Owner, calls: dict[tuple[str, str, str], Any]) -> Json:
    turn = turn_of(ledger, owner)
    call = calls.get((owner.agent or "", owner.session or "", owner.tool_call or ""))
    return {
        **owner_json(owner),
        "n": None if turn is None else turn.n,
        "prompt": "" if turn is None else turn.prompt,
        "command": None if call is None else call.opened.command,
        "outcome": None if call is None else call.outcome or "open",
        "started": None if call is None else call.opened.at_ns / 1_000_000_000,
        "calls": [
            {
                "agent": one.agent,
                "session": one.session,
                "turn": one.turn,
                "tool_call": one.tool_call,
            }
            for one in owner.among
        ],
    }


def _lines(state: PathState, number: int, owner: Owner) -> Json:
    """Returns how many lines of a hunk the owner added and removed."""
    hunks: list[Hunk] = [hunk for hunk in state.hunks if hunk.id == number]
    return {
        "added": sum(hunk.new_owners.count(owner) for hunk in hunks),
        "removed": sum(hunk.old_owners.count(owner) for hunk in hunks),
    }
