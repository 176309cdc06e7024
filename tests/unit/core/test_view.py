"""View models: 1-based lines, parallel rows, and what each filter shows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agentdiff.core import panes, view
from agentdiff.core.entries import ABSENT, Entry, File, Link
from agentdiff.core.events import Selection
from agentdiff.core.explain import explain
from agentdiff.core.grouping import Grouping, headline
from agentdiff.core.owners import EXTERNAL
from agentdiff.core.sessions import SILENT_SESSION_NS
from tests.play import Play

F = b"f"
LINES = [b"%d\n" % n for n in range(1, 10)]


def text(**changed: bytes) -> File:
    """Returns nine numbered lines, some of them replaced by name (`l2` is the second)."""
    lines = [changed.get(f"l{n}", line) for n, line in enumerate(LINES, start=1)]
    return File(data=b"".join(lines))


def reviewed(before: Entry, after: Entry, path: bytes = F) -> Play:
    """Returns a workspace in which Claude made `after` of `before`."""
    play = Play(disk={} if before == ABSENT else {path: before})
    play.prompt("claude", "s", "rename it", turn="t")
    play.run("claude", "s", {path: after})
    return play


def review(play: Play, context: int = 3, by: Grouping = "file") -> dict[str, Any]:
    """Returns the review of everything."""
    states = view.selected(play.ledger, Selection(), external=True)
    return panes.review(play.ledger, b"/w", states, play.now, context, by)


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        pytest.param(text(l2=b"two\n"), (2, 1, 2, 1), id="replaced"),
        pytest.param(text(l2=b"2\nnew\n"), (2, 0, 3, 1), id="added: after old line 2"),
        pytest.param(text(l2=b""), (2, 1, 1, 0), id="removed: after new line 1"),
        pytest.param(text(l1=b""), (1, 1, 0, 0), id="removed at the top"),
        pytest.param(text(l1=b"new\n1\n"), (0, 0, 1, 1), id="added at the top"),
        pytest.param(text(l9=b"9\nend"), (9, 0, 10, 1), id="added at the end"),
    ],
)
def test_hunks_have_git_line_numbers(after: File, expected: tuple[int, ...]) -> None:
    """From 1; an empty range names the line before it."""
    play = reviewed(text(), after)
    (hunk,) = view.file_json(play.ledger.paths[F], {})["hunks"]
    names = ("old_start", "old_lines", "new_start", "new_lines")
    assert tuple(hunk[name] for name in names) == expected


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        (text(), text(l2=b"two\n"), ["text"]),
        (ABSENT, text(), ["text"]),
        (text(), ABSENT, ["text"]),
        (text(), File(data=text().data, mode=0o755), ["mode"]),
        (text(), File(data=text(l2=b"x\n").data, mode=0o755), ["text", "mode"]),
        (File(data=b"\0a"), File(data=b"\0b"), ["binary"]),
        (ABSENT, File(data=b"\0"), ["binary"]),
        (Link(target=b"a"), Link(target=b"b"), ["link"]),
        (ABSENT, Link(target=b"a"), ["link"]),
        (ABSENT, File(data=b""), ["text"]),
    ],
)
def test_changes_name_what_differs(before: Entry, after: Entry, changes: list[str]) -> None:
    """``text mode link binary``, whatever the status."""
    assert view.changes(reviewed(before, after).ledger.paths[F]) == changes


def test_every_pending_thing_has_an_id() -> None:
    """Also a mode, a binary and an empty file: one pseudo-hunk each."""
    play = reviewed(text(), File(data=text(l2=b"x\n").data, mode=0o755))
    play.run("claude", "s", {b"empty": File(data=b""), b"bin": File(data=b"\0")})
    files = view.status(play.ledger)["files"]
    assert {one["path"]: [h["kind"] for h in one["hunks"]] for one in files} == {
        "bin": ["created"],
        "empty": ["created"],
        "f": ["mode", "text"],
    }


def test_totals_are_the_sums_of_the_files() -> None:
    """Of files, ids and lines."""
    play = reviewed(text(), text(l2=b"two\n", l8=b""))
    play.run("claude", "s", {b"new": File(data=b"a\nb\n")})
    totals = view.status(play.ledger)["totals"]
    assert totals == {"files": 2, "hunks": 3, "added": 3, "removed": 2}


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (["idle"], "idle"),
        (["idle", "working"], "working"),
        (["waiting", "working"], "waiting"),
        (["ended"], "idle"),
        ([], "idle"),
    ],
)
def test_the_summary_shows_the_busiest_agent(states: list[str], expected: str) -> None:
    """Waiting for the user before working before idle; ended ones do not count."""
    play = Play()
    for n, state in enumerate(states):
        play.prompt("claude", f"s{n}")
        play.ledger.sessions.by_key["claude", f"s{n}"].state = state
    assert view.summary(play.ledger, play.now)["state"] == expected


def test_silent_agents_are_not_in_the_summary() -> None:
    """A killed one is not shown as working for ever."""
    play = reviewed(text(), text(l2=b"x\n"))
    assert view.summary(play.ledger, play.now)["agents"] == ["claude"]
    assert view.summary(play.ledger, play.now + SILENT_SESSION_NS)["agents"] == []


def test_the_log_has_one_entry_per_call() -> None:
    """With its prompt, its paths and how it ended."""
    play = reviewed(text(), text(l2=b"x\n"))
    play.start("claude", "s")
    names = ("agent", "prompt", "tool", "outcome", "finished")
    found = [[one[name] for name in names[:4]] for one in view.log(play.ledger)]
    assert found == [
        ["claude", "rename it", "Bash", "ok"],
        ["claude", "rename it", "Bash", "open"],
    ]
    assert [one["path"] for one in view.log(play.ledger)[0]["paths"]] == ["f"]


@pytest.mark.parametrize(
    ("selection", "external", "paths"),
    [
        (Selection(), True, ["ext", "f", "g/h"]),
        (Selection(), False, ["f", "g/h"]),
        (Selection(paths=(b"ext",)), False, ["ext"]),
        (Selection(paths=(b"g",)), False, ["g/h"]),
        (Selection(paths=(b"g/",)), False, ["g/h"]),
        (Selection(paths=(b".",)), True, ["ext", "f", "g/h"]),
        (Selection(agent="codex"), True, ["g/h"]),
        (Selection(turn="t"), True, ["f"]),
        (Selection(session="nobody"), True, []),
    ],
)
def test_filters(selection: Selection, external: bool, paths: list[str]) -> None:
    """What ``diff`` and ``review`` show; external paths when they are named or wanted."""
    play = Play(disk={F: text()})
    play.prompt("claude", "s", turn="t")
    play.prompt("codex", "r", turn="u")
    play.put(b"ext", text())
    play.cut()
    play.run("claude", "s", {F: text(l2=b"x\n")})
    play.run("codex", "r", {b"g/h": text()})
    found = view.selected(play.ledger, selection, external=external)
    assert [state.path.decode() for state in found] == paths


# --- the review buffer ---------------------------------------------------------------------------


def test_the_review_is_a_diff_with_rows() -> None:
    """One letter per line; a hunk knows its rows, and the lines that its first row shows."""
    body = review(reviewed(text(), text(l2=b"two\nmore\n")), context=1)
    assert body["lines"] == [
        "modified f  +2 -1",
        "@@ -1,3 +1,4 @@ claude · turn 1 · Bash",
        " 1",
        "-2",
        "+two",
        "+more",
        " 3",
    ]
    (hunk,) = body["hunks"]
    places = ("row", "rows", "old", "new", "mixed")
    assert (body["kinds"], *(hunk[name] for name in places)) == ("fhcdaac", 1, 6, 1, 1, False)


def test_every_hunk_has_rows_of_its_own() -> None:
    """Also neighbours whose contexts meet: no row belongs to two."""
    body = review(reviewed(text(), text(l2=b"two\n", l4=b"four\n")))
    spans = [(hunk["row"], hunk["row"] + hunk["rows"]) for hunk in body["hunks"]]
    assert len(spans) == 2
    assert spans[0][1] <= spans[1][0]
    assert [body["kinds"][start:end] for start, end in spans] == ["hcdac", "hdaccc"]


def test_a_missing_newline_is_a_row() -> None:
    """As in any diff."""
    body = review(reviewed(File(data=b"a\n"), File(data=b"a")))
    assert body["kinds"] == "fhdan"


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        (text(), File(data=text().data, mode=0o755), "mode 0644 → 0755"),
        (
            File(data=b"\0a"),
            File(data=b"\0bc"),
            "binary: a file of 2 bytes → a file of 3 bytes",
        ),
        (ABSENT, File(data=b""), "created: nothing → a file of 0 bytes"),
        (text(), Link(target=b"t"), "type: a file of 18 bytes → a symbolic link"),
    ],
)
def test_a_whole_change_is_one_row(before: Entry, after: Entry, line: str) -> None:
    """It says what became of what, and can be decided by it."""
    body = review(reviewed(before, after))
    assert (body["kinds"], body["hunks"][0]["row"]) == ("fm", 1)
    assert body["lines"][1] == line


def test_no_line_of_the_review_breaks_the_buffer() -> None:
    """Newlines in names, NUL, carriage returns and bad UTF-8 in lines."""
    odd = File(data=b"a\r\n\xff\x0c\nb" + b"x" * 9000 + b"\0\n")
    body = review(reviewed(ABSENT, odd, b"new\nline \xff"))
    assert not any("\n" in line or "\0" in line for line in body["lines"])
    assert len(body["lines"]) == len(body["kinds"])
    assert "\\n" in body["lines"][0]


def test_files_are_told_apart_by_a_blank_row() -> None:
    """Between two files, not before the first."""
    play = reviewed(text(), text(l2=b"x\n"))
    play.run("claude", "s", {b"g": text()})
    kinds = review(play)["kinds"]
    assert (kinds[0], kinds.count("b")) == ("f", 1)


def test_a_path_without_a_base_wears_a_badge() -> None:
    """Coverage gaps are never hidden."""
    play = reviewed(text(), text(l2=b"x\n"))
    state = play.ledger.paths[F]
    object.__setattr__(state, "coverage", "oversized: 99 bytes")
    assert review(play)["lines"][0].endswith("[oversized: 99 bytes]")


@pytest.fixture
def two_turns() -> Play:
    """Two prompts to one agent and one to another; the file ``f`` has changes of both agents."""
    play = reviewed(text(), text(l2=b"two\n"))
    play.prompt("claude", "s", "now this\nand that", turn="t2")
    play.run("claude", "s", {b"g": text()})
    play.prompt("codex", "x", "help", turn="u")
    play.run("codex", "x", {F: text(l2=b"two\n", l8=b"eight\n")})
    return play


@pytest.mark.parametrize(
    ("by", "headings"),
    [
        (
            "turn",
            [
                "turn 1 · claude: rename it  (1 file, 1 hunk)",
                "turn 2 · claude: now this …  (1 file, 1 hunk)",
                "turn 3 · codex: help  (1 file, 1 hunk)",
            ],
        ),
        (
            "session",
            [
                "claude · session s: rename it  (2 files, 2 hunks)",
                "codex · session x: help  (1 file, 1 hunk)",
            ],
        ),
        ("agent", ["claude  (2 files, 2 hunks)", "codex  (1 file, 1 hunk)"]),
        ("file", []),
    ],
)
def test_changes_stand_below_whose_they_are(
    two_turns: Play, by: Grouping, headings: list[str]
) -> None:
    """By turn with its prompt, by session, by agent; each change once."""
    body = review(two_turns, by=by)
    assert [body["lines"][group["row"]] for group in body["groups"]] == headings
    assert len({hunk["id"] for hunk in body["hunks"]}) == len(body["hunks"]) == 3


def test_a_file_stands_below_each_of_its_headings(two_turns: Play) -> None:
    """With the lines that are meant, and the note that this is not all of it."""
    body = review(two_turns, by="agent")
    assert [(file["path"], file["group"], file["whole"]) for file in body["files"]] == [
        ("f", 0, False),
        ("g", 0, True),
        ("f", 1, False),
    ]
    assert body["lines"][body["files"][2]["row"]] == "modified f  +1 -1"


def test_what_no_agent_did_stands_last() -> None:
    """Nobody, git and the user have headings of their own."""
    play = reviewed(text(), text(l2=b"two\n"))
    object.__setattr__(play.ledger.paths[F].hunks[0], "new_owners", (EXTERNAL,))
    object.__setattr__(play.ledger.paths[F].hunks[0], "old_owners", (EXTERNAL,))
    play.run("claude", "s", {b"g": text()})
    assert [group["kind"] for group in review(play, by="turn")["groups"]] == ["agent", "external"]


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("", "(no prompt)"),
        ("\n\n  do it \n", "do it"),
        ("one\ntwo", "one …"),
        ("tab\there\x1b[31m", "tab here [31m"),
        ("x" * 200, "x" * 119 + "…"),
    ],
)
def test_a_heading_is_one_line_of_the_prompt(prompt: str, expected: str) -> None:
    """Whatever was typed or pasted."""
    assert headline(prompt) == expected


def test_an_explanation_names_prompt_command_and_evidence() -> None:
    """Of each owner of a hunk, with its share of the lines."""
    play = reviewed(text(), text(l2=b"two\n"))
    (hunk,) = play.ledger.paths[F].hunks
    (found,) = explain(play.ledger, {hunk.id})
    (owner,) = found["owners"]
    assert (found["path"], owner["prompt"], owner["n"], owner["evidence"], owner["lines"]) == (
        "f",
        "rename it",
        1,
        "likely",
        {"added": 1, "removed": 1},
    )
    assert (owner["outcome"], owner["tool_call"], owner["calls"]) == ("ok", "claude-1", [])


def test_explain_names_the_calls_of_which_one_was_it() -> None:
    """None of them can be taken for certain: a person sees why a reject of one is refused."""
    play = Play(disk={F: text()})
    play.prompt("claude", "s", turn="t")
    play.prompt("codex", "r", turn="u")
    started = [play.start("claude", "s"), play.start("codex", "r")]
    play.put(F, text(l2=b"two\n"))
    for one in started:
        play.finish(one)
    (owner,) = explain(play.ledger, set(play.ids(F)))[0]["owners"]
    assert (owner["kind"], owner["among"]) == ("shared", ["s", "r"])
    assert [(one["agent"], one["turn"], one["tool_call"]) for one in owner["calls"]] == [
        ("claude", "t", "claude-1"),
        ("codex", "u", "codex-2"),
    ]


# --- inline --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after", "start", "added", "deleted"),
    [
        pytest.param(text(l2=b"two\n"), 2, 1, ["2"], id="replaced"),
        pytest.param(text(l2=b""), 1, 0, ["2"], id="deleted after line 1"),
        pytest.param(text(l1=b""), 0, 0, ["1"], id="deleted above line 1"),
        pytest.param(text(l9=b"9\nend"), 10, 1, [], id="added at the end"),
        pytest.param(File(data=b""), 0, 0, [str(n) for n in range(1, 10)], id="emptied"),
    ],
)
def test_inline_hunks_say_where_they_are_drawn(
    after: File, start: int, added: int, deleted: list[str]
) -> None:
    """1-based first added line; for a deletion the line after which it stood, 0 at the top."""
    play = reviewed(text(), after)
    hunks = panes.inline(play.ledger, play.ledger.paths[F])["hunks"]
    assert (hunks["start"], hunks["added"], hunks["removed"], hunks["deleted"]) == (
        [start],
        [added],
        [len(deleted)],
        deleted,
    )


def test_inline_whole_changes_have_no_lines() -> None:
    """They are drawn as a sign for the file."""
    play = reviewed(text(), File(data=text().data, mode=0o755))
    hunks = panes.inline(play.ledger, play.ledger.paths[F])["hunks"]
    assert (hunks["odd"], hunks["start"], hunks["deleted"]) == ([(0, "mode")], [0], [])


def test_a_mixed_hunk_says_so() -> None:
    """Both owners are named."""
    play = reviewed(text(), text(l2=b"a\n", l3=b"b\n", l4=b"c\n"))
    saved = text(l2=b"a\n", l3=b"user\n", l4=b"c\n")
    play.save(F, saved.data, saved)
    hunks = panes.inline(play.ledger, play.ledger.paths[F])["hunks"]
    assert (hunks["mixed"], hunks["owners"]) == ([0], ["claude · turn 1 · Bash, user"])


def test_inline_hunks_are_parallel_lists() -> None:
    """Whole changes come first; old lines stand in one list, and each phrase for owners once."""
    after = text(l1=b"", l2=b"", l4=b"c\n", l8=b"8\n+\n")
    play = reviewed(text(), replace(after, mode=0o755))
    saved = replace(text(l1=b"", l2=b"", l4=b"user\n", l8=b"8\n+\n"), mode=0o755)
    play.save(F, saved.data, saved)
    state = play.ledger.paths[F]
    hunks = panes.inline(play.ledger, state)["hunks"]
    changes = (*state.meta, *state.hunks)
    assert hunks == {
        "id": [change.id for change in changes],
        "gen": [change.gen for change in changes],
        "start": [0, 0, 2, 7],
        "added": [0, 0, 1, 1],
        "removed": [0, 2, 1, 0],
        "deleted": ["1", "2", "4"],
        "owners": ["claude · turn 1 · Bash", "user, claude · turn 1 · Bash"],
        "owner": [0, 0, 1, 0],
        "mixed": [2],
        "odd": [(0, "mode")],
    }
