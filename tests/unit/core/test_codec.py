"""Stored shapes come back as the values they were, exactly."""

from __future__ import annotations

from dataclasses import replace
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
from agentdiff.core.entries import ABSENT, ABSENT_REF, Entry, File, Link, Other, Ref
from agentdiff.core.events import HunkPick, Selection
from agentdiff.core.ledger import Ledger
from agentdiff.core.observing import observe
from agentdiff.core.owners import EXTERNAL, USER, Owner
from agentdiff.core.pathstate import check
from tests.play import Play
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


SHARED = Owner(kind="shared", evidence="shared", among=(AGENT_A, AGENT_B))
PARALLEL = replace(AGENT_A, evidence="shared", among=(AGENT_A, replace(AGENT_A, tool_call="a2")))


@pytest.mark.parametrize("owner", [USER, EXTERNAL, AGENT_A, SHARED, PARALLEL])
def test_owners_come_back(owner: Owner) -> None:
    """Empty fields are not stored."""
    assert decode_owner(orjson.loads(orjson.dumps(encode_owner(owner)))) == owner


def test_an_older_log_names_the_sessions_of_a_shared_owner_only() -> None:
    """Of them it is known that one of them was it, and nothing else."""
    owner = decode_owner({"kind": "shared", "evidence": "shared", "among": ["s", "r"]})
    assert [(one.kind, one.agent, one.session) for one in owner.possible] == [
        ("agent", None, "s"),
        ("agent", None, "r"),
    ]


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
    nothing: dict[Ref, Entry] = {}
    assert decode_state(None, nothing.__getitem__) is None
    assert state_refs(None) == ()


def reloaded(play: Play, lost: Entry) -> Play:
    """Goes on after a restart with a content that the store has lost."""

    def load(ref: Ref) -> Entry:
        gone = ref.oid == lost.ref().oid
        return Other(kind="content lost", stamp=ref.oid) if gone else play.contents[ref]

    play.restart(Ledger.replay(play.records(), load))
    for state in play.ledger.paths.values():
        check(state)
    return play


def test_lines_on_a_lost_base_are_not_rejected() -> None:
    """They would leave a hole; what can be done is to accept the whole, and to see why."""
    base, after = File(data=b"a\nb\nc\n"), File(data=b"a\nX\nc\n")
    play = Play(disk={b"f": base})
    play.prompt("claude", "A")
    play.write("claude", "A", b"f", after.data)
    play = reloaded(play, base)
    answer = play.decide("reject", Selection(everything=True))
    assert "content lost" in answer["refused"][0]["reason"]
    assert play.disk == {b"f": after}
    assert play.owners(b"f") == [("agent", "A", "exact")]
    play.decide("accept", Selection(everything=True))
    assert not play.pending()


def test_a_lost_content_is_read_again() -> None:
    """Only the base must be had for a reject: what is there now is seen again."""
    base, after = File(data=b"a\nb\nc\n"), File(data=b"a\nX\nc\n")
    play = Play(disk={b"f": base})
    play.prompt("claude", "A")
    play.write("claude", "A", b"f", after.data)
    play = reloaded(play, after)
    play.seen[b"f"] = ABSENT
    play.cut()
    play.decide("reject", Selection(everything=True, include_external=True))
    assert play.disk == {b"f": base}


def test_a_rename_on_a_lost_base_was_created() -> None:
    """The old path pends with what was lost, the new one can be rejected."""
    base = File(data=b"".join(b"%d\n" % n for n in range(20)))
    after = File(data=base.data + b"more\n")
    play = Play(disk={b"old": base})
    play.prompt("claude", "A")
    play.run("claude", "A", {b"old": ABSENT, b"new": after})
    assert play.pending() == {b"new": "renamed", b"old": "deleted"}
    play = reloaded(play, base)
    assert play.pending() == {b"new": "created", b"old": "deleted"}
    answer = play.decide("reject", Selection(everything=True))
    assert [one["path"] for one in answer["refused"]] == ["old"]
    assert not play.disk


def test_what_was_typed_in_a_rename_is_kept_when_it_cannot_be_told_any_more() -> None:
    """Without what the old path held, every line may be the user's."""
    base = File(data=b"".join(b"%d\n" % n for n in range(20)))
    play = Play(disk={b"old": base})
    play.attach()
    play.prompt("claude", "A")
    play.run("claude", "A", {b"old": ABSENT, b"new": base})
    typed = File(data=base.data + b"mine\n")
    play.save(b"new", typed.data, typed)
    play = reloaded(play, base)
    assert play.pending() == {b"new": "renamed", b"old": "deleted"}
    play.run("claude", "A", {b"old": File(data=b"other\n")})
    play.decide("reject", Selection(picks=(HunkPick(hunk=play.ids(b"new")[0]),)))
    assert play.disk[b"new"] == typed
