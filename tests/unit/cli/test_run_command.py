"""``run``, ``trace`` and ``log --follow`` as programs, with a real daemon where they need one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agentdiff.locations import Locations
from agentdiff.sources.trace.log import TraceLog, read
from tests.unit.daemon import fixtures

DEADLINE_S = 60
AGENTDIFF = (sys.executable, "-P", "-m", "agentdiff")
# What the daemon knows when the very first instruction of the program is executed.
ASKS = """
import json, os, subprocess, sys
words = [sys.executable, "-P", "-m", "agentdiff", "status", "--json"]
found = json.loads(subprocess.run(words, capture_output=True, check=True).stdout)
states = {one["id"]: one["state"] for one in found["sessions"]}
print(json.dumps({"session": os.environ["AGENTDIFF_SESSION"], "states": states}))
open("begun", "w").write("x")
sys.exit(3)
"""


@dataclass
class Place:
    """A workspace, and an environment of its own."""

    root: Path
    environ: dict[str, str]

    @property
    def workspace(self) -> Path:
        """The workspace."""
        return self.root / "ws"

    @property
    def locations(self) -> Locations:
        """Where state is kept."""
        return Locations.from_env(self.environ)

    def start(self, *argv: str, **more: str) -> subprocess.Popen[str]:
        """Starts ``agentdiff``."""
        return subprocess.Popen(
            [*AGENTDIFF, *argv],
            cwd=self.workspace,
            env={**self.environ, **more},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *argv: str, code: int = 0) -> str:
        """Runs ``agentdiff`` to its end; returns what it printed."""
        process = self.start(*argv)
        out, err = process.communicate(timeout=DEADLINE_S)
        assert (process.returncode, err) == (code, ""), out
        return out

    def json(self, *argv: str) -> Any:
        """Returns the JSON that ``agentdiff`` printed."""
        return json.loads(self.run(*argv, "--json"))


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """One daemon for all: starting one takes longer than most of what is tested here."""
    root = Path(tempfile.mkdtemp(prefix="ad-", dir="/tmp"))
    homes = {f"XDG_{name}_HOME": str(root / name.lower()) for name in ("STATE", "CONFIG", "DATA")}
    runtime = str(root / "run")
    environ = {"PATH": os.environ["PATH"], "HOME": str(root), "XDG_RUNTIME_DIR": runtime, **homes}
    found = Place(root, environ)
    found.locations.config.mkdir(parents=True)
    found.locations.config_file.write_text("[otlp]\nport = 0\n")
    (found.workspace / ".git").mkdir(parents=True)
    (root / "run").mkdir(mode=0o700)
    try:
        yield found
    finally:
        fixtures.end(found.locations)
        shutil.rmtree(root)


def test_a_program_has_a_session_from_its_first_instruction_to_its_end(place: Place) -> None:
    """In its environment and in the daemon, with the baseline before it; its exit code is ours."""
    told = place.run("run", "--name", "mine", "--", sys.executable, "-c", ASKS, code=3)
    known = json.loads(told)
    assert known["states"][known["session"]] == "working"
    status = place.json("status")
    (session,) = [one for one in status["sessions"] if one["id"] == known["session"]]
    assert session["agent"] == "mine"
    assert session["state"] != "working"
    (file,) = [one for one in status["files"] if one["path"] == "begun"]
    assert file["status"] == "created"
    (owner,) = file["hunks"][0]["owners"]
    assert (owner["agent"], owner["session"]) == ("mine", known["session"])


def test_a_live_view_shows_calls_and_files_as_they_come(place: Place) -> None:
    """One run before it is opened, one after; Ctrl-C ends it."""
    place.run("run", "--name", "first", "--", "sh", "-c", "echo x > one")
    # Whoever runs the tests in the background may ignore it, and that is inherited.
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    view = place.start("log", "--follow")
    signal.signal(signal.SIGINT, before)
    assert view.stdout is not None
    seen = ""
    for name, path in (("first", "one"), ("second", "two")):
        if name == "second":
            place.run("run", "--name", name, "--", "sh", "-c", f"echo x > {path}")
        while path not in seen.split():
            line = view.stdout.readline()
            assert line, seen
            seen += line
        assert name in seen
    view.send_signal(signal.SIGINT)
    _, err = view.communicate(timeout=DEADLINE_S)
    assert (view.returncode, err) == (0, "")


def test_the_switch_and_the_log(place: Place) -> None:
    """`trace` with each of its words."""
    place.run("trace", "off")
    assert place.run("trace", "status").startswith("command traces are off\n")
    place.run("trace", "on")
    assert place.json("trace", "status")["on"]
    log = TraceLog(place.locations.trace, max_bytes=1 << 20, keep=1)
    for number in range(3):
        record = {"ts": "2026-01-01T00:00:00Z", "mode": "run", "argv": ["git", f"x{number}"]}
        log.write(
            {**record, "exit_code": number, "duration_ms": 1.0, "session_id": f"fake-{number}"}
        )
    assert [one["exit_code"] for one in place.json("trace", "log", "--last", "2")] == [1, 2]
    assert place.run("trace", "log", "--session", "fake-2").endswith("git x2  [2]\n")


def test_a_trace_that_cannot_be_made_stops_no_program(place: Place) -> None:
    """It runs as without one, and it is said why."""
    (place.root / "file").touch()
    words = ("run", "--trace", "--", "sh", "-c", "echo ran; exit 4")
    process = place.start(*words, XDG_DATA_HOME=str(place.root / "file"))
    out, err = process.communicate(timeout=DEADLINE_S)
    assert (out, process.returncode) == ("ran\n", 4)
    assert err.startswith("agentdiff: the commands are not traced: ")
    assert str(place.root / "file") in err


SETTINGS = """
[trace]
core_utilities = true
builtins = true
env_diff = true
stderr_bytes = true
redact = ["corp-[0-9]+"]
rules = [
  { command = "git push*", action = "deny" },
  { command = "git tag*", action = "dry-run" },
]
"""
COMMANDS = """
cd /; cd - >/dev/null
touch made
git push there; test $? = 126 || exit 1
git tag corp-77 || exit 1
ADDED=secretvalue git --version 2>err
"""


@contextmanager
def settings(place: Place, text: str) -> Iterator[None]:
    """Adds to the file of settings."""
    path = place.locations.config_file
    before = path.read_text()
    path.write_text(before + text)
    try:
        yield
    finally:
        path.write_text(before)


def test_every_setting_of_the_trace_is_in_force(place: Place) -> None:
    """From the file of settings to the log."""
    with settings(place, SETTINGS):
        process = place.start("run", "--name", "set", "--trace", "--", "bash", "-c", COMMANDS)
        _, err = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, place.workspace.joinpath("made").exists()) == (0, True)
    assert "denied by the rule 'git push*'" in err
    assert "dry run, rule 'git tag*'" in err
    lines = [one for one in read(place.locations.trace) if one["session_id"][:4] == "run-"]
    modes = [(one["command"], one["mode"]) for one in lines]
    assert {("cd", "builtin"), ("touch", "run"), ("git", "deny"), ("git", "dry-run")} <= {*modes}
    (tag,) = [one for one in lines if one["mode"] == "dry-run"]
    assert tag["argv"] == ["git", "tag", "***"]
    (asked,) = [one for one in lines if one["argv"] == ["git", "--version"]]
    assert (asked["env_diff"]["added"], asked["stderr_bytes"]) == (["ADDED"], 0)
    assert "secretvalue" not in str(lines)


def test_a_rule_that_is_not_in_force_is_said(place: Place) -> None:
    """A word that was misspelled must not go unnoticed."""
    with settings(place, '[trace]\nrules = [{ command = "git push*", action = "denny" }]\n'):
        process = place.start("run", "--trace", "--", "true")
        _, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0
    assert "trace.rules" in err
