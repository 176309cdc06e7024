"""Gemini CLI: how it is started, and its tools (0.61.0).

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
from e2e.model_server import Call, ScriptedCall, Step, Track

if TYPE_CHECKING:
    from e2e.rig import Rig, Turn


class GeminiCli(Driver):
    """See `Driver`."""

    @property
    def name(self) -> str:
        """See `Driver.name`."""
        return "gemini"

    def prepare(self, rig: Rig) -> None:
        """Chooses the key from the environment and trusts the workspace."""
        folder = rig.home / ".gemini"
        folder.mkdir()
        settings = {
            "security": {"auth": {"selectedType": "gemini-api-key"}},
            "general": {"enableAutoUpdate": False},
            "privacy": {"usageStatisticsEnabled": False},
        }
        (folder / "settings.json").write_text(json.dumps(settings, indent=2))
        trusted = {str(rig.workspace): "TRUST_FOLDER"}
        (folder / "trustedFolders.json").write_text(json.dumps(trusted))

    def environment(self, url: str) -> Mapping[str, str]:
        """See `Driver.environment`."""
        return {"GEMINI_API_KEY": "scripted", "GOOGLE_GEMINI_BASE_URL": url}

    def command(self, launch: Launch) -> list[str]:
        """See `Driver.command`."""
        how = "--resume" if launch.resume else "--session-id"
        words = ["-m", "gemini-2.5-flash", "--yolo", how, launch.session, "-p", launch.prompt]
        return [str(self.program), *words]

    def terminal_command(self, session: str) -> list[str]:
        """Returns the command line of the terminal interface, which asks before it writes."""
        return [str(self.program), "-m", "gemini-2.5-flash", "--session-id", session]

    def new_session(self) -> str:
        """See `Driver.new_session`."""
        return str(uuid.uuid4())

    def ids(self, turn: Turn, logged: list[dict[str, Any]]) -> Mapping[str, str]:
        """Gemini CLI has no ids of calls."""
        return ids_by_content(turn, logged, subagents=False)

    def known_ids(self, turn: Turn, logged: list[dict[str, Any]]) -> list[ScriptedCall]:
        """See `Driver.known_ids`; nothing tells a subagent's calls from the main agent's."""
        known = Driver.known_ids(self, turn, logged)
        return [ScriptedCall(id=one.id, call=one.call, subagent=False) for one in known]

    def can_name(self, path: bytes) -> bool:
        """See `Driver.can_name`: what it takes for the output of another program is refused."""
        return not set(path) & set(b'"\n')

    def edit(self, root: Path, path: bytes, old: str, new: str, *, survives: bool = True) -> Call:
        """See `Driver.edit`; any text, not only whole lines."""
        arguments = {
            "file_path": os.path.join(root, path.decode()),
            "instruction": "scripted",
            "old_string": old,
            "new_string": new,
        }
        touches = (path,) if survives else ()
        return Call(tool="replace", input=arguments, touches=touches, evidence=("exact",))

    def write(self, root: Path, path: bytes, content: str) -> Call:
        """See `Driver.write`."""
        arguments = {"file_path": os.path.join(root, path.decode()), "content": content}
        return Call(tool="write_file", input=arguments, touches=(path,), evidence=("exact",))

    def bash(self, command: str, *touches: bytes, background: bool = False) -> Call:
        """See `Driver.bash`."""
        arguments: dict[str, object] = {"command": command, "description": "scripted"}
        if background:
            arguments["is_background"] = True
        evidence = ("late",) if background else ("likely",)
        return Call(tool="run_shell_command", input=arguments, touches=touches, evidence=evidence)

    def subagent(self, mark: str, *steps: Step) -> tuple[Call, Track]:
        """See `Driver.subagent`; it reports its result with a tool of its own."""
        arguments = {"agent_name": "generalist", "prompt": f"{mark}: please do your part"}
        result = Call(tool="complete_task", input={"result": "done", "response": "done"})
        track = Track(match=mark, steps=(*steps, Step(calls=(result,))))
        return Call(tool="invoke_agent", input=arguments), track
