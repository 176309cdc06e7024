"""The user of Codex' server, which editors talk to: prompts, answers to questions, interrupts.

Owns the process and the messages on its standard streams.  Must not know any scenario.  Shapes:
Codex 0.169.0 (``codex app-server``).
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from e2e import processes
from e2e.model_server import DEADLINE_S

_ME = {"name": "e2e", "title": "e2e", "version": "0"}


class CodexServer:
    """One conversation in which Codex asks before every command and patch.

    Use as a context manager; leaving ends the server.
    """

    def __init__(self, argv: Sequence[str], *, env: Mapping[str, str], cwd: Path) -> None:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            argv, cwd=cwd, env=env, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL
        )
        self._read = b""
        self._asked = 0
        self._ask("initialize", {"clientInfo": _ME, "capabilities": {"experimentalApi": True}})
        self._tell({"method": "initialized"})
        how = {"approvalPolicy": "untrusted", "sandbox": "danger-full-access"}
        self._thread = self._ask("thread/start", {"cwd": str(cwd), **how})["thread"]["id"]
        self._turn = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        processes.end(self._process.pid)
        self._process.communicate()

    def prompt(self, text: str) -> None:
        """Sends a prompt; returns when the turn has begun."""
        given = {"threadId": self._thread, "input": [{"type": "text", "text": text}]}
        self._turn = self._ask("turn/start", given)["turn"]["id"]

    def answer(self, decision: str) -> None:
        """Waits for a question and answers it: ``accept`` or ``decline``."""
        while not (asked := self._next()).get("method", "").endswith("/requestApproval"):
            pass
        self._tell({"id": asked["id"], "result": {"decision": decision}})

    def interrupt(self) -> None:
        """Does what Esc does; returns when the turn is over."""
        self._ask("turn/interrupt", {"threadId": self._thread, "turnId": self._turn})
        self.wait_for_end()

    def wait_for_end(self) -> None:
        """Returns when the turn is over."""
        while self._next().get("method") != "turn/completed":
            pass

    def _ask(self, method: str, params: Mapping[str, object]) -> dict[str, Any]:
        self._asked += 1
        self._tell({"id": self._asked, "method": method, "params": params})
        while (said := self._next()).get("id") != self._asked or "method" in said:
            pass
        result: dict[str, Any] = said["result"]
        return result

    def _tell(self, message: Mapping[str, object]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()

    def _next(self) -> dict[str, Any]:
        """Returns the next message; one without a method is an answer.

        Raises:
            TimeoutError: none came in `DEADLINE_S`.
            EOFError: the server has ended.
        """
        assert self._process.stdout is not None
        source, deadline = self._process.stdout.fileno(), time.monotonic() + DEADLINE_S
        while b"\n" not in self._read:
            if not select.select([source], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise TimeoutError(f"Codex' server says nothing more after {self._read!r}")
            data = os.read(source, 65536)
            if not data:
                raise EOFError("Codex' server has ended")
            self._read += data
        line, _, self._read = self._read.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message
