"""Whatever the real Claude Code does is pending, attributed, and can be kept or undone.

Every scenario of ``cases_*.py`` runs once for each sort of workspace, with no Neovim running and
no daemon running at the first hook; then every claim of `e2e.claims` is checked on what it left.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from e2e import cases_content, cases_tools, claims, processes, tree
from e2e.agent_claude import ClaudeCode
from e2e.case import Case
from e2e.claims import Review
from e2e.rig import Rig, WorkspaceKind

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
KINDS: tuple[WorkspaceKind, ...] = ("git", "plain")
RUNS: list[tuple[Case, WorkspaceKind]] = [
    *((case, kind) for case in (*cases_tools.CASES, *cases_content.CASES) for kind in KINDS),
    *((case, "dirty") for case in (cases_tools.SHELL, cases_content.BYTES, cases_content.MODES)),
    (cases_content.BYTES, "autocrlf"),
    # Without git the folder where the agent was started is the workspace.
    (cases_tools.SUBFOLDER, "git"),
]


def _identified(run: tuple[Case, WorkspaceKind]) -> str:
    return f"{run[0].name}, {run[1]}"


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(
            (cases_tools.MIX, "git"),
            id=_identified((cases_tools.MIX, "git")),
            marks=pytest.mark.smoke,
        ),
        *(pytest.param(run, id=_identified(run)) for run in RUNS),
    ],
)
def review(request: pytest.FixtureRequest, claude: ClaudeCode) -> Iterator[Review]:
    """What one run of the agent left."""
    case, kind = request.param
    with Rig(agent=claude, kind=kind) as rig:
        base = rig.prepare(case.baseline)
        rig.install_hooks()
        assert processes.of_home(rig.home) == [], "a daemon runs before the first hook"
        git_names = frozenset(rig.git_names())
        turns = case.play(rig)
        now = rig.tree()
        review = Review(rig=rig, base=base, now=now, turns=turns, git_names=git_names)
        # Else the scenario itself is wrong, or Claude Code refused a call of it.
        assert tree.changed(base, now) == set(review.calls_by_path())
        yield review


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.__name__)
def test_claim(review: Review, claim: claims.Claim) -> None:
    """The claim holds."""
    claim(review)
