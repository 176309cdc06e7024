"""GitHub Copilot CLI: how it is started, and its tools (1.0.102).

Must not know any scenario.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from e2e.driver import Driver, Launch, ids_by_content
from e2e.model_server import Call, Step, Track

if TYPE_CHECKING:
    from e2e.rig import Rig, Turn


class CopilotCli(Driver):
    """See `Driver`."""

    @property
    def name(self) -> str:
        """See `Driver.name`."""
        return "copilot"

    def prepare(self, rig: Rig) -> None:
        """Trusts the workspace."""
        folder = rig.home / ".copilot"
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps({"trusted_folders": [str(rig.workspace)]}))

    def environment(self, url: str) -> Mapping[str, str]:
        """See `Driver.environment`."""
        return {
            "COPILOT_OFFLINE": "true",
            "COPILOT_PROVIDER_BASE_URL": f"{url}/v1",
            "COPILOT_PROVIDER_API_KEY": "scripted",
            "COPILOT_MODEL": "gpt-4.1",
        }

    def command(self, launch: Launch) -> list[str]:
        """See `Driver.command`; one option starts and resumes."""
        words = ["-p", launch.prompt, f"--session-id={launch.session}"]
        return [str(self.program), *words, "--allow-all-tools", "--allow-all-paths"]

    def terminal_command(self, session: str) -> list[str]:
        """Returns the command line of the terminal interface, which asks before it writes."""
        return [str(self.program), f"--session-id={session}"]

    def new_session(self) -> str:
        """See `Driver.new_session`."""
        return str(uuid.uuid4())

    def ids(self, turn: Turn, logged: list[dict[str, Any]]) -> Mapping[str, str]:
        """Copilot CLI has no ids of calls in its hooks."""
        return ids_by_content(turn, logged)

    def edit(self, root: Path, path: bytes, old: str, new: str, *, survives: bool = True) -> Call:
        """See `Driver.edit`; any text, not only whole lines."""
        return Call(
            tool="edit",
            input={"path": _absolute(root, path), "old_str": old, "new_str": new},
            touches=(path,) if survives else (),
            evidence=("exact",),
            shown="Edit",
        )

    def write(self, root: Path, path: bytes, content: str) -> Call | None:
        """See `Driver.write`: only a file that is not there, in a folder that is."""
        file = Path(_absolute(root, path))
        if file.exists() or not file.parent.is_dir():
            return None
        return Call(
            tool="create",
            input={"path": str(file), "file_text": content},
            touches=(path,),
            evidence=("exact",),
            shown="Write",
        )

    def bash(self, command: str, *touches: bytes, background: bool = False) -> Call:
        """See `Driver.bash`."""
        arguments = {"command": command, "description": "scripted"}
        if background:
            arguments["mode"] = "async"
        evidence = ("late",) if background else ("likely",)
        return Call(tool="bash", input=arguments, touches=touches, evidence=evidence, shown="Bash")

    def subagent(self, mark: str, *steps: Step) -> tuple[Call, Track]:
        """See `Driver.subagent`."""
        arguments = {
            "name": mark.lower(),
            "description": mark,
            "prompt": f"{mark}: please do your part",
            "agent_type": "general-purpose",
        }
        return Call(tool="task", input=arguments, shown="Agent"), Track(match=mark, steps=steps)


def _absolute(root: Path, path: bytes) -> str:
    return os.path.join(root, path.decode())
