"""The workspaces that the daemon follows for this Neovim.

Owns which there are, and what the daemon is told of them: by name once, and again when another
daemon has come.  Must not fetch views or decide when to.  Runs in the session's event loop only.
Hop 7.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

from agentdiff.daemon.ports import RequestError
from agentdiff.nvim.link import DaemonLink
from agentdiff.nvim.params import folder_param
from agentdiff.nvim.paths import relative, to_bytes
from agentdiff.nvim.screen import Workspace


class Attached:
    """The attached workspaces, by root.

    Args:
        pid: of Neovim.

    Attributes:
        refused: folders that this daemon does not review ($HOME, /): asking again would not help.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._by_root: dict[bytes, Workspace] = {}
        # Folder that was asked for → root of its workspace.
        self._homes: dict[bytes, bytes] = {}
        self.refused: set[bytes] = set()

    def __iter__(self) -> Iterator[Workspace]:
        return iter(list(self._by_root.values()))

    @property
    def roots(self) -> list[bytes]:
        """The roots, the innermost first."""
        return sorted(self._by_root, key=len, reverse=True)

    def get(self, root: bytes) -> Workspace | None:
        """Returns the workspace with this root."""
        return self._by_root.get(root)

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

    def home(self, folder: bytes) -> Workspace | None:
        """Returns the workspace of a folder that was asked for before."""
        return self._by_root.get(self._homes.get(folder, b""))

    async def attach(self, link: DaemonLink, folder: bytes) -> Workspace:
        """Attaches the workspace of a folder.

        Raises:
            RequestError: the daemon refused.
            OSError: it went away.
        """
        params = {"cwd": folder_param(folder), "pid": self._pid}
        result = await link.request("attach", params)
        root = to_bytes(result["workspace"])
        self._homes[folder] = root
        if root not in self._by_root:
            self._by_root[root] = Workspace(root=root, seq=result["seq"])
        self._by_root[root].summary = result.get("summary") or {}
        return self._by_root[root]

    async def resume(self, link: DaemonLink) -> list[Workspace]:
        """Tells a new daemon of all of them; returns those that it does not take.

        Raises:
            OSError: it went away.
        """
        self.refused.clear()
        refused = []
        for workspace in self:
            params = {**workspace.params, "pid": self._pid}
            try:
                result = await link.request("attach", params)
            except RequestError:  # a work tree that was removed meanwhile, say
                refused.append(workspace)
            else:
                workspace.summary = result.get("summary") or {}
        return refused

    def leave(self, workspace: Workspace) -> None:
        """Forgets a workspace."""
        self._by_root.pop(workspace.root, None)
        self._homes = {f: root for f, root in self._homes.items() if root != workspace.root}


async def is_gone(workspace: Workspace) -> bool:
    """Whether the folder of a workspace is not there any more."""
    return not await asyncio.to_thread(os.path.isdir, workspace.root)
