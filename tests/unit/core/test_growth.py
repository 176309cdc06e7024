"""What was decided is in the log and not in memory: what is kept is what pends, and little more."""

from __future__ import annotations

import gc
import sys
from types import FunctionType, ModuleType

from agentdiff.core.entries import File
from agentdiff.core.events import Selection, TimePassed
from tests.play import Play

PATHS = [b"d/file %d" % n for n in range(20)]
HUNKS = 40
ROUNDS = 6
# A round adds a call, a decision, a step, and every third time the notes that were told.  What it
# decides takes fifty times as much.
ALLOWED_BYTES = 10_000
EVERYTHING = Selection(everything=True)


def reachable(root: object) -> int:
    """Returns how many bytes the objects take that are kept by one."""
    seen: dict[int, object] = {}
    todo = [root]
    while todo:
        one = todo.pop()
        if id(one) in seen or isinstance(one, type | ModuleType | FunctionType):
            continue
        seen[id(one)] = one
        todo += gc.get_referents(one)
    return sum(sys.getsizeof(one) for one in seen.values())


def text(number: int) -> File:
    """Returns a content with `HUNKS` lines that no other number has."""
    lines = [b"line %d\n" % n for n in range(3 * HUNKS)]
    lines[::3] = [b"line %d of %d\n" % (n, number) for n in range(HUNKS)]
    return File(data=b"".join(lines))


def one_round(play: Play, number: int) -> None:
    """An agent writes everything, and all of it is decided in one of several ways."""
    play.run("claude", "A", {path: text(number) for path in PATHS})
    play.decide("reject" if number % 3 == 0 else "accept", EVERYTHING)
    play.cut()
    if number % 3 == 1:
        play.undo()
        play.undo(redo=True)
    waiting = play.ledger.feedback.waiting_for("claude", "A", play.now)
    for command in play.ledger.feedback.telling(waiting, "claude", "A", play.now):
        play.perform(command)
    play.now += 600 * 1_000_000_000
    play.handle(TimePassed(received_ns=play.tick()))


def test_memory_does_not_grow_with_what_was_decided() -> None:
    """Every decision can be undone all the same, from the log, also after a restart."""
    play = Play(disk={path: text(0) for path in PATHS})
    play.prompt("claude", "A")
    for number in range(1, 4):
        one_round(play, number)
    before, again = reachable(play.ledger), reachable(play.reload())
    for number in range(4, 4 + ROUNDS):
        one_round(play, number)
    assert reachable(play.ledger) - before < ROUNDS * ALLOWED_BYTES
    play.restart(play.reload())
    assert reachable(play.ledger) - again < ROUNDS * ALLOWED_BYTES
    assert play.ledger.changed_at == {}
    assert not play.undo()["refused"]
    assert play.disk == {path: text(3 + ROUNDS) for path in PATHS}
