"""What happens to people, told as stories: whole histories through the ledger.

Those that need more than a ledger are elsewhere: git in ``tests/unit/daemon/test_git.py``,
workspaces inside workspaces in ``test_nested.py``; renames, line endings and undo in their own
modules here.
"""

import pytest

from agentdiff.core.entries import ABSENT, Entry, File, Link
from agentdiff.core.events import GitMoved, Selection, TurnEnded
from agentdiff.core.pathstate import check
from agentdiff.core.sessions import TAIL_NS
from tests.play import Play

LINES = [b"line %d\n" % n for n in range(40)]
TEXT = File(data=b"".join(LINES))
EVERYTHING = Selection(everything=True, include_external=True)
CLAUDE, CODEX = ("claude", "A"), ("codex", "B")


def edited(*changes: tuple[int, bytes]) -> File:
    """Returns the text with some lines replaced, each by any number of lines."""
    lines = list(LINES)
    for at, line in changes:
        lines[at] = line
    return File(data=b"".join(lines))


def playing(entry: Entry = TEXT) -> Play:
    """Two agents at work in a workspace with one file."""
    play = Play(disk={} if entry == ABSENT else {b"f": entry})
    play.prompt(*CLAUDE)
    play.prompt(*CODEX)
    return play


def test_two_agents_interleaved_and_one_is_rejected() -> None:
    """The other's lines stay, wherever they are, and go on pending."""
    play = playing()
    play.run(*CLAUDE, {b"f": edited((3, b"A1\n"))})
    play.run(*CODEX, {b"f": edited((3, b"A1\n"), (10, b"B1\n"))})
    play.run(*CLAUDE, {b"f": edited((3, b"A1\n"), (10, b"B1\n"), (20, b"A2\n"))})
    both = edited((3, b"A1\n"), (10, b"B1\n"), (20, b"A2\n"), (30, b"B2\n"))
    play.run(*CODEX, {b"f": both})
    answer = play.decide("reject", Selection(everything=True, agent="claude"))
    assert not answer["refused"]
    assert play.disk[b"f"] == edited((10, b"B1\n"), (30, b"B2\n"))
    assert {owner[1] for owner in play.owners(b"f")} == {"B"}
    play.undo()
    assert play.disk[b"f"] == both


def test_entangled_lines_are_refused_and_listed() -> None:
    """One agent changed what the other one had changed: neither is rejected without the other."""
    play = playing()
    play.run(*CLAUDE, {b"f": edited((3, b"A1\nA2\n"))})
    play.run(*CODEX, {b"f": edited((3, b"A1\nB2\n"))})
    (refusal,) = play.decide("reject", Selection(everything=True, agent="codex"))["refused"]
    assert "entangled" in refusal["reason"]
    assert play.disk[b"f"] == edited((3, b"A1\nB2\n"))


def test_the_user_types_outside_and_inside_of_a_hunk() -> None:
    """Outside it never pends and survives; inside it stays when the agent's lines go."""
    play = playing()
    play.run(*CLAUDE, {b"f": edited((3, b"A1\nA2\n"))})
    outside = edited((3, b"A1\nA2\n"), (30, b"mine\n"))
    play.save(b"f", outside.data, outside)
    assert len(play.ids(b"f")) == 1
    inside = edited((3, b"A1\nmine too\nA2\n"), (30, b"mine\n"))
    play.save(b"f", inside.data, inside)
    (hunk,) = play.ledger.paths[b"f"].hunks
    assert hunk.mixed
    play.decide("reject", EVERYTHING)
    kept = play.disk[b"f"]
    assert isinstance(kept, File)
    assert b"mine\n" in kept.data
    assert b"mine too\n" in kept.data
    assert b"A1" not in kept.data
    assert b"line 3\n" in kept.data


def test_an_agent_undoes_itself() -> None:
    """Nothing is left to review."""
    play = playing()
    play.run(*CLAUDE, {b"f": edited((3, b"A1\n"), (20, b"A2\n"))})
    play.run(*CLAUDE, {b"f": TEXT})
    assert not play.ledger.paths


def test_deleted_and_recreated() -> None:
    """Compared with what was there before, never all new."""
    play = playing()
    play.run(*CLAUDE, {b"f": ABSENT})
    assert play.pending() == {b"f": "deleted"}
    play.run(*CLAUDE, {b"f": edited((3, b"A1\n"))})
    assert play.pending() == {b"f": "modified"}
    (hunk,) = play.ledger.paths[b"f"].hunks
    assert (hunk.a0, hunk.a1) == (3, 4)
    play.decide("reject", EVERYTHING)
    assert play.disk == {b"f": TEXT}


def test_the_user_extends_a_created_file_and_rejects_it() -> None:
    """The agent's lines go, the user's stay; with --discard-user the file goes."""
    for discard in (False, True):
        play = playing(ABSENT)
        play.run(*CLAUDE, {b"f": File(data=b"A1\nA2\n")})
        play.save(b"f", b"A1\nA2\nmine\n", File(data=b"A1\nA2\nmine\n"))
        play.decide("reject", EVERYTHING, discard_user=discard)
        assert play.disk == ({} if discard else {b"f": File(data=b"mine\n")})
        assert not play.ledger.paths


@pytest.mark.parametrize(
    ("before", "after", "kinds"),
    [
        (TEXT, File(data=TEXT.data, mode=0o755), ["mode"]),
        (Link(target=b"one"), Link(target=b"two"), ["link"]),
        (TEXT, File(data=TEXT.data.replace(b"\n", b"\r\n")), ["eol"]),
        (File(data=b"\0one"), File(data=b"\0two"), ["binary"]),
        (TEXT, Link(target=b"elsewhere"), ["type"]),
        (TEXT, File(data=b""), []),
        (TEXT, ABSENT, ["deleted"]),
        (ABSENT, File(data=b""), ["created"]),
        (ABSENT, Link(target=b"new"), ["created"]),
    ],
)
@pytest.mark.parametrize("op", ["accept", "reject"])
def test_every_kind_of_change(op: str, before: Entry, after: Entry, kinds: list[str]) -> None:
    """One change, decided, undone, redone."""
    play = playing(before)
    play.run(*CLAUDE, {b"f": after})
    state = play.ledger.paths[b"f"]
    check(state)
    assert [change.kind for change in state.meta] == kinds
    left = before if op == "reject" else after
    for redo in (None, True, True):
        if redo is None:
            play.decide(op, EVERYTHING)
        else:
            play.undo(redo=True)
        assert play.disk.get(b"f", ABSENT) == left
        assert not play.ledger.paths
        play.undo()
        assert play.disk.get(b"f", ABSENT) == after
        assert play.ledger.paths[b"f"].ids == state.ids


def test_subagents_are_told_apart() -> None:
    """Each line keeps the subagent that wrote it."""
    play = playing()
    for name, line in (("one", 3), ("two", 20)):
        started = play.start(*CLAUDE, subagent=name)
        there = play.disk[b"f"]
        assert isinstance(there, File)
        changed = there.data.replace(LINES[line], name.encode() + b"\n")
        play.put(b"f", File(data=changed))
        play.finish(started)
    hunks = play.ledger.paths[b"f"].hunks
    assert [hunk.owners[0].subagent for hunk in hunks] == ["one", "two"]


def test_formatters_are_told_by_their_evidence() -> None:
    """The user's runs inside the save and never pends; an agent's comes late and is the agent's."""
    play = playing()
    play.run(*CLAUDE, {b"f": edited((3, b"A1\n"))})
    play.put(b"f", edited((3, b"A1  # formatted\n")))
    play.cut()
    assert play.owners(b"f")[0][2] == "late"
    saved = edited((3, b"A1  # formatted\n"), (30, b"mine  # formatted\n"))
    play.save(b"f", saved.data, saved)
    assert {owner[0] for owner in play.owners(b"f")} == {"agent"}


# --- what goes and comes back, with two agents' and the user's lines in one hunk -----------------

MIXED = edited((3, b"A1\nmine\nA2\n"), (20, b"B1\n"))
WHOSE = [b"line 3\n", b"A1\n", b"mine\n", b"A2\n", b"line 20\n", b"B1\n"]
OWNERS = ["A", "A", "user", "A", "B", "B"]


def mixed() -> Play:
    """A changed a line, the user typed inside, B changed another line."""
    play = playing()
    play.attach()
    play.run(*CLAUDE, {b"f": edited((3, b"A1\nA2\n"))})
    inside = edited((3, b"A1\nmine\nA2\n"))
    play.save(b"f", inside.data, inside)
    play.run(*CODEX, {b"f": MIXED})
    assert whose(play, b"f") == dict(zip(WHOSE, OWNERS, strict=True))
    return play


def whose(play: Play, path: bytes) -> dict[bytes, str]:
    """Returns line → session or kind of its owner, for everything that pends on a path."""
    state = play.ledger.paths[path]
    check(state)
    found: dict[bytes, str] = {}
    for hunk in state.hunks:
        old, new = state.text.base[hunk.a0 : hunk.a1], state.text.cur[hunk.b0 : hunk.b1]
        owners = (*hunk.old_owners, *hunk.new_owners)
        for line, owner in zip((*old, *new), owners, strict=True):
            found[line] = owner.session or owner.kind
    return found


def rest(play: Play) -> None:
    """Ends both turns, long ago."""
    for agent, session in (CLAUDE, CODEX):
        play.handle(TurnEnded(agent=agent, session=session, received_ns=play.tick()))
    play.now += TAIL_NS + 1


def git_writes(
    play: Play, label: str, entry: File, *, told: bool = True, popped: bool = False
) -> None:
    """Lets a person's git command put a content there, and tell of it or not."""
    play.put(b"f", entry)
    play.cut()
    if told:
        contents = {b"f": entry.oid}
        now = play.tick()
        play.handle(GitMoved(label=label, contents=contents, received_ns=now, popped=popped))


def rejected(play: Play) -> Entry:
    """Returns what is at ``f`` after everything was rejected, of nobody too."""
    assert play.decide("reject", EVERYTHING)["refused"] == []
    return play.disk[b"f"]


# The user's line is below the first line of an agent in its hunk: below what comes back.
KEPT = edited((3, b"line 3\nmine\n"))


@pytest.mark.parametrize("touched", [False, True])
def test_a_renamed_file_keeps_its_owners(touched: bool) -> None:
    """B moves what A and the user wrote, and changes one more line or none."""
    play = mixed()
    changes = ((3, b"A1\nmine\nA2\n"), (20, b"B1\n"), *([(30, b"B2\n")] if touched else []))
    play.run(*CODEX, {b"f": ABSENT, b"g": edited(*changes)})
    expected = dict(zip(WHOSE, OWNERS, strict=True))
    more = {b"line 30\n": "B", b"B2\n": "B"} if touched else {}
    assert whose(play, b"g") == {**expected, **more}
    assert rejected(play) == KEPT
    assert b"g" not in play.disk


@pytest.mark.parametrize("by", [CLAUDE, CODEX])
def test_a_file_that_is_deleted_and_made_again_keeps_its_owners(by: tuple[str, str]) -> None:
    """The same bytes are nobody's new work, whichever of the two brings them."""
    play = mixed()
    play.run(*by, {b"f": ABSENT})
    play.run(*by, {b"f": MIXED})
    assert whose(play, b"f") == dict(zip(WHOSE, OWNERS, strict=True))
    assert rejected(play) == KEPT


def test_a_stash_and_its_pop_keep_the_owners() -> None:
    """On the commit that it was made on."""
    play = mixed()
    rest(play)
    git_writes(play, "stash", TEXT)
    assert play.pending() == {}
    git_writes(play, "stash", MIXED, popped=True)
    assert whose(play, b"f") == dict(zip(WHOSE, OWNERS, strict=True))
    assert rejected(play) == KEPT


@pytest.mark.parametrize("told", [True, False], ids=["pop", "apply or autostash"])
def test_a_stash_on_another_commit_keeps_the_owners(told: bool) -> None:
    """``git stash apply`` and ``git rebase --autostash`` write no log that would tell of them."""
    play = mixed()
    rest(play)
    git_writes(play, "stash", TEXT)
    git_writes(play, "rebase", edited((35, b"upstream\n")))
    there = edited((3, b"A1\nmine\nA2\n"), (20, b"B1\n"), (35, b"upstream\n"))
    git_writes(play, "stash", there, told=told, popped=True)
    assert whose(play, b"f") == dict(zip(WHOSE, OWNERS, strict=True))
    assert rejected(play) == edited((3, b"line 3\nmine\n"), (35, b"upstream\n"))
