"""A traced run without a supervisor: real launchers, and a list in the daemon's place."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypedDict

import pytest

from agentdiff.install import launcher
from agentdiff.install.hook_client import find_compiler, find_perl
from agentdiff.sources.run.session import Session
from agentdiff.sources.trace.folder import WAIT_S, Launchers
from agentdiff.sources.trace.log import TraceLog, read
from agentdiff.sources.trace.server import Policy, TraceServer
from tests.unit.daemon.fixtures import until

PERL = find_perl(os.environ["PATH"])
COMPILER = find_compiler(os.environ["PATH"])
KINDS = [*(["c"] if COMPILER else []), *(["perl"] if PERL else [])]
DEADLINE_S = 60
# Puts the terminal in order before it stops, as full-screen programs do; here that takes a key.  A
# handler could run too late: Python would be waiting in `read` already, and go on waiting.
TIDY = r"""
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTSTP})
os.write(1, b"ready\n")
signal.sigwait({signal.SIGTSTP})
os.write(1, b"tidying\n")
os.read(0, 1)
os.kill(os.getpid(), signal.SIGSTOP)
os.write(1, b"on again\n")
"""


class _Kind(TypedDict):
    program: bytes | None
    perl: str | None


@dataclass
class Run:
    """One traced run without a supervisor."""

    root: Path
    launchers: Launchers
    session: Session
    server: TraceServer
    environ: dict[str, str]
    told: list[dict[str, Any]] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    @property
    def off(self) -> Path:
        """The switch."""
        return self.root / "off"

    def popen(self, *argv: str, **more: Any) -> subprocess.Popen[str]:
        """Starts a command with launchers in front."""
        return subprocess.Popen(
            argv,
            cwd=self.root / "ws",
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **{"stdin": subprocess.DEVNULL, **more},
        )

    def __call__(self, *argv: str, code: int = 0) -> str:
        """Runs a command to its end; returns what it printed."""
        process = self.popen(*argv)
        out, err = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == code, (argv, process.returncode, out, err)
        return out

    def log(self, count: int) -> list[dict[str, Any]]:
        """Returns the log once it has so many lines; a line is written after its command."""
        until(lambda: len(list(read(self.root / "log"))) >= count)
        found = list(read(self.root / "log"))
        assert len(found) == count, found
        return found

    def events(self) -> list[tuple[str, str]]:
        """Returns (event, command) of what the daemon would have been told."""
        return [(one["event"], one.get("command", "")) for one in self.told]


@pytest.fixture(params=KINDS)
def each_kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of both launchers: the one in C and the one in perl."""
    monkeypatch.setattr("tests.unit.sources.trace_rig.KINDS", [request.param])


def kind(wait_s: int = WAIT_S) -> _Kind:
    """Returns the launcher of this test, compiled once for all tests of this process."""
    if KINDS[0] == "perl" or COMPILER is None:
        return {"program": None, "perl": PERL}
    program = launcher.build(launcher.source_of(wait_s), COMPILER)
    assert program is not None
    return {"program": program, "perl": None}


@contextlib.contextmanager
def traced(
    policy: Policy = Policy(),  # noqa: B008 - frozen
    wait_s: int = WAIT_S,
    **more: str,
) -> Iterator[Run]:
    """A traced run in a folder of its own; its socket's path is short."""
    root = Path(tempfile.mkdtemp(prefix="ad-", dir="/tmp")).resolve()
    told: list[dict[str, Any]] = []
    complaints: list[str] = []
    try:
        for name in ("ws", "home", "tools"):
            (root / name).mkdir()
        subprocess.run(["git", "init", "-q", str(root / "ws")], check=True)
        path = f"{root / 'tools'}:{os.environ['PATH']}"
        environ = {"PATH": path, "HOME": str(root / "home"), "LANG": "C.UTF-8", **more}
        session = Session(
            deliver=lambda _, payload: told.append(json.loads(payload)),
            name="agent",
            argv=("agent",),
            cwd=str(root / "ws"),
        )
        launchers = Launchers(
            root / "run",
            off=root / "off",
            tools=("git", "python3", "wrapped", "absent", "bash"),
            environ=environ,
            wait_s=wait_s,
            **kind(wait_s),
        )
        log = TraceLog(root / "log", max_bytes=1 << 20, keep=2)
        traced_environ = launchers.environment(environ, root / "sock")
        with TraceServer(
            root / "sock", session, log, policy, traced_environ, complaints.append
        ) as server:
            server.start()
            yield Run(root, launchers, session, server, traced_environ, told, complaints)
    finally:
        shutil.rmtree(root)


def stop_and_go_on(process: subprocess.Popen[str], keys: IO[bytes]) -> None:
    """Stops whoever runs `TIDY` by SIGTSTP and lets it go on: it must not stop before `TIDY` does.

    Args:
        process: leader of a process group; its output is piped.
        keys: what `TIDY` reads.
    """
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTSTP)
    assert process.stdout.readline() == "tidying\n"
    assert os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOHANG) is None
    keys.write(b"\n")
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    os.killpg(process.pid, signal.SIGCONT)
    out, _ = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, out) == (0, "on again\n")
