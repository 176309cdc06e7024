"""P1–P14: one state machine over whole histories.

Every rule is something that happens to a workspace: here what agents, strangers and the user do,
and decisions; in `tests.properties.surroundings` git, formatters and events that go astray.  After
each of them the machine is sound (`ReviewMachine.states_are_sound`); what a rule itself must not do
is asserted in it.

Where each property is checked:

* P1, P9, P10, P14: `ReviewMachine.states_are_sound`, after every step; P1 also by ``git apply`` in
  `tests.properties.test_patch`, P14 against a model in `tests.properties.test_owners`.
* P2, P3: `ReviewMachine.decide_everything`, `Surroundings.somebody_commits`.
* P4: `tests.properties.test_order`.
* P5: `ReviewMachine.decide_some`, `ReviewMachine.decide_lines`.
* P6: `ReviewMachine.user_saves`, `ReviewMachine.user_saves_seen_half_done`,
  `Surroundings.user_saves_and_formats`,
  `tests.properties.test_user_text`.
* P7: `ReviewMachine.agent_undoes_itself`.
* P8: `tests.properties.test_owners`, `tests.properties.test_user_text`.
* P11: `ReviewMachine.undo_and_redo`, `ReviewMachine.crash`, `tests.properties.test_replay`.
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

from agentdiff.core.codec import path_of
from agentdiff.core.entries import ABSENT, Absent, Entry, File
from agentdiff.core.events import HunkPick, Selection, Target
from agentdiff.core.hunks import glued
from agentdiff.core.observing import observe
from agentdiff.core.owners import USER, Owner
from agentdiff.core.pathstate import PathState, check, is_line_text
from agentdiff.core.proofs import CLAIM_NS
from agentdiff.core.records import PathChanged
from agentdiff.core.view import shown
from tests.play import Play, image
from tests.properties.strategies import edits, entries, texts
from tests.properties.surroundings import (
    AGENTS,
    PATH,
    PATHS,
    SESSIONS,
    WHEN,
    Surroundings,
)

EVERYTHING = Selection(everything=True, include_external=True)


class ReviewMachine(Surroundings):
    """Two agents, a user and strangers in one workspace of three paths."""

    @initialize(first=st.tuples(entries(), entries(), entries()))
    def open(self, first: tuple[Entry, Entry, Entry]) -> None:
        """Starts with whatever is there; both agents are alive."""
        disk = {p: e for p, e in zip(PATHS, first, strict=True) if not isinstance(e, Absent)}
        self.play = Play(disk=disk)
        for agent, session in SESSIONS:
            self.play.prompt(agent, session)

    # --- what happens ----------------------------------------------------------------------------

    @rule(agent=AGENTS, path=PATH, data=st.data())
    def agent_runs_a_command(
        self, agent: tuple[str, str], path: bytes, data: st.DataObject
    ) -> None:
        """P13 for proved order: whatever an agent does, no base moves."""
        before = self._bases()
        after = data.draw(entries(self.play.disk.get(path)))
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
        self.play.put(path, data.draw(entries(self.play.disk.get(path))))
        self.play.cut()
        assert before == self._bases()

    @rule(path=PATH, late=st.booleans(), data=st.data())
    def user_saves(self, path: bytes, late: bool, data: st.DataObject) -> None:
        """P6: what the user writes never pends where nothing pended, however late the proof."""
        there = self.play.disk.get(path, File(data=b""))
        if not isinstance(there, File):
            return
        pended = path in self.play.ledger.paths
        new = File(data=data.draw(edits(there.data)), mode=there.mode)
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
        assert pended or path not in self.play.ledger.paths

    def _waits(self, path: bytes, new: File) -> bool:
        """Whether just these bytes were put aside: coming back, they are not the user's words."""
        aside = self.play.ledger.observer.parking.get(path)
        return aside is not None and isinstance(aside.cur, File) and aside.cur.data == new.data

    @rule(path=PATH, proof=WHEN, claimed=st.booleans(), data=st.data())
    def user_saves_seen_half_done(
        self, path: bytes, proof: str, claimed: bool, data: st.DataObject
    ) -> None:
        """P6, P8: a save seen in steps, its proof anywhere between, is what it is seen at once."""
        play, there = self.play, self.play.disk.get(path)
        if not isinstance(there, File):
            return
        new = File(data=data.draw(edits(there.data)), mode=there.mode)
        if new == there:
            return
        if not is_line_text(there) or self._waits(path, new):
            return  # not what is there counts then, but what was: see `test_parking`
        state = play.ledger.paths.get(path)
        whole = observe(state, path, there, new, USER, itertools.count(1 << 40).__next__)
        part = File(data=new.data[: data.draw(st.integers(0, len(new.data)))], mode=new.mode)
        since_ns = play.tick()
        if claimed or proof == "before":
            play.claim(path, new.data)
        for step, entry in (
            ("between", data.draw(st.sampled_from([ABSENT, part]))),
            ("after", new),
        ):
            play.put(path, entry)
            play.cut()
            if step == proof:
                play.claim(path, new.data, written=True, since_ns=since_ns)
        if proof == "before":
            self._forget()  # no proof: what was seen is enough
        assert _alike(whole, play.ledger.paths.get(path))

    @rule(agent=AGENTS, path=PATH, data=st.data())
    def agent_undoes_itself(self, agent: tuple[str, str], path: bytes, data: st.DataObject) -> None:
        """P7: a write and its exact revert leave nothing new pending."""
        there = self.play.disk.get(path, ABSENT)
        before = self.play.base(path)
        self.play.run(*agent, {path: data.draw(entries(there))})
        self.play.run(*agent, {path: before})
        assert path not in self.play.ledger.paths

    # --- decisions -------------------------------------------------------------------------------

    @rule(op=st.sampled_from(["accept", "reject"]))
    def decide_everything(self, op: str) -> None:
        """P2, P3: accept-all leaves the disk alone, reject-all restores every base."""
        bases, disk = self._bases(), dict(self.play.disk)
        self.play.decide(op, EVERYTHING, discard_user=True)
        assert not self.play.ledger.paths
        if op == "accept":
            assert disk == self.play.disk
        else:
            assert bases == {path: self.play.disk.get(path, ABSENT) for path in PATHS}

    @precondition(lambda self: self.play.ledger.paths)
    @rule(data=st.data(), op=st.sampled_from(["accept", "reject"]), keep=st.booleans())
    def decide_some(self, data: st.DataObject, op: str, keep: bool) -> None:
        """P5: deciding some changes leaves every other change of the path identical."""
        state = data.draw(st.sampled_from(shown(self.play.ledger)))
        ids = data.draw(st.lists(st.sampled_from(state.ids), min_size=1, unique=True))
        picks = tuple(HunkPick(hunk=one, gen=state.changes()[one].gen) for one in ids)
        before = self._hunks(ids)
        disk = dict(self.play.disk)
        answer = self.play.decide(op, Selection(picks=picks), discard_user=not keep)
        assert answer["refused"] == []
        assert disk == self.play.disk or op == "reject"
        # A created file that keeps the user's lines becomes an ordinary one with hunks.
        assert before.items() <= self._hunks(ids).items()

    @precondition(lambda self: any(s.hunks for s in shown(self.play.ledger)))
    @rule(data=st.data(), op=st.sampled_from(["accept", "reject"]))
    def decide_lines(self, data: st.DataObject, op: str) -> None:
        """A line range splits its hunk first; the other hunks do not notice."""
        states = [s for s in shown(self.play.ledger) if s.hunks]
        state = data.draw(st.sampled_from(sorted(states, key=lambda s: s.path)))
        hunk = data.draw(st.sampled_from(state.hunks))
        old = tuple(sorted(data.draw(st.tuples(*[st.integers(0, hunk.a1 - hunk.a0)] * 2))))
        new = tuple(sorted(data.draw(st.tuples(*[st.integers(0, hunk.b1 - hunk.b0)] * 2))))
        before = self._hunks([hunk.id])
        self.play.decide(op, Selection(picks=(HunkPick(hunk=hunk.id, old=old, new=new),)))
        after = self._hunks([hunk.id])
        assert before.items() <= after.items()

    def _hunks(self, without: list[int]) -> dict[int, object]:
        """Returns the content of each hunk between two files, by id."""
        found: dict[int, object] = {}
        for state in self.play.ledger.paths.values():
            if not (isinstance(state.base, File) and isinstance(state.cur, File)):
                continue
            text = state.text
            for h in state.hunks:
                if h.id not in without:
                    old, new = tuple(text.base[h.a0 : h.a1]), tuple(text.cur[h.b0 : h.b1])
                    found[h.id] = (h.gen, old, new, h.old_owners, h.new_owners)
        return found

    @rule(count=st.integers(1, 3))
    def undo_and_redo(self, count: int) -> None:
        """P11: undo restores base, current and disk as they were; redo takes it back."""
        before, sides, renamed = self._whole(), self._rests(), bool(self.play.ledger.renamed)
        done = 0
        for _ in range(count):
            answer = self.play.undo()
            if answer["refused"]:
                return  # a path moved on since: said, and left as it is
            done += bool(answer["done"])
        for _ in range(done):
            step = self.play.ledger.turns.target("cli", redo=True)
            if self.play.undo(redo=True)["refused"]:
                # Somebody wrote to the old path of a rename while it was rejected: what undo brings
                # back is a creation, and no rename that could be rejected once more.
                assert step is not None
                items = self.play.recall.items(step)
                assert any((item.before or item.after or {}).get("origin") for item in items)
                return
        # A pair that was let go meanwhile is found again by the next reading, with other ids.
        assert not done or sides == self._rests()
        assert not done or renamed or before == self._whole()

    def _rests(self) -> object:
        """Returns what each path holds and would hold if all were rejected, paired or not."""
        states = self.play.ledger.paths.items()
        return {path: (s.rest, s.cur) for path, s in states}, dict(self.play.disk)

    def _whole(self) -> object:
        pending = {
            path: (state.base, state.cur, [(h.id, h.a0, h.b0) for h in state.hunks])
            for path, state in self.play.ledger.paths.items()
        }
        return pending, dict(self.play.disk)

    @rule(data=st.data(), redo=st.booleans())
    def undo_is_refused_somewhere(self, data: st.DataObject, redo: bool) -> None:
        """P11: what was not turned stays as it was, comes last, and blocks nothing older."""
        turns = self.play.ledger.turns
        step = turns.target("cli", redo=redo)
        if step is None:
            return
        paths = {item.path for item in self.play.recall.items(step)}
        failing = data.draw(st.lists(st.sampled_from(sorted(paths)), min_size=1, unique=True))
        self.play.fails = dict.fromkeys(failing, "Permission denied")
        answer = self.play.undo(redo=redo)
        self.play.fails.clear()
        done = {path_of(one) for one in answer["done"]}
        assert bool(done) == (answer["decision"] is not None)
        left = turns.left("cli", redo=redo)
        if paths - done:
            assert left[0].decision == step.decision
            assert {item.path for item in self.play.recall.items(left[0])} == paths - done
        self.play.cut()

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
        for path, state in self.play.ledger.paths.items():
            check(state)
            if state.origin is not None:
                assert self.play.ledger.paths[state.origin].base == state.base
                assert self.play.ledger.paths[state.origin].status == "deleted"
            assert state.cur == self.play.disk.get(path, ABSENT)
            if is_line_text(state.base) and is_line_text(state.cur):
                assert not glued(state.text.base)
                assert not glued(state.text.cur)


def _alike(one: PathState | None, other: PathState | None) -> bool:
    """Whether two states are the same, apart from ids and the path that they were renamed from.

    At the end of a reading a path may be paired with one that is gone: then its hunks are those
    against that one, and the lines that are in hunks both times have the same owners.
    """
    if one is None or other is None:
        return one is other
    if one.origin is not None or other.origin is not None:
        first, second = _owners(one), _owners(other)
        same = all(first[line] == second[line] for line in first.keys() & second.keys())
        return same and (one.rest, one.cur) == (other.rest, other.cur)
    return (one.rest, one.cur, _lines(one)) == (other.rest, other.cur, _lines(other))


def _owners(state: PathState) -> dict[int, Owner]:
    return {h.b0 + n: owner for h in state.hunks for n, owner in enumerate(h.new_owners)}


def _lines(state: PathState) -> list[tuple[object, ...]]:
    return [(h.a0, h.a1, h.b0, h.b1, h.old_owners, h.new_owners) for h in state.hunks]


TestReview = ReviewMachine.TestCase
