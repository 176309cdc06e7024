"""A Neovim that is opened after the agent has worked shows the whole review."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from e2e import claims, tree
from e2e.agent_claude import ClaudeCode
from e2e.cases_tools import SHELL
from e2e.editor import Editor
from e2e.rig import Rig, WorkspaceKind

REVIEW = "vim.bo.filetype == 'agentdiff' and vim.api.nvim_buf_line_count(0) > 1"
PENDING = "(vim.g.agentdiff_status or '') ~= ''"


@pytest.mark.parametrize("kind", ["git", "plain"])
def test_review_is_there(kind: WorkspaceKind, claude: ClaudeCode, nvim: Path) -> None:
    """With no Neovim during the run, ``:AgentDiff`` shows every added and removed line later."""
    with Rig(agent=claude, kind=kind) as rig:
        base = rig.prepare(SHELL.baseline)
        rig.install_hooks()
        SHELL.play(rig)
        expected = Counter(claims.hunk_lines(rig.agentdiff("diff")))
        assert expected, tree.describe(base, rig.tree())
        with Editor(nvim, rig) as editor:
            editor.run("AgentDiff")
            editor.wait_for(REVIEW)
            shown = Counter(line for line in editor.lines() if line[:1] in {"+", "-"})
            assert shown == expected


def test_decision_in_neovim_reaches_the_disk(claude: ClaudeCode, nvim: Path) -> None:
    """Rejecting all in a Neovim opened later restores the baseline, and undo takes it back."""
    with Rig(agent=claude, kind="git") as rig:
        base = rig.prepare(SHELL.baseline)
        rig.install_hooks()
        SHELL.play(rig)
        now = rig.tree()
        with Editor(nvim, rig) as editor:
            editor.run("AgentDiff")
            editor.wait_for(f"{REVIEW} and {PENDING}")
            editor.type("<Plug>(agentdiff-reject-all)")
            editor.wait_for(f"not ({PENDING})")
            found = rig.tree()
            assert found == base, tree.describe(base, found)
            editor.type("<Plug>(agentdiff-undo)")
            editor.wait_for(PENDING)
            found = rig.tree()
            assert found == now, tree.describe(now, found)
