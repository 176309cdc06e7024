"""The trace's log: JSON Lines, one object per command.

Owns the file, its rotation and reading it back.  Several runs may write at once: each line is one
write at the end of the file, and a rotation is done under a lock.  Hop 1.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

NAME = "commands.jsonl"


class TraceLog:
    """Thread-safe.

    Args:
        folder: made when missing, private to the user.
        max_bytes: a file that is larger is put aside before the next line.
        keep: how many files are kept aside.
    """

    def __init__(self, folder: Path, *, max_bytes: int, keep: int) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = folder / NAME
        self._max_bytes = max_bytes
        self._keep = keep
        self._torn = False
        self._lock = threading.Lock()

    def write(self, record: Mapping[str, object]) -> None:
        """Appends one line.

        Raises:
            OSError: it cannot be written.
        """
        line = orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)
        with self._lock:
            fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                size = os.fstat(fd).st_size
                if size and size + len(line) > self._max_bytes:
                    self._rotate(fd)
                    os.close(fd)
                    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
                    fd = os.open(self.path, flags, 0o600)
                # After a line that a full disk cut off, this one begins anew.
                line = b"\n" + line if self._torn else line
                self._torn = os.write(fd, line) < len(line)
            finally:
                os.close(fd)

    def _rotate(self, fd: int) -> None:
        """Renames ``commands.jsonl`` to ``.1`` and so on, unless another run has just done so."""
        fcntl.flock(fd, fcntl.LOCK_EX)
        try:
            if os.stat(self.path).st_ino != os.fstat(fd).st_ino:
                return
        except FileNotFoundError:
            return
        for number in range(self._keep, 0, -1):
            older = self._aside(number)
            newer = self.path if number == 1 else self._aside(number - 1)
            with contextlib.suppress(FileNotFoundError):
                os.replace(newer, older)
        if self._keep == 0:
            self.path.unlink(missing_ok=True)

    def _aside(self, number: int) -> Path:
        return self.path.with_name(f"{NAME}.{number}")


def read(folder: Path) -> Iterator[dict[str, Any]]:
    """Yields what was logged, oldest first; a line that was cut off is passed over."""
    aside = sorted(
        (path for path in folder.glob(f"{NAME}.*") if path.suffix[1:].isdecimal()),
        key=lambda path: -int(path.suffix[1:]),
    )
    for path in (*aside, folder / NAME):
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            continue
        for line in data.split(b"\n"):
            with contextlib.suppress(orjson.JSONDecodeError):
                record = orjson.loads(line)
                if isinstance(record, dict):
                    yield record
