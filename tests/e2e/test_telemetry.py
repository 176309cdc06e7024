"""Telemetry of the real agents closes calls that hooks leave open, and says who decided."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from e2e import telemetry
from e2e.agent_claude import ClaudeCode
from e2e.case import TEN
from e2e.driver import step
from e2e.model_server import ModelServer, Scenario
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
