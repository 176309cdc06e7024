"""P6, P8, P11: whatever is undone, and whenever, nobody's typed line goes from the disk.

Histories of two agents and a user in files that are renamed, with writes that are seen half done,
late or not at all, restarts, decisions, undos and redos.  Each line that the user types is there
once and for good: agents write around it.
"""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from agentdiff.core.entries import ABSENT, Entry, File
from agentdiff.core.events import HunkPick, Selection
from agentdiff.core.pathstate import check
from tests.play import Play, image

PATHS = [b"f", b"g", b"h"]
TEXT = b"".join(b"line %d\n" % n for n in range(12))
EVERYTHING = Selection(everything=True, include_external=True)
AGENTS = [("claude", "A"), ("codex", "B")]
WRITES = ["agent", "agent in steps", "move", "user", "user late", "user in steps", "user hidden"]
DECISIONS = ["accept", "reject", "accept one", "reject one", "undo", "redo", "restart"]


class History:
    """One history, as it is drawn."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data
        self.play = Play(disk={PATHS[0]: File(data=TEXT)})
        self.play.attach()
        for agent in AGENTS:
            self.play.prompt(*agent)
        self.count = 0

    def typed(self) -> set[bytes]:
        """Returns the lines of the user's that are on disk."""
        texts = [one.data for one in self.play.disk.values() if isinstance(one, File)]
        return set(re.findall(rb"user's \d+\n", b"".join(texts)))

    def edited(self, text: bytes, who: bytes) -> File:
        """Draws what somebody makes of a text: a line more, or one of an agent's instead."""
        self.count += 1
        lines = text.splitlines(keepends=True)
        at = self.data.draw(st.integers(0, len(lines)))
        taken = who == b"agent's" and at < len(lines) and b"user's" not in lines[at]
        end = at + (taken and self.data.draw(st.booleans()))
        lines[at:end] = [b"%s %d\n" % (who, self.count)]
        return File(data=b"".join(lines))

    def write(self, op: str) -> None:
        """Lets somebody write."""
        play = self.play
        files = [path for path in PATHS if isinstance(play.disk.get(path), File)]
        path, agent = self.data.draw(st.tuples(st.sampled_from(files), st.sampled_from(AGENTS)))
        there = play.disk[path]
        assert isinstance(there, File)
        if op == "move":
            self.move(path, there, agent)
        elif op.startswith("agent"):
            started = play.start(*agent)
            self.put(path, self.edited(there.data, b"agent's"), in_steps=op == "agent in steps")
            play.finish(started)
        else:
            self.save(op, path, self.edited(there.data, b"user's"), agent)

    def move(self, path: bytes, there: File, agent: tuple[str, str]) -> None:
        """Lets an agent rename a file, and edit it on the way or not."""
        to = next((one for one in PATHS if one not in self.play.disk), None)
        if to is not None:
            new = self.data.draw(st.sampled_from([there, self.edited(there.data, b"agent's")]))
            self.play.run(*agent, {path: ABSENT, to: new})

    def put(self, path: bytes, new: File, *, in_steps: bool) -> None:
        """Writes, seen truncated first or not."""
        part = File(data=new.data[: self.data.draw(st.integers(0, len(new.data) - 1))])
        steps: list[Entry] = [part, new] if in_steps else [new]
        for entry in steps:
            self.play.put(path, entry)
            self.play.cut()

    def save(self, op: str, path: bytes, new: File, agent: tuple[str, str]) -> None:
        """Lets the user save, while an agent's command runs or not."""
        play, since_ns = self.play, self.play.tick()
        if op == "user":
            play.save(path, new.data, new)
            return
        if op != "user late":
            play.claim(path, new.data)
        started = None if op == "user in steps" else play.start(*agent)
        on_disk = self.edited(new.data, b"agent's") if op == "user hidden" else new
        self.put(path, on_disk, in_steps=op == "user in steps")
        play.claim(path, new.data, written=True, since_ns=since_ns)
        if started is not None:
            play.finish(started)

    def decide(self, op: str) -> None:
        """Decides everything or one change, or turns a decision."""
        play, verb = self.play, op.split()[0]
        if op == "restart":
            play.restart(play.reload())
            play.attach()
        elif verb in ("undo", "redo"):
            play.undo(redo=verb == "redo")
        elif op == verb:
            play.decide(verb, EVERYTHING)
        elif ids := [one for state in play.ledger.paths.values() for one in state.ids]:
            pick = HunkPick(hunk=self.data.draw(st.sampled_from(ids)))
            play.decide(verb, Selection(picks=(pick,)))


@given(data=st.data(), ops=st.lists(st.sampled_from(WRITES + 2 * DECISIONS), max_size=12))
def test_no_turn_of_a_decision_costs_a_line_that_was_typed(
    data: st.DataObject, ops: list[str]
) -> None:
    """Neither at once, nor when all that pends after it is rejected."""
    history = History(data)
    history.write("agent")
    for op in [*ops, "undo", "reject"]:
        before = history.typed()
        if op in WRITES and history.play.disk:
            history.write(op)
        elif op in DECISIONS:
            history.decide(op)
        assert before <= history.typed(), op
        history.play.cut()
        for state in history.play.ledger.paths.values():
            check(state)
    assert image(history.play.reload()) == image(history.play.ledger)
