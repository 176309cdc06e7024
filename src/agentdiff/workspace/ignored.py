"""Owns the list of ignored files and folders that the walks passed over, so that it can be told.

Must not decide what is followed (`agentdiff.workspace.scan` and `agentdiff.workspace.index` do) and
must not look at a disk.  Hop 5.  Written by the tracker's own thread, read by any.

They are expected, and apart from the gaps of `agentdiff.workspace.survey`: nothing is amiss.  But a
command of an agent that rewrites an ignored folder leaves no other trace, so it must be said.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping

from agentdiff.workspace.ignore import Scope
from agentdiff.workspace.observations import IGNORED, Passed, Skipped
from agentdiff.workspace.paths import parent_of

# A repository may have thousands; whoever wants all of them asks git.
MAX_NAMED = 200
_PARTLY = f"{IGNORED}, except the files in it that are followed"


class Ignored:
    """What the walks of one workspace passed over because it is ignored."""

    def __init__(self) -> None:
        self._found: dict[bytes, bool] = {}

    def note(self, path: bytes, scope: Scope, *, directory: bool) -> None:
        """Notes a path that was met between two walks; see `place`."""
        self._found.update([place(path, scope, directory=directory)])

    def forget(self, path: bytes) -> None:
        """Notes that nothing is at `path` any more."""
        self._found.pop(path, None)

    def renew(
        self, found: Mapping[bytes, bool], directories: frozenset[bytes] | set[bytes] | None = None
    ) -> None:
        """Takes what a walk found: paths, and whether each is a folder.

        Args:
            found: what it passed over.
            directories: where something else may have been noted before; None for everywhere.
        """
        if directories is None:
            self._found = dict(found)
        elif directories:
            kept = {
                path: folder
                for path, folder in self._found.items()
                if path not in directories and parent_of(path) not in directories
            }
            self._found = {**kept, **found}
        else:
            self._found.update(found)

    def told(self, followed: Iterable[bytes]) -> Passed:
        """Returns what was passed over, the outermost first; any thread.

        Args:
            followed: paths that are followed though they are, or lie, in what is ignored.
        """
        exempt, partly = set(followed), set[bytes]()
        for path in exempt:
            above = parent_of(path)
            while above and above not in partly:
                partly.add(above)
                above = parent_of(above)
        found = [one for one in list(self._found.items()) if one[0] not in exempt]
        folders = sum(folder for _, folder in found)
        first = heapq.nsmallest(MAX_NAMED, found, key=lambda one: (one[0].count(b"/"), one[0]))
        return Passed(
            folders=folders,
            files=len(found) - folders,
            first=tuple(
                Skipped(
                    path=path + b"/" if folder else path,
                    reason=_PARTLY if path in partly else IGNORED,
                )
                for path, folder in first
            ),
        )


def place(path: bytes, scope: Scope, *, directory: bool) -> tuple[bytes, bool]:
    """Returns what is named for an ignored path, and whether that is a folder.

    It is the folder around it where all that is in there is ignored, as in a virtual environment.

    Args:
        path: relative to the root.
        scope: rules of the directory that it is in.
        directory: whether it is one.
    """
    return (scope.path, True) if scope.is_blanket else (path, directory)
