"""What the daemon knows of its own health, as numbers.

Owns the shape of ``metrics`` in ``daemon status --json`` (doc/protocol.md), and the same as OTLP,
for a collector that the user names.  Must not count: whoever does the work counts it, and these
functions read.  No path, name or content of a workspace is among what is exported.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import resource
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import orjson

from agentdiff import __version__
from agentdiff.sources.forward import Forwarder

Json: TypeAlias = dict[str, Any]

EXPORT_EVERY_S = 60.0
_KIBI = 1024


def process() -> Json:
    """Returns what this process takes; a number that the system does not tell is None."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    # macOS counts bytes, everybody else KiB.
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else _KIBI)
    return {
        "rss_bytes": _rss_bytes(),
        "peak_rss_bytes": peak,
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 3),
        "open_files": _open_files(),
        "max_open_files": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        "threads": threading.active_count(),
    }


def _rss_bytes() -> int | None:
    with contextlib.suppress(OSError, ValueError, IndexError), open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()
    return None


def _open_files() -> int | None:
    with contextlib.suppress(OSError):
        return len(os.listdir("/dev/fd")) - 1  # the listing itself has one
    return None


def latency(samples_ns: Sequence[int]) -> Json:
    """Returns median, 99th percentile and maximum in milliseconds; None without samples."""
    ordered = sorted(samples_ns)

    def at(share: float) -> float | None:
        if not ordered:
            return None
        return round(ordered[max(math.ceil(share * len(ordered)) - 1, 0)] / 1e6, 3)

    return {"count": len(ordered), "p50_ms": at(0.5), "p99_ms": at(0.99), "max_ms": at(1.0)}


def collect(
    *,
    uptime_s: float,
    hooks: Mapping[str, Any],
    hook_latencies_ns: Sequence[int],
    hooks_in_progress: int,
    spool: tuple[int, int],
    otlp: Mapping[str, int],
    engine: Mapping[str, int],
    workspaces: Sequence[Mapping[str, Any]],
    clients: int,
) -> Json:
    """Returns ``metrics`` of doc/protocol.md; any thread.

    Args:
        uptime_s: since the daemon serves.
        hooks: `agentdiff.sources.hooks.HookCounters.snapshot`.
        hook_latencies_ns: what the newest hooks waited.
        hooks_in_progress: hooks that wait now.
        spool: hooks that wait for replay, and those that were put aside because they made no sense.
        otlp: the counters of listener, decoder and forwarder.
        engine: ``counters`` of `agentdiff.daemon.ports.Backend.describe`.
        workspaces: ``workspaces`` of the same.
        clients: open connections.
    """
    refused = sum(n for name, n in otlp.items() if name.startswith("refused_"))
    requests = sum(otlp.get(signal, 0) for signal in ("logs", "traces", "metrics"))
    counted = ("received", "replayed", "malformed", "refused", "lost", "failed")
    return {
        "uptime_s": round(uptime_s, 3),
        "process": process(),
        "hooks": {
            **{name: hooks.get(name, 0) for name in counted},
            "uncertain": engine.get("uncertain_cuts", 0),
            "in_progress": hooks_in_progress,
            "agents": hooks.get("by_agent", {}),
        },
        "hook_latency": latency(hook_latencies_ns),
        "spool": {"waiting": spool[0], "set_aside": spool[1]},
        "queue": {"length": engine.get("queued", 0), "failed": engine.get("bugs", 0)},
        "telemetry": {
            "requests": requests,
            "refused": refused + otlp.get("connections_refused", 0),
            "malformed": otlp.get("malformed_records", 0),
            "reports": engine.get("reports", 0),
            "dropped": engine.get("reports_dropped", 0),
            "forwarded": otlp.get("forwarded", 0),
            "forward_dropped": otlp.get("forward_dropped", 0) + otlp.get("forward_refused", 0),
        },
        "workspaces": {
            "open": len(workspaces),
            "pending": sum(one.get("pending", 0) for one in workspaces),
            "unwatched": sum(not one.get("watching", True) for one in workspaces),
            "skipped": sum(one.get("skipped", 0) for one in workspaces),
            "blob_bytes": sum(one.get("blob_bytes", 0) for one in workspaces),
            "over_budget": sum(one.get("store_problem") is not None for one in workspaces),
        },
        "clients": clients,
    }


# --- OTLP ----------------------------------------------------------------------------------------


class _Instrument(NamedTuple):
    name: str
    unit: str
    kind: Literal["sum", "gauge"]
    at: tuple[str, ...]


# Names of processes as in OpenTelemetry's semantic conventions (process.*), the rest is ours.
INSTRUMENTS = (
    _Instrument("process.uptime", "s", "gauge", ("uptime_s",)),
    _Instrument("process.memory.usage", "By", "gauge", ("process", "rss_bytes")),
    _Instrument("process.cpu.time", "s", "sum", ("process", "cpu_s")),
    _Instrument("process.open_file_descriptor.count", "1", "gauge", ("process", "open_files")),
    _Instrument("process.thread.count", "1", "gauge", ("process", "threads")),
    _Instrument("agentdiff.hooks.replayed", "1", "sum", ("hooks", "replayed")),
    _Instrument("agentdiff.hooks.refused", "1", "sum", ("hooks", "refused")),
    _Instrument("agentdiff.hooks.lost", "1", "sum", ("hooks", "lost")),
    _Instrument("agentdiff.hooks.failed", "1", "sum", ("hooks", "failed")),
    _Instrument("agentdiff.hooks.uncertain", "1", "sum", ("hooks", "uncertain")),
    _Instrument("agentdiff.hooks.in_progress", "1", "gauge", ("hooks", "in_progress")),
    _Instrument("agentdiff.hook.latency.p50", "ms", "gauge", ("hook_latency", "p50_ms")),
    _Instrument("agentdiff.hook.latency.p99", "ms", "gauge", ("hook_latency", "p99_ms")),
    _Instrument("agentdiff.spool.waiting", "1", "gauge", ("spool", "waiting")),
    _Instrument("agentdiff.queue.length", "1", "gauge", ("queue", "length")),
    _Instrument("agentdiff.queue.failed", "1", "sum", ("queue", "failed")),
    _Instrument("agentdiff.telemetry.requests", "1", "sum", ("telemetry", "requests")),
    _Instrument("agentdiff.telemetry.refused", "1", "sum", ("telemetry", "refused")),
    _Instrument("agentdiff.telemetry.malformed", "1", "sum", ("telemetry", "malformed")),
    _Instrument("agentdiff.telemetry.dropped", "1", "sum", ("telemetry", "dropped")),
    _Instrument("agentdiff.workspaces.open", "1", "gauge", ("workspaces", "open")),
    _Instrument("agentdiff.workspaces.pending", "1", "gauge", ("workspaces", "pending")),
    _Instrument("agentdiff.workspaces.unwatched", "1", "gauge", ("workspaces", "unwatched")),
    _Instrument("agentdiff.workspaces.skipped", "1", "gauge", ("workspaces", "skipped")),
    _Instrument("agentdiff.store.size", "By", "gauge", ("workspaces", "blob_bytes")),
    _Instrument("agentdiff.clients", "1", "gauge", ("clients",)),
)


def as_otlp(metrics: Json, *, started_ns: int, now_ns: int) -> bytes:
    """Returns the body of a request to ``/v1/metrics``, OTLP in JSON (opentelemetry-proto 1).

    Args:
        metrics: from `collect`.
        started_ns: wall clock at which the sums began.
        now_ns: wall clock of `metrics`.
    """
    times = {"startTimeUnixNano": str(started_ns), "timeUnixNano": str(now_ns)}
    scope = {"name": "agentdiff.daemon", "version": __version__}
    resources = {
        "service.name": "agentdiff",
        "service.version": __version__,
        "service.instance.id": f"{os.getpid()}-{started_ns}",
    }
    told = {"scope": scope, "metrics": list(_told(metrics, times))}
    body = {"resource": {"attributes": _attributes(resources)}, "scopeMetrics": [told]}
    return orjson.dumps({"resourceMetrics": [body]})


def _told(metrics: Json, times: Mapping[str, str]) -> Iterator[Json]:
    """Yields one object per instrument; what is not known is left out."""
    for one in INSTRUMENTS:
        value: Any = metrics
        for key in one.at:
            value = value[key]
        if value is not None:
            yield _metric(one.name, one.unit, one.kind, [{**times, **_number(value)}])
    agents: Mapping[str, Mapping[str, int]] = metrics["hooks"]["agents"]
    for name in ("received", "malformed"):
        points = [
            {**times, **_number(counts[name]), "attributes": _attributes({"agent": agent})}
            for agent, counts in agents.items()
        ]
        if points:
            yield _metric(f"agentdiff.hooks.{name}", "1", "sum", points)


def _metric(name: str, unit: str, kind: str, points: list[Json]) -> Json:
    # 2 is AGGREGATION_TEMPORALITY_CUMULATIVE.
    more = {"aggregationTemporality": 2, "isMonotonic": True} if kind == "sum" else {}
    return {"name": name, "unit": unit, kind: {**more, "dataPoints": points}}


def _number(value: float) -> Json:
    return {"asInt": str(value)} if isinstance(value, int) else {"asDouble": value}


def _attributes(values: Mapping[str, str]) -> list[Json]:
    return [{"key": key, "value": {"stringValue": text}} for key, text in values.items()]


class Exporter:
    """Sends the metrics to the collector that ``otlp.metrics`` names, now and then.

    Args:
        url: of the collector, without the signal's path.
        headers: what it wants besides.
        collect: returns the metrics; called by `tick`.
        logger: the daemon's.
        every_s: how often.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        collect: Callable[[], Json],
        logger: logging.Logger,
        every_s: float = EXPORT_EVERY_S,
    ) -> None:
        self._collect = collect
        self._every_s = every_s
        self._due_s = time.monotonic() + every_s
        self._started_ns = time.time_ns()
        self._forwarder = Forwarder(url, headers, Counter(), logger)

    def tick(self) -> None:
        """Queues a report when it is time for one; any one thread at a time, reads files."""
        if time.monotonic() >= self._due_s:
            self._due_s = time.monotonic() + self._every_s
            self._send()

    def close(self) -> None:
        """Sends a last report, if the collector takes it at once, and ends."""
        self._send()
        self._forwarder.close()

    def _send(self) -> None:
        body = as_otlp(self._collect(), started_ns=self._started_ns, now_ns=time.time_ns())
        self._forwarder.put("/v1/metrics", body, "application/json")
