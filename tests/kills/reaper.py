"""Ends the daemon at moments that nobody chose.

Owns one thread.  Must not restart anything: whoever needs the daemon next does that.
"""

from __future__ import annotations

import queue
import threading
import time

from tests.kills.user import User

_STARTS_WITHIN_S = 3.0


class Reaper:
    """Kills on demand, after a delay.

    Attributes:
        kills: how many daemons were killed.
    """

    def __init__(self, user: User) -> None:
        self.kills = 0
        self._user = user
        self._orders: queue.SimpleQueue[tuple[float, bool] | None] = queue.SimpleQueue()
        self._idle = threading.Event()
        self._idle.set()
        self._thread = threading.Thread(target=self._work, name="reaper", daemon=True)
        self._thread.start()

    @property
    def idle(self) -> bool:
        """Whether no kill is on its way."""
        return self._idle.is_set()

    def order(self, delay_s: float, *, again: bool = False) -> None:
        """Kills after a delay; with `again`, also the next one, as soon after it started."""
        self._idle.clear()
        self._orders.put((delay_s, again))

    def finish(self) -> None:
        """Waits until what was ordered is done."""
        self._idle.wait()

    def close(self) -> None:
        """Ends the thread."""
        self._orders.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (order := self._orders.get()) is not None:
            delay_s, again = order
            time.sleep(delay_s)
            self.kills += self._user.kill()
            if again:
                deadline = time.monotonic() + _STARTS_WITHIN_S
                while self._user.pid() is None and time.monotonic() < deadline:
                    time.sleep(0.002)
                time.sleep(delay_s)
                self.kills += self._user.kill()
            if self._orders.empty():
                self._idle.set()
