"""Why an OTLP request is not taken: the HTTP answer that says so.

Owns the `Refusal` value, the bytes of answers, and who counts as this machine.  Hop 1.
"""

from __future__ import annotations

import functools
import ipaddress
from dataclasses import dataclass
from http import HTTPStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a request is not taken."""

    status: HTTPStatus
    message: str
    close: bool = False


def response(status: HTTPStatus, content_type: str, body: bytes, extra: str = "") -> bytes:
    """Returns a whole HTTP response; `extra` holds whole header lines."""
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\n{extra}\r\n"
    )
    return head.encode("ascii") + body


@functools.lru_cache(maxsize=64)
def is_local(host: bytes) -> bool:
    """Returns whether a Host header names this machine by loopback address or as localhost.

    A page on a rebound DNS name reaches the port, but cannot forge this header.
    """
    name = host.decode("latin-1").strip().lower()
    if name.startswith("["):
        name = name[1:].partition("]")[0]
    else:
        name = name.partition(":")[0]
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
