"""What comes after the fact: telemetry about a call, and an agent's own account of what it did.

Owns the merging of such reports into calls that hooks told of.  Must not open a call, and must not
decide who wrote a line: a report closes, names who decided, and makes surer.  Hop 4, called by
`agentdiff.core.tracking`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentdiff.core import events as ev
from agentdiff.core.codec import encode_state
from agentdiff.core.commands import Command, Publish
from agentdiff.core.confirming import confirmed
from agentdiff.core.records import CallReported, PathChanged
from agentdiff.core.sessions import Call, SessionKey

if TYPE_CHECKING:
    from agentdiff.core.ledger import Ledger
    from agentdiff.core.tracking import Tracking


class Reports:
    """Turns reports into records.

    Attributes:
        asked: the tool for which each session asked for permission last; not kept over a restart.
    """

    def __init__(self, ledger: Ledger, tracking: Tracking) -> None:
        self._ledger = ledger
        self._tracking = tracking
        self.asked: dict[SessionKey, str] = {}

    def would_close(self, event: ev.ToolReported) -> bool:
        """Whether a report ends a window: then what the call wrote must be seen before."""
        call = self._meant(event)
        return call is not None and call.closed_ns is None and _ends(event)

    def _meant(self, event: ev.ToolReported) -> Call | None:
        """Returns the call that a report is about, None when no hook told of it."""
        session = self._ledger.sessions.by_key.get((event.agent, event.session))
        if session is None:
            return None
        if event.tool_call:
            return session.calls.get(event.tool_call)
        same = (call for call in session.calls.values() if call.opened.tool == event.tool)
        return next((call for call in same if not call.decided_by), None)

    def merge(self, event: ev.ToolReported) -> list[Command]:
        """Merges a report into its call; one about no known call says nothing."""
        call = self._meant(event)
        if call is None:
            return []
        commands = self._answered(call, event)
        if event.decided_by not in ("", call.decided_by) or event.trace not in ("", call.trace):
            told = CallReported(
                agent=event.agent,
                session=event.session,
                tool_call=call.opened.tool_call,
                decided_by=event.decided_by,
                trace=event.trace,
                at_ns=event.received_ns,
            )
            commands.append(self._ledger.commit(told))
        if _ends(event) and (call.closed_ns is None or call.outcome == "unknown"):
            outcome: ev.Outcome = "denied" if event.allowed is False else event.outcome or "unknown"
            at_ns = event.received_ns if call.closed_ns is None else call.closed_ns
            commands += self._tracking.close(call, outcome, at_ns, event.background)
            commands.append(Publish())
        return commands

    def _answered(self, call: Call, event: ev.ToolReported) -> list[Command]:
        """A dialog was answered; after a refusal Claude Code waits for the next prompt."""
        session = self._ledger.sessions.by_key[call.key]
        asked = self.asked.get(call.key, call.opened.tool) == call.opened.tool
        if session.state != "waiting" or event.allowed is None or not asked:
            return []
        return self._tracking.session(event, "working" if event.allowed else "idle")

    def confirm(self, call: Call, event: ev.ToolFinished) -> list[Command]:
        """Raises the evidence where the agent's own account of a command fits what was seen."""
        commands: list[Command] = []
        for edited in event.edits:
            state = self._ledger.paths.get(edited.path)
            after = state and confirmed(state, edited, call.opened.tool_call)
            if state is None or after is None:
                continue
            owners = [owner for change in after.changes().values() for owner in change.owners]
            mine = [owner for owner in owners if owner.tool_call == call.opened.tool_call]
            changed = PathChanged(
                path=edited.path,
                before=state.cur.ref(),
                after=state.cur.ref(),
                owner=mine[0],
                state=encode_state(after),
                at_ns=event.received_ns,
            )
            commands.append(self._ledger.commit(changed, {edited.path: after}))
            commands.append(Publish(files=(edited.path,)))
        return commands


def _ends(event: ev.ToolReported) -> bool:
    return event.allowed is False or event.outcome is not None
