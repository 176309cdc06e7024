"""Who wrote this: the attribution ladder.

Owns the choice of an owner for one observed change.  Must not change any state; the weakest answer
is `external`, never a guess about the user.  Hop 4.

The ladder, first match wins (DESIGN §5.5): the editor's claim → the user · an open edit window that
names the path: exact when the content is what the call announced, else likely · open shell windows,
first those whose command line names the path, then those that may touch it: likely for one, shared
for several · the tail of a call (background jobs, late writers): late · nothing: external.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import replace

from agentdiff.core.chunks import revise
from agentdiff.core.entries import ABSENT, Absent, Entry, File
from agentdiff.core.events import Target
from agentdiff.core.owners import EXTERNAL, Evidence, Owner
from agentdiff.core.sessions import Call


def announced(before: Entry, target: Target) -> Entry | None:
    """Returns the content that a call announced for a path, None when it did not say.

    The mode is not announced: the caller compares content and kind only.
    """
    if target.action in ("delete", "move"):
        return ABSENT
    if target.chunks and target.action == "edit" and isinstance(before, File):
        revised = revise(before.data, target.chunks)
        return File(data=revised) if isinstance(revised, bytes) else None
    if target.new_text is None:
        return None
    if target.action == "write":
        return File(data=target.new_text)
    if target.action != "edit" or target.old_text is None:
        return None
    data = before.data if isinstance(before, File) else b""
    if target.old_text == b"":
        return File(data=target.new_text) if not data else None
    if target.old_text not in data:
        return None
    count = -1 if target.replace_all else 1
    return File(data=data.replace(target.old_text, target.new_text, count))


def same_content(left: Entry | None, right: Entry) -> bool:
    """Whether two entries agree in kind and bytes, whatever their modes."""
    if isinstance(left, File) and isinstance(right, File):
        return left.data == right.data
    return isinstance(left, Absent) and isinstance(right, Absent)


def resolve(
    path: bytes,
    before: Entry,
    after: Entry,
    *,
    windows: Sequence[Call],
    tails: Sequence[Call],
    targets: Mapping[tuple[str, str, str], Mapping[bytes, Target]],
    promised: MutableMapping[tuple[str, str, str], dict[bytes, Entry]],
) -> Owner:
    """Returns the owner of a change.

    Args:
        path: what changed.
        before: content last known.
        after: content seen now.
        windows: calls whose windows are open.
        tails: calls that may still write after their window closed.
        targets: what open edit calls announced: (agent, session, call) → path → target.
        promised: the contents that these calls lead to, for those that were asked about; kept
            here from the first change of a path on, because a write may be seen half done.
    """
    naming = [call for call in windows if path in call.opened.targets]
    exact = [
        call
        for call in naming
        if (target := _target(call, path, targets)) is not None
        and _keeps(promised.setdefault(_key(call), {}), path, announced(before, target), after)
    ]
    if exact:
        return _owned(exact[-1:], "exact")
    if naming:
        return _owned(naming, "likely")
    trees = [call for call in windows if call.opened.scope == "tree"]
    # A command inside a shell call inside a program: the innermost knows best.
    outer = {call.opened.parent for call in trees}
    trees = [call for call in trees if call.opened.tool_call not in outer]
    # What a command line names is its own before one that may touch anything; one that is known to
    # do nothing here has no part in it.  All of this is read from text: it decides labels only.
    trees = [call for call in trees if _may_change(call, path)]
    trees = [call for call in trees if _names(call, path)] or trees
    if trees:
        return _owned(trees, "likely")
    if tails:
        return _owned(tails, "late")
    return EXTERNAL


def _key(call: Call) -> tuple[str, str, str]:
    return (*call.key, call.opened.tool_call)


def _keeps(promised: dict[bytes, Entry], path: bytes, now: Entry | None, after: Entry) -> bool:
    """Whether a content is what a call promised, or as much of it as was written by then.

    Programs truncate a file and then write it: an edit of the truncated file promises nothing.
    """
    if now is not None:
        promised.setdefault(path, now)
    for wanted in (now, promised.get(path)):
        if same_content(wanted, after) or _begins(wanted, after):
            return True
    return False


def _begins(wanted: Entry | None, after: Entry) -> bool:
    if not (isinstance(wanted, File) and isinstance(after, File)):
        return False
    return wanted.data.startswith(after.data)


def _names(call: Call, path: bytes) -> bool:
    reach = call.opened.reach
    return reach is not None and reach.covers(path)


def _may_change(call: Call, path: bytes) -> bool:
    reach = call.opened.reach
    return reach is None or not reach.complete or reach.covers(path)


def _target(
    call: Call, path: bytes, targets: Mapping[tuple[str, str, str], Mapping[bytes, Target]]
) -> Target | None:
    return targets.get(_key(call), {}).get(path)


def _owned(calls: Sequence[Call], evidence: Evidence) -> Owner:
    """Returns the owner that stands for these calls: one call, or what several have in common."""
    if len(calls) == 1:
        return _owner(calls[0], evidence)
    among = tuple(_owner(call, "shared") for call in calls)
    if len({call.key for call in calls}) > 1:
        return Owner(kind="shared", evidence="shared", among=among)
    return replace(among[-1], among=among)


def _owner(call: Call, evidence: Evidence) -> Owner:
    opened = call.opened
    return Owner(
        kind="agent",
        evidence=evidence,
        agent=opened.agent,
        session=opened.session,
        subagent=opened.subagent,
        turn=opened.turn,
        tool_call=opened.tool_call,
        tool=opened.tool,
    )
