"""One scenario: what is there before, and a function that makes a real agent act on it.

Owns the shape only; ``cases_*.py`` hold the scenarios.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from e2e.driver import said
from e2e.model_server import Scenario, Step
from e2e.rig import Rig, Turn

TEN = b"".join(b"line %d\n" % number for number in range(1, 11))


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One scenario.

    Attributes:
        baseline: content, or (content, mode), of each file before the agent comes.
        play: makes the agent act and returns its turns, oldest first.
    """

    name: str
    baseline: Mapping[bytes, bytes | tuple[bytes, int]]
    play: Callable[[Rig], tuple[Turn, ...]]


def played(rig: Rig, *steps: Step) -> tuple[Turn, ...]:
    """Makes the agent play these steps as one turn without a stop, and returns that turn."""
    with rig.run(Scenario(steps=said(*steps))) as run:
        pass
    return (run.turn,)
