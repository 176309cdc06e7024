"""Puts the hook client where the agents' settings expect it.

Owns the file `Locations.hook_client`: its path never changes, so that settings that name it stay
byte for byte the same when agentdiff is upgraded or moved; only its content knows the interpreter.
"""

from __future__ import annotations

import functools
import marshal
import os
import shlex
import stat
import subprocess
import sys
import tempfile
from importlib import resources
from importlib.util import MAGIC_NUMBER
from pathlib import Path
from typing import Final

from agentdiff.errors import MalformedPayload
from agentdiff.install import files
from agentdiff.locations import Locations

_MODE: Final = 0o755
_PERL: Final = "/usr/bin/perl"

# Linux cuts the first line of a script here.
_SHEBANG_BYTES: Final = 127

# Static first: it starts in three quarters of the time.  No build id, so that the same source gives
# the same bytes.
_COMPILE: Final = (
    ("-O2", "-s", "-static", "-Wl,--build-id=none"),
    ("-O2", "-s"),
    ("-O2",),
)
_COMPILE_TIMEOUT_S: Final = 60.0

_SHELL = """\
#!/bin/sh
# agentdiff hook client where there is no perl and no interpreter that can stand in a script's first
# line: slower, otherwise the same.  Never fails the agent.
trap 'exit 0' INT TERM HUP
{python} -E -P -m agentdiff hook --socket {socket} --state {state} "$@"
exit 0
"""

# Reading a constant takes no time; compiling the text takes a tenth of the client's.
_PYTHON: Final = """\
%s
# agentdiff hook client: what `exec` runs is TEXT, compiled by the Python that installed it.
import marshal
import sys

MAGIC = %r
CODE = %r
TEXT = r'''
%s'''
same = sys.modules["_frozen_importlib_external"].MAGIC_NUMBER == MAGIC
exec(marshal.loads(CODE) if same else compile(TEXT, "agentdiff-hook", "exec"))
"""

# What the compiled client says when it is asked whether it runs on this machine.
PROBED: Final = b"agentdiff hook client\n"


def template(name: str) -> str:
    """Returns the text of ``hook_client.pl`` or ``hook_client.py`` with places to fill in."""
    return resources.files("agentdiff").joinpath("sources", name).read_text(encoding="utf-8")


def interpreter() -> str:
    """Returns the Python that can import agentdiff, by the one name that it always has.

    `sys.executable` is ``python`` or ``python3`` as the caller pleased; the client's bytes must not
    depend on that.

    Raises:
        MalformedPayload: this Python does not know its own path.
    """
    own = os.path.join(sys.prefix, "bin", "python")
    if sys.prefix != sys.base_prefix and os.access(own, os.X_OK):
        return own
    if not sys.executable:
        raise MalformedPayload("this Python does not know its own path, and hooks need it")
    return sys.executable


def find_perl(search_path: str) -> str | None:
    """Returns an absolute path of perl, the system's own first; None when there is none.

    Args:
        search_path: the value of ``PATH``; relative folders in it are ignored.
    """
    folders = [folder for folder in search_path.split(":") if folder.startswith("/")]
    for place in (_PERL, *(f"{folder}/perl" for folder in folders)):
        # A path with white space cannot stand in the first line of a script.
        if os.access(place, os.X_OK) and os.path.isfile(place) and len(place.split()) == 1:
            return place
    return None


def find_compiler(search_path: str) -> str | None:
    """Returns an absolute path of a C compiler; None when there is none.

    Args:
        search_path: the value of ``PATH``; relative folders in it are ignored.
    """
    folders = [folder for folder in search_path.split(":") if folder.startswith("/")]
    for place in (f"{folder}/{name}" for name in ("cc", "gcc", "clang") for folder in folders):
        if os.access(place, os.X_OK) and os.path.isfile(place):
            return place
    return None


def render(
    locations: Locations, python: str, perl: str | None, compiler: str | None = None
) -> bytes:
    """Returns the client's content.

    Args:
        locations: whose socket and state it uses when its arguments name no other.
        python: absolute path of an interpreter that can import agentdiff.
        perl: absolute path; None for a client in Python (slower by the interpreter's start).
        compiler: absolute path; where it works, the client is a program of its own, which takes
            a third of the time of the one in perl.
    """
    program = _compiled(locations, python, compiler) if compiler is not None else None
    if program is not None:
        return program
    socket, state = str(locations.hook_socket), str(locations.state)
    if perl is not None:
        places = {"@PERL@": perl, "@PYTHON@": python, "@SOCKET@": socket, "@STATE@": state}
        return _filled(template("hook_client.pl"), places)
    first_line = f"#!{python} -ISE"
    if len(python.split()) == 1 and len(os.fsencode(first_line)) <= _SHEBANG_BYTES:
        return python_client(locations, first_line, python)
    shown = {"python": python, "socket": socket, "state": state}
    quoted = {name: shlex.quote(value) for name, value in shown.items()}
    return os.fsencode(_SHELL.format(**quoted))


def _compiled(locations: Locations, python: str, compiler: str) -> bytes | None:
    """Returns the client as a program; None when it cannot be built, or does not run here."""
    places = {"PYTHON": python, "SOCKET": str(locations.hook_socket)}
    source = template("hook_client.c").encode()
    for word, place in {**places, "STATE": str(locations.state)}.items():
        # Octal, three digits: no character of a path can end the literal or join its neighbour.
        literal = "".join(f"\\{byte:03o}" for byte in os.fsencode(place))
        source = source.replace(f"@{word}@".encode(), f'"{literal}"'.encode())
    return built(source, compiler, name="client", arguments=("--probe",), says=PROBED)


@functools.lru_cache(maxsize=4)
def built(
    source: bytes, compiler: str, *, name: str, arguments: tuple[str, ...], says: bytes
) -> bytes | None:
    """Returns the program that a compiler makes, None when none of its ways gives one that runs.

    Args:
        source: in C.
        compiler: absolute path.
        name: of the program when it is tried.
        arguments: what it is tried with.
        says: what it must print then, and end with 0.
    """
    with tempfile.TemporaryDirectory(prefix="agentdiff-cc-") as folder:
        path = Path(folder) / name
        for options in _COMPILE:
            try:
                subprocess.run(
                    [compiler, "-x", "c", *options, "-o", str(path), "-"],
                    input=source,
                    capture_output=True,
                    cwd=folder,
                    timeout=_COMPILE_TIMEOUT_S,
                    check=True,
                )
                tried = subprocess.run(
                    [str(path), *arguments],
                    input=b"",
                    capture_output=True,
                    timeout=_COMPILE_TIMEOUT_S,
                    check=True,
                )
            except (OSError, subprocess.SubprocessError):
                continue
            if tried.stdout == says:
                return path.read_bytes()
    return None


def python_client(locations: Locations, first_line: str, python: str) -> bytes:
    """Returns the client in Python, compiled for this Python, with its text for any other.

    Args:
        locations: whose socket and state it uses when its arguments name no other.
        first_line: names the interpreter that runs it.
        python: absolute path of the one that can import agentdiff.
    """
    text = template("hook_client.py")
    places = {"PYTHON": python, "SOCKET": str(locations.hook_socket)}
    for word, place in {**places, "STATE": str(locations.state)}.items():
        text = text.replace(f'"@{word}@"', ascii(place))
    code = marshal.dumps(compile(text, "agentdiff-hook", "exec", dont_inherit=True, optimize=2))
    return (_PYTHON % (first_line, MAGIC_NUMBER, code, text.partition("\n")[2])).encode()


def _filled(text: str, places: dict[str, str]) -> bytes:
    for word, place in places.items():
        text = text.replace(word, place.replace("\\", "\\\\").replace("'", "\\'"))
    return os.fsencode(text)


def install_hook_client(
    locations: Locations, python: str, *, perl: str | None, compiler: str | None = None
) -> bool:
    """Writes the client, unless it is there already; the arguments are those of `render`.

    Returns:
        Whether anything was written.

    Raises:
        OSError: it cannot be written.
    """
    return write_hook_client(locations, render(locations, python, perl, compiler))


def write_hook_client(locations: Locations, content: bytes) -> bool:
    """Does what `install_hook_client` does with a client that was rendered."""
    path = locations.hook_client
    old = files.read(path)
    if old == content and stat.S_IMODE(path.stat().st_mode) == _MODE:
        return False
    files.replace(path, old, content, mode=_MODE)
    path.chmod(_MODE)
    return True


def remove_hook_client(locations: Locations) -> None:
    """Removes the client, and its folders when they are empty.

    Raises:
        OSError: it cannot be removed.
    """
    path: Path = locations.hook_client
    files.remove(path, files.read(path), (path.parent, locations.data))
