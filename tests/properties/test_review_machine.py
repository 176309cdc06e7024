"""P1–P14: one state machine over whole histories.

Every rule is something that happens to a workspace: here what agents, strangers and the user do;
in `tests.properties.deciding` what people decide, edit and take back; in
`tests.properties.moving` what is moved, or gone and back; in
`tests.properties.surroundings` git, formatters and events that go astray.  After each of them the
machine is sound (`ReviewMachine.states_are_sound`); what a rule itself must not do is asserted in
it.  What the user types is unique, and `tests.properties.typed` follows it through everything.

Where each property is checked:

* P1, P9, P10, P14: `ReviewMachine.states_are_sound`, after every step; P1 also by ``git apply`` in
  `tests.properties.test_patch`, P14 against a model in `tests.properties.test_owners`.
* P2, P3: `Deciding.decide_everything`, `Surroundings.somebody_commits`.
* P4: `tests.properties.test_order`.
* P5: `Deciding.decide_some`, `Deciding.decide_lines` (against `tests.properties.oracles`).
* P6: `ReviewMachine.user_saves`, `ReviewMachine.user_saves_seen_half_done`,
  `Surroundings.user_saves_and_formats`, `tests.properties.test_user_text`; over whole histories
  `tests.properties.typed`, at every decision, undo and redo.
* P7: `ReviewMachine.agent_undoes_itself`.
* P8: `Deciding.decide_by_owner`, `tests.properties.test_owners`, `tests.properties.test_user_text`;
  over moves and rewritings in steps `tests.properties.test_moves`.
* P11: `Deciding.undo_and_redo`, `Deciding.everything_goes_back_to_a_turn`, `ReviewMachine.crash`,
  `Deciding.killed_while_it_decides`,
  `tests.properties.test_replay`.
* P12: `ReviewMachine.reject_races_with_a_write`.
* P13: every rule in which nothing proves a write; `Surroundings.agent_is_half_heard`,
  `Surroundings.late_events_arrive`.
* P15: ``tests/unit/daemon/test_no_traces.py``, ``tests/unit/workspace/test_upkeep.py``, on a real
  disk.
"""

from __future__ import annotations

import itertools

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from agentdiff.core.entries import ABSENT, Absent, Entry, File
from agentdiff.core.events import HunkPick, Selection, Target
from agentdiff.core.hunks import glued
from agentdiff.core.observing import observe
from agentdiff.core.owners import USER
from agentdiff.core.parking import has_lines
from agentdiff.core.pathstate import check, is_line_text
from agentdiff.core.proofs import CLAIM_NS
from agentdiff.core.records import PathChanged
from tests.play import image
from tests.properties.moving import Moving
from tests.properties.oracles import alike, keeps_proved
from tests.properties.strategies import edits, entries, texts
from tests.properties.surroundings import AGENTS, PATH, PATHS, SESSIONS, WHEN, plain
from tests.properties.typed import Watched


class ReviewMachine(Moving):
    """Two agents, a user and strangers in one workspace of three paths."""

    @initialize(first=st.tuples(*[entries(odd=True)] * 3))
    def open(self, first: tuple[Entry, Entry, Entry]) -> None:
        """Starts with whatever is there; both agents are alive."""
        disk = {p: e for p, e in zip(PATHS, first, strict=True) if not isinstance(e, Absent)}
        self.play = Watched(disk=disk)
        for agent, session in SESSIONS:
            self.play.prompt(agent, session)

    # --- what happens ----------------------------------------------------------------------------

    @rule(agent=AGENTS, path=PATH, data=st.data())
    def agent_runs_a_command(
        self, agent: tuple[str, str], path: bytes, data: st.DataObject
    ) -> None:
        """P13 for proved order: whatever an agent does, no base moves."""
        before = self._bases()
        after = data.draw(entries(self.play.disk.get(path), odd=True))
        self.play.run(*agent, {path: after})
        assert before == self._bases()

    @rule(agent=AGENTS, path=PATH, data=st.data())
    def agent_edits_a_file(self, agent: tuple[str, str], path: bytes, data: st.DataObject) -> None:
        """An edit tool announces its content; no base moves."""
        before = self._bases()
        new = data.draw(texts())
        started = self.play.start(*agent, Target(path=path, action="write", new_text=new))
        self.play.put(path, File(data=new))
        self.play.finish(started)
        assert before == self._bases()

    @rule(agent=AGENTS, old=PATH, new=PATH, data=st.data())
    def agent_moves_a_file(
        self, agent: tuple[str, str], old: bytes, new: bytes, data: st.DataObject
    ) -> None:
        """A rename, with or without edits on the way; no base moves."""
        there = self.play.disk.get(old)
        if old == new or not isinstance(there, File):
            return
        before = self._bases()
        edited = File(data=data.draw(edits(there.data)), mode=there.mode)
        after = data.draw(st.sampled_from([there, edited]))
        self.play.run(*agent, {old: ABSENT, new: after})
        assert before == self._bases()

    @rule(path=PATH, data=st.data())
    def stranger_writes(self, path: bytes, data: st.DataObject) -> None:
        """Nobody knows who: it pends, no base moves."""
        before = self._bases()
        self.play.put(path, data.draw(entries(self.play.disk.get(path), odd=True)))
        self.play.cut()
        assert before == self._bases()

    @rule(path=PATH, late=st.booleans(), data=st.data())
    def user_saves(self, path: bytes, late: bool, data: st.DataObject) -> None:
        """P6: what the user writes never pends where nothing pended, however late the proof."""
        there = self.play.disk.get(path, File(data=b""))
        if not isinstance(there, File):
            return
        pended = path in self.play.ledger.paths
        line = data.draw(st.sampled_from([self.play.line(), b""]))
        new = File(data=data.draw(edits(there.data, line)), mode=there.mode)
        if new == there:
            return  # Neovim makes no claim for a buffer without edits
        pended |= self._waits(path, new)
        if late:
            since_ns = self.play.tick()
            self.play.put(path, new)  # seen, and given to somebody else, before anything is told
            self.play.cut()
            self.play.now += data.draw(st.integers(0, CLAIM_NS // 2))
            self.play.claim(path, new.data, written=True, since_ns=since_ns)
        else:
            self.play.save(path, new.data, new)
        self.play.types(path, line)
        assert pended or path not in self.play.ledger.paths

    @rule(path=PATH, data=st.data())
    def user_saves_again_before_anything_is_told(self, path: bytes, data: st.DataObject) -> None:
        """P6: each was seen, and given to somebody else, before the proof of any; in any order."""
        play, pended, proofs = self.play, path in self.play.ledger.paths, []
        for _ in range(data.draw(st.integers(2, 3))):
            there = play.disk.get(path, File(data=b""))
            if not isinstance(there, File):
                return
            line, since_ns = play.line(), play.tick()
            new = File(data=data.draw(edits(there.data, line)), mode=there.mode)
            pended |= self._waits(path, new)
            play.put(path, new)
            play.cut()
            play.types(path, line)
            proofs.append((new.data, since_ns))
        for content, since_ns in data.draw(st.permutations(proofs)):
            play.claim(path, content, written=True, since_ns=since_ns)
        play.cut()
        assert pended or path not in play.ledger.paths

    @rule(path=PATH, proof=WHEN, claimed=st.booleans(), data=st.data())
    def user_saves_seen_half_done(
        self, path: bytes, proof: str, claimed: bool, data: st.DataObject
    ) -> None:
        """P6, P8: a save seen in steps, its proof anywhere between, is what it is seen at once."""
        play, there = self.play, self.play.disk.get(path)
        if not (isinstance(there, File) and has_lines(there)):
            return  # not what is there counts then, but what was: see `test_parking`
        line = play.line()
        new = File(data=data.draw(edits(there.data, line)), mode=there.mode)
        state, seq = play.ledger.paths.get(path), play.ledger.seq
        whole = observe(state, path, there, new, USER, itertools.count(1 << 40).__next__)
        part = File(data=new.data[: data.draw(st.integers(0, len(new.data)))], mode=new.mode)
        since_ns = play.tick()
        if claimed or proof == "before":
            play.claim(path, new.data)
        with play.in_steps():
            for step, entry in (
                ("between", data.draw(st.sampled_from([ABSENT, part]))),
                ("after", new),
            ):
                play.put(path, entry)
                play.cut()
                if step == proof:
                    play.claim(path, new.data, written=True, since_ns=since_ns)
        play.types(path, line)
        if proof == "before":
            self._forget()  # no proof: what was seen is enough
        now = play.ledger.paths.get(path)
        # Gone for a moment it is an arrival, and may be found to be what went elsewhere.
        found = self._joined(path, seq) - {path, state.origin if state is not None else None}
        assert alike(whole, now) or (found and keeps_proved(whole, now))

    @rule(agent=AGENTS, path=PATH, late=st.booleans(), data=st.data())
    def agent_changes_the_mode_while_the_user_saves(
        self, agent: tuple[str, str], path: bytes, late: bool, data: st.DataObject
    ) -> None:
        """P13: what is proved is the content; the mode of the base stays what it was."""
        play, there = self.play, self.play.disk.get(path)
        if not (isinstance(there, File) and is_line_text(there)) or path in play.ledger.paths:
            return
        line = play.line()
        new = File(data=data.draw(edits(there.data, line)), mode=there.mode ^ 0o111)
        started, since_ns = play.start(*agent), play.tick()
        if not late:
            play.claim(path, new.data)
        play.put(path, new)
        play.finish(started)
        play.claim(path, new.data, written=True, since_ns=since_ns)
        play.types(path, line)
        state = play.ledger.paths.get(path)
        assert state is not None
        assert self._waits(path, new) or state.base == File(data=new.data, mode=there.mode)

    @rule(agent=AGENTS, path=PATH, data=st.data())
    def agent_undoes_itself(self, agent: tuple[str, str], path: bytes, data: st.DataObject) -> None:
        """P7: a write and its exact revert leave nothing new pending."""
        there = self.play.disk.get(path, ABSENT)
        before = self.play.base(path)
        self.play.run(*agent, {path: data.draw(entries(there))})
        self.play.run(*agent, {path: before})
        assert path not in self.play.ledger.paths

    # --- races and crashes -----------------------------------------------------------------------

    @precondition(lambda self: self.play.ledger.paths)
    @rule(data=st.data(), by=st.sampled_from(["path", "hunk", "lines"]))
    def reject_races_with_a_write(self, data: st.DataObject, by: str) -> None:
        """P12: a write that nobody has seen yet survives a reject, or is kept in the log."""
        path = data.draw(st.sampled_from(sorted(self.play.ledger.paths)))
        state = self.play.ledger.paths[path]
        unseen = data.draw(entries(self.play.disk.get(path)))
        self.play.meddle[path] = unseen
        seq, pick = self.play.ledger.seq, None
        if by == "path" or not state.hunks:
            selection = Selection(paths=(path,))
        else:
            hunk = data.draw(st.sampled_from(state.hunks))
            new = (0, (hunk.b1 - hunk.b0 + 1) // 2) if by == "lines" else None
            old = None if new is None else (0, 0)
            pick = HunkPick(hunk=hunk.id, gen=hunk.gen, old=old, new=new)
            selection = Selection(picks=(pick,))
        answer = self.play.decide("reject", selection, discard_user=True)
        met = not self.play.meddle  # else there was nothing to write, and so no race
        self.play.meddle.clear()
        if met and pick is not None and answer["done"]:
            assert self._generation(path, pick.hunk, seq) in (None, pick.gen)
        self.play.cut()
        kept = {one for (_, one) in self._logged_contents(path)}
        assert not met or unseen.ref() in kept or unseen == self.play.disk.get(path, ABSENT)

    def _generation(self, path: bytes, change: int, seq: int) -> int | None:
        """Returns the generation that a path's first new record since `seq` gave a change."""
        for at, record in self.play.records():
            if at > seq and isinstance(record, PathChanged) and record.path == path:
                stored = record.state or {"hunks": (), "meta": ()}
                known = (*stored["hunks"], *stored["meta"])
                return next((one[1] for one in known if one[0] == change), -1)
        return None

    def _logged_contents(self, path: bytes) -> list[tuple[int, object]]:
        out: list[tuple[int, object]] = []
        for seq, record in self.play.records():
            if isinstance(record, PathChanged) and record.path == path:
                out += [(seq, record.before), (seq, record.after)]
            for item in getattr(record, "items", ()):
                if item.path == path:
                    out += [(seq, item.cur_before), (seq, item.cur_after)]
        return out

    @rule()
    def crash(self) -> None:
        """P11: the log alone gives the same ledger; the machine goes on with that one."""
        reloaded = self.play.reload()
        assert image(self.play.ledger) == image(reloaded)
        self.play.restart(reloaded)

    # --- what always holds -----------------------------------------------------------------------

    @invariant()
    def states_are_sound(self) -> None:
        """P1, P9, P10, P14: sides add up, existence is right, no line is glued to another."""
        if not hasattr(self, "play"):
            return
        ids = [one for state in self.play.ledger.paths.values() for one in state.ids]
        assert len(ids) == len(set(ids))
        for path, state in self.play.ledger.paths.items():
            check(state)
            if state.origin is not None:
                assert self.play.ledger.paths[state.origin].base == state.base
                assert self.play.ledger.paths[state.origin].status == "deleted"
            assert plain(state.cur) == plain(self.play.disk.get(path, ABSENT))
            if is_line_text(state.base) and is_line_text(state.cur):
                assert not glued(state.text.base)
                assert not glued(state.text.cur)


TestReview = ReviewMachine.TestCase
