"""Hands telemetry on to the collector that the user had before us.

Owns a queue and a thread of its own: the collector may be slow or away, and neither an agent nor
the daemon waits for it.  Must not look into what it hands on.  Hop 1, sideways.

Everything that was taken goes on as it came (unpacked): logs, traces and metrics, to the same paths
below the collector's address.  While the collector is away the newest bodies wait, as many as fit;
what is dropped is counted.
"""

from __future__ import annotations

import http.client
import logging
import threading
import urllib.parse
from collections import Counter, deque
from collections.abc import Mapping

MAX_WAITING_BYTES = 64 * 1024 * 1024
TIMEOUT_S = 5.0
AGAIN_AFTER_S = 2.0


class Forwarder:
    """Any thread.

    Args:
        url: of the collector, without the signal's path (``http://127.0.0.1:4318``).
        headers: what the collector wants besides, such as an authorisation.
        counters: ``forwarded``, ``forward_dropped`` and ``forward_refused`` are counted here.
        logger: the daemon's.
    """

    def __init__(
        self, url: str, headers: Mapping[str, str], counters: Counter[str], logger: logging.Logger
    ) -> None:
        parts = urllib.parse.urlsplit(url)
        secure = parts.scheme == "https"
        self._connect = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        self._host, self._port = parts.hostname or "", parts.port
        self._path = parts.path.rstrip("/")
        self._headers = dict(headers)
        self._counters = counters
        self._logger = logger
        self._waiting: deque[tuple[str, bytes, str]] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="forward", daemon=True)
        self._thread.start()

    def put(self, path: str, body: bytes, content_type: str) -> None:
        """Queues a body; never blocks."""
        with self._changed:
            self._waiting.append((path, body, content_type))
            self._bytes += len(body)
            while self._bytes > MAX_WAITING_BYTES:
                self._bytes -= len(self._waiting.popleft()[1])
                self._counters["forward_dropped"] += 1
            self._changed.notify()

    def close(self) -> None:
        """Sends what waits if the collector takes it at once, and ends."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(TIMEOUT_S)

    def _work(self) -> None:
        away = False
        while (item := self._next()) is not None:
            try:
                self._send(*item)
            except http.client.InvalidURL as error:
                self._drop(error)
                continue
            except (OSError, http.client.HTTPException) as error:
                if not away:
                    self._logger.warning("collector away", extra={"reason": str(error)})
                away = True
                if not self._keep(item):
                    return
                continue
            except ValueError as error:
                self._drop(error)
                continue
            if away:
                self._logger.info("collector is back")
            away = False

    def _drop(self, error: Exception) -> None:
        """Gives up a body that no HTTP can carry: a header or an address is to blame."""
        self._counters["forward_dropped"] += 1
        self._logger.warning("telemetry not forwarded", extra={"reason": str(error)})

    def _next(self) -> tuple[str, bytes, str] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            if not self._waiting:
                return None
            item = self._waiting.popleft()
            self._bytes -= len(item[1])
            return item

    def _keep(self, item: tuple[str, bytes, str]) -> bool:
        """Puts an item back to the front and waits; returns False when it is time to end."""
        with self._changed:
            if self._closing:
                return False
            self._waiting.appendleft(item)
            self._bytes += len(item[1])
            self._changed.wait_for(lambda: self._closing, AGAIN_AFTER_S)
            return not self._closing

    def _send(self, path: str, body: bytes, content_type: str) -> None:
        connection = self._connect(self._host, self._port, timeout=TIMEOUT_S)
        try:
            headers = {**self._headers, "Content-Type": content_type}
            connection.request("POST", self._path + path, body, headers)
            answer = connection.getresponse()
            answer.read()
        finally:
            connection.close()
        if answer.status in (429, 502, 503, 504):
            raise http.client.HTTPException(f"status {answer.status}")
        if answer.status >= 300:  # it will not take this one, however often it is asked
            self._counters["forward_refused"] += 1
            self._logger.warning("collector refused", extra={"status": answer.status})
        else:
            self._counters["forwarded"] += 1
