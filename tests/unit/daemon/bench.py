"""The real engine on a real folder, without sockets: hooks and requests are called directly."""

from __future__ import annotations

import base64
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agentdiff.config import Config
from agentdiff.daemon.engine import Engine
from agentdiff.daemon.ports import HookAnswer, PreImage
from agentdiff.locations import Locations

WAIT_S = 20.0


@dataclass
class Client:
    """A connected client that keeps what it is told; `on_settle` is called to settle."""

    id: str = "cli:1:1"
    kind: str = "cli"
    on_settle: Callable[[str], None] = lambda token: None
    told: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def send(self, method: str, params: Mapping[str, object]) -> None:
        """Takes a notification."""
        with self.arrived:
            self.told.append((method, dict(params)))
            self.arrived.notify_all()
        if method == "settle":
            self.on_settle(str(params["token"]))

    def wait(self, method: str, want: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Returns the first notification of a kind that is wanted, as soon as there is one."""

        def found() -> list[dict[str, Any]]:
            return [params for name, params in self.told if name == method and want(params)]

        with self.arrived:
            assert self.arrived.wait_for(found, WAIT_S), self.told
            return found()[0]


class Bench:
    """An engine, its folders, and a workspace that Claude Code works in."""

    def __init__(self, folder: Path, config: Config | None = None) -> None:
        self.config = config or Config()
        self.locations = Locations(
            state=folder / "state",
            runtime=folder / "run",
            config=folder / "config",
            data=folder / "data",
        )
        self.root = folder / "work"
        self.root.mkdir()
        self.cli = Client()
        self.behind_ns = 0  # how long ago hooks say that they were sent: tails are over at once
        self.engine = self.start()

    def start(self) -> Engine:
        """Returns a new engine on the same state."""
        logger = logging.getLogger("bench")
        self.engine = Engine(locations=self.locations, config=self.config, logger=logger)
        return self.engine

    def restart(self) -> None:
        """Closes the engine and starts another one."""
        self.engine.close()
        self.start()

    # --- the agent -------------------------------------------------------------------------------

    def hook(
        self,
        event: str,
        tool: str = "",
        tool_input: dict[str, Any] | None = None,
        *,
        call: str = "toolu_1",
        session: str = "session-1",
        turn: str = "prompt-1",
        cwd: Path | None = None,
        preimages: tuple[PreImage, ...] | None = None,
        **more: object,
    ) -> HookAnswer:
        """Sends a hook of Claude Code 2.1 (``tests/golden/claude/2.1.197``)."""
        payload = {
            "session_id": session,
            "transcript_path": "/t.jsonl",
            "cwd": str(cwd or self.root),
            "prompt_id": turn,
            "permission_mode": "default",
            "hook_event_name": event,
            **({"tool_name": tool, "tool_use_id": call} if tool else {}),
            **({"tool_input": tool_input} if tool_input is not None else {}),
            **more,
        }
        at_ns = time.time_ns() - self.behind_ns
        return self.engine.hook("claude", json.dumps(payload).encode(), at_ns, preimages)

    def prompt(self, turn: str = "prompt-1", text: str = "do it", **more: Any) -> None:
        """Starts a session and its turn."""
        self.hook("SessionStart", source="startup", turn=turn, **more)
        self.hook("UserPromptSubmit", turn=turn, prompt=text, **more)

    def write(self, name: str, data: bytes, call: str = "toolu_1", **more: Any) -> None:
        """Writes a file with the tool of that name."""
        path = self.root / name
        tool_input = {"file_path": str(path), "content": data.decode()}
        self.hook("PreToolUse", "Write", tool_input, call=call, **more)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        self.hook("PostToolUse", "Write", tool_input, call=call, tool_response={}, **more)

    def shell(self, act: Callable[[], object], call: str = "toolu_sh", **more: Any) -> None:
        """Runs something as a shell command of the agent."""
        tool_input = {"command": "make things", "description": "x"}
        self.hook("PreToolUse", "Bash", tool_input, call=call, **more)
        act()
        self.hook("PostToolUse", "Bash", tool_input, call=call, tool_response={}, **more)

    # --- clients ---------------------------------------------------------------------------------

    def call(self, method: str, client: Client | None = None, **params: object) -> dict[str, Any]:
        """Returns the answer to a request about the workspace."""
        named = {"cwd": str(self.root), **params}
        return self.engine.call(method, named, client or self.cli).result(WAIT_S)

    def status(self) -> dict[str, dict[str, Any]]:
        """Returns what pends: path → its entry in ``status``."""
        return {one["path"]: one for one in self.call("status")["files"]}

    def decide(self, op: str, client: Client | None = None, **selection: object) -> dict[str, Any]:
        """Decides, everything unless something is selected."""
        chosen = selection or {"all": True, "external": True}
        return self.call("decide", client, op=op, selection=chosen)

    def claim(self, client: Client, name: str, data: bytes, *, written: bool) -> None:
        """Sends a claim or a proof of an editor."""
        self.engine.notify(
            "claim",
            {
                "cwd": str(self.root),
                "path": name,
                "data_b64": base64.b64encode(data).decode(),
                "written": written,
            },
            client,
        )

    def tree(self) -> dict[str, bytes]:
        """Returns every file of the workspace."""
        return {
            os.path.relpath(path, self.root): path.read_bytes()
            for path in self.root.rglob("*")
            if path.is_file()
        }
