"""Brings the Neovims that the tests and the demo run on into the checkout's cache.

Owns ``.cache/nvim/<series>/``: complete or not there at all, with a launcher ``nvim`` and a file
``PROVENANCE`` that says what came.  Must not touch any other Neovim.  Offline once it has run.  The
Debian suite of each series is in ``tools/versions.toml``.

    python tools/fetch_nvim.py 0.12   prints the launcher of the series 0.12
    python tools/fetch_nvim.py any    prints $NVIM_BIN, else the nvim on PATH if it is new enough,
                                      else the launcher of the newest series
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import debian

CHECKOUT = Path(__file__).resolve().parent.parent
CACHE = CHECKOUT / ".cache" / "nvim"
VERSIONS = CHECKOUT / "tools" / "versions.toml"
MINIMUM = (0, 10)
_VERSION = re.compile(r"^NVIM v(\d+)\.(\d+)\.(\d+)")


def series_of(versions: Path = VERSIONS) -> dict[str, str]:
    """Returns the Debian suite of each Neovim series, oldest series first."""
    with versions.open("rb") as file:
        table = tomllib.load(file)["nvim"]
    return dict(sorted(table.items(), key=lambda item: _numbers(item[0])))


def version_of(program: Path) -> tuple[int, int, int]:
    """Returns the version that a Neovim says it has.

    Raises:
        debian.FetchError: the program does not run or is no Neovim.
    """
    said = debian.run([program, "--version"])
    match = _VERSION.match(said)
    if match is None:
        raise debian.FetchError(f"{program} --version says {said[:60]!r}: that is no Neovim")
    return int(match[1]), int(match[2]), int(match[3])


def any_nvim() -> Path:
    """Returns a Neovim to work with: the user's own if it is new enough, else a fetched one.

    Raises:
        debian.FetchError: $NVIM_BIN is set and unusable, or nothing can be fetched.
    """
    chosen = os.environ.get("NVIM_BIN")
    if chosen:
        if version_of(Path(chosen))[:2] < MINIMUM:
            raise debian.FetchError(f"$NVIM_BIN={chosen} is older than Neovim 0.10")
        return Path(chosen)
    on_path = shutil.which("nvim")
    if on_path and version_of(Path(on_path))[:2] >= MINIMUM:
        return Path(on_path)
    return fetch(list(series_of())[-1])


def fetch(series: str, cache: Path = CACHE) -> Path:
    """Returns the launcher of a Neovim of `series`, fetching it when it is missing.

    Idempotent and safe to call from several processes at once; offline when it is there.

    Raises:
        debian.FetchError: unknown series, or this machine cannot fetch it.
    """
    suites = series_of()
    if series not in suites:
        raise debian.FetchError(f"no Neovim {series}: versions.toml has {', '.join(suites)}")
    launcher = cache / series / "nvim"
    with debian.locked(cache):
        if launcher.exists() and _runs(launcher):
            return launcher
        if not debian.available():
            raise debian.FetchError(
                f"Neovim {series} is fetched from Debian's packages, which needs apt-get, dpkg, "
                "Debian's keyring and a Debian mirror in apt's sources: install Neovim 0.10 or "
                "newer yourself and set NVIM_BIN to its path"
            )
        _fetch_into(launcher.parent, series=series, suite=suites[series])
    return launcher


def _fetch_into(final: Path, *, series: str, suite: str) -> None:
    """Unpacks beside `final`, checks what came, then puts it in place with one rename."""
    print(f"fetching Neovim {series} from Debian {suite} …", file=sys.stderr)
    beside = Path(tempfile.mkdtemp(prefix=f".{series}-", dir=final.parent))
    try:
        came = debian.unpack(["neovim"], suite=suite, prefix=beside)
        program = Path("root/usr/bin/nvim")
        debian.make_runnable(beside / program, root=beside / "root", final_root=final / "root")
        runtime = final / "root/usr/share/nvim/runtime"
        runtime_word, program_word = (shlex.quote(str(path)) for path in (runtime, final / program))
        launcher = f'#!/bin/sh\nVIMRUNTIME={runtime_word} exec {program_word} "$@"\n'
        (beside / "nvim").write_text(launcher, encoding="utf-8")
        (beside / "nvim").chmod(0o755)
        provenance = "\n".join([f"debian {suite}", *came, ""])
        (beside / "PROVENANCE").write_text(provenance, encoding="utf-8")
        beside.chmod(0o755)
        if final.exists():
            shutil.rmtree(final)
        beside.rename(final)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    version = version_of(final / "nvim")
    if version[:2] < _numbers(series):
        shutil.rmtree(final)
        raise debian.FetchError(f"Debian {suite} has Neovim {version}, older than {series}")
    print(f"Neovim {'.'.join(map(str, version))} in {final}", file=sys.stderr)


def _runs(launcher: Path) -> bool:
    """Tells whether a cached Neovim still starts; not after the checkout was moved."""
    try:
        done = subprocess.run([launcher, "--version"], capture_output=True, check=False)
    except OSError:
        return False
    return done.returncode == 0


def _numbers(series: str) -> tuple[int, ...]:
    return tuple(int(part) for part in series.split("."))


def main() -> int:
    """Prints the path of the Neovim asked for; returns the exit code."""
    parser = argparse.ArgumentParser(description="Print the path of a Neovim.")
    parser.add_argument("series", help=f"any, or one of: {', '.join(series_of())}")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where fetched Neovims live")
    args = parser.parse_args()
    try:
        print(any_nvim() if args.series == "any" else fetch(args.series, args.cache.absolute()))
    except debian.FetchError as error:
        print(f"fetch_nvim: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
