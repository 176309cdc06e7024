"""Real agents behind `agentdiff acp`, driven by the official SDK: same bytes, and who wrote what.

What the client sent is what the agent got, and the other way round; every change pends with the
agent's session and turn as its owner; rejecting all of it restores the tree; and an agent whose own
hooks tell of the same session is not counted twice.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import fetch_agents
from e2e import processes
from e2e.acp_client import Played, play
from e2e.agent_claude import ClaudeCode
from e2e.agent_codex import Codex
from e2e.agent_gemini import GeminiCli
from e2e.agent_opencode import OpenCode
from e2e.driver import Driver, said, step, steps
from e2e.model_server import DEADLINE_S, ModelServer, Scenario
from e2e.rig import AGENTDIFF, PROMPT, Rig

TAP = Path(__file__).with_name("acp_tap.py")
PENDING = ("a.txt", "b.txt", "c.txt", "gone.txt")
BASELINE = {b"a.txt": b"one\ntwo\nthree\n", b"gone.txt": b"x\n"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """An agent that speaks the protocol: the program to fetch, its words, its driver."""

    fetch: str
    words: tuple[str, ...]
    driver: type[Driver]
    hooks: bool

    def argv(self, url: str) -> list[str]:
        """Returns the command line."""
        more = list(self.words)
        if self.driver is Codex:
            place = f"model_providers.scripted.base_url={json.dumps(f'{url}/v1')}"
            more += ["-c", 'model="gpt-5.5"', "-c", place]
        return [str(fetch_agents.fetch(self.fetch)), *more]


AGENTS = {
    "claude": Agent(fetch="claude-agent-acp", words=(), driver=ClaudeCode, hooks=True),
    # Only a person at a terminal can trust Codex's hooks.
    "codex": Agent(fetch="codex-acp", words=(), driver=Codex, hooks=False),
    "gemini": Agent(
        fetch="gemini-cli",
        words=("--acp", "-m", "gemini-2.5-flash"),
        driver=GeminiCli,
        hooks=True,
    ),
    "opencode": Agent(fetch="opencode", words=("acp",), driver=OpenCode, hooks=True),
}
CASES = [(name, hooks) for name, one in AGENTS.items() for hooks in {False, one.hooks}]


def scenario(driver: Driver, root: Path) -> Scenario:
    """An edit, a new file, a command, and the end of the turn."""
    return Scenario(
        steps=said(
            *steps(
                driver.read(root, b"a.txt"),
                driver.edit(root, b"a.txt", "two\n", "TWO\n"),
                driver.write(root, b"b.txt", "b\n"),
                driver.bash("echo c > c.txt; rm gone.txt", b"c.txt", b"gone.txt"),
            ),
            step(),
        )
    )


def run(rig: Rig, agent: Agent, played: Scenario, *, allow: bool = True) -> Played:
    """Plays a scenario with the agent behind the proxy, recorded on both of its sides."""
    with ModelServer(played) as model:
        environ = dict(rig.environment(rig.agent.environment(model.url)))
        inner = tapped(rig, "inner", agent.argv(model.url))
        outer = tapped(rig, "outer", [str(AGENTDIFF), "acp", "--", *inner])
        return play(outer, env=environ, cwd=rig.workspace, prompts=[PROMPT], allow=allow)


def tapped(rig: Rig, name: str, argv: Sequence[str]) -> list[str]:
    """Returns a command with a recorder in front."""
    return [sys.executable, str(TAP), str(rig.outside / name), "--", *argv]


def owners(status: Mapping[str, Any]) -> dict[str, set[tuple[str | None, str | None]]]:
    """Returns path → the (kind, session) of its owners."""
    return {
        file["path"]: {(o["kind"], o["session"]) for h in file["hunks"] for o in h["owners"]}
        for file in status["files"]
    }


@pytest.mark.parametrize(("name", "hooks"), CASES)
def test_the_proxy_passes_everything_on_and_sees_who_writes(name: str, hooks: bool) -> None:
    """Bytes, owners, one turn, no call twice, and the way back."""
    agent = AGENTS[name]
    with Rig(agent=agent.driver(Path(name)), kind="git") as rig:
        before = rig.prepare(BASELINE)
        if hooks:
            rig.install_hooks()
        result = run(rig, agent, scenario(rig.agent, rig.workspace))
        assert result.stopped == ("end_turn",)
        for direction in ("in", "out"):
            outer = (rig.outside / f"outer.{direction}").read_bytes()
            assert outer == (rig.outside / f"inner.{direction}").read_bytes()
            assert outer
        status = rig.status()
        mine = {("agent", result.session)}
        assert owners(status) == dict.fromkeys(PENDING, mine)
        (session,) = (one for one in status["sessions"] if one["id"] == result.session)
        assert [turn["prompt"] for turn in session["turns"]] == [PROMPT]
        calls = [one for one in rig.log() if one["tool"] != "turn"]
        assert len({one["tool_call"] for one in calls}) == len(calls) == 3
        assert {one["n"] for one in rig.log()} == {1}
        rig.agentdiff("reject", "--all")
        assert rig.tree() == before


@pytest.mark.parametrize("name", ["claude", "opencode"])
def test_a_refused_call_is_denied_and_changes_nothing(name: str) -> None:
    """The user says no at the client."""
    agent = AGENTS[name]
    with Rig(agent=agent.driver(Path(name)), kind="git") as rig:
        if name == "opencode":
            settings = Path(rig.environment()["XDG_CONFIG_HOME"]) / "opencode" / "opencode.json"
            asking = json.loads(settings.read_text()) | {"permission": {"edit": "ask"}}
            settings.write_text(json.dumps(asking))
        before = rig.prepare(BASELINE)
        edit = rig.agent.edit(rig.workspace, b"a.txt", "two\n", "TWO\n")
        steps_ = said(*steps(rig.agent.read(rig.workspace, b"a.txt"), edit), step())
        result = run(rig, agent, Scenario(steps=steps_), allow=False)
        assert result.user.asked
        assert rig.tree() == before
        assert rig.status()["files"] == []
        outcomes = [one["outcome"] for one in rig.log() if one["parent"] is not None]
        assert outcomes == ["denied"]


def test_nothing_of_the_agent_is_left_when_the_client_goes() -> None:
    """codex-acp does not leave when its input ends: its process group is ended."""
    agent = AGENTS["codex"]
    with Rig(agent=Codex(Path("codex")), kind="git") as rig:
        rig.prepare(BASELINE)
        run(rig, agent, Scenario(steps=(step(),)))
        daemon = json.loads(rig.agentdiff("daemon", "status", "--json"))["pid"]
        deadline = time.monotonic() + DEADLINE_S
        while left := [pid for pid in processes.of_home(rig.home) if pid != daemon]:
            assert time.monotonic() < deadline, left
            threading.Event().wait(0.05)
