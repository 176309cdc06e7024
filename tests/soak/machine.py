"""A user of one's own: home, git work tree, daemon and hook client.

Owns their making and their end, and the samples of what `agentdiff daemon status` says.  Must not
expect anything.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agentdiff.client import Client
from agentdiff.daemon.launch import ensure_running
from agentdiff.install.hook_client import find_compiler, find_perl, install_hook_client
from agentdiff.locations import Locations

STORE_MIB = 96
SAMPLE_S = 2.0
BRANCH = "other"
_PER_FOLDER = 20
_LONG_FILES = 600
_GIT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    **{
        f"GIT_{who}_{what}": "soak@example.invalid"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    },
}


@dataclass(slots=True)
class Machine:
    """Everything of that user.

    Attributes:
        root: the work tree.
        branch_files: what another branch holds otherwise.
        long_files: what agents work on; alike on both branches.
    """

    home: Path
    root: Path
    locations: Locations
    branch_files: list[str] = field(default_factory=list)
    long_files: list[str] = field(default_factory=list)

    def git(self, *arguments: str) -> bytes:
        """Runs git in the work tree."""
        done = subprocess.run(
            ["git", *arguments], cwd=self.root, check=True, stdout=subprocess.PIPE
        )
        return done.stdout

    def client(self) -> Client:
        """Returns a connection like a command line's."""
        return Client(self.locations, start=False, timeout_s=180.0)

    def pid(self) -> int:
        """Returns the daemon's process id."""
        return int(self.locations.lock_file.read_text().split()[0])

    def log(self) -> list[dict[str, Any]]:
        """Returns the daemon's log, oldest first, as far as it is kept."""
        records = []
        for number in range(9, -1, -1):
            path = Path(f"{self.locations.log_file}{f'.{number}' if number else ''}")
            if path.exists():
                records += [json.loads(line) for line in path.read_text().splitlines()]
        return records

    def stop(self) -> float:
        """Ends the daemon and returns how long that took.

        Raises:
            TimeoutError: it does not end.
        """
        pid, began = self.pid(), time.monotonic()
        os.kill(pid, signal.SIGTERM)
        while time.monotonic() - began < 60:
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return time.monotonic() - began
            time.sleep(0.02)
        os.kill(pid, signal.SIGKILL)
        raise TimeoutError("the daemon did not end within 60 s of SIGTERM")


@contextmanager
def machine(files: int, branch_files: int) -> Iterator[Machine]:
    """Yields a machine with a work tree of so many files and a running daemon."""
    home = Path(tempfile.mkdtemp(prefix="agentdiff-soak-"))
    runtime = Path(tempfile.mkdtemp(prefix="ad-", dir="/tmp"))
    mine = {f"XDG_{name}_HOME": str(home / name) for name in ("STATE", "CONFIG", "DATA", "CACHE")}
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        del os.environ[name]
    os.environ.update({**mine, **_GIT, "XDG_RUNTIME_DIR": str(runtime), "HOME": str(home)})
    made = Machine(home, home / "work", Locations.from_env(os.environ))
    try:
        _tree(made, files, branch_files)
        made.locations.config.mkdir(parents=True, exist_ok=True)
        settings = f"[otlp]\nport = {_free_port()}\n[workspace]\nstore_mib = {STORE_MIB}\n"
        made.locations.config_file.write_text(settings)
        search = os.environ["PATH"]
        install_hook_client(
            made.locations, sys.executable, perl=find_perl(search), compiler=find_compiler(search)
        )
        ensure_running(made.locations, 30.0)
        try:
            yield made
        finally:
            with contextlib.suppress(OSError, IndexError, ValueError):
                os.kill(made.pid(), signal.SIGTERM)
    finally:
        os.environ.clear()
        os.environ.update(before)
        shutil.rmtree(runtime, ignore_errors=True)
        shutil.rmtree(home, ignore_errors=True)


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _tree(made: Machine, files: int, branch_files: int) -> None:
    """Writes and commits the tree, on two branches that differ in `branch_files` files."""
    rng = random.Random(7)
    words = [f"{rng.getrandbits(32):x}" for _ in range(2000)]
    names = [f"src/p{n // 1000:03d}/d{n // _PER_FOLDER:05d}/f{n}.txt" for n in range(files)]
    gap = max(files // _LONG_FILES, 2)
    made.long_files = names[::gap]
    for number, name in enumerate(names):
        path = made.root / name
        if number % _PER_FOLDER == 0:
            path.parent.mkdir(parents=True)
        count = 10 if number % gap else 60
        text = " ".join(rng.choices(words, k=8))
        path.write_text("".join(f"file {number} line {n} {text}\n" for n in range(count)))
    made.git("init", "-q", "-b", "main")
    made.git("config", "gc.auto", "0")
    # A threshold of nothing makes git write straight into a pack: no minute for loose objects.
    made.git("-c", "core.bigFileThreshold=1", "add", "-A")
    made.git("commit", "-qm", "all of it")
    made.git("checkout", "-q", "-b", BRANCH)
    made.branch_files = [name for n, name in enumerate(names) if n % gap][:branch_files]
    for name in made.branch_files:
        with open(made.root / name, "a") as file:
            file.write("only on the other branch\n")
    made.git("-c", "core.bigFileThreshold=1", "commit", "-qam", "elsewhere")
    made.git("checkout", "-q", "main")
    # As in a checkout that is older than a moment: the index is newer than every file.
    made.git("update-index", "-q", "--refresh")


@dataclass(slots=True)
class Sample:
    """What the daemon said at one moment."""

    at_s: float
    rss_mib: float
    open_files: int
    threads: int
    queue: int
    pending: int
    blob_mib: float


class Sampler:
    """Asks the daemon how it is, on a thread of its own.

    Attributes:
        samples: oldest first.
        problems: questions that were not answered.
    """

    def __init__(self, made: Machine) -> None:
        self.samples: list[Sample] = []
        self.problems: Counter[str] = Counter()
        self._made = made
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends it."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(SAMPLE_S):
            try:
                with self._made.client() as client:
                    self.samples.append(_sample(client.call("daemon.status")))
            except OSError as error:
                self.problems[str(error)] += 1


def _sample(status: dict[str, Any]) -> Sample:
    told = status["metrics"]
    return Sample(
        at_s=time.monotonic(),
        rss_mib=(told["process"]["rss_bytes"] or 0) / (1 << 20),
        open_files=told["process"]["open_files"] or 0,
        threads=told["process"]["threads"],
        queue=told["queue"]["length"],
        pending=told["workspaces"]["pending"],
        blob_mib=told["workspaces"]["blob_bytes"] / (1 << 20),
    )
