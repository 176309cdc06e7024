"""Drives a terminal program in a pseudo-terminal, as a user at a keyboard does.

Owns the pty, the answers to the questions that terminal programs ask, and waiting for text.  Must
not emulate a screen: `expect` searches what the program printed, escape sequences removed.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import termios
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
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
_HANGUP_S = 5.0


class Terminal:
    """Use as a context manager; leaving ends the program.

    A thread reads all the time, also while the test waits for something else: a program whose
    output nobody takes stops.
    """

    def __init__(self, argv: Sequence[str], *, env: Mapping[str, str], cwd: Path) -> None:
        self._pid, self._fd = pty.fork()
        if self._pid == 0:
            os.chdir(cwd)
            os.execve(argv[0], list(argv), dict(env))
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
        self._printed = b""
        self._seen = 0
        self._ended = False
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, name="terminal", daemon=True)
        self._reader.start()

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
        # What the program started may still hold the terminal open; the thread ends with the test.
        self._reader.join(_HANGUP_S)
        if not self._reader.is_alive():
            os.close(self._fd)

    def expect(self, text: str, timeout_s: float = DEADLINE_S) -> None:
        """Waits until `text` was printed since the last match; blanks and escapes do not count.

        Raises:
            TimeoutError: it was not; the message holds what was printed instead.
        """
        wanted = _BLANK.sub(b"", text.encode())
        deadline = time.monotonic() + timeout_s
        with self._news:
            while wanted not in self._fresh():
                if self._ended or not self._news.wait(deadline - time.monotonic()):
                    raise TimeoutError(f"no {text!r} in {self._fresh()[-2000:]!r}")
            self._seen = len(self._printed)

    def rest(self, quiet_s: float = 1.5, at_most_s: float = DEADLINE_S) -> None:
        """Waits until the program has printed nothing for `quiet_s`, or `at_most_s` are over.

        For programs that throw away what is typed before they are ready, and do not say when.
        """
        deadline = time.monotonic() + at_most_s
        with self._news:
            while time.monotonic() < deadline and self._news.wait(quiet_s) and not self._ended:
                pass

    def type(self, keys: str) -> None:
        """Presses keys."""
        os.write(self._fd, keys.encode())

    def _fresh(self) -> bytes:
        return _BLANK.sub(b"", _ESCAPES.sub(b"", self._printed[self._seen :]))

    def _read(self) -> None:
        """Takes what the program prints, in a thread of its own, until it has ended."""
        while True:
            try:
                data = os.read(self._fd, 65536)
            except OSError:  # Linux reports the end of a pty as an input/output error
                data = b""
            with self._news:
                self._printed += data
                self._ended = not data
                self._news.notify_all()
            if not data:
                return
            for question, answer in _ANSWERS:
                if question in data:
                    with suppress(OSError):  # it asked, and ended
                        os.write(self._fd, answer)
