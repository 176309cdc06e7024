"""An agent writes while the user types into the same file: both texts stay."""

from __future__ import annotations

from pathlib import Path

import pytest
from nvim_driver import Editor
from scripted_agent import Agent
from test_claims import save
from test_review import pending

BEFORE = "".join(f"line {n}\n" for n in range(1, 21))
SHOWN = "vim.b.agentdiff_status_dict and vim.b.agentdiff_status_dict.hunks == "


def change(editor: Editor, line: int, text: str) -> None:
    """Types over a line without saving."""
    editor.keys(f"{line}Gcc{text}<Esc>")


def both(line: int, text: str) -> str:
    """Returns the text of the file with one line replaced."""
    return BEFORE.replace(f"line {line}\n", f"{text}\n", 1)


def test_a_write_is_merged_into_unsaved_edits(reviewer: Editor, agent: Agent) -> None:
    """The agent's lines appear, the user's stay, and the buffer is still unsaved."""
    change(reviewer, 1, "mine")
    agent.edit("a.txt", "line 10\n", "ten\nten and a half\n")
    reviewer.wait("vim.fn.getline(10) == 'ten'")
    expected = both(1, "mine").replace("line 10", "ten\nten and a half").splitlines()
    assert (expected, True) == (reviewer.lines(), reviewer.lua("return vim.bo.modified"))


@pytest.mark.parametrize("autoread", ["autoread", "noautoread"])
def test_saving_after_a_merge_asks_nothing(
    reviewer: Editor, agent: Agent, workspace: Path, autoread: str
) -> None:
    """No W11, no W12: both texts are on disk, and only the agent's pends."""
    reviewer.command(f"set {autoread}")
    change(reviewer, 1, "mine")
    agent.edit("a.txt", "line 10\n", "ten\n")
    reviewer.wait("vim.fn.getline(10) == 'ten'")
    reviewer.command("checktime")
    reviewer.command("write")
    hunks = pending(reviewer)
    text = (workspace / "a.txt").read_text()
    reviewer.command("AgentDiff! reject")
    after = (workspace / "a.txt").read_text()
    expected = (1, both(1, "mine").replace("line 10", "ten"), both(1, "mine"))
    assert expected == (hunks, text, after)


def test_saving_over_an_unseen_write_merges_first(
    reviewer: Editor, agent: Agent, workspace: Path
) -> None:
    """The write came while nobody looked: ``:write`` sees it before it saves."""
    change(reviewer, 1, "mine")
    reviewer.lua("require('agentdiff.buffers').follow = function() return false end")
    agent.edit("a.txt", "line 10\n", "ten\n")
    reviewer.command("write")
    expected = both(1, "mine").replace("line 10", "ten")
    assert expected == (workspace / "a.txt").read_text()


def test_a_conflict_keeps_both_and_guards_the_save(
    reviewer: Editor, agent: Agent, workspace: Path
) -> None:
    """Both sides stand between markers; ``:write`` refuses until they are gone, or with !."""
    change(reviewer, 10, "mine")
    agent.edit("a.txt", "line 10\n", "agents\n")
    reviewer.wait("vim.fn.search('^>>>>>>> on disk', 'nw') > 0")
    lines = reviewer.lines()
    refused = reviewer.lua("return { pcall(vim.cmd.write) }")
    kept = (workspace / "a.txt").read_text()
    reviewer.command("%g/^<<<<<<<\\|^=======\\|^>>>>>>>/d")
    reviewer.command("write")
    text = (workspace / "a.txt").read_text()
    assert lines[9:14] == [
        "<<<<<<< your unsaved text", "mine", "=======", "agents", ">>>>>>> on disk"
    ]  # fmt: skip
    assert (refused[0], "unresolved conflict" in refused[1]) == (False, True)
    assert (kept, text) == (both(10, "agents"), both(10, "mine\nagents"))


def test_a_forced_save_overwrites(reviewer: Editor, agent: Agent, workspace: Path) -> None:
    """``:write!`` is the user's word; what it wrote over can still be had from the review."""
    change(reviewer, 10, "mine")
    reviewer.lua("require('agentdiff.buffers').follow = function() return false end")
    agent.edit("a.txt", "line 10\n", "agents\n")
    reviewer.command("write!")
    assert both(10, "mine") == (workspace / "a.txt").read_text()


def test_undo_takes_the_merge_back_in_one_step(reviewer: Editor, agent: Agent) -> None:
    """``u`` shows the user's text alone, a second ``u`` the file as it is on disk."""
    change(reviewer, 1, "mine")
    agent.edit("a.txt", "line 10\n", "ten\n")
    reviewer.wait("vim.fn.getline(10) == 'ten'")
    reviewer.keys("u")
    first = reviewer.lines()
    reviewer.keys("u")
    reviewer.wait("vim.fn.getline(10) == 'ten'")
    expected = (both(1, "mine").splitlines(), both(10, "ten").splitlines())
    assert expected == (first, reviewer.lines())


LOST = "a.txt: saved without the merge; :undo {} and :write bring it back"


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("u", True),
        ("uGotoo<Esc>", True),
        ("u<C-r>", False),
        ("Gotoo<Esc>", False),
        ("Gotoo<Esc>uu<C-r>Gomore<Esc>", False),
        (":set undolevels=0<CR>Gotoo<Esc>", False),
    ],
)
def test_saving_what_undo_made_of_a_merge(
    reviewer: Editor, agent: Agent, workspace: Path, keys: str, said: bool
) -> None:
    """It takes the agent's text from the disk: that is said, once."""
    change(reviewer, 1, "mine")
    agent.edit("a.txt", "line 10\n", "ten\n")
    reviewer.wait("vim.fn.getline(10) == 'ten'")
    lost = LOST.format(reviewer.lua("return vim.fn.undotree().seq_cur"))
    reviewer.keys(keys)
    reviewer.keys(":write<CR>:call setline(1, 'mine, too')<CR>:write<CR>")
    on_disk = "ten\n" in (workspace / "a.txt").read_text()
    assert (reviewer.messages().count(lost), on_disk) == (int(said), not said)


def test_nothing_moves_while_the_user_types(reviewer: Editor, agent: Agent) -> None:
    """In Insert mode the merge waits for <Esc>."""
    reviewer.nvim.input("ggomine")
    reviewer.wait("vim.fn.getline(2) == 'mine' and vim.fn.mode() == 'i'")
    agent.edit("a.txt", "line 10\n", "ten\n")
    reviewer.wait(SHOWN + "1")
    during = reviewer.lines()[10]
    reviewer.nvim.input("<Esc>")
    reviewer.wait("vim.fn.getline(11) == 'ten'")
    assert (during, reviewer.lines()[1]) == ("line 10", "mine")


@pytest.mark.parametrize(
    ("keys", "disk"),
    [
        ("11G<Plug>(agentdiff-reject-hunk)", both(15, "fifteen")),
        ("11GV<Plug>(agentdiff-reject-hunk)", both(15, "fifteen")),
        ("<Plug>(agentdiff-reject-file)", BEFORE),
    ],
)
def test_rejecting_in_a_modified_buffer(
    reviewer: Editor, agent: Agent, workspace: Path, keys: str, disk: str
) -> None:
    """The hunk goes from the disk and from the buffer; the unsaved line stays in the buffer."""
    agent.edit("a.txt", "line 10\n", "ten\n")
    agent.edit("a.txt", "line 15\n", "fifteen\n")
    reviewer.wait(SHOWN + "2")
    reviewer.nvim.api.buf_set_lines(0, 0, 0, False, ["mine"])
    reviewer.keys(keys)
    expected = ["mine", *disk.splitlines()]
    reviewer.wait("vim.fn.getline(11) == 'line 10'")
    assert (disk, expected) == ((workspace / "a.txt").read_text(), reviewer.lines())


def test_taking_the_edits_back_lets_the_write_in(reviewer: Editor, agent: Agent) -> None:
    """A buffer that is unmodified again shows what is on disk."""
    reviewer.keys("ggixyz<Esc>")
    agent.edit("a.txt", "line 10\n", "ten\n")
    reviewer.wait("vim.fn.getline(10) == 'ten'")
    reviewer.keys("uu")
    reviewer.wait("vim.fn.getline(10) == 'ten' and not vim.bo.modified")
    reviewer.command("write")
    assert reviewer.lines()[0] == "line 1"


def test_a_deleted_file_is_said_once_and_can_be_saved(
    reviewer: Editor, agent: Agent, workspace: Path
) -> None:
    """The unsaved text stays; ``:write`` creates the file again, and that is the user's."""
    change(reviewer, 1, "mine")
    agent.shell("rm a.txt")
    reviewer.wait("vim.fn.execute('messages'):find('not on disk any more')")
    save(reviewer, 2, "too")
    text = (workspace / "a.txt").read_text()
    assert text == both(1, "mine").replace("line 2\n", "too\n", 1)


def test_a_file_that_cannot_be_merged_is_not_overwritten(
    reviewer: Editor, agent: Agent, workspace: Path
) -> None:
    """Line ends of the whole file changed: the save is refused and says what to do."""
    change(reviewer, 1, "mine")
    agent.shell("sed -i 's/$/\\r/' a.txt")
    reviewer.wait("vim.fn.execute('messages'):find('cannot be merged')")
    refused = reviewer.lua("return { pcall(vim.cmd.write) }")
    assert (refused[0], reviewer.lines()[0]) == (False, "mine")
    assert (workspace / "a.txt").read_bytes().count(b"\r\n") == 20


COLOURED = """
local ns = vim.api.nvim_create_namespace('agentdiff.conflict')
local marks = vim.api.nvim_buf_get_extmarks(0, ns, 0, -1, { details = true })
return #marks > 0 and marks[1][4].hl_group ~= nil
"""


def test_a_resolved_conflict_has_no_colour(reviewer: Editor, agent: Agent) -> None:
    """It goes with the last marker, and comes back when that is undone, as does the guard."""
    change(reviewer, 10, "mine")
    agent.edit("a.txt", "line 10\n", "agents\n")
    reviewer.wait("vim.fn.search('^>>>>>>> on disk', 'nw') > 0")
    seen = [reviewer.lua(COLOURED)]
    for command in ("g/^<<<<<<</d", "g/^=======\\|^>>>>>>>/d", "undo"):
        reviewer.command(command)
        reviewer.lua("vim.api.nvim_exec_autocmds('TextChanged', {})")
        seen.append(reviewer.lua(COLOURED))
    refused = reviewer.lua("return not pcall(vim.cmd.write)")
    assert (seen, refused) == ([True, True, False, True], True)
