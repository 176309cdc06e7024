"""Measures what a hook costs an agent: ``python -m tests.soak.probe FILE WORKSPACE``.

Owns the measuring, in a process of its own.  Each round runs the installed hook client twice, from
spawn to exit: once against the daemon, once against a responder that answers at once.  The second
says how fast the machine is at that moment, whatever the daemon does.  Writes one line a round:
monotonic clock, both in seconds.  Ends when its standard input does.
"""

from __future__ import annotations

import json
import os
import select
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

from agentdiff.locations import Locations

ROUND_S = 0.1
ANSWER = b'{"proto":1,"ok":true,"certain":true,"print":""}\n'


def main() -> int:
    """Measures until standard input ends."""
    out, root = Path(sys.argv[1]), sys.argv[2]
    client = str(Locations.from_env(os.environ).hook_client)
    with tempfile.TemporaryDirectory(prefix="ad-", dir="/tmp") as folder:
        path = f"{folder}/hook.sock"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen(8)
        threading.Thread(target=_respond, args=(listener,), daemon=True).start()
        payload = Path(folder, "payload.json")
        payload.write_bytes(_payload(root))
        with open(out, "w", encoding="ascii") as file:
            while not select.select([0], [], [], ROUND_S)[0]:
                hook_s = _spawned([client, "claude"], payload)
                control_s = _spawned([client, "claude", "--socket", path], payload)
                print(f"{time.monotonic():.3f} {hook_s:.6f} {control_s:.6f}", file=file, flush=True)
    return 0


def _spawned(argv: list[str], payload: Path) -> float:
    actions = [(os.POSIX_SPAWN_OPEN, 0, str(payload), os.O_RDONLY, 0)]
    began = time.perf_counter()
    pid = os.posix_spawn(argv[0], argv, os.environ, file_actions=actions)
    os.waitpid(pid, 0)
    return time.perf_counter() - began


def _respond(listener: socket.socket) -> None:
    while True:
        connection, _ = listener.accept()
        with connection:
            data = b""
            while b"\n" not in data:
                data += connection.recv(65536)
            header, _, rest = data.partition(b"\n")
            left = json.loads(header)["len"] - len(rest)
            while left > 0:
                left -= len(connection.recv(65536))
            connection.sendall(ANSWER)


def _payload(root: str) -> bytes:
    """Returns 2 KB: an edit that is announced again and again, and never made."""
    edit = {"file_path": f"{root}/probe.txt", "old_string": "one", "new_string": "x" * 1500}
    common = {"session_id": "probe", "cwd": root, "hook_event_name": "PreToolUse"}
    call = {"tool_name": "Edit", "tool_use_id": "probe", "tool_input": edit}
    return json.dumps({**common, **call, "transcript_path": "/nowhere.jsonl"}).encode()


if __name__ == "__main__":
    sys.exit(main())
