"""Hunks are carried through edits, and decided one by one."""

from __future__ import annotations

from itertools import count

import pytest

from agentdiff.core.diff import diff_lines
from agentdiff.core.hunks import Hunk, Text, Verdict, carry, decide, glued, without_agents
from agentdiff.core.owners import USER, Owner
from tests.properties.strategies import AGENT_A, AGENT_B

LINES = [b"%d\n" % n for n in range(10)]


def edited(*changes: tuple[int, int, list[bytes]]) -> list[bytes]:
    """Returns `LINES` with lines from..to replaced, for each change, last one first."""
    lines = list(LINES)
    for start, end, new in sorted(changes, reverse=True):
        lines[start:end] = new
    return lines


def written(text: Text, new: list[bytes], owner: Owner, first_id: int = 1) -> Text:
    """Returns the text after an owner wrote `new`; proved owners move the base along."""
    ids = count(first_id)
    edit = diff_lines(text.cur, new)
    return carry(text, new, edit, owner, lambda: next(ids), mirror=owner.proved)


def spans(text: Text) -> list[tuple[int, int, int, int]]:
    """Returns (a0, a1, b0, b1) of every hunk."""
    return [(h.a0, h.a1, h.b0, h.b1) for h in text.hunks]


CLEAN = Text(LINES, LINES, ())
TWO = written(CLEAN, edited((2, 3, [b"two\n"]), (7, 8, [b"seven\n"])), AGENT_A)


def test_an_agents_edit_pends() -> None:
    """Each block of the edit is a hunk, all lines owned by who wrote and deleted them."""
    assert spans(TWO) == [(2, 3, 2, 3), (7, 8, 7, 8)]
    assert [h.owners for h in TWO.hunks] == [(AGENT_A,), (AGENT_A,)]
    assert TWO.base == LINES


def test_an_edit_elsewhere_carries_hunks_unchanged() -> None:
    """An edit above shifts the current side only; ids, generations and owners stay."""
    new = [b"new\n", *TWO.cur]
    after = written(TWO, new, AGENT_B, 100)
    assert spans(after) == [(0, 0, 0, 1), (2, 3, 3, 4), (7, 8, 8, 9)]
    assert [(h.id, h.gen) for h in after.hunks[1:]] == [(h.id, h.gen) for h in TWO.hunks]


def test_an_edit_inside_a_hunk_keeps_its_id_and_raises_its_generation() -> None:
    """The hunk is named as before; what was seen of it is out of date."""
    new = [*TWO.cur[:2], b"TWO\n", *TWO.cur[3:]]
    after = written(TWO, new, AGENT_B, 100)
    assert after.hunks[0].id == TWO.hunks[0].id
    assert after.hunks[0].gen != TWO.hunks[0].gen
    assert after.hunks[1] == TWO.hunks[1]


def test_an_edit_that_spans_hunks_joins_them_under_the_oldest_id() -> None:
    """What became one change is decided as one."""
    new = [*TWO.cur[:2], b"all\n", b"other\n", *TWO.cur[8:]]
    after = written(TWO, new, AGENT_B, 100)
    assert spans(after) == [(2, 8, 2, 4)]
    assert after.hunks[0].id == min(h.id for h in TWO.hunks)


def test_an_edit_in_the_middle_of_a_hunk_may_split_it() -> None:
    """Half of a hunk taken back leaves two hunks, one of them with the known id."""
    one = written(CLEAN, edited((2, 7, [b"A\n", b"B\n", b"C\n", b"D\n", b"E\n"])), AGENT_A)
    after = written(one, edited((2, 4, [b"A\n", b"B\n"]), (5, 7, [b"D\n", b"E\n"])), AGENT_A, 100)
    assert spans(after) == [(2, 4, 2, 4), (5, 7, 5, 7)]
    assert one.hunks[0].id in {h.id for h in after.hunks}


def test_taking_an_edit_back_leaves_no_hunk() -> None:
    """P7 for lines: only the hunk that was reverted goes."""
    after = written(TWO, edited((7, 8, [b"seven\n"])), AGENT_B, 100)
    assert after.hunks == (TWO.hunks[1],)


@pytest.mark.parametrize(
    ("new", "hunks"),
    [
        pytest.param([b"user\n"], [(3, 4, 3, 4), (8, 9, 8, 9)], id="above all"),
        pytest.param([b"user\n", b"more\n"], [(4, 5, 4, 5), (9, 10, 9, 10)], id="two lines"),
    ],
)
def test_a_users_edit_outside_hunks_never_pends(
    new: list[bytes], hunks: list[tuple[int, int, int, int]]
) -> None:
    """Base and current get it alike; hunks shift on both sides."""
    after = written(TWO, [*new, *TWO.cur], USER, 100)
    assert spans(after) == hunks
    assert list(after.base) == [*new, *LINES]


@pytest.mark.parametrize("at", [2, 3])
def test_a_users_insertion_at_the_border_of_a_hunk_is_outside(at: int) -> None:
    """A line typed directly above or below added lines is the user's alone (DESIGN §5.2.3)."""
    new = [*TWO.cur[:at], b"user\n", *TWO.cur[at:]]
    after = written(TWO, new, USER, 100)
    assert len(after.hunks) == 2
    assert b"user\n" in after.base
    assert not any(h.mixed for h in after.hunks)


def test_a_users_edit_inside_a_hunk_makes_it_mixed() -> None:
    """It cannot be told apart any more, so it pends with both owners."""
    one = written(CLEAN, edited((2, 4, [b"A\n", b"B\n", b"C\n"])), AGENT_A)
    new = [*one.cur[:3], b"user\n", *one.cur[3:]]
    after = written(one, new, USER, 100)
    assert [h.mixed for h in after.hunks] == [True]
    assert after.hunks[0].new_owners == (AGENT_A, USER, AGENT_A, AGENT_A)
    assert list(after.base) == LINES


def test_a_users_line_at_a_pure_deletion_joins_it() -> None:
    """Where lines were only deleted, a line typed there is their replacement (DESIGN §5.2.3)."""
    gone = written(CLEAN, edited((4, 6, [])), AGENT_A)
    after = written(gone, edited((4, 6, [b"user\n"])), USER, 100)
    assert spans(after) == [(4, 6, 4, 5)]
    assert after.hunks[0].mixed


def test_a_users_line_behind_an_unterminated_hunk_joins_it() -> None:
    """P10: mirroring it into the base would glue it to the agent's last line."""
    base = [b"a\n", b"b\n"]
    agents = written(Text(base, base, ()), [b"a\n", b"B"], AGENT_A)
    after = written(agents, [b"a\n", b"B\n", b"user\n"], USER, 100)
    assert not glued(after.base)
    assert after.base == base


# --- deciding ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verdict", "base", "cur"),
    [
        ("accept", edited((2, 3, [b"two\n"])), list(TWO.cur)),
        ("reject", LINES, edited((7, 8, [b"seven\n"]))),
    ],
)
def test_a_decision_changes_one_side_and_one_hunk(
    verdict: Verdict, base: list[bytes], cur: list[bytes]
) -> None:
    """Accept moves the base, reject the current side; the other hunk stays."""
    after = decide(TWO, {TWO.hunks[0].id: verdict}, keep_user=True, discard=lambda _: False)
    assert (list(after.base), list(after.cur)) == (base, cur)
    assert after.hunks == (TWO.hunks[1],)


def test_the_other_hunks_only_shift() -> None:
    """P5: a decision on a hunk that changes length moves the later ones, nothing else of them."""
    text = written(CLEAN, edited((2, 3, [b"x\n", b"y\n"]), (7, 8, [b"seven\n"])), AGENT_A)
    rejected = decide(text, {text.hunks[0].id: "reject"}, keep_user=True, discard=lambda _: False)
    assert rejected.hunks == (text.hunks[1].shifted(0, -1),)


def mixed(old: str, new: str) -> tuple[Hunk, list[bytes], list[bytes]]:
    """Returns a hunk and its lines; a capital letter is the user's line, else the agent's."""

    def lines(letters: str) -> list[bytes]:
        return [letter.encode() + b"\n" for letter in letters]

    def owners(letters: str) -> tuple[Owner, ...]:
        return tuple(USER if letter.isupper() else AGENT_A for letter in letters)

    hunk = Hunk(
        id=1,
        gen=1,
        a0=0,
        a1=len(old),
        b0=0,
        b1=len(new),
        old_owners=owners(old),
        new_owners=owners(new),
    )
    return hunk, lines(old), lines(new)


@pytest.mark.parametrize(
    ("old", "new", "left"),
    [
        ("", "aUb", "U"),
        ("x", "aUb", "xU"),
        ("x", "Uab", "Ux"),
        ("x", "abU", "xU"),
        ("xY", "aU", "xU"),
        ("X", "aU", "U"),
        ("xz", "UaV", "UxzV"),
    ],
)
def test_rejecting_a_mixed_hunk_keeps_the_users_lines(old: str, new: str, left: str) -> None:
    """The agent's lines go, what it deleted returns, what the user wrote or deleted stays so."""
    assert without_agents(*mixed(old, new)) == [letter.encode() + b"\n" for letter in left]


def test_a_kept_line_that_moves_off_the_end_gets_its_newline() -> None:
    """P10: restored lines behind the user's unterminated last line are not glued to it."""
    hunk, old, _ = mixed("x", "U")
    assert without_agents(hunk, old, [b"U"]) == [b"U\n", b"x\n"]
