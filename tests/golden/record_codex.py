"""Records what the pinned Codex sends: hook payloads, and OTLP logs as they arrive.

Run it after a new version was pinned, then read what it wrote, line by line, before committing::

    .venv/bin/python tests/golden/record_codex.py && .venv/bin/python tests/golden/test_golden.py

Every payload is a file named after its event, its tool and what is particular about it; workspace
and home are written ``/ws`` and ``/home/u``.  OTLP bodies are kept byte for byte.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).resolve().parent
CHECKOUT = GOLDEN.parents[1]
sys.path[:0] = [str(CHECKOUT / "tests"), str(CHECKOUT / "tools")]

from e2e.agent_codex import CODE, DIRECT, Codex  # noqa: E402
from e2e.driver import step, steps  # noqa: E402
from e2e.model_server import Call, ModelServer, Scenario, Step, Track  # noqa: E402
from e2e.rig import Rig  # noqa: E402
from e2e.terminal import Terminal  # noqa: E402
from fetch_agents import fetch, pinned_version  # noqa: E402

EVENTS = (
    *("SessionStart", "UserPromptSubmit", "PreToolUse", "PermissionRequest", "PostToolUse"),
    *("SubagentStart", "SubagentStop", "Interrupt", "PreCompact", "PostCompact", "Stop"),
    "SessionEnd",
)

OLDER = "gpt-5.4"
"""A model with subagents and without code mode."""
PAUSE_S = 2.0
"""What is typed at once after a question appears is thrown away, as no person can mean it."""


def record_hooks(rig: Rig) -> None:
    """Registers a recorder, one file per payload, for every event."""
    folder = rig.outside / "payloads"
    folder.mkdir()
    recorder = rig.outside / "recorder"
    recorder.write_text(f"#!/bin/sh\ncat > {folder}/$(date +%s%N).$$\n")
    recorder.chmod(0o755)
    hook = {"hooks": [{"type": "command", "command": str(recorder)}]}
    settings = {"hooks": {event: [hook] for event in EVENTS}}
    (rig.home / ".codex" / "hooks.json").write_text(json.dumps(settings))


def recorded(rig: Rig) -> Iterator[dict[str, Any]]:
    """Yields the payloads, oldest first, without the places of this machine."""
    for file in sorted((rig.outside / "payloads").iterdir()):
        text = file.read_text("utf-8")
        text = text.replace(str(rig.workspace), "/ws").replace(str(rig.home), "/home/u")
        yield json.loads(text)


def tools(agent: Codex, rig: Rig) -> Scenario:
    """Every tool that writes, and what becomes of each."""
    ws = rig.workspace
    moved = ("*** Update File: new.txt", "*** Move to: d/moved.txt", "@@", "-new", "+NEW")
    heredoc = "apply_patch <<'EOF'\n*** Begin Patch\n*** Add File: h.txt\n+h\n*** End Patch\nEOF\n"
    together = (agent.bash("sleep 0.4; echo p > p.txt"), agent.bash("sleep 0.4; echo q > q.txt"))
    workdir = Call(tool="exec_command", input={"cmd": "echo w > w.txt", "workdir": str(ws / "d")})
    return Scenario(
        steps=(
            step(agent.bash("cat a.txt")),
            step(agent.edit(ws, b"a.txt", "two\n", "TWO\n")),
            step(agent.write(ws, b"new.txt", "new\n")),
            step(agent.patch(*moved, "*** Delete File: a.txt")),
            step(agent.edit(ws, b"b.txt", "no such line\n", "x\n")),
            step(agent.bash("sed -i s/one/1/ b.txt; exit 3")),
            step(agent.bash(heredoc)),
            step(*together if agent.model == DIRECT else (agent.together(*together),)),
            *((step(workdir),) if agent.model == DIRECT else ()),
            step(agent.bash("sleep 1; echo late > late.txt", background=True)),
        )
    )


def subagents(agent: Codex, rig: Rig) -> Scenario:
    """One subagent that writes while its parent does."""
    del rig
    call, track = agent.subagent("ALPHA", *steps(agent.bash("echo a > from-alpha.txt")))
    wait = Call(tool="collaboration.wait_agent", input={})
    return Scenario(steps=steps(call, agent.bash("echo m > main.txt"), wait), tracks=(track,))


def older_subagents(agent: Codex, rig: Rig) -> Scenario:
    """The same with the tools of a model before code mode."""
    del rig
    call = Call(tool="multi_agent_v1.spawn_agent", input={"message": "ALPHA please"})
    track = Track(match="ALPHA please", steps=steps(agent.bash("echo a > from-alpha.txt")))
    return Scenario(steps=steps(call, agent.bash("sleep 2; echo m > main.txt")), tracks=(track,))


def named(payloads: list[dict[str, Any]], mark: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields payloads with the names of their files; of the same name the first one counts."""
    for payload in payloads:
        event = payload["hook_event_name"]
        snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in event).strip("_")
        parts = [snake, payload.get("tool_name", "")]
        command = str(payload.get("tool_input", {}).get("command", ""))
        marks = {
            "*** Move to": "move",
            "*** Add File": "add",
            "no such": "no_match",
            "exit 3": "failed",
            "> w.txt": "workdir",
            "late": "background",
        }
        parts += ["heredoc"] if command.startswith("apply_patch") else []
        parts += [word for sign, word in marks.items() if sign in command][:1]
        parts += ["subagent"] if payload.get("agent_id") and "Subagent" not in event else []
        yield ".".join(filter(None, [*parts, mark])), payload


def run(program: Path, model: str, play: Any, mark: str) -> dict[str, Any]:
    """Plays a scenario without a terminal; returns the payloads by name."""
    with Rig(agent=Codex(program, model), kind="plain") as rig:
        rig.prepare({b"a.txt": b"one\ntwo\nthree\n", b"b.txt": b"one\n", b"d/d.txt": b"d\n"})
        record_hooks(rig)
        with rig.run(play(rig.agent, rig)):
            pass
        return dict(reversed(list(named(list(recorded(rig)), mark))))


def in_terminal(program: Path) -> dict[str, Any]:
    """Declines a patch, then allows a command and interrupts it, in the terminal interface."""
    with Rig(agent=Codex(program, CODE), kind="plain") as rig:
        agent = rig.agent
        assert isinstance(agent, Codex)
        rig.prepare({b"a.txt": b"one\ntwo\nthree\n"})
        record_hooks(rig)
        asks = {"sandbox_permissions": "require_escalated", "justification": "to write"}
        command = {"cmd": "echo partial >> a.txt; sleep 30", **asks}
        program_text = f"text(await tools.exec_command({json.dumps(command)}));"
        scenario = Scenario(
            steps=(
                step(agent.edit(rig.workspace, b"a.txt", "two\n", "TWO\n")),
                step(Call(tool="exec", input=program_text)),
                Step(text="carries on"),
            )
        )
        with ModelServer(scenario) as model:
            argv = [*agent.terminal_command(model.url), "-a", "on-request", "-s", "read-only"]
            env = rig.environment(agent.environment(model.url))
            with Terminal(argv, env=env, cwd=rig.workspace) as terminal:
                agent.trust_hooks(terminal)
                agent.submit(terminal, "first")
                terminal.expect("make the following edits")
                time.sleep(PAUSE_S)
                terminal.type("\x1b")
                terminal.expect("Conversation interrupted")
                agent.submit(terminal, "second")
                terminal.expect("run the following command")
                time.sleep(PAUSE_S)
                terminal.type("y")
                terminal.expect("You approved")
                time.sleep(PAUSE_S)
                terminal.type("\x1b")
                terminal.expect("Conversation interrupted")
                agent.submit(terminal, "/quit")
                terminal.expect("To continue this session")
        return dict(reversed(list(named(list(recorded(rig)), "tui"))))


@contextmanager
def sink(bodies: list[bytes]) -> Iterator[str]:
    """Accepts OTLP over HTTP; yields the address, and fills `bodies`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def telemetry(program: Path, protocol: str) -> list[bytes]:
    """Plays the tools with the exporter on; returns the bodies, oldest first."""
    bodies: list[bytes] = []
    with sink(bodies) as url, Rig(agent=Codex(program, DIRECT), kind="plain") as rig:
        rig.prepare({b"a.txt": b"one\ntwo\nthree\n", b"b.txt": b"one\n", b"d/d.txt": b"d\n"})
        config = rig.home / ".codex" / "config.toml"
        exporter = f'otlp-http = {{ endpoint = "{url}/v1/logs", protocol = "{protocol}" }}'
        config.write_text(f"{config.read_text()}\n[otel]\nexporter = {{ {exporter} }}\n")
        assert isinstance(rig.agent, Codex)
        with rig.run(tools(rig.agent, rig)):
            pass
    return bodies


def main() -> None:
    """Records everything into the folder of the pinned version."""
    program, version = fetch("codex"), pinned_version("codex")
    folder = GOLDEN / "codex" / version
    (folder / "otlp").mkdir(parents=True, exist_ok=True)
    found = {
        **in_terminal(program),
        **run(program, OLDER, older_subagents, ""),
        **run(program, CODE, subagents, "code_mode"),
        **run(program, CODE, tools, "code_mode"),
        **run(program, DIRECT, tools, ""),
    }
    for name, payload in found.items():
        text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
        (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    for protocol, suffix in (("json", "json"), ("binary", "binpb")):
        for number, body in enumerate(telemetry(program, protocol)):
            (folder / "otlp" / f"logs.{number:02d}.{suffix}").write_bytes(body)


if __name__ == "__main__":
    main()
