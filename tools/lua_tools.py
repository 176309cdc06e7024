"""Runs StyLua and luacheck over the Lua sources, fetching both into the checkout's cache first.

Owns ``.cache/stylua-<version>/`` (npm's WebAssembly build: the binary packages download from
elsewhere while they install) and ``.cache/luacheck/`` (Debian's packages, with the Lua that runs
them).  Versions come from ``tools/versions.toml``.  Offline once both are there.

    python tools/lua_tools.py check      StyLua --check and luacheck
    python tools/lua_tools.py fmt        StyLua in place
    python tools/lua_tools.py fetch      only makes sure that both are there
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import debian

CHECKOUT = Path(__file__).resolve().parent.parent
CACHE = CHECKOUT / ".cache"
VERSIONS = CHECKOUT / "tools" / "versions.toml"
FOLDERS = ("lua", "plugin", "ftplugin", "after", "tests")


def lua_sources() -> list[str]:
    """Returns every Lua file of the project, relative to the checkout, sorted."""
    found = [path for folder in FOLDERS for path in (CHECKOUT / folder).rglob("*.lua")]
    return sorted(str(path.relative_to(CHECKOUT)) for path in found)


def stylua(cache: Path = CACHE) -> Path:
    """Returns the folder of the pinned StyLua's npm package, installing it when it is missing.

    Raises:
        debian.FetchError: npm is missing or fails.
    """
    version = _pinned("stylua")
    final = cache / f"stylua-{version}"
    package = final / "node_modules/@johnnymorganz/stylua"
    with debian.locked(cache):
        if not package.exists():
            beside = Path(tempfile.mkdtemp(prefix=".stylua-", dir=cache))
            flags = ["--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
            wanted = f"@johnnymorganz/stylua@{version}"
            debian.run(["npm", "install", *flags, "--prefix", beside, wanted])
            beside.rename(final)
    return package


def luacheck(cache: Path = CACHE) -> list[str]:
    """Returns the command that runs luacheck: the one on PATH, else Debian's, fetched if missing.

    Raises:
        debian.FetchError: there is none and this machine cannot fetch it.
    """
    on_path = shutil.which("luacheck")
    if on_path:
        return [on_path]
    final = cache / "luacheck"
    launcher = final / "luacheck"
    with debian.locked(cache):
        if not launcher.exists():
            if not debian.available():
                raise debian.FetchError(
                    "luacheck is fetched from Debian's packages, which needs apt-get, dpkg, "
                    "Debian's keyring and a mirror in apt's sources: install luacheck yourself"
                )
            _fetch_luacheck(final)
    return [str(launcher)]


def _fetch_luacheck(final: Path) -> None:
    """Unpacks luacheck with its Lua beside `final`, then puts it in place with one rename."""
    beside = Path(tempfile.mkdtemp(prefix=".luacheck-", dir=final.parent))
    try:
        packages = ["lua-check", "lua5.1"]
        debian.unpack(packages, suite=_pinned("luacheck"), prefix=beside)
        lua = Path("root/usr/bin/lua5.1")
        debian.make_runnable(beside / lua, root=beside / "root", final_root=final / "root")
        programs = final / "root" / "usr"
        share = programs / "share/lua/5.1"
        clib = min((beside / "root").rglob("lua/5.1/lfs.so")).parent.relative_to(beside)
        script = [
            "#!/bin/sh",
            f"export LUA_PATH='{share}/?.lua;{share}/?/init.lua' LUA_CPATH='{final}/{clib}/?.so'",
            f"exec '{final}/{lua}' '{programs}/bin/luacheck' \"$@\"",
        ]
        (beside / "luacheck").write_text("\n".join([*script, ""]), encoding="utf-8")
        (beside / "luacheck").chmod(0o755)
        beside.rename(final)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _pinned(tool: str) -> str:
    with VERSIONS.open("rb") as file:
        return str(tomllib.load(file)["lua"][tool])


def main() -> int:
    """Checks or formats every Lua file; returns the exit code."""
    parser = argparse.ArgumentParser(description="Check or format the Lua sources.")
    parser.add_argument("what", choices=("check", "fmt", "fetch"))
    args = parser.parse_args()
    sources = lua_sources()
    if not sources and args.what != "fetch":
        print("lua_tools: there is no Lua file to look at", file=sys.stderr)
        return 1
    try:
        formatter = ["node", str(CHECKOUT / "tools/stylua.mjs"), str(stylua())]
        linter = luacheck() if args.what != "fmt" else []
    except debian.FetchError as error:
        print(f"lua_tools: {error}", file=sys.stderr)
        return 1
    env = {name: value for name, value in os.environ.items() if not name.startswith("LUA_")}
    commands = {
        "check": [[*formatter, "check", *sources], [*linter, "--quiet", "--no-color", *sources]],
        "fmt": [[*formatter, "fmt", *sources]],
        "fetch": [],
    }[args.what]
    done = [subprocess.run(command, cwd=CHECKOUT, env=env, check=False) for command in commands]
    return max((each.returncode for each in done), default=0)


if __name__ == "__main__":
    sys.exit(main())
