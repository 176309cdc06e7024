"""The supervisor without sessions and traces: a program in the foreground."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from tests.unit.sources.trace_rig import DEADLINE_S, TIDY, stop_and_go_on

SUPERVISOR = """
import os, sys
from agentdiff.sources.run import foreground
status = foreground.run(
    sys.argv[1:], os.environ, on_started=lambda: None, on_alive=lambda: None
)
sys.exit(foreground.leave_as(status))
"""


def start(*argv: str, **more: Any) -> subprocess.Popen[str]:
    """Starts a program under the supervisor."""
    words = [sys.executable, "-c", SUPERVISOR, *argv]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True, process_group=0, **more)


def test_it_stops_only_after_its_program() -> None:
    """A full-screen program puts the terminal in order first; until then its shell waits."""
    given, giving = os.pipe()
    with open(giving, "wb", buffering=0) as keys, open(given, "rb") as given_keys:
        process = start(sys.executable, "-c", TIDY, stdin=given_keys)
        stop_and_go_on(process, keys)


def test_a_closed_standard_output_is_no_reason_to_fail() -> None:
    """As of a service that is started with ``>&-``."""
    line = '"$0" -c "$1" sh -c "exit 3" >&- 2>&-'
    words = ["bash", "-c", line, sys.executable, SUPERVISOR]
    assert subprocess.run(words, check=False, timeout=DEADLINE_S).returncode == 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGTSTP])
def test_a_signal_to_the_supervisor_reaches_the_program(number: signal.Signals) -> None:
    """A handler of the program runs, and its exit code is the supervisor's."""
    script = (
        "import signal, sys\n"
        f"signal.pthread_sigmask(signal.SIG_BLOCK, [{int(number)}])\n"
        "print('ready', flush=True)\n"
        f"signal.sigwait([{int(number)}])\n"
        "sys.exit(7)\n"
    )
    # Whoever runs the tests in the background may ignore it, and that is inherited.
    before = signal.signal(number, signal.SIG_DFL)
    process = start(sys.executable, "-c", script)
    signal.signal(number, before)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 7


def test_a_signal_before_the_program_is_known_reaches_it() -> None:
    """A window that is closed while its program starts."""
    script = """
import os, signal
from agentdiff.sources.run.foreground import Signals, execute, wait
signal.signal(signal.SIGHUP, signal.SIG_DFL)
with Signals(lambda: None) as signals:
    os.kill(os.getpid(), signal.SIGHUP)
    child = signals.fork()
    if child == 0:
        execute(["sleep", "60"], os.environ)
    print(os.WTERMSIG(wait(child, signals.pause)))
"""
    process = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        timeout=DEADLINE_S,
    )
    assert int(process.stdout) == signal.SIGHUP
