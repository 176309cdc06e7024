"""H1 and H2: what the hook client alone costs, spawn → acknowledged → exit, with a 2 KB payload.

Both sides of H1 talk to the same responder, which answers at once as doc/protocol.md says: the
daemon's own time would be the same on both sides and make the ratio look better than it is.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import orjson

from agentdiff.install.hook_client import find_compiler, find_perl, install_hook_client
from agentdiff.locations import Locations
from tests.bench.harness import Pair, Row, Skipped, interleaved
from tests.bench.spawn import spawner

C_SOURCE = Path(__file__).with_name("ack_client.c")
ANSWER = b'{"proto":1,"ok":true,"certain":true,"print":""}\n'
PAYLOAD_BYTES = 2048


def rows(scratch: Path) -> Iterator[Row]:
    """Yields the rows of the hook client."""
    yield Row(
        name="H1",
        what="default hook client vs a static C client, 2 KB payload, same responder",
        at_most=4.0,
        measure=lambda rounds: _default_client(scratch, rounds, compiled=True),
    )
    yield Row(
        name="H1-perl",
        what="the client of a machine without a C compiler vs the same",
        at_most=4.0,
        measure=lambda rounds: _default_client(scratch, rounds, compiled=False),
    )
    yield Row(
        name="H2",
        what="client of a machine without perl vs python -I -S -E -c pass",
        at_most=1.0,
        measure=lambda rounds: _python_client(scratch, rounds),
    )


def _default_client(scratch: Path, rounds: int, *, compiled: bool) -> Pair:
    perl, compiler = find_perl(os.environ["PATH"]), find_compiler(os.environ["PATH"])
    if perl is None:
        raise Skipped("no perl")
    if compiler is None:
        raise Skipped("no C compiler for the reference")
    reference = scratch / "ack_client"
    build = [compiler, "-O2", "-static", "-o", str(reference), str(C_SOURCE)]
    if subprocess.run(build, capture_output=True, check=False).returncode != 0:
        raise Skipped("the C compiler cannot link statically")
    with responder() as path:
        built = compiler if compiled else None
        client = _installed(scratch, perl=perl, compiler=built, runtime=Path(path).parent)
        return interleaved(
            spawner([str(client), "claude"], _payload(scratch), scratch / "payload.json"),
            spawner([str(reference), path], _payload(scratch), scratch / "payload.json"),
            rounds,
        )


def _python_client(scratch: Path, rounds: int) -> Pair:
    reference = [sys.executable, "-I", "-S", "-E", "-c", "pass"]
    with responder() as path:
        client = _installed(scratch, perl=None, runtime=Path(path).parent)
        return interleaved(
            spawner([str(client), "claude"], _payload(scratch), scratch / "payload.json"),
            spawner(reference, _payload(scratch), scratch / "payload.json"),
            rounds,
        )


def _installed(
    scratch: Path, *, perl: str | None, compiler: str | None = None, runtime: Path
) -> Path:
    """Returns the client as the installer writes it, without compiler and perl the Python one."""
    places = Locations(state=scratch, runtime=runtime, config=scratch, data=scratch)
    install_hook_client(places, sys.executable, perl=perl, compiler=compiler)
    return places.hook_client


def _payload(scratch: Path) -> bytes:
    """Returns an event of an edit, 2 KB long."""
    event = {
        "session_id": "0d1e7d4c-3c4f-4f6e-9a51-6a1d1f1f8b11",
        "hook_event_name": "PreToolUse",
        "tool_name": "Edit",
        "tool_use_id": "toolu_01",
        "cwd": str(scratch),
        "tool_input": {"file_path": str(scratch / "a.py"), "old_string": "x", "new_string": ""},
    }
    missing = PAYLOAD_BYTES - len(orjson.dumps(event))
    event["tool_input"] |= {"new_string": "y" * missing}  # type: ignore[operator]
    return orjson.dumps(event)


@contextlib.contextmanager
def responder() -> Iterator[str]:
    """Answers every hook at once; yields the path of its socket; checks that hooks did arrive."""
    folder = tempfile.mkdtemp(prefix="ad-", dir="/tmp")
    path = f"{folder}/hook.sock"
    served = 0
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()

        def serve() -> None:
            nonlocal served
            while True:
                connection, _ = listener.accept()
                with connection, connection.makefile("rb") as incoming:
                    header = incoming.readline()
                    if not header:
                        return
                    incoming.read(orjson.loads(header)["len"])
                    connection.sendall(ANSWER)
                    served += 1

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield path
        finally:
            with socket.socket(socket.AF_UNIX) as end:
                end.connect(path)
            thread.join()
            shutil.rmtree(folder)
    if served == 0:
        raise AssertionError("no client reached the responder")
