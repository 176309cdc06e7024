"""Owns the shape of what tells a tracker which paths changed, without looking at the others.

Must not do anything.  Hop 1 implements it (`agentdiff.sources.inotify`), hop 5 asks it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Drained:
    """What changed since the last time that somebody asked.

    Attributes:
        paths: relative to the root; something was done to the name, or to what has it.  A
            directory that is named may have anything new in it.
        lost: changes are missing: whoever asks has to look at everything.
    """

    paths: set[bytes]
    lost: bool


class Feed(Protocol):
    """The kernel's word about changes below one root.  Any thread; one asks at a time."""

    @property
    def problem(self) -> str | None:
        """Why what is told is not complete, a sentence; None while it is."""

    def begin(self, *, afresh: bool) -> None:
        """Announces a walk that names every directory.

        Args:
            afresh: the root is another directory than before; nothing that was watched counts.
        """

    def watch(self, path: bytes, fd: int) -> None:
        """Watches the open directory `fd`, which is at `path`; before it is listed, not after."""

    def forget(self, paths: tuple[bytes, ...]) -> None:
        """Ends watching what was at these paths, and below them."""

    def drain(self) -> Drained:
        """Returns every change whose system call returned before this was called."""

    def close(self) -> None:
        """Ends watching.  Harmless twice."""
