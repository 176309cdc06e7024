"""``agentdiff doctor``: is everything in place, and what to do where it is not.

Owns the checks.  Must not change anything.  Runs inside the daemon (with its live counters) and,
when none answers, inside the command line.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from agentdiff import __version__
from agentdiff.config import Config
from agentdiff.core.codec import SCHEMA
from agentdiff.daemon import degraded, lifecycle
from agentdiff.daemon.check import Check
from agentdiff.install import status
from agentdiff.locations import Locations
from agentdiff.sources import spool
from agentdiff.workspace.packformat import check_pack
from agentdiff.workspace.roots import find_root
from agentdiff.workspace.store import root_of, schema_of

PACK_NAME = "blobs.pack"
MAX_SHOWN = 5
LOW_DISK_BYTES = 512 * 1024 * 1024
FEW_WATCHES = 65536
_INOTIFY = Path("/proc/sys/fs/inotify")


def run(
    *,
    locations: Locations,
    config: Config,
    environ: Mapping[str, str],
    cwd: str | None,
    daemon: Mapping[str, object] | None,
) -> tuple[Check, ...]:
    """Performs every check.

    Args:
        locations: where things are kept.
        config: the settings in force.
        environ: of this process, for the agents' configuration folders.
        cwd: folder in the workspace whose project-scope installations count, None for none.
        daemon: result of ``daemon.status``, None when no daemon answers.
    """
    return (
        *_daemon_checks(daemon, locations),
        *_folder_checks(locations),
        *_config_checks(config, locations),
        *_disk_checks(locations),
        *_store_checks(locations),
        *_watch_checks(),
        *(() if daemon is None else degraded.checks(daemon)),
        *_agent_checks(locations, environ, cwd, daemon),
    )


def _daemon_checks(daemon: Mapping[str, object] | None, locations: Locations) -> Iterator[Check]:
    """The process itself, its OTLP port, and what it could not understand."""
    title = "Daemon"
    holder = lifecycle.holder(locations.lock_file) if daemon is None else None
    if holder is not None:
        yield Check(
            id="daemon",
            level="error",
            title=title,
            detail=f"pid {holder.pid} has the lock {locations.lock_file}, but does not answer in "
            f"{holder.runtime}; it makes vanished sockets again within seconds",
            remedy=f"look again, then `agentdiff daemon stop`; {locations.log_file} may say why",
        )
        return
    if daemon is None:
        yield Check(
            id="daemon",
            level="warn",
            title=title,
            detail="not running; the next hook, editor or command starts it",
            remedy="agentdiff daemon start",
        )
        yield from _spool_check(locations)
        return
    version = str(daemon.get("version"))
    detail = f"version {version}, pid {daemon.get('pid')}, {daemon.get('socket')}"
    if version == __version__:
        yield Check(id="daemon", level="ok", title=title, detail=detail)
    else:
        yield Check(
            id="daemon",
            level="warn",
            title=title,
            detail=f"{detail}; installed is {__version__}",
            remedy="agentdiff daemon stop",
        )
    port, state = daemon.get("port"), str(daemon.get("otlp"))
    if port is not None:
        yield Check(id="otlp", level="ok", title="OTLP listener", detail=f"127.0.0.1:{port}")
    else:
        yield Check(
            id="otlp",
            level="warn",
            title="OTLP listener",
            detail=f"off: {state}; calls that hooks leave open stay open longer",
            remedy="free the port, or set otlp.port and run `agentdiff install` again",
        )
    counters = daemon.get("counters")
    hooks = counters.get("hooks") if isinstance(counters, dict) else None
    if isinstance(hooks, dict):
        yield _payload_check(hooks)


def _spool_check(locations: Locations) -> Iterator[Check]:
    """Hooks that no daemon could take; a running one counts them itself."""
    waiting = len(list(locations.spool.glob(f"*{spool.SUFFIX}")))
    if waiting:
        yield Check(
            id="spool",
            level="warn",
            title="Spool",
            detail=f"{waiting} hooks wait in {locations.spool} for a daemon, with what files held",
            remedy="agentdiff daemon start; where it cannot, it says why",
        )


def _payload_check(hooks: Mapping[str, object]) -> Check:
    """Payloads that made no sense since the daemon started."""
    malformed, reasons = hooks.get("malformed"), hooks.get("reasons")
    if not malformed:
        detail = f"{hooks.get('received')} received, all understood"
        return Check(id="payloads", level="ok", title="Hook payloads", detail=detail)
    newest = ""
    if isinstance(reasons, list) and reasons:
        newest = "; ".join(f"{item['agent']}: {item['reason']}" for item in reasons[-3:])
    return Check(
        id="payloads",
        level="warn",
        title="Hook payloads",
        detail=f"{malformed} of {hooks.get('received')} not understood; newest: {newest}",
        remedy="an agent's new version may have changed its hooks: update agentdiff",
    )


def _folder_checks(locations: Locations) -> Iterator[Check]:
    """State and runtime folders: ours alone."""
    for name in ("state", "runtime"):
        folder: Path = getattr(locations, name)
        title = f"{name.capitalize()} folder"
        try:
            info = os.stat(folder)
        except FileNotFoundError:
            yield _missing(name, title, folder)
            continue
        except OSError as error:
            detail = f"{folder}: {error.strerror}"
            remedy = f"make {folder.parent} accessible"
            yield Check(id=name, level="error", title=title, detail=detail, remedy=remedy)
            continue
        mode = stat.S_IMODE(info.st_mode)
        if not stat.S_ISDIR(info.st_mode):
            detail = f"{folder} is no folder: no daemon can start, hooks wait in the spool"
            remedy = f"move {folder} away"
            yield Check(id=name, level="error", title=title, detail=detail, remedy=remedy)
        elif info.st_uid != os.getuid():
            detail = f"{folder} belongs to uid {info.st_uid}"
            remedy = f"remove {folder}"
            yield Check(id=name, level="error", title=title, detail=detail, remedy=remedy)
        elif mode & 0o077:
            detail = f"{folder} is open to others (mode {mode:04o})"
            remedy = f"chmod 700 {folder}"
            yield Check(id=name, level="error", title=title, detail=detail, remedy=remedy)
        elif reason := _not_writable(folder):
            detail = f"{folder} cannot be written: {reason}; no daemon can start"
            remedy = f"chmod 700 {folder}, or free space, or mount its disk for writing"
            yield Check(id=name, level="error", title=title, detail=detail, remedy=remedy)
        else:
            yield Check(id=name, level="ok", title=title, detail=str(folder))


def _missing(name: str, title: str, folder: Path) -> Check:
    """A folder that is made when it is needed, or cannot be."""
    parent = next(one for one in folder.parents if one.exists())
    if parent.is_dir() and not (reason := _not_writable(parent)):
        return Check(id=name, level="ok", title=title, detail=f"{folder}: not made yet")
    why = reason if parent.is_dir() else f"{parent} is no folder"
    return Check(
        id=name,
        level="error",
        title=title,
        detail=f"{folder} cannot be made: {why}; no daemon can start",
        remedy=f"make {parent} a folder that you can write to",
    )


def _not_writable(folder: Path) -> str:
    """Returns why nothing can be made in a folder, empty when something can."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _config_checks(config: Config, locations: Locations) -> Iterator[Check]:
    """Settings that cannot be used."""
    if not config.problems:
        yield Check(id="config", level="ok", title="Settings", detail=str(locations.config_file))
    for problem in config.problems:
        remedy = f"correct {locations.config_file} and run `agentdiff daemon stop`"
        yield Check(id="config", level="error", title="Settings", detail=problem, remedy=remedy)


def _disk_checks(locations: Locations) -> Iterator[Check]:
    """Room for baselines."""
    folder = locations.state
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    detail = f"{free // 1048576} MiB free for baselines in {folder}"
    if free >= LOW_DISK_BYTES:
        yield Check(id="disk", level="ok", title="Disk space", detail=detail)
    else:
        remedy = "free space, or `agentdiff purge` workspaces that are done"
        yield Check(id="disk", level="warn", title="Disk space", detail=detail, remedy=remedy)


def _store_checks(locations: Locations) -> Iterator[Check]:
    """Every content of every workspace is what its name says, and every log is one that we read."""
    problems: list[str] = []
    size = 0
    packs = sorted(locations.workspaces.glob(f"*/{PACK_NAME}"))
    for pack in packs:
        try:
            size += pack.stat().st_size
            problems += check_pack(pack)
        except OSError as error:
            problems.append(f"{pack}: {error.strerror}")
    if problems:
        yield Check(
            id="store",
            level="error",
            title="Kept contents",
            detail=_some(problems),
            remedy="what is damaged cannot be restored any more, the rest can: look at what pends "
            "in that workspace, decide it, then `agentdiff purge` it; and check the disk",
        )
    else:
        detail = f"{len(packs)} workspaces, {size / 1048576:.1f} MiB, all of it sound"
        yield Check(id="store", level="ok", title="Kept contents", detail=detail)
    yield _log_check(locations)


def _log_check(locations: Locations) -> Check:
    """Logs that this version cannot use: of a newer one, or damaged."""
    problems = []
    for folder in sorted(locations.workspaces.glob("*")):
        root = root_of(folder)
        named = f"{folder}" if root is None else f"{root.decode(errors='replace')} ({folder})"
        try:
            schema = schema_of(folder)
        except OSError as error:
            problems.append(f"{named}: {error}")
            continue
        if schema > SCHEMA:
            problems.append(f"{named} has schema {schema}, this agentdiff knows {SCHEMA}")
    if not problems:
        return Check(id="log", level="ok", title="Logs", detail="all of them can be read")
    return Check(
        id="log",
        level="error",
        title="Logs",
        detail=_some(problems),
        remedy="one of a newer schema: upgrade agentdiff; one that is damaged: move that folder "
        "away, and what is on disk becomes the baseline.  No file of the workspace is touched",
    )


def _some(problems: list[str]) -> str:
    """Returns the first of many sentences."""
    more = f"; and {len(problems) - MAX_SHOWN} more" if len(problems) > MAX_SHOWN else ""
    return "; ".join(problems[:MAX_SHOWN]) + more


def _watch_checks() -> Iterator[Check]:
    """The kernel's limits on watching, where there are any."""
    if sys.platform != "linux":
        return
    try:
        limits = {
            name: int((_INOTIFY / name).read_text("ascii"))
            for name in ("max_user_watches", "max_user_instances", "max_queued_events")
        }
    except (OSError, ValueError) as error:
        detail = f"limits unknown: {error}"
        yield Check(id="inotify", level="warn", title="File watching", detail=detail)
        return
    detail = ", ".join(f"{name} {value}" for name, value in limits.items())
    if limits["max_user_watches"] >= FEW_WATCHES:
        yield Check(id="inotify", level="ok", title="File watching", detail=detail)
    else:
        yield Check(
            id="inotify",
            level="warn",
            title="File watching",
            detail=f"{detail}; a large tree needs one watch per folder",
            remedy="sysctl fs.inotify.max_user_watches=524288",
        )


def _agent_checks(
    locations: Locations,
    environ: Mapping[str, str],
    cwd: str | None,
    daemon: Mapping[str, object] | None,
) -> Iterator[Check]:
    """The hooks of each agent, and when it was last heard of."""
    workspace = None if cwd is None else Path(os.fsdecode(find_root(os.fsencode(cwd), ())))
    for state in status.status(workspace, locations, environ):
        yield Check(
            id=f"agent.{state.agent}",
            level=state.level,
            title=f"Hooks of {state.agent}",
            detail=state.detail + (_last_heard(state.agent, daemon) if state.scopes else ""),
            remedy=state.remedy,
        )


def _last_heard(agent: str, daemon: Mapping[str, object] | None) -> str:
    """Returns when the newest hook of an agent came, empty without a daemon that would know."""
    counters = {} if daemon is None else daemon.get("counters")
    hooks = counters.get("hooks") if isinstance(counters, dict) else None
    if not isinstance(hooks, dict):
        return ""
    newest = hooks.get("agents", {}).get(agent)
    if newest is None:
        return "; not heard of since the daemon started"
    return f"; last event {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(newest // 10**9))}"
