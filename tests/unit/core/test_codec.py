"""Stored shapes come back as the values they were, exactly."""

from __future__ import annotations

from itertools import count

import orjson
import pytest

from agentdiff.core.codec import (
    decode_owner,
    decode_ref,
    decode_state,
    encode_owner,
    encode_ref,
    encode_state,
    path_fields,
    path_of,
    state_refs,
)
from agentdiff.core.entries import ABSENT, ABSENT_REF, File, Link, Other, Ref
from agentdiff.core.observing import observe
from agentdiff.core.owners import EXTERNAL, USER, Owner
from tests.properties.strategies import AGENT_A, AGENT_B


@pytest.mark.parametrize("path", [b"a", b"d/b c", "ü".encode(), b"\xff\n", b'"'])
def test_paths_come_back_exactly(path: bytes) -> None:
    """Also those that are not UTF-8, through JSON."""
    assert path_of(orjson.loads(orjson.dumps(path_fields(path)))) == path


def test_only_a_path_that_is_not_utf8_has_the_exact_field() -> None:
    """`path` is lossy then, for people."""
    assert path_fields(b"a") == {"path": "a"}
    assert path_fields(b"\xff") == {"path": "\ufffd", "path_b64": "/w=="}


@pytest.mark.parametrize(
    "ref",
    [
        ABSENT_REF,
        File(data=b"x", mode=0o755).ref(),
        File(data=b"", mode=0o000).ref(),
        Link(target=b"t").ref(),
        Other(kind="fifo", stamp="3").ref(),
        Ref(kind="dir", mode=0o700),
    ],
)
def test_refs_come_back(ref: Ref) -> None:
    """Trailing defaults are left out and put back."""
    assert decode_ref(orjson.loads(orjson.dumps(encode_ref(ref)))) == ref


@pytest.mark.parametrize(
    "owner", [USER, EXTERNAL, AGENT_A, Owner(kind="shared", evidence="shared", among=("a", "b"))]
)
def test_owners_come_back(owner: Owner) -> None:
    """Empty fields are not stored."""
    assert decode_owner(orjson.loads(orjson.dumps(encode_owner(owner)))) == owner


STEPS = [
    pytest.param([File(data=b"a\nb\n"), File(data=b"A\nb\n")], id="text"),
    pytest.param([ABSENT, File(data=b"a\n")], id="created"),
    pytest.param([File(data=b"a\n"), ABSENT], id="deleted"),
    pytest.param([File(data=b"\0"), File(data=b"\0\0", mode=0o755)], id="binary and mode"),
    pytest.param([Link(target=b"\xff"), File(data=b"a")], id="type"),
    pytest.param([Other(kind="fifo"), File(data=b"a")], id="not recoverable"),
    pytest.param(
        [File(data=b"a\nb\nc\n"), File(data=b"A\nb\nC\n"), File(data=b"A\nx\nb\nC\n")],
        id="two owners",
    ),
]


@pytest.mark.parametrize("steps", STEPS)
def test_path_states_come_back(steps: list[File]) -> None:
    """Every field of a state survives; contents are fetched by their refs."""
    ids = count(1)
    state, known = None, steps[0]
    for after, owner in zip(steps[1:], [AGENT_A, AGENT_B], strict=False):
        state = observe(state, b"p \xff", known, after, owner, lambda: next(ids))
        known = after
    contents = {entry.ref(): entry for entry in steps}
    stored = orjson.loads(orjson.dumps(encode_state(state)))
    assert decode_state(stored, contents.__getitem__) == state
    assert set(state_refs(stored)) <= contents.keys()


def test_no_state_comes_back_as_none() -> None:
    """Nothing pends is stored as null."""
    assert encode_state(None) is None
    assert decode_state(None, {}.__getitem__) is None
    assert state_refs(None) == ()
