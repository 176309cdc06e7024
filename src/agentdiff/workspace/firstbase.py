"""Owns taking the first baseline of a git work tree from git, and looking at it again afterwards.

Must not read files that nobody doubts.  Hop 5, on the tracker's own thread.
"""

from __future__ import annotations

from collections.abc import Callable

from agentdiff.workspace.blobs import BlobStore
from agentdiff.workspace.gitbase import GitBase
from agentdiff.workspace.gitindex import UnusableIndex
from agentdiff.workspace.gitpacks import GitPacks
from agentdiff.workspace.index import Index


class FirstBase:
    """Git's part in the first baseline of a workspace.

    Attributes:
        problem: why git could not serve, a sentence; None when it did, or was not asked.

    Args:
        root: absolute path of the workspace.
        index: what is known.
        blobs: what git keeps, it leans on.
        max_bytes: longer contents are not kept.
    """

    def __init__(self, root: bytes, index: Index, blobs: BlobStore, max_bytes: int) -> None:
        self.problem: str | None = None
        self._root = root
        self._index = index
        self._blobs = blobs
        self._max_bytes = max_bytes
        self._git: GitBase | None = None

    def begin(self) -> GitBase | None:
        """Returns what vouches for files in the walk that begins; None after the first one."""
        packs = self._blobs.elsewhere
        if not (self._index.initial and isinstance(packs, GitPacks)):
            return None
        try:
            self._git = GitBase(self._root, packs, self._max_bytes)
        except UnusableIndex as error:  # then every file is read, as without git
            self.problem = f"every file was read for the baseline, git could not serve: {error}"
            return None
        return self._git

    @property
    def doubts(self) -> bool:
        """Whether `verify` has something to do."""
        return self._git is not None and self._index.walked

    def verify(self, proceed: Callable[[], bool]) -> int:
        """Looks whether git's blobs are as long as the files they stand for.

        Not while somebody waits for the first baseline: it takes as long as that itself, and finds
        something only where an attribute that converts was removed after the checkout.

        Returns:
            How many were not, and are stored now.
        """
        git, wrong = self._git, 0
        while git is not None and git.unverified:
            if not proceed():
                return wrong
            path = git.unverified.pop()
            seen = self._index.known.get(path)
            if seen is not None and seen.ref.kind == "file" and not git.holds_true(seen.ref):
                wrong += self._index.correct(path)
        self._git = None
        return wrong
