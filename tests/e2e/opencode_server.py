"""The user of opencode's server, which its own interfaces are too: prompts, answers, aborts.

Owns the requests and the stream of what happens.  Must not know any scenario.  Shapes: opencode
1.18.33.
"""

from __future__ import annotations

import json
import socket
import urllib.request
from collections.abc import Mapping
from http.client import HTTPResponse
from types import TracebackType
from typing import Any, Self

from e2e.model_server import DEADLINE_S


def free_port() -> int:
    """Returns a port of the loopback that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


class OpenCodeServer:
    """A session of a server that runs already.  Use as a context manager.

    Args:
        url: of the server, without a path.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._events = self._open("GET", "/event")
        self.session = str(self._ask("/session", {"title": "scripted"})["id"])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._events.close()

    def prompt(self, text: str) -> None:
        """Sends a prompt; does not wait."""
        parts = [{"type": "text", "text": text}]
        self._ask(f"/session/{self.session}/prompt_async", {"parts": parts})

    def answer(self, reply: str) -> None:
        """Waits for a question about a permission and answers ``once`` or ``reject``."""
        asked = self.wait_for("permission.asked")
        self._ask(f"/permission/{asked['id']}/reply", {"reply": reply})

    def abort(self) -> None:
        """Does what Esc does."""
        self._ask(f"/session/{self.session}/abort", {})

    def wait_for(self, kind: str) -> dict[str, Any]:
        """Reads what happens up to the next event of a kind; returns what that is about.

        Raises:
            TimeoutError: nothing happened for `DEADLINE_S`.
            EOFError: the server has ended.
        """
        while line := self._events.readline():
            if line.startswith(b"data: "):
                event = json.loads(line.removeprefix(b"data: "))
                if event["type"] == kind:
                    about: dict[str, Any] = event["properties"]
                    return about
        raise EOFError(f"the server ended before {kind}")

    def _ask(self, path: str, body: Mapping[str, object]) -> Any:
        with self._open("POST", path, json.dumps(body).encode()) as answer:
            said = answer.read()
        return json.loads(said) if said else {}

    def _open(self, method: str, path: str, body: bytes | None = None) -> HTTPResponse:
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self._url}{path}", body, headers, method=method)
        answer: HTTPResponse = urllib.request.urlopen(request, timeout=DEADLINE_S)
        return answer
