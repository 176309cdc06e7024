"""P4, P5: independent decisions do not know of each other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agentdiff.core.entries import ABSENT, Entry, File
from agentdiff.core.events import HunkPick, Selection
from tests.play import Play
from tests.properties.strategies import edits, entries, texts

PATHS = [b"a", b"d/b", b"c \xff"]


@st.composite
def reviews(draw: st.DrawFn) -> Play:
    """Draws a workspace in which two agents changed three paths, some of them several times."""
    play = Play()
    for path in PATHS:
        play.put(path, File(data=draw(texts(30))))
    play.seen = dict(play.disk)
    play.prompt("claude", "s")
    play.prompt("codex", "r")
    for _ in range(draw(st.integers(1, 4))):
        agent, session = draw(st.sampled_from([("claude", "s"), ("codex", "r")]))
        path = draw(st.sampled_from(PATHS))
        there = play.disk.get(path, ABSENT)
        if isinstance(there, File) and draw(st.integers(0, 3)):
            play.run(agent, session, {path: File(data=draw(edits(there.data)), mode=there.mode)})
        else:
            play.run(agent, session, {path: draw(entries(there))})
    return play


def fork(play: Play) -> Play:
    """Returns a second workspace with the same history."""
    return Play(
        disk=dict(play.disk),
        ledger=play.reload(),
        log=list(play.log),
        contents=dict(play.contents),
        now=play.now,
        calls=play.calls,
    )


def decided(play: Play, groups: list[tuple[str, list[int]]]) -> dict[bytes, tuple[Entry, Entry]]:
    """Decides groups of ids one after the other; returns (base, disk) of every path."""
    for op, ids in groups:
        if ids:
            picks = tuple(HunkPick(hunk=change) for change in ids)
            answer = play.decide(op, Selection(picks=picks), discard_user=True)
            assert answer["refused"] == []
    return {path: (play.base(path), play.disk.get(path, ABSENT)) for path in PATHS}


@given(reviews(), st.data())
def test_any_partition_in_any_order_ends_the_same(play: Play, data: st.DataObject) -> None:
    """P4: one by one, shuffled, or all accepts and all rejects at once."""
    ids = [change for path in PATHS for change in play.ids(path)]
    verdict = {change: data.draw(st.sampled_from(["accept", "reject"])) for change in ids}
    shuffled = data.draw(st.permutations(ids))
    at_once = [(op, [c for c in ids if verdict[c] == op]) for op in ("accept", "reject")]
    one_by_one = [(verdict[change], [change]) for change in shuffled]
    first = decided(fork(play), at_once)
    assert decided(fork(play), one_by_one) == first
    assert decided(fork(play), at_once[::-1]) == first


@given(reviews(), st.data())
def test_decided_everything_is_decided(play: Play, data: st.DataObject) -> None:
    """After every id got a verdict nothing pends, and base and disk agree."""
    ids = data.draw(st.permutations([change for path in PATHS for change in play.ids(path)]))
    groups = [(data.draw(st.sampled_from(["accept", "reject"])), [change]) for change in ids]
    ended = decided(play, groups)
    assert play.pending() == {}
    assert [path for path, (base, disk) in ended.items() if base != disk] == []


@given(reviews(), st.data())
def test_accepting_and_rejecting_are_opposites(play: Play, data: st.DataObject) -> None:
    """Rejecting some ids and accepting the rest makes every hunk's lines what its verdict says.

    The lines of an undecided hunk are what they were (P5).
    """
    states = [state for state in play.ledger.paths.values() if len(state.hunks) > 1]
    if not states:
        return
    state = data.draw(st.sampled_from(states))
    hunk = data.draw(st.sampled_from(state.hunks))
    op = data.draw(st.sampled_from(["accept", "reject"]))
    play.decide(op, Selection(picks=(HunkPick(hunk=hunk.id),)))
    left = play.ledger.paths[state.path]
    others = {h.id: h for h in state.hunks if h.id != hunk.id}
    assert {h.id for h in left.hunks} == others.keys()
    before, after = state.text, left.text
    for now in left.hunks:
        then = others[now.id]
        assert before.base[then.a0 : then.a1] == after.base[now.a0 : now.a1]
        assert before.cur[then.b0 : then.b1] == after.cur[now.b0 : now.b1]
        assert (now.gen, now.old_owners, now.new_owners) == (
            then.gen,
            then.old_owners,
            then.new_owners,
        )
