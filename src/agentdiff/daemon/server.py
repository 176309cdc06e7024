"""``rpc.sock``: command line and Neovim, JSON Lines both ways.

Owns connections, greeting, framing and back-pressure.  Must not know any method except by the table
of local ones that it is given: everything else is the backend's, which is never waited for on the
loop. Hop 1 (requests) and hop 7 (notifications).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import socket
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, cast

from agentdiff import __version__, wire
from agentdiff.daemon import sockets
from agentdiff.daemon.ports import Backend, ErrorCode, RequestError

GREETING_TIMEOUT_S = 10.0
STUCK_AFTER_S = 15.0
"""A client that does not read what it is sent is dropped after this long."""
PAUSE_ABOVE_BYTES = 1024 * 1024
MAX_QUEUED_BYTES = 4 * wire.MAX_LINE_BYTES
MAX_OPEN_REQUESTS = 64

LocalMethod = Callable[[Mapping[str, object]], dict[str, object]]
"""Answers a method without the backend, on a thread of the server's small pool."""


class Connection(asyncio.Protocol):
    """One client; implements `agentdiff.daemon.ports.ClientPort`.

    Everything but `send` runs on the loop's thread.
    """

    def __init__(self, server: RpcServer) -> None:
        self.id = ""
        self.kind = ""
        self._server = server
        self._lines = wire.LineBuffer()
        self._transport: asyncio.Transport | None = None
        self._greeted = False
        self._timer: asyncio.TimerHandle | None = None
        self._blocked = False
        self.open_requests = 0

    def send(self, method: str, params: Mapping[str, object]) -> None:
        """Queues a notification; callable from any thread, never blocks."""
        line = wire.encode({"method": method, "params": params})
        self._server.from_thread(self._write, line)

    # asyncio calls these

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Turns other users away and waits for the greeting."""
        self._transport = cast("asyncio.Transport", transport)
        if not sockets.is_owner(transport.get_extra_info("socket")):
            self._server.logger.warning("client refused", extra={"reason": "another user"})
            self._transport.abort()
            return
        self._transport.set_write_buffer_limits(high=PAUSE_ABOVE_BYTES)
        self._server.connections.add(self)
        self._set_timer(GREETING_TIMEOUT_S, "no greeting")

    def data_received(self, data: bytes) -> None:
        """Cuts lines and takes each."""
        try:
            for line in self._lines.feed(data):
                if self._transport is None or self._transport.is_closing():
                    return
                self._take(wire.decode(line))
        except wire.WireError as error:
            self._drop(str(error))

    def pause_writing(self) -> None:
        """The client reads too slowly: nothing more is taken from it, and that not for long."""
        self._blocked = True
        self._set_timer(STUCK_AFTER_S, "client does not read")
        self._regulate()

    def resume_writing(self) -> None:
        """The client caught up."""
        self._blocked = False
        self._set_timer(None)
        self._regulate()

    def connection_lost(self, error: Exception | None) -> None:
        """Forgets the client; the backend learns it if it ever knew."""
        self._set_timer(None)
        self._transport = None
        self._server.connections.discard(self)
        if self._greeted:
            reason = str(error) if error else "closed"
            self._note("client left", reason=reason)
            self._server.backend.client_gone(self)
        self._server.note_change()

    def close(self) -> None:
        """Ends the connection after what is queued was written."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Ends the connection now."""
        if self._transport is not None:
            self._transport.abort()

    # the protocol

    def _take(self, message: dict[str, Any]) -> None:
        """Takes one line."""
        if not self._greeted:
            self._greet(message)
            return
        self._server.note_request()
        method, params = message.get("method"), message.get("params", {})
        if not isinstance(method, str) or not isinstance(params, dict):
            self._fail(message.get("id"), "usage", "a message has a method and an object params")
        elif "id" not in message:
            self._server.backend.notify(method, params, self)
        else:
            self.open_requests += 1
            self._regulate()
            self._server.dispatch(self, message["id"], method, params)

    def _greet(self, message: dict[str, Any]) -> None:
        """Takes the first line."""
        kind, pid = message.get("client"), message.get("pid")
        if not isinstance(kind, str) or not isinstance(pid, int):
            self._drop("the first line is not a greeting")
            return
        if wire.common_version(message) is None:
            text = (
                f"the running daemon is agentdiff {__version__} and speaks protocol "
                f"{wire.MIN_PROTO} to {wire.PROTO}: run `agentdiff daemon stop`, "
                "the next command starts the installed version"
            )
            self._write(wire.encode({"error": {"code": "version", "message": text}}))
            self.close()
            return
        self._set_timer(None)
        self._greeted = True
        self.kind = kind
        self.id = f"{kind}:{pid}:{next(self._server.serial)}"
        self._note("client greeted", version=str(message.get("version")))
        self._write(wire.encode(self._server.greeting()))

    def answer(self, request_id: object, future: Future[dict[str, object]]) -> None:
        """Writes the answer of a finished request."""
        self.open_requests -= 1
        error = None if future.cancelled() else future.exception()
        if future.cancelled():
            self._fail(request_id, "unavailable", "the daemon is stopping")
        elif isinstance(error, RequestError):
            self._fail(request_id, error.code, error.message)
        elif error is not None:
            self._server.logger.error("request failed", exc_info=error)
            self._fail(request_id, "internal", f"{type(error).__name__}: {error}; see the log")
        else:
            self._write_result(request_id, future.result())
        self._regulate()
        self._server.note_change()

    def _write_result(self, request_id: object, result: dict[str, object]) -> None:
        try:
            line = wire.encode({"id": request_id, "result": result})
        except TypeError as error:
            self._server.logger.error("result is not JSON", exc_info=error)
            self._fail(request_id, "internal", f"{error}; see the log")
        else:
            self._write(line)

    def _fail(self, request_id: object, code: ErrorCode, message: str) -> None:
        error = {"code": code, "message": message}
        self._write(wire.encode({"id": request_id, "error": error}))

    def _write(self, line: bytes) -> None:
        """Queues a line, unless the connection is over."""
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(line)
        if self._transport.get_write_buffer_size() > MAX_QUEUED_BYTES:
            self._drop("client does not read")

    def _regulate(self) -> None:
        """Reads on, or not: neither answers nor open requests may pile up without bound."""
        if self._transport is None or self._transport.is_closing():
            return
        if self._blocked or self.open_requests >= MAX_OPEN_REQUESTS:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _set_timer(self, delay_s: float | None, reason: str = "") -> None:
        if self._timer is not None:
            self._timer.cancel()
        loop = self._server.loop
        self._timer = None if delay_s is None else loop.call_later(delay_s, self._drop, reason)

    def _note(self, event: str, **fields: str) -> None:
        """Logs what an editor does; commands come and go too often to be worth a line each."""
        level = logging.DEBUG if self.kind == "cli" else logging.INFO
        self._server.logger.log(level, event, extra={"client": self.id, **fields})

    def _drop(self, reason: str) -> None:
        """Ends a connection that broke the rules."""
        name = self.id or "not greeted"
        self._server.logger.warning("client dropped", extra={"client": name, "reason": reason})
        self.abort()


class RpcServer:
    """Accepts connections and routes requests.

    Constructed on the loop; every attribute belongs to the loop's thread.

    Args:
        backend: the engine.
        local: methods answered here; see `LocalMethod`.
        started: value of the loop's clock when the daemon started.
        logger: the daemon's.
    """

    def __init__(
        self,
        backend: Backend,
        local: Mapping[str, LocalMethod],
        *,
        started: float,
        logger: logging.Logger,
    ) -> None:
        self.backend = backend
        self.logger = logger
        self.loop = asyncio.get_running_loop()
        self.connections: set[Connection] = set()
        self.serial = itertools.count(1)
        self.last_request = self.loop.time()
        self._local = local
        self._started = started
        self._pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="agentdiff-rpc")
        self._server: asyncio.Server | None = None
        self._changed = asyncio.Event()

    async def listen(self, listener: socket.socket) -> None:
        """Serves this socket; one that was served before is given up, its connections stay."""
        previous = self._server
        self._server = await self.loop.create_unix_server(lambda: Connection(self), sock=listener)
        if previous is not None:
            previous.close()

    async def close(self, timeout_s: float) -> None:
        """Stops accepting, waits for requests in progress, ends every connection."""
        if self._server is not None:
            self._server.close()
        await self._until(lambda: not any(c.open_requests for c in self.connections), timeout_s)
        for connection in tuple(self.connections):
            connection.close()
        if not await self._until(lambda: not self.connections, 1.0):
            for connection in tuple(self.connections):
                connection.abort()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def greeting(self) -> dict[str, object]:
        """Returns the answer to a client's greeting."""
        uptime_s = int(self.loop.time() - self._started)
        return {**wire.greeting("daemon"), "uptime_s": uptime_s}

    def dispatch(
        self, connection: Connection, request_id: object, method: str, params: Mapping[str, object]
    ) -> None:
        """Starts a request, here or in the backend."""
        handler = self._local.get(method)
        if handler is not None:
            future = self._pool.submit(handler, params)
        else:
            future = self.backend.call(method, params, connection)
        future.add_done_callback(lambda done: self.from_thread(connection.answer, request_id, done))

    def from_thread(self, function: Callable[..., None], *arguments: object) -> None:
        """Runs a function on the loop; any thread; ignored once the loop is closed."""
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(function, *arguments)

    def note_request(self) -> None:
        """Remembers that somebody needs the daemon."""
        self.last_request = self.loop.time()

    def note_change(self) -> None:
        """Wakes `close`."""
        self._changed.set()

    async def _until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Waits until the condition holds, looking again at each change; False when time is up."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        return condition()
