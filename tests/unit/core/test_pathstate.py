"""The review state of one path: existence, type, mode and content, each with one example.

Rows of the tables are DESIGN §5.1 and §5.2; text itself is `test_hunks`.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest

from agentdiff.core.entries import ABSENT, Directory, Entry, File, Link, Other
from agentdiff.core.hunks import NewId, Verdict
from agentdiff.core.observing import observe
from agentdiff.core.owners import USER, Owner
from agentdiff.core.parts import Part, Picked
from agentdiff.core.pathstate import (
    PathState,
    check,
    describe,
    is_binary,
    meta_kinds,
)
from agentdiff.core.settle import settle_entries
from agentdiff.errors import InvariantBroken
from tests.properties.strategies import AGENT_A, AGENT_B

PATH = b"f"
TEXT = File(data=b"a\nb\nc\n")
EDITED = File(data=b"a\nB\nc\n")
EMPTY = File(data=b"")
BINARY = File(data=b"\0one")
OTHER_BINARY = File(data=b"\0two")
LINK = Link(target=b"t")


def settle(
    state: PathState, op: Verdict, picks: dict[int, Picked], new_id: NewId
) -> PathState | None:
    """Returns what pends after a decision."""
    base, cur, left = settle_entries(state, op, picks, new_id)
    return None if base == cur else left


class Maker:
    """Builds states by observing entries in turn."""

    def __init__(self) -> None:
        self.ids = count(1)

    def new_id(self) -> int:
        """Returns the next id."""
        return next(self.ids)

    def __call__(self, before: Entry, *steps: tuple[Entry, Owner]) -> PathState | None:
        """Returns the state after the steps."""
        state = None
        known = before
        for after, owner in steps:
            state = observe(state, PATH, known, after, owner, self.new_id)
            known = after
            if state is not None:
                check(state)
        return state


@pytest.fixture
def make() -> Maker:
    """A builder of states with ids from 1."""
    return Maker()


CHANGES = [
    pytest.param(TEXT, EDITED, "modified", [], 1, id="text"),
    pytest.param(ABSENT, TEXT, "created", ["created"], 1, id="created"),
    pytest.param(ABSENT, EMPTY, "created", ["created"], 0, id="created empty"),
    pytest.param(ABSENT, BINARY, "created", ["created"], 0, id="created binary"),
    pytest.param(ABSENT, LINK, "created", ["created"], 0, id="created link"),
    pytest.param(TEXT, ABSENT, "deleted", ["deleted"], 1, id="deleted"),
    pytest.param(EMPTY, ABSENT, "deleted", ["deleted"], 0, id="deleted empty"),
    pytest.param(BINARY, ABSENT, "deleted", ["deleted"], 0, id="deleted binary"),
    pytest.param(TEXT, EMPTY, "modified", [], 1, id="emptied"),
    pytest.param(TEXT, BINARY, "modified", ["binary"], 0, id="text became binary"),
    pytest.param(BINARY, OTHER_BINARY, "modified", ["binary"], 0, id="binary"),
    pytest.param(TEXT, replace(TEXT, mode=0o755), "modified", ["mode"], 0, id="mode"),
    pytest.param(TEXT, replace(EDITED, mode=0o755), "modified", ["mode"], 1, id="mode and text"),
    pytest.param(
        BINARY, replace(OTHER_BINARY, mode=0o755), "modified", ["binary", "mode"], 0, id="both"
    ),
    pytest.param(TEXT, LINK, "type", ["type"], 0, id="file became link"),
    pytest.param(LINK, TEXT, "type", ["type"], 0, id="link became file"),
    pytest.param(LINK, Link(target=b"u"), "modified", ["link"], 0, id="link"),
    pytest.param(TEXT, Directory(), "type", ["type"], 0, id="file became directory"),
    pytest.param(File(data=b"a\n"), File(data=b"a\r\n"), "modified", ["eol"], 0, id="line ends"),
    pytest.param(File(data=b"a\n"), File(data=b"a"), "modified", [], 1, id="final newline"),
]


@pytest.mark.parametrize(("before", "after", "status", "kinds", "hunks"), CHANGES)
def test_every_kind_of_change_pends(
    make: Maker, before: Entry, after: Entry, status: str, kinds: list[str], hunks: int
) -> None:
    """Each has a status, the whole changes that stand for it, and an id to decide it by."""
    state = make(before, (after, AGENT_A))
    assert state is not None
    found = (state.status, [m.kind for m in state.meta], len(state.hunks), (state.base, state.cur))
    assert found == (status, kinds, hunks, (before, after))
    assert {o for change in state.ids for o in state.changes()[change].owners} == {AGENT_A}


@pytest.mark.parametrize(("before", "after", "status", "kinds", "hunks"), CHANGES)
def test_every_kind_of_change_can_be_taken_back(
    make: Maker, before: Entry, after: Entry, status: str, kinds: list[str], hunks: int
) -> None:
    """P7: a write and its exact revert leave nothing pending."""
    assert make(before, (after, AGENT_A), (before, AGENT_B)) is None


@pytest.mark.parametrize(("before", "after", "status", "kinds", "hunks"), CHANGES)
@pytest.mark.parametrize("op", ["accept", "reject"])
def test_every_kind_of_change_can_be_decided_whole(
    make: Maker, op: str, before: Entry, after: Entry, status: str, kinds: list[str], hunks: int
) -> None:
    """P2, P3: accepting makes it the base, rejecting brings the base back, all of it."""
    state = make(before, (after, AGENT_A))
    assert state is not None
    base, cur, _ = settle_entries(state, op, dict.fromkeys(state.ids), make.new_id)  # type: ignore[arg-type]
    assert (base, cur) == ((after, after) if op == "accept" else (before, before))


@pytest.mark.parametrize(("before", "after", "status", "kinds", "hunks"), CHANGES)
def test_no_change_of_the_user_pends(
    make: Maker, before: Entry, after: Entry, status: str, kinds: list[str], hunks: int
) -> None:
    """P6: what the user proves never pends where nothing pended."""
    assert make(before, (after, USER)) is None


def test_a_created_text_has_one_id(make: Maker) -> None:
    """The change and its lines are decided together (DESIGN §5.1)."""
    state = make(ABSENT, (TEXT, AGENT_A))
    assert state is not None
    assert state.ids == (state.hunks[0].id,) == (state.meta[0].id,)


def test_part_of_a_created_file_turns_into_text(make: Maker) -> None:
    """Accepting one line of a created file makes the base a file of that line; the rest pends."""
    state = make(ABSENT, (TEXT, AGENT_A))
    assert state is not None
    left = settle(state, "accept", {state.ids[0]: (Part(old=(0, 0), new=(0, 1)),)}, make.new_id)
    assert left is not None
    check(left)
    assert (left.base, left.status, left.cur) == (File(data=b"a\n"), "modified", TEXT)


def test_rejecting_part_of_a_created_file_leaves_the_rest_created(make: Maker) -> None:
    """The base stays absent: rejecting the rest too removes the file."""
    state = make(ABSENT, (TEXT, AGENT_A))
    assert state is not None
    left = settle(state, "reject", {state.ids[0]: (Part(old=(0, 0), new=(0, 1)),)}, make.new_id)
    assert left is not None
    check(left)
    assert (left.base, left.cur, left.status) == (ABSENT, File(data=b"b\nc\n"), "created")
    assert len(left.ids) == 1


def test_rejecting_part_of_a_deletion_brings_those_lines_back(make: Maker) -> None:
    """The file exists again with the chosen lines; the other lines pend as deleted text."""
    state = make(TEXT, (ABSENT, AGENT_A))
    assert state is not None
    left = settle(state, "reject", {state.ids[0]: (Part(old=(0, 1), new=(0, 0)),)}, make.new_id)
    assert left is not None
    check(left)
    assert (left.base, left.cur, left.status) == (TEXT, File(data=b"a\n"), "modified")


@pytest.mark.parametrize("again", [TEXT, EMPTY, BINARY])
def test_deleted_then_recreated_compares_with_the_old_base(make: Maker, again: Entry) -> None:
    """DESIGN §5.2.4: a recreated file is never "all new"."""
    state = make(EDITED, (ABSENT, AGENT_A), (again, AGENT_B))
    assert state is not None
    assert (state.base, state.cur, state.status) == (EDITED, again, "modified")


def test_created_then_deleted_leaves_nothing(make: Maker) -> None:
    """P9: absent again is absent, not empty."""
    assert make(ABSENT, (EMPTY, AGENT_A), (ABSENT, AGENT_B)) is None


def test_mode_and_text_are_decided_apart(make: Maker) -> None:
    """Accepting the mode leaves the text pending, and the other way round."""
    state = make(TEXT, (replace(EDITED, mode=0o755), AGENT_A))
    assert state is not None
    mode, text = state.meta[0].id, state.hunks[0].id
    after_mode = settle(state, "accept", {mode: None}, make.new_id)
    after_text = settle(state, "reject", {text: None}, make.new_id)
    assert after_mode is not None
    assert after_text is not None
    check(after_mode)
    check(after_text)
    assert (after_mode.base, after_mode.ids) == (replace(TEXT, mode=0o755), (text,))
    assert (after_text.cur, after_text.ids) == (replace(TEXT, mode=0o755), (mode,))


def test_the_mode_keeps_its_owner_when_text_changes(make: Maker) -> None:
    """Who changed the mode did not write the lines."""
    executable = replace(TEXT, mode=0o755)
    state = make(TEXT, (executable, AGENT_A), (replace(EDITED, mode=0o755), AGENT_B))
    assert state is not None
    assert state.changes()[state.meta[0].id].owners == (AGENT_A,)
    assert state.changes()[state.hunks[0].id].owners == (AGENT_B,)


def test_a_users_line_in_a_created_file_joins_it(make: Maker) -> None:
    """A file that the base lacks has no outside: the user's line is kept by a reject."""
    both = File(data=b"a\nUSER\nb\nc\n")
    state = make(ABSENT, (TEXT, AGENT_A), (both, USER))
    assert state is not None
    base, cur, _ = settle_entries(state, "reject", dict.fromkeys(state.ids), make.new_id)
    assert (base, cur) == (File(data=b"USER\n"), File(data=b"USER\n"))


def test_discarding_user_lines_is_explicit(make: Maker) -> None:
    """With discard_user a rejected created file is gone, lines of the user and all."""
    both = File(data=b"a\nUSER\nb\nc\n")
    state = make(ABSENT, (TEXT, AGENT_A), (both, USER))
    assert state is not None
    picks = dict.fromkeys(state.ids)
    base, cur, _ = settle_entries(state, "reject", picks, make.new_id, discard_user=True)
    assert (base, cur) == (ABSENT, ABSENT)


def test_a_save_over_what_cannot_be_read_accepts_nothing(make: Maker) -> None:
    """An agent's lines may be in there; where nothing had pended the base follows (P6, P13)."""
    unreadable = Other(kind="unreadable: Permission denied")
    saved = File(data=b"a\nB\nUSER\nc\n")
    state = make(TEXT, (EDITED, AGENT_A), (unreadable, AGENT_B), (saved, USER))
    assert state is not None
    assert (state.base, state.cur) == (TEXT, saved)
    assert make(TEXT, (unreadable, AGENT_B), (saved, USER)) is None


def test_a_users_mode_change_moves_the_base(make: Maker) -> None:
    """chmod by the user beside an agent's hunk does not pend."""
    state = make(TEXT, (EDITED, AGENT_A), (replace(EDITED, mode=0o755), USER))
    assert state is not None
    assert (state.base, state.meta) == (replace(TEXT, mode=0o755), ())


def test_every_change_raises_the_generation(make: Maker) -> None:
    """What a client saw of the path is told apart from what is there now."""
    first = make(TEXT, (EDITED, AGENT_A))
    assert first is not None
    after = File(data=b"a\nB\nc\nd\n")
    second = observe(first, PATH, EDITED, after, AGENT_A, make.new_id)
    assert second is not None
    assert second.gen > first.gen


def test_seeing_the_same_again_changes_nothing(make: Maker) -> None:
    """A touch or a same-content replace is no change (DESIGN §5.2.1)."""
    first = make(TEXT, (EDITED, AGENT_A))
    assert observe(first, PATH, EDITED, EDITED, AGENT_B, make.new_id) is first


def test_a_base_that_cannot_be_kept_is_said(make: Maker) -> None:
    """Coverage gaps are never hidden."""
    state = make(Other(kind="oversized: 99 bytes"), (TEXT, AGENT_A))
    assert state is not None
    assert state.coverage == "oversized: 99 bytes"


@pytest.mark.parametrize(
    ("data", "binary"),
    [
        (b"", False),
        (b"\xff\xfe", False),
        (b"\0", True),
        (b"a" * 7999 + b"\0", True),
        (b"a" * 8000 + b"\0", False),
    ],
)
def test_binary_is_what_git_calls_binary(data: bytes, binary: bool) -> None:
    """A NUL among the first 8,000 bytes."""
    assert is_binary(data) is binary


@pytest.mark.parametrize("entry", [ABSENT, TEXT, LINK, Directory(), Other(kind="fifo")])
def test_equal_entries_have_no_whole_change(entry: Entry) -> None:
    """Nothing differs, nothing pends."""
    assert meta_kinds(entry, entry, lined=True) == []


@pytest.mark.parametrize(
    ("entry", "phrase"),
    [
        (ABSENT, "nothing"),
        (TEXT, "a file of 6 bytes"),
        (LINK, "a symbolic link"),
        (Directory(), "a directory"),
        (Other(kind="fifo"), "fifo"),
    ],
)
def test_entries_are_described_for_messages(entry: Entry, phrase: str) -> None:
    """Every kind of entry has a phrase."""
    assert describe(entry) == phrase


def broken(state: PathState, how: str) -> PathState:
    """Returns the state with one promise broken."""
    hunk = state.hunks[0]
    match how:
        case "equal":
            return replace(state, cur=state.base)
        case "lost hunk":
            return replace(state, hunks=())
        case "moved hunk":
            return replace(state, hunks=(hunk.shifted(1, 1),))
        case "no owner":
            return replace(state, hunks=(replace(hunk, new_owners=()),))
        case _:
            return replace(state, base=BINARY)


@pytest.mark.parametrize("how", ["equal", "lost hunk", "moved hunk", "no owner", "no lines"])
def test_check_sees_a_broken_state(make: Maker, how: str) -> None:
    """The check that all property tests lean on can fail."""
    state = make(TEXT, (EDITED, AGENT_A))
    assert state is not None
    with pytest.raises(InvariantBroken):
        check(broken(state, how))
