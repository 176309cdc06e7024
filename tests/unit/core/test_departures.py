"""What was moved keeps its owners: over renames, by anybody, of files old and new."""

import pytest

from agentdiff.core.diff import split_lines
from agentdiff.core.entries import ABSENT, Entry, File
from agentdiff.core.events import Target, TurnEnded
from agentdiff.core.sessions import TAIL_NS
from tests.play import Play
from tests.unit.core.moves import (
    AGENT,
    BASE,
    EVERYTHING,
    KEPT,
    LINES,
    MIXED,
    MOVER,
    OURS,
    WRITTEN,
    holds,
    lines_of_change,
    mixed_file,
    move_file,
    new_file,
    texts_of,
    two_agents,
    type_line,
    who_wrote,
)


@pytest.mark.parametrize("by", [AGENT, MOVER])
@pytest.mark.parametrize("tool", ["Bash", "apply_patch"])
def test_a_move_with_an_edit_leaves_the_rest_to_its_authors(tool: str, by: tuple[str, str]) -> None:
    """P6, P8, P14: seen in one reading; the mover wrote the line at the head and nothing else."""
    play = mixed_file()
    if tool == "Bash":
        move_file(play, b"f", b"g", by, head=b"B\n")
    else:
        move = Target(path=b"f", action="move", move_to=b"g")
        edited = File(data=b"B\n" + MIXED.data)
        started = play.start(*by, move, Target(path=b"g", action="write", new_text=edited.data))
        play.put(b"f", ABSENT)
        play.put(b"g", edited)
        play.finish(started)
    assert play.pending() == {b"f": "deleted", b"g": "renamed"}
    assert who_wrote(play, b"g") == {b"B\n": by[1], **WRITTEN}
    holds(play, left=KEPT)


def test_a_line_that_the_mover_changed_is_the_movers() -> None:
    """Inside the hunk: what it replaced is gone, and its neighbours stay whose they were."""
    play = mixed_file()
    edited = File(data=MIXED.data.replace(b"A2\n", b"B\n"))
    play.run(*MOVER, {b"f": ABSENT, b"g": edited})
    assert who_wrote(play, b"g") == {b"A1\n": "A", b"USER\n": "user", b"B\n": "B", b"A3\n": "A"}
    holds(play, left=KEPT)


def test_what_was_rewritten_before_it_was_moved_is_found_all_the_same() -> None:
    """It has no line of its base left: only what pended tells that this is it."""
    play = two_agents(f=BASE)
    play.run(*AGENT, {b"f": File(data=b"A1\nA2\nA3\n")})
    type_line(play, b"f")
    move_file(play, b"f", b"g")
    assert play.pending() == {b"f": "deleted", b"g": "renamed"}
    assert who_wrote(play, b"g") == WRITTEN
    holds(play, left={b"f": BASE.data + b"USER\n"})


def test_an_empty_file_that_was_written_and_moved() -> None:
    """Empty files are all alike, but not what was written into them."""
    play = two_agents(f=File(data=b""))
    play.run(*AGENT, {b"f": File(data=b"A1\nA2\nA3\n")})
    type_line(play, b"f")
    move_file(play, b"f", b"g")
    assert who_wrote(play, b"g") == WRITTEN
    holds(play, left={b"f": b"USER\n"})


@pytest.mark.parametrize("head", [b"", b"B\n"])
@pytest.mark.parametrize("second", [AGENT, MOVER])
@pytest.mark.parametrize("restart", [False, True])
def test_a_chain_of_renames_is_one(second: tuple[str, str], head: bytes, restart: bool) -> None:
    """f→g, the user types inside a hunk of g, somebody does g→h: it is f→h, with all owners."""
    play = two_agents(f=BASE)
    play.run(*AGENT, {b"f": File(data=b"".join(OURS))})
    move_file(play, b"f", b"g", AGENT)
    type_line(play, b"g")
    if restart:
        play.restart(play.reload())
    move_file(play, b"g", b"h", second, head)
    assert play.pending() == {b"f": "deleted", b"h": "renamed"}
    assert who_wrote(play, b"h") == {**({head: second[1]} if head else {}), **WRITTEN}
    holds(play, left=KEPT)


def test_what_the_user_typed_outside_goes_along_a_chain() -> None:
    """It is in the base of the pair, and that is the base of the next one."""
    play = mixed_file()
    move_file(play, b"f", b"g")
    type_line(play, b"g", after=b"line 1\n", typed=b"mine\n")
    move_file(play, b"g", b"h")
    assert who_wrote(play, b"h") == WRITTEN
    holds(play, left={b"f": KEPT[b"f"].replace(b"line 1\n", b"line 1\nmine\n")})


def test_moved_in_a_chain_by_what_a_tool_says() -> None:
    """``*** Move to:`` names the path that it was renamed to before."""
    play = mixed_file()
    move_file(play, b"f", b"g", AGENT)
    rewritten = File(data=b"USER\nall new\n")
    started = play.start(*MOVER, Target(path=b"g", action="move", move_to=b"h"))
    play.put(b"g", ABSENT)
    play.put(b"h", rewritten)
    play.finish(started)
    assert play.pending() == {b"f": "deleted", b"h": "renamed"}
    assert who_wrote(play, b"h") == {b"USER\n": "user", b"all new\n": "B"}
    holds(play, left={b"f": b"USER\n" + BASE.data})


@pytest.mark.parametrize("typed", [False, True])
@pytest.mark.parametrize("head", [b"", b"B\n"])
@pytest.mark.parametrize("by", [AGENT, MOVER])
def test_a_move_there_and_back(by: tuple[str, str], head: bytes, typed: bool) -> None:
    """f→g→f: what pends is what would without the moves, and what was edited on the way."""
    play = mixed_file()
    move_file(play, b"f", b"g", by)
    if typed:
        type_line(play, b"g", after=b"A2\n", typed=b"too\n")
    move_file(play, b"g", b"f", by, head)
    assert play.pending() == {b"f": "modified"}
    more = {b"too\n": "user"} if typed else {}
    assert who_wrote(play, b"f") == {**({head: by[1]} if head else {}), **WRITTEN, **more}
    kept = KEPT[b"f"].replace(b"USER\n", b"USER\ntoo\n") if typed else KEPT[b"f"]
    holds(play, left={b"f": kept})


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("by", [AGENT, MOVER])
def test_moved_back_by_somebody_of_whom_nothing_pends(by: tuple[str, str], again: bool) -> None:
    """P14: a stranger deleted lines of g; not who moved f to g, nor who moved it back."""
    play = two_agents(f=BASE)
    move_file(play, b"f", b"g")
    if again:
        play.run(*AGENT, {b"g": ABSENT})
        play.run(*AGENT, {b"g": BASE})
    for agent, session in (AGENT, MOVER):
        play.handle(TurnEnded(agent=agent, session=session, received_ns=play.tick()))
    play.now += TAIL_NS + 1
    play.put(b"g", File(data=b"".join(LINES[3:])))
    play.cut()
    move_file(play, b"g", b"f", by)
    assert play.pending() == {b"f": "modified"}
    assert play.owners(b"f") == [("external", None, "external")]
    holds(play, left={b"f": BASE.data})


@pytest.mark.parametrize("seen", [b"", b"fg", b"gf"])
def test_what_is_deleted_on_the_way_back_is_the_mover_s(seen: bytes) -> None:
    """P8: not of the one who moved it there, though the whole file was gone by that.

    Seen at once, or in two readings of two daemons; where f is seen to come back before g is gone,
    what does not come back of it is as it was.
    """
    play = two_agents(f=BASE)
    move_file(play, b"f", b"g")
    play.run(*MOVER, {b"g": File(data=b"B\n" + BASE.data)})
    less = File(data=b"".join([b"B\n", *LINES[:5], *LINES[7:]]))
    started = play.start(*AGENT)
    steps: dict[bytes, Entry] = {b"f": less, b"g": ABSENT}
    for path in (bytes([one]) for one in seen or b"fg"):
        play.put(path, steps[path])
        if seen:
            play.cut()
            play.restart(play.reload())
    play.finish(started)
    written, deleted = play.ledger.paths[b"f"].hunks
    assert [owner.session for owner in written.owners] == ["B"]
    assert [owner.session for owner in deleted.owners] == ["B" if seen == b"fg" else "A"]
    holds(play, left={b"f": BASE.data})


def test_an_edit_after_the_move_is_an_edit() -> None:
    """Seen in the next reading: of what it does not touch the owners stay."""
    play = mixed_file()
    move_file(play, b"f", b"g")
    play.run(*MOVER, {b"g": File(data=b"B\n" + MIXED.data)})
    assert who_wrote(play, b"g") == {b"B\n": "B", **WRITTEN}
    holds(play, left=KEPT)


@pytest.mark.parametrize("head", [b"", b"B\n"])
@pytest.mark.parametrize("by", [AGENT, MOVER])
def test_a_new_file_that_is_moved_stays_new_and_its_authors_theirs(
    by: tuple[str, str], head: bytes
) -> None:
    """P6: rejected, the line that the user typed is left, at the new path."""
    play = new_file()
    move_file(play, b"f", b"g", by, head)
    assert play.pending() == {b"g": "created"}
    assert who_wrote(play, b"g") == {**({head: by[1]} if head else {}), **WRITTEN}
    (created,) = play.ledger.paths[b"g"].meta
    assert {owner.session for owner in created.owners} == {"A", None, by[1]}
    holds(play, left={b"g": b"USER\n"})


def test_a_new_file_moved_twice_and_back() -> None:
    """n→m→n, typed in between: the newest is what counts."""
    play = new_file()
    move_file(play, b"f", b"g")
    type_line(play, b"g", after=b"A2\n", typed=b"too\n")
    play.restart(play.reload())
    move_file(play, b"g", b"h", AGENT)
    move_file(play, b"h", b"f")
    assert play.pending() == {b"f": "created"}
    assert who_wrote(play, b"f") == {**WRITTEN, b"too\n": "user"}
    holds(play, left={b"f": b"USER\ntoo\n"})


def test_a_new_file_one_line_of_which_was_rejected_is_moved() -> None:
    """P10: what is above the line and what is below it are two changes; so they are at `g`."""
    play = new_file()
    (whole,) = play.ids(b"f")
    assert play.decide("reject", lines_of_change(whole, 2, 3))["refused"] == []
    assert len(play.ids(b"f")) == 2
    move_file(play, b"f", b"g")
    assert play.pending() == {b"g": "created"}
    assert who_wrote(play, b"g") == {b"A1\n": "A", b"USER\n": "user", b"A3\n": "A"}
    first, second = play.ids(b"g")
    assert first != second
    holds(play, left={b"g": b"USER\n"})


def test_two_new_files_of_equal_content_move_by_their_names() -> None:
    """Each keeps its own owners."""
    play = two_agents()
    data = b"A1\nUSER\nA2\nA3\n"
    play.run(*AGENT, {b"x/f": File(data=b"A1\nA2\nA3\n")})
    type_line(play, b"x/f")
    play.run(*AGENT, {b"x/g": File(data=data)})
    file = File(data=data)
    play.run(*MOVER, {b"x/f": ABSENT, b"x/g": ABSENT, b"y/f": file, b"y/g": file})
    assert play.pending() == {b"y/f": "created", b"y/g": "created"}
    assert who_wrote(play, b"y/f") == WRITTEN
    assert set(who_wrote(play, b"y/g").values()) == {"A"}
    holds(play, left={b"y/f": b"USER\n"})


def test_of_two_equal_files_that_went_it_is_the_one_that_went_just_now() -> None:
    """Another one was deleted before, and nobody knows any more that lines of it were typed."""
    play = two_agents(f=BASE, d=MIXED)
    play.run(*MOVER, {b"d": ABSENT})
    play.run(*AGENT, {b"f": File(data=b"".join(OURS))})
    type_line(play, b"f")
    move_file(play, b"f", b"g")
    assert play.ledger.paths[b"g"].origin == b"f"
    assert who_wrote(play, b"g") == WRITTEN
    holds(play, left={**KEPT, b"d": MIXED.data})


def test_what_was_there_before_is_not_what_was_moved() -> None:
    """An equal file pends already, and nobody has touched it."""
    play = two_agents(a=BASE, f=BASE)
    play.run(*AGENT, {b"a": File(data=b"".join(OURS)), b"f": File(data=b"".join(OURS))})
    type_line(play, b"a")
    type_line(play, b"f")
    there = play.ledger.paths[b"a"]
    move_file(play, b"f", b"g", AGENT)
    assert play.ledger.paths[b"a"] == there
    assert (play.ledger.paths[b"g"].origin, who_wrote(play, b"g")) == (b"f", WRITTEN)
    holds(play, left={**KEPT, b"a": KEPT[b"f"]})


def test_a_folder_moves_with_all_that_pends_in_it() -> None:
    """``mv src src2``: renames, new files, and equal ones in several folders."""
    same = File(data=b"the same\n" * 3)
    disk: dict[bytes, Entry] = {b"src/f": BASE, b"src/a/x": same, b"src/b/x": same}
    play = Play(disk=dict(disk))
    play.attach()
    play.prompt(*AGENT)
    play.prompt(*MOVER)
    play.run(*AGENT, {b"src/f": File(data=b"".join(OURS)), b"src/n": File(data=b"A1\nA2\nA3\n")})
    type_line(play, b"src/f")
    type_line(play, b"src/n")
    moved: dict[bytes, Entry] = {
        path.replace(b"src/", b"src2/"): entry for path, entry in play.disk.items()
    }
    play.run(*MOVER, {**dict.fromkeys(play.disk, ABSENT), **moved})
    origins = {path: state.origin for path, state in play.ledger.paths.items() if state.origin}
    assert origins == {path.replace(b"src/", b"src2/"): path for path in disk}
    assert who_wrote(play, b"src2/f") == who_wrote(play, b"src2/n") == WRITTEN
    assert play.ledger.paths[b"src2/n"].status == "created"
    left = {**texts_of(disk), b"src/f": KEPT[b"f"], b"src2/n": b"USER\n"}
    holds(play, left=left)


@pytest.mark.parametrize("new", [False, True])
def test_somebody_moves_it_outside_of_every_call(new: bool) -> None:
    """The user's ``mv`` or ``git mv`` is nobody's known: the name is ``external``, no line is."""
    play = new_file() if new else mixed_file()
    for agent, session in (AGENT, MOVER):
        play.handle(TurnEnded(agent=agent, session=session, received_ns=play.tick()))
    play.now += TAIL_NS + 1
    play.put(b"g", play.disk[b"f"])
    play.put(b"f", ABSENT)
    play.cut()
    assert play.pending().get(b"g") == ("created" if new else "renamed")
    assert who_wrote(play, b"g") == WRITTEN
    assert play.ledger.paths[b"g"].meta[0].owners[-1].kind == "external"
    holds(play, left={b"g": b"USER\n"} if new else KEPT)


@pytest.mark.parametrize("new", [False, True])
def test_moved_over_another_file(new: bool) -> None:
    """No rename, for there was something; the lines are whose they were all the same."""
    play = new_file() if new else mixed_file()
    other = File(data=b"other\n")
    play.save(b"g", other.data, other)
    move_file(play, b"f", b"g")
    assert play.pending().get(b"g") == "modified"
    lines = set(who_wrote(play, b"g").items())
    assert lines >= set(WRITTEN.items())
    holds(play, left={b"g": b"other\nUSER\n", **({} if new else {b"f": BASE.data})})


def test_who_took_it_away_is_who_brought_it() -> None:
    """The same bytes by another author are another author's."""
    play = new_file()
    there = play.disk[b"f"]
    play.run(*MOVER, {b"f": ABSENT})
    play.run(*AGENT, {b"g": there})
    assert set(who_wrote(play, b"g").values()) == {"A"}
    assert play.pending() == {b"g": "created"}
    play.decide("reject", EVERYTHING)
    assert not play.disk


def test_what_was_rejected_is_no_departure() -> None:
    """A decision took it away: what is written later is new."""
    play = new_file()
    there = play.disk[b"f"]
    play.decide("reject", EVERYTHING, discard_user=True)
    play.cut()
    play.run(*AGENT, {b"g": there})
    assert set(who_wrote(play, b"g").values()) == {"A"}


def test_a_file_that_is_only_like_it_is_new_unless_one_call_did_both() -> None:
    """Half of the lines are no proof where nothing pends as deleted."""
    play = new_file()
    edited = File(data=b"B\nA1\nUSER\nA2\nA3\n")
    play.run(*MOVER, {b"f": ABSENT})
    play.run(*MOVER, {b"g": edited})
    assert set(who_wrote(play, b"g").values()) == {"B"}
    assert len(split_lines(edited.data)) == 5


def test_a_rename_that_was_edited_into_binary_and_moved() -> None:
    """There are no lines to keep; whose it was is kept with the change."""
    play = two_agents(f=BASE)
    play.run(*AGENT, {b"f": File(data=b"\0A")})
    move_file(play, b"f", b"g")
    (binary,) = (m for m in play.ledger.paths[b"g"].meta if m.kind == "binary")
    assert [owner.session for owner in binary.owners] == ["A"]
    holds(play, left={b"f": BASE.data})


def test_a_mode_goes_along() -> None:
    """The agent made it executable, another one moved it."""
    play = two_agents(f=BASE)
    play.run(*AGENT, {b"f": File(data=BASE.data, mode=0o755)})
    move_file(play, b"f", b"g")
    (mode,) = (m for m in play.ledger.paths[b"g"].meta if m.kind == "mode")
    assert [owner.session for owner in mode.owners] == ["A"]
    holds(play, left={b"f": BASE.data})


def test_a_new_file_without_lines_is_moved() -> None:
    """A binary one: the change is everybody's."""
    play = two_agents()
    play.run(*AGENT, {b"f": File(data=b"\0A")})
    move_file(play, b"f", b"g")
    (created,) = play.ledger.paths[b"g"].meta
    assert [owner.session for owner in created.owners] == ["A", "B"]
    holds(play, left={})


def test_a_copy_is_its_makers() -> None:
    """What was copied is still where it was: rejected, no file of scraps is left."""
    play = mixed_file()
    there = play.disk[b"f"]
    play.run(*MOVER, {b"f": File(data=b"B\n" + MIXED.data), b"g": there})
    assert set(who_wrote(play, b"g").values()) == {"B"}
    holds(play, left=KEPT)


def test_many_other_files_that_pend_are_in_no_way() -> None:
    """They are not compared: moves with edits are found however much waits for a review."""
    disk = {b"f%d" % n: File(data=b"%d\n" % n + BASE.data) for n in range(60)}
    play = Play(disk=dict(disk))
    play.attach()
    play.prompt(*AGENT)
    play.run(*AGENT, {path: File(data=b"A\n" + file.data) for path, file in disk.items()})
    moved = dict(sorted(disk.items())[:45])
    play.run(
        *AGENT,
        {
            **dict.fromkeys(moved, ABSENT),
            **{b"d/" + path: File(data=b"A\nA\n" + file.data) for path, file in moved.items()},
        },
    )
    origins = {path: state.origin for path, state in play.ledger.paths.items() if state.origin}
    assert origins == {b"d/" + path: path for path in moved}
