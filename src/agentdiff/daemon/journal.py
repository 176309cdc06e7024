"""Tool calls that were answered, and whose beginning is not in a log yet.

Owns one small file: a hook of a call is appended before the agent is answered, which survives the
death of the process, and all of them are dropped when everything that they told is committed.  The
worker is not waited for (doc/decisions/0007-the-queue-is-the-cut.md).  Without this a daemon that
is killed in those milliseconds forgets that a call is open; if an editor opens the workspace before
the call's end is heard of, what the agent wrote would be nobody's, and its own baseline.

Must not interpret a payload.  Hop 3; `note` on any thread, the rest as said there.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from agentdiff import wire

# Of calls with larger payloads, and after so much, only the label is at stake: see above.
MAX_ENTRY_BYTES = 1 << 20
MAX_BYTES = 16 << 20


class Journal:
    """The file; one process has it, which the daemon's lock sees to.

    Args:
        path: made when missing (0600), its folder likewise (0700).

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self._fd = os.open(path, flags, 0o600)
        self._lock = threading.Lock()
        self._size = os.fstat(self._fd).st_size
        # What the last daemon left counts as one, until `told`.
        self._noted = int(self._size > 0)
        self._told = 0

    def entries(self) -> Iterator[tuple[str, bytes, int, str | None]]:
        """Yields agent, payload, ``received_ns`` and enclosing run of what was noted, in order.

        The last one may be torn: then its agent was not answered, and asks again.
        """
        data = os.pread(self._fd, self._size, 0)
        while data:
            line, _, data = data.partition(b"\n")
            try:
                header = wire.decode(line)
            except wire.WireError:
                return
            agent, size = header.get("agent"), header.get("len")
            received_ns, within = header.get("received_ns"), header.get("within")
            if not isinstance(agent, str) or not isinstance(size, int) or len(data) < size:
                return
            at_ns = received_ns if isinstance(received_ns, int) else 0
            yield agent, data[:size], at_ns, within if isinstance(within, str) else None
            data = data[size:]

    def note(self, agent: str, payload: bytes, received_ns: int, within: str | None) -> bool:
        """Appends one hook; returns whether `told` is owed for it."""
        if len(payload) > MAX_ENTRY_BYTES or self._size > MAX_BYTES:
            return False
        header = {"agent": agent, "len": len(payload), "received_ns": received_ns, "within": within}
        entry = wire.encode(header) + payload
        with self._lock:
            try:
                written = os.write(self._fd, entry)
            except OSError:  # the disk refuses: what is said about the log holds for this, too
                return False
            self._size += written
            self._noted += 1
        return True

    def told(self) -> None:
        """Counts a hook whose event was handled, or all that was left by the last daemon."""
        self._told += 1

    @property
    def owed(self) -> bool:
        """Whether something is not told yet, be it the torn rest of an entry."""
        return self._noted != self._told

    def committed(self) -> None:
        """Drops everything, if all of it was handled by now; the worker's, after it committed."""
        if not self._size or self.owed:
            return
        with self._lock:
            if not self.owed:
                with contextlib.suppress(OSError):  # told twice is no harm
                    os.ftruncate(self._fd, 0)
                    self._size = 0

    def close(self) -> None:
        """Closes the file."""
        os.close(self._fd)
