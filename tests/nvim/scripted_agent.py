"""An agent that speaks through the real hook client and really writes files.

Payload shapes: Claude Code 2.1 (tests/golden/claude), reduced to what its hooks always send.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agentdiff.install.hook_client import find_perl, install_hook_client
from agentdiff.locations import Locations


class Agent:
    """One session of Claude Code in a workspace; starting it sends SessionStart and a prompt."""

    def __init__(self, workspace: Path, session: str = "") -> None:
        self.workspace = workspace
        session = session or f"session-{uuid.uuid4().hex}"
        self._ids = itertools.count(1)
        self._common = {
            "session_id": session,
            "transcript_path": "/nowhere.jsonl",
            "cwd": str(workspace),
            "prompt_id": f"{session}-p1",
            "permission_mode": "acceptEdits",
        }
        locations = Locations.from_env(os.environ)
        perl = find_perl(os.environ["PATH"])
        install_hook_client(locations, sys.executable, perl=perl)
        self._command = [str(locations.hook_client), "claude"]
        self.hook("SessionStart", source="startup")
        self.hook("UserPromptSubmit", prompt="Please change things")

    def hook(self, event: str, **fields: Any) -> None:
        """Runs the installed hook command with a payload; returns when it is acknowledged."""
        payload = {**self._common, "hook_event_name": event, **fields}
        subprocess.run(
            self._command, input=json.dumps(payload).encode(), check=True, cwd=self.workspace
        )

    @contextmanager
    def tool(self, name: str, **given: Any) -> Iterator[None]:
        """Runs the body inside one tool call."""
        call = {"tool_name": name, "tool_input": given, "tool_use_id": f"t{next(self._ids)}"}
        self.hook("PreToolUse", **call)
        yield
        self.hook("PostToolUse", **call, tool_response={})

    def write(self, name: str, text: str) -> None:
        """Writes a whole file with the Write tool."""
        path = self.workspace / name
        with self.tool("Write", file_path=str(path), content=text):
            path.write_text(text)

    def edit(self, name: str, old: str, new: str) -> None:
        """Replaces a text in a file with the Edit tool."""
        path = self.workspace / name
        with self.tool("Edit", file_path=str(path), old_string=old, new_string=new):
            path.write_text(path.read_text().replace(old, new, 1))

    def shell(self, command: str) -> None:
        """Runs a command with the Bash tool."""
        with self.tool("Bash", command=command):
            subprocess.run(["sh", "-c", command], cwd=self.workspace, check=False)

    def prompt(self, text: str) -> None:
        """Starts another turn."""
        self._common["prompt_id"] = f"{self._common['session_id']}-{text}"
        self.hook("UserPromptSubmit", prompt=text)

    def stop(self) -> None:
        """Ends the turn."""
        self.hook("Stop", stop_hook_active=False, background_tasks=[])
