"""The border to Neovim: pynvim on this side, the session's thread on the other.

Owns every call into Neovim, and the thread.  Must not hold any state of the review.  pynvim is not
thread-safe: everything goes through ``nvim.async_call``.  Hop 7 of 8.
"""

from __future__ import annotations

import asyncio
import os
import threading
from functools import partial

import pynvim

from agentdiff.daemon.launch import ensure_running, find
from agentdiff.locations import Locations
from agentdiff.nvim.session import EditorSession
from agentdiff.nvim.views import Json

DELIVER = "require('agentdiff.rpc').deliver(...)"
START_WITHIN_S = 30.0
"""How long a daemon may take to start on a machine under load; one that fails says so at once."""


class NeovimEditor:
    """Implements `agentdiff.nvim.session.Editor`."""

    def __init__(self, nvim: pynvim.Nvim) -> None:
        self._nvim = nvim

    def deliver(self, messages: list[tuple[str, Json]]) -> None:
        """Hands Lua a batch in one asynchronous call; callable from any thread."""
        self._nvim.async_call(self._nvim.exec_lua, DELIVER, messages, async_=True)

    async def flush(self) -> None:
        """Returns when the host has received whatever Neovim sent before.

        ``nvim_get_mode`` is answered even while Neovim waits for a key, and its answer queues up
        behind the notifications that went before it.
        """
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        self._nvim.async_call(self._ask, partial(loop.call_soon_threadsafe, _finish, done))
        await done

    def _ask(self, then: partial[object]) -> None:
        self._nvim.api.get_mode()
        then()


def _finish(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)


def find_daemon(locations: Locations, start_one: bool) -> Locations:
    """Returns where a daemon answers; blocks.

    Raises:
        OSError: none runs (or, with `start_one`, none could be started).
    """
    if start_one:
        return ensure_running(locations, START_WITHIN_S)
    found = find(locations)
    if found is None:
        raise ConnectionRefusedError("no daemon runs")
    return found


def start(nvim: pynvim.Nvim) -> EditorSession:
    """Starts the session of this Neovim on a thread of its own.

    Raises:
        KeyError: the environment has neither ``HOME`` nor the XDG variables.
    """
    locations = Locations.from_env(os.environ)
    # Asking Neovim for its pid would let the next message in before this one is done with.
    session = EditorSession(
        NeovimEditor(nvim), locations, partial(find_daemon, locations), os.getppid()
    )
    threading.Thread(target=session.run, name="agentdiff", daemon=True).start()
    return session
