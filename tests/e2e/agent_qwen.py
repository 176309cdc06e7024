"""Qwen Code: how it is started, and its tools (0.24.4).

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


class QwenCode(Driver):
    """See `Driver`."""

    @property
    def name(self) -> str:
        """See `Driver.name`."""
        return "qwen"

    def prepare(self, rig: Rig) -> None:
        """Chooses the API."""
        folder = rig.home / ".qwen"
        folder.mkdir()
        settings = {
            "security": {"auth": {"selectedType": "openai"}},
            "general": {"enableAutoUpdate": False},
            "privacy": {"usageStatisticsEnabled": False},
        }
        (folder / "settings.json").write_text(json.dumps(settings, indent=2))

    def environment(self, url: str) -> Mapping[str, str]:
        """See `Driver.environment`."""
        return {
            "OPENAI_API_KEY": "scripted",
            "OPENAI_BASE_URL": f"{url}/v1",
            "OPENAI_MODEL": "scripted",
        }

    def command(self, launch: Launch) -> list[str]:
        """See `Driver.command`."""
        how = "--resume" if launch.resume else "--session-id"
        return [str(self.program), "--yolo", how, launch.session, "-p", launch.prompt]

    def terminal_command(self, session: str) -> list[str]:
        """Returns the command line of the terminal interface, which asks before it writes."""
        words = ["--approval-mode", "default", "--session-id", session]
        return [str(self.program), *words]

    def new_session(self) -> str:
        """See `Driver.new_session`."""
        return str(uuid.uuid4())

    def read(self, root: Path, path: bytes) -> Call:
        """Qwen Code refuses to edit or overwrite what it has not read."""
        return Call(tool="read_file", input={"file_path": _absolute(root, path)})

    def edit(self, root: Path, path: bytes, old: str, new: str, *, survives: bool = True) -> Call:
        """See `Driver.edit`; any text, not only whole lines."""
        arguments = {"file_path": _absolute(root, path), "old_string": old, "new_string": new}
        touches = (path,) if survives else ()
        return Call(tool="edit", input=arguments, touches=touches, evidence=("exact",))

    def write(self, root: Path, path: bytes, content: str) -> Call:
        """See `Driver.write`."""
        arguments = {"file_path": _absolute(root, path), "content": content}
        return Call(tool="write_file", input=arguments, touches=(path,), evidence=("exact",))

    def bash(self, command: str, *touches: bytes, background: bool = False) -> Call:
        """See `Driver.bash`."""
        arguments = {"command": command, "is_background": background}
        evidence = ("late",) if background else ("likely",)
        return Call(tool="run_shell_command", input=arguments, touches=touches, evidence=evidence)

    def subagent(self, mark: str, *steps: Step) -> tuple[Call, Track]:
        """See `Driver.subagent`; without the last argument it would work in the background."""
        arguments = {
            "description": mark,
            "prompt": f"{mark}: please do your part",
            "subagent_type": "general-purpose",
            "run_in_background": False,
        }
        return Call(tool="agent", input=arguments), Track(match=mark, steps=steps)


def _absolute(root: Path, path: bytes) -> str:
    return os.path.join(root, path.decode())
