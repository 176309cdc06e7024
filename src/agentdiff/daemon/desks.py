"""The open workspaces of one daemon.

Owns which are open, which were used before, and that each is opened once.  Must not do anything
with them.  Hop 3.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

from agentdiff.daemon.desk import Desk
from agentdiff.workspace.observations import OWN_REPOSITORY
from agentdiff.workspace.store import root_of

# A shell command of an agent takes a cut in each of them; the others stay named as gaps.
MAX_NESTED = 32


class Desks:
    """Every open workspace; any thread.

    Args:
        folder: where the workspaces' folders are.
        make: opens one; may take long, and raise.
        enqueue: queues a job for the worker.
    """

    def __init__(
        self,
        folder: Path,
        make: Callable[[bytes], Desk],
        enqueue: Callable[[Callable[[], None]], None],
    ) -> None:
        self._make = make
        self._enqueue = enqueue
        self._lock = threading.Lock()
        self._open: dict[bytes, Desk] = {}
        self._opening: dict[bytes, Future[Desk]] = {}
        self._used = frozenset(_used_roots(folder))

    def roots(self) -> frozenset[bytes]:
        """Returns the workspaces that are open or were used before."""
        return self._used.union(self._open)

    def all(self) -> list[Desk]:
        """Returns the open workspaces."""
        return list(self._open.values())

    def nested(self, root: bytes) -> list[bytes]:
        """Returns the git work trees inside an open workspace, as far as it was read.

        They are workspaces of their own (submodules, linked work trees, plain clones).
        """
        desk = self._open.get(root)
        skipped = () if desk is None else desk.tracker.coverage()
        found = [os.path.join(root, s.path) for s in skipped if s.reason == OWN_REPOSITORY]
        return sorted(found)[:MAX_NESTED]

    def get(self, root: bytes) -> Desk | None:
        """Returns a workspace if it is open."""
        return self._open.get(root)

    def open(self, root: bytes) -> Desk:
        """Returns an open workspace, opening it when needed.

        Raises:
            OSError: it cannot be opened.
            sqlite3.Error: its store cannot be used.
        """
        with self._lock:
            known = self._open.get(root)
            if known is not None:
                return known
            opening = self._opening.get(root)
            mine = opening is None
            if opening is None:
                opening = self._opening[root] = Future()
        # A long log must not keep other workspaces' hooks waiting: the lock is free by now.
        return self._open_now(root, opening) if mine else opening.result()

    def _open_now(self, root: bytes, opening: Future[Desk]) -> Desk:
        try:
            desk = self._make(root)
            # Before anybody else can queue something for it.
            self._enqueue(lambda: desk.perform(desk.recover()))
            with self._lock:
                self._open[root] = desk
            opening.set_result(desk)
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
        return desk


def _used_roots(folder: Path) -> Iterator[bytes]:
    """Yields the roots of the workspaces that have a folder."""
    if folder.is_dir():
        for one in folder.iterdir():
            root = root_of(one)
            if root is not None:
                yield root
