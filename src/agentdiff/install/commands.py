"""The hook command that an agent's settings get, and how it is recognised again.

Owns the words of the command.  They must stay the same from version to version: settings that hold
them do not change when agentdiff is upgraded, and agents that trust a hook by its text (Codex) keep
trusting it.  A command never fails its agent, also after agentdiff was removed.  No I/O.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from typing import Final

from agentdiff.errors import MalformedPayload
from agentdiff.install.part import Site

TIMEOUT_S: Final = 15
"""For the agent; the hook client itself gives up after 12 seconds."""

MARK: Final = "agentdiff-hook"

# No "${": Claude Code may expand it.  A relative XDG_DATA_HOME is invalid, and would be a place in
# the workspace.
_ANYWHERE = (
    "D=$HOME/.local/share; case $XDG_DATA_HOME in /*) D=$XDG_DATA_HOME;; esac; "
    f'X=$D/agentdiff/bin/{MARK}; [ -x "$X" ] && exec "$X" {{name}}; '
    f"command -v {MARK} >/dev/null 2>&1 && exec {MARK} {{name}}; exit 0"
)


def words(name: str, site: Site) -> list[str]:
    """Returns the hook command of the agent `name` as arguments, for settings with an exec form.

    ``project`` settings are shared with other people, so theirs holds no path of this machine.  For
    the other scopes the client is named directly: a missing one has to be harmless to the agent.

    Raises:
        MalformedPayload: a location is not UTF-8, so that settings cannot name it.
    """
    if site.scope == "project":
        return ["sh", "-c", _ANYWHERE.format(name=name)]
    return [str(site.locations.hook_client), name, *_where(site)]


def line(name: str, site: Site) -> str:
    """Returns the same command as one line for a shell.

    Raises:
        MalformedPayload: as `words`.
    """
    return shlex.join(words(name, site))


def guarded_line(name: str, site: Site) -> str:
    """Returns a line for a POSIX shell that exits 0 also when the client is gone.

    For agents that take a missing hook command for a refusal (Gemini CLI, Copilot CLI).

    Raises:
        MalformedPayload: as `words`.
    """
    if site.scope == "project":
        return _ANYWHERE.format(name=name)
    client = shlex.quote(str(site.locations.hook_client))
    return f"[ -x {client} ] && exec {client} {name} {shlex.join(_where(site))}; exit 0"


def is_ours(name: str, command: object, args: object = None) -> bool:
    """Tells whether a hook of somebody's settings runs our client for the agent `name`.

    Args:
        name: the agent.
        command: of the hook, a program or a line for a shell.
        args: of the hook where it has an exec form, else None.
    """
    if not isinstance(command, str):
        return False
    if isinstance(args, list):
        given = [command, *args]
    else:
        try:
            given = shlex.split(command)
        except ValueError:
            return False
    if posixpath.basename(str(given[0]) if given else "") == MARK:
        return given[1:2] == [name]
    script = given[2] if given[:2] == ["sh", "-c"] and len(given) == 3 else command
    shape = rf"(?:D=|\[ -x )[^|]*?exec [^;&|]*{MARK}['\"]? {re.escape(name)}(?![\w-])"
    return isinstance(script, str) and re.match(shape, script) is not None


def _where(site: Site) -> list[str]:
    """Returns the options that let a hook in another environment find the same daemon."""
    client, socket = str(site.locations.hook_client), str(site.locations.hook_socket)
    for word in (client, socket, str(site.locations.state)):
        if any("\ud800" <= character <= "\udfff" for character in word):
            raise MalformedPayload("is not UTF-8, and settings cannot name it", field=ascii(word))
    return ["--socket", socket, "--state", str(site.locations.state)]
