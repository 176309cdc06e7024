"""A blocking client of ``rpc.sock``, for the command line, for hooks and for tests.

Owns one connection: greeting, requests, answers.  Starts the daemon when it is allowed to.  Needs
the standard library and orjson only.  Editors, which must not block, share `agentdiff.wire`
instead. Hop 1.
"""

from __future__ import annotations

import itertools
import os
import socket
from collections import deque
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

from agentdiff import wire
from agentdiff.daemon import launch
from agentdiff.daemon.launch import DaemonUnavailable
from agentdiff.daemon.ports import RequestError
from agentdiff.locations import Locations

__all__ = ["Client", "DaemonUnavailable", "RequestError", "connect"]

CALL_TIMEOUT_S = 60.0
_CHUNK_BYTES = 256 * 1024
_MAX_NUMBER = (1 << 63) - 1


def connect(locations: Locations, *, start: bool = True, timeout_s: float = 15.0) -> socket.socket:
    """Returns a connected, not yet greeted, blocking socket to the daemon.

    Args:
        locations: of the daemon.
        start: whether one may be started.
        timeout_s: for starting one.

    Raises:
        DaemonUnavailable: no daemon answers.
    """
    found = launch.ensure_running(locations, timeout_s) if start else launch.find(locations)
    if found is None:
        raise DaemonUnavailable("no daemon runs: agentdiff daemon start")
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(os.fsencode(found.rpc_socket))
    except OSError as error:
        connection.close()
        raise DaemonUnavailable(f"{found.rpc_socket}: {error.strerror}") from error
    return connection


class Client:
    """One greeted connection; a context manager.  Not for several threads at once.

    Args:
        locations: of the daemon.
        kind: how it introduces itself (``cli``).
        start: whether a daemon may be started.
        timeout_s: for each answer.

    Attributes:
        daemon: the daemon's answer to the greeting (``version``, ``pid``, ``uptime_s``).
        notifications: what arrived between answers, oldest first, as ``(method, params)``.
        heard: called with each notification as it arrives, also while an answer is waited for.

    Raises:
        DaemonUnavailable: no daemon answers, or it left.
        VersionMismatch: it speaks another protocol (`agentdiff.wire`).
    """

    def __init__(
        self,
        locations: Locations,
        *,
        kind: str = "cli",
        start: bool = True,
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> None:
        self.notifications: deque[tuple[str, dict[str, Any]]] = deque()
        self.heard: Callable[[str, dict[str, Any]], None] | None = None
        self._ids = itertools.count(1)
        self._lines = wire.LineBuffer()
        self._arrived: deque[bytes] = deque()
        try:
            self.daemon = self._greet(locations, kind, start, timeout_s)
        except DaemonUnavailable:
            if not start:
                raise
            # It accepted us and left: it was just stopping.  The next one is started.
            self.daemon = self._greet(locations, kind, start, timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection."""
        self._socket.close()

    def _greet(
        self, locations: Locations, kind: str, start: bool, timeout_s: float
    ) -> dict[str, Any]:
        """Connects and returns the daemon's answer to the greeting."""
        self._socket = connect(locations, start=start)
        self._socket.settimeout(timeout_s)
        try:
            self._send(wire.greeting(kind))
            answer = self._receive()
            wire.check_greeting(answer)
        except (OSError, wire.WireError):
            self._socket.close()
            raise
        return answer

    def call(self, method: str, **params: object) -> dict[str, Any]:
        """Sends a request and waits for its answer.

        Raises:
            RequestError: the daemon answered with an error, or (``usage``) a parameter cannot be
                sent.
            DaemonUnavailable: it left, or does not answer in time.
            WireError: it does not keep the protocol.
        """
        for problem in _unsendable(params):
            raise RequestError("usage", problem)
        request_id = next(self._ids)
        self._send({"id": request_id, "method": method, "params": params})
        while True:
            message = self._receive()
            if "method" in message:
                self._keep(message)
            elif message.get("id") == request_id:
                break
        error = message.get("error")
        if isinstance(error, dict):
            raise RequestError(error.get("code", "internal"), str(error.get("message", "")))
        result = message.get("result")
        if not isinstance(result, dict):
            raise wire.WireError(f"{method}: an answer without result")
        return result

    def notify(self, method: str, **params: object) -> None:
        """Sends a notification; there is no answer.

        Raises:
            DaemonUnavailable: the daemon left.
        """
        self._send({"method": method, "params": params})

    def wait_for_notification(self) -> tuple[str, dict[str, Any]]:
        """Returns the oldest notification, waiting for one if none has arrived.

        Raises:
            DaemonUnavailable: none comes in time, or the daemon left.
        """
        while not self.notifications:
            message = self._receive()
            if "method" in message:
                self._keep(message)
        return self.notifications.popleft()

    def _keep(self, message: dict[str, Any]) -> None:
        found = message.get("params")
        params = found if isinstance(found, dict) else {}
        self.notifications.append((message["method"], params))
        if self.heard is not None:
            self.heard(message["method"], params)

    def _send(self, message: dict[str, object]) -> None:
        try:
            self._socket.sendall(wire.encode(message))
        except OSError as error:
            raise DaemonUnavailable(f"the daemon left: {error}") from error

    def _receive(self) -> dict[str, Any]:
        """Returns the next message."""
        while not self._arrived:
            try:
                data = self._socket.recv(_CHUNK_BYTES)
            except TimeoutError as error:
                raise DaemonUnavailable("the daemon does not answer in time") from error
            except OSError as error:
                raise DaemonUnavailable(f"the daemon left: {error}") from error
            if not data:
                raise DaemonUnavailable("the daemon left; its log says why")
            self._arrived.extend(self._lines.feed(data))
        return wire.decode(self._arrived.popleft())


def _unsendable(value: object, name: str = "") -> Iterator[str]:
    """Yields what JSON, or the daemon, has no room for in the parameters, by name."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            yield f"{name}: it holds bytes that are not UTF-8; give it as UTF-8 text"
    elif isinstance(value, int) and abs(value) > _MAX_NUMBER:
        yield f"{name}: {value} is too large; the largest number is {_MAX_NUMBER}"
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from _unsendable(one, f"{name}.{key}" if name else key)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _unsendable(one, name)
