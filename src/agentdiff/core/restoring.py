"""Going back to what paths held at another time.

Owns the plan of a restore: what pends afterwards, and whose it is.  Must not look for contents
(hop 5 gives them) nor write.  Hop 4, called by `agentdiff.core.execution`.

What comes back with a restore is nobody's new work if it was put aside (`agentdiff.core.parking`),
as when another program brings it.  All else counts as typed by the person who asked for it, so that
no reject of an agent's work takes it: the state of that time is in the log, but what was decided
and what came into the base since is not in that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from agentdiff.core.decisions import PathPlan, Plan
from agentdiff.core.entries import Entry
from agentdiff.core.hunks import NewId
from agentdiff.core.observing import observe
from agentdiff.core.owners import USER
from agentdiff.core.parking import Parking
from agentdiff.core.pathstate import PathState


def planned(
    paths: Mapping[bytes, PathState],
    parking: Parking,
    contents: Iterable[tuple[bytes, Entry, Entry]],
    apart: Callable[[PathState | None], PathState | None],
    new_id: NewId,
) -> Plan:
    """Returns what a restore does.

    Args:
        paths: every path with something pending.
        parking: what was put aside.
        contents: path, what is there, what is to be there.
        apart: gives ids that pend elsewhere to nobody else; see `Ledger.apart`.
        new_id: makes ids and generations.
    """
    restored = Plan([], [], [])
    for path, there, wanted in contents:
        state = paths.get(path)
        after = _after(state, path, there, wanted, paths, parking, new_id)
        restored.paths.append(
            PathPlan(
                path=path,
                picks={},
                before=state,
                after=apart(after),
                cur_before=there,
                cur_after=wanted,
            )
        )
    return restored


def _after(
    state: PathState | None,
    path: bytes,
    there: Entry,
    wanted: Entry,
    paths: Mapping[bytes, PathState],
    parking: Parking,
    new_id: NewId,
) -> PathState | None:
    base = there if state is None else state.rest
    back = parking.returning(path, base, wanted, USER, new_id, paths)
    if back is not None or state is None:
        return back
    aside = parking.resumed(path, state, there, wanted, USER, paths)
    start = state if aside is None else aside
    return observe(start, path, start.cur, wanted, USER, new_id, mirror=False)
