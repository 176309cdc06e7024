"""Decisions carried out: races with other writers, undo and redo, crashes in between."""

from __future__ import annotations

import pytest

from agentdiff.core.codec import decode_state
from agentdiff.core.commands import Append, WriteEntry
from agentdiff.core.entries import ABSENT, Directory, Entry, File, Link, Other
from agentdiff.core.events import (
    DecisionRequested,
    EntryWritten,
    FileObserved,
    HunkPick,
    LoadedItem,
    RestoreRequested,
    Selection,
)
from agentdiff.core.pathstate import check
from agentdiff.core.records import DecisionIntended, DecisionMade
from agentdiff.core.rejected import rejected as rejected_texts
from tests.play import Play, image

F, G = b"f", b"g"
BASE = b"1\n2\n3\n4\n5\n6\n7\n8\n"
AGENTS = BASE.replace(b"2\n", b"two\n")
ALL = Selection(everything=True, include_external=True)


@pytest.fixture
def play() -> Play:
    """An agent changed line 2 of two files."""
    found = Play(disk={path: File(data=BASE) for path in (F, G)})
    found.prompt("claude", "s", turn="t1")
    found.run("claude", "s", dict.fromkeys((F, G), File(data=AGENTS)))
    return found


def rejected(play: Play, *paths: bytes) -> list[Append | WriteEntry]:
    """Requests a reject and returns what is ordered, performing nothing."""
    event = DecisionRequested(
        op="reject", selection=Selection(paths=paths), client="cli", received_ns=play.tick()
    )
    return [c for c in play.ledger.handle(event) if isinstance(c, Append | WriteEntry)]


# --- writing -------------------------------------------------------------------------------------


def test_the_intent_is_synced_before_the_first_write(play: Play) -> None:
    """A crash in between is recognised afterwards."""
    intent, *writes = rejected(play, F, G)
    assert isinstance(intent, Append)
    assert isinstance(intent.record, DecisionIntended)
    assert intent.durable
    assert [type(write) for write in writes] == [WriteEntry, WriteEntry]


def test_a_write_expects_what_was_decided_on(play: Play) -> None:
    """Compare-and-swap: the content last observed."""
    _, write = rejected(play, F)
    assert write == WriteEntry(path=F, expect=File(data=AGENTS), write=File(data=BASE))


def test_an_accept_writes_nothing(play: Play) -> None:
    """One record, no intent."""
    event = DecisionRequested(op="accept", selection=ALL, client="cli", received_ns=play.tick())
    appends = [c for c in play.ledger.handle(event) if isinstance(c, Append)]
    assert [type(c.record) for c in appends] == [DecisionMade]


def test_an_unseen_write_elsewhere_in_the_file_survives(play: Play) -> None:
    """P12: it is observed, and the hunk is rejected in what is there now."""
    unseen = AGENTS.replace(b"7\n", b"seven\n")
    play.meddle[F] = File(data=unseen)
    answer = play.decide("reject", Selection(paths=(F,)))
    assert play.disk[F] == File(data=BASE.replace(b"7\n", b"seven\n"))
    assert (answer["refused"], play.pending()[F]) == ([], "modified")


def test_an_unseen_write_that_takes_the_hunk_away_refuses(play: Play) -> None:
    """The hunk is gone: the message says so and nothing is written."""
    play.meddle[F] = File(data=BASE)
    answer = play.decide("reject", Selection(paths=(F,)))
    (refused,) = answer["refused"]
    assert refused["reason"] == (
        "the file changed meanwhile (now a file of 16 bytes), and the hunk with it: look again"
    )
    assert (answer["written"], F in play.pending()) == ([], False)


@pytest.mark.parametrize("lines", [None, (1, 2)])
def test_a_hunk_that_grew_unseen_is_not_rejected(lines: tuple[int, int] | None) -> None:
    """Neither the lines that were meant, which are others now, nor what nobody has seen."""
    play = Play(disk={F: File(data=BASE)})
    play.prompt("claude", "A")
    play.run("claude", "A", {F: File(data=BASE.replace(b"2\n", b"one\ntwo\n"))})
    (hunk,) = play.ledger.paths[F].hunks
    unseen = BASE.replace(b"2\n", b"unseen\none\ntwo\n")
    play.meddle[F] = File(data=unseen)
    pick = HunkPick(hunk=hunk.id, gen=hunk.gen, new=lines, old=lines and (0, 0))
    answer = play.decide("reject", Selection(picks=(pick,)))
    assert (play.disk[F], answer["done"]) == (File(data=unseen), [])
    assert "and the hunk with it" in answer["refused"][0]["reason"]


def test_a_plan_that_was_made_again_survives_a_crash(play: Play) -> None:
    """After its write, the log knows that it was meant."""
    unseen = AGENTS.replace(b"7\n", b"seven\n")
    (write,) = (c for c in rejected(play, F) if isinstance(c, WriteEntry))
    play.put(F, File(data=unseen))
    play.keep(File(data=unseen))
    again = play.ledger.handle(EntryWritten(path=F, received_ns=play.tick(), found=play.disk[F]))
    for command in again:
        if isinstance(command, WriteEntry):
            play.put(F, command.write)
        else:
            play.perform(command)
    assert play.disk[F] != write.write
    play.restart(play.reload())
    (intended,) = play.ledger.unfinished.values()
    (item,) = intended.items
    assert play.contents[item.cur_after] == play.disk[F]


@pytest.mark.parametrize("everybody", [False, True])
def test_what_vanishes_under_a_reject_does_not_become_the_base(everybody: bool) -> None:
    """The watcher tells of the same change afterwards, and only knows what was there before."""
    play = Play(disk={G: File(data=BASE)})
    play.prompt("claude", "s")
    play.run("claude", "s", {F: File(data=AGENTS)})
    play.meddle[F] = ABSENT
    play.decide("reject", ALL if everybody else Selection(paths=(F,)))
    play.cut()
    assert play.pending() == {}
    assert play.base(F) == ABSENT
    assert image(play.reload()) == image(play.ledger)


def test_one_path_that_moved_does_not_stop_the_others(play: Play) -> None:
    """The decision is what could be carried out."""
    play.meddle[F] = File(data=BASE)
    answer = play.decide("reject", ALL)
    assert ([one["path"] for one in answer["done"]], answer["written"]) == (["g"], ["g"])


def test_a_file_that_never_holds_still_is_refused(play: Play) -> None:
    """After three tries."""
    rejected(play, F)
    for n in range(3):
        found = File(data=AGENTS.replace(b"7\n", b"%d\n" % (n + 10)))
        commands = play.ledger.handle(EntryWritten(path=F, received_ns=play.tick(), found=found))
    assert not any(isinstance(command, WriteEntry) for command in commands)
    assert F in play.pending()


def test_a_write_that_fails_is_refused_with_its_reason(play: Play) -> None:
    """The path stays as it was."""
    before = play.ledger.paths[F]
    rejected(play, F)
    play.handle(EntryWritten(path=F, received_ns=play.tick(), failed="read-only file system"))
    (refused,) = play.answers[-1]["refused"]
    assert (refused["reason"], play.ledger.paths[F]) == ("read-only file system", before)


def test_a_weaker_guarantee_is_said(play: Play) -> None:
    """Where no exchange is possible the answer names the path."""
    rejected(play, F)
    play.handle(EntryWritten(path=F, received_ns=play.tick(), weak=True))
    assert play.answers[-1]["weak"] == ["f"]


def test_an_outcome_that_nobody_waits_for_is_ignored(play: Play) -> None:
    """No decision is under way."""
    assert play.handle(EntryWritten(path=F, received_ns=play.tick())) == []


def test_our_own_write_does_not_pend(play: Play) -> None:
    """The watcher sees it, nobody is asked."""
    play.decide("reject", ALL)
    play.cut()
    assert play.pending() == {}


def test_our_own_write_is_consumed_once(play: Play) -> None:
    """The same bytes written again later by an agent pend."""
    play.decide("reject", ALL)
    play.cut()
    play.run("claude", "s", {F: File(data=AGENTS)})
    assert play.pending() == {F: "modified"}


def test_a_reading_from_before_our_write_is_history(play: Play) -> None:
    """A late observation of the content that was rejected does not bring it back."""
    earlier = play.now
    play.decide("reject", ALL)
    play.handle(
        FileObserved(path=F, before=File(data=BASE), after=File(data=AGENTS), received_ns=earlier)
    )
    assert play.pending() == {}


# --- undo and redo -------------------------------------------------------------------------------

KINDS = [
    pytest.param(File(data=BASE), File(data=AGENTS), id="text"),
    pytest.param(ABSENT, File(data=AGENTS), id="created"),
    pytest.param(File(data=BASE), ABSENT, id="deleted"),
    pytest.param(File(data=b"\0a"), File(data=b"\0b"), id="binary"),
    pytest.param(File(data=BASE), File(data=BASE, mode=0o755), id="mode"),
    pytest.param(File(data=BASE), Link(target=b"g"), id="type"),
    pytest.param(ABSENT, File(data=b""), id="created empty"),
]


@pytest.mark.parametrize(("before", "after"), KINDS)
@pytest.mark.parametrize("op", ["accept", "reject"])
@pytest.mark.parametrize("restart", [False, True])
def test_undo_and_redo_restore_base_current_and_disk(
    before: Entry, after: Entry, op: str, restart: bool
) -> None:
    """P11, for every kind of change, also after a restart."""
    play = Play(disk={} if before == ABSENT else {F: before})
    play.prompt("claude", "s")
    play.run("claude", "s", {F: after})
    pending = play.ledger.paths[F]
    play.decide(op, ALL)
    play.cut()
    decided = play.disk.get(F, ABSENT)
    if restart:
        play.restart(play.reload())
    assert play.undo()["refused"] == []
    state = play.ledger.paths[F]
    assert (state.base, state.cur, state.hunks, state.meta) == (
        pending.base,
        pending.cur,
        pending.hunks,
        pending.meta,
    )
    assert play.disk.get(F, ABSENT) == after
    play.cut()
    if restart:
        play.restart(play.reload())
    assert play.undo(redo=True)["refused"] == []
    assert (play.pending(), play.disk.get(F, ABSENT)) == ({}, decided)


def test_one_undo_takes_back_a_whole_decision(play: Play) -> None:
    """However many paths it had."""
    play.decide("reject", ALL)
    answer = play.undo()
    assert (sorted(answer["written"]), len(play.pending())) == (["f", "g"], 2)


def test_undo_goes_back_step_by_step(play: Play) -> None:
    """Last decision first; then there is nothing left."""
    play.decide("accept", Selection(paths=(F,)))
    play.decide("reject", Selection(paths=(G,)))
    steps = [[one["path"] for one in play.undo()["done"]] for _ in range(3)]
    assert steps == [["g"], ["f"], []]


def test_a_new_decision_clears_what_could_be_redone(play: Play) -> None:
    """As in any editor."""
    play.decide("accept", Selection(paths=(F,)))
    play.undo()
    play.decide("accept", Selection(paths=(G,)))
    assert play.undo(redo=True)["decision"] is None


def test_undo_is_per_client(play: Play) -> None:
    """The editor's undo never takes back what was typed in a terminal."""
    play.decide("accept", Selection(paths=(F,)), client="nvim")
    play.decide("accept", Selection(paths=(G,)), client="cli")
    assert [one["path"] for one in play.undo(client="nvim")["done"]] == ["f"]
    assert play.undo(client="nvim")["decision"] is None


def test_an_undo_where_the_path_moved_on_is_refused(play: Play) -> None:
    """It says so; the disk is left alone, and the decision can still be undone later."""
    play.decide("reject", Selection(paths=(F,)))
    play.cut()
    again = File(data=b"nothing like it\n")
    play.run("claude", "s", {F: again})
    answer = play.undo()
    assert [r["reason"] for r in answer["refused"]] == [
        "it changed since that decision: decide its hunks, or put it back by hand"
    ]
    assert play.disk[F] == again


def test_an_undo_never_overwrites_an_unseen_write(play: Play) -> None:
    """P12: the disk is compared first."""
    play.decide("reject", Selection(paths=(F,)))
    play.cut()
    play.meddle[F] = File(data=b"unseen\n")
    answer = play.undo()
    assert (len(answer["refused"]), play.disk[F]) == (1, File(data=b"unseen\n"))


def test_an_undo_of_an_accept_compares_the_disk_too(play: Play) -> None:
    """Nothing is written, but what pends again must be what is there."""
    play.decide("accept", Selection(paths=(F,)))
    play.meddle[F] = File(data=b"unseen\n")
    assert len(play.undo()["refused"]) == 1


def test_a_refused_undo_can_be_repeated(play: Play) -> None:
    """Nothing happened, so the stack is as it was."""
    play.decide("reject", Selection(paths=(F,)))
    play.cut()
    play.put(F, File(data=b"unseen\n"))
    play.undo()
    play.put(F, File(data=BASE))
    assert play.undo()["refused"] == []


# --- crashes -------------------------------------------------------------------------------------


def loaded(play: Play, intended: DecisionIntended, *paths: bytes) -> list[LoadedItem]:
    """Returns the items of an interrupted decision whose write is found on disk."""
    return [
        LoadedItem(
            path=item.path,
            before=decode_state(item.before, play.contents.__getitem__),
            after=decode_state(item.after, play.contents.__getitem__),
            cur_before=play.contents[item.cur_before],
            cur_after=play.contents[item.cur_after],
        )
        for item in intended.items
        if item.path in paths
    ]


@pytest.mark.parametrize("written", [(), (F,), (F, G)])
def test_an_interrupted_decision_is_completed_for_what_was_written(
    play: Play, written: tuple[bytes, ...]
) -> None:
    """P12 across a crash: the disk tells how far it came; the rest pends as before."""
    for command in rejected(play, F, G):
        if isinstance(command, Append):
            play.perform(command)
        elif command.path in written:
            play.put(command.path, command.write)
    play.restart(play.reload())
    (intended,) = play.ledger.unfinished.values()
    for command in play.ledger.executor.recover(intended, loaded(play, intended, *written)):
        play.perform(command)
    assert sorted(play.pending()) == sorted({F, G} - set(written))
    assert play.ledger.unfinished == {}
    assert image(play.reload()) == image(play.ledger)


@pytest.mark.parametrize("written", [(b"old",), (b"new",), (b"new", b"old")])
def test_an_interrupted_rename_is_completed_for_what_was_written(
    written: tuple[bytes, ...],
) -> None:
    """Whichever half was done, what is left stands by itself and can be decided."""
    play = Play(disk={b"old": File(data=BASE)})
    play.prompt("claude", "A")
    play.run("claude", "A", {b"old": ABSENT, b"new": File(data=AGENTS)})
    assert play.pending() == {b"new": "renamed", b"old": "deleted"}
    for command in rejected(play, b"new"):
        if isinstance(command, Append):
            play.perform(command)
    play.restart(play.reload())
    (intended,) = play.ledger.unfinished.values()
    for item in loaded(play, intended, *written):
        play.put(item.path, item.cur_after)
    for order in play.ledger.executor.recover(intended, loaded(play, intended, *written)):
        play.perform(order)
    for state in play.ledger.paths.values():
        check(state)
        assert state.origin is None or state.origin in play.ledger.paths
    assert image(play.reload()) == image(play.ledger)
    play.seen = dict(play.disk)
    play.decide("reject", ALL)
    assert play.disk == {b"old": File(data=BASE)}
    assert not play.pending()


def test_a_recovered_decision_can_be_undone(play: Play) -> None:
    """It is a decision like any other."""
    for command in rejected(play, F):
        if isinstance(command, Append):
            play.perform(command)
        else:
            play.put(command.path, command.write)
    play.restart(play.reload())
    (intended,) = play.ledger.unfinished.values()
    for command in play.ledger.executor.recover(intended, loaded(play, intended, F)):
        play.perform(command)
    play.seen[F] = play.disk[F]
    assert play.undo()["refused"] == []
    assert play.disk[F] == File(data=AGENTS)


def test_a_decision_of_which_nothing_was_done_is_not_unfinished(play: Play) -> None:
    """Its writes were refused: no restart may find it done because the disk happens to fit."""
    for command in rejected(play, F):
        if isinstance(command, Append):
            play.perform(command)
    play.handle(EntryWritten(path=F, received_ns=play.tick(), failed="read-only file system"))
    assert (play.ledger.unfinished, play.reload().unfinished) == ({}, {})


def test_an_undo_of_which_nothing_was_done_is_not_unfinished(play: Play) -> None:
    """And it can be tried again."""
    play.decide("reject", Selection(paths=(F,)))
    play.meddle[F] = File(data=b"unseen\n")
    play.undo()
    assert (play.ledger.unfinished, play.reload().unfinished) == ({}, {})
    assert play.ledger.turns.target("cli", redo=False) is not None


@pytest.fixture
def half(play: Play) -> Play:
    """Both files were rejected, then an undo came to one of them only."""
    play.decide("reject", Selection(paths=(F, G)), reason="no")
    play.fails[G] = "Permission denied"
    answer = play.undo()
    assert [one["path"] for one in answer["done"]] == ["f"]
    return play


def listed(play: Play) -> list[str]:
    """Returns the paths whose rejected text can be had back."""
    found = rejected_texts(play.ledger, play.recall.items, play.contents.__getitem__)
    return [one["path"] for one in found]


def test_what_an_undo_could_not_do_stays_in_effect(half: Play) -> None:
    """It is listed as rejected, and undone when that has become possible."""
    (step,) = half.ledger.turns.in_effect()
    assert [item.path for item in half.recall.items(step)] == [G]
    assert listed(half) == ["g"]
    half.fails.clear()
    answer = half.undo()
    assert ([one["path"] for one in answer["done"]], answer["refused"]) == (["g"], [])
    assert half.ledger.turns.in_effect() == []


def test_a_redo_takes_back_one_undo(half: Play) -> None:
    """A decision that was undone in two steps is redone in two."""
    half.fails.clear()
    before = dict(half.disk)
    half.undo()
    assert image(half.reload()) == image(half.ledger)
    assert [one["path"] for one in half.undo(redo=True)["done"]] == ["g"]
    assert half.disk == before
    assert [one["path"] for one in half.undo(redo=True)["done"]] == ["f"]
    assert half.disk == {**before, F: File(data=BASE)}
    assert image(half.reload()) == image(half.ledger)


def test_only_what_was_undone_is_taken_back_from_the_agent(half: Play) -> None:
    """The other file is still rejected, and its agent is to hear so."""
    notes = half.ledger.feedback.waiting
    assert [(note.kind, note.path) for note in notes] == [("rejected", G)]


def test_a_decision_that_cannot_be_undone_does_not_keep_older_ones(play: Play) -> None:
    """The next undo goes on with the one before, and comes back to it."""
    first = play.decide("reject", Selection(paths=(G,)))["decision"]
    second = play.decide("reject", Selection(paths=(F,)))["decision"]
    play.fails[F] = "Permission denied"
    assert (play.undo()["decision"], play.disk[G]) == (None, File(data=BASE))
    assert image(play.reload()) == image(play.ledger)
    assert play.undo()["decision"] == first
    play.fails.clear()
    assert play.undo()["decision"] == second
    assert (play.disk[F], play.disk[G]) == (File(data=AGENTS), File(data=AGENTS))


# --- restore -------------------------------------------------------------------------------------


def restore(play: Play, *contents: tuple[bytes, Entry, Entry]) -> None:
    """Puts paths back to contents of another time."""
    play.handle(
        RestoreRequested(client="cli", received_ns=play.tick(), contents=contents, turn="t1")
    )


def test_a_restore_puts_contents_back_and_can_be_undone(play: Play) -> None:
    """One decision, by compare-and-swap."""
    wanted = File(data=AGENTS.replace(b"7\n", b"seven\n"))
    play.keep(wanted)
    restore(play, (F, File(data=AGENTS), wanted))
    assert (play.disk[F], play.answers[-1]["op"]) == (wanted, "restore")
    assert play.undo()["refused"] == []
    assert play.disk[F] == File(data=AGENTS)


def test_a_restore_to_the_base_leaves_nothing_pending(play: Play) -> None:
    """What pended is gone from the disk."""
    restore(play, (F, File(data=AGENTS), File(data=BASE)))
    assert (play.disk[F], F in play.pending()) == (File(data=BASE), False)


def test_a_restore_never_overwrites_an_unseen_write(play: Play) -> None:
    """P12: refused, with the reason."""
    play.meddle[F] = File(data=b"unseen\n")
    restore(play, (F, File(data=AGENTS), File(data=BASE)))
    assert (len(play.answers[-1]["refused"]), play.disk[F]) == (1, File(data=b"unseen\n"))


def test_a_deletion_where_a_folder_is_by_now_is_refused_once() -> None:
    """P12: the tracker does not tell of the folder; who asks again has seen that it is there."""
    play = Play(disk={F: File(data=b"1\n")})
    play.prompt("claude", "s")
    play.run("claude", "s", {F: ABSENT})
    play.put(F, Directory())
    play.cut()
    assert play.pending() == {F: "deleted"}
    answer = play.decide("reject", Selection(picks=(HunkPick(hunk=play.ids(F)[0]),)))
    assert [one["reason"] for one in answer["refused"]] == [
        "the file changed meanwhile (now a directory), and the hunk with it: look again"
    ]
    assert (play.pending(), play.disk[F]) == ({F: "type"}, Directory())
    assert play.decide("reject", Selection(picks=(HunkPick(hunk=play.ids(F)[0]),)))["refused"] == []
    assert (play.pending(), play.disk[F]) == ({}, File(data=b"1\n"))


def test_what_is_not_kept_is_never_written(play: Play) -> None:
    """The undo of a reject whose content the store has lost is refused, and changes nothing."""
    play.decide("reject", Selection(paths=(F,)))
    lost = File(data=AGENTS)
    play.blobs.pop(lost.oid)
    for ref in [one for one in play.contents if one.oid == lost.oid]:
        play.contents[ref] = Other(kind="lost", stamp=lost.oid)
    answer = play.undo()
    assert [one["reason"] for one in answer["refused"]] == [
        "its content is not kept, so that it can neither be compared nor restored"
    ]
    assert (play.disk[F], F in play.pending()) == (File(data=BASE), False)
