"""``make install`` on a real daemon and a real hook client, in a home of their own."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentdiff.locations import Locations

CHECKOUT = Path(__file__).resolve().parents[3]
AGENTDIFF = Path(sys.executable).parent / "agentdiff"


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    """An empty HOME, short enough for sockets; a daemon that was started there is stopped."""
    home = tempfile.mkdtemp(prefix="ad-", dir="/tmp")
    environment = {"HOME": home, "PATH": os.defpath}
    yield environment
    subprocess.run([AGENTDIFF, "daemon", "stop"], env=environment, capture_output=True, check=False)
    shutil.rmtree(home)


def _install(environment: dict[str, str]) -> dict[str, str]:
    """Runs the step; returns what it said of each part."""
    argv = [sys.executable, str(CHECKOUT / "tools" / "install.py")]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return dict(line.split(": ", 1) for line in done.stdout.splitlines())


def test_fresh_home_gets_nothing_that_was_not_asked_for(environment: dict[str, str]) -> None:
    """No hook client without an agent, no daemon without a need."""
    said = _install(environment)
    assert said["hook client"].startswith("no agent is connected")
    assert said["daemon"].startswith("was not running")
    assert os.listdir(environment["HOME"]) == []


def test_connected_agent_gets_the_hook_client_of_this_checkout(
    environment: dict[str, str],
) -> None:
    """What an older version left there is replaced, executable, at the same path."""
    client = Locations.from_env(environment).hook_client
    client.parent.mkdir(parents=True)
    client.write_text("#!/bin/sh\nexit 0\n", encoding="utf-8")
    said = _install(environment)
    assert said["hook client"] == f"renewed: {client}"
    assert os.fsencode(Path(sys.executable).parent) in client.read_bytes()
    assert os.access(client, os.X_OK)


def test_running_daemon_is_stopped(environment: dict[str, str]) -> None:
    """The next event starts the new one."""
    subprocess.run([AGENTDIFF, "daemon", "start"], env=environment, check=True, capture_output=True)
    assert _install(environment)["daemon"].startswith("stopped")
    status = subprocess.run(
        [AGENTDIFF, "daemon", "status"], env=environment, capture_output=True, check=False
    )
    assert status.returncode == 4
