"""What the daemon is told about a program under `agentdiff run`.

Owns the payloads that `agentdiff.agents.run` reads.  Must not fail the program: what cannot be
delivered is spooled by `deliver`, or lost.  Hop 1.
"""

from __future__ import annotations

import json
import os
import shlex
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

Deliver: TypeAlias = Callable[[str, bytes], object]
"""Hands a payload for the adapter of that name to the daemon, and waits; any thread."""


def new_id() -> str:
    """Returns a session id that is safe in file names and headers."""
    return f"run-{uuid.uuid4().hex}"


def command_line(argv: Sequence[str]) -> str:
    """Returns a command as one would type it."""
    return shlex.join(argv)


def outcome(status: int) -> str:
    """Returns the outcome that a wait status stands for."""
    if os.WIFSIGNALED(status):
        return "interrupted"
    return "ok" if os.waitstatus_to_exitcode(status) == 0 else "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One program under `agentdiff run`; thread-safe.

    Attributes:
        deliver: the way to the daemon.
        name: of the agent.
        argv: its command.
        cwd: where it was started.
        id: session id, in the environment of everything inside as ``AGENTDIFF_SESSION``.
    """

    deliver: Deliver = field(repr=False)
    name: str
    argv: tuple[str, ...]
    cwd: str
    id: str = field(default_factory=new_id)

    @property
    def tool(self) -> str:
        """The program's own name."""
        return os.path.basename(self.argv[0]) or self.argv[0]

    def started(self, command: str) -> None:
        """Tells that the program is about to run; returns when the baseline is taken.

        Args:
            command: its command line, without secrets.
        """
        self.tell("started", tool=self.tool, command=command)

    def ended(self, command: str, status: int) -> None:
        """Tells that it is over, with its wait status."""
        self.tell("ended", tool=self.tool, command=command, outcome=outcome(status))

    def alive(self) -> None:
        """Tells that it still runs."""
        self.tell("alive")

    def tell(self, event: str, *, cwd: str | None = None, **fields: object) -> None:
        """Sends one message; the answer means that a baseline is taken where one is needed."""
        message = {
            "event": event,
            "agent": self.name,
            "session": self.id,
            "cwd": cwd or self.cwd,
            **fields,
        }
        # ASCII, so that names that are not UTF-8 (surrogates) survive.
        self.deliver("run", json.dumps(message).encode("ascii"))
