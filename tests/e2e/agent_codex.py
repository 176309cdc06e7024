"""Codex: how it is started, and its tools (0.169.0).

Must not know any scenario.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from e2e.driver import Driver, Launch, path_of
from e2e.model_server import Call, Step, Track
from e2e.terminal import Terminal

if TYPE_CHECKING:
    from e2e.rig import Rig, Turn

DIRECT = "gpt-5.5"
"""A model that is given the tools themselves (``gpt-5.4`` for one that has subagents)."""
CODE = "gpt-6.1-sol"
"""A model in code mode: its one tool runs JavaScript, which calls the others."""

_UUID_CHARS = 36
_CONFIG = """\
# What a user of a scripted model would have.
model_provider = "scripted"
approval_policy = "never"
sandbox_mode = "danger-full-access"
check_for_update_on_startup = false

[model_providers.scripted]
name = "Scripted"
base_url = "http://127.0.0.1:9/v1"   # replaced on the command line
wire_api = "responses"
env_key = "SCRIPTED_KEY"

[projects.{workspace}]
trust_level = "trusted"
"""


@dataclass(frozen=True, slots=True)
class Codex(Driver):
    """See `Driver`."""

    model: str = DIRECT

    @property
    def name(self) -> str:
        """See `Driver.name`."""
        return "codex"

    def prepare(self, rig: Rig) -> None:
        """See `Driver.prepare`."""
        folder = rig.home / ".codex"
        folder.mkdir()
        config = _CONFIG.format(workspace=json.dumps(str(rig.workspace)))
        (folder / "config.toml").write_text(config)

    def environment(self, url: str) -> Mapping[str, str]:
        """See `Driver.environment`."""
        del url
        return {"SCRIPTED_KEY": "sk-scripted"}

    def command(self, launch: Launch) -> list[str]:
        """See `Driver.command`.

        Hooks run without the user's trust here: only a person at a terminal can give it.
        """
        how = ["resume", launch.session] if launch.resume else []
        words = ["--json", "--skip-git-repo-check", "--dangerously-bypass-hook-trust"]
        return [str(self.program), "exec", *self.options(launch.url), *words, *how, launch.prompt]

    def terminal_command(self, url: str) -> list[str]:
        """Returns the command line of the terminal interface."""
        return [str(self.program), *self.options(url)]

    def server_command(self, url: str) -> list[str]:
        """Returns the command line of the server that editors talk to."""
        model, address = f"model={json.dumps(self.model)}", self.options(url)[-1]
        return [str(self.program), "app-server", "-c", model, "-c", address]

    @staticmethod
    def answer(terminal: Terminal, key: str) -> None:
        """Presses a key when a question is on the screen as a whole."""
        terminal.expect("or esc to cancel")
        terminal.rest(at_most_s=3.0)  # the clock beside the question never rests
        terminal.type(key)

    def options(self, url: str) -> list[str]:
        """Returns the options that choose the scripted model."""
        place = f"model_providers.scripted.base_url={json.dumps(f'{url}/v1')}"
        return ["-m", self.model, "-c", place]

    @staticmethod
    def trust_hooks(terminal: Terminal) -> None:
        """Does what a user does when Codex asks at its start about hooks that it does not know."""
        terminal.expect("esc skip")
        # What was typed before a question of trust does not count as its answer.
        terminal.rest()
        terminal.type("2")
        terminal.expect("2. Trust all and continue")
        terminal.type("\r")
        terminal.expect("? for shortcuts")

    @staticmethod
    def submit(terminal: Terminal, text: str) -> None:
        """Types a prompt and sends it once it is on the screen."""
        terminal.type(text)
        terminal.expect(text)
        terminal.type("\r")

    def session_of(self, output: bytes) -> str:
        """See `Driver.session_of`."""
        events = [json.loads(line) for line in output.splitlines() if line.startswith(b"{")]
        (session,) = (event["thread_id"] for event in events if event["type"] == "thread.started")
        return str(session)

    def ids(self, turn: Turn, logged: list[dict[str, Any]]) -> Mapping[str, str]:
        """In code mode a call is known by its tool, its command and its paths."""
        whose = (turn.session, turn.prompt)
        entries = [entry for entry in logged if (entry["session"], entry["prompt"]) == whose]
        entries.sort(key=lambda entry: str(entry["started"]))
        found: dict[str, str] = {}
        for scripted in turn.scenario.calls():
            call = scripted.call
            for entry in entries if "/" in scripted.id and call.touches else ():
                same = (entry["tool"], entry["command"]) == (call.reported, _command(call))
                if same and set(call.touches) <= {path_of(path) for path in entry["paths"]}:
                    found[scripted.id] = entry["tool_call"]
                    entries.remove(entry)
                    break
        return found

    def session_in(self, rig: Rig) -> str:
        """Returns the id of the one session that was held in the terminal interface."""
        (record,) = (rig.home / ".codex" / "sessions").rglob("rollout-*.jsonl")
        return record.stem[-_UUID_CHARS:]

    def can_name(self, path: bytes) -> bool:
        """See `Driver.can_name`: a patch names a file on one line."""
        return b"\n" not in path

    def edit(self, root: Path, path: bytes, old: str, new: str, *, survives: bool = True) -> Call:
        """See `Driver.edit`."""
        del root
        lines = [f"-{line}" for line in old.splitlines()]
        lines += [f"+{line}" for line in new.splitlines()]
        body = [f"*** Update File: {path.decode()}", "@@", *lines]
        return self.patch(*body, touches=(path,) if survives else ())

    def write(self, root: Path, path: bytes, content: str) -> Call:
        """See `Driver.write`."""
        del root
        lines = [f"+{line}" for line in content.removesuffix("\n").split("\n")]
        return self.patch(f"*** Add File: {path.decode()}", *lines, touches=(path,))

    def patch(self, *lines: str, touches: tuple[bytes, ...] = ()) -> Call:
        """Applies a patch, given without its first and last marker."""
        text = "\n".join(("*** Begin Patch", *lines, "*** End Patch", ""))
        # Where a moved file arrives nothing was announced that could be compared.
        moves = any(line.startswith("*** Move to:") for line in lines)
        evidence = ("exact", "likely") if moves else ("exact",)
        call = Call(tool="apply_patch", input=text, touches=touches, evidence=evidence)
        if self.model == DIRECT:
            return call
        return Call(tool="exec", input=f"text(await {_script(call)});", inner=(call,))

    def bash(self, command: str, *touches: bytes, background: bool = False) -> Call:
        """See `Driver.bash`; a command in the background is one that does not end in time."""
        arguments: dict[str, object] = {"cmd": command}
        if background:
            arguments["yield_time_ms"] = 250
        call = Call(
            tool="exec_command",
            shown="Bash",
            input=arguments,
            touches=touches,
            # It goes on after the turn.
            evidence=("likely", "late") if background else ("likely",),
        )
        if self.model == DIRECT:
            return call
        return Call(tool="exec", input=f"text(await {_script(call)});", inner=(call,))

    def together(self, *calls: Call) -> Call:
        """Returns one program that makes calls of code mode at once."""
        inner = tuple(one for call in calls for one in call.inner)
        program = f"text(await Promise.all([{', '.join(map(_script, inner))}]));"
        return Call(tool="exec", input=program, inner=inner)

    def subagent(self, mark: str, *steps: Step) -> tuple[Call, Track]:
        """See `Driver.subagent`; only of a model in code mode, whose subagents have all tools."""
        arguments = {"task_name": mark.lower(), "message": f"{mark}: please do your part"}
        call = Call(tool="collaboration.spawn_agent", input=arguments)
        return call, Track(match=f"Task name: /{_FIRST}/{mark.lower()}", steps=steps)


# Codex names its agents like paths, below the one that the user talks to.
_FIRST = "root"


def _script(call: Call) -> str:
    """Returns the JavaScript that makes a call."""
    return f"tools.{call.tool}({json.dumps(call.input)})"


def _command(call: Call) -> str | None:
    return None if isinstance(call.input, str) else str(call.input["cmd"])
