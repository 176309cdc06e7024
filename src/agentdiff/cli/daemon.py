"""``agentdiff daemon start|stop|status|run``.

Owns stopping a daemon for certain, also one of another version.  Its life is `agentdiff.daemon`'s.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from agentdiff.cli import output
from agentdiff.cli.context import DONE, NOTHING, REFUSED, UNAVAILABLE, Context
from agentdiff.daemon import lifecycle
from agentdiff.daemon.launch import DaemonUnavailable
from agentdiff.wire import VersionMismatch, WireError

STOPS_WITHIN_S = 20.0
_POLL_S = 0.02
_PROBLEMS = ("storage_problem", "watch_problem", "store_problem")


def daemon(context: Context) -> int:
    """``agentdiff daemon``."""
    actions = {"start": start, "stop": stop, "status": status, "run": run}
    return actions[context.args.action](context)


def start(context: Context) -> int:
    """Starts a daemon unless one answers."""
    with context.daemon() as client:
        output.say(f"running, pid {client.daemon['pid']}")
    return DONE


def stop(context: Context) -> int:
    """Asks the daemon to leave and waits until it has."""
    try:
        pid = stop_and_wait(context)
    except TimeoutError as error:
        output.complain(str(error))
        return REFUSED
    output.say("not running" if pid is None else f"stopped, pid {pid}")
    return NOTHING if pid is None else DONE


def stop_and_wait(context: Context) -> int | None:
    """Makes the daemon leave; returns its pid, None when none ran.

    Raises:
        TimeoutError: it does not leave in time.
    """
    holder = lifecycle.holder(context.locations.lock_file)
    if holder is None:
        return None
    try:
        with context.daemon(start=False) as client:
            client.call("daemon.stop")
    except (DaemonUnavailable, VersionMismatch, WireError):
        # It starts, leaves, hangs, or speaks another protocol.  The lock proves that this pid is
        # the daemon, and the signal asks for the same clean end.
        with contextlib.suppress(ProcessLookupError):  # it has just left
            os.kill(holder.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOPS_WITHIN_S
    while lifecycle.holder(context.locations.lock_file) == holder:
        if time.monotonic() > deadline:
            raise TimeoutError(f"the daemon (pid {holder.pid}) does not leave")
        time.sleep(_POLL_S)
    return holder.pid


def status(context: Context) -> int:
    """Tells what the daemon says of itself."""
    try:
        with context.daemon(start=False) as client:
            answer = client.call("daemon.status")
    except DaemonUnavailable as error:
        output.complain(str(error))
        return UNAVAILABLE
    if context.args.json:
        output.say_json(answer)
        return DONE
    port = answer["port"]
    otlp = f"127.0.0.1:{port}" if port else f"off ({answer['otlp']})"
    output.say(f"running, pid {answer['pid']}, version {answer['version']}")
    rows = [
        ("up", f"{answer['uptime_s']} s"),
        ("socket", output.escaped(answer["socket"])),
        ("otlp", output.escaped(otlp)),
        *_metrics_rows(answer.get("metrics")),
        *(("workspace", _workspace_line(item)) for item in answer["workspaces"]),
    ]
    for line in output.table(rows):
        output.say(line)
    return DONE


def _metrics_rows(metrics: dict[str, Any] | None) -> Iterator[tuple[str, str]]:
    """Yields what is worth a look; a daemon of an older version has no metrics."""
    if metrics is None:
        return
    hooks, waited, taken = metrics["hooks"], metrics["hook_latency"], metrics["process"]
    agents = ", ".join(
        f"{output.escaped(agent)} {counts['received']}"
        for agent, counts in sorted(hooks["agents"].items())
        if counts["received"]
    )
    trouble = {
        "malformed": hooks["malformed"],
        "lost": hooks["lost"],
        "failed": hooks["failed"],
        "late baselines": hooks["uncertain"],
        "waiting in the spool": metrics["spool"]["waiting"],
        "events not handled": metrics["queue"]["failed"],
    }
    shown = ", ".join(f"{count} {what}" for what, count in trouble.items() if count)
    named = f" ({agents})" if agents else ""
    yield "hooks", f"{hooks['received']}{named}" + (f"; {shown}" if shown else "")
    if waited["count"]:
        text = f"half within {waited['p50_ms']:g} ms, 99 of 100 within {waited['p99_ms']:g} ms"
        yield "answers", f"{text} (the newest {waited['count']})"
    memory = "?" if taken["rss_bytes"] is None else f"{taken['rss_bytes'] / 1048576:.1f}"
    files = "?" if taken["open_files"] is None else taken["open_files"]
    yield "memory", f"{memory} MiB, {files} open files, {taken['threads']} threads"
    if metrics["queue"]["length"]:
        yield "queue", output.counted(metrics["queue"]["length"], "event")


def _workspace_line(item: dict[str, Any]) -> str:
    pending, skipped = int(item.get("pending", 0)), int(item.get("skipped", 0))
    size, budget = int(item.get("blob_bytes", 0)), int(item.get("blob_budget_bytes", 0))
    notes = [f"{output.counted(pending, 'file')} pending"] if pending else []
    notes += [f"{size / 1048576:.1f} of {budget >> 20} MiB kept"] if budget else []
    notes += [f"{output.counted(skipped, 'path')} not followed"] if skipped else []
    notes += [output.escaped(str(item[key])) for key in _PROBLEMS if item.get(key)]
    note = f" ({'; '.join(notes)})" if notes else ""
    return output.escaped(str(item["root"])) + note


def run(context: Context) -> int:
    """Runs the daemon in this process."""
    from agentdiff.daemon import run as process

    args = context.args
    given = {
        name: Path(value)
        for name in ("state", "runtime", "config", "data")
        if (value := getattr(args, name)) is not None
    }
    locations = replace(context.locations, **given)
    try:
        code = process.main(locations, detached=args.detached)
    except OSError as error:
        output.complain(f"{error.filename or locations.state}: {error.strerror or error}")
        return UNAVAILABLE
    if code == process.EXIT_ALREADY_RUNNING and not args.detached:
        holder = lifecycle.last_holder(locations.lock_file)
        output.complain(f"already running{f', pid {holder.pid}' if holder else ''}")
    return code
