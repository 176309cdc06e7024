"""Claude Code's settings: which file, which hooks, and what in it is ours.

Owns the edits of a settings document.  Does no I/O: `agentdiff.install.registry` reads and writes.

Measured with Claude Code 2.1.197 and 2.1.329: a settings file with a comment, or with a hook of
an unknown type, silently loses all its hooks, while unknown events are tolerated; hooks of user,
project and local settings all run; a missing command is ignored.  ``WorktreeCreate`` is never
registered (its mere presence replaces ``git worktree add``), nor any ``async`` hook (it runs after
the write).
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from agentdiff.errors import MalformedPayload
from agentdiff.install.jsonsplice import Document, dotted
from agentdiff.install.jsonsplice import Path as Place
from agentdiff.install.jsontree import Node
from agentdiff.locations import Locations

NAME: Final = "claude"
SCOPES: Final = ("user", "project", "local")

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
    "SessionEnd",
)

TIMEOUT_S: Final = 15
"""The hook client itself gives up after 12 seconds."""

_MARK = "agentdiff-hook"
# No "${": Claude Code may expand it.  A relative XDG_DATA_HOME is invalid, and would be a place in
# the workspace.
_ANYWHERE = (
    "D=$HOME/.local/share; case $XDG_DATA_HOME in /*) D=$XDG_DATA_HOME;; esac; "
    f'X=$D/agentdiff/bin/{_MARK}; [ -x "$X" ] && exec "$X" {NAME}; '
    f"command -v {_MARK} >/dev/null 2>&1 && exec {_MARK} {NAME}; exit 0"
)


def settings_file(scope: str, workspace: Path | None, environ: Mapping[str, str]) -> Path:
    """Returns where the settings of a scope are.

    Args:
        scope: one of `SCOPES`.
        workspace: root, needed for ``project`` and ``local``.
        environ: ``CLAUDE_CONFIG_DIR`` replaces ``~/.claude``.

    Raises:
        MalformedPayload: the scope needs a workspace, or there is no home folder.
    """
    if scope == "user":
        configured = environ.get("CLAUDE_CONFIG_DIR") or ""
        home = environ.get("HOME") or ""
        if not configured and not home:
            raise MalformedPayload("neither HOME nor CLAUDE_CONFIG_DIR is set: whose settings?")
        return Path(configured or posixpath.join(home, ".claude")) / "settings.json"
    if workspace is None:
        raise MalformedPayload(f"the scope {scope} needs a workspace")
    name = "settings.local.json" if scope == "local" else "settings.json"
    return workspace / ".claude" / name


def handler(scope: str, locations: Locations) -> dict[str, object]:
    """Returns the hook that is installed for every event.

    ``project`` settings are shared with other people, so theirs holds no path of this machine.

    Raises:
        MalformedPayload: a location is not UTF-8, so that JSON cannot name it.
    """
    command, args = "sh", ["-c", _ANYWHERE]
    if scope != "project":
        where = ["--socket", str(locations.hook_socket), "--state", str(locations.state)]
        command, args = str(locations.hook_client), [NAME, *where]
    for word in (command, *args):
        if not _is_utf8(word):
            raise MalformedPayload("is not UTF-8, and settings cannot name it", field=ascii(word))
    return {"type": "command", "command": command, "args": args, "timeout": TIMEOUT_S}


def add(document: Document, hook: dict[str, object]) -> dict[Place, str]:
    """Registers `hook` once for each of `EVENTS`, in the place of what is there of ours.

    Returns:
        What was there and empty, see `Document.append`.

    Raises:
        TypeError: the settings have something else where hooks belong.
    """
    kept: dict[Place, str] = {}
    for event in dict.fromkeys((*_events(document), *EVENTS)):
        group: dict[str, object] = {"matcher": "", "hooks": [hook]}
        ours = _ours(document, event)
        stale = ours if event not in EVENTS else ours[1:]
        for place in reversed(stale):
            document.remove(place, {})
        if event not in EVENTS:
            continue
        if not ours:
            kept |= document.append(("hooks", event), group)
        else:
            _update(document, ours[0], group if len(ours[0]) == 3 else hook)
    return kept


def remove(document: Document, kept: Mapping[Place, str]) -> None:
    """Removes every hook of ours, and what it leaves empty unless it is in `kept`.

    Raises:
        TypeError: the settings have something else where hooks belong.
    """
    for event in _events(document):
        for place in reversed(_ours(document, event)):
            document.remove(place, kept)


def is_current(document: Document, hook: dict[str, object]) -> bool:
    """Tells whether `add` would change nothing.

    Raises:
        TypeError: as `add`.
    """
    before = document.to_bytes()
    probe = Document(before)
    if probe.blank:
        return False
    add(probe, hook)
    return probe.to_bytes() == before


def is_present(document: Document) -> bool:
    """Tells whether anything of ours is in the settings.

    Raises:
        TypeError: as `add`.
    """
    return any(_ours(document, event) for event in _events(document))


def warnings(document: Document) -> tuple[str, ...]:
    """Returns what in these settings keeps hooks from running."""
    switches = {
        "disableAllHooks": "no hook runs while it is true",
        "allowManagedHooksOnly": "only hooks of managed settings run while it is true",
    }
    found = ((name, why, document.find((name,))) for name, why in switches.items())
    return tuple(f"{name}: {why}" for name, why, node in found if node and node.value is True)


def _events(document: Document) -> tuple[str, ...]:
    if document.root.kind != "object" and not document.blank:
        raise TypeError("the root is not an object")
    hooks = document.find(("hooks",))
    if hooks is None:
        return ()
    if hooks.kind != "object":
        raise TypeError("hooks is not an object")
    return tuple(dict.fromkeys(child.key for child in hooks.children if child.key is not None))


def _ours(document: Document, event: str) -> list[Place]:
    """Returns where our hooks for an event are: whole groups, or hooks in a group of others."""
    groups = document.find(("hooks", event))
    if groups is None:
        return []
    if groups.kind != "array":
        raise TypeError(f"{dotted(('hooks', event))} is not an array")
    places: list[Place] = []
    for at, group in enumerate(groups.children):
        hooks = group.node.child("hooks")
        if hooks is None or hooks.node.kind != "array":
            continue
        own = [number for number, hook in enumerate(hooks.node.children) if _is_ours(hook.node)]
        if own and len(own) == len(hooks.node.children):
            places.append(("hooks", event, at))
        else:
            places += [("hooks", event, at, "hooks", number) for number in own]
    return places


def _is_ours(node: Node) -> bool:
    hook: Any = node.plain()
    if not isinstance(hook, dict) or not isinstance(hook.get("command"), str):
        return False
    args = hook.get("args")
    words = args if isinstance(args, list) else []
    if posixpath.basename(hook["command"]) == _MARK:
        return words[:1] == [NAME]
    script = words[1] if words[:1] == ["-c"] and len(words) == 2 else None
    return hook["command"] == "sh" and isinstance(script, str) and f"exec {_MARK} {NAME}" in script


def _is_utf8(path: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in path)


def _update(document: Document, place: Place, value: dict[str, object]) -> None:
    node = document.find(place)
    if node is not None and node.plain() != value:
        document.replace(place, value)
