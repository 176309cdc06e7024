"""The buffers that Lua wants to have followed, and the workspaces that they are in.

Owns which buffers these are and what Lua was told of each.  Must not fetch views.  Runs in the
session's event loop only.  Hop 1.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from agentdiff.daemon.ports import RequestError
from agentdiff.nvim.attached import Attached
from agentdiff.nvim.link import DaemonLink
from agentdiff.nvim.paths import home_folder, relative, resolve, to_bytes
from agentdiff.nvim.screen import Workspace
from agentdiff.nvim.views import Json
from agentdiff.wire import WireError


@dataclass(eq=False, slots=True)
class Wanted:
    """A buffer to follow.

    Attributes:
        payload: of Lua: ``path cwd attach``.
        told: in which workspace, and over which link, Lua knows it to be followed.
    """

    payload: Json
    told: tuple[Workspace, DaemonLink | None] | None = None

    @property
    def name(self) -> str:
        """Name of the buffer."""
        return str(self.payload["path"])


class Watching:
    """The buffers to follow, by name.

    Args:
        attached: the workspaces.
        attach: returns the workspace of a folder; raises RequestError, OSError or WireError.
    """

    def __init__(self, attached: Attached, attach: Callable[[bytes], Awaitable[Workspace]]) -> None:
        self._attached = attached
        self._attach = attach
        self._wanted: dict[str, Wanted] = {}

    def __len__(self) -> int:
        return len(self._wanted)

    def __contains__(self, name: str) -> bool:
        return name in self._wanted

    def want(self, payload: Json) -> Wanted:
        """Takes a buffer of Lua's, which hears of it again when it was there before."""
        wanted = self._wanted[payload["path"]] = Wanted(payload)
        return wanted

    def all(self) -> list[Wanted]:
        """Returns all of them."""
        return list(self._wanted.values())

    def forget(self, name: str) -> None:
        """Drops a buffer."""
        self._wanted.pop(name, None)
        for workspace in self._attached:
            workspace.watched.pop(name, None)

    async def follow(self, wanted: Wanted) -> Workspace | None:
        """Follows a buffer's file, when it is in a workspace.

        Returns:
            The workspace; None when Lua need not be told: there is none (then the session comes
            back to it), or Lua knows.
        """
        path = resolve(wanted.name)
        folder = home_folder(path, to_bytes(wanted.payload["cwd"]), self._attached.roots)
        if folder is None or folder in self._attached.refused:
            return None
        if not (self._attached.knows(folder) or wanted.payload.get("attach")):
            return None
        try:
            workspace = await self._attach(folder)
        except RequestError as error:
            await self._attached.refuse(folder, error)
            return None
        except (OSError, WireError):
            return None
        inside = relative(path, workspace.root)
        told = (workspace, workspace.link)
        current = self._wanted.get(wanted.name) is wanted and self._attached.holds(workspace)
        if inside is None or not current or wanted.told == told:
            return None
        for one in self._attached:  # one around it may have had the buffer before
            one.watched.pop(wanted.name, None)
        workspace.watched[wanted.name] = inside
        wanted.told = told
        return workspace
