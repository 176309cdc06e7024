"""``--pty``: a program in a terminal of its own, inside a real one."""

from __future__ import annotations

import os
import signal
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.unit.daemon.fixtures import until

SUPERVISOR = """
import os, sys
from agentdiff.sources.run import foreground, terminal
status = terminal.run(
    sys.argv[2:], os.environ, on_started=lambda: None, on_alive=lambda: None
)
open(sys.argv[1], "w").write(str(status))
sys.exit(foreground.leave_as(status))
"""


class Outer:
    """The terminal around the supervisor, from the keyboard's side."""

    def __init__(self, pid: int, fd: int) -> None:
        self.pid = pid
        self.fd = fd
        self.printed = b""

    def expect(self, text: bytes) -> None:
        """Reads until the program has printed `text`."""
        while text not in self.printed:
            data = os.read(self.fd, 65536)
            assert data, self.printed
            self.printed += data
        self.printed = self.printed.partition(text)[2]

    def type(self, keys: bytes) -> None:
        """Presses keys."""
        os.write(self.fd, keys)

    def local_modes(self) -> int:
        """Returns the terminal's local modes."""
        return int(termios.tcgetattr(self.fd)[3])

    def hang_up(self) -> None:
        """Closes the window; harmless twice."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def end(self) -> int:
        """Reads the rest and returns the exit code."""
        try:
            while os.read(self.fd, 65536):
                pass
        except OSError:  # so Linux reports the end of a pty
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@contextmanager
def running(note: Path, script: str, typed: bytes = b"") -> Iterator[Outer]:
    """Runs a shell script under ``--pty``; its wait status will be in the file `note`."""
    master, inner = os.openpty()
    mode = termios.tcgetattr(inner)
    mode[6][termios.VERASE] = b"\x08"
    termios.tcsetattr(inner, termios.TCSANOW, mode)
    os.write(master, typed)
    pid = os.fork()
    if pid == 0:
        os.close(master)
        os.login_tty(inner)
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGHUP):
            # Whoever runs the tests in the background may ignore them, and that is inherited.
            signal.signal(number, signal.SIG_DFL)
        words = [sys.executable, "-c", SUPERVISOR, str(note), "sh", "-c", script]
        os.execv(words[0], words)
    os.close(inner)
    outer = Outer(pid, master)
    try:
        yield outer
    finally:
        outer.hang_up()


def test_the_program_finds_the_settings_of_the_outer_terminal(tmp_path: Path) -> None:
    """Which key erases, for one."""
    with running(tmp_path / "note", "stty -a; exit 3") as outer:
        outer.expect(b"erase = ^H")
        assert outer.end() == 3


def test_what_was_typed_before_it_started_is_not_lost(tmp_path: Path) -> None:
    """Keys of an impatient user."""
    with running(tmp_path / "note", 'read line; echo "read: $line"', b"early\r") as outer:
        outer.expect(b"read: early")
        assert outer.end() == 0


def test_ctrl_z_stops_a_program_that_is_no_shell(tmp_path: Path) -> None:
    """The outer shell finds its terminal in order; `fg` lets everything go on."""
    with running(tmp_path / "note", 'echo re""ady; read line; echo "read: $line"') as outer:
        outer.expect(b"ready")
        assert not outer.local_modes() & termios.ICANON
        outer.type(b"\x1a")
        _, status = os.waitpid(outer.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        assert outer.local_modes() & termios.ICANON
        os.kill(outer.pid, signal.SIGCONT)
        until(lambda: not outer.local_modes() & termios.ICANON)
        outer.type(b"again\r")
        outer.expect(b"read: again")
        assert outer.end() == 0


@pytest.mark.parametrize(("keys", "number"), [(b"\x03", signal.SIGINT), (b"\x1c", signal.SIGQUIT)])
def test_keys_that_end_a_program_end_it(tmp_path: Path, keys: bytes, number: int) -> None:
    """And the supervisor ends as it did, with the terminal in order."""
    with running(tmp_path / "note", "ulimit -c 0; echo ready; exec cat") as outer:
        outer.expect(b"ready")
        outer.type(keys)
        assert outer.end() == -number
        assert outer.local_modes() & termios.ICANON


def test_a_window_that_is_closed_ends_the_program_and_it_is_noted(tmp_path: Path) -> None:
    """Both terminals are gone; the session's end is told all the same."""
    note = tmp_path / "note"
    with running(note, "echo ready; exec cat") as outer:
        outer.expect(b"ready")
        outer.hang_up()
        _, status = os.waitpid(outer.pid, 0)
    assert os.WTERMSIG(status) == signal.SIGHUP
    assert os.WTERMSIG(int(note.read_text())) == signal.SIGHUP


@pytest.mark.parametrize("_again", range(5))  # a race, which the end of its input won often
def test_a_window_that_is_closed_ends_a_program_that_prints(tmp_path: Path, _again: int) -> None:
    """What it prints can be seen nowhere: for it, that is no end of its input."""
    note = tmp_path / "note"
    with running(note, "while echo x; do :; done & echo ready; exec cat") as outer:
        outer.expect(b"ready")
        outer.hang_up()
        os.waitpid(outer.pid, 0)
    assert os.WTERMSIG(int(note.read_text())) == signal.SIGHUP
