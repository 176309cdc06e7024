"""What the tests of telemetry share: a listener at a known port, and waiting for the log.

Must not look into agentdiff's files, except for the token, which is a file by design.
"""

from __future__ import annotations

import json
import socket
import time
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

from e2e.rig import Rig

WAIT_S = 30.0
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def listen(rig: Rig) -> int:
    """Gives the daemon of a rig a free port for telemetry, before anything starts it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    settings = rig.home / "config" / "agentdiff" / "config.toml"
    settings.write_text(f"[otlp]\nport = {port}\n")
    return port


def token(rig: Rig) -> str:
    """Returns the token that every request has to carry."""
    return (rig.home / "state" / "agentdiff" / "token").read_text().strip()


def post(rig: Rig, port: int, attributes: Mapping[str, object]) -> None:
    """Sends one log record as an exporter does, and waits for the answer.

    Raises:
        urllib.error.HTTPError: it was refused.
    """
    _, trace, span, _ = TRACE.split("-")
    record = {"attributes": _pairs(attributes), "traceId": trace, "spanId": span, "flags": 1}
    body = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/logs",
        json.dumps(body).encode(),
        {"Content-Type": "application/json", "x-agentdiff-token": token(rig)},
    )
    with urllib.request.urlopen(request, timeout=WAIT_S) as answer:
        assert answer.status == 200


def _pairs(values: Mapping[str, object]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in values.items()]


def _value(value: object) -> dict[str, Any]:
    if isinstance(value, list):
        return {"arrayValue": {"values": [_value(one) for one in value]}}
    if isinstance(value, dict):
        return {"kvlistValue": {"values": _pairs(value)}}
    return {"stringValue": value}


def wait_for_call(rig: Rig, want: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Returns the first call in ``log --json`` that is wanted.

    Raises:
        AssertionError: there was none in `WAIT_S`; the message holds the log.
    """
    deadline = time.monotonic() + WAIT_S
    while True:
        calls = rig.log()
        for call in calls:
            if want(call):
                return call
        assert time.monotonic() < deadline, calls
        time.sleep(0.1)


def wait_for_state(rig: Rig, state: str) -> None:
    """Returns when the newest session is in a state.

    Raises:
        AssertionError: it was not in `WAIT_S`.
    """
    deadline = time.monotonic() + WAIT_S
    while (sessions := rig.status()["sessions"])[-1]["state"] != state:
        assert time.monotonic() < deadline, sessions
        time.sleep(0.1)
