"""Which workspaces an event of an agent is about.

Owns the map from sessions to the workspaces that they touched, so that a session that walks into
another workspace is introduced there with its start and its prompt.  Must not open, read or queue
anything except to ask where a path belongs.  Hop 3.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace

from agentdiff.core.events import (
    AgentEvent,
    PromptSubmitted,
    Reach,
    SessionEnded,
    SessionStarted,
    Target,
    ToolFinished,
    ToolStarted,
)
from agentdiff.workspace.roots import confine, find_root, owner_root
from agentdiff.workspace.spelling import true_path

MAX_SESSIONS = 4096
"""Of how many sessions it is known where they were; one that is forgotten starts anew."""


@dataclass(slots=True)
class _Known:
    roots: dict[bytes, None] = field(default_factory=dict)
    introduction: dict[type[AgentEvent], AgentEvent] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Route:
    """One workspace that an event goes to.

    Attributes:
        root: the workspace.
        events: what its ledger is told, in order; targets are relative to the root.
    """

    root: bytes
    events: tuple[AgentEvent, ...]


class Router:
    """Thread-safe; hooks of several agents arrive at once.

    Args:
        known_roots: returns the workspaces that are open or were used before.
    """

    def __init__(self, known_roots: Callable[[], Collection[bytes]]) -> None:
        self._known_roots = known_roots
        self._sessions: dict[tuple[str, str], _Known] = {}
        # Of the table alone: where a path belongs is asked of file systems, one of which may hang.
        self._lock = threading.Lock()

    def route(self, event: AgentEvent) -> tuple[list[Route], list[bytes]]:
        """Returns where an event goes, and the announced paths that belong to no workspace."""
        known = self._known_roots()
        been = self._been(event)
        home = self._home(event, been, known)
        outside: list[bytes] = []
        if isinstance(event, ToolStarted | ToolFinished) and event.scope == "paths":
            among = {*known, *been, *([] if home is None else [home])}
            by_root: dict[bytes, AgentEvent] = dict(self._split(event, among, outside))
        else:
            where = [*been, *([] if home is None else [home])]
            by_root = {root: _reaching(event, root) for root in where}
        if isinstance(event, ToolFinished) and event.edits:
            by_root = {root: _confined(one, root) for root, one in by_root.items()}
        with self._lock:
            session = self._session(event)
            routes = [
                Route(root, (*self._introduce(session, root), one)) for root, one in by_root.items()
            ]
            if isinstance(event, SessionStarted | PromptSubmitted):
                session.introduction[type(event)] = event
            if isinstance(event, SessionEnded):
                del self._sessions[event.agent, event.session]
        return routes, outside

    def into(self, event: ToolStarted | ToolFinished, roots: Collection[bytes]) -> list[Route]:
        """Returns where else an event goes that may touch anything: workspaces inside another.

        Args:
            event: a call that may touch anything, routed already.
            roots: work trees inside a workspace that it went to; those that the session knows
                were among its routes.
        """
        been = self._been(event)
        inside = {root: _reaching(event, root) for root in roots if root not in been}
        with self._lock:
            session = self._sessions.get((event.agent, event.session))
            if session is None:
                return []
            return [
                Route(root, (*self._introduce(session, root), one)) for root, one in inside.items()
            ]

    def leave(self, event: AgentEvent, root: bytes) -> None:
        """Forgets that a session was in a workspace; should it be back, it is introduced anew."""
        with self._lock:
            session = self._sessions.get((event.agent, event.session))
            if session is not None:
                session.roots.pop(root, None)

    def _been(self, event: AgentEvent) -> tuple[bytes, ...]:
        """Returns the workspaces that a session was in."""
        with self._lock:
            session = self._sessions.get((event.agent, event.session))
            return () if session is None else tuple(session.roots)

    def _session(self, event: AgentEvent) -> _Known:
        """Returns what is known of a session; many agents never say that one is over."""
        key = (event.agent, event.session)
        session = self._sessions.pop(key, None) or _Known()
        self._sessions[key] = session  # the last that was heard of is the last to be forgotten
        while len(self._sessions) > MAX_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        return session

    def _introduce(self, session: _Known, root: bytes) -> tuple[AgentEvent, ...]:
        if root in session.roots:
            return ()
        session.roots[root] = None
        return tuple(session.introduction.values())

    @staticmethod
    def _home(event: AgentEvent, been: Collection[bytes], roots: Collection[bytes]) -> bytes | None:
        """Returns the workspace of an event's cwd; a mere folder becomes one only as the first."""
        if event.cwd is None:
            return None
        root = find_root(event.cwd, roots)
        known = root in roots or os.path.lexists(os.path.join(root, b".git"))
        return root if known or not been else None

    @staticmethod
    def _split(
        event: ToolStarted | ToolFinished, known: Collection[bytes], outside: list[bytes]
    ) -> list[tuple[bytes, AgentEvent]]:
        """Returns one event per workspace, with the targets that lie in it, made relative."""
        by_root: dict[bytes, list[Target]] = {}
        for target in event.targets:
            for path in _places(target.path):
                root = owner_root(path, known)
                inside = None if root is None else confine(root, path)
                if root is None or inside is None:
                    outside.append(target.path)
                    continue
                moved = None if target.move_to is None else confine(root, target.move_to)
                there = replace(target, path=inside, move_to=moved)
                by_root.setdefault(root, []).append(there)
        return [(root, replace(event, targets=tuple(inside))) for root, inside in by_root.items()]


def _confined(event: AgentEvent, root: bytes) -> AgentEvent:
    """Returns a finish with what it says of files in this workspace, paths made relative."""
    if not isinstance(event, ToolFinished):
        return event
    named = ((edited, confine(root, edited.path)) for edited in event.edits)
    inside = (replace(edited, path=path) for edited, path in named if path is not None)
    return replace(event, edits=tuple(inside))


def _places(path: bytes) -> list[bytes]:
    """Returns where a write to a path can arrive: there, and where it points if it is a link."""
    parent, name = os.path.split(path)
    place = true_path(os.path.join(os.path.realpath(parent), name))
    return [place, os.path.realpath(place)] if os.path.islink(place) else [place]


def _reaching(event: AgentEvent, root: bytes) -> AgentEvent:
    """Returns the event with what its command line may change in one workspace, made relative."""
    if not isinstance(event, ToolStarted | ToolFinished) or event.reach is None:
        return event
    reach = event.reach
    below = [_inside(root, place) for path in reach.below for place in _places(path)]
    paths = [confine(root, place) for path in reach.paths for place in _places(path)]
    inside = Reach(
        paths=tuple(dict.fromkeys(path for path in paths if path is not None)),
        below=tuple(dict.fromkeys(path for path in below if path is not None)),
        complete=reach.complete,
    )
    return replace(event, reach=inside)


def _inside(root: bytes, place: bytes) -> bytes | None:
    """Returns a folder relative to the root, ``b""`` when it holds all of it, None when outside."""
    top = os.path.realpath(root)
    if top == place or top.startswith(place.rstrip(b"/") + b"/"):
        return b""
    return confine(root, place)
