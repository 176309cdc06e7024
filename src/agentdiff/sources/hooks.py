"""``hook.sock``: agents' hooks come in, one connection each, and wait for their baseline.

Owns the hook protocol (doc/protocol.md) on the daemon's side, its threads, and the count of what
made no sense.  Must not parse payloads or know any agent.  Blocking sockets on threads of their
own, not asyncio: an agent waits for each answer, and neither the loop nor the worker may stand in
its way (measured 0.31 ms against 0.51 ms).  Hop 1.
"""

from __future__ import annotations

import errno
import logging
import select
import socket
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from agentdiff import wire
from agentdiff.daemon import sockets
from agentdiff.daemon.ports import HookAnswer, PreImage
from agentdiff.errors import MalformedPayload
from agentdiff.sources.descriptors import readable
from agentdiff.sources.spool import Spool

MAX_PAYLOAD_BYTES = 32 * 1024 * 1024
MAX_DISCARDED_BYTES = 1024 * 1024 * 1024
MAX_HEADER_BYTES = 64 * 1024
READ_TIMEOUT_S = 10.0
MAX_THREADS = 64
_KEPT_IDLE_THREADS = 4
_KEPT_REASONS = 20
_KEPT_LATENCIES = 1024
_COUNTED_AGENTS = 64
_ACCEPT_AGAIN_S = 0.2


class HookHandler(Protocol):
    """The shape of `agentdiff.daemon.ports.Backend.hook`."""

    def __call__(
        self,
        agent: str,
        payload: bytes,
        received_ns: int,
        preimages: tuple[PreImage, ...] | None = None,
        within: str | None = None,
    ) -> HookAnswer:
        """See `Backend.hook`."""


@dataclass(slots=True)
class HookCounters:
    """What ``daemon.status`` and ``doctor`` tell about hooks; written under its lock.

    Attributes:
        received: hooks whose payload arrived whole.
        replayed: hooks that came from the spool.
        malformed: payloads or headers that made no sense.
        refused: connections of other users.
        lost: connections that broke before the payload was whole.
        failed: hooks whose workspace could not be used.
        reasons: the newest malformed ones, ``(received_ns, agent, reason)``.
        agents: when the newest hook of each agent that made sense came, wall clock.
        by_agent: agent → ``[received, malformed]``; names beyond `_COUNTED_AGENTS` are one, ``*``.
        latencies_ns: how long the newest hooks waited, from their connection to their answer.
        last_active: monotonic clock of the newest hook, 0.0 before the first.
    """

    received: int = 0
    replayed: int = 0
    malformed: int = 0
    refused: int = 0
    lost: int = 0
    failed: int = 0
    reasons: deque[tuple[int, str, str]] = field(
        default_factory=lambda: deque(maxlen=_KEPT_REASONS)
    )
    agents: dict[str, int] = field(default_factory=dict)
    by_agent: dict[str, list[int]] = field(default_factory=dict)
    # Appended to and copied without the lock: either is one step of the interpreter.
    latencies_ns: deque[int] = field(default_factory=lambda: deque(maxlen=_KEPT_LATENCIES))
    last_active: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note_malformed(self, agent: str, reason: str, received_ns: int) -> None:
        """Counts one payload that made no sense; any thread."""
        with self.lock:
            self.malformed += 1
            self.reasons.append((received_ns, agent, reason))
            self._counts(agent)[1] += 1

    def _counts(self, agent: str) -> list[int]:
        """Returns what is counted of one agent; the caller holds the lock.

        A name is whatever a hook command says: a broken one must not fill the memory.
        """
        known = agent in self.by_agent or len(self.by_agent) < _COUNTED_AGENTS
        return self.by_agent.setdefault(agent if known else "*", [0, 0])

    def note_received(self, *, replayed: bool = False) -> None:
        """Counts one whole payload; any thread."""
        with self.lock:
            self.received += not replayed
            self.replayed += replayed
            self.last_active = time.monotonic()

    def note_understood(self, agent: str, received_ns: int) -> None:
        """Remembers that an agent was heard of; any thread."""
        with self.lock:
            self.agents[agent] = received_ns
            self._counts(agent)[0] += 1

    def snapshot(self) -> dict[str, object]:
        """Returns the counters as JSON; any thread."""
        with self.lock:
            return {
                "received": self.received,
                "replayed": self.replayed,
                "malformed": self.malformed,
                "refused": self.refused,
                "lost": self.lost,
                "failed": self.failed,
                "agents": dict(self.agents),
                "by_agent": {
                    agent: {"received": received, "malformed": malformed}
                    for agent, (received, malformed) in self.by_agent.items()
                },
                "reasons": [
                    {"received_ns": ns, "agent": agent, "reason": reason}
                    for ns, agent, reason in self.reasons
                ],
            }


def read_exactly(connection: socket.socket, data: bytearray, size: int) -> None:
    """Reads until `data` holds `size` bytes.

    Raises:
        MalformedPayload: the peer stopped before.
        TimeoutError: it stalls.
    """
    while len(data) < size:
        chunk = connection.recv(min(size - len(data), 1 << 20))
        if not chunk:
            raise MalformedPayload(
                f"connection ended after {len(data)} of {size} bytes", field="len"
            )
        data += chunk


def discard(connection: socket.socket, size: int) -> None:
    """Reads and forgets: closing with unread input resets the connection, answer included."""
    while size > 0 and (chunk := connection.recv(1 << 20)):
        size -= len(chunk)


def read_request(connection: socket.socket) -> tuple[str, bytes, str | None]:
    """Reads header line and payload of one hook; returns agent, payload and enclosing run.

    Raises:
        MalformedPayload: not the protocol, too large, or cut short.
        TimeoutError: the peer stalls.
    """
    data = bytearray()
    while (end := data.find(b"\n")) < 0:
        if len(data) > MAX_HEADER_BYTES:
            raise MalformedPayload(f"header line of more than {MAX_HEADER_BYTES} bytes")
        chunk = connection.recv(65536)
        if not chunk:
            raise MalformedPayload("connection ended inside the header line")
        data += chunk
    agent, size, within = read_header(bytes(data[:end]))
    del data[: end + 1]
    if size > MAX_PAYLOAD_BYTES:
        discard(connection, size - len(data))
        raise MalformedPayload(f"{size} bytes, {MAX_PAYLOAD_BYTES} are possible", field="len")
    read_exactly(connection, data, size)
    return agent, bytes(data[:size]), within


def read_header(line: bytes) -> tuple[str, int, str | None]:
    """Returns agent, payload size and the `agentdiff run` around the agent, of a header line.

    Raises:
        MalformedPayload: it is not a header of a protocol that we speak.
    """
    try:
        header: Mapping[str, object] = wire.decode(line)
    except wire.WireError as error:
        raise MalformedPayload(str(error), field="header") from error
    if wire.common_version(header) is None:
        raise MalformedPayload("no common version; run `agentdiff install` again", field="proto")
    agent, size = header.get("agent"), header.get("len")
    if not isinstance(agent, str) or not agent:
        raise MalformedPayload("missing", field="agent")
    if not isinstance(size, int) or not 0 <= size <= MAX_DISCARDED_BYTES:
        raise MalformedPayload(f"not a size in bytes: {size!r}", field="len")
    within = header.get("within")
    return agent, size, within if isinstance(within, str) and within else None


class HookServer:
    """Answers ``hook.sock`` on its own threads.

    Each idle thread waits for a connection and serves what it accepted itself; whoever takes the
    last idle place first starts a successor.  So a hook is never handed over between threads, and
    one that waits ten seconds for its first cut delays nobody.

    Args:
        listener: bound and listening; owned from now on.
        handle: called on a hook thread.
        spool: drained before any hook is handed on.
        counters: shared with ``daemon.status``.
        logger: the daemon's.
    """

    def __init__(
        self,
        listener: socket.socket,
        handle: HookHandler,
        *,
        spool: Spool,
        counters: HookCounters,
        logger: logging.Logger,
    ) -> None:
        self._listener = listener
        self._handle = handle
        self._spool = spool
        self._counters = counters
        self._logger = logger
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._threads: set[threading.Thread] = set()
        self._idle = 0
        self._closing = False
        self._wake_read, self._wake_write = socket.socketpair()
        listener.setblocking(False)

    def start(self) -> None:
        """Begins to answer.  Connections made since `listener` was bound have waited for this.

        Raises:
            OSError: there is no thread left.
        """
        with self._lock:
            if not self._spawn():
                raise OSError(errno.EAGAIN, "no thread left for hooks")

    def close(self, timeout_s: float) -> bool:
        """Stops accepting and waits for hooks in progress; returns whether all of them finished."""
        with self._lock:
            self._closing = True
        self._wake_write.close()  # end of file wakes every idle thread at once
        with self._changed:
            finished = self._changed.wait_for(lambda: not self._threads, timeout_s)
        self._listener.close()
        if finished:
            self._wake_read.close()
        return finished

    def in_progress(self) -> int:
        """Returns how many hooks are being answered; any thread."""
        with self._lock:
            return len(self._threads) - self._idle

    def _spawn(self) -> bool:
        """Starts one idle thread; the caller holds the lock.

        Returns:
            False when there is none left (a limit of the system): whoever serves goes on alone.
        """
        thread = threading.Thread(target=self._work, name="agentdiff-hook", daemon=True)
        self._threads.add(thread)
        self._idle += 1
        try:
            thread.start()
        except RuntimeError as error:
            self._threads.discard(thread)
            self._idle -= 1
            self._logger.error("hook thread not started", extra={"reason": str(error)})
            return False
        return True

    def _work(self) -> None:
        """Accepts and serves until the server closes, or more threads than needed are idle."""
        idle = True
        try:
            while (connection := self._accept()) is not None:
                with self._lock:
                    self._idle -= 1
                    idle = False
                    if self._idle == 0 and len(self._threads) < MAX_THREADS and not self._closing:
                        self._spawn()
                with connection:
                    self._serve(connection)
                with self._lock:
                    if self._idle >= _KEPT_IDLE_THREADS:
                        return
                    self._idle += 1
                    idle = True
        finally:
            # Also when `_handle` broke its promise: the pool must not shrink by a bug elsewhere
            # (`threading.excepthook` has logged it).
            with self._changed:
                self._idle -= idle
                self._threads.discard(threading.current_thread())
                while not (self._threads or self._closing or self._spawn()):
                    self._changed.wait(_ACCEPT_AGAIN_S)
                self._changed.notify_all()

    def _accept(self) -> socket.socket | None:
        """Waits for a connection; None when the server closes."""
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        poll.register(self._wake_read, select.POLLIN)
        while True:
            ready = {fd for fd, _ in poll.poll()}
            if self._closing or self._wake_read.fileno() in ready:
                return None
            try:
                connection, _ = self._listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                continue  # another idle thread was faster, or the client left
            except OSError as error:
                # Out of descriptors, most likely.  The connection stays in the backlog; a pause
                # keeps this from becoming a busy loop.
                self._logger.error("hook not accepted", extra={"reason": str(error)})
                readable(self._wake_read, _ACCEPT_AGAIN_S)
                continue
            connection.settimeout(READ_TIMEOUT_S)
            return connection

    def _serve(self, connection: socket.socket) -> None:
        """Answers one hook."""
        if not sockets.is_owner(connection):
            with self._counters.lock:
                self._counters.refused += 1
            self._logger.warning("hook refused", extra={"reason": "another user"})
            return
        received_ns, began_ns = time.time_ns(), time.perf_counter_ns()
        try:
            agent, payload, within = read_request(connection)
        except MalformedPayload as malformed:
            answer = self._refuse("?", malformed, received_ns)
        except OSError as error:
            with self._counters.lock:
                self._counters.lost += 1
            self._logger.warning("hook lost", extra={"reason": str(error)})
            return
        else:
            answer = self._answer(agent, payload, received_ns, within)
        try:
            connection.sendall(wire.encode({"proto": wire.PROTO, **answer}))
        except OSError as error:
            # The agent gave up waiting.  Its hook counts all the same: the payload was handed on.
            self._logger.info("hook client left", extra={"reason": str(error)})
        self._counters.latencies_ns.append(time.perf_counter_ns() - began_ns)

    def _answer(
        self, agent: str, payload: bytes, received_ns: int, within: str | None
    ) -> dict[str, object]:
        """Hands one whole hook on and waits; returns the fields of the answer."""
        self._counters.note_received()
        self._spool.drain()
        try:
            taken = self._handle(agent, payload, received_ns, within=within)
        except MalformedPayload as malformed:
            return self._refuse(agent, malformed, received_ns)
        except (OSError, sqlite3.Error) as error:
            with self._counters.lock:
                self._counters.failed += 1
            self._logger.error("hook not taken", exc_info=error, extra={"agent": agent})
            return {"ok": False, "error": f"workspace cannot be used: {error}"}
        self._counters.note_understood(agent, received_ns)
        return {"ok": True, "certain": taken.certain, "print": taken.text}

    def _refuse(
        self, agent: str, malformed: MalformedPayload, received_ns: int
    ) -> dict[str, object]:
        """Counts and logs a hook that made no sense; returns the fields of the answer."""
        self._counters.note_malformed(agent, str(malformed), received_ns)
        self._logger.warning("hook malformed", extra={"agent": agent, "reason": str(malformed)})
        return {"ok": False, "error": str(malformed)}
