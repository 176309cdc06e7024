"""A user of their own for one run: folders, an agent that speaks through the real hook client, RPC.

Owns everything that touches processes.  Must not know what is right (`tests.kills.recorder`).
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agentdiff.client import Client
from agentdiff.daemon import lifecycle
from agentdiff.install.hook_client import find_perl, install_hook_client
from agentdiff.locations import Locations

DEADLINE_S = 60.0
_POLL_S = 0.005


def until(condition: Callable[[], Any], what: str) -> Any:
    """Returns the first true value of a condition; another process makes it true."""
    deadline = time.monotonic() + DEADLINE_S
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {DEADLINE_S} s for {what}"
        time.sleep(_POLL_S)
    return value


class User:
    """Folders of a user who has nothing, and what this user's programs do; `close` ends it all.

    Attributes:
        home: holds everything.
        root: the workspace.
        environ: of this user's programs.
        locations: the same, resolved.
        before: called in hooks' processes before they become what they are.
    """

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="ad-", dir="/tmp"))
        self.root = self.home / "work"
        self.root.mkdir()
        names = ("STATE", "CONFIG", "DATA", "CACHE")
        self.environ = {
            "HOME": str(self.home),
            "PATH": os.environ["PATH"],
            "XDG_RUNTIME_DIR": str(self.home / "r"),
            "GIT_CONFIG_GLOBAL": os.devnull,
            **{f"XDG_{name}_HOME": str(self.home / name.lower()) for name in names},
        }
        (self.home / "r").mkdir(mode=0o700)
        self.locations = Locations.from_env(self.environ)
        self.locations.config.mkdir(parents=True)
        self.locations.config_file.write_text("[otlp]\nenabled = false\n")
        perl = find_perl(self.environ["PATH"])
        install_hook_client(self.locations, sys.executable, perl=perl)
        self.before: Callable[[], None] | None = None
        self._client: Client | None = None

    def close(self) -> None:
        """Ends the daemon and removes the folders."""
        self.hang_up()
        self.kill()
        shutil.rmtree(self.home)

    # --- the daemon ------------------------------------------------------------------------------

    def pid(self) -> int | None:
        """Returns the running daemon's pid."""
        holder = lifecycle.holder(self.locations.lock_file)
        return None if holder is None else holder.pid

    def kill(self) -> bool:
        """Ends the daemon as a power cut would; returns whether one ran."""
        pid = self.pid()
        if pid is None:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        # Not until another one has the lock: somebody may have started it by now.
        until(lambda: self.pid() != pid, "the daemon's end")
        return True

    def stop(self) -> None:
        """Ends the daemon as a user would."""
        self.hang_up()
        pid = self.pid()
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
            until(lambda: self.pid() != pid, "the daemon's clean end")

    @contextlib.contextmanager
    def outage(self):
        """Within this no daemon can run: something is in the way of its runtime folder."""
        self.kill()
        runtime = self.locations.runtime
        shutil.rmtree(runtime, ignore_errors=True)
        runtime.write_text("in the way")
        try:
            yield
        finally:
            runtime.unlink()

    # --- the agent -------------------------------------------------------------------------------

    def hook(self, event: str, session: str, turn: str, **fields: Any) -> None:
        """Runs the installed hook client with a payload of Claude Code (tests/golden/claude)."""
        payload = {
            "session_id": session,
            "transcript_path": "/nowhere.jsonl",
            "cwd": str(self.root),
            "prompt_id": turn,
            "permission_mode": "acceptEdits",
            "hook_event_name": event,
            **fields,
        }
        done = subprocess.run(
            [str(self.locations.hook_client), "claude"],
            input=json.dumps(payload).encode(),
            capture_output=True,
            cwd=self.root,
            env=self.environ,
            check=False,
            timeout=DEADLINE_S,
            preexec_fn=self.before,
        )
        assert (done.returncode, done.stderr) == (0, b""), (event, done)

    # --- files -----------------------------------------------------------------------------------

    def read(self, name: str) -> bytes | None:
        """Returns what a file holds, None when it is not there."""
        try:
            return (self.root / name).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, name: str, data: bytes | None, *, beside: bool = False) -> None:
        """Writes a file, in place or beside it and renamed over it; None removes it."""
        path = self.root / name
        if data is None:
            path.unlink()
        elif beside:
            # Outside of the workspace: what an agent writes on the way is not its subject here.
            other = self.home / "beside"
            other.write_bytes(data)
            other.replace(path)
        else:
            path.write_bytes(data)

    # --- requests --------------------------------------------------------------------------------

    def hang_up(self) -> None:
        """Ends the connection to the daemon."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def ask(self, method: str, **params: object) -> dict[str, Any]:
        """Returns the answer to a request about the workspace, starting a daemon if need be.

        Raises:
            OSError: the daemon died before it answered.
        """
        # The daemon must find this user's folders, not those of whoever runs the tests.
        with _environment(self.environ):
            try:
                if self._client is None:
                    self._client = Client(self.locations, timeout_s=DEADLINE_S)
                return self._client.call(method, cwd=str(self.root), **params)
            except OSError:
                self.hang_up()
                raise

    def ask_patiently(self, method: str, **params: object) -> dict[str, Any]:
        """Does what `ask` does, and asks again when the daemon dies over it: for questions."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            try:
                return self.ask(method, **params)
            except OSError:
                assert time.monotonic() < deadline, f"{method}: no daemon answers"

    def base(self, name: str) -> bytes | None:
        """Returns what would remain of a file if everything were rejected, by the daemon's word."""
        shown = self.ask_patiently("baseline.show", path=name)
        if shown["kind"] == "absent":
            return None
        assert shown["kind"] == "file", shown
        return base64.b64decode(shown["data_b64"])

    def views(self) -> dict[str, Any]:
        """Returns what the daemon shows of the workspace and a restart must not change."""
        status = self.ask_patiently("status")
        return {
            "files": status["files"],
            "totals": status["totals"],
            "turns": [
                (s["id"], [(t["id"], t["n"], t["prompt"]) for t in s["turns"]])
                for s in status["sessions"]
            ],
            "diff": self.ask_patiently("diff", external=True)["diff_b64"],
            "calls": self.ask_patiently("log")["calls"],
            "rejected": self.ask_patiently("rejected")["rejected"],
        }


@contextlib.contextmanager
def _environment(environ: dict[str, str]):
    """Has another environment for as long as it lasts."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
