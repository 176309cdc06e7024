"""What was put aside, and when it comes back."""

from agentdiff.core.entries import File, git_blob_oid
from agentdiff.core.events import GitMoved, Selection
from tests.play import Play

BASE, AGENTS = File(data=b"a\nb\nc\n"), File(data=b"a\nX\nc\n")
CLAUDE = ("claude", "A")
SECOND_NS = 1_000_000_000


def moved(play: Play, entry: File, label: str) -> None:
    """Lets git put a content into the work tree, as a person's command."""
    play.put(b"f", entry)
    contents: dict[bytes, str | None] = {b"f": git_blob_oid(entry.data)}
    popped = label == "stash"
    now = play.tick()
    play.handle(GitMoved(label=label, contents=contents, received_ns=now, popped=popped))
    play.cut()


def stashed_and_popped() -> Play:
    """An agent's change that was stashed and came back."""
    play = Play(disk={b"f": BASE})
    play.attach()
    play.prompt(*CLAUDE)
    play.write(*CLAUDE, b"f", AGENTS.data)
    play.end(*CLAUDE)
    play.now += 60 * SECOND_NS
    moved(play, BASE, "stash")
    assert not play.pending()
    moved(play, AGENTS, "stash")
    assert play.owners(b"f") == [("agent", "A", "exact")]
    return play


def test_what_was_accepted_does_not_pend_again() -> None:
    """Accepted, committed, another branch and back: it is the user's history by now."""
    play = stashed_and_popped()
    play.decide("accept", Selection())
    for crash in (False, True):
        if crash:
            play.restart(play.reload())
            play.attach()
        moved(play, BASE, "checkout")
        moved(play, AGENTS, "checkout")
        assert not play.pending()


def test_another_decision_on_the_path_leaves_it_aside() -> None:
    """The agent's stashed change comes back as the agent's after another one was accepted."""
    play = stashed_and_popped()
    moved(play, BASE, "stash")
    play.prompt(*CLAUDE)
    play.write(*CLAUDE, b"f", b"a\nb\nc\nd\n")
    play.end(*CLAUDE)
    play.now += 60 * SECOND_NS
    play.decide("accept", Selection())
    for crash in (False, True):
        if crash:
            play.restart(play.reload())
            play.attach()
        moved(play, File(data=b"a\nX\nc\nd\n"), "stash")
        assert play.owners(b"f") == [("agent", "A", "exact")]
        moved(play, File(data=b"a\nb\nc\nd\n"), "stash")
        assert not play.pending()


def test_what_another_commit_holds_by_chance_is_the_commits() -> None:
    """A line was put aside on a checkout; the next commit consists of just such a line."""
    play = Play(disk={b"f": BASE})
    play.attach()
    play.put(b"f", File(data=b"X\na\nb\nc\n"))
    play.cut()
    play.now += 60 * SECOND_NS
    moved(play, File(data=b""), "checkout")
    assert not play.pending()
    play.now += 60 * SECOND_NS
    moved(play, File(data=b"X\n"), "checkout")
    assert not play.pending()
    assert play.base(b"f") == File(data=b"X\n")
