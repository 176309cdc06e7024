"""The workspaces that the daemon follows for this Neovim.

Owns which there are, which were left because their folder went, and what each daemon is told of
them: by name, once over each link.  Must not fetch views or decide when to.  Runs in the session's
event loop only.  Hop 7.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator

from agentdiff.daemon.ports import RequestError
from agentdiff.nvim.link import DaemonLink
from agentdiff.nvim.params import folder_param
from agentdiff.nvim.paths import relative, to_bytes
from agentdiff.nvim.screen import Workspace
from agentdiff.nvim.views import Json
from agentdiff.workspace import roots as folders

NOT_REVIEWED = ("usage", "refused")
"""The codes with which a folder itself is refused; with others only this attempt was."""


class Attached:
    """The attached workspaces, by root.

    Args:
        pid: of Neovim.
        on_attached: called with a workspace once for each link over which it was attached, and
            whether it is a new one.

    Attributes:
        refused: folders that this daemon does not review ($HOME, /): asking again would not help.
        missed: folders that may be attached again later: of workspaces that were left, with the
            filters of the review that was open; and those that could not be attached just now.
    """

    def __init__(self, pid: int, on_attached: Callable[[Workspace, bool], None]) -> None:
        self._pid = pid
        self._on_attached = on_attached
        self._by_root: dict[bytes, Workspace] = {}
        # Folder that was asked for → root of its workspace.
        self._homes: dict[bytes, bytes] = {}
        # Requests that are under way: many buffers of one tree are opened at once.
        self._asking: dict[tuple[DaemonLink, bytes], asyncio.Task[Workspace]] = {}
        self.refused: set[bytes] = set()
        self.missed: dict[bytes, Json | None] = {}

    def __iter__(self) -> Iterator[Workspace]:
        return iter(list(self._by_root.values()))

    @property
    def roots(self) -> list[bytes]:
        """The roots, the innermost first."""
        return sorted(self._by_root, key=len, reverse=True)

    def get(self, root: bytes) -> Workspace | None:
        """Returns the workspace with this root."""
        return self._by_root.get(root)

    def holds(self, workspace: Workspace) -> bool:
        """Whether this very workspace is attached; one that was left may have a successor."""
        return self._by_root.get(workspace.root) is workspace

    def around(self, path: bytes) -> tuple[Workspace, bytes] | None:
        """Returns the innermost workspace that holds a path, and the path inside it."""
        for root in self.roots:
            inside = relative(path, root)
            if inside is not None:
                return self._by_root[root], inside
        return None

    def knows(self, folder: bytes) -> bool:
        """Whether a folder's workspace is attached."""
        return folder in self._homes or folder in self._by_root

    async def attach(self, link: DaemonLink, folder: bytes) -> Workspace:
        """Returns the workspace of a folder, attached over this link.

        Raises:
            RequestError: the daemon refused.
            OSError: it went away.
        """
        known = self._by_root.get(self._homes.get(folder, folder))
        if known is not None and known.link is link:
            return known
        key = (link, folder if known is None else known.root)
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.ensure_future(self._ask(link, folder, known))
            asking.add_done_callback(lambda _: self._asking.pop(key))
        return await asking

    async def _ask(self, link: DaemonLink, folder: bytes, known: Workspace | None) -> Workspace:
        named = {"cwd": folder_param(folder)} if known is None else known.params
        result = await link.request("attach", {**named, "pid": self._pid})
        root = to_bytes(result["workspace"])
        self.refused -= {folder, root}
        review = self.missed.pop(root, None)
        self.missed.pop(folder, None)
        workspace = self._by_root.get(root)
        new = workspace is None
        if workspace is None:
            workspace = Workspace(root=root, seq=result["seq"], review=review)
            self._by_root[root] = workspace
        self._homes[folder] = root
        workspace.summary = result.get("summary") or {}
        if workspace.link is not link:
            workspace.link = link
            self._on_attached(workspace, new)
        return workspace

    async def refuse(self, folder: bytes, error: RequestError) -> None:
        """Remembers that the daemon did not attach a folder."""
        there = await asyncio.to_thread(os.path.isdir, folder)
        if there and error.code in NOT_REVIEWED:
            self.refused.add(folder)
            self.missed.pop(folder, None)
        else:
            self.missed.setdefault(folder)

    async def back(self) -> list[bytes]:
        """Returns the missed folders that are there now."""
        missed = list(self.missed)
        return await asyncio.to_thread(lambda: [*filter(os.path.isdir, missed)])

    def close_review(self, root: bytes) -> bool:
        """Notes that nobody looks at the review of a workspace; returns whether it is attached."""
        workspace = self._by_root.get(root)
        if workspace is not None:
            workspace.review = workspace.drawn = None
        elif root in self.missed:
            self.missed[root] = None
        return workspace is not None

    def leave(self, workspace: Workspace) -> bool:
        """Forgets a workspace until its folder is there again; returns whether it was attached."""
        if not self.holds(workspace):
            return False
        del self._by_root[workspace.root]
        self._homes = {f: root for f, root in self._homes.items() if root != workspace.root}
        self.missed[workspace.root] = workspace.review
        return True


async def is_gone(workspace: Workspace) -> bool:
    """Whether the folder of a workspace is not there any more; False when nobody can tell."""
    return await asyncio.to_thread(folders.is_gone, workspace.root)
