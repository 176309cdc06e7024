"""Writing an edited review: one decision of the user, compared with the disk, and undone."""

from __future__ import annotations

from typing import Any

import pytest

from agentdiff.core.entries import File
from agentdiff.core.events import BlockEdit, EditRequested, Selection
from tests.play import Play

F = b"f"
BASE = b"one\ntwo\nthree\n"
BEFORE = (" one", "-two", "+zwei", "+drei", " three")


def changed() -> Play:
    """Returns a workspace in which an agent made two lines of one."""
    play = Play(disk={F: File(data=BASE)})
    play.prompt("claude", "s")
    play.run("claude", "s", {F: File(data=b"one\nzwei\ndrei\nthree\n")})
    return play


def edit(play: Play, *after: str, before: tuple[str, ...] = BEFORE, **more: Any) -> BlockEdit:
    """Returns an edit of the one hunk."""
    (hunk,) = play.ledger.paths[F].hunks
    named = {"hunk": hunk.id, "gen": hunk.gen, "before": before, **more}
    return BlockEdit(after=after, **named)


def write(play: Play, *edits: BlockEdit) -> dict[str, Any]:
    """Writes the edits and returns the answer."""
    play.handle(EditRequested(edits=edits, client="nvim", received_ns=play.tick()))
    return play.answers[-1]


def text(play: Play) -> bytes:
    """Returns what is on disk."""
    entry = play.disk[F]
    assert isinstance(entry, File)
    return entry.data


def test_the_new_side_is_written_and_undone() -> None:
    """One decision, which the client's undo takes back and its redo repeats."""
    play = changed()
    answer = write(play, edit(play, " one", "-two", "+zwei!", " three"))
    seen = [text(play)]
    play.undo(client="nvim")
    seen.append(text(play))
    play.undo(client="nvim", redo=True)
    assert (answer["op"], answer["written"]) == ("edit", ["f"])
    assert [*seen, text(play)] == [
        b"one\nzwei!\nthree\n",
        b"one\nzwei\ndrei\nthree\n",
        b"one\nzwei!\nthree\n",
    ]


def test_what_was_typed_is_the_users() -> None:
    """It stays when the agent's part of the hunk is rejected."""
    play = changed()
    write(play, edit(play, " one", "-two", "+zwei", "+mine", " three"))
    kinds = {kind for kind, *_ in play.owners(F)}
    play.decide("reject", Selection(everything=True))
    assert (kinds, text(play)) == ({"user", "agent"}, b"one\ntwo\nmine\nthree\n")


def test_a_context_line_changes_both_sides() -> None:
    """The user's own line never pends."""
    play = changed()
    write(play, edit(play, " eins", "-two", "+zwei", "+drei", " three"))
    base = play.ledger.paths[F].base
    assert isinstance(base, File)
    assert (base.data, text(play)) == (b"eins\ntwo\nthree\n", b"eins\nzwei\ndrei\nthree\n")


def test_a_removed_line_that_became_context_is_back() -> None:
    """With everything added deleted nothing pends any more."""
    play = changed()
    write(play, edit(play, " one", " two", " three"))
    assert (text(play), play.ledger.paths) == (BASE, {})


@pytest.mark.parametrize(
    ("after", "more", "reason"),
    [
        ((" one", "+zwei", " three"), {}, "removed line"),
        ((" one", "-zwo", "+zwei", " three"), {}, "removed line"),
        ((" one", "-two", "zwei"), {}, "in front): 'zwei'"),
        ((" one", "-two"), {"gen": 1}, "changed since it was shown"),
        ((" one", "-two"), {"hunk": 99}, "hunk 99 is gone"),
        ((" one", "-two"), {"before": (" eins", *BEFORE[1:])}, "lines around it changed"),
    ],
)
def test_a_refusal_says_why(after: tuple[str, ...], more: dict[str, Any], reason: str) -> None:
    """And writes nothing."""
    play = changed()
    answer = write(play, edit(play, *after, **more))
    (refused,) = answer["refused"]
    assert reason in refused["reason"]
    assert (text(play), answer["done"]) == (b"one\nzwei\ndrei\nthree\n", [])


def test_all_edits_or_none() -> None:
    """One of two is refused: the other is not written either."""
    play = changed()
    good = edit(play, " one", "-two", "+zwei!", " three")
    write(play, good, edit(play, " one", hunk=99))
    assert text(play) == b"one\nzwei\ndrei\nthree\n"


def test_a_disk_that_moved_on_is_not_overwritten() -> None:
    """The write compares with what was edited."""
    play = changed()
    play.meddle[F] = File(data=b"somebody else\n")
    answer = write(play, edit(play, " one", "-two", "+zwei!", " three"))
    assert (text(play), answer["done"]) == (b"somebody else\n", [])
    assert [one["reason"] for one in answer["refused"]] == [
        "the file changed meanwhile (now a file of 14 bytes): look again"
    ]


def test_a_restart_forgets_no_edit() -> None:
    """The log replays to the same state."""
    play = changed()
    write(play, edit(play, " one", "-two", "+zwei!", " three"))
    live = play.ledger.paths
    assert play.reload().paths == live


def test_untouched_bytes_stay_as_they_were() -> None:
    """What a screen cannot show is kept; typing over it is refused."""
    play = Play(disk={F: File(data=b"\xff\xfe\nb\n")})
    play.prompt("claude", "s")
    play.run("claude", "s", {F: File(data=b"\xff\xfe\nB\n\xfe\n")})
    rows = (" ��", "-b", "+B", "+�")
    refused = write(play, edit(play, " ��", "-b", "+B", "+� typed", before=rows))["refused"]
    write(play, edit(play, " ��", "-b", "+b2", "+�", before=rows))
    assert ("cannot be shown" in refused[0]["reason"], text(play)) == (
        True,
        b"\xff\xfe\nb2\n\xfe\n",
    )
