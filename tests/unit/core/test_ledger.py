"""The ledger: what pends, what follows the disk, and what a log gives back."""

from __future__ import annotations

import itertools

import pytest

from agentdiff.core.commands import Append, Publish
from agentdiff.core.entries import ABSENT, File
from agentdiff.core.events import (
    EditorAttached,
    EditorDetached,
    FileObserved,
    HunkPick,
    Selection,
    SessionEnded,
    Target,
)
from agentdiff.core.ledger import Ledger
from agentdiff.core.sessions import TAIL_NS
from tests.play import Play, image

F = b"f"
ONE, TWO = File(data=b"1\n2\n3\n"), File(data=b"1\ntwo\n3\n")


@pytest.fixture
def play() -> Play:
    """A workspace with one file that nobody reviews yet."""
    return Play(disk={F: ONE})


def changed(play: Play) -> dict[bytes, str]:
    """Changes the file behind everybody's back and returns what pends."""
    play.put(F, TWO)
    play.cut()
    return play.pending()


def test_outside_a_review_a_path_follows_the_disk(play: Play) -> None:
    """Weeks of other work never flood a review."""
    assert changed(play) == {}
    play.prompt("claude", "s")
    assert play.pending() == {}


def test_under_review_whatever_nobody_explains_pends(play: Play) -> None:
    """From the first event of an agent on, at weakest as external."""
    play.prompt("claude", "s")
    assert changed(play) == {F: "modified"}
    assert play.owners(F) == [("external", None, "external")]


def test_an_attached_editor_makes_a_review(play: Play) -> None:
    """Without any agent."""
    play.handle(EditorAttached(client="nvim", received_ns=play.tick()))
    assert changed(play) == {F: "modified"}


def test_a_review_ends_when_nobody_is_left(play: Play) -> None:
    """Nothing pends, no session is live, no editor attached."""
    play.handle(EditorAttached(client="nvim", received_ns=play.tick()))
    play.prompt("claude", "s")
    assert play.ledger.under_review(play.now)
    play.handle(SessionEnded(agent="claude", session="s", received_ns=play.tick()))
    assert play.ledger.under_review(play.now)
    play.handle(EditorDetached(client="nvim", received_ns=play.tick()))
    assert not play.ledger.under_review(play.now)


def test_a_pending_path_keeps_the_review_going(play: Play) -> None:
    """After the agent left, a path with hunks keeps them and gets more."""
    play.prompt("claude", "s")
    play.run("claude", "s", {F: TWO})
    play.handle(SessionEnded(agent="claude", session="s", received_ns=play.tick()))
    play.now += TAIL_NS
    play.put(b"g", ONE)
    play.cut()
    assert play.pending() == {F: "modified", b"g": "created"}


def test_the_base_is_what_was_there_when_the_agent_came(play: Play) -> None:
    """The disk as last seen before the first change."""
    play.prompt("claude", "s")
    play.run("claude", "s", {F: TWO, b"new": ONE})
    assert (play.base(F), play.base(b"new")) == (ONE, ABSENT)


def test_what_changed_before_a_window_is_not_the_calls(play: Play) -> None:
    """The difference at a start is observed before the window opens (DESIGN §5.5)."""
    play.prompt("claude", "s")
    play.put(F, TWO)
    play.finish(play.start("claude", "s"))
    assert play.owners(F) == [("external", None, "external")]


def test_an_announced_write_is_exact(play: Play) -> None:
    """Evidence says how sure the author is."""
    play.prompt("claude", "s")
    play.write("claude", "s", F, TWO.data)
    assert play.owners(F) == [("agent", "s", "exact")]


def test_another_content_than_announced_is_likely(play: Play) -> None:
    """A formatter between the tool and our look."""
    play.prompt("claude", "s")
    started = play.start("claude", "s", Target(path=F, action="write", new_text=b"x\n"))
    play.put(F, TWO)
    play.finish(started)
    assert play.owners(F) == [("agent", "s", "likely")]


def test_two_shells_of_two_agents_share_a_change(play: Play) -> None:
    """Neither is blamed alone."""
    play.prompt("claude", "s")
    play.prompt("codex", "r")
    first, second = play.start("claude", "s"), play.start("codex", "r")
    play.put(F, TWO)
    play.finish(first)
    play.finish(second)
    assert play.owners(F) == [("shared", None, "shared")]


def test_a_cut_that_came_too_late_is_said(play: Play) -> None:
    """The path carries the reason, so that nobody trusts its base."""
    play.prompt("claude", "s")
    play.handle(
        FileObserved(path=F, before=ONE, after=TWO, received_ns=play.tick(), uncertain=True)
    )
    assert play.ledger.paths[F].coverage != "exact"


def test_seeing_what_is_known_makes_no_record(play: Play) -> None:
    """A touch is nothing."""
    play.prompt("claude", "s")
    play.run("claude", "s", {F: TWO})
    seen = FileObserved(path=F, before=ONE, after=TWO, received_ns=play.tick())
    assert play.handle(seen) == []


def test_every_change_is_logged_then_published(play: Play) -> None:
    """The order is the promise: an editor never hears of what a crash could take back."""
    play.prompt("claude", "s")
    commands = play.handle(FileObserved(path=F, before=ONE, after=TWO, received_ns=play.tick()))
    assert [type(command) for command in commands] == [Append, Publish]


def test_contents_that_a_record_names_come_with_it(play: Play) -> None:
    """Base and current are ordered to be stored with the record."""
    play.prompt("claude", "s")
    commands = play.handle(FileObserved(path=F, before=ONE, after=TWO, received_ns=play.tick()))
    entries = [entry for c in commands if isinstance(c, Append) for entry in c.entries]
    assert {ONE, TWO} <= set(entries)


def test_ids_are_never_reused_after_a_replay(play: Play) -> None:
    """Also when the hunk that had the highest id is gone."""
    play.prompt("claude", "s")
    play.run("claude", "s", {F: TWO})
    highest = max(play.ids(F))
    play.run("claude", "s", {F: ONE})
    assert play.reload().new_id() > highest


def test_an_empty_log_is_an_empty_ledger() -> None:
    """The first start of all."""
    assert image(Ledger.replay([], {}.__getitem__)) == image(Ledger())


def test_a_replay_loads_only_what_pends(play: Play) -> None:
    """Old contents stay on disk: a restart costs what is under review."""
    play.prompt("claude", "s")
    for n in range(5):
        play.run("claude", "s", {F: File(data=b"%d\n" % n)})
    loaded = []

    def load(ref: object) -> object:
        loaded.append(ref)
        return play.contents[ref]  # type: ignore[index]

    Ledger.replay(play.records(), load)  # type: ignore[arg-type]
    assert loaded == [ONE.ref(), File(data=b"4\n").ref()]


def test_two_workspaces_count_their_own_records() -> None:
    """Sequence numbers are per workspace, from 1, without gaps."""
    play = Play(disk={F: ONE})
    play.prompt("claude", "s")
    play.run("claude", "s", {F: TWO})
    assert [seq for seq, _ in play.log] == list(range(1, len(play.log) + 1))


def test_a_log_with_a_hole_is_readable() -> None:
    """Whatever single record is missing, or any two: the rest is replayed, and goes on."""
    play = Play(disk={b"a": File(data=b"1\n"), b"b": File(data=b"1\n")})
    play.prompt("claude", "A")
    for number in (2, 3):
        content = File(data=b"%d\n" % number)
        play.run("claude", "A", {b"a": content, b"b": content})
        play.decide("accept" if number == 2 else "reject", Selection(everything=True))
        play.undo()
        play.undo(redo=True)
        play.cut()
    play.undo()
    records = play.records()
    for first, second in itertools.combinations_with_replacement(range(len(records)), 2):
        holed = [one for n, one in enumerate(records) if n not in (first, second)]
        ledger = Ledger.replay(holed, play.contents.__getitem__)
        left = [step for redo in (False, True) for step in ledger.turns.left("cli", redo=redo)]
        assert {step.since for step in left} <= {seq for seq, _ in holed}
        assert all(step.items(dict(holed)[step.since]) for step in left)  # type: ignore[arg-type]


def _moved() -> tuple[Play, File]:
    """An agent changed two places of a file, and another one moved it."""
    there = File(data=b"one\n2\n3\n4\nfive\n")
    play = Play(disk={F: File(data=b"1\n2\n3\n4\n5\n")})
    play.prompt("claude", "A")
    play.prompt("codex", "B")
    play.run("claude", "A", {F: there})
    return play, there


def _is_decided_by_ids(play: Play) -> None:
    """Every change is at one path, and is what is decided by its id there."""
    pending = [one for state in play.ledger.paths.values() for one in state.ids]
    assert len(pending) == len(set(pending))
    assert image(play.ledger) == image(play.reload())
    for state in list(play.ledger.paths.values()):
        picks = tuple(HunkPick(hunk=h.id, gen=h.gen) for h in state.hunks)
        if state.status != "deleted":
            assert play.decide("reject", Selection(picks=picks))["refused"] == []


def test_no_change_pends_at_two_paths_when_a_moved_file_comes_back() -> None:
    """What returns where it was moved to had the ids of what pends where it was moved from."""
    play, there = _moved()
    play.run("codex", "B", {F: ABSENT, b"g": there})
    play.run("codex", "B", {F: there, b"g": ABSENT})
    first = play.ids(F)[0]
    assert play.decide("reject", Selection(picks=(HunkPick(hunk=first),)))["refused"] == []
    play.run("codex", "B", {F: ABSENT, b"g": there})
    assert play.pending() == {F: "deleted", b"g": "renamed"}
    _is_decided_by_ids(play)


def test_no_change_pends_at_two_paths_after_an_undo() -> None:
    """What an undo brings back at the new path had the id that the deletion of the old one has."""
    play, _ = _moved()
    second = play.ids(F)[1]
    assert play.decide("reject", Selection(picks=(HunkPick(hunk=second),)))["refused"] == []
    play.run("codex", "B", {F: ABSENT, b"g": play.disk[F]})
    assert play.undo()["refused"] == []
    assert len(play.ledger.paths[b"g"].hunks) == 2
    _is_decided_by_ids(play)
