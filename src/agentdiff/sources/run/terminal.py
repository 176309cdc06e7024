"""Runs a program in a pseudo-terminal of its own, for ``agentdiff run --pty``.

Owns the copying between the two terminals, byte for byte, the window size, and the outer terminal's
mode.  Must not look at what passes.  Hop 1.

The inner terminal's session is led by a process of ours that only waits: the kernel lets a Ctrl-Z
stop none but programs whose parent is in their session.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import termios
import tty
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import Any, NoReturn

from agentdiff.sources.run.foreground import (
    FORWARDED,
    FROM_TERMINAL,
    HEARTBEAT_S,
    Signals,
    execute,
    flush,
    leave_as,
    on_thread,
)

_CHUNK = 65536
_END_OF_FILE = b"\x04"
_HANG_UP_S = 5.0


def run(
    argv: Sequence[str],
    environ: Mapping[str, str],
    *,
    on_started: Callable[[], None],
    on_alive: Callable[[], None],
) -> int:
    """Runs a program to its end; returns its wait status.  Arguments as in `foreground.run`."""
    size, mode = _size(0), _mode(0)
    flush()
    # An early Ctrl-C must not unwind our own program in a child that is about to be another.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    child, master = os.forkpty()
    if child == 0 and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    if child == 0:
        if size is not None:
            fcntl.ioctl(0, termios.TIOCSWINSZ, size)
        if mode is not None:
            termios.tcsetattr(0, termios.TCSANOW, mode)  # keys that erase, UTF-8, flow control
        _lead(argv, environ)
    on_started()
    return _Relay(child, master, on_alive).run()


def _lead(argv: Sequence[str], environ: Mapping[str, str]) -> NoReturn:
    """Runs the program as the inner terminal's foreground job, and stops and ends as it does."""
    program = os.fork()
    if program == 0:
        os.setpgid(0, 0)
        _give_terminal(os.getpid())
        execute(argv, environ)
    with contextlib.suppress(OSError):  # it may have done so itself, and be another program now
        os.setpgid(program, program)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # what belongs to the process that we came from
    with Signals(lambda: None) as signals:
        signals.pass_to(program)
        while True:
            pid, status = os.waitpid(program, os.WNOHANG | os.WUNTRACED)
            if pid == 0:
                signals.pause()
                continue
            if not os.WIFSTOPPED(status):
                break
            os.kill(os.getpid(), signal.SIGSTOP)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(program, signal.SIGCONT)
    os._exit(leave_as(status))


def _give_terminal(group: int) -> None:
    """Makes a process group the one that the terminal talks to."""
    old = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    os.tcsetpgrp(0, group)
    signal.signal(signal.SIGTTOU, old)


def _size(fd: int) -> bytes | None:
    """Returns the window size of a terminal, None where there is none."""
    try:
        return fcntl.ioctl(fd, termios.TIOCGWINSZ, b"\0" * 8)
    except OSError:
        return None


def _mode(fd: int) -> list[Any] | None:
    """Returns the settings of a terminal, None where there is none."""
    try:
        return termios.tcgetattr(fd)
    except termios.error:
        return None


class _Relay:
    """One pseudo-terminal while its program runs."""

    def __init__(self, child: int, master: int, on_alive: Callable[[], None]) -> None:
        self._child = child
        self._master = master
        self._on_alive = on_alive
        self._mode = _mode(0)
        self._status: int | None = None
        self._reads = True  # whether there may be more on our standard input
        self._typed = b""  # what of it the program has not taken yet
        self._in_line = False  # whether what was taken last does not end its line
        os.set_blocking(master, False)  # it may print, and wait for us, instead of reading

    def run(self) -> int:
        """Copies until the program has ended and all that it printed is out."""
        wake_read, wake_write = os.pipe()
        os.set_blocking(wake_write, False)
        old_fd = signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        old = {number: signal.signal(number, self._on_signal) for number in self._caught()}
        signal.setitimer(signal.ITIMER_REAL, HEARTBEAT_S, HEARTBEAT_S)
        self._raw()
        try:
            self._copy(wake_read)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            self._restore()
            for number, handler in old.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(old_fd)
            for fd in (wake_read, wake_write, self._master):
                os.close(fd)
        if self._status is None:
            _, self._status = os.waitpid(self._child, 0)
        return self._status

    @staticmethod
    def _caught() -> tuple[int, ...]:
        return (*FORWARDED, *FROM_TERMINAL, signal.SIGWINCH, signal.SIGCHLD, signal.SIGALRM)

    def _copy(self, wake: int) -> None:
        while True:
            waiting = [self._master] if self._typed else []
            # Nothing more is taken than the program takes, so that ours waits as it would for it.
            listening = [0] if self._reads and not waiting and self._status is None else []
            sources = [self._master, wake, *listening]
            # Once the program is gone only what it printed is left to read.
            timeout_s = None if self._status is None else 0
            ready, takes, _ = select.select(sources, waiting, [], timeout_s)
            if self._master in ready and not self._output(wake):
                return
            if not ready and self._status is not None:
                return
            if wake in ready:
                os.read(wake, _CHUNK)
                self._reap()
            if takes:
                self._hand_over()
            if 0 in ready:
                self._input(wake)

    def _output(self, wake: int) -> bool:
        """Passes on what was printed; returns False when there is nothing more to copy."""
        try:
            data = os.read(self._master, _CHUNK)
        except BlockingIOError:  # nothing yet
            return True
        except OSError:  # so Linux reports the end of a pty
            return False
        try:
            _write_all(1, data)
        except BrokenPipeError:  # nobody reads our output any more
            return False
        except OSError:  # the outer terminal has hung up, or what it was sent to failed
            return self._status is None and self._is_told(wake)
        return bool(data)

    def _input(self, wake: int) -> None:
        """Takes what was typed, once the program has taken all that was typed before."""
        try:
            data = os.read(0, _CHUNK)
        except BlockingIOError:
            return
        except OSError:  # the outer terminal has hung up
            data = b""
        self._reads = bool(data)
        if not data and self._is_told(wake):
            return
        # Inside a line the first one only ends the line.
        self._typed = data or _END_OF_FILE * (2 if self._in_line else 1)
        self._in_line = not data.endswith((b"\n", b"\r"))
        self._hand_over()

    def _hand_over(self) -> None:
        """Gives the program as much of its input as it takes now."""
        try:
            self._typed = self._typed[os.write(self._master, self._typed) :]
        except BlockingIOError:
            return
        except OSError:  # it has closed its terminal
            self._typed = b""

    def _is_told(self, wake: int) -> bool:
        """Whether a signal comes: SIGHUP says, too, that a terminal has hung up.

        The program gets it from us, and an end of its input, which is what a closed terminal is,
        might come first and be taken for the user's.
        """
        return self._mode is not None and bool(select.select([wake], [], [], _HANG_UP_S)[0])

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        if number == signal.SIGWINCH:
            self._resize()
        elif number == signal.SIGALRM:
            on_thread(self._on_alive)
        elif number != signal.SIGCHLD and self._status is None:
            # In raw mode the outer terminal sends no signals: this one was meant for the program.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._child, number)

    def _resize(self) -> None:
        size = _size(0)
        if size is not None:
            with contextlib.suppress(OSError):
                fcntl.ioctl(self._master, termios.TIOCSWINSZ, size)

    def _reap(self) -> None:
        """Notes the end of the program; when it stopped, stops as well, with a usable terminal."""
        if self._status is not None:
            return
        pid, status = os.waitpid(self._child, os.WNOHANG | os.WUNTRACED)
        if pid == 0:
            return
        if not os.WIFSTOPPED(status):
            self._status = status
            return
        self._restore()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._raw()
        self._resize()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._child, signal.SIGCONT)

    def _raw(self) -> None:
        if self._mode is not None:
            with contextlib.suppress(termios.error):
                tty.setraw(0, termios.TCSADRAIN)  # what was typed already is the program's

    def _restore(self) -> None:
        if self._mode is not None:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(0, termios.TCSADRAIN, self._mode)


def _write_all(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(fd, rest) :]
        except BlockingIOError:  # somebody else who has this terminal made it so
            select.select([], [fd], [])
