"""Telemetry on its way in: answers that wait for a baseline, pressure, and a collector besides."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from agentdiff.core.events import ToolReported, ToolStarted
from agentdiff.sources.forward import Forwarder
from agentdiff.sources.otlp import HOST, OtlpListener
from agentdiff.sources.telemetry import LARGE_BYTES, Telemetry

TOKEN = "0" * 64
LOGGER = logging.getLogger("test")
WAIT_S = 20.0


class Sink:
    """An engine that can be slow and full."""

    def __init__(self) -> None:
        self.reports: list[ToolReported] = []
        self.started: list[ToolStarted] = []
        self.entered = threading.Event()
        self.go_on = threading.Event()
        self.full = False

    def telemetry(self, reports: tuple[ToolReported, ...]) -> bool:
        """Takes reports, unless it is full."""
        if not self.full:
            self.reports += reports
        return not self.full

    def announced(self, started: ToolStarted) -> None:
        """Takes as long as the test wants."""
        self.entered.set()
        assert self.go_on.wait(WAIT_S)
        self.started.append(started)


class Running:
    """A listener with telemetry on a loop of its own, and a connection to it."""

    def __init__(self) -> None:
        self.sink = Sink()
        self.counters: Counter[str] = Counter()
        self.taken: list[tuple[str, bytes, str]] = []
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        self.port = self._on_loop(self._start())
        self.connection = socket.create_connection((HOST, self.port), timeout=WAIT_S)

    async def _start(self) -> int:
        self.telemetry = Telemetry(self.sink, self.counters, LOGGER)
        self.listener = OtlpListener(
            TOKEN,
            self.telemetry.take,
            LOGGER,
            self.counters,
            lambda *taken: self.taken.append(taken),
        )
        await self.listener.start(0)
        assert self.listener.port is not None
        return self.listener.port

    def _on_loop(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(WAIT_S)

    def close(self) -> None:
        """Ends everything."""
        self.sink.go_on.set()
        self.connection.close()
        self._on_loop(self.listener.close())
        self.telemetry.close()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def send(self, *bodies: bytes, path: str = "/v1/logs") -> None:
        """Sends requests at once, without waiting for answers."""
        head = f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nx-agentdiff-token: {TOKEN}\r\n"
        head += "Content-Type: application/json\r\nContent-Length: "
        self.connection.sendall(
            b"".join(f"{head}{len(body)}\r\n\r\n".encode() + body for body in bodies)
        )

    def answers(self, count: int) -> list[int]:
        """Returns the statuses of so many answers."""
        data = b""
        while len(parts := data.split(b"HTTP/1.1 ")) <= count or not data.endswith(b"}"):
            part = self.connection.recv(65536)
            assert part, data
            data += part
        return [int(part[:3]) for part in parts[1:]]


@pytest.fixture
def running() -> Iterator[Running]:
    """A listener."""
    made = Running()
    yield made
    made.close()


def record(**values: object) -> bytes:
    """Returns a request with one decision of Codex."""
    given = {
        "event.name": "codex.tool_decision",
        "conversation.id": "s",
        "call_id": "c",
        "decision": "approved",
        **values,
    }
    attributes = [{"key": key, "value": {"stringValue": value}} for key, value in given.items()]
    logs = [{"logRecords": [{"attributes": attributes}]}]
    return json.dumps({"resourceLogs": [{"scopeLogs": logs}]}).encode()


ENRICHED = record(argv='["true"]', cwd="/ws")


def test_the_answer_waits_for_the_baseline(running: Running) -> None:
    """What was sent behind it is answered behind it, in order."""
    running.send(ENRICHED, record(), b"{")
    assert running.sink.entered.wait(WAIT_S)
    running.connection.settimeout(0.05)
    with pytest.raises(TimeoutError):
        running.connection.recv(1)
    running.connection.settimeout(WAIT_S)
    running.sink.go_on.set()
    assert running.answers(3) == [200, 200, 400]
    assert [one.tool_call for one in running.sink.started] == ["c"]
    assert len(running.sink.reports) == 2
    running.send(record())
    assert running.answers(1) == [200]


def test_others_are_answered_meanwhile(running: Running) -> None:
    """A call that waits for its cut delays nobody on another connection."""
    running.send(ENRICHED)
    assert running.sink.entered.wait(WAIT_S)
    waiting, running.connection = (
        running.connection,
        socket.create_connection((HOST, running.port), timeout=WAIT_S),
    )
    running.send(record())
    assert running.answers(1) == [200]
    waiting.close()  # gave up: nobody is left to answer


def test_too_much_is_told_to_come_again(running: Running) -> None:
    """503, which exporters repeat; nothing of it is half taken."""
    running.sink.full = True
    running.send(record())
    assert running.answers(1) == [503]
    running.sink.full = False
    running.send(record())
    assert running.answers(1) == [200]
    assert len(running.sink.reports) == 1


def test_a_large_batch_is_decoded_beside_the_loop(running: Running) -> None:
    """With the same result."""
    running.send(record(padding="x" * LARGE_BYTES))
    assert running.answers(1) == [200]
    assert len(running.sink.reports) == 1
    running.send(b"[" + b"1" * LARGE_BYTES)
    assert running.answers(1) == [400]


def test_a_record_that_makes_no_sense_is_counted(running: Running) -> None:
    """Its batch is taken all the same."""
    running.send(record(call_id=""))
    assert running.answers(1) == [200]
    assert running.counters["malformed_records"] == 1


def test_what_is_taken_goes_on_and_what_is_refused_does_not(running: Running) -> None:
    """As it came, whatever the signal."""
    running.send(record(), b"{")
    running.send(b"{}", path="/v1/traces")
    assert running.answers(3) == [200, 400, 200]
    assert running.taken == [
        ("/v1/logs", record(), "application/json"),
        ("/v1/traces", b"{}", "application/json"),
    ]


class Collector:
    """A collector that is refused once before it takes anything."""

    def __init__(self) -> None:
        self.got: list[tuple[str, bytes, str]] = []
        self.statuses = [503, 200, 400]
        self.arrived = threading.Semaphore(0)
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.got.append((self.path, body, self.headers["x-key"]))
                self.send_response(collector.statuses.pop(0))
                self.end_headers()
                collector.arrived.release()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Says nothing."""

        self.server = HTTPServer((HOST, 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self) -> None:
        """Ends it."""
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def test_a_collector_gets_everything_again_until_it_takes_it() -> None:
    """What it will never take is given up and counted."""
    collector, counters = Collector(), Counter[str]()
    url = f"http://{HOST}:{collector.server.server_port}/otel/"
    forwarder = Forwarder(url, {"x-key": "k"}, counters, LOGGER)
    forwarder.put("/v1/logs", b"one", "application/json")
    forwarder.put("/v1/traces", b"two", "application/x-protobuf")
    for _ in range(3):
        assert collector.arrived.acquire(timeout=WAIT_S)
    forwarder.close()
    collector.close()
    one, two = ("/otel/v1/logs", b"one", "k"), ("/otel/v1/traces", b"two", "k")
    assert collector.got == [one, one, two]
    assert counters == {"forwarded": 1, "forward_refused": 1}


def test_a_body_that_http_cannot_carry_is_dropped_alone() -> None:
    """It is counted, and the next one goes on."""
    collector, counters = Collector(), Counter[str]()
    collector.statuses = [200]
    url = f"http://{HOST}:{collector.server.server_port}"
    forwarder = Forwarder(url, {}, counters, LOGGER)
    forwarder.put("/v1/logs", b"one", "bad\nheader")
    forwarder.put("/v1/logs", b"two", "→")
    forwarder.put("/v1/lo gs", b"three", "application/json")
    forwarder.put("/v1/logs", b"four", "application/json")
    collector.arrived.acquire(timeout=WAIT_S)
    forwarder.close()
    collector.close()
    assert [body for _, body, _ in collector.got] == [b"four"]
    assert counters == {"forward_dropped": 3, "forwarded": 1}


def test_a_collector_that_is_away_delays_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit is dropped, oldest first, and counted; closing does not wait for it."""
    monkeypatch.setattr("agentdiff.sources.forward.MAX_WAITING_BYTES", 100)
    counters = Counter[str]()
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    forwarder = Forwarder(f"http://{HOST}:{port}", {}, counters, LOGGER)
    for _ in range(10):
        forwarder.put("/v1/logs", b"x" * 50, "application/json")
    assert counters["forward_dropped"] >= 7
    forwarder.close()
