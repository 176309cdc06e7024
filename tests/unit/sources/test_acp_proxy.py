"""The proxy as a process, between a client and an agent that echoes; the daemon only records."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentdiff.client import Client
from agentdiff.daemon import launch
from agentdiff.locations import Locations
from tests.unit.daemon.fixtures import argv, end, until

ECHO = """
import os
while data := os.read(0, 65536):
    os.write(1, data)
"""
# Starts a child of its own, and does not leave when its input ends.
STAYS = """
import subprocess, sys, time
child = subprocess.Popen(["sleep", "1000"])
print(child.pid, flush=True)
time.sleep(1000)
"""
# Leaves when its input ends; what it has started, in a group of its own, keeps the output open.
LEAVES = """
import subprocess, sys
child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
print(child.pid, flush=True)
sys.stdin.read()
print("bye", flush=True)
"""
WAIT_S = 60


def start(
    locations: Locations, agent: str, *, cwd: Path, stdout: int = subprocess.PIPE
) -> subprocess.Popen[bytes]:
    """Starts ``agentdiff acp`` around a Python program."""
    environ = environment(locations.runtime.parent.parent)
    words = [sys.executable, "-P", "-m", "agentdiff", "acp", "--name", "echo"]
    return subprocess.Popen(
        [*words, "--", sys.executable, "-c", agent],
        cwd=cwd,
        env=environ,
        stdin=subprocess.PIPE,
        stdout=stdout,
    )


@pytest.fixture
def acp_locations() -> Iterator[Locations]:
    """A daemon that only records, where the environment of a command line finds it."""
    root = Path(tempfile.mkdtemp(prefix="ad-", dir="/tmp"))
    found = Locations.from_env(environment(root))
    found.config.mkdir(parents=True)
    found.config_file.write_text("[otlp]\nport = 0\n")
    try:
        yield launch.ensure_running(found, 20.0, argv=argv(found))
    finally:
        end(found)
        shutil.rmtree(root)


def environment(root: Path) -> dict[str, str]:
    """Returns the environment of a command line whose folders are below `root`."""
    homes = {f"XDG_{name}_HOME": str(root / name.lower()) for name in ("STATE", "CONFIG", "DATA")}
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(root),
        "XDG_RUNTIME_DIR": str(root / "run"),
        **homes,
    }


def told(locations: Locations) -> list[dict[str, Any]]:
    """Returns what the daemon was told."""
    with Client(locations, start=False) as client:
        hooks = client.call("hooks")["hooks"]
    return [json.loads(payload) for agent, payload in hooks if agent == "acp"]


def test_every_byte_arrives_and_a_prompt_is_told_before_it_goes_on(
    acp_locations: Locations, tmp_path: Path
) -> None:
    """Whatever a line is; the echo of the prompt comes back after the daemon has answered."""
    params = {"sessionId": "s", "prompt": [{"type": "text", "text": "do it"}]}
    prompt = json.dumps({"id": 1, "method": "session/prompt", "params": params}).encode() + b"\n"
    lines = [
        b"not json\r\n",
        b"\xff\xfe\0\n",
        b"\n",
        b'{"a": "' + b"x" * 400_000 + b'"}\n',
        b'[{"id": 9, "method": "initialize"}]\n',
        prompt,
    ]
    process = start(acp_locations, ECHO, cwd=tmp_path)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"".join(lines))
    process.stdin.flush()
    for line in lines:
        assert process.stdout.readline() == line
    (first,) = told(acp_locations)
    assert (first["event"], first["agent"], first["prompt"]) == ("prompt", "echo", "do it")
    rest, _ = process.communicate(b"no newline at the end", timeout=WAIT_S)
    assert rest == b"no newline at the end"
    assert process.returncode == 0
    assert [one["event"] for one in told(acp_locations)] == ["prompt", "session_end"]


@pytest.mark.parametrize("how", ["end of input", "signal"])
def test_the_agents_process_group_is_ended(
    acp_locations: Locations, tmp_path: Path, how: str
) -> None:
    """An agent that stays, and what it has started, are gone with the client."""
    process = start(acp_locations, STAYS, cwd=tmp_path)
    assert process.stdin is not None
    assert process.stdout is not None
    child = int(process.stdout.readline())
    if how == "signal":
        process.send_signal(signal.SIGTERM)
    process.communicate(timeout=WAIT_S)
    assert process.returncode == 128 + signal.SIGTERM
    until(lambda: _gone(child))


def test_what_an_agent_leaves_behind_does_not_keep_the_proxy(
    acp_locations: Locations, tmp_path: Path
) -> None:
    """The last words arrive, and the client sees that the agent is gone."""
    process = start(acp_locations, LEAVES, cwd=tmp_path)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    try:
        rest, _ = process.communicate(timeout=WAIT_S)
        assert (rest, process.returncode) == (b"bye\n", 0)
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_client_whose_pipe_does_not_block_gets_every_byte(
    acp_locations: Locations, tmp_path: Path
) -> None:
    """As a program that shares its standard output with others may have made it."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    process = start(acp_locations, ECHO, cwd=tmp_path, stdout=writing)
    os.close(writing)
    line = b"x" * 1_000_000 + b"\n"
    teller = threading.Thread(target=process.communicate, args=(line * 3,))
    teller.start()
    with open(reading, "rb") as stream:
        assert stream.read() == line * 3
    teller.join(WAIT_S)
    assert process.returncode == 0


def _gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody reaps counts as well."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"
