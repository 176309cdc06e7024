"""What can be said with a decision besides what it is about: ``external`` and ``discard-user``."""

from __future__ import annotations

from pathlib import Path

import pytest
from nvim_driver import Editor
from scripted_agent import Agent
from test_review import BEFORE, pending

SHOWN = "vim.b.agentdiff_status_dict and vim.b.agentdiff_status_dict.hunks == "


@pytest.fixture
def mixed(reviewer: Editor, agent: Agent) -> Editor:
    """An editor at a hunk of the agent's in which the user has changed a line."""
    agent.edit("a.txt", "line 10\nline 11\n", "ten\neleven\n")
    reviewer.wait(SHOWN + "1")
    reviewer.keys("11Gccmine<Esc>10G")
    reviewer.command("silent write")
    reviewer.wait("require('agentdiff.inline').view(0 + vim.fn.bufnr()).hunks[1].mixed")
    return reviewer


@pytest.mark.parametrize("what", ["hunk", "file", "all"])
def test_a_mixed_hunk_is_rejected_with_what_the_user_typed(
    mixed: Editor, workspace: Path, what: str
) -> None:
    """Without the word the user's line stays, with it nothing does."""
    mixed.command(f"AgentDiff reject {what}")
    kept = (workspace / "a.txt").read_text()
    mixed.command("AgentDiff undo")
    mixed.keys("10G")
    mixed.command(f"AgentDiff reject {what} discard-user")
    assert ("mine\n" in kept, (workspace / "a.txt").read_text()) == (True, BEFORE)


def test_the_word_goes_before_the_reason(mixed: Editor, workspace: Path) -> None:
    """In the reason it is a word like any other; the agent reads the rest."""
    mixed.command("AgentDiff reject do not discard-user")
    kept = (workspace / "a.txt").read_text()
    mixed.command("AgentDiff undo")
    mixed.keys("10G")
    mixed.command("AgentDiff reject discard-user not so")
    mixed.command("AgentDiff rejected")
    assert ("mine\n" in kept, (workspace / "a.txt").read_text()) == (True, BEFORE)
    assert mixed.lines()[0].endswith("a.txt  not so")


def test_what_nobody_did_is_rejected_when_it_is_named(reviewer: Editor, workspace: Path) -> None:
    """``:AgentDiff! reject`` spares it, ``:AgentDiff! reject external`` does not."""
    path = workspace / "a.txt"
    path.write_text(BEFORE.replace("line 5\n", "five\n"))
    reviewer.wait(SHOWN + "1")
    reviewer.command("AgentDiff! reject")
    spared = (pending(reviewer), path.read_text() == BEFORE)
    reviewer.command("AgentDiff! reject external")
    assert (spared, pending(reviewer), path.read_text()) == ((1, False), 0, BEFORE)


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ("AgentDiff! accept discard-user", "discard-user"),
        ("AgentDiff accept discard-user", "discard-user"),
        ("AgentDiff accept file external", "external"),
    ],
)
def test_a_word_where_it_means_nothing(editor: Editor, command: str, named: str) -> None:
    """An accept discards nothing; what is pointed at is meant whoever did it."""
    assert f"unknown argument {named}" in editor.told(command)


def test_the_words_complete(editor: Editor) -> None:
    """Each where it may be said."""
    complete = "return vim.fn.getcompletion(..., 'cmdline')"
    found = [
        editor.lua(complete, f"AgentDiff! {op} {lead}")
        for op in ("accept", "reject")
        for lead in ("e", "d")
    ]
    assert found == [["external"], [], ["external"], ["discard-user"]]
