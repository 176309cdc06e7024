"""The scripted agent of ``make demo``: treats its hooks as Claude Code does, without an account.

Owns one session: it announces each tool call to the hook commands that are installed in the user's
settings, *really* does it, and announces the result.  Must not know agentdiff: it runs whatever
commands the settings file names, with the payloads that Claude Code 2.1.197 sends.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_BYPASS = {"permission_mode": "bypassPermissions", "effort": {"level": "high"}}


class HookError(Exception):
    """A hook command failed: an agent must never notice that agentdiff is there."""


@dataclass(slots=True, kw_only=True)
class ScriptedAgent:
    """One session in one workspace.

    Attributes:
        workspace: the working directory of the session.
        settings: Claude Code's user settings, where the hooks are.
        environment: the whole environment of the hook commands and of the shell.
        say: called with one line for each thing that the agent does.
    """

    workspace: Path
    settings: Path
    environment: Mapping[str, str]
    say: Callable[[str], None]
    session: str = field(default_factory=lambda: str(uuid.uuid4()))
    _prompt: str = ""
    _calls: int = 0

    def start(self) -> None:
        """Opens the session."""
        self._announce("SessionStart", {"source": "startup"})

    def prompt(self, text: str) -> None:
        """Takes a prompt of the user: a turn starts."""
        self.say(f"user    {text}")
        self._prompt = str(uuid.uuid4())
        self._announce("UserPromptSubmit", {"prompt": text})

    def stop(self) -> None:
        """Ends the turn."""
        self._announce("Stop", {"stop_hook_active": False, "last_assistant_message": "done"})

    def end(self) -> None:
        """Closes the session."""
        self._announce("SessionEnd", {"reason": "other"})

    def edit(self, name: str, old: str, new: str) -> None:
        """Replaces the one occurrence of `old` in a file."""
        path = self.workspace / name
        tool_input = {"file_path": str(path), "old_string": old, "new_string": new}

        def act() -> dict[str, Any]:
            before = path.read_text()
            if before.count(old) != 1:
                raise HookError(f"{name} does not hold exactly one {old!r}")
            path.write_text(before.replace(old, new))
            return {
                "filePath": str(path),
                "oldString": old,
                "newString": new,
                "originalFile": before,
            }

        self._tool("Edit", tool_input, name, act)

    def write(self, name: str, content: str) -> None:
        """Writes a whole file."""
        path = self.workspace / name

        def act() -> dict[str, Any]:
            kind, before = ("update", path.read_text()) if path.exists() else ("create", None)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
            answer = {"type": kind, "filePath": str(path), "content": content}
            return {**answer, "originalFile": before}

        self._tool("Write", {"file_path": str(path), "content": content}, name, act)

    def bash(self, command: str) -> None:
        """Runs a shell command in the workspace."""

        def act() -> dict[str, Any]:
            done = subprocess.run(
                ["sh", "-c", command],
                cwd=self.workspace,
                env=dict(self.environment),
                capture_output=True,
                text=True,
                check=True,
            )
            return {"stdout": done.stdout, "stderr": done.stderr, "interrupted": False}

        self._tool("Bash", {"command": command, "description": "scripted"}, command, act)

    def _tool(
        self, tool: str, tool_input: dict[str, Any], shown: str, act: Callable[[], dict[str, Any]]
    ) -> None:
        """Announces a call, waits for the hooks, acts, announces the result."""
        self.say(f"agent   {tool:<5} {shown}")
        self._calls += 1
        call = {
            **_BYPASS,
            "tool_name": tool,
            "tool_input": tool_input,
            "tool_use_id": f"toolu_demo_{self._calls:02d}",
        }
        self._announce("PreToolUse", call)
        response = act()
        self._announce("PostToolUse", {**call, "tool_response": response, "duration_ms": 1})

    def _announce(self, event: str, fields: dict[str, Any]) -> None:
        payload = {
            "session_id": self.session,
            "transcript_path": str(self.workspace.parent / "transcript.jsonl"),
            "cwd": str(self.workspace),
            **({"prompt_id": self._prompt} if self._prompt else {}),
            "hook_event_name": event,
            **fields,
        }
        for argv in self._hooks(event):
            done = subprocess.run(
                argv,
                input=json.dumps(payload).encode(),
                cwd=self.workspace,
                env={**self.environment, "CLAUDE_PROJECT_DIR": str(self.workspace)},
                capture_output=True,
                check=False,
            )
            if done.returncode != 0 or done.stderr:
                shown = f"{shlex.join(argv)}: exit {done.returncode} {done.stderr.decode()!r}"
                raise HookError(f"{event}: {shown}")

    def _hooks(self, event: str) -> list[list[str]]:
        """Returns the argument vectors of the hooks installed for `event`.

        Raises:
            HookError: there is none.
        """
        groups = json.loads(self.settings.read_text()).get("hooks", {}).get(event, [])
        found = [_argv(hook) for group in groups for hook in group["hooks"]]
        if not found:
            raise HookError(f"no hook for {event} is installed in {self.settings}")
        return found


def _argv(hook: dict[str, Any]) -> list[str]:
    """Returns how Claude Code starts a hook: with ``args`` directly, else through a shell."""
    if "args" in hook:
        return [hook["command"], *hook["args"]]
    return ["sh", "-c", hook["command"]]
