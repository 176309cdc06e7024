"""Fixtures of the transport tests: folders, a hook client, a daemon around `FakeBackend`."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agentdiff.daemon import launch, lifecycle
from agentdiff.install.hook_client import find_compiler, python_client, render
from agentdiff.locations import Locations

CHECKOUT = Path(__file__).resolve().parents[3]
SOURCES = CHECKOUT / "src" / "agentdiff" / "sources"
FAKE = Path(__file__).with_name("fake_backend.py")
PERL = shutil.which("perl")
COMPILER = find_compiler(os.environ["PATH"])


def until(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    """Waits for another process; fails when the condition does not come true in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        threading.Event().wait(0.01)


def argv(locations: Locations, *more: str) -> list[str]:
    """Returns the command of a daemon around `FakeBackend`."""
    folders = [
        part
        for name in ("state", "runtime", "config", "data")
        for part in (f"--{name}", str(getattr(locations, name)))
    ]
    return [sys.executable, str(FAKE), "--detached", *folders, *more]


def end(locations: Locations) -> None:
    """Ends the daemon of these locations, if one runs, by its pid."""
    holder = lifecycle.holder(locations.lock_file)
    if holder is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(holder.pid, signal.SIGTERM)
        until(lambda: lifecycle.holder(locations.lock_file) != holder)


@pytest.fixture
def locations() -> Iterator[Locations]:
    """Folders of nobody else, short enough for sockets; a daemon in them is ended afterwards."""
    root = Path(tempfile.mkdtemp(prefix="ad-", dir="/tmp"))
    found = Locations(
        state=root / "state", runtime=root / "run", config=root / "config", data=root / "data"
    )
    found.config.mkdir()
    found.config_file.write_text("[otlp]\nport = 0\n")
    try:
        yield found
    finally:
        end(found)
        shutil.rmtree(root)


@pytest.fixture
def daemon(locations: Locations) -> Locations:
    """A running daemon around `FakeBackend`; its locations."""
    return launch.ensure_running(locations, 20.0, argv=argv(locations))


def talk(locations: Locations, data: bytes) -> dict[str, object]:
    """Sends bytes to the hook socket and returns the answer."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(20)
        connection.connect(str(locations.hook_socket))
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        answer: dict[str, object] = json.loads(connection.makefile("rb").readline())
    return answer


def run_hook(program: Path, payload: bytes, *args: str) -> subprocess.CompletedProcess[bytes]:
    """Runs a hook client the way an agent does."""
    return subprocess.run(
        [str(program), *args], input=payload, capture_output=True, check=False, timeout=60
    )


@pytest.fixture(params=["hook_client.c", "hook_client.pl", "hook_client.py"])
def hook_client(locations: Locations, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Each small hook client, rendered for `locations`; its fallback only reports itself."""
    template = SOURCES / request.param
    if template.suffix == ".pl" and PERL is None:
        pytest.skip("no perl on this machine")
    fallback = tmp_path / "fallback"
    fallback.write_text('#!/bin/sh\nprintf "%s\\n" "$@" > "$0.args"\ncat > "$0.stdin"\n')
    fallback.chmod(stat.S_IRWXU)
    words = {
        "@PERL@": str(PERL),
        "@PYTHON@": str(fallback),
        "@SOCKET@": str(locations.hook_socket),
        "@STATE@": str(locations.state),
    }
    program = tmp_path / "agentdiff-hook"
    if template.suffix == ".c":
        if COMPILER is None:
            pytest.skip("no C compiler on this machine")
        program.write_bytes(render(locations, str(fallback), None, COMPILER))
        program.chmod(stat.S_IRWXU)
        return program
    if template.suffix == ".py":
        text = python_client(locations, f"#!{sys.executable} -ISE", str(fallback)).decode()
    else:
        text = template.read_text()
        for word, value in words.items():
            text = text.replace(word, value)
    program.write_text(text)
    program.chmod(stat.S_IRWXU)
    return program
