"""``:w`` of random hunk-wise edits of the review, in real Neovim: the files are what it showed."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from nvim_driver import Editor
from scripted_agent import Agent
from test_review import open_review, pending

ROUNDS = 6
FILES = ("a.txt", "deep/c.txt", "new.txt")


def described(root: Path, lines: list[str]) -> dict[str, list[str]]:
    """Returns the files as a whole diff describes them, read by itself: no code of the product.

    The new side of each block goes over what its ``@@`` line names of the file that is there.
    """
    before = {name: (root / name).read_text().splitlines() for name in FILES}
    parts: dict[str, list[tuple[int, int, list[str]]]] = {name: [] for name in FILES}
    name = ""
    for line in lines:
        if line.startswith("@@"):
            start, _, size = line.split("+")[1].split(" ")[0].partition(",")
            length = int(size or 1)
            first = int(start) - 1 if length else int(start)
            parts[name].append((first, length, []))
        elif line[:1] in ("+", " "):
            parts[name][-1][2].append(line[1:])
        elif line.split(" ")[0] in ("modified", "created"):
            name = line.split(" ")[1]
    after: dict[str, list[str]] = {}
    for name, blocks in parts.items():
        text, at = [], 0
        for first, length, new in sorted(blocks):
            text += before[name][at:first] + new
            at = first + length
        after[name] = text + before[name][at:]
    return after


def edit(editor: Editor, chance: random.Random) -> None:
    """Changes, deletes and adds lines of the new side in some blocks, as keys would."""
    rows = [n for n, line in enumerate(editor.lines()) if line[:1] == "+"]
    # From the bottom: the rows above stay where they are.
    for row in sorted(chance.sample(rows, min(4, len(rows))), reverse=True):
        word = f"typed {chance.randrange(10**6)}"
        verb = chance.choice(["change", "delete", "add below", "add above"])
        keys = {"change": f"cc+{word}", "delete": "dd", "add below": f"o+{word}"}
        editor.keys(f"{row + 1}G{keys.get(verb, f'O+{word}')}<Esc>")


@pytest.fixture
def hunks(agent: Agent, workspace: Path) -> None:
    """Five hunks of two turns in three files, one of them new."""
    (workspace / "deep").mkdir()
    text = "".join(f"row {n}\n" for n in range(1, 31))
    (workspace / "deep/c.txt").write_text(text)
    agent.edit("a.txt", "line 2\n", "two\nand more\n")
    agent.edit("a.txt", "line 15\nline 16\n", "fifteen\n")
    agent.edit("deep/c.txt", "row 3\n", "three\n")
    agent.stop()
    agent.prompt("Now the rest")
    agent.edit("deep/c.txt", "row 20\n", "row 20\nbetween\nthem\n")
    agent.write("new.txt", "one\ntwo\nthree\n")


def test_random_edits_of_the_review(
    reviewer: Editor, hunks: None, workspace: Path, request: pytest.FixtureRequest
) -> None:
    """Each write gives exactly the files that the edited diff describes, and one that is clean."""
    seed = int(os.environ.get("AGENTDIFF_SEED", "6"))
    chance = random.Random(seed)
    pending(reviewer)
    open_review(reviewer)
    for turn in range(ROUNDS):
        edit(reviewer, chance)
        shown = reviewer.lines()
        expected = described(workspace, shown)
        reviewer.command("write")
        found = {name: (workspace / name).read_text().splitlines() for name in FILES}
        story = f"AGENTDIFF_SEED={seed}, write {turn + 1}:\n" + "\n".join(shown)
        assert (found, reviewer.lua("return vim.bo.modified")) == (expected, False), story
        # What is drawn now is the diff of what was written.
        assert described(workspace, reviewer.lines()) == found, story
