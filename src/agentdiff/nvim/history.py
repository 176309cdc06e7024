"""What an undo or a redo means that names no workspace.

Owns the order in which this Neovim's decisions were made, over all workspaces: the daemon keeps one
for each (`agentdiff.core.undoing`).  Must not decide what an undo does in a workspace.  Runs in the
session's event loop only.  Hop 1.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from agentdiff.daemon.ports import RequestError
from agentdiff.nvim.attached import Attached
from agentdiff.nvim.link import DaemonLink
from agentdiff.nvim.paths import home_folder, resolve, to_bytes
from agentdiff.nvim.screen import Workspace
from agentdiff.nvim.views import Json
from agentdiff.workspace import roots


class History:
    """Undoes and redoes, back and forth over workspaces.

    Args:
        attached: the workspaces.
        attach: returns the workspace of a folder; raises RequestError, OSError or WireError.
        refresh: shows what a *decision result* of doc/protocol.md did in a workspace; `note` is
            told of it then.
    """

    def __init__(
        self,
        attached: Attached,
        attach: Callable[[bytes], Awaitable[Workspace]],
        refresh: Callable[[Workspace, Json], Awaitable[None]],
    ) -> None:
        self._attached = attached
        self._attach = attach
        self._refresh = refresh
        # Pairs of root and decision; what is turned next is at the end.
        self._done: list[tuple[bytes, int]] = []
        self._undone: list[tuple[bytes, int]] = []

    def note(self, root: bytes, result: Json) -> None:
        """Takes notice of what was decided, undone or redone in a workspace.

        As the daemon does in each: a new decision leaves nothing to redo in its own workspace, and
        what was refused is turned after everything else.
        """
        decision, op = result["decision"], result["op"]
        if op not in ("undo", "redo"):
            if decision is not None:
                self._done.append((root, decision))
                self._undone = [one for one in self._undone if one[0] != root]
            return
        source, target = (self._done, self._undone) if op == "undo" else (self._undone, self._done)
        if not result["done"] and not result["refused"]:
            # Another Neovim was first.
            source[:] = [one for one in source if one[0] != root]
            return
        last = next((one for one in reversed(source) if one[0] == root), None)
        turned = last if decision is None else (root, decision)
        if turned in source:
            source.remove(turned)
            if result["refused"]:
                source.insert(0, turned)
        if decision is not None:
            target.append((root, decision))

    async def turn(self, link: DaemonLink, kind: str, payload: Json) -> Json:
        """Undoes or redoes what was decided, or undone, last.

        Args:
            link: to the daemon.
            kind: ``undo`` or ``redo``.
            payload: of Lua: the only ``workspace`` that is meant, if one is; else where the user
                is, for decisions of which this Neovim knows nothing: ``near`` (a workspace),
                ``path`` (of the buffer's file), ``cwd``.

        Returns:
            The *decision result*, with the ``workspace``.

        Raises:
            RequestError: the daemon refused.
            OSError: it went away.
        """
        if payload.get("workspace"):
            return await self._turn(link, kind, to_bytes(payload["workspace"]))
        order = self._done if kind == "undo" else self._undone
        while order:
            root = order[-1][0]
            try:
                result = await self._turn(link, kind, root)
            except RequestError:
                if roots.is_gone(root):  # it would stand before all others for ever
                    order[:] = [one for one in order if one[0] != root]
                raise
            if result["done"] or result["refused"]:
                return result
        return await self._turn(link, kind, self._around(payload))

    async def _turn(self, link: DaemonLink, kind: str, folder: bytes) -> Json:
        workspace = await self._attach(folder)
        result: Json = await link.request(kind, workspace.params)
        await self._refresh(workspace, result)
        return {**result, **workspace.params}

    def _around(self, payload: Json) -> bytes:
        """Returns the folder where the user is."""
        cwd = to_bytes(payload["cwd"])
        if payload.get("near"):
            return to_bytes(payload["near"])
        if payload.get("path"):
            return home_folder(resolve(payload["path"]), cwd, self._attached.roots) or cwd
        return cwd
