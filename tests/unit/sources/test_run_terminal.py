"""``--pty``: a program in a terminal of its own, inside a real one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.unit.daemon.fixtures import until
from tests.unit.sources.trace_rig import DEADLINE_S

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


def _piped(note: Path, script: str, typed: bytes) -> bytes:
    """Runs a script under ``--pty`` that says "ready", between pipes; returns what it then prints.

    Args:
        note: for its wait status.
        script: for sh.
        typed: its input, which comes after it is ready.
    """
    words = [sys.executable, "-c", SUPERVISOR, str(note), "sh", "-c", script]
    with subprocess.Popen(words, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as run:
        try:
            assert run.stdout is not None
            assert run.stdout.readline() == b"ready\r\n"
            printed, _ = run.communicate(typed, timeout=DEADLINE_S)
        finally:
            run.kill()
    return printed


def test_a_program_that_prints_before_it_reads_on_gets_all_of_its_input(tmp_path: Path) -> None:
    """More than the inner terminal holds, both ways: nobody waits for the other."""
    lines = b"".join(b"%d\n" % number for number in range(20000))
    printed = _piped(tmp_path / "note", "stty -echo; echo ready; exec cat", lines)
    assert printed == lines.replace(b"\n", b"\r\n")


def test_the_end_of_its_input_reaches_a_program_inside_a_line_too(tmp_path: Path) -> None:
    """There the terminal's end of file only ends the line."""
    assert _piped(tmp_path / "note", "stty -echo; echo ready; exec cat", b"a\nb") == b"a\r\nb"


UNWINDS = """
import os, signal, sys
from agentdiff.sources.run import terminal
signal.signal(signal.SIGINT, signal.default_int_handler)
terminal._give_terminal = lambda group: os.kill(os.getpid(), signal.SIGINT)
try:
    status = terminal.run(["true"], os.environ, on_started=lambda: None, on_alive=lambda: None)
    print(os.WTERMSIG(status), flush=True)
finally:
    print("unwound", flush=True)
"""


def test_a_ctrl_c_before_the_program_has_begun_ends_it_alone() -> None:
    """Nothing of ours is cleaned up in the child as if it were we."""
    words = [sys.executable, "-c", UNWINDS]
    done = subprocess.run(
        words, stdin=subprocess.DEVNULL, capture_output=True, timeout=DEADLINE_S, check=False
    )
    assert done.stdout.split() == [b"2", b"unwound"], done.stderr


ALIVE = """
import os, sys, threading
from agentdiff.sources.run import foreground, terminal
foreground.HEARTBEAT_S = terminal.HEARTBEAT_S = 0.05
runner = {"foreground": foreground, "terminal": terminal}[sys.argv[1]]
told, free = sys.argv[2], threading.Event()

def alive():
    open(told, "w").close()
    free.wait()  # a daemon that hangs

runner.run(
    ["sh", "-c", 'while [ ! -e "$0" ]; do sleep 0.01; done', told],
    os.environ, on_started=lambda: None, on_alive=alive,
)
"""


@pytest.mark.parametrize("runner", ["foreground", "terminal"])
def test_telling_that_a_program_is_alive_delays_nothing(tmp_path: Path, runner: str) -> None:
    """However long the daemon takes, the program's end is seen at once."""
    words = [sys.executable, "-c", ALIVE, runner, str(tmp_path / "told")]
    subprocess.run(words, stdin=subprocess.DEVNULL, timeout=DEADLINE_S, check=True)
