"""The connection to the daemon, for asyncio.

Owns the socket, the matching of answers to requests, the end of a connection and its return.  Must
not know workspaces or views.  Runs in the session's event loop only.  doc/protocol.md, *rpc.sock*.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from agentdiff.daemon.ports import RequestError
from agentdiff.locations import Locations
from agentdiff.wire import MAX_LINE_BYTES, WireError, check_greeting, decode, encode, greeting

SENT_AGAIN_S = 20.0
"""As long after it was sent a notification that must arrive is sent again over a new link."""
WAITS_AT_MOST_S = 20.0
"""One that waited longer for a link is sent only if it still holds: the daemon would take it for
news, because it believes no older date (`agentdiff.sources.editor.CLAIM_WAIT_NS`)."""
KEPT = 256
"""So many of those are remembered, the newest."""
GREETS_WITHIN_S = 30.0
"""Who accepts a connection and says nothing for so long is no daemon, or a stopped one."""


class DaemonLink:
    """A greeted connection.  Make one with `DaemonLink.connect`."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        on_notification: Callable[[str, Mapping[str, Any]], None],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._on_notification = on_notification
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._ids = itertools.count(1)

    @classmethod
    async def connect(
        cls, path: str, on_notification: Callable[[str, Mapping[str, Any]], None]
    ) -> DaemonLink:
        """Connects and greets.

        Args:
            path: of ``rpc.sock``.
            on_notification: called with method and params, in the event loop.

        Raises:
            OSError: nobody listens there, or somebody too old or new
                (`agentdiff.wire.VersionMismatch`).
            WireError: what answered is not a daemon of ours.
        """
        reader, writer = await asyncio.open_unix_connection(path, limit=MAX_LINE_BYTES)
        with ExitStack() as failed:
            failed.callback(writer.close)
            writer.write(encode(greeting("nvim")))
            line = await asyncio.wait_for(reader.readline(), GREETS_WITHIN_S)
            if not line:
                raise ConnectionResetError(f"the daemon at {path} closed the connection")
            check_greeting(decode(line))
            failed.pop_all()
        return cls(reader, writer, on_notification)

    async def read_until_lost(self) -> None:
        """Dispatches what arrives; returns once the connection is over and all requests failed."""
        try:
            while line := await self._reader.readline():
                self._dispatch(decode(line))
        except (OSError, WireError, ValueError):
            # A broken frame ends the connection like a broken pipe: the next one starts clean.
            pass
        finally:
            self._writer.close()
            waiting, self._waiting = self._waiting, {}
            for future in waiting.values():
                if not future.done():
                    future.set_exception(ConnectionResetError("the daemon went away"))

    @property
    def closing(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._writer.is_closing()

    async def request(self, method: str, params: Mapping[str, object]) -> Any:  # noqa: ANN401
        """Returns the ``result`` of a request.

        Raises:
            RequestError: the daemon answered with an error.
            ConnectionResetError: it went away before it answered.
        """
        if self.closing:
            raise ConnectionResetError("the daemon went away")
        number = next(self._ids)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        self._writer.write(encode({"id": number, "method": method, "params": params}))
        return await future

    def notify(self, method: str, params: Mapping[str, object]) -> None:
        """Sends a notification at once; silent when the connection is over."""
        if not self.closing:
            self._writer.write(encode({"method": method, "params": params}))

    def close(self) -> None:
        """Ends the connection; `read_until_lost` returns."""
        self._writer.close()

    def _dispatch(self, message: dict[str, Any]) -> None:
        if "id" not in message:
            self._on_notification(str(message.get("method")), message.get("params") or {})
            return
        future = self._waiting.pop(message["id"], None)
        if future is None or future.done():
            return
        error = message.get("error")
        if error is None:
            future.set_result(message.get("result"))
        else:
            code = error.get("code", "internal")
            future.set_exception(RequestError(code, str(error.get("message", ""))))


@dataclass(slots=True)
class _Kept:
    """A notification that must arrive.

    `sent_s` is None while it waits, `over` the link over which it was sent last.
    """

    method: str
    params: Mapping[str, object]
    still: Callable[[], bool]
    made_s: float
    sent_s: float | None
    over: DaemonLink | None


class Connection:
    """The link that is there, was lost, or will be made when somebody needs it.

    Args:
        find_daemon: returns where a daemon answers, starting one if told so, or raises OSError;
            blocks, and is called on a helper thread.
        on_notification: called with method and params of each notification.
        on_link: awaited with each new link before anybody else gets it; must not wait for answers.
        on_lost: called once when a link is over.
        held: asked with parameters: whether the daemon cannot take this notification yet.  It waits
            for `release` then, as it would for a link.

    Attributes:
        link: the present link, None when there is none.
    """

    def __init__(
        self,
        find_daemon: Callable[[bool], Locations],
        *,
        on_notification: Callable[[str, Mapping[str, Any]], None],
        on_link: Callable[[DaemonLink], Awaitable[None]],
        on_lost: Callable[[], None],
        held: Callable[[Mapping[str, object]], bool] = lambda _: False,
    ) -> None:
        self.link: DaemonLink | None = None
        self._find_daemon = find_daemon
        self._on_notification = on_notification
        self._on_link = on_link
        self._on_lost = on_lost
        self._held = held
        self._making = asyncio.Lock()
        self._reading: asyncio.Task[None] | None = None
        self._kept: deque[_Kept] = deque(maxlen=KEPT)

    async def linked(self, *, start: bool) -> DaemonLink:
        """Returns the link, making one (and with `start` a daemon) when there is none.

        Raises:
            OSError: no daemon, and none could be started.
            WireError: what answered is not a daemon of ours.
        """
        async with self._making:
            if self.link is not None and not self.link.closing:
                return self.link
            found = await asyncio.to_thread(self._find_daemon, start)
            link = await DaemonLink.connect(str(found.rpc_socket), self._on_notification)
            self.link = link
            self._reading = asyncio.create_task(self._read(link))
            with ExitStack() as failed:
                failed.callback(link.close)  # a link that nobody made use of is none
                await self._on_link(link)
                failed.pop_all()
            self.release()
            return link

    def release(self) -> None:
        """Sends what was kept, as far as it was not sent over this link and nothing holds it.

        At once: a proof may come only a little later than the look at the disk.  What was sent just
        before the last link ended may have died with the daemon that read it.
        """
        link = self.link
        if link is None or link.closing:
            return
        now_s = time.monotonic()
        self._forget(now_s)
        for one in self._kept:
            if one.over is link or self._held(one.params):
                continue
            waited_s = now_s - one.made_s
            if (one.sent_s is None and waited_s < WAITS_AT_MOST_S) or one.still():
                link.notify(one.method, one.params)
                one.sent_s = now_s if one.sent_s is None else one.sent_s
            one.over = link

    def notify(
        self,
        method: str,
        params: Mapping[str, object],
        *,
        keep: Callable[[], bool] | None = None,
    ) -> None:
        """Sends a notification; without a link it is dropped, or kept for the next one.

        Args:
            method: its name.
            params: its parameters.
            keep: given for one that must arrive; when a link ends soon after it was sent, it is
                sent again if this returns whether it still holds.
        """
        over = None
        if self.link is not None and not self.link.closing and not self._held(params):
            over = self.link
            over.notify(method, params)
        if keep is not None:
            now_s = time.monotonic()
            self._forget(now_s)
            sent_s = None if over is None else now_s
            self._kept.append(_Kept(method, params, keep, now_s, sent_s, over))

    def _forget(self, now_s: float) -> None:
        """Lets go of what arrived for certain."""
        while self._kept:
            sent_s = self._kept[0].sent_s
            if sent_s is None or now_s - sent_s < SENT_AGAIN_S:
                return
            self._kept.popleft()

    async def _read(self, link: DaemonLink) -> None:
        await link.read_until_lost()
        if self.link is link:
            self.link = None
            self._on_lost()
