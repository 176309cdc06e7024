"""Whatever arrives, an adapter returns events or says `MalformedPayload`: nothing gets past it.

The payloads are any JSON, JSON with the names and words that the adapters look for, and recorded
payloads with something else in one place.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agentdiff.agents import registry
from agentdiff.core.events import AgentEvent
from agentdiff.errors import MalformedPayload

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
AGENTS = sorted(registry.PARSERS)
RECORDED = [agent for agent in AGENTS if (GOLDEN / agent).is_dir()]
"""What `agentdiff run` and the ACP proxy send has no version but our own."""

_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["", "/", "/ws/a", "a\0b", "\ud800", "\udcff", "true", "<task-notification>"])
)


def _json(leaves: st.SearchStrategy[Any], keys: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=6),
        max_leaves=12,
    )


ANY_JSON = _json(_SCALARS, st.text(max_size=8))


@cache
def recorded(agent: str) -> tuple[dict[str, Any], ...]:
    """Returns the recorded payloads of an agent, any version."""
    files = sorted(GOLDEN.glob(f"{agent}/*/*.json"))
    return tuple(
        json.loads(path.read_bytes()) for path in files if not path.name.endswith(".expected.json")
    )


def _places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield at
    inner = value.items() if isinstance(value, dict) else ()
    inner = enumerate(value) if isinstance(value, list) else inner
    for key, item in inner:
        yield from _places(item, (*at, key))


def _replaced(value: Any, at: tuple[Any, ...], new: Any) -> Any:
    if not at:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[at[0]] = _replaced(value[at[0]], at[1:], new)
    return copy


@st.composite
def changed_recordings(draw: st.DrawFn, agent: str) -> Any:
    """Returns a recorded payload with something else in one to three places."""
    value: Any = draw(st.sampled_from(recorded(agent)))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from(sorted(_places(value), key=repr)))
        value = _replaced(value, place, draw(ANY_JSON))
    return value


def _parse(agent: str, payload: bytes) -> None:
    """Parses; anything but events and `MalformedPayload` fails the test."""
    try:
        found = registry.parse(agent, payload, 1)
    except MalformedPayload:
        return
    assert isinstance(found, tuple)
    assert all(isinstance(event, AgentEvent) and event.agent == agent for event in found)


@pytest.mark.parametrize("agent", AGENTS)
@given(value=ANY_JSON)
def test_any_json(agent: str, value: object) -> None:
    """Any JSON value is an event or malformed."""
    _parse(agent, json.dumps(value).encode("ascii"))


@pytest.mark.parametrize("agent", RECORDED)
@given(data=st.data())
def test_a_recording_with_something_else_in_it(agent: str, data: st.DataObject) -> None:
    """A payload that is nearly right is an event or malformed."""
    value = data.draw(changed_recordings(agent))
    _parse(agent, json.dumps(value).encode("ascii"))


@pytest.mark.parametrize("agent", AGENTS)
@given(payload=st.binary(max_size=60))
@example(payload=b"")
@example(payload=b"[" * 100_000)
@example(payload=b'{"a":' * 5_000)
@example(payload=b'{"hook_event_name": 1e400}')
def test_any_bytes(agent: str, payload: bytes) -> None:
    """Bytes that are no JSON at all are malformed."""
    _parse(agent, payload)


@pytest.mark.parametrize("agent", RECORDED)
@given(data=st.data())
def test_a_recording_cut_short(agent: str, data: st.DataObject) -> None:
    """A payload whose end is missing is malformed: it never counts as another one."""
    whole = json.dumps(data.draw(st.sampled_from(recorded(agent)))).encode("ascii")
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(MalformedPayload):
        registry.parse(agent, whole[:cut], 1)
