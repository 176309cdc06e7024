"""What was put aside, and when it comes back."""

from dataclasses import replace

import pytest

from agentdiff.core.codec import encode_state
from agentdiff.core.entries import ABSENT, Directory, Entry, File, Link, Other, git_blob_oid
from agentdiff.core.events import GitMoved, HunkPick, Selection, TurnEnded
from agentdiff.core.pathstate import check, lines_of
from agentdiff.core.sessions import TAIL_NS
from tests.play import Play, image

BASE, AGENTS = File(data=b"a\nb\nc\n"), File(data=b"a\nX\nc\n")
CLAUDE = ("claude", "A")
SECOND_NS = 1_000_000_000


def moved(play: Play, entry: File, label: str) -> None:
    """Lets git put a content into the work tree, as a person's command."""
    play.put(b"f", entry)
    contents: dict[bytes, str | None] = {b"f": git_blob_oid(entry.data)}
    popped = label == "stash"
    now = play.tick()
    play.handle(GitMoved(label=label, contents=contents, received_ns=now, popped=popped))
    play.cut()


def stashed_and_popped() -> Play:
    """An agent's change that was stashed and came back."""
    play = Play(disk={b"f": BASE})
    play.attach()
    play.prompt(*CLAUDE)
    play.write(*CLAUDE, b"f", AGENTS.data)
    play.end(*CLAUDE)
    play.now += 60 * SECOND_NS
    moved(play, BASE, "stash")
    assert not play.pending()
    moved(play, AGENTS, "stash")
    assert play.owners(b"f") == [("agent", "A", "exact")]
    return play


def test_what_was_accepted_does_not_pend_again() -> None:
    """Accepted, committed, another branch and back: it is the user's history by now."""
    play = stashed_and_popped()
    play.decide("accept", Selection())
    for crash in (False, True):
        if crash:
            play.restart(play.reload())
            play.attach()
        moved(play, BASE, "checkout")
        moved(play, AGENTS, "checkout")
        assert not play.pending()


def test_another_decision_on_the_path_leaves_it_aside() -> None:
    """The agent's stashed change comes back as the agent's after another one was accepted."""
    play = stashed_and_popped()
    moved(play, BASE, "stash")
    play.prompt(*CLAUDE)
    play.write(*CLAUDE, b"f", b"a\nb\nc\nd\n")
    play.end(*CLAUDE)
    play.now += 60 * SECOND_NS
    play.decide("accept", Selection())
    for crash in (False, True):
        if crash:
            play.restart(play.reload())
            play.attach()
        moved(play, File(data=b"a\nX\nc\nd\n"), "stash")
        assert play.owners(b"f") == [("agent", "A", "exact")]
        moved(play, File(data=b"a\nb\nc\nd\n"), "stash")
        assert not play.pending()


def test_what_another_commit_holds_by_chance_is_the_commits() -> None:
    """A line was put aside on a checkout; the next commit consists of just such a line."""
    play = Play(disk={b"f": BASE})
    play.attach()
    play.put(b"f", File(data=b"X\na\nb\nc\n"))
    play.cut()
    play.now += 60 * SECOND_NS
    moved(play, File(data=b""), "checkout")
    assert not play.pending()
    play.now += 60 * SECOND_NS
    moved(play, File(data=b"X\n"), "checkout")
    assert not play.pending()
    assert play.base(b"f") == File(data=b"X\n")


# --- identical bytes are nobody's writing ---------------------------------------------------------

LINES = [b"line %d\n" % n for n in range(12)]
TEXT = File(data=b"".join(LINES))
MIXED = File(data=b"".join([*LINES[:5], b"A1\n", b"USER\n", b"A2\n", *LINES[5:]]))
ALL = Selection(everything=True, include_external=True)
CODEX = ("codex", "B")


def under_review() -> Play:
    """The user has a line of their own in the middle of a pending hunk of an agent."""
    play = Play(disk={b"f": TEXT})
    play.attach()
    play.prompt(*CLAUDE)
    play.prompt(*CODEX)
    play.run(*CLAUDE, {b"f": File(data=MIXED.data.replace(b"USER\n", b""))})
    play.save(b"f", MIXED.data, MIXED)
    return play


def stranger(play: Play, entry: Entry) -> None:
    """Somebody else writes, long after every turn."""
    for agent, session in (CLAUDE, CODEX):
        play.handle(TurnEnded(agent=agent, session=session, received_ns=play.tick()))
    play.now += TAIL_NS + SECOND_NS
    play.put(b"f", entry)
    play.cut()


def step(play: Play, who: str, entry: Entry) -> None:
    """Lets somebody write the file."""
    if who == "stranger":
        stranger(play, entry)
    elif who == "user":
        assert isinstance(entry, File)
        play.save(b"f", entry.data, entry)
    else:
        play.run(*(CLAUDE if who == "claude" else CODEX), {b"f": entry})


def sound(play: Play) -> None:
    """The states hold together, and the log alone gives the same."""
    for state in play.ledger.paths.values():
        check(state)
    again = play.reload()
    assert image(again) == image(play.ledger)
    asides = [ledger.observer.parking.states() for ledger in (again, play.ledger)]
    assert [*map(encode_state, asides[0])] == [*map(encode_state, asides[1])]


def data(play: Play) -> bytes:
    """Returns what the file holds."""
    entry = play.disk[b"f"]
    assert isinstance(entry, File)
    return entry.data


GONE: list[Entry] = [
    ABSENT,
    Other(kind="unreadable: Permission denied", stamp="1"),
    Other(kind="oversized: 9 bytes", stamp="2"),
    Link(target=b"elsewhere"),
    Directory(),
    File(data=b"\0binary"),
    File(data=b""),
    TEXT,  # exactly what the agent had found: nothing pends for a while
]


@pytest.mark.parametrize("back", ["claude", "codex", "user", "stranger"])
@pytest.mark.parametrize("away", ["codex", "stranger"])
@pytest.mark.parametrize("gone", GONE, ids=repr)
def test_what_comes_back_is_what_it_was(gone: Entry, away: str, back: str) -> None:
    """Whoever took it away and whoever brings it: same ids, same owners, and USER survives."""
    play = under_review()
    before = play.ledger.paths[b"f"]
    step(play, away, gone)
    sound(play)
    step(play, back, MIXED)
    state = play.ledger.paths[b"f"]
    assert (state.base, state.cur, state.hunks) == (TEXT, MIXED, before.hunks)
    assert (state.ids, state.meta) == (before.ids, ())
    sound(play)
    assert play.decide("reject", ALL)["refused"] == []
    assert data(play) == b"".join([*LINES[:5], b"USER\n", *LINES[5:]])
    sound(play)


@pytest.mark.parametrize("away", ["codex", "stranger"])
def test_a_new_file_whose_place_a_directory_takes_for_a_while(away: str) -> None:
    """It is created here as before, by whom it was."""
    play = Play()
    play.run(*CLAUDE, {b"f": TEXT})
    before = play.ledger.paths[b"f"]
    step(play, away, Directory())
    assert play.pending() == {}
    step(play, "stranger", TEXT)
    state = play.ledger.paths[b"f"]
    assert (state.base, state.hunks, state.meta) == (ABSENT, before.hunks, before.meta)
    sound(play)


@pytest.mark.parametrize("who", [CLAUDE, CODEX])
@pytest.mark.parametrize("name", [b"f.bak", b"a.bak"])
def test_a_move_there_and_back(who: tuple[str, str], name: bytes) -> None:
    """``mv f f.bak`` and, in the next call, ``mv f.bak f``."""
    play = under_review()
    before = play.ledger.paths[b"f"].hunks
    play.run(*who, {b"f": ABSENT, name: MIXED})
    play.run(*who, {name: ABSENT, b"f": MIXED})
    assert play.pending() == {b"f": "modified"}
    state = play.ledger.paths[b"f"]
    assert (state.base, state.hunks[0].new_owners) == (TEXT, before[0].new_owners)
    sound(play)
    play.decide("reject", ALL)
    assert b"USER\n" in data(play)
    assert play.disk.keys() == {b"f"}


@pytest.mark.parametrize("gone", GONE[:7], ids=repr)
@pytest.mark.parametrize("who", ["codex", "user"])
def test_what_is_written_over_the_gap_is_compared_with_what_was_there(
    gone: Entry, who: str
) -> None:
    """A save of the open buffer, or a file that is removed and written anew, with one more line."""
    play = under_review()
    step(play, "codex", gone)
    new = File(data=b"TOP\n" + MIXED.data)
    step(play, who, new)
    sound(play)
    state = play.ledger.paths[b"f"]
    wrote = [owner.session or owner.kind for hunk in state.hunks for owner in hunk.new_owners]
    assert wrote == (["B"] if who == "codex" else []) + ["A", "user", "A"]
    play.decide("reject", ALL)
    top = [b"TOP\n"] if who == "user" else []
    assert data(play) == b"".join([*top, *LINES[:5], b"USER\n", *LINES[5:]])
    assert not play.pending()


@pytest.mark.parametrize("between", [MIXED, File(data=MIXED.data[:20])], ids=["whole", "half"])
@pytest.mark.parametrize("gone", GONE[:7], ids=repr)
@pytest.mark.parametrize("calls", [1, 2])
def test_what_is_written_over_the_gap_in_steps(gone: Entry, between: Entry, calls: int) -> None:
    """A link, unreadable or gone in the call that writes, or before: it began with the lines."""
    play = under_review()
    if calls == 2:
        play.run(*CODEX, {b"f": gone})
    started = play.start(*CODEX)
    for entry in (gone, between, File(data=MIXED.data + b"END\n")):
        if calls == 1 or entry != gone:
            play.put(b"f", entry)
            play.cut()
    play.finish(started)
    sound(play)
    hunks = play.ledger.paths[b"f"].hunks
    wrote = [[owner.session or owner.kind for owner in hunk.new_owners] for hunk in hunks]
    assert wrote == [["A", "user", "A"], ["B"]]


def test_what_a_call_adds_after_all_has_come_back_keeps_its_hunk() -> None:
    """Each line that a program adds to a file is seen on its own."""
    play = under_review()
    play.run(*CODEX, {b"f": ABSENT})
    started = play.start(*CODEX)
    ids = set()
    for n in range(4):
        play.put(b"f", File(data=MIXED.data + b"END\n" * (n + 1)))
        play.cut()
        ids.add(play.ids(b"f"))
    play.finish(started)
    assert len(ids) == 1


def test_what_is_typed_into_an_emptied_file_deletes_nothing() -> None:
    """The agent emptied it, and that goes on pending."""
    play = under_review()
    step(play, "codex", File(data=b""))
    step(play, "user", File(data=b"mine\n"))
    assert play.base(b"f") == TEXT
    sound(play)
    play.decide("reject", ALL)
    assert sorted(data(play).splitlines(True)) == sorted([b"mine\n", *LINES])


def test_what_is_written_into_an_emptied_file_is_not_compared_with_another_change() -> None:
    """One that was stashed waits while another one pends."""
    play = stashed_and_popped()
    moved(play, BASE, "stash")
    play.prompt(*CLAUDE)
    play.prompt(*CODEX)
    play.run(*CLAUDE, {b"f": File(data=b"a\nb\nc\nd\n")})
    play.run(*CODEX, {b"f": File(data=b"")})
    play.run(*CODEX, {b"f": File(data=AGENTS.data + b"e\n")})
    assert {owner[1] for owner in play.owners(b"f")} == {"B"}
    sound(play)


def test_another_mode_is_whose_who_brought_it() -> None:
    """The bytes are nobody's, the bit is new."""
    play = under_review()
    step(play, "claude", ABSENT)
    step(play, "codex", File(data=MIXED.data, mode=0o755))
    state = play.ledger.paths[b"f"]
    assert [(m.kind, m.owners[0].session) for m in state.meta] == [("mode", "B")]
    assert [owner.session for owner in state.hunks[0].new_owners] == ["A", None, "A"]
    sound(play)
    play.decide("reject", ALL)
    assert play.disk[b"f"] == File(data=b"".join([*LINES[:5], b"USER\n", *LINES[5:]]))


def test_what_an_agent_took_back_itself_is_no_change_any_more() -> None:
    """Written again, it is of the call that wrote it."""
    play = Play(disk={b"f": BASE})
    play.prompt(*CLAUDE)
    play.write(*CLAUDE, b"f", AGENTS.data)
    (first,) = play.ids(b"f")
    play.write(*CLAUDE, b"f", BASE.data)
    assert not play.pending()
    play.write(*CLAUDE, b"f", AGENTS.data)
    assert first not in play.ids(b"f")


@pytest.mark.parametrize("op", ["accept", "reject"])
@pytest.mark.parametrize("gone", [ABSENT, Link(target=b"elsewhere")])
def test_what_was_decided_while_it_was_gone_does_not_come_back(op: str, gone: Entry) -> None:
    """A decision on the gap is one on what had been there."""
    play = under_review()
    first = play.ids(b"f")
    step(play, "codex", gone)
    play.decide(op, ALL)
    assert b"f" not in play.ledger.observer.parking
    play.cut()
    step(play, "codex", MIXED)
    assert set(first).isdisjoint(play.ids(b"f"))
    assert {owner[1] for owner in play.owners(b"f")} == {"B"}
    sound(play)


def test_a_stranger_s_new_file_of_an_old_name_is_new() -> None:
    """An agent made a file, somebody removed it; another one with that name has other lines."""
    play = Play(disk={})
    play.attach()
    play.prompt(*CLAUDE)
    play.run(*CLAUDE, {b"f": TEXT})
    stranger(play, ABSENT)
    assert not play.pending()
    other = File(data=b"new\n" * 9 + LINES[0])
    stranger(play, other)
    assert play.owners(b"f") == [("external", None, "external")]
    stranger(play, ABSENT)
    play.save(b"f", b"user's\n" + TEXT.data, File(data=b"user's\n" + TEXT.data))
    assert not play.pending()


def test_a_part_of_the_gap_is_not_kept_in_place_of_the_lines() -> None:
    """Unreadable, a link, gone: what was there before all that returns."""
    play = under_review()
    before = play.ledger.paths[b"f"]
    for gone in (Link(target=b"x"), File(data=b"\0"), GONE[1], File(data=b""), ABSENT):
        step(play, "stranger", gone)
    step(play, "stranger", MIXED)
    assert play.ledger.paths[b"f"].hunks == before.hunks
    sound(play)


@pytest.mark.parametrize("users", [True, False])
def test_a_created_file_that_is_removed_and_written_anew(users: bool) -> None:
    """Nothing pends in between; a line that the user has in it is theirs all the same."""
    play = Play(disk={})
    play.attach()
    play.prompt(*CLAUDE)
    play.prompt(*CODEX)
    play.run(*CLAUDE, {b"f": TEXT})
    if users:
        play.save(b"f", MIXED.data, MIXED)
    play.run(*CODEX, {b"f": ABSENT})
    assert not play.pending()
    there = MIXED if users else TEXT
    play.run(*CODEX, {b"f": File(data=b"TOP\n" + there.data)})
    sound(play)
    sessions = {owner.session for owner in play.ledger.paths[b"f"].hunks[0].new_owners}
    assert sessions == ({"A", "B", None} if users else {"B"})
    play.decide("reject", ALL)
    assert play.disk == ({b"f": File(data=b"A1\nUSER\nA2\n")} if users else {})


def test_a_stash_keeps_what_pends_now() -> None:
    """Whatever had been put aside before: an agent's text was overwritten with a binary."""
    play = Play(disk={})
    play.attach()
    play.prompt(*CLAUDE)
    play.prompt(*CODEX)
    binary = File(data=b"\0binary")
    play.run(*CLAUDE, {b"f": TEXT})
    (first,) = play.ids(b"f")
    step(play, "codex", binary)
    stranger(play, ABSENT)
    assert not play.pending()
    stranger(play, binary)
    assert (play.ids(b"f"), play.disk[b"f"]) == ((first,), binary)
    assert play.ledger.paths[b"f"].cur == binary
    assert {owner[0] for owner in play.owners(b"f")} == {"agent"}
    sound(play)


# --- a proof that comes when the content is gone already ------------------------------------------

SAVED = File(data=b"USER2\n" + MIXED.data.replace(b"A2\n", b"USER3\nA2\n"))


def saved(play: Play, gone: Entry) -> None:
    """A save is taken for the agent's, and the proof comes when another one has the file away."""
    started = play.start(*CLAUDE)
    since = play.now
    play.put(b"f", SAVED)
    play.finish(started)
    step(play, "codex", gone)
    play.claim(b"f", SAVED.data, written=True, since_ns=since)
    sound(play)
    play.cut()


@pytest.mark.parametrize("back", ["claude", "codex", "user", "stranger"])
@pytest.mark.parametrize("gone", GONE[:7], ids=repr)
def test_what_a_late_proof_corrected_comes_back_corrected(gone: Entry, back: str) -> None:
    """The mistake was put aside with exactly the bytes that the user had saved."""
    play = under_review()
    saved(play, gone)
    step(play, back, SAVED)
    sound(play)
    (hunk,) = play.ledger.paths[b"f"].hunks
    assert [one.session for one in hunk.new_owners] == ["A", None, None, "A"]
    play.decide("reject", ALL)
    assert data(play) == b"".join([b"USER2\n", *LINES[:5], b"USER\n", b"USER3\n", *LINES[5:]])


def test_a_mistake_that_was_put_aside_is_none_after_a_restart() -> None:
    """Nothing is aside when the user alone had written: the log says so, too."""
    play = Play(disk={b"f": TEXT})
    play.attach()
    play.prompt(*CLAUDE)
    play.prompt(*CODEX)
    saved(play, ABSENT)
    assert not play.ledger.observer.parking
    play.restart(play.reload())
    play.attach()
    assert not play.ledger.observer.parking
    assert play.base(b"f") == SAVED


@pytest.mark.parametrize("head", [b"", b"B\n"])
@pytest.mark.parametrize("far", [False, True])
@pytest.mark.parametrize("created", [False, True])
def test_what_a_late_proof_corrected_is_corrected_where_it_is_now(
    created: bool, far: bool, head: bytes
) -> None:
    """Moved away meanwhile, and its mistaken owners with it."""
    play = under_review()
    if created:
        play.decide("accept", ALL)
        play.run(*CLAUDE, {b"f": ABSENT})
        play.decide("accept", ALL)
        play.run(*CLAUDE, {b"f": MIXED})
    started = play.start(*CLAUDE)
    since = play.now
    play.put(b"f", SAVED)
    play.finish(started)
    there = File(data=head + SAVED.data)
    play.run(*CODEX, {b"f": ABSENT, b"g": there})
    if far:
        play.run(*CODEX, {b"g": ABSENT, b"h": there})
    play.claim(b"f", SAVED.data, written=True, since_ns=since)
    play.cut()
    sound(play)
    state = play.ledger.paths[b"h" if far else b"g"]
    assert (state.status, state.cur) == ("created" if created else "renamed", there)
    by = {
        line: owner.session
        for hunk in state.hunks
        for line, owner in zip(state.text.cur[hunk.b0 : hunk.b1], hunk.new_owners, strict=True)
    }
    assert (by.get(b"USER2\n"), by[b"USER3\n"], by[b"A1\n"]) == (None, None, "A")
    assert by.get(b"B\n", "B") == "B"
    play.decide("reject", ALL)
    assert {b"USER2\n", b"USER3\n"} <= {
        line for entry in play.disk.values() for line in entry.data.splitlines(keepends=True)
    }


def test_two_saves_are_proved_when_the_file_is_gone() -> None:
    """The first proof puts a state aside that has never pended; it is a mistake for the second."""
    play, saves = under_review(), [b"FIRST\n" + MIXED.data, b"FIRST\n" + MIXED.data + b"SECOND\n"]
    since: list[int] = []
    for save in saves:
        started = play.start(*CLAUDE)
        since.append(play.now)
        play.put(b"f", File(data=save))
        play.finish(started)
    play.run(*CODEX, {b"f": ABSENT})
    for save, begun in zip(saves, since, strict=True):
        play.claim(b"f", save, written=True, since_ns=begun)
        play.cut()
    sound(play)
    play.run(*CODEX, {b"f": File(data=saves[-1])})
    sound(play)
    play.decide("reject", ALL)
    left = b"".join([b"FIRST\n", *LINES[:5], b"USER\n", *LINES[5:], b"SECOND\n"])
    assert data(play) == left


@pytest.mark.parametrize("head", [b"", b"B\n"])
@pytest.mark.parametrize("by", [("gemini", "C"), CLAUDE, CODEX])
def test_a_late_proof_of_what_others_have_written_in_since_it_was_moved(
    by: tuple[str, str], head: bytes
) -> None:
    """Who wrote there last has brought nothing, and it is where it has arrived already."""
    play = under_review()
    play.prompt(*by)
    started = play.start(*CLAUDE)
    since = play.now
    play.put(b"f", SAVED)
    play.finish(started)
    play.run(*CODEX, {b"f": ABSENT, b"g": File(data=head + SAVED.data)})
    play.run(*by, {b"g": File(data=head + SAVED.data + b"C\n")})
    play.claim(b"f", SAVED.data, written=True, since_ns=since)
    play.cut()
    sound(play)
    play.decide("reject", ALL)
    play.cut()
    left = b"".join([b"USER2\n", *LINES[:5], b"USER\n", b"USER3\n", *LINES[5:]])
    assert play.disk == {b"f": File(data=left)}


def test_a_rename_that_is_gone_when_the_proof_comes_is_one_again() -> None:
    """What the user typed is in the base of both halves, also while only the old one is left."""
    play = under_review()
    play.run(*CODEX, {b"f": ABSENT, b"g": MIXED})
    since = play.now
    play.run(*CODEX, {b"g": SAVED})
    play.run(*CODEX, {b"g": ABSENT})
    play.claim(b"g", SAVED.data, written=True, since_ns=since)
    play.cut()
    sound(play)
    play.run(*CODEX, {b"g": SAVED})
    sound(play)
    state = play.ledger.paths[b"g"]
    assert (state.status, state.origin) == ("renamed", b"f")
    assert state.base == File(data=b"USER2\n" + TEXT.data)
    play.decide("reject", ALL)
    assert play.disk.keys() == {b"f"}
    assert data(play) == b"".join([b"USER2\n", *LINES[:5], b"USER\n", b"USER3\n", *LINES[5:]])


def test_who_emptied_a_file_deleted_its_lines() -> None:
    """P14: what somebody else writes there afterwards has none of them, and deletes none."""
    play = under_review()
    play.run(*CLAUDE, {b"f": File(data=b"")})
    play.run(*CODEX, {b"f": File(data=b"B\n")})
    (hunk,) = play.ledger.paths[b"f"].hunks
    assert {owner.session for owner in hunk.old_owners} == {"A"}
    assert [owner.session for owner in hunk.new_owners] == ["B"]


def test_an_older_change_that_waits_costs_no_line_of_the_users() -> None:
    """Emptied and written again, what pends now counts."""
    play = Play(disk={b"f": TEXT})
    play.attach()
    play.prompt(*CLAUDE)
    play.prompt(*CODEX)
    play.run(*CLAUDE, {b"f": File(data=TEXT.data + b"more\n")})
    play.run(*CODEX, {b"f": TEXT})
    assert b"f" in play.ledger.observer.parking
    play.run(*CLAUDE, {b"f": MIXED})
    play.save(b"f", SAVED.data, SAVED)
    play.run(*CODEX, {b"f": File(data=b"")})
    play.run(*CODEX, {b"f": File(data=SAVED.data + b"B\n")})
    sound(play)
    play.decide("reject", Selection(everything=True, agent="codex"))
    assert play.disk[b"f"] == SAVED


def test_the_pop_of_a_stash_says_nothing_of_the_same_content_before() -> None:
    """Told before it is seen, it is what git writes next, and not what an agent had written."""
    play = Play(disk={b"f": TEXT})
    play.attach()
    play.prompt(*CLAUDE)
    play.run(*CLAUDE, {b"f": MIXED})
    before = play.ledger.paths[b"f"]
    for entry, popped in ((TEXT, False), (MIXED, True)):
        now = play.tick()
        moved = GitMoved(label="stash", contents={b"f": entry.oid}, received_ns=now, popped=popped)
        play.handle(moved)
        play.put(b"f", entry)
        play.cut()
    assert play.ledger.paths[b"f"] == replace(before, gen=play.ledger.paths[b"f"].gen)


def test_what_came_back_in_a_call_is_not_half_of_what_the_call_writes_next() -> None:
    """P6: `git stash && git stash pop && echo B >> f`, each step of it seen."""
    play = under_review()
    call = play.start(*CODEX)
    pended = play.disk[b"f"]
    for entry in (TEXT, pended, File(data=data(play) + b"B\n")):
        play.put(b"f", entry)
        play.cut()
    play.finish(call)
    sound(play)
    play.decide("reject", Selection(everything=True, agent="codex"))
    assert play.disk[b"f"] == pended


def older_waits() -> Play:
    """A change of an agent's was taken back by another one, and waits; then there is a new one."""
    play = Play(disk={b"f": TEXT})
    play.attach()
    play.prompt(*CLAUDE)
    play.prompt(*CODEX)
    play.run(*CLAUDE, {b"f": OLDER})
    play.run(*CODEX, {b"f": TEXT})
    play.run(*CLAUDE, {b"f": NEWER})
    return play


OLDER, NEWER = File(data=TEXT.data + b"older\n"), File(data=b"newer\n" + TEXT.data)


@pytest.mark.parametrize("gone", GONE[:7], ids=repr)
def test_two_changes_wait_on_one_path(gone: Entry) -> None:
    """What went just now is compared with what is written; the older one waits for its bytes."""
    play = older_waits()
    play.run(*CODEX, {b"f": gone})
    sound(play)
    play.run(*CODEX, {b"f": File(data=NEWER.data + b"B\n")})
    sound(play)
    hunks = play.ledger.paths[b"f"].hunks
    assert [[one.session for one in hunk.new_owners] for hunk in hunks] == [["A"], ["B"]]
    assert [hunk.old_owners for hunk in hunks] == [(), ()]
    play.decide("accept", ALL)
    sound(play)
    assert [one.cur for one in play.ledger.observer.parking.all_of(b"f")] == [OLDER]


@pytest.mark.parametrize("gone", GONE[:7], ids=repr)
@pytest.mark.parametrize("content", [OLDER, NEWER], ids=["older", "newer"])
def test_whichever_comes_back_is_what_it_was(gone: Entry, content: File) -> None:
    """Also after a restart."""
    play = older_waits()
    play.run(*CODEX, {b"f": gone})
    play.restart(play.reload())
    play.attach()
    play.run(*CODEX, {b"f": content})
    assert {owner[1] for owner in play.owners(b"f")} == {"A"}
    assert play.base(b"f") == TEXT
    sound(play)


@pytest.mark.parametrize("gone", [entry for entry in GONE[:6] if entry != ABSENT], ids=repr)
@pytest.mark.parametrize("created", [False, True])
def test_who_emptied_a_file_is_known_when_it_was_something_else(gone: Entry, created: bool) -> None:
    """Of one change both wait: the lines, and who took them away."""
    play = under_review()
    if created:
        play = Play()
        play.prompt(*CODEX)
        play.run(*CLAUDE, {b"f": MIXED})
    play.run(*CODEX, {b"f": File(data=b"")})
    before = play.ledger.paths[b"f"]
    stranger(play, gone)
    sound(play)
    stranger(play, File(data=b""))
    state = play.ledger.paths[b"f"]
    assert (state.hunks, state.meta) == (before.hunks, before.meta)
    sound(play)
    play.run(*CODEX, {b"f": MIXED})
    assert "A" in {owner[1] for owner in play.owners(b"f")}
    sound(play)


def test_no_more_than_a_few_changes_wait_on_a_path() -> None:
    """The one that went first is given up."""
    play = Play(disk={b"f": TEXT})
    play.prompt(*CLAUDE)
    play.prompt(*CODEX)
    for n in range(5):
        play.run(*CLAUDE, {b"f": File(data=TEXT.data + b"%d\n" % n)})
        play.run(*CODEX, {b"f": TEXT})
        sound(play)
    asides = play.ledger.observer.parking.all_of(b"f")
    assert [lines_of(one.cur)[-1] for one in asides] == [b"4\n", b"3\n", b"2\n"]


def test_the_newest_of_many_waits_also_when_an_undo_has_brought_its_text_back() -> None:
    """It went as a binary file; older changes are given up for it, and not it for them."""
    play = Play(disk={b"f": TEXT})
    play.attach()
    play.prompt(*CLAUDE)
    play.prompt(*CODEX)
    for n in range(2):
        play.run(*CLAUDE, {b"f": File(data=TEXT.data + b"%d\n" % n)})
        play.run(*CODEX, {b"f": TEXT})
    play.run(*CLAUDE, {b"f": File(data=TEXT.data + b"2\n")})
    play.run(*CODEX, {b"f": File(data=b"\0")})
    before = play.ledger.paths[b"f"]
    play.decide("accept", ALL)
    assert not play.undo()["refused"]
    stranger(play, TEXT)
    sound(play)
    stranger(play, File(data=b"\0"))
    assert play.ledger.paths[b"f"] == before
    sound(play)


def test_what_waits_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the path that was put aside longest ago what went first is given up first."""
    monkeypatch.setattr("agentdiff.core.asides.MAX_BYTES", 4 * len(TEXT.data) + 10)
    monkeypatch.setattr("agentdiff.core.asides.MAX_PATHS", 2)
    play = Play(disk=dict.fromkeys((b"f", b"g", b"h"), TEXT))
    play.prompt(*CLAUDE)
    play.prompt(*CODEX)
    found = []
    for path, line in ((b"f", b"1\n"), (b"f", b"2\n"), (b"g", b"3\n"), (b"h", b"4\n")):
        play.run(*CLAUDE, {path: File(data=TEXT.data + line)})
        play.run(*CODEX, {path: TEXT})
        sound(play)
        found.append([lines_of(one.cur)[-1] for one in play.ledger.observer.parking.states()])
    assert found == [[b"1\n"], [b"1\n", b"2\n"], [b"2\n", b"3\n"], [b"3\n", b"4\n"]]


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("to", [b"f", b"g"])
@pytest.mark.parametrize("turns", [("undo",), ("undo", "redo", "undo")])
@pytest.mark.parametrize("op", ["accept", "reject"])
def test_what_waited_waits_again_when_the_decision_is_undone(
    op: str, turns: tuple[str, ...], to: bytes, restart: bool
) -> None:
    """A deletion is decided, and that undone: a line of the user's is theirs when it is back."""
    play = under_review()
    play.run(*CODEX, {b"f": ABSENT})
    play.decide(op, ALL)
    play.cut()
    for turn in turns:
        assert not play.undo(redo=turn == "redo")["refused"]
        play.cut()
    if restart:
        play.restart(play.reload())
        play.attach()
    play.run(*CODEX, {to: File(data=MIXED.data + b"B\n")})
    sound(play)
    play.decide("reject", ALL)
    play.cut()
    assert data(play) == b"".join([*LINES[:5], b"USER\n", *LINES[5:]])
    assert set(play.disk) == {b"f"}


@pytest.mark.parametrize("told", ["not at all", "before", "after"])
@pytest.mark.parametrize("who", ["an agent", "a person"])
def test_a_stash_where_something_was_accepted_that_is_not_committed(who: str, told: str) -> None:
    """It takes along what was accepted, too: HEAD is not the base.  What pended pends again."""
    play = under_review()
    play.run(*CLAUDE, {b"f": File(data=MIXED.data + b"accepted\n")})
    (*_, new) = play.ids(b"f")
    play.decide("accept", Selection(picks=(HunkPick(hunk=new),)))
    before = play.owners(b"f")
    stranger(play, play.disk[b"f"])  # it is a while ago
    play.prompt(*CODEX)
    call = play.start(*CODEX) if who == "an agent" else None
    for entry in (TEXT, File(data=MIXED.data + b"accepted\n")):
        git = GitMoved(
            label="stash",
            contents={b"f": git_blob_oid(entry.data)},
            received_ns=play.tick(),
            popped=entry != TEXT,
        )
        if told == "before":
            play.handle(git)
        play.put(b"f", entry)
        play.cut()
        if told == "after":
            play.handle(git)
    if call is not None:
        play.finish(call)
    sound(play)
    assert play.owners(b"f") == before
    play.decide("reject", ALL)
    play.cut()
    assert data(play) == b"".join([*LINES[:5], b"USER\n", *LINES[5:], b"accepted\n"])


@pytest.mark.parametrize("op", ["accept", "reject"])
@pytest.mark.parametrize("restart", [False, True])
def test_what_came_back_before_the_undo_is_whose_it_was(op: str, restart: bool) -> None:
    """A deletion is decided, the file is written again, and the decision undone after that."""
    play = under_review()
    play.run(*CODEX, {b"f": ABSENT})
    play.decide(op, ALL)
    play.cut()
    play.run(*CODEX, {b"f": File(data=MIXED.data + b"B\n")})
    if restart:
        play.restart(play.reload())
        play.attach()
    undone = play.undo()
    play.cut()
    sound(play)
    if op == "accept":
        assert not undone["refused"]
        play.decide("reject", ALL)
        play.cut()
        assert data(play) == b"".join([*LINES[:5], b"USER\n", *LINES[5:]])
    else:  # the file would be there and not be there
        assert undone["refused"]


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("gone", [ABSENT, File(data=b"")])
@pytest.mark.parametrize("turns", [("undo",), ("undo", "redo"), ("undo", "redo", "undo")])
def test_what_went_since_a_decision_waits_as_if_it_had_not_been_made(
    turns: tuple[str, ...], gone: Entry, restart: bool
) -> None:
    """A hunk is accepted, the file deleted, the accept undone: what comes back is whose it was."""
    play = under_review()
    play.run(*CLAUDE, {b"f": File(data=MIXED.data + b"accepted\n")})
    (*_, new) = play.ids(b"f")
    play.decide("accept", Selection(picks=(HunkPick(hunk=new),)))
    play.run(*CODEX, {b"f": gone})
    for turn in turns:
        assert not play.undo(redo=turn == "redo")["refused"]
    if restart:
        play.restart(play.reload())
        play.attach()
    play.run(*CODEX, {b"f": File(data=b"B\n" + MIXED.data + b"accepted\n")})
    sound(play)
    play.decide("reject", ALL)
    left = [*LINES[:5], b"USER\n", *LINES[5:], *([b"accepted\n"] if turns[-1] == "redo" else [])]
    assert data(play) == b"".join(left)


def test_what_came_into_the_base_since_a_stash_is_not_pending_when_it_is_popped() -> None:
    """A line was stashed as an agent's, typed by the user meanwhile, and then popped."""
    play = Play(disk={b"f": TEXT})
    play.attach()
    play.prompt(*CLAUDE)
    both = File(data=b"A1\n" + TEXT.data + b"A2\n")
    play.run(*CLAUDE, {b"f": both})
    stranger(play, play.disk[b"f"])
    moved(play, TEXT, "stash")
    users = File(data=b"A1\n" + TEXT.data)
    play.save(b"f", users.data, users)
    moved(play, both, "stash")
    sound(play)
    play.decide("reject", ALL)
    assert data(play).startswith(users.data)


def test_what_another_agent_overwrote_waits_for_nothing() -> None:
    """Its change is rejected, and the user types the line that it had replaced: it is theirs."""
    play = Play(disk={b"f": TEXT})
    play.attach()
    play.prompt(*CLAUDE)
    play.prompt(*CODEX)
    play.run(*CLAUDE, {b"f": File(data=b"X\n" + TEXT.data)})
    play.run(*CODEX, {b"f": File(data=TEXT.data + b"Y\n")})
    play.decide("reject", ALL)
    play.cut()
    typed = File(data=b"X\n" + TEXT.data)
    play.save(b"f", typed.data, typed)
    play.decide("reject", ALL)
    assert data(play) == typed.data
