"""What is not fully protected is said where a person looks."""

from __future__ import annotations

from pathlib import Path

import pytest
from nvim_driver import Editor
from scripted_agent import Agent
from test_odd import SHOWN

OVERSIZED = "oversized: 17825792 bytes"


@pytest.fixture
def oversized(workspace: Path) -> Path:
    """A file that is longer than what is kept, from before anybody looked."""
    path = workspace / "big.txt"
    with open(path, "wb") as file:
        file.truncate(17 << 20)  # nothing of it is on the disk
    return path


def test_a_base_that_is_not_exact_is_said_at_the_hunk(
    oversized: Path, reviewer: Editor, agent: Agent
) -> None:
    """In the buffer's variable, beside the owner, and in the preview."""
    agent.shell("printf 'small\\n' > big.txt")
    reviewer.command(f"edit {oversized.name}")
    reviewer.wait(SHOWN + "1")
    reviewer.keys("<Plug>(agentdiff-owner)")
    owner = reviewer.screen()[0]
    reviewer.keys("<Plug>(agentdiff-preview-hunk)")
    reviewer.wait("#vim.api.nvim_list_wins() == 2")
    assert reviewer.lua("return vim.b.agentdiff_status_dict.coverage") == OVERSIZED
    assert f"claude · turn 1 · Bash  [{OVERSIZED}]" in owner
    assert f"# the base is not exact: {OVERSIZED}" in "\n".join(reviewer.screen())


def test_status_names_what_is_not_covered(
    oversized: Path, reviewer: Editor, agent: Agent, workspace: Path
) -> None:
    """Gaps with their reason; what is ignored apart from them, as it is expected."""
    for number in range(5):
        with open(workspace / f"more{number}.txt", "wb") as file:
            file.truncate(17 << 20)
    (workspace / ".gitignore").write_text("dist/\nout/\nbuild/\nlib/\n")
    for name in ("dist", "out", "build", "lib"):
        (workspace / name).mkdir()
    agent.shell("true")
    said = reviewer.command("AgentDiff status").splitlines()
    assert f"not covered: {oversized.name}: {OVERSIZED}" in said
    assert "not covered: 1 more (agentdiff status --json)" in said
    assert said[-1] == "ignored, not followed: 4 folders (build/, dist/, lib/, …)"


def test_a_write_without_the_full_guarantee_is_said(
    reviewer: Editor, agent: Agent, workspace: Path
) -> None:
    """A file with a second name can only be written in place."""
    (workspace / "second.txt").hardlink_to(workspace / "a.txt")
    agent.edit("a.txt", "line 10\n", "ten\n")
    reviewer.wait(SHOWN + "1")
    reviewer.lua("vim.g.told = ''; vim.notify = function(t) vim.g.told = t end")
    reviewer.keys("10G<Plug>(agentdiff-reject-hunk)")
    told = reviewer.lua("return vim.g.told")
    assert told.startswith("agentdiff: not replaced in one step (a hard link")
    assert told.endswith(": a.txt")
    assert "line 10\n" in (workspace / "second.txt").read_text()


@pytest.fixture
def small_limit(home: Path) -> None:
    """A user to whom two files are too many."""
    folder = home / "config" / "agentdiff"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text("[otlp]\nport = 0\n[workspace]\nmax_files = 1\n")


@pytest.mark.usefixtures("small_limit")
def test_status_says_what_holds_for_the_whole_workspace(reviewer: Editor, agent: Agent) -> None:
    """Without a path: it has none."""
    agent.shell("true")
    said = reviewer.command("AgentDiff status").splitlines()
    assert "note: more than 1 files: only named ones are followed" in said
