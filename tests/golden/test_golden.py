"""Recorded payloads of real agents, and the events they must become.

``<agent>/<version>/<name>.json`` is a payload as the agent sent it, ``<name>.expected.json`` what
it becomes.
To regenerate the latter after a deliberate change, and then to read the difference::

    .venv/bin/python tests/golden/test_golden.py && git diff tests/golden
"""

import dataclasses
import json
from pathlib import Path

import pytest

from agentdiff.agents import registry
from agentdiff.core.events import AgentEvent

GOLDEN = Path(__file__).resolve().parent
RECEIVED_NS = 1_795_244_000_000_000_000

PAYLOADS = sorted(
    path for path in GOLDEN.glob("*/*/*.json") if not path.name.endswith(".expected.json")
)


def expected_file(payload: Path) -> Path:
    """Returns the file with the events of a payload."""
    return payload.with_suffix(".expected.json")


def readable(payload: Path) -> str:
    """Returns the events of a recorded payload as indented JSON, one object per event."""
    agent = payload.relative_to(GOLDEN).parts[0]
    events = registry.parse(agent, payload.read_bytes(), RECEIVED_NS)
    return json.dumps([_plain(event) for event in events], indent=2, ensure_ascii=False) + "\n"


def _plain(value: object) -> object:
    """Bytes become ``{"bytes": text}``; a field that has its default is left out."""
    if isinstance(value, bytes):
        return {"bytes": value.decode("utf-8")}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if not dataclasses.is_dataclass(value):
        return value
    said = {
        field.name: _plain(getattr(value, field.name))
        for field in dataclasses.fields(value)
        if getattr(value, field.name) != field.default
    }
    return {"event" if isinstance(value, AgentEvent) else "value": type(value).__name__, **said}


@pytest.mark.parametrize(
    "payload", PAYLOADS, ids=lambda path: path.relative_to(GOLDEN).with_suffix("").as_posix()
)
def test_recorded_payload_becomes_its_events(payload: Path) -> None:
    """A payload that a real agent sent becomes exactly the events that were reviewed for it."""
    assert expected_file(payload).read_text("utf-8") == readable(payload)


def test_every_expectation_has_its_payload() -> None:
    """No expectation outlives the recording that it belongs to."""
    assert {expected_file(path) for path in PAYLOADS} == set(GOLDEN.glob("*/*/*.expected.json"))


def test_every_version_says_where_it_comes_from() -> None:
    """Every folder of recordings has a SOURCE.md."""
    folders = {path.parent for path in PAYLOADS}
    assert folders == {path.parent for path in GOLDEN.glob("*/*/SOURCE.md")}


def _regenerate() -> None:
    for path in PAYLOADS:
        expected_file(path).write_text(readable(path), encoding="utf-8")


if __name__ == "__main__":
    _regenerate()
