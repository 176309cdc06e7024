"""Git in a workspace under review: what a person's commands mean, and what an agent's do not."""

import itertools
import random
from collections.abc import Callable

import pytest

from agentdiff.core.diff import diff_bytes
from agentdiff.core.entries import ABSENT, Entry, File
from agentdiff.core.epochs import EXPECTED_NS, committed, is_blob
from agentdiff.core.events import GitCommitted, GitMoved, Selection, TurnEnded
from agentdiff.core.hunks import Hunk
from agentdiff.core.pathstate import PathState, check
from tests.play import Play, image

LINES = [b"line %d\n" % n for n in range(40)]
TEXT = File(data=b"".join(LINES))
EVERYTHING = Selection(everything=True, include_external=True)
Moves = Callable[..., None]


def _with(*changes: tuple[int, bytes], entry: File = TEXT) -> File:
    lines = list(LINES)
    for at, line in changes:
        lines[at] = line
    return File(data=b"".join(lines), mode=entry.mode)


def _play(**disk: Entry) -> Play:
    """A workspace that an editor shows, with an agent that is at rest."""
    play = Play(disk={name.encode(): entry for name, entry in disk.items()})
    play.attach()
    play.prompt("claude", "A")
    return play


def _rest(play: Play) -> None:
    """The agent's turn ends, and its tail."""
    play.handle(TurnEnded(agent="claude", session="A", received_ns=play.tick()))
    play.now += 11_000_000_000


def _moved(play: Play, contents: dict[bytes, Entry], label: str = "checkout") -> None:
    oids = {path: getattr(entry, "oid", None) for path, entry in contents.items()}
    popped, now = label == "stash", play.tick()
    play.handle(GitMoved(label=label, contents=oids, received_ns=now, popped=popped))


def _head_first(play: Play, contents: dict[bytes, Entry], label: str = "checkout") -> None:
    for path, entry in contents.items():
        play.put(path, entry)
    _moved(play, contents, label)
    play.cut()


def _files_first(play: Play, contents: dict[bytes, Entry], label: str = "checkout") -> None:
    for path, entry in contents.items():
        play.put(path, entry)
    play.cut()
    _moved(play, contents, label)


def _half(play: Play, contents: dict[bytes, Entry], label: str = "checkout") -> None:
    for n, (path, entry) in enumerate(contents.items()):
        play.put(path, entry)
        play.cut()
        if n == len(contents) // 2:
            _moved(play, contents, label)


both_orders = pytest.mark.parametrize("move", [_head_first, _files_first, _half])


def _commit(play: Play, **contents: Entry) -> None:
    found = tuple((name.encode(), entry) for name, entry in contents.items())
    changed = {path: getattr(entry, "oid", None) for path, entry in found}
    play.handle(
        GitCommitted(commit="abc1234", contents=found, changed=changed, received_ns=play.tick())
    )


@both_orders
def test_a_checkout_does_not_flood_the_review(move: Moves) -> None:
    """Whether its files are seen before or after HEAD moved."""
    play = _play(**{f"f{n}": File(data=b"old %d\n" % n) for n in range(9)})
    _rest(play)
    move(play, {b"f%d" % n: File(data=b"new %d\n" % n) for n in range(8)} | {b"f8": ABSENT})
    assert not play.ledger.paths
    play.run("claude", "A", {b"f0": File(data=b"agent\n")})
    assert play.base(b"f0") == File(data=b"new 0\n")


@both_orders
def test_what_is_not_git_s_content_pends(move: Moves) -> None:
    """Somebody else wrote a file in the middle of a checkout."""
    play = _play(a=File(data=b"old\n"), b=TEXT)
    _rest(play)
    play.put(b"b", _with((3, b"stranger\n")))
    move(play, {b"a": File(data=b"new\n")})
    assert play.pending() == {b"b": "modified"}


@both_orders
def test_an_agent_s_checkout_pends_as_its_own(move: Moves) -> None:
    """One group of its own, that no bulk reject takes along."""
    play = _play(a=File(data=b"old\n"), b=TEXT)
    started = play.start("claude", "A")
    play.put(b"b", _with((3, b"agent\n")))
    move(play, {b"a": File(data=b"new\n")})
    play.finish(started)
    kinds = {path: play.owners(path) for path in (b"a", b"b")}
    assert kinds == {b"a": [("git", "A", "likely")], b"b": [("agent", "A", "likely")]}
    play.decide("reject", Selection(everything=True))
    assert play.pending() == {b"a": "modified"}
    assert play.disk == {b"a": File(data=b"new\n"), b"b": TEXT}


@both_orders
def test_stash_and_pop(move: Moves) -> None:
    """What pended is gone, and comes back with its ids and owners."""
    play = _play(a=TEXT, b=TEXT)
    changed = _with((3, b"three\n"), (30, b"thirty\n"))
    play.run("claude", "A", {b"a": changed, b"b": ABSENT, b"new": File(data=b"new\n")})
    before = {path: (state.ids, state.base) for path, state in play.ledger.paths.items()}
    _rest(play)
    move(play, {b"a": TEXT, b"b": TEXT, b"new": ABSENT})
    assert not play.ledger.paths
    play.restart(play.reload())
    move(play, {b"a": changed, b"b": ABSENT, b"new": File(data=b"new\n")})
    assert set(play.ledger.paths) == {b"a", b"b", b"new"}
    for path in (b"a", b"new"):
        assert (play.ledger.paths[path].ids, play.base(path)) == before[path]
        assert {owner[:2] for owner in play.owners(path)} == {("agent", "A")}
    play.decide("reject", EVERYTHING)
    assert play.disk == {b"a": TEXT, b"b": TEXT}


@both_orders
def test_popping_on_another_commit_brings_the_same_hunks(move: Moves) -> None:
    """``git pull --autostash``: the base moved, the agent's lines pend as before."""
    play = _play(a=TEXT)
    play.run("claude", "A", {b"a": _with((30, b"thirty\n"))})
    ids = play.ids(b"a")
    _rest(play)
    move(play, {b"a": TEXT})
    pulled = _with((3, b"upstream\n"))
    move(play, {b"a": pulled})
    move(play, {b"a": _with((3, b"upstream\n"), (30, b"thirty\n"))}, "stash")
    state = play.ledger.paths[b"a"]
    check(state)
    assert (state.ids, state.base) == (ids, pulled)
    play.decide("reject", EVERYTHING)
    assert play.disk == {b"a": pulled}


def test_stash_outside_a_review_loses_nothing() -> None:
    """No editor, no session: the changes are gone with the stash and pend again after the pop."""
    play = Play(disk={b"a": TEXT})
    play.prompt("claude", "A")
    play.run("claude", "A", {b"a": _with((3, b"three\n"))})
    ids = play.ids(b"a")
    play.end("claude", "A")
    play.now += 11_000_000_000
    play.put(b"a", TEXT)
    play.cut()
    assert not play.ledger.paths
    assert not play.ledger.under_review(play.now)
    play.put(b"a", _with((3, b"three\n")))
    play.cut()
    assert play.ids(b"a") == ids
    play.decide("accept", EVERYTHING)
    play.put(b"a", File(data=b"the user goes on\n"))
    play.cut()
    assert not play.ledger.paths


def test_expectations_end() -> None:
    """The same content, much later, is a stranger's."""
    play = _play(a=File(data=b"old\n"))
    _rest(play)
    _moved(play, {b"a": File(data=b"new\n")})
    play.now += EXPECTED_NS
    play.put(b"a", File(data=b"new\n"))
    play.cut()
    assert play.pending() == {b"a": "modified"}


# --- commits --------------------------------------------------------------------------------------


def _edited() -> tuple[Play, File]:
    play = _play(a=TEXT, b=TEXT)
    changed = _with((3, b"three\n"), (30, b"thirty\n"))
    play.run("claude", "A", {b"a": changed, b"new": File(data=b"new\n"), b"b": ABSENT})
    return play, changed


def test_a_person_commits_everything() -> None:
    """A commit is a review."""
    play, changed = _edited()
    _rest(play)
    _commit(play, a=changed, new=File(data=b"new\n"), b=ABSENT)
    assert not play.ledger.paths
    made = list(play.ledger.decisions.values())[-1]
    assert (made.op, made.client, made.reason) == ("commit", "git", "abc1234")


def test_a_person_commits_some_hunks() -> None:
    """``git add -p``: what the commit contains is accepted, the rest pends as it was."""
    play, _ = _edited()
    _, second = play.ids(b"a")
    _rest(play)
    _commit(play, a=_with((3, b"three\n")))
    assert play.ids(b"a") == (second,)
    assert play.base(b"a") == _with((3, b"three\n"))
    assert set(play.ledger.paths) == {b"a", b"b", b"new"}


def test_a_commit_that_agrees_by_accident_elsewhere_accepts_nothing() -> None:
    """By position: the same line somewhere else is another line."""
    play = _play(a=TEXT)
    play.run("claude", "A", {b"a": _with((30, b"x\n"))})
    _rest(play)
    _commit(play, a=_with((3, b"x\n")))
    assert play.pending() == {b"a": "modified"}


def test_a_commit_is_heard_before_its_files_are_seen() -> None:
    """Written, added and committed in one breath: it is reviewed, what differs is not."""
    play = _play(a=TEXT)
    _rest(play)
    mine = File(data=b"mine\n")
    for name in (b"mine", b"other"):
        play.put(name, mine)
    _commit(play, mine=mine, other=File(data=b"something else\n"))
    play.cut()
    assert play.pending() == {b"other": "created"}


def test_an_agent_s_commit_explains_nothing() -> None:
    """What it wrote and committed in one call is its own work, not git's."""
    play = _play(a=TEXT)
    started = play.start("claude", "A")
    play.put(b"new", File(data=b"new\n"))
    _commit(play, new=File(data=b"new\n"))
    play.finish(started)
    assert play.owners(b"new") == [("agent", "A", "likely")]


def test_an_agent_commits_its_own_work() -> None:
    """It accepts nothing, and is noted: in its turn, in a call and in its tail."""
    play, changed = _edited()
    _commit(play, a=changed)
    assert set(play.ledger.committed) == set(play.ids(b"a"))
    assert set(play.ledger.committed.values()) == {"abc1234"}
    assert play.pending() == {b"a": "modified", b"b": "deleted", b"new": "created"}
    assert play.reload().committed == play.ledger.committed


def test_a_commit_under_autocrlf() -> None:
    """The commit has LF where the file has CRLF."""
    crlf = File(data=TEXT.data.replace(b"\n", b"\r\n"))
    play = _play(a=crlf)
    changed = File(data=_with((3, b"three\n"), (30, b"thirty\n")).data.replace(b"\n", b"\r\n"))
    play.run("claude", "A", {b"a": changed})
    _, second = play.ids(b"a")
    _rest(play)
    _commit(play, a=_with((3, b"three\n")))
    assert play.ids(b"a") == (second,)
    _commit(play, a=_with((3, b"three\n"), (30, b"thirty\n")))
    assert not play.ledger.paths


def test_a_commit_without_the_mode_leaves_the_mode() -> None:
    """``core.fileMode=false``: git did not see the bit."""
    play = _play(a=TEXT)
    changed = File(data=_with((3, b"three\n")).data, mode=0o755)
    play.run("claude", "A", {b"a": changed})
    _rest(play)
    _commit(play, a=_with((3, b"three\n")))
    assert [m.kind for m in play.ledger.paths[b"a"].meta] == ["mode"]
    assert not play.ledger.paths[b"a"].hunks


def test_a_commit_of_a_rename() -> None:
    """Both of its paths are accepted."""
    play = _play(a=TEXT)
    play.run("claude", "A", {b"a": ABSENT, b"z": _with((3, b"three\n"))})
    assert play.pending()[b"z"] == "renamed"
    _rest(play)
    _commit(play, a=ABSENT, z=_with((3, b"three\n")))
    assert not play.ledger.paths


def test_a_commit_of_one_half_of_a_rename() -> None:
    """``git add z`` alone: the rename is one change, and it is not in there."""
    play = _play(a=TEXT)
    play.run("claude", "A", {b"a": ABSENT, b"z": _with((3, b"three\n"))})
    _rest(play)
    _commit(play, z=_with((3, b"three\n")))
    assert play.pending() == {b"a": "deleted", b"z": "renamed"}


@pytest.mark.parametrize(
    ("entry", "oid", "same"),
    [
        (TEXT, TEXT.oid, True),
        (File(data=TEXT.data.replace(b"\n", b"\r\n")), TEXT.oid, True),
        (TEXT, _with((1, b"x\n")).oid, False),
        (ABSENT, None, True),
        (TEXT, None, False),
        (ABSENT, TEXT.oid, False),
    ],
)
def test_is_blob(entry: Entry, oid: str | None, same: bool) -> None:
    """By content, whatever autocrlf made of it."""
    assert is_blob(entry, oid) is same


@pytest.mark.parametrize(
    ("base", "steps", "contained"),
    [
        # What the agent adds is like what is there: a diff puts it elsewhere.
        (b"x}.xxx.}.y", [b"x}.xxxx.}.y", b"xNxxxx.}.y"], b"x}.xxx.}.y"),
        (b"y.xyy", [b"y..xxyy", b"y..xxy"], b"y.xyy"),
        (b"xxxxxxy", [b"xxxxxy", b"xxNxxxy"], b"xxxxxxy!"),
    ],
)
def test_a_commit_without_a_change_accepts_nothing_of_it(
    base: bytes, steps: list[bytes], contained: bytes
) -> None:
    """Lines that repeat do not make a hunk look committed."""

    def text(letters: bytes) -> File:
        return File(data=b"".join(b"%c\n" % letter for letter in letters))

    play = _play(f=text(base))
    for step in steps:
        play.write("claude", "A", b"f", text(step).data)
    _rest(play)
    before = play.ledger.paths[b"f"]
    assert committed(before, text(contained)) == ()


def test_a_deletion_that_was_put_aside_is_not_merged_with_another_content() -> None:
    """The file is back, as git has it on another branch: that is the base."""
    play = _play(a=TEXT)
    play.run("claude", "A", {b"a": ABSENT})
    _rest(play)
    _head_first(play, {b"a": TEXT})
    _head_first(play, {b"a": File(data=b"another branch\n")})
    assert not play.ledger.paths


def test_a_stash_that_is_seen_step_by_step_keeps_what_pended() -> None:
    """Gone, empty, half and whole again: what comes back is what was there before all that."""
    play = _play(a=TEXT)
    changed = _with((3, b"three\n"))
    play.run("claude", "A", {b"a": changed})
    ids = play.ids(b"a")
    _rest(play)
    steps = (ABSENT, File(data=b""), File(data=TEXT.data[:50]), TEXT)
    for entries in (steps, steps[1:], steps[2:], steps[:1] + steps[3:], steps):
        for entry in entries:
            play.put(b"a", entry)
            play.cut()
        _moved(play, {b"a": TEXT}, "reset")
        assert not play.ledger.paths
        for entry in (ABSENT, File(data=b""), changed):
            play.put(b"a", entry)
            play.cut()
        assert play.ids(b"a") == ids
        assert {owner[1] for owner in play.owners(b"a")} == {"A"}


def test_a_commit_takes_no_hunk_that_leads_away_from_it() -> None:
    """Short texts of few letters, every subset of hunks: the base only comes nearer."""
    chance = random.Random(3)
    for _ in range(150):
        text = [b"%c\n" % chance.choice(b"ab") for _ in range(chance.randrange(3, 12))]
        play = _play(f=File(data=b"".join(text)))
        for _ in range(2):
            at = chance.randrange(len(text) + 1)
            text[at : at + chance.randrange(3)] = [b"%c\n" % chance.choice(b"abN")]
            play.write("claude", "A", b"f", b"".join(text))
        state = play.ledger.paths.get(b"f")
        if state is None:
            continue
        assert isinstance(state.base, File)
        for wanted in itertools.product((False, True), repeat=len(state.hunks)):
            chosen = [hunk for hunk, is_in in zip(state.hunks, wanted, strict=True) if is_in]
            commit = _taken(state, chosen)
            found = committed(state, File(data=commit + b"more\n"))
            accepted = [hunk for hunk in state.hunks if hunk.id in found]
            left = _distance(_taken(state, accepted), commit + b"more\n")
            assert left + len(accepted) <= _distance(state.base.data, commit + b"more\n")


def _taken(state: PathState, hunks: list[Hunk]) -> bytes:
    """Returns the base with some hunks put in."""
    lines = list(state.text.base)
    for hunk in reversed(hunks):
        lines[hunk.a0 : hunk.a1] = state.text.cur[hunk.b0 : hunk.b1]
    return b"".join(lines)


def _distance(old: bytes, new: bytes) -> int:
    return sum(b.a1 - b.a0 + b.b1 - b.b0 for b in diff_bytes(old, new))


# --- an autostash ---------------------------------------------------------------------------------

MINE = _with((30, b"A1\nUSER\nA2\n"))
PULLED = _with((3, b"upstream\n"))
MERGED = _with((3, b"upstream\n"), (30, b"A1\nUSER\nA2\n"))


def _mixed() -> Play:
    """An agent's hunk with a line of the user's in it."""
    play = _play(a=TEXT)
    play.run("claude", "A", {b"a": _with((30, b"A1\nA2\n"))})
    play.save(b"a", MINE.data, MINE)
    return play


def _sound(play: Play) -> None:
    for state in play.ledger.paths.values():
        check(state)
        assert state.cur == play.disk[state.path]
    again = play.reload()
    assert image(again) == image(play.ledger)
    asides = [ledger.observer.parking.states() for ledger in (again, play.ledger)]
    assert asides[0] == asides[1]


@pytest.mark.parametrize(
    ("seen", "told"),
    [(seen, told) for seen in ("BPM", "PM", "BM", "M") for told in range(len(seen) + 1)],
)
def test_a_rebase_with_autostash_keeps_what_pends(seen: str, told: int) -> None:
    """Git says nowhere that it put the changes back; whatever is seen of it, and in any order."""
    play = _mixed()
    before = play.ledger.paths[b"a"]
    _rest(play)
    for n, step in enumerate([*seen, ""]):
        if n == told:
            _moved(play, {b"a": PULLED}, "rebase")
        if step:
            play.put(b"a", {"B": TEXT, "P": PULLED, "M": MERGED}[step])
            play.cut()
    state = play.ledger.paths[b"a"]
    assert (state.base, state.cur, state.ids) == (PULLED, MERGED, before.ids)
    assert state.hunks[0].new_owners == before.hunks[0].new_owners
    _sound(play)
    assert play.decide("reject", EVERYTHING)["refused"] == []
    assert b"USER\n" in play.disk[b"a"].data  # type: ignore[union-attr]
    assert b"A1\n" not in play.disk[b"a"].data  # type: ignore[union-attr]
    assert not play.pending()


@pytest.mark.parametrize("crash", [False, True])
def test_stash_apply_on_another_commit_brings_what_pended(crash: bool) -> None:
    """Long after the checkout, and no stash was taken off: the content shows what it is."""
    play = _mixed()
    before = play.ledger.paths[b"a"]
    _rest(play)
    _files_first(play, {b"a": TEXT}, "reset")
    _files_first(play, {b"a": PULLED})
    play.now += 2 * EXPECTED_NS
    if crash:
        play.restart(play.reload())
        play.attach()
    play.put(b"a", MERGED)
    play.cut()
    state = play.ledger.paths[b"a"]
    assert (state.base, state.ids) == (PULLED, before.ids)
    assert state.hunks[0].new_owners == before.hunks[0].new_owners
    _sound(play)


@pytest.mark.parametrize("told", [False, True])
def test_an_agent_s_autostash_moves_no_base(told: bool) -> None:
    """P13: what it pulled pends as its own, what pended before is whose it was."""
    play = _mixed()
    play.prompt("codex", "B")
    started = play.start("codex", "B")
    for entry in (TEXT, PULLED, MERGED):
        play.put(b"a", entry)
        play.cut()
        if told and entry == PULLED:
            _moved(play, {b"a": PULLED}, "rebase")
    play.finish(started)
    state = play.ledger.paths[b"a"]
    assert state.base == TEXT
    assert [owner.session for owner in state.hunks[-1].new_owners] == ["A", None, "A"]
    _sound(play)
    play.decide("reject", EVERYTHING)
    assert b"USER\n" in play.disk[b"a"].data  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "written",
    [
        _with((3, b"upstream\n"), (30, b"A1\nA2\n")),  # not all of what was put aside
        _with((3, b"upstream\n"), (5, b"more\n"), (30, b"A1\nUSER\nA2\n")),  # and more
    ],
)
def test_what_is_only_like_a_merge_is_a_stranger_s(written: File) -> None:
    """The content must be what a merge makes, all of it and nothing else."""
    play = _mixed()
    _rest(play)
    _files_first(play, {b"a": TEXT}, "reset")
    _files_first(play, {b"a": PULLED})
    play.put(b"a", written)
    play.cut()
    assert {owner[0] for owner in play.owners(b"a")} == {"external"}


def test_a_stranger_s_edit_after_a_move_that_left_the_file_is_a_stranger_s() -> None:
    """HEAD moved, and has the base that the file had before: nothing was put below what pends."""
    play = _mixed()
    _rest(play)
    _moved(play, {b"a": TEXT}, "rebase")
    play.put(b"a", _with((30, b"A1\nUSER\nA2\nX\n")))
    play.cut()
    assert "external" in {owner[0] for owner in play.owners(b"a")}
    assert play.base(b"a") == TEXT
