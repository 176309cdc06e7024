"""How `agentdiff run` tells the daemon, in this process, while there is none or one that hangs."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from agentdiff.cli import hook
from agentdiff.cli.run import deliverer
from agentdiff.daemon import launch
from agentdiff.locations import Locations
from agentdiff.sources import spool

RUN = "run-1"


@pytest.fixture
def complaints() -> list[str]:
    """What the user is told."""
    return []


@pytest.fixture
def deliver(locations: Locations, complaints: list[str]) -> Callable[[str, bytes], object]:
    """The way to the daemon of `locations`."""
    locations.prepare()
    return deliverer(locations, RUN, complaints.append)


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[Locations]:
    """The tries to start a daemon, which all fail."""
    tried: list[Locations] = []

    def refuse(locations: Locations, _: float) -> Locations:
        tried.append(locations)
        raise launch.DaemonUnavailable("none can be started")

    monkeypatch.setattr(launch, "ensure_running", refuse)
    return tried


def _kept(locations: Locations) -> list[tuple[str, bytes, str | None]]:
    """Returns what is in the spool, oldest first."""
    read = [spool.parse(path.read_bytes()) for path in sorted(locations.spool.glob("*.hook"))]
    return [(agent, payload, within) for agent, payload, _, _, within in read]


def test_what_no_daemon_takes_is_spooled_and_one_that_comes_is_found_at_once(
    locations: Locations,
    deliver: Callable[[str, bytes], object],
    starts: list[Locations],
    complaints: list[str],
) -> None:
    """Only starting one is not tried again for a while, and it is said once."""
    for payload in (b"1", b"2", b"3"):
        assert deliver("run", payload) is None
    assert _kept(locations) == [("run", payload, RUN) for payload in (b"1", b"2", b"3")]
    assert (len(starts), len(complaints)) == (1, 1)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(locations.hook_socket))
        listener.listen()

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b'{"proto":1,"ok":true}\n')

        thread = threading.Thread(target=answer)
        thread.start()
        assert deliver("run", b"4") == {"proto": 1, "ok": True}
        thread.join()
    assert (len(_kept(locations)), len(starts)) == (3, 1)
    assert deliver("run", b"5") is None  # it answered: the next one that is gone is started anew
    assert len(starts) == 2


@pytest.mark.parametrize(("size", "spooled"), [(1, 0), (16 * 1024 * 1024, 2)])
def test_a_daemon_that_hangs_is_waited_for_once(
    locations: Locations,
    deliver: Callable[[str, bytes], object],
    starts: list[Locations],
    complaints: list[str],
    monkeypatch: pytest.MonkeyPatch,
    size: int,
    spooled: int,
) -> None:
    """What it was sent whole it has; what it does not even take is spooled."""
    monkeypatch.setattr(hook, "ANSWER_WITHIN_S", 0.1)
    monkeypatch.setattr(hook, "PAUSED_WITHIN_S", 0.1)
    hand_on, paused = hook.hand_on, []

    def noted(*given: Any, **more: Any) -> dict[str, object] | None:
        paused.append(more["paused"])
        return hand_on(*given, **more)

    monkeypatch.setattr(hook, "hand_on", noted)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(locations.hook_socket))
        listener.listen()
        for _ in range(2):
            assert not deliver("run", bytes(size))
    assert (paused, len(complaints)) == ([False, True], 1)
    assert (len(_kept(locations)), starts) == (spooled, [])


def test_without_a_descriptor_left_a_hook_is_no_failure(
    locations: Locations, starts: list[Locations], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is kept, if that is possible."""

    def refuse(*_: object) -> socket.socket:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(socket, "socket", refuse)
    assert hook.hand_on(locations, "claude", b"{}") is None
    assert len(_kept(locations)) == 1
