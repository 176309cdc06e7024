"""Owns the size of a workspace's blob store: what may go, in which order, and when.

Must not decide what pends.  Hop 5; on the worker's thread, and before a tracker begins.

Three kinds of contents are told apart.  What pends, and what is known of followed paths, stays
whatever it takes.  What only the log names (earlier turns, decisions that can be undone) stays as
long as the budget allows, the newest first.  What nobody names goes when the pack is written anew:
every state of a file that an agent passed through on its way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from agentdiff.workspace.blobs import BlobStore
from agentdiff.workspace.known import KnownTable
from agentdiff.workspace.store import Store

# A smaller pack is not worth looking at.
_SMALL_BYTES = 16 << 20
# Writing anew must make at least this part of the pack free.
_WORTH = 0.4
_LOOK_AGAIN_S = 60.0


class Upkeep:
    """Keeps one blob store within its budget.

    Attributes:
        budget_bytes: what the pack may take.
        problem: why it takes more all the same, a sentence; None while it does not.

    Args:
        store: whose log names contents.
        blobs: the store that is kept small.
        budget_bytes: see there.
    """

    def __init__(self, store: Store, blobs: BlobStore, budget_bytes: int) -> None:
        self.budget_bytes = budget_bytes
        self.problem: str | None = None
        self._store = store
        self._blobs = blobs
        # Contents that are newer than this may not have been named yet by those who will.
        self._until = 0
        self._looked_at_bytes = 0
        self._looked_s = 0.0

    def begin(self, pending: Iterable[str], known: KnownTable | None) -> int:
        """Tidies up before anybody stores something; returns how many bytes became free."""
        self._until = self._blobs.size_bytes
        return self._tidy(pending, known)

    def tick(self, pending: Callable[[], Iterable[str]], known: KnownTable) -> int:
        """Tidies up when the pack has grown; cheap otherwise.  Returns how many bytes became free.

        Args:
            pending: returns the ids of the contents that pend.
            known: what is known of followed paths.
        """
        size, now_s = self._blobs.size_bytes, time.monotonic()
        if size < 2 * self._looked_at_bytes and size <= self.budget_bytes:
            return 0
        if now_s - self._looked_s < _LOOK_AGAIN_S:
            return 0
        freed = self._tidy(pending(), known)
        # What is stored by now is named when it is looked at next: a minute is a long time.
        self._until, self._looked_s = self._blobs.size_bytes, now_s
        return freed

    def _tidy(self, pending: Iterable[str], known: KnownTable | None) -> int:
        size = self._blobs.size_bytes
        if size <= min(_SMALL_BYTES, self.budget_bytes):
            self._looked_at_bytes, self.problem = _SMALL_BYTES // 2, None
            return 0
        sizes = self._blobs.sizes()
        needed = {bytes.fromhex(oid) for oid in pending if oid}
        if known is not None:
            needed |= known.contents()
        wanted = {key for key in needed if key in sizes}
        total = sum(sizes[key] for key in wanted)
        young = sum(
            length for key, length in sizes.items() if self._blobs.is_after(key, self._until)
        )
        for oid in self._store.oids():
            key = bytes.fromhex(oid)
            if key not in wanted and key in sizes:
                total += sizes[key]
                if total + young > self.budget_bytes:
                    break
                wanted.add(key)
        kept = sum(sizes[key] for key in wanted) + young
        freed = 0
        if size - kept > _WORTH * size or size > self.budget_bytes > kept:
            freed = self._blobs.keep_only(wanted.__contains__, until=self._until)
        self._looked_at_bytes = max(self._blobs.size_bytes, _SMALL_BYTES // 2)
        over = self._blobs.size_bytes > self.budget_bytes
        self.problem = (
            f"the store takes {self._blobs.size_bytes >> 20} MiB for what pends and what is "
            f"followed, its budget is {self.budget_bytes >> 20} MiB (workspace.store_mib)"
            if over
            else None
        )
        return freed
