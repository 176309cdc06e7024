"""Two edits of one text become one text, or a conflict that names both."""

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentdiff.core.merge import merge3
from tests.properties.strategies import edits, texts

BASE = b"".join(b"line %d\n" % n for n in range(9))


@pytest.mark.parametrize(
    ("ours", "theirs", "merged"),
    [
        (BASE, BASE, BASE),
        (BASE + b"end\n", BASE, BASE + b"end\n"),
        (BASE, b"top\n" + BASE, b"top\n" + BASE),
        (BASE + b"end\n", b"top\n" + BASE, b"top\n" + BASE + b"end\n"),
        (b"same\n", b"same\n", b"same\n"),
        (BASE.replace(b"line 1\n", b""), BASE + b"x", BASE.replace(b"line 1\n", b"") + b"x"),
    ],
)
def test_edits_apart_are_both_kept(ours: bytes, theirs: bytes, merged: bytes) -> None:
    """Whatever only one side changed is taken from that side."""
    result = merge3(BASE, ours, theirs)
    assert result.clean
    assert result.data == merged


def test_a_conflict_names_both_sides() -> None:
    """Two different edits of one line: nothing is chosen silently."""
    result = merge3(BASE, BASE.replace(b"4", b"four"), BASE.replace(b"4", b"IV"))
    (conflict,) = [piece for piece in result.pieces if piece.conflict]
    assert (conflict.base, conflict.ours, conflict.theirs) == (
        (b"line 4\n",),
        (b"line four\n",),
        (b"line IV\n",),
    )


@st.composite
def _three(draw: st.DrawFn) -> tuple[bytes, bytes, bytes]:
    base = draw(texts())
    return base, draw(edits(base)), draw(edits(base))


@given(_three())
def test_merging_is_sound(three: tuple[bytes, bytes, bytes]) -> None:
    """No edit alone conflicts; sides may be swapped; the pieces are the three texts."""
    base, ours, theirs = three
    assert merge3(base, ours, base).data == ours
    assert merge3(base, base, theirs).data == theirs
    assert merge3(base, ours, ours).data == ours
    merge, swapped = merge3(base, ours, theirs), merge3(base, theirs, ours)
    assert merge.clean == swapped.clean
    if merge.clean:
        assert merge.data == swapped.data
    assert b"".join(line for piece in merge.pieces for line in piece.base) == base
    assert b"".join(line for piece in merge.pieces for line in piece.ours) == ours
    assert b"".join(line for piece in merge.pieces for line in piece.theirs) == theirs


@pytest.mark.skipif(shutil.which("git") is None, reason="no git to compare with")
@pytest.mark.parametrize("apart", range(1, 5))
def test_git_agrees(tmp_path: Path, apart: int) -> None:
    """Edits some lines apart merge as ``git merge-file`` merges them."""
    ours = BASE.replace(b"line 2\n", b"ours\n")
    theirs = BASE.replace(b"line %d\n" % (2 + apart), b"theirs\n")
    for name, data in (("base", BASE), ("ours", ours), ("theirs", theirs)):
        (tmp_path / name).write_bytes(data)
    done = subprocess.run(
        ["git", "merge-file", "-p", "ours", "base", "theirs"], cwd=tmp_path, capture_output=True
    )
    merge = merge3(BASE, ours, theirs)
    assert merge.clean == (done.returncode == 0)
    if merge.clean:
        assert merge.data == done.stdout
