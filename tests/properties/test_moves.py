"""P6, P8, P14 on roundabout ways: what is taken away, and comes back or arrives elsewhere.

A move, a deletion and a rewriting are rarely seen at once: a program empties a file and then writes
it, a shell removes here and writes there, and what explains a change (the editor's proof, git's)
may come after the next one.  However that is cut into readings and calls, every line is whose it
was, and whoever does it has written only what is new.  The model is that of
`tests.properties.test_owners`, which knows nothing of diffs, readings or calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from hypothesis import assume, given, note, settings
from hypothesis import strategies as st

from agentdiff.core.entries import ABSENT, Directory, Entry, File, Link
from agentdiff.core.events import GitMoved, HunkPick, Selection, ToolStarted, TurnEnded
from agentdiff.core.sessions import SECOND_NS, TAIL_NS
from tests.properties.dying import Mortal, decided_since, ends
from tests.properties.strategies import BREAKS, GONE
from tests.properties.test_owners import AGENTS, SESSIONS, F, G, History, histories, name_of

Step: TypeAlias = dict[bytes, Entry]
MOVERS = st.sampled_from([*sorted(SESSIONS), "external"])
# Six tests of histories: each gets a third of the examples.
FEWER = settings(max_examples=max(20, settings.default.max_examples // 3))  # type: ignore[union-attr]
EVERYTHING = Selection(everything=True, include_external=True)


class Journey(History):
    """A history whose file goes away in steps."""

    workspace = Mortal
    play: Mortal

    @property
    def other(self) -> bytes:
        """Where the file is not."""
        return F if self.path == G else G

    def now(self) -> File:
        """Returns what the file is by the model."""
        return File(data=b"".join(self.model.disk), mode=self.mode)

    def appended(self, author: str, edited: bool) -> File:
        """Returns the file, maybe with a new line of somebody's at its end."""
        if edited:
            size = len(self.model.disk)
            assume(size > 2)  # else it is hardly the same file
            assume(self.model.edit(author, size, size, self.lines(1, author)))
        return self.now()

    def does(self, author: str, steps: Sequence[tuple[str, Step]]) -> None:
        """Lets somebody do something in steps, each with what comes before it."""
        note(f"{author} does {steps} where {self.model.cells} pends")
        play, call = self.play, self._begin(author)
        for n, (pause, changes) in enumerate(steps):
            if n and pause:
                play.cut()
            if n and pause == "call" and call is not None:
                play.finish(call)
                call = self._begin(author)
            for path, entry in changes.items():
                play.put(path, entry)
        play.cut()
        if call is not None:
            play.finish(call)

    def _begin(self, author: str) -> ToolStarted | None:
        play = self.play
        play.now += SECOND_NS
        if author != "external":
            return play.start(author, SESSIONS[author])
        for agent, session in SESSIONS.items():
            play.handle(TurnEnded(agent=agent, session=session, received_ns=play.tick()))
        play.now += TAIL_NS + SECOND_NS
        return None


def _movable(history: Journey) -> bool:
    return bool(history.model.base and history.model.disk)


def _check_lines(history: Journey) -> None:
    """Every line that pended is its author's, and no line of the base is anybody's but a writer's.

    Where all lines were gone a line of the base may be written by whoever brought it again.
    """
    state = history.play.ledger.paths.get(history.path)
    found = {} if state is None else {
        line: name_of(owner)
        for hunk in history.hunks
        for line, owner in zip(
            state.text.cur[hunk.b0 : hunk.b1], hunk.new_owners, strict=True)
    }  # fmt: skip
    wanted = {c.text: c.author for c in history.model.cells if c.author and not c.gone}
    assert {line: found.get(line) for line in wanted} == wanted
    assert "user" not in {name for line, name in found.items() if line not in wanted}


@st.composite
def rewritten(draw: st.DrawFn) -> Journey:
    """Draws a history after which somebody takes the file away and somebody writes it again."""
    history = draw(histories(Journey))
    one, other, path = draw(AGENTS), draw(MOVERS), history.path
    gone = draw(GONE)
    history.does(one, [("", {path: gone})])
    # Where nothing pends any more a new file may just have that name.
    edited = draw(st.booleans()) and (path == F or gone != ABSENT)
    history.does(other, [("", {path: history.appended(other, edited)})])
    return history


@FEWER
@given(rewritten())
def test_what_is_emptied_and_written_again_is_whose_it_was(history: Journey) -> None:
    """P14: removed, truncated, or something without lines for a while."""
    _check_lines(history)


@st.composite
def undone(draw: st.DrawFn) -> Journey:
    """Draws a history, a decision on all of it, a rewriting in two calls, and the undo of that."""
    history = draw(histories(Journey))
    # An emptied file whose base is empty has nothing pending: it may be another one by then.
    assume(history.hunks and history.model.base and not history.play.ledger.renamed)
    op = draw(st.sampled_from(["accept", "reject"]))
    before = list(history.model.cells)
    history.play.decide(op, EVERYTHING)
    history.model.settle(op, lambda run: True)
    one, other, path = draw(AGENTS), draw(MOVERS), history.path
    whole = File(data=b"".join(history.model.disk), mode=history.play.disk[path].mode)  # type: ignore[union-attr]
    new = history.lines(1, other)
    history.does(one, [("", {path: draw(GONE)})])
    history.does(other, [("", {path: File(data=whole.data + new[0], mode=whole.mode)})])
    if history.play.undo()["refused"]:
        assume(False)  # nothing is done then, which is right, too
    history.model.cells = before
    return history


@FEWER
@given(undone())
def test_an_undo_gives_the_lines_back_to_their_authors(history: Journey) -> None:
    """P11, P14: also where the file was gone since, and came back with more in it."""
    _check_lines(history)


@st.composite
def proved_late(draw: st.DrawFn) -> Journey:
    """Draws a history in which the proof of a save comes when the file is elsewhere already."""
    history, mover = draw(histories(Journey)), draw(AGENTS)
    assume(_movable(history) and history.path == F)
    size, play, path = len(history.model.disk), history.play, history.path
    at = draw(st.integers(0, size))
    before = history.model.disk
    new = history.lines(1, "user")
    assume(history.model.edit("user", at, at, new))
    typed = File(data=b"".join([*before[:at], *new, *before[at:]]), mode=history.mode)
    play.now += SECOND_NS
    since_ns = play.tick()
    play.put(path, typed)
    play.cut()  # taken for somebody else's
    whole, back = typed, draw(st.booleans())
    steps: list[tuple[str, Step]] = [("", {path: ABSENT})]
    if not back:
        steps = [("", {path: ABSENT, history.other: whole})]
    history.does(mover, steps)
    play.claim(path, typed.data, written=True, since_ns=since_ns)
    play.cut()
    if back:
        history.does(mover, [("", {path: whole})])
    return history


@FEWER
@given(proved_late())
def test_a_late_proof_finds_what_is_elsewhere_by_now(history: Journey) -> None:
    """P6, P13: moved or deleted between the user's save and its proof."""
    history.check()


@st.composite
def moved_by_git(draw: st.DrawFn) -> Journey:
    """Draws a history in which an agent's git moves a file that was deleted and rewritten."""
    history, agent = draw(histories(Journey)), draw(AGENTS)
    assume(_movable(history))
    path, new, play = history.path, history.other, history.play
    if draw(st.booleans()):
        history.vanish(agent, agent)
    whole = history.now()
    history.does(agent, [("", {path: ABSENT, new: whole})])
    contents = {new: whole.oid, path: None}
    if draw(st.booleans()):
        del contents[path]
    play.handle(GitMoved(label="checkout", contents=contents, received_ns=play.tick()))
    play.cut()
    return history


@FEWER
@given(moved_by_git())
def test_git_says_later_what_it_moved(history: Journey) -> None:
    """P14: the move is an agent's all the same."""
    history.check()


@st.composite
def left_behind(draw: st.DrawFn) -> tuple[Journey, bytes]:
    """Draws a history, and a move that leaves something else at the old path."""
    history = draw(histories(Journey))
    assume(_movable(history))
    mover, old, new = draw(AGENTS), history.path, history.other
    pause = draw(BREAKS)
    # Of another call, and where no deletion is open, only equal bytes are found.
    whole = history.appended(mover, pause != "call" and draw(st.booleans()))
    there = draw(st.sampled_from(["shim", "link", "folder"]))
    shim: Entry = File(data=b"shim\n")
    if there == "link":
        shim = Link(target=new)
    if there == "folder":
        shim, new = Directory(), old + b"/in"
    steps: list[tuple[str, Step]] = [("", {new: whole}), (pause, {old: shim})]
    if draw(st.booleans()) or there == "folder":
        steps = [("", {old: shim}), (pause, {new: whole})]
    history.does(mover, steps)
    return history, new


@FEWER
@given(left_behind())
def test_what_is_left_at_the_old_path_takes_no_line_along(
    moved: tuple[Journey, bytes],
) -> None:
    """P6, P14: what is elsewhere now, and at its path no more, is whose it was."""
    history, new = moved
    state = history.play.ledger.paths.get(new)
    found = {} if state is None else {
        line: name_of(owner)
        for hunk in state.hunks
        for line, owner in zip(
            state.text.cur[hunk.b0 : hunk.b1], hunk.new_owners, strict=True)
    }  # fmt: skip
    wanted = {c.text: c.author for c in history.model.cells if c.author and not c.gone}
    assert {line: found.get(line) for line in wanted} == wanted


@FEWER
@given(
    histories(Journey),
    st.booleans(),
    st.sampled_from(["accept", "reject"]),
    st.integers(0, 3),
    st.data(),
)
def test_a_kill_forgets_no_decision(
    history: Journey, move: bool, op: str, lives: int, data: st.DataObject
) -> None:
    """P11: what was logged as made is all there, as if nobody had killed anybody."""
    if move and _movable(history):
        history.does(
            data.draw(AGENTS), [("", {history.path: ABSENT, history.other: history.now()})]
        )
    play = history.play
    assume(play.ledger.paths)
    everything = [one for state in play.ledger.paths.values() for one in state.ids]
    hunks = [[hunk.id] for hunk in history.hunks]
    chosen = data.draw(st.sampled_from([*hunks, everything]))
    spared, seq, before = play.twin(), play.ledger.seq, ends(play, (F, G))
    play.lives = lives
    for one in (spared, play):
        one.decide(op, Selection(picks=tuple(HunkPick(hunk=n) for n in chosen)))
        one.cut()
    play.lives = None
    mine, wanted = ends(play, (F, G)), ends(spared, (F, G))
    made = decided_since(play, seq) == decided_since(spared, seq)
    assert not made or mine == wanted
    for path in (F, G):
        assert mine[path].there in (before[path].there, wanted[path].there)
