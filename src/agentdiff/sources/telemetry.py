"""Logs that agents send by OTLP, on their way to the engine.

Owns what the sender is answered, and when: at once, except where a call waits for its baseline, or
where a body is so large that decoding it would keep others waiting.  Must not know any agent, nor
HTTP (`agentdiff.sources.otlp`).  Hop 1.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Protocol, TypeAlias

from agentdiff.agents import telemetry
from agentdiff.core.events import ToolReported, ToolStarted
from agentdiff.errors import MalformedPayload
from agentdiff.sources.refusal import Refusal

LARGE_BYTES = 256 * 1024
THREADS = 4

Outcome: TypeAlias = Refusal | None
Forward: TypeAlias = Callable[[bytes, str], None]


class Sink(Protocol):
    """The part of `agentdiff.daemon.ports.Backend` that telemetry goes to."""

    def telemetry(self, reports: tuple[ToolReported, ...]) -> bool:
        """See `Backend.telemetry`."""

    def announced(self, started: ToolStarted) -> None:
        """See `Backend.announced`."""


class Telemetry:
    """Takes the bodies of ``/v1/logs`` on the loop's thread.

    Args:
        sink: the engine.
        counters: the listener's, shared with ``daemon status``.
        logger: the daemon's.
    """

    def __init__(self, sink: Sink, counters: Counter[str], logger: logging.Logger) -> None:
        self._sink = sink
        self._counters = counters
        self._logger = logger
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="telemetry")

    def close(self) -> None:
        """Finishes what is under way."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def take(self, body: bytes, content_type: str) -> Outcome | asyncio.Future[Outcome]:
        """Returns None when a body was taken, or why not; a future when that takes a while.

        The result of the future is the answer: an exporter that waits for it knows that the
        baseline of the call that it announced is taken.
        """
        loop = asyncio.get_running_loop()
        if len(body) > LARGE_BYTES:
            return loop.run_in_executor(self._pool, self._take_now, body, content_type)
        parsed = self._parse(body, content_type)
        if isinstance(parsed, Refusal):
            return parsed
        if any(isinstance(event, ToolStarted) for event in parsed):
            return loop.run_in_executor(self._pool, self._tell, parsed)
        return self._tell(parsed)

    def _take_now(self, body: bytes, content_type: str) -> Outcome:
        parsed = self._parse(body, content_type)
        return parsed if isinstance(parsed, Refusal) else self._tell(parsed)

    def _parse(self, body: bytes, content_type: str) -> tuple[telemetry.Event, ...] | Refusal:
        try:
            parsed = telemetry.parse(body, content_type, time.time_ns())
        except MalformedPayload as error:
            return Refusal(status=HTTPStatus.BAD_REQUEST, message=f"not OTLP logs: {error}")
        for reason in parsed.malformed:
            self._counters["malformed_records"] += 1
            self._logger.warning("otlp record malformed", extra={"reason": reason})
        return parsed.events

    def _tell(self, events: tuple[telemetry.Event, ...]) -> Outcome:
        """Hands events on; with a start among them on a thread that may wait."""
        for event in events:
            if not isinstance(event, ToolStarted):
                continue
            try:
                self._sink.announced(event)
            except (OSError, sqlite3.Error) as error:
                # As for a hook: the agent goes on, and the log says what is wrong.
                self._logger.error("announced call not taken", exc_info=error)
        reports = tuple(event for event in events if isinstance(event, ToolReported))
        if reports and not self._sink.telemetry(reports):
            message = "too much telemetry waits to be digested: come again"
            return Refusal(status=HTTPStatus.SERVICE_UNAVAILABLE, message=message)
        return None
