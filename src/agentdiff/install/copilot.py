"""GitHub Copilot CLI's hooks: a file of our own beside those of others.

Owns its place and its content.  No I/O.

Measured with Copilot CLI 1.0.102: every file in ``~/.copilot/hooks`` and in a repository's
``.github/hooks`` is read; a hook that fails denies the tool, so that ours is a shell line that
exits 0 whatever happens; events by the names of Claude Code give payloads like those of Claude
Code.  ``PermissionRequest`` is not registered: it is sent for every call, asked or not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from agentdiff.install import commands
from agentdiff.install.own_file import OwnFile
from agentdiff.install.part import Agent, Site, in_home

NAME: Final = "copilot"

EVENTS: Final = (
    "SessionStart",
    "UserPromptSubmit",
    "PreToolUse",
    "PostToolUse",
    "PostToolUseFailure",
    "Notification",
    "Stop",
    "SessionEnd",
)


def _home(environ: Mapping[str, str]) -> Path:
    return in_home(environ, "COPILOT_HOME", ".copilot")


def _hooks_file(site: Site) -> Path:
    folder = _home(site.environ) if site.scope == "user" else site.root / ".github"
    return folder / "hooks" / "agentdiff.json"


def _render(site: Site) -> bytes:
    line = commands.guarded_line(NAME, site)
    hook = {"type": "command", "command": line, "timeoutSec": commands.TIMEOUT_S}
    document = {"version": 1, "hooks": {event: [hook] for event in EVENTS}}
    return (json.dumps(document, ensure_ascii=False, indent=2) + "\n").encode("utf-8")


def _is_ours(data: bytes) -> bool:
    """Tells whether a hook file has hooks, and none but ours."""
    try:
        events = json.loads(data)["hooks"].values()
        lines = [hook["command"] for hooks in events for hook in hooks]
    except (ValueError, TypeError, KeyError, AttributeError):
        return False
    return bool(lines) and all(commands.is_ours(NAME, line) for line in lines)


FILE: Final = OwnFile(locate=_hooks_file, render=_render, is_ours=_is_ours)

AGENT: Final = Agent(
    name=NAME, title="Copilot CLI", programs=("copilot",), home=_home, parts=(FILE,)
)
