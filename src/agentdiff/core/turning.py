"""Undo and redo of a decision on a path that moved on.

Owns the replay of what happened since on top of what the decision is turned back to.  Must not
write.  Hop 4, called by `agentdiff.core.execution`.

Theory.  A decision took a path from one state and content to another.  Later steps were seen on top
of the latter.  To turn the decision is to see the same steps on top of the former: their contents
are merged three-way where the decision had changed the content, and each is observed with its own
author.  Where a merge conflicts nothing is done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from agentdiff.core.entries import Entry, File
from agentdiff.core.events import LoadedItem, Step
from agentdiff.core.hunks import NewId
from agentdiff.core.merge import merge3
from agentdiff.core.observing import observe
from agentdiff.core.pathstate import PathState, is_binary


def turned(item: LoadedItem, *, redo: bool) -> LoadedItem:
    """Returns a decision's item in the direction in which it is turned."""
    if redo:
        return item
    return replace(
        item,
        before=item.after,
        after=item.before,
        cur_before=item.cur_after,
        cur_after=item.cur_before,
    )


def is_unmoved(item: LoadedItem) -> bool:
    """Whether the path holds what the decision left there, as far as the log tells."""
    return not item.since or item.since[-1].after == item.cur_before


def caught_up(
    item: LoadedItem, current: PathState | None, new_id: NewId
) -> tuple[PathState | None, Entry, Entry] | None:
    """Returns (state, content there now, content to be) of a turned decision on a path.

    Args:
        item: from `turned`.
        current: what pends on the path now.
        new_id: makes ids and generations.

    Returns:
        None where it cannot be said what the path would be: a conflict, another decision since, a
        rename, or a git command that replaced the content.
    """
    steps = item.since
    states = (item.before, item.after, current)
    renamed = any(state is not None and state.origin is not None for state in states)
    if not steps or renamed or any(s.owner.kind == "git" and s.owner.proved for s in steps):
        return None
    state, content = item.after, item.cur_after
    for step in steps:
        merged = _merged(item.cur_before, step, item.cur_after)
        if merged is None:
            return None
        state = observe(state, item.path, content, merged, step.owner, new_id)
        content = merged
    return state, _last(steps), content


def _last(steps: Sequence[Step]) -> Entry:
    return steps[-1].after


def _merged(original: Entry, step: Step, wanted: Entry) -> Entry | None:
    """Returns what a step would have made of the content that is wanted."""
    if original == wanted:
        return step.after
    if step.after == original:
        return wanted
    after = step.after
    if not (isinstance(original, File) and isinstance(after, File) and isinstance(wanted, File)):
        return None
    if any(is_binary(entry.data) for entry in (original, after, wanted)):
        return None
    merge = merge3(original.data, after.data, wanted.data)
    if not merge.clean:
        return None
    mode = wanted.mode if after.mode == original.mode else after.mode
    return File(data=merge.data, mode=mode)
