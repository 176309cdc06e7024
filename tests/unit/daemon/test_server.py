"""``rpc.sock``: greeting, framing, requests, notifications, back-pressure."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from agentdiff import wire
from agentdiff.client import Client, RequestError
from agentdiff.daemon import server, sockets
from agentdiff.locations import Locations
from agentdiff.wire import VersionMismatch
from tests.unit.daemon.fake_backend import FakeBackend
from tests.unit.daemon.fixtures import until

LOGGER = logging.getLogger("agentdiff.test")


@dataclass
class Served:
    """A server on a thread of its own."""

    locations: Locations
    backend: FakeBackend
    server: server.RpcServer
    loop: asyncio.AbstractEventLoop

    def client(self, **options: object) -> Client:
        """Connects to the server."""
        return Client(self.locations, start=False, **options)  # type: ignore[arg-type]

    def on_loop(self, function: Callable[[], object]) -> object:
        """Runs a function on the loop and returns its result."""

        async def call() -> object:
            return function()

        return asyncio.run_coroutine_threadsafe(call(), self.loop).result(20)


@contextmanager
def serving(backend: FakeBackend | None = None) -> Iterator[Served]:
    """Serves until the block is left."""
    backend = backend or FakeBackend()
    ready: Future[Served] = Future()
    with tempfile.TemporaryDirectory(prefix="ad-", dir="/tmp") as folder:
        root = Path(folder)
        locations = Locations(state=root, runtime=root, config=root, data=root)

        async def main() -> None:
            stop = asyncio.Event()
            local = {"daemon.status": lambda params: {"local": dict(params)}}
            rpc = server.RpcServer(backend, local, started=0.0, logger=LOGGER)
            await rpc.listen(sockets.listen(locations.rpc_socket))
            loop = asyncio.get_running_loop()
            stops.append(lambda: loop.call_soon_threadsafe(stop.set))
            ready.set_result(Served(locations=locations, backend=backend, server=rpc, loop=loop))
            await stop.wait()
            backend.release.set()
            await rpc.close(5.0)

        stops: list[Callable[[], object]] = []
        thread = threading.Thread(target=lambda: asyncio.run(main()))
        thread.start()
        try:
            yield ready.result(20)
        finally:
            stops[0]()
            thread.join(20)
            assert not thread.is_alive()


@pytest.fixture
def served() -> Iterator[Served]:
    """A server around a small backend."""
    with serving() as found:
        yield found


def _raw(served: Served) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(20)
    connection.connect(str(served.locations.rpc_socket))
    return connection


def test_greeting_is_answered(served: Served) -> None:
    """A client learns version, pid and age of the daemon."""
    with served.client() as client:
        assert sorted(client.daemon) == [
            "client",
            "min_proto",
            "pid",
            "proto",
            "uptime_s",
            "version",
        ]


def test_no_common_version_is_refused_with_a_remedy(served: Served) -> None:
    """A client of another protocol is told what to do, and the connection ends."""
    with _raw(served) as connection:
        greeting = {**wire.greeting("cli"), "proto": 9, "min_proto": 9}
        connection.sendall(wire.encode(greeting))
        file = connection.makefile("rb")
        error = json.loads(file.readline())["error"]
        assert error["code"] == "version"
        assert "agentdiff daemon stop" in error["message"]
        assert file.read() == b""


def test_client_reports_another_version(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocking client raises what the daemon answered."""
    monkeypatch.setattr(
        "agentdiff.wire.greeting", lambda kind: {"client": kind, "pid": 1, "proto": 9}
    )
    with pytest.raises(VersionMismatch, match="agentdiff daemon stop"):
        served.client()


@pytest.mark.parametrize("first", [b"GET / HTTP/1.1\r\n", b"[]\n", b'{"id":1}\n', b"\xff\n"])
def test_whoever_does_not_greet_is_dropped(served: Served, first: bytes) -> None:
    """A connection whose first line is no greeting ends."""
    with _raw(served) as connection:
        connection.sendall(first)
        assert connection.recv(100) == b""


def test_request_reaches_the_backend(served: Served) -> None:
    """Parameters go in, the result comes out, and the backend knows who asked."""
    with served.client(kind="nvim") as client:
        answer = client.call("echo", deep={"list": [1, "zwei", None]})
    assert answer["params"] == {"deep": {"list": [1, "zwei", None]}}
    assert answer["kind"] == "nvim"


def test_local_method_does_not_reach_the_backend(served: Served) -> None:
    """Methods of the table are answered by the server itself."""
    with served.client() as client:
        assert client.call("daemon.status", a=1) == {"local": {"a": 1}}


@pytest.mark.parametrize(
    ("method", "code", "message"),
    [
        ("refuse", "refused", "not now"),
        ("nonsense", "unknown_method", "no method 'nonsense'"),
        ("crash", "internal", "ValueError: boom; see the log"),
    ],
)
def test_errors_are_answers(served: Served, method: str, code: str, message: str) -> None:
    """A failing request gets its documented error, and the connection lives on."""
    with served.client() as client:
        with pytest.raises(RequestError) as caught:
            client.call(method)
        assert (caught.value.code, caught.value.message) == (code, message)
        assert client.call("echo")["params"] == {}


def test_slow_request_delays_no_other(served: Served) -> None:
    """Answers come when they are ready, not in the order of the requests."""
    with _raw(served) as connection:
        lines = connection.makefile("rb")
        connection.sendall(wire.encode(wire.greeting("cli")))
        lines.readline()
        connection.sendall(wire.encode({"id": 1, "method": "later"}))
        connection.sendall(wire.encode({"id": 2, "method": "echo"}))
        assert json.loads(lines.readline())["id"] == 2
        served.backend.release.set()
        assert json.loads(lines.readline()) == {"id": 1, "result": {"late": True}}


def test_notification_reaches_the_backend(served: Served) -> None:
    """A message without id is a notification and has no answer."""
    with served.client() as client:
        client.notify("claim", path="a")
        assert served.backend.seen.acquire(timeout=20)
        assert [item[:2] for item in served.backend.notified] == [("claim", {"path": "a"})]


def test_notification_reaches_the_client(served: Served) -> None:
    """What the backend sends to a client arrives between answers."""
    with served.client() as client:
        client.call("tell")
        assert client.wait_for_notification() == ("changed", {"seq": 7, "padding": ""})


def test_backend_learns_that_a_client_left(served: Served) -> None:
    """The backend hears of the end of each greeted connection, by the id it knew."""
    with served.client() as client:
        name = client.call("echo")["client"]
    assert served.backend.seen.acquire(timeout=20)
    assert served.backend.gone == [name]


@pytest.mark.parametrize(
    "message", [b'{"id":1,"method":3}\n', b'{"id":1,"method":"m","params":[]}\n']
)
def test_message_of_another_shape_is_a_usage_error(served: Served, message: bytes) -> None:
    """A request without method, or with other parameters than an object, is answered so."""
    with _raw(served) as connection:
        lines = connection.makefile("rb")
        connection.sendall(wire.encode(wire.greeting("cli")) + message)
        lines.readline()
        assert json.loads(lines.readline())["error"]["code"] == "usage"


def test_line_that_is_too_long_ends_the_connection(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client cannot make the daemon hold more than one line's worth of memory."""
    monkeypatch.setattr(wire.LineBuffer, "_check", _refuse_more_than_1000)
    with _raw(served) as connection:
        connection.sendall(wire.encode(wire.greeting("cli")))
        connection.makefile("rb").readline()
        connection.sendall(b"x" * 2000)
        assert connection.recv(100) == b""


def _refuse_more_than_1000(_buffer: wire.LineBuffer, size: int) -> None:
    if size > 1000:
        raise wire.WireError("too long")


def test_client_that_does_not_read_is_dropped(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stuck client loses its connection instead of filling the daemon's memory."""
    monkeypatch.setattr(server, "STUCK_AFTER_S", 0.05)
    with _raw(served) as connection:
        connection.sendall(wire.encode(wire.greeting("nvim")))
        connection.makefile("rb").readline()
        request = {"id": 1, "method": "tell", "params": {"size": 8 * 1024 * 1024}}
        connection.sendall(wire.encode(request))
        until(lambda: served.on_loop(lambda: len(served.server.connections)) == 0)


def test_requests_without_end_are_not_taken(served: Served) -> None:
    """With many requests open, the server reads no further ones before some are answered."""
    with _raw(served) as connection:
        connection.sendall(wire.encode(wire.greeting("cli")))
        connection.makefile("rb").readline()
        for number in range(server.MAX_OPEN_REQUESTS):
            connection.sendall(wire.encode({"id": number, "method": "later"}))
        for _ in range(server.MAX_OPEN_REQUESTS):
            assert served.backend.entered.acquire(timeout=20)
        [open_now] = served.on_loop(  # type: ignore[misc]
            lambda: [c.open_requests for c in served.server.connections]
        )
        assert open_now == server.MAX_OPEN_REQUESTS
        connection.sendall(wire.encode({"id": 1000, "method": "later"}))
        assert not served.backend.entered.acquire(timeout=0.2)
        served.backend.release.set()
        assert served.backend.entered.acquire(timeout=20)


def test_other_users_are_turned_away(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection whose peer is somebody else ends before anything is read."""
    monkeypatch.setattr(sockets, "peer_uid", lambda _connection: 12345)
    with _raw(served) as connection:  # our own client would not even talk to another user
        assert connection.recv(1) == b""
    assert served.backend.gone == []


def test_peer_is_who_connected() -> None:
    """The kernel names the user on the other side of a Unix socket."""
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        assert sockets.peer_uid(ours) == Path("/proc/self").stat().st_uid


def test_closing_answers_what_is_in_progress() -> None:
    """Requests that run when the server closes get their answer before the end."""
    with serving() as served, _raw(served) as connection:
        lines = connection.makefile("rb")
        connection.sendall(wire.encode(wire.greeting("cli")))
        lines.readline()
        connection.sendall(wire.encode({"id": 1, "method": "later"}))
        assert served.backend.entered.acquire(timeout=20)
        closing = asyncio.run_coroutine_threadsafe(served.server.close(20.0), served.loop)
        served.backend.release.set()
        assert json.loads(lines.readline()) == {"id": 1, "result": {"late": True}}
        assert lines.read() == b""
        closing.result(20)


def test_path_too_long_for_a_socket_names_the_remedy(tmp_path: Path) -> None:
    """A runtime folder whose name is too long is an error that says what to set."""
    with pytest.raises(OSError, match="set XDG_RUNTIME_DIR to a shorter folder"):
        sockets.listen(tmp_path / ("x" * 120))
