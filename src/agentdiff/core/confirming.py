"""An agent's own account of what a command changed, held against what was seen.

Owns the raising of evidence from ``likely`` to ``exact``.  Must not give lines to anybody: it
changes how sure we are of an owner, never who it is.  Hop 4.
"""

from __future__ import annotations

from dataclasses import replace

from agentdiff.core.entries import Absent, File
from agentdiff.core.events import Edited
from agentdiff.core.owners import Owner
from agentdiff.core.pathstate import PathState, lines_of


def confirmed(state: PathState, edited: Edited, tool_call: str) -> PathState | None:
    """Returns the state with the lines of a call marked as exactly its own.

    Args:
        state: of the path that the account names.
        edited: what the agent says that the call did to it.
        tool_call: the call.

    Returns:
        None when the account does not fit what is there, or nothing is to be raised.
    """
    if not _fits(state, edited):
        return None

    def raised(owners: tuple[Owner, ...]) -> tuple[Owner, ...]:
        return tuple(
            replace(owner, evidence="exact")
            if owner.tool_call == tool_call and owner.evidence == "likely"
            else owner
            for owner in owners
        )

    after = replace(
        state,
        hunks=tuple(
            replace(hunk, old_owners=raised(hunk.old_owners), new_owners=raised(hunk.new_owners))
            for hunk in state.hunks
        ),
        meta=tuple(replace(change, owners=raised(change.owners)) for change in state.meta),
    )
    return None if after == state else after


def _fits(state: PathState, edited: Edited) -> bool:
    """Whether every piece that the account shows stands where it says."""
    if edited.deleted:
        return isinstance(state.cur, Absent)
    if not edited.pieces or not isinstance(state.cur, File):
        return False
    there = [line.rstrip(b"\r\n") for line in lines_of(state.cur)]
    return all(
        tuple(there[first : first + len(lines)]) == tuple(line.rstrip(b"\r") for line in lines)
        for first, lines in edited.pieces
    )
