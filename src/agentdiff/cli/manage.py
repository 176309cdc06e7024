"""``install uninstall doctor``: what is around a review.

Owns the wording.  Configuration edits are `agentdiff.install`'s.
"""

from __future__ import annotations

import os
from typing import Any

from agentdiff.cli import output
from agentdiff.cli.context import (
    DONE,
    NOTHING,
    REFUSED,
    UNAVAILABLE,
    Context,
    UsageError,
    workspace_of,
)
from agentdiff.daemon.launch import DaemonUnavailable
from agentdiff.errors import MalformedPayload
from agentdiff.install import registry, status
from agentdiff.install.registry import Edited, Result

_MARKS = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "error": ("✗", "red")}


def install(context: Context) -> int:
    """``agentdiff install``: connects an agent, or lists those that there are."""
    if context.args.detect:
        return _detect(context)
    return _configure(context, "install")


def uninstall(context: Context) -> int:
    """``agentdiff uninstall``."""
    return _configure(context, "uninstall")


def _detect(context: Context) -> int:
    """Lists the agents of this machine, installed or not."""
    if context.args.agent is not None:
        raise UsageError("install: --detect looks for every agent; leave the name out")
    known = status.detect(workspace_of(context), context.locations, context.environ)
    if context.args.json:
        output.say_json(
            [
                {
                    "agent": one.agent,
                    "title": one.title,
                    "found": one.found,
                    "program": str(one.program) if one.program else None,
                    "home": str(one.home) if one.home else None,
                    "installed": list(one.scopes),
                }
                for one in known
            ]
        )
        return DONE if any(one.found for one in known) else NOTHING
    for one in known:
        if one.found:
            where = output.escaped(str(one.program or one.home or "not on PATH"))
            how = f"installed for {', '.join(one.scopes)}" if one.scopes else "not installed"
            output.say(f"{one.agent:<10}{one.title:<22}{how:<24}{where}")
    missing = ", ".join(one.agent for one in known if not one.found)
    if missing:
        output.say(f"not on this machine: {missing}")
    return DONE if any(one.found for one in known) else NOTHING


def _configure(context: Context, what: str) -> int:
    """Edits an agent's configuration, or shows how it would be edited."""
    args = context.args
    if args.agent not in registry.AGENTS:
        known = ", ".join(sorted(registry.AGENTS))
        given = "which agent?" if args.agent is None else f"unknown agent {args.agent!r}"
        raise UsageError(f"{what}: {given} (known: {known})")
    act = registry.install if what == "install" else registry.uninstall
    try:
        result = act(
            args.agent,
            args.scope,
            workspace_of(context),
            context.locations,
            context.environ,
            args.dry_run,
        )
    except MalformedPayload as malformed:
        output.complain(f"refused, nothing was changed: {output.escaped(str(malformed))}")
        return REFUSED
    except OSError as error:
        output.complain(output.escaped(f"{error.filename or args.agent}: {error.strerror}"))
        return REFUSED
    if args.json:
        _report_json(result)
    else:
        _report(result, dry_run=args.dry_run)
    for warning in result.warnings:
        output.complain(output.escaped(warning))
    return DONE if result.changed or what == "install" else NOTHING


def _report_json(result: Result) -> None:
    """Prints what was done as JSON."""
    trust = result.trust
    output.say_json(
        {
            "changed": result.changed,
            "path": str(result.path),
            "paths": [str(edited.path) for edited in result.edited],
            "diff": result.diff,
            "warnings": list(result.warnings),
            "trusted": trust.trusted if trust else None,
            "steps": list(trust.steps) if trust else [],
        }
    )


def _report(result: Result, *, dry_run: bool) -> None:
    """Prints what was done, one line for each file, and what only the user can do."""
    for edited in result.edited:
        if dry_run and edited.diff:
            for line in edited.diff.rstrip("\n").split("\n"):
                output.say(output.escaped(line).replace("\\\\", "\\"))
    for edited in result.edited:
        # A new hook client alone is a change as well, and has no difference to show.
        alone = result.changed and not result.diff and edited is result.edited[0]
        summary = _summary(edited, changed=alone, dry_run=dry_run)
        output.say(f"{summary}: {output.escaped(str(edited.path))}")
    if result.trust and result.trust.steps:
        output.say(f"{output.escaped(result.trust.detail)}:")
        for number, step in enumerate(result.trust.steps, 1):
            output.say(f"  {number}. {output.escaped(step)}")


def _summary(edited: Edited, *, changed: bool, dry_run: bool) -> str:
    """Returns what happened to a file in a few words, such as ``changed, +12 -0 lines``."""
    if not edited.diff and not changed:
        return "unchanged"
    body = [line for line in edited.diff.split("\n") if not line.startswith(("---", "+++"))]
    added, removed = (sum(line.startswith(sign) for line in body) for sign in "+-")
    return f"{'would change' if dry_run else 'changed'}, +{added} -{removed} lines"


def doctor(context: Context) -> int:
    """``agentdiff doctor``: asks the daemon, or looks alone when none runs."""
    try:
        with context.daemon(start=False) as client:
            checks = client.call("doctor", **context.place())["checks"]
    except DaemonUnavailable as error:
        if context.args.need_daemon:
            output.complain(str(error))
            return UNAVAILABLE
        checks = _look_alone(context)
    if context.args.json:
        output.say_json({"v": 1, "checks": checks})
    else:
        for check in checks:
            _print_check(check)
    return REFUSED if any(check["level"] == "error" for check in checks) else DONE


def _look_alone(context: Context) -> list[dict[str, Any]]:
    """Performs the checks in this process, without live counters."""
    from agentdiff import config
    from agentdiff.daemon import doctor as checks

    found = checks.run(
        locations=context.locations,
        config=config.load(context.locations.config_file),
        environ=context.environ,
        cwd=os.fsdecode(context.cwd),
        daemon=None,
    )
    return [check.to_json() for check in found]


def _print_check(check: dict[str, Any]) -> None:
    mark, colour = _MARKS.get(check["level"], ("?", "red"))
    output.say(
        f"{output.coloured(mark, colour)} {output.escaped(check['title'])}: "
        f"{output.escaped(check['detail'])}"
    )
    if check["remedy"]:
        output.say(f"    {output.escaped(check['remedy'])}")
