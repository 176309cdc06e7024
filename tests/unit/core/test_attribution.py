"""The attribution ladder, rung by rung (DESIGN §5.5)."""

from __future__ import annotations

import pytest

from agentdiff.core.attribution import announced, resolve
from agentdiff.core.chunks import Chunk
from agentdiff.core.entries import ABSENT, Entry, File, Link
from agentdiff.core.events import Reach, Target
from agentdiff.core.owners import EXTERNAL
from agentdiff.core.records import CallOpened
from agentdiff.core.sessions import Call
from tests.play import Play

BEFORE = File(data=b"one two one")


def call(
    name: str,
    *targets: bytes,
    session: str = "s",
    agent: str = "claude",
    reach: Reach | None = None,
) -> Call:
    """Returns a call: an edit of the targets, or a shell command when there are none."""
    return Call(
        CallOpened(
            agent=agent,
            session=session,
            subagent=None,
            turn="t",
            tool_call=name,
            tool="Edit" if targets else "Bash",
            scope="paths" if targets else "tree",
            targets=targets,
            command=None,
            cwd=b"/w",
            at_ns=1,
            reach=reach,
        )
    )


EDIT = call("edit", b"f")
OTHER_EDIT = call("other edit", b"f")
SHELL = call("shell")
SHELL_TOO = call("shell too")
CODEX_EDIT = call("codex edit", b"f", session="r", agent="codex")
CODEX_SHELL = call("codex shell", session="r", agent="codex")
READ_ELSEWHERE = call("edit of g", b"g")


NAMES_IT = call("names it", reach=Reach(paths=(b"f",), complete=True))
NAMES_IT_TOO = call("names it too", reach=Reach(below=(b"",)), session="r")
NAMES_G = call("names g", reach=Reach(paths=(b"g",), complete=True), session="r")
NAMES_G_AND_MORE = call("names g and more", reach=Reach(paths=(b"g",)), session="r")
READS = call("reads", reach=Reach(complete=True), session="r", agent="codex")


@pytest.mark.parametrize(
    ("windows", "expected"),
    [
        pytest.param([NAMES_IT, NAMES_G], ("agent", "likely", "names it"), id="told apart"),
        pytest.param([NAMES_G, NAMES_IT], ("agent", "likely", "names it"), id="in any order"),
        pytest.param([NAMES_IT, READS], ("agent", "likely", "names it"), id="one only reads"),
        pytest.param([NAMES_IT, SHELL_TOO], ("agent", "likely", "names it"), id="one may do all"),
        pytest.param([SHELL, READS], ("agent", "likely", "shell"), id="a reader has no part"),
        pytest.param([SHELL, NAMES_G], ("agent", "likely", "shell"), id="nor a writer elsewhere"),
        pytest.param(
            [SHELL, NAMES_G_AND_MORE], ("shared", "shared", None), id="unless it may do more"
        ),
        pytest.param([NAMES_IT, NAMES_IT_TOO], ("shared", "shared", None), id="both name it"),
        pytest.param([READS], ("external", "external", None), id="a reader writes nothing"),
        pytest.param([NAMES_G, READS], ("external", "external", None), id="it was none of them"),
        pytest.param([OTHER_EDIT, NAMES_IT], ("agent", "likely", "other edit"), id="an edit first"),
    ],
)
def test_parallel_commands_are_told_apart_by_what_they_name(
    windows: list[Call], expected: tuple[str, str, str | None]
) -> None:
    """Of several open shells the one whose command line names the path has written it."""
    owner = resolve(b"f", BEFORE, ABSENT, windows=windows, tails=[], targets={}, promised={})
    assert (owner.kind, owner.evidence, owner.tool_call) == expected


def test_a_reader_with_a_tail_behind_it() -> None:
    """What an open window cannot have done, a background job may have."""
    owner = resolve(b"f", BEFORE, ABSENT, windows=[READS], tails=[SHELL], targets={}, promised={})
    assert (owner.evidence, owner.tool_call) == ("late", "shell")


@pytest.mark.parametrize(
    ("below", "path", "covered"),
    [(b"", b"f", True), (b"d", b"d/f", True), (b"d", b"d", True), (b"d", b"da", False)],
)
def test_what_lies_below(below: bytes, path: bytes, covered: bool) -> None:
    """An empty path is the whole workspace."""
    assert Reach(below=(below,)).covers(path) == covered


@pytest.mark.parametrize(
    ("windows", "tails", "expected"),
    [
        pytest.param([EDIT], [], ("agent", "exact", "edit"), id="announced content"),
        pytest.param(
            [OTHER_EDIT], [], ("agent", "likely", "other edit"), id="named, other content"
        ),
        pytest.param([EDIT, SHELL], [], ("agent", "exact", "edit"), id="exact beats a shell"),
        pytest.param([EDIT, OTHER_EDIT], [], ("agent", "exact", "edit"), id="exact beats likely"),
        pytest.param([CODEX_SHELL, EDIT], [], ("agent", "exact", "edit"), id="and other agents"),
        pytest.param([OTHER_EDIT, SHELL], [], ("agent", "likely", "other edit"), id="named first"),
        pytest.param([SHELL], [], ("agent", "likely", "shell"), id="one shell"),
        pytest.param([READ_ELSEWHERE], [], ("external", "external", None), id="names another path"),
        pytest.param(
            [READ_ELSEWHERE, SHELL], [], ("agent", "likely", "shell"), id="not in the way"
        ),
        pytest.param([SHELL, SHELL_TOO], [], ("agent", "shared", "shell too"), id="parallel calls"),
        pytest.param([SHELL, CODEX_SHELL], [], ("shared", "shared", None), id="two agents"),
        pytest.param([CODEX_EDIT, OTHER_EDIT], [], ("shared", "shared", None), id="both name it"),
        pytest.param([], [SHELL], ("agent", "late", "shell"), id="tail"),
        pytest.param([SHELL], [CODEX_SHELL], ("agent", "likely", "shell"), id="window beats tail"),
        pytest.param([], [SHELL, CODEX_SHELL], ("shared", "shared", None), id="two tails"),
        pytest.param([], [], ("external", "external", None), id="nothing fits"),
    ],
)
def test_the_first_rung_that_fits_wins(
    windows: list[Call], tails: list[Call], expected: tuple[str, str, str | None]
) -> None:
    """Kind, evidence and call; only `edit` announced the content that is seen."""
    said = {(*EDIT.key, "edit"): {b"f": Target(path=b"f", action="write", new_text=b"new")}}
    after = File(data=b"new", mode=0o755)
    owner = resolve(b"f", BEFORE, after, windows=windows, tails=tails, targets=said, promised={})
    assert (owner.kind, owner.evidence, owner.tool_call) == expected


def test_a_shared_owner_names_its_sessions() -> None:
    """One of them was it; both may filter for it."""
    windows = [SHELL, CODEX_SHELL]
    owner = resolve(b"f", BEFORE, ABSENT, windows=windows, tails=[], targets={}, promised={})
    assert [one.session for one in owner.among] == ["s", "r"]


def test_an_owner_of_parallel_calls_names_them() -> None:
    """Which of them it was is not known: a decision on one must not take it for certain."""
    windows = [SHELL, SHELL_TOO]
    owner = resolve(b"f", BEFORE, ABSENT, windows=windows, tails=[], targets={}, promised={})
    calls = [one.tool_call for one in owner.among]
    assert (calls, owner.tool_call) == (["shell", "shell too"], "shell too")


def test_nothing_that_fits_is_never_the_user() -> None:
    """The weakest answer is `external`."""
    assert resolve(b"f", BEFORE, ABSENT, windows=[], tails=[], targets={}, promised={}) is EXTERNAL


@pytest.mark.parametrize(
    ("before", "target", "content"),
    [
        pytest.param(
            BEFORE, Target(path=b"f", action="write", new_text=b"x"), File(data=b"x"), id="write"
        ),
        pytest.param(BEFORE, Target(path=b"f", action="delete"), ABSENT, id="delete"),
        pytest.param(BEFORE, Target(path=b"f", action="move", move_to=b"g"), ABSENT, id="move"),
        pytest.param(BEFORE, Target(path=b"f", action="read"), None, id="read"),
        pytest.param(
            BEFORE,
            Target(path=b"f", action="edit", old_text=b"one", new_text=b"1"),
            File(data=b"1 two one"),
            id="first occurrence",
        ),
        pytest.param(
            BEFORE,
            Target(path=b"f", action="edit", old_text=b"one", new_text=b"1", replace_all=True),
            File(data=b"1 two 1"),
            id="every occurrence",
        ),
        pytest.param(
            BEFORE,
            Target(path=b"f", action="edit", old_text=b"gone", new_text=b"1"),
            None,
            id="old text is not there",
        ),
        pytest.param(
            ABSENT,
            Target(path=b"f", action="edit", old_text=b"", new_text=b"new"),
            File(data=b"new"),
            id="creates",
        ),
        pytest.param(
            BEFORE,
            Target(path=b"f", action="edit", old_text=b"", new_text=b"new"),
            None,
            id="empty old text in a file",
        ),
        pytest.param(
            BEFORE,
            Target(path=b"f", action="edit", chunks=(Chunk(old=(b"one two one ",), new=(b"x",)),)),
            File(data=b"x\n"),
            id="a patch, as tolerantly as Codex",
        ),
        pytest.param(
            BEFORE,
            Target(path=b"f", action="edit", chunks=(Chunk(old=(b"gone",)),)),
            None,
            id="a patch that does not fit",
        ),
        pytest.param(
            Link(target=b"t"),
            Target(path=b"f", action="edit", old_text=b"a", new_text=b"b"),
            None,
            id="not a file",
        ),
    ],
)
def test_what_a_call_announced(before: Entry, target: Target, content: Entry | None) -> None:
    """The whole content after the call, None where the payload does not tell."""
    assert announced(before, target) == content


def test_a_write_that_is_seen_half_done_is_what_was_announced() -> None:
    """Programs truncate and then write; an edit is measured by what was there before that."""
    play = Play(disk={b"f": File(data=b"one\ntwo\n")})
    play.prompt("claude", "s")
    edit = Target(path=b"f", action="edit", old_text=b"two", new_text=b"2")
    started = play.start("claude", "s", edit)
    for seen in (b"", b"one\n", b"one\n2\n"):
        play.put(b"f", File(data=seen))
        play.cut()
    play.finish(started)
    assert play.owners(b"f") == [("agent", "s", "exact")]
