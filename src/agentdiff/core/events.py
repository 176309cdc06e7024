"""Facts, in the past tense: everything the ledger can be told.

Owns the normalised vocabulary that agents, watcher, editor and command line share.  Must not decide
anything.  Produced at hops 2 and 3, consumed at hop 4 (`agentdiff.core.ledger`).

Every event carries `received_ns` (wall clock of the receiving source, in nanoseconds); nothing in
the core reads a clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from agentdiff.core.agent_events import (
    AgentEvent,
    CwdChanged,
    Edited,
    Notified,
    Outcome,
    PermissionRequested,
    PromptSubmitted,
    Reach,
    SessionEnded,
    SessionStarted,
    SubagentFinished,
    SubagentStarted,
    Target,
    TargetAction,
    ToolBatchFinished,
    ToolFinished,
    ToolReported,
    ToolScope,
    ToolStarted,
    TurnEnded,
)
from agentdiff.core.entries import Entry
from agentdiff.core.owners import Owner
from agentdiff.core.pathstate import PathState
from agentdiff.core.selections import HunkPick, Selection

__all__ = [
    "AgentEvent",
    "BlockEdit",
    "CommentAdded",
    "CwdChanged",
    "DecisionRequested",
    "EditRequested",
    "Edited",
    "EditorAttached",
    "EditorClaimed",
    "EditorDetached",
    "EntryWritten",
    "Event",
    "FileObserved",
    "GitCommitted",
    "GitMoved",
    "HunkPick",
    "LoadedItem",
    "Notified",
    "Outcome",
    "PermissionRequested",
    "PromptSubmitted",
    "Reach",
    "RestoreRequested",
    "Selection",
    "SessionEnded",
    "SessionStarted",
    "Step",
    "SubagentFinished",
    "SubagentStarted",
    "Target",
    "TargetAction",
    "TimePassed",
    "ToolBatchFinished",
    "ToolFinished",
    "ToolReported",
    "ToolScope",
    "ToolStarted",
    "TurnEnded",
    "UndoRequested",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileObserved:
    """The content of a path was seen to differ from what was last known of it.

    Attributes:
        path: relative to the workspace root.
        before: what was last known.  `agentdiff.core.ledger` uses it only for a path without state.
        after: what was read now.
        received_ns: when the reading began.
        read_ns: when it was over, 0 for the same moment.
        uncertain: the cut before the open window was not complete in time.
    """

    path: bytes
    before: Entry
    after: Entry
    received_ns: int
    read_ns: int = 0
    uncertain: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingEnded:
    """Everything that one reading of the disk found has been told."""

    received_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GitMoved:
    """Git replaced contents of the work tree (checkout, reset, merge, rebase, stash, pop).

    Attributes:
        label: git's own word for it.
        contents: path → id of the blob that git put there, None where it deleted; only paths that
            were seen to change lately or pend.
        popped: whether it came off the stash: what had been put aside may be in it.
    """

    label: str
    contents: Mapping[bytes, str | None]
    received_ns: int
    popped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GitCommitted:
    """HEAD moved to a new commit.

    Attributes:
        commit: abbreviated id.
        contents: every path that pends and that the commit changed, with what the commit has there.
        changed: every path that the commit changed → id of its blob there, None where it has none.
    """

    commit: str
    contents: tuple[tuple[bytes, Entry], ...]
    changed: Mapping[bytes, str | None]
    received_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EditorClaimed:
    """Neovim says that the user writes these bytes to this path.

    Attributes:
        data: the exact bytes of the write.
        written: False before the write (a claim), True after it succeeded (a proof).
        since_ns: of a proof, a moment before its write began; 0 when nobody looked at the clock.
    """

    client: str
    path: bytes
    data: bytes
    written: bool
    received_ns: int
    since_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EditorAttached:
    """A Neovim shows this workspace."""

    client: str
    received_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EditorDetached:
    """A Neovim left, or its connection broke."""

    client: str
    received_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRequested:
    """The user accepts or rejects; one event is one undoable decision.

    Attributes:
        label: the user's word for it when it is not `op` (``set``, ``restore``, ``clear``).
        reason: why, for the agent.
        discard_user: whether a reject also gives up the user's lines inside mixed hunks.
    """

    op: Literal["accept", "reject"]
    selection: Selection
    client: str
    received_ns: int
    request: int = 0
    label: str = ""
    reason: str = ""
    discard_user: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockEdit:
    r"""One edited block of a review.

    Attributes:
        hunk: id of the hunk that the block shows.
        gen: generation of the hunk when it was shown.
        before: rows of the block as they were shown, each with its mark (space, ``-``, ``+``,
            ``\``), without the ``@@`` line and without terminators.
        after: the rows as they are now.
    """

    hunk: int
    gen: int
    before: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EditRequested:
    """The user wrote an edited review: the new sides of its blocks go to disk, as theirs."""

    edits: tuple[BlockEdit, ...]
    client: str
    received_ns: int
    request: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CommentAdded:
    """The user says something about a change or a place, for the agent to read.

    Attributes:
        path: relative to the workspace root.
        text: what they say.
        hunk: the change it is about, None when it is about lines or the whole file.
        lines: first and last line of the current file, 1-based and inclusive, None for no lines.
    """

    path: bytes
    text: str
    client: str
    received_ns: int
    request: int = 0
    hunk: int | None = None
    lines: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One change of a path: what it held then, and whose change it was.

    `coverage` is what a state that begins with it has (`PathState.coverage`).
    """

    after: Entry
    owner: Owner
    coverage: str = "exact"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedItem:
    """One path of a decision, with its states and contents brought back from the store.

    Attributes:
        path: the path.
        before, after: its state then.
        cur_before, cur_after: its content then.
        since: what happened to it since, oldest first; None when another decision was among that,
            or it does not matter.
        moved: as `since`, and then what happened at the path to which it was renamed; None where
            it was not.
    """

    path: bytes
    before: PathState | None
    after: PathState | None
    cur_before: Entry
    cur_after: Entry
    since: tuple[Step, ...] | None = None
    moved: tuple[Step, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoRequested:
    """The user takes back a decision (`redo` False) or repeats an undone one.

    Attributes:
        decision: what `agentdiff.core.undoing.Turns.target` named, None when there is none.
        items: its paths, loaded by the engine.
    """

    client: str
    received_ns: int
    request: int = 0
    redo: bool = False
    decision: int | None = None
    items: tuple[LoadedItem, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreRequested:
    """The user puts paths back to what they were at the start of a turn.

    Attributes:
        contents: path → content at that time, found and loaded by the engine.
    """

    client: str
    received_ns: int
    contents: tuple[tuple[bytes, Entry, Entry], ...]
    request: int = 0
    turn: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryWritten:
    """The outcome of a `agentdiff.core.commands.WriteEntry`.

    Attributes:
        found: what was there instead of the expected content (the write did not happen).
        failed: why it could not be written at all, else empty.
        weak: the place allows no atomic exchange; the file was compared, then written in place.
    """

    path: bytes
    received_ns: int
    found: Entry | None = None
    failed: str = ""
    weak: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TimePassed:
    """Lets the ledger close what only time closes (tails, dead windows)."""

    received_ns: int


Event: TypeAlias = (
    AgentEvent
    | FileObserved
    | ReadingEnded
    | GitMoved
    | GitCommitted
    | EditorClaimed
    | EditorAttached
    | EditorDetached
    | DecisionRequested
    | EditRequested
    | CommentAdded
    | UndoRequested
    | RestoreRequested
    | EntryWritten
    | TimePassed
)
