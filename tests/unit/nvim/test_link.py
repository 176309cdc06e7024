"""What must reach the daemon reaches it, though a daemon dies."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agentdiff import wire
from agentdiff.locations import Locations
from agentdiff.nvim.link import Connection, DaemonLink

WAIT_S = 20


@pytest.fixture
def locations() -> Iterator[Locations]:
    """A short runtime folder."""
    folder = Path(tempfile.mkdtemp(prefix="ad-", dir="/tmp"))
    yield replace(Locations.from_env({"HOME": str(folder)}), runtime=folder)
    shutil.rmtree(folder)


class Daemon:
    """Answers greetings; hears `wanted` notifications, then ends the connection."""

    def __init__(self, wanted: int) -> None:
        self.heard: list[object] = []
        self._wanted = wanted

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Takes one connection."""
        await reader.readline()
        writer.write(wire.encode({"proto": 1, "min_proto": 1, "version": "0", "pid": 1}))
        for _ in range(self._wanted):
            self.heard.append(wire.decode(await reader.readline())["params"])
        writer.close()
        await writer.wait_closed()


async def _nothing(_: DaemonLink) -> None:
    return


async def _talk(locations: Locations, first: Daemon, second: Daemon) -> None:
    """Tells three things: one before there is a daemon, two to the first one, which dies."""
    lost = asyncio.Event()
    connection = Connection(
        lambda _: locations,
        on_notification=lambda *_: None,
        on_link=_nothing,
        on_lost=lost.set,
    )
    path = str(locations.rpc_socket)
    connection.notify("claim", {"n": 1}, keep=lambda: True)
    connection.notify("claim", {"n": "dropped"})
    for daemon in (first, second):
        lost.clear()
        server = await asyncio.start_unix_server(daemon.serve, path)
        await connection.linked(start=False)
        if daemon is first:
            connection.notify("claim", {"n": 2}, keep=lambda: True)
            connection.notify("claim", {"n": "not true any more"}, keep=lambda: False)
            connection.notify("claim", {"n": "once"})
        await asyncio.wait_for(lost.wait(), WAIT_S)
        server.close()
        await server.wait_closed()


def test_what_a_dying_daemon_may_not_have_read_is_told_to_the_next(locations: Locations) -> None:
    """What must arrive and still holds is told again, in order; the rest is told once."""
    first, second = Daemon(4), Daemon(2)
    asyncio.run(_talk(locations, first, second))
    assert first.heard == [{"n": 1}, {"n": 2}, {"n": "not true any more"}, {"n": "once"}]
    assert second.heard == [{"n": 1}, {"n": 2}]


def test_a_link_that_could_not_be_made_use_of_is_closed(locations: Locations) -> None:
    """The next one begins anew, and is greeted."""

    async def refuse(link: DaemonLink) -> None:
        links.append(link)
        if len(links) == 1:
            raise ConnectionResetError

    async def talk() -> bool:
        daemon = Daemon(0)
        server = await asyncio.start_unix_server(daemon.serve, str(locations.rpc_socket))
        connection = Connection(
            lambda _: locations,
            on_notification=lambda *_: None,
            on_link=refuse,
            on_lost=lambda: None,
        )
        with pytest.raises(ConnectionResetError):
            await connection.linked(start=False)
        closed = links[0].closing
        await connection.linked(start=False)
        server.close()
        return closed

    links: list[DaemonLink] = []
    assert (asyncio.run(talk()), len(links)) == (True, 2)
