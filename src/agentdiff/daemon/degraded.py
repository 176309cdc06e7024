"""What of a running daemon works less well than it should, and the remedy.

Owns the checks that read the daemon's own numbers (`agentdiff.daemon.metrics`).  Must not measure
anything itself.  Part of ``agentdiff doctor``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from agentdiff.daemon.check import Check, Level

SLOW_MS = 300.0
LONG_QUEUE = 10_000
MANY_FILES = 0.8
_SHOWN = 3


def checks(daemon: Mapping[str, Any]) -> Iterator[Check]:
    """Yields what the numbers of ``daemon.status`` say; nothing for a daemon without them."""
    metrics = daemon.get("metrics")
    workspaces = daemon.get("workspaces")
    if not isinstance(metrics, dict) or not isinstance(workspaces, list):
        return  # of an older version: the check of versions says so
    yield from _workspace_checks(workspaces)
    yield _hooks(metrics, str(daemon.get("state", "")))
    yield _load(metrics)


def _workspace_checks(workspaces: list[Mapping[str, Any]]) -> Iterator[Check]:
    """Watching and kept contents of what is open."""
    yield _of_workspaces(
        workspaces,
        "watch_problem",
        name="watching",
        title="Watching",
        well=f"{len(workspaces)} open workspaces, changes are heard of at once",
        remedy="nothing is lost: each tool call and command looks at everything, which takes "
        "longer; raise the limit, or open a smaller folder",
    )
    yield _of_workspaces(
        workspaces,
        "storage_problem",
        name="storage",
        title="State on disk",
        level="error",
        well="written",
        remedy="free space, or make the folder writable, and do not stop the daemon before: what "
        "happened since is in its memory, and is written as soon as the disk takes it; "
        "decisions that would change files are refused until then",
    )
    yield _of_workspaces(
        workspaces,
        "store_problem",
        name="budget",
        title="Store budget",
        well="kept",
        remedy="decide what pends, or raise workspace.store_mib",
    )
    yield _of_workspaces(
        workspaces,
        "git_problem",
        name="baseline",
        title="First baseline",
        level="ok",
        well="from git where it is exactly what the disk holds, else read",
        remedy="",  # nothing is missing: it only took longer, and room in the store
    )
    skipped = {str(one["root"]): one.get("skipped", 0) for one in workspaces if one.get("skipped")}
    named = "; ".join(f"{root}: {n}" for root, n in list(skipped.items())[:_SHOWN])
    detail = f"not followed: {named}; `agentdiff status --json` says which and why"
    yield Check(
        id="coverage",
        level="ok",
        title="Coverage",
        detail=detail if skipped else "every path of the open workspaces is followed",
    )


def _of_workspaces(
    workspaces: list[Mapping[str, Any]],
    key: str,
    *,
    name: str,
    title: str,
    well: str,
    remedy: str,
    level: Level = "warn",
) -> Check:
    troubled = [f"{one['root']}: {one[key]}" for one in workspaces if one.get(key)]
    if not troubled:
        return Check(id=name, level="ok", title=title, detail=well)
    more = f"; and {len(troubled) - _SHOWN} more" if len(troubled) > _SHOWN else ""
    detail = "; ".join(troubled[:_SHOWN]) + more
    return Check(id=name, level=level, title=title, detail=detail, remedy=remedy)


def _hooks(metrics: Mapping[str, Any], state: str) -> Check:
    """Hooks that were not taken as they should have been."""
    hooks, spool = metrics["hooks"], metrics["spool"]
    trouble = {
        "could not be taken": hooks["failed"],
        "broke off": hooks["lost"],
        "wait in the spool": spool["waiting"],
        "of the spool made no sense": spool["set_aside"],
        "events could not be handled": metrics["queue"]["failed"],
    }
    found = [f"{count} {what}" for what, count in trouble.items() if count]
    late = f"{hooks['uncertain']} with a baseline that came late"
    if not found:
        detail = "all taken" + (f", {late}" if hooks["uncertain"] else "")
        return Check(id="hooks", level="ok", title="Hooks", detail=detail)
    return Check(
        id="hooks",
        level="error" if metrics["queue"]["failed"] or hooks["failed"] else "warn",
        title="Hooks",
        detail="; ".join([*found, *([late] if hooks["uncertain"] else [])]),
        remedy=f"{state}/daemon.log says why; what changed is found by comparison all the same",
    )


def _load(metrics: Mapping[str, Any]) -> Check:
    """Whether the daemon keeps up with what it is given."""
    process, latency = metrics["process"], metrics["hook_latency"]
    files, limit = process["open_files"], process["max_open_files"]
    p99 = latency["p99_ms"]
    found = []
    if p99 is not None and p99 > SLOW_MS:
        found.append(f"one hook in a hundred waits {p99:.0f} ms")
    if metrics["queue"]["length"] > LONG_QUEUE:
        found.append(f"{metrics['queue']['length']} events wait")
    if files is not None and limit > 0 and files > MANY_FILES * limit:
        found.append(f"{files} of {limit} files are open")
    if metrics["telemetry"]["dropped"] or metrics["telemetry"]["forward_dropped"]:
        dropped = metrics["telemetry"]["dropped"] + metrics["telemetry"]["forward_dropped"]
        found.append(f"{dropped} telemetry records were dropped")
    if not found:
        shown = "no hook yet" if p99 is None else f"99 of 100 hooks take at most {p99:.1f} ms"
        return Check(id="load", level="ok", title="Load", detail=shown)
    return Check(
        id="load",
        level="warn",
        title="Load",
        detail="; ".join(found),
        remedy="a busy machine, or very large files: workspace.max_file_bytes leaves those out",
    )
