"""Framing and greeting of ``rpc.sock``: JSON Lines, shared by daemon, command line and Neovim host.

Owns the protocol version and the shape of lines; must not do any I/O, so that blocking and asyncio
users share it.  doc/protocol.md is its specification.  Hop 1.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from agentdiff import __version__

PROTO = 1
"""Newest protocol that this code speaks."""
MIN_PROTO = 1
"""Oldest protocol that this code still speaks."""
MAX_LINE_BYTES = 64 * 1024 * 1024
"""Longest line that is accepted; a longer one is an attack or a bug, and ends the connection."""


class WireError(ValueError):
    """The peer broke the framing: a line too long, or one that is not a JSON object."""


class VersionMismatch(ConnectionError):  # noqa: N818 - reads as a fact
    """Client and daemon have no protocol version in common; the message says what to do."""


def encode(message: Mapping[str, object]) -> bytes:
    """Returns one line: compact JSON and the terminating newline."""
    return orjson.dumps(message, option=orjson.OPT_APPEND_NEWLINE)


def decode(line: bytes) -> dict[str, Any]:
    """Returns the JSON object of one line.

    Raises:
        WireError: it is not JSON, or not an object.
    """
    try:
        message = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise WireError(f"not JSON: {error}") from error
    if not isinstance(message, dict):
        raise WireError(f"a JSON object was expected, not {type(message).__name__}")
    return message


@dataclass(slots=True)
class LineBuffer:
    """Cuts a byte stream into lines, in linear time however the bytes arrive.

    Attributes:
        limit_bytes: longest line, without its terminator.
    """

    limit_bytes: int = MAX_LINE_BYTES
    _pending: bytearray = field(default_factory=bytearray)

    def feed(self, data: bytes) -> list[bytes]:
        """Takes what arrived and returns the lines that it completes, without terminators.

        Raises:
            WireError: a line is longer than the limit; the connection cannot go on.
        """
        head, newline, tail = data.partition(b"\n")
        if not newline:
            self._pending += data
            self._check(len(self._pending))
            return []
        self._pending += head
        lines = [bytes(self._pending), *tail.split(b"\n")]
        self._pending = bytearray(lines.pop())
        self._check(max(len(self._pending), *map(len, lines)))
        return lines

    def _check(self, size: int) -> None:
        if size > self.limit_bytes:
            raise WireError(f"a line of more than {self.limit_bytes} bytes")


def greeting(client: str) -> dict[str, object]:
    """Returns the first line that a client sends; `client` is its kind (``cli``, ``nvim``)."""
    return {
        "proto": PROTO,
        "min_proto": MIN_PROTO,
        "client": client,
        "version": __version__,
        "pid": os.getpid(),
    }


def common_version(message: Mapping[str, object]) -> int | None:
    """Returns the newest protocol that both sides speak, None when there is none.

    `message` is the other side's greeting, or its answer.
    """
    proto, oldest = message.get("proto"), message.get("min_proto")
    if not isinstance(proto, int) or not isinstance(oldest, int):
        return None
    newest = min(PROTO, proto)
    return newest if newest >= max(MIN_PROTO, oldest) else None


def check_greeting(answer: Mapping[str, Any]) -> None:
    """Checks the daemon's answer to a greeting.

    Raises:
        VersionMismatch: no common protocol; the message holds the remedy.
        WireError: the answer is neither a greeting nor an error.
    """
    error = answer.get("error")
    if isinstance(error, dict):
        raise VersionMismatch(str(error.get("message", "the daemon refused the connection")))
    if "proto" not in answer:
        raise WireError("the daemon did not greet")
    if common_version(answer) is None:
        raise VersionMismatch(
            f"this agentdiff ({__version__}) speaks protocol {MIN_PROTO} to {PROTO}, the running "
            f"daemon ({answer.get('version', 'unknown version')}) another one: "
            "run `agentdiff daemon stop`"
        )
