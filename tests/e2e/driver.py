"""What a test has to know of an agent to drive it: one `Driver` for each.

Owns the shape: how the agent is set up and started, and which tool calls its model asks for.  Must
not check anything.  A new agent is one module with a `Driver` and a fixture in ``conftest.py``.
"""

from __future__ import annotations

import base64
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from e2e.model_server import Call, ScriptedCall, Step, Track

if TYPE_CHECKING:
    from e2e.rig import Rig, Turn

_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """One run of an agent without its terminal interface.

    Attributes:
        prompt: the user's.
        url: of the model, without a path.
        session: to be given to the agent, where it lets itself be told; to be resumed else.
        resume: whether `session` is one that there is.
    """

    prompt: str
    url: str
    session: str
    resume: bool


@dataclass(frozen=True, slots=True)
class Driver(ABC):
    """One agent.

    Attributes:
        program: of the real agent.
    """

    program: Path

    @property
    @abstractmethod
    def name(self) -> str:
        """The agent's name in agentdiff."""

    @abstractmethod
    def prepare(self, rig: Rig) -> None:
        """Writes what the agent needs in its home before it is started, once per rig."""

    @abstractmethod
    def environment(self, url: str) -> Mapping[str, str]:
        """Returns what makes the agent talk to the model at `url` and to nothing else."""

    @abstractmethod
    def command(self, launch: Launch) -> list[str]:
        """Returns the command line of one run: it ends by itself after one turn."""

    def install(self, rig: Rig) -> None:
        """Installs the hooks the way a user does."""
        rig.agentdiff("install", self.name, "--scope", "user")

    def new_session(self) -> str:
        """Returns an id that the agent lets itself be given; empty when it makes its own."""
        return ""

    def session_of(self, output: bytes) -> str:
        """Returns the id of the session from what a run printed, where the agent makes its own."""
        raise NotImplementedError(f"{self.name} is told its session")

    def diary(self, rig: Rig) -> bytes:
        """Returns what the agent wrote down last, for the message of a run that failed."""
        del rig
        return b""

    @property
    def own_in_git(self) -> frozenset[bytes]:
        """What the agent itself puts into ``.git``."""
        return frozenset()

    def ids(self, turn: Turn, logged: list[dict[str, Any]]) -> Mapping[str, str]:
        """Returns, for calls whose id the model does not choose, the id by that in the script.

        Args:
            turn: that was played.
            logged: ``log --json``.
        """
        del turn, logged
        return {}

    def known_ids(self, turn: Turn, logged: list[dict[str, Any]]) -> list[ScriptedCall]:
        """Returns every call of a turn with the id that the agent gave it."""
        ids = self.ids(turn, logged)
        return [
            ScriptedCall(id=ids.get(one.id, one.id), call=one.call, subagent=one.subagent)
            for one in turn.scenario.calls()
        ]

    def can_name(self, path: bytes) -> bool:
        """Tells whether the agent's edit tools take a file of this name."""
        del path
        return True

    # What the model may ask for.  A path is relative to the workspace `root`.

    def read(self, root: Path, path: bytes) -> Call | None:
        """Reads a file, for agents that refuse to edit what they have not read."""
        del root, path
        return None

    @abstractmethod
    def edit(self, root: Path, path: bytes, old: str, new: str, *, survives: bool = True) -> Call:
        """Replaces the one occurrence of `old`, whole lines, by `new`.

        `survives` is False when nothing of the change remains.
        """

    @abstractmethod
    def write(self, root: Path, path: bytes, content: str) -> Call | None:
        """Writes a whole file, new or not; None where the agent has no tool that would."""

    @abstractmethod
    def bash(self, command: str, *touches: bytes, background: bool = False) -> Call:
        """Runs a bash command in the folder where the agent was started."""

    def subagent(self, mark: str, *steps: Step) -> tuple[Call, Track]:
        """Starts a subagent whose prompt holds `mark`; returns the call and what it does."""
        raise NotImplementedError(f"{self.name} has no subagents")


def ids_by_content(
    turn: Turn, logged: list[dict[str, Any]], *, subagents: bool = True
) -> dict[str, str]:
    """Returns the `Driver.ids` of an agent that has no ids of calls.

    A call is the first one in the log with its tool, its command and its paths that no earlier
    call of the script is.  `subagents` says whether the agent tells whose call it is.
    """
    of_turn = [
        entry
        for entry in logged
        if (entry["session"], entry["prompt"]) == (turn.session, turn.prompt)
    ]
    of_turn.sort(key=lambda entry: str(entry["started"]))
    found: dict[str, str] = {}
    for scripted in turn.scenario.calls():
        for entry in of_turn if scripted.call.touches or scripted.call.outcome else ():
            whose = not subagents or bool(entry["subagent"]) == scripted.subagent
            if whose and _is_alike(entry, scripted.call):
                found[scripted.id] = entry["tool_call"]
                of_turn.remove(entry)
                break
    return found


def _is_alike(entry: dict[str, Any], call: Call) -> bool:
    command = call.input.get("command") if isinstance(call.input, Mapping) else None
    paths = {path_of(path) for path in entry["paths"]}
    same = (entry["tool"], entry["command"]) == (call.reported, command)
    return same and set(call.touches) <= paths


def path_of(item: dict[str, Any], key: str = "path") -> bytes:
    """Returns the exact path that an answer of agentdiff names under `key`."""
    exact = item.get(f"{key}_b64")
    return item[key].encode() if exact is None else base64.b64decode(exact)


def step(*calls: Call | None, gate: str = "") -> Step:
    """One assistant message with these calls."""
    return Step(calls=tuple(call for call in calls if call is not None), gate=gate)


def steps(*calls: Call | None) -> tuple[Step, ...]:
    """One assistant message for each call."""
    return tuple(Step(calls=(call,)) for call in calls if call is not None)


def said(*messages: Step) -> tuple[Step, ...]:
    """Leaves out messages without a call, which would end the turn."""
    return tuple(message for message in messages if message.calls or message.text)


def quoted(path: bytes) -> str:
    """Returns bash's ``$'…'`` form of a name of any bytes, in ASCII, safe as an argument."""
    # Octal always with three digits, so that a following digit cannot join it.
    body = "".join(chr(byte) if byte in _PLAIN else f"\\{byte:03o}" for byte in path)
    return f"./$'{body}'"
