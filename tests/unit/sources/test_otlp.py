"""The OTLP/HTTP listener, over a real loopback connection."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from typing import Any

import pytest

from agentdiff.client import Client
from agentdiff.daemon import launch
from agentdiff.locations import Locations
from agentdiff.sources import otlp
from tests.unit.daemon import fixtures

TOKEN = "0123456789abcdef" * 4
JSON = {"Content-Type": "application/json"}
PROTOBUF = {"Content-Type": "application/x-protobuf"}
AUTHORISED = {"x-agentdiff-token": TOKEN}


@dataclass
class Listening:
    """A listener on a thread of its own."""

    listener: otlp.OtlpListener
    loop: asyncio.AbstractEventLoop
    logs: list[tuple[bytes, str]] = field(default_factory=list)

    @property
    def port(self) -> int:
        """The bound port."""
        assert self.listener.port is not None
        return self.listener.port

    def on_loop(self, function: Callable[[], Any]) -> Any:
        """Runs a function on the loop and returns its result."""

        async def call() -> Any:
            return function()

        return asyncio.run_coroutine_threadsafe(call(), self.loop).result(20)

    def raw(self, data: bytes) -> bytes:
        """Sends bytes, and returns all that comes back until the listener closes."""
        with socket.create_connection((otlp.HOST, self.port), timeout=20) as connection:
            connection.sendall(data)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def request(
        self,
        *,
        method: str = "POST",
        path: str = "/v1/logs",
        body: bytes | Iterator[bytes] | None = b"{}",
        headers: dict[str, str] | None = None,
    ) -> tuple[int, bytes, HTTPResponse]:
        """Sends one request on a new connection; returns status, body and response."""
        connection = HTTPConnection(otlp.HOST, self.port, timeout=20)
        try:
            given = {**JSON, **AUTHORISED} if headers is None else headers
            connection.request(method, path, body, given)
            response = connection.getresponse()
            return response.status, response.read(), response
        finally:
            connection.close()


@pytest.fixture
def listening() -> Iterator[Listening]:
    """A listener on a free port."""
    ready: Future[Listening] = Future()
    stops: list[Callable[[], object]] = []

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        stops.append(lambda: loop.call_soon_threadsafe(stop.set))
        logs: list[tuple[bytes, str]] = []
        listener = otlp.OtlpListener(
            TOKEN, lambda body, kind: logs.append((body, kind)), logging.getLogger("agentdiff.test")
        )
        await listener.start(0)
        ready.set_result(Listening(listener=listener, loop=loop, logs=logs))
        await stop.wait()
        await listener.close()

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    try:
        yield ready.result(20)
    finally:
        stops[0]()
        thread.join(20)


@pytest.mark.parametrize("path", ["/v1/logs", "/v1/traces", "/v1/metrics"])
@pytest.mark.parametrize(("headers", "answer"), [(JSON, b"{}"), (PROTOBUF, b"")])
def test_export_is_acknowledged(
    listening: Listening, path: str, headers: dict[str, str], answer: bytes
) -> None:
    """Each signal and encoding gets the answer that OTLP wants, in its own content type."""
    status, body, response = listening.request(path=path, headers={**headers, **AUTHORISED})
    assert (status, body) == (200, answer)
    assert response.headers["Content-Type"] == headers["Content-Type"]


def test_logs_are_handed_on_as_sent(listening: Listening) -> None:
    """The body of logs goes on unchanged; metrics and traces are only counted."""
    listening.request(body=b'{"resourceLogs":[]}')
    listening.request(path="/v1/metrics")
    assert listening.logs == [(b'{"resourceLogs":[]}', "application/json")]
    assert listening.on_loop(lambda: dict(listening.listener.counters)) == {
        "logs": 1,
        "metrics": 1,
    }


def test_gzip_is_unpacked(listening: Listening) -> None:
    """A compressed body arrives like a plain one."""
    headers = {**JSON, **AUTHORISED, "Content-Encoding": "gzip"}
    status, _, _ = listening.request(body=gzip.compress(b'{"a":1}'), headers=headers)
    assert (status, listening.logs) == (200, [(b'{"a":1}', "application/json")])


def test_chunks_are_joined(listening: Listening) -> None:
    """A chunked body arrives like one with a length."""
    status, _, _ = listening.request(body=iter([b'{"a"', b":1}"]))
    assert (status, listening.logs) == (200, [(b'{"a":1}', "application/json")])


def test_content_type_may_have_parameters(listening: Listening) -> None:
    """``application/json; charset=utf-8`` is JSON."""
    headers = {**AUTHORISED, "Content-Type": "Application/JSON; charset=utf-8"}
    assert listening.request(headers=headers)[0] == 200


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"path": "/v1/nothing"}, 404),
        ({"path": "/"}, 404),
        ({"method": "GET", "body": None}, 405),
        ({"headers": JSON}, 401),
        ({"headers": {**JSON, "x-agentdiff-token": "0" * 64}}, 401),
        ({"headers": {**JSON, "x-agentdiff-token": ""}}, 401),
        ({"headers": {**JSON, **AUTHORISED, "Host": "evil.example"}}, 403),
        ({"headers": {**JSON, **AUTHORISED, "Host": "10.0.0.1"}}, 403),
        ({"headers": {**JSON, **AUTHORISED, "Host": "127.0.0.1.evil.example"}}, 403),
        ({"headers": {**JSON, **AUTHORISED, "Origin": "http://127.0.0.1"}}, 403),
        ({"headers": {**AUTHORISED, "Content-Type": "text/plain"}}, 415),
        ({"headers": {**JSON, **AUTHORISED, "Content-Encoding": "br"}}, 415),
        ({"headers": {**JSON, **AUTHORISED, "Content-Encoding": "gzip"}}, 400),
    ],
)
def test_refusals_have_a_status_and_a_reason(
    listening: Listening, change: dict[str, Any], status: int
) -> None:
    """Whatever is not taken gets a clear status with a JSON body that says why."""
    found, body, _ = listening.request(**change)
    assert found == status
    assert sorted(json.loads(body)) == ["code", "message"]
    assert listening.logs == []


@pytest.mark.parametrize("host", ["127.0.0.1:4318", "localhost", "LOCALHOST:1", "[::1]:4318"])
def test_loopback_hosts_are_taken(listening: Listening, host: str) -> None:
    """Every name of this machine's loopback is a good Host."""
    assert listening.request(headers={**JSON, **AUTHORISED, "Host": host})[0] == 200


HEAD = f"POST /v1/logs HTTP/1.1\r\nHost: localhost\r\nx-agentdiff-token: {TOKEN}\r\n".encode()
TYPED = HEAD + b"Content-Type: application/json\r\n"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (HEAD + b"\r\n", b"411 Length Required"),
        (TYPED + b"Content-Length: 99999999\r\n\r\n", b"413 "),
        (TYPED + b"Content-Length: minus\r\n\r\n", b"400 Bad Request"),
        (TYPED + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", b"400 Bad Request"),
        (b"\x16\x03\x01\x02\x00", b"400 Bad Request"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"400 Bad Request"),
        (HEAD + b"X: " + b"y" * 40000 + b"\r\n\r\n", b"431 "),
        (HEAD + b"Upgrade: h2c\r\nConnection: Upgrade\r\n\r\n", b"411 "),
    ],
)
def test_bad_http_is_answered_and_closed(listening: Listening, data: bytes, status: bytes) -> None:
    """What breaks HTTP gets one answer, and the connection ends."""
    answer = listening.raw(data)
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"Connection: close\r\n" in answer


def test_body_that_grows_over_the_limit_is_refused(
    listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chunks do not get around the limit."""
    monkeypatch.setattr(otlp, "MAX_BODY_BYTES", 1000)
    data = TYPED + b"Transfer-Encoding: chunked\r\n\r\n" + b"400\r\n" + b"x" * 1024 + b"\r\n"
    assert listening.raw(data).startswith(b"HTTP/1.1 413 ")


def test_gzip_bomb_is_refused(listening: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small body that unpacks to a large one is too large, and is never held whole."""
    monkeypatch.setattr(otlp, "MAX_BODY_BYTES", 10_000)
    headers = {**JSON, **AUTHORISED, "Content-Encoding": "gzip"}
    assert listening.request(body=gzip.compress(bytes(1_000_000)), headers=headers)[0] == 413


def test_connection_is_kept_alive(listening: Listening) -> None:
    """Several exports, refused ones among them, use one connection."""
    connection = HTTPConnection(otlp.HOST, listening.port, timeout=20)
    statuses = []
    for path in ("/v1/logs", "/v1/nothing", "/v1/traces"):
        connection.request("POST", path, b"{}", {**JSON, **AUTHORISED})
        response = connection.getresponse()
        response.read()
        statuses.append(response.status)
    connection.close()
    assert statuses == [200, 404, 200]


def test_requests_in_one_segment_are_all_answered(listening: Listening) -> None:
    """Pipelined exports get their answers in order."""
    one = TYPED + b"Content-Length: 2\r\n\r\n{}"
    last = TYPED + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}"
    assert listening.raw(one + last).count(b"HTTP/1.1 200 OK") == 2


def test_connection_close_is_obeyed(listening: Listening) -> None:
    """An exporter that wants the connection closed sees it end after the answer."""
    answer = listening.raw(TYPED + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}")
    assert answer.endswith(b"\r\n\r\n{}")


def test_expectation_is_met(listening: Listening) -> None:
    """A client that waits for ``100 Continue`` before a large body gets it."""
    data = TYPED + b"Expect: 100-continue\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"
    answer = listening.raw(data)
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")


def test_silent_connections_end(listening: Listening) -> None:
    """A connection that says nothing for long is swept away."""
    with socket.create_connection((otlp.HOST, listening.port), timeout=20) as connection:
        fixtures.until(lambda: listening.on_loop(lambda: len(listening.listener._connections)) == 1)
        listening.on_loop(listening.listener.sweep)
        assert listening.on_loop(lambda: len(listening.listener._connections)) == 1
        listening.on_loop(lambda: _age(listening.listener))
        listening.on_loop(listening.listener.sweep)
        assert connection.recv(1) == b""


def _age(listener: otlp.OtlpListener) -> None:
    for connection in listener._connections:
        connection.last_active -= otlp.IDLE_AFTER_S + 1


def test_taken_port_switches_otlp_off_and_is_said(locations: Locations) -> None:
    """A daemon whose port is taken runs without OTLP, takes no other port, and reports it."""
    with socket.create_server((otlp.HOST, 0)) as taken:
        port = taken.getsockname()[1]
        locations.config_file.write_text(f"[otlp]\nport = {port}\n")
        launch.ensure_running(locations, 20.0, argv=fixtures.argv(locations))
        with Client(locations, start=False) as client:
            status = client.call("daemon.status")
    assert (status["port"], status["otlp"]) == (None, f"port {port}: Address already in use")


def test_otlp_can_be_switched_off(locations: Locations) -> None:
    """``otlp.enabled = false`` means that no port is opened."""
    locations.config_file.write_text("[otlp]\nenabled = false\n")
    launch.ensure_running(locations, 20.0, argv=fixtures.argv(locations))
    with Client(locations, start=False) as client:
        assert client.call("daemon.status")["port"] is None


def test_daemon_wants_the_token_of_its_file(daemon: Locations) -> None:
    """The daemon's listener takes exactly the token that installers read."""
    with Client(daemon, start=False) as client:
        port = client.call("daemon.status")["port"]
    statuses = []
    for token in (daemon.token_file.read_text().strip(), TOKEN):
        connection = HTTPConnection(otlp.HOST, port, timeout=20)
        connection.request("POST", "/v1/logs", b"{}", {**JSON, "x-agentdiff-token": token})
        statuses.append(connection.getresponse().status)
        connection.close()
    assert statuses == [200, 401]
