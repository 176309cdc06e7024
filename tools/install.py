"""Puts the checkout into use as it is: what every plugin manager runs after an update.

Writes the help tags, renews the hook client that agents start, and stops a running daemon, so that
the next event starts the new one.  Says what it did.  Must not edit an agent's configuration
(``agentdiff install`` does) or anything of Neovim's.  Runs in ``.venv``, which ``make`` has made.

    make install
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from agentdiff.install.hook_client import find_compiler, find_perl, install_hook_client, interpreter
from agentdiff.locations import Locations

CHECKOUT = Path(__file__).resolve().parent.parent
AGENTDIFF = Path(sys.executable).parent / "agentdiff"
NOTHING_TO_DO = 1


class StepError(Exception):
    """A step did not work; the message says which and why."""


def help_tags() -> str:
    """Writes ``doc/tags``; returns what happened.

    Raises:
        StepError: Neovim refuses the help file.
    """
    nvim = os.environ.get("NVIM_BIN") or shutil.which("nvim")
    if nvim is None:
        return "no nvim on PATH: run :helptags ALL in Neovim"
    folder = str(CHECKOUT / "doc").replace("'", "''")
    script = f"execute 'helptags' fnameescape('{folder}')"
    done = _run([nvim, "--clean", "--headless", "-c", script, "-c", "quitall"])
    if done.returncode != 0 or done.stderr.strip():
        raise StepError(f"help tags: {done.stderr.strip()}")
    return "written to doc/tags"


def renew_hook_client() -> str:
    """Rewrites the hook client for this checkout if agents are connected; returns what happened.

    Raises:
        StepError: it cannot be written.
    """
    try:
        locations = Locations.from_env(os.environ)
    except KeyError as missing:
        raise StepError(f"hook client: {missing.args[0]} is not set") from None
    if not locations.hook_client.exists():
        return "no agent is connected yet: agentdiff install claude"
    path = os.environ.get("PATH", os.defpath)
    perl, compiler = find_perl(path), find_compiler(path)
    try:
        renewed = install_hook_client(locations, interpreter(), perl=perl, compiler=compiler)
    except OSError as error:
        raise StepError(f"hook client: {error}") from error
    return f"{'renewed' if renewed else 'up to date'}: {locations.hook_client}"


def daemon() -> str:
    """Stops the running daemon, if there is one; returns what happened.

    Raises:
        StepError: it runs and does not stop.
    """
    done = _run([str(AGENTDIFF), "daemon", "stop"])
    if done.returncode == NOTHING_TO_DO:
        return "was not running; it starts when it is needed"
    if done.returncode != 0:
        raise StepError(f"daemon: {(done.stderr or done.stdout).strip()}")
    return "stopped; the next event starts the new one"


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


def main() -> int:
    """Runs every step, saying what it did; returns the exit code."""
    print(f"packages: {Path(sys.prefix)}, as locked")
    try:
        print(f"help tags: {help_tags()}")
        print(f"hook client: {renew_hook_client()}")
        print(f"daemon: {daemon()}")
    except StepError as error:
        print(f"make install: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
