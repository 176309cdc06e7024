"""One commit as one command of an agent, checked against git in every respect.

Our patch applied to the old tree gives the new tree; the paths are those of ``git diff
--name-status --no-renames``; reject-all and accept-all are exact to the byte.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agentdiff.core import patch, view
from agentdiff.core.entries import ABSENT, Entry, File, Link
from agentdiff.core.events import Selection
from agentdiff.core.pathstate import check
from tests.play import Play

EVERYTHING = Selection(everything=True, include_external=True)
_AGENTS = (("claude", "s"), ("codex", "r"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """What a commit changed: path → entry on both sides, for every path that differs."""

    name: str
    before: Mapping[bytes, Entry]
    after: Mapping[bytes, Entry]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How a change is cut into hunks: by us, and by ``git diff --histogram``.

    Attributes:
        hunks, git_hunks: number of hunks without context.
        lines, git_lines: number of deleted and added lines.
        swallowed: files that are one hunk of ours over (nearly) the whole file, where git has
            several.
    """

    hunks: int = 0
    git_hunks: int = 0
    lines: int = 0
    git_lines: int = 0
    swallowed: tuple[bytes, ...] = ()

    def __add__(self, other: Shape) -> Shape:
        return Shape(
            hunks=self.hunks + other.hunks,
            git_hunks=self.git_hunks + other.git_hunks,
            lines=self.lines + other.lines,
            git_lines=self.git_lines + other.git_lines,
            swallowed=self.swallowed + other.swallowed,
        )


def replay(commit: Commit, scratch: Path) -> Shape:
    """Replays a commit and checks it; returns its shape.

    Args:
        commit: what to replay.
        scratch: an empty folder outside of any repository; emptied again.

    Raises:
        AssertionError: something is not as git has it.
    """
    play = Play(disk={path: entry for path, entry in commit.before.items() if entry != ABSENT})
    play.prompt("claude", "s")
    play.run("claude", "s", dict(commit.after))
    for name, entries in (("old", commit.before), ("new", commit.after), ("ours", commit.before)):
        write_tree(scratch / name, entries)
    pending = set(play.ledger.paths)
    assert pending == _git_paths(scratch), commit.name
    for state in play.ledger.paths.values():
        check(state)
    text = b"".join(patch.render(state) for state in view.shown(play.ledger))
    _git(scratch / "ours", "apply", "--whitespace=nowarn", "-", stdin=text)
    assert read_tree(scratch / "ours") == read_tree(scratch / "new"), commit.name
    shape = _shape(play, scratch)
    _decide_everything(play, commit)
    for child in scratch.iterdir():
        shutil.rmtree(child)
    return shape


def chained(commits: Sequence[Commit]) -> int:
    """Replays commits one on top of the other, undecided; returns how many hunks pended at last.

    Each is an agent's work on what all before it left pending, so that hunks are carried; two
    agents take turns.  Rejected, everything is as before the first commit, to the byte; accepted in
    another workspace, as after the last one.

    Args:
        commits: oldest first.  Where one was made on something else than what the one before it
            left (a branch), its files are written all the same.

    Raises:
        AssertionError: something is not as it was.
    """
    first: dict[bytes, Entry] = {}
    for commit in commits:
        for path, entry in commit.before.items():
            first.setdefault(path, entry)
    old = {path: entry for path, entry in first.items() if entry != ABSENT}
    hunks = 0
    for op in ("reject", "accept"):
        play = Play(disk=dict(old))
        for agent, session in _AGENTS:
            play.prompt(agent, session)
        for n, commit in enumerate(commits):
            play.run(*_AGENTS[n % 2], dict(commit.after))
            for path in commit.after:
                if path in play.ledger.paths:
                    check(play.ledger.paths[path])
            differing = {p for p in first if play.disk.get(p, ABSENT) != old.get(p, ABSENT)}
            assert play.ledger.paths.keys() == differing, commit.name
        new = dict(play.disk)
        hunks = sum(len(state.hunks) for state in play.ledger.paths.values())
        assert play.decide(op, EVERYTHING)["refused"] == [], op
        assert (play.disk, play.ledger.paths) == (old if op == "reject" else new, {}), op
    return hunks


def _decide_everything(play: Play, commit: Commit) -> None:
    """Rejects all, undoes that, accepts all."""
    old = {path: entry for path, entry in commit.before.items() if entry != ABSENT}
    new = {path: entry for path, entry in commit.after.items() if entry != ABSENT}
    assert play.decide("reject", EVERYTHING)["refused"] == [], commit.name
    assert (play.disk, play.ledger.paths) == (old, {}), commit.name
    assert play.undo()["refused"] == [], commit.name
    assert play.disk == new, commit.name
    assert play.decide("accept", EVERYTHING)["refused"] == [], commit.name
    assert (play.disk, play.ledger.paths) == (new, {}), commit.name


# --- trees ----------------------------------------------------------------------------------------


def write_tree(folder: Path, entries: Mapping[bytes, Entry]) -> None:
    """Writes entries below a folder."""
    folder.mkdir()
    for path, entry in entries.items():
        place = Path(os.fsdecode(os.path.join(os.fsencode(folder), path)))
        if isinstance(entry, File | Link):
            place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(entry, File):
            place.write_bytes(entry.data)
            place.chmod(entry.mode)
        elif isinstance(entry, Link):
            os.symlink(entry.target, os.fsencode(place))


def read_tree(folder: Path) -> dict[bytes, tuple[bool, bytes]]:
    """Returns every file and link below a folder: (executable or link, content)."""
    found: dict[bytes, tuple[bool, bytes]] = {}
    for parent, _, names in os.walk(os.fsencode(folder)):
        for name in names:
            place = os.path.join(parent, name)
            mode = os.lstat(place).st_mode
            path = os.path.relpath(place, os.fsencode(folder))
            if stat.S_ISLNK(mode):
                found[path] = (True, b"-> " + os.readlink(place))
            else:
                found[path] = (bool(mode & 0o100), Path(os.fsdecode(place)).read_bytes())
    for parent, folders, _ in os.walk(os.fsencode(folder)):
        for name in folders:
            place = os.path.join(parent, name)
            if os.path.islink(place):
                path = os.path.relpath(place, os.fsencode(folder))
                found[path] = (True, b"-> " + os.readlink(place))
    return found


# --- git ------------------------------------------------------------------------------------------


def _git(folder: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    environment = {
        **os.environ,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CEILING_DIRECTORIES": str(folder.parent),
    }
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=environment, input=stdin, capture_output=True
    )
    assert done.returncode in (0, 1), done.stderr.decode(errors="replace")
    if arguments[0] == "apply":
        assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout


def _diff(scratch: Path, *arguments: str) -> bytes:
    command = ("diff", "--no-index", "--no-renames", "--no-color", "--no-ext-diff")
    return _git(scratch, *command, *arguments, "old", "new")


def _git_paths(scratch: Path) -> set[bytes]:
    fields = _diff(scratch, "--name-status", "-z").split(b"\0")
    return {path.partition(b"/")[2] for path in fields[1::2]}


def _shape(play: Play, scratch: Path) -> Shape:
    """Counts hunks of texts that both sides have; created and deleted ones are one hunk anyway."""
    text = _diff(scratch, "--histogram", "-U0", "-z")
    git: dict[bytes, list[int]] = {}
    name = b""
    # Headers are told from content by their place: a hunk says how many lines follow.
    left = 0
    for line in text.split(b"\n"):
        if left > 0 and line[:1] in (b"+", b"-"):
            left -= 1
            git[name][1] += 1
        elif line.startswith(b"diff --git "):
            name = line.rpartition(b" b/new/")[2].rstrip(b'"')
        elif line.startswith(b"@@ "):
            counts = git.setdefault(name, [0, 0])
            counts[0] += 1
            left = sum(_length(part) for part in line.split(b" ")[1:3])
    total = Shape()
    for path, (hunks, lines) in git.items():
        state = play.ledger.paths.get(path)
        if state is None or not state.hunks or state.status != "modified":
            continue
        ours = sum((h.a1 - h.a0) + (h.b1 - h.b0) for h in state.hunks)
        whole = len(state.hunks) == 1 and ours > 0.9 * (len(state.text.base) + len(state.text.cur))
        total += Shape(
            hunks=len(state.hunks),
            git_hunks=hunks,
            lines=ours,
            git_lines=lines,
            swallowed=(path,) if whole and hunks > 1 else (),
        )
    return total


def _length(part: bytes) -> int:
    """Returns how many lines ``-12,3`` or ``+12`` stands for."""
    _, comma, length = part.partition(b",")
    return int(length) if comma else 1
