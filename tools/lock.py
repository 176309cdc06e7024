"""Writes the lock files from pyproject.toml: each package, its version, the hashes of its files.

Owns ``requirements.lock`` (what the plugin needs) and ``requirements-dev.lock`` (and what its tests
need).  The locks are universal: one file for Linux and macOS and for every Python that
pyproject.toml allows.  Only this tool uses uv; pip installs from what it writes.

    make lock
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
LOCKS: dict[str, list[str]] = {"requirements.lock": [], "requirements-dev.lock": ["--extra", "dev"]}
FLAGS = "--universal --generate-hashes --upgrade --no-header --no-emit-index-url --quiet"
HEADER = "# Written by `make lock` from pyproject.toml.  Do not edit.\n"


def main() -> int:
    """Writes both lock files; returns the exit code."""
    with (CHECKOUT / "pyproject.toml").open("rb") as file:
        build_requires = tomllib.load(file)["build-system"]["requires"]
    with (CHECKOUT / "tools" / "versions.toml").open("rb") as file:
        wanted = f"uv=={tomllib.load(file)['python']['uv']}"
    with tempfile.TemporaryDirectory(prefix="agentdiff-uv-") as folder:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", folder, wanted]
        subprocess.run(pip, check=True)
        uv = Path(folder) / "bin" / "uv"
        for name, extras in LOCKS.items():
            inputs = ["--python", sys.executable, *extras, "pyproject.toml", "-"]
            command = [str(uv), "pip", "compile", *FLAGS.split(), *inputs]
            stdin = "\n".join(build_requires)
            done = subprocess.run(
                command, cwd=CHECKOUT, input=stdin, stdout=subprocess.PIPE, text=True, check=True
            )
            (CHECKOUT / name).write_text(HEADER + done.stdout, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
