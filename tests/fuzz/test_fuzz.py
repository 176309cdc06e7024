"""A short, derandomised run of every fuzz target; `make fuzz` is the long one."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz import engine, targets
from tests.fuzz.mutate import mutated
from tests.fuzz.targets import CORPUS, Run, Target

# What Python says of a class like `[[a]`: not that it is none.
pytestmark = pytest.mark.filterwarnings("ignore:Possible nested set:FutureWarning")

TARGETS = {target.name: target for target in (*targets.TARGETS, *engine.TARGETS)}


@pytest.fixture(scope="module")
def opened() -> Iterator[Callable[[Target], Run]]:
    """Opens each target once."""
    runs: dict[str, Run] = {}
    with ExitStack() as stack:

        def get(target: Target) -> Run:
            if target.name not in runs:
                runs[target.name] = stack.enter_context(target.open())
            return runs[target.name]

        yield get


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_right_and_kept_inputs(name: str, opened: Callable[[Target], Run]) -> None:
    """What is right is taken, and what once was a bug is none any more."""
    run = opened(TARGETS[name])
    for data in TARGETS[name].seeds():
        run(data)


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_spoilt_inputs(name: str, opened: Callable[[Target], Run]) -> None:
    """What is nearly right is taken or refused, and nothing else happens."""
    target = TARGETS[name]
    run, seeds = opened(target), target.seeds()

    @settings(max_examples=target.examples)
    @given(number=st.integers(0, 2**64))
    def spoil(number: int) -> None:
        run(mutated(random.Random(number), seeds, target.tokens))

    spoil()


def test_every_kept_input_has_a_target() -> None:
    """No folder of the corpus is forgotten, and no target has only nothing to begin with."""
    assert {path.name for path in CORPUS.iterdir()} <= TARGETS.keys()
    assert [name for name, target in TARGETS.items() if target.seeds() == [b""]] == []
