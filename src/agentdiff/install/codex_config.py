"""Codex's ``config.toml``: the exporter of telemetry, put in and taken out as text.

Owns the one line ``exporter = …`` of the table ``[otel]``.  Everything else keeps every byte:
comments, order, line ends.  No I/O.  Why no library: doc/decisions/0021-toml-as-text.md.

Codex has one exporter of logs, and its value is a table: there is no place for a second one.  One
that is there stays, and a warning says how both can have the logs.  Measured with Codex 0.169.0:
a dead endpoint neither delays nor prints anything; ``OTEL_*`` variables are ignored.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agentdiff.install.part import Inspection, Site
from agentdiff.install.record import Found
from agentdiff.install.telemetry import HEADER

_TABLE: Final = re.compile(
    r"^[ \t]*\[[ \t]*otel[ \t]*\][ \t]*(?:#[^\r\n]*)?(?:\r?\n|\Z)", re.MULTILINE
)
_OURS: Final = re.compile(rf"^exporter = [^\r\n]*{HEADER}[^\r\n]*\r?\n?", re.MULTILINE)
_EMPTY_TABLE: Final = re.compile(
    r"(?:(?<=\n)\r?\n)?^\[otel\][ \t]*(?:\r?\n)+(?=[ \t]*\[|\Z)", re.MULTILINE
)
_FORWARD: Final = (
    "To let both have the logs, name that collector as otlp.forward in agentdiff's config.toml, "
    "take the exporter out here, and install again"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CodexConfig:
    """A `agentdiff.install.part.Part`; only of the user: projects cannot set an exporter."""

    locate: Callable[[Site], Path]
    scopes: tuple[str, ...] = ("user",)
    main: bool = False

    def path(self, site: Site) -> Path:
        """See `Part.path`."""
        return self.locate(site)

    def installed(self, old: bytes | None, site: Site, found: Found) -> bytes | None:
        """See `Part.installed`."""
        text = _text(old or b"")
        line = _line(site, text)
        if line is None or _obstacle(text):
            return old
        if (ours := _OURS.search(text)) is not None:
            new = text[: ours.start()] + line + text[ours.end() :]
            found.inserted = found.inserted.replace(ours.group(), line)
        else:
            at, found.inserted = _insertion(text, line)
            new = text[:at] + found.inserted + text[at:]
        return new.encode("utf-8")

    def removed(self, old: bytes, found: Found) -> bytes | None:
        """See `Part.removed`."""
        text = _text(old)
        if not _is_ours(_exporter(text)):
            return old
        if found.inserted and text.count(found.inserted) == 1:
            text = text.replace(found.inserted, "")
        else:
            # Somebody laid it out anew, or the record is lost: the line goes, and a table of
            # nothing with it.
            text = _taken_out(text)
        return None if found.created and not text.strip() else text.encode("utf-8")

    def inspect(self, data: bytes, site: Site) -> Inspection:
        """See `Part.inspect`."""
        text = _text(data)
        line, exporter = _line(site, text), _exporter(text)
        warnings = [] if line is None else [warning for warning in (_obstacle(text),) if warning]
        if tomllib.loads(text).get("features", {}).get("hooks") is False:
            warnings.append("features.hooks: no hook runs while it is false")
        return Inspection(
            present=_is_ours(exporter),
            current=line is None or exporter == tomllib.loads(line)["exporter"] or bool(warnings),
            warnings=tuple(warnings),
        )


def _taken_out(text: str) -> str:
    """Returns the text without our line.

    Raises:
        TypeError: it is laid out so that more than our line would go.
    """
    new = _EMPTY_TABLE.sub("", _OURS.sub("", text))
    wanted = tomllib.loads(text)
    wanted["otel"].pop("exporter")
    try:
        if {"otel": {}, **tomllib.loads(new)} == wanted:
            return new
    except tomllib.TOMLDecodeError:
        pass
    raise TypeError("otel.exporter is not on one line of its own")


def _text(data: bytes) -> str:
    """Returns the file as text.

    Raises:
        TypeError: it is not UTF-8.
        tomllib.TOMLDecodeError: it is no TOML.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise TypeError(f"byte {error.start} is not UTF-8") from None
    tomllib.loads(text)
    return text


def _line(site: Site, text: str) -> str | None:
    """Returns our line, None where telemetry goes nowhere."""
    if site.telemetry is None:
        return None
    where = json.dumps(f"{site.telemetry.url}/v1/logs")
    headers = f'headers = {{ "{HEADER}" = {json.dumps(site.telemetry.token)} }}'
    exporter = f'{{ endpoint = {where}, protocol = "binary", {headers} }}'
    return f"exporter = {{ otlp-http = {exporter} }}{_newline(text)}"


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _exporter(text: str) -> object:
    otel = tomllib.loads(text).get("otel", {})
    return otel.get("exporter") if isinstance(otel, dict) else None


def _is_ours(exporter: object) -> bool:
    if not isinstance(exporter, dict):
        return False
    http = exporter.get("otlp-http")
    return isinstance(http, dict) and HEADER in (http.get("headers") or {})


def _insertion(text: str, line: str) -> tuple[int, str]:
    """Returns where to put our line and what to put there: into the table, or with one."""
    table = _TABLE.search(text)
    if table is not None:
        return table.end(), line if table.group().endswith("\n") else _newline(text) + line
    newline = _newline(text)
    ended = not text or text.endswith("\n")
    before = ("" if ended else newline) + (newline if text.strip() else "")
    return len(text), f"{before}[otel]{newline}{line}"


def _obstacle(text: str) -> str:
    """Returns why our line cannot be put in, empty when it can: nothing of others is replaced."""
    exporter = _exporter(text)
    if _is_ours(exporter):
        return "" if _OURS.search(text) else "otel.exporter: laid out anew; it stays as it is"
    if exporter is not None:
        return f"otel.exporter: there is one already; it stays as it is. {_FORWARD}"
    at, inserted = _insertion(text, "exporter = 0\n")
    try:
        after = tomllib.loads(text[:at] + inserted + text[at:])
    except tomllib.TOMLDecodeError:
        after = {}
    wanted = tomllib.loads(text)
    wanted.setdefault("otel", {})["exporter"] = 0
    if after == wanted:
        return ""
    return "otel: written in a way that cannot be added to; write it as a table [otel]"
