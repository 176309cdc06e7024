"""The supervisor's end of the launcher protocol, with a launcher of our own."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agentdiff.daemon import sockets
from agentdiff.sources.run.session import Session
from agentdiff.sources.trace import server
from agentdiff.sources.trace.log import TraceLog, read
from agentdiff.sources.trace.server import Policy, TraceServer
from tests.unit.daemon.fixtures import until

Tell = Callable[[dict[str, Any]], None]


@contextmanager
def serving(tell: Tell) -> Iterator[Path]:
    """A supervisor that tells its events to `tell`; its folder, with ``sock`` and ``log``."""
    root = Path(tempfile.mkdtemp(prefix="ad-", dir="/tmp")).resolve()
    session = Session(
        deliver=lambda _, payload: tell(json.loads(payload)),
        name="agent",
        argv=("agent",),
        cwd=str(root),
    )
    log = TraceLog(root / "log", max_bytes=1 << 20, keep=1)
    try:
        with TraceServer(root / "sock", session, log, Policy(), {}, pytest.fail) as supervisor:
            supervisor.start()
            yield root
    finally:
        shutil.rmtree(root)


def request(*words: str, cwd: str = "/", pid: int = 1) -> bytes:
    """Returns what a launcher sends for a command."""
    tool, *arguments = words
    facts = [tool, f"/bin/{tool}", cwd, str(pid), "1", "0", "0", "", str(len(arguments))]
    data = "\0".join([*facts, *arguments]).encode() + b"\0"
    return b"%d\n" % len(data) + data


def logged(root: Path) -> dict[str, Any]:
    """Returns the one line of the log, once it is there."""
    until(lambda: len(list(read(root / "log"))) == 1)
    (line,) = read(root / "log")
    return line


@pytest.mark.parametrize("words", [("touch", "x"), ("git", "status")])
def test_a_launcher_that_was_killed_while_it_waited_leaves_no_call_open(
    words: tuple[str, ...],
) -> None:
    """Its end is told and written down, although it never got its answer."""
    told: list[tuple[str, str | None]] = []
    launcher = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    def tell(message: dict[str, Any]) -> None:
        launcher.close()  # while the baseline is taken
        told.append((message["event"], message.get("outcome")))

    with serving(tell) as root, launcher:
        launcher.connect(str(root / "sock"))
        launcher.sendall(request(*words))
        if words[0] == "git":
            launcher.close()
        line = logged(root)
    assert (line["argv"], line["exit_code"]) == ([*words], None)
    writes = [("command_started", None), ("command_finished", "unknown")]
    assert told == (writes if words[0] == "touch" else [])


@pytest.mark.skipif(sys.platform != "linux", reason="where a process is, only Linux says")
@pytest.mark.parametrize("there", [True, False])
def test_where_a_command_runs_is_asked_of_the_process_that_sent_it(
    tmp_path: Path, there: bool
) -> None:
    """What it calls its pid may be another process here; where it is may be gone."""
    place, claimed = tmp_path / "place", tmp_path / "claimed"
    place.mkdir()
    claimed.mkdir()
    script = (
        "import os, socket, sys\n"
        "if sys.argv[3] == 'False':\n"
        "    os.rmdir(os.getcwd())\n"
        "with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as to:\n"
        "    to.connect(sys.argv[1])\n"
        "    to.sendall(bytes.fromhex(sys.argv[2]))\n"
        "    to.recv(64)\n"
    )
    with serving(lambda _: None) as root:
        sent = request("touch", "x", cwd=str(claimed), pid=os.getpid()).hex()
        words = [sys.executable, "-c", script, str(root / "sock"), sent, str(there)]
        subprocess.run(words, cwd=place, check=True, timeout=60)
        line = logged(root)
    assert (line["cwd"], line["pid"]) == (str(place if there else claimed), os.getpid())


def test_a_sender_that_is_not_known_is_where_it_says(tmp_path: Path) -> None:
    """So the kernel tells of one whose pid namespace cannot be seen from here."""
    unseen = struct.pack("3i", 0, os.getuid(), os.getgid())

    class Peer:
        def getsockopt(self, *_: int) -> bytes:
            return unseen

    assert sockets.peer_pid(Peer()) == 0
    size, _, data = request("touch", "x", cwd=str(tmp_path), pid=os.getpid()).partition(b"\n")
    assert (int(size), server.parse(data, "/").cwd) == (len(data), str(tmp_path))


def test_a_user_without_a_name_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that was started with another uid."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)

    def unknown(uid: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    with serving(lambda _: None) as root, socket.socket(socket.AF_UNIX) as launcher:
        launcher.connect(str(root / "sock"))
        launcher.sendall(request("git", "status"))
        launcher.close()
        assert logged(root)["user"] == str(os.getuid())
