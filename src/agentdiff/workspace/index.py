"""Owns what is known of each followed path of one workspace, and turns reads into observations.

Must not start threads and must not lock: everything here runs on the tracker's own thread.  Hop 5.
"""

from __future__ import annotations

import contextlib
import itertools
import stat
from collections.abc import Callable, Iterable

from agentdiff.core.entries import ABSENT, ABSENT_REF, Directory, Entry, File, Link, Other, Ref
from agentdiff.workspace.blobs import BlobStore
from agentdiff.workspace.ignore import METADATA, IgnoreRules
from agentdiff.workspace.observations import (
    Batch,
    Known,
    Observation,
    Skipped,
    TrackerSettings,
)
from agentdiff.workspace.scan import Scanner, Walk, follows_ignored
from agentdiff.workspace.temp import is_own_temp
from agentdiff.workspace.tree import Root, Signature, is_settled, read_at, read_signed

_BATCH_OBSERVATIONS = 256
_GAPS = ("unreadable", "oversized", "not kept")


class Index:
    """The followed paths of one workspace.

    Attributes:
        changed: how many observations so far held something else than what was known.

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
        known: dict[bytes, Known] | None,
        emit: Callable[[Batch], None],
        is_late: Callable[[], bool],
        settings: TrackerSettings,
        clock_ns: Callable[[], int],
    ) -> None:
        self.changed = 0
        self._root = root
        self._blobs = blobs
        self._known = dict(known or {})
        self._initial = known is None
        self._emit = emit
        self._is_late = is_late
        self._settings = settings
        self._clock_ns = clock_ns
        self._rules = IgnoreRules(root, clock_ns)
        self._exists = True
        # Followed though no walk finds them.  What was stored as absent may be one, or a file that
        # was simply deleted: the first walk sifts them.
        self._named = {path for path, seen in self._known.items() if seen.ref.kind == "absent"}
        self._unsifted = set(self._named)
        # Of the last walk: what it passed over, and which directories it entered.
        self._unfollowed: set[bytes] = set()
        self._directories: set[bytes] = set()
        # Those of the last cut alone: a hint may notice a new directory before the file that it
        # was made for.
        self._cut_directories: set[bytes] = set()
        self._walked = False
        self._gaps = {
            path: seen.ref.note for path, seen in self._known.items() if _is_gap(seen.ref)
        }
        self._tree_gaps: tuple[Skipped, ...] = ()
        self._pending: list[Observation] = []
        # What the first population found so far; handed over at its end, so that a workspace is
        # either known as a whole or not at all, also after a crash.
        self._baseline: dict[bytes, Observation] = {}

    def known(self) -> dict[bytes, Known]:
        """Returns a copy of what is known; callable from any thread."""
        return dict(self._known)

    def lookup(self, path: bytes) -> Known | None:
        """Returns what is known of one path; callable from any thread."""
        return self._known.get(path)

    def gaps(self) -> tuple[Skipped, ...]:
        """Returns what is not covered, by path."""
        own = (
            () if self._settings.whole_tree else (Skipped(path=b"", reason=self._settings.reason),)
        )
        files = [Skipped(path=path, reason=note) for path, note in self._gaps.items()]
        return tuple(sorted((*own, *self._tree_gaps, *files), key=lambda gap: gap.path))

    def begin(self) -> None:
        """Looks at the root and the rules; to be called before each series of reads.

        Raises:
            OSError: the root is there but cannot be entered.
        """
        self._exists = self._root.refresh()
        if self._exists:
            self._rules.refresh()

    def read_tree(self, proceed: Callable[[], bool]) -> int:
        """Reads whatever changed in the whole tree; the first time that is everything.

        The first time that it gets to the end, it emits the initial batch, be it empty.

        Args:
            proceed: called now and then; False stops, and the next time starts afresh.

        Returns:
            How many paths were looked at.

        Raises:
            OSError: the root cannot be listed.
        """
        walk = Walk()
        if self._exists and self._settings.whole_tree:
            self._sift()
            walk = self._scan(b"", proceed)
            if not (walk.complete or walk.overflow):
                return 0
            self._tree_gaps = tuple(walk.skipped)
            if walk.overflow:
                reason = f"more than {self._settings.max_files} files: only named ones are followed"
                self._tree_gaps = (Skipped(path=b"", reason=reason),)
                walk = Walk(unfollowed={b""})
        elsewhere = self._known.keys() - walk.followed
        if self._exists and self._settings.whole_tree:
            elsewhere |= self._rules.tracked - walk.followed
        if not self._read_all((*walk.dirty, *sorted(elsewhere)), proceed):
            return 0
        self._unfollowed, self._directories = walk.unfollowed, walk.directories
        self._cut_directories = set(walk.directories)
        if not self._walked:
            self.flush()  # what was read until now belongs to catching up
            self._walked = True
        self._end_population()
        return len(walk.followed) + len(elsewhere)

    def read_paths(
        self, paths: Iterable[bytes], proceed: Callable[[], bool], *, follow: bool
    ) -> int:
        """Reads these paths, and what is below those that are, or were, directories.

        Args:
            paths: relative to the root.
            proceed: called before each directory that is walked; False stops that walk.
            follow: whether they are followed from now on though ignored.

        Returns:
            How many paths were looked at.
        """
        count = 0
        vanished: list[bytes] = []
        for path in paths:
            parts = path.split(b"/")
            if not METADATA.isdisjoint(parts) or is_own_temp(parts[-1]):
                continue
            known = path in self._known
            if follow:
                self._named.add(path)
                self._unsifted.discard(path)
            elif not known and not self._is_followed(path):
                continue
            after = self.read(path)
            count += 1
            if isinstance(after, Directory):
                count += self._read_below(path, proceed)
            elif path in self._directories:
                self._directories.discard(path)
                vanished.append(path + b"/")
        if vanished:
            prefixes = tuple(vanished)
            lost = sorted(path for path in self._known if path.startswith(prefixes))
            for path in lost:
                self.read(path)
            count += len(lost)
        return count

    def read(self, path: bytes, parent_fd: int | None = None) -> Entry:
        """Reads one path and notes what is new about it.

        Args:
            path: relative to the root.
            parent_fd: its directory, when the caller has it open.
        """
        started_ns = self._clock_ns()
        entry: Entry = ABSENT
        signature: Signature | None = None
        old = self._known.get(path)
        limit = self._settings.max_file_bytes
        if parent_fd is not None:
            entry, signature = read_at(parent_fd, path.rpartition(b"/")[2], max_bytes=limit)
        elif self._exists:
            entry, signature = read_signed(self._root, path, max_bytes=limit)
        if isinstance(entry, Directory):
            if old is None or old.ref.kind == "absent":
                return entry  # directories matter only where a file was
            signature = None  # its times tell of its content, not of itself
        elif signature is not None and not is_settled(signature, started_ns):
            signature = None
        ref, kept = self._keep(entry)
        self._learn(path, old, ref, signature if kept else None, started_ns)
        return entry

    def flush(self) -> None:
        """Hands over what was noted and not yet emitted."""
        if self._pending:
            observations, self._pending = tuple(self._pending), []
            catching_up = not (self._initial or self._walked)
            self._emit(
                Batch(
                    observations=observations,
                    uncertain=self._is_late(),
                    catching_up=catching_up,
                )
            )

    def _end_population(self) -> None:
        if self._initial and self._exists:
            self.flush()
            observations, self._baseline = tuple(self._baseline.values()), {}
            self._initial = False
            late = self._is_late()
            self._emit(Batch(observations=observations, initial=True, uncertain=late))

    def _read_all(self, paths: Iterable[bytes], proceed: Callable[[], bool]) -> bool:
        """Reads paths, opening each directory once; False when it was stopped."""
        for parent, group in itertools.groupby(paths, lambda path: path.rpartition(b"/")[0]):
            with contextlib.ExitStack() as stack:
                fd: int | None = None
                with contextlib.suppress(OSError):  # gone or a link by now: `read` finds out
                    if self._exists:
                        fd = stack.enter_context(self._root.open_directory(parent))
                for path in group:
                    if not proceed():
                        return False
                    self.read(path, fd)
        return True

    def _scan(self, base: bytes, proceed: Callable[[], bool]) -> Walk:
        return Scanner(
            self._root, self._rules, self._known, self._settings, self._clock_ns(), proceed
        ).run(base)

    def _read_below(self, directory: bytes, proceed: Callable[[], bool]) -> int:
        if not self._settings.whole_tree or not self._is_followed(directory):
            return 0
        walk = self._scan(directory, proceed)
        if not walk.complete:
            return 0
        prefix = directory + b"/"
        below = {path for path in self._known if path.startswith(prefix)} - walk.followed
        self._read_all((*walk.dirty, *sorted(below)), proceed)
        self._unfollowed |= walk.unfollowed
        self._directories |= walk.directories
        return len(walk.followed) + len(below)

    def _is_followed(self, path: bytes) -> bool:
        """Whether `path` is covered without anybody naming it."""
        if not self._settings.whole_tree or not self._exists or b"" in self._unfollowed:
            return False
        if path in self._rules.tracked:
            return True
        if self._rules.is_pruned(path):
            return False
        status = self._root.lstat(path)
        directory = status is not None and stat.S_ISDIR(status.st_mode)
        if not self._rules.is_ignored(path, directory=directory):
            return True
        scope = self._rules.scope(path.rpartition(b"/")[0])
        return status is None or follows_ignored(status, scope, self._settings)

    def _keep(self, entry: Entry) -> tuple[Ref, bool]:
        """Stores the content of an entry; False when that failed and must be tried again."""
        data = entry.data if isinstance(entry, File) else None
        if isinstance(entry, Link):
            data = entry.target
        if data is not None:
            try:
                self._blobs.put(data)
            except OSError as error:  # the state folder's disk is full, say
                return Other(kind=f"not kept: {error.strerror}").ref(), False
        return entry.ref(), True

    def _learn(
        self,
        path: bytes,
        old: Known | None,
        ref: Ref,
        signature: Signature | None,
        seen_ns: int,
    ) -> None:
        if old is not None:
            before = old.ref
        elif self._initial or not self._was_watched(path):
            before = ref
        else:
            before = ABSENT_REF
        if ref.kind != "absent" or self._stays(path, old):
            self._known[path] = Known(ref=ref, signature=signature)
        else:
            self._known.pop(path, None)
            if old is None:
                return
        self._gaps.pop(path, None)
        if _is_gap(ref):
            self._gaps[path] = ref.note
        if before != ref:
            self.changed += 1
        elif old is not None and (signature is None or signature == old.signature):
            return
        observation = Observation(
            path=path,
            before=before,
            after=ref,
            signature=signature,
            seen_ns=seen_ns,
            forget=path not in self._known,
            new_parents=self._new_parents(path) if before.kind == "absent" else (),
        )
        if self._initial and before == ref:
            self._baseline[path] = observation
            return
        self._baseline.pop(path, None)
        self._pending.append(observation)
        if len(self._pending) >= _BATCH_OBSERVATIONS:
            self.flush()

    def _new_parents(self, path: bytes) -> tuple[bytes, ...]:
        """Returns the directories above a created path that were not there at the last cut."""
        if not self._walked:
            return ()
        above = [path[:at] for at, byte in enumerate(path) if byte == 0x2F]
        return tuple(one for one in above if one not in self._cut_directories)

    def _sift(self) -> None:
        """Forgets stored absent paths that any walk would find, were they there again."""
        stored, self._unsifted = self._unsifted, set()
        for path in stored:
            seen = self._known.get(path)
            if seen is not None and seen.ref.kind == "absent" and not self._is_hidden(path):
                self._named.discard(path)
                del self._known[path]

    def _stays(self, path: bytes, old: Known | None) -> bool:
        """Whether an absent `path` is remembered, because no walk would find it once it is back."""
        if path in self._named or path in self._rules.tracked:
            return True
        if old is not None and old.ref.kind != "absent" and self._is_hidden(path):
            self._named.add(path)
            return True
        return False

    def _is_hidden(self, path: bytes) -> bool:
        """Whether a walk does not come by `path`."""
        return (
            not self._settings.whole_tree
            or b"" in self._unfollowed
            or self._rules.is_pruned(path)
            or self._rules.is_ignored(path, directory=False)
        )

    def _was_watched(self, path: bytes) -> bool:
        """Whether the last look at the tree would have shown `path`, had it been there.

        If not (it was ignored, or in a directory that was), it may be as old as the hills: what
        it holds when it is first seen is its baseline.
        """
        if not self._settings.whole_tree:
            return False
        while path not in self._unfollowed:
            if not path:
                return True
            path = path.rpartition(b"/")[0]
        return False


def _is_gap(ref: Ref) -> bool:
    return ref.kind == "other" and ref.note.startswith(_GAPS)
