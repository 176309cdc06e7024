"""The targets with a whole daemon's insides behind them: hooks, frames of the socket, HTTP.

Owns the property that matters most: whatever arrives, nothing outside of the workspace changes, and
no error is an accident.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import sqlite3
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from agentdiff import wire
from agentdiff.agents import registry
from agentdiff.config import Config
from agentdiff.core.events import ToolReported, ToolStarted
from agentdiff.daemon import requests
from agentdiff.daemon.engine import Engine
from agentdiff.daemon.ports import ClientPort, RequestError
from agentdiff.daemon.server import Connection, RpcServer
from agentdiff.errors import MalformedPayload
from agentdiff.locations import Locations
from agentdiff.sources import editor
from agentdiff.sources.otlp import OtlpConnection, OtlpListener
from agentdiff.sources.telemetry import Telemetry
from tests.fuzz.targets import HOOK_TOKENS, Run, Target, _payloads

WAIT_S = 60.0
ROOT = b"@ROOT@"
"""Stands for the workspace in kept inputs: it lies elsewhere every time."""
TOKEN = "0123456789abcdef" * 4
LOGGER = logging.getLogger("agentdiff.fuzz")
LOGGER.addHandler(logging.NullHandler())


class World:
    """A workspace, what lies around it, and an engine.

    Args:
        folder: of nobody else.
    """

    def __init__(self, folder: Path) -> None:
        folder = folder.resolve()
        self.root, self.outside = folder / "work", folder / "outside"
        for place in (self.root, self.outside):
            place.mkdir()
            (place / "a.txt").write_text("one\ntwo\nthree\n")
        (self.root / "out").symlink_to(self.outside)
        (self.root / "out.txt").symlink_to(self.outside / "a.txt")
        os.mkfifo(self.root / "pipe")
        subprocess.run(["git", "init", "-q", self.root], check=True)
        self.place = folder
        self.locations = Locations(
            state=folder / "state",
            runtime=folder / "run",
            config=folder / "config",
            data=folder / "data",
        )
        self.engine = Engine(locations=self.locations, config=Config(), logger=LOGGER)
        self._before = self._look()

    def _look(self) -> dict[str, tuple[int, int, bytes]]:
        files = [self.outside, *self.outside.rglob("*")]
        return {
            str(one): (
                one.lstat().st_mode,
                one.lstat().st_ino,
                b"" if one.is_dir() else one.read_bytes(),
            )
            for one in files
        }

    def mine(self, path: bytes | None) -> bool:
        """Whether a path lies in this world: others' trees must not be read for a test."""
        if path is None:
            return True
        return os.path.realpath(path).startswith(os.fsencode(self.place) + b"/")

    def check(self) -> None:
        """Fails when anything outside changed, or the worker stumbled over a bug."""
        assert self._look() == self._before, "something outside of the workspace changed"
        assert self.engine.counters["bugs"] == 0, "the worker met an unexpected error"


@contextmanager
def world() -> Iterator[World]:
    """Opens and closes a world."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        made = World(Path(folder))
        try:
            yield made
        finally:
            made.engine.close()


# --- hooks ---------------------------------------------------------------------------------------


@contextmanager
def _hooks() -> Iterator[Run]:
    with world() as here:

        def run(data: bytes) -> None:
            payload = data.replace(ROOT, os.fsencode(here.root))
            with suppress(MalformedPayload, OSError, sqlite3.Error):
                events = registry.parse("claude", payload, 1)
                if all(here.mine(event.cwd) for event in events):
                    here.engine.hook("claude", payload, 1)
            here.check()

        yield run


def _hook_payloads() -> list[bytes]:
    return [one.replace(b'"/ws', b'"' + ROOT) for one in _payloads("claude")]


# --- frames of rpc.sock --------------------------------------------------------------------------


class _Transport(asyncio.Transport):
    """Takes what is written; the peer is this process."""

    def __init__(self, peer: socket.socket) -> None:
        super().__init__({"socket": peer})
        self.written = bytearray()
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def write_eof(self) -> None:
        pass

    def can_write_eof(self) -> bool:
        return True

    def abort(self) -> None:
        self.closed = True

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0


class _Confined:
    """The engine, except that it is asked about nothing but its own world."""

    def __init__(self, here: World) -> None:
        self._here = here
        self.client_gone = here.engine.client_gone

    def call(
        self, method: str, params: Mapping[str, object], client: ClientPort
    ) -> Future[dict[str, object]]:
        if self._foreign(params):
            done: Future[dict[str, object]] = Future()
            done.set_exception(RequestError("refused", "not of this world"))
            return done
        return self._here.engine.call(method, params, client)

    def notify(self, method: str, params: Mapping[str, object], client: ClientPort) -> None:
        if not self._foreign(params):
            self._here.engine.notify(method, params, client)

    def _foreign(self, params: Mapping[str, object]) -> bool:
        try:
            return not self._here.mine(editor.folder(params)[1])
        except RequestError:
            return False  # refused by the engine as well


@contextmanager
def _frames() -> Iterator[Run]:
    ours, theirs = socket.socketpair()
    with world() as here, ours, theirs, asyncio.Runner() as runner:
        # Something to decide about.
        for event in ("PreToolUse", "PostToolUse"):
            (here.root / "b.txt").write_text(f"written after {event}\n")
            here.engine.hook("claude", _edit(event, here.root), 1)

        async def make() -> RpcServer:
            backend: Any = _Confined(here)
            return RpcServer(backend, {}, started=0.0, logger=LOGGER)

        served = runner.run(make())

        async def talk(data: bytes) -> bytes:
            transport = _Transport(ours)
            connection = Connection(served)
            connection.connection_made(transport)
            connection.data_received(wire.encode(wire.greeting("cli")) + data)
            while connection.open_requests:
                served._changed.clear()
                await asyncio.wait_for(served._changed.wait(), WAIT_S)
            connection.connection_lost(None)
            return bytes(transport.written)

        def run(data: bytes) -> None:
            said = runner.run(talk(data.replace(ROOT, os.fsencode(here.root))))
            for line in said.splitlines():
                answer = json.loads(line)
                assert answer.get("error", {}).get("code") != "internal", answer
            here.check()

        yield run


def _edit(event: str, root: Path) -> bytes:
    call = {"tool_name": "Write", "tool_use_id": "t", "tool_response": {}}
    given = {"file_path": str(root / "b.txt"), "content": "written after PostToolUse\n"}
    common = {"session_id": "s", "cwd": str(root), "prompt_id": "p", "hook_event_name": event}
    return json.dumps({**common, **call, "tool_input": given}).encode()


def _requests() -> list[bytes]:
    """Returns one line for each method, with all parameters that any of them takes."""
    params: dict[str, object] = {
        "cwd": ROOT.decode(),
        "paths": ["a.txt", {"path_b64": "Yi50eHQ="}, "../outside/a.txt"],
        "path": "out/a.txt",
        "op": "reject",
        "selection": {"all": True, "hunks": [{"id": 1, "gen": 1}], "seen": 1, "external": True},
        "turn": "1",
        "group": "turn",
        "context": 3,
        "text": "why?\u202e",
        "data_b64": "b25lCg==",
        "written": True,
        "lines": [1, 2],
    }
    few = {"cwd": ROOT.decode()}
    lines = []
    for at, method in enumerate(sorted({*requests.METHODS, "claim", "settled"})):
        for given in (few, params):
            message = {"id": at, "method": method, "params": given}
            if method in ("claim", "settled"):
                del message["id"]
            lines.append(json.dumps(message).encode() + b"\n")
    return lines


# --- HTTP ----------------------------------------------------------------------------------------


class _Sink:
    """Takes what telemetry tells."""

    def __init__(self) -> None:
        self.taken = 0

    def telemetry(self, reports: tuple[ToolReported, ...]) -> bool:
        """See `agentdiff.sources.telemetry.Sink`."""
        self.taken += len(reports)
        return True

    def announced(self, started: ToolStarted) -> None:
        """See `agentdiff.sources.telemetry.Sink`."""
        self.taken += 1


@contextmanager
def _http() -> Iterator[Run]:
    ours, theirs = socket.socketpair()
    sink, troubles = _Sink(), list[object]()
    with ours, theirs, asyncio.Runner() as runner:
        telemetry = Telemetry(sink, Counter(), LOGGER)
        runner.get_loop().set_exception_handler(lambda _, context: troubles.append(context))

        async def make() -> OtlpListener:
            return OtlpListener(TOKEN, telemetry.take, LOGGER)

        listener = runner.run(make())

        async def talk(data: bytes) -> None:
            transport = _Transport(ours)
            connection = OtlpConnection(listener)
            connection.connection_made(transport)
            half = len(data) // 2  # arrives in two pieces
            for piece in (data[:half], data[half:]):
                if piece:
                    connection.data_received(piece)
            waiting = [one for one, _, _ in connection._waiting if isinstance(one, asyncio.Future)]
            if waiting:
                await asyncio.wait(waiting, timeout=WAIT_S)
            await asyncio.sleep(0)
            connection.connection_lost(None)

        def run(data: bytes) -> None:
            before = sink.taken
            runner.run(talk(data))
            assert troubles == []
            # HTTP does not care for the case of a header's name, nor we for that of its value.
            assert sink.taken == before or TOKEN.encode() in data, "taken without the token"

        yield run
        telemetry.close()


TARGETS = (
    Target(
        name="engine-hooks",
        open=_hooks,
        recorded=_hook_payloads,
        tokens=(*HOOK_TOKENS, ROOT, b'"@ROOT@/out/a.txt"', b'"@ROOT@/pipe"', b"/../outside/a.txt"),
        examples=15,
        cpu_s=10.0,
    ),
    Target(
        name="rpc",
        open=_frames,
        recorded=_requests,
        tokens=(b'"method":"decide"', b'"params":{}', b'"selection":{"all":true}', b'\n{"id":1}\n'),
        examples=30,
        cpu_s=10.0,
    ),
    Target(
        name="otlp-http",
        open=_http,
        tokens=(
            *(b"Content-Length: ", b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n", b"\r\n\r\n"),
            *(
                b"Content-Encoding: gzip\r\n",
                b"Host: evil.example\r\n",
                b"Expect: 100-continue\r\n",
            ),
        ),
    ),
)
