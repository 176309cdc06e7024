"""What was rejected can be read again, and put back."""

from __future__ import annotations

from agentdiff.core.entries import ABSENT, File
from agentdiff.core.events import Selection
from agentdiff.core.rejected import rejected
from tests.play import Play

F = b"f"
BASE = File(data=b"one\ntwo\nthree\n")
CHANGED = File(data=b"one\nzwei\nthree\n")


def changed() -> Play:
    """Returns a workspace in which an agent changed a file and made another."""
    play = Play(disk={F: BASE})
    play.prompt("claude", "s")
    play.run("claude", "s", {F: CHANGED, b"new": File(data=b"text\n")})
    return play


def listed(play: Play, limit: int = 9) -> list[tuple[str, str]]:
    """Returns (path, patch) of everything rejected."""
    found = rejected(play.ledger, play.recall.items, play.contents.__getitem__, limit)
    return [(item["path"], item["patch"]) for item in found]


def test_a_rejected_text_is_a_patch_that_puts_it_back() -> None:
    """From what the reject left."""
    play = changed()
    play.decide("reject", Selection(paths=(F,)), reason="no German")
    (item,) = rejected(play.ledger, play.recall.items, play.contents.__getitem__)
    assert (item["op"], item["reason"]) == ("reject", "no German")
    assert item["patch"].endswith("@@ -1,3 +1,3 @@\n one\n-two\n+zwei\n three\n")


def test_what_was_undone_is_not_listed() -> None:
    """It is on disk again; a redo takes it away again."""
    play = changed()
    play.decide("reject", Selection(paths=(F,)))
    play.undo()
    undone = listed(play)
    play.undo(redo=True)
    assert (undone, [path for path, _ in listed(play)]) == ([], ["f"])


def test_an_accept_is_not_listed() -> None:
    """Nothing went from the disk."""
    play = changed()
    play.decide("accept", Selection(everything=True))
    assert listed(play) == []


def test_the_newest_come_first_and_not_too_many() -> None:
    """A file that was created has all its lines in the patch."""
    play = changed()
    play.decide("reject", Selection(paths=(F,)))
    play.decide("reject", Selection(paths=(b"new",)))
    assert play.disk.get(b"new", ABSENT) == ABSENT
    ((path, patch),) = listed(play, limit=1)
    assert (path, patch.endswith("@@ -0,0 +1 @@\n+text\n")) == ("new", True)
