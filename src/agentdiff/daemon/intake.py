"""What agents tell: hooks, which wait for their cut, and telemetry, which comes after the fact.

Owns the order of cut and event: a hook takes its cut on its own thread, which queues what it saw,
and then queues its event behind it; so the position in the queue *is* the cut
(doc/decisions/0007-the-queue-is-the-cut.md).  Must not know payloads nor decide.  Hop 3.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import sqlite3
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import TypeAlias

from agentdiff.agents import answers, registry
from agentdiff.core.events import (
    AgentEvent,
    PromptSubmitted,
    SessionEnded,
    SessionStarted,
    SubagentFinished,
    ToolFinished,
    ToolReported,
    ToolStarted,
    TurnEnded,
)
from agentdiff.core.sessions import SessionKey
from agentdiff.daemon import telling
from agentdiff.daemon.desk import Desk
from agentdiff.daemon.desks import Desks
from agentdiff.daemon.journal import Journal
from agentdiff.daemon.ports import HookAnswer, PreImage
from agentdiff.daemon.router import Route, Router
from agentdiff.errors import MalformedPayload
from agentdiff.workspace.roots import is_gone

WARM_NS = 300_000_000
COLD_NS = 10_000_000_000
"""How long a hook's cuts may take in all: of workspaces that are known, and of the others."""
MAX_REPORTS_QUEUED = 100_000
MAX_HELD_SESSIONS = 64
MAX_HELD_REPORTS = 256
CLOSERS = 2
DIGESTED_WITHIN_S = 10.0

_Enqueue: TypeAlias = Callable[[Callable[[], None]], None]
# Events after which a window may close: what the agent wrote must be seen before it does.
_CLOSING = (PromptSubmitted, TurnEnded, SessionEnded, SubagentFinished)


class _Patience:
    """How much longer a hook may wait: one allowance for all the workspaces that it concerns.

    The client of the hook leaves at some time (``agentdiff.sources.hook_client.c``), and the tool
    runs: a cut after that would take the tool's work for what was there before.
    """

    def __init__(self) -> None:
        self._left_ns = {True: WARM_NS, False: COLD_NS}
        self._until_ns = time.time_ns() + WARM_NS + COLD_NS

    @contextlib.contextmanager
    def spend(self, *, warm: bool) -> Iterator[int]:
        """Gives the deadline of a workspace's cuts; what they take, the next ones lack."""
        began_ns = time.time_ns()
        try:
            yield min(began_ns + self._left_ns[warm], self._until_ns)
        finally:
            took_ns = time.time_ns() - began_ns
            self._left_ns[warm] = max(0, self._left_ns[warm] - took_ns)


class Intake:
    """Any thread.

    Args:
        desks: the workspaces.
        enqueue: queues a job for the worker.
        logger: the daemon's.
        journal: of the calls whose beginning is not in a log yet; closed by the caller.

    Attributes:
        counters: what ``daemon status`` shows.
    """

    def __init__(
        self, desks: Desks, enqueue: _Enqueue, logger: logging.Logger, journal: Journal
    ) -> None:
        self._desks = desks
        self._journal = journal
        self._router = Router(desks.roots)
        self._enqueue = enqueue
        self._logger = logger
        # Closing a call by telemetry takes a cut first, for which neither worker nor loop may wait.
        self._closers = ThreadPoolExecutor(CLOSERS, thread_name_prefix="closer")
        # One thread: what could not be delivered in time is delivered in order.
        self._late = ThreadPoolExecutor(1, thread_name_prefix="late")
        self._pending: list[ToolReported] = []
        self._pending_lock = threading.Lock()
        self._held: OrderedDict[SessionKey, deque[ToolReported]] = OrderedDict()
        self.counters = Counter(
            events=0, ignored_paths=0, uncertain_cuts=0, reports=0, reports_dropped=0
        )

    def close(self) -> None:
        """Finishes what is under way."""
        self._late.shutdown(wait=True)
        self._closers.shutdown(wait=True, cancel_futures=True)

    def replay(self) -> None:
        """Opens the windows of calls whose beginning died with the last daemon; before all else."""
        for agent, payload, received_ns, within in self._journal.entries():
            try:
                self.hook(agent, payload, received_ns, (), within)
            except (MalformedPayload, OSError, sqlite3.Error) as error:
                extra = {"agent": agent, "reason": str(error)}
                self._logger.warning("call not opened again", extra=extra)
        if self._journal.owed:  # of what was just queued; `committed` asks whether it is written
            self._enqueue(self._journal.told)

    def digested(self) -> bool:
        """Commits what hooks told so far; see `agentdiff.daemon.ports.Backend.digested`."""
        written: Future[bool] = Future()

        def commit() -> None:
            for desk in self._desks.all():
                desk.keeping.commit()
            written.set_result(all(desk.keeping.problem is None for desk in self._desks.all()))

        self._late.submit(self._enqueue, commit)  # behind what is delivered late
        try:
            return written.result(DIGESTED_WITHIN_S)
        except TimeoutError:
            return False

    def committed(self) -> None:
        """Learns that everything queued was handled and committed; the worker's thread."""
        if all(desk.keeping.problem is None for desk in self._desks.all()):
            self._journal.committed()

    # --- hooks -----------------------------------------------------------------------------------

    def hook(
        self,
        agent: str,
        payload: bytes,
        received_ns: int,
        preimages: tuple[PreImage, ...] | None = None,
        within: str | None = None,
    ) -> HookAnswer:
        """Takes one hook; see `agentdiff.daemon.ports.Backend.hook`."""
        certain = True
        failures: list[Exception] = []
        printed = ""
        calls = late = False
        patience = _Patience()
        for parsed in registry.parse(agent, payload, received_ns):
            calls |= isinstance(parsed, ToolStarted)
            event = parsed if within is None else replace(parsed, within=within)
            routes = self._route(event)
            texts = []
            for route in routes:  # grows while it is walked
                try:
                    with self._in_time(event, route, preimages, patience) as desk:
                        if desk is None:
                            certain, late = False, True
                            continue
                        certain &= self._deliver(desk, route, preimages, patience)
                        if preimages is None:  # the agent of a replayed hook listens no more
                            texts.append(telling.ask(self._enqueue, desk, event))
                    routes += self._into(event, route.root)
                except (OSError, sqlite3.Error) as error:
                    # The other workspaces still get their cut.
                    if not self._left(event, route, routes):
                        failures.append(error)
            printed += answers.envelope(event, "\n".join(filter(None, texts)))
        if not certain:
            self.counters["uncertain_cuts"] += 1
        if calls and preimages is None and self._journal.note(agent, payload, received_ns, within):
            if late:  # behind what it tells
                self._late.submit(self._enqueue, self._journal.told)
            else:
                self._enqueue(self._journal.told)
        if failures:
            raise failures[0]
        return HookAnswer(certain=certain, text=printed)

    def _route(self, event: AgentEvent) -> list[Route]:
        routes, outside = self._router.route(event)
        self.counters["events"] += 1
        for path in outside:
            self.counters["ignored_paths"] += 1
            self._logger.info("path outside every workspace", extra={"path": repr(path)})
        return routes

    def _left(self, event: AgentEvent, route: Route, routes: Sequence[Route]) -> bool:
        """Whether a session has left a workspace behind: its folder is gone, and it has others."""
        if len(routes) == 1 or not is_gone(route.root):
            return False
        self._router.leave(event, route.root)
        return True

    @contextlib.contextmanager
    def _in_time(
        self,
        event: AgentEvent,
        route: Route,
        preimages: tuple[PreImage, ...] | None,
        patience: _Patience,
    ) -> Iterator[Desk | None]:
        """Gives the workspace of a route.

        None when the worker is still closing it: for that no agent waits longer than for a cut.
        It is told as soon as it can be opened again.
        """
        with contextlib.ExitStack() as used:
            with patience.spend(warm=False) as until_ns:
                desk = used.enter_context(self._desks.use_by(route.root, until_ns))
            if desk is None:
                self._late.submit(self._deliver_late, event, route, preimages)
            yield desk

    def _deliver_late(
        self, event: AgentEvent, route: Route, preimages: tuple[PreImage, ...] | None
    ) -> None:
        try:
            with self._desks.use(route.root) as desk:
                kinds = SessionStarted | PromptSubmitted | ToolStarted
                if isinstance(route.events[-1], kinds) and not preimages:
                    # No cut: by now it would take the call's work for what was there before.
                    for one in route.events:
                        self._tell(desk, one)
                else:
                    self._deliver(desk, route, preimages, _Patience())
            for inner in self._into(event, route.root):
                self._deliver_late(event, inner, preimages)
        except (OSError, sqlite3.Error) as error:
            extra = {"root": repr(route.root), "reason": str(error)}
            self._logger.error("event not delivered", extra=extra)

    def _into(self, event: AgentEvent, root: bytes) -> list[Route]:
        """Returns where else a shell command reaches from a workspace, once that was read."""
        if not isinstance(event, ToolStarted | ToolFinished) or event.scope != "tree":
            return []
        return self._router.into(event, self._desks.nested(root))

    def _deliver(
        self,
        desk: Desk,
        route: Route,
        preimages: tuple[PreImage, ...] | None,
        patience: _Patience,
    ) -> bool:
        """Takes the cut that an event needs, then queues it; returns whether the cut is whole."""
        with patience.spend(warm=desk.tracker.is_warm) as deadline:
            return self._deliver_by(deadline, desk, route, preimages)

    def _deliver_by(
        self, deadline: int, desk: Desk, route: Route, preimages: tuple[PreImage, ...] | None
    ) -> bool:
        *introduction, last = route.events
        for one in introduction:
            self._tell(desk, one)
        certain = True
        if isinstance(last, ToolStarted) and preimages is not None:
            # A spooled call has run long ago: what it did must not be seen before its window.
            self._tell(desk, last)
            for image in preimages:
                self._enqueue(functools.partial(desk.seed, image))
            self._cut(desk, last, deadline)
            return True
        if isinstance(last, ToolStarted) and last.waits:
            certain = self._cut(desk, last, deadline, before_tool=True)
        elif isinstance(last, ToolStarted | ToolFinished):
            # It may have written: its window opens before what it did is looked at.
            self._tell(desk, last if isinstance(last, ToolStarted) else last.as_start())
            certain = self._cut(desk, last, deadline)
        elif isinstance(last, _CLOSING):
            certain = desk.tracker.cut(deadline).certain if not desk.cold.is_set() else True
        self._tell(desk, last)
        if isinstance(last, SessionStarted | PromptSubmitted) and desk.cold.is_set():
            desk.tracker.warm()  # the first tool call finds it done, or waits for the rest
        return certain

    @staticmethod
    def _cut(
        desk: Desk,
        event: ToolStarted | ToolFinished,
        deadline_ns: int,
        *,
        before_tool: bool = False,
    ) -> bool:
        if event.scope == "none":
            return True
        if event.scope == "tree":
            return desk.tracker.cut(deadline_ns, before_tool=before_tool).certain
        if desk.cold.is_set():
            # Whatever else happens meanwhile must have a baseline too, but nobody waits for it.
            desk.tracker.warm()
        certain = True
        for target in event.targets:
            for path in (target.path, *([target.move_to] if target.move_to else [])):
                cut = desk.tracker.follow(path, deadline_ns, before_tool=before_tool)
                certain &= cut.certain
        return certain

    def _tell(self, desk: Desk, event: AgentEvent) -> None:
        self._enqueue(lambda: self._told(desk, event))

    def _told(self, desk: Desk, event: AgentEvent) -> None:
        desk.handle(event)
        held = self._held.pop((event.agent, event.session), None) if self._held else None
        if held:
            self._digest(held)

    # --- telemetry -------------------------------------------------------------------------------

    def telemetry(self, reports: Sequence[ToolReported]) -> bool:
        """See `agentdiff.daemon.ports.Backend.telemetry`."""
        with self._pending_lock:
            if len(self._pending) > MAX_REPORTS_QUEUED:
                return False
            first = not self._pending
            self._pending += reports
        if first:  # one job for all that comes until the worker gets to it
            self._enqueue(self._digest_pending)
        return True

    def announced(self, started: ToolStarted) -> None:
        """See `agentdiff.daemon.ports.Backend.announced`."""
        certain = True
        failures: list[Exception] = []
        routes = self._route(started)
        patience = _Patience()
        for route in routes:
            try:
                with self._in_time(started, route, None, patience) as desk:
                    certain &= desk is not None and self._deliver(desk, route, None, patience)
            except (OSError, sqlite3.Error) as error:
                if not self._left(started, route, routes):
                    failures.append(error)
        if not certain:
            self.counters["uncertain_cuts"] += 1
        if failures:
            raise failures[0]

    def _digest_pending(self) -> None:
        with self._pending_lock:
            reports, self._pending = self._pending, []
        self.counters["reports"] += len(reports)
        self._digest(reports)

    def _digest(self, reports: Iterable[ToolReported]) -> None:
        """Tells reports to the workspaces that know their sessions; worker thread only.

        Telemetry has no cwd.  Of a session that no hook has told of yet, the newest reports are
        held until one does.
        """
        desks = self._desks.all()
        for report in reports:
            key = (report.agent, report.session)
            knowing = [desk for desk in desks if key in desk.ledger.sessions.by_key]
            for desk in knowing:
                if desk.ledger.tracking.reports.would_close(report):
                    self._closers.submit(self._close, desk.root, report)
                else:
                    desk.handle(report)
            if not knowing:
                self._hold(key, report)

    def _hold(self, key: SessionKey, report: ToolReported) -> None:
        held = self._held.setdefault(key, deque(maxlen=MAX_HELD_REPORTS))
        self.counters["reports_dropped"] += len(held) == MAX_HELD_REPORTS
        held.append(report)
        self._held.move_to_end(key)
        if len(self._held) > MAX_HELD_SESSIONS:
            _, oldest = self._held.popitem(last=False)
            self.counters["reports_dropped"] += len(oldest)

    def _close(self, root: bytes, report: ToolReported) -> None:
        with self._desks.use(root) as desk:
            if not desk.cold.is_set():
                desk.tracker.cut(time.time_ns() + WARM_NS)
            self._tell(desk, report)
