"""What a decision picks, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from agentdiff.core.entries import ABSENT, File, Other
from agentdiff.core.events import FileObserved, HunkPick, Selection
from tests.play import Play

F, G, D = b"f", b"g", b"d/e"
BASE = b"1\n2\n3\n4\n5\n6\n7\n8\n9\n"
ALL = Selection(everything=True)


def lines(**changed: str) -> bytes:
    """Returns `BASE` with lines replaced: ``l3="x"``."""
    out = BASE.split(b"\n")
    for name, text in changed.items():
        out[int(name[1:]) - 1] = text.encode()
    return b"\n".join(out)


@pytest.fixture
def play() -> Play:
    """Claude changed line 2 of three files, Codex line 8 of `F`, a stranger `G`'s line 5."""
    found = Play(disk={path: File(data=BASE) for path in (F, G, D)})
    found.prompt("claude", "s", turn="t1")
    found.prompt("codex", "r", turn="t2")
    found.put(G, File(data=lines(l5="stranger")))
    found.cut()
    two = File(data=lines(l2="claude"))
    found.run("claude", "s", {F: two, G: File(data=lines(l2="claude", l5="stranger")), D: two})
    found.run("codex", "r", {F: File(data=lines(l2="claude", l8="codex"))})
    return found


def disk(play: Play, path: bytes) -> bytes:
    """Returns the bytes on disk."""
    entry = play.disk[path]
    assert isinstance(entry, File)
    return entry.data


def hunk(play: Play, path: bytes, n: int = 0) -> HunkPick:
    """Returns a pick of a path's n-th change, as it is now."""
    change = play.ids(path)[n]
    return HunkPick(hunk=change, gen=play.ledger.paths[path].changes()[change].gen)


def test_the_fixture_is_what_it_says(play: Play) -> None:
    """Two hunks in `F` and `G`, one in `D`."""
    assert {path: len(play.ids(path)) for path in (F, G, D)} == {F: 2, G: 2, D: 1}


def test_accept_all_leaves_the_disk_alone(play: Play) -> None:
    """P2."""
    before = dict(play.disk)
    play.decide("accept", ALL)
    assert (play.pending(), play.disk) == ({}, before)


@pytest.mark.parametrize(("named", "left"), [(False, lines(l5="stranger")), (True, BASE)])
def test_reject_all_spares_what_no_agent_wrote(play: Play, named: bool, left: bytes) -> None:
    """P3; bulk rejects cover external changes only when they are named (DESIGN §5.3)."""
    play.decide("reject", Selection(everything=True, include_external=named))
    assert [disk(play, path) for path in (F, G, D)] == [BASE, left, BASE]


def entangle(play: Play, path: bytes, *, created: bool) -> bytes:
    """Lets a stranger write a line and Claude the one below it: returns what is on disk then."""
    stranger = b"mine\n" if created else lines(l5="mine")
    both = b"mine\nclaude\n" if created else lines(l5="mine", l6="claude")
    play.put(path, File(data=stranger))
    play.cut()
    play.run("claude", "s", {path: File(data=both)})
    assert len(play.ids(path)) == 1
    return both


STRANGERS = (
    "lines of git's or of nobody known are entangled with it: "
    "decide it by its hunk or file, or name what is external, too"
)


@pytest.mark.parametrize("created", [True, False])
def test_a_bulk_reject_refuses_what_is_entangled_with_a_strangers_lines(created: bool) -> None:
    """They are outside of it, and would go with the agent's: it is listed, and stays."""
    play = Play(disk={} if created else {F: File(data=BASE)})
    play.prompt("claude", "s")
    both = entangle(play, F, created=created)
    answer = play.decide("reject", ALL)
    assert [(one["path"], one["reason"]) for one in answer["refused"]] == [("f", STRANGERS)]
    assert (answer["done"], disk(play, F), F in play.pending()) == ([], both, True)


@pytest.mark.parametrize(
    "selection", [Selection(everything=True, include_external=True), Selection(paths=(F,)), "pick"]
)
def test_what_is_entangled_with_a_strangers_lines_can_be_named(selection: Selection | str) -> None:
    """By ``--external``, its file or its hunk: then nobody is surprised."""
    play = Play(disk={F: File(data=BASE)})
    play.prompt("claude", "s")
    entangle(play, F, created=False)
    if isinstance(selection, str):
        selection = Selection(picks=(hunk(play, F),))
    answer = play.decide("reject", selection)
    assert (answer["refused"], disk(play, F)) == ([], BASE)


def test_a_bulk_accept_covers_what_is_entangled_with_a_strangers_lines() -> None:
    """It touches no disk."""
    play = Play(disk={F: File(data=BASE)})
    play.prompt("claude", "s")
    both = entangle(play, F, created=False)
    assert play.decide("accept", ALL)["refused"] == []
    assert (play.pending(), disk(play, F)) == ({}, both)


@pytest.mark.parametrize("selection", [Selection(paths=(G,)), "pick"])
def test_a_stranger_is_rejected_where_it_is_named(play: Play, selection: Selection | str) -> None:
    """By its path or its hunk: that is no bulk."""
    if isinstance(selection, str):
        selection = Selection(picks=(hunk(play, G), hunk(play, G, 1)))
    play.decide("reject", selection)
    assert disk(play, G) == BASE


def test_a_path_names_everything_below_it(play: Play) -> None:
    """A folder is a path too."""
    play.decide("reject", Selection(paths=(b"d",)))
    assert (disk(play, D), D in play.pending()) == (BASE, False)


def test_a_prefix_is_no_folder(play: Play) -> None:
    """``d`` is not the parent of ``de``."""
    play.run("claude", "s", {b"de": File(data=b"x")})
    play.decide("accept", Selection(paths=(b"d",)))
    assert b"de" in play.pending()


def test_a_path_where_nothing_pends_is_refused_by_name(play: Play) -> None:
    """The others are decided all the same."""
    answer = play.decide("accept", Selection(paths=(b"nope", D)))
    assert [(r["path"], r["reason"]) for r in answer["refused"]] == [
        ("nope", "nothing pends there")
    ]
    assert [one["path"] for one in answer["done"]] == ["d/e"]


def test_one_hunk_is_decided_alone(play: Play) -> None:
    """P5: the other hunk of the file stays as it is."""
    kept = play.ledger.paths[F].hunks[1]
    play.decide("reject", Selection(picks=(hunk(play, F),)))
    assert disk(play, F) == lines(l8="codex")
    assert play.ledger.paths[F].hunks == (kept,)


def test_lines_of_a_hunk_are_decided_alone(play: Play) -> None:
    """A range splits the hunk first."""
    play.run("claude", "s", {D: File(data=lines(l2="a", l3="b", l4="c"))})
    pick = HunkPick(hunk=play.ids(D)[0], old=(1, 2), new=(1, 2))
    play.decide("reject", Selection(picks=(pick,)))
    assert disk(play, D) == lines(l2="a", l4="c")
    assert len(play.ids(D)) == 2


@pytest.mark.parametrize("op", ["accept", "reject"])
def test_a_hunk_that_changed_since_it_was_shown_is_refused(play: Play, op: str) -> None:
    """``id@gen`` says what was seen; the message says what is there."""
    old = hunk(play, F)
    play.run("claude", "s", {F: File(data=lines(l2="again", l8="codex"))})
    answer = play.decide(op, Selection(picks=(old,)))
    (refused,) = answer["refused"]
    now = hunk(play, F)
    assert refused["reason"] == (
        f"hunk {old.hunk} changed since it was shown (now {now.hunk}@{now.gen}): look again"
    )
    assert answer["done"] == []


def test_a_hunk_without_generation_is_decided_as_it_is(play: Play) -> None:
    """The state when the command started (DESIGN §5.1)."""
    old = hunk(play, F)
    play.run("claude", "s", {F: File(data=lines(l2="again", l8="codex"))})
    play.decide("reject", Selection(picks=(HunkPick(hunk=old.hunk),)))
    assert disk(play, F) == lines(l8="codex")


def test_a_hunk_that_moved_is_still_the_same(play: Play) -> None:
    """An edit above does not raise its generation: what was seen can be decided."""
    seen = hunk(play, F, 1)
    play.run("claude", "s", {F: File(data=b"new\n" + lines(l2="claude", l8="codex"))})
    answer = play.decide("reject", Selection(picks=(seen,)))
    assert (answer["refused"], disk(play, F)) == ([], b"new\n" + lines(l2="claude"))


def test_an_unknown_hunk_is_refused(play: Play) -> None:
    """It was decided already, or its text changed back."""
    answer = play.decide("accept", Selection(picks=(HunkPick(hunk=9999),)))
    assert [r["hunk"] for r in answer["refused"]] == [9999]


@pytest.mark.parametrize(
    ("selection", "left"),
    [
        pytest.param({"agent": "codex"}, lines(l2="claude"), id="agent"),
        pytest.param({"session": "r"}, lines(l2="claude"), id="session"),
        pytest.param({"turn": "t2"}, lines(l2="claude"), id="turn"),
        pytest.param({"agent": "claude"}, lines(l8="codex"), id="the other agent"),
        pytest.param({"agent": "claude", "turn": "t2"}, lines(l2="claude", l8="codex"), id="none"),
    ],
)
def test_a_decision_may_be_restricted_to_an_owner(
    play: Play, selection: dict[str, Any], left: bytes
) -> None:
    """P8: with disjoint owners, everything of the others stays."""
    play.decide("reject", Selection(paths=(F,), **selection))
    assert disk(play, F) == left


def test_a_decision_may_be_restricted_to_a_tool_call(play: Play) -> None:
    """P8: what the same agent wrote in another call stays."""
    play.run("claude", "s", {F: File(data=lines(l2="claude", l5="again", l8="codex"))})
    play.decide("reject", Selection(everything=True, calls=(f"claude-{play.calls}",)))
    assert disk(play, F) == lines(l2="claude", l8="codex")
    answer = play.decide("reject", Selection(everything=True, calls=("claude-1",)))
    assert sorted(one["path"] for one in answer["done"]) == ["d/e", "f", "g"]
    assert disk(play, F) == lines(l8="codex")


@pytest.mark.parametrize("chosen", [{"turn": "t1"}, {"calls": ("claude-1",)}])
@pytest.mark.parametrize("op", ["accept", "reject"])
def test_a_name_that_two_sessions_have_decides_nothing(
    play: Play, op: str, chosen: dict[str, Any]
) -> None:
    """What is meant is not known: whose it may be is named, and with one of them it is done."""
    play.calls = 0
    play.prompt("claude", "s2", turn="t1")
    play.run("claude", "s2", {b"new": File(data=b"x\n")})
    before = dict(play.disk)
    answer = play.decide(op, Selection(everything=True, **chosen))
    (refused,) = answer["refused"]
    assert "may be that of claude s, claude s2" in refused["reason"]
    assert (answer["done"], answer["decision"], play.disk) == ([], None, before)
    answer = play.decide(op, Selection(everything=True, session="s2", **chosen))
    assert [one["path"] for one in answer["done"]] == ["new"]


def test_entangled_lines_are_refused_for_one_owner(play: Play) -> None:
    """Codex changed what Claude had changed: neither can be rejected alone (DESIGN §5.3)."""
    play.run("codex", "r", {D: File(data=lines(l2="claude", l3="codex"))})
    assert len(play.ids(D)) == 1
    answer = play.decide("reject", Selection(paths=(D,), agent="claude"))
    assert [r["reason"] for r in answer["refused"]] == [
        "lines of somebody else are entangled with it: decide it by its hunk"
    ]
    assert disk(play, D) == lines(l2="claude", l3="codex")


def test_entangled_lines_can_be_accepted_for_one_owner(play: Play) -> None:
    """Accepting touches no disk and loses nothing."""
    play.run("codex", "r", {D: File(data=lines(l2="claude", l3="codex"))})
    answer = play.decide("accept", Selection(paths=(D,), agent="claude"))
    assert (answer["refused"], D in play.pending()) == ([], False)


def at_once(play: Play, *sessions: tuple[str, str]) -> None:
    """Lets calls of several sessions run while `D` gets a line: it may be any of theirs."""
    started = [play.start(agent, session) for agent, session in sessions]
    play.put(D, File(data=lines(l2="claude", l8="somebody")))
    for one in started:
        play.finish(one)
    assert play.owners(D)[1:] == [("shared", None, "shared")]


@pytest.mark.parametrize(
    "chosen", [{"session": "s"}, {"agent": "claude"}, {"session": "r"}, {"agent": "codex"}]
)
def test_lines_that_may_be_somebody_elses_are_refused_for_one_owner(
    play: Play, chosen: dict[str, str]
) -> None:
    """P8: what is shared may be the other's; it is listed, and stays (DESIGN §5.3)."""
    at_once(play, ("claude", "s"), ("codex", "r"))
    answer = play.decide("reject", Selection(paths=(D,), **chosen))  # type: ignore[arg-type]
    assert [one["reason"] for one in answer["refused"]] == [
        "lines of it may be somebody else's (several calls were at work): decide it by its hunk"
    ]
    assert b"somebody" in disk(play, D)


def test_lines_that_can_only_be_the_chosen_ones_are_rejected(play: Play) -> None:
    """Two sessions of one agent: by that agent it is known well enough, by a session it is not."""
    play.prompt("claude", "s2", turn="t3")
    at_once(play, ("claude", "s"), ("claude", "s2"))
    assert len(play.decide("reject", Selection(paths=(D,), session="s2"))["refused"]) == 1
    assert play.decide("reject", Selection(paths=(D,), agent="claude"))["refused"] == []
    assert disk(play, D) == BASE


def test_both_who_may_have_written_it_are_told_why(play: Play) -> None:
    """Each by agent and session: when a session is over, the agent's next one is told."""
    at_once(play, ("claude", "s"), ("codex", "r"))
    play.decide("reject", Selection(picks=(hunk(play, D, 1),)), reason="no")
    notes = play.ledger.feedback.waiting
    assert [(note.to, note.text) for note in notes] == [
        (("claude", "s"), "no"),
        (("codex", "r"), "no"),
    ]


def test_shared_lines_can_be_accepted_for_one_owner(play: Play) -> None:
    """Accepting touches no disk and loses nothing."""
    at_once(play, ("claude", "s"), ("codex", "r"))
    answer = play.decide("accept", Selection(paths=(D,), session="r"))
    assert (answer["refused"], len(play.ids(D))) == ([], 1)


def test_lines_of_parallel_calls_are_refused_for_one_of_them(play: Play) -> None:
    """Of one session it is known, of one of its calls it is not."""
    first, second = play.start("claude", "s"), play.start("claude", "s")
    play.put(D, File(data=lines(l2="claude", l8="parallel")))
    play.finish(first)
    play.finish(second)
    calls = (first.tool_call, second.tool_call)
    for one in calls:
        answer = play.decide("reject", Selection(paths=(D,), session="s", calls=(one,)))
        assert ([*answer["done"]], len(answer["refused"])) == ([], 1)
    assert play.decide("reject", Selection(paths=(D,), session="s", calls=calls))["refused"] == []
    assert disk(play, D) == lines(l2="claude")


def test_a_path_that_moved_on_stays_pending(play: Play) -> None:
    """Accept-all carries the state that was seen (DESIGN §5.3)."""
    seen = play.ledger.seq
    play.run("claude", "s", {D: File(data=lines(l2="again"))})
    answer = play.decide("accept", Selection(everything=True, seen=seen))
    assert (answer["moved_on"], list(play.pending())) == (["d/e"], [D])


def test_a_reject_without_a_base_is_refused(play: Play) -> None:
    """The reason is the coverage; accepting is possible."""
    before = Other(kind="oversized: 99 bytes")
    play.handle(FileObserved(path=b"big", before=before, after=ABSENT, received_ns=play.tick()))
    answer = play.decide("reject", Selection(paths=(b"big",)))
    assert "oversized: 99 bytes" in answer["refused"][0]["reason"]
    assert play.decide("accept", Selection(paths=(b"big",)))["refused"] == []


def test_nothing_to_do_is_no_decision(play: Play) -> None:
    """Nothing is logged, and there is nothing to undo."""
    play.decide("accept", Selection(everything=True, include_external=True))
    seq = play.ledger.seq
    answer = play.decide("reject", ALL)
    assert (answer["decision"], answer["done"], answer["refused"]) == (None, [], [])
    assert play.ledger.seq == seq


def test_the_reason_is_logged_with_the_decision(play: Play) -> None:
    """It is what the agent will be told."""
    answer = play.decide("reject", Selection(paths=(D,)), reason="wrong file")
    made = play.reload().decisions[answer["decision"]]
    assert (made.op, made.reason) == ("reject", "wrong file")


@pytest.mark.parametrize(("discard", "left"), [(False, lines(l4="4\nuser")), (True, BASE)])
def test_the_users_lines_in_a_mixed_hunk_are_kept_unless_discarded(
    play: Play, discard: bool, left: bytes
) -> None:
    """DESIGN §5.3: ``--discard-user`` is explicit."""
    play.run("claude", "s", {D: File(data=lines(l2="a", l3="b", l4="c"))})
    mixed = lines(l2="a", l3="user", l4="c")
    play.save(D, mixed, File(data=mixed))
    assert play.ledger.paths[D].hunks[0].mixed
    play.decide("reject", Selection(paths=(D,)), discard_user=discard)
    assert disk(play, D) == left


@pytest.mark.parametrize("created", [False, True])
def test_a_hunk_that_became_the_users_altogether_keeps_its_lines(play: Play, created: bool) -> None:
    """They typed over every line of the agent's: what is theirs is theirs, hunk or not."""
    path = b"new" if created else D
    play.run("claude", "s", {path: File(data=b"agent\n" if created else lines(l2="a"))})
    typed = b"user\n" if created else lines(l2="user")
    play.save(path, typed, File(data=typed))
    play.decide("reject", Selection(everything=True, include_external=True))
    assert disk(play, path) == (typed if created else lines(l2="user\n2"))
    assert play.pending() == {}


@pytest.mark.parametrize("op", ["accept", "reject"])
@pytest.mark.parametrize("created", [True, False])
def test_a_piece_of_a_created_or_deleted_file_is_decided_alone(op: str, created: bool) -> None:
    """P5: lines between them were decided before; what is left is two hunks, not one file."""
    text = b"1\n2\n3\n4\n5\n"
    before, after = (ABSENT, File(data=text)) if created else (File(data=text), ABSENT)
    play = Play(disk={} if created else {F: before})
    play.prompt("claude", "s")
    play.run("claude", "s", {F: after})
    middle, nothing = (2, 3), (0, 0)
    old, new = (nothing, middle) if created else (middle, nothing)
    play.decide("reject" if created else "accept", Selection(picks=(_part(play, old, new),)))
    first, second = play.ledger.paths[F].hunks
    play.decide(op, Selection(picks=(HunkPick(hunk=first.id, gen=first.gen),)))
    (left,) = play.ledger.paths[F].hunks
    assert (left.id, left.gen) == (second.id, second.gen)
    kept = b"1\n2\n4\n5\n" if op == "accept" else b"4\n5\n"
    if not created:
        kept = b"" if op == "accept" else b"1\n2\n"
    assert play.disk.get(F, ABSENT) == (File(data=kept) if kept else ABSENT)


def _part(play: Play, old: tuple[int, int], new: tuple[int, int]) -> HunkPick:
    return HunkPick(hunk=play.ids(F)[0], old=old, new=new)


def test_a_piece_of_a_created_file_takes_no_line_of_the_users_along(play: Play) -> None:
    """They typed into the other piece: a reject of this one does not remove the file."""
    play.run("claude", "s", {b"new": File(data=b"1\n2\n3\n4\n5\n")})
    typed = b"1\n2\n3\n4\nuser\n5\n"
    play.save(b"new", typed, File(data=typed))
    (one,) = play.ids(b"new")
    play.decide("reject", Selection(picks=(HunkPick(hunk=one, old=(0, 0), new=(2, 3)),)))
    first = play.ledger.paths[b"new"].hunks[0]
    play.decide("reject", Selection(picks=(HunkPick(hunk=first.id),)))
    assert disk(play, b"new") == b"4\nuser\n5\n"


def test_two_selections_of_one_hunk_are_decided_together(play: Play) -> None:
    """None of them is dropped, and what lies between stays."""
    play.run("claude", "s", {D: File(data=lines(l2="a", l3="b", l4="c"))})
    (one,) = play.ids(D)
    picks = tuple(HunkPick(hunk=one, old=span, new=span) for span in ((2, 3), (0, 1)))
    answer = play.decide("reject", Selection(picks=picks))
    assert (answer["refused"], disk(play, D)) == ([], lines(l3="b"))


def test_a_selection_beside_the_whole_hunk_is_in_it(play: Play) -> None:
    """In whichever order they are named."""
    play.run("claude", "s", {D: File(data=lines(l2="a", l3="b", l4="c"))})
    (one,) = play.ids(D)
    picks = (HunkPick(hunk=one), HunkPick(hunk=one, old=(0, 1), new=(0, 1)))
    play.decide("reject", Selection(picks=picks))
    assert disk(play, D) == BASE


def test_selections_that_cross_are_refused(play: Play) -> None:
    """More than was selected would be decided."""
    play.run("claude", "s", {D: File(data=lines(l2="a", l3="b", l4="c"))})
    (one,) = play.ids(D)
    spans = (((0, 1), (2, 3)), ((2, 3), (0, 1)))
    picks = tuple(HunkPick(hunk=one, old=old, new=new) for old, new in spans)
    answer = play.decide("reject", Selection(picks=picks))
    assert [one["reason"] for one in answer["refused"]] == [
        f"selections of hunk {one} cross: decide them one after another"
    ]
    assert (answer["done"], answer["decision"]) == ([], None)


@pytest.mark.parametrize("op", ["accept", "reject"])
@pytest.mark.parametrize(
    ("after", "span", "reason"),
    [
        (
            File(data=b"\0binary"),
            (0, 1),
            "change {} has no lines to choose from: decide all of it",
        ),
        (
            File(data=b"a\nb\n"),
            (2, 4),
            "none of the lines of hunk {} is selected: it has 0 old and 2 new lines",
        ),
    ],
)
def test_a_selection_in_which_there_is_nothing_is_refused(
    op: str, after: File, span: tuple[int, int], reason: str
) -> None:
    """Nothing is answered as done, or logged, when nothing happens."""
    play = Play()
    play.prompt("claude", "s")
    play.run("claude", "s", {F: after})
    (one,) = play.ids(F)
    seq = play.ledger.seq
    answer = play.decide(op, Selection(picks=(HunkPick(hunk=one, old=(0, 0), new=span),)))
    assert [(r["path"], r["reason"]) for r in answer["refused"]] == [("f", reason.format(one))]
    assert (answer["done"], answer["decision"], play.ledger.seq) == ([], None, seq)
