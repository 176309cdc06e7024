"""The command line with a daemon and a workspace of its own, for the tests of this folder."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agentdiff.cli import main as command_line
from agentdiff.daemon import launch
from agentdiff.locations import Locations
from tests.unit.daemon import fixtures

BEFORE = b"one\ntwo\nthree\n"
AFTER = b"one\nTWO\nthree\n"


@dataclass
class Shell:
    """Runs ``agentdiff`` in this process, in a workspace that has one pending hunk."""

    workspace: Path
    locations: Locations
    capture: pytest.CaptureFixture[bytes]
    code: int = 0
    out: bytes = b""
    err: str = ""

    def run(self, *argv: str) -> int:
        """Runs one command and keeps what it printed."""
        try:
            self.code = command_line.main(list(argv))
        except SystemExit as left:
            self.code = int(left.code or 0)
        out, err = self.capture.readouterr()
        self.out, self.err = out, err.decode()
        return self.code

    def json(self, *argv: str) -> Any:
        """Runs one command and returns the JSON that it printed."""
        self.run(*argv)
        return json.loads(self.out)

    def hook(self, event: str, tool: str = "Edit", **more: object) -> None:
        """Sends one hook of Claude Code, as its hook client would."""
        payload = {
            "session_id": "session-1",
            "transcript_path": "/t",
            "cwd": str(self.workspace),
            "prompt_id": "prompt-1",
            "permission_mode": "default",
            "hook_event_name": event,
            **({"tool_name": tool, "tool_use_id": "toolu_1"} if "Tool" in event else {}),
            **more,
        }
        launch.ensure_running(self.locations, 20.0)
        data = json.dumps(payload).encode()
        header = b'{"proto":1,"min_proto":1,"agent":"claude","len":%d}\n' % len(data)
        fixtures.talk(self.locations, header + data)

    def edit(self, name: str, before: bytes, after: bytes) -> None:
        """Changes a file the way the agent does."""
        path = self.workspace / name
        old, new = ("two", "TWO") if after == AFTER else ("TWO", "two")
        tool_input = {"file_path": str(path), "old_string": old, "new_string": new}
        self.hook("PreToolUse", tool_input=tool_input)
        assert path.read_bytes() == before
        path.write_bytes(after)
        self.hook("PostToolUse", tool_input=tool_input, tool_response={})


@pytest.fixture
def shell(
    locations: Locations,
    monkeypatch: pytest.MonkeyPatch,
    capsysbinary: pytest.CaptureFixture[bytes],
) -> Iterator[Shell]:
    """A workspace with one file, and nothing of the user's environment."""
    root = locations.state.parent
    for name in ("STATE", "CONFIG", "DATA", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(root / name.lower()))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(root / "run"))
    monkeypatch.setenv("HOME", str(root))
    found = Locations.from_env(os.environ)
    found.config.mkdir(parents=True)
    found.config_file.write_text("[otlp]\nport = 0\n")
    workspace = root / "ws"
    (workspace / "sub").mkdir(parents=True)
    (workspace / ".git").mkdir()
    (workspace / "a.txt").write_bytes(BEFORE)
    monkeypatch.chdir(workspace)
    try:
        yield Shell(workspace=workspace, locations=found, capture=capsysbinary)
    finally:
        fixtures.end(found)


@pytest.fixture
def pending(shell: Shell) -> Shell:
    """A workspace in which an agent's edit pends."""
    shell.hook("UserPromptSubmit", prompt="make it\nloud \x1b[31m")
    shell.edit("a.txt", BEFORE, AFTER)
    return shell
