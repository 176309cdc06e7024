"""Owns which files did not hold still while they were read, and when each is read again.

Must not read anything.  Hop 5, on the tracker's own thread.

What such a read gave is a mixture that was never on the disk: it is kept as nobody's content.  A
file that is known stays what it was until it can be read; one that nobody knew has no baseline.
Until then it is a gap, it is read again soon and at every cut, and if a tool was let go meanwhile
the next change of it is marked uncertain: what it was at the cut is not known.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from agentdiff.core.entries import Entry, File, Other
from agentdiff.workspace.tree import REPLACED, Signature

MIXTURE = Other(kind="unreadable: it changed while it was read")
# A log that a program never stops writing must not cost a processor.
_FIRST_S = 0.05
_MOST_S = 5.0


def is_mixture(entry: Entry, signature: Signature | None) -> bool:
    """Whether a read gave something that was perhaps never there."""
    return signature is None and (isinstance(entry, File) or entry == REPLACED)


@dataclass(slots=True, kw_only=True)
class _Wait:
    """When to read a path again, how long that was waited for, and whether a tool ran meanwhile."""

    due_s: float
    delay_s: float
    doubted: bool = False


class Moving:
    """The files of one workspace that did not hold still.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._waits: dict[bytes, _Wait] = {}

    def __contains__(self, path: bytes) -> bool:
        return path in self._waits

    def __iter__(self) -> Iterator[bytes]:
        return iter(sorted(self._waits))

    def note(self, path: bytes) -> None:
        """Notes that reading a path gave a mixture; each time it is waited longer."""
        wait = self._waits.get(path)
        if wait is None:
            wait = self._waits[path] = _Wait(due_s=0.0, delay_s=_FIRST_S / 2)
        wait.delay_s = min(2 * wait.delay_s, _MOST_S)
        wait.due_s = self._clock() + wait.delay_s

    def settle(self, path: bytes) -> bool:
        """Notes that a path could be read; returns whether a tool was let go before that."""
        wait = self._waits.pop(path, None)
        return wait is not None and wait.doubted

    def doubt(self, paths: Collection[bytes] | None) -> bool:
        """Notes that a tool is let go.

        Args:
            paths: what was to be read for it; None for everything.

        Returns:
            Whether some of that could not be.
        """
        hit = [wait for path, wait in self._waits.items() if paths is None or path in paths]
        for wait in hit:
            wait.doubted = True
        return bool(hit)

    @property
    def due_s(self) -> float | None:
        """When the next one is to be read; None for never."""
        return min((wait.due_s for wait in self._waits.values()), default=None)

    def due(self) -> list[bytes]:
        """Returns those whose time has come."""
        now_s = self._clock()
        return [path for path in self if self._waits[path].due_s <= now_s]
