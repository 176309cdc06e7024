"""A program behind its launcher finds itself as without one: descriptors, names, signals."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import sys
from pathlib import Path

import pytest

from agentdiff.sources.trace.log import read
from tests.unit.daemon.fixtures import until
from tests.unit.sources.trace_rig import (
    DEADLINE_S,
    KINDS,
    TIDY,
    each_kind,
    kind,
    stop_and_go_on,
    traced,
)

pytestmark = [
    pytest.mark.skipif(not KINDS, reason="launchers need perl or a C compiler"),
    pytest.mark.usefixtures(each_kind.__name__),
]

OPEN = """
import os, sys
with open(sys.argv[1], "w") as out:
    for number in sorted(int(name) for name in os.listdir("/dev/fd")):
        try:
            os.fstat(number)
        except OSError:
            continue
        if number != out.fileno():
            print(number, end=" ", file=out)
"""


@pytest.mark.parametrize(
    ("closed", "left"),
    [("", "0 1 2 "), ("<&-", "1 2 "), (">&-", "0 2 "), ("<&- >&- 2>&-", "")],
)
def test_what_was_closed_is_closed_and_nothing_else_is_open(closed: str, left: str) -> None:
    """Neither the launcher's own text nor its socket takes the place of a closed descriptor."""
    with traced() as run:
        script = run.root / "open.py"
        script.write_text(OPEN)
        run("bash", "-c", f"python3 {script} {run.root}/out {closed}")
        assert (run.root / "out").read_text() == left


def test_python_finds_its_own_virtual_environment() -> None:
    """It looks for itself by the name that it was given, which must not lead to the launcher."""
    base = getattr(sys, "_base_executable", sys.executable)
    with traced() as run:
        (run.root / "pyvenv.cfg").write_text(f"home = {os.path.dirname(base)}\n")
        mine = run.root / "tools" / "python3"
        mine.symlink_to(base)
        found = run("python3", "-c", "import sys; print(sys.executable, sys.prefix)")
        assert found.split() == [str(mine), str(run.root)]


def test_a_program_keeps_its_own_name() -> None:
    """make starts further ones by it."""
    with traced() as run:
        (run.root / "tools" / "wrapped").symlink_to("/bin/bash")
        shutil.copy(run.launchers.bin / "git", run.launchers.bin / "wrapped")
        assert run("wrapped", "-c", "echo $0") == "wrapped\n"
        if kind()["program"]:  # a script does not know by what name it was called
            assert run("bash", "-c", "exec -a mine wrapped -c 'echo $0'") == "mine\n"


@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"),
    reason="only Linux tells a child of its parent's death",
)
def test_a_launcher_that_is_killed_takes_its_program_with_it() -> None:
    """A time limit of `subprocess.run` ends a command so, and then waits for its pipes."""
    script = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    with traced() as run:
        process = run.popen("python3", "-c", script)
        assert process.stdout is not None
        program = int(process.stdout.readline())
        process.kill()
        process.communicate(timeout=DEADLINE_S)
        until(lambda: not _runs(program))
        (line,) = run.log(1)
        assert line["exit_code"] is None


def _runs(pid: int) -> bool:
    """Whether a process lives; one that nobody reaps does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_launcher_stops_only_after_its_program() -> None:
    """A full-screen program puts the terminal in order first; until then its shell waits."""
    given, giving = os.pipe()
    with traced() as run, open(giving, "wb", buffering=0) as keys, open(given, "rb") as given_keys:
        process = run.popen("python3", "-c", TIDY, stdin=given_keys, process_group=0)
        stop_and_go_on(process, keys)


def test_a_supervisor_that_was_stopped_holds_nobody_up() -> None:
    """After a time the program runs alone."""
    with traced(wait_s=1) as run, socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(run.root / "silent"))
        silent.listen()
        run.environ["AGENTDIFF_TRACE"] = str(run.root / "silent")
        assert run("git", "--version").startswith("git version")
        assert list(read(run.root / "log")) == []


def test_a_supervisor_goes_on_after_a_connection_that_it_could_not_take() -> None:
    """Out of descriptors for a moment: the next command is followed again."""
    with traced() as run:
        run.server._listener.settimeout(0.01)  # makes `accept` fail, again and again
        for _ in range(3):
            run("git", "--version")
        run.log(3)
