"""What is taken away, and comes back or arrives elsewhere, with or without a decision in between.

Rules of the state machine in `tests.properties.test_review_machine`; `tests.properties.test_moves`
has the like of them with a model of every line, on one file.
"""

from __future__ import annotations

from collections import Counter
from typing import TypeAlias

from hypothesis import strategies as st
from hypothesis.stateful import rule

from agentdiff.core.entries import ABSENT, Entry, File
from agentdiff.core.events import GitMoved, Selection
from agentdiff.core.parking import has_lines
from agentdiff.core.pathstate import PathState, is_line_text
from tests.properties.deciding import Deciding
from tests.properties.oracles import alike, lines
from tests.properties.surroundings import AGENTS, PATH, SESSIONS
from tests.properties.test_owners import name_of

Author: TypeAlias = tuple[str, str] | None
MOVERS: st.SearchStrategy[Author] = st.sampled_from([None, *SESSIONS])

# What is decided about a path and then undone: nothing, or turned as often as that says.
TURNS = st.sampled_from(["", "", "undo", "undo redo undo"])


class Moving(Deciding):
    """Rules of what is not where it was."""

    @rule(path=PATH, aside=PATH, by=st.tuples(AGENTS, AGENTS), turns=TURNS, data=st.data())
    def agents_take_it_away_and_bring_it_back(
        self, path: bytes, aside: bytes, by: tuple[tuple[str, str], tuple[str, str]], turns: str,
        data: st.DataObject,
    ) -> None:  # fmt: skip
        """``mv f f.bak``, ``mv f.bak f``, or deleted and written again: nothing has changed.

        Neither has it where what pended in between was decided, and that was undone.
        """
        there, before = self.play.disk.get(path), self.play.ledger.paths.get(path)
        taken = self.play.disk.get(aside) or self.play.ledger.paths.get(aside)
        if not isinstance(there, File) or (taken and path != aside):
            return
        to = {aside: there} if aside != path else {}
        self.play.run(*by[0], {**to, path: ABSENT})
        if turns and not self._is_decided_and_undone(data, path, aside, turns):
            return
        self.play.run(*by[1], {**dict.fromkeys(to, ABSENT), path: there})
        assert alike(before, self.play.ledger.paths.get(path))

    def _is_decided_and_undone(
        self, data: st.DataObject, path: bytes, aside: bytes, turns: str
    ) -> bool:
        """Decides one of two paths and takes that back; returns whether nothing was refused."""
        op, one = data.draw(st.sampled_from(["accept", "reject"])), st.sampled_from([path, aside])
        chosen = Selection(paths=(data.draw(one),), include_external=True)
        disk, away = dict(self.play.disk), dict(self.play.away)
        answer = self.play.decide(op, chosen)
        self.play.cut()
        for turn in turns.split() if answer["decision"] is not None else ():
            if answer["refused"]:
                return False
            answer = self.play.undo(redo=turn == "redo")
            self.play.cut()
        if not answer["refused"]:
            assert disk == self.play.disk
            self.play.away = away  # nothing was decided: what went may return as it was
        return not answer["refused"]

    @rule(by=st.tuples(AGENTS, MOVERS), old=PATH, new=PATH, named=st.booleans(), last=st.booleans())
    def git_says_late_what_an_agent_moved(
        self, by: tuple[tuple[str, str], Author], old: bytes, new: bytes, named: bool, last: bool
    ) -> None:
        """P13, P14: told after the reading, or after the next change, it moves no base and line."""
        play, there = self.play, self.play.disk.get(old)
        if not (isinstance(there, File) and has_lines(there)) or not self._is_free(new, old):
            return
        self._forget()
        before, state = self._bases(), play.ledger.paths.get(old)
        wanted = _whose(state)
        self._does(by[0], {new: there, old: ABSENT})
        if not last and _is_known_again(state):
            self._does(by[1], {new: self._with_one_more(there)})
        contents = {new: there.oid, **({old: None} if named else {})}
        play.handle(GitMoved(label="checkout", contents=contents, received_ns=play.tick()))
        play.cut()
        self._forget()
        assert before == self._bases()
        found = _whose(play.ledger.paths.get(new))
        assert {line: found.get(line) for line in wanted} == wanted

    def _is_free(self, path: bytes, other: bytes) -> bool:
        """Makes room for the file of another path, unless it was just there before."""
        play, state = self.play, self.play.ledger.paths.get(other)
        if path == other or (state is not None and state.origin == path):
            return False
        play.put(path, ABSENT)
        play.cut()
        play.decide("accept", Selection(paths=(path,), include_external=True))
        there = play.disk.get(other)
        waits = isinstance(there, File) and self._waits(path, there)
        return path not in play.ledger.paths and not waits

    def _with_one_more(self, there: File) -> File:
        """Returns a file with one more line at its end, which was never there."""
        end = b"" if there.data.endswith(b"\n") else b"\n"
        line = b"line at %d\n" % self.play.tick()
        return File(data=there.data + end + line, mode=there.mode)

    def _does(self, by: Author, changes: dict[bytes, Entry]) -> None:
        """Lets an agent run a command, or somebody else write when no agent can have."""
        if by is not None:
            self.play.run(*by, changes)
            return
        self._rest()
        for path, entry in changes.items():
            self.play.put(path, entry)
        self.play.cut()


def _is_known_again(state: PathState | None) -> bool:
    """Whether a file that pends with one more line is the same still: not a new or short one."""
    return state is not None and has_lines(state.base) and len(lines(state.cur)) > 2


def _whose(state: PathState | None) -> dict[bytes, str]:
    """Returns who wrote each line that pends, and is nowhere else in the file or its base."""
    if state is None or not (is_line_text(state.base) and is_line_text(state.cur)):
        return {}
    text, found = state.text, dict[bytes, str]()
    times = Counter([*text.base, *text.cur])
    for hunk in state.hunks:
        for line, owner in zip(text.cur[hunk.b0 : hunk.b1], hunk.new_owners, strict=True):
            if times[line] == 1 and line.endswith(b"\n"):
                found[line] = name_of(owner)
    return found
