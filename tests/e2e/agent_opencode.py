"""opencode: how it is started, and its tools (1.18.33).

Must not know any scenario.

On a machine with many times more work than cores it stopped for ever at its first prompt, in three
of some sixty runs.  The log of two ended with "project copy refresh started"; in the one that was
looked into, all threads waited for each other (futex), those of the native file finder among them,
and an ended ``git`` of its own was not waited for.  Our plugin had its answer, and nobody but
the loopback had been asked.  The file finder is switched off here; whether it was the cause is not
known.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from e2e.driver import Driver, Launch
from e2e.model_server import Call, Step, Track

if TYPE_CHECKING:
    from e2e.rig import Rig

_DIARY_BYTES = 4000


class OpenCode(Driver):
    """See `Driver`."""

    @property
    def name(self) -> str:
        """See `Driver.name`."""
        return "opencode"

    def prepare(self, rig: Rig) -> None:
        """Declares a provider at the address in the environment; it is known at each start."""
        folder = Path(rig.environment()["XDG_CONFIG_HOME"]) / "opencode"
        folder.mkdir(parents=True)
        provider = {
            "npm": "@ai-sdk/openai-compatible",
            "name": "scripted",
            "options": {"baseURL": "{env:SCRIPTED_URL}", "apiKey": "scripted"},
            "models": {
                self._model: {
                    "name": "scripted",
                    "tool_call": True,
                    "limit": {"context": 100000, "output": 8000},
                }
            },
        }
        settings = {
            "autoupdate": False,
            "share": "disabled",
            "model": f"scripted/{self._model}",
            "small_model": f"scripted/{self._model}",
            "provider": {"scripted": provider},
        }
        (folder / "opencode.json").write_text(json.dumps(settings))

    def diary(self, rig: Rig) -> bytes:
        """See `Driver.diary`."""
        log = Path(rig.environment()["XDG_DATA_HOME"], "opencode", "log", "opencode.log")
        return log.read_bytes()[-_DIARY_BYTES:] if log.exists() else b"no log"

    @property
    def own_in_git(self) -> frozenset[bytes]:
        """The id that opencode gives the project."""
        return frozenset({b"opencode"})

    @property
    def _model(self) -> str:
        return "scripted"

    def environment(self, url: str) -> Mapping[str, str]:
        """See `Driver.environment`."""
        return {
            "SCRIPTED_URL": f"{url}/v1",
            "OPENCODE_DISABLE_MODELS_FETCH": "1",
            "OPENCODE_DISABLE_AUTOUPDATE": "1",
            "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
            "OPENCODE_DISABLE_FFF": "1",  # see above
            # It fetches the types of its plugins at every first start, and goes on without them.
            "npm_config_registry": "http://127.0.0.1:9/",
            "npm_config_fetch_retries": "0",
        }

    def command(self, launch: Launch) -> list[str]:
        """See `Driver.command`; an argument with a blank in it would be put in quotes."""
        how = ["--session", launch.session] if launch.resume else []
        words = launch.prompt.split(" ")
        return [str(self.program), "run", "--format", "json", *how, *words]

    def server_command(self, port: int) -> list[str]:
        """Returns the command line of the server that opencode's own interfaces talk to."""
        return [str(self.program), "serve", "--hostname", "127.0.0.1", "--port", str(port)]

    def session_of(self, output: bytes) -> str:
        """Every line of the output names the session."""
        return str(json.loads(output.split(b"\n", 1)[0])["sessionID"])

    def read(self, root: Path, path: bytes) -> Call:
        """See `Driver.read`: opencode wants a file to be read before it is overwritten."""
        return Call(tool="read", input={"filePath": _absolute(root, path)})

    def edit(self, root: Path, path: bytes, old: str, new: str, *, survives: bool = True) -> Call:
        """See `Driver.edit`; any text, not only whole lines."""
        arguments = {"filePath": _absolute(root, path), "oldString": old, "newString": new}
        touches = (path,) if survives else ()
        return Call(tool="edit", input=arguments, touches=touches, evidence=("exact",))

    def write(self, root: Path, path: bytes, content: str) -> Call:
        """See `Driver.write`."""
        arguments = {"filePath": _absolute(root, path), "content": content}
        return Call(tool="write", input=arguments, touches=(path,), evidence=("exact",))

    def bash(self, command: str, *touches: bytes, background: bool = False) -> Call:
        """See `Driver.bash`; opencode has no background but the shell's own."""
        command = f"{{ {command}; }} >/dev/null 2>&1 &" if background else command
        arguments = {"command": command, "description": "scripted"}
        evidence = ("late",) if background else ("likely",)
        return Call(tool="bash", input=arguments, touches=touches, evidence=evidence)

    def subagent(self, mark: str, *steps: Step) -> tuple[Call, Track]:
        """See `Driver.subagent`."""
        arguments = {
            "description": mark,
            "prompt": f"{mark}: please do your part",
            "subagent_type": "general",
        }
        return Call(tool="task", input=arguments), Track(match=mark, steps=steps)


class OpenCodePatching(OpenCode):
    """opencode as it is with a model whose name makes it offer ``apply_patch`` to it."""

    @property
    def _model(self) -> str:
        return "gpt-5-scripted"


def _absolute(root: Path, path: bytes) -> str:
    return os.path.join(root, path.decode())
