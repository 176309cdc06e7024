"""Patches: the exact text of each kind of change, as git itself would write it."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest
from unidiff import PatchSet

from agentdiff.core.entries import ABSENT, Directory, Entry, File, Link, Other
from agentdiff.core.observing import observe
from agentdiff.core.patch import chunks, git_mode, quote, render, unpatchable
from agentdiff.core.pathstate import PathState
from tests.properties.strategies import AGENT_A


def state_of(base: Entry, cur: Entry, path: bytes = b"f") -> PathState:
    """Returns the state after an agent made `cur` of `base`."""
    ids = count(1)
    state = observe(None, path, base, cur, AGENT_A, lambda: next(ids))
    assert state is not None
    return state


A = File(data=b"a\n")
B = File(data=b"b\n")
OID_A = b"78981922613b2afb6025042ff6bd878ac1994e85"
OID_B = b"61780798228d17af2d34fce4cfbdf35556832472"
ZERO = b"0" * 40
EMPTY = b"e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"


@pytest.mark.parametrize(
    ("base", "cur", "patch"),
    [
        pytest.param(
            A,
            B,
            b"diff --git a/f b/f\nindex %s..%s 100644\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n"
            % (OID_A, OID_B),
            id="text",
        ),
        pytest.param(
            ABSENT,
            A,
            b"diff --git a/f b/f\nnew file mode 100644\nindex %s..%s\n--- /dev/null\n+++ b/f\n"
            b"@@ -0,0 +1 @@\n+a\n" % (ZERO, OID_A),
            id="created",
        ),
        pytest.param(
            A,
            ABSENT,
            b"diff --git a/f b/f\ndeleted file mode 100644\nindex %s..%s\n--- a/f\n+++ /dev/null\n"
            b"@@ -1 +0,0 @@\n-a\n" % (OID_A, ZERO),
            id="deleted",
        ),
        pytest.param(
            ABSENT,
            File(data=b""),
            b"diff --git a/f b/f\nnew file mode 100644\nindex %s..%s\n" % (ZERO, EMPTY),
            id="created empty",
        ),
        pytest.param(
            A,
            replace(A, mode=0o755),
            b"diff --git a/f b/f\nold mode 100644\nnew mode 100755\n",
            id="mode",
        ),
        pytest.param(
            A,
            replace(B, mode=0o755),
            b"diff --git a/f b/f\nold mode 100644\nnew mode 100755\nindex %s..%s\n"
            b"--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n" % (OID_A, OID_B),
            id="mode and text",
        ),
        pytest.param(
            A,
            File(data=b"a"),
            b"diff --git a/f b/f\nindex %s..2e65efe2a145dda7ee51d1741299f848e5bf752e 100644\n"
            b"--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+a\n\\ No newline at end of file\n" % OID_A,
            id="final newline",
        ),
        pytest.param(
            ABSENT,
            Link(target=b"t"),
            b"diff --git a/f b/f\nnew file mode 120000\n"
            b"index %s..32f64f4d836716819dc5fa9a1e09a29b428881df\n--- /dev/null\n+++ b/f\n"
            b"@@ -0,0 +1 @@\n+t\n\\ No newline at end of file\n" % ZERO,
            id="link",
        ),
    ],
)
def test_a_patch_is_what_git_writes(base: Entry, cur: Entry, patch: bytes) -> None:
    """Header lines, object ids and hunks, byte for byte as ``git diff --full-index``."""
    assert render(state_of(base, cur)) == patch


def test_a_change_of_type_is_a_deletion_and_a_creation() -> None:
    """As git writes it: one patch cannot change a file's type."""
    lines = render(state_of(A, Link(target=b"t"))).split(b"\n")
    assert [line for line in lines if b"mode" in line] == [
        b"deleted file mode 100644",
        b"new file mode 120000",
    ]


def test_a_binary_change_is_given_in_full() -> None:
    """Both directions, so that the patch can be applied and reversed."""
    lines = render(state_of(File(data=b"\0a"), File(data=b"\0bc"))).split(b"\n")
    assert [line for line in lines if line.startswith((b"GIT", b"literal"))] == [
        b"GIT binary patch",
        b"literal 3",
        b"literal 2",
    ]


def test_a_change_that_git_does_not_know_is_left_out() -> None:
    """0644 → 0600 is one mode to git: a header alone, which ``git apply`` refuses, says nothing."""
    state = state_of(A, replace(A, mode=0o600))
    assert render(state) == b""
    assert unpatchable(state) == "only permission bits differ that git does not keep"


@pytest.mark.parametrize(
    ("base", "cur", "reason"),
    [
        (A, B, None),
        (A, Other(kind="fifo"), "fifo"),
        (Other(kind="oversized: 9 bytes"), A, "oversized: 9 bytes"),
        (A, Directory(), "a directory took the place of a file"),
    ],
)
def test_what_cannot_be_a_patch_says_why(base: Entry, cur: Entry, reason: str | None) -> None:
    """Such a path is skipped by name, not shown half."""
    state = state_of(base, cur)
    assert unpatchable(state) == reason
    assert (render(state) == b"") is (reason is not None)


@pytest.mark.parametrize(
    ("path", "quoted"),
    [
        (b"plain", b"plain"),
        (b"with space", b"with space"),
        (b'quo"te', b'"quo\\"te"'),
        (b"back\\slash", b'"back\\\\slash"'),
        (b"new\nline\ttab", b'"new\\nline\\ttab"'),
        (b"\xc3\xbc\xff", b'"\\303\\274\\377"'),
        (b"\x01\x7f", b'"\\001\\177"'),
    ],
)
def test_names_are_quoted_as_git_quotes_them(path: bytes, quoted: bytes) -> None:
    """C quoting for control characters, quotes, backslashes and everything beyond ASCII."""
    assert quote(path) == quoted


def test_a_name_with_a_space_ends_with_a_tab() -> None:
    """Else a reader takes what follows the space for a timestamp."""
    patch = render(state_of(A, B, b"a b"))
    assert b"--- a/a b\t\n+++ b/a b\t\n" in patch


@pytest.mark.parametrize(
    ("entry", "mode"),
    [
        (File(data=b"", mode=0o600), b"100644"),
        (File(data=b"", mode=0o700), b"100755"),
        (Link(target=b"t"), b"120000"),
    ],
)
def test_git_knows_three_modes(entry: Entry, mode: bytes) -> None:
    """Only the owner's executable bit counts."""
    assert git_mode(entry) == mode


LINES = [b"%d\n" % n for n in range(20)]


def far_and_near(gap: int) -> PathState:
    """Returns a state with two hunks that have `gap` equal lines between them."""
    new = list(LINES)
    new[4] = b"x\n"
    new[5 + gap] = b"y\n"
    return state_of(File(data=b"".join(LINES)), File(data=b"".join(new)))


@pytest.mark.parametrize(("gap", "blocks"), [(1, 1), (6, 1), (7, 2)])
def test_hunks_whose_contexts_meet_share_a_block(gap: int, blocks: int) -> None:
    """Twice three lines of context between them are one block, more are two, as git does."""
    assert len(chunks(far_and_near(gap).text)) == blocks


@pytest.mark.parametrize("gap", [1, 2, 6])
def test_unjoined_hunks_divide_the_lines_between_them(gap: int) -> None:
    """The review shows a block per hunk, and no line twice."""
    found = chunks(far_and_near(gap).text, joined=False)
    assert [len(chunk.hunks) for chunk in found] == [1, 1]
    shown = [row.new for chunk in found for row in chunk.rows if row.kind != "-"]
    assert len(shown) == len(set(shown))


@pytest.mark.parametrize("context", [0, 1, 3, 50])
def test_blocks_show_as_much_context_as_there_is(context: int) -> None:
    """Headers count what is shown; the file's ends cut it short."""
    (first, *_) = chunks(far_and_near(9).text, context)
    assert (first.old_start, first.old_lines) == (
        max(4 - context, 0),
        len([row for row in first.rows if row.kind != "+"]),
    )


def test_a_patch_is_readable_by_others() -> None:
    """``unidiff`` finds the files, the hunks and the counts."""
    patch = (
        render(far_and_near(9)) + render(state_of(ABSENT, A, b"new")) + render(state_of(A, ABSENT))
    )
    parsed = PatchSet(patch.decode())
    assert [(f.path, f.added, f.removed, len(f)) for f in parsed] == [
        ("f", 2, 2, 2),
        ("new", 1, 0, 1),
        ("f", 0, 1, 1),
    ]
