"""The workspaces of this Neovim, and the views of them that Lua has drawn.

Owns the fetching of views, and the memory of the last few of each: an intent names the version it
was made on, so that a key pressed during a refresh means what was on the screen.  Must not decide
when to refresh.  Hop 7.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from agentdiff.daemon.ports import RequestError
from agentdiff.nvim.editing import read_edits
from agentdiff.nvim.link import DaemonLink
from agentdiff.nvim.paths import path_key, path_param
from agentdiff.nvim.views import NO_HUNKS, InlineView, Json, ReviewView
from agentdiff.wire import WireError

VIEWS_KEPT = 4
"""How many versions of a view an intent may still name: Lua may be one or two refreshes behind."""
REST_FOR = 2.0
REST_AT_MOST_S = 5.0
WROTE_KEPT = 50
"""How many written paths an update names: follow mode shows the last."""


@dataclass(slots=True)
class Pace:
    """How soon views are fetched again while changes pour in.  An asynchronous context manager.

    The first change is shown at once; after that there is a rest of twice what the fetching took:
    otherwise a few editors with long reviews open keep the daemon busy with nothing but them
    (measured with five editors and ten agents: 70 % of its worker's time).

    Attributes:
        clock: monotonic, in seconds.
    """

    clock: Callable[[], float] = time.monotonic
    _began_s: float = 0.0
    _due_s: float = 0.0
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def rest_s(self) -> float:
        """How long to wait before the next one."""
        return max(self._due_s - self.clock(), 0.0)

    async def __aenter__(self) -> None:
        await self._turn.acquire()
        try:
            await asyncio.sleep(self.rest_s)
        except asyncio.CancelledError:
            self._turn.release()
            raise
        self._began_s = self.clock()

    async def __aexit__(self, *_: object) -> None:
        now_s = self.clock()
        self._due_s = now_s + min(REST_FOR * (now_s - self._began_s), REST_AT_MOST_S)
        self._turn.release()


@dataclass(slots=True)
class Workspace:
    """An attached workspace.

    Attributes:
        root: absolute, as the daemon named it.
        link: over which it was attached last; another one knows nothing of it yet.
        summary: the newest of the daemon.
        review: filters of the open review buffer, None when there is none.
        drawn: the version of it that Lua has, None when all of it must be sent.
        watched: buffer name → path inside the workspace.
        written: buffer names whose file changed on disk since the last delivery.
        wrote: the last `WROTE_KEPT` paths (lossy) that changed since, newest last.
        dirty: whether a refresh is on its way.
        pace: how soon another one may begin.
    """

    root: bytes
    link: DaemonLink | None = None
    summary: Json = field(default_factory=dict)
    seq: int = 0
    review: Json | None = None
    drawn: ReviewView | None = None
    watched: dict[str, bytes] = field(default_factory=dict)
    written: set[str] = field(default_factory=set)
    wrote: deque[str] = field(default_factory=lambda: deque(maxlen=WROTE_KEPT))
    dirty: bool = False
    pace: Pace = field(default_factory=Pace)
    refreshing: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def params(self) -> Json:
        """The parameter that names this workspace in requests."""
        return {"workspace": self.root.decode("utf-8", "surrogateescape")}

    @contextmanager
    def reviewing(self, filters: Json, failed: Callable[[Workspace], None]) -> Iterator[None]:
        """Asks for a review with these filters; if it cannot be had, for what was shown before.

        A filter that names nothing must not keep everything else from being refreshed.

        Args:
            filters: of the review.
            failed: called when it cannot be had.
        """
        before = self.review, self.drawn
        self.review, self.drawn = filters, None
        try:
            yield
        except (RequestError, OSError, WireError):
            self.review, self.drawn = before
            failed(self)
            raise

    def note_changed(self, params: Mapping[str, Any]) -> None:
        """Remembers what the notification ``changed`` told."""
        self.summary = params.get("summary") or self.summary
        written = params.get("written") or ()
        self.note_written(written)
        self.wrote.extend(map(text_key, written))

    def note_written(self, paths: Iterable[object]) -> None:
        """Remembers the watched buffers of these paths: their files changed."""
        changed = {text_key(path) for path in paths}
        self.written |= {
            name for name, inside in self.watched.items() if path_key(inside) in changed
        }


class Screen:
    """What was drawn, by workspace root (the review) or buffer name (inline hunks)."""

    def __init__(self) -> None:
        self._tokens = itertools.count(1)
        self._views: dict[str | bytes, deque[ReviewView | InlineView]] = {}

    async def update(self, link: DaemonLink, workspace: Workspace) -> Json:
        """Fetches what is shown of a workspace and returns the update for Lua.

        Args:
            link: to the daemon.
            workspace: what was written in it counts as told.

        Raises:
            RequestError: the daemon refused.
            OSError: it went away.
        """
        update: Json = dict(workspace.params)
        review = await self.review(link, workspace) if workspace.review is not None else None
        update["inline"] = await self.inline(link, workspace)
        if review is not None and workspace.review is not None:
            # It was not closed meanwhile: Lua would make a buffer for it that nobody follows.
            update["review"] = review
        written, workspace.written = workspace.written, set()
        update["written"] = sorted(written)
        update["wrote"] = list(workspace.wrote)
        workspace.wrote.clear()
        update["summary"] = workspace.summary
        return update

    async def review(self, link: DaemonLink, workspace: Workspace) -> Json:
        """Fetches the open review of a workspace and returns what Lua draws.

        Raises:
            RequestError: the daemon refused.
            OSError: it went away.
        """
        filters = dict(workspace.review or {})
        data = await link.request("review", {**workspace.params, **filters})
        workspace.seq = data["seq"]
        workspace.summary = data.get("summary") or workspace.summary
        view = ReviewView(token=next(self._tokens), data=data, filters=filters)
        known = workspace.drawn
        self._keep(workspace.root, view)
        workspace.drawn = view
        return view.payload(known)

    async def inline(self, link: DaemonLink, workspace: Workspace) -> list[Json]:
        """Fetches the hunks of the watched buffers, as Lua draws them; raises as `review`."""
        if not workspace.watched:
            return []
        watched = dict(workspace.watched)
        names = [p.get("path", p) for p in map(path_param, watched.values())]
        data = await link.request("inline", {**workspace.params, "paths": names})
        workspace.seq = data["seq"]
        found = {text_key(item): item for item in data["files"]}
        payloads = []
        for name, inside in watched.items():
            item = found.get(path_key(inside)) or {**path_param(inside), "hunks": NO_HUNKS}
            payloads.append(self._hunks(name, data["seq"], item))
        return payloads

    def emptied(self, workspace: Workspace) -> Json:
        """Returns the update that shows of a workspace that its folder is gone.

        The views of it are forgotten: nothing can be decided on them any more.
        """
        self._views.pop(workspace.root, None)
        watched = workspace.watched.items()
        items = ((name, {**path_param(inside), "hunks": NO_HUNKS}) for name, inside in watched)
        update: Json = {**workspace.params, "written": [], "wrote": []}
        none = {"files": 0, "hunks": 0, "added": 0, "removed": 0, "state": "idle", "agents": []}
        update["summary"] = {**none, "gone": True}
        update["inline"] = [self._hunks(name, workspace.seq, item) for name, item in items]
        if workspace.review is not None:
            data: Json = {"seq": workspace.seq, "group": "file", "kinds": "m"}
            data |= {"lines": ["This folder is gone."], "groups": [], "files": [], "hunks": []}
            view = ReviewView(token=next(self._tokens), data=data, filters=workspace.review)
            self._keep(workspace.root, view)
            update["review"] = view.payload()
        return update

    def _hunks(self, name: str, seq: int, item: Json) -> Json:
        view = InlineView(token=next(self._tokens), seq=seq, data=item)
        self._keep(name, view)
        return view.payload(name)

    def select(self, workspace: Workspace, payload: Json) -> Json | None:
        """Returns the `decide` selection of an intent, None when it selects nothing.

        Raises:
            RequestError: the version of the view that it was made on is not known any more.
        """
        where = payload.get("view")
        if where is None:
            # Nothing was on the screen: the state when the command started is meant.
            return {"all": True} if payload.get("scope") == "all" else None
        view = self._named(workspace.root if where == "review" else payload["path"], payload)
        scope, first, last = payload["scope"], payload["first"], payload["last"]
        if isinstance(view, ReviewView):
            return view.select(scope, first, last, payload.get("count") or 1)
        if payload.get("hunks"):
            return view.by_id(payload["hunks"])
        return view.select(scope, first, last)

    def edits(self, workspace: Workspace, payload: Json) -> list[Json]:
        """Returns the blocks of an edited review buffer that differ from what was shown.

        Raises:
            RequestError: the version that was edited is not known any more, or a heading is gone.
        """
        view = self._named(workspace.root, payload)
        return read_edits(view.data, payload["lines"])

    def hunk_at(self, workspace: Workspace, payload: Json) -> list[int]:
        """Returns the ids that an intent on the review selects, for questions about them."""
        selection = self.select(workspace, payload) or {}
        return [pick["id"] for pick in selection.get("hunks") or ()]

    def _named(self, subject: str | bytes, payload: Json) -> ReviewView | InlineView:
        for view in self._views.get(subject, ()):
            if view.token == payload.get("token"):
                return view
        raise RequestError("refused", "the view has changed meanwhile: look again, then decide")

    def forget(self, subject: str | bytes) -> None:
        """Drops the views of a buffer, or of the review of a root, that is gone."""
        self._views.pop(subject, None)

    def _keep(self, subject: str | bytes, view: ReviewView | InlineView) -> None:
        self._views.setdefault(subject, deque(maxlen=VIEWS_KEPT)).append(view)


def text_key(item: object) -> str:
    """Returns the lossy path of an item of a result: a path, or an object with one."""
    return str(item["path"]) if isinstance(item, dict) else str(item)
