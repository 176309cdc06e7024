"""What the user types and saves in Neovim while an agent works is never pending and never lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e import claims, tree
from e2e.agent_claude import ClaudeCode
from e2e.case import TEN, played
from e2e.claims import Review
from e2e.driver import said, step
from e2e.editor import Editor
from e2e.model_server import Scenario, Step
from e2e.rig import Rig, Turn, WorkspaceKind
from e2e.tree import Node

CLAIMS = (
    claims.pending_is_what_changed,
    claims.pending_names_its_calls,
    claims.patch_turns_base_into_now,
    claims.reject_restores_base,
    claims.undo_brings_the_agents_version_back,
    claims.accept_leaves_the_disk,
)


@pytest.fixture(
    scope="module", params=[pytest.param("git", marks=pytest.mark.smoke), pytest.param("plain")]
)
def review(request: pytest.FixtureRequest, claude: ClaudeCode, nvim: Path) -> Iterator[Review]:
    """A run of the agent in which the user typed before, between and during tool calls."""
    kind: WorkspaceKind = request.param
    with Rig(agent=claude, kind=kind) as rig:
        base = rig.prepare({b"a.txt": TEN, b"b.txt": TEN})
        rig.install_hooks()
        git_names = frozenset(rig.git_names())
        with Editor(nvim, rig) as editor:
            turns, typed = _together(rig, editor)
            base |= {path: Node(kind="file", mode=0o644, data=data) for path, data in typed.items()}
            yield Review(rig=rig, base=base, now=rig.tree(), turns=turns, git_names=git_names)


def _together(rig: Rig, editor: Editor) -> tuple[tuple[Turn, ...], dict[bytes, bytes]]:
    """Plays agent and user; returns the turns, and what the user alone would have written."""
    ws, agent, during = rig.workspace, rig.agent, rig.barrier("during")
    command = f"sed -i 's/line 5$/line five/' a.txt; {during.bash}; echo c > c.txt"
    scenario = Scenario(
        steps=said(
            step(agent.read(ws, b"a.txt")),
            step(
                agent.edit(ws, b"a.txt", "line 2\n", "line two\n"),
                agent.write(ws, b"agents.txt", "agent\n"),
            ),
            Step(calls=(agent.bash(command, b"a.txt", b"c.txt"),), gate="between"),
        )
    )
    agents = TEN.decode().replace("line 2\n", "line two\n")
    editor.edit(b"a.txt")
    with rig.run(scenario) as run:
        run.gate("between").wait_reached()
        editor.wait_for_lines(agents.splitlines())
        editor.type("Gotyped between<Esc>:write<CR>")
        editor.type(":edit mine.txt<CR>imy own file<Esc>:write<CR>:edit a.txt<CR>")
        run.gate("between").release()
        during.wait_reached()
        agents = agents.replace("line 5\n", "line five\n") + "typed between\n"
        editor.wait_for_lines(agents.splitlines())
        editor.type("/line 8<CR>Otyped during<Esc>:write<CR>")
        editor.type(":edit b.txt<CR>ggdd:write<CR>")
        during.release()
    final = agents.replace("line 8\n", "typed during\nline 8\n")
    assert (rig.workspace / "a.txt").read_text() == final
    users = final.replace("line two\n", "line 2\n").replace("line five\n", "line 5\n")
    return (run.turn,), {
        b"a.txt": users.encode(),
        b"b.txt": TEN.partition(b"\n")[2],
        b"mine.txt": b"my own file\n",
    }


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.__name__)
def test_claim(review: Review, claim: claims.Claim) -> None:
    """The claim holds, where the base contains everything that the user typed."""
    claim(review)


def test_users_paths_are_never_pending(review: Review) -> None:
    """What only the user wrote is not in the review at all."""
    pending = {claims.path_of(file) for file in review.rig.status()["files"]}
    assert pending == {b"a.txt", b"agents.txt", b"c.txt"}


def test_users_lines_survive_reject(review: Review) -> None:
    """Every line that the user typed is on disk after ``reject --all``, the others as before."""
    review.rig.agentdiff("reject", "--all")
    try:
        found = tree.files(review.rig.tree())
    finally:
        review.rig.agentdiff("undo")
    assert (
        found[b"a.txt"].data
        == TEN.replace(b"line 8\n", b"typed during\nline 8\n") + b"typed between\n"
    )
    assert found[b"b.txt"].data == TEN.partition(b"\n")[2]
    assert found[b"mine.txt"].data == b"my own file\n"


def test_line_typed_into_a_hunk_survives_reject(claude: ClaudeCode, nvim: Path) -> None:
    """Rejecting a hunk that the user typed into takes the agent's lines and leaves the user's."""
    with Rig(agent=claude, kind="git") as rig:
        rig.prepare({b"a.txt": TEN})
        rig.install_hooks()
        ws, agent = rig.workspace, rig.agent
        agents = TEN.decode().replace("line 4\nline 5\n", "four\nfive\nand six\n")
        with Editor(nvim, rig) as editor:
            editor.edit(b"a.txt")
            played(
                rig,
                step(agent.read(ws, b"a.txt")),
                step(agent.edit(ws, b"a.txt", "line 4\nline 5\n", "four\nfive\nand six\n")),
            )
            editor.wait_for_lines(agents.splitlines())
            editor.type("/five<CR>otyped inside<Esc>:write<CR>")
            rig.agentdiff("reject", "--all")
        expected = TEN.replace(b"line 5\n", b"line 5\ntyped inside\n")
        assert (rig.workspace / "a.txt").read_bytes() == expected
