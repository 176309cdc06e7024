"""Qwen Code's settings: which files, which hooks, and what in them is ours.

Owns those facts; the edits are `agentdiff.install.hooks_json`'s.  No I/O.

Measured with Qwen Code 0.24.4: settings may hold comments; the events are those of Claude Code; a
missing command is ignored, time limits are seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from agentdiff.install import commands
from agentdiff.install.hooks_json import HooksJson
from agentdiff.install.part import Agent, Site, in_home

NAME: Final = "qwen"

EVENTS: Final = (
    "SessionStart",
    "UserPromptSubmit",
    "PreToolUse",
    "PermissionRequest",
    "PostToolUse",
    "PostToolUseFailure",
    "PostToolBatch",
    "SubagentStart",
    "SubagentStop",
    "Notification",
    "Stop",
    "SessionEnd",
)


def _home(environ: Mapping[str, str]) -> Path:
    return in_home(environ, "QWEN_HOME", ".qwen")


def _settings_file(site: Site) -> Path:
    folder = _home(site.environ) if site.scope == "user" else site.root / ".qwen"
    return folder / "settings.json"


def hook(site: Site) -> dict[str, object]:
    """Returns the hook that is installed for every event.

    Raises:
        MalformedPayload: a location is not UTF-8, so that JSON cannot name it.
    """
    line = commands.guarded_line(NAME, site)
    return {"type": "command", "command": line, "timeout": commands.TIMEOUT_S}


HOOKS: Final = HooksJson(
    locate=_settings_file,
    events=EVENTS,
    hook=hook,
    is_ours=lambda hook: commands.is_ours(NAME, hook.get("command")),
    scopes=("user", "project"),
    switches={"disableAllHooks": "no hook runs while it is true"},
    comments=True,
)

AGENT: Final = Agent(name=NAME, title="Qwen Code", programs=("qwen",), home=_home, parts=(HOOKS,))
