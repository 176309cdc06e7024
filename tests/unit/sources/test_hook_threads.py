"""The threads behind ``hook.sock``, in this process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator

import pytest

from agentdiff.daemon import sockets
from agentdiff.daemon.ports import HookAnswer
from agentdiff.locations import Locations
from agentdiff.sources.hooks import HookCounters, HookServer
from agentdiff.sources.spool import Spool
from tests.unit.daemon import fixtures

HOOK = b'{"proto":1,"min_proto":1,"agent":"claude","len":2}\n{}'


@pytest.fixture
def taken() -> list[bytes]:
    """Payloads that the server handed on."""
    return []


@pytest.fixture
def new_server(locations: Locations, taken: list[bytes]) -> Iterator[Callable[[], HookServer]]:
    """Makes a server that is not started, on the socket of `locations`."""
    logger = logging.getLogger("hooks")
    made: list[HookServer] = []

    def handle(agent: str, payload: bytes, *_: object, **__: object) -> HookAnswer:
        taken.append(payload)
        return HookAnswer(certain=True, text=agent)

    def make() -> HookServer:
        locations.prepare()
        spool = Spool(
            locations.spool,
            handle,
            digested=lambda: True,
            on_replayed=lambda: None,
            on_bad=lambda *_: None,
            logger=logger,
        )
        listener = sockets.listen(locations.hook_socket)
        counters = HookCounters()
        made.append(HookServer(listener, handle, spool=spool, counters=counters, logger=logger))
        return made[-1]

    yield make
    for server in made:
        server.close(20)


def _limit(monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    """Lets so many threads for hooks start, and then no more."""
    start, left = threading.Thread.start, [threads]

    def limited(thread: threading.Thread) -> None:
        if thread.name == "agentdiff-hook":
            left[0] -= 1
            if left[0] < 0:
                raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)


def test_without_another_thread_the_one_there_is_goes_on(
    locations: Locations,
    taken: list[bytes],
    new_server: Callable[[], HookServer],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A limit of the system costs no hook, and nothing is counted that is not there."""
    server = new_server()
    _limit(monkeypatch, 1)
    server.start()
    for _ in range(3):
        assert fixtures.talk(locations, HOOK)["ok"] is True
    monkeypatch.undo()
    assert fixtures.talk(locations, HOOK)["ok"] is True
    fixtures.until(lambda: server.in_progress() == 0)
    assert len(taken) == 4
    assert server.close(20)


def test_a_server_without_any_thread_says_so(
    new_server: Callable[[], HookServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody would ever answer: whoever starts it has to know."""
    server = new_server()
    _limit(monkeypatch, 0)
    with pytest.raises(OSError, match="no thread left"):
        server.start()
    assert server.in_progress() == 0
