"""Owns what is known of each followed path of one workspace, and turns reads into observations.

Must not start threads, must not lock and must not choose what is read (`agentdiff.workspace.survey`
does): everything here runs on the tracker's own thread.  Hop 5.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace

from agentdiff.core.entries import ABSENT, ABSENT_REF, Directory, Entry, Ref
from agentdiff.workspace.blobs import BlobStore
from agentdiff.workspace.contents import Contents, is_gap
from agentdiff.workspace.ignore import IgnoreRules
from agentdiff.workspace.ignored import Ignored
from agentdiff.workspace.known import KnownTable, Population
from agentdiff.workspace.moving import MIXTURE, Moving, is_mixture
from agentdiff.workspace.named import Named, forgotten
from agentdiff.workspace.observations import (
    Batch,
    Known,
    Observation,
    Skipped,
    TrackerSettings,
)
from agentdiff.workspace.paths import parents
from agentdiff.workspace.scan import follows_ignored, is_as_known
from agentdiff.workspace.tree import Root, Signature, is_settled, read_at, read_signed

_BATCH_OBSERVATIONS = 256


class Index:
    """The followed paths of one workspace.

    Attributes:
        changed: how many observations so far held something else than what was known.
        known: what was last seen of each path.
        rules: what is ignored.
        exists: whether the root was there when `begin` looked.
        moving: what did not hold still while it was read.
        named: paths that are followed though no walk finds them.
        unfollowed: what the last walks passed over.
        ignored: what of it is ignored, to be told; nothing is decided by it.
        directories: which directories they entered.
        fresh: those of them that were not there at the last cut of the whole tree: a hint may
            notice a new directory before the file that it was made for.
        walked: whether the whole tree was seen in this life of the daemon.

    Args:
        root: the workspace.
        blobs: where contents go.
        known: what was last seen, None for a workspace that nobody knew.
        emit: takes each `Batch`.
        is_late: whether what is read now comes too late for somebody.
        settings: limits.
        clock_ns: wall clock.
    """

    def __init__(
        self,
        root: Root,
        blobs: BlobStore,
        known: KnownTable | None,
        emit: Callable[[Batch], None],
        is_late: Callable[[], bool],
        settings: TrackerSettings,
        clock_ns: Callable[[], int],
    ) -> None:
        self.changed = 0
        self.known = KnownTable() if known is None else known
        self.rules = IgnoreRules(root, clock_ns)
        self.exists = True
        self.moving = Moving()
        self.named = Named(
            root,
            self.rules,
            self.known,
            settings,
            lambda: self.exists,
            lambda: settings.whole_tree and b"" not in self.unfollowed,
        )
        self.unfollowed: set[bytes] = set()
        self.ignored = Ignored()
        self.directories: set[bytes] = set()
        self.fresh: set[bytes] = set()
        self.walked = False
        self._root = root
        self._contents = Contents(blobs)
        self._initial = known is None
        self._emit = emit
        self._is_late = is_late
        self._settings = settings
        self._clock_ns = clock_ns
        self._started_ns = clock_ns()
        self._gaps = {path: seen.ref.note for path, seen in self.known.others() if is_gap(seen.ref)}
        self._pending: list[Observation] = []
        # The first population is handed over at its end, so that a workspace is either known as a
        # whole or not at all, also after a crash; except what changed meanwhile, which is told.
        self._told: set[bytes] = set()

    @property
    def initial(self) -> bool:
        """Whether the first population has not come to its end."""
        return self._initial

    def gaps(self) -> list[Skipped]:
        """Returns followed paths whose content is not kept; any thread."""
        return [Skipped(path=path, reason=note) for path, note in list(self._gaps.items())]

    def begin(self, *, trusting: bool) -> None:
        """Looks at the root and the rules; to be called before each series of reads.

        Args:
            trusting: whether changed ignore files will be named by the feed.

        Raises:
            OSError: the root is there but cannot be entered.
        """
        self.exists = self._root.refresh()
        if self.exists:
            self.rules.refresh(trusting=trusting)

    def read_all(
        self,
        paths: Iterator[bytes],
        proceed: Callable[[], bool],
        *,
        unless_unchanged: bool = False,
    ) -> bool:
        """Reads paths, opening each directory once; False when it was stopped.  See `read`."""
        fd, parent = -1, b""
        try:
            for path in paths:
                if not proceed():
                    return False
                above = path.rpartition(b"/")[0]
                if above != parent or fd < 0:
                    fd, parent = self.reopen(fd, above), above
                held = fd if fd >= 0 else None
                self.read(path, held, unless_unchanged=unless_unchanged)
        finally:
            if fd >= 0:
                os.close(fd)
        return True

    def reopen(self, fd: int, directory: bytes) -> int:
        """Closes one directory and opens another; -1 when it is gone or a link by now."""
        if fd >= 0:
            os.close(fd)
        if not self.exists:
            return -1
        try:
            return self._root.open_path(directory)
        except OSError:  # `read` finds out why
            return -1

    def read(
        self, path: bytes, parent_fd: int | None = None, *, unless_unchanged: bool = False
    ) -> Entry | None:
        """Reads one path and notes what is new about it.

        Args:
            path: relative to the root.
            parent_fd: its directory, when the caller has it open.
            unless_unchanged: whether a signature that still holds is enough.

        Returns:
            What is there; None when its signature still holds.
        """
        started_ns = self._clock_ns()
        entry: Entry = ABSENT
        signature: Signature | None = None
        limit = self._settings.max_file_bytes
        if unless_unchanged and parent_fd is not None and is_as_known(self.known, path, parent_fd):
            return None
        old = self.known.get(path)
        if parent_fd is not None:
            entry, signature = read_at(parent_fd, path.rpartition(b"/")[2], max_bytes=limit)
        elif self.exists:
            entry, signature = read_signed(self._root, path, max_bytes=limit)
        doubted = False
        if is_mixture(entry, signature):
            self.moving.note(path)
            if self._keeps_old(path, old):
                return entry
            entry = MIXTURE
        elif path in self.moving:
            doubted = self.moving.settle(path)
            self._gaps.pop(path, None)
        if isinstance(entry, Directory):
            if old is None or old.ref.kind == "absent":
                return entry  # directories matter only where a file was
            signature = None  # its times tell of its content, not of itself
        elif signature is not None and not is_settled(signature, started_ns):
            signature = None
        times = (started_ns, self._clock_ns())
        ref, kept = self._contents.keep(entry)
        self._learn(path, old, ref, signature if kept else None, times, uncertain=doubted)
        return entry

    def _keeps_old(self, path: bytes, old: Known | None) -> bool:
        """Whether a path that did not hold still can stay what it was, be it absent, for a while.

        Not where what is there is the baseline: nobody knows what that is.
        """
        if old is None and (self._initial or not self._was_watched(path)):
            return False
        self._gaps[path] = MIXTURE.kind
        if old is not None:
            self.known[path] = Known(ref=old.ref)
        return True

    def correct(self, path: bytes) -> bool:
        """Puts right what was taken for the content of an unchanged file, without reading it.

        Args:
            path: relative to the root.

        Returns:
            Whether it was wrong and could be put right: the file was not changed since.
        """
        old = self.known.get(path)
        if old is None or old.signature is None:
            return False
        started_ns = self._clock_ns()
        limit = self._settings.max_file_bytes
        entry, signature = read_signed(self._root, path, max_bytes=limit)
        if signature != old.signature or entry.ref() == old.ref:
            return False
        ref, kept = self._contents.keep(entry)
        self.known[path] = Known(ref=ref, signature=signature if kept else None)
        self._pending.append(
            Observation(path=path, before=ref, after=ref, signature=signature, seen_ns=started_ns)
        )
        return True

    def flush(self) -> None:
        """Hands over what was noted and not yet emitted."""
        if self._pending:
            self._flush_blobs()  # whoever is told of a content may write down its name
            observations, self._pending = tuple(self._pending), []
            catching_up = not (self._initial or self.walked)
            self._emit(
                Batch(
                    observations=observations,
                    uncertain=self._is_late(),
                    catching_up=catching_up,
                )
            )

    def end_walk(self) -> None:
        """Notes that the whole tree was seen; the first time of all hands over the population."""
        if not self.walked:
            self.flush()  # what was read until now belongs to catching up
            self.walked = True
        if self._initial and self.exists:
            self.flush()
            self._flush_blobs()
            rows = self.known.rows()
            for path in self._told:
                rows.pop(path, None)
            self._told = set()
            self._initial = False
            found = Population(rows, self._started_ns)
            late = self._is_late()
            self._emit(Batch(observations=found, initial=True, uncertain=late))

    def sift(self) -> None:
        """Forgets absent paths that need not be remembered; see `Named.sift`."""
        for path in self.named.sift():
            self.known.discard(path)
            self._pending.append(forgotten(path, self._clock_ns()))

    def drop_population(self) -> None:
        """Forgets what was found for a first population that there will not be."""
        for path in self.known.keys() - self.named - self._told:
            self.known.discard(path)

    def is_followed(self, path: bytes) -> bool:
        """Whether `path` is covered without anybody naming it; notes what is passed over."""
        if not self._settings.whole_tree or not self.exists or b"" in self.unfollowed:
            return False
        if path in self.rules.tracked:
            return True
        if self.rules.is_pruned(path):
            return False
        status = self._root.lstat(path)
        if status is None:
            self.ignored.forget(path)
            return True
        directory = stat.S_ISDIR(status.st_mode)
        if not self.rules.is_ignored(path, directory=directory):
            return True
        scope = self.rules.scope(path.rpartition(b"/")[0])
        if follows_ignored(status, scope, self._settings):
            return True
        self.ignored.note(path, scope, directory=directory)
        self.unfollowed.add(path)
        return False

    def _flush_blobs(self) -> None:
        """Writes what was put lazily; what cannot be written has not been kept."""
        lost = self._contents.flush()
        if lost is None:
            return
        holds = self._contents.holds
        self._pending = [
            one if holds(one.after) else replace(one, after=lost, signature=None)
            for one in self._pending
        ]
        doubted = self.known if self._initial else [one.path for one in self._pending]
        for path in list(doubted):
            seen = self.known.get(path)
            if seen is not None and not holds(seen.ref):
                self.known[path] = Known(ref=lost)
                self._gaps[path] = lost.note

    def _learn(
        self,
        path: bytes,
        old: Known | None,
        ref: Ref,
        signature: Signature | None,
        times: tuple[int, int],
        *,
        uncertain: bool,
    ) -> None:
        if old is not None:
            before = old.ref
        elif self._initial or not self._was_watched(path):
            before = ref
        else:
            before = ABSENT_REF
        if ref.kind != "absent" or self.named.stays(path, old):
            self.known[path] = Known(ref=ref, signature=signature)
        else:
            self.known.discard(path)
            if old is None:
                return
        self._gaps.pop(path, None)
        if is_gap(ref):
            self._gaps[path] = ref.note
        if before != ref:
            self.changed += 1
        elif self._initial:
            return  # the population will tell
        elif path in self.known and old is not None and signature in (None, old.signature):
            return
        if self._initial:
            self._told.add(path)
        self._pending.append(
            Observation(
                path=path,
                before=before,
                after=ref,
                signature=signature,
                seen_ns=times[0],
                read_ns=times[1],
                forget=path not in self.known,
                new_parents=self._new_parents(path) if before.kind == "absent" else (),
                uncertain=uncertain,
            )
        )
        if len(self._pending) >= _BATCH_OBSERVATIONS:
            self.flush()

    def _new_parents(self, path: bytes) -> tuple[bytes, ...]:
        """Returns the directories above a created path that were not there at the last cut."""
        if not self.walked:
            return ()
        return tuple(
            one for one in parents(path) if one in self.fresh or one not in self.directories
        )

    def _was_watched(self, path: bytes) -> bool:
        """Whether the last look at the tree would have shown `path`, had it been there.

        If not (it was ignored, or in a directory that was), it may be as old as the hills: what
        it holds when it is first seen is its baseline.
        """
        passed = {path, *parents(path), b""} & self.unfollowed
        return self._settings.whole_tree and not passed
