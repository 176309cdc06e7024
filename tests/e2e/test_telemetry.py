"""Telemetry of the real agents closes calls that hooks leave open, and says who decided."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator

import pytest

from e2e import telemetry
from e2e.agent_claude import ClaudeCode
from e2e.agent_codex import Codex
from e2e.case import TEN
from e2e.codex_server import CodexServer
from e2e.driver import step
from e2e.model_server import ModelServer, Scenario, Step
from e2e.rig import Rig
from e2e.terminal import Terminal


def _installed(rig: Rig, protocol: str) -> None:
    """Installs for Claude Code; a user who prefers the other encoding changes one word."""
    telemetry.listen(rig)
    rig.prepare({b"a.txt": TEN})
    rig.agent.install(rig)
    settings = rig.home / ".claude" / "settings.json"
    text = settings.read_text()
    assert "http/json" in text
    settings.write_text(text.replace("http/json", protocol))


@pytest.fixture
def rig(claude: ClaudeCode) -> Iterator[Rig]:
    """A machine with Claude Code."""
    with Rig(agent=claude, kind="git") as made:
        yield made


@pytest.mark.parametrize(
    "protocol", [pytest.param("http/json", marks=pytest.mark.smoke), "http/protobuf"]
)
def test_claude_refused_and_interrupted(rig: Rig, protocol: str) -> None:
    """The user says no to an edit, and Esc to a command; no hook tells of either."""
    agent = rig.agent
    assert isinstance(agent, ClaudeCode)
    _installed(rig, protocol)
    running = rig.barrier("running")
    command = f"echo partial >> a.txt; {running.bash}; echo never > never.txt"
    scenario = Scenario(
        steps=(
            step(agent.read(rig.workspace, b"a.txt")),
            step(agent.edit(rig.workspace, b"a.txt", "line 2\n", "line two\n")),
            step(agent.bash(command)),
        )
    )
    with (
        ModelServer(scenario) as model,
        Terminal(
            [str(agent.program), "--session-id", agent.new_session()],
            env=rig.environment(agent.environment(model.url)),
            cwd=rig.workspace,
        ) as terminal,
    ):
        terminal.expect("? for shortcuts")
        _submit(terminal, "first prompt")
        terminal.expect("Do you want to make this edit")
        telemetry.wait_for_state(rig, "waiting")
        terminal.type("\x1b")
        refused = telemetry.wait_for_call(
            rig, lambda call: call["tool"] == "Edit" and call["finished"]
        )
        assert (refused["outcome"], refused["decided_by"]) == ("denied", "user")
        telemetry.wait_for_state(rig, "idle")
        _submit(terminal, "second prompt")
        terminal.expect("Do you want to proceed")
        terminal.type("\r")
        running.wait_reached()
        terminal.type("\x1b")
        cut = telemetry.wait_for_call(rig, lambda call: call["tool"] == "Bash" and call["finished"])
        assert (cut["outcome"], cut["decided_by"]) == ("interrupted", "user")
    assert [one["path"] for one in cut["paths"]] == ["a.txt"]
    rig.agentdiff("reject", "--all")
    assert (rig.workspace / "a.txt").read_bytes() == TEN


def _submit(terminal: Terminal, text: str) -> None:
    terminal.type(text)
    terminal.expect(text)
    terminal.type("\r")


def _installed_for_codex(rig: Rig, protocol: str) -> None:
    """Installs for Codex; a user who prefers the other encoding changes one word."""
    telemetry.listen(rig)
    rig.prepare({b"a.txt": TEN, b"b.txt": TEN})
    rig.agent.install(rig)
    settings = rig.home / ".codex" / "config.toml"
    before = settings.read_text()
    assert before.count('protocol = "json"') + before.count('protocol = "binary"') == 1
    settings.write_text(re.sub(r'protocol = "\w+"', f'protocol = "{protocol}"', before))


@pytest.mark.parametrize("protocol", ["json", "binary"])
def test_codex_refused_and_interrupted(codex_in_code_mode: Codex, protocol: str) -> None:
    """In an editor the user says no to a patch, and Codex goes on: only telemetry tells of it."""
    codex = codex_in_code_mode
    with Rig(agent=codex, kind="git") as rig:
        _installed_for_codex(rig, protocol)
        running = rig.barrier("running")
        command = f"echo partial >> b.txt; {running.bash}; echo never > never.txt"
        patch = codex.edit(rig.workspace, b"a.txt", "line 2\n", "line two\n", survives=False)
        # The turn goes on until it is told, so that nothing else can have closed the call.
        steps = (step(patch), Step(text="a pity", gate="told"), step(codex.bash(command)))
        with ModelServer(Scenario(steps=steps)) as model:
            env = rig.environment(codex.environment(model.url))
            argv = codex.terminal_command(model.url)
            with Terminal(argv, env=env, cwd=rig.workspace) as terminal:
                codex.trust_hooks(terminal)
                codex.submit(terminal, "/quit")
                terminal.rest()
            argv = codex.server_command(model.url)
            with CodexServer(argv, env=env, cwd=rig.workspace) as user:
                user.prompt("refuse")
                user.answer("decline")
                refused = telemetry.wait_for_call(rig, lambda call: bool(call["finished"]))
                assert (refused["tool"], refused["prompt"]) == ("apply_patch", "refuse")
                assert (refused["outcome"], refused["decided_by"]) == ("denied", "user")
                model.gate("told").release()
                user.wait_for_end()
                user.prompt("interrupt")
                user.answer("accept")
                running.wait_reached()
                user.interrupt()
                cut = telemetry.wait_for_call(
                    rig, lambda call: call["tool"] == "Bash" and call["decided_by"]
                )
                assert (bool(cut["finished"]), cut["decided_by"]) == (True, "user")
        assert [file["path"] for file in rig.status()["files"]] == ["b.txt"]
        rig.agentdiff("reject", "--all")
        assert (rig.workspace / "b.txt").read_bytes() == TEN


@pytest.mark.parametrize("protocol", ["json", "binary"])
def test_codex_patch_that_does_not_apply(codex: Codex, protocol: str) -> None:
    """No hook tells how it ended; telemetry does, and who let the command after it run."""
    with Rig(agent=codex, kind="git") as rig:
        _installed_for_codex(rig, protocol)
        ws = rig.workspace
        wrong = codex.edit(ws, b"a.txt", "no such line\n", "x\n", survives=False)
        command = codex.bash("echo new > new.txt", b"new.txt")
        with rig.run(Scenario(steps=(step(wrong), step(command)))):
            pass
        telemetry.wait_for_call(rig, lambda call: call["outcome"] == "error")
        telemetry.wait_for_call(rig, lambda call: call["decided_by"] == "config")
        assert [file["path"] for file in rig.status()["files"]] == ["new.txt"]


SECRET = "hunter2-never-stored"


@pytest.mark.smoke
def test_an_announced_command_has_its_baseline_before_the_answer(rig: Rig) -> None:
    """An emitter without hooks: what runs after our 200 can be rejected; no secret is kept."""
    port = telemetry.listen(rig)
    rig.prepare({b"a.txt": TEN, b"sub/b.txt": b"b\n"})
    rig.agentdiff("daemon", "start")
    command = "sed -i s/2/two/ a.txt; rm sub/b.txt; echo new > c.txt"
    call = {"conversation.id": "conversation-1", "call_id": "call-1", "tool_name": "exec_command"}
    telemetry.post(
        rig,
        port,
        {
            "event.name": "codex.tool_decision",
            **call,
            "decision": "approved",
            "source": "Config",
            "argv": ["bash", "-lc", command],
            "cwd": str(rig.workspace),
            "env": {"TOKEN": SECRET},
        },
    )
    subprocess.run(["bash", "-c", command], cwd=rig.workspace, check=True)
    telemetry.post(
        rig,
        port,
        {
            "event.name": "codex.tool_result",
            **call,
            "success": "true",
            "output": "Process exited with code 0\n",
        },
    )
    logged = telemetry.wait_for_call(rig, lambda one: bool(one["finished"]))
    assert (logged["tool_call"], logged["command"]) == ("call-1", command)
    assert (logged["outcome"], logged["decided_by"]) == ("ok", "config")
    assert logged["trace"] == telemetry.TRACE
    pending = rig.status()["files"]
    assert {file["path"] for file in pending} == {"a.txt", "sub/b.txt", "c.txt"}
    owners = [owner for file in pending for hunk in file["hunks"] for owner in hunk["owners"]]
    assert {(owner["agent"], owner["tool_call"]) for owner in owners} == {("codex", "call-1")}
    rig.agentdiff("reject", "--agent", "codex", "--all")
    assert (rig.workspace / "a.txt").read_bytes() == TEN
    assert (rig.workspace / "sub" / "b.txt").read_bytes() == b"b\n"
    assert not (rig.workspace / "c.txt").exists()
    rig.agentdiff("daemon", "stop")
    kept = [path for path in (rig.home / "state").rglob("*") if path.is_file()]
    assert kept
    assert not [path for path in kept if SECRET.encode() in path.read_bytes()]
