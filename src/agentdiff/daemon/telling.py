"""Tells agents, and people who ask, what the user decided and said.

Owns when feedback leaves: with the answer to the hook of a prompt or a session start, the only
output that a hook may have, or for ``agentdiff feedback``.  Must not word it
(`agentdiff.core.notes`) nor know an agent's envelope (`agentdiff.agents.answers`).

A prompt's hook waits for the worker only when something waits to be told, and not for long: what
cannot be told now is told at the next prompt.  A future decides that race: one that was cancelled
is never told, one that was begun is always delivered.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING

from agentdiff.agents import answers
from agentdiff.core import notes
from agentdiff.core.events import AgentEvent, CommentAdded
from agentdiff.daemon.desk import Desk
from agentdiff.daemon.ports import RequestError
from agentdiff.sources import editor

if TYPE_CHECKING:
    from agentdiff.daemon.requests import Request

WAIT_S = 2.0
MAX_COMMENT_CHARS = 4000


def ask(enqueue: Callable[[Callable[[], None]], None], desk: Desk, event: AgentEvent) -> str:
    """Returns what the agent is told with the answer to a hook; on the hook's thread.

    Args:
        enqueue: queues a job for the worker; the event itself is queued already.
        desk: a workspace that the event is about.
        event: any; only a prompt of the user's, or a session start, is answered.
    """
    if not answers.can_tell(event) or not desk.ledger.feedback.waiting:
        return ""
    future: Future[str] = Future()

    def work() -> None:
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(_tell(desk, event))
            finally:  # a bug must not keep the agent waiting for ever
                if not future.done():
                    future.set_result("")

    enqueue(work)
    try:
        return future.result(WAIT_S)
    except TimeoutError:
        return "" if future.cancel() else future.result()


def _tell(desk: Desk, event: AgentEvent) -> str:
    feedback, now = desk.ledger.feedback, time.time_ns()
    waiting = feedback.waiting_for(event.agent, event.session, now)
    text = notes.compose(waiting, desk.recall.load)
    desk.perform(feedback.telling(waiting, event.agent, event.session, now))
    desk.store.commit()  # told twice after a crash would be worse than a moment's wait
    return text


def comment(request: Request) -> None:
    """Answers ``comment``."""
    lines = request.params.get("lines")
    match lines:
        case None:
            chosen = None
        case [int(first), int(last)] if 1 <= first <= last:
            chosen = (first, last)
        case _:
            raise RequestError("usage", f"lines: not [first, last], 1-based: {lines!r}")
    text = editor.required(request.params, "text", str).strip()
    if not text or len(text) > MAX_COMMENT_CHARS:
        raise RequestError("usage", f"text: expected 1 to {MAX_COMMENT_CHARS} characters")
    event = CommentAdded(
        path=editor.path_of(request.params, request.desk.root),
        text=text,
        client=request.client.kind,
        received_ns=time.time_ns(),
        request=request.later(),
        hunk=editor.optional(request.params, "hunk", int),
        lines=chosen,
    )
    request.desk.handle(event)


def feedback(request: Request) -> None:
    """Answers ``feedback``: what waits to be told, as text and as notes."""
    desk, now = request.desk, time.time_ns()
    waiting = list(desk.ledger.feedback.waiting)
    earlier = list(desk.ledger.feedback.told) if editor.flag(request.params, "all") else []
    if editor.flag(request.params, "take"):
        desk.perform(desk.ledger.feedback.telling(waiting, "", "", now))
    request.answer(
        {
            "v": 1,
            "seq": desk.ledger.seq,
            "text": notes.compose([*earlier, *waiting], desk.recall.load),
            "notes": [notes.note_json(note) for note in (*earlier, *waiting)],
        }
    )
