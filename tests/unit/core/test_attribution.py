"""The attribution ladder, rung by rung (DESIGN §5.5)."""

from __future__ import annotations

import pytest

from agentdiff.core.attribution import announced, resolve
from agentdiff.core.chunks import Chunk
from agentdiff.core.entries import ABSENT, Entry, File, Link
from agentdiff.core.events import Target
from agentdiff.core.owners import EXTERNAL
from agentdiff.core.records import CallOpened
from agentdiff.core.sessions import Call

BEFORE = File(data=b"one two one")


def call(name: str, *targets: bytes, session: str = "s", agent: str = "claude") -> Call:
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
        )
    )


EDIT = call("edit", b"f")
OTHER_EDIT = call("other edit", b"f")
SHELL = call("shell")
SHELL_TOO = call("shell too")
CODEX_EDIT = call("codex edit", b"f", session="r", agent="codex")
CODEX_SHELL = call("codex shell", session="r", agent="codex")
READ_ELSEWHERE = call("edit of g", b"g")


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
    owner = resolve(b"f", BEFORE, after, windows=windows, tails=tails, targets=said)
    assert (owner.kind, owner.evidence, owner.tool_call) == expected


def test_a_shared_owner_names_its_sessions() -> None:
    """One of them was it; both may filter for it."""
    windows = [SHELL, CODEX_SHELL]
    owner = resolve(b"f", BEFORE, ABSENT, windows=windows, tails=[], targets={})
    assert owner.among == ("s", "r")


def test_nothing_that_fits_is_never_the_user() -> None:
    """The weakest answer is `external`."""
    assert resolve(b"f", BEFORE, ABSENT, windows=[], tails=[], targets={}) is EXTERNAL


@pytest.mark.parametrize(
    ("before", "target", "content"),
    [
        pytest.param(
            BEFORE, Target(path=b"f", action="write", new_text=b"x"), File(data=b"x"), id="write"
        ),
        pytest.param(BEFORE, Target(path=b"f", action="delete"), ABSENT, id="delete"),
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
