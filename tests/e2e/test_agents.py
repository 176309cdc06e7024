"""What is claimed of Claude Code (``test_review.py``) holds for the other agents.

As far as each has the tools: the scenarios of ``cases_*.py``, and those of ``cases_agents.py`` that
only some can play.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e import cases_agents, cases_content, cases_tools, claims, processes, tree
from e2e.agent_opencode import OpenCodePatching
from e2e.case import TEN, Case, played
from e2e.claims import Review
from e2e.driver import Driver, said, step
from e2e.model_server import Scenario, Step
from e2e.rig import Rig, Turn, WorkspaceKind

CLAIMS = (
    claims.pending_is_what_changed,
    claims.pending_names_its_calls,
    claims.patch_turns_base_into_now,
    claims.reject_restores_base,
    claims.undo_brings_the_agents_version_back,
    claims.accept_leaves_the_disk,
    claims.log_names_every_call,
    claims.review_survives_a_restart,
    claims.git_gained_nothing,
)
AGENTS = ("gemini", "opencode", "qwen", "copilot")
EVERY = ("claude", "codex", *AGENTS)
COMMON = (
    cases_tools.MIX,
    cases_tools.EDIT_TOOLS,
    cases_agents.APART,
    cases_tools.SUBAGENTS,
    cases_tools.SHELL,
    cases_tools.FAILING,
    cases_tools.TWO_TURNS,
    cases_tools.CRASH,
    cases_content.NAMES_TOOLS,
    cases_content.NAMES_SHELL,
    cases_content.BYTES,
    cases_content.MODES,
    cases_agents.AGAIN,
    cases_agents.FOLDER,
)
RUNS: list[tuple[str, Case, WorkspaceKind]] = [
    *((agent, case, "git") for agent in AGENTS for case in COMMON),
    *((agent, case, "plain") for agent in AGENTS for case in (cases_tools.MIX, cases_tools.SHELL)),
    # These two play the calls of one message one after the other.
    ("gemini", cases_tools.PARALLEL, "git"),
    ("qwen", cases_tools.PARALLEL, "git"),
    ("gemini", cases_agents.DIALOGUES, "git"),
    ("opencode", cases_agents.REFUSED_BY_OPENCODE, "git"),
    ("opencode", cases_agents.ASKED_BY_OPENCODE, "git"),
    ("qwen", cases_agents.ASKED_BY_QWEN, "git"),
    ("copilot", cases_agents.ASKED_BY_COPILOT, "git"),
    ("opencode_patching", cases_agents.PATCH, "git"),
]


@pytest.fixture(scope="session")
def opencode_patching(opencode: Driver) -> OpenCodePatching:
    """The same opencode with a model that patches."""
    return OpenCodePatching(opencode.program)


@pytest.fixture(scope="module", params=RUNS, ids=lambda run: f"{run[0]}, {run[1].name}, {run[2]}")
def review(request: pytest.FixtureRequest) -> Iterator[Review]:
    """What one run of an agent left."""
    agent, case, kind = request.param
    with Rig(agent=request.getfixturevalue(agent), kind=kind) as rig:
        base = rig.prepare(case.baseline)
        rig.install_hooks()
        assert processes.of_home(rig.home) == [], "a daemon runs before the first hook"
        git_names = frozenset(rig.git_names())
        turns = case.play(rig)
        now = rig.tree()
        review = Review(rig=rig, base=base, now=now, turns=turns, git_names=git_names)
        # Else the scenario itself is wrong, or the agent refused a call of it.
        assert tree.changed(base, now) == set(review.calls_by_path())
        yield review


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.__name__)
def test_claim(review: Review, claim: claims.Claim) -> None:
    """The claim holds."""
    claim(review)


@pytest.fixture(params=EVERY)
def agent(request: pytest.FixtureRequest) -> Driver:
    """Each agent."""
    driver: Driver = request.getfixturevalue(request.param)
    return driver


def test_an_agent_works_without_the_client_that_its_settings_name(agent: Driver) -> None:
    """Whoever deletes agentdiff instead of uninstalling it keeps a working agent."""
    with Rig(agent=agent, kind="git") as rig:
        base = rig.prepare({b"a.txt": TEN})
        rig.install_hooks()
        Path(rig.environment()["XDG_DATA_HOME"], "agentdiff", "bin", "agentdiff-hook").unlink()
        played(
            rig,
            step(agent.read(rig.workspace, b"a.txt")),
            step(agent.edit(rig.workspace, b"a.txt", "line 2\n", "line two\n")),
            step(agent.bash("echo b > b.txt")),
        )
        assert tree.changed(base, rig.tree()) == {b"a.txt", b"b.txt"}


def test_an_agent_is_told_of_a_rejection_once(agent: Driver) -> None:
    """The reason is in the next request to the model, in the envelope that this agent reads."""
    reason = 'say "line 2", as the specification does'
    with Rig(agent=agent, kind="git") as rig:
        rig.prepare({b"a.txt": TEN})
        rig.install_hooks()
        (turn,) = played(
            rig,
            step(agent.read(rig.workspace, b"a.txt")),
            step(agent.edit(rig.workspace, b"a.txt", "line 2\n", "line two\n")),
        )
        rig.agentdiff("reject", "--all", "--reason", reason)
        assert "specification does" in _asked(rig, turn)
        rig.agentdiff("feedback", expect=1)


def _asked(rig: Rig, resumed: Turn) -> str:
    """Plays a turn without tools; returns what the model was asked."""
    scenario = Scenario(steps=(Step(text="understood"),), start=resumed.scenario.end)
    with rig.run(scenario, resume=resumed.session) as run:
        pass
    return "\n".join(asked.body for asked in run.model.asked if asked.track != "helper")


@pytest.mark.parametrize(
    "pair", [("gemini", "qwen"), ("opencode", "copilot")], ids=lambda pair: " and ".join(pair)
)
def test_two_agents_in_one_tree_are_told_apart(
    request: pytest.FixtureRequest, pair: tuple[str, str]
) -> None:
    """Rejecting one agent's work leaves that of the other, and the user's."""
    one, other = (request.getfixturevalue(name) for name in pair)
    with Rig(agent=one, others=(other,), kind="git") as rig:
        rig.prepare({b"a.txt": TEN, b"b.txt": TEN, b"mine.txt": TEN})
        rig.put(b"mine.txt", TEN + b"typed before\n")
        rig.install_hooks()
        _work_together(rig, one, other)
        owners = {
            (file["path"], owner["agent"])
            for file in rig.status()["files"]
            for hunk in file["hunks"]
            for owner in hunk["owners"]
        }
        assert owners == {("a.txt", one.name), ("a.txt", other.name), ("b.txt", other.name)}
        everything = tree.files(rig.tree())
        mine, twos, nines = TEN + b"typed before\n", b"line two\n", b"line nine\n"
        for name, left in (
            (other.name, {b"a.txt": TEN.replace(b"line 2\n", twos), b"b.txt": TEN}),
            (one.name, {b"a.txt": TEN.replace(b"line 9\n", nines)}),
        ):
            rig.agentdiff("reject", "--agent", name)
            found = {path: node.data for path, node in tree.files(rig.tree()).items()}
            assert found == {**left, b"mine.txt": mine}
            rig.agentdiff("undo")
            assert tree.files(rig.tree()) == everything


def _work_together(rig: Rig, one: Driver, other: Driver) -> None:
    """Both change one file, the second while the first is at work."""
    ws = rig.workspace
    first = Scenario(
        steps=said(
            step(one.read(ws, b"a.txt")),
            step(one.edit(ws, b"a.txt", "line 2\n", "line two\n")),
            Step(text="waits", gate="the other works"),
        )
    )
    second = Scenario(
        steps=said(
            step(other.read(ws, b"a.txt"), other.read(ws, b"b.txt")),
            step(other.edit(ws, b"a.txt", "line 9\n", "line nine\n")),
            step(other.bash("rm b.txt", b"b.txt")),
        )
    )
    with rig.run(first) as run:
        gate = run.gate("the other works")
        gate.wait_reached()
        with rig.run(second, agent=other):
            pass
        gate.release()
