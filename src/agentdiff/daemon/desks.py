"""The open workspaces of one daemon.

Owns which are open, which were used before, that each is opened once, and when one that nobody
needs may be closed.  Must not do anything with them.  Hop 3.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from agentdiff.daemon.desk import Desk
from agentdiff.workspace.observations import OWN_REPOSITORY
from agentdiff.workspace.roots import is_gone
from agentdiff.workspace.store import root_of

# A shell command of an agent takes a cut in each of them; the others stay named as gaps.
MAX_NESTED = 32
GONE_S = 3.0
"""How long after its last use a workspace stays open whose folder is not there any more."""
_LONG_NS = 60_000_000_000


@dataclass(slots=True)
class _Open:
    desk: Desk
    users: int
    used_s: float


class Desks:
    """Every open workspace; any thread.

    Args:
        folder: where the workspaces' folders are.
        make: opens one; may take long, and raise.
        enqueue: queues a job for the worker.
        clock: monotonic, in seconds.
    """

    def __init__(
        self,
        folder: Path,
        make: Callable[[bytes], Desk],
        enqueue: Callable[[Callable[[], None]], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make = make
        self._enqueue = enqueue
        self._clock = clock
        self._lock = threading.Lock()
        self._open: dict[bytes, _Open] = {}
        self._opening: dict[bytes, Future[None]] = {}
        self._closing: dict[bytes, threading.Event] = {}
        self._used = frozenset(_used_roots(folder))

    def roots(self) -> frozenset[bytes]:
        """Returns the workspaces that are open or were used before."""
        return self._used

    def all(self) -> list[Desk]:
        """Returns the open workspaces."""
        return [one.desk for one in list(self._open.values())]

    def nested(self, root: bytes) -> list[bytes]:
        """Returns the git work trees inside an open workspace, as far as it was read.

        They are workspaces of their own (submodules, linked work trees, plain clones).
        """
        desk = self.get(root)
        skipped = () if desk is None else desk.tracker.coverage()
        found = [os.path.join(root, s.path) for s in skipped if s.reason == OWN_REPOSITORY]
        return sorted(found)[:MAX_NESTED]

    def get(self, root: bytes) -> Desk | None:
        """Returns a workspace if it is open."""
        one = self._open.get(root)
        return None if one is None else one.desk

    @contextmanager
    def use(self, root: bytes) -> Iterator[Desk]:
        """Gives an open workspace, opening it when needed; it stays open while it is used.

        Waits for the worker when the workspace is just being closed; see `use_by`.

        Raises:
            OSError: it cannot be opened.
            sqlite3.Error: its store cannot be used.
        """
        while True:
            with self.use_by(root, time.time_ns() + _LONG_NS) as desk:
                if desk is not None:
                    yield desk
                    return

    @contextmanager
    def use_by(self, root: bytes, until_ns: int) -> Iterator[Desk | None]:
        """Does what `use` does; gives None when the workspace is still being closed by then.

        Args:
            root: the workspace.
            until_ns: wall clock.

        Raises:
            OSError, sqlite3.Error: as `use`.
        """
        one = self._enter(root, until_ns)
        if one is None:
            yield None
            return
        try:
            yield one.desk
        finally:
            with self._lock:
                one.users -= 1
                one.used_s = self._clock()

    # --- closing ---------------------------------------------------------------------------------

    def retire(self, unused_s: float) -> list[Desk]:
        """Takes out the workspaces that may be closed; the caller calls `closed` for each.

        They are those without a client, with nothing that pends and no live session, unused for so
        long; and those without a folder (a work tree that was removed), whose clients are told.

        Args:
            unused_s: seconds; 0 for those only whose folder is gone.
        """
        known = {root: one.used_s for root, one in list(self._open.items())}
        # Asking the disk may take long: nobody waits for that.
        over = [root for root in known if self._is_over(self._open[root], unused_s)]
        with self._lock:
            same = [root for root in over if self._rests(self._open[root], known[root])]
            self._closing.update((root, threading.Event()) for root in same)
            retired = [self._open.pop(root).desk for root in same]
        for desk in retired:
            desk.audience.tell("closed")
        return retired

    @staticmethod
    def _rests(one: _Open, since_s: float) -> bool:
        return not one.users and one.used_s == since_s

    def _is_over(self, one: _Open, unused_s: float) -> bool:
        desk = one.desk
        if desk.audience.clients and not is_gone(desk.root):
            one.used_s = self._clock()
        rested_s = self._clock() - one.used_s
        # What waits in memory for a disk with room is nowhere else.
        if one.users or rested_s < GONE_S or desk.answers or desk.keeping.problem is not None:
            return False
        # What pends is watched: a commit of the user's accepts it.
        idle = 0 < unused_s <= rested_s and not (desk.live or desk.ledger.paths)
        return idle or is_gone(desk.root)

    def closed(self, desk: Desk) -> None:
        """Closes a workspace that was taken out, and lets it be opened again."""
        try:
            desk.close()
        finally:
            with self._lock:
                self._closing.pop(desk.root).set()

    # --- opening ---------------------------------------------------------------------------------

    def _enter(self, root: bytes, until_ns: int) -> _Open | None:
        """Returns a workspace with one more user, None when others are at it for too long."""
        while True:
            with self._lock:
                known = self._open.get(root)
                if known is not None:
                    known.users += 1
                    return known
                closing = self._closing.get(root)
                opening = self._opening.get(root)
                if closing is None and opening is None:
                    opening = self._opening[root] = Future()
                    break
            left_s = max(0, until_ns - time.time_ns()) / 1e9
            if closing is not None and not closing.wait(left_s):
                return None
            if opening is not None:
                if not wait([opening], left_s).done:
                    return None
                opening.result()
        # A long log must not keep other workspaces' hooks waiting: the lock is free by now.
        return self._open_now(root, opening)

    def _open_now(self, root: bytes, opening: Future[None]) -> _Open:
        try:
            desk = self._make(root)
            # Before anybody else can queue something for it.
            self._enqueue(lambda: desk.perform(desk.recover()))
            with self._lock:
                made = self._open[root] = _Open(desk, 1, self._clock())
                self._used |= {root}
            opening.set_result(None)
        except (OSError, sqlite3.Error) as error:
            opening.set_exception(error)
            raise
        finally:
            with self._lock:
                del self._opening[root]
            if not opening.done():  # a bug: those who wait must not wait for ever
                name = root.decode(errors="replace")
                opening.set_exception(OSError(f"{name} cannot be opened, see the daemon's log"))
        desk.watch()
        return made


def _used_roots(folder: Path) -> Iterator[bytes]:
    """Yields the roots of the workspaces that have a folder."""
    if folder.is_dir():
        for one in folder.iterdir():
            root = root_of(one)
            if root is not None:
                yield root
