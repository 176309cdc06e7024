"""P8, P14: every line has one owner, and one owner's reject takes nothing from the others.

Agents also delete the file and make it again, move it there and back, and change its mode, which is
nobody's writing of its lines.  What the model does not say is counted (``event``).

The model knows nothing of diffs.  Every line is unique, so that its text is its identity: a file is
a row of cells, each of which is in both sides, or only in the base (somebody deleted it), or only
on disk (somebody wrote it).  What DESIGN says about authors is said here again, cell by cell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TypeVar

from hypothesis import event, given
from hypothesis import strategies as st

from agentdiff.core.entries import ABSENT, File
from agentdiff.core.events import HunkPick, Selection, TurnEnded
from agentdiff.core.hunks import Hunk
from agentdiff.core.owners import Owner
from agentdiff.core.sessions import SECOND_NS, TAIL_NS
from tests.play import Play
from tests.properties.oracles import part_of

F, G = b"f", b"g"
SESSIONS = {"claude": "s", "codex": "r"}
AGENTS = st.sampled_from(sorted(SESSIONS))
Made = TypeVar("Made", bound="History")
AUTHORS = ["claude", "claude", "codex", "codex", "user", "user", "external", "shared"]


@dataclass(frozen=True, slots=True)
class Cell:
    """A line: in both sides (no author), deleted (`gone`) or written by an author."""

    text: bytes
    author: str = ""
    gone: bool = False


@dataclass
class Model:
    """The cells of one file; a run is a longest row of cells that have an author."""

    cells: list[Cell] = field(default_factory=list)

    @property
    def base(self) -> list[bytes]:
        """The lines of the base."""
        return [cell.text for cell in self.cells if cell.gone or not cell.author]

    @property
    def disk(self) -> list[bytes]:
        """The lines on disk."""
        return [cell.text for cell in self.cells if not cell.gone]

    def runs(self) -> list[tuple[int, int]]:
        """Returns where each run begins and ends."""
        at, out = 0, []
        for pending, group in groupby(self.cells, key=lambda cell: bool(cell.author)):
            size = len(list(group))
            if pending:
                out.append((at, at + size))
            at += size
        return out

    def _spot(self, start: int, end: int) -> tuple[int, int]:
        """Returns the cells from the first to the last of some lines on disk."""
        seen = [n for n, cell in enumerate(self.cells) if not cell.gone]
        if start < end:
            return seen[start], seen[end - 1] + 1
        # Where nothing is replaced: after the line above, and after what was deleted there.
        at = seen[start] if start < len(seen) else len(self.cells)
        return at, at

    def edit(self, author: str, start: int, end: int, new: list[bytes]) -> bool:
        """Replaces lines `start` to `end` on disk; returns False when the model does not say.

        The user's edit that touches no run changes both sides.  It touches a run when it replaces
        or splits lines that were written there, or when the run has none and is next to it.
        """
        low, high = self._spot(start, end)
        joins = author != "user"
        if not joins:
            touched = [run for run in self.runs() if self._touches(run, low, high)]
            joins = bool(touched)
            first = min([low, *(run[0] for run in touched)])
            last = max([high, *(run[1] for run in touched)])
            if low < high and (joins or not new) and self._joins_runs(first, last, joins):
                return False  # two runs without a line between them are still two
            if not joins and low == high:
                low = high = self._before_run(low)
        kept = [replace(c, author=author, gone=True) if not c.author else c for c in
                self.cells[low:high] if c.gone or not c.author]  # fmt: skip
        written = [Cell(text, author if joins else "") for text in new]
        self.cells[low:high] = [*kept, *written] if joins else written
        return True

    def _touches(self, run: tuple[int, int], low: int, high: int) -> bool:
        written = [n for n in range(*run) if not self.cells[n].gone]
        if not written:
            return low <= run[1] and run[0] <= high
        if low == high:
            return written[0] < low <= written[-1]
        return low <= written[-1] and written[0] < high

    def _joins_runs(self, first: int, last: int, joins: bool) -> bool:
        """Whether without some cells a run would have another one for its neighbour."""
        around = self.cells[max(0, first - 1) : first] + self.cells[last : last + 1]
        return sum(bool(cell.author) for cell in around) + joins > 1

    def _before_run(self, at: int) -> int:
        """Returns the place above a run whose first written line is at `at`, else `at`."""
        for first, end in self.runs():
            written = [n for n in range(first, end) if not self.cells[n].gone]
            if written and first <= at <= written[0]:
                return first
        return at

    def settle(self, op: str, chosen: Callable[[list[Cell]], bool]) -> None:
        """Accepts or rejects the runs that are chosen; the user's lines stay."""
        for first, end in reversed(self.runs()):
            run = self.cells[first:end]
            if chosen(run):
                self.cells[first:end] = accepted(run) if op == "accept" else rejected(run)


def accepted(run: list[Cell]) -> list[Cell]:
    """Returns what an accepted run becomes."""
    return [Cell(cell.text) for cell in run if not cell.gone]


def rejected(run: list[Cell]) -> list[Cell]:
    """Returns what a rejected run becomes: the user's lines stay, above or below what returns."""
    written = [cell for cell in run if not cell.gone]
    agents = [n for n, cell in enumerate(written) if cell.author != "user"]
    top = agents[0] if agents else len(written)
    above = [cell for cell in written[:top] if cell.author == "user"]
    below = [cell for cell in written[top:] if cell.author == "user"]
    back = [cell for cell in run if cell.gone and cell.author != "user"]
    return [Cell(cell.text) for cell in (*above, *back, *below)]


def name_of(owner: Owner) -> str:
    """Returns what the model calls an owner."""
    return owner.agent or owner.kind


class History:
    """A workspace and its model, changed together."""

    workspace = Play

    def __init__(self, size: int) -> None:
        first = [b"line %d\n" % n for n in range(size)]
        self.model = Model([Cell(text) for text in first])
        self.play = self.workspace(disk={F: File(data=b"".join(first))})
        self.fresh = size
        self.mode = 0o644
        self.play.attach()
        for agent, session in SESSIONS.items():
            self.play.prompt(agent, session)

    def lines(self, count: int, author: str) -> list[bytes]:
        """Returns lines that were never there."""
        self.fresh += count
        return [b"%s %d\n" % (author.encode(), self.fresh - n) for n in range(count)]

    def edit(self, author: str, start: int, end: int, count: int, late: bool) -> None:
        """Lets somebody replace some lines."""
        before = self.model.disk
        new = self.lines(count, author)
        if not (new or start < end):
            return
        if not self.model.edit(author, start, end, new):
            event("the model does not say: two runs without a line between them")
            return
        data = b"".join([*before[:start], *new, *before[end:]])
        self.write(author, File(data=data, mode=self.mode), late)
        self.check()

    def write(self, author: str, entry: File, late: bool) -> None:
        """Writes the file as somebody; `late` is the less usual way of it."""
        play = self.play
        play.now += SECOND_NS
        match author:
            case "user" if late:
                since_ns = play.tick()
                play.put(self.path, entry)
                play.cut()
                play.claim(self.path, entry.data, written=True, since_ns=since_ns)
            case "user":
                play.save(self.path, entry.data, entry)
            case "external":
                for agent, session in SESSIONS.items():
                    play.handle(TurnEnded(agent=agent, session=session, received_ns=play.tick()))
                play.now += TAIL_NS + SECOND_NS
                play.put(self.path, entry)
                play.cut()
            case "shared":
                calls = [play.start(agent, session) for agent, session in SESSIONS.items()]
                play.put(self.path, entry)
                for call in calls:
                    play.finish(call)
            case _ if late:
                play.write(author, SESSIONS[author], self.path, entry.data)
            case _:
                play.run(author, SESSIONS[author], {self.path: entry})

    # --- what is no edit -------------------------------------------------------------------------

    @property
    def path(self) -> bytes:
        """Where the file is."""
        return G if G in self.play.disk else F

    def vanish(self, one: str, other: str) -> None:
        """One agent deletes the file, another one (or the same) writes the same bytes again."""
        path, entry = self.path, self.play.disk[self.path]
        self.play.now += SECOND_NS
        self.play.run(one, SESSIONS[one], {path: ABSENT})
        self.play.run(other, SESSIONS[other], {path: entry})
        self.check()

    def rename(self, agent: str) -> None:
        """An agent moves the file, there or back."""
        entry = self.play.disk[self.path]
        if not self.model.base or not self.model.disk:
            event("not renamed: there is nothing in it")
            return
        other = F if self.path == G else G
        self.play.now += SECOND_NS
        self.play.run(agent, SESSIONS[agent], {self.path: ABSENT, other: entry})
        self.check()

    def chmod(self, agent: str) -> None:
        """An agent makes the file executable, or takes that back."""
        self.mode ^= 0o111
        there = self.play.disk[self.path]
        assert isinstance(there, File)
        self.play.now += SECOND_NS
        entry = File(data=there.data, mode=self.mode)
        self.play.run(agent, SESSIONS[agent], {self.path: entry})
        self.check()

    def decide_lines(self, op: str, hunk: Hunk, old: tuple[int, int], new: tuple[int, int]) -> None:
        """Decides some lines of a hunk: those cells, and no other ones."""
        old, new = part_of(hunk, old, new)
        texts = self.texts(hunk)
        first, end = next(
            (a, b) for a, b in self.model.runs() if texts == {c.text for c in self.model.cells[a:b]}
        )
        run = self.model.cells[first:end]
        olds, news = [c for c in run if c.gone], [c for c in run if not c.gone]
        chosen = [*olds[slice(*old)], *news[slice(*new)]]
        above = [*olds[: old[0]], *news[: new[0]]]
        below = [*olds[old[1] :], *news[new[1] :]]
        left = accepted(chosen) if op == "accept" else rejected(chosen)
        if not chosen or (above and below and not left):
            event("the model does not say: two hunks without a line between them")
            return
        pick = HunkPick(hunk=hunk.id, old=old, new=new)
        assert self.play.decide(op, Selection(picks=(pick,)))["refused"] == []
        self.model.cells[first:end] = [*above, *left, *below]
        self.check()

    @property
    def hunks(self) -> tuple[Hunk, ...]:
        """What pends."""
        state = self.play.ledger.paths.get(self.path)
        return () if state is None else state.hunks

    def decide(self, op: str, hunk: Hunk, undo: bool) -> None:
        """Decides one hunk, and maybe takes it back."""
        before = list(self.model.cells)
        texts = self.texts(hunk)
        self.play.decide(op, Selection(picks=(HunkPick(hunk=hunk.id),)))
        self.model.settle(op, lambda run: texts == {cell.text for cell in run})
        self.check()
        if undo:
            assert self.play.undo()["refused"] == []
            self.model.cells = before
            self.check()

    def texts(self, hunk: Hunk) -> set[bytes]:
        """Returns the lines of a hunk, old and new."""
        text = self.play.ledger.paths[self.path].text
        return {*text.base[hunk.a0 : hunk.a1], *text.cur[hunk.b0 : hunk.b1]}

    def reject_agent(self, agent: str) -> None:
        """P8: the runs of one agent go; what others have a part in is refused, and all else stays.

        So is what both agents may have written: it may be the other's.

        A run in which only the user has lines besides the agent gives the agent's up.
        """

        def only_theirs(run: Iterable[Cell]) -> bool:
            return {cell.author for cell in run} - {"user"} == {agent}

        entangled = [
            run for run in (self.model.cells[a:b] for a, b in self.model.runs())
            if {agent, "shared"} & {cell.author for cell in run} and not only_theirs(run)
        ]  # fmt: skip
        answer = self.play.decide("reject", Selection(everything=True, agent=agent))
        assert len(answer["refused"]) == len(entangled)
        self.model.settle("reject", only_theirs)
        self.check()

    def check(self) -> None:
        """P14: both sides are the model's, and so is the owner of every line that pends."""
        disk, state = self.play.disk[self.path], self.play.ledger.paths.get(self.path)
        base = disk if state is None else state.base
        self.mode = disk.mode if isinstance(disk, File) else 0
        assert disk == File(data=b"".join(self.model.disk), mode=self.mode)
        # Nothing of what is decided here is the mode, unless all of it is.
        assert base == File(data=b"".join(self.model.base), mode=0o644)
        found: list[tuple[bytes, bool, str]] = []
        for hunk in self.hunks:
            text = self.play.ledger.paths[self.path].text
            old, new = text.base[hunk.a0 : hunk.a1], text.cur[hunk.b0 : hunk.b1]
            found += [
                (line, True, name_of(one)) for line, one in zip(old, hunk.old_owners, strict=True)
            ]
            found += [
                (line, False, name_of(one)) for line, one in zip(new, hunk.new_owners, strict=True)
            ]
        wanted = [(cell.text, cell.gone, cell.author) for cell in self.model.cells if cell.author]
        assert sorted(found) == sorted(wanted)


def spans(size: int) -> st.SearchStrategy[tuple[int, int]]:
    """Returns a strategy of ranges of that many lines."""
    ends = st.integers(0, size)
    return st.tuples(ends, ends).map(lambda two: (min(two), max(two)))


@st.composite
def histories(draw: st.DrawFn, kind: Callable[[int], Made] = History) -> Made:
    """Draws a history; the model is compared after every step of it."""
    history = kind(draw(st.integers(0, 40)))
    for _ in range(draw(st.integers(1, 12))):
        if history.hunks and draw(st.integers(0, 4)) == 0:
            hunk = draw(st.sampled_from(history.hunks))
            op = draw(st.sampled_from(["accept", "reject"]))
            if draw(st.booleans()):
                history.decide(op, hunk, draw(st.booleans()))
            else:
                old = draw(spans(hunk.a1 - hunk.a0))
                history.decide_lines(op, hunk, old, draw(spans(hunk.b1 - hunk.b0)))
            continue
        if draw(st.integers(0, 5)) == 0:
            one, other = draw(AGENTS), draw(AGENTS)
            match draw(st.sampled_from(["vanish", "rename", "rename", "chmod"])):
                case "vanish":
                    history.vanish(one, other)
                case "rename":
                    history.rename(one)
                case _:
                    history.chmod(one)
            continue
        size = len(history.model.disk)
        start = draw(st.integers(0, size))
        end = min(size, start + draw(st.integers(0, 4)))
        author = draw(st.sampled_from(AUTHORS))
        history.edit(author, start, end, draw(st.integers(0, 3)), draw(st.booleans()))
    return history


@given(histories())
def test_every_line_has_the_owner_that_the_model_gives_it(history: History) -> None:
    """P14: after every step (`History.check`), and after a restart."""
    history.play.restart(history.play.reload())
    history.check()


@given(histories(), st.sampled_from(sorted(SESSIONS)))
def test_one_agent_s_reject_keeps_the_others_lines(history: History, agent: str) -> None:
    """P8: whoever has lines of their own, in runs of their own, has them still, byte for byte."""
    others = {
        cell.text
        for cell in history.model.cells
        if not cell.gone and cell.author not in ("", agent)
    }
    history.reject_agent(agent)
    disk = history.play.disk[history.path]
    assert isinstance(disk, File)
    assert others <= set(disk.data.splitlines(keepends=True))


@given(histories())
def test_everything_rejected_is_the_base_and_the_user_s_lines(history: History) -> None:
    """P3, P6: what the user typed into hunks stays, everything else is as the base was."""
    history.play.decide("reject", Selection(everything=True, include_external=True))
    history.model.settle("reject", lambda run: True)
    history.check()
    assert history.hunks == ()
