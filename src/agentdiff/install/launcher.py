"""Builds the launcher of the command trace, and keeps it for the next run.

Owns the file `Locations.launcher`: nobody executes it, each run copies what is in it.  Where no
compiler is found, or none that works, the launcher in perl serves; the runs are the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from importlib import resources
from pathlib import Path
from typing import Final

from agentdiff.install import files
from agentdiff.install.hook_client import built
from agentdiff.locations import Locations

_NAME: Final = "agentdiff-launcher"
_DIGEST_BYTES: Final = 32


def program(locations: Locations, compiler: str | None, *, wait_s: int) -> bytes | None:
    """Returns the launcher as a program, None where it cannot be built.

    Args:
        locations: where it is kept.
        compiler: absolute path, None for none.
        wait_s: how long it waits for the supervisor.

    Raises:
        OSError: what is kept cannot be read.
    """
    if compiler is None:
        return None
    source = source_of(wait_s)
    key = _key(source, compiler)
    kept = files.read(locations.launcher)
    if kept is not None:
        content = kept[2 * _DIGEST_BYTES :]
        # Checked, because a damaged one would stand in front of every program.
        if kept[: 2 * _DIGEST_BYTES] == key + hashlib.sha256(content).digest():
            return content or None
    content = build(source, compiler) or b""
    # That a compiler builds nothing is kept, too: it is not asked again for each run.
    # Another run may have just put it there, or the disk is full: this one has what it needs.
    with contextlib.suppress(OSError):
        new = key + hashlib.sha256(content).digest() + content
        files.replace(locations.launcher, kept, new, mode=0o600)
    return content or None


def source_of(wait_s: int) -> bytes:
    """Returns the launcher's source in C; for `wait_s` see `program`."""
    template = resources.files("agentdiff").joinpath("sources", "trace", "launcher.c")
    return template.read_bytes().replace(b"@WAIT@", str(wait_s).encode())


def build(source: bytes, compiler: str) -> bytes | None:
    """Returns the program, None when the compiler does not make one that runs here."""
    return built(source, compiler, name=_NAME, arguments=(), says=_NAME.encode())


def remove(locations: Locations) -> None:
    """Removes what is kept.

    Raises:
        OSError: it cannot be removed.
    """
    locations.launcher.unlink(missing_ok=True)


def _key(source: bytes, compiler: str) -> bytes:
    """Returns what a program depends on: with another compiler or machine it is built anew."""
    system = os.uname()
    found = Path(compiler).stat()
    facts = (compiler, found.st_size, found.st_mtime_ns, system.sysname, system.release)
    text = repr((*facts, system.machine)).encode("utf-8", "surrogateescape")
    return hashlib.sha256(text + source).digest()
