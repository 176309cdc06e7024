"""What git did to the work tree: the contents it put there, and the changes a commit contains.

Owns the expectations that a move of HEAD or of the stash raises, and the comparison of a commit
with what pends.  Must not run git (`agentdiff.workspace.head` does) nor decide whose command it
was.  Hop 4, called by `agentdiff.core.observer`.

A checkout writes files and only then moves HEAD.  So an expectation works both ways: what is seen
later and holds exactly git's content is git's, and what was seen before and could not be explained
is corrected.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from agentdiff.core.diff import diff_bytes, split_lines
from agentdiff.core.entries import Absent, Entry, File, Link, git_blob_oid
from agentdiff.core.hunks import Hunk, NewId
from agentdiff.core.linediff import Block
from agentdiff.core.observing import observe
from agentdiff.core.owners import Owner
from agentdiff.core.pathstate import PathState, is_line_text
from agentdiff.core.proofs import Sighting

GIT = Owner(kind="git", evidence="exact")
# The watcher may tell of a large checkout for some seconds after HEAD moved.
EXPECTED_NS = 10_000_000_000
# Each of so many hunks is weighed against a commit that has more than hunks; it costs a diff each.
_EACH = 64


@dataclass(slots=True)
class _Expected:
    oid: str | None
    until_ns: int
    written: bool
    popped: bool


class Epochs:
    """The contents that git is known to have put into the work tree; nothing here is logged."""

    def __init__(self) -> None:
        self._expected: dict[bytes, _Expected] = {}

    def expect(
        self,
        contents: Mapping[bytes, str | None],
        now_ns: int,
        *,
        written: bool = True,
        popped: bool = False,
    ) -> None:
        """Remembers what git has: path → blob id, None where it has nothing.

        Args:
            contents: what a move of HEAD changed.
            now_ns: when it was heard of.
            written: whether git wrote it; False for a person's commit, which holds what somebody
                had written: that is reviewed, however late it is seen.
            popped: whether it came off the stash.
        """
        for path, oid in contents.items():
            self._expected[path] = _Expected(oid, now_ns + EXPECTED_NS, written, popped)

    def unexplained(
        self, sightings: Iterable[tuple[bytes, list[Sighting]]]
    ) -> list[tuple[bytes, list[Sighting]]]:
        """Returns those of some sightings that the next move may explain.

        What was seen before git moved the same path the last time is older than what it writes now.
        """
        heard = {path: one.until_ns - EXPECTED_NS for path, one in self._expected.items()}
        return [
            (path, [one for one in seen if one.read_ns >= heard.get(path, 0)])
            for path, seen in sightings
        ]

    def author(self, path: bytes, after: Entry, owner: Owner, now_ns: int) -> Owner:
        """Returns the owner of a change, if git explains it, else the one that was found."""
        expected = self._expected.get(path)
        if expected is None or now_ns > expected.until_ns or not is_blob(after, expected.oid):
            return owner
        return authored(owner) if expected.written or owner.kind == "external" else owner

    def popped(self, path: bytes, after: Entry) -> bool:
        """Whether a content came off the stash."""
        expected = self._expected.get(path)
        return expected is not None and expected.popped and is_blob(after, expected.oid)

    def pulled(self, state: PathState, after: Entry, new_id: NewId) -> PathState | None:
        """Returns what pends when git put another base below it, and merged what pended with that.

        ``git pull --autostash`` says so nowhere but in the contents: without what pended, what is
        there is exactly what git's new commit has.

        Args:
            state: what pended, or was put aside.
            after: what the path holds.
            new_id: makes ids and generations.
        """
        expected = self._expected.get(state.path)
        if expected is None or not expected.written or expected.oid is None:
            return None
        moved = on_another_base(state, after, new_id)
        if moved is None or moved.rest == state.rest:
            return None
        return moved if is_blob(moved.rest, expected.oid) else None

    def expire(self, now_ns: int) -> None:
        """Drops what is too old to matter."""
        if self._expected:
            alive = {p: one for p, one in self._expected.items() if now_ns <= one.until_ns}
            self._expected = alive


def on_another_base(state: PathState, after: Entry, new_id: NewId) -> PathState | None:
    """Returns a state whose hunks are all in `after` as they were, whatever else changed there.

    None where they are not.  What else changed is not decided by that, nor by whom.
    """
    texts = (state.base, state.cur, after)
    if state.origin is not None or not state.hunks:
        return None
    if not all(isinstance(entry, File) and is_line_text(entry) for entry in texts):
        return None
    moved = observe(state, state.path, state.cur, after, GIT, new_id)
    return moved if moved is not None and _lines(moved) == _lines(state) else None


def _lines(state: PathState) -> list[tuple[list[bytes], list[bytes]]]:
    text = state.text
    return [(list(text.base[h.a0 : h.a1]), list(text.cur[h.b0 : h.b1])) for h in state.hunks]


def is_blob(entry: Entry, oid: str | None) -> bool:
    r"""Whether an entry is what git makes of a blob, with ``\n`` or, by its settings, ``\r\n``."""
    if isinstance(entry, Absent) or oid is None:
        return isinstance(entry, Absent) and oid is None
    if isinstance(entry, Link):
        return git_blob_oid(entry.target) == oid
    if not isinstance(entry, File):
        return False
    return entry.oid == oid or (
        b"\r\n" in entry.data and git_blob_oid(entry.data.replace(b"\r\n", b"\n")) == oid
    )


def authored(owner: Owner) -> Owner:
    """Returns the owner of a change that git made, given whose it would be otherwise.

    A person's command moves the base along.  One of an agent does not: it stays that agent's, as
    a group of its own that is not mixed with what the agent wrote itself.
    """
    if owner.kind == "external":
        return GIT
    if owner.kind == "agent" and owner.evidence in ("likely", "late"):
        return replace(owner, kind="git")
    return owner


def seen_of_git(
    sightings: Sequence[Sighting], contents: Mapping[bytes, str | None], path: bytes
) -> int | None:
    """Returns which sighting of a path saw what git wrote and took it for another's.

    The newest, or none: what somebody took away before, and put back, may look just like it.
    """
    for n, sighting in reversed(list(enumerate(sightings))):
        if is_blob(sighting.after, contents[path]):
            return n if authored(sighting.owner) != sighting.owner else None
    return None


def committed(state: PathState, entry: Entry) -> tuple[int, ...]:
    """Returns the ids of a path's changes that a commit contains.

    Args:
        state: what pends.
        entry: what the commit has at that path.

    A hunk is contained when the commit agrees with the file everywhere in the hunk and at its
    borders, and differs from the base there: of several equal lines a diff may leave out another
    one than the hunk has, and the hunk would look contained.  A whole change is contained when the
    commit has the same content.

    Where lines repeat, several sets of hunks may fit; what is returned brings the base nearer to
    the commit with every single hunk.
    """
    cur = state.cur
    if isinstance(entry, File) and isinstance(cur, File):
        data = _stored(cur, entry)
        if entry.data == data:
            same_bit = entry.executable == cur.executable
            return tuple(i for i in state.ids if same_bit or not _is_mode(state, i))
        if not (isinstance(state.base, File) and is_line_text(entry) and is_line_text(cur)):
            return ()
        base = _stored(state.base, entry)
        after = diff_bytes(entry.data, data)
        before = diff_bytes(base, entry.data)
        fitting = [
            hunk
            for hunk in state.hunks
            if not _touched(hunk.b0, hunk.b1, after) and _touched(hunk.a0, hunk.a1, before)
        ]
        return _nearing(split_lines(base), split_lines(data), fitting, entry.data)
    same = entry == cur or (isinstance(entry, Absent) and isinstance(cur, Absent))
    return state.ids if same else ()


def _nearing(
    base: list[bytes], cur: list[bytes], hunks: list[Hunk], wanted: bytes
) -> tuple[int, ...]:
    """Returns the ids of those hunks each of which, put into the base, brings it nearer."""

    def taken(some: list[Hunk]) -> bytes:
        lines = list(base)
        for hunk in reversed(some):
            lines[hunk.a0 : hunk.a1] = cur[hunk.b0 : hunk.b1]
        return b"".join(lines)

    if len(hunks) > _EACH or taken(hunks) == wanted:
        return tuple(hunk.id for hunk in hunks)
    kept: list[Hunk] = []
    distance = _distance(taken(kept), wanted)
    for hunk in hunks:
        nearer = _distance(taken([*kept, hunk]), wanted)
        if nearer < distance:
            kept.append(hunk)
            distance = nearer
    return tuple(hunk.id for hunk in kept)


def _distance(old: bytes, new: bytes) -> int:
    return sum(b.a1 - b.a0 + b.b1 - b.b0 for b in diff_bytes(old, new))


def _stored(file: File, like: File) -> bytes:
    """Returns a content as git stores it under ``autocrlf``, if the committed one is like that."""
    plain = b"\r\n" in file.data and b"\r\n" not in like.data
    return file.data.replace(b"\r\n", b"\n") if plain else file.data


def _is_mode(state: PathState, change: int) -> bool:
    return any(m.id == change and m.kind == "mode" for m in state.meta)


def _touched(first: int, end: int, blocks: Iterable[Block]) -> bool:
    return any(block.b0 <= end and first <= block.b1 for block in blocks)
