"""What was moved keeps its owners: over renames, by anybody, of files old and new."""

import pytest

from agentdiff.core import departures
from agentdiff.core.diff import split_lines
from agentdiff.core.entries import ABSENT, Directory, Entry, File, Link, git_blob_oid
from agentdiff.core.events import GitMoved, HunkPick, Selection, Target, TurnEnded
from agentdiff.core.pathstate import check
from agentdiff.core.sessions import TAIL_NS
from tests.play import Play, image

LINES = [b"line %d\n" % n for n in range(12)]
BASE = File(data=b"".join(LINES))
OURS = [*LINES[:5], b"A1\n", b"A2\n", b"A3\n", *LINES[5:]]
MIXED = File(data=b"".join([*OURS[:6], b"USER\n", *OURS[6:]]))
EVERYTHING = Selection(everything=True, include_external=True)
AGENT, MOVER = ("claude", "A"), ("codex", "B")


def _play(**disk: Entry) -> Play:
    play = Play(disk={name.encode(): entry for name, entry in disk.items()})
    play.attach()
    play.prompt(*AGENT)
    play.prompt(*MOVER)
    return play


def _type(play: Play, path: bytes, after: bytes = b"A1\n", typed: bytes = b"USER\n") -> File:
    """The user types a line behind another one, and saves."""
    there = play.disk[path]
    assert isinstance(there, File)
    new = File(data=there.data.replace(after, after + typed, 1), mode=there.mode)
    play.save(path, new.data, new)
    return new


def _lines(change: int, first: int, last: int) -> Selection:
    """Selects some of the new lines of a change."""
    return Selection(picks=(HunkPick(hunk=change, old=(0, 0), new=(first, last)),))


def _mixed() -> Play:
    """The agent inserted three lines into a file, and the user one between them."""
    play = _play(f=BASE)
    play.run(*AGENT, {b"f": File(data=b"".join(OURS))})
    assert _type(play, b"f") == MIXED
    return play


def _new() -> Play:
    """The agent made a file, and the user typed a line in it."""
    play = _play()
    play.run(*AGENT, {b"f": File(data=b"A1\nA2\nA3\n")})
    _type(play, b"f")
    return play


def _move(
    play: Play, old: bytes, new: bytes, by: tuple[str, str] = MOVER, head: bytes = b""
) -> None:
    """Somebody's command moves a file, and may put a line at its head."""
    there = play.disk[old]
    assert isinstance(there, File)
    play.run(*by, {old: ABSENT, new: File(data=head + there.data, mode=there.mode)})


def _wrote(play: Play, path: bytes) -> dict[bytes, str | None]:
    """Returns line → session that wrote it, ``user`` for the user, of every line that pends."""
    state = play.ledger.paths[path]
    wrote: dict[bytes, str | None] = {}
    for hunk in state.hunks:
        for line, owner in zip(state.text.cur[hunk.b0 : hunk.b1], hunk.new_owners, strict=True):
            wrote[line] = "user" if owner.proved else owner.session or owner.kind
    return wrote


WRITTEN = {b"A1\n": "A", b"USER\n": "user", b"A2\n": "A", b"A3\n": "A"}


def _holds(play: Play, *, left: dict[bytes, bytes]) -> None:
    """A restart forgets nothing; accepted, nothing is written; rejected, `left` is; both undone."""
    for state in play.ledger.paths.values():
        check(state)
    assert image(play.reload()) == image(play.ledger)
    pending, disk = image(play.ledger)["paths"], dict(play.disk)
    for op, after in (("accept", None), ("reject", left)):
        assert play.decide(op, EVERYTHING)["refused"] == []
        assert not play.ledger.paths
        assert _contents(play) == (_contents_of(disk) if after is None else after)
        assert play.undo()["refused"] == []
        assert (image(play.ledger)["paths"], play.disk) == (pending, disk)
        assert image(play.reload()) == image(play.ledger)
    play.restart(play.reload())
    play.decide("reject", EVERYTHING)
    assert _contents(play) == left
    play.cut()
    assert not play.ledger.paths


def _contents(play: Play) -> dict[bytes, bytes]:
    return _contents_of(play.disk)


def _contents_of(disk: dict[bytes, Entry]) -> dict[bytes, bytes]:
    return {path: entry.data for path, entry in disk.items() if isinstance(entry, File)}


KEPT = {b"f": b"".join([*LINES[:5], b"USER\n", *LINES[5:]])}


@pytest.mark.parametrize("by", [AGENT, MOVER])
@pytest.mark.parametrize("tool", ["Bash", "apply_patch"])
def test_a_move_with_an_edit_leaves_the_rest_to_its_authors(tool: str, by: tuple[str, str]) -> None:
    """P6, P8, P14: seen in one reading; the mover wrote the line at the head and nothing else."""
    play = _mixed()
    if tool == "Bash":
        _move(play, b"f", b"g", by, head=b"B\n")
    else:
        move = Target(path=b"f", action="move", move_to=b"g")
        edited = File(data=b"B\n" + MIXED.data)
        started = play.start(*by, move, Target(path=b"g", action="write", new_text=edited.data))
        play.put(b"f", ABSENT)
        play.put(b"g", edited)
        play.finish(started)
    assert play.pending() == {b"f": "deleted", b"g": "renamed"}
    assert _wrote(play, b"g") == {b"B\n": by[1], **WRITTEN}
    _holds(play, left=KEPT)


def test_a_line_that_the_mover_changed_is_the_movers() -> None:
    """Inside the hunk: what it replaced is gone, and its neighbours stay whose they were."""
    play = _mixed()
    edited = File(data=MIXED.data.replace(b"A2\n", b"B\n"))
    play.run(*MOVER, {b"f": ABSENT, b"g": edited})
    assert _wrote(play, b"g") == {b"A1\n": "A", b"USER\n": "user", b"B\n": "B", b"A3\n": "A"}
    _holds(play, left=KEPT)


def test_what_was_rewritten_before_it_was_moved_is_found_all_the_same() -> None:
    """It has no line of its base left: only what pended tells that this is it."""
    play = _play(f=BASE)
    play.run(*AGENT, {b"f": File(data=b"A1\nA2\nA3\n")})
    _type(play, b"f")
    _move(play, b"f", b"g")
    assert play.pending() == {b"f": "deleted", b"g": "renamed"}
    assert _wrote(play, b"g") == WRITTEN
    _holds(play, left={b"f": BASE.data + b"USER\n"})


def test_an_empty_file_that_was_written_and_moved() -> None:
    """Empty files are all alike, but not what was written into them."""
    play = _play(f=File(data=b""))
    play.run(*AGENT, {b"f": File(data=b"A1\nA2\nA3\n")})
    _type(play, b"f")
    _move(play, b"f", b"g")
    assert _wrote(play, b"g") == WRITTEN
    _holds(play, left={b"f": b"USER\n"})


@pytest.mark.parametrize("head", [b"", b"B\n"])
@pytest.mark.parametrize("second", [AGENT, MOVER])
@pytest.mark.parametrize("restart", [False, True])
def test_a_chain_of_renames_is_one(second: tuple[str, str], head: bytes, restart: bool) -> None:
    """f→g, the user types inside a hunk of g, somebody does g→h: it is f→h, with all owners."""
    play = _play(f=BASE)
    play.run(*AGENT, {b"f": File(data=b"".join(OURS))})
    _move(play, b"f", b"g", AGENT)
    _type(play, b"g")
    if restart:
        play.restart(play.reload())
    _move(play, b"g", b"h", second, head)
    assert play.pending() == {b"f": "deleted", b"h": "renamed"}
    assert _wrote(play, b"h") == {**({head: second[1]} if head else {}), **WRITTEN}
    _holds(play, left=KEPT)


def test_what_the_user_typed_outside_goes_along_a_chain() -> None:
    """It is in the base of the pair, and that is the base of the next one."""
    play = _mixed()
    _move(play, b"f", b"g")
    _type(play, b"g", after=b"line 1\n", typed=b"mine\n")
    _move(play, b"g", b"h")
    assert _wrote(play, b"h") == WRITTEN
    _holds(play, left={b"f": KEPT[b"f"].replace(b"line 1\n", b"line 1\nmine\n")})


def test_moved_in_a_chain_by_what_a_tool_says() -> None:
    """``*** Move to:`` names the path that it was renamed to before."""
    play = _mixed()
    _move(play, b"f", b"g", AGENT)
    rewritten = File(data=b"USER\nall new\n")
    started = play.start(*MOVER, Target(path=b"g", action="move", move_to=b"h"))
    play.put(b"g", ABSENT)
    play.put(b"h", rewritten)
    play.finish(started)
    assert play.pending() == {b"f": "deleted", b"h": "renamed"}
    assert _wrote(play, b"h") == {b"USER\n": "user", b"all new\n": "B"}
    _holds(play, left={b"f": b"USER\n" + BASE.data})


@pytest.mark.parametrize("typed", [False, True])
@pytest.mark.parametrize("head", [b"", b"B\n"])
@pytest.mark.parametrize("by", [AGENT, MOVER])
def test_a_move_there_and_back(by: tuple[str, str], head: bytes, typed: bool) -> None:
    """f→g→f: what pends is what would without the moves, and what was edited on the way."""
    play = _mixed()
    _move(play, b"f", b"g", by)
    if typed:
        _type(play, b"g", after=b"A2\n", typed=b"too\n")
    _move(play, b"g", b"f", by, head)
    assert play.pending() == {b"f": "modified"}
    more = {b"too\n": "user"} if typed else {}
    assert _wrote(play, b"f") == {**({head: by[1]} if head else {}), **WRITTEN, **more}
    kept = KEPT[b"f"].replace(b"USER\n", b"USER\ntoo\n") if typed else KEPT[b"f"]
    _holds(play, left={b"f": kept})


def test_a_move_back_that_is_seen_in_two_readings() -> None:
    """The old path is there again before the new one is gone: they were let go of."""
    play = _mixed()
    _move(play, b"f", b"g")
    users = _type(play, b"g", after=b"A2\n", typed=b"too\n")
    started = play.start(*MOVER)
    play.put(b"f", users)
    play.cut()
    play.put(b"g", ABSENT)
    play.finish(started)
    assert play.pending() == {b"f": "modified"}
    assert _wrote(play, b"f") == {**WRITTEN, b"too\n": "user"}
    _holds(play, left={b"f": KEPT[b"f"].replace(b"USER\n", b"USER\ntoo\n")})


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("by", [AGENT, MOVER])
def test_moved_back_by_somebody_of_whom_nothing_pends(by: tuple[str, str], again: bool) -> None:
    """P14: a stranger deleted lines of g; not who moved f to g, nor who moved it back."""
    play = _play(f=BASE)
    _move(play, b"f", b"g")
    if again:
        play.run(*AGENT, {b"g": ABSENT})
        play.run(*AGENT, {b"g": BASE})
    for agent, session in (AGENT, MOVER):
        play.handle(TurnEnded(agent=agent, session=session, received_ns=play.tick()))
    play.now += TAIL_NS + 1
    play.put(b"g", File(data=b"".join(LINES[3:])))
    play.cut()
    _move(play, b"g", b"f", by)
    assert play.pending() == {b"f": "modified"}
    assert play.owners(b"f") == [("external", None, "external")]
    _holds(play, left={b"f": BASE.data})


@pytest.mark.parametrize("seen", [b"", b"fg", b"gf"])
def test_what_is_deleted_on_the_way_back_is_the_mover_s(seen: bytes) -> None:
    """P8: not of the one who moved it there, though the whole file was gone by that.

    Seen at once, or in two readings of two daemons; where f is seen to come back before g is gone,
    what does not come back of it is as it was.
    """
    play = _play(f=BASE)
    _move(play, b"f", b"g")
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
    _holds(play, left={b"f": BASE.data})


def test_an_edit_after_the_move_is_an_edit() -> None:
    """Seen in the next reading: of what it does not touch the owners stay."""
    play = _mixed()
    _move(play, b"f", b"g")
    play.run(*MOVER, {b"g": File(data=b"B\n" + MIXED.data)})
    assert _wrote(play, b"g") == {b"B\n": "B", **WRITTEN}
    _holds(play, left=KEPT)


@pytest.mark.parametrize("head", [b"", b"B\n"])
@pytest.mark.parametrize("by", [AGENT, MOVER])
def test_a_new_file_that_is_moved_stays_new_and_its_authors_theirs(
    by: tuple[str, str], head: bytes
) -> None:
    """P6: rejected, the line that the user typed is left, at the new path."""
    play = _new()
    _move(play, b"f", b"g", by, head)
    assert play.pending() == {b"g": "created"}
    assert _wrote(play, b"g") == {**({head: by[1]} if head else {}), **WRITTEN}
    (created,) = play.ledger.paths[b"g"].meta
    assert {owner.session for owner in created.owners} == {"A", None, by[1]}
    _holds(play, left={b"g": b"USER\n"})


def test_a_new_file_moved_twice_and_back() -> None:
    """n→m→n, typed in between: the newest is what counts."""
    play = _new()
    _move(play, b"f", b"g")
    _type(play, b"g", after=b"A2\n", typed=b"too\n")
    play.restart(play.reload())
    _move(play, b"g", b"h", AGENT)
    _move(play, b"h", b"f")
    assert play.pending() == {b"f": "created"}
    assert _wrote(play, b"f") == {**WRITTEN, b"too\n": "user"}
    _holds(play, left={b"f": b"USER\ntoo\n"})


def test_a_new_file_one_line_of_which_was_rejected_is_moved() -> None:
    """P10: what is above the line and what is below it are two changes; so they are at `g`."""
    play = _new()
    (whole,) = play.ids(b"f")
    assert play.decide("reject", _lines(whole, 2, 3))["refused"] == []
    assert len(play.ids(b"f")) == 2
    _move(play, b"f", b"g")
    assert play.pending() == {b"g": "created"}
    assert _wrote(play, b"g") == {b"A1\n": "A", b"USER\n": "user", b"A3\n": "A"}
    first, second = play.ids(b"g")
    assert first != second
    _holds(play, left={b"g": b"USER\n"})


@pytest.mark.parametrize("first", [b"f", b"g"])
def test_a_move_of_a_new_file_that_is_seen_in_two_readings(first: bytes) -> None:
    """Whichever half is seen first; the daemon may even be another one then."""
    play = _new()
    there = play.disk[b"f"]
    steps: dict[bytes, Entry] = {b"f": ABSENT, b"g": there}
    started = play.start(*MOVER)
    for path in (first, *(steps.keys() - {first})):
        play.restart(play.reload())
        play.put(path, steps[path])
        play.cut()
    play.finish(started)
    assert _wrote(play, b"g") == WRITTEN
    _holds(play, left={b"g": b"USER\n"})


def test_two_new_files_of_equal_content_move_by_their_names() -> None:
    """Each keeps its own owners."""
    play = _play()
    data = b"A1\nUSER\nA2\nA3\n"
    play.run(*AGENT, {b"x/f": File(data=b"A1\nA2\nA3\n")})
    _type(play, b"x/f")
    play.run(*AGENT, {b"x/g": File(data=data)})
    file = File(data=data)
    play.run(*MOVER, {b"x/f": ABSENT, b"x/g": ABSENT, b"y/f": file, b"y/g": file})
    assert play.pending() == {b"y/f": "created", b"y/g": "created"}
    assert _wrote(play, b"y/f") == WRITTEN
    assert set(_wrote(play, b"y/g").values()) == {"A"}
    _holds(play, left={b"y/f": b"USER\n"})


def test_a_folder_moves_with_all_that_pends_in_it() -> None:
    """``mv src src2``: renames, new files, and equal ones in several folders."""
    same = File(data=b"the same\n" * 3)
    disk: dict[bytes, Entry] = {b"src/f": BASE, b"src/a/x": same, b"src/b/x": same}
    play = Play(disk=dict(disk))
    play.attach()
    play.prompt(*AGENT)
    play.prompt(*MOVER)
    play.run(*AGENT, {b"src/f": File(data=b"".join(OURS)), b"src/n": File(data=b"A1\nA2\nA3\n")})
    _type(play, b"src/f")
    _type(play, b"src/n")
    moved: dict[bytes, Entry] = {
        path.replace(b"src/", b"src2/"): entry for path, entry in play.disk.items()
    }
    play.run(*MOVER, {**dict.fromkeys(play.disk, ABSENT), **moved})
    origins = {path: state.origin for path, state in play.ledger.paths.items() if state.origin}
    assert origins == {path.replace(b"src/", b"src2/"): path for path in disk}
    assert _wrote(play, b"src2/f") == _wrote(play, b"src2/n") == WRITTEN
    assert play.ledger.paths[b"src2/n"].status == "created"
    left = {**_contents_of(disk), b"src/f": KEPT[b"f"], b"src2/n": b"USER\n"}
    _holds(play, left=left)


@pytest.mark.parametrize("new", [False, True])
def test_somebody_moves_it_outside_of_every_call(new: bool) -> None:
    """The user's ``mv`` or ``git mv`` is nobody's known: the name is ``external``, no line is."""
    play = _new() if new else _mixed()
    for agent, session in (AGENT, MOVER):
        play.handle(TurnEnded(agent=agent, session=session, received_ns=play.tick()))
    play.now += TAIL_NS + 1
    play.put(b"g", play.disk[b"f"])
    play.put(b"f", ABSENT)
    play.cut()
    assert play.pending().get(b"g") == ("created" if new else "renamed")
    assert _wrote(play, b"g") == WRITTEN
    assert play.ledger.paths[b"g"].meta[0].owners[-1].kind == "external"
    _holds(play, left={b"g": b"USER\n"} if new else KEPT)


@pytest.mark.parametrize("new", [False, True])
def test_moved_over_another_file(new: bool) -> None:
    """No rename, for there was something; the lines are whose they were all the same."""
    play = _new() if new else _mixed()
    other = File(data=b"other\n")
    play.save(b"g", other.data, other)
    _move(play, b"f", b"g")
    assert play.pending().get(b"g") == "modified"
    lines = set(_wrote(play, b"g").items())
    assert lines >= set(WRITTEN.items())
    _holds(play, left={b"g": b"other\nUSER\n", **({} if new else {b"f": BASE.data})})


def test_who_took_it_away_is_who_brought_it() -> None:
    """The same bytes by another author are another author's."""
    play = _new()
    there = play.disk[b"f"]
    play.run(*MOVER, {b"f": ABSENT})
    play.run(*AGENT, {b"g": there})
    assert set(_wrote(play, b"g").values()) == {"A"}
    assert play.pending() == {b"g": "created"}
    play.decide("reject", EVERYTHING)
    assert not play.disk


def test_what_was_rejected_is_no_departure() -> None:
    """A decision took it away: what is written later is new."""
    play = _new()
    there = play.disk[b"f"]
    play.decide("reject", EVERYTHING, discard_user=True)
    play.cut()
    play.run(*AGENT, {b"g": there})
    assert set(_wrote(play, b"g").values()) == {"A"}


def test_a_file_that_is_only_like_it_is_new_unless_one_call_did_both() -> None:
    """Half of the lines are no proof where nothing pends as deleted."""
    play = _new()
    edited = File(data=b"B\nA1\nUSER\nA2\nA3\n")
    play.run(*MOVER, {b"f": ABSENT})
    play.run(*MOVER, {b"g": edited})
    assert set(_wrote(play, b"g").values()) == {"B"}
    assert len(split_lines(edited.data)) == 5


def test_a_rename_that_was_edited_into_binary_and_moved() -> None:
    """There are no lines to keep; whose it was is kept with the change."""
    play = _play(f=BASE)
    play.run(*AGENT, {b"f": File(data=b"\0A")})
    _move(play, b"f", b"g")
    (binary,) = (m for m in play.ledger.paths[b"g"].meta if m.kind == "binary")
    assert [owner.session for owner in binary.owners] == ["A"]
    _holds(play, left={b"f": BASE.data})


def test_a_mode_goes_along() -> None:
    """The agent made it executable, another one moved it."""
    play = _play(f=BASE)
    play.run(*AGENT, {b"f": File(data=BASE.data, mode=0o755)})
    _move(play, b"f", b"g")
    (mode,) = (m for m in play.ledger.paths[b"g"].meta if m.kind == "mode")
    assert [owner.session for owner in mode.owners] == ["A"]
    _holds(play, left={b"f": BASE.data})


def test_a_new_file_without_lines_is_moved() -> None:
    """A binary one: the change is everybody's."""
    play = _play()
    play.run(*AGENT, {b"f": File(data=b"\0A")})
    _move(play, b"f", b"g")
    (created,) = play.ledger.paths[b"g"].meta
    assert [owner.session for owner in created.owners] == ["A", "B"]
    _holds(play, left={})


@pytest.mark.parametrize("away", [b"a different thing\n", BASE.data])
@pytest.mark.parametrize("new", [False, True])
def test_moved_and_another_content_put_in_its_place(new: bool, away: bytes) -> None:
    """``mv f g``, and f is written anew before anybody looks; or ``cp f g; git checkout f``."""
    play = _new() if new else _mixed()
    there = play.disk[b"f"]
    play.run(*MOVER, {b"f": File(data=away), b"g": there})
    assert play.pending().get(b"g") == "created"
    assert set(_wrote(play, b"g").items()) >= set(WRITTEN.items())
    _holds(play, left={b"g": b"USER\n", **({} if new else {b"f": BASE.data})})


def test_two_files_change_places() -> None:
    """Nothing came and nothing went, and yet all lines are elsewhere."""
    play = _play(f=BASE, g=File(data=b"other\n" * 5))
    play.run(*AGENT, {b"f": File(data=b"".join(OURS))})
    _type(play, b"f")
    play.run(*MOVER, {b"f": play.disk[b"g"], b"g": play.disk[b"f"]})
    assert set(_wrote(play, b"g").items()) >= set(WRITTEN.items())
    _holds(play, left={b"f": BASE.data, b"g": b"other\n" * 5 + b"USER\n"})


@pytest.mark.parametrize("less", [False, True])
def test_no_change_is_at_two_paths(less: bool) -> None:
    """P10: two files of one base change places, or what was moved leaves a part of it."""
    play = _play(f=BASE, g=BASE)
    play.run(*AGENT, {b"f": File(data=b"".join(OURS))})
    play.run(*AGENT, {b"g": File(data=b"A0\n" + BASE.data)})
    _type(play, b"f")
    left = File(data=MIXED.data.replace(b"A3\n", b"")) if less else play.disk[b"g"]
    play.run(*MOVER, {b"f": left, b"g": play.disk[b"f"]})
    assert _wrote(play, b"g") == WRITTEN
    assert set(_wrote(play, b"f").values()) == ({"A", "user"} if less else {"A"})
    assert not set(play.ids(b"f")) & set(play.ids(b"g"))
    _holds(play, left={b"f": KEPT[b"f"] if less else BASE.data, b"g": KEPT[b"f"]})


def test_a_copy_is_its_makers() -> None:
    """What was copied is still where it was: rejected, no file of scraps is left."""
    play = _mixed()
    there = play.disk[b"f"]
    play.run(*MOVER, {b"f": File(data=b"B\n" + MIXED.data), b"g": there})
    assert set(_wrote(play, b"g").values()) == {"B"}
    _holds(play, left=KEPT)


def test_moved_after_its_base_was_put_elsewhere() -> None:
    """f's base is at g, which is f renamed; what pended on f goes on to h, and is no rename."""
    play = _play(f=BASE)
    play.run(*AGENT, {b"f": File(data=b"A1\nA2\nA3\n"), b"g": BASE})
    _type(play, b"f")
    _move(play, b"f", b"h", head=b"B\n")
    assert play.pending() == {b"f": "deleted", b"g": "renamed", b"h": "created"}
    assert _wrote(play, b"h") == {b"B\n": "B", **WRITTEN}
    _holds(play, left={b"f": BASE.data, b"h": b"USER\n"})


@pytest.mark.parametrize("head", [b"", b"B\n"])
def test_moved_to_where_another_one_was_moved_away(head: bytes) -> None:
    """f→g, and then h→f: the pair comes apart, and the lines of h are whose they were."""
    play = _play(f=File(data=b"f\n"), h=BASE)
    play.run(*AGENT, {b"h": File(data=b"".join(OURS))})
    _type(play, b"h")
    _move(play, b"f", b"g", AGENT)
    _move(play, b"h", b"f", head=head)
    assert play.pending() == {b"f": "modified", b"g": "created", b"h": "deleted"}
    wrote = set(_wrote(play, b"f").items())
    assert wrote >= {*WRITTEN.items(), *([(head, "B")] if head else [])}
    _holds(play, left={b"f": b"f\nUSER\n", b"h": BASE.data})


def test_what_is_typed_while_the_pair_comes_apart_is_left() -> None:
    """P6: it is in the base of the new path alone, for the old one is something else by then."""
    play = _mixed()
    _move(play, b"f", b"g")
    typed = File(data=b"mine\n" + MIXED.data + b"and mine\n")
    play.claim(b"g", typed.data)
    started = play.start(*MOVER, Target(path=b"f", action="write", new_text=b"other\n"))
    play.put(b"g", typed)
    play.put(b"f", File(data=b"other\n"))
    play.finish(started)
    assert play.pending() == {b"f": "modified", b"g": "created"}
    assert _wrote(play, b"g").items() >= {**WRITTEN, b"mine\n": "user"}.items()
    _holds(play, left={b"f": BASE.data, b"g": b"mine\nUSER\nand mine\n"})


@pytest.mark.parametrize("again", [False, True], ids=["once", "moved twice"])
@pytest.mark.parametrize("restart", [False, True], ids=["live", "after a restart"])
def test_what_came_in_since_it_was_moved_is_left_when_the_pair_comes_apart(
    restart: bool, again: bool
) -> None:
    """Typed outside of hunks, long before, it is in no hunk; what was accepted there, too."""
    play = _play(f=BASE)
    _move(play, b"f", b"g")
    _type(play, b"g", after=b"line 3\n")
    path = b"g"
    if again:
        _move(play, b"g", b"h")
        path = b"h"
    play.run(*AGENT, {path: File(data=_contents(play)[path].replace(b"line 8\n", b"eight\n"))})
    (edit,) = (h.id for h in play.ledger.paths[path].hunks)
    assert play.decide("accept", Selection(picks=(HunkPick(hunk=edit),)))["refused"] == []
    if restart:
        play.restart(play.reload())
    play.run(*AGENT, {b"f": File(data=b"".join(LINES[:6]) + b"A1\n")})
    assert play.pending() == {b"f": "modified", path: "created"}
    assert play.decide("reject", Selection(picks=(HunkPick(hunk=play.ids(path)[0]),)))
    assert _contents(play)[path] == b"USER\neight\n"
    assert play.undo()["refused"] == []
    assert image(play.reload()) == image(play.ledger)


def test_what_was_like_it_at_the_new_path_before_tells_nothing_of_what_was_moved_there() -> None:
    """P6: its bytes are those of what went; whose the lines are is known from there."""
    play = _play(f=BASE, g=BASE)
    play.run(*AGENT, {b"g": File(data=MIXED.data + b"A4\n")})
    play.run(*AGENT, {b"g": ABSENT})
    play.run(*AGENT, {b"f": File(data=b"".join(OURS))})
    assert _type(play, b"f") == MIXED
    _move(play, b"f", b"g")
    assert _wrote(play, b"g") == WRITTEN
    _holds(play, left={b"f": BASE.data, b"g": KEPT[b"f"]})


def test_a_line_of_the_users_stays_one_under_a_copy_that_is_moved_over_it() -> None:
    """P6: the copy is its maker's, and brings that line along; but it was here all the time."""
    play = _new()
    play.run(*MOVER, {b"g": File(data=_contents(play)[b"f"] + b"B\n")})
    _move(play, b"g", b"f")
    assert _wrote(play, b"f")[b"USER\n"] == "user"
    play.decide("reject", EVERYTHING)
    assert _contents(play) == {b"f": b"USER\n"}


@pytest.mark.parametrize("restart", [False, True], ids=["live", "after a restart"])
@pytest.mark.parametrize("calls", [1, 2])
@pytest.mark.parametrize("new", [False, True], ids=["modified", "new"])
def test_what_arrives_after_its_first_part_has_is_whose_it_was(
    new: bool, calls: int, restart: bool
) -> None:
    """P6: a long file is written part by part, and the first is like the whole already."""
    play = _play() if new else _play(f=BASE)
    ours = File(data=(b"" if new else BASE.data) + b"A1\nA2\nA3\nA4\n")
    play.run(*AGENT, {b"f": ours})
    whole = _type(play, b"f", after=b"A3\n")
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
    assert _wrote(play, b"g") == wrote
    _holds(play, left={b"g": b"USER\n"} if new else {b"f": BASE.data + b"USER\n"})


def test_what_arrived_and_is_gone_for_a_while_is_no_part_of_what_went() -> None:
    """The mover took a line out, and wrote it itself: deleted and back, it is the mover's still."""
    play, old = _new(), File(data=b"old\n")
    play.save(b"g", old.data, old)
    _move(play, b"f", b"g")
    play.run(*MOVER, {b"g": File(data=b"A1\nUSER\nA3\n")})
    whole = File(data=b"A1\nA2\nUSER\nA3\n")
    for entry in (whole, ABSENT, whole):
        play.run(*MOVER, {b"g": entry})
    assert _wrote(play, b"g") == {b"A1\n": "A", b"A2\n": "B", b"USER\n": "user", b"A3\n": "A"}
    _holds(play, left={b"g": b"old\nUSER\n"})


def test_what_arrived_once_does_not_arrive_again() -> None:
    """Nor for another daemon: the mover took a line out, and puts it back in as its own."""
    play = _mixed()
    other = File(data=b"other\n")
    play.save(b"g", other.data, other)
    play.run(*MOVER, {b"f": ABSENT, b"g": File(data=MIXED.data.replace(b"A2\n", b""))})
    kept = {line: by for line, by in WRITTEN.items() if line != b"A2\n"}
    assert set(_wrote(play, b"g").items()) >= set(kept.items())
    play.restart(play.reload())
    play.run(*MOVER, {b"g": MIXED, b"h": other})
    assert set(_wrote(play, b"g").items()) >= {*kept.items(), (b"A2\n", "B")}


def test_a_rename_that_came_back_is_not_what_is_like_it() -> None:
    """f→g→f: what is moved to g then, and is like it, is no rename of f, and its maker's."""
    play = _mixed()
    _move(play, b"f", b"g")
    _move(play, b"g", b"f")
    play.run(*AGENT, {b"h": File(data=MIXED.data + b"A4\n")})
    assert set(_wrote(play, b"h").values()) == {"A"}
    _move(play, b"h", b"g")
    assert play.pending() == {b"f": "modified", b"g": "created"}
    assert set(_wrote(play, b"g").values()) == {"A"}
    _holds(play, left=KEPT)


@pytest.mark.parametrize("restart", [False, True])
def test_likeness_is_no_proof_later(restart: bool) -> None:
    """A save of the user that is seen half done is no arrival of what went long ago."""
    play = _mixed()
    other = File(data=b"other\n")
    play.save(b"g", other.data, other)
    play.run(*MOVER, {b"f": ABSENT})
    play.run(*MOVER, {b"g": File(data=MIXED.data.replace(b"A2\n", b"B\n"))})
    assert "A" not in _wrote(play, b"g").values()
    before = _wrote(play, b"g")
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
    assert before.items() <= {b"mine\n": "user", **_wrote(play, b"g")}.items()


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
    play = _new() if away == "new" else _mixed()
    old = b"f"
    if away == "renamed":
        _move(play, b"f", b"e")
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
    assert set(_wrote(play, b"g").items()) >= set(WRITTEN.items())
    left = {"new": {b"g": b"USER\n"}, "over another": {b"f": BASE.data, b"g": b"other\nUSER\n"}}
    _holds(play, left=left.get(away, KEPT))


def test_a_move_seen_in_steps_with_an_edit() -> None:
    """However long that takes, where the deletion pends: what is like it is its new path."""
    play = _mixed()
    play.run(*MOVER, {b"f": ABSENT, b"g": File(data=b"a stub\n")})
    play.run(*MOVER, {b"g": File(data=b"B\n" + MIXED.data)})
    assert play.pending() == {b"f": "deleted", b"g": "renamed"}
    assert _wrote(play, b"g") == {b"B\n": "B", **WRITTEN}
    _holds(play, left=KEPT)


@pytest.mark.parametrize("head", [b"", b"B\n"])
@pytest.mark.parametrize("new", [False, True])
@pytest.mark.parametrize(
    "shim", [File(data=b"import g\n"), File(data=b""), Link(target=b"d/g"), Directory()]
)
def test_something_else_is_left_where_it_was(shim: Entry, new: bool, head: bytes) -> None:
    """P6, P8: a shim, a link to where it went, a folder with it inside; moved with an edit or not.

    What is there now has no line of it, however the change at the old path is to be decided.
    """
    play = _new() if new else _mixed()
    there = play.disk[b"f"]
    assert isinstance(there, File)
    play.run(*MOVER, {b"f": shim, b"f/g": File(data=head + there.data)})
    assert play.pending()[b"f/g"] == "created"
    assert _wrote(play, b"f/g").items() >= {**WRITTEN, **({head: "B"} if head else {})}.items()
    assert image(play.reload()) == image(play.ledger)
    play.restart(play.reload())
    assert play.decide("reject", EVERYTHING)["refused"] == []
    assert _contents(play).pop(b"f/g") == b"USER\n"
    assert play.undo()["refused"] == []
    assert _wrote(play, b"f/g").items() >= WRITTEN.items()


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("shim", [Link(target=b"g"), File(data=b""), ABSENT])
def test_a_link_to_what_comes_later(shim: Entry, restart: bool) -> None:
    """The same bytes are a move however long that took, whatever is at the old path meanwhile."""
    play = _mixed()
    play.run(*MOVER, {b"f": shim})
    if restart:
        play.restart(play.reload())
    play.run(*MOVER, {b"g": MIXED})
    assert set(_wrote(play, b"g").items()) >= set(WRITTEN.items())


def test_copied_first_and_a_shim_left_later() -> None:
    """The copy was its maker's; from then on it is all that is left of it."""
    play = _mixed()
    play.run(*MOVER, {b"g": MIXED})
    assert set(_wrote(play, b"g").values()) == {"B"}
    play.run(*MOVER, {b"f": File(data=b"import g\n")})
    assert set(_wrote(play, b"g").items()) >= set(WRITTEN.items())
    _holds(play, left={b"f": BASE.data, b"g": b"USER\n"})


@pytest.mark.parametrize("head", [b"", b"B\n"], ids=["in the next call", "edited, in one call"])
def test_a_shim_is_left_first_and_the_rest_put_elsewhere_later(head: bytes) -> None:
    """What had to make room is remembered, until it is elsewhere or back."""
    play = _mixed()
    started = play.start(*MOVER)
    play.put(b"f", File(data=b"import g\n"))
    play.cut()
    if not head:
        play.finish(started)
        started = play.start(*MOVER)
    play.put(b"g", File(data=head + MIXED.data))
    play.finish(started)
    assert set(_wrote(play, b"g").items()) >= set(WRITTEN.items())
    _holds(play, left={b"f": BASE.data, b"g": b"USER\n"})


def test_what_had_to_make_room_and_is_back_is_copied() -> None:
    """It is where it was: what is put elsewhere then is its maker's."""
    play = _mixed()
    play.run(*MOVER, {b"f": File(data=b"import g\n")})
    play.run(*MOVER, {b"f": MIXED})
    before = play.ledger.paths[b"f"]
    play.run(*MOVER, {b"g": MIXED})
    assert set(_wrote(play, b"g").values()) == {"B"}
    assert play.ledger.paths[b"f"] == before


@pytest.mark.parametrize("named", [{b"f", b"g"}, {b"g"}], ids=["both paths", "the new one"])
@pytest.mark.parametrize("before", [False, True], ids=["once", "taken away before"])
def test_git_moved_it_by_an_agents_command(before: bool, named: set[bytes]) -> None:
    """The same move, by the same session: told late, and not of each path of it."""
    play = _mixed()
    if before:
        play.run(*MOVER, {b"f": ABSENT})
        play.run(*MOVER, {b"f": MIXED})
    _move(play, b"f", b"g")
    contents = {b"f": None, b"g": MIXED.oid}
    told = {path: contents[path] for path in sorted(named)}
    play.handle(GitMoved(label="checkout", contents=told, received_ns=play.tick()))
    play.cut()
    assert play.pending() == {b"f": "deleted", b"g": "renamed"}
    assert play.ledger.paths[b"g"].meta[0].owners[-1].kind == "git"
    assert _wrote(play, b"g") == WRITTEN
    _holds(play, left=KEPT)


@pytest.mark.parametrize("head", [b"", b"B\n"])
@pytest.mark.parametrize("new", [False, True], ids=["modified", "new"])
def test_the_daemon_dies_before_it_knows_what_was_moved(new: bool, head: bytes) -> None:
    """Both halves were seen, and the reading never ended: the next one finds the pair."""
    play = _new() if new else _mixed()
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
    assert {line: who for line, who in _wrote(play, b"g").items() if line in WRITTEN} == WRITTEN
    _holds(play, left={b"g": b"USER\n"} if new else KEPT)


def test_a_copy_that_the_user_went_on_with_is_no_rename_when_the_original_goes() -> None:
    """The line is in both; when the original is back nobody would know it for theirs any more."""
    users = File(data=BASE.data + b"USER\n")
    play = _play(f=users)
    play.run(*AGENT, {b"g": BASE})
    play.save(b"g", users.data, users)
    play.run(*MOVER, {b"f": ABSENT})
    assert play.pending() == {b"f": "deleted", b"g": "created"}
    back = File(data=users.data + b"USER 2\n")
    play.save(b"f", back.data, back)
    assert _wrote(play, b"g")[b"USER\n"] == "user"
    _holds(play, left={b"f": back.data, b"g": b"USER\n"})


@pytest.mark.parametrize("new", [False, True], ids=["modified", "new"])
def test_git_explains_a_move_late_and_it_is_hardly_the_same_file_any_more(new: bool) -> None:
    """It is told again where it arrived, and had arrived there whatever it holds by now."""
    play = _new() if new else _mixed()
    play.now += 2 * TAIL_NS
    there = _contents(play)[b"f"]
    _move(play, b"f", b"g")
    rest = [b"new %d\n" % n for n in range(12)]
    play.run(*MOVER, {b"g": File(data=b"".join([b"A1\n", b"USER\n", b"A2\n", *rest]))})
    oid = git_blob_oid(there)
    play.handle(GitMoved(label="checkout", contents={b"g": oid}, received_ns=play.tick()))
    play.cut()
    assert _wrote(play, b"g")[b"USER\n"] == "user"
    _holds(play, left={b"g": b"USER\n"} if new else {b"f": BASE.data + b"USER\n"})


@pytest.mark.parametrize("head", [b"", b"B\n"])
@pytest.mark.parametrize("by", [AGENT, MOVER])
def test_a_late_proof_of_a_new_file_that_was_moved(by: tuple[str, str], head: bytes) -> None:
    """It is where it has arrived, whoever has written there since."""
    play = _new()
    saved = File(data=_contents(play)[b"f"] + b"USER 2\n")
    since = play.now
    play.put(b"f", saved)
    play.cut()
    _move(play, b"f", b"g", head=head)
    play.run(*by, {b"g": File(data=head + saved.data + b"later\n")})
    play.claim(b"f", saved.data, written=True, since_ns=since)
    play.cut()
    _holds(play, left={b"g": b"USER\nUSER 2\n"})


@pytest.mark.parametrize("restart", [False, True])
def test_when_a_renamed_file_goes_the_deletion_of_where_it_was_is_open(restart: bool) -> None:
    """It was emptied, written anew elsewhere, and the empty one moved: the same after a restart."""
    play = _mixed()
    _move(play, b"f", b"g", head=b"B\n")
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
    _holds(play, left=KEPT)


def test_the_daemon_dies_before_it_knows_that_a_pair_came_apart() -> None:
    """What is decided then is not one half of a pair that has no other one."""
    play = _mixed()
    _move(play, b"f", b"g")
    play.put(b"f", BASE)
    play.handle(play.observation(b"f"))
    play.restart(play.reload())
    assert play.decide("reject", EVERYTHING)["refused"] == []
    assert _contents(play) == {b"f": BASE.data, b"g": b"USER\n"}
    assert play.undo()["refused"] == []
    assert image(play.reload()) == image(play.ledger)


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


def test_a_new_file_that_lost_its_first_hunk_on_the_way_is_one_change_by_one_id() -> None:
    """P10: after a decision it had two hunks, and the first one's lines did not come along."""
    play = _play()
    play.run(*AGENT, {b"f": File(data=b"".join(b"A%d\n" % n for n in range(1, 9)))})
    _type(play, b"f", after=b"A4\n")
    (whole,) = play.ledger.paths[b"f"].hunks
    play.decide("reject", _lines(whole.id, 2, 3))
    left = _contents(play)[b"f"]
    play.run(*MOVER, {b"f": ABSENT, b"g": File(data=left.replace(b"A1\nA2\n", b""))})
    state = play.ledger.paths[b"g"]
    check(state)
    assert state.ids == (state.hunks[0].id,)
    play.decide("reject", Selection(picks=(HunkPick(hunk=state.ids[0]),)))
    assert _contents(play) == {b"g": b"USER\n"}


def test_where_it_was_on_its_way_there_and_back_takes_nothing_along() -> None:
    """P6: f→mf→f by one, f→nf with an edit by another one."""
    play = _mixed()
    _move(play, b"f", b"mf")
    _move(play, b"mf", b"f")
    _move(play, b"f", b"nf", AGENT, head=b"head\n")
    assert _wrote(play, b"nf") == {**WRITTEN, b"head\n": "A"}
    _holds(play, left=KEPT)
