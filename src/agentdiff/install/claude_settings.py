"""Claude Code's settings as a whole: hooks, and the environment that makes it send telemetry.

Owns the members of ``env`` that are ours.  The hooks are `agentdiff.install.hooks_json`'s.  No
I/O.

Only the variables for *logs* are set, so that an exporter of metrics or traces that is there
already keeps its own endpoint.  Claude Code has one exporter of logs: where the user has one, it
stays, and a warning says how both can have them.  Measured with Claude Code 2.1.197 and 2.1.329:
``env`` of the user's settings counts for the exporter, a dead endpoint neither delays nor prints
anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agentdiff.install.hooks_json import HooksJson
from agentdiff.install.jsonsplice import Document
from agentdiff.install.part import Inspection, Site
from agentdiff.install.record import Found
from agentdiff.install.telemetry import HEADER

_SWITCH: Final = "CLAUDE_CODE_ENABLE_TELEMETRY"
_HEADERS: Final = "OTEL_EXPORTER_OTLP_LOGS_HEADERS"
_EXPORTER: Final = (
    "OTEL_LOGS_EXPORTER",
    "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL",
    "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
    _HEADERS,
)
_INTERVAL: Final = "OTEL_LOGS_EXPORT_INTERVAL"
_NAMES: Final = (_SWITCH, *_EXPORTER, _INTERVAL)
INTERVAL_MS: Final = "500"
_ADVICE: Final = (
    "it stays as it is, and agentdiff learns of refused and interrupted calls at the next prompt "
    "only. To let both have them, name that collector as otlp.forward in agentdiff's config.toml, "
    "take the exporter out here, and install again"
)


def wanted(site: Site) -> dict[str, str]:
    """Returns the variables that are ours; none for settings that other people or folders share."""
    if site.scope != "user" or site.telemetry is None:
        return {}
    return {
        _SWITCH: "1",
        "OTEL_LOGS_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": "http/json",
        "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": f"{site.telemetry.url}/v1/logs",
        _HEADERS: site.telemetry.headers,
        _INTERVAL: INTERVAL_MS,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaudeSettings:
    """A `agentdiff.install.part.Part`: `hooks`, and ``env`` in the same file."""

    hooks: HooksJson

    @property
    def scopes(self) -> tuple[str, ...]:
        """See `Part.scopes`."""
        return self.hooks.scopes

    @property
    def main(self) -> bool:
        """See `Part.main`."""
        return self.hooks.main

    def path(self, site: Site) -> Path:
        """See `Part.path`."""
        return self.hooks.path(site)

    def installed(self, old: bytes | None, site: Site, found: Found) -> bytes | None:
        """See `Part.installed`."""
        document = self.hooks.document(self.hooks.installed(old, site, found) or b"")
        values = wanted(site)
        if _conflict(document, values, site.environ) is None:
            _set(document, values, found)
        return document.to_bytes()

    def removed(self, old: bytes, found: Found) -> bytes | None:
        """See `Part.removed`."""
        document = self.hooks.document(old)
        if not document.blank:
            _unset(document, found)
        return self.hooks.removed(document.to_bytes(), found)

    def inspect(self, data: bytes, site: Site) -> Inspection:
        """See `Part.inspect`."""
        seen = self.hooks.inspect(data, site)
        if not seen.present:
            return seen
        document, values = self.hooks.document(data), wanted(site)
        conflict = _conflict(document, values, site.environ)
        same = all(_value(document, name) == value for name, value in values.items())
        stale = (bool(values) and not same) or (not values and _is_ours(document))
        return Inspection(
            present=True,
            current=seen.current and (conflict is not None or not stale),
            warnings=(*seen.warnings, *([] if conflict is None else [conflict])),
        )


def _value(document: Document, name: str) -> object:
    node = document.find(("env", name)) if _has_env(document) else None
    return None if node is None else node.plain()


def _has_env(document: Document) -> bool:
    env = document.find(("env",)) if document.root.kind == "object" else None
    return env is not None and env.kind == "object"


def _is_ours(document: Document) -> bool:
    headers = _value(document, _HEADERS)
    return isinstance(headers, str) and headers.startswith(f"{HEADER}=")


def _conflict(
    document: Document, values: Mapping[str, str], environ: Mapping[str, str]
) -> str | None:
    """Returns why the variables cannot be set, None when they can (or there are none)."""
    if not values or _is_ours(document):
        return None
    if document.find(("env",)) is not None and not _has_env(document):
        return "env is not an object, so that no telemetry can be switched on"
    if _value(document, _SWITCH) not in (None, "1", "true", 1, True):
        return f"env.{_SWITCH} switches telemetry off, which is left so"
    for name in _EXPORTER:
        if _value(document, name) is not None:
            return f"env.{name}: there is an exporter of logs already; {_ADVICE}"
        if environ.get(name):
            return f"the environment variable {name} names an exporter of logs; {_ADVICE}"
    return None


def _set(document: Document, values: Mapping[str, str], found: Found) -> None:
    """Sets the variables that differ; what somebody else had set already stays theirs."""
    ours = _is_ours(document)
    if ours and not values:
        _unset(document, found)
    for name, value in values.items():
        if _value(document, name) is None and document.find(("env", name)) is None:
            found.kept |= document.put(("env", name), value)
        elif not ours:
            found.kept |= {("env", name): ""}
        elif ("env", name) not in found.kept and _value(document, name) != value:
            document.replace(("env", name), value)


def _unset(document: Document, found: Found) -> None:
    if not _is_ours(document):
        return
    for name in reversed(_NAMES):
        if ("env", name) not in found.kept and document.find(("env", name)) is not None:
            document.remove(("env", name), found.kept)
