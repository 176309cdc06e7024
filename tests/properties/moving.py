"""What is taken away in steps, and comes back or arrives elsewhere, decided or not in between.

Rules of the state machine in `tests.properties.test_review_machine`; `tests.properties.test_moves`
has the like of them with a model of every line, on one file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TypeAlias

from hypothesis import strategies as st
from hypothesis.stateful import rule

from agentdiff.core.entries import ABSENT, Entry, File, Link
from agentdiff.core.events import GitMoved, Selection
from agentdiff.core.parking import has_lines
from agentdiff.core.pathstate import PathState, is_line_text
from agentdiff.core.renames import SIMILAR, similarity
from tests.properties.deciding import OPS, Deciding
from tests.properties.oracles import alike, lines
from tests.properties.strategies import BREAKS, GONE
from tests.properties.surroundings import AGENTS, PATH, SESSIONS
from tests.properties.test_owners import name_of
from tests.properties.typed import TYPED

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
        taken = self.play.disk.get(aside) or self.play.ledger.remembers(aside)
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

    @rule(
        by=MOVERS,
        old=PATH,
        new=PATH,
        left=st.sampled_from(["", "", "shim", "link"]),
        pause=BREAKS,
        data=st.data(),
    )
    def somebody_moves_it_in_steps(
        self, by: Author, old: bytes, new: bytes, left: str, pause: str, data: st.DataObject
    ) -> None:
        """P6, P13, P14: the user's lines are the user's where they are now; no base moves."""
        play, there = self.play, self.play.disk.get(old)
        if not (isinstance(there, File) and has_lines(there)) or not self._is_free(new, old):
            return
        play.cut()
        before, state, whole = self._bases(), play.ledger.paths.get(old), there
        wanted = _whose(state)
        # Of another call, and of what was new, only equal bytes are found; nothing holds together
        # what a stranger does in several readings.
        likely = not pause if by is None else pause != "call"
        if likely and _is_known_again(state) and data.draw(st.booleans()):
            whole = self._with_one_more(there)
        if similarity(there.data, whole.data) < SIMILAR:
            whole = there
        shim: Entry = ABSENT
        if left == "link":
            shim = Link(target=new)
        elif left == "shim" and len(there.data) > 40:  # what is left of a file is less
            shim = File(data=b"shim %d\n" % play.tick())
        steps = data.draw(st.permutations([(new, whole), (old, shim)]))
        with play.in_steps():
            self._does(by, steps, pause)
        assert before == self._bases()
        arrived = play.ledger.paths.get(new)
        if arrived is not None and arrived.origin not in (None, old, state and state.origin):
            return  # what went from elsewhere was the same
        found = _whose(arrived)
        assert {line: found.get(line) for line in wanted} == wanted
        play.follows(_typed_of(wanted), old, new)

    @rule(path=PATH, op=OPS, gone=GONE, by=st.tuples(AGENTS, MOVERS), first=st.booleans())
    def an_older_decision_is_undone(
        self, path: bytes, op: str, gone: Entry, by: tuple[tuple[str, str], Author], first: bool
    ) -> None:
        """P11, P14: over gone and back, with more in it: its lines are their authors' again."""
        play, state = self.play, self.play.ledger.paths.get(path)
        if state is None or not (state.hunks and has_lines(state.base)) or play.ledger.renamed:
            return
        wanted = _whose(state)
        answer = play.decide(op, Selection(paths=(path,), include_external=True))
        there = play.disk.get(path)
        if answer["refused"] or not isinstance(there, File):
            return
        first = first and op == "accept"  # else it comes back without what was rejected
        self._does(by[0], [(path, gone)])
        if first and play.undo()["refused"]:
            return
        self._does(by[1], [(path, self._with_one_more(there))])
        if not first and play.undo()["refused"]:
            return
        found = _whose(play.ledger.paths.get(path))
        assert {line: found.get(line) for line in wanted} == wanted

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
        self._does(by[0], [(new, there), (old, ABSENT)])
        if not last and _is_known_again(state):
            self._does(by[1], [(new, self._with_one_more(there))])
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
        return not play.ledger.remembers(path)

    def _with_one_more(self, there: File) -> File:
        """Returns a file with one more line at its top, which was never there.

        At the end it might make another line of the last one, which has no terminator.
        """
        return File(data=b"line at %d\n" % self.play.tick() + there.data, mode=there.mode)

    def _does(self, by: Author, steps: Sequence[tuple[bytes, Entry]], pause: str = "") -> None:
        """Lets somebody write in steps: seen in one reading, in several, or in a call for each."""
        play = self.play
        if by is None:
            self._rest()
        call = None if by is None else play.start(*by)
        for n, (path, entry) in enumerate(steps):
            if n and pause:
                play.cut()
            if n and pause == "call" and by is not None and call is not None:
                play.finish(call)
                call = play.start(*by)
            play.put(path, entry)
        play.cut()
        if call is not None:
            play.finish(call)


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


def _typed_of(whose: dict[bytes, str]) -> set[bytes]:
    """Returns the typed lines among some lines that are the user's."""
    users = [line for line, name in whose.items() if name == "user"]
    return set(TYPED.findall(b"".join(users)))
