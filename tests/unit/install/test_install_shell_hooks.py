"""Gemini CLI, Qwen Code, Copilot CLI, opencode: settings with comments, a client that is gone."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from install_home import Home

from agentdiff.errors import MalformedPayload
from agentdiff.install import copilot, gemini, qwen
from agentdiff.install.jsonsplice import Document

EVENTS = {"gemini": gemini.EVENTS, "qwen": qwen.EVENTS, "copilot": copilot.EVENTS}

# As people have them: comments everywhere, trailing commas, hooks and telemetry of somebody else.
REAL_WORLD = [
    b"",
    b"\n",
    b"{}",
    b'{"theme":"GitHub"}',
    b'\xef\xbb\xbf{\r\n\t"ui": {"theme": "Default"},\r\n\t"hooks": {}\r\n}\r\n',
    b"""// my settings
{
  /* the key comes from the environment */
  "security": { "auth": { "selectedType": "gemini-api-key" } },
  "telemetry": {
    "enabled": true,
    "target": "local",
    "otlpEndpoint": "http://collector.example:4318", // the company's
    "otlpProtocol": "http",
  },
  "hooks": {
    // before every tool
    "BeforeTool": [
      { "matcher": "write_file|replace", "hooks": [ { "type": "command", "command": "lint.sh" } ] },
    ],
    "PreToolUse": [{"hooks": [{"type": "command", "command": "echo \\"$X\\"", "timeout": 5}]}], // 2
    "Stop": [],
  },
  "mcpServers": {}, // none yet
}
// the end""",
    b"""{
    "hooks": {"SessionStart": [
        {"matcher": "", "hooks": [{"type": "command", "command": "other"}]}]},
    "\xc3\xbc": [1, 2.50, 1e3, "\\u00e9\\/"]
}""",
]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short folder: sockets have names of limited length."""
    with tempfile.TemporaryDirectory(prefix="ad-", dir="/tmp") as name:
        yield Path(name)


def _commands(data: bytes) -> dict[str, list[str]]:
    """Returns every hook's command by event, whatever the layout."""
    plain: Any = Document(data, comments=True).root.plain()
    found = {}
    for event, groups in plain["hooks"].items():
        hooks = [hook for group in groups for hook in group.get("hooks", [group])]
        found[event] = [hook["command"] for hook in hooks]
    return found


@pytest.mark.parametrize("agent", ["gemini", "qwen"])
@pytest.mark.parametrize("data", REAL_WORLD)
def test_uninstalling_restores_every_byte(folder: Path, agent: str, data: bytes) -> None:
    """Comments, order, line ends, foreign hooks and an exporter that is configured stay."""
    home = Home(folder, agent)
    home.write(data)
    home.settings.chmod(0o640)
    home.install()
    once = home.settings.read_bytes()
    assert home.status().level == "ok"
    assert not home.install().changed
    assert home.settings.read_bytes() == once
    ours = {event for event, lines in _commands(once).items() if "agentdiff" in "".join(lines[-1:])}
    assert ours == set(EVENTS[agent])
    home.uninstall()
    assert home.settings.read_bytes() == data
    assert home.settings.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("agent", [*EVENTS, "opencode"])
@pytest.mark.parametrize("scope", ["user", "project"])
def test_what_was_made_for_us_goes_with_us(folder: Path, agent: str, scope: str) -> None:
    """Files and folders that were not there before are not there after."""
    home = Home(folder, agent)
    (folder / "ws").mkdir()
    before = home.tree()
    home.install(scope)
    home.install(scope)
    home.uninstall(scope)
    left = home.tree() - before
    assert all(path.startswith((".local", ".cache")) for path in left), left


@pytest.mark.parametrize("agent", EVENTS)
@pytest.mark.parametrize("scope", ["user", "project"])
def test_a_removed_client_is_no_failure(folder: Path, agent: str, scope: str) -> None:
    """Gemini CLI and Copilot CLI take any failure of a hook for a refusal."""
    home = Home(folder, agent)
    (folder / "ws").mkdir()
    path = home.install(scope).path
    home.locations.hook_client.unlink()
    lines = {line for each in _commands(path.read_bytes()).values() for line in each}
    assert len(lines) == 1
    for line in lines:
        done = subprocess.run(
            ["/bin/sh", "-c", line],
            env=home.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize("agent", EVENTS)
@pytest.mark.parametrize("scope", ["user", "project"])
def test_the_line_runs_the_client_and_says_which_agent(
    folder: Path, agent: str, scope: str
) -> None:
    """Both forms find the client; the agent's name is an argument, never guessed."""
    home = Home(folder, agent)
    (folder / "ws").mkdir()
    path = home.install(scope).path
    client = home.locations.hook_client
    client.write_text('#!/bin/sh\nprintf "%s\\n" "$1"\n')
    (line, *_) = _commands(path.read_bytes())["SessionStart"]
    done = subprocess.run(
        ["/bin/sh", "-c", line], env=home.environ, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, agent.encode() + b"\n")


@pytest.mark.parametrize("agent", [*EVENTS, "opencode"])
def test_settings_of_a_project_name_nothing_of_this_machine(folder: Path, agent: str) -> None:
    """They are shared with other people."""
    home = Home(folder, agent)
    (folder / "ws").mkdir()
    assert os.fsencode(folder) not in home.install("project").path.read_bytes()


FOREIGN = {
    "copilot": b'{"version": 1, "hooks": {"Stop": [{"type": "command", "command": "x"}]}}',
    "opencode": b"export const Agentdiff = async () => ({})\n",
}


@pytest.mark.parametrize(("agent", "foreign"), FOREIGN.items())
def test_a_file_of_somebody_else_is_refused(folder: Path, agent: str, foreign: bytes) -> None:
    """What is installed for these agents is a file of ours; another one of its name stays."""
    home = Home(folder, agent)
    home.write(foreign)
    with pytest.raises(MalformedPayload, match="move it away first"):
        home.install()
    home.uninstall()
    assert home.settings.read_bytes() == foreign


def test_hooks_that_are_switched_off_are_told(folder: Path) -> None:
    """Both agents have a key that silences every hook."""
    home = Home(folder, "gemini")
    home.write(b'{"hooksConfig": {"enabled": false}}')
    home.install()
    assert "hooksConfig.enabled: no hook runs while it is false" in home.status().detail
    home = Home(folder, "qwen")
    home.write(json.dumps({"disableAllHooks": True}).encode())
    home.install()
    assert "disableAllHooks: no hook runs while it is true" in home.status().detail


def test_the_plugin_of_opencode_knows_the_client(folder: Path) -> None:
    """It is a program that the installer fills in, and an older one is brought up to date."""
    home = Home(folder, "opencode")
    home.install()
    text = home.settings.read_text()
    line = next(line for line in text.splitlines() if line.startswith("const INSTALLED = "))
    words = json.loads(line.removeprefix("const INSTALLED = "))
    assert words[:2] == [str(home.locations.hook_client), "opencode"]
    assert home.status().level == "ok"
    home.settings.write_text(text.replace("export", "// export"))
    assert "out of date" in home.status().detail
    home.install()
    assert home.settings.read_text() == text


def test_telemetry_is_never_written(folder: Path) -> None:
    """A dead endpoint delays the end of Gemini CLI by seconds: it is given per launch only."""
    home = Home(folder, "gemini")
    home.install()
    assert b"telemetry" not in home.settings.read_bytes()
