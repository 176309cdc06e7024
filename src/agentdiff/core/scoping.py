"""What names of turns and tool calls mean: whose they are.

Owns the look-up of names that a person or a program gives.  Must not pick changes
(`agentdiff.core.decisions`).  Hop 4.

An id is an agent's own: two sessions may have a turn or a call of the same id.  A name that could
mean either is refused, because what is decided would be somebody else's, too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from agentdiff.core.selections import Selection
from agentdiff.core.sessions import Call, Session, SessionKey, Sessions, Turn


def pinned(sessions: Sessions, selection: Selection) -> Selection | str:
    """Returns a selection whose turn and calls are those of one session, or why there are none.

    A turn may be given by its number in this workspace, too.  A call stands for the calls inside
    it (the commands that it ran).  What is pinned already stays as it is.
    """
    if selection.turn is not None:
        turn = turn_named(sessions, selection.turn, selection.agent, selection.session)
        if isinstance(turn, str):
            return turn
        selection = replace(selection, agent=turn.agent, session=turn.session, turn=turn.id)
    if not selection.calls:
        return selection
    return _with_calls(sessions, selection)


def turn_named(
    sessions: Sessions, name: str, agent: str | None = None, session: str | None = None
) -> Turn | str:
    """Returns the turn with this id or number, or why it is not known which.

    In one session an id goes before a number.

    Args:
        sessions: where to look.
        name: id, or number in this workspace.
        agent: whose it is, None for anybody's.
        session: in which, None for any.
    """
    found = [
        turn
        for turn in sessions.turns.values()
        if name in (turn.id, str(turn.n))
        and agent in (None, turn.agent)
        and session in (None, turn.session)
    ]
    if not found:
        return f"turn: no turn {name!r} {_where(agent, session)}: see `agentdiff log`"
    keys = dict.fromkeys((turn.agent, turn.session) for turn in found)
    if len(keys) > 1:
        return _ambiguous("turn", name, keys)
    return next((turn for turn in found if turn.id == name), found[0])


def _with_calls(sessions: Sessions, selection: Selection) -> Selection | str:
    name = selection.calls[0]
    found = [
        (session, call)
        for session in sessions.by_key.values()
        if selection.agent in (None, session.agent) and selection.session in (None, session.id)
        for call in (session.calls.get(one) for one in selection.calls)
        if call is not None and selection.turn in (None, call.opened.turn)
    ]
    if not found:
        where = _where(selection.agent, selection.session)
        if selection.turn is not None:
            where = f"in that turn of {selection.agent} {selection.session}"
        return f"call: no tool call {name!r} {where}: see `agentdiff log`"
    keys = dict.fromkeys(session.key for session, _ in found)
    if len(keys) > 1:
        return _ambiguous("call", name, keys)
    session = found[0][0]
    calls = _with_inner(session, [call for _, call in found])
    return replace(selection, agent=session.agent, session=session.id, calls=calls)


def _with_inner(session: Session, calls: Iterable[Call]) -> tuple[str, ...]:
    """Returns the ids of calls, and of those inside them, at any depth."""
    inner: dict[str, list[str]] = {}
    for name, call in session.calls.items():
        if call.opened.parent:
            inner.setdefault(call.opened.parent, []).append(name)
    found: dict[str, None] = {}
    todo = [call.opened.tool_call for call in calls]
    while todo:
        name = todo.pop(0)
        if name not in found:
            found[name] = None
            todo += inner.get(name, ())
    return tuple(found)


def _where(agent: str | None, session: str | None) -> str:
    whose = " ".join(one for one in (agent, session) if one is not None)
    return f"of {whose} here" if whose else "here"


def _ambiguous(what: str, name: str, keys: Iterable[SessionKey]) -> str:
    whose = ", ".join(f"{agent} {session}" for agent, session in keys)
    return f"{what}: {name!r} may be that of {whose}: name the session or the agent, too"
