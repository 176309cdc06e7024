"""Where agents send telemetry to, as their settings have to say it.

Owns the address and the secret that go into settings: the port is the daemon's setting, the token
is in the state folder.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from dataclasses import dataclass
from typing import Final

from agentdiff import config
from agentdiff.locations import Locations

HEADER: Final = "x-agentdiff-token"
_TOKEN: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """The daemon's OTLP listener.

    Attributes:
        url: without a path.
        token: goes into the header `HEADER` of every request.
    """

    url: str
    token: str

    @property
    def headers(self) -> str:
        """The headers in the notation of ``OTEL_EXPORTER_OTLP_HEADERS``."""
        return f"{HEADER}={self.token}"


def endpoint(locations: Locations) -> Endpoint | None:
    """Returns where telemetry goes, None when the user switched it off or the port is not stable.

    Without a token, which the first daemon makes, the endpoint has one that holds for this object
    only; see `keep_token`.

    Raises:
        OSError: the token cannot be read.
    """
    settings = config.load(locations.config_file).otlp
    if not settings.enabled or settings.port == 0:
        return None
    token = ""
    with contextlib.suppress(FileNotFoundError):
        token = locations.token_file.read_text("ascii", errors="replace").strip()
    known = token if _TOKEN.fullmatch(token) else secrets.token_hex(32)
    return Endpoint(url=f"http://127.0.0.1:{settings.port}", token=known)


def keep_token(locations: Locations, given: Endpoint | None) -> None:
    """Writes the token down, unless there is one: the daemon takes what it finds.

    Raises:
        OSError: it cannot be written.
    """
    if given is None:
        return
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with contextlib.suppress(FileExistsError):
        fd = os.open(locations.token_file, flags, 0o600)
        with open(fd, "w", encoding="ascii") as file:
            file.write(given.token + "\n")
