"""Moves in the ledger: an agent's change with a line of the user's in it, and what holds of it."""

from agentdiff.core.entries import ABSENT, Entry, File
from agentdiff.core.events import HunkPick, Selection
from agentdiff.core.pathstate import check
from tests.play import Play, image

LINES = [b"line %d\n" % n for n in range(12)]
BASE = File(data=b"".join(LINES))
OURS = [*LINES[:5], b"A1\n", b"A2\n", b"A3\n", *LINES[5:]]
MIXED = File(data=b"".join([*OURS[:6], b"USER\n", *OURS[6:]]))
EVERYTHING = Selection(everything=True, include_external=True)
AGENT, MOVER = ("claude", "A"), ("codex", "B")
WRITTEN = {b"A1\n": "A", b"USER\n": "user", b"A2\n": "A", b"A3\n": "A"}
KEPT = {b"f": b"".join([*LINES[:5], b"USER\n", *LINES[5:]])}


def two_agents(**disk: Entry) -> Play:
    """Two agents at work in a workspace with these files."""
    play = Play(disk={name.encode(): entry for name, entry in disk.items()})
    play.attach()
    play.prompt(*AGENT)
    play.prompt(*MOVER)
    return play


def type_line(play: Play, path: bytes, after: bytes = b"A1\n", typed: bytes = b"USER\n") -> File:
    """The user types a line behind another one, and saves."""
    there = play.disk[path]
    assert isinstance(there, File)
    new = File(data=there.data.replace(after, after + typed, 1), mode=there.mode)
    play.save(path, new.data, new)
    return new


def lines_of_change(change: int, first: int, last: int) -> Selection:
    """Selects some of the new lines of a change."""
    return Selection(picks=(HunkPick(hunk=change, old=(0, 0), new=(first, last)),))


def mixed_file() -> Play:
    """The agent inserted three lines into a file, and the user one between them."""
    play = two_agents(f=BASE)
    play.run(*AGENT, {b"f": File(data=b"".join(OURS))})
    assert type_line(play, b"f") == MIXED
    return play


def new_file() -> Play:
    """The agent made a file, and the user typed a line in it."""
    play = two_agents()
    play.run(*AGENT, {b"f": File(data=b"A1\nA2\nA3\n")})
    type_line(play, b"f")
    return play


def move_file(
    play: Play, old: bytes, new: bytes, by: tuple[str, str] = MOVER, head: bytes = b""
) -> None:
    """Somebody's command moves a file, and may put a line at its head."""
    there = play.disk[old]
    assert isinstance(there, File)
    play.run(*by, {old: ABSENT, new: File(data=head + there.data, mode=there.mode)})


def who_wrote(play: Play, path: bytes) -> dict[bytes, str | None]:
    """Returns line → session that wrote it, ``user`` for the user, of every line that pends."""
    state = play.ledger.paths[path]
    wrote: dict[bytes, str | None] = {}
    for hunk in state.hunks:
        for line, owner in zip(state.text.cur[hunk.b0 : hunk.b1], hunk.new_owners, strict=True):
            wrote[line] = "user" if owner.proved else owner.session or owner.kind
    return wrote


def holds(play: Play, *, left: dict[bytes, bytes]) -> None:
    """A restart forgets nothing; accepted, nothing is written; rejected, `left` is; both undone."""
    for state in play.ledger.paths.values():
        check(state)
    assert image(play.reload()) == image(play.ledger)
    pending, disk = image(play.ledger)["paths"], dict(play.disk)
    for op, after in (("accept", None), ("reject", left)):
        assert play.decide(op, EVERYTHING)["refused"] == []
        assert not play.ledger.paths
        assert texts(play) == (texts_of(disk) if after is None else after)
        assert play.undo()["refused"] == []
        assert (image(play.ledger)["paths"], play.disk) == (pending, disk)
        assert image(play.reload()) == image(play.ledger)
    play.restart(play.reload())
    play.decide("reject", EVERYTHING)
    assert texts(play) == left
    play.cut()
    assert not play.ledger.paths


def texts(play: Play) -> dict[bytes, bytes]:
    """Returns what each file holds."""
    return texts_of(play.disk)


def texts_of(disk: dict[bytes, Entry]) -> dict[bytes, bytes]:
    """Returns what each file of a disk holds."""
    return {path: entry.data for path, entry in disk.items() if isinstance(entry, File)}
