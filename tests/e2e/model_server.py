"""A scripted model on the loopback: what drives the real agents.

Owns the gates that let a test act between two steps, and the HTTP server (streaming and plain
answers).  What is said is `e2e.scenario`'s, how it is put `e2e.dialects`'s.  Must not know
agentdiff, and must not touch a disk: what the tools do is done by the agents.

The step that is played is the number of the model's messages already in the request, so a retry or
a resumed session replays the right one; nothing is counted on the server.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from e2e.dialects import DIALECTS, Dialect, Said
from e2e.scenario import MAIN, Call, Scenario, ScriptedCall, Step, Track, call_id

__all__ = [
    "DEADLINE_S",
    "MAIN",
    "Asked",
    "Call",
    "Gate",
    "ModelServer",
    "Scenario",
    "ScriptedCall",
    "Step",
    "Track",
    "call_id",
]

DEADLINE_S = 180.0


class Gate:
    """Where the model waits for the test."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._reached = threading.Event()
        self._released = threading.Event()

    def wait_reached(self, timeout_s: float = DEADLINE_S) -> None:
        """Blocks until the agent has asked for the gated step.

        Raises:
            TimeoutError: it never asked.
        """
        if not self._reached.wait(timeout_s):
            raise TimeoutError(f"the agent did not reach gate {self._name!r} in {timeout_s} s")

    def release(self) -> None:
        """Lets the model answer."""
        self._released.set()

    def pass_through(self) -> None:
        """Blocks the server's thread until the test releases the gate (or ends)."""
        self._reached.set()
        self._released.wait(DEADLINE_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request, `at_s` seconds after the start; `body` is not for messages."""

    at_s: float
    path: str
    track: str
    step: int
    body: str = field(default="", repr=False)


@dataclass(slots=True)
class _Script:
    """What the handler threads share; the list is only appended to."""

    scenario: Scenario
    gates: dict[str, Gate]
    started_s: float = field(default_factory=time.monotonic)
    asked: list[Asked] = field(default_factory=list)


class ModelServer:
    """Serves one scenario on a free loopback port, from threads of its own.

    Use as a context manager.  `asked` lists the requests so far, oldest first.
    """

    def __init__(self, scenario: Scenario) -> None:
        steps = [*scenario.steps, *(step for track in scenario.tracks for step in track.steps)]
        self._script = _Script(
            scenario, {step.gate: Gate(step.gate) for step in steps if step.gate}
        )
        self._http = _Http(self._script)
        self._thread = threading.Thread(target=self._http.serve_forever, name="model", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for gate in self._script.gates.values():
            gate.release()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """The address without a path: the value for ``ANTHROPIC_BASE_URL``."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def asked(self) -> list[Asked]:
        """The requests so far."""
        return list(self._script.asked)

    def gate(self, name: str) -> Gate:
        """Returns the gate called `name`."""
        return self._script.gates[name]


class _Http(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, script: _Script) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script = script


class _Handler(BaseHTTPRequestHandler):
    """Answers one connection of the agent."""

    protocol_version = "HTTP/1.1"
    # One segment for headers and body: two would cost 40 ms each (Nagle and delayed ACK).
    wbufsize = -1
    server: _Http

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - name of the base class
        """Keeps the test output clean; `ModelServer.asked` has what matters."""

    def do_HEAD(self) -> None:
        """Answers the connectivity probe that Claude Code sends first."""
        self._send({})

    def do_GET(self) -> None:
        """Answers model lists and the like with nothing."""
        self._send({"object": "list", "data": [], "models": []})

    def do_POST(self) -> None:
        """Plays the step that the conversation is at; any other question gets an empty answer."""
        request = json.loads(self._body() or b"{}")
        path = self.path.partition("?")[0]
        for dialect in DIALECTS:
            if dialect.speaks(path):
                self._play(dialect, path, request)
                return
        self._send({"input_tokens": 10, "totalTokens": 10} if "count" in path.lower() else {})

    def _body(self) -> bytes:
        """Reads the request; Node's fetch sends long ones in chunks."""
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _play(self, dialect: Dialect, path: str, request: dict[str, Any]) -> None:
        script = self.server.script
        heard = dialect.hear(path, request)
        track, step = "helper", Step(text=heard.helper)
        if heard.tools:
            # Requests without tools ask for titles and summaries; they are no part of the
            # conversation.
            track, step = script.scenario.pick(heard.first, heard.index)
        at_s = round(time.monotonic() - script.started_s, 2)
        asked = Asked(
            at_s=at_s, path=self.path, track=track, step=heard.index, body=json.dumps(request)
        )
        script.asked.append(asked)
        if step.gate:
            script.gates[step.gate].pass_through()
        said = Said(model=heard.model, track=track, index=heard.index, step=step)
        if step.refuses:
            error = {"type": "invalid_request_error", "message": "scripted refusal"}
            self._send({"type": "error", "error": error}, 400)
        elif heard.stream:
            self._stream(dialect, said)
        else:
            self._send(dialect.plain(said))

    def _send(self, body: Mapping[str, Any], status: int = 200) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _stream(self, dialect: Dialect, said: Said) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        for event in dialect.stream(said):
            name = f"event: {event['type']}\n" if dialect.named else ""
            self.wfile.write(f"{name}data: {json.dumps(event)}\n\n".encode())
        if dialect.farewell:
            self.wfile.write(f"data: {dialect.farewell}\n\n".encode())
