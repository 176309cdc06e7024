"""What git's moves are as events of one workspace's ledger.

Owns which paths are asked about.  Must not decide whose command it was.  Between hops 5 and 4;
worker thread.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from agentdiff.core.events import GitCommitted, GitMoved
from agentdiff.core.ledger import Ledger
from agentdiff.workspace.head import Head

_SHORT = 7


def news(head: Head, ledger: Ledger, paths: Iterable[bytes]) -> Iterator[GitCommitted | GitMoved]:
    """Yields what git did since the last call.

    Args:
        head: the work tree's.
        ledger: asked anew for each event, so that each may be told before the next is taken.
        paths: what is about to be told as observed.
    """
    moves = head.moves()
    now = time.time_ns()
    if not moves or not (ledger.under_review(now) or ledger.observer.parking):
        return
    seen = {*paths, *ledger.observer.proofs.paths()}
    for move in moves:
        pending = [(path, state.cur) for path, state in ledger.paths.items()]
        if move.commits:
            yield GitCommitted(
                commit=move.new[:_SHORT].decode(errors="replace"),
                contents=head.committed(move, dict(pending), pending),
                changed=head.contents(move, ()),
                received_ns=now,
            )
            continue
        if move.label == "checkout" and move.old == move.new:
            continue  # a new branch: no file was written, so that it explains none
        found = head.contents(move, {*seen, *ledger.paths})
        if found:
            popped = move.popped
            yield GitMoved(label=move.label, contents=found, received_ns=now, popped=popped)
