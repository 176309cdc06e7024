"""What a person sees, on the screen of an attached user interface: characters and colours."""

from __future__ import annotations

import re

import pytest
from attached_ui import AttachedUI
from nvim_driver import Editor
from scripted_agent import Agent

SHOWN = "vim.b.agentdiff_status_dict and vim.b.agentdiff_status_dict.hunks == "


@pytest.fixture
def three(reviewer: Editor, agent: Agent) -> Editor:
    """An editor with ``a.txt``: its first line deleted, two changed, its last line deleted."""
    agent.edit("a.txt", "line 1\n", "")
    agent.edit("a.txt", "line 10\nline 11\n", "line ten\neleven\n")
    agent.edit("a.txt", "line 20\n", "")
    agent.stop()
    agent.prompt("Now the rest")
    agent.edit("b.txt", "two\n", "zwei\n")
    reviewer.wait(SHOWN + "3")
    reviewer.wait("vim.g.agentdiff_status == '2 files 4 hunks claude working'")
    return reviewer


def test_the_review_on_the_screen(three: Editor) -> None:
    """Winbar, headings, rows, and the words that changed, each in its colour."""
    with AttachedUI(three, 60, 30) as ui:
        ui.type(":AgentDiff<CR>")
        ui.wait_text("by turn")
        changed = [("-line", "AgentDiffDeleted"), ("10", "AgentDiffDeletedWord")]
        ui.wait_ours("-line 10", [*changed, ("", "AgentDiffDeleted")])
        assert ui.rows()[:28] == [
            "by turn  2 files 4 hunks" + " " * 29 + "g? help",
            "turn 1 · claude: Please change things  (1 file, 3 hunks)",
            "modified a.txt  +2 -4",
            "@@ -1,4 +1,3 @@ claude · turn 1 · Edit",
            "-line 1",
            " line 2",
            " line 3",
            " line 4",
            "@@ -7,8 +6,8 @@ claude · turn 1 · Edit",
            " line 7",
            " line 8",
            " line 9",
            "-line 10",
            "-line 11",
            "+line ten",
            "+eleven",
            " line 12",
            " line 13",
            " line 14",
            "@@ -17,4 +16,3 @@ claude · turn 1 · Edit",
            " line 17",
            " line 18",
            " line 19",
            "-line 20",
            "",
            "turn 2 · claude: Now the rest  (1 file, 1 hunk)",
            "modified b.txt  +1 -1",
            "@@ -1,3 +1,3 @@ claude · turn 2 · Edit",
        ]
        text = ui.rows()
        whole = [
            (1, "AgentDiffTitle"), (2, "AgentDiffFile"), (3, "AgentDiffHunk"),
            (4, "AgentDiffDeleted"), (13, "AgentDiffDeleted"), (15, "AgentDiffAdded"),
            (19, "AgentDiffHunk"), (23, "AgentDiffDeleted"), (25, "AgentDiffTitle"),
        ]  # fmt: skip
        assert [(n, ui.ours(n)) for n, _ in whole] == [
            (n, [(text[n], group)]) for n, group in whole
        ]
        assert ui.ours(14) == [
            ("+line", "AgentDiffAdded"),
            ("ten", "AgentDiffAddedWord"),
            ("", "AgentDiffAdded"),
        ]
        assert [ui.ours(n) for n in (0, 5, 9, 16, 24)] == [[]] * 5


def test_hunks_in_a_file_on_the_screen(three: Editor) -> None:
    """Signs, old lines above line 1 and below the end, a mixed hunk, and the count."""
    with AttachedUI(three, 40, 24) as ui:
        ui.wait(lambda rows: rows[0].rstrip() == "  line 1", "the old line above line 1")
        assert ui.drawn()[:22] == [
            "  line 1",
            "▔ line 2" + " " * 29 + "1/3",
            *[f"  line {n}" for n in range(3, 12)],
            "┃ line ten",
            "┃ eleven",
            *[f"  line {n}" for n in range(12, 19)],
            "▁ line 19",
            "  line 20",
        ]
        old, new = "AgentDiffInlineDeleted", "AgentDiffInlineChanged"
        assert {n: ui.ours(n) for n in range(22) if ui.ours(n)} == {
            0: [("line 1", old)],
            1: [("▔", "AgentDiffSignDelete"), ("1/3", "AgentDiffCount")],
            9: [("line", old), ("10", old + "Word"), ("", old)],
            10: [("line 11", old)],
            11: [
                ("┃", "AgentDiffSignChange"),
                ("line", new),
                ("ten", "AgentDiffInlineAddedWord"),
                ("", new),
            ],
            12: [("┃", "AgentDiffSignChange"), ("eleven", new)],
            20: [("▁", "AgentDiffSignDelete")],
            21: [("line 20", old)],
        }
        three.command("set statusline=%f%=%{v:lua.require'agentdiff'.statusline()} laststatus=2")
        assert ui.drawn()[22] == "a.txt" + " " * 30 + "~2 -2"
        three.command("enew")
        assert ui.drawn()[22] == "[No Name]" + " " + "2 files 4 hunks claude working"


def test_added_lines_on_the_screen(reviewer: Editor, agent: Agent) -> None:
    """Their sign and their colour, to the edge of the window."""
    agent.edit("a.txt", "line 3\n", "line 3\nnew\n")
    reviewer.wait(SHOWN + "1")
    with AttachedUI(reviewer, 40, 24) as ui:
        assert ui.drawn()[2:5] == ["  line 3", "┃ new", "  line 4"]
        assert [ui.ours(n) for n in (2, 4)] == [[], []]
        assert ui.ours(3) == [("┃", "AgentDiffSignAdd"), ("new", "AgentDiffInlineAdded")]


def test_what_is_known_of_a_hunk_floats(three: Editor) -> None:
    """``K``: over the rows below the cursor, and gone again with the next movement."""
    with AttachedUI(three, 60, 30) as ui:
        ui.type(":AgentDiff<CR>")
        ui.wait_text("by turn")
        ui.type("K")
        ui.wait_text("evidence")
        top = ui.row("hunk ")
        left = ui.rows()[top].index("a.txt")
        above, *rows = [row[left:] for row in ui.rows()[top - 1 : top + 8]]
        assert above == "@@ -1,4 +1,3 @@ claude · turn 1 · Edit"[left:]
        assert [re.sub(r"\d+@\d+$", "N", rows[0]), *rows[1:5]] == [
            "a.txt  hunk N",
            "claude · turn 1  +0 -1",
            "  prompt    Please change things",
            "  tool      Edit",
            "  outcome   ok",
        ]
        assert [row.split()[0] for row in rows[5:8]] == ["session", "call", "evidence"]
        assert rows[7].startswith("  evidence  exact: the content is")
        float_ = [text.strip() for text, names in ui.groups(top + 1) if "NormalFloat" in names]
        assert float_ == ["claude · turn 1  +0 -1"]
        ui.type("j")
        ui.wait(lambda rows: "evidence" not in "".join(rows), "the float is gone")
        assert " line 2" in ui.rows()


def test_a_conflict_on_the_screen(reviewer: Editor, agent: Agent) -> None:
    """Both sides between markers, in their colour, and one line that says so."""
    with AttachedUI(reviewer, 80, 24) as ui:
        ui.type("10Gccmine<Esc>")
        ui.wait_text("mine")
        agent.edit("a.txt", "line 10\n", "theirs\n")
        ui.wait_text(">>>>>>> on disk")
        rows = ui.wait_text("agentdiff: a.txt: 1 conflict with the disk: both sides kept, choose")
        first = ui.row("<<<<<<<")
        text = ["<<<<<<< your unsaved text", "mine", "=======", "theirs", ">>>>>>> on disk"]
        # The old line stands above what the disk has in its place.
        shown = [row[2:] for row in rows[first : first + 6] if row[2:] != "line 10"]
        assert shown == text
        coloured = {row[2:]: ui.ours(n) for n, row in enumerate(rows)}
        for line in text:
            assert (line, "AgentDiffConflict") in coloured[line]
        assert [coloured[f"line {n}"] for n in (9, 11)] == [[], []]


def test_a_narrow_screen_is_not_stopped_by_a_message(reviewer: Editor, agent: Agent) -> None:
    """What nobody asked for is cut to the line instead of asking for a key (|hit-enter|)."""
    with AttachedUI(reviewer, 40, 24) as ui:
        ui.type("10Gccmine<Esc>")
        ui.wait_text("mine")
        agent.edit("a.txt", "line 10\n", "theirs\n")
        ui.wait_text(">>>>>>> on disk")
        ui.wait_text("agentdiff: a.txt: 1")
        assert (ui.is_asking(), ui.rows()[-1].split("conf")[0]) == (False, "agentdiff: a.txt: 1 ")
        ui.type("ggccalive<Esc>")
        ui.wait_text("alive")


def test_a_review_forty_columns_wide(three: Editor) -> None:
    """The winbar keeps its help, rows are cut and not wrapped."""
    with AttachedUI(three, 40, 12) as ui:
        ui.type(":AgentDiff<CR>")
        ui.wait_text("by turn")
        three.keys("gg")
        assert ui.drawn()[:6] == [
            "by turn  2 files 4 hunks         g? help",
            "turn 1 · claude: Please change things  (",
            "modified a.txt  +2 -4",
            "@@ -1,4 +1,3 @@ claude · turn 1 · Edit",
            "-line 1",
            " line 2",
        ]


def test_following_on_the_screen(reviewer: Editor, agent: Agent) -> None:
    """A window below with the agent's file; the cursor and its window stay."""
    with AttachedUI(reviewer, 80, 24) as ui:
        ui.type("gg2l:AgentDiff follow on<CR>")
        rows = ui.wait_text("following agents")
        bar = ui.row("following agents")
        assert ui.ours(bar) == [(" following agents", "AgentDiffOwner")]
        assert rows[:3] == ["line 1", "line 2", "line 3"]
        agent.edit("b.txt", "two\n", "zwei\n")
        ui.wait_ours("zwei", [("┃", "AgentDiffSignChange"), ("zwei", "AgentDiffInlineChanged")])
        assert ui.rows()[bar : bar + 5] == [
            " following agents", "  one", "  two", "┃ zwei", "  three"
        ]  # fmt: skip
        assert (ui.rows()[:3], reviewer.cursor()) == (["line 1", "line 2", "line 3"], (1, 2))


def test_following_needs_forty_columns(reviewer: Editor) -> None:
    """On a narrower screen it says so, and opens nothing."""
    with AttachedUI(reviewer, 39, 24) as ui:
        reviewer.lua("vim.notify = function(text) vim.g.said = text end")
        ui.type(":AgentDiff follow on<CR>")
        reviewer.wait("(vim.g.said or ''):find('too narrow', 1, true)")
        assert "following agents" not in "".join(ui.drawn())
        ui.resize(40, 24)
        ui.wait(lambda rows: len(rows[0]) <= 40 and len(ui.drawn()) == 24, "the new size")
        reviewer.wait("vim.o.columns == 40")
        ui.type(":AgentDiff follow on<CR>")
        ui.wait_text("following agents")


def test_a_lost_host_does_not_stop_a_narrow_screen(reviewer: Editor) -> None:
    """The notice is cut to the line; typing goes on."""
    with AttachedUI(reviewer, 40, 24) as ui:
        reviewer.lua(
            """
            for _, chan in ipairs(vim.api.nvim_list_chans()) do
              if chan.argv and vim.tbl_contains(chan.argv, '-P') then
                vim.uv.kill(vim.fn.jobpid(chan.id), 'sigkill')
              end
            end
            """
        )
        ui.wait_text("agentdiff: the Python ho")
        assert not ui.is_asking(), str(ui)
        ui.type("ggccalive<Esc>")
        ui.wait_text("alive")


def test_a_rename_does_not_stop_a_narrow_screen(reviewer: Editor, agent: Agent) -> None:
    """Its notice stands in one line, however long the name is."""
    with AttachedUI(reviewer, 40, 24) as ui:
        agent.shell("mv a.txt a-name-that-is-longer-than-the-screen.txt")
        ui.wait_text("agentdiff: a.txt was")
        assert not ui.is_asking(), str(ui)
        ui.type("ggccalive<Esc>")
        ui.wait_text("alive")


@pytest.mark.parametrize("kind", ["problem", "broken"])
def test_a_problem_does_not_stop_a_narrow_screen(editor: Editor, kind: str) -> None:
    """What Python says unasked is cut to the line, too."""
    with AttachedUI(editor, 40, 24) as ui:
        message = "what is shown may be out of date: " + "no reason " * 10
        editor.lua(
            "local m = ...; vim.schedule(function() require('agentdiff.rpc').deliver(m) end)",
            [(kind, {"message": message})],
        )
        ui.wait_text("agentdiff: what is")
        assert not ui.is_asking(), str(ui)
