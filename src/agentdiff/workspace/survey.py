"""Owns which paths of one workspace are read when: what the feed names, or else all of them.

Must not start threads, must not lock and must not interpret what was read
(`agentdiff.workspace.index` does): everything here runs on the tracker's own thread.  Hop 5.

The cheap way is to read what the feed names.  It may be taken only when the whole tree was walked
since the feed watches every directory of it, and nothing was lost since; in every other case all
followed paths are looked at (``lstat``, and a read where that differs).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from agentdiff.core.entries import Absent, Directory
from agentdiff.workspace.blobs import BlobStore
from agentdiff.workspace.feed import Feed
from agentdiff.workspace.firstbase import FirstBase
from agentdiff.workspace.gitbase import GitBase
from agentdiff.workspace.ignore import METADATA
from agentdiff.workspace.index import Index
from agentdiff.workspace.observations import Skipped, TrackerSettings
from agentdiff.workspace.paths import below, included, parent_of, parents
from agentdiff.workspace.scan import Scanner, Walk, watch_beside
from agentdiff.workspace.spelling import Spellings
from agentdiff.workspace.temp import is_own_temp
from agentdiff.workspace.tree import Root

# A change of these changes what is followed in the directory where they are.
_STEERING = frozenset({b".gitignore", b".git"})


class Survey:
    """Keeps the index of one workspace true.

    Attributes:
        progress: how far the first population is, a sentence; empty when it is over.
        base: git's part in the first baseline.
        overflow: whether the tree has more files than the limit, so that only sweeps walk it.
        spellings: what a path is known as.

    Args:
        root: the workspace.
        index: what is known.
        settings: limits.
        feed: what names changed paths; None when there is no such thing.
        clock_ns: wall clock.
        blobs: what git keeps, it leans on.
    """

    def __init__(
        self,
        root: Root,
        index: Index,
        settings: TrackerSettings,
        feed: Feed | None,
        clock_ns: Callable[[], int],
        blobs: BlobStore,
    ) -> None:
        self._root = root
        self._index = index
        self._settings = settings
        self._feed = feed
        self._clock_ns = clock_ns
        self.spellings = Spellings(root.path, index.known)
        self.progress = ""
        self.overflow = False
        self.base = FirstBase(root.path, index, blobs, settings.max_file_bytes)
        self._tree_gaps: tuple[Skipped, ...] = ()
        # The whole tree was walked, watching each directory, and nothing was lost since.
        self._covered = False
        # Followed paths in directories that nobody watches.
        self._outlying: set[bytes] = set()
        self._walked_root = root.replaced
        self._walked_rules: object = None

    def gaps(self) -> tuple[Skipped, ...]:
        """Returns what is not covered, by path."""
        own = (
            () if self._settings.whole_tree else (Skipped(path=b"", reason=self._settings.reason),)
        )
        told = (Skipped(path=b"", reason=self.progress),) if self.progress else ()
        found = (*own, *told, *self._tree_gaps, *self._index.gaps())
        return tuple(sorted(found, key=lambda gap: gap.path))

    @property
    def trusts_feed(self) -> bool:
        """Whether what the feed names is all that can have changed."""
        return (
            self._feed is not None
            and self._covered
            and self._feed.problem is None
            and self._index.exists
            and self._walked_root == self._root.replaced
            and self._walked_rules is self._index.rules.top
        )

    def read_tree(self, proceed: Callable[[], bool], *, sweep: bool = False) -> int:
        """Reads whatever changed in the whole tree; the first time that is everything.

        The first time that it gets to the end, it emits the initial batch, be it empty.

        Args:
            proceed: called now and then; False stops, and the next time starts afresh.
            sweep: whether the feed's word is not enough.

        Returns:
            How many paths were looked at.

        Raises:
            OSError: the root cannot be listed.
        """
        if self.trusts_feed and not sweep:
            walked = self._index.directories
            self._outlying = {path for path in self._outlying if parent_of(path) not in walked}
            count = self.read_paths(
                sorted(self._outlying), proceed, follow=False, unless_unchanged=True
            )
            count += self.read_news((), proceed) + self.read_moving(self._index.moving)
            if self.trusts_feed:
                self._index.fresh.clear()
                return count
        return self._read_everything(proceed, sweep=sweep)

    def begin(self) -> None:
        """To be called before each series of reads; see `Index.begin`."""
        self._index.begin(trusting=self.trusts_feed)

    def read_news(self, paths: Iterable[bytes], proceed: Callable[[], bool]) -> int:
        """Reads these paths and those that the feed names; returns how many were looked at."""
        news = set(paths)
        if self._feed is not None and self._index.walked:
            drained = self._feed.drain()
            news |= drained.paths
            if drained.lost:
                self._covered = False
        news |= self._index.rules.newly_tracked()
        steered = {path for path in news if path.rpartition(b"/")[2] in _STEERING}
        if steered:
            self._index.rules.forget_places()
        count = self.read_paths(sorted(news), proceed, follow=False)
        if self.trusts_feed:
            parents = {parent_of(path) for path in steered}
            for parent in sorted(parents):
                count += self._read_below({parent}, proceed)
        return count

    def read_moving(self, paths: Iterable[bytes]) -> int:
        """Reads again what did not hold still; returns how many that were."""
        listed = list(paths)
        for path in listed:
            self._index.read(path)
        return len(listed)

    def read_paths(
        self,
        paths: Iterable[bytes],
        proceed: Callable[[], bool],
        *,
        follow: bool,
        unless_unchanged: bool = False,
    ) -> int:
        """Reads these paths, and what is below those that are, or were, directories.

        Args:
            paths: relative to the root, sorted for speed.
            proceed: called before each directory that is walked; False stops that walk.
            follow: whether they are followed from now on though ignored.
            unless_unchanged: whether a signature that still holds is enough.  Not for what the
                feed names: a store through a mapping changes no time stamp when its page was
                touched before, and only the event of the closed file tells of it.

        Returns:
            How many paths were looked at.
        """
        index = self._index
        count = 0
        vanished: list[bytes] = []
        entered: set[bytes] = set()
        fd, parent = -1, b""
        try:
            for path in self.spellings.keys(paths):
                above, _, name = path.rpartition(b"/")
                if not METADATA.isdisjoint(path.split(b"/")) or is_own_temp(name):
                    continue
                known = path in index.known
                if follow:
                    index.named.take((path,))
                elif not known and not index.is_followed(path):
                    # Only a link in its place is ignored, or so is the directory by now.
                    vanished.extend(self._left(path))
                    continue
                if above != parent or fd < 0:
                    fd, parent = index.reopen(fd, above), above
                held = fd if fd >= 0 else None
                after = index.read(path, held, unless_unchanged=unless_unchanged)
                count += 1
                self._note_place(path)
                if isinstance(after, Absent):
                    index.unfollowed.discard(path)
                if isinstance(after, Directory):
                    entered.add(path)
                else:
                    vanished.extend(self._left(path))
        finally:
            if fd >= 0:
                os.close(fd)
        count += self._read_vanished(tuple(vanished))
        return count + self._read_below(entered, proceed)

    def _note_place(self, path: bytes) -> None:
        if parent_of(path) not in self._index.directories and path in self._index.known:
            self._outlying.add(path)
        else:
            self._outlying.discard(path)

    def _left(self, path: bytes) -> tuple[bytes, ...]:
        """Returns a path that was entered as a directory, which it is no more."""
        if path not in self._index.directories:
            return ()
        self._index.directories.discard(path)
        return (path,)

    def _read_vanished(self, directories: tuple[bytes, ...]) -> int:
        """Reads what was known below directories that are none any more."""
        if not directories:
            return 0
        self._index.rules.forget_places()
        if self._feed is not None:
            self._feed.forget(directories)
        lost = sorted(below(self._index.known, set(directories)))
        for path in lost:
            self._index.read(path)
        self._index.unfollowed -= below(self._index.unfollowed, set(directories))
        inner = below(self._index.directories, set(directories))
        self._index.directories.difference_update(inner)
        self._index.ignored.renew({}, inner | set(directories))
        for path in lost:
            self._note_place(path)
        return len(lost)

    def _read_below(self, directories: set[bytes], proceed: Callable[[], bool]) -> int:
        """Walks directories and reads what differs below them, and what is gone from there."""
        index = self._index
        if not self._settings.whole_tree or b"" in index.unfollowed:
            return 0
        index.rules.forget_places()
        walks: list[Walk] = []
        seen: set[bytes] = set()
        for directory in sorted(directories):
            # One that lies in another was walked with it.
            if directory in seen or (directory and not index.is_followed(directory)):
                continue
            walk = self._scan(directory, proceed)
            if not walk.complete:
                self._covered = False
                return 0
            seen |= walk.directories
            walks.append(walk)
        if not walks:
            return 0
        # Only what was known can be gone: below a directory that nobody knew, nothing was.
        old = {one for one in seen if one in index.directories}
        candidates = (
            below(index.known, old) if old else below(index.named | index.rules.tracked, seen)
        )
        followed: set[bytes] = set().union(*(walk.followed for walk in walks))
        gone = candidates - followed
        dirty = (path for walk in walks for path in walk.dirty)
        if not index.read_all(iter((*dirty, *sorted(gone))), proceed):
            self._covered = False
            return 0
        if old or not seen.isdisjoint(index.unfollowed):
            # What is followed from now on was watched when it changes.
            passed = {path for path in index.unfollowed if parent_of(path) in seen}
            index.unfollowed -= passed | seen
        for walk in walks:
            index.ignored.renew(walk.ignored, walk.directories & index.directories)
            index.unfollowed |= walk.unfollowed
            index.fresh |= walk.directories - index.directories
            index.directories |= walk.directories
        return len(followed) + len(gone)

    def _read_everything(self, proceed: Callable[[], bool], *, sweep: bool) -> int:
        index = self._index
        before = frozenset(index.directories)
        git: GitBase | None = None
        # A tree that was too large is walked again by sweeps only.
        whole = index.exists and self._settings.whole_tree and (sweep or not self.overflow)
        walk = Walk(unfollowed={b""} if self.overflow else set())
        if whole:
            index.sift()
            self._begin_walk()
            git = self.base.begin()
            walk = self._scan(b"", proceed, git)
            if not (walk.complete or walk.overflow):
                return 0
            self._tree_gaps = tuple(walk.skipped)
            self.overflow = walk.overflow
            if walk.overflow:
                if index.initial:
                    index.drop_population()
                reason = f"more than {self._settings.max_files} files: only named ones are followed"
                self._tree_gaps = (Skipped(path=b"", reason=reason),)
                walk = Walk(unfollowed={b""})
        elsewhere = index.known.keys() - walk.followed
        beside = set[bytes]()
        if whole:
            wanted = included(self._root.path, self._settings.include) - walk.followed
            index.named.take(wanted)
            elsewhere |= wanted
            index.rules.await_tracked()
            elsewhere |= index.rules.tracked - walk.followed
            elsewhere = self.spellings.absent(elsewhere, walk)
            if not self.overflow:
                above = {one for path in elsewhere | self._outlying for one in parents(path)}
                beside = watch_beside(self._root, self._feed, above - walk.directories)
        # Somebody may wait for a first population.
        dirty = walk.newest_first() if index.initial else walk.dirty
        step = self._reporting(proceed, len(dirty) + len(elsewhere))
        if not index.read_all(iter(dirty), step):
            return 0
        if not index.read_all(iter(sorted(elsewhere)), step, unless_unchanged=True):
            return 0
        # Paths that somebody named were read meanwhile.
        found = walk.directories | beside | (index.directories - before)
        index.fresh = index.fresh | (found - before - beside) if sweep else set()
        index.unfollowed, index.directories = walk.unfollowed, found
        index.ignored.renew(walk.ignored)
        self._outlying = {
            path
            for path in elsewhere | self._outlying
            if path in index.known and parent_of(path) not in found
        }
        self._covered = whole and not self.overflow
        if git is not None:
            git.end()
        self.progress = ""
        index.end_walk()
        return len(walk.followed) + len(elsewhere)

    def _begin_walk(self) -> None:
        if not self.trusts_feed:
            # Should this walk be stopped, directories stay that nobody watches, and the reason not
            # to trust the feed is gone from here on.
            self._covered = False
        self.spellings.look()
        if self._feed is not None:
            self._feed.begin(afresh=self._walked_root != self._root.replaced)
            if not self._covered:
                self._feed.drain()  # whatever it names, the walk will see
        self._walked_root = self._root.replaced
        self._walked_rules = self._index.rules.top

    def _scan(self, base: bytes, proceed: Callable[[], bool], git: GitBase | None = None) -> Walk:
        index = self._index
        walk = Scanner(
            self._root,
            index.rules,
            index.known,
            self._settings,
            self._clock_ns(),
            proceed,
            self._feed,
            git.clean if git is not None else None,
        ).run(base)
        self.spellings.settle(walk)
        return walk

    def _reporting(self, proceed: Callable[[], bool], total: int) -> Callable[[], bool]:
        """Returns `proceed`, with a report on the first population for `gaps`."""
        if not self._index.initial:
            return proceed
        done = 0

        def step() -> bool:
            nonlocal done
            if done % 256 == 0:
                self.progress = f"the first baseline is being taken: {done} of {total} files read"
            done += 1
            return proceed()

        return step
