"""The daemon's process: from nothing to a served loop, and out again.

Owns the composition: settings, lock, log, token, engine, transports.  The one
place that chooses the engine.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import resource
import sys
from collections.abc import Callable
from typing import TypeAlias

from agentdiff.config import Config, load
from agentdiff.daemon import launch, lifecycle, log
from agentdiff.daemon.ports import Backend
from agentdiff.daemon.service import TICK_S, BoundSocket, Daemon
from agentdiff.locations import Locations

EXIT_ALREADY_RUNNING = 3
SWITCH_INTERVAL_S = 0.0005
"""Measured: with another thread holding the GIL a hook's answer takes 7.2 ms at Python's own 5 ms,
0.95 ms at this."""
MAX_OPEN_FILES = 65_536
COLLECT_AFTER = (50_000, 20, 50)
"""Hunks and owners are tuples without cycles, and many: at Python's own 700 the collector looks for
some that it never finds, a third of the time of a diff with 10,000 hunks."""

MakeBackend: TypeAlias = Callable[[Locations, Config, logging.Logger], Backend]


def make_engine(locations: Locations, config: Config, logger: logging.Logger) -> Backend:
    """Opens the real engine; imported here, after a second daemon has been turned away."""
    from agentdiff.daemon.engine import Engine

    return Engine(locations=locations, config=config, logger=logger)


def main(
    locations: Locations,
    *,
    detached: bool = False,
    make_backend: MakeBackend = make_engine,
    tick_s: float = TICK_S,
) -> int:
    """Runs a daemon until it is told to leave.

    Args:
        locations: where it keeps things; prepared here.
        detached: started by `launch.ensure_running`: fork, report on standard output, then be
            silent.
        make_backend: makes the engine.
        tick_s: how often the daemon looks after itself.

    Returns:
        The exit code: 0, or `EXIT_ALREADY_RUNNING`.

    Raises:
        OSError: folders, lock or sockets cannot be made.
    """
    if detached and os.fork():
        os._exit(0)  # the starter waits for this one only; nothing was opened that needs closing
    locations.prepare()
    try:
        lock = lifecycle.Lock.acquire(locations.lock_file, locations.runtime)
    except lifecycle.AlreadyRunning:
        _say(launch.ALREADY)
        return EXIT_ALREADY_RUNNING
    try:
        _serve(locations, lock, detached, make_backend, tick_s)
    finally:
        lock.release()
    return 0


def tune() -> None:
    """Sets the interpreter up for a process that holds much, and must answer soon."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


def _serve(
    locations: Locations,
    lock: lifecycle.Lock,
    detached: bool,
    make_backend: MakeBackend,
    tick_s: float,
) -> None:
    """Runs the daemon that holds the lock."""
    logger = log.open_log(locations.log_file)
    tune()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Each open workspace needs about ten; the usual soft limit of 1024 is for users of select().
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, MAX_OPEN_FILES), hard))
    config = load(locations.config_file)
    for problem in config.problems:
        logger.error("setting ignored", extra={"problem": problem})
    hook_socket = BoundSocket(locations.hook_socket)
    rpc_socket = BoundSocket(locations.rpc_socket)
    daemon = Daemon(
        locations=locations,
        config=config,
        backend=make_backend(locations, config, logger),
        lock=lock,
        token=lifecycle.load_token(locations.token_file),
        hook_socket=hook_socket,
        rpc_socket=rpc_socket,
        logger=logger,
        tick_s=tick_s,
    )

    def on_ready() -> None:
        _say(launch.READY)
        if detached:
            _fall_silent()

    asyncio.run(daemon.run(on_ready))


def _say(line: bytes) -> None:
    """Tells the starter, or the terminal; one that left (it gave up waiting) is told nothing."""
    with contextlib.suppress(OSError):  # EPIPE, EIO: the daemon is for others as well
        os.write(1, line)


def _fall_silent() -> None:
    """Lets go of the starter's pipe; from here on there is only the log."""
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    os.close(null)
