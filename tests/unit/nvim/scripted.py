"""A session without Neovim: Lua's messages in, those for Lua out, and a daemon to script."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from agentdiff import wire
from agentdiff.locations import Locations
from agentdiff.nvim.session import EditorSession

WAIT_S = 60
GREETING = {"proto": 1, "min_proto": 1, "version": "0", "pid": 1}
REVIEW: dict[str, object] = {"seq": 1, "group": "file", "kinds": "c", "lines": ["shown"]}
REVIEW |= {"groups": [], "files": [], "hunks": []}


class Daemon:
    """Answers on a real socket what a daemon would, unless told otherwise.

    Args:
        path: of its socket.
        greeting: what clients are greeted with.

    Attributes:
        heard: (method, params) of all that came.
        errors: folder → the error that ``attach`` of it is answered with.
        held: folders of requests that are not answered until `answer_held`.
    """

    def __init__(self, path: Path, greeting: Mapping[str, object] = GREETING) -> None:
        self.heard: list[tuple[str, dict[str, Any]]] = []
        self._greeting = greeting
        self.errors: dict[str, str] = {}
        self.held: set[str] = set()
        self._late: list[tuple[socket.socket, dict[str, Any]]] = []
        self._clients: list[socket.socket] = []
        self.changed = threading.Condition()
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def count(self, method: str) -> int:
        """Returns how many requests or notifications of this kind came."""
        return sum(name == method for name, _ in self.heard)

    def say(self, method: str, **params: object) -> None:
        """Sends a notification to the newest client."""
        self._clients[-1].sendall(wire.encode({"method": method, "params": params}))

    def drop(self) -> None:
        """Ends all connections, as a daemon does that is stopped; the next one has the socket."""
        clients, self._clients = self._clients, []
        for client in clients:
            client.shutdown(socket.SHUT_RDWR)

    def answer_held(self) -> None:
        """Answers what was held."""
        with self.changed:
            self.held.clear()
            late, self._late = self._late, []
        for client, message in late:
            self._answer(client, message)

    def wait(self, done: Callable[[], bool]) -> None:
        """Waits until this holds of what was heard."""
        with self.changed:
            assert self.changed.wait_for(done, WAIT_S), self.heard

    def close(self) -> None:
        """Ends it."""
        self._server.shutdown(socket.SHUT_RDWR)  # wakes who accepts
        self._server.close()
        self.drop()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, client.makefile("rb") as lines:
            lines.readline()
            client.sendall(wire.encode(self._greeting))
            if self._greeting is not GREETING:
                return
            self._clients.append(client)
            for line in lines:
                self._take(client, wire.decode(line))

    def _take(self, client: socket.socket, message: dict[str, Any]) -> None:
        params = message["params"]
        held = False
        with self.changed:
            if "id" in message and (params.get("workspace") or params.get("cwd")) in self.held:
                self._late.append((client, message))
                held = True
            self.heard.append((message["method"], params))
            self.changed.notify_all()
        if "id" in message and not held:
            self._answer(client, message)

    def _answer(self, client: socket.socket, message: dict[str, Any]) -> None:
        method, params = message["method"], message["params"]
        folder = params.get("workspace") or params.get("cwd") or ""
        answer: dict[str, object] = {"id": message["id"]}
        if method == "attach" and folder in self.errors:
            answer["error"] = {"code": self.errors[folder], "message": "Too many open files"}
        elif method == "attach" and not Path(folder).is_dir():
            answer["error"] = {"code": "usage", "message": f"no such folder: {folder}"}
        elif method == "attach":
            answer["result"] = {"workspace": folder, "seq": 1, "summary": {"hunks": 1}}
        else:
            answer["result"] = {"inline": {"seq": 1, "files": []}, "review": REVIEW}.get(method, {})
        with contextlib.suppress(OSError):  # it went
            client.sendall(wire.encode(answer))


class Lua:
    """The other side of a session.

    Attributes:
        got: the messages for Lua, (kind, payload).
        tree: a work tree.
    """

    def __init__(self, folder: Path) -> None:
        self.got: list[tuple[str, dict[str, Any]]] = []
        self.tree = str(self.make(folder / "tree"))
        self.folder = folder
        self._changed = threading.Condition()
        locations = replace(Locations.from_env({"HOME": str(folder)}), runtime=folder)
        self.socket = locations.rpc_socket
        self._session = EditorSession(self, locations, lambda _: locations, 1)
        self._thread = threading.Thread(target=self._session.run)
        self._thread.start()
        self.send = self._session.receive

    @staticmethod
    def make(tree: Path) -> Path:
        """Makes a work tree."""
        (tree / ".git").mkdir(parents=True)
        return tree

    def deliver(self, messages: list[tuple[str, dict[str, Any]]]) -> None:
        """Implements `agentdiff.nvim.session.Editor`."""
        with self._changed:
            self.got += messages
            self._changed.notify_all()

    async def flush(self) -> None:
        """Implements `agentdiff.nvim.session.Editor`."""

    def watch(self, path: str) -> None:
        """Opens a buffer."""
        self.send("watch", {"path": path, "cwd": self.tree, "attach": True})

    def ask(self, kind: str, folder: str) -> dict[str, Any]:
        """Sends a request; returns its answer, which comes behind all that came before it."""
        number = 1 + sum(name == "reply" for name, _ in self.got)
        self.send(kind, {"id": number, "cwd": folder})
        return self.wait("reply", lambda reply: reply["id"] == number)

    def all(self, kind: str) -> list[dict[str, Any]]:
        """Returns what came of this kind."""
        return [payload for name, payload in self.got if name == kind]

    def wait(self, kind: str, is_it: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Waits for a message."""

        def found() -> list[dict[str, Any]]:
            return [payload for payload in self.all(kind) if is_it(payload)]

        with self._changed:
            messages = self._changed.wait_for(found, WAIT_S)
        assert messages, (kind, self.got)
        return messages[0]

    def wait_watched(self, path: str) -> None:
        """Waits until Lua was told that a buffer is followed."""
        self.wait("watching", lambda message: message["path"] == path)

    def close(self) -> None:
        """Ends the session."""
        self._session.stop()
        self._thread.join(WAIT_S)
