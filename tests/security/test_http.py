"""The loopback port: a web page, another program, another user; it takes telemetry in, no more."""

from __future__ import annotations

import ast
import gzip
import inspect
import json
import os
import socket
import sys
import textwrap
from http.client import HTTPConnection
from pathlib import Path

import pytest

from agentdiff.sources import otlp
from tests.security.victim import WAIT_S, Victim

JSON = "application/json"
EMPTY = b'{"resourceLogs":[]}'


def port(victim: Victim) -> int:
    """Returns where the daemon listens."""
    return int(victim.call("daemon.status")["port"])


def token(victim: Victim) -> str:
    """Returns the user's token."""
    return victim.locations.token_file.read_text().strip()


def post(
    victim: Victim,
    body: bytes = EMPTY,
    *,
    method: str = "POST",
    path: str = "/v1/logs",
    **extra: str,
) -> tuple[int, bytes]:
    """Sends one request with the right token, unless `extra` (``_`` for ``-``) says otherwise."""
    headers = {"content-type": JSON, "x-agentdiff-token": token(victim)}
    headers |= {name.replace("_", "-"): value for name, value in extra.items()}
    connection = HTTPConnection("127.0.0.1", port(victim), timeout=WAIT_S)
    try:
        connection.request(method, path, body, {k: v for k, v in headers.items() if v})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def taken(victim: Victim) -> int:
    """Returns how many requests got further than the door."""
    return int(victim.call("daemon.status")["counters"]["otlp"].get("logs", 0))


@pytest.mark.parametrize("wrong", ["", "x", "0" * 64, "prefix", "longer", "\xff" * 64])
def test_without_the_token_nothing_is_taken(victim: Victim, wrong: str) -> None:
    """Missing, wrong, and nearly right."""
    right = token(victim)
    value = {"prefix": right[:-1], "longer": right + "0"}.get(wrong, wrong)
    before = taken(victim)
    status, said = post(victim, x_agentdiff_token=value, authorization=f"Bearer {right}")
    assert (status, taken(victim)) == (401, before)
    assert right.encode() not in said
    assert post(victim) == (200, b"{}")
    assert taken(victim) == before + 1


def test_the_token_is_compared_in_constant_time() -> None:
    """Read from the source: what it prevents cannot be measured in a test."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(otlp.OtlpListener.judge)))
    calls = [ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    compared = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Compare)]
    assert "hmac.compare_digest" in calls
    assert not any("_token" in text for text in compared)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil", "0"])
def test_a_rebound_name_is_turned_away(victim: Victim, host: str) -> None:
    """A page whose name was made to point at 127.0.0.1 cannot forge the header."""
    assert post(victim, host=host)[0] == 403


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
def test_a_page_is_turned_away(victim: Victim, origin: str) -> None:
    """No exporter has an origin; a browser always says it for a POST to somebody else."""
    status, said = post(victim, origin=origin)
    assert status == 403
    assert b"access-control" not in said.lower()
    assert post(victim, method="OPTIONS", body=b"", origin=origin)[0] == 403


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/logs", 405), ("GET", "/", 404), ("POST", "/status", 404), ("POST", "/v1", 404)],
)
def test_nothing_is_given_out(victim: Victim, method: str, path: str, status: int) -> None:
    """There is nothing to read at the port, not even with the token."""
    assert post(victim, b"", method=method, path=path)[0] == status


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8")
def test_only_the_loopback_address_is_bound(victim: Victim) -> None:
    """Not even another loopback address answers."""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port(victim)), timeout=WAIT_S).close()


def raw(victim: Victim, head: bytes, body: bytes = b"") -> bytes:
    """Sends bytes and returns the first line of the answer."""
    with socket.create_connection(("127.0.0.1", port(victim)), timeout=WAIT_S) as connection:
        connection.sendall(head + body)
        return connection.makefile("rb").readline()


def test_oversized_requests_are_refused(victim: Victim) -> None:
    """By their own word, by their chunks, by what they unpack to, and by their headers."""
    head = (
        f"POST /v1/logs HTTP/1.1\r\nHost: 127.0.0.1\r\nx-agentdiff-token: {token(victim)}\r\n"
        f"Content-Type: {JSON}\r\n"
    ).encode()
    size = otlp.MAX_BODY_BYTES + 1
    assert b" 413 " in raw(victim, head + b"Content-Length: %d\r\n\r\n" % size)
    bomb = gzip.compress(bytes(size), 1)
    length = b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    assert b" 413 " in raw(victim, head + length, bomb)
    assert b" 431 " in raw(victim, head + b"X: " + b"x" * otlp.MAX_HEADERS_BYTES + b"\r\n\r\n")
    assert post(victim) == (200, b"{}")


def test_an_environment_in_telemetry_is_neither_kept_nor_logged(
    victim: Victim, workspace: Path
) -> None:
    """Codex' enriched decisions hold the whole environment of a command."""
    values = {
        "event.name": "codex.tool_decision",
        "conversation.id": f"s-{workspace}",
        "call_id": "c",
        "tool_name": "exec_command",
        "decision": "approved",
        "source": "Config",
        "cwd": os.fspath(workspace),
    }
    attributes = [{"key": key, "value": {"stringValue": text}} for key, text in values.items()]
    secret = {"key": "API_KEY", "value": {"stringValue": "env-secret-77ab"}}
    attributes += [
        {"key": "env", "value": {"kvlistValue": {"values": [secret]}}},
        {"key": "argv", "value": {"arrayValue": {"values": [{"stringValue": "true"}]}}},
    ]
    records = [{"attributes": attributes}, {"attributes": attributes[:1] + attributes[-2:]}]
    body = {"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}
    assert post(victim, json.dumps(body).encode())[0] == 200
    victim.pending(workspace)
    assert "c" in {call["tool_call"] for call in victim.call("log", cwd=str(workspace))["calls"]}
    assert victim.kept(b"env-secret-77ab") == []
