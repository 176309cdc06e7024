"""Waiting for one descriptor, whatever its number.

Owns the choice of the system call: ``select`` raises for descriptors beyond 1023, which a daemon of
many workspaces has.  Must not read.  Hop 1.
"""

from __future__ import annotations

import select
from typing import Protocol


class HasFileno(Protocol):
    """A socket, for instance."""

    def fileno(self) -> int:
        """Returns the number of its descriptor."""


def readable(descriptor: int | HasFileno, timeout_s: float) -> bool:
    """Waits until there is something to read, or the other end is closed; False after the time."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(timeout_s * 1000))
