"""The workspaces of this Neovim, and the views of them that Lua has drawn.

Owns the fetching of views, and the memory of the last few of each: an intent names the version it
was made on, so that a key pressed during a refresh means what was on the screen.  Must not decide
when to refresh.  Hop 7.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from dataclasses import dataclass, field

from agentdiff.daemon.ports import RequestError
from agentdiff.nvim.link import DaemonLink
from agentdiff.nvim.paths import path_key, path_param
from agentdiff.nvim.views import InlineView, Json, ReviewView

VIEWS_KEPT = 4
"""How many versions of a view an intent may still name: Lua may be one or two refreshes behind."""


@dataclass(slots=True)
class Workspace:
    """An attached workspace.

    Attributes:
        root: absolute, as the daemon named it.
        summary: the newest of the daemon.
        review: filters of the open review buffer, None when there is none.
        watched: buffer name → path inside the workspace.
        written: buffer names whose file changed on disk since the last delivery.
        dirty: whether a refresh is on its way.
    """

    root: bytes
    summary: Json = field(default_factory=dict)
    seq: int = 0
    review: Json | None = None
    watched: dict[str, bytes] = field(default_factory=dict)
    written: set[str] = field(default_factory=set)
    dirty: bool = False
    refreshing: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def params(self) -> Json:
        """The parameter that names this workspace in requests."""
        return {"workspace": self.root.decode("utf-8", "surrogateescape")}


class Screen:
    """What was drawn, by workspace root (the review) or buffer name (inline hunks)."""

    def __init__(self) -> None:
        self._tokens = itertools.count(1)
        self._views: dict[str | bytes, deque[ReviewView | InlineView]] = {}

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
        self._keep(workspace.root, view)
        return view.payload()

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
            item = found.get(path_key(inside)) or {**path_param(inside), "hunks": []}
            view = InlineView(token=next(self._tokens), seq=data["seq"], data=item)
            self._keep(name, view)
            payloads.append(view.payload(name))
        return payloads

    def select(self, workspace: Workspace, payload: Json) -> Json | None:
        """Returns the `decide` selection of an intent, None when it selects nothing.

        Raises:
            RequestError: the version of the view that it was made on is not known any more.
        """
        where = payload.get("view")
        if where is None:
            # Nothing was on the screen: the state when the command started is meant.
            return {"all": True} if payload.get("scope") == "all" else None
        subject = workspace.root if where == "review" else payload["path"]
        for view in self._views.get(subject, ()):
            if view.token == payload.get("token"):
                if isinstance(view, InlineView) and payload.get("hunks"):
                    return view.by_id(payload["hunks"])
                return view.select(payload["scope"], payload["first"], payload["last"])
        raise RequestError("refused", "the view has changed meanwhile: look again, then decide")

    def forget(self, name: str) -> None:
        """Drops the views of a buffer that is gone."""
        self._views.pop(name, None)

    def _keep(self, subject: str | bytes, view: ReviewView | InlineView) -> None:
        self._views.setdefault(subject, deque(maxlen=VIEWS_KEPT)).append(view)


def text_key(item: object) -> str:
    """Returns the lossy path of an item of a result: a path, or an object with one."""
    return str(item["path"]) if isinstance(item, dict) else str(item)
