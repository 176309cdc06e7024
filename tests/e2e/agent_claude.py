"""Claude Code: how it is started, and its tools (2.1.197).

Must not know any scenario.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from e2e.driver import Driver, Launch
from e2e.model_server import Call, Step, Track

if TYPE_CHECKING:
    from e2e.rig import Rig

_KEY = "sk-ant-scripted-0000000000000000000000"


class ClaudeCode(Driver):
    """See `Driver`."""

    @property
    def name(self) -> str:
        """See `Driver.name`."""
        return "claude"

    def prepare(self, rig: Rig) -> None:
        """Answers what the terminal interface asks at its first start."""
        seeded = {
            "hasCompletedOnboarding": True,
            "theme": "dark",
            "bypassPermissionsModeAccepted": True,
            "customApiKeyResponses": {"approved": [_KEY[-20:]], "rejected": []},
            "projects": {str(rig.workspace): {"hasTrustDialogAccepted": True}},
        }
        (rig.home / ".claude.json").write_text(json.dumps(seeded))

    def environment(self, url: str) -> Mapping[str, str]:
        """See `Driver.environment`."""
        return {
            "ANTHROPIC_BASE_URL": url,
            "ANTHROPIC_API_KEY": _KEY,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
            # Without it Claude Code refuses to skip permissions for root, as containers run it.
            "IS_SANDBOX": "1",
        }

    def command(self, launch: Launch) -> list[str]:
        """See `Driver.command`."""
        how = "--resume" if launch.resume else "--session-id"
        words = ["-p", launch.prompt, how, launch.session, "--dangerously-skip-permissions"]
        return [str(self.program), *words]

    def terminal_command(self, session: str) -> list[str]:
        """Returns the command line of the terminal interface."""
        return [str(self.program), "--dangerously-skip-permissions", "--session-id", session]

    def new_session(self) -> str:
        """See `Driver.new_session`."""
        return str(uuid.uuid4())

    def read(self, root: Path, path: bytes) -> Call:
        """Claude Code refuses to edit or overwrite what it has not read."""
        return Call(tool="Read", input={"file_path": _absolute(root, path)})

    def edit(
        self,
        root: Path,
        path: bytes,
        old: str,
        new: str,
        *,
        survives: bool = True,
        verbatim: bool = True,
    ) -> Call:
        """See `Driver.edit`; any text, not only whole lines.

        `verbatim` is False when other bytes are written than announced: it adapts line ends.
        """
        arguments = {"file_path": _absolute(root, path), "old_string": old, "new_string": new}
        return Call(
            tool="Edit",
            input=arguments,
            touches=(path,) if survives else (),
            evidence=("exact",) if verbatim else ("likely",),
        )

    def write(self, root: Path, path: bytes, content: str) -> Call:
        """See `Driver.write`."""
        arguments = {"file_path": _absolute(root, path), "content": content}
        return Call(tool="Write", input=arguments, touches=(path,), evidence=("exact",))

    def bash(self, command: str, *touches: bytes, background: bool = False) -> Call:
        """See `Driver.bash`."""
        arguments: dict[str, object] = {"command": command, "description": "scripted"}
        if background:
            arguments["run_in_background"] = True
        evidence = ("late",) if background else ("likely",)
        return Call(tool="Bash", input=arguments, touches=touches, evidence=evidence)

    def subagent(self, mark: str, *steps: Step) -> tuple[Call, Track]:
        """See `Driver.subagent`."""
        arguments = {
            "description": mark,
            "prompt": f"{mark}: please do your part",
            "subagent_type": "general-purpose",
        }
        return Call(tool="Agent", input=arguments), Track(match=mark, steps=steps)


def _absolute(root: Path, path: bytes) -> str:
    """Returns the absolute path that Claude Code's tools want; they take text only."""
    return os.path.join(root, path.decode())
