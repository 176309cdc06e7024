"""What comes apart, is told again, or was not finished when the daemon died."""

import pytest

from agentdiff.core.entries import ABSENT, Entry, File, git_blob_oid
from agentdiff.core.events import GitMoved, HunkPick, Selection, Target
from agentdiff.core.pathstate import check
from agentdiff.core.sessions import TAIL_NS
from tests.play import image
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
    texts,
    two_agents,
    type_line,
    who_wrote,
)


@pytest.mark.parametrize("less", [False, True])
def test_no_change_is_at_two_paths(less: bool) -> None:
    """P10: two files of one base change places, or what was moved leaves a part of it."""
    play = two_agents(f=BASE, g=BASE)
    play.run(*AGENT, {b"f": File(data=b"".join(OURS))})
    play.run(*AGENT, {b"g": File(data=b"A0\n" + BASE.data)})
    type_line(play, b"f")
    left = File(data=MIXED.data.replace(b"A3\n", b"")) if less else play.disk[b"g"]
    play.run(*MOVER, {b"f": left, b"g": play.disk[b"f"]})
    assert who_wrote(play, b"g") == WRITTEN
    assert set(who_wrote(play, b"f").values()) == ({"A", "user"} if less else {"A"})
    assert not set(play.ids(b"f")) & set(play.ids(b"g"))
    holds(play, left={b"f": KEPT[b"f"] if less else BASE.data, b"g": KEPT[b"f"]})


def test_what_is_typed_while_the_pair_comes_apart_is_left() -> None:
    """P6: it is in the base of the new path alone, for the old one is something else by then."""
    play = mixed_file()
    move_file(play, b"f", b"g")
    typed = File(data=b"mine\n" + MIXED.data + b"and mine\n")
    play.claim(b"g", typed.data)
    started = play.start(*MOVER, Target(path=b"f", action="write", new_text=b"other\n"))
    play.put(b"g", typed)
    play.put(b"f", File(data=b"other\n"))
    play.finish(started)
    assert play.pending() == {b"f": "modified", b"g": "created"}
    assert who_wrote(play, b"g").items() >= {**WRITTEN, b"mine\n": "user"}.items()
    holds(play, left={b"f": BASE.data, b"g": b"mine\nUSER\nand mine\n"})


@pytest.mark.parametrize("again", [False, True], ids=["once", "moved twice"])
@pytest.mark.parametrize("restart", [False, True], ids=["live", "after a restart"])
def test_what_came_in_since_it_was_moved_is_left_when_the_pair_comes_apart(
    restart: bool, again: bool
) -> None:
    """Typed outside of hunks, long before, it is in no hunk; what was accepted there, too."""
    play = two_agents(f=BASE)
    move_file(play, b"f", b"g")
    type_line(play, b"g", after=b"line 3\n")
    path = b"g"
    if again:
        move_file(play, b"g", b"h")
        path = b"h"
    play.run(*AGENT, {path: File(data=texts(play)[path].replace(b"line 8\n", b"eight\n"))})
    (edit,) = (h.id for h in play.ledger.paths[path].hunks)
    assert play.decide("accept", Selection(picks=(HunkPick(hunk=edit),)))["refused"] == []
    if restart:
        play.restart(play.reload())
    play.run(*AGENT, {b"f": File(data=b"".join(LINES[:6]) + b"A1\n")})
    assert play.pending() == {b"f": "modified", path: "created"}
    assert play.decide("reject", Selection(picks=(HunkPick(hunk=play.ids(path)[0]),)))
    assert texts(play)[path] == b"USER\neight\n"
    assert play.undo()["refused"] == []
    assert image(play.reload()) == image(play.ledger)


def test_what_was_like_it_at_the_new_path_before_tells_nothing_of_what_was_moved_there() -> None:
    """P6: its bytes are those of what went; whose the lines are is known from there."""
    play = two_agents(f=BASE, g=BASE)
    play.run(*AGENT, {b"g": File(data=MIXED.data + b"A4\n")})
    play.run(*AGENT, {b"g": ABSENT})
    play.run(*AGENT, {b"f": File(data=b"".join(OURS))})
    assert type_line(play, b"f") == MIXED
    move_file(play, b"f", b"g")
    assert who_wrote(play, b"g") == WRITTEN
    holds(play, left={b"f": BASE.data, b"g": KEPT[b"f"]})


def test_a_line_of_the_users_stays_one_under_a_copy_that_is_moved_over_it() -> None:
    """P6: the copy is its maker's, and brings that line along; but it was here all the time."""
    play = new_file()
    play.run(*MOVER, {b"g": File(data=texts(play)[b"f"] + b"B\n")})
    move_file(play, b"g", b"f")
    assert who_wrote(play, b"f")[b"USER\n"] == "user"
    play.decide("reject", EVERYTHING)
    assert texts(play) == {b"f": b"USER\n"}


@pytest.mark.parametrize("named", [{b"f", b"g"}, {b"g"}], ids=["both paths", "the new one"])
@pytest.mark.parametrize("before", [False, True], ids=["once", "taken away before"])
def test_git_moved_it_by_an_agents_command(before: bool, named: set[bytes]) -> None:
    """The same move, by the same session: told late, and not of each path of it."""
    play = mixed_file()
    if before:
        play.run(*MOVER, {b"f": ABSENT})
        play.run(*MOVER, {b"f": MIXED})
    move_file(play, b"f", b"g")
    contents = {b"f": None, b"g": MIXED.oid}
    told = {path: contents[path] for path in sorted(named)}
    play.handle(GitMoved(label="checkout", contents=told, received_ns=play.tick()))
    play.cut()
    assert play.pending() == {b"f": "deleted", b"g": "renamed"}
    assert play.ledger.paths[b"g"].meta[0].owners[-1].kind == "git"
    assert who_wrote(play, b"g") == WRITTEN
    holds(play, left=KEPT)


@pytest.mark.parametrize("head", [b"", b"B\n"])
@pytest.mark.parametrize("new", [False, True], ids=["modified", "new"])
def test_the_daemon_dies_before_it_knows_what_was_moved(new: bool, head: bytes) -> None:
    """Both halves were seen, and the reading never ended: the next one finds the pair."""
    play = new_file() if new else mixed_file()
    whole = play.disk[b"f"]
    assert isinstance(whole, File)
    started = play.start(*MOVER)
    play.put(b"f", ABSENT)
    play.put(b"g", File(data=head + whole.data))
    for path in (b"f", b"g"):
        play.handle(play.observation(path))
    play.restart(play.reload())
    play.attach()
    play.finish(started)
    assert play.pending() == ({b"g": "created"} if new else {b"f": "deleted", b"g": "renamed"})
    assert {line: who for line, who in who_wrote(play, b"g").items() if line in WRITTEN} == WRITTEN
    holds(play, left={b"g": b"USER\n"} if new else KEPT)


def test_a_copy_that_the_user_went_on_with_is_no_rename_when_the_original_goes() -> None:
    """The line is in both; when the original is back nobody would know it for theirs any more."""
    users = File(data=BASE.data + b"USER\n")
    play = two_agents(f=users)
    play.run(*AGENT, {b"g": BASE})
    play.save(b"g", users.data, users)
    play.run(*MOVER, {b"f": ABSENT})
    assert play.pending() == {b"f": "deleted", b"g": "created"}
    back = File(data=users.data + b"USER 2\n")
    play.save(b"f", back.data, back)
    assert who_wrote(play, b"g")[b"USER\n"] == "user"
    holds(play, left={b"f": back.data, b"g": b"USER\n"})


def test_a_copy_with_a_typed_line_leaves_the_original_to_what_was_moved() -> None:
    """It is no rename, and the file that the original was moved to is one."""
    users = File(data=BASE.data + b"USER\n")
    play = two_agents(f=users)
    play.run(*MOVER, {b"g": BASE})
    play.save(b"g", users.data, users)
    play.run(*MOVER, {b"f": ABSENT, b"h": File(data=users.data + b"more\n")})
    assert (play.ledger.paths[b"h"].origin, play.ledger.paths[b"g"].status) == (b"f", "created")


@pytest.mark.parametrize("new", [False, True], ids=["modified", "new"])
def test_git_explains_a_move_late_and_it_is_hardly_the_same_file_any_more(new: bool) -> None:
    """It is told again where it arrived, and had arrived there whatever it holds by now."""
    play = new_file() if new else mixed_file()
    play.now += 2 * TAIL_NS
    there = texts(play)[b"f"]
    move_file(play, b"f", b"g")
    rest = [b"new %d\n" % n for n in range(12)]
    play.run(*MOVER, {b"g": File(data=b"".join([b"A1\n", b"USER\n", b"A2\n", *rest]))})
    oid = git_blob_oid(there)
    play.handle(GitMoved(label="checkout", contents={b"g": oid}, received_ns=play.tick()))
    play.cut()
    assert who_wrote(play, b"g")[b"USER\n"] == "user"
    holds(play, left={b"g": b"USER\n"} if new else {b"f": BASE.data + b"USER\n"})


@pytest.mark.parametrize("far", [False, True])
def test_git_explains_late_the_move_of_a_file_little_of_which_is_left(far: bool) -> None:
    """What pended has been moved, and not its base, nor what was moved there and back before."""
    play = two_agents(f=File(data=b"a line of the base\n" * 2 + b"same\n"))
    play.run(*AGENT, {b"f": File(data=b"A\nx\nsame\n")})
    if far:
        move_file(play, b"f", b"d", AGENT)
        move_file(play, b"d", b"f", AGENT)
    play.now += 2 * TAIL_NS
    there = texts(play)[b"f"]
    move_file(play, b"f", b"g")
    play.run(*MOVER, {b"g": File(data=b"a line that is longer than all of it\n" + there)})
    before = who_wrote(play, b"g")
    oid = git_blob_oid(there)
    play.handle(GitMoved(label="checkout", contents={b"g": oid}, received_ns=play.tick()))
    play.cut()
    assert who_wrote(play, b"g") == before


@pytest.mark.parametrize("head", [b"", b"B\n"])
@pytest.mark.parametrize("by", [AGENT, MOVER])
def test_a_late_proof_of_a_new_file_that_was_moved(by: tuple[str, str], head: bytes) -> None:
    """It is where it has arrived, whoever has written there since."""
    play = new_file()
    saved = File(data=texts(play)[b"f"] + b"USER 2\n")
    since = play.now
    play.put(b"f", saved)
    play.cut()
    move_file(play, b"f", b"g", head=head)
    play.run(*by, {b"g": File(data=head + saved.data + b"later\n")})
    play.claim(b"f", saved.data, written=True, since_ns=since)
    play.cut()
    holds(play, left={b"g": b"USER\nUSER 2\n"})


@pytest.mark.parametrize("restart", [False, True])
def test_when_a_renamed_file_goes_the_deletion_of_where_it_was_is_open(restart: bool) -> None:
    """It was emptied, written anew elsewhere, and the empty one moved: the same after a restart."""
    play = mixed_file()
    move_file(play, b"f", b"g", head=b"B\n")
    there = play.disk[b"g"]
    steps: list[dict[bytes, Entry]] = [
        {b"g": File(data=b"")}, {b"u": there}, {b"g": ABSENT, b"m": File(data=b"")}
    ]  # fmt: skip
    for step in steps:
        play.run(*MOVER, step)
        if restart:
            play.restart(play.reload())
            play.attach()
    assert play.ledger.paths[b"u"].origin == b"f"
    holds(play, left=KEPT)


def test_the_daemon_dies_before_it_knows_that_a_pair_came_apart() -> None:
    """What is decided then is not one half of a pair that has no other one."""
    play = mixed_file()
    move_file(play, b"f", b"g")
    play.put(b"f", BASE)
    play.handle(play.observation(b"f"))
    play.restart(play.reload())
    assert play.decide("reject", EVERYTHING)["refused"] == []
    assert texts(play) == {b"f": BASE.data, b"g": b"USER\n"}
    assert play.undo()["refused"] == []
    assert image(play.reload()) == image(play.ledger)


def test_a_new_file_that_lost_its_first_hunk_on_the_way_is_one_change_by_one_id() -> None:
    """P10: after a decision it had two hunks, and the first one's lines did not come along."""
    play = two_agents()
    play.run(*AGENT, {b"f": File(data=b"".join(b"A%d\n" % n for n in range(1, 9)))})
    type_line(play, b"f", after=b"A4\n")
    (whole,) = play.ledger.paths[b"f"].hunks
    play.decide("reject", lines_of_change(whole.id, 2, 3))
    left = texts(play)[b"f"]
    play.run(*MOVER, {b"f": ABSENT, b"g": File(data=left.replace(b"A1\nA2\n", b""))})
    state = play.ledger.paths[b"g"]
    check(state)
    assert state.ids == (state.hunks[0].id,)
    play.decide("reject", Selection(picks=(HunkPick(hunk=state.ids[0]),)))
    assert texts(play) == {b"g": b"USER\n"}
