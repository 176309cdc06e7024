"""What hooks of several agents have in common: who acts, and which tool call it is.

Owns the shapes `Base` and `Call` and the reading of a tool's arguments by a table (`Tools`).  Must
not know any agent; its tables are in its own module.  Hop 2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias, TypedDict

from agentdiff.agents.fields import Fields
from agentdiff.core.events import Reach, Target, ToolScope
from agentdiff.errors import MalformedPayload
from agentdiff.targets import apply_patch
from agentdiff.targets.reach import reach_of

TargetsOf: TypeAlias = Callable[[Fields, bytes | None], tuple[Target, ...]]
"""From a tool's arguments and the working directory to what the call will touch."""


class Base(TypedDict):
    """The fields of `agentdiff.core.events.AgentEvent`."""

    agent: str
    session: str
    turn: str | None
    subagent: str | None
    cwd: bytes | None
    received_ns: int


class Call(TypedDict):
    """What start and finish of a tool call say alike."""

    tool_call: str
    tool: str
    scope: ToolScope
    targets: tuple[Target, ...]
    command: str | None
    reach: Reach | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """The tools of one agent.

    Attributes:
        targets: the tools whose arguments name all that they write.
        shells: the tools that run what their argument ``command`` says.
        read_only: the tools that write nothing themselves.  A tool that is nowhere may touch
            anything: extensions, and versions to come.
        starts_in_cwd: whether a shell surely starts in the payload's ``cwd``, unless the argument
            `folder` says otherwise.
        folder: the shells' argument for where they start, empty when they have none.
    """

    targets: Mapping[str, TargetsOf]
    shells: frozenset[str]
    read_only: frozenset[str] = field(default_factory=frozenset)
    starts_in_cwd: bool = False
    folder: str = ""

    def call(self, tool_call: str, tool: str, given: Fields, cwd: bytes | None) -> Call:
        """Returns a call from its id, its tool's name and its arguments.

        Raises:
            MalformedPayload: an argument that the tool cannot work without is missing or wrong.
        """
        targets_of = self.targets.get(tool)
        targets = targets_of(given, cwd) if targets_of else ()
        return Call(
            tool_call=tool_call,
            tool=tool,
            scope="paths" if targets else "none" if tool in self.read_only else "tree",
            targets=targets,
            command=given.optional_str("command") if tool in self.shells else None,
            reach=self._reach(given, cwd) if tool in self.shells else None,
        )

    def _reach(self, given: Fields, cwd: bytes | None) -> Reach | None:
        start = cwd
        if self.folder and given.value.get(self.folder) is not None:
            try:
                start = given.path(self.folder, cwd=cwd)
            except MalformedPayload:
                start = None  # a folder that we cannot read is no reason to miss the call
        command = given.optional_bytes("command")
        return reach_of(command, start, guessed=not self.starts_in_cwd)


def edits(path: str, old: str, new: str, everywhere: str = "") -> TargetsOf:
    """Returns the reader of a tool that replaces a text; the arguments are its arguments' names.

    Args:
        path: of the file.
        old: the text that is there.
        new: what replaces it.
        everywhere: whether each occurrence is replaced; empty where the tool has no such argument.
    """

    def targets(given: Fields, cwd: bytes | None) -> tuple[Target, ...]:
        target = Target(
            path=given.path(path, cwd=cwd),
            action="edit",
            old_text=given.optional_bytes(old),
            new_text=given.optional_bytes(new),
            replace_all=bool(everywhere) and given.optional_bool(everywhere),
        )
        return (target,)

    return targets


def writes(path: str, content: str) -> TargetsOf:
    """Returns the reader of a tool that writes a whole file; see `edits`."""

    def targets(given: Fields, cwd: bytes | None) -> tuple[Target, ...]:
        text = given.optional_bytes(content)
        return (Target(path=given.path(path, cwd=cwd), action="write", new_text=text),)

    return targets


def changes(path: str) -> TargetsOf:
    """Returns the reader of a tool that names its file and not the file's text (notebooks)."""

    def targets(given: Fields, cwd: bytes | None) -> tuple[Target, ...]:
        return (Target(path=given.path(path, cwd=cwd), action="edit"),)

    return targets


def patches(text: str) -> TargetsOf:
    """Returns the reader of a tool that applies a patch in the format of Codex.

    A patch that does not parse names nothing: its call may then touch anything.
    """

    def targets(given: Fields, cwd: bytes | None) -> tuple[Target, ...]:
        return apply_patch.targets_of(given.optional_bytes(text) or b"", cwd)

    return targets
