"""Starts the daemon when somebody needs it and it does not run.

Owns the road from "nobody answers" to "it is ready": spawn, readiness, the race of two starters.
Must not import the daemon itself: hook clients, command line and editor pay for what is imported
here.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from agentdiff.daemon import lifecycle, sockets
from agentdiff.locations import Locations

READY = b"agentdiff: ready\n"
ALREADY = b"agentdiff: already running\n"
"""What a detached daemon says on its standard output, which is the starter's pipe; anything else on
the pipe is a traceback, and becomes the reason of `DaemonUnavailable`."""

_KEPT_VARIABLES = frozenset({"HOME", "PATH", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "USER"})
_POLL_S = 0.02
_LOST_RACE_PATIENCE_S = 0.5


class DaemonUnavailable(OSError):  # noqa: N818 - reads as a fact
    """No daemon answers and none could be started; the message says why and names the log."""


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Returns what of an environment the daemon gets.

    It outlives its starter and serves others: an agent's keys, proxies and ``GIT_DIR`` are not for
        it.
    """
    return {
        name: value
        for name, value in environ.items()
        if name in _KEPT_VARIABLES or name.startswith("XDG_")
    }


def command(locations: Locations) -> list[str]:
    """Returns the command that runs a detached daemon for exactly these locations.

    ``-P`` and ``-E``: neither the current folder, which is somebody's workspace, nor an agent's
    ``PYTHONPATH`` may provide our imports.
    """
    folders = [
        part
        for name in ("state", "runtime", "config", "data")
        for part in (f"--{name}", os.fspath(getattr(locations, name)))
    ]
    return [sys.executable, "-E", "-P", "-m", "agentdiff", "daemon", "run", "--detached", *folders]


def find(locations: Locations) -> Locations | None:
    """Returns where a running daemon answers, None when none does.

    That is `locations`, or the same with the runtime folder that the lock's last holder used: a
    login shell and a cron job may disagree about ``XDG_RUNTIME_DIR``, and still share state and
    daemon.
    """
    if sockets.answers(locations.rpc_socket):
        return locations
    holder = lifecycle.last_holder(locations.lock_file)
    if holder is None or holder.runtime == locations.runtime:
        return None
    elsewhere = replace(locations, runtime=holder.runtime)
    return elsewhere if sockets.answers(elsewhere.rpc_socket) else None


def ensure_running(
    locations: Locations, timeout_s: float = 5.0, *, argv: Sequence[str] | None = None
) -> Locations:
    """Makes sure that a daemon answers, starting one if need be.

    Of two starters one wins the daemon's lock.  The other waits for the winner's socket, and starts
    again if that one was just leaving.

    Args:
        locations: of the daemon.
        timeout_s: for everything together.
        argv: command of the daemon instead of `command`.

    Returns:
        `locations`, with the runtime folder in which the daemon really listens.

    Raises:
        DaemonUnavailable: none answers in time; with its last words.
    """
    deadline = time.monotonic() + timeout_s
    found = find(locations)
    while found is None:
        if _start(locations, argv or command(locations), deadline):
            found = find(locations)
        else:
            found = _wait(locations, min(deadline, time.monotonic() + _LOST_RACE_PATIENCE_S))
        if found is None and time.monotonic() >= deadline:
            raise _unavailable(locations, "a daemon runs, but its socket does not answer")
    return found


def _wait(locations: Locations, until: float) -> Locations | None:
    """Polls for the winner of the race."""
    while (found := find(locations)) is None and time.monotonic() < until:
        time.sleep(_POLL_S)
    return found


def _start(locations: Locations, argv: Sequence[str], deadline: float) -> bool:
    """Spawns a daemon; returns True when it is ready, False when another one holds the lock.

    Raises:
        DaemonUnavailable: it said something else, or nothing in time.
    """
    read_end, write_end = os.pipe()
    try:
        try:
            # The child forks at once and leaves the daemon behind: nobody has to reap that.
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=write_end,
                stderr=write_end,
                cwd="/",
                env=environment(os.environ),
                start_new_session=True,
            )
        except OSError as error:
            raise _unavailable(locations, f"{argv[0]}: {error.strerror}") from error
        finally:
            os.close(write_end)
        said = _listen(read_end, deadline)
        if said.endswith((READY, ALREADY)):
            process.wait()
            return said.endswith(READY)
        if time.monotonic() >= deadline:
            process.kill()
            said += b"\nnot ready in time"
        process.wait()
    finally:
        os.close(read_end)
    # Of a traceback the last line says what happened; the log has the rest.
    lines = said.decode("utf-8", "replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "it left silently")
    raise _unavailable(locations, last)


def _listen(pipe: int, deadline: float) -> bytes:
    """Returns what the daemon says until it is ready, gone, or late."""
    said = bytearray()
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    while not said.endswith((READY, ALREADY)):
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            break
        chunk = os.read(pipe, 65536)
        if not chunk:
            break
        said += chunk
    return bytes(said)


def _unavailable(locations: Locations, reason: str) -> DaemonUnavailable:
    return DaemonUnavailable(f"the daemon does not run: {reason} (log: {locations.log_file})")
