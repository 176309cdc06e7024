"""``agentdiff hook`` with the real daemon: started by the first hook, or made up for later."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agentdiff.client import Client
from agentdiff.daemon import lifecycle
from agentdiff.locations import Locations


def _hook(locations: Locations, cwd: Path, event: str, named: Path) -> bytes:
    """Runs the Python hook client for an Edit of Claude Code; returns what it printed."""
    payload = {
        "session_id": "s",
        "transcript_path": "/t",
        "cwd": str(cwd),
        "prompt_id": "p",
        "permission_mode": "default",
        "hook_event_name": event,
        "tool_name": "Edit",
        "tool_use_id": "toolu_1",
        "tool_input": {"file_path": str(named), "old_string": "old", "new_string": "new"},
        **({"tool_response": {}} if event == "PostToolUse" else {}),
    }
    root = locations.state.parent
    done = subprocess.run(
        [
            *(sys.executable, "-E", "-P", "-m", "agentdiff", "hook", "claude"),
            *("--socket", str(locations.hook_socket), "--state", str(locations.state)),
        ],
        input=json.dumps(payload).encode(),
        capture_output=True,
        check=False,
        timeout=60,
        env={"HOME": str(root), "PATH": os.defpath, "XDG_CONFIG_HOME": str(root)},
    )
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout


@pytest.fixture
def workspace(locations: Locations) -> Path:
    """A workspace with one file; the daemon's settings are where its hook looks for them."""
    folder = locations.state.parent / "ws"
    folder.mkdir()
    (folder / "a.txt").write_bytes(b"old\n")
    settings = locations.state.parent / "agentdiff"
    settings.mkdir()
    (settings / "config.toml").write_text("[otlp]\nport = 0\n")
    return folder


def _pending(locations: Locations, workspace: Path) -> list[tuple[str, int, int, str]]:
    with Client(locations) as client:
        files = client.call("status", cwd=str(workspace))["files"]
    return [(file["path"], file["added"], file["removed"], file["coverage"]) for file in files]


def test_first_hook_starts_the_daemon(locations: Locations, workspace: Path) -> None:
    """With no daemon running, the hook starts one at exactly the given places and is answered."""
    named = workspace / "a.txt"
    assert _hook(locations, workspace, "PreToolUse", named) == b""
    named.write_bytes(b"new\n")
    _hook(locations, workspace, "PostToolUse", named)
    holder = lifecycle.holder(locations.lock_file)
    assert holder is not None
    assert holder.runtime == locations.runtime
    assert _pending(locations, workspace) == [("a.txt", 1, 1, "exact")]


def test_spooled_hooks_keep_the_baseline(locations: Locations, workspace: Path) -> None:
    """What an agent wrote while no daemon could start is pending, from its exact old content."""
    named = workspace / "a.txt"
    locations.runtime.write_bytes(b"in the way")
    _hook(locations, workspace, "PreToolUse", named)
    named.write_bytes(b"new\n")
    _hook(locations, workspace, "PostToolUse", named)
    assert len(list(locations.spool.iterdir())) == 2
    locations.runtime.unlink()
    assert _pending(locations, workspace) == [("a.txt", 1, 1, "exact")]
    assert list(locations.spool.iterdir()) == []


def test_hook_ignores_modules_of_the_workspace(locations: Locations, workspace: Path) -> None:
    """A workspace that holds a module of our name does not get to run it."""
    for name in ("agentdiff", "orjson", "socket"):
        (workspace / f"{name}.py").write_text("raise SystemExit('stolen')\n")
    done = subprocess.run(
        [*(sys.executable, "-E", "-P", "-m", "agentdiff", "hook", "claude")],
        input=b"",
        cwd=workspace,
        capture_output=True,
        check=False,
        timeout=60,
        env={"PYTHONPATH": str(workspace), "PATH": os.defpath},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
