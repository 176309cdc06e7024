"""``agentdiff hook AGENT``: the Python hook client, for when the small one found no daemon.

Owns the fallback: find or start a daemon, hand the payload on, else spool it with the pre-images of
the files it names.  Exits 0 whatever happens and prints nothing but what the agent shall read.
Imports little, and the rest only when it is needed: an agent waits.  Hop 1.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from agentdiff import wire
from agentdiff.daemon import sockets
from agentdiff.locations import Locations

ANSWER_WITHIN_S = 12.0
"""For everything together: agents are told to wait 15 s for a hook."""
START_WITHIN_S = 5.0
PAUSED_WITHIN_S = 1.0
"""The same where somebody waits for many answers in turn, and the last one did not come."""


def main(argv: Sequence[str]) -> int:
    """Takes the payload from standard input; returns 0, whatever happens.

    That goes for a command without the agent's name, too: it may be a hook's, and some agents take
    anything but 0 before a tool runs for a refusal.

    Args:
        argv: ``AGENT [--socket PATH] [--state DIR]``.
    """
    agent, socket_path, state = _arguments(argv)
    if not agent:
        sys.stderr.write("agentdiff hook: usage: agentdiff hook AGENT (payload on stdin)\n")
        return 0
    payload = _read_all(0)
    try:
        locations = Locations.from_env(os.environ)
    except KeyError:
        return 0  # no HOME: there is nowhere to look and nowhere to keep anything
    if socket_path:
        locations = replace(locations, runtime=Path(socket_path).parent)
    if state:
        locations = replace(locations, state=Path(state))
    answer = hand_on(locations, agent, payload, os.environ.get("AGENTDIFF_SESSION", ""))
    if answer is not None:
        _print(answer)
    return 0


def hand_on(
    locations: Locations, agent: str, payload: bytes, within: str = "", *, paused: bool = False
) -> dict[str, object] | None:
    """Delivers one hook, starting a daemon if need be; else spools it and returns None.

    Empty is the answer of a daemon that takes too long: it has the hook, and may yet read it.

    Args:
        locations: of the daemon.
        agent: the name of the adapter that reads the payload.
        payload: what the agent sent.
        within: session of the `agentdiff run` that the agent runs in, else empty.
        paused: a daemon could not be started, or did not answer, a moment ago: none is started, and
            one that is there has less time.
    """
    received_ns = time.time_ns()
    answer = _deliver(locations, agent, payload, within, paused=paused)
    if answer is None:
        _spool(locations, agent, payload, received_ns, within)
    return answer


def _read_all(fd: int) -> bytes:
    """Returns everything up to the end of a file; nothing when it is closed."""
    parts = []
    try:
        while part := os.read(fd, 1 << 20):
            parts.append(part)
    except OSError:
        return b""
    return b"".join(parts)


def _arguments(argv: Sequence[str]) -> tuple[str, str, str]:
    """Returns agent, socket and state; unknown words are ignored, like by the small client."""
    given = {"--socket": "", "--state": ""}
    agent = ""
    words = iter(argv)
    for word in words:
        if word in given:
            given[word] = next(words, "")
        elif not word.startswith("-"):
            agent = word
    return agent, given["--socket"], given["--state"]


def _deliver(
    locations: Locations, agent: str, payload: bytes, within: str, *, paused: bool
) -> dict[str, object] | None:
    """Returns the daemon's answer, starting one if need be; None when nobody took the hook."""
    deadline = time.monotonic() + (PAUSED_WITHIN_S if paused else ANSWER_WITHIN_S)
    header = {"agent": agent, "len": len(payload), "within": within}
    message = wire.encode({"proto": 1, "min_proto": 1, **header}) + payload
    answer = _ask(locations.hook_socket, message, deadline)
    left_s = deadline - time.monotonic()
    if answer is not None or paused or left_s <= 0:
        return answer
    from agentdiff.daemon import launch

    try:
        found = launch.ensure_running(locations, min(START_WITHIN_S, left_s))
    except OSError:
        return None  # `agentdiff doctor` and the log say why; an agent's output is not the place
    return _ask(found.hook_socket, message, deadline)


def _ask(path: Path, message: bytes, deadline: float) -> dict[str, object] | None:
    """Hands one hook to the daemon; None when there is none to take it, or not all of it."""
    line, sent = bytearray(), False
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(max(0.001, deadline - time.monotonic()))
            connection.connect(os.fsencode(path))
            if not sockets.is_owner(connection):
                return None  # what an agent says is not for another user who was there first
            connection.sendall(message)
            sent = True
            while not line.endswith(b"\n"):
                connection.settimeout(max(0.001, deadline - time.monotonic()))
                chunk = connection.recv(65536)
                if not chunk:
                    return None
                line += chunk
    except TimeoutError:
        # What was sent is taken, and takes too long: the agent shall not wait for more.
        return {} if sent else None
    except OSError:
        return None
    try:
        return wire.decode(bytes(line[:-1]))
    except wire.WireError:
        return {}


def _spool(locations: Locations, agent: str, payload: bytes, received_ns: int, within: str) -> None:
    """Keeps the hook, and what the files that its tool will touch hold now."""
    from agentdiff.agents import registry
    from agentdiff.core.events import ToolStarted
    from agentdiff.errors import MalformedPayload
    from agentdiff.sources import spool

    try:
        events = registry.parse(agent, payload, received_ns)
    except MalformedPayload:
        events = ()  # kept all the same: the daemon counts it
    named = [
        path
        for event in events
        if isinstance(event, ToolStarted)
        for target in event.targets
        if target.action != "read"
        for path in (target.path, target.move_to)
        if path is not None
    ]
    found = (spool.read_preimage(path) for path in dict.fromkeys(named))
    images = [image for image in found if image]
    try:
        spool.write(locations.spool, agent, payload, received_ns, images, within)
    except OSError:
        return  # a full disk, a foreign folder: the agent goes on, the watcher still sees the write


def _print(answer: dict[str, object]) -> None:
    """Prints the text for the agent."""
    text = answer.get("print")
    if isinstance(text, str) and text:
        try:
            sys.stdout.buffer.write(text.encode("utf-8"))
            sys.stdout.buffer.flush()
        except OSError:
            return  # nobody reads it
