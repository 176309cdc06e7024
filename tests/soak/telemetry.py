"""The agents' exporters: OTLP logs at a rate, a part of them about calls that hooks told of.

Owns the records; their shape is Claude Code 2.1.197's (tests/golden/claude).
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import deque
from typing import Any

from tests.soak.machine import Machine
from tests.soak.recorder import Recorder

BATCH = 50
CALLS_IN_BATCH = 10
HOST = "127.0.0.1"


class Exporter:
    """Sends on a thread of its own until it is stopped.

    Args:
        rate: records per second.
        recent: calls that ended, ``(session, tool call)``; taken from the left.

    Attributes:
        sent: records that were taken.
    """

    def __init__(
        self, made: Machine, recorder: Recorder, rate: int, recent: deque[tuple[str, str]]
    ) -> None:
        self.sent = 0
        self._recorder = recorder
        self._rate = rate
        self._recent = recent
        with made.client() as client:
            self._port: int = client.call("daemon.status")["port"]
        token = made.locations.token_file.read_text().strip()
        self._headers = {"x-agentdiff-token": token, "Content-Type": "application/json"}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="exporter", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends it."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        connection = http.client.HTTPConnection(HOST, self._port, timeout=60)
        began = time.monotonic()
        while not self._ended.wait(max(self.sent / self._rate - (time.monotonic() - began), 0)):
            body = json.dumps(_batch(self._calls())).encode()
            try:
                connection.request("POST", "/v1/logs", body, self._headers)
                answer = connection.getresponse()
                answer.read()
            except OSError as error:
                self._recorder.problem(f"telemetry was not taken: {error}")
                connection.close()
                continue
            if answer.status == 200:
                self.sent += BATCH
            elif answer.status != 503:  # too much at once: come again
                self._recorder.problem(f"telemetry was refused: {answer.status}")
                return

    def _calls(self) -> list[tuple[str, str]]:
        calls = []
        while self._recent and len(calls) < CALLS_IN_BATCH:
            calls.append(self._recent.popleft())
        return calls


def _batch(calls: list[tuple[str, str]]) -> dict[str, Any]:
    other = ("elsewhere", "")
    records = [_record(*(calls[n] if n < len(calls) else other)) for n in range(BATCH)]
    scope = {"name": "com.anthropic.claude_code.events", "version": "2.1.197"}
    service = {"key": "service.name", "value": {"stringValue": "claude-code"}}
    logs = {"scope": scope, "logRecords": records}
    return {"resourceLogs": [{"resource": {"attributes": [service]}, "scopeLogs": [logs]}]}


def _record(session: str, call: str) -> dict[str, Any]:
    name = "tool_result" if call else "hook_execution_complete"
    attributes = {
        "session.id": session,
        "event.name": name,
        "event.timestamp": "2026-11-21T07:14:07.997Z",
        "tool_name": "Bash",
        "tool_use_id": call,
        "success": "true",
        "duration_ms": "5",
        "decision_source": "config",
        "decision_type": "accept",
    }
    return {
        "timeUnixNano": str(time.time_ns()),
        "body": {"stringValue": f"claude_code.{name}"},
        "attributes": [{"key": k, "value": {"stringValue": v}} for k, v in attributes.items() if v],
    }
