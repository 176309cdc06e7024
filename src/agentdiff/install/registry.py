"""Installs, uninstalls and inspects the hooks of an agent.

Owns the order of the steps: plan on bytes, show the difference, and only then write the hook
client, the record of what was found, a backup, and last the settings, each atomically.  An agent's
own module says which file and which edits.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeAlias

from agentdiff.errors import MalformedPayload
from agentdiff.install import claude, files, hook_client, record
from agentdiff.install.jsonsplice import Document
from agentdiff.install.jsontree import JsonSyntaxError
from agentdiff.install.record import Found
from agentdiff.locations import Locations

Level: TypeAlias = Literal["ok", "warn", "error"]

AGENTS: Final = {claude.NAME: claude}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What an installation or its opposite did, or would do.

    Attributes:
        changed: whether the settings or the hook client differ from before.
        path: the settings file, symbolic links resolved.
        diff: unified diff of the settings, empty when they stay as they are.
        warnings: what keeps the hooks from running, for people.
    """

    changed: bool
    path: Path
    diff: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledState:
    """How an agent is connected.

    Attributes:
        agent: its name.
        level: ``error`` when hooks are installed that cannot work, ``warn`` when they are
            incomplete, disabled or absent.
        detail: what was found, for people.
        remedy: what to do, empty when nothing needs doing.
        scopes: where hooks of ours are.
    """

    agent: str
    level: Level
    detail: str
    remedy: str = ""
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """An edit that is worked out and not yet made."""

    path: Path
    old: bytes | None
    new: bytes | None
    found: Found | None = None
    warnings: tuple[str, ...] = ()


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
    path = _settings(agent, scope, workspace, environ)
    plan = _plan_install(agent, scope, path, locations, entries.get(path))
    perl = hook_client.find_perl(environ.get("PATH", os.defpath))
    client = hook_client.render(locations, hook_client.interpreter(), perl)
    changed = plan.old != plan.new or files.read(locations.hook_client) != client
    if not dry_run:
        locations.prepare()
        hook_client.install_hook_client(locations, hook_client.interpreter(), perl=perl)
        if plan.found is not None and plan.old != plan.new:
            record.save(locations, {**entries, path: plan.found})
        _apply(plan, locations)
    return _result(plan, changed)


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
    path = _settings(agent, scope, workspace, environ)
    found = entries.pop(path, None)
    plan = _plan_uninstall(agent, scope, path, found)
    if not dry_run:
        _apply(plan, locations, found.folders if found else ())
        if found is not None:
            record.save(locations, entries)
        if not entries and not any(
            _inspect(name, None, locations, environ).present for name in AGENTS
        ):
            hook_client.remove_hook_client(locations)
    return _result(plan, plan.old != plan.new)


def status(
    workspace: Path | None, locations: Locations, environ: Mapping[str, str]
) -> tuple[InstalledState, ...]:
    """Returns how each agent is connected; changes nothing.

    Args:
        workspace: root whose project and local settings count as well, None for none.
        locations: whose hook client, socket and state.
        environ: where the agents' settings are looked for.
    """
    return tuple(_status(agent, workspace, locations, environ) for agent in AGENTS)


def _settings(agent: str, scope: str, workspace: Path | None, environ: Mapping[str, str]) -> Path:
    """Returns the settings file, links resolved: they are written through, not replaced."""
    module = AGENTS.get(agent)
    if module is None:
        raise MalformedPayload(f"unknown agent {agent!r}, known are: {', '.join(sorted(AGENTS))}")
    if scope not in module.SCOPES:
        raise MalformedPayload(f"unknown scope {scope!r}, known are: {', '.join(module.SCOPES)}")
    return Path(os.path.realpath(module.settings_file(scope, workspace, environ)))


def _document(path: Path, data: bytes) -> Document:
    try:
        return Document(data)
    except JsonSyntaxError as error:
        place = f"{path}:{error.line}:{error.column}"
        raise MalformedPayload(f"is not JSON: {error.reason}", field=place) from error


def _plan_install(
    agent: str, scope: str, path: Path, locations: Locations, earlier: Found | None
) -> _Plan:
    """Works out what `install` would do; pure but for reading the settings."""
    module = AGENTS[agent]
    old = files.read(path)
    document = _document(path, old or b"")
    found = Found(agent=agent, scope=scope, created=old is None, blank=document.blank)
    found.folders = files.missing_folders(path)
    try:
        if earlier is not None and not document.blank and module.is_present(document):
            found = earlier
        if document.blank:
            document.begin()
        found.kept |= module.add(document, module.handler(scope, locations))
    except TypeError as error:
        raise MalformedPayload(f"{error}, which {agent} needs it to be", field=str(path)) from error
    new = document.to_bytes()
    if old is None:
        new += b"\n"
    return _Plan(
        path=path, old=old, new=new, found=found, warnings=_warnings(agent, path, document)
    )


def _plan_uninstall(agent: str, scope: str, path: Path, found: Found | None) -> _Plan:
    """Works out what `uninstall` would do; pure but for reading the settings."""
    module = AGENTS[agent]
    old = files.read(path)
    if old is None:
        return _Plan(path=path, old=None, new=None)
    document = _document(path, old)
    if document.blank:
        return _Plan(path=path, old=old, new=old)
    found = found or Found(agent=agent, scope=scope)
    try:
        ours = module.is_present(document)
        module.remove(document, found.kept)
    except TypeError as error:
        raise MalformedPayload(f"{error}, which {agent} needs it to be", field=str(path)) from error
    if ours and not document.root.children:
        if found.created:
            return _Plan(path=path, old=old, new=None)
        if found.blank:
            document.end()
    return _Plan(path=path, old=old, new=document.to_bytes())


def _apply(plan: _Plan, locations: Locations, folders: tuple[Path, ...] = ()) -> None:
    if plan.old == plan.new:
        return
    if plan.old is not None:
        files.back_up(locations.state / "backups", plan.path, plan.old)
    if plan.new is None:
        files.remove(plan.path, plan.old, folders)
    else:
        files.replace(plan.path, plan.old, plan.new)


def _result(plan: _Plan, changed: bool) -> Result:
    diff = files.unified_diff(plan.path, plan.old, plan.new)
    return Result(changed=changed, path=plan.path, diff=diff, warnings=plan.warnings)


def _warnings(agent: str, path: Path, document: Document) -> tuple[str, ...]:
    return tuple(f"{path}: {warning}" for warning in AGENTS[agent].warnings(document))


@dataclass(slots=True, kw_only=True)
class _Findings:
    """What the settings of all scopes hold."""

    present: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)


def _status(
    agent: str, workspace: Path | None, locations: Locations, environ: Mapping[str, str]
) -> InstalledState:
    """Judges what is in the settings, and the hook client."""
    found = _inspect(agent, workspace, locations, environ)
    scope = (found.stale or found.present or ["user"])[0]
    again = f"agentdiff install {agent} --scope {scope}"
    detail = f"installed for {', '.join(found.present)}" if found.present else "not installed"
    level: Level = "warn"
    remedy = again
    if found.present and not os.access(locations.hook_client, os.X_OK):
        level = "error"
        detail += f", but {locations.hook_client} is missing or cannot be run"
    elif found.stale:
        detail += f"; out of date for {', '.join(found.stale)}"
    elif found.present:
        level = "warn" if found.troubles else "ok"
        remedy = ""
    return InstalledState(
        agent=agent,
        level=level,
        detail="; ".join([detail, *found.troubles]),
        remedy=remedy,
        scopes=tuple(found.present),
    )


def _inspect(
    agent: str, workspace: Path | None, locations: Locations, environ: Mapping[str, str]
) -> _Findings:
    """Reads the settings of every scope; what cannot be read is a trouble, not an error."""
    module = AGENTS[agent]
    found = _Findings()
    for scope in module.SCOPES if workspace is not None else ("user",):
        try:
            path = _settings(agent, scope, workspace, environ)
            document = _document(path, files.read(path) or b"")
            if document.blank or not module.is_present(document):
                continue
            found.present.append(scope)
            if not module.is_current(document, module.handler(scope, locations)):
                found.stale.append(scope)
            found.troubles += _warnings(agent, path, document)
        except (MalformedPayload, TypeError) as error:
            found.troubles.append(str(error))
        except OSError as error:
            found.troubles.append(f"{error.filename}: {error.strerror}")
    return found
