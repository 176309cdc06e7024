"""What happens around a review: git, formatters, and events that are lost, doubled or late.

Rules of the state machine in `tests.properties.test_review_machine`, which adds agents' work and
decisions.
"""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from agentdiff.core.entries import ABSENT, Directory, Entry, File, Other
from agentdiff.core.epochs import EXPECTED_NS
from agentdiff.core.events import (
    AgentEvent,
    GitCommitted,
    GitMoved,
    PromptSubmitted,
    TimePassed,
    ToolFinished,
    ToolStarted,
    TurnEnded,
)
from agentdiff.core.pathstate import PathState
from agentdiff.core.proofs import CLAIM_NS
from agentdiff.core.records import PathChanged
from agentdiff.core.sessions import TAIL_NS
from tests.properties.oracles import alike
from tests.properties.strategies import ODDITIES, edits, entries, restyled, texts
from tests.properties.typed import Watched

PATHS = [b"a.py", b"d/b.txt", b"c \xff\n.c"]
PATH = st.sampled_from(PATHS)
SESSIONS = [("claude", "A"), ("codex", "B")]
AGENTS = st.sampled_from(SESSIONS)
# When HEAD's move is told, seen from the files: before all, between, after all.
WHEN = st.sampled_from(["before", "between", "after"])
FATES = st.sampled_from(["told", "told", "told", "lost", "doubled", "late"])


def plain(entry: Entry) -> Entry:
    """Returns an entry as people see it: a directory is no file."""
    return ABSENT if isinstance(entry, Directory) else entry


class Surroundings(RuleBasedStateMachine):
    """Rules that need no decision; subclasses make `play`."""

    play: Watched

    def __init__(self) -> None:
        super().__init__()
        self.late: list[AgentEvent] = []  # events that have not arrived yet
        self.seqs: set[int] = {0}  # what somebody may have seen
        self.turns_begun: dict[int, dict[bytes, Entry]] = {}

    def _bases(self) -> dict[bytes, Entry]:
        return {path: plain(self.play.base(path)) for path in PATHS}

    def _rest(self) -> None:
        """Ends every turn and waits until no agent can be the author of anything."""
        play = self.play
        for agent, session in SESSIONS:
            play.handle(TurnEnded(agent=agent, session=session, received_ns=play.tick()))
        play.now += TAIL_NS + 1
        assert play.ledger.sessions.at_work(play.now) is None

    def _forget(self) -> None:
        """Waits until no expectation and no sighting can explain anything any more."""
        self.play.now += max(EXPECTED_NS, CLAIM_NS) + 1
        self.play.handle(TimePassed(received_ns=self.play.tick()))

    def _waits(self, path: bytes, new: File) -> bool:
        """Whether just these bytes were put aside: coming back, they are not the user's words."""
        asides = [one.cur for one in self.play.ledger.observer.parking.all_of(path)]
        return any(isinstance(one, File) and one.data == new.data for one in asides)

    # --- git -------------------------------------------------------------------------------------

    def _move(
        self, contents: dict[bytes, Entry], when: str, label: str = "checkout", popped: bool = False
    ) -> None:
        """Lets git write files and move HEAD; both are told in any order.

        Later means after somebody else has written there, too.
        """
        play = self.play
        oids = {path: e.oid if isinstance(e, File) else None for path, e in contents.items()}

        def tell() -> None:
            now = play.tick()
            play.handle(GitMoved(label=label, contents=oids, received_ns=now, popped=popped))

        if when == "before":
            tell()
        for n, (path, entry) in enumerate(contents.items()):
            play.put(path, entry)
            if when == "between":
                play.cut()
                if n == len(contents) // 2:
                    tell()
        play.cut()
        if when == "later":
            for path, entry in contents.items():
                data = entry.data if isinstance(entry, File) else b""
                play.put(path, File(data=data + b"\nlater\n"))
            play.cut()
        if when in ("after", "later"):
            tell()

    def _other_tree(self, data: st.DataObject) -> dict[bytes, Entry]:
        """Draws what another commit has at some paths; only what differs is written."""
        paths = data.draw(st.lists(PATH, min_size=1, unique=True))
        tree: dict[bytes, Entry] = {}
        for path in paths:
            entry = data.draw(st.one_of(texts().map(lambda text: File(data=text)), st.just(ABSENT)))
            # Where a folder is git has no file to remove.
            if entry != plain(self.play.disk.get(path, ABSENT)):
                tree[path] = entry
        return tree

    @rule(when=st.sampled_from(["before", "between", "after", "later"]), data=st.data())
    def person_checks_out(self, when: str, data: st.DataObject) -> None:
        """A person's checkout or reset is the new base where it wrote, and pends nowhere."""
        tree = self._other_tree(data)
        self._rest()
        self._forget()
        renamed = {one for s in self.play.ledger.paths.values() if s.origin for one in
                   (s.origin, s.path)}  # fmt: skip
        before = self._bases()
        parking = self.play.ledger.observer.parking
        parked = {path: parking.all_of(path) for path in tree}
        self._move(tree, when, data.draw(st.sampled_from(["checkout", "reset"])))
        self._forget()
        for path, entry in before.items():
            if path in tree:
                # Only what was put aside of exactly this base may pend again.
                now = self.play.ledger.paths.get(path)
                back = now is not None and any(now.rest == one.rest for one in parked[path])
                assert back or path in renamed or self.play.base(path) == tree[path]
            else:
                assert plain(self.play.base(path)) == entry or path in renamed

    @rule(agent=AGENTS, when=WHEN, data=st.data())
    def agent_checks_out(self, agent: tuple[str, str], when: str, data: st.DataObject) -> None:
        """P13: an agent's git commands move no base; what they wrote pends."""
        tree = self._other_tree(data)
        self._forget()
        before = self._bases()
        started = self.play.start(*agent)
        self._move(tree, when)
        self.play.finish(started)
        self._forget()
        assert before == self._bases()

    @precondition(lambda self: self.play.ledger.paths)
    @rule(stash=WHEN, pop=WHEN)
    def person_stashes_and_pops(self, stash: str, pop: str) -> None:
        """What pended is back with its ids, on the same base."""
        self._rest()
        self._forget()
        before = dict(self.play.ledger.paths)
        disk = dict(self.play.disk)
        tree = {path: self.play.base(path) for path in before}
        if not all(entry == ABSENT or isinstance(entry, File) for entry in tree.values()):
            return  # `_move` names blobs only
        if not all(s.cur == ABSENT or isinstance(s.cur, File) for s in before.values()):
            return
        if any(isinstance(disk.get(path), Directory) for path in before):
            return  # made room for what pends as deleted
        self._move(tree, stash, "stash")
        assert not self.play.ledger.paths
        self._move({path: state.cur for path, state in before.items()}, pop, "stash", popped=True)
        self._forget()
        assert disk == self.play.disk
        after = self.play.ledger.paths
        assert {p: s.rest for p, s in before.items()} == {p: s.rest for p, s in after.items()}
        alone = [path for path, s in before.items() if s.status == "modified"]
        assert [before[p].ids for p in alone] == [after[p].ids for p in alone]

    @precondition(lambda self: self.play.ledger.paths)
    @rule(by=st.sampled_from([None, *SESSIONS]), data=st.data())
    def somebody_commits(self, by: tuple[str, str] | None, data: st.DataObject) -> None:
        """P2: a person's commit accepts what it contains, an agent's nothing; no disk changes."""
        if by is None:
            self._rest()
        else:
            self.play.prompt(*by)
        pending = dict(self.play.ledger.paths)
        in_git = [p for p, s in sorted(pending.items()) if not isinstance(s.cur, Other | Directory)]
        if not in_git:
            return
        paths = data.draw(st.lists(st.sampled_from(in_git), min_size=1, unique=True))
        whole = data.draw(st.booleans())
        contents = tuple(
            (path, pending[path].cur if whole else _some(pending[path], data)) for path in paths
        )
        before, disk = self._bases(), dict(self.play.disk)
        event = GitCommitted(
            commit="abc1234",
            contents=contents,
            changed={path: e.oid if isinstance(e, File) else None for path, e in contents},
            received_ns=self.play.tick(),
        )
        self.play.handle(event)
        assert disk == self.play.disk
        if by is not None:
            assert (before, pending) == (self._bases(), self.play.ledger.paths)
        elif whole:
            # Of a rename, both paths or nothing.
            half = {one for s in pending.values() if s.origin for one in (s.origin, s.path)
                    if not {s.origin, s.path} <= set(paths)}  # fmt: skip
            assert not set(paths) & self.play.ledger.paths.keys() - half
            assert all(self.play.ledger.paths.get(one) == pending[one] for one in half)
        self._forget()

    # --- formatters ------------------------------------------------------------------------------

    @rule(path=PATH, restyle=st.booleans(), data=st.data())
    def user_saves_and_formats(self, path: bytes, restyle: bool, data: st.DataObject) -> None:
        """P6: a formatter that rewrites what the user saved, each with its claim, pends nowhere."""
        there = self.play.disk.get(path)
        if not isinstance(there, File):
            return
        pended = path in self.play.ledger.paths
        line = self.play.line()
        typed = File(data=data.draw(edits(there.data, line)), mode=there.mode)
        formatted = restyled(typed.data) if restyle else data.draw(edits(typed.data))
        after = File(data=formatted, mode=there.mode)
        if there in (typed, after) or typed == after:
            return
        seen = data.draw(st.booleans())
        for entry in (typed, after):
            self.play.claim(path, entry.data)
            self.play.put(path, entry)
            if seen:
                self.play.cut()
            self.play.claim(path, entry.data, written=True)
        self.play.cut()
        self.play.types(path, line)
        assert pended or path not in self.play.ledger.paths

    @rule(agent=AGENTS, path=PATH, data=st.data())
    def agent_s_formatter_is_late(
        self, agent: tuple[str, str], path: bytes, data: st.DataObject
    ) -> None:
        """P13: what a hook of the agent writes after its call is the agent's, and moves no base."""
        before, pended = self._bases(), path in self.play.ledger.paths
        histories, seq = {one: self._kinds(one) for one in PATHS}, self.play.ledger.seq
        went = [s.cur.data for s in self.play.ledger.observer.parking.states()
                if isinstance(s.cur, File)]  # fmt: skip
        like = data.draw(st.sampled_from([None, *went]))
        text = data.draw(texts() if like is None else st.one_of(st.just(like), edits(like)))
        new = File(data=text)
        self.play.prompt(*agent)
        self.play.run(*agent, {path: new})
        formatted = File(data=data.draw(edits(new.data)))
        self.play.put(path, formatted)
        self.play.cut()
        assert before == self._bases()
        kinds = {kind for kind, _, _ in self.play.owners(path)}
        # Either write may give the path back what was put aside there, or be a file that went from
        # elsewhere: the log says from where, or the state whose other half it is.
        earlier = {kind for one in self._joined(path, seq) for kind in histories[one]}
        assert pended or kinds <= {"agent", "shared"} | earlier

    def _kinds(self, path: bytes) -> set[str]:
        """Returns whose lines pend on a path, or were put aside there."""
        ledger, found = self.play.ledger, set[str]()
        for state in (ledger.paths.get(path), *ledger.observer.parking.all_of(path)):
            if state is not None:
                found |= {o.kind for one in state.ids for o in state.owners_of(one)}
                if state.origin_base not in (None, state.base):
                    found.add("user")  # what came into the base since the rename, when it is none
        return found

    def _joined(self, path: bytes, seq: int) -> set[bytes]:
        """Returns a path, and those that what came there since a record was moved from."""
        found, state = {path}, self.play.ledger.paths.get(path)
        for at, record in self.play.records():
            if at > seq and isinstance(record, PathChanged) and record.path == path:
                found |= {record.came_from or path}
        return found | ({state.origin} if state is not None and state.origin else set())

    # --- what is not there for a moment ---------------------------------------------------------

    @rule(path=PATH, odd=ODDITIES)
    def nobody_can_read_it_for_a_while(self, path: bytes, odd: Entry) -> None:
        """The same bytes are nobody's writing: every line is whose it was, and pends as it did."""
        there, before = self.play.disk.get(path), self.play.ledger.paths.get(path)
        if not isinstance(there, File) or before is None:
            return
        for entry in (odd, there):
            self.play.put(path, entry)
            self.play.cut()
        assert alike(before, self.play.ledger.paths.get(path))

    # --- events ----------------------------------------------------------------------------------

    def _tell(self, events: Sequence[AgentEvent], data: st.DataObject) -> None:
        for event in events:
            fate = data.draw(FATES)
            if fate == "late":
                self.late.append(event)
            for _ in range({"told": 1, "doubled": 2}.get(fate, 0)):
                self.play.handle(event)

    @rule(agent=AGENTS, path=PATH, data=st.data())
    def agent_is_half_heard(self, agent: tuple[str, str], path: bytes, data: st.DataObject) -> None:
        """P13: events that are lost, doubled or late move no base."""
        before, play = self._bases(), self.play
        play.calls += 1
        named = {"agent": agent[0], "session": agent[1], "turn": f"turn {play.calls}"}
        call = {**named, "tool_call": f"call {play.calls}", "tool": "Bash", "scope": "tree"}
        prompt = PromptSubmitted(**named, prompt="x", received_ns=play.tick())
        self._tell([prompt, ToolStarted(**call, received_ns=play.tick())], data)
        play.put(path, data.draw(entries(play.disk.get(path), odd=True)))
        if data.draw(st.booleans()):
            play.cut()
        done = ToolFinished(**call, outcome="ok", received_ns=play.tick())
        self._tell([done, TurnEnded(**named, received_ns=play.tick())], data)
        play.cut()
        assert before == self._bases()

    @precondition(lambda self: self.late)
    @rule(data=st.data())
    def late_events_arrive(self, data: st.DataObject) -> None:
        """P13: in any order, long after; no base moves."""
        before = self._bases()
        for event in data.draw(st.permutations(self.late)):
            self.play.handle(event)
        self.late.clear()
        self.play.cut()
        assert before == self._bases()


def _some(state: PathState, data: st.DataObject) -> Entry:
    """Draws what a commit of a part of the pending lines has (``git add -p``)."""
    if not (isinstance(state.base, File) and isinstance(state.cur, File) and state.hunks):
        return state.rest
    text, lines, at = state.text, [], 0
    for hunk in state.hunks:
        lines += text.base[at : hunk.a0]
        at = hunk.a1
        taken = data.draw(st.booleans())
        lines += text.cur[hunk.b0 : hunk.b1] if taken else text.base[hunk.a0 : hunk.a1]
    return File(data=b"".join([*lines, *text.base[at:]]), mode=state.base.mode)
