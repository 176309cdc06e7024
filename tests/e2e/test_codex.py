"""What is claimed of Claude Code (``test_review.py``) holds for the real Codex.

The scenarios of ``cases_*.py`` as far as Codex has the tools, with a model that has the tools
themselves and with one that writes programs which call them, and those of ``cases_codex.py``.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from e2e import cases_agents, cases_codex, cases_content, cases_tools, claims, processes, tree
from e2e.case import Case
from e2e.claims import Review
from e2e.rig import Rig, WorkspaceKind
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
