"""Proofs of the user's own writes: claims of the editor, matched with what was seen on disk.

Owns claims and the recent sightings of each path, so that a proof that comes late can still correct
the author.  Must not change path states: `agentdiff.core.ledger` does.  Hop 4.

Theory.  Neovim sends a claim (the bytes that it will write) before a write, and a proof after it.
An observation of exactly these bytes is the user's.  Four things can go wrong in time.  The proof
comes after the observation was given to somebody else: the sighting is found and re-authored.  The
agent writes on top before we look: the claimed bytes were on disk all the same, so they are put
between.  The write is seen half done (a save truncates first), and its proof before the rest: what
is seen next tells whether it was half done or somebody truncated it afterwards.  The write fails: a
claim without proof is worth only an exact match, and expires.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from agentdiff.core.entries import Absent, Entry, File, Other, begins
from agentdiff.core.owners import Owner
from agentdiff.core.pathstate import PathState

CLAIM_NS = 60_000_000_000
PROOF_NS = 10_000_000_000
# A proof lets the path be read at once.  What is still only a part of the bytes this long after
# the claim is not half of the write any more: somebody took the rest away.
WHOLE_NS = 3_000_000_000
SIGHTINGS = 8


@dataclass(slots=True)
class Claim:
    """Bytes that the user writes; `written` once the write succeeded."""

    client: str
    data: bytes
    claimed_ns: int
    written: bool = False
    used: bool = False


@dataclass(frozen=True, slots=True)
class Sighting:
    """One observed change, with the state before it; it was read from `seen_ns` to `read_ns`.

    `seq` is the number of the newest record when `state` was what pended, 0 where it never did:
    after a correction it is one of the `steps` since the sighting `root`, which share a record.
    """

    seen_ns: int
    read_ns: int
    state: PathState | None
    before: Entry
    after: Entry
    owner: Owner
    seq: int
    root: Sighting | None = None
    steps: tuple[tuple[Entry, Owner], ...] = ()


@dataclass(frozen=True, slots=True)
class Correction:
    """What a late proof changes: from this sighting on, the user's content comes first.

    Attributes:
        data: what the user wrote.
        sightings: the sightings to be given again, oldest first.
        whole: the sighting of all of it, which the first of them stands for; None when the user's
            content was never seen itself and lies before the first of them.
    """

    data: bytes
    sightings: tuple[Sighting, ...]
    whole: Sighting | None


@dataclass(frozen=True, slots=True)
class Match:
    """A user's write that an observation shows, or that was written over before one could.

    Attributes:
        data: the bytes that were written.
        torn: the sighting from which on the write was seen half done (a save truncates first), None
            when it was not; what followed is the user's write and nothing else.
    """

    data: bytes
    torn: Sighting | None


class Proofs:
    """Claims and sightings by path; nothing here is logged."""

    def __init__(self) -> None:
        self._claims: dict[bytes, list[Claim]] = {}
        self._seen: dict[bytes, deque[Sighting]] = {}
        self._decided: dict[bytes, int] = {}

    def note(self, path: bytes, sighting: Sighting) -> None:
        """Remembers an observed change."""
        self._seen.setdefault(path, deque(maxlen=SIGHTINGS)).append(sighting)

    def sightings(self, paths: Iterable[bytes]) -> list[tuple[bytes, list[Sighting]]]:
        """Returns the recent sightings of those of some paths that have any, oldest first."""
        return [(path, list(self._seen[path])) for path in paths if path in self._seen]

    def recent(self, path: bytes) -> Sequence[Sighting]:
        """Returns the recent sightings of a path, oldest first."""
        return tuple(self._seen.get(path, ()))

    def paths(self) -> Iterable[bytes]:
        """Returns the paths that were seen to change lately."""
        return self._seen.keys()

    def forget(self, path: bytes) -> None:
        """Drops the sightings of a path: what was seen of it had another base."""
        self._seen.pop(path, None)

    def given_again(self, path: bytes, first: Sighting, again: Sequence[Sighting]) -> None:
        """Takes the sightings from one on as they are after a correction: another may follow.

        Args:
            path: the path.
            first: that one, as it was.
            again: what was seen since then, step by step, with the right authors; not when.
        """
        seen = list(self._seen.get(path, ()))
        at = next((n for n, one in enumerate(seen) if first in (one, one.root)), len(seen))
        kept, left = seen[:at], seen[at:]
        root: Sighting | None = None
        for step in again:
            # A proved content may never have been seen itself.
            n = next((n for n, one in enumerate(left) if one.after == step.after), None)
            when = next(iter(left), first) if n is None else left[n]
            left = left if n is None else left[n + 1 :]
            step = replace(step, seen_ns=when.seen_ns, read_ns=when.read_ns, root=root)
            root = root or step
            kept.append(step)
        self._seen[path] = deque(kept, maxlen=SIGHTINGS)

    def decided(self, path: bytes, at_ns: int) -> None:
        """Drops the sightings of a path: a decision came between, they cannot be given again.

        Args:
            path: what was decided.
            at_ns: when; a write before that was seen by it, and proves nothing after it.
        """
        self._seen.pop(path, None)
        self._decided[path] = at_ns
        for claim in self._claims.get(path, ()):
            # Told again to a daemon that knew its bytes already, it waits for nothing any more.
            claim.used |= claim.written

    def begun(
        self, path: bytes, state: PathState | None, before: Entry, after: Entry, owner: Owner
    ) -> tuple[PathState | None, Entry, int | None]:
        """Returns what was there when an agent began the write that an observation shows.

        Programs truncate a file and then write it.  Seen in between, what others have in it would
        look deleted, and then written anew by this agent.  Last comes `Sighting.seq` of that
        beginning, None when it is what pends there now.  What was there may have been put aside
        earlier, when somebody else took it away: only `agentdiff.core.parking` knows.

        Args:
            path: what changed.
            state: what pends there now.
            before: what is known to be there.
            after: what is there now.
            owner: whose change it is.
        """
        start, known, since = state, before, None
        for seen in reversed(self._seen.get(path, ())):
            # `tool_call` is None of several agents: these may be two writes.
            same = owner.tool_call is not None and owner.tool_call == seen.owner.tool_call
            part = seen.after == known and known != after and begins(known, after)
            if not (same and part and owner.kind == seen.owner.kind == "agent") or seen.root:
                break
            start, known, since = seen.state, seen.before, seen.seq
        return start, known, since

    def claim(self, path: bytes, client: str, data: bytes, now_ns: int) -> None:
        """Remembers that the user is about to write `data`."""
        self._claims.setdefault(path, []).append(Claim(client, data, now_ns))

    def take(self, path: bytes, after: Entry) -> Match | None:
        """Uses up the claim that an observed content matches, and every older one of the path."""
        claims = self._claims.get(path, [])
        same = [
            claim
            for claim in claims
            if not claim.used and isinstance(after, File) and claim.data == after.data
        ]
        if not same:
            return None
        for older in claims[: claims.index(same[-1]) + 1]:
            older.used = True
        # The same bytes may be written twice in a row: either may have been seen half done.
        first = next(claim for claim in same if claim.written or claim is same[-1])
        return Match(first.data, self._torn(path, first))

    def _torn(self, path: bytes, claim: Claim) -> Sighting | None:
        """Returns the first of the last sightings that only saw the claimed write half done."""
        first = None
        for sighting in reversed(self._seen.get(path, ())):
            if sighting.root or not self._is_half(sighting, claim):
                break
            first = sighting
        return first

    @staticmethod
    def _is_half(sighting: Sighting, claim: Claim) -> bool:
        """Whether a sighting may have seen a part of a claimed write."""
        part = not sighting.owner.proved and _is_part(claim, sighting.after)
        return part and sighting.read_ns >= claim.claimed_ns

    def overwritten(self, path: bytes, known: Entry, after: Entry) -> Match | None:
        """Uses up a proved write that was on disk but never seen: somebody wrote over it."""
        for claim in self._claims.get(path, ()):
            if claim.written and not claim.used and not _is_part(claim, after):
                claim.used = True
                if not (isinstance(known, File) and known.data == claim.data):
                    return Match(claim.data, self._torn(path, claim))
        return None

    def prove(self, path: bytes, client: str, data: bytes, since_ns: int) -> Correction | None:
        """Takes a proof; returns what it corrects, None when nothing was mistaken so far.

        Args:
            path: what was written.
            client: whose claim it belongs to, if there was one.
            data: the bytes.
            since_ns: when the write had not begun yet, as far as that is known.
        """
        claims = self._claims.setdefault(path, [])
        mine = [c for c in claims if c.client == client and c.data == data and not c.written]
        claim = mine[-1] if mine else Claim(client, data, since_ns)
        if not mine:
            claims.append(claim)
        claim.written = True
        # One that comes late (its daemon died) must not be put on top of what was decided since.
        # By more than it may wait it is not late: the clock was set back.
        if 0 < self._decided.get(path, 0) - max(claim.claimed_ns, since_ns) < CLAIM_NS:
            claim.used = True
        if claim.used:
            return None
        seen = list(self._seen.get(path, ()))
        for n in reversed(range(len(seen))):
            after = seen[n].after
            if seen[n].read_ns < claim.claimed_ns:
                break  # the same bytes, but before: ``:write`` of a buffer that was only reloaded
            if _holds(after, data):
                claim.used = True
                # Of a write that was proved before only the mode is another's.
                same = (one for one in seen[max(n - 1, 0) : n + 1] if _holds(one.after, data))
                if any(one.owner.proved for one in same):
                    return None
                first = seen[n]
                for half in reversed(seen[:n]):  # all of it was seen, and before that a part of it
                    if not self._is_half(half, claim):
                        break
                    first = half
                return Correction(data, (first, *seen[n + 1 :]), seen[n])
        return self._spliced(path, claim) if mine and not self._torn(path, claim) else None

    def _spliced(self, path: bytes, claim: Claim) -> Correction | None:
        """Puts a proved write before the first sighting since its claim."""
        since = [one for one in self._seen.get(path, ()) if one.seen_ns >= claim.claimed_ns]
        if not since:
            return None
        claim.used = True
        return Correction(claim.data, tuple(since), None)

    def settle(self, before_ns: int) -> list[tuple[bytes, Correction]]:
        """Returns what follows from proved writes of which only a part is there.

        Args:
            before_ns: only claims that are older: the rest may still be on its way.
        """
        found = []
        for path, claims in self._claims.items():
            for claim in claims:
                open_ = claim.written and not claim.used and claim.claimed_ns < before_ns
                if open_ and self._torn(path, claim) and (made := self._spliced(path, claim)):
                    found.append((path, made))
                    break  # the sightings are given again
        return found

    def expire(self, now_ns: int) -> None:
        """Drops what is too old to matter."""
        for path, claims in list(self._claims.items()):
            claims[:] = [
                claim
                for claim in claims
                if now_ns - claim.claimed_ns < (PROOF_NS if claim.written else CLAIM_NS)
            ]
            if not claims:
                del self._claims[path]
        for path, seen in list(self._seen.items()):
            if now_ns - seen[-1].seen_ns > CLAIM_NS:
                del self._seen[path]
        for path, at_ns in list(self._decided.items()):
            if now_ns - at_ns > CLAIM_NS:
                del self._decided[path]


def mode_before(state: PathState | None, before: Entry, after: Entry) -> int:
    """Returns the permissions that a file had when the user saved it.

    A proof covers bytes.  An editor gives a file that it writes the mode that it had, and one that
    it makes a mode of its own.

    Args:
        state: what pended there; of what cannot be read its base tells the mode.
        before: what was there.
        after: what was seen afterwards, maybe only half written.
    """
    known = state.rest if state is not None and isinstance(before, Other) else before
    return next((entry.mode for entry in (known, after) if isinstance(entry, File)), 0o644)


def _holds(entry: Entry, data: bytes) -> bool:
    return isinstance(entry, File) and entry.data == data


def _is_part(claim: Claim, seen: Entry) -> bool:
    """Whether a content may be a claimed write that is not complete yet."""
    # Not by `begins`: an entry of the claim would cost a hash for each sighting.
    if isinstance(seen, File):
        return len(seen.data) < len(claim.data) and claim.data.startswith(seen.data)
    return isinstance(seen, Absent)
