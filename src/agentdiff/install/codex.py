"""Codex's settings: which files, which hooks, and what in them is ours.

Owns those facts; the edits are those of `agentdiff.install.hooks_json` and
`agentdiff.install.codex_config`, the question of trust is `agentdiff.install.codex_trust`'s.

Measured with Codex 0.169.0: a hook of an unknown type (``http``), or a top-level key other than
``hooks`` and ``description``, makes Codex ignore the whole of ``hooks.json``; a missing command is
ignored; hooks of the user and of a trusted project all run, and there is no third place (no
``local`` scope).  It clamps the time of ``SessionEnd`` and ``Interrupt`` to 3 s, with a warning
unless they ask for no more.  There is no exec form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from agentdiff.install import codex_trust, commands, files
from agentdiff.install.codex_config import CodexConfig
from agentdiff.install.hooks_json import Hook, HooksJson
from agentdiff.install.jsontree import JsonSyntaxError
from agentdiff.install.part import Agent, Inspection, Site, Trust, in_home

NAME: Final = "codex"

EVENTS: Final = (
    "SessionStart",
    "UserPromptSubmit",
    "PreToolUse",
    "PermissionRequest",
    "PostToolUse",
    "SubagentStart",
    "SubagentStop",
    "Interrupt",
    "Stop",
    "SessionEnd",
)
_SHORT: Final = ("Interrupt", "SessionEnd")
_SHORT_TIMEOUT_S: Final = 3
_TOP_LEVEL: Final = ("hooks", "description")


def _home(environ: Mapping[str, str]) -> Path:
    return in_home(environ, "CODEX_HOME", ".codex")


def _hooks_file(site: Site) -> Path:
    folder = _home(site.environ) if site.scope == "user" else site.root / ".codex"
    return folder / "hooks.json"


def config_file(site: Site) -> Path:
    """Returns the user's ``config.toml``, which also says what is trusted."""
    return _home(site.environ) / "config.toml"


def handler(site: Site) -> Hook:
    """Returns the hook that is installed: a line for a shell, the same in every version.

    Raises:
        MalformedPayload: a location is not UTF-8, so that JSON cannot name it.
    """
    command = commands.line(NAME, site)
    return {"type": "command", "command": command, "timeout": commands.TIMEOUT_S}


def _for_event(event: str, hook: Hook) -> Hook:
    return {**hook, "timeout": _SHORT_TIMEOUT_S} if event in _SHORT else hook


class _CodexHooks(HooksJson):
    """`HooksJson` that knows what makes Codex ignore the file."""

    def inspect(self, data: bytes, site: Site) -> Inspection:
        """See `Part.inspect`."""
        seen = super().inspect(data, site)
        document = self.document(data)
        keys = (child.key for child in document.root.children)
        unknown = [key for key in keys if key not in _TOP_LEVEL]
        if not seen.present or not unknown:
            return seen
        names = ", ".join(map(str, unknown))
        warning = f"{names}: Codex ignores the whole file because of this key"
        return replace(seen, warnings=(*seen.warnings, warning))


HOOKS: Final = _CodexHooks(
    locate=_hooks_file,
    events=EVENTS,
    hook=handler,
    is_ours=lambda hook: commands.is_ours(NAME, hook.get("command")),
    scopes=("user", "project"),
    for_event=_for_event,
)


def _trust(contents: Mapping[Path, bytes], site: Site) -> Trust | None:
    """Judges the hooks of one scope by the user's ``config.toml`` on disk."""
    path = _hooks_file(site)
    data = next((data for name, data in contents.items() if name.name == path.name), b"")
    try:
        document = HOOKS.document(data)
        config = files.read(config_file(site)) or b""
        return codex_trust.judge(path, document, HOOKS.places(document), config)
    except (JsonSyntaxError, TypeError, ValueError, OSError):
        # What is wrong with a file is told where it is edited or inspected.
        return None


AGENT: Final = Agent(
    name=NAME,
    title="Codex",
    programs=("codex",),
    home=_home,
    parts=(HOOKS, CodexConfig(locate=config_file)),
    trust=_trust,
)
