"""A scripted Anthropic Messages API on the loopback: the model that drives the real Claude Code.

Owns the scenario vocabulary (`Call`, `Step`, `Track`, `Scenario`), the gates that let a test act
between two steps, and the HTTP server (streaming and plain answers).  Must not know agentdiff, and
must not touch a disk: what the tools do is done by Claude Code.

The step that is played is the number of assistant messages already in the request, so a retry or a
resumed session replays the right one; nothing is counted on the server.  Shapes as sent and
accepted by Claude Code 2.1.197 and 2.1.329.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

DEADLINE_S = 60.0
MAIN = "main"
_USAGE = {"input_tokens": 1, "output_tokens": 1}
_JSON_CHUNK_CHARS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One tool call that the model asks for.

    Attributes:
        tool: the tool's name (``Edit``, ``Write``, ``Bash``, ``Agent``…).
        input: the tool's arguments.
        touches: workspace paths whose pending change this call is answerable for in the end: the
            truth that the attribution is checked against.  A change that a later call overwrote is
            not listed.
        evidence: how sure agentdiff may be of that: one of these, and of nothing else.
    """

    tool: str
    input: Mapping[str, object]
    touches: tuple[bytes, ...] = ()
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One assistant message.  Several calls are parallel calls; no call ends the turn.

    Attributes:
        gate: name of a gate; the answer waits until the test releases it.  The tools of the step
            before are over by then, with their hooks.
    """

    calls: tuple[Call, ...] = ()
    text: str = ""
    gate: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """The steps of a subagent, chosen when its first prompt contains `match`."""

    match: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """All that the model says in one turn: the main conversation and one track for each subagent.

    Attributes:
        start: how many messages the model has said in earlier turns of the session.
    """

    steps: tuple[Step, ...]
    tracks: tuple[Track, ...] = ()
    start: int = 0

    @property
    def end(self) -> int:
        """The `start` of the next turn: after the last step the model says once that it is done."""
        return self.start + len(self.steps) + 1

    def pick(self, first_text: str, index: int) -> tuple[str, Step]:
        """Returns (name of the track, step) for a conversation's `index`-th message (0-based)."""
        track, steps, index = MAIN, self.steps, index - self.start
        for candidate in self.tracks:
            if candidate.match in first_text:
                track, steps, index = candidate.match, candidate.steps, index + self.start
        return track, steps[index] if 0 <= index < len(steps) else Step(text="done")

    def calls(self) -> Iterator[ScriptedCall]:
        """Yields every call, subagents included."""
        for track, start, steps in (
            (MAIN, self.start, self.steps),
            *((track.match, 0, track.steps) for track in self.tracks),
        ):
            for index, step in enumerate(steps, start):
                for number, call in enumerate(step.calls):
                    identity = call_id(track, index, number)
                    yield ScriptedCall(id=identity, call=call, subagent=track != MAIN)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedCall:
    """A call with the id that the model gives it; `subagent` says whether a subagent makes it."""

    id: str
    call: Call
    subagent: bool


def call_id(track: str, step: int, number: int) -> str:
    """Returns the id of the `number`-th call of a step (0-based); the same on every replay."""
    return f"toolu_{''.join(filter(str.isalnum, track))}_{step:02d}_{number}"


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
    """One request, `at_s` seconds after the start, for the message of a test that fails."""

    at_s: float
    path: str
    track: str
    step: int


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
        """The value for ``ANTHROPIC_BASE_URL``."""
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
        self._send({"data": []})

    def do_POST(self) -> None:
        """Plays the step that the conversation is at."""
        request = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        path = self.path.partition("?")[0]
        if path.endswith("/count_tokens"):
            self._send({"input_tokens": 10})
        elif path == "/v1/messages":
            self._play(request)
        else:
            self._send({})

    def _play(self, request: dict[str, Any]) -> None:
        script = self.server.script
        messages = request.get("messages", [])
        index = sum(message["role"] == "assistant" for message in messages)
        track, step = "helper", Step(text="ok")
        if request.get("tools"):
            # Requests without tools ask for titles and summaries; they are no part of the
            # conversation.
            first = next((_text(m["content"]) for m in messages if m["role"] == "user"), "")
            track, step = script.scenario.pick(first, index)
        at_s = round(time.monotonic() - script.started_s, 2)
        script.asked.append(Asked(at_s=at_s, path=self.path, track=track, step=index))
        if step.gate:
            script.gates[step.gate].pass_through()
        message = _message(request.get("model", "scripted"), track, index, step)
        if request.get("stream"):
            self._stream(message)
        else:
            self._send(message)

    def _send(self, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _stream(self, message: dict[str, Any]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        for event in _events(message):
            self.wfile.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())


def _text(content: str | list[dict[str, Any]]) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(block.get("text", "") for block in content if block.get("type") == "text")


def _message(model: str, track: str, index: int, step: Step) -> dict[str, Any]:
    content: list[dict[str, Any]] = []
    if step.text:
        content.append({"type": "text", "text": step.text})
    for number, call in enumerate(step.calls):
        identity = call_id(track, index, number)
        content.append(
            {"type": "tool_use", "id": identity, "name": call.tool, "input": dict(call.input)}
        )
    return {
        "id": f"msg_{track}_{index:02d}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": "tool_use" if step.calls else "end_turn",
        "stop_sequence": None,
        "usage": _USAGE,
    }


def _events(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yields the server-sent events that build up `message`."""
    opening = {**message, "content": [], "stop_reason": None}
    yield {"type": "message_start", "message": opening}
    for index, block in enumerate(message["content"]):
        if block["type"] == "text":
            empty = {**block, "text": ""}
            deltas = [{"type": "text_delta", "text": block["text"]}]
        else:
            empty = {**block, "input": {}}
            text = json.dumps(block["input"])
            deltas = [
                {"type": "input_json_delta", "partial_json": text[at : at + _JSON_CHUNK_CHARS]}
                for at in range(0, len(text), _JSON_CHUNK_CHARS)
            ]
        yield {"type": "content_block_start", "index": index, "content_block": empty}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    stop = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield {"type": "message_delta", "delta": stop, "usage": _USAGE}
    yield {"type": "message_stop"}
