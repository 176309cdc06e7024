"""Owns the walk over a tree: which paths are followed, and which of them need to be read again.

Must not read contents.  Hop 5, on the tracker's own thread.

Directories are opened one below the other without following links, so that a directory that
becomes a link under our feet is not entered.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

from agentdiff.core.entries import PERMISSION_BITS
from agentdiff.workspace.feed import Feed
from agentdiff.workspace.ignore import METADATA, IgnoreRules, Scope
from agentdiff.workspace.ignored import place
from agentdiff.workspace.known import KnownTable, Row, is_unchanged
from agentdiff.workspace.observations import OWN_REPOSITORY, Skipped, TrackerSettings
from agentdiff.workspace.paths import parent_of
from agentdiff.workspace.temp import is_own_temp
from agentdiff.workspace.tree import Root, open_below

# Each level holds a descriptor open.
_MAX_DEPTH = 200
# What os.fsencode does, at a third of its price; it is paid for every file of the tree.
_ENCODING, _ERRORS = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()
_LEFT_BEHIND_NS = 10_000_000_000


@dataclass(slots=True, kw_only=True)
class Walk:
    """What a walk found.

    Attributes:
        followed: every path that was looked at.
        dirty: those of them that must be read, in the order in which they were found.
        times: when each of these was modified, in nanoseconds.
        directories: every directory that was entered.
        unfollowed: ignored files, and directories that were not entered.
        ignored: what of these is so because it is ignored; the value is whether it is a directory.
        skipped: gaps to report.
        complete: False when it was stopped, or found more files than the limit.
        overflow: True when it found more files than the limit.
    """

    followed: set[bytes] = field(default_factory=set)
    dirty: list[bytes] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    directories: set[bytes] = field(default_factory=set)
    unfollowed: set[bytes] = field(default_factory=set)
    ignored: dict[bytes, bool] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)
    complete: bool = True
    overflow: bool = False

    def newest_first(self) -> list[bytes]:
        """Returns `dirty`, directory by directory, that of the newest file first."""
        newest: dict[bytes, int] = {}
        groups: dict[bytes, list[bytes]] = {}
        for path, age in zip(self.dirty, self.times, strict=True):
            parent = parent_of(path)
            newest[parent] = max(age, newest.get(parent, age))
            groups.setdefault(parent, []).append(path)
        ranked = sorted(groups, key=lambda parent: -newest[parent])
        return [path for parent in ranked for path in groups[parent]]


class Scanner:
    """Walks one workspace.

    Args:
        root: the workspace.
        rules: its ignore rules; the caller has refreshed them.
        known: what was last seen; what `clean` vouches for is added, and directories' modes.
        settings: limits.
        now_ns: wall clock at the start.
        proceed: called before each directory; False stops the walk.
        feed: watches each directory, if there is one.
        clean: returns the row of a path that nobody knew without reading it, if that can be told.
    """

    def __init__(
        self,
        root: Root,
        rules: IgnoreRules,
        known: KnownTable,
        settings: TrackerSettings,
        now_ns: int,
        proceed: Callable[[], bool],
        feed: Feed | None = None,
        clean: Callable[[bytes, os.stat_result], Row | None] | None = None,
    ) -> None:
        self._root = root
        self._rules = rules
        self._known = known
        self._settings = settings
        self._now_ns = now_ns
        self._proceed = proceed
        self._feed = feed
        self._clean = clean
        self._walk = Walk()

    def run(self, base: bytes = b"") -> Walk:
        """Walks the directory `base` (``b""`` is the whole tree) and returns what it found.

        Raises:
            OSError: the root itself cannot be listed.
        """
        parent = base.rpartition(b"/")[0]
        scope = self._rules.scope(parent) if base else self._rules.top
        try:
            with self._root.open_directory(base, listing=True) as fd:
                self._directory(fd, base, scope, base.count(b"/"))
        except OSError as error:
            if not base:
                raise
            self._unreadable(base, error)
        if not base and self._walk.complete:
            self._known.keep_folders(self._walk.directories)
        return self._walk

    def _directory(self, fd: int, path: bytes, above: Scope, depth: int) -> None:
        walk = self._walk
        if not self._proceed():
            walk.complete = False
            return
        self._known.folders[path] = os.fstat(fd).st_mode & PERMISSION_BITS
        if self._feed is not None:
            self._feed.watch(path, fd)  # first: what is made after this is told, the rest is listed
        try:
            with os.scandir(fd) as entries:
                listed = list(entries)
        except OSError as error:
            self._unreadable(path, error)
            return
        if not listed and path:  # no rules to enter, nothing to take
            walk.directories.add(path)
            return
        steering = {entry.name: entry for entry in listed if entry.name.startswith(".git")}
        if path and ".git" in steering:
            walk.unfollowed.add(path)
            self._skip(path, OWN_REPOSITORY)
            return
        ignore_file = _stat(steering[".gitignore"]) if ".gitignore" in steering else None
        # At the top the rules were entered by whoever refreshed them.
        scope = self._rules.enter(path, above, ignore_file) if path else above
        walk.directories.add(path)
        prefix = path + b"/" if path else b""
        below = self._entries(listed, prefix, scope)
        if len(walk.followed) > self._settings.max_files:
            walk.complete, walk.overflow = False, True
        for name, child in below:
            if not walk.complete:
                return
            self._below(fd, name, child, scope, depth + 1)

    def _entries(
        self, listed: list[os.DirEntry[str]], prefix: bytes, scope: Scope
    ) -> list[tuple[bytes, bytes]]:
        """Takes what a directory holds; returns the directories in it that are to be walked.

        Everything that is paid for each file of a tree is here.
        """
        walk, row_of, clean = self._walk, self._known.row, self._clean
        followed, dirty, times = walk.followed, walk.dirty, walk.times
        below: list[tuple[bytes, bytes]] = []
        for entry in listed:
            name = entry.name.encode(_ENCODING, _ERRORS)
            path = prefix + name
            if entry.is_dir(follow_symlinks=False):
                if name in METADATA:
                    continue
                if scope.ignores(name, directory=True):
                    self._pass_over(path, scope, directory=True)
                else:
                    below.append((name, path))
                continue
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:  # gone since it was listed
                continue
            row = row_of(path)
            if row is None:
                if clean is not None and (row := clean(path, status)) is not None:
                    self._known.put_row(path, row)
                    followed.add(path)
                    continue
                if not self._is_welcome(name, path, status, scope):
                    continue
                dirty.append(path)
                times.append(status.st_mtime_ns)
            elif not is_unchanged(row, status):
                dirty.append(path)
                times.append(status.st_mtime_ns)
            followed.add(path)
        return below

    def _below(self, fd: int, name: bytes, path: bytes, scope: Scope, depth: int) -> None:
        if depth > _MAX_DEPTH:
            self._skip(path, "nested too deep")
            return
        try:
            inner = open_below(fd, name)
        except OSError as error:
            self._unreadable(path, error)
            return
        try:
            self._directory(inner, path, scope, depth)
        finally:
            os.close(inner)

    def _is_welcome(self, name: bytes, path: bytes, status: os.stat_result, scope: Scope) -> bool:
        """Whether a path that nobody knew is to be followed."""
        if name in METADATA:
            return False
        if is_own_temp(name):
            self._own_temp(path, status)
            return False
        if (
            not scope.ignores(name, directory=False)
            or follows_ignored(status, scope, self._settings)
            or path in self._rules.tracked
        ):
            return True
        self._pass_over(path, scope, directory=False)
        return False

    def _pass_over(self, path: bytes, scope: Scope, *, directory: bool) -> None:
        self._walk.unfollowed.add(path)
        self._walk.ignored.update([place(path, scope, directory=directory)])

    def _own_temp(self, path: bytes, status: os.stat_result) -> None:
        # A moment's file of a write in progress is nobody's business; one that a crash left is.
        if status.st_ctime_ns < self._now_ns - _LEFT_BEHIND_NS:
            reason = "left behind by an interrupted write of agentdiff"
            self._walk.skipped.append(Skipped(path=path, reason=reason))

    def _unreadable(self, path: bytes, error: OSError) -> None:
        if not isinstance(error, FileNotFoundError | NotADirectoryError):  # it changed since listed
            self._skip(path, f"unreadable: {error.strerror}")

    def _skip(self, path: bytes, reason: str) -> None:
        self._walk.unfollowed.add(path)
        self._walk.skipped.append(Skipped(path=path, reason=reason))


def follows_ignored(status: os.stat_result, scope: Scope, settings: TrackerSettings) -> bool:
    """Whether an ignored path is followed all the same, as ``.env`` is.

    Args:
        status: ``lstat`` of the path.
        scope: rules of its directory, which is not ignored itself.
        settings: limits.
    """
    return (
        stat.S_ISREG(status.st_mode)
        and status.st_size <= settings.small_file_bytes
        and not scope.is_blanket
    )


def is_as_known(known: KnownTable, path: bytes, parent_fd: int) -> bool:
    """Whether the signature of what was last seen of a path still holds.

    Args:
        known: what was last seen.
        path: relative to the root.
        parent_fd: its directory.
    """
    row = known.row(path)
    if row is None:
        return False
    try:
        name = path.rpartition(b"/")[2]
        return is_unchanged(row, os.stat(name, dir_fd=parent_fd, follow_symlinks=False))
    except OSError:
        return False


def watch_beside(root: Root, feed: Feed | None, directories: set[bytes]) -> set[bytes]:
    """Watches directories that no walk enters, but that have followed paths in them.

    An ignore file that comes late leaves thousands of these.

    Args:
        root: the workspace.
        feed: what watches.
        directories: those to be watched; of each, those above it, too, or they were walked.

    Returns:
        Those that are: nothing in them needs to be looked for.
    """
    watched: set[bytes] = set()
    if feed is None:
        return watched
    for directory in sorted(directories):
        try:
            fd = root.open_path(directory)
        except OSError:  # gone, or a link: the paths in it are looked for at each cut
            continue
        try:
            feed.watch(directory, fd)
        finally:
            os.close(fd)
        watched.add(directory)
    return watched


def _stat(entry: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return entry.stat(follow_symlinks=False)
    except OSError:  # gone since it was listed
        return None
