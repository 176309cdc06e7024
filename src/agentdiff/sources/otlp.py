"""OTLP over HTTP: agents' telemetry comes in on a loopback port.

Owns the listener: who may send, what is refused and with which status, and the acknowledgement in
one write.  Must not decode records: `on_logs` gets the body, unpacked, and may say no, or later.
Parsing HTTP is httptools' work (doc/decisions/0004-http-parser.md).  Hop 1.

What agents send (Claude Code 2.1.197 and 2.1.329, Codex CLI, Gemini CLI): HTTP/1.1 POST with
Content-Length, JSON or protobuf, no compression; the OTLP specification also allows gzip and
chunks.  An answer in two segments costs the exporter 45 ms (Nagle and delayed acknowledgement).
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import zlib
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TypeAlias, cast

import httptools
import orjson

from agentdiff.sources.refusal import Refusal, is_local, response

HOST = "127.0.0.1"
TOKEN_HEADER = b"x-agentdiff-token"
MAX_BODY_BYTES = 32 * 1024 * 1024
MAX_HEADERS_BYTES = 32 * 1024
MAX_CONNECTIONS = 256
IDLE_AFTER_S = 90.0
LINGER_S = 1.0
SIGNALS = {b"/v1/logs": "logs", b"/v1/traces": "traces", b"/v1/metrics": "metrics"}
JSON = "application/json"
PROTOBUF = "application/x-protobuf"

OnLogs = Callable[[bytes, str], "Refusal | asyncio.Future[Refusal | None] | None"]
OnTaken = Callable[[str, bytes, str], None]


_ACCEPTED = {
    JSON: response(HTTPStatus.OK, JSON, b"{}"),
    PROTOBUF: response(HTTPStatus.OK, PROTOBUF, b""),
}
_Outcome: TypeAlias = Refusal | None
_CLOSING = Refusal(
    status=HTTPStatus.SERVICE_UNAVAILABLE, message="agentdiff is shutting down", close=True
)
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@dataclass(slots=True)
class Request:
    """The request that is arriving.

    Attributes:
        headers: lower-case names; of repeated ones the last.
        refusal: set as soon as it is known; the body is then read and thrown away.
    """

    path: bytes = b""
    headers: dict[bytes, bytes] = field(default_factory=dict)
    head_bytes: int = 0
    body: bytearray = field(default_factory=bytearray)
    refusal: Refusal | None = None


def unzip(data: bytes) -> bytes:
    """Returns the content of a gzip body.

    Raises:
        zlib.error: it is not one, or it is cut short.
        OverflowError: it unpacks to more than `MAX_BODY_BYTES`.
    """
    unpack = zlib.decompressobj(zlib.MAX_WBITS | 16)
    content = unpack.decompress(data, MAX_BODY_BYTES + 1)
    if len(content) > MAX_BODY_BYTES:
        raise OverflowError
    if not unpack.eof:
        raise zlib.error("the gzip stream is cut short")
    return content


class OtlpConnection(asyncio.Protocol):
    """One HTTP connection; requests are taken one after the other, kept alive between."""

    def __init__(self, listener: OtlpListener) -> None:
        self._listener = listener
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._request = Request()
        self._deaf = False
        self._unsent: list[bytes] | None = None
        self._waiting: deque[tuple[asyncio.Future[Refusal | None] | _Outcome, str, bool]] = deque()
        self.last_active = 0.0

    # asyncio calls these

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Registers the connection, or closes it when there are too many."""
        self._transport = cast("asyncio.Transport", transport)
        if not self._listener.admit(self):
            self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002
        """Forgets the connection."""
        self._transport = None
        self._listener.forget(self)

    def data_received(self, data: bytes) -> None:
        """Feeds the parser, which calls the ``on_…`` methods."""
        self.last_active = self._listener.loop.time()
        if self._deaf:
            return
        self._unsent = []
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(Refusal(status=HTTPStatus.BAD_REQUEST, message="no upgrade", close=True))
        except httptools.HttpParserCallbackError:
            raise  # a bug in one of the methods below, not in what the peer sent
        except httptools.HttpParserError as error:
            if not self._deaf:
                text = f"not HTTP/1.1: {error}"
                self._refuse(Refusal(status=HTTPStatus.BAD_REQUEST, message=text, close=True))
        finally:
            self._flush()

    # httptools calls these

    def on_url(self, url: bytes) -> None:
        """Takes (a part of) the request target."""
        self._request.path += url
        self._count_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Takes one header."""
        self._request.headers[name.lower()] = value
        self._count_head(len(name) + len(value))

    def on_headers_complete(self) -> None:
        """Decides whether the request will be taken."""
        request = self._request
        request.refusal = self._listener.judge(self._parser.get_method(), request)
        if request.refusal is not None and request.refusal.close and not self._waiting:
            self._refuse(request.refusal)
        elif request.headers.get(b"expect", b"").lower() == b"100-continue":
            self._write(_CONTINUE)

    def on_body(self, data: bytes) -> None:
        """Takes a part of the body."""
        request = self._request
        if request.refusal is not None or self._deaf:
            return
        request.body += data
        if len(request.body) > MAX_BODY_BYTES:
            request.refusal = _TOO_LARGE
            self._refuse(_TOO_LARGE)

    def on_message_complete(self) -> None:
        """Answers, in one write, and gets ready for the next request."""
        request, self._request = self._request, Request()
        if self._deaf:
            return
        outcome = request.refusal or self._listener.take(request)
        kind = content_type(request.headers)
        keep = self._parser.should_keep_alive()
        if not self._waiting and not isinstance(outcome, asyncio.Future):
            self._answer(outcome, kind, keep=keep)
            return
        # Answers come in the order of the requests; nothing more is read meanwhile.
        self._waiting.append((outcome, kind, keep))
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()
        if isinstance(outcome, asyncio.Future):
            outcome.add_done_callback(self._answer_waiting)

    def _answer_waiting(self, _done: object) -> None:
        """Answers what can be answered now, oldest first."""
        while self._waiting:
            outcome, kind, keep = self._waiting[0]
            if isinstance(outcome, asyncio.Future):
                if not outcome.done():
                    return
                outcome = _CLOSING if outcome.cancelled() else outcome.result()
            self._waiting.popleft()
            self._answer(outcome, kind, keep=keep)
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _answer(self, outcome: _Outcome, kind: str, *, keep: bool) -> None:
        if outcome is not None:
            self._refuse(outcome)
        else:
            self._write(_ACCEPTED[kind])
        if not keep:
            self._hang_up()

    def abort(self) -> None:
        """Ends the connection now."""
        if self._transport is not None:
            self._transport.abort()

    def _count_head(self, size: int) -> None:
        self._request.head_bytes += size
        if self._request.head_bytes > MAX_HEADERS_BYTES and not self._deaf:
            status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            self._refuse(Refusal(status=status, message="headers too large", close=True))

    def _refuse(self, refusal: Refusal) -> None:
        """Answers with an error."""
        self._listener.note_refused(refusal)
        body = orjson.dumps({"code": refusal.status.value, "message": refusal.message})
        extra = "Retry-After: 1\r\n" if refusal.status is HTTPStatus.SERVICE_UNAVAILABLE else ""
        extra += "Allow: POST\r\n" if refusal.status is HTTPStatus.METHOD_NOT_ALLOWED else ""
        extra += "Connection: close\r\n" if refusal.close else ""
        self._write(response(refusal.status, JSON, body, extra))
        if refusal.close:
            self._hang_up()

    def _hang_up(self) -> None:
        """Ends the connection so that the answer arrives.

        Closing with unread input makes the kernel reset the connection, and the peer then loses the
        answer; so our side is closed, and what still comes is read for a moment.
        """
        self._deaf = True
        self._flush()
        if self._transport is None or self._transport.is_closing():
            return
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._listener.loop.call_later(LINGER_S, self.abort)

    def _write(self, data: bytes) -> None:
        if self._unsent is not None:
            self._unsent.append(data)
        elif self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _flush(self) -> None:
        """Sends what `data_received` answered, in one write: it may have been many requests."""
        unsent, self._unsent = self._unsent, None
        if unsent:
            self._write(b"".join(unsent))


_TOO_LARGE = Refusal(
    status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    message=f"body of more than {MAX_BODY_BYTES} bytes",
    close=True,
)


class OtlpListener:
    """The listener and what it counts.  Lives on the loop's thread.

    Args:
        token: the value every request must carry in ``x-agentdiff-token``.
        on_logs: gets body and content type of each ``/v1/logs`` on the loop's thread; returns why
            it is refused, None when it is taken, or a future of that.  Must not block.
        logger: the daemon's.
        counters: what it counts into, None for a counter of its own.
        on_taken: gets path, body and content type of each request that was not refused at once.

    Attributes:
        port: the bound port, None while it does not listen.
        counters: requests per signal, and refusals per status code; both as text keys.
    """

    def __init__(
        self,
        token: str,
        on_logs: OnLogs,
        logger: logging.Logger,
        counters: Counter[str] | None = None,
        on_taken: OnTaken | None = None,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.port: int | None = None
        self.counters = Counter() if counters is None else counters
        self.last_request = self.loop.time()
        self._token = token.encode("ascii")
        self._on_logs = on_logs
        self._on_taken = on_taken
        self._logger = logger
        self._connections: set[OtlpConnection] = set()
        self._server: asyncio.Server | None = None

    async def start(self, port: int) -> None:
        """Binds the port on 127.0.0.1 only.

        Raises:
            OSError: it is taken.  Another one is never tried: agents were configured for this one,
                and their records must not reach a stranger's port by our guess.
        """
        self._server = await self.loop.create_server(lambda: OtlpConnection(self), HOST, port)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stops listening and ends every connection."""
        if self._server is not None:
            self._server.close()
        for connection in tuple(self._connections):
            connection.abort()
        self.port = None

    def sweep(self) -> None:
        """Ends connections that said nothing for `IDLE_AFTER_S`; called now and then."""
        limit = self.loop.time() - IDLE_AFTER_S
        for connection in tuple(self._connections):
            if connection.last_active < limit:
                connection.abort()

    def admit(self, connection: OtlpConnection) -> bool:
        """Registers a connection; False when there are too many."""
        connection.last_active = self.loop.time()
        if len(self._connections) >= MAX_CONNECTIONS:
            self.counters["connections_refused"] += 1
            return False
        self._connections.add(connection)
        return True

    def forget(self, connection: OtlpConnection) -> None:
        """Learns that a connection ended."""
        self._connections.discard(connection)

    def judge(self, method: bytes, request: Request) -> Refusal | None:
        """Decides from the headers alone; None when the body is wanted.

        Who may not talk to us at all learns nothing about paths and methods, so that comes first.
        """
        headers = request.headers
        if not is_local(headers.get(b"host", b"")) or b"origin" in headers:
            text = "only exporters on this machine, by 127.0.0.1, without Origin"
            return Refusal(status=HTTPStatus.FORBIDDEN, message=text)
        if not hmac.compare_digest(headers.get(TOKEN_HEADER, b""), self._token):
            text = "header x-agentdiff-token is missing or wrong"
            return Refusal(status=HTTPStatus.UNAUTHORIZED, message=text)
        if request.path not in SIGNALS:
            text = f"one of {', '.join(path.decode() for path in SIGNALS)}"
            return Refusal(status=HTTPStatus.NOT_FOUND, message=text)
        if method != b"POST":
            return Refusal(status=HTTPStatus.METHOD_NOT_ALLOWED, message="POST only")
        return _judge_body(headers)

    def take(self, request: Request) -> Refusal | asyncio.Future[Refusal | None] | None:
        """Takes a whole request; returns why it is refused, None when it is not."""
        body = bytes(request.body)
        if request.headers.get(b"content-encoding", b"identity").lower() == b"gzip":
            try:
                body = unzip(body)
            except zlib.error as error:
                return Refusal(status=HTTPStatus.BAD_REQUEST, message=f"not gzip: {error}")
            except OverflowError:
                return _TOO_LARGE
        signal = SIGNALS[request.path]
        self.counters[signal] += 1
        self.last_request = self.loop.time()
        kind = content_type(request.headers)
        outcome = self._on_logs(body, kind) if signal == "logs" else None
        if self._on_taken is not None and not isinstance(outcome, Refusal):
            self._on_taken(request.path.decode("ascii"), body, kind)
        return outcome

    def note_refused(self, refusal: Refusal) -> None:
        """Counts and logs a refusal; never the headers, which hold tokens."""
        self.counters[f"refused_{refusal.status.value}"] += 1
        extra = {"status": refusal.status.value, "reason": refusal.message}
        self._logger.warning("otlp refused", extra=extra)


def content_type(headers: dict[bytes, bytes]) -> str:
    """Returns the media type without its parameters."""
    return headers.get(b"content-type", b"").partition(b";")[0].strip().lower().decode("latin-1")


def _judge_body(headers: dict[bytes, bytes]) -> Refusal | None:
    """Decides whether a body with these headers can be taken."""
    if b"content-length" not in headers and b"transfer-encoding" not in headers:
        text = "Content-Length or chunks"
        return Refusal(status=HTTPStatus.LENGTH_REQUIRED, message=text, close=True)
    # llhttp has checked that it is a number, and that it does not stand beside Transfer-Encoding.
    if int(headers.get(b"content-length", b"0")) > MAX_BODY_BYTES:
        return _TOO_LARGE
    if content_type(headers) not in _ACCEPTED:
        text = f"{JSON} or {PROTOBUF}"
        return Refusal(status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE, message=text)
    if headers.get(b"content-encoding", b"identity").lower() not in (b"gzip", b"identity"):
        text = "Content-Encoding gzip or identity"
        return Refusal(status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE, message=text)
    return None
