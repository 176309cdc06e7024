"""A commit, heard of: what it contains of what pends is decided, or noted.

Owns what follows from a commit.  Must not run git (`agentdiff.workspace.head` does) nor compare
contents (`agentdiff.core.epochs`).  Hop 4, called by `agentdiff.core.observer`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentdiff.core import events as ev
from agentdiff.core.commands import Command, Publish
from agentdiff.core.entries import Absent
from agentdiff.core.epochs import committed
from agentdiff.core.pathstate import PathState
from agentdiff.core.records import HunksCommitted

if TYPE_CHECKING:
    from agentdiff.core.ledger import Ledger


def commit_heard(ledger: Ledger, event: ev.GitCommitted) -> list[Command]:
    """Returns the commands for a commit.  Worker thread only.

    A person's accepts what it contains; an agent's accepts nothing, and is noted.
    """
    author = ledger.sessions.at_work(event.received_ns)
    if author is None:
        ledger.observer.epochs.expect(event.changed, event.received_ns, written=False)
    found: list[tuple[PathState, tuple[int, ...]]] = []
    # A rename is one change: a commit that has only one of its paths does not contain it.
    origins = {ledger.paths[path].origin for path in ledger.renamed}
    gone = {path for path, entry in event.contents if isinstance(entry, Absent)}
    for path, entry in event.contents:
        state = None if path in origins else ledger.paths.get(path)
        if state is not None and state.origin is not None and state.origin not in gone:
            continue
        ids = committed(state, entry) if state is not None else ()
        if state is not None and ids:
            found.append((state, ids))
    if not found:
        return []
    if author is not None:
        marked = HunksCommitted(
            commit=event.commit,
            agent=author.agent,
            session=author.id,
            changes=tuple(one for _, ids in found for one in ids),
            at_ns=event.received_ns,
        )
        return [ledger.commit(marked), Publish(files=tuple(state.path for state, _ in found))]
    picks = tuple(ev.HunkPick(hunk=one) for _, ids in found for one in ids)
    accepted = ev.DecisionRequested(
        op="accept",
        selection=ev.Selection(picks=picks),
        client="git",
        received_ns=event.received_ns,
        label="commit",
        reason=event.commit,
    )
    return ledger.executor.handle(accepted)
