"""The user's own saves: claims and proofs of the editor, whenever they come."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from agentdiff.core.entries import File, Other
from agentdiff.core.events import EditorClaimed, Selection, TimePassed
from agentdiff.core.pathstate import check
from agentdiff.core.proofs import CLAIM_NS
from tests.play import Play, image

F = b"f"
BASE = b"1\n2\n3\n4\n5\n6\n7\n8\n"
USERS = BASE.replace(b"1\n", b"user\n")
AGENTS = BASE.replace(b"8\n", b"agent\n")
BOTH = USERS.replace(b"8\n", b"agent\n")


@pytest.fixture
def play() -> Play:
    """A workspace under review with one file."""
    found = Play(disk={F: File(data=BASE)})
    found.prompt("claude", "s")
    return found


def base(play: Play) -> bytes:
    """Returns the base of the file."""
    entry = play.base(F)
    assert isinstance(entry, File)
    return entry.data


def put(play: Play, data: bytes) -> None:
    """Writes without looking."""
    play.put(F, File(data=data))


def test_a_claimed_write_never_pends(play: Play) -> None:
    """Claim, write, sighting, proof: the usual order."""
    play.save(F, USERS, File(data=USERS))
    assert (play.pending(), base(play)) == ({}, USERS)


def test_a_claim_is_enough_when_its_bytes_are_seen(play: Play) -> None:
    """The proof may still be under way."""
    play.claim(F, USERS)
    put(play, USERS)
    play.cut()
    assert play.pending() == {}


def test_a_save_beside_an_agents_hunk_moves_the_base(play: Play) -> None:
    """P6: what the user typed outside the hunk is not part of the review."""
    play.run("claude", "s", {F: File(data=AGENTS)})
    play.save(F, BOTH, File(data=BOTH))
    assert (base(play), play.owners(F)) == (USERS, [("agent", "s", "likely")])


def test_a_proof_after_the_observation_corrects_the_author(play: Play) -> None:
    """The watcher was faster than the editor, however slow that is: nothing pends after all."""
    since_ns = play.tick()
    put(play, USERS)
    play.cut()
    assert play.owners(F) == [("external", None, "external")]
    play.now += CLAIM_NS // 2
    play.claim(F, USERS, written=True, since_ns=since_ns)
    assert (play.pending(), base(play)) == ({}, USERS)
    assert [report.level for report in play.reports] == ["info"]


def test_a_late_proof_also_corrects_what_came_after(play: Play) -> None:
    """What the agent wrote on top of the mistaken sighting stays the agent's."""
    since_ns = play.tick()
    put(play, USERS)
    play.cut()
    play.run("claude", "s", {F: File(data=BOTH)})
    play.claim(F, USERS, written=True, since_ns=since_ns)
    assert (base(play), play.owners(F)) == (USERS, [("agent", "s", "likely")])
    assert image(play.reload()) == image(play.ledger)


def test_a_save_that_an_agent_overwrote_unseen_is_put_between(play: Play) -> None:
    """The user's bytes were on disk though nobody saw them: both have their own lines."""
    play.claim(F, USERS)
    play.claim(F, USERS, written=True)
    play.run("claude", "s", {F: File(data=BOTH)})
    assert (base(play), play.owners(F)) == (USERS, [("agent", "s", "likely")])


def test_a_claim_overwritten_before_its_proof_is_put_between_too(play: Play) -> None:
    """The same, with the proof after the sighting."""
    play.claim(F, USERS)
    play.run("claude", "s", {F: File(data=BOTH)})
    play.claim(F, USERS, written=True)
    assert (base(play), play.owners(F)) == (USERS, [("agent", "s", "likely")])


def test_a_failed_write_gives_the_agent_its_lines(play: Play) -> None:
    """A claim without proof explains only exactly its bytes."""
    play.claim(F, USERS)
    play.run("claude", "s", {F: File(data=AGENTS)})
    assert (base(play), play.owners(F)) == (BASE, [("agent", "s", "likely")])


def test_a_claim_is_used_once(play: Play) -> None:
    """The same bytes written again later are not the user's."""
    play.save(F, USERS, File(data=USERS))
    play.run("claude", "s", {F: File(data=BASE)})
    play.run("claude", "s", {F: File(data=USERS)})
    assert (play.pending(), base(play)) == ({}, USERS)
    play.run("claude", "s", {F: File(data=AGENTS)})
    play.run("claude", "s", {F: File(data=USERS.replace(b"5\n", b"five\n"))})
    assert play.owners(F) == [("agent", "s", "likely")]


def test_a_claim_in_the_middle_of_a_reading_is_of_what_was_read(play: Play) -> None:
    """The reading began before the write did, and saw it all the same."""
    put(play, USERS)
    seen = play.observation(F)
    play.now += CLAIM_NS // 4
    claimed = play.tick()
    play.handle(replace(seen, read_ns=play.tick()))
    play.claim(F, USERS, written=True, since_ns=claimed)
    assert (play.pending(), base(play)) == ({}, USERS)


def test_a_claim_expires(play: Play) -> None:
    """A claim of a write that never came does not wait for ever."""
    play.claim(F, USERS)
    play.now += CLAIM_NS
    play.handle(TimePassed(received_ns=play.now))
    play.run("claude", "s", {F: File(data=USERS)})
    assert play.owners(F) == [("agent", "s", "likely")]


@pytest.mark.parametrize("proofs", [1, 2])
def test_a_proof_without_claim_or_sighting_waits(play: Play, proofs: int) -> None:
    """Delivered twice or once, before anything was seen: the sighting is the user's."""
    put(play, USERS)
    for _ in range(proofs):
        play.claim(F, USERS, written=True)
    play.cut()
    assert (play.pending(), base(play)) == ({}, USERS)


@pytest.mark.parametrize("claimed", [True, False])
def test_a_save_of_the_same_bytes_proves_nothing(play: Play, claimed: bool) -> None:
    """:w of a buffer that was only reloaded: the agent's change still pends, as the agent's."""
    play.run("claude", "s", {F: File(data=AGENTS)})
    before = image(play.ledger)
    if claimed:
        play.claim(F, AGENTS)
    play.claim(F, AGENTS, written=True)
    play.cut()
    assert image(play.ledger) == before


def test_no_proof_reaches_behind_a_decision(play: Play) -> None:
    """What was decided stays decided; sightings before it are not given again."""
    put(play, USERS)
    play.cut()
    play.decide("reject", Selection(everything=True, include_external=True))
    play.claim(F, USERS, written=True)
    play.cut()
    assert (play.pending(), play.disk[F]) == ({}, File(data=BASE))


def test_two_saves_in_a_row_are_both_the_users(play: Play) -> None:
    """The second is claimed before the first was seen."""
    again = USERS.replace(b"2\n", b"user too\n")
    play.claim(F, USERS)
    put(play, USERS)
    play.claim(F, USERS, written=True)
    play.claim(F, again)
    put(play, again)
    play.claim(F, again, written=True)
    play.cut()
    assert (play.pending(), base(play)) == ({}, again)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("agent", [None, 0, 1, 2], ids=["alone", "before", "between", "after"])
@pytest.mark.parametrize("half", [False, True], ids=["at once", "half seen"])
def test_saves_whose_proofs_come_after_all_were_seen_are_the_users(
    play: Play, order: tuple[int, ...], agent: int | None, half: bool
) -> None:
    """P6: in any order; what an agent wrote before, between or after them is still the agent's."""
    now, proofs = BASE, []
    started = play.start("claude", "s")
    for n in range(3):
        if n == agent:
            now = now.replace(b"8\n", b"agent\n")
            put(play, now)
            play.cut()
        since_ns = play.tick()
        new = now.replace(b"%d\n" % (n + 1), b"user %d\n" % n)
        for data in (*([new[:9]] if half else []), new):
            put(play, data)
            play.cut()
        proofs.append((new, since_ns))
        now = new
    for n in order:
        data, since_ns = proofs[n]
        play.claim(F, data, written=True, since_ns=since_ns)
    play.cut()
    play.finish(started)
    assert play.disk == {F: File(data=now)}
    assert base(play) == now.replace(b"agent\n", b"8\n")
    assert play.owners(F) == ([] if agent is None else [("agent", "s", "likely")])
    assert image(play.reload()) == image(play.ledger)


def test_an_agents_write_between_two_saves_is_not_lost(play: Play) -> None:
    """P12: the user's buffer has taken the agent's line in; it still pends, as the agent's."""
    play.save(F, USERS, File(data=USERS))
    play.run("claude", "s", {F: File(data=BOTH)})
    again = BOTH.replace(b"3\n", b"user too\n")
    play.save(F, again, File(data=again))
    assert base(play) == USERS.replace(b"3\n", b"user too\n")
    assert play.owners(F) == [("agent", "s", "likely")]


def test_an_undo_of_the_agents_edit_in_the_editor_leaves_nothing(play: Play) -> None:
    """P7: the user typed the old line back."""
    play.run("claude", "s", {F: File(data=AGENTS)})
    play.save(F, BASE, File(data=BASE))
    assert play.pending() == {}


def test_a_new_file_of_the_user_never_pends(play: Play) -> None:
    """Creation is proved like any write."""
    play.save(b"new", b"x\n", File(data=b"x\n"))
    assert play.pending() == {}


def test_a_claim_says_nothing_about_another_path(play: Play) -> None:
    """Equal bytes elsewhere are somebody else's."""
    play.claim(F, USERS)
    play.put(b"g", File(data=USERS))
    play.cut()
    assert play.owners(b"g") == [("external", None, "external")]


def test_a_proof_that_is_told_again_is_not_put_on_top_of_a_decision(play: Play) -> None:
    """The daemon after the one that died knows its bytes, and has seen nobody write them."""
    play.run("claude", "s", {F: File(data=AGENTS)})
    put(play, BOTH)
    play.cut()
    play.restart(play.reload())
    play.claim(F, BOTH, written=True)
    play.decide("reject", Selection(everything=True, include_external=True), discard_user=True)
    play.cut()
    play.run("claude", "s", {F: File(data=BASE.replace(b"4\n", b"again\n"))})
    assert (base(play), play.owners(F)) == (BASE, [("agent", "s", "likely")])


def test_a_proof_that_comes_after_a_decision_is_not_put_on_top_of_it(play: Play) -> None:
    """A daemon died with it, and the next one hears of a save that was seen and rejected since."""
    play.run("claude", "s", {F: File(data=AGENTS)})
    put(play, BOTH)
    play.cut()
    saved_ns = play.tick()
    play.decide("reject", Selection(everything=True, include_external=True), discard_user=True)
    play.cut()
    assert play.disk[F] == File(data=BASE)
    late = EditorClaimed(client="nvim", path=F, data=BOTH, written=True, received_ns=saved_ns)
    play.handle(late)
    other = BASE.replace(b"4\n", b"again\n")
    play.run("claude", "s", {F: File(data=other)})
    assert (base(play), play.owners(F)) == (BASE, [("agent", "s", "likely")])


# --- a proof covers bytes -------------------------------------------------------------------------


def modes(play: Play) -> list[tuple[str, str | None]]:
    """Returns (kind, session) of the owners of the mode change that pends."""
    state = play.ledger.paths.get(F)
    found = () if state is None else state.meta
    return [(o.kind, o.session) for m in found if m.kind == "mode" for o in m.owners]


def sound(play: Play) -> None:
    """The state is what the disk has, and the log alone gives the same."""
    state = play.ledger.paths[F]
    check(state)
    assert state.cur == play.disk[F]
    assert image(play.reload()) == image(play.ledger)


ALL = Selection(everything=True, include_external=True)


@pytest.mark.parametrize("pends", [True, False])
@pytest.mark.parametrize("binary", [b"", b"\0"])
@pytest.mark.parametrize("when", ["at once", "torn", "late", "late and torn"])
def test_a_mode_that_changed_with_a_save_is_its_own_author_s(
    play: Play, when: str, binary: bytes, pends: bool
) -> None:
    """An agent's ``chmod +x`` and the user's save in one reading: the mode still pends (P13)."""
    play.disk[F] = play.seen[F] = File(data=binary + BASE)
    if pends:
        play.run("claude", "s", {F: File(data=binary + AGENTS)})
    users = b"TOP\n" + binary + (AGENTS if pends else BASE)
    started = play.start("claude", "s")
    since_ns = play.tick()
    if "late" not in when:
        play.claim(F, users)
    if "torn" in when:
        put(play, b"")
        play.cut()
    play.put(F, File(data=users, mode=0o755))
    play.cut()
    play.claim(F, users, written=True, since_ns=since_ns)
    play.finish(started)
    assert modes(play) == [("agent", "s")]
    sound(play)
    play.decide("reject", ALL)
    kept = b"TOP\n" + binary + (AGENTS if pends and binary else BASE)
    assert (play.disk[F], play.pending()) == (File(data=kept), {})


def test_a_stranger_s_mode_beside_a_save_is_a_stranger_s(play: Play) -> None:
    """Nobody is known to have done it: it pends as external."""
    play.end("claude", "s")
    play.now += CLAIM_NS
    play.attach()
    play.save(F, USERS, File(data=USERS, mode=0o755))
    assert modes(play) == [("external", None)]
    assert base(play) == USERS
    sound(play)


def test_a_save_keeps_a_mode_that_pends(play: Play) -> None:
    """The agent's ``chmod`` came before; text or not, the save decides nothing about it."""
    for before in (BASE, b"\0" + BASE):
        play.disk[F] = play.seen[F] = File(data=before)
        play.run("claude", "s", {F: File(data=before, mode=0o755)})
        new = before + b"9\n"
        play.save(F, new, File(data=new, mode=0o755))
        assert modes(play) == [("agent", "s")]
        assert play.base(F) == File(data=new)
        sound(play)
        play.decide("reject", ALL)
        assert play.disk[F] == File(data=new)
        play.cut()


def test_a_save_over_what_an_agent_left_of_a_binary_keeps_the_mode_that_pends(play: Play) -> None:
    """The content is the user's on both sides, without a line that differs."""
    play.disk[F] = play.seen[F] = File(data=b"\0")
    play.run("claude", "s", {F: File(data=b"", mode=0o755)})
    play.save(F, b"x\n", File(data=b"x\n", mode=0o755))
    assert (modes(play), play.base(F)) == ([("agent", "s")], File(data=b"x\n"))
    sound(play)


def test_a_save_that_makes_the_file_gives_it_its_mode(play: Play) -> None:
    """What was not there had no mode; what an agent deleted comes back as the editor makes it."""
    play.save(b"new", b"x\n", File(data=b"x\n", mode=0o755))
    assert play.pending() == {}
    play.run("claude", "s", {F: Other(kind="unreadable: Permission denied")})
    play.save(F, USERS, File(data=USERS, mode=0o755))
    assert modes(play) == [("agent", "s")]
