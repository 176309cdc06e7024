"""How often views are fetched."""

import asyncio
from collections.abc import Iterator

import pytest

from agentdiff.nvim.screen import REST_AT_MOST_S, Pace


def _pace(*times_s: float) -> Pace:
    clock: Iterator[float] = iter(times_s)
    return Pace(clock=lambda: next(clock))


async def _fetch(pace: Pace) -> None:
    async with pace:
        pass


@pytest.mark.parametrize(("took_s", "rest_s"), [(0.01, 0.02), (0.0, 0.0), (60.0, REST_AT_MOST_S)])
def test_after_a_fetch_there_is_a_rest(took_s: float, rest_s: float) -> None:
    """Twice what it took, some seconds at most."""
    pace = _pace(100.0, 100.0, 100.0 + took_s, 100.0 + took_s)
    asyncio.run(_fetch(pace))
    assert pace.rest_s == pytest.approx(rest_s)


def test_of_two_fetches_the_second_rests_too() -> None:
    """Also when it was asked for while the first was under way."""
    pace = _pace(0.0, 0.0, 0.001, 0.001, 0.003, 0.004, 0.004)

    async def both() -> None:
        await asyncio.gather(_fetch(pace), _fetch(pace))

    asyncio.run(both())
    assert pace.rest_s == pytest.approx(0.002)


def test_the_first_change_is_fetched_at_once() -> None:
    """Also the first after the rest is over."""
    pace = _pace(100.0, 100.0, 100.0, 101.0, 103.5)
    assert pace.rest_s == 0
    asyncio.run(_fetch(pace))
    assert pace.rest_s == 0
