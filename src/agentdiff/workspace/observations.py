"""Owns the values that the tracker speaks in.

Must not do anything.  Hop 5: the engine stores them and makes
`agentdiff.core.events.FileObserved` of those whose content changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agentdiff.core.entries import Ref
from agentdiff.workspace.tree import Signature


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What was last seen of a path.

    Attributes:
        ref: its content.  An absent one is a path that somebody named and that does not exist.
        signature: None when it proves nothing, so that the path is read again.
    """

    ref: Ref
    signature: Signature | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """A path was read.

    Attributes:
        path: relative to the root.
        before: what was known of it.  Equal to `after` where only the signature is news, and
            where the path was not followed before: then `after` is its baseline.
        after: what it holds now; its content is in the blob store.
        signature: to be remembered with `after`.
        seen_ns: wall clock just before it was read.
        read_ns: wall clock just after, 0 for the same moment.
        forget: the path is gone and nobody named it: nothing needs to be remembered of it.
        new_parents: directories above a created path that came with it, outermost first.
        uncertain: a tool was let go while it could not be read what the path holds.
    """

    path: bytes
    before: Ref
    after: Ref
    signature: Signature | None
    seen_ns: int
    read_ns: int = 0
    forget: bool = False
    new_parents: tuple[bytes, ...] = ()
    uncertain: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Observations in the order in which the paths were read.

    Attributes:
        initial: they are the first population of a workspace that nobody knew: nothing changed.
            There is exactly one such batch, empty or not; before it, nothing of the workspace is
            known for good.
        uncertain: a tool was let go before these paths were read.
        catching_up: read before the whole tree was seen once in this life of the daemon: what
            changed may have changed while nothing watched.
    """

    observations: Sequence[Observation]
    initial: bool = False
    uncertain: bool = False
    catching_up: bool = False


OWN_REPOSITORY = "a repository of its own: followed once an agent works in it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A path that is not followed, or not kept; ``b""`` is the workspace itself."""

    path: bytes
    reason: str


IGNORED = "ignored"


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """What is not followed because it is ignored; nothing is amiss.

    Attributes:
        folders: how many folders, each counted without what is in it.
        files: how many files outside of them.
        first: some of both, folders with a slash at the end; each reason begins with `IGNORED`.
    """

    folders: int
    files: int
    first: tuple[Skipped, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CutResult:
    """What a cut found.

    Attributes:
        certain: everything that was asked for was read in time.
        scanned: how many paths were looked at, 0 when time ran out.
        changed: how many of them held something else than what was known.
        skipped: what is not covered.
    """

    certain: bool
    scanned: int = 0
    changed: int = 0
    skipped: tuple[Skipped, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackerSettings:
    """Limits of one workspace.

    Attributes:
        max_file_bytes: longer contents are not kept.
        max_files: in a larger tree only named files are followed.
        small_file_bytes: ignored files up to this size are followed (``.env``).
        whole_tree: False where only named files are followed (``$HOME``).
        reason: why `whole_tree` is False, for the coverage report.
        sweep_s: how long a busy workspace is followed by the feed's word alone, at least, before
            everything is looked at again.
        include: globs, from the root, of ignored files that are followed all the same; ``**``
            stands for any number of folders.
    """

    max_file_bytes: int = 16 << 20
    max_files: int = 200_000
    small_file_bytes: int = 64 << 10
    whole_tree: bool = True
    reason: str = ""
    sweep_s: float = 60.0
    include: tuple[str, ...] = ()
