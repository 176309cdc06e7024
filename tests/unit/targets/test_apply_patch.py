"""Codex' patch grammar; tests/e2e/test_apply_patch.py compares it with the real program."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentdiff.core.chunks import Chunk
from agentdiff.core.events import Target
from agentdiff.errors import MalformedPayload
from agentdiff.targets import apply_patch
from agentdiff.targets.apply_patch import Operation, parse, place, targets_of

WHOLE = b"""\
*** Begin Patch
*** Environment ID: local
*** Add File: new.txt
+one
+
*** Delete File: gone.txt
*** Update File: a.py
*** Move to: b.py
@@ def f():
 keep
-old
+new

@@
-last
*** End of File
*** End Patch
"""

WHAT_IT_SAYS = (
    Operation(action="add", path=b"new.txt", data=b"one\n\n", line=3),
    Operation(action="delete", path=b"gone.txt", line=6),
    Operation(
        action="update",
        path=b"a.py",
        move_to=b"b.py",
        chunks=(
            Chunk(
                anchor=b"def f():",
                old=(b"keep", b"old", b""),
                new=(b"keep", b"new", b""),
                context=((0, 0), (2, 2)),
            ),
            Chunk(old=(b"last",), at_end=True),
        ),
        line=7,
    ),
)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(WHOLE, id="plain"),
        pytest.param(b"\n  " + WHOLE + b"\n\n", id="white space around"),
        pytest.param(b"<<'EOF'\n" + WHOLE + b"EOF\n", id="in a heredoc"),
        pytest.param(WHOLE.replace(b"\n", b"\r\n"), id="CRLF"),
        pytest.param(WHOLE.replace(b"*** Add", b" *** Add"), id="an indented header"),
    ],
)
def test_the_whole_grammar(text: bytes) -> None:
    """Every marker once."""
    assert parse(text) == WHAT_IT_SAYS


def body(text: str) -> bytes:
    """Returns the patch with these lines between its markers."""
    return f"*** Begin Patch\n{text}\n*** End Patch".encode()


def test_a_header_inside_an_update_is_a_line_when_it_is_indented() -> None:
    """Only white space behind a marker is ignored there."""
    text = body("*** Update File: a\n@@\n-x\n *** Delete File: b")
    assert parse(text)[0].chunks[0].old == (b"x", b"*** Delete File: b")


def test_markers_alone_are_a_patch_without_operations() -> None:
    """Codex reads it, and then changes nothing."""
    assert parse(b"*** Begin Patch\n*** End Patch") == ()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "patch: does not start with '*** Begin Patch'"),
        (b"*** Begin Patch", "patch: does not end with '*** End Patch'"),
        (b"<<X\n" + WHOLE + b"X", "patch: does not start with '*** Begin Patch'"),
        (body("*** End Patch\nx"), "patch: does not end with '*** End Patch'"),
        (body("\xff").replace(b"\xc3", b""), "patch: is not UTF-8 at byte 16"),
        (body("x"), "patch line 2: is not the header of a file: 'x'"),
        (body("*** Add File: a\n+b\n\n+c"), "patch line 4: is not the header of a file: ''"),
        (body("*** Add File: "), "patch line 2: is not the header of a file: '*** Add File:'"),
        (body("*** Delete File: a\n+b"), "patch line 3: is not the header of a file: '+b'"),
        (body("*** Update File: a"), "patch line 2: updates nothing in 'a'"),
        (body("*** Update File: a\n@@"), "patch line 4: ends a chunk without lines"),
        (body("*** Update File: a\n@@\n@@ b"), "patch line 4: opens a chunk behind one without"),
        (body("*** Update File: a\n@@\n*** End of File"), "patch line 4: ends the file behind"),
        (body("*** Update File: a\n+b\n*** End of File\n+c"), "patch line 5: follows the end"),
        (body("*** Update File: a\n+b\nc"), "patch line 4: starts with neither blank, + nor -"),
        (body("*** Environment ID: "), "patch line 2: names no environment"),
        (body("*** Environment ID: a\n*** Environment ID: b"), "patch line 3: names a second"),
    ],
)
def test_what_is_no_patch_is_refused_by_line(text: bytes, reason: str) -> None:
    """The error says which line, and what is wrong with it."""
    with pytest.raises(MalformedPayload) as caught:
        parse(text)
    assert str(caught.value).startswith(reason)
    assert targets_of(text, b"/w") == ()


def test_a_huge_patch_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it is decoded."""
    monkeypatch.setattr(apply_patch, "MAX_PATCH_BYTES", 10)
    with pytest.raises(MalformedPayload, match="patch: is more than 10 bytes"):
        parse(WHOLE)


def test_the_targets_of_a_patch_are_absolute() -> None:
    """One for each operation; what is relative needs a working directory."""
    chunks = WHAT_IT_SAYS[2].chunks
    assert targets_of(WHOLE, b"/w/d") == (
        Target(path=b"/w/d/new.txt", action="write", new_text=b"one\n\n"),
        Target(path=b"/w/d/gone.txt", action="delete"),
        Target(path=b"/w/d/a.py", action="move", move_to=b"/w/d/b.py", chunks=chunks),
    )
    assert targets_of(WHOLE, None) == ()


@pytest.mark.parametrize(
    ("path", "where"),
    [
        (b"a", b"/w/a"),
        (b"../a/./b/", b"/a/b"),
        (b"//x", b"/x"),
        (b"t\tab", b"/w/tab"),
        (b"../../..", b"/"),
    ],
)
def test_where_codex_looks_for_a_path(path: bytes, where: bytes) -> None:
    """Dots, doubled slashes and tabs are removed from the text."""
    assert place(path, b"/w") == where


MARKERS = st.sampled_from(
    [*WHOLE.decode().split("\n"), "x", "@@", "*** End of File", "*** Environment ID: ", "\r"]
)


@given(st.one_of(st.binary(), st.lists(MARKERS).map(lambda lines: "\n".join(lines).encode())))
def test_any_text_is_a_patch_or_malformed(text: bytes) -> None:
    """Nothing else is raised, and every update has something to do."""
    try:
        operations = parse(text)
    except MalformedPayload:
        return
    assert all(
        operation.chunks and all(chunk.old or chunk.new for chunk in operation.chunks)
        for operation in operations
        if operation.action == "update"
    )
