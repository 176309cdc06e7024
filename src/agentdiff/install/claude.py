"""Claude Code's settings: which files, which hooks, and what in them is ours.

Owns those facts; the edits are `agentdiff.install.hooks_json`'s.  No I/O.

Measured with Claude Code 2.1.197 and 2.1.329: a settings file with a comment, or with a hook of
an unknown type, silently loses all its hooks, while unknown events are tolerated; hooks of user,
project and local settings all run; a missing command is ignored.  ``WorktreeCreate`` is never
registered (its mere presence replaces ``git worktree add``), nor any ``async`` hook (it runs after
the write).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from agentdiff.install import commands
from agentdiff.install.claude_settings import ClaudeSettings
from agentdiff.install.hooks_json import HooksJson
from agentdiff.install.part import Agent, Site, in_home

NAME: Final = "claude"

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
    "CwdChanged",
    "Notification",
    "Stop",
    "StopFailure",
    "SessionEnd",
)


def _home(environ: Mapping[str, str]) -> Path:
    return in_home(environ, "CLAUDE_CONFIG_DIR", ".claude")


def _settings_file(site: Site) -> Path:
    if site.scope == "user":
        return _home(site.environ) / "settings.json"
    name = "settings.local.json" if site.scope == "local" else "settings.json"
    return site.root / ".claude" / name


def handler(site: Site) -> dict[str, object]:
    """Returns the hook that is installed for every event, in the exec form: it skips the shell.

    Raises:
        MalformedPayload: a location is not UTF-8, so that JSON cannot name it.
    """
    command, *args = commands.words(NAME, site)
    return {"type": "command", "command": command, "args": args, "timeout": commands.TIMEOUT_S}


HOOKS: Final = HooksJson(
    locate=_settings_file,
    events=EVENTS,
    hook=handler,
    is_ours=lambda hook: commands.is_ours(NAME, hook.get("command"), hook.get("args", [])),
    switches={
        "disableAllHooks": "no hook runs while it is true",
        "allowManagedHooksOnly": "only hooks of managed settings run while it is true",
    },
)

AGENT: Final = Agent(
    name=NAME,
    title="Claude Code",
    programs=("claude",),
    home=_home,
    parts=(ClaudeSettings(hooks=HOOKS),),
)
