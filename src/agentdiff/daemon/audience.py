"""The editors that show one workspace, and what they have not been told yet.

Owns who listens, and the gathering of changes into one message.  Must not decide what changed.
Hop 7; worker thread, except that `clients` may be read by any.
"""

from __future__ import annotations

import time
from typing import Any

from agentdiff.core.codec import path_fields
from agentdiff.core.commands import Publish
from agentdiff.core.ledger import Ledger
from agentdiff.core.view import summary
from agentdiff.daemon.ports import ClientPort


class Audience:
    """Attached clients of the workspace called `name`, by id."""

    def __init__(self, name: str) -> None:
        self.clients: dict[str, ClientPort] = {}
        self._name = name
        self._files: dict[bytes, None] = {}
        self._written: dict[bytes, None] = {}
        self._changed = False

    def note(self, publish: Publish) -> None:
        """Remembers what is to be told."""
        self._changed = True
        self._files.update(dict.fromkeys(publish.files))
        self._written.update(dict.fromkeys(publish.written))

    def publish(self, ledger: Ledger) -> None:
        """Tells what changed since the last call, if anything did."""
        if not self._changed:
            return
        self._changed = False
        files, written = list(self._files), list(self._written)
        self._files.clear()
        self._written.clear()
        self.tell(
            "changed",
            seq=ledger.seq,
            files=[_named(path) for path in files],
            written=[_named(path) for path in written],
            summary=summary(ledger, time.time_ns()),
        )

    def tell(self, method: str, **params: object) -> None:
        """Sends every client a notification."""
        body = {"workspace": self._name, **params}
        for client in self.clients.values():
            client.send(method, body)


def _named(path: bytes) -> str | dict[str, Any]:
    """Returns a path as requests may name it: a string, or an object when it is not UTF-8."""
    named = path_fields(path)
    return named if len(named) > 1 else str(named["path"])
