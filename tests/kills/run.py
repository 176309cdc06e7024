"""One run: a seeded thousand of events, and kills at random points of them.

Owns the order of events and the comparison with the recorder.  What is random is the seed's, except
for the moments at which kills arrive: those are the machine's.
"""

from __future__ import annotations

import functools
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.kills import recorder as rec
from tests.kills.editor import Editor
from tests.kills.reaper import Reaper
from tests.kills.user import User, until

FILES = 10
SHOWN_NOTES = 80
_NAMES = re.compile(r"\b(?:f|new)\d+\b")
_FAULTS = re.compile(r"^(?:KILL|kills|look|no daemon|it can again|prompt|reject every)")
# How long after an event began its kill comes: events take 5 to 60 ms.
_DELAYS_S = (0.0, 0.06)


class Lost(AssertionError):  # noqa: N818 - reads as a fact
    """The product and the recorder disagree."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run did.

    Attributes:
        events: how many there were.
        kills: of daemons.
        editor_kills: of plugin hosts and Neovims.
        looks: how often everything was compared.
        seconds: how long it took.
    """

    events: int
    kills: int
    editor_kills: int
    looks: int
    seconds: float


class Run:
    """One workspace, one daemon after the other.

    Args:
        user: whose.
        seed: chooses the events.
        kill_every: one kill in so many events.
        editor: in which the user saves; None where the user only decides.
    """

    def __init__(self, user: User, seed: int, kill_every: int, editor: Editor | None) -> None:
        self.user = user
        self.reaper = Reaper(user)
        self.model = rec.Recorder()
        self.looks = 0
        self.editor = editor
        self._chance = random.Random(seed)
        self._kill_every = kill_every
        self._numbers = 0
        self._turns = {"s1": 1, "s2": 1}
        self._saves: list[tuple[str, int, bytes, int]] = []
        self._typed: set[bytes] = set()
        self._undoable: tuple[str, rec.World, rec.World] | None = None
        for number in range(FILES):
            name = f"f{number}"
            self.model.begin(name, rec.fresh(name))
            user.write(name, rec.render(name, rec.fresh(name)))

    # --- the run ---------------------------------------------------------------------------------

    def play(self, events: int) -> Outcome:
        """Plays events, compares, and puts everything back; ends the reaper.

        Raises:
            Lost: something is missing.
        """
        began = time.monotonic()
        try:
            for session in self._turns:
                self._hook("SessionStart", session, source="startup")
                self._prompt(session)
            self.look()
            for _ in range(events):
                self._event()
            self.reaper.finish()
            self.look()
            self._restart_cleanly()
            self._end()
        except AssertionError as failed:
            raise Lost(f"{failed}\n{self._history(str(failed))}") from failed
        finally:
            self.reaper.close()
        return Outcome(
            events=events,
            kills=self.reaper.kills,
            editor_kills=0 if self.editor is None else self.editor.kills,
            looks=self.looks,
            seconds=time.monotonic() - began,
        )

    def _history(self, failure: str) -> str:
        """Returns what was done to the files that a failure names, and what was killed when."""
        names = set(_NAMES.findall(failure))
        told = [
            note
            for note in self.model.notes
            if _FAULTS.search(note) or names & set(_NAMES.findall(note))
        ]
        said = "" if self.editor is None else f"\nNeovim says: {self.editor.messages()}"
        return "what was done:\n" + "\n".join(told[-SHOWN_NOTES:]) + said

    def _event(self) -> None:
        """Does one thing, with or without a kill."""
        acts: list[tuple[int, Callable[[], None]]] = [
            (40, self._edit),
            (10, self._rewrite),
            (8, self._create),
            (6, self._delete),
            (12, self._shell),
            (8, self._parallel),
            (9, functools.partial(self._decide, "accept")),
            (9, functools.partial(self._decide, "reject")),
            (4, self._turn_back),
            (3, functools.partial(self._prompt, "s1")),
            (1, self._outage),
        ]
        if self.editor is not None:
            acts += [(25, self._save), (2, self._kill_editor)]
        weights = [weight for weight, _ in acts]
        ((_, act),) = self._chance.choices(acts, weights)
        killing = self._chance.random() * self._kill_every < 1
        delay_s = self._chance.uniform(*_DELAYS_S)
        again = self._chance.random() < 0.2
        kills = self.reaper.kills
        if killing and self.reaper.idle:
            self.model.note(f"KILL {delay_s * 1000:.0f} ms from here{', twice' if again else ''}")
            self.reaper.order(delay_s, again=again)
        act()
        if self.reaper.kills != kills and self._chance.random() < 0.7:
            self.reaper.finish()
            self.look()

    # --- what agents do --------------------------------------------------------------------------

    def _hook(self, event: str, session: str, **fields: Any) -> None:
        self.user.hook(event, session, f"{session}-p{self._turns[session]}", **fields)

    def _prompt(self, session: str) -> None:
        self._turns[session] += 1
        self.model.note(f"prompt {self._turns[session]} of {session}")
        self._hook("UserPromptSubmit", session, prompt=f"please, {self._turns[session]}")

    def _text(self) -> bytes:
        """Returns lines that were never there before."""
        self._numbers += 1
        return b"".join(
            b"text %d line %d\n" % (self._numbers, n) for n in range(self._chance.randint(1, 3))
        )

    def _call(self, session: str, tool: str, tool_input: dict[str, Any]):
        """Announces a call; returns what ends it."""
        self._numbers += 1
        call = {
            "tool_name": tool,
            "tool_input": tool_input,
            "tool_use_id": f"toolu_{self._numbers}",
        }
        self._hook("PreToolUse", session, **call)
        return lambda: self._hook("PostToolUse", session, **call, tool_response={})

    def _there(self, *, there: bool = True) -> str | None:
        """Returns a file that is there (or one that is not), None when there is none."""
        names = [name for name in self.model.names() if (self._current(name) is not None) == there]
        return self._chance.choice(names) if names else None

    def _current(self, name: str) -> rec.Blocks | None:
        """Returns what a file holds; of one that is in doubt, after a look at the disk."""
        if len({current for _, current in self.model.worlds[name]}) > 1:
            self._look_at_disk(name)
        return self.model.current(name)

    def _put(self, name: str, change: Callable[[rec.World], rec.World]) -> None:
        """Changes a file as a program does."""
        self.model.apply(name, change)
        self.user.write(
            name, rec.render(name, self.model.current(name)), beside=self._chance.random() < 0.3
        )

    def _change(self, name: str) -> tuple[bytes, bytes, Callable[[rec.World], rec.World]]:
        """Returns what one of the agents' blocks of a file is now, and what it is to become."""
        current = self._current(name)
        assert current is not None
        number, text = self._chance.randrange(rec.AGENT_BLOCKS), self._text()
        return current[number], text, rec.wrote(number, text)

    def _start_edit(self, session: str, name: str) -> Callable[[], None]:
        """Announces an edit of one block; returns what carries it out and finishes it."""
        old, new, change = self._change(name)
        self.model.note(f"{session} edits {name}: {old!r} to {new!r}")
        tool_input = {
            "file_path": str(self.user.root / name),
            "old_string": old.decode(),
            "new_string": new.decode(),
        }
        finish = self._call(session, "Edit", tool_input)

        def carry_out() -> None:
            self._put(name, change)
            finish()

        return carry_out

    def _edit(self) -> None:
        if (name := self._there()) is not None:
            self._start_edit("s1", name)()

    def _parallel(self) -> None:
        """Two sessions at once, each on a file of its own."""
        one, two = self._there(), self._there()
        if one is None or two is None or one == two:
            return
        steps = [self._start_edit("s1", one), self._start_edit("s2", two)]
        self._chance.shuffle(steps)
        for step in steps:
            step()

    def _rewrite(self) -> None:
        """A whole file at once, with several blocks changed."""
        if (name := self._there()) is None:
            return
        blocks = self._current(name)
        for number in self._chance.sample(range(rec.AGENT_BLOCKS), 2):
            blocks = rec.with_block(blocks, number, self._text())
        self._write_whole(name, blocks)

    def _create(self) -> None:
        name = self._there(there=False)
        if name is None:
            name = f"new{len(self.model.worlds)}"
            if len(self.model.worlds) > 2 * FILES:
                return
            self.model.begin(name, None)
        self._write_whole(name, tuple(self._text() for _ in rec.fresh("")))

    def _write_whole(self, name: str, blocks: rec.Blocks | None) -> None:
        content = rec.render(name, blocks)
        assert content is not None
        self.model.note(f"s1 writes {name}")
        tool_input = {"file_path": str(self.user.root / name), "content": content.decode()}
        finish = self._call("s1", "Write", tool_input)
        self._put(name, rec.became(blocks))
        finish()

    def _delete(self) -> None:
        if (name := self._there()) is None:
            return
        self.model.note(f"s1 removes {name}")
        finish = self._call("s1", "Bash", {"command": f"rm {name}", "description": "x"})
        self.model.apply(name, rec.became(None))
        self.user.write(name, None)
        finish()

    def _shell(self) -> None:
        """A command that changes several files, and says nothing of which."""
        session = self._chance.choice(["s1", "s2"])
        names = {name for _ in range(3) if (name := self._there()) is not None}
        self.model.note(f"{session} runs a command that changes {sorted(names)}")
        finish = self._call(session, "Bash", {"command": "make things", "description": "x"})
        for name in sorted(names):
            self._put(name, self._change(name)[2])
        finish()

    def _outage(self) -> None:
        """Some calls while no daemon can run: they are spooled."""
        self.reaper.finish()
        self.model.note("no daemon can run")
        self.user.hang_up()
        with self.user.outage():
            for _ in range(self._chance.randint(1, 2)):
                self._chance.choice([self._edit, self._shell, self._rewrite])()
        self.model.note("it can again")

    # --- what the user does ----------------------------------------------------------------------

    def _decide(self, op: str) -> None:
        pending = [n for n in self.model.names() if all(b != c for b, c in self.model.worlds[n])]
        if not pending:
            return
        name = self._chance.choice(pending)
        self.model.note(f"{op} {name}")
        change = rec.accepted if op == "accept" else rec.rejected
        selection = {"paths": [name], "external": True}
        before = next(iter(self.model.worlds[name])) if self.model.is_certain(name) else None
        self._undoable = None
        try:
            # A save whose proof died with a daemon pends as nobody's: that goes, too.
            more = {"discard_user": True} if op == "reject" else {}
            result = self.user.ask("decide", op=op, selection=selection, **more)
        except OSError:
            self.model.note("... without an answer")
            self.model.apply(name, change, certainly=False)
            return
        if result["refused"] or result["moved_on"]:
            raise Lost(f"{op} {name} refused: {result}")
        self.model.apply(name, change)
        if before is not None and result["decision"] is not None:
            self._undoable = (name, before, change(before))

    def _turn_back(self) -> None:
        """Undoes the last decision, as long as nobody touched the file since."""
        if self._undoable is None:
            return
        (name, before, after), self._undoable = self._undoable, None
        if self.model.worlds[name] != frozenset({after}):
            return
        self.model.note(f"undo of what was decided on {name}")
        try:
            result = self.user.ask("undo")
        except OSError:
            self.model.note("... without an answer")
            self.model.apply(name, lambda _: before, certainly=False)
            return
        if result["refused"]:
            raise Lost(f"undo refused: {result}")
        self.model.apply(name, lambda _: before)

    def _save(self) -> None:
        """The user changes a block of their own in Neovim and saves."""
        assert self.editor is not None
        # Where nothing pends: within a hunk the user's words become a part of that hunk.
        places = [
            (name, number)
            for name in self.model.names()
            if self._current(name) is not None
            for number in range(rec.AGENT_BLOCKS, rec.AGENT_BLOCKS + rec.USER_BLOCKS)
            if all(b and now and b[number] == now[number] for b, now in self.model.worlds[name])
        ]
        if not places:
            return
        name, number = self._chance.choice(places)
        text = self._text()
        self.model.note(f"the user saves {name}: {text!r}")
        # Without a link, the proof comes when there is one again, or never.
        kills = self._all_kills() if self.reaper.idle and self.editor.linked() else -1
        blocks = rec.with_block(self.model.current(name), number, text)
        content = rec.render(name, blocks)
        assert content is not None
        if not self.editor.save(name, content):
            kills = -1  # a Neovim that just started has told nobody yet
        self.model.apply(name, rec.wrote(number, text))
        worlds = {
            (rec.with_block(base, number, text), now) for base, now in self.model.worlds[name]
        }
        self.model.worlds[name] |= worlds
        self._saves.append((name, number, text, kills))

    def _kill_editor(self) -> None:
        assert self.editor is not None
        self.model.note(f"kills {self.editor.kill(self._chance)}")

    # --- comparing -------------------------------------------------------------------------------

    def _look_at_disk(self, name: str) -> None:
        problem = self.model.seen_on_disk(name, self.user.read(name))
        if problem is not None:
            raise Lost(problem)

    def look(self) -> None:
        """Compares everything: the disk, what would remain, and what pends.

        Raises:
            Lost: something is missing.
        """
        self.looks += 1
        self.model.note("look")
        kills = self._all_kills()
        if self.editor is not None:
            until(self.editor.linked, "an editor that is attached")
        while not (status := self.user.ask_patiently("status"))["settled"]:
            self.model.note(f"not settled: {status['unsettled']}")
        bases = {name: self.user.base(name) for name in self.model.names()}
        self._prove_saves(kills)
        pending = {one["path"] for one in status["files"]}
        problems = []
        for name, base in bases.items():
            problems.append(self.model.seen_on_disk(name, self.user.read(name)))
            problems.append(self.model.seen_as_base(name, base))
        wrong = [problem for problem in problems if problem is not None]
        if wrong:
            raise Lost("\n".join(wrong))
        expected = {name for name in self.model.names() if self.model.pends(name)}
        if pending != expected:
            missing, more = sorted(expected - pending), sorted(pending - expected)
            raise Lost(f"pending is not {missing}, but is {more}")

    def _all_kills(self) -> int:
        return self.reaper.kills + (0 if self.editor is None else self.editor.kills)

    def _prove_saves(self, kills: int) -> None:
        """A save over which nothing was killed is the user's for certain."""
        for name, number, text, before in self._saves:
            if before != kills:
                continue  # its proof may have died, and an agent may have written over it since
            self._typed.add(text)
            self.model.worlds[name] = frozenset(
                (base, now)
                for base, now in self.model.worlds[name]
                if base is None or now is None or now[number] != text or base[number] == text
            )
        self._saves.clear()

    def _restart_cleanly(self) -> None:
        """What the daemon shows after its log was replayed is what it showed before."""
        before = self.user.views()
        self.user.stop()
        after = self.user.views()
        for name, shown in before.items():
            if shown != after[name]:
                raise Lost(f"{name} before a restart: {shown}\nafter: {after[name]}")

    def _end(self) -> None:
        """Rejects everything: what the recorder calls the base comes back, and can be undone."""
        there = {name: self.user.read(name) for name in self.model.names()}
        self.model.note("reject everything but what nobody owns")
        self._reject_all(external=False)
        for name in self.model.names():
            ((_, now),) = self.model.worlds[name]
            left = self.user.read(name)
            for block in self._typed.intersection(now or ()):
                if left is None or block not in left:
                    raise Lost(f"{name}: the user's {block!r} is gone with a reject of all")
        self.model.note("reject the rest")
        turns = 1 + self._reject_all(external=True)
        for name in self.model.names():
            self.model.apply(name, rec.rejected)
        self.look()
        for _ in range(turns):
            self.user.ask("undo")
        for name, content in there.items():
            if self.user.read(name) != content:
                raise Lost(f"{name} is not back after undo")

    def _reject_all(self, *, external: bool) -> bool:
        """Rejects all; returns whether that was a decision."""
        selection = {"all": True, "external": external}
        result = self.user.ask("decide", op="reject", selection=selection, discard_user=external)
        if result["refused"]:
            raise Lost(f"refused: {result['refused']}")
        return result["decision"] is not None
