"""Owns which paths are followed though no walk finds them, and how long that is remembered.

Must not read contents.  Hop 5, on the tracker's own thread.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterable

from agentdiff.core.entries import ABSENT_REF
from agentdiff.workspace.ignore import IgnoreRules
from agentdiff.workspace.known import KnownTable
from agentdiff.workspace.observations import Known, Observation, TrackerSettings
from agentdiff.workspace.paths import parent_of
from agentdiff.workspace.tree import Root


class Named(set[bytes]):
    """The paths: those that somebody named, and hidden ones that were known and are absent now.

    Attributes:
        lingering: those of them that nobody named in this life of the daemon.

    Args:
        root: the workspace.
        rules: what is ignored.
        known: what was last seen of each path.
        settings: limits.
        exists: whether the root was there the last time that somebody looked.
        walks: whether walks find anything at all.
    """

    def __init__(
        self,
        root: Root,
        rules: IgnoreRules,
        known: KnownTable,
        settings: TrackerSettings,
        exists: Callable[[], bool],
        walks: Callable[[], bool],
    ) -> None:
        # What was stored as absent may be a named path, or a file that was simply deleted.
        super().__init__(path for path, seen in known.others() if seen.ref.kind == "absent")
        self.lingering = set(self)
        self._root = root
        self._rules = rules
        self._known = known
        self._settings = settings
        self._exists = exists
        self._walks = walks

    def take(self, paths: Iterable[bytes]) -> None:
        """Notes paths that somebody names."""
        self.update(paths)
        self.lingering.difference_update(paths)

    def stays(self, path: bytes, old: Known | None) -> bool:
        """Whether an absent path is remembered, because no walk would find it once it is back.

        Unless somebody named it, it must have a place to come back to: folders that a build makes
        come and go, and each cut would look for all that was ever in them.

        Args:
            path: relative to the root.
            old: what was known of it.
        """
        if path in self._rules.tracked:
            return True
        if path in self:
            if path not in self.lingering or self._has_place(path):
                return True
            self._let_go(path)
            return False
        if old is None or old.ref.kind == "absent":
            return False
        size = old.ref.size if old.ref.kind == "file" else None
        if not (self._is_hidden(path, size) and self._has_place(path)):
            return False
        self.add(path)
        self.lingering.add(path)
        return True

    def sift(self) -> list[bytes]:
        """Lets go absent paths that any walk would find, were they there again, or without a place.

        Nothing says which of those that were stored were named once by somebody.

        Returns:
            These paths.
        """
        gone: list[bytes] = []
        for path in sorted(self.lingering):
            seen = self._known.get(path)
            if seen is None or seen.ref.kind != "absent":
                self._let_go(path)
            elif not (self._is_hidden(path, None) and self._has_place(path)):
                self._let_go(path)
                gone.append(path)
        return gone

    def _let_go(self, path: bytes) -> None:
        self.discard(path)
        self.lingering.discard(path)

    def _has_place(self, path: bytes) -> bool:
        """Whether the directory of a path is there; not asked where little is followed anyhow."""
        parent = parent_of(path)
        if not (parent and self._settings.whole_tree and self._exists()):
            return True
        status = self._root.lstat(parent)
        return status is not None and stat.S_ISDIR(status.st_mode)

    def _is_hidden(self, path: bytes, size: int | None) -> bool:
        """Whether a walk does not come by a path, or passes over a file of that size there."""
        if not self._walks() or self._rules.is_pruned(path):
            return True
        if not self._rules.is_ignored(path, directory=False):
            return False
        small = size is not None and size <= self._settings.small_file_bytes
        return not small or self._rules.scope(parent_of(path)).is_blanket


def forgotten(path: bytes, seen_ns: int) -> Observation:
    """Returns what lets the store forget a path that was remembered as absent."""
    return Observation(
        path=path,
        before=ABSENT_REF,
        after=ABSENT_REF,
        signature=None,
        seen_ns=seen_ns,
        forget=True,
    )
