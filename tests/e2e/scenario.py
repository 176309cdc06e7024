"""What a scripted model says: the vocabulary of the scenarios.

Owns `Call`, `Step`, `Track`, `Scenario` and the ids of calls.  Must not know how any model API puts
it (`e2e.dialects`), nor agentdiff.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

MAIN = "main"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One tool call that the model asks for.

    Attributes:
        tool: the name under which the model calls the tool (``Edit``, ``exec_command``…).
        input: the tool's arguments, or the text that a tool without a schema takes.
        touches: workspace paths whose pending change this call is answerable for in the end: the
            truth that the attribution is checked against.  A change that a later call overwrote is
            not listed.
        evidence: how sure agentdiff may be of that: one of these, and of nothing else.
        shown: the name under which the agent's hooks report the tool, when that is another.
        outcome: how the log must say that it ended; empty when that is not what the scenario is
            about.
        inner: calls that a program in `input` makes, in the place of this one: the hooks report
            them, under ids that nobody knows before (Codex's code mode).
    """

    tool: str
    input: Mapping[str, object] | str
    touches: tuple[bytes, ...] = ()
    evidence: tuple[str, ...] = ()
    shown: str = ""
    outcome: str = ""
    inner: tuple[Call, ...] = ()

    @property
    def reported(self) -> str:
        """The name of the tool in agentdiff's answers."""
        return self.shown or self.tool


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One assistant message.  Several calls are parallel calls; no call ends the turn.

    Attributes:
        gate: name of a gate; the answer waits until the test releases it.  The tools of the step
            before are over by then, with their hooks.
        refuses: the request is refused as one that makes no sense, and nothing is said.
    """

    calls: tuple[Call, ...] = ()
    text: str = ""
    gate: str = ""
    refuses: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """The steps of a subagent, chosen when its first prompt contains `match`."""

    match: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """All that the model says in one turn: the main conversation and one track for each subagent.

    Attributes:
        start: how many messages the model has said in earlier turns of the session.
    """

    steps: tuple[Step, ...]
    tracks: tuple[Track, ...] = ()
    start: int = 0

    @property
    def end(self) -> int:
        """The `start` of the next turn: after the last step the model says once that it is done."""
        return self.start + len(self.steps) + 1

    def pick(self, first_text: str, index: int) -> tuple[str, Step]:
        """Returns (name of the track, step) for a conversation's `index`-th message (0-based)."""
        track, steps, index = MAIN, self.steps, index - self.start
        for candidate in self.tracks:
            if candidate.match in first_text:
                track, steps, index = candidate.match, candidate.steps, index + self.start
        return track, steps[index] if 0 <= index < len(steps) else Step(text="done")

    def calls(self) -> Iterator[ScriptedCall]:
        """Yields every call, subagents included."""
        for track, start, steps in (
            (MAIN, self.start, self.steps),
            *((track.match, 0, track.steps) for track in self.tracks),
        ):
            for index, step in enumerate(steps, start):
                for number, call in enumerate(step.calls):
                    identity = call_id(track, index, number)
                    for at, one in enumerate(call.inner or (call,)):
                        name = f"{identity}/{at}" if call.inner else identity
                        yield ScriptedCall(id=name, call=one, subagent=track != MAIN)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedCall:
    """A call with the id that the model gives it; `subagent` says whether a subagent makes it.

    The id of an inner call is its place in the script; see `e2e.driver.Driver.known_ids`.
    """

    id: str
    call: Call
    subagent: bool


def call_id(track: str, step: int, number: int) -> str:
    """Returns the id of the `number`-th call of a step (0-based); the same on every replay."""
    return f"toolu_{''.join(filter(str.isalnum, track))}_{step:02d}_{number}"
