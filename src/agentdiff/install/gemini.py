"""Gemini CLI's settings: which files, which hooks, and what in them is ours.

Owns those facts; the edits are `agentdiff.install.hooks_json`'s.  No I/O.

Measured with Gemini CLI 0.61.0: settings may hold comments; a hook whose command is missing blocks
the whole turn, so that ours is a shell line that exits 0 whatever happens; time limits are
milliseconds; hooks of user and project settings both run, those of a project only in a folder that
the user trusts.  Telemetry is never written into settings: a dead endpoint delays the end of the
program by 8.6 seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from agentdiff.install import commands
from agentdiff.install.hooks_json import HooksJson
from agentdiff.install.part import Agent, Site, in_home

NAME: Final = "gemini"

EVENTS: Final = (
    "SessionStart",
    "BeforeAgent",
    "BeforeTool",
    "AfterTool",
    "AfterAgent",
    "Notification",
    "SessionEnd",
)


def _home(environ: Mapping[str, str]) -> Path:
    # GEMINI_CLI_HOME stands for the home folder, not for the one of the settings.
    return in_home(environ, "GEMINI_CLI_HOME", "") / ".gemini"


def _settings_file(site: Site) -> Path:
    folder = _home(site.environ) if site.scope == "user" else site.root / ".gemini"
    return folder / "settings.json"


def hook(site: Site) -> dict[str, object]:
    """Returns the hook that is installed for every event.

    Raises:
        MalformedPayload: a location is not UTF-8, so that JSON cannot name it.
    """
    line = commands.guarded_line(NAME, site)
    # Gemini CLI shows the name while the hook runs, and without one the whole command.
    limit = commands.TIMEOUT_S * 1000
    return {"name": "agentdiff", "type": "command", "command": line, "timeout": limit}


HOOKS: Final = HooksJson(
    locate=_settings_file,
    events=EVENTS,
    hook=hook,
    is_ours=lambda hook: commands.is_ours(NAME, hook.get("command")),
    scopes=("user", "project"),
    needs={("hooksConfig", "enabled"): "no hook runs while it is false"},
    comments=True,
)

AGENT: Final = Agent(
    name=NAME, title="Gemini CLI", programs=("gemini",), home=_home, parts=(HOOKS,)
)
