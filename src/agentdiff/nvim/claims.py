"""What Neovim says that it writes, on its way to the daemon.

Owns which workspace a claim belongs to, and the claims of files that are in none yet: the first
save may come before the daemon does.  Must not judge a claim: `agentdiff.sources.editor` does.
Runs in the session's event loop only.  Hop 1.
"""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Callable, Mapping

from agentdiff.nvim.attached import Attached
from agentdiff.nvim.link import WAITS_AT_MOST_S, Connection
from agentdiff.nvim.paths import holding, path_param, resolve, to_bytes
from agentdiff.nvim.views import Json


class Claims:
    """Passes claims on.

    Args:
        attached: the workspaces.
        connection: to the daemon.
        clock: monotonic, in seconds.
    """

    def __init__(
        self,
        attached: Attached,
        connection: Connection,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._attached = attached
        self._connection = connection
        self._clock = clock
        # Buffer name → its last write (an older one is not on the disk any more), and when it came.
        self._early: dict[str, tuple[Json, float]] = {}

    def __len__(self) -> int:
        return len(self._early)

    def take(self, payload: Json, *, awaited: bool) -> None:
        """Takes a claim of Lua.

        Args:
            payload: ``path data written at_us since_us``.
            awaited: whether its buffer may be in a workspace soon.
        """
        path = resolve(payload["path"])
        found = self._attached.around(path)
        if found is None:
            if payload["written"] and awaited:
                self._early[payload["path"]] = (payload, self._clock())
            return
        workspace, inside = found
        data = to_bytes(payload["data"])
        claim: Json = {
            **workspace.params,
            **path_param(inside),
            "data_b64": b64encode(data).decode("ascii"),
            "written": bool(payload["written"]),
            "at_us": int(payload["at_us"]),
            "since_us": payload.get("since_us"),
        }
        # A claim without its write proves nothing later; what was written still does, and for as
        # long as nobody wrote something else it may be told again.
        still = holding(path, data) if claim["written"] else None
        self._connection.notify("claim", claim, keep=still)

    def held(self, params: Mapping[str, object]) -> bool:
        """Whether the daemon was not told yet of the workspace that a notification names."""
        workspace = self._attached.get(to_bytes(str(params.get("workspace"))))
        return workspace is not None and workspace.link is not self._connection.link

    def release(self) -> None:
        """Sends what waited, as far as the workspaces are attached now."""
        self._connection.release()
        self.prune()
        early, self._early = self._early, {}
        for name, (payload, made_s) in early.items():
            if self._attached.around(resolve(name)) is None:
                self._early[name] = (payload, made_s)
            else:
                self.take(payload, awaited=False)

    def forget(self, name: str) -> None:
        """Drops the claim of a buffer that nobody has any more."""
        self._early.pop(name, None)

    def prune(self) -> None:
        """Drops what waited too long: the daemon believes no older date."""
        oldest_s = self._clock() - WAITS_AT_MOST_S
        self._early = {name: one for name, one in self._early.items() if one[1] > oldest_s}
