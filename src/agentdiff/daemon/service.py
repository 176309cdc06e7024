"""The running daemon: its transports, its watch over itself, and its end.

Owns the order in which things start and stop.  Must not know what requests mean.

What it watches, every few seconds: sockets that vanished from the runtime folder (a cleaner of
caches, a logout) are **made again**, so that attached editors keep their connections; a lock file
that vanished (the state was purged) or sockets that cannot be made again lead to a **clean exit**,
and the next one in need starts a new daemon.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from agentdiff import __version__, wire
from agentdiff.config import Config
from agentdiff.daemon import doctor, metrics, sockets
from agentdiff.daemon.lifecycle import Lock
from agentdiff.daemon.ports import Backend
from agentdiff.daemon.server import RpcServer
from agentdiff.locations import Locations
from agentdiff.sources.forward import Forwarder
from agentdiff.sources.hooks import HookCounters, HookServer
from agentdiff.sources.otlp import OtlpListener
from agentdiff.sources.spool import Spool
from agentdiff.sources.telemetry import Telemetry

TICK_S = 5.0
HOOKS_FINISH_WITHIN_S = 12.0
REQUESTS_FINISH_WITHIN_S = 3.0


class BoundSocket:
    """A listening Unix socket, and which file it made."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.listener: socket.socket = sockets.listen(path)
        self._stat = os.stat(path)

    def intact(self) -> bool:
        """Returns whether the file at the path is still ours."""
        try:
            return os.path.samestat(os.stat(self.path), self._stat)
        except OSError:
            return False

    def remove(self) -> None:
        """Removes the file, if it is still ours."""
        if self.intact():
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)


class Daemon:
    """Everything between the lock and the engine.

    Args:
        locations: prepared.
        config: the user's settings.
        backend: the engine; closed at the end.
        lock: held; released by the caller.
        token: for the OTLP listener.
        hook_socket: bound early, so that hooks wait in its backlog while the engine opens.
        rpc_socket: likewise.
        logger: the daemon's.
        tick_s: how often it looks after itself.
    """

    def __init__(
        self,
        *,
        locations: Locations,
        config: Config,
        backend: Backend,
        lock: Lock,
        token: str,
        hook_socket: BoundSocket,
        rpc_socket: BoundSocket,
        logger: logging.Logger,
        tick_s: float = TICK_S,
    ) -> None:
        self._locations = locations
        self._config = config
        self._backend = backend
        self._lock = lock
        self._token = token
        self._hook_socket = hook_socket
        self._rpc_socket = rpc_socket
        self._logger = logger
        self._tick_s = tick_s
        self._counters = HookCounters()
        self._spool = Spool(
            locations.spool,
            backend.hook,
            digested=backend.digested,
            on_replayed=lambda: self._counters.note_received(replayed=True),
            on_bad=self._counters.note_malformed,
            logger=logger,
        )
        self._hooks = self._new_hook_server()
        self._otlp_problem = ""

    async def run(self, on_ready: Callable[[], None]) -> None:
        """Serves until a signal, ``daemon.stop``, idleness or a lost state folder; cleans up."""
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()
        self._stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._leave, signal.Signals(number).name)
        local = {"daemon.status": self._status, "daemon.stop": self._stop_requested}
        self._rpc = RpcServer(
            self._backend,
            {**local, "doctor": self._doctor},
            started=self._started,
            logger=self._logger,
        )
        counters: Counter[str] = Counter()
        self._telemetry = Telemetry(self._backend, counters, self._logger)
        otlp = self._config.otlp
        self._forwarder = (
            Forwarder(otlp.forward, otlp.forward_headers, counters, self._logger)
            if otlp.forward
            else None
        )
        self._exporter = (
            metrics.Exporter(otlp.metrics, otlp.metrics_headers, self._metrics, self._logger)
            if otlp.metrics
            else None
        )
        self._otlp = OtlpListener(
            self._token,
            self._telemetry.take,
            self._logger,
            counters,
            None if self._forwarder is None else self._forwarder.put,
        )
        await self._start_otlp()
        await asyncio.to_thread(self._spool.drain)  # before anything is answered
        self._hooks.start()
        await self._rpc.listen(self._rpc_socket.listener)
        on_ready()
        self._logger.info("ready", extra={"pid": os.getpid(), "otlp_port": self._otlp.port})
        await self._watch()
        await self._shut_down()

    async def _start_otlp(self) -> None:
        """Binds the OTLP port, or notes why not."""
        if not self._config.otlp.enabled:
            self._otlp_problem = "switched off by otlp.enabled"
            return
        port = self._config.otlp.port
        try:
            await self._otlp.start(port)
        except OSError as error:
            # asyncio's own text repeats the address; the number has the reason alone.
            reason = os.strerror(error.errno) if error.errno else str(error)
            self._otlp_problem = f"port {port}: {reason}"
            self._logger.error("otlp off", extra={"port": port, "reason": self._otlp_problem})

    async def _watch(self) -> None:
        """Looks after the daemon until it is told to stop."""
        while not self._stop.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._tick_s):
                    await self._stop.wait()
                    return
            if not self._lock.intact():
                self._leave("the state folder was removed")
            elif not (self._hook_socket.intact() and self._rpc_socket.intact()):
                await self._make_sockets_again()
            elif self._idle():
                self._leave("idle")
            self._otlp.sweep()
            await asyncio.to_thread(self._spool.drain)
            if self._exporter is not None:
                await asyncio.to_thread(self._exporter.tick)

    async def _make_sockets_again(self) -> None:
        """Binds the vanished sockets again; leaves when that is impossible."""
        self._logger.warning("sockets vanished", extra={"folder": str(self._locations.runtime)})
        try:
            self._locations.prepare()
            if not self._rpc_socket.intact():
                self._rpc_socket = BoundSocket(self._locations.rpc_socket)
                await self._rpc.listen(self._rpc_socket.listener)
            if not self._hook_socket.intact():
                self._hook_socket = BoundSocket(self._locations.hook_socket)
                previous, self._hooks = self._hooks, self._new_hook_server()
                self._hooks.start()
                await asyncio.to_thread(previous.close, HOOKS_FINISH_WITHIN_S)
        except OSError as error:
            self._leave(f"sockets cannot be made again: {error}")

    async def _shut_down(self) -> None:
        """Stops accepting, finishes hooks and requests in progress, closes the engine."""
        await self._otlp.close()
        await asyncio.to_thread(self._telemetry.close)
        if self._forwarder is not None:
            await asyncio.to_thread(self._forwarder.close)
        if self._exporter is not None:
            await asyncio.to_thread(self._exporter.close)
        hooks_finished, _ = await asyncio.gather(
            asyncio.to_thread(self._hooks.close, HOOKS_FINISH_WITHIN_S),
            self._rpc.close(REQUESTS_FINISH_WITHIN_S),
        )
        if not hooks_finished:
            self._logger.error("hooks cut off", extra={"hooks": self._hooks.in_progress()})
        await asyncio.to_thread(self._backend.close)
        self._hook_socket.remove()
        self._rpc_socket.remove()
        self._logger.info("stopped")

    def _new_hook_server(self) -> HookServer:
        return HookServer(
            self._hook_socket.listener,
            self._backend.hook,
            spool=self._spool,
            counters=self._counters,
            logger=self._logger,
        )

    def _leave(self, reason: str) -> None:
        """Begins the end; on the loop's thread."""
        if not self._stop.is_set():
            self._logger.info("leaving", extra={"reason": reason})
            self._stop.set()

    def _idle(self) -> bool:
        """Returns whether nobody has needed the daemon for as long as the settings say."""
        limit_s = self._config.daemon.idle_minutes * 60
        last = max(self._rpc.last_request, self._otlp.last_request, self._counters.last_active)
        if not limit_s or time.monotonic() - last < limit_s:
            return False
        return not (self._rpc.connections or self._hooks.in_progress() or self._backend.busy())

    # local methods of the RPC server; on its threads

    def _stop_requested(self, _params: Mapping[str, object]) -> dict[str, object]:
        self._loop.call_soon_threadsafe(self._leave, "daemon.stop")
        return {}

    def _status(self, _params: Mapping[str, object]) -> dict[str, object]:
        described = dict(self._backend.describe())
        counters = described.pop("counters", {})
        own = {
            "hooks": self._counters.snapshot(),
            "otlp": dict(self._otlp.counters),
            "spooled": len(self._spool.waiting()),
            "clients": len(self._rpc.connections),
        }
        return {
            "v": 1,
            "pid": os.getpid(),
            "version": __version__,
            "proto": wire.PROTO,
            "socket": str(self._locations.rpc_socket),
            "port": self._otlp.port,
            "otlp": self._otlp_problem or "listening",
            "uptime_s": int(time.monotonic() - self._started),
            "state": str(self._locations.state),
            "workspaces": described.pop("workspaces", []),
            "counters": {**own, **(counters if isinstance(counters, dict) else {})},
            "metrics": self._metrics(),
            **described,
        }

    def _metrics(self) -> dict[str, object]:
        """Returns what `agentdiff.daemon.metrics` makes of everybody's counters; any thread."""
        described: dict[str, Any] = dict(self._backend.describe())
        return metrics.collect(
            uptime_s=time.monotonic() - self._started,
            hooks=self._counters.snapshot(),
            hook_latencies_ns=tuple(self._counters.latencies_ns),
            hooks_in_progress=self._hooks.in_progress(),
            spool=(len(self._spool.waiting()), self._spool.set_aside()),
            otlp=self._otlp.counters,
            engine=described.get("counters", {}),
            workspaces=described.get("workspaces", []),
            clients=len(self._rpc.connections),
        )

    def _doctor(self, params: Mapping[str, object]) -> dict[str, object]:
        cwd = params.get("cwd")
        checks = doctor.run(
            locations=self._locations,
            config=self._config,
            environ=os.environ,
            cwd=cwd if isinstance(cwd, str) else None,
            daemon=self._status({}),
        )
        return {"checks": [check.to_json() for check in checks]}
