"""What the daemon tells of itself: numbers, the checks that read them, and their OTLP form."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

from agentdiff.client import Client
from agentdiff.daemon import degraded, metrics
from agentdiff.locations import Locations
from agentdiff.sources.hooks import HookCounters
from tests.unit.daemon import fixtures

MS = 1_000_000


def _collected(**other: Any) -> metrics.Json:
    given: dict[str, Any] = {
        "uptime_s": 7.0,
        "hooks": {"received": 3, "by_agent": {"claude": {"received": 2, "malformed": 1}}},
        "hook_latencies_ns": [MS, 2 * MS, 3 * MS],
        "hooks_in_progress": 0,
        "spool": (0, 0),
        "otlp": {"logs": 4, "refused_401": 1, "refused_503": 2},
        "engine": {"uncertain_cuts": 0, "queued": 0, "bugs": 0},
        "workspaces": [{"root": "/secret/place", "pending": 2, "skipped": 1, "blob_bytes": 9}],
        "clients": 1,
    }
    return metrics.collect(**{**given, **other})


def test_latencies_are_percentiles_in_milliseconds() -> None:
    """Of a hundred the 99th, not the slowest; of none nothing."""
    samples = [n * MS for n in range(100, 0, -1)]
    assert metrics.latency(samples) == {"count": 100, "p50_ms": 50, "p99_ms": 99, "max_ms": 100}
    assert metrics.latency([]) == {"count": 0, "p50_ms": None, "p99_ms": None, "max_ms": None}


def test_refusals_and_workspaces_are_summed() -> None:
    """One number for each question."""
    collected = _collected()
    assert (collected["telemetry"]["requests"], collected["telemetry"]["refused"]) == (4, 3)
    assert collected["workspaces"]["pending"] == 2
    assert collected["process"]["threads"] >= 1
    assert collected["process"]["peak_rss_bytes"] > 1 << 20


def test_the_otlp_form_is_what_a_collector_reads() -> None:
    """Parsed by OpenTelemetry's own messages; agents are attributes; no path leaves."""
    body = metrics.as_otlp(_collected(), started_ns=1, now_ns=2)
    message = json_format.Parse(body, ExportMetricsServiceRequest())
    told = message.resource_metrics[0].scope_metrics[0].metrics
    by_name = {one.name: one for one in told}
    (point,) = by_name["agentdiff.hooks.received"].sum.data_points
    assert (point.as_int, point.attributes[0].value.string_value) == (2, "claude")
    assert (point.start_time_unix_nano, point.time_unix_nano) == (1, 2)
    assert by_name["agentdiff.hook.latency.p99"].gauge.data_points[0].as_double == 3
    assert len(by_name) == len(metrics.INSTRUMENTS) + 2 - (
        _collected()["process"]["rss_bytes"] is None
    )
    assert b"secret" not in body


def test_names_of_agents_do_not_grow_without_bound() -> None:
    """A hook command can say any name."""
    counters = HookCounters()
    for number in range(1000):
        counters.note_malformed(f"name-{number}", "unknown agent", 0)
    by_agent = counters.snapshot()["by_agent"]
    assert isinstance(by_agent, dict)
    assert len(by_agent) < 100
    assert by_agent["*"]["malformed"] > 900


def test_status_has_metrics(daemon: Locations) -> None:
    """A daemon that took hooks says how many, whose, and how long they waited."""
    for payload in (b"one", b"two", b"bad"):
        header = b'{"proto":1,"min_proto":1,"agent":"claude","len":%d}\n' % len(payload)
        fixtures.talk(daemon, header + payload)
    with Client(daemon, start=False) as client:
        fixtures.until(
            lambda: client.call("daemon.status")["metrics"]["hook_latency"]["count"] == 3
        )
        told = client.call("daemon.status")["metrics"]
    assert told["hooks"]["agents"] == {"claude": {"received": 2, "malformed": 1}}
    assert (told["hooks"]["received"], told["hooks"]["malformed"]) == (3, 1)
    assert told["hook_latency"]["p50_ms"] > 0


TROUBLE: list[tuple[str, str, Callable[[metrics.Json, dict[str, Any]], object]]] = [
    ("watching", "limit of", lambda _, w: w.update(watch_problem="the limit of watches")),
    ("budget", "MiB", lambda _, w: w.update(store_problem="the store takes 600 MiB")),
    ("hooks", "2 could not", lambda m, _: m["hooks"].update(failed=2)),
    ("hooks", "3 broke off", lambda m, _: m["hooks"].update(lost=3)),
    ("hooks", "1 wait", lambda m, _: m["spool"].update(waiting=1)),
    ("hooks", "1 events", lambda m, _: m["queue"].update(failed=1)),
    ("load", "400 ms", lambda m, _: m["hook_latency"].update(p99_ms=400.0)),
    ("load", "wait", lambda m, _: m["queue"].update(length=100_000)),
    ("load", "900 of 1000", lambda m, _: m["process"].update(open_files=900, max_open_files=1000)),
    ("load", "dropped", lambda m, _: m["telemetry"].update(forward_dropped=5)),
]


def _status() -> dict[str, Any]:
    workspace = {"root": "/w", "skipped": 0, "watch_problem": None, "store_problem": None}
    return {"metrics": _collected(), "workspaces": [workspace], "state": "/s"}


def test_a_baseline_that_git_could_not_serve_is_told_and_no_trouble() -> None:
    """Nothing is missing."""
    status = _status()
    status["workspaces"][0]["git_problem"] = "the index is split"
    (found,) = [one for one in degraded.checks(status) if one.id == "baseline"]
    assert (found.level, found.detail) == ("ok", "/w: the index is split")


@pytest.mark.parametrize(("check", "says", "spoil"), TROUBLE)
def test_degraded_state_has_a_remedy(
    check: str, says: str, spoil: Callable[[metrics.Json, dict[str, Any]], object]
) -> None:
    """`doctor` names each trouble and what to do; without it the same check is fine."""
    status = _status()
    assert {one.level for one in degraded.checks(status)} == {"ok"}
    spoil(status["metrics"], status["workspaces"][0])
    (found,) = [one for one in degraded.checks(status) if one.level != "ok"]
    assert (found.id, says in found.detail, bool(found.remedy)) == (check, True, True)


def test_a_daemon_of_an_older_version_has_no_such_numbers() -> None:
    """Its status is read all the same."""
    assert list(degraded.checks({"version": "0.0.1"})) == []


def test_the_collector_is_told_at_the_end() -> None:
    """Metrics go to the path of their signal, with the headers that the collector wants."""
    got: list[tuple[str, str, Any]] = []
    arrived = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.path, self.headers["x-key"], json.loads(body)))
            self.send_response(200)
            self.end_headers()
            arrived.set()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Says nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/otel"
    logger = logging.getLogger("test")
    exporter = metrics.Exporter(url, {"x-key": "k"}, _collected, logger, every_s=3600)
    exporter.tick()
    exporter.close()
    assert arrived.wait(20)
    server.shutdown()
    thread.join()
    server.server_close()
    ((path, key, body),) = got
    assert (path, key) == ("/otel/v1/metrics", "k")
    assert body["resourceMetrics"]
