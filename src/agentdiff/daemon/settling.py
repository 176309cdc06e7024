"""Before an answer editors and disk are heard: what is on its way belongs in it.

Owns the waiting, at most `SETTLE_NS`, for the editors' word and for a cut.  Must not decide what an
answer is.  Hop 3; on the thread that serves the request, never on the worker.
"""

from __future__ import annotations

import threading
import time

from agentdiff.daemon.desk import Desk
from agentdiff.daemon.intake import COLD_NS
from agentdiff.daemon.ports import ClientPort

SETTLE_NS = 200_000_000


class Settling:
    """The requests that wait for editors; any thread."""

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[threading.Event, set[str]]] = {}

    def settle(self, desk: Desk, client: ClientPort) -> list[str]:
        """Waits for editors and disk, at most `SETTLE_NS`; returns why that was not complete.

        Args:
            desk: the workspace that the answer is about.
            client: who asked; is not waited for.
        """
        deadline = time.time_ns() + SETTLE_NS
        others = [one for one in list(desk.audience.clients.values()) if one.id != client.id]
        reasons = []
        if others:
            token = f"{time.monotonic_ns()}-{client.id}"
            waiting = {one.id for one in others}
            arrived = threading.Event()
            self._waiting[token] = (arrived, waiting)
            for one in others:
                one.send("settle", {"token": token})
            if not arrived.wait((deadline - time.time_ns()) / 1e9):
                reasons.append("an editor did not answer in time")
            del self._waiting[token]
        if not desk.tracker.is_warm:
            deadline = time.time_ns() + COLD_NS
        if not desk.tracker.cut(max(deadline, time.time_ns() + SETTLE_NS // 2)).certain:
            reasons.append("the workspace could not be read in time")
        return reasons

    def settled(self, token: str, client: ClientPort) -> None:
        """Learns that an editor has said what it had to say; of an unknown token nothing."""
        one = self._waiting.get(token)
        if one is not None:
            self._arrived(one, client)

    def gone(self, client: ClientPort) -> None:
        """Learns that a connection ended: nobody waits for it any more."""
        for one in list(self._waiting.values()):
            self._arrived(one, client)

    @staticmethod
    def _arrived(one: tuple[threading.Event, set[str]], client: ClientPort) -> None:
        arrived, waiting = one
        waiting.discard(client.id)
        if not waiting:
            arrived.set()
