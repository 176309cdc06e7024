"""Says how each agent is connected, and which agents there are on this machine.

Owns the judgement that ``doctor`` and ``install --detect`` report.  Changes nothing.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from agentdiff.errors import MalformedPayload
from agentdiff.install import files, registry, telemetry
from agentdiff.install.part import Agent, Inspection, Part, Site
from agentdiff.locations import Locations

Level: TypeAlias = Literal["ok", "warn", "error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Detected:
    """An agent that agentdiff knows, as far as this machine has it.

    Attributes:
        agent: its name.
        title: as people call it.
        program: where PATH finds it, None when it does not.
        home: the folder of the user's settings, None when there is none: it was never used.
        scopes: where hooks of ours are.
    """

    agent: str
    title: str
    program: Path | None
    home: Path | None
    scopes: tuple[str, ...]

    @property
    def found(self) -> bool:
        """Whether the agent is on this machine, by any sign."""
        return bool(self.program or self.home or self.scopes)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledState:
    """How an agent is connected.

    Attributes:
        agent: its name.
        level: ``error`` when hooks are installed that cannot work, ``warn`` when they are
            incomplete, disabled, not trusted, or absent although the agent is there.
        detail: what was found, for people.
        remedy: what to do, empty when nothing needs doing.
        scopes: where hooks of ours are.
    """

    agent: str
    level: Level
    detail: str
    remedy: str = ""
    scopes: tuple[str, ...] = ()


def detect(
    workspace: Path | None, locations: Locations, environ: Mapping[str, str]
) -> tuple[Detected, ...]:
    """Returns every agent that agentdiff knows, and what of it is on this machine.

    Args:
        workspace: root whose project and local settings count as well, None for none.
        locations: whose hook client, socket and state.
        environ: PATH, and where the agents' settings are looked for.
    """
    return tuple(
        _detected(agent, _inspect(agent, workspace, locations, environ).present, environ)
        for agent in registry.AGENTS.values()
    )


def status(
    workspace: Path | None, locations: Locations, environ: Mapping[str, str]
) -> tuple[InstalledState, ...]:
    """Returns how each agent is connected.

    Args:
        workspace: as for `detect`.
        locations: as for `detect`.
        environ: as for `detect`.
    """
    return tuple(
        _status(agent, workspace, locations, environ) for agent in registry.AGENTS.values()
    )


def _detected(agent: Agent, scopes: list[str], environ: Mapping[str, str]) -> Detected:
    path = environ.get("PATH", os.defpath)
    programs = (shutil.which(program, path=path) for program in agent.programs)
    program = next((Path(found) for found in programs if found), None)
    try:
        home = agent.home(environ)
    except MalformedPayload:
        home = None
    return Detected(
        agent=agent.name,
        title=agent.title,
        program=program,
        home=home if home is not None and home.is_dir() else None,
        scopes=tuple(scopes),
    )


@dataclass(slots=True, kw_only=True)
class _Findings:
    """What the settings of all scopes hold."""

    present: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    untrusted: list[str] = field(default_factory=list)
    steps: tuple[str, ...] = ()


def _status(
    agent: Agent, workspace: Path | None, locations: Locations, environ: Mapping[str, str]
) -> InstalledState:
    """Judges what is in the settings, and the hook client."""
    found = _inspect(agent, workspace, locations, environ)
    if not found.present and not found.troubles:
        return _absent(agent, _detected(agent, [], environ))
    scope = (found.stale or found.present or ["user"])[0]
    detail = f"installed for {', '.join(found.present)}" if found.present else "not installed"
    level: Level = "warn"
    remedy = f"agentdiff install {agent.name} --scope {scope}"
    if found.present and not os.access(locations.hook_client, os.X_OK):
        level = "error"
        detail += f", but {locations.hook_client} is missing or cannot be run"
    elif found.stale:
        detail += f"; out of date for {', '.join(found.stale)}"
    elif found.present:
        level = "warn" if found.troubles or found.untrusted else "ok"
        remedy = " ".join(found.steps)
    return InstalledState(
        agent=agent.name,
        level=level,
        detail="; ".join([detail, *found.untrusted, *found.troubles]),
        remedy=remedy,
        scopes=tuple(found.present),
    )


def _absent(agent: Agent, detected: Detected) -> InstalledState:
    """An agent without hooks matters only where it is."""
    if not detected.found:
        return InstalledState(agent=agent.name, level="ok", detail="not on this machine")
    sign = detected.program or detected.home
    return InstalledState(
        agent=agent.name,
        level="warn",
        detail=f"not installed, and {sign} is there",
        remedy=f"agentdiff install {agent.name} --scope user",
    )


def _inspect(
    agent: Agent, workspace: Path | None, locations: Locations, environ: Mapping[str, str]
) -> _Findings:
    """Reads the settings of every scope; what cannot be read is a trouble, not an error."""
    found = _Findings()
    for scope in agent.scopes if workspace is not None else ("user",):
        site = Site(
            scope=scope,
            workspace=workspace,
            locations=locations,
            environ=environ,
            telemetry=telemetry.endpoint(locations),
        )
        try:
            seen = [(part, registry.inspect(agent, part, site)) for part in agent.parts_of(scope)]
            _judge(found, agent, seen, site)
        except MalformedPayload as error:
            found.troubles.append(str(error))
        except OSError as error:
            found.troubles.append(f"{error.filename}: {error.strerror}")
    return found


def _judge(found: _Findings, agent: Agent, seen: list[tuple[Part, Inspection]], site: Site) -> None:
    """Adds what the files of one scope say."""
    if not any(inspection.present for part, inspection in seen if part.main):
        return
    found.present.append(site.scope)
    if not all(inspection.current for _, inspection in seen):
        found.stale.append(site.scope)
    contents = {}
    for part, inspection in seen:
        path = registry.place_of(part, site)
        contents[path] = files.read(path) or b""
        found.troubles += [f"{path}: {warning}" for warning in inspection.warnings]
    trust = agent.trust(contents, site)
    if trust is not None:
        found.untrusted += [] if trust.trusted else [f"{site.scope}: {trust.detail}"]
        found.steps = found.steps or trust.steps
