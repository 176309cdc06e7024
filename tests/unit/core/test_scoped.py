"""A diff of one owner is a patch of that owner's changes, and of nothing else."""

import pytest

from agentdiff.core import view
from agentdiff.core.entries import ABSENT, Entry, File
from agentdiff.core.events import Selection
from tests.play import Play

LINES = [b"line %d\n" % n for n in range(40)]
TEXT = File(data=b"".join(LINES))


def _with(*changes: tuple[int, bytes], mode: int = 0o644) -> File:
    lines = list(LINES)
    for at, line in changes:
        lines[at] = line
    return File(data=b"".join(lines), mode=mode)


@pytest.fixture
def play() -> Play:
    """Two agents and a stranger changed one file, one of them its mode, too."""
    play = Play(disk={b"a": TEXT})
    play.attach()
    play.prompt("claude", "A")
    play.prompt("codex", "B")
    play.run("claude", "A", {b"a": _with((3, b"A\n"))})
    play.run("codex", "B", {b"a": _with((3, b"A\n"), (20, b"B\n"), mode=0o755)})
    play.end("claude", "A")
    play.end("codex", "B")
    play.now += 11_000_000_000
    play.put(b"a", _with((3, b"A\n"), (20, b"B\n"), (30, b"?\n"), mode=0o755))
    play.cut()
    return play


@pytest.mark.parametrize(
    ("selection", "external", "shown"),
    [
        (Selection(agent="claude"), False, _with((3, b"A\n"))),
        (Selection(session="B"), False, _with((20, b"B\n"), mode=0o755)),
        (Selection(), False, _with((3, b"A\n"), (20, b"B\n"), mode=0o755)),
        (Selection(), True, _with((3, b"A\n"), (20, b"B\n"), (30, b"?\n"), mode=0o755)),
        (
            Selection(paths=(b"a",)),
            False,
            _with((3, b"A\n"), (20, b"B\n"), (30, b"?\n"), mode=0o755),
        ),
    ],
)
def test_only_what_is_asked_for(
    play: Play, selection: Selection, external: bool, shown: File
) -> None:
    """The rest is as in the base."""
    (state,) = view.selected(play.ledger, selection, external=external)
    scoped = view.scoped(state, selection, external=external)
    assert (scoped.base, scoped.cur) == (TEXT, shown)


@pytest.mark.parametrize(("before", "after"), [(None, TEXT), (TEXT, ABSENT)])
def test_whole_changes_are_shown_whole(before: File | None, after: Entry) -> None:
    """There is no half of a creation."""
    play = Play(disk={} if before is None else {b"a": before})
    play.prompt("claude", "A")
    play.run("claude", "A", {b"a": after})
    state = play.ledger.paths[b"a"]
    assert view.scoped(state, Selection(agent="claude"), external=False) == state
