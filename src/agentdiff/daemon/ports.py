"""The border between the transports (sockets, HTTP) and the engine behind them.

Owns the two Protocols and the values that cross: `agentdiff.daemon.engine` implements `Backend`,
the transports implement `ClientPort`.  Must not import either side.  Between hops 1 and 3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from agentdiff.core.events import ToolReported, ToolStarted

ErrorCode: TypeAlias = Literal["usage", "refused", "unknown_method", "unavailable", "internal"]
"""The `error.code` values of doc/protocol.md (``version`` belongs to the greeting alone)."""


class RequestError(Exception):
    """An answer of the RPC protocol that happens to be an error.

    Not a third kind of failure beside `agentdiff.errors`: nothing is broken and nobody is at fault.
    It carries doc/protocol.md's ``error`` object through a future, exactly as a result would be
    carried, and the transport turns it into that answer.  No code reacts to it in any other way.

    Args:
        code: one of the documented codes.
        message: one sentence for the user; for ``usage`` it names the parameter.
    """

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code: ErrorCode = code
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class PreImage:
    """What a path held just before a hook whose daemon was not there (read by the spooling client).

    Attributes:
        path: absolute path as bytes, as the agent named it: not confined, not resolved.
        data: exact content of the regular file, None when nothing was there.
        mode: permission bits (``0o7777``), 0 when nothing was there.
    """

    path: bytes
    data: bytes | None = field(repr=False)
    mode: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class HookAnswer:
    """What a hook client is told.

    Attributes:
        certain: the baseline was complete in time.
        text: printed by the client for the agent to read; empty for nothing.
    """

    certain: bool
    text: str = ""


class ClientPort(Protocol):
    """One connected command line or editor, as the engine sees it."""

    @property
    def id(self) -> str:
        """Unique among the connections of this daemon's life: ``<kind>:<pid>:<n>``."""

    @property
    def kind(self) -> str:
        """What the greeting called itself (``cli``, ``nvim``)."""

    def send(self, method: str, params: Mapping[str, object]) -> None:
        """Queues a notification; any thread, never blocks, silent once disconnected."""


class Backend(Protocol):
    """The engine, as the transports see it."""

    def hook(
        self,
        agent: str,
        payload: bytes,
        received_ns: int,
        preimages: tuple[PreImage, ...] | None = None,
        within: str | None = None,
    ) -> HookAnswer:
        """Takes one hook; returns when the baseline is taken, or its time is up.

        Called on a hook thread, by several of them at once; blocks.

        Args:
            agent: the name on the hook command line; may be one that nobody knows.
            payload: the bytes as the agent sent them.
            received_ns: wall clock of the receipt (of the spooling, for a replayed one).
            preimages: for a replayed hook what its files held before, None for one that waits.
            within: session of the `agentdiff run` that the agent runs in, None for none.

        Raises:
            MalformedPayload: the payload (or the agent's name) makes no sense; the caller counts
                it.
            OSError, sqlite3.Error: the workspace or its store cannot be used; the caller logs it.
        """

    def digested(self) -> bool:
        """Waits until everything that hooks told so far is in the log; any thread.

        Returns:
            False when that took too long, or the disk refuses.
        """

    def telemetry(self, reports: Sequence[ToolReported]) -> bool:
        """Takes what telemetry tells about calls; any thread, never blocks.

        Returns:
            False when too much waits already: the sender shall come again later.
        """

    def announced(self, started: ToolStarted) -> None:
        """Takes the baseline for a call that telemetry announces before it runs; blocks.

        Returns when the baseline is taken, or its time is up; the sender waits for that.

        Raises:
            OSError, sqlite3.Error: as `hook`.
        """

    def call(
        self, method: str, params: Mapping[str, object], client: ClientPort
    ) -> Future[dict[str, object]]:
        """Starts a request; callable from any thread, never blocks.

        Returns:
            A future of the ``result`` object; it may fail with `RequestError`.
        """

    def notify(self, method: str, params: Mapping[str, object], client: ClientPort) -> None:
        """Takes a notification; callable from any thread, never blocks, never raises."""

    def client_gone(self, client: ClientPort) -> None:
        """Learns that the connection ended; called once per connection that was greeted."""

    def busy(self) -> bool:
        """Whether a live session or something running forbids the idle exit; any thread."""

    def describe(self) -> dict[str, object]:
        """Returns ``{"workspaces": […], "counters": {…}}`` for ``daemon.status``; any thread."""

    def close(self) -> None:
        """Finishes what runs and closes the store; called once, after the transports closed."""
