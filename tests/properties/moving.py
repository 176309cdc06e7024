"""What is taken away in steps, and comes back or arrives elsewhere, decided or not in between.

Rules of the state machine in `tests.properties.test_review_machine`; `tests.properties.test_moves`
has the like of them with a model of every line, on one file.
"""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import rule

from agentdiff.core.entries import ABSENT, File
from agentdiff.core.events import Selection
from tests.properties.deciding import Deciding
from tests.properties.oracles import alike
from tests.properties.surroundings import AGENTS, PATH

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
