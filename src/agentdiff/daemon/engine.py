"""The engine: one queue, one worker, and the hooks that run past it.

Owns the crossing between threads (hop 3): everything that changes state is queued and done by one
worker thread, in order.  Hooks first take their cut on their own thread, which queues what it saw,
and then queue their event behind it; so the position in the queue *is* the cut.  Must not know
payloads (`agentdiff.agents`) nor decide (`agentdiff.core`).

The one broad ``except`` of the project is `Engine._do`: a bug in one event must not end the
daemon.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import queue
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeAlias, TypeVar

from agentdiff.config import Config
from agentdiff.core.events import (
    EditorAttached,
    EditorClaimed,
    EditorDetached,
    TimePassed,
    ToolReported,
    ToolStarted,
)
from agentdiff.daemon import patience, requests
from agentdiff.daemon.desk import Desk
from agentdiff.daemon.desks import Desks
from agentdiff.daemon.intake import Intake
from agentdiff.daemon.journal import Journal
from agentdiff.daemon.ports import ClientPort, HookAnswer, PreImage, RequestError
from agentdiff.daemon.settling import Settling
from agentdiff.locations import Locations
from agentdiff.sources import editor
from agentdiff.workspace.observations import Batch
from agentdiff.workspace.roots import find_root, is_gone
from agentdiff.workspace.spelling import real_path

TICK_S = 2.0
RESTLESS_TICK_S = 0.1
READERS = 4
GONE_CLIENTS = 256
# The worker wakes every two seconds: so long a gap is a suspended machine, or a clock that was set.
SLEPT_NS = 60_000_000_000

_Job: TypeAlias = Callable[[], None]
_Answer = TypeVar("_Answer")


class Engine:
    """The one writer of all state; implements `agentdiff.daemon.ports.Backend`.

    Args:
        locations: where workspaces are kept.
        config: the user's settings.
        logger: the daemon's.
    """

    def __init__(self, *, locations: Locations, config: Config, logger: logging.Logger) -> None:
        self.config = config
        self.locations = locations
        self.logger = logger
        self._home = os.fsencode(os.path.expanduser("~"))
        self._gone: deque[str] = deque(maxlen=GONE_CLIENTS)
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._desks = Desks(locations.workspaces, self._make_desk, self._queue.put)
        self._journal = Journal(locations.journal)
        self.intake = Intake(self._desks, self._queue.put, logger, self._journal)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="reader")
        self._settling = Settling()
        self._requests = 0
        self.counters = {"bugs": 0}
        self._awake_ns = time.time_ns()
        self._ticked_s = time.monotonic()
        self._leaving = False
        self._worker = threading.Thread(target=self._work, name="worker", daemon=True)
        self._worker.start()
        self.intake.replay()

    # --- workspaces ------------------------------------------------------------------------------

    def _make_desk(self, root: bytes) -> Desk:
        folder = self.locations.workspace_folder(root)
        return Desk(root, folder, self.config, self._home, self.logger, self._emit)

    def desk(self, root: bytes) -> Desk:
        """Returns an open workspace, opening it when needed; see `Desks.use`."""
        with self._desks.use(root) as desk:
            return desk

    def _emit(self, desk: Desk, batch: Batch) -> None:
        if not batch.initial:
            paths = [one.path for one in batch.observations]
            self._queue.put(lambda: desk.hear_git(paths))  # a job of its own: git may fail
        self._queue.put(lambda: desk.take(batch))

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
        return self.intake.hook(agent, payload, received_ns, preimages, within)

    def digested(self) -> bool:
        """Commits what hooks told so far; see `agentdiff.daemon.ports.Backend.digested`."""
        return self.intake.digested()

    def telemetry(self, reports: Sequence[ToolReported]) -> bool:
        """Takes what telemetry tells; see `agentdiff.daemon.ports.Backend.telemetry`."""
        return self.intake.telemetry(reports)

    def announced(self, started: ToolStarted) -> None:
        """Takes the baseline for a call; see `agentdiff.daemon.ports.Backend.announced`."""
        self.intake.announced(started)

    # --- requests --------------------------------------------------------------------------------

    def call(
        self, method: str, params: Mapping[str, object], client: ClientPort
    ) -> Future[dict[str, object]]:
        """Starts a request; see `agentdiff.daemon.ports.Backend.call`."""
        future: Future[dict[str, object]] = Future()
        handler = requests.METHODS.get(method)
        if handler is None:
            future.set_exception(RequestError("unknown_method", f"unknown method: {method}"))
            return future
        serve = functools.partial(self._serve, handler, method, params, client, future)
        self._readers.submit(self._answered, serve, method, future)
        return future

    def _answered(self, act: _Job, method: str, future: Future[dict[str, object]]) -> None:
        """Does something for a request; when a bug ends it, the client learns that at least."""
        if not self._do(act) and not future.done():
            reason = f"{method} failed, see the daemon's log {self.locations.log_file}"
            future.set_exception(RequestError("internal", reason))

    def _serve(
        self,
        handler: requests.Handler,
        method: str,
        params: Mapping[str, object],
        client: ClientPort,
        future: Future[dict[str, object]],
    ) -> None:
        """Settles the workspace on a reader thread, then lets the worker make the answer."""
        with contextlib.ExitStack() as used:
            try:
                desk = used.enter_context(self._desks.use(self.root_of(params)))
            except RequestError as error:
                future.set_exception(error)
                return
            except (OSError, sqlite3.Error) as error:
                future.set_exception(RequestError("unavailable", str(error)))
                return
            reasons = [] if method in requests.UNSETTLED else self._settling.settle(desk, client)
            if method in patience.WRITING:
                ask = functools.partial(patience.edits_under_way, desk, method, params, client.kind)
                patience.wait_for_edits(lambda: self._asked(ask), client, desk.name)
            in_use = used.pop_all()

        def work() -> None:
            with in_use:
                try:
                    if method not in requests.UNSETTLED:
                        desk.hear_git()
                    handler(requests.Request(self, desk, params, client, future, tuple(reasons)))
                except RequestError as error:
                    future.set_exception(error)
                except sqlite3.OperationalError as error:  # the state folder's disk refuses
                    reason = f"{error}: free space and try again"
                    future.set_exception(RequestError("unavailable", reason))

        self._queue.put(functools.partial(self._answered, work, method, future))

    def _asked(self, question: Callable[[], _Answer]) -> _Answer:
        """Returns what the worker answers; for other threads than the worker's."""
        future: Future[_Answer] = Future()

        def answer() -> None:
            try:
                future.set_result(question())
            finally:
                future.cancel()  # a bug: who waits must not wait for ever

        self._queue.put(answer)
        return future.result()

    def root_of(self, params: Mapping[str, object]) -> bytes:
        """Returns the workspace that a request names.

        Raises:
            RequestError: ``usage``, it names none or one that does not exist.
        """
        kind, path = editor.folder(params)
        if is_gone(path):
            shown = path.decode(errors="replace")
            raise RequestError("usage", f"{kind}: no such folder: {shown}")
        return find_root(path, self._desks.roots()) if kind == "cwd" else real_path(path)

    def inside(self, desk: Desk) -> list[Desk]:
        """Returns the open workspaces inside another one (submodules, linked work trees)."""
        above = desk.root.rstrip(b"/") + b"/"
        return [one for one in self._desks.all() if one.root.startswith(above)]

    def new_request(self) -> int:
        """Returns a number for an answer that comes later; worker thread only."""
        self._requests += 1
        return self._requests

    def notify(self, method: str, params: Mapping[str, object], client: ClientPort) -> None:
        """Takes a notification; see `agentdiff.daemon.ports.Backend.notify`."""
        try:
            if method == "settled":
                self._settling.settled(editor.required(params, "token", str), client)
            elif method == "claim":
                self._claim(params, client)
            else:
                self.logger.warning("unknown notification", extra={"method": method})
        except (RequestError, OSError, sqlite3.Error) as error:
            self.logger.warning(
                "notification refused", extra={"method": method, "error": str(error)}
            )

    def _claim(self, params: Mapping[str, object], client: ClientPort) -> None:
        claim = editor.claim(params, client.id, time.time_ns())
        # An attached editor's workspace is open, and it knows the root.  To ask a file system, or
        # to open one here, would block the event loop.
        desk = self._desks.get(editor.folder(params)[1])
        if desk is None:
            self._readers.submit(self._do, lambda: self._claim_inside(params, claim))
        else:
            self._queue.put(lambda: desk.claimed(claim))

    def _claim_inside(self, params: Mapping[str, object], claim: EditorClaimed) -> None:
        """Takes a claim that names a folder below, or a link to, a workspace; a reader's thread."""
        try:
            desk = self._desks.get(self.root_of(params))
        except RequestError:
            desk = None
        if desk is None:
            extra = {"by": claim.client}
            self.logger.warning("claim for a workspace that is not open", extra=extra)
        else:
            self._queue.put(lambda: desk.claimed(claim))

    def attach(self, desk: Desk, client: ClientPort) -> None:
        """Lets a client receive what changes in a workspace; worker thread only."""
        if client.id in self._gone:
            return  # it left while its request was waiting
        if desk.cold.is_set():
            desk.tracker.warm()
        desk.audience.clients[client.id] = client
        desk.handle(EditorAttached(client=client.id, received_ns=time.time_ns()))

    def detach(self, desk: Desk, client: ClientPort) -> None:
        """Ends `attach`; worker thread only."""
        if desk.audience.clients.pop(client.id, None) is not None:
            desk.handle(EditorDetached(client=client.id, received_ns=time.time_ns()))

    def client_gone(self, client: ClientPort) -> None:
        """Learns that a connection ended; any thread."""
        self._queue.put(lambda: self._forget(client))
        self._settling.gone(client)

    def _forget(self, client: ClientPort) -> None:
        self._gone.append(client.id)
        for desk in self._desks.all():
            self.detach(desk, client)

    # --- the worker ------------------------------------------------------------------------------

    def _work(self) -> None:
        while True:
            job = self._next()
            if job is None:
                while not self._queue.empty() and (late := self._queue.get()):
                    self._do(late)  # a workspace was about to be closed
                return
            self._notice_sleep()
            self._do(job)
            if self._queue.empty():
                for desk in self._desks.all():
                    self._do(desk.publish)
                self._do(self.intake.committed)

    def _next(self) -> _Job | None:
        """Returns what is to be done now; a tick when one is due, however often others ask."""
        restless = any(desk.restless for desk in self._desks.all())
        left_s = self._ticked_s + (RESTLESS_TICK_S if restless else TICK_S) - time.monotonic()
        if left_s > 0.0 or self._leaving:
            with contextlib.suppress(queue.Empty):
                return self._queue.get(timeout=None if self._leaving else left_s)
        self._ticked_s = time.monotonic()  # also if it fails
        return self._tick

    def _notice_sleep(self) -> None:
        """Tells every workspace of a time in which nobody could be heard; before the next job."""
        before_ns, self._awake_ns = self._awake_ns, time.time_ns()
        slept_ns = self._awake_ns - before_ns
        if slept_ns < SLEPT_NS:
            return
        self.logger.info("the clock jumped", extra={"seconds": slept_ns // 10**9})
        for desk in self._desks.all():
            self._do(functools.partial(self._woken, desk, slept_ns))

    def _woken(self, desk: Desk, slept_ns: int) -> None:
        desk.perform(desk.ledger.resume(self._awake_ns, slept_ns))

    def _do(self, job: _Job) -> bool:
        """Does a job; returns whether it came to its end."""
        try:
            job()
        except Exception:
            # A bug of ours: this event is lost, the others are not.
            self.counters["bugs"] += 1
            self.logger.exception("an event could not be handled")
            return False
        return True

    def _tick(self) -> None:
        for desk in self._desks.all():
            self._do(functools.partial(self._look_after, desk))
        for desk in self._desks.retire(self.config.daemon.idle_minutes * 60):
            # After this nothing is queued for it; what is queued already is done before.
            self._do(desk.fall_silent)
            self._queue.put(functools.partial(self._desks.closed, desk))
            self.logger.info("workspace closed", extra={"workspace": desk.name})
        self._ticked_s = time.monotonic()  # one that takes long leaves as much time to the others

    @staticmethod
    def _look_after(desk: Desk) -> None:
        desk.hear_git()
        desk.handle(TimePassed(received_ns=time.time_ns()))
        desk.tidy()

    # --- the daemon's questions ------------------------------------------------------------------

    def busy(self) -> bool:
        """Whether an agent's session is live; any thread."""
        return any(desk.live for desk in self._desks.all())

    def describe(self) -> dict[str, object]:
        """Returns workspaces and counters; any thread."""
        workspaces: list[dict[str, Any]] = [
            {
                "root": desk.name,
                "pending": len(desk.ledger.paths),
                "seq": desk.ledger.seq,
                "clients": len(desk.audience.clients),
                "watching": desk.watching,
                "watch_problem": desk.watcher.problem,
                "warm": desk.tracker.is_warm,
                "skipped": len(desk.tracker.coverage()),
                "git_problem": desk.git_problem,
                "store_problem": desk.upkeep.problem,
                "storage_problem": desk.keeping.problem,
                "blobs": desk.blobs.count,
                "blob_bytes": desk.blobs.size_bytes,
                "blob_budget_bytes": desk.upkeep.budget_bytes,
                "blob_problems": list(desk.blobs.problems),
            }
            for desk in self._desks.all()
        ]
        counters = {**self.counters, **self.intake.counters, "queued": self._queue.qsize()}
        return {"workspaces": workspaces, "counters": counters}

    def close(self) -> None:
        """Finishes what is queued and closes every workspace."""
        self._readers.shutdown(wait=True, cancel_futures=True)
        self.intake.close()
        for desk in self._desks.all():
            desk.fall_silent()
        self._leaving = True  # nothing is looked after that is closed
        for desk in self._desks.all():
            self._queue.put(desk.close)
        self._queue.put(self.intake.committed)
        self._queue.put(None)
        self._worker.join()
        self._journal.close()
