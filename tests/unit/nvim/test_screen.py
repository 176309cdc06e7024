"""How often views are fetched, and how long they are remembered."""

import asyncio
from collections.abc import Iterator

import pytest

from agentdiff.daemon.ports import RequestError
from agentdiff.nvim.screen import REST_AT_MOST_S, Pace, Screen, Workspace


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


def test_the_views_of_a_folder_that_is_gone_are_forgotten() -> None:
    """Nothing can be decided on them; the page that says so is what intents are made on."""
    screen, workspace = Screen(), Workspace(root=b"/gone", review={})
    intent = {"view": "review", "scope": "all", "first": 0, "last": 0}
    tokens = [screen.emptied(workspace)["review"]["token"] for _ in range(2)]
    assert screen.select(workspace, {**intent, "token": tokens[1]}) is not None
    with pytest.raises(RequestError):
        screen.select(workspace, {**intent, "token": tokens[0]})
