"""Installs the pinned agent programs that the end-to-end tests drive into the checkout's cache.

Owns ``.cache/agents/<package>-<version>/``: one npm prefix per agent and version, complete or not
there at all.  Must not read or change anything of the user's own installation; needs a network only
when a prefix is missing.  The versions come from ``tools/versions.toml``, table ``[agents]``.

    python tools/fetch_agents.py claude-code        prints the path of the program
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
CACHE = CHECKOUT / ".cache" / "agents"
VERSIONS = CHECKOUT / "tools" / "versions.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """How one agent is installed: its npm package and the program that the package brings.

    Attributes:
        tells_version: whether the program knows ``--version``; else it must only start.
    """

    package: str
    program: str
    tells_version: bool = True


AGENTS = {
    "claude-code": Agent(package="@anthropic-ai/claude-code", program="claude"),
    "codex": Agent(package="@openai/codex", program="codex"),
    "copilot": Agent(package="@github/copilot", program="copilot"),
    "gemini-cli": Agent(package="@google/gemini-cli", program="gemini"),
    "opencode": Agent(package="opencode-ai", program="opencode"),
    "qwen-code": Agent(package="@qwen-code/qwen-code", program="qwen"),
    "claude-agent-acp": Agent(
        package="@agentclientprotocol/claude-agent-acp",
        program="claude-agent-acp",
        tells_version=False,
    ),
    "codex-acp": Agent(
        package="@zed-industries/codex-acp", program="codex-acp", tells_version=False
    ),
}


class FetchError(Exception):
    """An agent is neither in the cache nor installable; the message says what to do."""


def pinned_version(name: str, versions: Path = VERSIONS) -> str:
    """Returns the version that ``versions.toml`` pins for the agent `name`.

    Raises:
        FetchError: the agent is not pinned.
    """
    with versions.open("rb") as file:
        agents = tomllib.load(file).get("agents", {})
    if name not in agents:
        raise FetchError(f"{versions.name}: [agents] has no key {name}")
    return str(agents[name])


def prefix_of(name: str) -> Path:
    """Returns the npm prefix where the pinned version of `name` belongs, installed or not."""
    return CACHE / f"{name}-{pinned_version(name)}"


def program_of(name: str) -> Path:
    """Returns where the program of `name` is once `fetch` has run."""
    return prefix_of(name) / "node_modules" / ".bin" / AGENTS[name].program


def fetch(name: str) -> Path:
    """Returns the program of the agent `name`, installing its pinned version when it is missing.

    Idempotent and safe to call from several processes at once; offline when the prefix is there.

    Raises:
        FetchError: npm is missing or fails, or what it installed does not run.
    """
    program = program_of(name)
    if program.exists():
        return program
    CACHE.mkdir(parents=True, exist_ok=True)
    with _locked(CACHE / ".lock"):
        if not program.exists():
            _install(name)
    return program


def _install(name: str) -> None:
    """Installs beside and renames, so that a prefix that exists is always a complete one."""
    npm = shutil.which("npm")
    if npm is None:
        raise FetchError(
            f"{name} is not in the cache and npm is not on PATH: install Node.js >= 18"
        )
    wanted = f"{AGENTS[name].package}@{pinned_version(name)}"
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=CACHE))
    try:
        # An own package.json: without it npm walks up and installs into the checkout's parent.
        (partial / "package.json").write_text('{"private": true}\n')
        _run([npm, "install", "--no-audit", "--no-fund", "--loglevel=error", wanted], cwd=partial)
        _check(partial / "node_modules" / ".bin" / AGENTS[name].program, name)
        shutil.rmtree(prefix_of(name), ignore_errors=True)
        partial.rename(prefix_of(name))
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _check(program: Path, name: str) -> None:
    """Asks the program for its version in an empty HOME: proof that it runs on this machine."""
    version = pinned_version(name)
    question = "--version" if AGENTS[name].tells_version else "--help"
    with tempfile.TemporaryDirectory(prefix="agentdiff-fetch-") as home:
        environment = {"HOME": home, "PATH": os.environ.get("PATH", os.defpath)}
        said = _run([str(program), question], cwd=Path(home), env=environment)
    if AGENTS[name].tells_version and version not in said:
        raise FetchError(f"{program.name} --version says {said.strip()!r}, not {version}")


def _run(argv: Sequence[str], *, cwd: Path, env: dict[str, str] | None = None) -> str:
    try:
        done = subprocess.run(
            argv,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as error:
        raise FetchError(f"{argv[0]}: {error}") from error
    if done.returncode != 0:
        raise FetchError(f"{' '.join(argv)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main(argv: Sequence[str] | None = None) -> int:
    """Fetches the named agents (default: all) and prints the path of each program."""
    parser = argparse.ArgumentParser(description="Install the pinned agents into .cache/agents.")
    parser.add_argument("agents", nargs="*", metavar="AGENT", help=", ".join(AGENTS))
    names = parser.parse_args(argv).agents or list(AGENTS)
    unknown = sorted(set(names) - set(AGENTS))
    if unknown:
        parser.error(f"unknown agent {', '.join(unknown)}; known: {', '.join(AGENTS)}")
    try:
        for name in names:
            print(fetch(name))
    except FetchError as error:
        print(f"fetch_agents: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
