"""One test for each fault: the agent is answered, it is said what is wrong, and nothing is lost."""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agentdiff.client import Client, RequestError
from agentdiff.install.hook_client import find_compiler
from tests.kills.user import DEADLINE_S, User, until

HERE = Path(__file__).parent
COMPILER = find_compiler(os.environ["PATH"])
ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 24, 1, 2


class Machine(User):
    """A user whose daemon can be started under conditions."""

    def __init__(self) -> None:
        super().__init__()
        self._calls = 0
        self._daemons: list[subprocess.Popen[bytes]] = []

    def daemon(
        self, *, before: Callable[[], None] | None = None, runtime: Path | None = None, **env: str
    ) -> None:
        """Starts a daemon; returns when it has the lock and answers."""
        where = replace(self.locations, runtime=runtime or self.locations.runtime)
        folders = [
            part
            for name in ("state", "runtime", "config", "data")
            for part in (f"--{name}", str(getattr(where, name)))
        ]
        process = subprocess.Popen(
            [sys.executable, "-E", "-P", "-m", "agentdiff", "daemon", "run", *folders],
            env={**self.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            preexec_fn=before,
        )
        self._daemons.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"agentdiff: ready\n"

    def close(self) -> None:
        """Ends every daemon."""
        for process in self._daemons:
            process.kill()
            process.communicate()
        super().close()

    def cli(self, *words: str) -> tuple[int, str]:
        """Runs the command line in the workspace; returns exit code and everything it said."""
        done = subprocess.run(
            [sys.executable, "-E", "-P", "-m", "agentdiff", *words],
            cwd=self.root,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=DEADLINE_S,
            preexec_fn=self.before,
        )
        return done.returncode, done.stdout

    def agent_writes(self, name: str, data: bytes) -> None:
        """Writes a file with the Write tool."""
        self._calls += 1
        given = {"file_path": str(self.root / name), "content": data.decode()}
        call = {"tool_name": "Write", "tool_input": given, "tool_use_id": f"t{self._calls}"}
        self.hook("PreToolUse", "s", "p", **call)
        self.write(name, data)
        self.hook("PostToolUse", "s", "p", **call, tool_response={})

    def begin(self) -> None:
        """Starts the agent's session and its turn."""
        self.hook("SessionStart", "s", "p", source="startup")
        self.hook("UserPromptSubmit", "s", "p", prompt="do it")

    def pending(self) -> list[str]:
        """Returns the paths of which something pends, once the workspace was read."""
        while not (status := self.ask_patiently("status"))["settled"]:
            pass
        return sorted(one["path"] for one in status["files"])

    def reject(self, name: str) -> dict[str, Any]:
        """Rejects what pends in a file."""
        return self.ask("decide", op="reject", selection={"paths": [name], "external": True})


@pytest.fixture
def machine() -> Iterator[Machine]:
    """A user with a workspace of two files."""
    made = Machine()
    made.write("a", b"1\n")
    made.write("b", b"1\n")
    yield made
    made.close()


def _weaken() -> None:
    """Takes from root what lets it read and write everything; in a child, before it becomes it."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH):
        if libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "cannot give up a capability")


def _as_anybody() -> Callable[[], None] | None:
    """Returns what makes permissions count for a child: nothing where they count anyhow."""
    return _weaken if os.geteuid() == 0 else None


def _goes_on_while_nothing_can_be_written(machine: Machine, repair: Callable[[], None]) -> None:
    """The agent works on, the review shows it, and all of it is there after the repair."""
    noise = os.urandom(30_000).hex().encode()
    machine.agent_writes("a", noise)
    machine.agent_writes("made", noise[::-1])
    assert machine.pending() == ["a", "b", "made"]
    refused = machine.reject("b")["refused"]
    assert "cannot be written" in refused[0]["reason"], refused
    assert machine.read("b") == b"2\n"
    code, said = machine.cli("doctor")
    assert (code, "do not stop the daemon" in said) == (3, True), said
    repair()
    assert machine.reject("b")["refused"] == []
    assert machine.ask("daemon.status")["workspaces"][0]["storage_problem"] is None
    machine.hang_up()
    machine.kill()
    assert machine.pending() == ["a", "made"]
    assert [machine.base(name) for name in ("a", "b", "made")] == [b"1\n", b"1\n", None]


@ON_LINUX
def test_a_full_disk(machine: Machine) -> None:
    """A state folder on a disk of two megabytes that somebody else fills."""
    state = machine.locations.state
    state.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(state)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip(f"no tmpfs here: {mounted.stderr.decode().strip()}")
    try:
        machine.begin()
        machine.agent_writes("b", b"2\n")
        machine.pending()
        filler = state / "filler"
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
        _goes_on_while_nothing_can_be_written(machine, filler.unlink)
    finally:
        machine.hang_up()
        machine.kill()
        subprocess.run(["umount", "-l", str(state)], check=True)


@ON_LINUX
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_a_disk_that_fails(machine: Machine, tmp_path: Path, number: int) -> None:
    """Every write and sync below the state folder returns the error."""
    if COMPILER is None:
        pytest.skip("no C compiler on this machine")
    shim, switch = tmp_path / "refuse.so", tmp_path / "switch"
    source = str(HERE / "refuse.c")
    subprocess.run([COMPILER, "-shared", "-fPIC", "-o", shim, source, "-ldl"], check=True)
    workspaces = str(machine.locations.workspaces)
    machine.daemon(LD_PRELOAD=str(shim), FAULT_UNDER=workspaces, FAULT_SWITCH=str(switch))
    machine.begin()
    machine.agent_writes("b", b"2\n")
    machine.pending()
    switch.write_text(str(int(number)))
    _goes_on_while_nothing_can_be_written(machine, switch.unlink)


@contextmanager
def _forbidden(machine: Machine) -> Iterator[str]:
    """The folder that the state folder would be made in is nobody's to write."""
    machine.before = _as_anybody()
    above = machine.locations.state.parent
    above.mkdir()
    above.chmod(0o500)
    yield "Permission denied"
    above.chmod(0o700)


@contextmanager
def _read_only(machine: Machine) -> Iterator[str]:
    """The disk of the state folder is mounted for reading."""
    state = machine.locations.state
    state.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", "ro,mode=700", "none", str(state)]
    mounted = subprocess.run(command, capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"no tmpfs here: {mounted.stderr.decode().strip()}")
    try:
        yield "Read-only file system"
    finally:
        subprocess.run(["umount", str(state)], check=True)


@ON_LINUX
@pytest.mark.parametrize("closed", [_forbidden, _read_only])
def test_a_state_folder_that_cannot_be_written(machine: Machine, closed: Any) -> None:
    """No daemon can start: the agent notices nothing, commands and doctor name the folder."""
    state = machine.locations.state
    with closed(machine) as reason:
        machine.begin()
        machine.agent_writes("a", b"2\n")
        code, said = machine.cli("status")
        assert (code, str(state) in said, reason in said) == (4, True, True), said
        code, said = machine.cli("doctor")
        assert (code, f"State folder: {state} cannot be " in said) == (3, True), said
        assert reason in said
    machine.begin()
    machine.agent_writes("b", b"2\n")
    assert (machine.pending(), machine.read("a")) == (["b"], b"2\n")


@ON_LINUX
def test_a_file_that_cannot_be_read(machine: Machine) -> None:
    """It is named as a gap, the rest is reviewed, and it is followed as soon as it can be read."""
    machine.before = _as_anybody()
    machine.write("secret", b"1\n")
    (machine.root / "secret").chmod(0)
    machine.daemon(before=machine.before)
    machine.begin()
    machine.agent_writes("a", b"2\n")
    assert machine.pending() == ["a"]
    skipped = machine.ask("diff")["skipped"]
    coverage = machine.ask("daemon.status")["workspaces"][0]["skipped"]
    assert (coverage, skipped) == (1, []), skipped
    (machine.root / "secret").chmod(0o600)
    machine.agent_writes("a", b"3\n")
    machine.pending()
    assert machine.ask("daemon.status")["workspaces"][0]["skipped"] == 0


def test_no_descriptors_left(machine: Machine) -> None:
    """Whoever takes all of them delays hooks, and stops nothing for longer than that."""
    machine.daemon(before=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)))
    machine.begin()
    machine.agent_writes("a", b"2\n")
    held = []
    for _ in range(80):
        one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        one.connect(str(machine.locations.hook_socket))
        held.append(one)
    machine.agent_writes("b", b"2\n")  # answered late or spooled, and the agent goes on
    for one in held:
        one.close()
    machine.agent_writes("made", b"2\n")
    assert machine.pending() == ["a", "b", "made"]
    assert [machine.base(name) for name in ("a", "b", "made")] == [b"1\n", b"1\n", None]


def test_a_runtime_folder_that_vanishes(machine: Machine) -> None:
    """The daemon makes its sockets again; what agents do meanwhile arrives."""
    machine.begin()
    machine.agent_writes("a", b"2\n")
    first = machine.pid()
    machine.hang_up()
    shutil.rmtree(machine.locations.runtime)
    machine.agent_writes("b", b"2\n")
    assert (machine.pending(), machine.pid()) == (["a", "b"], first)


def test_a_second_daemon_on_the_same_state(machine: Machine) -> None:
    """Its lock file was removed under the first one: the second writes nothing, and says why."""
    machine.daemon()
    machine.begin()
    machine.agent_writes("a", b"2\n")
    assert machine.pending() == ["a"]
    first = machine.pid()
    assert first is not None
    machine.hang_up()
    os.kill(first, signal.SIGSTOP)  # or it would notice, and leave
    machine.locations.lock_file.unlink()
    elsewhere = machine.home / "r2"
    machine.daemon(runtime=elsewhere)
    other = Client(replace(machine.locations, runtime=elsewhere), start=False)
    with pytest.raises(RequestError, match="another agentdiff daemon has it open"):
        other.call("status", cwd=str(machine.root))
    os.kill(first, signal.SIGCONT)
    until(lambda: not machine.locations.rpc_socket.exists(), "the end of the first")
    assert [one["path"] for one in other.call("status", cwd=str(machine.root))["files"]] == ["a"]
    other.close()


def test_an_upgrade_while_it_runs(machine: Machine) -> None:
    """A hook client of a protocol that is gone is answered with the remedy; the agent goes on."""
    machine.begin()
    machine.agent_writes("a", b"2\n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as old:
        old.settimeout(DEADLINE_S)
        old.connect(str(machine.locations.hook_socket))
        old.sendall(b'{"proto":0,"min_proto":0,"agent":"claude","len":2}\n{}')
        answer = old.makefile("rb").readline()
    assert b"run `agentdiff install` again" in answer
    machine.agent_writes("b", b"2\n")
    assert machine.pending() == ["a", "b"]


@contextmanager
def _outage(machine: Machine) -> Iterator[None]:
    machine.hang_up()
    with machine.outage():
        yield


def test_a_time_without_any_daemon(machine: Machine) -> None:
    """Hooks are spooled with what files held; doctor says so; all of it pends afterwards, once."""
    machine.begin()
    with _outage(machine):
        machine.agent_writes("a", b"2\n")
        machine.agent_writes("a", b"3\n")
        machine.agent_writes("made", b"1\n")
        code, said = machine.cli("doctor")
        runtime = machine.locations.runtime
        assert (code, f"move {runtime} away" in said) == (3, True), said
        assert " hooks wait in " in said, said
    assert machine.pending() == ["a", "made"]
    assert [machine.base(name) for name in ("a", "made")] == [b"1\n", None]
    turns = [turn for s in machine.ask("status")["sessions"] for turn in s["turns"]]
    assert len(turns) == 1
    assert list(machine.locations.spool.iterdir()) == []
