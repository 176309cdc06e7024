"""Lets a test stop a shell command that the agent runs, and act while it is open.

Owns two named pipes outside the workspace: the command says on one that it has arrived and waits on
the other.  Nothing polls and nothing sleeps; both sides have a deadline.
"""

from __future__ import annotations

import os
import select
import shlex
from pathlib import Path

from e2e.model_server import DEADLINE_S


class Barrier:
    """A place in a bash command where it waits for the test.

    Args:
        folder: an existing folder outside the workspace.
        name: names the two pipes.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._name = name
        self._reached = folder / f"{name}.reached"
        self._release = folder / f"{name}.release"
        self._open = {path: self._make(path) for path in (self._reached, self._release)}

    @staticmethod
    def _make(path: Path) -> int:
        os.mkfifo(path)
        # Open for both directions: neither side's open() ever blocks, and a writer never gets
        # SIGPIPE.
        return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    @property
    def bash(self) -> str:
        """A bash command: report the arrival, then wait; fails with status 9 after the deadline."""
        reached, release = shlex.quote(str(self._reached)), shlex.quote(str(self._release))
        return f"echo > {reached}; read -r -t {DEADLINE_S:.0f} _ <> {release} || exit 9"

    @property
    def bash_signal(self) -> str:
        """A bash command that only reports the arrival."""
        return f"echo > {shlex.quote(str(self._reached))}"

    def wait_reached(self, timeout_s: float = DEADLINE_S) -> None:
        """Blocks until the command has arrived.

        Raises:
            TimeoutError: it did not.
        """
        ready, _, _ = select.select([self._open[self._reached]], [], [], timeout_s)
        if not ready:
            raise TimeoutError(f"no command reached barrier {self._name!r} in {timeout_s} s")
        os.read(self._open[self._reached], 1)

    def release(self) -> None:
        """Lets the command go on."""
        os.write(self._open[self._release], b"\n")

    def close(self) -> None:
        """Closes the test's side; a command that still waits runs into its deadline."""
        for descriptor in self._open.values():
            os.close(descriptor)
        self._open.clear()
