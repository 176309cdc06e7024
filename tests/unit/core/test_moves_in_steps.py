"""Moves that are seen in several readings, or leave something else where the file was."""

import pytest

from agentdiff.core import departures
from agentdiff.core.entries import ABSENT, Directory, Entry, File, Link
from agentdiff.core.events import Selection
from tests.play import Play, image
from tests.unit.core.moves import (
    AGENT,
    BASE,
    EVERYTHING,
    KEPT,
    MIXED,
    MOVER,
    OURS,
    WRITTEN,
    holds,
    mixed_file,
    move_file,
    new_file,
    texts,
    two_agents,
    type_line,
    who_wrote,
)


def test_a_move_back_that_is_seen_in_two_readings() -> None:
    """The old path is there again before the new one is gone: they were let go of."""
    play = mixed_file()
    move_file(play, b"f", b"g")
    users = type_line(play, b"g", after=b"A2\n", typed=b"too\n")
    started = play.start(*MOVER)
    play.put(b"f", users)
    play.cut()
    play.put(b"g", ABSENT)
    play.finish(started)
    assert play.pending() == {b"f": "modified"}
    assert who_wrote(play, b"f") == {**WRITTEN, b"too\n": "user"}
    holds(play, left={b"f": KEPT[b"f"].replace(b"USER\n", b"USER\ntoo\n")})


@pytest.mark.parametrize("first", [b"f", b"g"])
def test_a_move_of_a_new_file_that_is_seen_in_two_readings(first: bytes) -> None:
    """Whichever half is seen first; the daemon may even be another one then."""
    play = new_file()
    there = play.disk[b"f"]
    steps: dict[bytes, Entry] = {b"f": ABSENT, b"g": there}
    started = play.start(*MOVER)
    for path in (first, *(steps.keys() - {first})):
        play.restart(play.reload())
        play.put(path, steps[path])
        play.cut()
    play.finish(started)
    assert who_wrote(play, b"g") == WRITTEN
    holds(play, left={b"g": b"USER\n"})


@pytest.mark.parametrize("away", [b"a different thing\n", BASE.data])
@pytest.mark.parametrize("new", [False, True])
def test_moved_and_another_content_put_in_its_place(new: bool, away: bytes) -> None:
    """``mv f g``, and f is written anew before anybody looks; or ``cp f g; git checkout f``."""
    play = new_file() if new else mixed_file()
    there = play.disk[b"f"]
    play.run(*MOVER, {b"f": File(data=away), b"g": there})
    assert play.pending().get(b"g") == "created"
    assert set(who_wrote(play, b"g").items()) >= set(WRITTEN.items())
    holds(play, left={b"g": b"USER\n", **({} if new else {b"f": BASE.data})})


def test_two_files_change_places() -> None:
    """Nothing came and nothing went, and yet all lines are elsewhere."""
    play = two_agents(f=BASE, g=File(data=b"other\n" * 5))
    play.run(*AGENT, {b"f": File(data=b"".join(OURS))})
    type_line(play, b"f")
    play.run(*MOVER, {b"f": play.disk[b"g"], b"g": play.disk[b"f"]})
    assert set(who_wrote(play, b"g").items()) >= set(WRITTEN.items())
    holds(play, left={b"f": BASE.data, b"g": b"other\n" * 5 + b"USER\n"})


def test_moved_after_its_base_was_put_elsewhere() -> None:
    """f's base is at g, which is f renamed; what pended on f goes on to h, and is no rename."""
    play = two_agents(f=BASE)
    play.run(*AGENT, {b"f": File(data=b"A1\nA2\nA3\n"), b"g": BASE})
    type_line(play, b"f")
    move_file(play, b"f", b"h", head=b"B\n")
    assert play.pending() == {b"f": "deleted", b"g": "renamed", b"h": "created"}
    assert who_wrote(play, b"h") == {b"B\n": "B", **WRITTEN}
    holds(play, left={b"f": BASE.data, b"h": b"USER\n"})


@pytest.mark.parametrize("head", [b"", b"B\n"])
def test_moved_to_where_another_one_was_moved_away(head: bytes) -> None:
    """f→g, and then h→f: the pair comes apart, and the lines of h are whose they were."""
    play = two_agents(f=File(data=b"f\n"), h=BASE)
    play.run(*AGENT, {b"h": File(data=b"".join(OURS))})
    type_line(play, b"h")
    move_file(play, b"f", b"g", AGENT)
    move_file(play, b"h", b"f", head=head)
    assert play.pending() == {b"f": "modified", b"g": "created", b"h": "deleted"}
    wrote = set(who_wrote(play, b"f").items())
    assert wrote >= {*WRITTEN.items(), *([(head, "B")] if head else [])}
    holds(play, left={b"f": b"f\nUSER\n", b"h": BASE.data})


@pytest.mark.parametrize("restart", [False, True], ids=["live", "after a restart"])
@pytest.mark.parametrize("calls", [1, 2])
@pytest.mark.parametrize("new", [False, True], ids=["modified", "new"])
def test_what_arrives_after_its_first_part_has_is_whose_it_was(
    new: bool, calls: int, restart: bool
) -> None:
    """P6: a long file is written part by part, and the first is like the whole already."""
    play = two_agents() if new else two_agents(f=BASE)
    ours = File(data=(b"" if new else BASE.data) + b"A1\nA2\nA3\nA4\n")
    play.run(*AGENT, {b"f": ours})
    whole = type_line(play, b"f", after=b"A3\n")
    started = play.start(*MOVER)
    play.put(b"f", ABSENT)
    play.put(b"g", File(data=whole.data[: whole.data.index(b"A3\n")]))
    play.cut()
    if calls == 2:
        play.finish(started)
        started = play.start(*MOVER)
    if restart:
        play.restart(play.reload())
    play.put(b"g", whole)
    play.finish(started)
    wrote = {b"A1\n": "A", b"A2\n": "A", b"A3\n": "A", b"USER\n": "user", b"A4\n": "A"}
    assert who_wrote(play, b"g") == wrote
    holds(play, left={b"g": b"USER\n"} if new else {b"f": BASE.data + b"USER\n"})


def test_what_arrived_and_is_gone_for_a_while_is_no_part_of_what_went() -> None:
    """The mover took a line out, and wrote it itself: deleted and back, it is the mover's still."""
    play, old = new_file(), File(data=b"old\n")
    play.save(b"g", old.data, old)
    move_file(play, b"f", b"g")
    play.run(*MOVER, {b"g": File(data=b"A1\nUSER\nA3\n")})
    whole = File(data=b"A1\nA2\nUSER\nA3\n")
    for entry in (whole, ABSENT, whole):
        play.run(*MOVER, {b"g": entry})
    assert who_wrote(play, b"g") == {b"A1\n": "A", b"A2\n": "B", b"USER\n": "user", b"A3\n": "A"}
    holds(play, left={b"g": b"old\nUSER\n"})


def test_what_arrived_once_does_not_arrive_again() -> None:
    """Nor for another daemon: the mover took a line out, and puts it back in as its own."""
    play = mixed_file()
    other = File(data=b"other\n")
    play.save(b"g", other.data, other)
    play.run(*MOVER, {b"f": ABSENT, b"g": File(data=MIXED.data.replace(b"A2\n", b""))})
    kept = {line: by for line, by in WRITTEN.items() if line != b"A2\n"}
    assert set(who_wrote(play, b"g").items()) >= set(kept.items())
    play.restart(play.reload())
    play.run(*MOVER, {b"g": MIXED, b"h": other})
    assert set(who_wrote(play, b"g").items()) >= {*kept.items(), (b"A2\n", "B")}


def test_a_rename_that_came_back_is_not_what_is_like_it() -> None:
    """f→g→f: what is moved to g then, and is like it, is no rename of f, and its maker's."""
    play = mixed_file()
    move_file(play, b"f", b"g")
    move_file(play, b"g", b"f")
    play.run(*AGENT, {b"h": File(data=MIXED.data + b"A4\n")})
    assert set(who_wrote(play, b"h").values()) == {"A"}
    move_file(play, b"h", b"g")
    assert play.pending() == {b"f": "modified", b"g": "created"}
    assert set(who_wrote(play, b"g").values()) == {"A"}
    holds(play, left=KEPT)


@pytest.mark.parametrize("restart", [False, True])
def test_likeness_is_no_proof_later(restart: bool) -> None:
    """A save of the user that is seen half done is no arrival of what went long ago."""
    play = mixed_file()
    other = File(data=b"other\n")
    play.save(b"g", other.data, other)
    play.run(*MOVER, {b"f": ABSENT})
    play.run(*MOVER, {b"g": File(data=MIXED.data.replace(b"A2\n", b"B\n"))})
    assert "A" not in who_wrote(play, b"g").values()
    before = who_wrote(play, b"g")
    if restart:
        play.restart(play.reload())
    there = play.disk[b"g"]
    assert isinstance(there, File)
    saved = File(data=there.data + b"mine\n")
    play.claim(b"g", saved.data)
    for seen in (ABSENT, saved):
        play.put(b"g", seen)
        play.cut()
    play.claim(b"g", saved.data, written=True)
    assert before.items() <= {b"mine\n": "user", **who_wrote(play, b"g")}.items()


def test_what_came_back_by_its_own_bytes_came_from_nowhere_else() -> None:
    """However like it is to what the same call took away once."""
    old, gone = [b"a%d\n" % n for n in range(6)], [b"c%d\n" % n for n in range(10)]
    play = Play(disk={b"a": File(data=b"".join(old))})
    play.run(*MOVER, {b"c": File(data=b"".join(gone))})
    play.run(*MOVER, {b"c": ABSENT, b"a": File(data=b"".join([b"X\n", *old, *gone[:2]]))})
    play.run(*AGENT, {b"a": File(data=b"".join([b"X\n", *old[:1], *gone]))})
    before, there = play.ledger.paths[b"a"], play.disk[b"a"]
    play.run(*MOVER, {b"a": ABSENT})
    play.run(*MOVER, {b"a": there})
    assert play.ledger.paths[b"a"].hunks == before.hunks


@pytest.mark.parametrize("first", [b"", b"line 0\n", b"a stub\n"], ids=["empty", "half", "a stub"])
@pytest.mark.parametrize("away", ["base", "new", "renamed", "over another"])
def test_a_move_seen_in_steps(away: str, first: bytes) -> None:
    """P6, P8: gone in one reading, and whole at another path in the next, without coming there."""
    play = new_file() if away == "new" else mixed_file()
    old = b"f"
    if away == "renamed":
        move_file(play, b"f", b"e")
        old = b"e"
    if away == "over another":
        other = File(data=b"other\n")
        play.save(b"g", other.data, other)
    there = play.disk[old]
    started = play.start(*MOVER)
    play.put(old, ABSENT)
    play.put(b"g", File(data=first))
    play.cut()
    play.put(b"g", there)
    play.finish(started)
    assert set(who_wrote(play, b"g").items()) >= set(WRITTEN.items())
    left = {"new": {b"g": b"USER\n"}, "over another": {b"f": BASE.data, b"g": b"other\nUSER\n"}}
    holds(play, left=left.get(away, KEPT))


def test_a_move_seen_in_steps_with_an_edit() -> None:
    """However long that takes, where the deletion pends: what is like it is its new path."""
    play = mixed_file()
    play.run(*MOVER, {b"f": ABSENT, b"g": File(data=b"a stub\n")})
    play.run(*MOVER, {b"g": File(data=b"B\n" + MIXED.data)})
    assert play.pending() == {b"f": "deleted", b"g": "renamed"}
    assert who_wrote(play, b"g") == {b"B\n": "B", **WRITTEN}
    holds(play, left=KEPT)


@pytest.mark.parametrize("head", [b"", b"B\n"])
@pytest.mark.parametrize("new", [False, True])
@pytest.mark.parametrize(
    "shim", [File(data=b"import g\n"), File(data=b""), Link(target=b"d/g"), Directory()]
)
def test_something_else_is_left_where_it_was(shim: Entry, new: bool, head: bytes) -> None:
    """P6, P8: a shim, a link to where it went, a folder with it inside; moved with an edit or not.

    What is there now has no line of it, however the change at the old path is to be decided.
    """
    play = new_file() if new else mixed_file()
    there = play.disk[b"f"]
    assert isinstance(there, File)
    play.run(*MOVER, {b"f": shim, b"f/g": File(data=head + there.data)})
    assert play.pending()[b"f/g"] == "created"
    assert who_wrote(play, b"f/g").items() >= {**WRITTEN, **({head: "B"} if head else {})}.items()
    assert image(play.reload()) == image(play.ledger)
    play.restart(play.reload())
    assert play.decide("reject", EVERYTHING)["refused"] == []
    assert texts(play).pop(b"f/g") == b"USER\n"
    assert play.undo()["refused"] == []
    assert who_wrote(play, b"f/g").items() >= WRITTEN.items()


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("shim", [Link(target=b"g"), File(data=b""), ABSENT])
def test_a_link_to_what_comes_later(shim: Entry, restart: bool) -> None:
    """The same bytes are a move however long that took, whatever is at the old path meanwhile."""
    play = mixed_file()
    play.run(*MOVER, {b"f": shim})
    if restart:
        play.restart(play.reload())
    play.run(*MOVER, {b"g": MIXED})
    assert set(who_wrote(play, b"g").items()) >= set(WRITTEN.items())


def test_copied_first_and_a_shim_left_later() -> None:
    """The copy was its maker's; from then on it is all that is left of it."""
    play = mixed_file()
    play.run(*MOVER, {b"g": MIXED})
    assert set(who_wrote(play, b"g").values()) == {"B"}
    play.run(*MOVER, {b"f": File(data=b"import g\n")})
    assert set(who_wrote(play, b"g").items()) >= set(WRITTEN.items())
    holds(play, left={b"f": BASE.data, b"g": b"USER\n"})


@pytest.mark.parametrize("head", [b"", b"B\n"], ids=["in the next call", "edited, in one call"])
def test_a_shim_is_left_first_and_the_rest_put_elsewhere_later(head: bytes) -> None:
    """What had to make room is remembered, until it is elsewhere or back."""
    play = mixed_file()
    started = play.start(*MOVER)
    play.put(b"f", File(data=b"import g\n"))
    play.cut()
    if not head:
        play.finish(started)
        started = play.start(*MOVER)
    play.put(b"g", File(data=head + MIXED.data))
    play.finish(started)
    assert set(who_wrote(play, b"g").items()) >= set(WRITTEN.items())
    holds(play, left={b"f": BASE.data, b"g": b"USER\n"})


def test_what_had_to_make_room_and_is_back_is_copied() -> None:
    """It is where it was: what is put elsewhere then is its maker's."""
    play = mixed_file()
    play.run(*MOVER, {b"f": File(data=b"import g\n")})
    play.run(*MOVER, {b"f": MIXED})
    before = play.ledger.paths[b"f"]
    play.run(*MOVER, {b"g": MIXED})
    assert set(who_wrote(play, b"g").values()) == {"B"}
    assert play.ledger.paths[b"f"] == before


def test_what_was_compared_is_not_compared_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every reading asks: it costs what changed, not what waits for a review."""
    old = {b"f%d" % n: File(data=b"%d\n" % n * 9) for n in range(5)}
    play = Play(disk=dict(old))
    play.run(*MOVER, dict.fromkeys(old, ABSENT))
    play.run(*MOVER, {b"g%d" % n: File(data=b"g%d\n" % n * 9) for n in range(5)})
    compared: list[tuple[bytes, bytes]] = []

    def similarity(one: bytes, other: bytes) -> float:
        compared.append((one, other))
        return 0.0

    monkeypatch.setattr(departures, "similarity", similarity)
    play.cut()
    assert not compared
    new = File(data=b"g0\n" * 8 + b"B\n")
    play.run(*MOVER, {b"g0": new})
    assert sorted(compared) == sorted((one.data, new.data) for one in old.values())
    del compared[:]
    play.decide("accept", Selection(paths=(b"g1",)))
    play.cut()
    assert not compared


def test_where_it_was_on_its_way_there_and_back_takes_nothing_along() -> None:
    """P6: f→mf→f by one, f→nf with an edit by another one."""
    play = mixed_file()
    move_file(play, b"f", b"mf")
    move_file(play, b"mf", b"f")
    move_file(play, b"f", b"nf", AGENT, head=b"head\n")
    assert who_wrote(play, b"nf") == {**WRITTEN, b"head\n": "A"}
    holds(play, left=KEPT)
