"""The user's settings: ``$XDG_CONFIG_HOME/agentdiff/config.toml``.

Owns every key, its type, its default and its meaning.  Must not fail a start: a key that cannot be
used becomes a named problem and its default holds; the daemon logs it and ``agentdiff doctor``
shows it.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

External: TypeAlias = Literal["external", "user", "agent"]
TraceAction: TypeAlias = Literal["deny", "dry-run"]

OTLP_BASE_PORT = 41318
# RFC 9110: a token; and text of ISO 8859-1 without control characters.
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t -~\xa0-\xff]*")


def default_otlp_port() -> int:
    """Returns the port of this user: stable, and apart from other users of the machine."""
    return OTLP_BASE_PORT + os.getuid() % 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class OtlpConfig:
    """``[otlp]``: the telemetry listener.

    Attributes:
        enabled: whether it listens at all.
        port: on 127.0.0.1; 0 takes a free one (tests).
        forward: address of a collector that gets everything as well, empty for none.
        forward_headers: what that collector wants besides, such as an authorisation.
        metrics: address of a collector that gets the daemon's own metrics, empty for none.
        metrics_headers: what that one wants besides.
    """

    enabled: bool = True
    port: int = field(default_factory=default_otlp_port)
    forward: str = ""
    forward_headers: Mapping[str, str] = field(default_factory=dict)
    metrics: str = ""
    metrics_headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonConfig:
    """``[daemon]``.

    Attributes:
        idle_minutes: how long it stays with no client, no live session and no request, and how long
            a workspace stays open with none of them; 0 for ever.
    """

    idle_minutes: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceConfig:
    """``[workspace]``: what is followed.

    Attributes:
        max_file_bytes: larger files are named, not kept.
        max_files: trees with more files are followed for named files only.
        store_mib: what earlier contents may take on disk, for each workspace.
        include: globs of ignored files that are followed all the same.
    """

    max_file_bytes: int = 16 * 1024 * 1024
    max_files: int = 200_000
    store_mib: int = 512
    include: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewConfig:
    """``[review]``.

    Attributes:
        external: whose writes are those that nothing explains.
    """

    external: External = "external"


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceConfig:
    """``[trace]``: the command trace of ``agentdiff run --trace``.

    Attributes:
        tools: further programs that get a launcher; never a shell.
        core_utilities: whether ``cp``, ``rm``, ``sed`` and their like get one too.
        builtins: whether bash's built-ins (``cd``, ``export``) are logged.
        env_diff: whether the names of changed environment variables are logged.
        stderr_bytes: whether it is logged how much went to a standard error that is a file.
        redact: regular expressions of further secrets.
        rules: pairs of a command pattern and ``deny`` or ``dry-run``.
        max_log_bytes: size at which the log is put aside.
        keep_logs: how many are kept aside.
    """

    tools: tuple[str, ...] = ()
    core_utilities: bool = False
    builtins: bool = False
    env_diff: bool = False
    stderr_bytes: bool = False
    redact: tuple[re.Pattern[str], ...] = ()
    rules: tuple[tuple[str, TraceAction], ...] = ()
    max_log_bytes: int = 16 * 1024 * 1024
    keep_logs: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Every setting.

    Attributes:
        problems: one sentence per key (or file) that could not be used.
    """

    otlp: OtlpConfig = field(default_factory=OtlpConfig)
    daemon: DaemonConfig = field(default_factory=DaemonConfig)
    workspace: WorkspaceConfig = field(default_factory=WorkspaceConfig)
    review: ReviewConfig = field(default_factory=ReviewConfig)
    trace: TraceConfig = field(default_factory=TraceConfig)
    problems: tuple[str, ...] = ()


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError("expected true or false")
    return value


def _integer(low: int, high: int) -> Callable[[object], int]:
    def check(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise TypeError(f"expected a whole number from {low} to {high}")
        return value

    return check


def _address(value: object) -> str:
    """Without the path of a signal: that is added, as exporters do with their endpoint."""
    try:
        parts = urlsplit(value if isinstance(value, str) else "")
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise TypeError('expected an address such as "http://127.0.0.1:4318"')
    return str(value)


def _headers(value: object) -> Mapping[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise TypeError("expected a table of strings")
    for name, text in value.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(text):
            raise TypeError(f"{name!r} is no header that HTTP can carry, by its name or its value")
    return value


def _minutes(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
        raise TypeError("expected a number of minutes, 0 or more")
    return float(value)


def _globs(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise TypeError("expected a list of strings")
    return tuple(value)


def _external(value: object) -> str:
    if value not in ("external", "user", "agent"):
        raise TypeError('expected "external", "user" or "agent"')
    return str(value)


def _patterns(value: object) -> tuple[re.Pattern[str], ...]:
    try:
        return tuple(re.compile(text) for text in _globs(value))
    except re.error as error:
        raise TypeError(f"not a regular expression: {error}") from None


def _rules(value: object) -> tuple[tuple[str, str], ...]:
    expected = 'expected tables with command = "pattern" and action = "deny" or "dry-run"'
    rules = []
    for one in value if isinstance(value, list) else [None]:
        match one:
            case {"command": str(command), "action": "deny" | "dry-run" as action, **rest} if (
                command and not rest
            ):
                rules.append((command, str(action)))
            case _:
                raise TypeError(expected)
    return tuple(rules)


SCHEMA: Mapping[str, Mapping[str, Callable[[object], object]]] = {
    "otlp": {
        "enabled": _boolean,
        "port": _integer(0, 65535),
        "forward": _address,
        "forward_headers": _headers,
        "metrics": _address,
        "metrics_headers": _headers,
    },
    "daemon": {"idle_minutes": _minutes},
    "workspace": {
        "max_file_bytes": _integer(1, 1 << 30),
        "max_files": _integer(1, 100_000_000),
        "store_mib": _integer(1, 1 << 20),
        "include": _globs,
    },
    "review": {"external": _external},
    "trace": {
        "tools": _globs,
        "core_utilities": _boolean,
        "builtins": _boolean,
        "env_diff": _boolean,
        "stderr_bytes": _boolean,
        "redact": _patterns,
        "rules": _rules,
        "max_log_bytes": _integer(4096, 1 << 40),
        "keep_logs": _integer(0, 1000),
    },
}
_TABLES: Mapping[str, Callable[..., object]] = {
    "otlp": OtlpConfig,
    "daemon": DaemonConfig,
    "workspace": WorkspaceConfig,
    "review": ReviewConfig,
    "trace": TraceConfig,
}


def load(path: Path) -> Config:
    """Reads the settings; a missing file means the defaults, a broken one too, with a problem."""
    try:
        document = tomllib.loads(path.read_bytes().decode("utf-8"))
    except FileNotFoundError:
        return Config()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        return Config(problems=(f"{path}: {error}; the defaults are used for everything",))
    return parse(document, str(path))


def parse(document: Mapping[str, object], source: str) -> Config:
    """Checks a parsed document; `source` names it in the problems."""
    problems: list[str] = []
    tables: dict[str, object] = {}
    for name, content in document.items():
        if name not in SCHEMA:
            problems.append(f"{source}: unknown key {name!r} (known: {', '.join(sorted(SCHEMA))})")
        elif not isinstance(content, dict):
            problems.append(f"{source}: {name}: expected a table [{name}]")
        else:
            tables[name] = _TABLES[name](**_checked(name, content, source, problems))
    return Config(**tables, problems=tuple(problems))  # type: ignore[arg-type]  # by _TABLES


def _checked(
    table: str, content: Mapping[str, object], source: str, problems: list[str]
) -> dict[str, object]:
    """Returns the usable keys of one table and notes the others."""
    usable: dict[str, object] = {}
    for key, value in content.items():
        check = SCHEMA[table].get(key)
        if check is None:
            known = ", ".join(f"{table}.{name}" for name in sorted(SCHEMA[table]))
            problems.append(f"{source}: unknown key {f'{table}.{key}'!r} (known: {known})")
            continue
        try:
            usable[key] = check(value)
        except TypeError as error:
            got = list(value) if isinstance(value, dict) else value  # a header may hold a secret
            problems.append(f"{source}: {table}.{key}: {error}, got {got!r}; its default is used")
    return usable
