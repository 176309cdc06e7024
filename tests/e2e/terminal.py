"""Drives a terminal program in a pseudo-terminal, as a user at a keyboard does.

Owns the pty, the answers to the questions that terminal programs ask, and waiting for text.  Must
not emulate a screen: `expect` searches what the program printed, escape sequences removed.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from e2e import processes
from e2e.model_server import DEADLINE_S

_ESCAPES = re.compile(
    rb"\x1b\[[0-9;?<>=!]*[ -/]*[@-~]"  # control sequences
    rb"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # operating system commands
    rb"|\x1b[P_^][^\x1b]*\x1b\\"  # strings
    rb"|\x1b[@-Z\\-_=>]"
)
_BLANK = re.compile(rb"[\x00-\x20]+")
_ANSWERS = (
    (b"\x1b[c", b"\x1b[?62;22c"),  # which terminal are you
    (b"\x1b[6n", b"\x1b[1;1R"),  # where is the cursor
    (b"\x1b[?u", b"\x1b[?0u"),  # which keyboard protocol
    (b"\x1b]10;?", b"\x1b]10;rgb:ffff/ffff/ffff\x1b\\"),  # which colour of text
    (b"\x1b]11;?", b"\x1b]11;rgb:0000/0000/0000\x1b\\"),  # which colour behind it
)
_ROWS, _COLUMNS = 50, 160


class Terminal:
    """Use as a context manager; leaving ends the program."""

    def __init__(self, argv: Sequence[str], *, env: Mapping[str, str], cwd: Path) -> None:
        self._pid, self._fd = pty.fork()
        if self._pid == 0:
            os.chdir(cwd)
            os.execve(argv[0], list(argv), dict(env))
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
        self._printed = b""
        self._seen = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        processes.end(self._pid)
        os.waitpid(self._pid, 0)
        os.close(self._fd)

    def expect(self, text: str, timeout_s: float = DEADLINE_S) -> None:
        """Reads until `text` was printed since the last match; blanks and escapes do not count.

        Raises:
            TimeoutError: it was not; the message holds what was printed instead.
        """
        wanted = _BLANK.sub(b"", text.encode())
        deadline = time.monotonic() + timeout_s
        while wanted not in self._fresh():
            if not self._read(deadline - time.monotonic()):
                raise TimeoutError(f"no {text!r} in {self._fresh()[-2000:]!r}")
        self._seen = len(self._printed)

    def rest(self, quiet_s: float = 1.5, at_most_s: float = DEADLINE_S) -> None:
        """Reads until the program has printed nothing for `quiet_s`, or `at_most_s` are over.

        For programs that throw away what is typed before they are ready, and do not say when.
        """
        deadline = time.monotonic() + at_most_s
        while time.monotonic() < deadline and self._read(quiet_s):
            pass

    def type(self, keys: str) -> None:
        """Presses keys."""
        os.write(self._fd, keys.encode())

    def _fresh(self) -> bytes:
        return _BLANK.sub(b"", _ESCAPES.sub(b"", self._printed[self._seen :]))

    def _read(self, timeout_s: float) -> bool:
        """Reads once; returns False after the time, or when the program has ended."""
        if timeout_s <= 0 or not select.select([self._fd], [], [], timeout_s)[0]:
            return False
        try:
            data = os.read(self._fd, 65536)
        except OSError:  # Linux reports the end of a pty as an input/output error
            return False
        self._printed += data
        for question, answer in _ANSWERS:
            if question in data:
                os.write(self._fd, answer)
        return bool(data)
