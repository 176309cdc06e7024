"""What an agent's own module says to the installer: which files, which edits, where it is found.

Owns the shapes `Agent`, `Part` and `Site`.  Must not know any agent and does no I/O.  A new agent
is one module with an `Agent` and one line in `agentdiff.install.registry.AGENTS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from agentdiff.errors import MalformedPayload
from agentdiff.install.record import Found
from agentdiff.install.telemetry import Endpoint
from agentdiff.locations import Locations


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where an installation goes, and what it may name.

    Attributes:
        scope: ``user``, ``project`` or ``local``.
        workspace: root, needed for all but ``user``.
        locations: whose hook client, socket and state.
        environ: where the agent's settings are looked for.
        telemetry: where telemetry goes, None for nowhere.
    """

    scope: str
    workspace: Path | None
    locations: Locations
    environ: Mapping[str, str]
    telemetry: Endpoint | None = None

    @property
    def root(self) -> Path:
        """The workspace.

        Raises:
            MalformedPayload: there is none.
        """
        if self.workspace is None:
            raise MalformedPayload(f"the scope {self.scope} needs a workspace")
        return self.workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What a settings file says of us.

    Attributes:
        present: whether anything of ours is in it.
        current: whether installing again would change nothing.
        warnings: what in it keeps ours from working, for people.
    """

    present: bool
    current: bool
    warnings: tuple[str, ...] = ()


class Part(Protocol):
    """One settings file of an agent: edits of its bytes, and no I/O.

    Every method may raise `agentdiff.install.jsontree.JsonSyntaxError` or
    ``tomllib.TOMLDecodeError`` (the file is not what the agent accepts; with line and column) and
    `TypeError` (it has something else where ours belongs).
    """

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes whose installation has this file."""

    @property
    def main(self) -> bool:
        """Whether an agent without ours in this file counts as not installed."""

    def path(self, site: Site) -> Path:
        """Returns where the file is.

        Raises:
            MalformedPayload: the scope needs a workspace, or there is no home folder.
        """

    def installed(self, old: bytes | None, site: Site, found: Found) -> bytes | None:
        """Returns the content with ours in it, in the place of what is there of ours.

        Args:
            old: the content now, None for no file.
            site: where, and what may be named.
            found: what the first installation found; for a first one it is fresh, and this notes in
                it what `removed` needs.
        """

    def removed(self, old: bytes, found: Found) -> bytes | None:
        """Returns the content without ours; None when the file was made for us and is empty."""

    def inspect(self, data: bytes, site: Site) -> Inspection:
        """Returns what the content says of us."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Whether the agent will run what is installed; only the user may change that.

    Attributes:
        trusted: False when a step of the user's is missing.
        detail: for people, such as ``not trusted yet``.
        steps: what to do, one sentence each, empty when nothing needs doing.
    """

    trusted: bool
    detail: str
    steps: tuple[str, ...] = ()


def needs_no_trust(files: Mapping[Path, bytes], site: Site) -> Trust | None:
    """The `Agent.trust` of agents that run every hook in their settings."""
    del files, site
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """How one agent is connected.

    Attributes:
        name: on the command line and in every event.
        title: as people call it.
        programs: names under which it is found on PATH.
        home: the folder of the user's settings, whose existence means that the agent was used.
        parts: its settings files.
        trust: judges, from the contents of the files of one scope and of whatever else it reads by
            `Site.environ`, whether the agent will run our hooks; None where that is no question.
    """

    name: str
    title: str
    programs: tuple[str, ...]
    home: Callable[[Mapping[str, str]], Path]
    parts: tuple[Part, ...]
    trust: Callable[[Mapping[Path, bytes], Site], Trust | None] = needs_no_trust

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes that this agent has, ``user`` first."""
        return tuple(dict.fromkeys(scope for part in self.parts for scope in part.scopes))

    def parts_of(self, scope: str) -> tuple[Part, ...]:
        """Returns the files of a scope.

        Raises:
            MalformedPayload: the agent has no such scope.
        """
        if scope not in self.scopes:
            known = ", ".join(self.scopes)
            raise MalformedPayload(f"{self.name} has no scope {scope!r}, known are: {known}")
        return tuple(part for part in self.parts if scope in part.scopes)


def in_home(environ: Mapping[str, str], variable: str, folder: str) -> Path:
    """Returns the folder that `variable` names, else `folder` below ``HOME``.

    Raises:
        MalformedPayload: neither variable is set.
    """
    configured, home = environ.get(variable) or "", environ.get("HOME") or ""
    if not configured and not home:
        raise MalformedPayload(f"neither HOME nor {variable} is set: whose settings?")
    return Path(configured) if configured else Path(home) / folder
