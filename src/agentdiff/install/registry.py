"""Installs and uninstalls the hooks of an agent.

Owns the table of agents and the order of the steps: plan on bytes, show the difference, and only
then write the hook client, the record of what was found, backups, and last the settings, each
atomically.  An agent's own module says which files and which edits.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agentdiff.errors import MalformedPayload
from agentdiff.install import (
    claude,
    codex,
    copilot,
    files,
    gemini,
    hook_client,
    launcher,
    opencode,
    qwen,
    record,
    telemetry,
)
from agentdiff.install.jsontree import JsonSyntaxError
from agentdiff.install.part import Agent, Inspection, Part, Site, Trust
from agentdiff.install.record import Found
from agentdiff.locations import Locations

AGENTS: Final[Mapping[str, Agent]] = {
    agent.name: agent
    for agent in (
        claude.AGENT,
        codex.AGENT,
        gemini.AGENT,
        opencode.AGENT,
        qwen.AGENT,
        copilot.AGENT,
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """One settings file of an installation.

    Attributes:
        path: symbolic links resolved.
        diff: unified diff, empty when the file stays as it is.
    """

    path: Path
    diff: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What an installation or its opposite did, or would do.

    Attributes:
        changed: whether settings or the hook client differ from before.
        edited: the settings files, the one with the hooks first.
        warnings: what keeps the hooks from running, for people.
        trust: what the agent thinks of the hooks, None where that is no question.
    """

    changed: bool
    edited: tuple[Edited, ...]
    warnings: tuple[str, ...] = ()
    trust: Trust | None = None

    @property
    def path(self) -> Path:
        """The settings file with the hooks."""
        return self.edited[0].path

    @property
    def diff(self) -> str:
        """The differences of all files."""
        return "".join(edited.diff for edited in self.edited)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """An edit of one file that is worked out and not yet made."""

    path: Path
    old: bytes | None
    new: bytes | None
    found: Found
    warnings: tuple[str, ...] = ()

    @property
    def changes(self) -> bool:
        return self.old != self.new


def install(
    agent: str,
    scope: str,
    workspace: Path | None,
    locations: Locations,
    environ: Mapping[str, str],
    dry_run: bool,
) -> Result:
    """Connects an agent: installs the hook client and registers it in the agent's settings.

    Doing it again changes nothing, except what an older installation left out of date.

    Args:
        agent: a key of `AGENTS`.
        scope: ``user``, ``project`` or ``local``.
        workspace: root, needed for all but ``user``.
        locations: whose hook client, socket and state.
        environ: where the agent and perl are looked for.
        dry_run: work everything out and write nothing.

    Raises:
        MalformedPayload: the settings are not what the agent accepts (file, line and column are
            named), or agent or scope make no sense; nothing was written.
        OSError: a file cannot be read or written.
    """
    entries = record.load(locations)
    known, site = named(agent), _site(scope, workspace, locations, environ)
    plans = [_plan_install(known, part, site, entries) for part in known.parts_of(scope)]
    search = environ.get("PATH", os.defpath)
    perl, compiler = hook_client.find_perl(search), hook_client.find_compiler(search)
    client = hook_client.render(locations, hook_client.interpreter(), perl, compiler)
    changed = files.read(locations.hook_client) != client
    if not dry_run:
        locations.prepare()
        telemetry.keep_token(locations, site.telemetry)
        hook_client.write_hook_client(locations, client)
        entries |= {plan.path: plan.found for plan in plans if plan.changes}
        if any(plan.changes for plan in plans):
            record.save(locations, entries)
        for plan in plans:
            _apply(plan, locations)
    return _result(known, site, plans, changed=changed)


def uninstall(
    agent: str,
    scope: str,
    workspace: Path | None,
    locations: Locations,
    environ: Mapping[str, str],
    dry_run: bool,
) -> Result:
    """Takes an installation back; what others put into the settings meanwhile stays.

    The hook client goes with the last installation that is on record or in the user's settings.

    Args:
        agent: a key of `AGENTS`.
        scope: ``user``, ``project`` or ``local``.
        workspace: root, needed for all but ``user``.
        locations: as for `install`.
        environ: as for `install`.
        dry_run: work everything out and write nothing.

    Raises:
        MalformedPayload: as `install`.
        OSError: as `install`.
    """
    entries = record.load(locations)
    known, site = named(agent), _site(scope, workspace, locations, environ)
    plans = [_plan_uninstall(known, part, site, entries) for part in known.parts_of(scope)]
    if not dry_run:
        for plan in plans:
            recorded = entries.pop(plan.path, None)
            _apply(plan, locations, recorded.folders if recorded else ())
            if recorded is not None:
                record.save(locations, entries)
        if not entries and not _in_use(locations, environ):
            launcher.remove(locations)
            hook_client.remove_hook_client(locations)
    return _result(known, site, plans)


def named(agent: str) -> Agent:
    """Returns the agent of this name.

    Raises:
        MalformedPayload: there is none; the message lists those that there are.
    """
    if agent not in AGENTS:
        raise MalformedPayload(f"unknown agent {agent!r}, known are: {', '.join(sorted(AGENTS))}")
    return AGENTS[agent]


def place_of(part: Part, site: Site) -> Path:
    """Returns the settings file, links resolved: they are written through, not replaced.

    Raises:
        MalformedPayload: the scope needs a workspace, or there is no home folder.
    """
    return Path(os.path.realpath(part.path(site)))


def inspect(agent: Agent, part: Part, site: Site) -> Inspection:
    """Returns what the settings file on disk says of us; changes nothing.

    Raises:
        MalformedPayload: it is not what the agent accepts.
        OSError: it cannot be read.
    """
    path = place_of(part, site)
    with _Explained(agent, path):
        return part.inspect(files.read(path) or b"", site)


class _Explained:
    """Turns what a part finds wrong with a file into an error that names the file and the place."""

    def __init__(self, agent: Agent, path: Path) -> None:
        self._agent = agent
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, JsonSyntaxError):
            place = f"{self._path}:{error.line}:{error.column}"
            raise MalformedPayload(f"is not JSON: {error.reason}", field=place) from error
        if isinstance(error, tomllib.TOMLDecodeError):
            raise MalformedPayload(f"is not TOML: {error}", field=str(self._path)) from error
        if isinstance(error, TypeError):
            reason = f"{error}, which {self._agent.name} needs it to be"
            raise MalformedPayload(reason, field=str(self._path)) from error


def _site(
    scope: str, workspace: Path | None, locations: Locations, environ: Mapping[str, str]
) -> Site:
    return Site(
        scope=scope,
        workspace=workspace,
        locations=locations,
        environ=environ,
        telemetry=telemetry.endpoint(locations),
    )


def _plan_install(agent: Agent, part: Part, site: Site, entries: Mapping[Path, Found]) -> _Plan:
    """Works out what `install` would do to one file; pure but for reading it."""
    path = place_of(part, site)
    old = files.read(path)
    found = Found(agent=agent.name, scope=site.scope, created=old is None)
    found.folders = files.missing_folders(path)
    with _Explained(agent, path):
        if path in entries and part.inspect(old or b"", site).present:
            found = entries[path]
        new = part.installed(old, site, found)
        warnings = part.inspect(new or b"", site).warnings
    return _Plan(path=path, old=old, new=new, found=found, warnings=warnings)


def _plan_uninstall(agent: Agent, part: Part, site: Site, entries: Mapping[Path, Found]) -> _Plan:
    """Works out what `uninstall` would do to one file; pure but for reading it."""
    path = place_of(part, site)
    old = files.read(path)
    found = entries.get(path) or Found(agent=agent.name, scope=site.scope)
    if old is None:
        return _Plan(path=path, old=None, new=None, found=found)
    with _Explained(agent, path):
        return _Plan(path=path, old=old, new=part.removed(old, found), found=found)


def _apply(plan: _Plan, locations: Locations, folders: tuple[Path, ...] = ()) -> None:
    if not plan.changes:
        return
    if plan.old is not None:
        files.back_up(locations.state / "backups", plan.path, plan.old)
    if plan.new is None:
        files.remove(plan.path, plan.old, folders)
    else:
        files.replace(plan.path, plan.old, plan.new)


def _result(agent: Agent, site: Site, plans: list[_Plan], *, changed: bool = False) -> Result:
    contents = {plan.path: plan.new or b"" for plan in plans}
    return Result(
        changed=changed or any(plan.changes for plan in plans),
        edited=tuple(
            Edited(path=plan.path, diff=files.unified_diff(plan.path, plan.old, plan.new))
            for plan in plans
        ),
        warnings=tuple(f"{plan.path}: {warning}" for plan in plans for warning in plan.warnings),
        trust=agent.trust(contents, site),
    )


def _in_use(locations: Locations, environ: Mapping[str, str]) -> bool:
    """Tells whether the user's settings of any agent run the hook client.

    Settings that cannot be read keep it: a hook without a client may fail its agent.
    """
    site = _site("user", None, locations, environ)
    for agent in AGENTS.values():
        for part in agent.parts_of("user"):
            try:
                if part.main and inspect(agent, part, site).present:
                    return True
            except (MalformedPayload, OSError):
                return True
    return False
