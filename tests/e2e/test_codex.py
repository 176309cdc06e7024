"""What is claimed of Claude Code (``test_review.py``) holds for the real Codex.

The scenarios of ``cases_*.py`` as far as Codex has the tools, with a model that has the tools
themselves and with one that writes programs which call them, and those of ``cases_codex.py``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from e2e import cases_agents, cases_codex, cases_content, cases_tools, claims, processes, tree
from e2e.agent_claude import ClaudeCode
from e2e.agent_codex import Codex
from e2e.case import TEN, Case
from e2e.claims import Review
from e2e.driver import step
from e2e.model_server import ModelServer, Scenario, Step
from e2e.rig import Rig, WorkspaceKind
from e2e.terminal import Terminal
from e2e.test_review import CLAIMS

DIRECT, CODE = "codex", "codex_in_code_mode"
BOTH = (
    cases_tools.MIX,
    cases_tools.EDIT_TOOLS,
    cases_tools.SHELL,
    cases_tools.FAILING,
    cases_tools.TWO_TURNS,
    cases_tools.CRASH,
    cases_codex.PATCHES,
)
RUNS: list[tuple[str, Case, WorkspaceKind]] = [
    *((model, case, "git") for case in BOTH for model in (DIRECT, CODE)),
    *((DIRECT, case, "plain") for case in (cases_tools.MIX, cases_tools.SHELL)),
    (DIRECT, cases_tools.PARALLEL, "git"),
    (DIRECT, cases_content.NAMES_TOOLS, "git"),
    (DIRECT, cases_content.NAMES_SHELL, "git"),
    (DIRECT, cases_content.BYTES, "git"),
    (DIRECT, cases_content.MODES, "git"),
    (DIRECT, cases_agents.AGAIN, "git"),
    (DIRECT, cases_codex.WORKDIR, "git"),
    (DIRECT, cases_codex.PATCHES, "dirty"),
    (CODE, cases_codex.PROGRAM, "git"),
    (CODE, cases_codex.SUBAGENTS, "git"),
    (CODE, cases_codex.DIALOGS, "git"),
    (CODE, cases_codex.TERMINALS, "git"),
]
SMOKE = (DIRECT, cases_tools.MIX, "git")


def _param(run: tuple[str, Case, WorkspaceKind]) -> object:
    marks = [pytest.mark.smoke] if run == SMOKE else []
    return pytest.param(run, id=f"{run[0]}, {run[1].name}, {run[2]}", marks=marks)


@pytest.fixture(scope="module", params=[_param(run) for run in RUNS])
def review(request: pytest.FixtureRequest) -> Iterator[Review]:
    """What one run of Codex left."""
    model, case, kind = request.param
    with Rig(agent=request.getfixturevalue(model), kind=kind) as rig:
        base = rig.prepare(case.baseline)
        rig.install_hooks()
        assert processes.of_home(rig.home) == [], "a daemon runs before the first hook"
        git_names = frozenset(rig.git_names())
        turns = case.play(rig)
        now = rig.tree()
        review = Review(rig=rig, base=base, now=now, turns=turns, git_names=git_names)
        # Else the scenario itself is wrong, or Codex refused a call of it.
        assert tree.changed(base, now) == set(review.calls_by_path())
        yield review


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.__name__)
def test_claim(review: Review, claim: claims.Claim) -> None:
    """The claim holds."""
    claim(review)


def test_trust_is_given_in_codex_and_seen_by_doctor(codex_in_code_mode: Codex) -> None:
    """The steps that ``install`` tells work: before them Codex skips the hooks, after them not."""
    with Rig(agent=codex_in_code_mode, kind="git") as rig:
        agent = codex_in_code_mode
        rig.prepare({b"a.txt": TEN})
        told = rig.agentdiff("install", "codex").decode()
        assert "10 of 10 hooks not trusted" in told
        assert "1. Start codex in a terminal" in told
        assert _codex_check(rig)["level"] == "warn"
        with ModelServer(Scenario(steps=())) as model:
            env = rig.environment(agent.environment(model.url))
            argv = agent.terminal_command(model.url)
            with Terminal(argv, env=env, cwd=rig.workspace) as terminal:
                agent.trust_hooks(terminal)
                agent.submit(terminal, "/quit")
                terminal.rest()
        check = _codex_check(rig)
        assert (check["level"], check["remedy"]) == ("ok", "")
        again = rig.agentdiff("install", "codex").decode()
        assert "changed, " not in again
        assert "trusted" not in again
        rig.agentdiff("uninstall", "codex")


def _codex_check(rig: Rig) -> dict[str, Any]:
    """Returns what ``doctor`` says of Codex; what else it says may be an error here."""
    checks = json.loads(rig.agentdiff("doctor", "--json", expect=0))["checks"]
    (found,) = (check for check in checks if check["id"] == "agent.codex")
    return dict(found)


@pytest.fixture(
    params=[pytest.param("claude first", marks=pytest.mark.smoke), "codex first"],
)
def both(request: pytest.FixtureRequest, claude: ClaudeCode, codex: Codex) -> Iterator[Rig]:
    """Claude Code and Codex, both at work in one tree, in which the user wrote as well."""
    agents = (claude, codex) if request.param == "claude first" else (codex, claude)
    with Rig(agent=agents[0], others=agents[1:], kind="git") as rig:
        rig.prepare({b"a.txt": TEN, b"gone.txt": b"gone\n", b"mine.txt": TEN})
        rig.put(b"mine.txt", TEN + b"typed before\n")
        rig.install_hooks()
        _work_together(rig, claude, codex)
        yield rig


def _work_together(rig: Rig, claude: ClaudeCode, codex: Codex) -> None:
    """Each changes the same file and one of its own, the second while the first is at work."""
    ws = rig.workspace
    scripts = {
        "claude": (
            step(claude.read(ws, b"a.txt")),
            step(claude.edit(ws, b"a.txt", "line 2\n", "line two\n")),
            step(claude.write(ws, b"claude.txt", "c\n")),
        ),
        "codex": (
            step(codex.edit(ws, b"a.txt", "line 9\n", "line nine\n")),
            step(codex.bash("rm gone.txt; echo x > codex.txt")),
        ),
    }
    waits = Step(text="waits", gate="the other works")
    first, (second,) = rig.agent, rig.others
    with rig.run(Scenario(steps=(*scripts[first.name], waits))) as run:
        gate = run.gate("the other works")
        gate.wait_reached()
        with rig.run(Scenario(steps=scripts[second.name]), agent=second):
            pass
        gate.release()


def test_claude_and_codex_are_told_apart(both: Rig) -> None:
    """Each line belongs to who wrote it."""
    checks = {
        check["id"]: check["detail"]
        for check in json.loads(both.agentdiff("doctor", "--json"))["checks"]
    }
    assert all("; last event 20" in checks[f"agent.{name}"] for name in ("claude", "codex"))
    owners = {
        (file["path"], owner["agent"])
        for file in both.status()["files"]
        for hunk in file["hunks"]
        for owner in hunk["owners"]
    }
    assert owners == {
        ("a.txt", "claude"),
        ("a.txt", "codex"),
        ("claude.txt", "claude"),
        ("codex.txt", "codex"),
        ("gone.txt", "codex"),
    }
    everything = tree.files(both.tree())
    nines, twos = (b"line 9\n", b"line nine\n"), (b"line 2\n", b"line two\n")
    mine = TEN + b"typed before\n"
    for agent, left in (
        ("codex", {b"a.txt": TEN.replace(*twos), b"claude.txt": b"c\n", b"gone.txt": b"gone\n"}),
        ("claude", {b"a.txt": TEN.replace(*nines), b"codex.txt": b"x\n"}),
    ):
        both.agentdiff("reject", "--agent", agent)
        found = {path: node.data for path, node in tree.files(both.tree()).items()}
        assert found == {**left, b"mine.txt": mine}
        both.agentdiff("undo")
        assert tree.files(both.tree()) == everything
