"""What `tests.properties.typed` lets go, and what it does not, by example."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agentdiff.core.commands import WriteEntry
from agentdiff.core.entries import ABSENT, File
from agentdiff.core.events import EntryWritten, Selection
from tests.properties.typed import Watched

A, B = b"a", b"b"
AGENT = ("claude", "A")
LINES = [b"line %d\n" % n for n in range(8)]
EVERYTHING = Selection(everything=True, include_external=True)


class Careless(Watched):
    """A workspace in which what is written loses one line."""

    loses = b"never typed"

    def swap(self, command: WriteEntry) -> EntryWritten:
        """Writes all but that line."""
        if isinstance(command.write, File):
            data = command.write.data.replace(self.loses + b"\n", b"")
            command = replace(command, write=File(data=data, mode=command.write.mode))
        return super().swap(command)


def _play() -> Careless:
    play = Careless(disk={A: File(data=b"".join(LINES))})
    play.prompt(*AGENT)
    return play


def _type(play: Watched, at: int) -> bytes:
    """Lets the user type a line above a line of the file; returns it."""
    line, there = play.line(), play.disk[A]
    assert isinstance(there, File)
    lines = there.data.splitlines(keepends=True)
    data = b"".join([*lines[:at], line + b"\n", *lines[at:]])
    play.save(A, data, File(data=data))
    play.types(A, line)
    assert play.alive[line] == A
    return line


def _agent_deletes(play: Watched, *lines: bytes) -> None:
    there = play.disk[A]
    assert isinstance(there, File)
    kept = [line for line in there.data.splitlines(keepends=True) if line not in lines]
    play.run(*AGENT, {A: File(data=b"".join(kept))})


def test_an_undo_takes_the_lines_that_its_decision_brought() -> None:
    """What a reject put back goes again with its undo, also of half of a move."""
    play = _play()
    typed = _type(play, at=4)
    there = play.disk[A]
    play.run(*AGENT, {A: ABSENT, B: there})
    assert play.alive == {typed: B}
    play.meddle[A] = File(data=b"a\n")  # the pair comes apart: each half is decided alone
    play.decide("reject", Selection(paths=(A,)))
    play.cut()
    play.decide("reject", EVERYTHING)
    assert play.alive == {typed: A}
    play.fails = {B: "Permission denied"}
    assert play.undo()["refused"]
    assert play.alive == {}
    play.fails.clear()
    play.undo(redo=True)
    assert play.alive == {typed: A}


def test_an_undo_takes_no_line_that_another_decision_brought() -> None:
    """Also what a reject has put back is followed from then on."""
    play = _play()
    first, second = _type(play, at=2), _type(play, at=7)
    _agent_deletes(play, first + b"\n", second + b"\n")
    assert play.alive == {}
    play.decide("reject", EVERYTHING)
    assert play.alive == {first: A, second: A}
    _agent_deletes(play, LINES[4])
    play.decide("reject", EVERYTHING)
    play.loses = second
    with pytest.raises(AssertionError, match="typed 00002"):
        play.undo()


def test_what_is_given_up_is_what_pends() -> None:
    """Neither a reject that spares nothing, nor its redo, takes a line outside of hunks."""
    play = _play()
    outside = _type(play, at=1)
    play.run(*AGENT, {A: File(data=play.disk[A].data + b"x\ny\n")})  # type: ignore[union-attr]
    inside = _type(play, at=10)
    play.decide("reject", EVERYTHING, discard_user=True)
    assert play.alive == {outside: A}
    play.undo()
    assert play.alive == {outside: A, inside: A}
    play.loses = outside
    with pytest.raises(AssertionError, match="typed 00001"):
        play.undo(redo=True)
