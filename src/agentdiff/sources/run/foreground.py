"""Runs a program as if it had been started by the shell itself.

Owns fork, exec, signals, job control and the exit status.  The program shares our process group
and terminal: what the terminal sends (Ctrl-C, Ctrl-Z, a new window size) reaches it without us.
Must not know sessions or traces.  Hop 1.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import NoReturn, Self

FORWARDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
"""What only we get when somebody signals our pid; the program shall have it."""
FROM_TERMINAL = (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP)
"""What the program has got already when it came from the terminal."""
HEARTBEAT_S = 3600.0
_SETTLE_S = 0.02


def run(
    argv: Sequence[str],
    environ: Mapping[str, str],
    *,
    on_started: Callable[[], None],
    on_alive: Callable[[], None],
) -> int:
    """Runs a program to its end; returns its wait status.  Main thread only, before others start.

    Args:
        argv: the command; its first word is looked up in the PATH of `environ`.
        environ: the program's environment.
        on_started: called once it is forked; may start threads.
        on_alive: called every hour, on a thread of its own.
    """
    ours = os.getpgrp()
    with Signals(on_alive) as signals:  # before the fork: an early one must not end us alone
        flush()
        child = signals.fork()
        if child == 0:
            execute(argv, environ)
        on_started()
        status = wait(child, signals.pause)
    _take_terminal(ours)
    return status


def allow_descriptors() -> None:
    """Lets us have as many descriptors as the system allows; after the fork, it is inherited."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # macOS says "unlimited" and allows less
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def execute(argv: Sequence[str], environ: Mapping[str, str]) -> NoReturn:
    """Becomes the program; for a fresh child.  One that is not found exits with 127."""
    # What Python itself ignores; the program expects the defaults.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    code = 126
    try:
        os.execvpe(argv[0], list(argv), dict(environ))
    except FileNotFoundError:
        code = 127
        reason = "command not found"
    except OSError as error:
        reason = str(error.strerror)
    except ValueError as error:
        reason = str(error)
    os.write(2, f"agentdiff run: {argv[0]}: {reason}\n".encode(errors="surrogateescape"))
    os._exit(code)


def wait(child: int, pause: Callable[[], None]) -> int:
    """Waits for the end of a child; stops when it stops, so that the shell sees a stopped job.

    Args:
        child: its pid.
        pause: returns after a signal, also after one that came just before the call; a wait that
            blocks would sleep through that one, and nobody would pass it on.
    """
    while True:
        pid, status = os.waitpid(child, os.WNOHANG | os.WUNTRACED)
        if pid == 0:
            pause()
            continue
        if not os.WIFSTOPPED(status):
            return status
        # What stopped the whole group has stopped us too; after a `fg` the child goes on already.
        select.select([], [], [], _SETTLE_S)
        again, now = os.waitpid(child, os.WNOHANG | os.WCONTINUED | os.WUNTRACED)
        if again and not os.WIFSTOPPED(now) and not os.WIFCONTINUED(now):
            return now
        if not again:
            # Only now, after the child: a program that fills the screen puts it in order first.
            _stop(os.WSTOPSIG(status))
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGCONT)


def _stop(number: int) -> None:
    """Stops as the child has been stopped; returns when somebody lets us go on."""
    old = signal.signal(number, signal.SIG_DFL) if number == signal.SIGTSTP else None
    os.kill(os.getpid(), number)
    if old is not None:
        signal.signal(number, old)


def flush() -> None:
    """Prints what Python holds back; a stream that was closed before we came is None."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()


def leave_as(status: int) -> int:
    """Ends like the child: by the same signal, or with its exit code, which is returned."""
    if not os.WIFSIGNALED(status):
        return os.waitstatus_to_exitcode(status)
    number = os.WTERMSIG(status)
    flush()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # one core is enough, and it is not ours
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    return 128 + number


def on_thread(work: Callable[[], None]) -> None:
    """Lets something be done that may take long, on a thread; for handlers of signals.

    In the handler itself nothing else would happen meanwhile: no other signal, no end of the child.
    """
    with contextlib.suppress(RuntimeError):  # no thread left; this is only news that can be missed
        threading.Thread(target=work, daemon=True).start()


class Signals:
    """What happens to signals while the child runs; a context manager.

    Args:
        on_alive: called every hour, on a thread of its own.
    """

    def __init__(self, on_alive: Callable[[], None]) -> None:
        self._child = 0
        self._early: list[int] = []
        self._on_alive = on_alive
        self._old: dict[int, object] = {}

    def __enter__(self) -> Self:
        self._told, self._telling = os.pipe()
        for end in (self._told, self._telling):
            os.set_blocking(end, False)
        self._old_wakeup = signal.set_wakeup_fd(self._telling, warn_on_full_buffer=False)
        for number in (*FORWARDED, *FROM_TERMINAL):
            # `nohup` and background jobs of a plain shell ignore some: that stays.
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._old[number] = signal.signal(number, self._forward)
        self._old[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        self._old[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._tick)
        signal.setitimer(signal.ITIMER_REAL, HEARTBEAT_S, HEARTBEAT_S)
        return self

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, old in self._old.items():
            signal.signal(number, old)  # type: ignore[arg-type]
        signal.set_wakeup_fd(self._old_wakeup)
        os.close(self._told)
        os.close(self._telling)

    def fork(self) -> int:
        """Forks the child, which handles signals as any program; returns its pid, 0 inside it."""
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, self._old)  # else it might run our handlers
        child = os.fork()
        if child == 0:
            for number in self._old:
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if child:
            self.pass_to(child)
        return child

    def pass_to(self, child: int) -> None:
        """Makes a process the child, which gets what came before it was known."""
        self._child = child
        for number in self._early:
            self._send(number)

    def pause(self) -> None:
        """Returns once there was a signal since the last call."""
        select.select([self._told], [], [])
        with contextlib.suppress(BlockingIOError):
            os.read(self._told, select.PIPE_BUF)

    def _tick(self, _: int, __: FrameType | None) -> None:
        on_thread(self._on_alive)

    def _forward(self, number: int, _: FrameType | None) -> None:
        if not self._child:
            self._early.append(number)
        elif number not in FROM_TERMINAL or not _in_foreground():
            self._send(number)

    def _send(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(self._child, number)


def _in_foreground() -> bool:
    """Whether our process group is the one that the terminal talks to."""
    try:
        fd = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(fd)


def _take_terminal(group: int) -> None:
    """Takes the terminal back from a shell that was killed while it had it."""
    try:
        fd = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return
    try:
        owner = os.tcgetpgrp(fd)
        if owner != group and not _exists(owner):
            old = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
            os.tcsetpgrp(fd, group)
            signal.signal(signal.SIGTTOU, old)
    except OSError:
        return
    finally:
        os.close(fd)


def _exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
