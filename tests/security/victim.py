"""The user who is attacked: folders, a daemon as a process, an agent's hooks, the command line."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from agentdiff import wire
from agentdiff.client import Client
from agentdiff.daemon import launch, lifecycle
from agentdiff.locations import Locations
from tests.unit.daemon.fixtures import until

WAIT_S = 60


class Victim:
    """One user.

    Args:
        folder: short, and of nobody else.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        names = {f"XDG_{n}_HOME": str(folder / n.lower()) for n in ("STATE", "CONFIG", "DATA")}
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder / "home"),
            "LANG": "C.UTF-8",
            "XDG_RUNTIME_DIR": str(folder / "run"),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "GIT_CONFIG_NOSYSTEM": "1",
            **names,
        }
        self.locations = Locations.from_env(self.environ)
        (folder / "home").mkdir()
        self.locations.config.mkdir(parents=True)
        self.locations.config_file.write_text("[otlp]\nport = 0\n")
        self._calls = 0

    # --- the daemon ------------------------------------------------------------------------------

    def start(self) -> None:
        """Starts the daemon; umask 0: what is private is so by its own mode."""
        mask = os.umask(0)
        try:
            with _environment(self.environ):
                launch.ensure_running(self.locations, WAIT_S)
        finally:
            os.umask(mask)

    def stop(self) -> None:
        """Ends the daemon, if it runs."""
        holder = lifecycle.holder(self.locations.lock_file)
        if holder is not None:
            os.kill(holder.pid, signal.SIGTERM)
            until(lambda: lifecycle.holder(self.locations.lock_file) != holder, WAIT_S)

    def call(self, method: str, **params: object) -> dict[str, Any]:
        """Asks the daemon."""
        with Client(self.locations, start=False) as client:
            return client.call(method, **params)

    def log(self) -> str:
        """Returns the daemon's log."""
        return self.locations.log_file.read_text()

    def bugs(self) -> object:
        """Returns how often the daemon met an error that nobody expected."""
        return self.call("daemon.status")["counters"]["bugs"]

    def kept(self, word: bytes) -> list[str]:
        """Returns the files of the state folder that hold a word (blobs are compressed: short)."""
        files = [path for path in self.locations.state.rglob("*") if path.is_file()]
        return [str(path) for path in files if word in path.read_bytes()]

    # --- the agent -------------------------------------------------------------------------------

    def workspace(self, root: Path) -> Path:
        """Makes a git work tree with one commit, and starts a session in it."""
        (root / "d").mkdir(parents=True)
        for name in ("a.txt", "d/f.txt"):
            (root / name).write_text("one\ntwo\nthree\n")
        for arguments in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "start"]):
            self.git(root, *arguments)
        self.hook(root, "SessionStart", source="startup")
        self.hook(root, "UserPromptSubmit", prompt="do it")
        return root

    def git(self, root: Path, *arguments: str) -> None:
        """Runs git as the user does."""
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        subprocess.run(
            ["git", *identity, *arguments],
            cwd=root,
            env=self.environ,
            check=True,
            capture_output=True,
            timeout=WAIT_S,
        )

    def send(self, payload: bytes, agent: str = "claude") -> dict[str, Any]:
        """Sends the bytes of a hook and returns the answer."""
        header = {"proto": 1, "min_proto": 1, "agent": agent, "len": len(payload)}
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(WAIT_S)
            connection.connect(str(self.locations.hook_socket))
            connection.sendall(wire.encode(header) + payload)
            answer: dict[str, Any] = json.loads(connection.makefile("rb").readline())
        return answer

    def hook(self, root: Path, event: str, **fields: object) -> dict[str, Any]:
        """Sends a hook of Claude Code 2.1 (``tests/golden/claude``)."""
        common = {"session_id": f"s-{root}", "cwd": str(root), "prompt_id": f"p-{root}"}
        payload = {**common, "hook_event_name": event, **fields}
        return self.send(json.dumps(payload).encode())

    def edit(
        self, root: Path, path: str | Path, data: bytes, *, tool: str = "Write", act: bool = True
    ) -> dict[str, Any]:
        """Writes a file as a tool of the agent; returns what its first hook was answered."""
        self._calls += 1
        place = root / path
        given = {"file_path": str(place), "content": data.decode()}
        call = {"tool_name": tool, "tool_use_id": f"t{self._calls}", "tool_input": given}
        answer = self.hook(root, "PreToolUse", **call)
        if act:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        self.hook(root, "PostToolUse", **call, tool_response={})
        return answer

    # --- the command line ------------------------------------------------------------------------

    def cli(self, root: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        """Runs ``agentdiff``."""
        return subprocess.run(
            [sys.executable, "-E", "-P", "-m", "agentdiff", *arguments],
            cwd=root,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=WAIT_S,
        )

    def pending(self, root: Path) -> dict[str, dict[str, Any]]:
        """Returns what pends: path → its entry in ``status``."""
        return {one["path"]: one for one in self.call("status", cwd=str(root))["files"]}


class _environment:  # noqa: N801 - reads as a function
    """Replaces ``os.environ`` while a daemon is started: it gets what its starter has."""

    def __init__(self, environ: dict[str, str]) -> None:
        self._environ = environ

    def __enter__(self) -> None:
        self._before = dict(os.environ)
        os.environ.clear()
        os.environ.update(self._environ)

    def __exit__(self, *_: object) -> None:
        os.environ.clear()
        os.environ.update(self._before)
