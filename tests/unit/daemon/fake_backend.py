"""A small real backend for transport tests: it answers, remembers, and does nothing else.

Run as a program it is a whole daemon around that backend, with the arguments of
``agentdiff daemon run``.
"""

# ruff: noqa: D102, D103 - the Protocol that it implements is documented

from __future__ import annotations

import argparse
import logging
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path

from agentdiff.config import Config
from agentdiff.daemon import run
from agentdiff.daemon.ports import ClientPort, HookAnswer, PreImage, RequestError
from agentdiff.errors import MalformedPayload
from agentdiff.locations import Locations


class FakeBackend:
    """Implements `agentdiff.daemon.ports.Backend`.

    Hooks: ``b"bad"`` is malformed; one starting with ``b"wait"`` is answered after `release`;
    ``b"slow"`` is answered when a client has gone.
    Methods: ``echo`` returns its params, ``refuse`` fails, ``later`` is answered after `release`,
    ``crash`` breaks the promise of failing with `RequestError` only, ``tell`` notifies the client,
    ``in_hook`` counts the slow hooks that wait.
    """

    def __init__(self) -> None:
        self.release = threading.Event()
        self.entered = threading.Semaphore(0)
        self.seen = threading.Semaphore(0)
        self.hooks: list[tuple[str, bytes, int, tuple[PreImage, ...]]] = []
        self.notified: list[tuple[str, Mapping[str, object], str]] = []
        self.gone: list[str] = []
        self.closed = False
        self.is_busy = False
        self.in_hook = 0
        self.stopping = threading.Event()

    def hook(
        self,
        agent: str,
        payload: bytes,
        received_ns: int,
        preimages: tuple[PreImage, ...] = (),
        within: str | None = None,
    ) -> HookAnswer:
        self.entered.release()
        if payload.startswith(b"wait"):
            self.release.wait(20)
        if payload == b"slow":
            self.in_hook += 1
            self.stopping.wait(20)
        if payload == b"bad":
            raise MalformedPayload("not good", field="tool_input")
        self.hooks.append((agent, payload, received_ns, preimages))
        return HookAnswer(certain=not payload.startswith(b"cold"), text=f"{agent} said “hi”\n")

    def digested(self) -> bool:
        return True

    def call(
        self, method: str, params: Mapping[str, object], client: ClientPort
    ) -> Future[dict[str, object]]:
        future: Future[dict[str, object]] = Future()
        if method == "echo":
            future.set_result({"params": dict(params), "client": client.id, "kind": client.kind})
        elif method == "refuse":
            future.set_exception(RequestError("refused", "not now"))
        elif method == "crash":
            future.set_exception(ValueError("boom"))
        elif method == "later":
            threading.Thread(target=self._later, args=(future,), daemon=True).start()
        elif method == "tell":
            client.send("changed", {"seq": 7, "padding": "x" * int(str(params.get("size", 0)))})
            future.set_result({})
        elif method == "in_hook":
            future.set_result({"hooks": self.in_hook})
        elif method == "hooks":
            future.set_result({"hooks": [[agent, data.decode()] for agent, data, *_ in self.hooks]})
        else:
            future.set_exception(RequestError("unknown_method", f"no method {method!r}"))
        return future

    def _later(self, future: Future[dict[str, object]]) -> None:
        self.entered.release()
        self.release.wait(20)
        future.set_result({"late": True})

    def notify(self, method: str, params: Mapping[str, object], client: ClientPort) -> None:
        self.notified.append((method, params, client.id))
        self.seen.release()

    def client_gone(self, client: ClientPort) -> None:
        self.stopping.set()
        self.gone.append(client.id)
        self.seen.release()

    def busy(self) -> bool:
        return self.is_busy

    def describe(self) -> dict[str, object]:
        return {"workspaces": [{"root": "/w"}], "counters": {"events": len(self.hooks)}}

    def close(self) -> None:
        self.closed = True


def make(_locations: Locations, _config: Config, _logger: logging.Logger) -> FakeBackend:
    return FakeBackend()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--detached", action="store_true")
    parser.add_argument("--tick", type=float, default=5.0)
    for name in ("state", "runtime", "config", "data"):
        parser.add_argument(f"--{name}", type=Path)
    given = parser.parse_args()
    sys.exit(
        run.main(
            Locations(
                state=given.state, runtime=given.runtime, config=given.config, data=given.data
            ),
            detached=given.detached,
            make_backend=make,
            tick_s=given.tick,
        )
    )
