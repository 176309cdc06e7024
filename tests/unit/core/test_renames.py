"""A deletion and a creation that are one change: shown, decided and undone as one."""

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agentdiff.core import patch, view
from agentdiff.core.diff import split_lines
from agentdiff.core.entries import ABSENT, Entry, File
from agentdiff.core.events import GitCommitted, HunkPick, Selection, SessionEnded, Target
from agentdiff.core.owners import EXTERNAL
from agentdiff.core.parking import Parking
from agentdiff.core.pathstate import PathState, check
from agentdiff.core.records import DecisionMade
from agentdiff.core.renames import rename_id, similarity
from agentdiff.core.sessions import TAIL_NS
from tests.play import Play, image

LINES = [b"line %d\n" % n for n in range(40)]
TEXT = File(data=b"".join(LINES))
EVERYTHING = Selection(everything=True, include_external=True)


def _with(at: int, line: bytes, entry: File = TEXT) -> File:
    lines = split_lines(entry.data)
    lines[at] = line
    return File(data=b"".join(lines), mode=entry.mode)


def _play(**disk: Entry) -> Play:
    play = Play(disk={name.encode(): entry for name, entry in disk.items()})
    play.prompt("claude", "A")
    return play


def _renamed(play: Play, path: bytes = b"b", origin: bytes = b"a") -> PathState:
    state = play.ledger.paths[path]
    check(state)
    assert (state.status, state.origin) == ("renamed", origin)
    assert play.ledger.paths[origin].base == state.base
    return state


def _files(play: Play) -> list[dict[str, Any]]:
    return list(view.status(play.ledger)["files"])


def test_a_move_is_one_change() -> None:
    """One file, one change, no line differs."""
    play = _play(a=TEXT)
    play.run("claude", "A", {b"a": ABSENT, b"b": TEXT})
    state = _renamed(play)
    assert state.ids == (rename_id(state),)
    (shown,) = _files(play)
    assert (shown["path"], shown["old_path"], shown["status"]) == ("b", "a", "renamed")
    assert (shown["added"], shown["removed"]) == (0, 0)
    assert view.summary(play.ledger, play.now)["files"] == 1


def test_a_move_with_edits_shows_the_edits() -> None:
    """The hunks are what changed on the way, owned by who did it."""
    play = _play(a=TEXT)
    play.run("claude", "A", {b"a": ABSENT, b"b": _with(7, b"seven\n")})
    state = _renamed(play)
    (hunk,) = state.hunks
    assert (hunk.a0, hunk.a1, hunk.b0, hunk.b1) == (7, 8, 7, 8)
    assert {owner.session for owner in hunk.owners} == {"A"}


@pytest.mark.parametrize("op", ["accept", "reject"])
@pytest.mark.parametrize("edit", [False, True])
@pytest.mark.parametrize("by", [EVERYTHING, Selection(paths=(b"a",)), Selection(paths=(b"b",))])
def test_both_paths_are_decided_together(op: str, edit: bool, by: Selection) -> None:
    """Whichever of the two is named; and it is one step of undo."""
    play = _play(a=TEXT)
    moved = _with(7, b"seven\n") if edit else TEXT
    play.run("claude", "A", {b"a": ABSENT, b"b": moved})
    before = image(play.ledger)["paths"]
    answer = play.decide(op, by)
    assert not answer["refused"]
    assert not play.ledger.paths
    assert play.disk == ({b"b": moved} if op == "accept" else {b"a": TEXT})
    assert not play.undo()["refused"]
    assert play.disk == {b"b": moved}
    assert image(play.ledger)["paths"] == before
    play.undo(redo=True)
    assert not play.ledger.paths
    play.cut()
    assert not play.ledger.paths


def test_hunks_of_a_rename_are_decided_alone() -> None:
    """Rejecting an edit leaves the rename pending, accepting one moves the base of both paths."""
    play = _play(a=TEXT)
    edited = _with(30, b"thirty\n", _with(7, b"seven\n"))
    play.run("claude", "A", {b"a": ABSENT, b"b": edited})
    first, second = _renamed(play).hunks
    play.decide("reject", Selection(picks=(HunkPick(hunk=second.id),)))
    assert play.disk == {b"b": _with(7, b"seven\n")}
    _renamed(play)
    play.decide("accept", Selection(picks=(HunkPick(hunk=first.id),)))
    state = _renamed(play)
    assert not state.hunks
    play.decide("reject", EVERYTHING)
    assert play.disk == {b"a": _with(7, b"seven\n")}
    assert not play.ledger.paths


def test_rejecting_the_rename_alone_moves_the_edits_back() -> None:
    """The name is one change and the edits are others."""
    play = _play(a=TEXT)
    play.run("claude", "A", {b"a": ABSENT, b"b": _with(7, b"seven\n")})
    state = _renamed(play)
    play.decide("reject", Selection(picks=(HunkPick(hunk=rename_id(state)),)))
    assert play.disk == {b"a": _with(7, b"seven\n")}
    assert [h.id for h in play.ledger.paths[b"a"].hunks] == [h.id for h in state.hunks]
    check(play.ledger.paths[b"a"])
    play.undo()
    assert play.disk == {b"b": _with(7, b"seven\n")}
    _renamed(play)


def test_accepting_the_rename_alone_leaves_the_edits() -> None:
    """They pend on the new path."""
    play = _play(a=TEXT)
    play.run("claude", "A", {b"a": ABSENT, b"b": _with(7, b"seven\n")})
    state = _renamed(play)
    play.decide("accept", Selection(picks=(HunkPick(hunk=rename_id(state)),)))
    (left,) = play.ledger.paths.values()
    check(left)
    assert (left.path, left.origin, left.hunks) == (b"b", None, state.hunks)
    play.decide("reject", EVERYTHING)
    assert play.disk == {b"b": TEXT}


def test_hunks_from_before_the_move_keep_ids_and_owners() -> None:
    """One agent edits, another one moves: the edit stays the first one's."""
    play = _play(a=TEXT)
    play.prompt("codex", "B")
    edited = _with(30, b"thirty\n", _with(7, b"seven\n"))
    play.run("claude", "A", {b"a": edited})
    before = [hunk.new_owners for hunk in play.ledger.paths[b"a"].hunks]
    play.run("codex", "B", {b"a": ABSENT, b"b": edited})
    state = _renamed(play)
    assert [hunk.new_owners for hunk in state.hunks] == before
    assert len(set(state.ids) & set(play.ledger.paths[b"a"].ids)) == 0


def test_moving_back_leaves_nothing() -> None:
    """P7 for names."""
    play = _play(a=TEXT)
    play.run("claude", "A", {b"a": ABSENT, b"b": TEXT})
    play.run("claude", "A", {b"a": TEXT, b"b": ABSENT})
    assert not play.ledger.paths


def test_moving_on_pairs_with_the_first_path() -> None:
    """A rename of a rename is a rename."""
    play = _play(a=TEXT)
    play.run("claude", "A", {b"a": ABSENT, b"b": TEXT})
    play.run("claude", "A", {b"b": ABSENT, b"c": TEXT})
    _renamed(play, b"c", b"a")
    assert len(_files(play)) == 1


def test_the_old_path_comes_to_life() -> None:
    """A pair of which one half is something else now is two changes."""
    play = _play(a=TEXT)
    play.run("claude", "A", {b"a": ABSENT, b"b": TEXT})
    play.run("claude", "A", {b"a": File(data=b"something else\n")})
    assert play.pending() == {b"a": "modified", b"b": "created"}
    for state in play.ledger.paths.values():
        check(state)
    play.decide("reject", EVERYTHING)
    assert play.disk == {b"a": TEXT}


def test_a_pair_is_sticky() -> None:
    """However different the new file becomes."""
    play = _play(a=TEXT)
    play.run("claude", "A", {b"a": ABSENT, b"b": TEXT})
    play.run("claude", "A", {b"b": File(data=b"nothing like it\n")})
    _renamed(play)
    play.decide("reject", EVERYTHING)
    assert play.disk == {b"a": TEXT}


def test_a_user_edits_a_renamed_file() -> None:
    """The user's lines stay when the rename is rejected: they go back with the file."""
    play = _play(a=TEXT)
    play.run("claude", "A", {b"a": ABSENT, b"b": _with(7, b"seven\n")})
    users = _with(20, b"mine\n", _with(7, b"seven\n"))
    play.save(b"b", users.data, users)
    _renamed(play)
    play.decide("reject", EVERYTHING)
    assert play.disk == {b"a": _with(20, b"mine\n")}


def test_a_move_that_a_tool_announced_needs_no_likeness() -> None:
    """``*** Move to:`` says it."""
    play = _play(a=TEXT)
    target = Target(path=b"a", action="move", move_to=b"b")
    started = play.start("claude", "A", target)
    play.put(b"a", ABSENT)
    play.put(b"b", File(data=b"rewritten\n"))
    play.finish(started)
    _renamed(play)


@pytest.mark.parametrize(
    ("old", "new", "pairs"),
    [
        (TEXT, TEXT, True),
        (TEXT, File(data=b"".join(LINES[:30])), True),
        (TEXT, File(data=b"".join(LINES[:15])), False),
        (TEXT, File(data=b"other\n" * 40), False),
        (File(data=b""), File(data=b""), False),
        (File(data=b"\0abc"), File(data=b"\0abc"), True),
        (File(data=b"\0abc"), File(data=b"\0abd"), False),
    ],
)
def test_what_pairs(old: File, new: File, pairs: bool) -> None:
    """Equal content, or at least half of the lines; never two empty files."""
    play = _play(a=old)
    play.run("claude", "A", {b"a": ABSENT, b"b": new})
    assert (play.pending().get(b"b") == "renamed") is pairs
    assert similarity(old.data, old.data) == 1.0


def test_two_authors_do_not_pair() -> None:
    """What one deleted and another one created are two changes."""
    play = _play(a=TEXT)
    play.prompt("codex", "B")
    play.run("claude", "A", {b"a": ABSENT})
    play.run("codex", "B", {b"b": TEXT})
    assert play.pending() == {b"a": "deleted", b"b": "created"}


def test_of_equal_files_the_names_tell() -> None:
    """A folder of equal files moves: each is paired with its namesake."""
    play = Play(disk={b"x/%d" % n: TEXT for n in range(5)})
    play.prompt("claude", "A")
    moved: dict[bytes, Entry] = {b"x/%d" % n: ABSENT for n in range(5)}
    play.run("claude", "A", {**moved, **{b"y/%d" % n: TEXT for n in range(5)}})
    origins = {s.path: s.origin for s in play.ledger.paths.values() if s.origin is not None}
    assert origins == {b"y/%d" % n: b"x/%d" % n for n in range(5)}


def test_only_one_half_can_be_written() -> None:
    """The other one changed meanwhile: it stays, pending, and nothing is lost."""
    play = _play(a=TEXT)
    play.run("claude", "A", {b"a": ABSENT, b"b": TEXT})
    play.meddle[b"b"] = File(data=b"unseen\n")
    answer = play.decide("reject", EVERYTHING)
    assert answer["refused"]
    assert play.disk == {b"a": TEXT, b"b": File(data=b"unseen\n")}
    play.cut()
    assert play.pending() == {b"b": "created"}
    check(play.ledger.paths[b"b"])


@pytest.mark.parametrize("turned", [False, True])
def test_what_was_moved_is_never_at_neither_path(turned: bool) -> None:
    """It goes when it is at the other path, and stays where that cannot be written."""
    play = _play(a=TEXT)
    moved = _with(7, b"seven\n")
    play.run("claude", "A", {b"a": ABSENT, b"b": moved})
    fails, there = (b"b", b"a") if turned else (b"a", b"b")
    if turned:
        play.decide("reject", EVERYTHING)
    disk = dict(play.disk)
    play.fails[fails] = "No space left on device"
    answer = play.undo() if turned else play.decide("reject", EVERYTHING)
    assert (play.disk, answer["written"]) == (disk, [])
    reasons = {one["path"]: one["reason"] for one in answer["refused"]}
    assert reasons[fails.decode()] == "No space left on device"
    assert f"{fails.decode()} could not be written" in reasons[there.decode()]
    play.fails.clear()
    play.undo() if turned else play.decide("reject", EVERYTHING)
    assert play.disk == ({b"b": moved} if turned else {b"a": TEXT})
    assert image(play.reload()) == image(play.ledger)


def test_a_pair_that_comes_back_brings_no_other_base() -> None:
    """P13: what was put aside is what pended only where the old path still has its base."""
    play = _play(a=TEXT)
    play.run("claude", "A", {b"a": ABSENT, b"b": _with(7, b"seven\n")})
    old, state = play.ledger.paths[b"a"], play.ledger.paths[b"b"]
    parking = Parking()
    parking.put(state, 0, 1)

    def back(pending: dict[bytes, PathState]) -> PathState | None:
        return parking.returning(b"b", ABSENT, state.cur, EXTERNAL, play.ledger.new_id, pending)

    assert back({}) == back({b"a": old}) == state
    assert back({b"a": replace(old, base=_with(2, b"two\n"))}) is None


def test_a_restart_forgets_no_pair() -> None:
    """P11."""
    play = _play(a=TEXT)
    play.run("claude", "A", {b"a": ABSENT, b"b": _with(7, b"seven\n")})
    reloaded = play.reload()
    assert image(reloaded) == image(play.ledger)
    assert reloaded.renamed == play.ledger.renamed == {b"b"}


@pytest.mark.parametrize("before", [0, 1])
def test_a_crash_before_the_old_path_follows_a_decision_parts_no_pair(before: int) -> None:
    """Only the decision is durable: at the next start the old path follows, as it would have."""
    play = _play(a=TEXT)
    play.run("claude", "A", {b"a": _with(30, b"thirty\n", _with(20, b"twenty\n"))})
    play.prompt("codex", "B")
    play.run("codex", "B", {b"a": ABSENT, b"b": play.disk[b"a"]})
    for hunk in _renamed(play).hunks[: before + 1]:
        play.decide("accept", Selection(picks=(HunkPick(hunk=hunk.id),)))
    live = _renamed(play)
    while not isinstance(play.records()[-1][1], DecisionMade):
        play.log.pop()
        play.read.clear()
    play.restart(play.reload())
    play.cut()
    assert _renamed(play) == live
    play.cut()
    play.run("codex", "B", {b"c": File(data=b"c\n")})
    assert _renamed(play) == live
    assert image(play.reload()) == image(play.ledger)
    play.decide("reject", EVERYTHING)
    assert play.disk == {b"a": live.base}


@pytest.mark.parametrize("edit", [False, True])
@pytest.mark.parametrize("mode", [0o644, 0o755])
@pytest.mark.parametrize("name", [b"b", b"with space", b"\xff\n", b"d/b"])
def test_git_applies_the_patch(tmp_path: Path, edit: bool, mode: int, name: bytes) -> None:
    """P1: base plus patch is what is there."""
    play = _play(a=TEXT)
    moved = _with(7, b"seven\n") if edit else TEXT
    moved = File(data=moved.data, mode=mode)
    play.run("claude", "A", {b"a": ABSENT, name: moved})
    text = b"".join(patch.render(state) for state in view.shown(play.ledger))
    (tmp_path / "a").write_bytes(TEXT.data)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run(["git", "apply", "-"], input=text, cwd=tmp_path, check=True)
    there = tmp_path / name.decode(errors="surrogateescape")
    assert there.read_bytes() == moved.data
    assert bool(there.stat().st_mode & 0o100) == bool(mode & 0o100)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("whole", [False, True])
def test_a_commit_has_a_rename_where_it_has_the_new_path(whole: bool) -> None:
    """``git commit -a`` leaves out what is not tracked yet: that is not reviewed."""
    play = _play(a=TEXT)
    play.run("claude", "A", {b"a": ABSENT, b"b": _with(3, b"three\n")})
    _renamed(play)
    play.handle(SessionEnded(agent="claude", session="A", received_ns=play.tick()))
    play.now += 2 * TAIL_NS
    contents: dict[bytes, Entry] = {b"a": ABSENT, **({b"b": play.disk[b"b"]} if whole else {})}
    play.handle(
        GitCommitted(
            commit="abc1234",
            contents=tuple(contents.items()),
            changed={path: entry.ref().oid or None for path, entry in contents.items()},
            received_ns=play.tick(),
        )
    )
    if whole:
        assert not play.pending()
        return
    _renamed(play)
    play.decide("reject", EVERYTHING)
    assert play.disk == {b"a": TEXT}


def test_a_rename_that_comes_back_leaves_another_base_alone() -> None:
    """Put aside as renamed; meanwhile its old path got another base: it returns as created."""
    play = _play(a=TEXT)
    play.run("claude", "A", {b"a": ABSENT, b"b": TEXT})
    _renamed(play)
    play.end("claude", "A")
    play.now += TAIL_NS + 1
    play.put(b"b", ABSENT)  # somebody moves it out of sight
    play.cut()
    play.decide("accept", EVERYTHING)
    other = File(data=b"another\n")
    play.save(b"a", other.data, other)
    play.prompt("claude", "B")
    play.run("claude", "B", {b"a": ABSENT})
    play.end("claude", "B")
    play.now += TAIL_NS + 1
    play.put(b"b", TEXT)
    play.cut()
    assert play.pending() == {b"a": "deleted", b"b": "created"}
    assert play.base(b"a") == other


def test_an_old_path_belongs_to_one_rename() -> None:
    """What was accepted as renamed comes back by undo, while its old path is another's by now."""
    play = _play(a=TEXT)
    play.run("claude", "A", {b"a": ABSENT, b"b": TEXT})
    play.decide("accept", EVERYTHING)
    other = File(data=b"".join(b"other %d\n" % n for n in range(9)))
    play.save(b"a", other.data, other)
    play.run("claude", "A", {b"a": ABSENT, b"c": other})
    _renamed(play, b"c")
    play.undo()
    play.cut()
    _renamed(play, b"b")
    assert play.pending() == {b"a": "deleted", b"b": "renamed", b"c": "created"}


def test_undo_on_the_old_path_gives_the_rename_its_older_base() -> None:
    """The accepted lines pend again, in the pair, and a redo accepts them again."""
    play = _play(a=TEXT)
    changed = _with(3, b"three\n")
    play.run("claude", "A", {b"a": changed})
    play.decide("accept", EVERYTHING)
    play.run("claude", "A", {b"a": ABSENT, b"b": changed})
    renamed = _renamed(play)
    assert renamed.base == changed
    assert not play.undo()["refused"]
    assert (_renamed(play).base, play.base(b"a")) == (TEXT, TEXT)
    assert len(_renamed(play).hunks) == 1
    play.cut()
    assert image(play.reload()) == image(play.ledger)
    assert not play.undo(redo=True)["refused"]
    assert (_renamed(play).base, _renamed(play).hunks) == (changed, ())
    assert _renamed(play).ids == renamed.ids
    assert not play.undo()["refused"]
    play.decide("reject", EVERYTHING)
    assert play.disk == {b"a": TEXT}


@pytest.mark.parametrize("at", [0, 20, 39])
@pytest.mark.parametrize("op", ["accept", "reject"])
@pytest.mark.parametrize("edit", [False, True])
def test_undo_on_the_old_path_keeps_what_the_user_typed_at_the_new_one(
    at: int, op: str, edit: bool
) -> None:
    """P6: it is in the base of both paths, before and after."""
    play = _play(a=TEXT)
    play.run("claude", "A", {b"a": _with(10, b"ten\n")})
    play.decide(op, EVERYTHING)
    play.cut()
    left = play.disk[b"a"]
    assert isinstance(left, File)
    moved = _with(30, b"thirty\n", left) if edit else left
    play.run("claude", "A", {b"a": ABSENT, b"b": moved})
    users = _with(at, b"user's\n", moved)
    play.save(b"b", users.data, users)
    assert not play.undo()["refused"]
    play.cut()
    assert _renamed(play).base == _with(at, b"user's\n")
    assert _renamed(play).cur == play.disk[b"b"] == _with(10, b"ten\n", users)
    assert len(_renamed(play).hunks) == 1 + edit
    assert image(play.reload()) == image(play.ledger)
    play.decide("reject", EVERYTHING)
    assert play.disk == {b"a": _with(at, b"user's\n")}


@pytest.mark.parametrize("renamer", ["claude", "codex"])
def test_undo_on_the_old_path_keeps_the_authors_of_what_was_moved(renamer: str) -> None:
    """P8: what pends again is not the renamer's, and the user's line in it stays when rejected."""
    play = _play(a=TEXT)
    play.prompt("codex", "B")
    play.run("claude", "A", {b"a": _with(10, b"A1\nA2\n")})
    users = _with(10, b"A1\nuser's\nA2\n")
    play.save(b"a", users.data, users)
    play.decide("accept", EVERYTHING)
    play.cut()
    play.run(renamer, "A" if renamer == "claude" else "B", {b"a": ABSENT, b"b": users})
    assert not play.undo()["refused"]
    play.cut()
    (hunk,) = _renamed(play).hunks
    assert [owner.agent for owner in hunk.new_owners] == ["claude", None, "claude"]
    play.decide("reject", EVERYTHING)
    assert b"user's\n" in split_lines(play.disk[b"a"].data)  # type: ignore[union-attr]
    assert b"A1\n" not in split_lines(play.disk[b"a"].data)  # type: ignore[union-attr]


def test_undo_on_the_old_path_leaves_the_rest_of_the_decision_to_another_undo() -> None:
    """A path that cannot be turned meanwhile stays undoable, though the rename counts twice."""
    play = _play(a=TEXT, c=_with(1, b"another\n"))
    changed = _with(3, b"three\n")
    play.run("claude", "A", {b"a": changed, b"c": File(data=b"c\n")})
    play.decide("accept", EVERYTHING)
    play.cut()
    play.run("claude", "A", {b"a": ABSENT, b"b": changed})
    play.fails = {b"c": "Permission denied"}
    answer = play.undo()
    assert [one["path"] for one in answer["refused"]] == ["c"]
    play.fails = {}
    assert [one["path"] for one in play.undo()["done"]] == ["c"]
    assert play.ledger.turns.target("cli", redo=False) is None


def test_undo_on_the_old_path_is_refused_where_the_new_one_was_decided() -> None:
    """Another decision is on top of it, under another name."""
    play = _play(a=TEXT)
    changed = _with(3, b"three\n")
    play.run("claude", "A", {b"a": changed})
    play.decide("accept", EVERYTHING)
    play.run("claude", "A", {b"a": ABSENT, b"b": _with(30, b"thirty\n", changed)})
    (hunk,) = _renamed(play).hunks
    play.decide("accept", Selection(picks=(HunkPick(hunk=hunk.id),)), client="nvim")
    (refusal,) = play.undo()["refused"]
    assert "renamed to b" in refusal["reason"]
    assert not play.undo(client="nvim")["refused"]
    assert not play.undo()["refused"]
    assert _renamed(play).base == TEXT


@pytest.mark.parametrize(("op", "half"), [("accept", b"b"), ("reject", b"a"), ("reject", b"b")])
def test_both_halves_of_a_rename_are_turned_or_neither(op: str, half: bytes) -> None:
    """One of the paths changed since: undone alone, the file would be at both of them."""
    play = _play(a=TEXT)
    play.run("claude", "A", {b"a": ABSENT, b"b": TEXT})
    play.decide(op, EVERYTHING)
    play.cut()
    play.run("claude", "A", {half: _with(3, b"three\n")})
    disk, pending = dict(play.disk), dict(play.ledger.paths)
    answer = play.undo()
    reasons = {one["path"]: one["reason"] for one in answer["refused"]}
    other = b"b" if half == b"a" else b"a"
    assert f"one rename with {half.decode()}" in reasons.pop(other.decode())
    assert "changed since" in reasons.pop(half.decode())
    assert (answer["done"], reasons) == ([], {})
    assert (play.disk, play.ledger.paths) == (disk, pending)


def test_an_undo_of_a_rename_whose_old_path_was_written_anew_turns_both() -> None:
    """They are no pair any more, and a reject gives back what was there before."""
    play = _play(a=TEXT)
    play.run("claude", "A", {b"a": ABSENT, b"b": TEXT})
    play.decide("accept", EVERYTHING)
    play.cut()
    play.run("claude", "A", {b"a": _with(3, b"three\n")})
    assert not play.undo()["refused"]
    play.cut()
    assert play.pending() == {b"a": "modified", b"b": "created"}
    play.decide("reject", EVERYTHING)
    assert play.disk == {b"a": TEXT}


@pytest.mark.parametrize("op", ["accept", "reject"])
@pytest.mark.parametrize("half", [b"a", b"b"])
@pytest.mark.parametrize("names", [(b"a", b"b"), (b"b", b"a"), (b"a", b"a/b"), (b"a/b", b"a")])
def test_an_unseen_write_to_one_half_leaves_the_other(
    op: str, half: bytes, names: tuple[bytes, bytes]
) -> None:
    """It is met while the undo is carried out: what was done already is taken back."""
    old, new = names
    play = _play()
    play.put(old, TEXT)
    play.seen = dict(play.disk)
    moved = _with(7, b"seven\n")
    play.run("claude", "A", {old: ABSENT, new: moved})
    play.decide(op, EVERYTHING)
    play.cut()
    met = old if half == b"a" else new
    unseen = File(data=b"unseen\n")
    expected = {**play.disk, met: unseen}
    play.meddle[met] = unseen
    answer = play.undo()
    assert {one["path"] for one in answer["refused"]} == {old.decode(), new.decode()}
    assert (answer["done"], play.disk) == ([], expected)
    assert image(play.reload()) == image(play.ledger)
    play.cut()
    assert set(play.pending()) <= {met}


def test_a_save_of_a_renamed_file_seen_half_done_keeps_it_renamed() -> None:
    """Some editors put a new file in the place of the old one: for a moment there is none."""
    play = _play(a=TEXT)
    play.run("claude", "A", {b"a": ABSENT, b"b": TEXT})
    typed = _with(3, b"typed\n")
    play.claim(b"b", typed.data)
    for seen in (ABSENT, typed):
        play.put(b"b", seen)
        play.cut()
    play.claim(b"b", typed.data, written=True)
    assert _renamed(play).base == typed
    play.decide("reject", EVERYTHING)
    assert play.disk == {b"a": typed}


def test_the_old_path_comes_to_life_with_what_the_user_wrote_meanwhile() -> None:
    """The call that moved it away gives it a new content; its removal was no half of that write."""
    play = _play(a=TEXT)
    started = play.start("claude", "A")
    play.put(b"a", ABSENT)
    play.put(b"b", TEXT)
    play.cut()
    typed = _with(3, b"typed\n")
    play.save(b"b", typed.data, typed)
    assert _renamed(play).base == typed
    play.put(b"a", File(data=b"something else\n"))
    play.finish(started)
    assert (play.base(b"a"), play.pending()) == (typed, {b"a": "modified", b"b": "created"})


@pytest.mark.parametrize("op", ["accept", "reject"])
@pytest.mark.parametrize("first", ["rename", "mode"])
def test_a_content_that_was_binary_for_a_while_has_an_id_of_its_own(first: str, op: str) -> None:
    """It is not that of the rename, or of the mode, which pended before: all can be decided."""
    play = _play(a=TEXT)
    path = b"a" if first == "mode" else b"b"
    if first == "mode":
        play.run("claude", "A", {b"a": File(data=TEXT.data, mode=0o755)})
    else:
        play.run("claude", "A", {b"a": ABSENT, b"b": TEXT})
    for data in (b"\0binary", _with(3, b"three\n").data):
        mode = 0o755 if first == "mode" else TEXT.mode
        play.run("claude", "A", {path: File(data=data, mode=mode)})
        check(play.ledger.paths[path])
    play.decide(op, EVERYTHING)
    assert not play.ledger.paths
    assert op == "accept" or play.disk == {b"a": TEXT}
