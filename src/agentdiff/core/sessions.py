"""Sessions, turns and tool calls of one workspace, folded from records.

Owns who is alive, which windows are open, and which turn a call belongs to.  Must not decide who
wrote a line (`agentdiff.core.attribution`) nor make records (`agentdiff.core.ledger`).  Hop 4.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from agentdiff.core import events as ev
from agentdiff.core.owners import Owner
from agentdiff.core.records import (
    CallClosed,
    CallOpened,
    CallReported,
    Record,
    SessionChanged,
    TurnAliased,
    TurnFinished,
    TurnStarted,
)

SECOND_NS = 1_000_000_000
# An agent that was killed says no goodbye: after this long without an event it counts as gone.
SILENT_SESSION_NS = 12 * 3600 * SECOND_NS
# An agent that thinks says nothing for a while; one that was interrupted says nothing any more.
SILENT_TURN_NS = 600 * SECOND_NS
# Formatters, language servers and forgotten children write shortly after the turn ended.
TAIL_NS = 10 * SECOND_NS

# What an agent's notice proves.  opencode alone tells of the answer, while the tool runs; of a turn
# that the user ended at a question Qwen Code says nothing but that it is idle (Claude Code a minute
# later).
_NOTICES = {
    "permission_prompt": "waiting",
    "permission_replied": "working",
    "idle_prompt": "idle",
}

SessionKey: TypeAlias = tuple[str, str]
_OfSession: TypeAlias = (
    SessionChanged
    | TurnStarted
    | TurnAliased
    | TurnFinished
    | CallOpened
    | CallClosed
    | CallReported
)


@dataclass(slots=True)
class Turn:
    """One prompt of the user and what followed; `n` counts per workspace."""

    id: str
    n: int
    agent: str
    session: str
    prompt: str
    started_ns: int
    started_seq: int
    finished_ns: int | None = None


@dataclass(slots=True)
class Call:
    """One tool call that may write; `closed_ns` is None while its window is open."""

    opened: CallOpened
    closed_ns: int | None = None
    outcome: str = ""
    background: str | None = None
    decided_by: str = ""
    trace: str = ""
    paths: dict[bytes, None] = field(default_factory=dict)

    @property
    def key(self) -> SessionKey:
        """The session it belongs to."""
        return self.opened.agent, self.opened.session


@dataclass(slots=True)
class Session:
    """One conversation with an agent, keyed by (agent, id)."""

    agent: str
    id: str
    cwd: bytes
    state: str
    seen_ns: int
    turn: str = ""
    calls: dict[str, Call] = field(default_factory=dict)
    open: dict[str, Call] = field(default_factory=dict)
    jobs: dict[str, Call] = field(default_factory=dict)
    last_call: Call | None = None
    aliases: dict[str, str] = field(default_factory=dict)
    within: str = ""

    @property
    def key(self) -> SessionKey:
        """The key of the session."""
        return self.agent, self.id

    def live(self, now_ns: int) -> bool:
        """Whether it can still act: not ended, and heard of lately."""
        return self.state != "ended" and now_ns - self.seen_ns < SILENT_SESSION_NS


class Sessions:
    """The table of sessions and turns; changed only by `fold`."""

    def __init__(self) -> None:
        self.by_key: dict[SessionKey, Session] = {}
        self.turns: dict[tuple[str, str, str], Turn] = {}
        self._guests: dict[str, dict[SessionKey, None]] = {}

    def fold(self, record: Record, seq: int) -> None:
        """Applies the record with this sequence number; records of other kinds are ignored."""
        match record:
            case SessionChanged():
                session = self._session(record)
                session.cwd = record.cwd or session.cwd
                session.state = record.state
                session.seen_ns = max(session.seen_ns, record.at_ns)
                if record.within:
                    session.within = record.within
                    self._guests.setdefault(record.within, {})[session.key] = None
            case TurnStarted():
                turn = Turn(
                    record.turn,
                    record.n,
                    record.agent,
                    record.session,
                    record.prompt,
                    record.at_ns,
                    seq,
                )
                self.turns[record.agent, record.session, record.turn] = turn
                self._session(record).turn = record.turn
            case TurnAliased():
                self._session(record).aliases[record.alias] = record.turn
                # The agent goes on by itself: the turn is not over after all.
                self._finish_turn(record, None)
            case TurnFinished():
                self._finish_turn(record, record.at_ns)
            case CallOpened():
                session = self._session(record)
                call = session.last_call = session.calls[record.tool_call] = Call(record)
                session.open[record.tool_call] = call
                session.seen_ns = max(session.seen_ns, record.at_ns)
            case CallClosed():
                self._close(self._session(record), record)
            case CallReported():
                known = self._session(record).calls.get(record.tool_call)
                if known is not None:
                    known.decided_by = record.decided_by or known.decided_by
                    known.trace = record.trace or known.trace
            case _:
                pass

    def count(self, owner: Owner, path: bytes) -> None:
        """Notes that a path was changed by the call that an owner names."""
        session = self.by_key.get((owner.agent or "", owner.session or ""))
        call = session.calls.get(owner.tool_call or "") if session is not None else None
        if call is not None:
            call.paths[path] = None

    # A log with a hole (it could not be written for a while) must still be readable: what a record
    # refers to and is not there is made up, or passed over.

    def _session(self, record: _OfSession) -> Session:
        key = (record.agent, record.session)
        return self.by_key.setdefault(key, Session(*key, b"", "idle", 0))

    def _finish_turn(self, record: TurnAliased | TurnFinished, at_ns: int | None) -> None:
        turn = self.turns.get((record.agent, record.session, record.turn))
        if turn is not None:
            turn.finished_ns = at_ns

    @staticmethod
    def _close(session: Session, record: CallClosed) -> None:
        session.open.pop(record.tool_call, None)
        session.jobs.pop(record.tool_call, None)
        call = session.calls.get(record.tool_call)
        if call is None:
            return
        call.closed_ns = record.at_ns
        call.outcome = record.outcome
        call.background = record.background
        if record.background is not None:
            session.jobs[record.tool_call] = call

    def live(self, now_ns: int) -> list[Session]:
        """Returns the sessions that can still act; any thread."""
        # The daemon asks whether it is idle while the worker may add one.
        return [session for session in list(self.by_key.values()) if session.live(now_ns)]

    def turn(self, session: Session, turn: str | None) -> Turn | None:
        """Returns a turn of a session by its id or an alias; None means the current one."""
        name = session.turn if turn is None else session.aliases.get(turn, turn)
        return self.turns.get((session.agent, session.id, name))

    def next_turn_number(self) -> int:
        """Returns the number that the next turn of this workspace gets, from 1."""
        return len(self.turns) + 1

    def calls(self) -> Iterator[Call]:
        """Yields every call, oldest first within a session."""
        for session in self.by_key.values():
            yield from session.calls.values()

    def at_work(self, now_ns: int) -> Session | None:
        """Returns a session whose agent may be acting now: in a call, after one, or in its turn."""
        calls = [*self.open_calls(), *self.tails(now_ns)]
        for session in [self.by_key[call.key] for call in calls] or self.by_key.values():
            working = session.state == "working" and now_ns - session.seen_ns < SILENT_TURN_NS
            if calls or working:
                return session
        return None

    def open_calls(self, session: Session | None = None) -> list[Call]:
        """Returns the calls whose windows are open.

        Without `session` those of all, but of hosts: while an agent that speaks for itself runs
        inside an `agentdiff run`, its own windows are the better evidence.
        """
        if session is not None:
            return list(session.open.values())
        sessions = (one for one in self.by_key.values() if not self.guests(one))
        return [call for one in sessions for call in one.open.values()]

    def guests(self, session: Session) -> list[Session]:
        """Returns the sessions, not ended, of agents that run inside this one's program."""
        guests = [self.by_key[key] for key in self._guests.get(session.id, ())]
        return [one for one in guests if one.state != "ended" and one is not session]

    def guests_within(self, session: Session) -> list[Session]:
        """Returns the innermost guests, at any depth."""
        found: dict[SessionKey, Session] = {}
        todo, seen = self.guests(session), {session.key}
        while todo:
            guest = todo.pop()
            if guest.key not in seen:
                seen.add(guest.key)
                inner = self.guests(guest)
                todo += inner
                found.update({} if inner else {guest.key: guest})
        return list(found.values())

    def jobs(self) -> list[Call]:
        """Returns the calls that are known to go on in the background."""
        return [call for session in self.by_key.values() for call in session.jobs.values()]

    def tails(self, now_ns: int) -> list[Call]:
        """Returns the calls that may still write after their window closed.

        A known background job counts until its session ends; else a session's last call counts
        until the next one opens, or `TAIL_NS` after the turn ended.
        """
        out: list[Call] = []
        for session in self.by_key.values():
            ended = session.state == "ended"
            if ended and now_ns - session.seen_ns > TAIL_NS:
                continue
            if session.jobs:
                out += session.jobs.values()
                continue
            last = None if self.guests(session) else session.last_call
            if last is None or last.closed_ns is None or (not session.live(now_ns) and not ended):
                continue
            turn = self.turn(session, last.opened.turn)
            over = turn.finished_ns if turn is not None else last.closed_ns
            if over is None and turn is not None and turn.id != session.turn:
                over = last.closed_ns  # another turn took its place; its end was not heard
            if over is None or now_ns - over <= TAIL_NS:
                out.append(last)
        return out


def state_after(event: ev.AgentEvent) -> str | None:
    """Returns the session state that an event proves, None when it proves none."""
    match event:
        case ev.TurnEnded(error=error) if error:
            return "error"
        case ev.SessionStarted() | ev.TurnEnded():
            return "idle"
        case ev.SessionEnded():
            return "ended"
        case ev.PermissionRequested():
            return "waiting"
        case ev.Notified():
            return _NOTICES.get(event.kind)
        case ev.SubagentStarted() | ev.SubagentFinished() | ev.CwdChanged():
            return None
        case _:
            return "working"
