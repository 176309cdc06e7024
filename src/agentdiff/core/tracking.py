"""What agents' events mean for sessions, turns and windows.

Owns the rules that open and close windows (reference: a missing finish is normal, a finish may come
before the last write, deliveries repeat).  Must not look at files.  Hop 4, called by
`agentdiff.core.ledger`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from agentdiff.core import events as ev
from agentdiff.core.commands import Command, Publish, PublishTurnEnd
from agentdiff.core.entries import Entry
from agentdiff.core.records import (
    CallClosed,
    CallOpened,
    Record,
    SessionChanged,
    TurnAliased,
    TurnFinished,
    TurnStarted,
)
from agentdiff.core.reports import Reports
from agentdiff.core.sessions import SILENT_SESSION_NS, Call, Session, Turn, state_after

if TYPE_CHECKING:
    from agentdiff.core.ledger import Ledger

# Prompts are shown as titles; the agent keeps the full text.
MAX_PROMPT_CHARS = 4000


class Tracking:
    """Turns agent events into records.

    Attributes:
        reports: what telemetry and agents' own accounts add to known calls.
        announced: (agent, session, call) → path → target, for open calls; sharpens labels only.
        promised: likewise, path → the content that the call leads to.
        alone: the open calls beside which their agent runs no other.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.reports = Reports(ledger, self)
        self.announced: dict[tuple[str, str, str], dict[bytes, ev.Target]] = {}
        self.promised: dict[tuple[str, str, str], dict[bytes, Entry]] = {}
        self._proxied: set[tuple[str, str, str]] = set()
        self.alone: set[tuple[str, str, str]] = set()

    def handle(self, event: ev.AgentEvent) -> list[Command]:
        """Returns the commands for an event of an agent."""
        if isinstance(event, ev.ToolReported):
            return self.reports.merge(event)
        event = self._placed(event)
        commands = self.session(event, state_after(event))
        session = self._ledger.sessions.by_key[event.agent, event.session]
        return [*commands, *self._react(session, event)]

    def _react(self, session: Session, event: ev.AgentEvent) -> list[Command]:
        now = event.received_ns
        match event:
            case ev.PermissionRequested():
                self.reports.asked[session.key] = event.tool
                return []
            case ev.SessionEnded():
                closed = self._close_all(session, now, keep_jobs=True)
                return [*closed, *self._finish_turn(session, event)]
            case ev.PromptSubmitted():
                return self._prompt(session, event)
            case ev.TurnEnded():
                # One that broke off does not say which jobs go on.
                ended = [] if event.error else self._end_jobs(session, event)
                left = self._leave_running(session, now) if event.leaves_running else []
                closed = self._close_all(session, now, keep_jobs=True)
                return [*ended, *left, *closed, *self._finish_turn(session, event)]
            case ev.ToolStarted():
                return [*self._overtake(session, event), *self._open(session, event)]
            case ev.ToolFinished():
                return self._finish(session, event)
            case ev.ToolBatchFinished():
                over = dict.fromkeys(event.tool_calls)
                named = [session.open[one] for one in over if one in session.open]
                return [one for call in named for one in self.close(call, "denied", now)]
            case ev.SubagentFinished(subagent=subagent) if subagent is not None:
                # What it was not let do is open still; its jobs in the background go on.
                open_calls = session.open.values()
                own = [call for call in open_calls if call.opened.subagent == subagent]
                return [one for call in own for one in self.close(call, "unknown", now)]
            case _:
                return []

    def handed(self, path: bytes, data: bytes) -> bool:
        """Whether an editor writes these bytes for an agent (ACP ``fs/write_text_file``)."""
        targets = (self.announced[key].get(path) for key in self._proxied)
        return any(one is not None and one.new_text == data for one in targets)

    def expire(self, now_ns: int) -> list[Command]:
        """Ends sessions that fell silent, so that a killed agent does not stay open for ever."""
        commands: list[Command] = []
        for session in list(self._ledger.sessions.by_key.values()):
            silent = now_ns - session.seen_ns >= SILENT_SESSION_NS
            if session.state != "ended" and silent:
                commands += self._close_all(session, now_ns, keep_jobs=False)
                gone = SessionChanged(
                    agent=session.agent,
                    session=session.id,
                    state="ended",
                    at_ns=session.seen_ns,
                )
                commands.append(self._ledger.commit(gone))
        return commands

    def _commit(self, *records: Record) -> list[Command]:
        return [self._ledger.commit(record) for record in records]

    def session(self, event: ev.AgentEvent, state: str | None) -> list[Command]:
        """Returns what an event changes about its session; `state` None leaves that."""
        session = self._ledger.sessions.by_key.get((event.agent, event.session))
        # A subagent may work in a worktree of its own; the session stays where it is.
        cwd = b"" if event.subagent is not None and session is not None else event.cwd or b""
        if session is not None:
            state = session.state if state is None else state
            within = event.within or session.within
            moved = cwd not in (b"", session.cwd) or within != session.within
            session.seen_ns = max(session.seen_ns, event.received_ns)
            if state == session.state and not moved:
                return []
        changed = SessionChanged(
            agent=event.agent,
            session=event.session,
            state=state or "idle",
            at_ns=event.received_ns,
            cwd=cwd,
            within=event.within or "",
        )
        return [*self._commit(changed), Publish()]

    def _placed(self, event: ev.AgentEvent) -> ev.AgentEvent:
        """Gives a command that was traced under `agentdiff run` to the call that runs it.

        An agent inside that has hooks announced the call: session, turn and subagent are its own.
        """
        sessions = self._ledger.sessions
        host = sessions.by_key.get((event.agent, event.session))
        if host is None or not isinstance(event, ev.ToolStarted | ev.ToolFinished):
            return event
        if event.tool_call in host.calls:
            return event
        guests = sessions.guests_within(host)
        for guest in guests:
            if (known := guest.calls.get(event.tool_call)) is not None:
                return _moved(event, known, known.opened.parent)
        trees = [
            one for guest in guests for one in guest.open.values() if one.opened.scope == "tree"
        ]
        by_id = {call.opened.tool_call: call for call in trees}
        shells = [call for call in trees if call.opened.parent not in by_id]
        if len({call.key for call in shells}) != 1:
            return event  # several agents are at work inside: which one it was is not known
        parent = by_id.get(event.parent or "", shells[-1])
        return _moved(event, parent, parent.opened.tool_call)

    def _turn(self, session: Session, event: ev.AgentEvent) -> tuple[str, list[Command]]:
        """Returns the turn that an event belongs to, making one up when its start was missed."""
        sessions = self._ledger.sessions
        turn = sessions.turn(session, event.turn)
        if turn is not None:
            return turn.id, []
        started = TurnStarted(
            turn=event.turn or f"{session.id}:{sessions.next_turn_number()}",
            n=sessions.next_turn_number(),
            agent=session.agent,
            session=session.id,
            prompt="",
            at_ns=event.received_ns,
        )
        return started.turn, self._commit(started)

    def _prompt(self, session: Session, event: ev.PromptSubmitted) -> list[Command]:
        sessions = self._ledger.sessions
        known = sessions.turn(session, event.turn) if event.turn is not None else None
        current = sessions.turn(session, None)
        covered = any(call.opened.covers for call in session.open.values())
        if current is not None and covered and known is None and not event.proxied:
            # The ACP proxy has told of this prompt before the agent itself had it.
            return self._alias(session, event, current)
        commands = self._close_all(session, event.received_ns, keep_jobs=True)
        if not event.by_user and current is not None:
            return [*commands, *([] if known else self._alias(session, event, current))]
        if known is not None:  # delivered twice, by a user's and a project's installation
            return commands
        commands += self._finish_turn(session, event)
        number = sessions.next_turn_number()
        started = TurnStarted(
            turn=event.turn or f"{session.id}:{number}",
            n=number,
            agent=session.agent,
            session=session.id,
            prompt=event.prompt[:MAX_PROMPT_CHARS],
            at_ns=event.received_ns,
        )
        return [*commands, *self._commit(started), Publish()]

    def _alias(self, session: Session, event: ev.PromptSubmitted, turn: Turn) -> list[Command]:
        """Lets the turn that is under way be known by the prompt's own id as well."""
        if event.turn is None:
            return []
        alias = TurnAliased(
            agent=session.agent,
            session=session.id,
            turn=turn.id,
            alias=event.turn,
            at_ns=event.received_ns,
        )
        return self._commit(alias)

    def _finish_turn(self, session: Session, event: ev.AgentEvent) -> list[Command]:
        turn = self._ledger.sessions.turn(session, None)
        if turn is None or turn.finished_ns is not None:
            return []
        finished = TurnFinished(
            agent=session.agent, session=session.id, turn=turn.id, at_ns=event.received_ns
        )
        ended = PublishTurnEnd(agent=session.agent, session=session.id, turn=turn.id)
        return [*self._commit(finished), ended]

    def _open(self, session: Session, event: ev.ToolStarted | ev.ToolFinished) -> list[Command]:
        if event.scope == "none" or _name(session, event) in session.calls:
            return []
        turn, commands = self._turn(session, event)
        if not event.proxied and event.parent is None:
            # The agent's own hook: from here on it says itself what it does.
            covering = [call for call in session.open.values() if call.opened.covers]
            for call in covering:
                commands += self.close(call, "ok", event.received_ns)
        announced = _by_path(event.targets)
        opened = CallOpened(
            agent=session.agent,
            session=session.id,
            subagent=event.subagent,
            turn=turn,
            tool_call=event.tool_call,
            tool=event.tool,
            scope=event.scope,
            targets=tuple(announced),
            command=event.command,
            cwd=event.cwd or session.cwd,
            at_ns=event.received_ns,
            parent=event.parent,
            covers=isinstance(event, ev.ToolStarted) and event.covers,
            reach=event.reach,
        )
        key = (session.agent, session.id, event.tool_call)
        self.announced[key] = announced
        if event.proxied:
            self._proxied.add(key)
        return [*commands, *self._commit(opened)]

    def _finish(self, session: Session, event: ev.ToolFinished) -> list[Command]:
        name = _name(session, event)
        commands = self._open(session, event)
        call = session.open.get(name) or session.jobs.get(name)
        at_ns = event.received_ns
        if call is None:
            # The end of its turn was told first, as opencode does when the user aborts.
            call = session.calls.get(name)
            if call is None or call.closed_ns is None or call.outcome != "unknown":
                return commands
            at_ns = call.closed_ns
        closed = self.close(call, event.outcome, at_ns, event.background_task)
        return [*commands, *closed, *self.reports.confirm(call, event)]

    def _overtake(self, session: Session, event: ev.ToolStarted) -> list[Command]:
        """Closes the call that ran alone and was never finished: a failed or declined patch."""
        key = (session.agent, session.id, event.tool_call)
        commands: list[Command] = []
        for call in list(session.open.values()):
            opened = call.opened
            place = (*call.key, opened.tool_call)
            if place in self.alone and place != key and opened.subagent == event.subagent:
                commands += self.close(call, "unknown", event.received_ns)
        if event.alone and event.tool_call not in session.calls:
            self.alone.add(key)
        return commands

    def _leave_running(self, session: Session, now_ns: int) -> list[Command]:
        """Makes a job of each command that has not returned."""
        trees = [call for call in session.open.values() if call.opened.scope == "tree"]
        closed = [self.close(call, "unknown", now_ns, call.opened.tool_call) for call in trees]
        return [one for commands in closed for one in commands]

    def close(
        self, call: Call, outcome: ev.Outcome, now_ns: int, background: str | None = None
    ) -> list[Command]:
        """Closes a call's window; `background` is the job that goes on."""
        key = (*call.key, call.opened.tool_call)
        self.announced.pop(key, None)
        self.promised.pop(key, None)
        self._proxied.discard(key)
        self.alone.discard((*call.key, call.opened.tool_call))
        closed = CallClosed(
            agent=call.opened.agent,
            session=call.opened.session,
            tool_call=call.opened.tool_call,
            outcome=outcome,
            background=background,
            at_ns=now_ns,
        )
        return self._commit(closed)

    def _close_all(self, session: Session, now_ns: int, *, keep_jobs: bool) -> list[Command]:
        commands: list[Command] = []
        for call in list(session.open.values()):
            commands += self.close(call, "unknown", now_ns)
        for call in [] if keep_jobs else list(session.jobs.values()):
            commands += self.close(call, "unknown", now_ns)
        return commands

    def _end_jobs(self, session: Session, event: ev.TurnEnded) -> list[Command]:
        """Ends the background jobs that the agent no longer lists."""
        commands: list[Command] = []
        for call in list(session.jobs.values()):
            if call.background not in event.background:
                outcome = call.outcome or "ok"
                commands += self._commit(
                    CallClosed(
                        agent=session.agent,
                        session=session.id,
                        tool_call=call.opened.tool_call,
                        outcome=outcome,
                        background=None,
                        at_ns=event.received_ns,
                    )
                )
        return commands


def _name(session: Session, event: ev.ToolStarted | ev.ToolFinished) -> str:
    """Returns the id of the call that an event is of; an unnamed one is of the oldest open like it.

    Of calls that were like it and are all closed any will do: the finish was delivered twice.
    """
    if not event.unnamed:
        return event.tool_call
    paths = tuple(_by_path(event.targets))
    like = (event.subagent, event.tool, paths, event.command)
    for calls in (session.open, session.calls):
        for name, call in calls.items():
            opened = call.opened
            if (opened.subagent, opened.tool, opened.targets, opened.command) == like:
                return name
    return event.tool_call


def _moved(
    event: ev.ToolStarted | ev.ToolFinished, to: Call, parent: str | None
) -> ev.ToolStarted | ev.ToolFinished:
    """Returns the event as one of the session, turn and subagent of another call."""
    opened = to.opened
    return replace(
        event,
        agent=opened.agent,
        session=opened.session,
        turn=opened.turn,
        subagent=opened.subagent,
        parent=parent,
    )


def _by_path(targets: Sequence[ev.Target]) -> dict[bytes, ev.Target]:
    """Returns what is announced for each path; a move announces a write to its destination."""
    announced: dict[bytes, ev.Target] = {}
    for target in targets:
        announced[target.path] = target
        if target.move_to is not None:
            announced[target.move_to] = ev.Target(path=target.move_to, action="write")
    return announced
