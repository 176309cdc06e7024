"""P1 with git itself: a rendered patch turns the base into what is on disk."""

from __future__ import annotations

import os
import subprocess
import tempfile
from itertools import count
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from unidiff import PatchSet

from agentdiff.core.entries import ABSENT, Entry, File, Link
from agentdiff.core.observing import observe
from agentdiff.core.patch import render
from agentdiff.core.pathstate import PathState, is_line_text
from tests.properties.strategies import AUTHORS, edits, entries, texts

PATHS = [
    b"plain.py",
    b"d/e/deep.txt",
    b"with space/and more",
    b'quo"te\\back',
    b"new\nline\ttab",
    b"\xff\xfe raw",
    "ünï\u2028.md".encode(),
    b"-dash",
    b"a b",
    b"trailing ",
]


@st.composite
def states(draw: st.DrawFn, path: bytes) -> tuple[Entry, PathState | None]:
    """Draws a path's history of up to three writes; returns (what is on disk, what pends)."""
    ids = count(1)
    known: Entry = draw(entries())
    state: PathState | None = None
    for _ in range(draw(st.integers(1, 3))):
        after = draw(entries(known))
        state = observe(state, path, known, after, draw(AUTHORS), lambda: next(ids))
        known = after
    return known, state


@st.composite
def trees(draw: st.DrawFn) -> list[PathState]:
    """Draws what pends in a workspace of all `PATHS`."""
    drawn = [draw(states(path)) for path in PATHS]
    return [state for _, state in drawn if state is not None]


def put(root: Path, path: bytes, entry: Entry) -> None:
    """Makes a path be `entry`."""
    full = os.path.join(os.fsencode(root), path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    match entry:
        case File():
            Path(os.fsdecode(full)).write_bytes(entry.data)
            os.chmod(full, entry.mode)
        case Link():
            os.symlink(entry.target, full)
        case _:
            pass


def found(root: Path, path: bytes) -> tuple[object, ...]:
    """Returns what is at a path, as far as git knows it."""
    full = os.path.join(os.fsencode(root), path)
    if os.path.islink(full):
        return ("link", os.readlink(full))
    if not os.path.lexists(full):
        return ("absent",)
    executable = bool(os.stat(full).st_mode & 0o100)
    return ("file", Path(os.fsdecode(full)).read_bytes(), executable)


def wanted(entry: Entry) -> tuple[object, ...]:
    """Returns an entry in the shape of `found`."""
    match entry:
        case File():
            return ("file", entry.data, entry.executable)
        case Link():
            return ("link", entry.target)
        case _:
            return ("absent",)


def apply(root: Path, patch: bytes, *options: str) -> None:
    """Runs ``git apply`` in a folder that is no repository, with nobody's configuration."""
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(root),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CEILING_DIRECTORIES": str(root.parent),
    }
    done = subprocess.run(
        ["git", "apply", "--whitespace=nowarn", *options, "-"],
        cwd=root,
        env=environ,
        input=patch,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace") + patch.decode(
        errors="replace"
    )


@settings(max_examples=20)
@given(trees())
def test_git_applies_what_is_rendered(pending: list[PathState]) -> None:
    """Bytes, existence, links and the executable bit of every path; and back again in reverse.

    All paths are in one patch: a broken one may not hide behind its neighbours.
    """
    patch = b"".join(render(state) for state in pending)
    if not patch:
        return
    with tempfile.TemporaryDirectory(prefix="ad-") as folder:
        root = Path(folder)
        for state in pending:
            put(root, state.path, state.base)
        apply(root, patch)
        assert {s.path: found(root, s.path) for s in pending} == {
            s.path: wanted(s.cur) for s in pending
        }
        apply(root, patch, "--reverse")
        assert {s.path: found(root, s.path) for s in pending} == {
            s.path: wanted(s.base) for s in pending
        }


@st.composite
def utf8_states(draw: st.DrawFn) -> PathState | None:
    """Draws a text that pends and that is UTF-8 on both sides."""
    ids = count(1)
    clean = texts().map(lambda data: data.replace(b"\xff\xfe", b"\xc3\xbc").replace(b"\r", b""))
    base = draw(clean)
    cur = draw(edits(base)).replace(b"\xff\xfe", b"\xc3\xbc").replace(b"\r", b"")
    before: Entry = draw(st.sampled_from([File(data=base), ABSENT]))
    return observe(None, b"f", before, File(data=cur), draw(AUTHORS), lambda: next(ids))


@given(utf8_states())
def test_unidiff_counts_what_pends(state: PathState | None) -> None:
    """A reader that is not git finds the same added and removed lines."""
    if state is None or not state.hunks:
        return
    assert is_line_text(state.base)
    (parsed,) = PatchSet(render(state).decode())
    added = sum(hunk.b1 - hunk.b0 for hunk in state.hunks)
    removed = sum(hunk.a1 - hunk.a0 for hunk in state.hunks)
    assert (parsed.added, parsed.removed) == (added, removed)
