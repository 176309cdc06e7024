"""Facts, in the past tense: everything the ledger can be told.

Owns the normalised vocabulary that agents, watcher, editor and command line share.  Must not decide
anything.  Produced at hops 2 and 3, consumed at hop 4 (`agentdiff.core.ledger`).

Every event carries `received_ns` (wall clock of the receiving source, in nanoseconds); nothing in
the core reads a clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from agentdiff.core.chunks import Chunk
from agentdiff.core.entries import Entry
from agentdiff.core.pathstate import PathState

ToolScope: TypeAlias = Literal["paths", "tree", "none"]
TargetAction: TypeAlias = Literal["read", "edit", "write", "delete", "move"]
Outcome: TypeAlias = Literal["ok", "error", "interrupted", "denied", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A path that a tool call announced it will touch.

    Attributes:
        path: absolute path as bytes, joined with the payload's cwd but **not** resolved; nothing
            about it is trusted before `agentdiff.workspace` has confined it.
        action: what the call will do with it.
        old_text: text that an edit replaces (``action="edit"``), else None.
        new_text: replacement (``edit``) or whole new content (``write``), else None.
        replace_all: whether every occurrence of `old_text` is replaced.
        move_to: absolute destination of a ``move``.
        chunks: what a Codex patch changes in the file (``edit`` or ``move``), else empty.
    """

    path: bytes
    action: TargetAction
    old_text: bytes | None = None
    new_text: bytes | None = None
    replace_all: bool = False
    move_to: bytes | None = None
    chunks: tuple[Chunk, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentEvent:
    """What every event of an agent carries.

    Attributes:
        agent: name given on the hook command line (``claude``, ``codex``…), never guessed.
        session: the agent's own session id; sessions are keyed by (agent, session).
        turn: the agent's own id of the turn (Claude ``prompt_id``), None when the payload has none.
        subagent: id of the subagent that acted, None for the main agent.
        cwd: absolute working directory, None when the payload has none (OTLP).
        received_ns: wall clock in nanoseconds.
    """

    agent: str
    session: str
    turn: str | None = None
    subagent: str | None = None
    cwd: bytes | None = None
    received_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStarted(AgentEvent):
    """A session opened (`reason`: ``startup``, ``resume``, ``clear``, ``compact``)."""

    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnded(AgentEvent):
    """A session said that it ended."""

    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptSubmitted(AgentEvent):
    """The user submitted a prompt: a turn starts, and every open call of the session is over.

    Attributes:
        prompt: the text, lossily decoded.
        by_user: False for prompts that the agent program writes itself (task notifications).
    """

    prompt: str = ""
    by_user: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnEnded(AgentEvent):
    """The agent stopped; `background` holds the ids of jobs that still run."""

    background: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolStarted(AgentEvent):
    """A tool is about to run; the agent waits for our acknowledgement.

    Attributes:
        tool_call: the agent's id of the call, or one that the adapter derived.
        tool: the agent's own name of the tool (``Edit``, ``Bash``, ``mcp__x__y``).
        scope: ``paths`` when `targets` is complete, ``tree`` when anything may change, ``none`` for
            tools that only read.
        targets: announced paths, empty unless `scope` is ``paths``.
        command: the shell command line, for display only: never evaluated.
    """

    tool_call: str
    tool: str
    scope: ToolScope
    targets: tuple[Target, ...] = ()
    command: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolFinished(AgentEvent):
    """A tool returned.  Not the end of writing when `background_task` is set.

    `scope` and `targets` are repeated because the start may have been missed.
    """

    tool_call: str
    tool: str
    outcome: Outcome
    scope: ToolScope = "none"
    targets: tuple[Target, ...] = ()
    command: str | None = None
    background_task: str | None = None
    error: str | None = None

    def as_start(self) -> ToolStarted:
        """Returns the start of this call, for one whose start was missed."""
        return ToolStarted(
            agent=self.agent,
            session=self.session,
            turn=self.turn,
            subagent=self.subagent,
            cwd=self.cwd,
            received_ns=self.received_ns,
            tool_call=self.tool_call,
            tool=self.tool,
            scope=self.scope,
            targets=self.targets,
            command=self.command,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolBatchFinished(AgentEvent):
    """All calls of one assistant message are over; the only close of denied and invalid ones."""

    tool_calls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PermissionRequested(AgentEvent):
    """The agent waits for the user's permission to use `tool`."""

    tool: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubagentStarted(AgentEvent):
    """A subagent (`AgentEvent.subagent`) started; `name` is its type."""

    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubagentFinished(AgentEvent):
    """A subagent (`AgentEvent.subagent`) finished; `name` is its type."""

    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CwdChanged(AgentEvent):
    """The session's working directory moved; `cwd` is the new one."""

    old_cwd: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notified(AgentEvent):
    """The agent shows the user a notice; `kind` is the agent's own word (``permission_prompt``)."""

    kind: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileObserved:
    """The content of a path was seen to differ from what was last known of it.

    Attributes:
        path: relative to the workspace root.
        before: what was last known.  `agentdiff.core.ledger` uses it only for a path without state.
        after: what was read now.
        uncertain: the cut before the open window was not complete in time.
    """

    path: bytes
    before: Entry
    after: Entry
    received_ns: int
    uncertain: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EditorClaimed:
    """Neovim says that the user writes these bytes to this path.

    Attributes:
        data: the exact bytes of the write.
        written: False before the write (a claim), True after it succeeded (a proof).
    """

    client: str
    path: bytes
    data: bytes
    written: bool
    received_ns: int


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
class HunkPick:
    """One hunk named by a decision, with the generation that was seen.

    Attributes:
        hunk: hunk or pseudo-hunk id.
        gen: generation of its path when it was seen; None decides whatever is there now.
        old: 0-based half-open range of the hunk's old lines, None together with `new` for all of
            it.
        new: 0-based half-open range of the hunk's new lines.
    """

    hunk: int
    gen: int | None = None
    old: tuple[int, int] | None = None
    new: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What a decision is about.  Exactly one of `everything`, `paths`, `picks` is set.

    Attributes:
        agent, session, turn: further restrict to hunks of one owner.
        include_external: whether bulk rejects also cover hunks that no agent owns.
        seen: log sequence number that the client saw; paths that moved on since stay pending.
    """

    everything: bool = False
    paths: tuple[bytes, ...] = ()
    picks: tuple[HunkPick, ...] = ()
    agent: str | None = None
    session: str | None = None
    turn: str | None = None
    include_external: bool = False
    seen: int | None = None


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
class LoadedItem:
    """One path of a decision, with its states and contents brought back from the store."""

    path: bytes
    before: PathState | None
    after: PathState | None
    cur_before: Entry
    cur_after: Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoRequested:
    """The user takes back a decision (`redo` False) or repeats an undone one.

    Attributes:
        decision: what `agentdiff.core.ledger.Ledger.undo_target` named, None when there is none.
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
    | EditorClaimed
    | EditorAttached
    | EditorDetached
    | DecisionRequested
    | UndoRequested
    | RestoreRequested
    | EntryWritten
    | TimePassed
)
