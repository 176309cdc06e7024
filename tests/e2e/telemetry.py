"""What the tests of telemetry share: a listener at a known port, and waiting for the log.

Must not look into agentdiff's files, except for the token, which is a file by design.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

from e2e.rig import Rig

WAIT_S = 30.0


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
