"""O1, O2 and H3: telemetry as it comes in, and hooks beside it, all with the real daemon.

O1's reference is the time that its rate allows; what was sent counts when the daemon has merged it
into its sessions, not when it was acknowledged.  The sender keeps one connection busy and does not
wait for each answer, so that the receiver is measured.
"""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import multiprocessing
import os
import shutil
import signal
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from agentdiff.client import Client
from agentdiff.daemon import launch, lifecycle
from agentdiff.install.hook_client import find_compiler, find_perl, install_hook_client
from agentdiff.locations import Locations
from tests.bench.harness import Pair, Row, timed

HOST = "127.0.0.1"
SESSION = "bench-session"
REQUESTS = 3000
IN_FLIGHT = 32
HOOKS = 60
BUSY_RECORDS_PER_S = 10_000
BUSY_LINES = 20_000


def rows(scratch: Path) -> Iterator[Row]:
    """Yields the rows of telemetry."""
    del scratch
    for name, records, rate in (("O1", 1, 10_000), ("O1-ten", 10, 80_000)):
        yield Row(
            name=name,
            what=f"OTLP received and merged, {records} per request, vs the time of {rate:,}/s",
            at_most=1.0,
            measure=partial(_rate, records=records, rate=rate),
        )
    yield Row(
        name="O2",
        what="protobuf, gzip and chunks vs plain JSON, ten per request; the same calls are told of",
        at_most=3.0,
        measure=_encodings,
    )
    yield Row(
        name="H3",
        what="hook p99 while diffing, 10,000 OTLP records/s, vs its p50 when idle",
        at_most=6.0,
        measure=_beside_hooks,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A daemon with one session of Claude Code in one workspace."""

    locations: Locations
    workspace: Path
    port: int
    client: Client

    def hook(self, event: str, **more: object) -> None:
        """Sends a hook without a client process."""
        payload = json.dumps(
            {"session_id": SESSION, "cwd": str(self.workspace), "hook_event_name": event, **more}
        ).encode()
        header = {"proto": 1, "min_proto": 1, "agent": "claude", "len": len(payload)}
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.locations.hook_socket))
            connection.sendall(json.dumps(header).encode() + b"\n" + payload)
            assert b'"ok":true' in connection.recv(65536)

    def merged(self) -> int:
        """Returns how many reports the daemon has digested."""
        answer = self.client.call("daemon.status")
        return int(answer["counters"]["reports"])

    def wait_merged(self, count: int) -> None:
        """Returns when so many are digested."""
        deadline = time.monotonic() + 60
        while (seen := self.merged()) < count:
            assert time.monotonic() < deadline, f"{seen} of {count} reports were digested"
            time.sleep(0.002)

    def request(self, body: bytes, headers: dict[str, str] | None = None) -> bytes:
        """Returns a whole request as bytes."""
        token = self.locations.token_file.read_text().strip()
        given = {
            "Host": HOST,
            "x-agentdiff-token": token,
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            **(headers or {}),
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in given.items() if value)
        return f"POST /v1/logs HTTP/1.1\r\n{lines}\r\n".encode() + body

    def send(self, request: bytes, count: int) -> None:
        """Sends a request so often on one connection and reads every answer."""
        answer = b"HTTP/1.1 200 OK"
        with socket.create_connection((HOST, self.port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            left, answered = count, 0
            burst = request * IN_FLIGHT
            while answered < count:
                now = min(IN_FLIGHT, left)
                connection.sendall(burst if now == IN_FLIGHT else request * now)
                left -= now
                answered += _answers(connection, answer, now)


def _answers(connection: socket.socket, wanted: bytes, count: int) -> int:
    data = b""
    while data.count(wanted) < count:
        part = connection.recv(65536)
        assert part, data[-500:]
        data += part
    assert data.count(b"HTTP/1.1") == count, data[-500:]
    while not data.endswith((b"\r\n\r\n", b"{}")):
        data += connection.recv(65536)
    return count


@contextlib.contextmanager
def _bench() -> Iterator[Bench]:
    folder = Path(tempfile.mkdtemp(prefix="ad-", dir="/tmp"))
    places = Locations(
        state=folder / "s", runtime=folder / "r", config=folder / "c", data=folder / "d"
    )
    workspace = folder / "ws"
    for made in (places.config, workspace):
        made.mkdir()
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    places.config_file.write_text(f"[otlp]\nport = {port}\n")
    (workspace / "a.txt").write_text("one\n")
    launch.ensure_running(places, 20.0)
    opened = contextlib.ExitStack()
    try:
        client = opened.enter_context(Client(places, start=False))
        bench = Bench(locations=places, workspace=workspace, port=port, client=client)
        bench.hook("SessionStart", source="startup")
        bench.hook("UserPromptSubmit", prompt="go", prompt_id="p")
        for number in range(10):
            call = {"tool_name": "Bash", "tool_use_id": f"call-{number}"}
            bench.hook("PreToolUse", tool_input={"command": "true"}, **call)
            bench.hook("PostToolUse", tool_input={"command": "true"}, tool_response={}, **call)
        yield bench
    finally:
        opened.close()
        holder = lifecycle.holder(places.lock_file)
        if holder is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(holder.pid, signal.SIGTERM)
        while lifecycle.holder(places.lock_file) is not None:
            time.sleep(0.01)
        shutil.rmtree(folder)


def _body(records: int) -> bytes:
    """Returns a batch as Claude Code 2.1.197 sends it.

    Every fifth record is about a call, one that hooks told of: of the 78 records of a recorded
    session 7 were.
    """
    return json.dumps(_batch(records), separators=(",", ":")).encode()


def _reports(records: int) -> int:
    """Returns how many records of a batch are about calls."""
    return (records + 4) // 5


def _batch(records: int) -> dict[str, Any]:
    def record(number: int) -> dict[str, Any]:
        name = "hook_execution_complete" if number % 5 else "tool_result"
        attributes = {
            "user.id": "0" * 64,
            "session.id": SESSION,
            "terminal.type": "xterm-256color",
            "event.name": name,
            "event.timestamp": "2026-11-21T07:14:07.997Z",
            "event.sequence": str(number),
            "prompt.id": "ebaa8309-cda8-4d94-945c-0a980a89abf4",
            "tool_name": "Bash",
            "tool_use_id": f"call-{number}",
            "success": "true",
            "duration_ms": "5",
            "tool_input_size_bytes": "49",
            "decision_source": "config",
            "decision_type": "accept",
        }
        pairs = [{"key": k, "value": {"stringValue": v}} for k, v in attributes.items()]
        return {
            "timeUnixNano": "1795245247997000000",
            "body": {"stringValue": f"claude_code.{name}"},
            "attributes": pairs,
        }

    scope = {"name": "com.anthropic.claude_code.events", "version": "2.1.197"}
    logs = {"scope": scope, "logRecords": [record(number) for number in range(records)]}
    service = {"key": "service.name", "value": {"stringValue": "claude-code"}}
    return {"resourceLogs": [{"resource": {"attributes": [service]}, "scopeLogs": [logs]}]}


def _rate(rounds: int, *, records: int, rate: int) -> Pair:
    with _bench() as bench:
        request = bench.request(_body(records))

        def send() -> None:
            before = bench.merged()
            bench.send(request, REQUESTS)
            bench.wait_merged(before + REQUESTS * _reports(records))

        send()
        ours = tuple(timed(send) for _ in range(max(rounds, 5)))
    return Pair(ours_s=ours, reference_s=(REQUESTS * records / rate,) * len(ours))


def _encodings(rounds: int) -> Pair:
    plain = _body(10)
    message = json_format.Parse(plain, ExportLogsServiceRequest())
    packed: bytes = message.SerializeToString()
    protobuf = {"Content-Type": "application/x-protobuf"}
    chunk = f"{len(plain):x}\r\n".encode() + plain + b"\r\n0\r\n\r\n"
    chunked = {"Transfer-Encoding": "chunked", "Content-Length": ""}
    with _bench() as bench:
        zipped, zipped_packed = gzip.compress(plain), gzip.compress(packed)
        gzipped = {"Content-Encoding": "gzip"}
        others = (
            bench.request(packed, protobuf),
            bench.request(zipped, gzipped),
            bench.request(zipped_packed, protobuf | gzipped),
            bench.request(chunk, chunked),
        )
        _refused(bench)

        def send(*requests: bytes) -> None:
            before = bench.merged()
            for request in requests:
                bench.send(request, REQUESTS // len(requests))
            each = REQUESTS // len(requests)
            bench.wait_merged(before + each * len(requests) * _reports(10))

        send(*others)
        samples = [
            (timed(lambda: send(*others)), timed(lambda: send(bench.request(plain))))
            for _ in range(max(rounds, 5))
        ]
        _refused(bench)
    return Pair(ours_s=tuple(a for a, _ in samples), reference_s=tuple(b for _, b in samples))


def _refused(bench: Bench) -> None:
    """What makes no sense has a clear answer, and loses nothing of what follows."""
    token = {"x-agentdiff-token": bench.locations.token_file.read_text().strip()}
    plain = {**token, "Content-Type": "application/json"}
    wrong = (
        (b"{", plain, 400),
        (b"\xff\xff", {**token, "Content-Type": "application/x-protobuf"}, 400),
        (b"no gzip", {**plain, "Content-Encoding": "gzip"}, 400),
        (b"x", {**plain, "Content-Length": str(1 << 30)}, 413),
        (b"<x/>", {**token, "Content-Type": "text/xml"}, 415),
        (b"{}", {"Content-Type": "application/json"}, 401),
    )
    for body, headers, status in wrong:
        connection = http.client.HTTPConnection(HOST, bench.port, timeout=20)
        connection.request("POST", "/v1/logs", body, headers)
        answer = connection.getresponse()
        assert (answer.status, b"message" in answer.read()) == (status, True), (body, answer.status)
        connection.close()
    before = bench.merged()
    bench.send(bench.request(_body(1)), 1)
    bench.wait_merged(before + 1)


def _beside_hooks(rounds: int) -> Pair:
    with _bench() as bench:
        search = os.environ["PATH"]
        install_hook_client(
            bench.locations,
            sys.executable,
            perl=find_perl(search),
            compiler=find_compiler(search),
        )
        client = str(bench.locations.hook_client)
        payload = bench.locations.config / "payload.json"
        payload.write_bytes(
            json.dumps(
                {
                    "session_id": SESSION,
                    "cwd": str(bench.workspace),
                    "hook_event_name": "PreToolUse",
                    "tool_name": "Edit",
                    "tool_use_id": "hook",
                    "tool_input": {
                        "file_path": str(bench.workspace / "a.txt"),
                        "old_string": "one",
                        "new_string": "x" * 1500,
                    },
                }
            ).encode()
        )
        actions = [(os.POSIX_SPAWN_OPEN, 0, str(payload), os.O_RDONLY, 0)]

        def hooks() -> list[float]:
            return sorted(timed(spawn) for _ in range(HOOKS))

        def spawn() -> None:
            pid = os.posix_spawn(client, [client, "claude"], os.environ, file_actions=actions)
            _, status = os.waitpid(pid, 0)
            assert status == 0

        hooks()
        idle, busy = [], []
        for _ in range(max(rounds, 5)):
            idle.append(statistics.median(hooks()))
            with _busy(bench):
                busy.append(hooks()[int(HOOKS * 0.99) - 1])
    return Pair(ours_s=tuple(busy), reference_s=tuple(idle))


@contextlib.contextmanager
def _busy(bench: Bench) -> Iterator[None]:
    """Lets a session's command rewrite a long file all the time, and telemetry pour in.

    Both from processes of their own: threads would hold the interpreter while a hook is timed.
    """
    fork = multiprocessing.get_context("fork")
    end, sent = fork.Event(), fork.Value("q", 0)
    before = bench.merged()
    work = [
        fork.Process(target=_pour, args=(bench, end, sent)),
        fork.Process(target=_rewrite, args=(bench, end)),
    ]
    for process in work:
        process.start()
    try:
        time.sleep(0.2)
        yield
    finally:
        end.set()
        for process in work:
            process.join()
    assert [process.exitcode for process in work] == [0, 0]
    bench.wait_merged(before + sent.value * _reports(10))


def _pour(bench: Bench, end: Event, sent: Synchronized[int]) -> None:
    """Sends requests of ten records at the rate of `BUSY_RECORDS_PER_S`; counts them in `sent`."""
    request, started = bench.request(_body(10)), time.monotonic()
    while not end.is_set():
        bench.send(request, 50)
        sent.value += 50
        ahead = sent.value * 10 / BUSY_RECORDS_PER_S - (time.monotonic() - started)
        end.wait(max(ahead, 0))


def _rewrite(bench: Bench, end: Event) -> None:
    """Runs one long command that writes `long.txt` twenty times a second."""
    call = {"tool_name": "Bash", "tool_use_id": f"rewrite-{time.monotonic_ns()}"}
    bench.hook("PreToolUse", tool_input={"command": "make"}, **call)
    turn = 0
    while not end.wait(0.05):
        turn += 1
        lines = (f"line {n} {turn if n % 50 == 0 else ''}\n" for n in range(BUSY_LINES))
        (bench.workspace / "long.txt").write_text("".join(lines))
    bench.hook("PostToolUse", tool_input={"command": "make"}, tool_response={}, **call)
