"""Passes the Agent Client Protocol on, byte for byte, and tells the daemon what it sees.

Owns the two pipes, the order of telling, and the agent's process group.  Must not change, add or
swallow a byte: a line is only held back until the baseline that it needs is taken.  Hop 1.
"""

from __future__ import annotations

import contextlib
import os
import queue
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import FrameType

import orjson

from agentdiff.agents.acp_conversation import Conversation, Told
from agentdiff.sources.run.session import Deliver

MAX_LINE_BYTES = 256 * 1024 * 1024
"""A longer line is passed on unread."""
GRACE_S = 3.0
_LINGER_S = 0.2
_CHUNK = 256 * 1024

_Read = Callable[[object], list[Told]]


def run(
    argv: Sequence[str],
    environ: Mapping[str, str],
    conversation: Conversation,
    deliver: Deliver,
) -> int:
    """Runs an agent between our standard input and output; returns its exit status.

    Args:
        argv: the agent's command.
        environ: its environment.
        conversation: what is remembered of the protocol.
        deliver: the way to the daemon.

    Raises:
        OSError: the agent cannot be started.
    """
    return Proxy(argv, environ, conversation, deliver).run()


class Proxy:
    """One agent and its client; see `run`."""

    def __init__(
        self,
        argv: Sequence[str],
        environ: Mapping[str, str],
        conversation: Conversation,
        deliver: Deliver,
    ) -> None:
        self._conversation = conversation
        self._deliver = deliver
        self._news: queue.SimpleQueue[tuple[Told, threading.Event] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._agent = subprocess.Popen(
            argv,
            env=dict(environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._agent.stdin is not None
        assert self._agent.stdout is not None
        self._to_agent = self._agent.stdin.fileno()
        self._from_agent = self._agent.stdout.fileno()
        self._gone, self._going = os.pipe()
        self._teller = threading.Thread(target=self._tell, name="teller")

    def run(self) -> int:
        """Passes on until one side ends; ends the other, and all that the agent has started."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        self._teller.start()
        threading.Thread(target=self._client_side, name="client", daemon=True).start()
        threading.Thread(target=self._await_end, name="end", daemon=True).start()
        self._pass_on(self._from_agent, 1, self._conversation.from_agent)
        self._stop()
        with self._lock:
            told = self._conversation.end()
        for one in told:
            self._news.put((one, threading.Event()))
        self._news.put(None)
        self._teller.join()
        return self._agent.wait()

    def _await_end(self) -> None:
        """Notes the agent's end: what it has started may hold its output open for ever."""
        with contextlib.suppress(ChildProcessError):  # somebody was faster
            os.waitid(os.P_PID, self._agent.pid, os.WEXITED | os.WNOWAIT)
        os.close(self._going)

    def _client_side(self) -> None:
        self._pass_on(0, self._to_agent, self._conversation.from_client)
        assert self._agent.stdin is not None
        with contextlib.suppress(OSError):
            self._agent.stdin.close()
        # Some agents do not leave when their input ends (codex-acp 0.16.0).
        deadline = time.monotonic() + GRACE_S
        while self._agent.poll() is None and time.monotonic() < deadline:
            threading.Event().wait(0.05)
        self._end_group()

    def _pass_on(self, source: int, target: int, read: _Read) -> None:
        """Copies lines from one side to the other until either is gone."""
        pending = bytearray()
        skipping = False
        while data := self._next(source):
            pending += data
            if b"\n" in data:
                *lines, rest = bytes(pending).split(b"\n")
                pending = bytearray(rest)
                for line in lines:
                    if not skipping:
                        self._see(line, read)
                    skipping = False
                    if not _write_all(target, line + b"\n"):
                        return
            if len(pending) > MAX_LINE_BYTES:
                skipping = True
                if not _write_all(target, bytes(pending)):
                    return
                pending.clear()
        _write_all(target, bytes(pending))

    def _next(self, source: int) -> bytes:
        """Returns what comes next from a side, nothing when it has ended."""
        ends = [source, self._gone] if source == self._from_agent else [source]
        while True:
            ready, _, _ = select.select(ends, [], [])
            if source not in ready and not select.select([source], [], [], _LINGER_S)[0]:
                return b""  # the agent is gone, and all that it said is read
            try:
                return os.read(source, _CHUNK)
            except BlockingIOError:  # whoever has the other end made it so
                continue
            except OSError:
                return b""

    def _see(self, line: bytes, read: _Read) -> None:
        """Looks at a line before it goes on; waits when it must not go on yet."""
        try:
            message = orjson.loads(line)
        except orjson.JSONDecodeError:
            return
        messages = message if isinstance(message, list) else [message]  # JSON-RPC batches
        with self._lock:
            told = [one for each in messages for one in read(each)]
        waits = []
        for one in told:
            done = threading.Event()
            self._news.put((one, done))
            waits += [done] if one.held else []
        for done in waits:
            while not done.wait(1.0) and self._teller.is_alive():
                continue  # nobody waits for a teller that is gone

    def _tell(self) -> None:
        """Delivers in order, on a thread of its own: only what is held waits for it."""
        while (news := self._news.get()) is not None:
            told, done = news
            try:
                self._deliver("acp", told.payload)
            finally:
                done.set()

    def _on_signal(self, *_: int | FrameType | None) -> None:
        threading.Thread(target=self._end_group, daemon=True).start()

    def _stop(self) -> None:
        """The agent has said its last: gives it the time to leave by itself."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._agent.wait(GRACE_S)
        self._end_group()

    def _end_group(self) -> None:
        """Ends what is left of the agent's process group: asks, then kills."""
        group = self._agent.pid
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(group, number)
            except (ProcessLookupError, PermissionError):
                return
            deadline = time.monotonic() + GRACE_S
            while _alive(group, self._agent) and time.monotonic() < deadline:
                threading.Event().wait(0.02)


def _alive(group: int, agent: subprocess.Popen[bytes]) -> bool:
    agent.poll()  # a zombie that nobody waits for would count as alive
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _write_all(fd: int, data: bytes) -> bool:
    """Writes all of it; False when nobody reads any more."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(fd, rest) :]
        except BlockingIOError:
            select.select([], [fd], [])
        except OSError:
            return False
    return True
