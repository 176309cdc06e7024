"""What people do about changes: decisions, edits of a review, undo and redo, going back to a turn.

Rules of the state machine in `tests.properties.test_review_machine`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any, TypeAlias

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from agentdiff.core.codec import path_fields, path_of
from agentdiff.core.edits import shown as shown_line
from agentdiff.core.entries import ABSENT, Directory, File, Other
from agentdiff.core.events import (
    BlockEdit,
    EditRequested,
    FileObserved,
    HunkPick,
    ReadingEnded,
    Selection,
)
from agentdiff.core.hunks import Hunk
from agentdiff.core.owners import Owner
from agentdiff.core.pathstate import PathState
from agentdiff.core.view import shown
from tests.properties import oracles
from tests.properties.dying import decided_since, ends
from tests.properties.surroundings import AGENTS, PATHS, Surroundings, plain

EVERYTHING = Selection(everything=True, include_external=True)
OPS = st.sampled_from(["accept", "reject"])

Lines: TypeAlias = tuple[bytes, ...]
Owners: TypeAlias = tuple[Owner, ...]
Content: TypeAlias = tuple[bytes, int, Lines, Lines, Owners, Owners]
"""Of a hunk: path, generation, old lines, new lines, and the owners of both."""


class Deciding(Surroundings):
    """Rules of people who review."""

    @rule(op=OPS, keep=st.booleans())
    def decide_everything(self, op: str, keep: bool) -> None:
        """P2, P3: accept-all leaves the disk alone, reject-all restores every base.

        The user's lines in hunks stay unless they are given up, and what cannot be restored pends
        still, refused.
        """
        self._folders_are_met()
        bases, disk = self._bases(), dict(self.play.disk)
        lost = {s.path for s in self.play.ledger.paths.values() if not _restorable(s)}
        mixed = {s.path for s in self.play.ledger.paths.values() if _spares(s)} if keep else set()
        mixed |= {s.origin for s in self.play.ledger.paths.values() if s.origin and s.path in mixed}
        answer = self.play.decide(op, EVERYTHING, discard_user=not keep)
        if op == "accept":
            assert disk == self.play.disk
            assert not self.play.ledger.paths
            return
        assert (self.play.ledger.paths.keys(), _paths(answer["refused"])) == (lost, lost), answer
        there = {path: plain(self.play.disk.get(path, ABSENT)) for path in PATHS}
        for path in set(PATHS) - lost - mixed:
            assert bases[path] == there[path]

    @precondition(lambda self: self.play.ledger.paths)
    @rule(data=st.data(), op=OPS, keep=st.booleans())
    def decide_some(self, data: st.DataObject, op: str, keep: bool) -> None:
        """P5: deciding some changes leaves every other change of the path identical."""
        self._folders_are_met()
        if not self.play.ledger.paths:
            return
        state = data.draw(st.sampled_from(shown(self.play.ledger)))
        ids = data.draw(st.lists(st.sampled_from(state.ids), min_size=1, unique=True))
        picks = tuple(HunkPick(hunk=one, gen=state.changes()[one].gen) for one in ids)
        before = self._hunks(ids)
        disk = dict(self.play.disk)
        answer = self.play.decide(op, Selection(picks=picks), discard_user=not keep)
        if op == "reject" and not _restorable(state):
            assert _paths(answer["refused"]) == {state.path}
            assert self.play.ledger.paths[state.path] == state
        else:
            assert answer["refused"] == []
        assert disk == self.play.disk or op == "reject"
        # A created file that keeps the user's lines becomes an ordinary one with hunks.
        self._others_stay(before, ids)

    @precondition(lambda self: any(s.hunks for s in shown(self.play.ledger)))
    @rule(data=st.data(), op=OPS, keep=st.booleans())
    def decide_lines(self, data: st.DataObject, op: str, keep: bool) -> None:
        """A line range splits its hunk first: what was selected is decided, and nothing else."""
        self._folders_are_met()
        states = [s for s in shown(self.play.ledger) if s.hunks]
        if not states:
            return
        state = data.draw(st.sampled_from(sorted(states, key=lambda s: s.path)))
        hunk = data.draw(st.sampled_from(state.hunks))
        old = _span(data, hunk.a1 - hunk.a0)
        new = _span(data, hunk.b1 - hunk.b0)
        before = self._hunks([hunk.id])
        pick = HunkPick(hunk=hunk.id, gen=hunk.gen, old=old, new=new)
        answer = self.play.decide(op, Selection(picks=(pick,)), discard_user=not keep)
        self._others_stay(before, [hunk.id])
        if old[0] == old[1] and new[0] == new[1]:
            assert self.play.ledger.paths[state.path].hunks == state.hunks
            return
        if op == "reject" and state.coverage != "exact":
            assert answer["refused"]
            return
        assert answer["refused"] == []
        if oracles.is_plain(state):
            base, cur = oracles.decided(state, hunk, old, new, op, keep=keep)
            left = self.play.ledger.paths.get(state.path)
            assert oracles.lines(self.play.disk[state.path]) == cur
            assert oracles.lines(self.play.base(state.path) if left is None else left.base) == base

    @precondition(lambda self: self.play.ledger.paths)
    @rule(data=st.data(), op=OPS, by=st.sampled_from(["agent", "session", "turn"]), who=AGENTS)
    def decide_by_owner(self, data: st.DataObject, op: str, by: str, who: tuple[str, str]) -> None:
        """P8: what the owner has no line in is as it was, and every line of it is somebody's."""
        self._folders_are_met()
        states = self.play.ledger.paths.values()
        owners = [o for s in states for one in s.ids for o in s.owners_of(one)]
        turns = {str(o.turn) for one in owners for o in one.possible if o.agent == who[0]}
        turn = data.draw(st.sampled_from(sorted(turns))) if turns else "none"
        wanted = {"agent": who[0], "session": who[1]}
        wanted = {by: wanted[by]} if by != "turn" else {**wanted, "turn": turn}
        mine = {
            change
            for state in self.play.ledger.paths.values()
            for change in state.ids
            if any(_is_of(owner, wanted) for owner in state.owners_of(change))
        }
        before = {s.path: s for s in self.play.ledger.paths.values()}
        hunks, disk = self._hunks(mine), dict(self.play.disk)
        answer = self.play.decide(op, Selection(everything=True, **wanted))
        self._others_stay(hunks, mine)
        assert disk == self.play.disk or op == "reject"
        touched = _paths(answer["done"])
        renamed = {s.origin for s in before.values() if s.path in touched}
        for path, state in before.items():
            if path not in touched | renamed:
                assert self.play.ledger.paths.get(path) == state
                # Nothing of the owner's is left out of an accept; old paths go with new ones.
                owners = [o for one in state.ids for o in state.owners_of(one) if not o.among]
                old = any(s.origin == path for s in before.values())
                assert op == "reject" or old or not any(_is_of(one, wanted) for one in owners)

    @precondition(lambda self: self.seqs)
    @rule(data=st.data(), op=OPS)
    def decide_what_was_seen(self, data: st.DataObject, op: str) -> None:
        """A path that moved on since it was seen stays pending, and is named."""
        seen = data.draw(st.sampled_from(sorted(self.seqs)))
        self._folders_are_met()
        ledger, before = self.play.ledger, dict(self.play.ledger.paths)
        moved = {p for p in before if ledger.changed_at.get(p, 0) > seen}
        pairs = {s.path: s.origin for s in before.values() if s.origin}
        moved |= {one for pair in pairs.items() for one in pair if set(pair) & moved}
        selection = Selection(everything=True, include_external=True, seen=seen)
        answer = self.play.decide(op, selection)
        assert {p: ledger.paths.get(p) for p in moved} == {p: before[p] for p in moved}
        said = {str(path_fields(one)["path"]) for one in moved - set(pairs.values())}
        assert set(answer["moved_on"]) == said
        assert op == "reject" or ledger.paths.keys() == moved

    @precondition(lambda self: any(s.hunks for s in shown(self.play.ledger)))
    @rule(data=st.data())
    def review_is_edited(self, data: st.DataObject) -> None:
        """What the user types into a block of the review is on disk, and the user's."""
        states = [s for s in shown(self.play.ledger) if s.hunks]
        state = data.draw(st.sampled_from(sorted(states, key=lambda s: s.path)))
        hunk = data.draw(st.sampled_from(state.hunks))
        rows, line = _rows(state, hunk), self.play.line()
        at = data.draw(st.integers(0, len(rows)))
        if at < len(rows) and rows[at].startswith("\\"):
            at += 1
        typed = (*rows[:at], "+" + line.decode(), *rows[at:])
        edit = BlockEdit(hunk=hunk.id, gen=hunk.gen, before=rows, after=typed)
        before, disk = dict(self.play.ledger.paths), dict(self.play.disk)
        asked = EditRequested(edits=(edit,), client="cli", received_ns=self.play.tick())
        self.play.handle(asked)
        answer = self.play.answers[-1]
        self.play.last = dict(self.play.disk)
        if answer["refused"]:
            # What was met there, and not seen before (a folder), is observed all the same.
            there, now = disk.get(state.path, ABSENT), self.play.ledger.paths
            if there != state.cur:
                met = now[state.path]
                assert (met.base, met.cur) == (state.base, there)
                before[state.path] = met
            assert (before, disk) == (now, self.play.disk)
            return
        entry = self.play.disk[state.path]
        assert isinstance(entry, File)
        assert line in entry.data
        self.play.types_in_review(answer["decision"], state.path, line)

    def _folders_are_met(self) -> None:
        """Lets a decision that is refused see each folder where the ledger knows of nothing.

        The tracker tells of folders only where a file was, so that a decision that writes meets
        one, observes it and is refused, once.  Rules that say what is refused begin after that.
        """
        play, now = self.play, self.play.tick()
        for path, state in list(play.ledger.paths.items()):
            there = play.disk.get(path, ABSENT)
            if there != state.cur:
                assert isinstance(there, Directory)
                play.handle(FileObserved(path=path, before=state.cur, after=there, received_ns=now))
        play.handle(ReadingEnded(received_ns=now))

    def _others_stay(self, before: Mapping[int, Content], decided: Collection[int]) -> None:
        """P5; only where the two sides of a path are equal now the others are gone.

        What was carried is not the shortest difference: a line that one hunk deletes, another one
        may bring.
        """
        after = {change: content for change, (_, *content) in self._hunks(decided).items()}
        old, new = Counter[tuple[bytes, bytes]](), Counter[tuple[bytes, bytes]]()
        for change, (path, *content) in before.items():
            if after.get(change) == content:  # a rename that was decided may have moved it
                continue
            _, deleted, added, *_ = content
            assert path not in self.play.ledger.paths
            old.update((path, line) for line in deleted)
            new.update((path, line) for line in added)
        assert old == new

    def _hunks(self, without: Collection[int]) -> dict[int, Content]:
        """Returns the content of each hunk between two files, by id."""
        found: dict[int, Content] = {}
        for state in self.play.ledger.paths.values():
            if not (isinstance(state.base, File) and isinstance(state.cur, File)):
                continue
            text = state.text
            for h in state.hunks:
                if h.id not in without:
                    old, new = tuple(text.base[h.a0 : h.a1]), tuple(text.cur[h.b0 : h.b1])
                    found[h.id] = (state.path, h.gen, old, new, h.old_owners, h.new_owners)
        return found

    # --- there and back --------------------------------------------------------------------------

    @rule(count=st.integers(1, 3))
    def undo_and_redo(self, count: int) -> None:
        """P11: undo restores base, current and disk as they were; redo takes it back."""
        before, sides, renamed = self._whole(), self._rests(), bool(self.play.ledger.renamed)
        done = 0
        for _ in range(count):
            if self._turns(redo=False):
                return  # a path moved on since: said, and left as it is
            done += bool(self.play.answers[-1]["done"])
        for _ in range(done):
            step = self.play.ledger.turns.target("cli", redo=True)
            if self._turns(redo=True):
                # Somebody wrote to the old path of a rename while it was rejected: what undo brings
                # back is a creation, and no rename that could be rejected once more.
                assert step is not None
                items = self.play.recall.items(step)
                assert any((item.before or item.after or {}).get("origin") for item in items)
                return
        # A pair that was let go meanwhile is found again by the next reading, with other ids.
        assert not done or sides == self._rests()
        assert not done or renamed or before == self._whole()

    def _turns(self, *, redo: bool) -> set[bytes]:
        """Undoes or redoes; what is refused is as it was.  Returns that."""
        before, disk = dict(self.play.ledger.paths), dict(self.play.disk)
        refused = _paths(self.play.undo(redo=redo)["refused"])
        for path in refused:
            # What is met on disk, and was not seen before (a folder), is observed all the same.
            unseen = path in before and before[path].cur != disk.get(path, ABSENT)
            assert unseen or _same(self.play.ledger.paths.get(path), before.get(path))
            assert self.play.disk.get(path) == disk.get(path)
        return refused

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
        done = _paths(answer["done"])
        assert bool(done) == (answer["decision"] is not None)
        left = turns.left("cli", redo=redo)
        if paths - done:
            assert left[0].decision == step.decision
            assert {item.path for item in self.play.recall.items(left[0])} == paths - done
        self.play.cut()

    @rule(data=st.data(), lives=st.integers(0, 4), keep=st.booleans())
    def killed_while_it_decides(self, data: st.DataObject, lives: int, keep: bool) -> None:
        """P11, P12: each path is decided or as it was, and what was logged as made is all there."""
        self.play.cut()
        self._folders_are_met()
        states = shown(self.play.ledger)
        what = data.draw(st.sampled_from(["accept", "reject", "undo", "redo"]))
        selection = EVERYTHING
        if states and data.draw(st.booleans()):
            state = data.draw(st.sampled_from(states))
            ids = data.draw(st.lists(st.sampled_from(state.ids), min_size=1, unique=True))
            selection = Selection(picks=tuple(HunkPick(hunk=one) for one in ids))
        spared, before, seq = self.play.twin(), ends(self.play, PATHS), self.play.ledger.seq
        self.play.lives = lives
        for play in (spared, self.play):
            if what in ("accept", "reject"):
                play.decide(what, selection, discard_user=not keep)
            else:
                play.undo(redo=what == "redo")
            play.cut()
        self.play.lives = None
        mine, after = ends(self.play, PATHS), ends(spared, PATHS)
        assert all(mine[path].there in (before[path].there, after[path].there) for path in PATHS)
        if decided_since(self.play, seq) == decided_since(spared, seq):
            assert mine == after

    @rule(who=AGENTS)
    def turn_begins(self, who: tuple[str, str]) -> None:
        """What is there at the prompt is what a restore to that turn brings back."""
        self.play.cut()
        self.play.prompt(*who)
        self.turns_begun[self.play.ledger.seq] = dict(self.play.disk)
        self.seqs.add(self.play.ledger.seq)

    @precondition(lambda self: self.turns_begun)
    @rule(data=st.data())
    def everything_goes_back_to_a_turn(self, data: st.DataObject) -> None:
        """What was on disk when a turn began is there again, byte for byte."""
        seq = data.draw(st.sampled_from(sorted(self.turns_begun)))
        wanted = self.turns_begun[seq]
        if any(isinstance(one, Other) for one in (*wanted.values(), *self.play.disk.values())):
            return  # such a content is not kept
        self.play.cut()
        assert self.play.restore(seq)["refused"] == []
        for path in PATHS:
            assert plain(self.play.disk.get(path, ABSENT)) == plain(wanted.get(path, ABSENT))


def _paths(answers: list[dict[str, Any]]) -> set[bytes]:
    return {path_of(one) for one in answers}


def _restorable(state: PathState) -> bool:
    return state.coverage == "exact" and not isinstance(state.cur, Other)


def _spares(state: PathState) -> bool:
    return any(hunk.spares for hunk in state.hunks)


def _is_of(owner: Owner, wanted: dict[str, str]) -> bool:
    """Whether an owner is, or may be, the wanted one."""
    return any(
        all(getattr(one, name) == value for name, value in wanted.items()) for one in owner.possible
    )


def _same(one: PathState | None, other: PathState | None) -> bool:
    """Whether a path pends as it did, but for generations."""
    if one is None or other is None:
        return one is other
    return (one.base, one.cur, one.origin, one.ids) == (
        other.base, other.cur, other.origin, other.ids)  # fmt: skip


def _span(data: st.DataObject, size: int) -> tuple[int, int]:
    first, last = sorted(data.draw(st.tuples(*[st.integers(0, size)] * 2)))
    return first, last


def _rows(state: PathState, hunk: Hunk) -> tuple[str, ...]:
    """Returns a hunk as a review shows it, without the lines around it."""
    text, rows = state.text, list[str]()
    sides: list[tuple[str, Any]] = [
        ("-", text.base[hunk.a0 : hunk.a1]),
        ("+", text.cur[hunk.b0 : hunk.b1]),
    ]
    for mark, side in sides:
        for line in side:
            rows.append(mark + shown_line(line))
            if not line.endswith(b"\n"):
                rows.append("\\ No newline at end of file")
    return tuple(rows)
