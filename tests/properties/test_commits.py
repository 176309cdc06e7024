"""R3 in small: generated commits over real files, against git in every respect."""

from pathlib import Path

import pytest

from tests.replay.checks import Shape, chained, replay
from tests.replay.generated import commits

SEEDS = range(4)
COMMITS = 16
CHAINED = 40


@pytest.mark.parametrize("seed", SEEDS)
def test_commits_are_exact(seed: int, tmp_path: Path) -> None:
    """P1, P2, P3 on every kind of change; hunks as git's histogram cuts them, within 5 %."""
    total = Shape()
    for n, commit in enumerate(commits(COMMITS, seed)):
        scratch = tmp_path / str(n)
        scratch.mkdir()
        total += replay(commit, scratch)
    assert total.git_hunks > COMMITS
    assert abs(total.hunks / total.git_hunks - 1) <= 0.05
    assert abs(total.lines / total.git_lines - 1) <= 0.05
    assert not total.swallowed


@pytest.mark.parametrize("seed", SEEDS)
def test_commits_on_top_of_each_other_are_exact(seed: int) -> None:
    """P1 to P3 where every commit finds what all others before it left pending."""
    assert chained(list(commits(CHAINED, seed))) > 0
