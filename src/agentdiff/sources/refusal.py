"""Why an OTLP request is not taken: the HTTP answer that says so.

Owns the `Refusal` value, and the bytes of answers.  Must not decide.  Hop 1.
"""

from __future__ import annotations

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
