"""Facts about agents, in the past tense: the normalised vocabulary that all adapters share.

Owns what an agent can be said to have done.  Must not decide anything.  Produced at hop 2 from hook
payloads and telemetry, consumed at hop 4 (`agentdiff.core.tracking`).  `agentdiff.core.events` has
them all, and those of watcher, editor and command line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from agentdiff.core.chunks import Chunk

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
class Reach:
    """What a shell command may change, as far as its text tells; it sharpens labels, no more.

    Attributes:
        paths: paths that it may change; absolute in an event of an adapter, relative to the
            workspace behind the router.
        below: paths below which it may change anything; ``b""`` for the whole workspace.
        complete: whether it changes nothing else; with neither paths, it only reads.
    """

    paths: tuple[bytes, ...] = ()
    below: tuple[bytes, ...] = ()
    complete: bool = False

    def covers(self, path: bytes) -> bool:
        """Whether a path is named, or lies where anything may change."""
        return path in self.paths or any(
            not top or path == top or path.startswith(top + b"/") for top in self.below
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """What an agent says that a command did to one file.

    Attributes:
        path: absolute and not trusted, like that of a `Target`.
        pieces: (0-based first line, lines without terminators) of what is there now, with context.
        deleted: whether the file is gone.
    """

    path: bytes
    pieces: tuple[tuple[int, tuple[bytes, ...]], ...] = ()
    deleted: bool = False


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
        trace: W3C trace context (``00-<trace id>-<span id>-<flags>``) of the report, empty when the
            agent sent none.
        within: session id of the `agentdiff run` whose process tree the agent belongs to.
        proxied: told by `agentdiff run` or the ACP proxy, not by the agent: its own hooks know
            better where they exist, and only they can tell it something.
    """

    agent: str
    session: str
    turn: str | None = None
    subagent: str | None = None
    cwd: bytes | None = None
    received_ns: int = 0
    trace: str = ""
    within: str | None = None
    proxied: bool = False


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
    """The agent stopped.

    Attributes:
        background: ids of jobs that still run.
        error: why it stopped when it did not want to (the model could not be reached), else empty.
        leaves_running: the agent leaves its commands alone: one that has not returned goes on.
    """

    background: tuple[str, ...] = ()
    error: str = ""
    leaves_running: bool = False


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
        reach: what that command line may change, None when nobody looked.
        unnamed: made of a `ToolFinished.unnamed`, it opens nothing when there is a call like it.
        parent: the call inside which this one runs, None when it stands for itself.
        covers: a window that holds while nothing more precise is known: a whole program under
            `agentdiff run`, a whole turn behind the ACP proxy.
        waits: False when the agent only told us and may have written already.
        alone: no other call of the same main agent or subagent runs meanwhile, so that the start of
            the next one says that this one is over.
    """

    tool_call: str
    tool: str
    scope: ToolScope
    targets: tuple[Target, ...] = ()
    command: str | None = None
    reach: Reach | None = None
    alone: bool = False
    unnamed: bool = False
    parent: str | None = None
    covers: bool = False
    waits: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolFinished(AgentEvent):
    """A tool returned.  Not the end of writing when `background_task` is set.

    `scope`, `targets` and `reach` are repeated because the start may have been missed.

    Attributes:
        unnamed: the agent has no ids of calls (Gemini CLI, Copilot CLI): `tool_call` is derived
            from this event alone, and the oldest open call of the same tool, paths and command is
            meant.
        parent: as of the start.
        edits: what the agent itself says that a command did to files, which may be less than all.
    """

    tool_call: str
    tool: str
    outcome: Outcome
    scope: ToolScope = "none"
    targets: tuple[Target, ...] = ()
    command: str | None = None
    reach: Reach | None = None
    background_task: str | None = None
    edits: tuple[Edited, ...] = ()
    error: str | None = None
    unnamed: bool = False
    parent: str | None = None

    def as_start(self) -> ToolStarted:
        """Returns the start of this call, for one whose start was missed."""
        return ToolStarted(
            agent=self.agent,
            session=self.session,
            turn=self.turn,
            subagent=self.subagent,
            cwd=self.cwd,
            received_ns=self.received_ns,
            within=self.within,
            proxied=self.proxied,
            tool_call=self.tool_call,
            tool=self.tool,
            scope=self.scope,
            targets=self.targets,
            command=self.command,
            reach=self.reach,
            unnamed=self.unnamed,
            parent=self.parent,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolReported(AgentEvent):
    """Telemetry tells what became of a call that hooks announced.

    It comes after the fact, so that it never opens a call and never takes a baseline: it closes a
    call that the hooks left open, and says who allowed it.

    Attributes:
        tool_call: the agent's id of the call, empty when it has none (Gemini CLI): then the oldest
            call of `tool` that is not told of yet is meant.
        tool: the agent's own name of the tool.
        allowed: whether it was let run, None when the report does not say.
        outcome: how it ended, None while it runs.
        decided_by: ``config``, ``user``, ``hook`` or the agent's own word, empty when not said.
        background: the agent's id of a job that the call left running, None for none.
    """

    tool_call: str
    tool: str = ""
    allowed: bool | None = None
    outcome: Outcome | None = None
    decided_by: str = ""
    background: str | None = None


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
