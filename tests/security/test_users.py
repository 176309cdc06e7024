"""Another user of the same machine: sees nothing, is told nothing, and is not believed."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agentdiff import wire
from agentdiff.daemon import launch, sockets
from agentdiff.install.hook_client import find_compiler, render
from agentdiff.locations import Locations
from tests.security.victim import WAIT_S, Victim
from tests.unit.daemon.fixtures import SOURCES, until

AsNobody = Callable[[Callable[[], str]], str]


def _tried(act: Callable[[], object]) -> str:
    try:
        return repr(act())
    except OSError as error:
        return type(error).__name__


def _connected(path: Path) -> object:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(str(path))
    return "connected"


def test_everything_kept_is_private(victim: Victim, workspace: Path) -> None:
    """Folders are 0700 and files 0600, whatever the umask of who starts the daemon."""
    victim.edit(workspace, "a.txt", b"one\n2\nthree\n")
    victim.send(b"nonsense")
    victim.pending(workspace)
    for top in (victim.locations.state, victim.locations.runtime):
        found = {path: path.lstat() for path in (top, *top.rglob("*"))}
        open_to_others = {
            str(path): oct(status.st_mode)
            for path, status in found.items()
            if stat.S_IMODE(status.st_mode) & 0o077 and not stat.S_ISLNK(status.st_mode)
        }
        assert open_to_others == {}
        assert len(found) > 2


def test_another_user_reads_nothing(victim: Victim, as_nobody: AsNobody) -> None:
    """Token, log, state and sockets are behind folders that only their owner enters."""
    places = victim.locations
    victim.folder.chmod(0o755)
    for path in (places.token_file, places.log_file, places.lock_file):
        assert as_nobody(lambda path=path: _tried(path.read_bytes)) == "PermissionError"
    for path in (places.hook_socket, places.rpc_socket):
        assert as_nobody(lambda path=path: _tried(lambda: _connected(path))) == "PermissionError"


@pytest.fixture
def wide_open(victim: Victim) -> Iterator[None]:
    """The folders let everybody in, as after a mistake: what is left is the question who asks."""
    runtime = victim.locations.runtime
    folders = [victim.folder, runtime.parent, runtime]
    sockets_ = [victim.locations.hook_socket, victim.locations.rpc_socket]
    before = [path.stat().st_mode for path in (*folders, *sockets_)]
    for path in (*folders, *sockets_):
        path.chmod(0o777)
    yield
    for path, mode in zip((*folders, *sockets_), before, strict=True):
        path.chmod(stat.S_IMODE(mode))


def _ask(path: Path, line: bytes) -> str:
    """Returns what a socket answers to a line; empty when it only hangs up."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(WAIT_S)
        connection.connect(str(path))
        try:
            connection.sendall(line)
            return connection.makefile("rb").readline().decode()
        except (BrokenPipeError, ConnectionResetError):
            return ""


@pytest.mark.usefixtures("wide_open")
def test_another_user_is_not_greeted(victim: Victim, as_nobody: AsNobody) -> None:
    """``rpc.sock`` asks the kernel who connects."""
    greeting = wire.encode(wire.greeting("cli"))
    assert as_nobody(lambda: _ask(victim.locations.rpc_socket, greeting)) == ""
    assert '"proto":' in _ask(victim.locations.rpc_socket, greeting)
    until(lambda: '"event":"client refused"' in victim.log())


@pytest.mark.usefixtures("wide_open")
def test_another_users_hook_is_not_taken(victim: Victim, as_nobody: AsNobody) -> None:
    """``hook.sock`` asks the kernel who connects."""
    before = victim.call("daemon.status")["counters"]["hooks"]
    hook = b'{"proto":1,"min_proto":1,"agent":"claude","len":2}\n{}'
    assert as_nobody(lambda: _ask(victim.locations.hook_socket, hook)) == ""
    after = victim.call("daemon.status")["counters"]["hooks"]
    assert (after["refused"], after["received"]) == (before["refused"] + 1, before["received"])


@pytest.fixture
def trap(as_nobody: AsNobody) -> Iterator[Locations]:
    """Another user listens where this one's daemon would, and writes down what is said there."""
    place = Path(tempfile.mkdtemp(prefix="ad-", dir="/tmp"))
    place.chmod(0o777)
    runtime = place / "agentdiff"
    locations = Locations(
        state=place / "mine/state",
        runtime=runtime,
        config=place / "mine/config",
        data=place / "mine/data",
    )
    as_nobody(lambda: _tried(lambda: (runtime.mkdir(mode=0o777), runtime.chmod(0o777))))
    heard = runtime / "heard"
    code = f"""
import os, socket, threading
os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
def serve(name):
    s = socket.socket(socket.AF_UNIX); s.bind({str(runtime)!r} + "/" + name)
    os.chmod({str(runtime)!r} + "/" + name, 0o777); s.listen()
    print(name, flush=True)
    while True:
        c, _ = s.accept()
        data = c.recv(65536)
        if data:
            open({str(heard)!r}, "ab").write(data)
            c.sendall(b'{{"ok":true,"print":"believed"}}\\n')
        c.close()
threading.Thread(target=serve, args=("hook.sock",)).start()
serve("rpc.sock")
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        for _ in range(2):
            process.stdout.readline()
        yield locations
    finally:
        process.kill()
        process.communicate()
        shutil.rmtree(place)


def test_another_users_daemon_is_not_used(trap: Locations) -> None:
    """The command line, the editor and the Python hook say nothing to it, and say why."""
    assert sockets.answers(trap.rpc_socket) is False
    assert launch.find(trap) is None
    with pytest.raises(launch.DaemonUnavailable, match="belongs to uid 65534"):
        launch.ensure_running(trap, WAIT_S)
    assert not (trap.runtime / "heard").exists()


@pytest.mark.parametrize("name", ["hook_client.c", "hook_client.pl", "hook_client.py"])
def test_another_users_daemon_hears_no_hook(trap: Locations, tmp_path: Path, name: str) -> None:
    """The small hook clients look as well: a prompt or a file's content is not for them."""
    program = tmp_path / "agentdiff-hook"
    program.write_bytes(_client(name, trap))
    program.chmod(0o700)
    done = subprocess.run(
        [program, "claude"], input=b"a prompt", capture_output=True, check=False, timeout=WAIT_S
    )
    assert (done.returncode, done.stdout) == (0, b"")
    assert not (trap.runtime / "heard").exists()


def test_the_way_out_of_the_hook_clients_tells_nobody(trap: Locations) -> None:
    """What they start when no daemon of ours answers keeps the hook for later instead."""
    where = ["--socket", str(trap.hook_socket), "--state", str(trap.state)]
    done = subprocess.run(
        [sys.executable, "-E", "-P", "-m", "agentdiff", "hook", "claude", *where],
        input=b'{"hook_event_name": "Stop", "session_id": "s"}',
        env={"PATH": os.environ["PATH"], "HOME": str(trap.state)},
        capture_output=True,
        check=False,
        timeout=WAIT_S,
    )
    assert (done.returncode, done.stdout) == (0, b"")
    assert not (trap.runtime / "heard").exists()
    assert len(list(trap.spool.glob("*.hook"))) == 1


def _client(name: str, locations: Locations) -> bytes:
    """Returns a hook client that falls back to ``/bin/true``."""
    if name.endswith(".c"):
        compiler = find_compiler(os.environ["PATH"])
        if compiler is None:
            pytest.skip("no C compiler on this machine")
        return render(locations, "/bin/true", None, compiler)
    perl = shutil.which("perl")
    if name.endswith(".pl") and perl is None:
        pytest.skip("no perl on this machine")
    words = {
        "#!@PYTHON@": f"#!{sys.executable}",
        "@PERL@": str(perl),
        "@PYTHON@": "/bin/true",
        "@SOCKET@": str(locations.hook_socket),
        "@STATE@": str(locations.state),
    }
    text = (SOURCES / name).read_text()
    for word, value in words.items():
        text = text.replace(word, value)
    return text.encode()
