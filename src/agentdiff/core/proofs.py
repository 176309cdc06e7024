"""Proofs of the user's own writes: claims of the editor, matched with what was seen on disk.

Owns claims and the recent sightings of each path, so that a proof that comes late can still correct
the author.  Must not change path states: `agentdiff.core.ledger` does.  Hop 4.

Theory.  Neovim sends a claim (the bytes that it will write) before a write, and a proof after it.
An observation of exactly these bytes is the user's.  Three things can go wrong in time.  The proof
comes after
the observation was given to somebody else: the sighting is found and re-authored.  The agent writes
on top
before we look: the claimed bytes were on disk all the same, so they are put between.  The write
fails: a claim without proof is worth only an exact match, and expires.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agentdiff.core.entries import ABSENT, Entry, File
from agentdiff.core.owners import Owner
from agentdiff.core.pathstate import PathState

CLAIM_NS = 60_000_000_000
PROOF_NS = 10_000_000_000
# A claim bears the time when Neovim made it, before the write.  A sighting bears the time when its
# reading began, which may be a little earlier still.  What was seen longer before the claim is
# somebody else's, though the bytes are the same: ``:write`` of a buffer that was only reloaded.
READING_NS = 50_000_000
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
    """One observed change, with the state before it."""

    seen_ns: int
    state: PathState | None
    before: Entry
    after: Entry
    owner: Owner


@dataclass(frozen=True, slots=True)
class Correction:
    """What a late proof changes: from this sighting on, the user's content comes first.

    Attributes:
        sightings: the sightings to be given again, oldest first.
        spliced: True when the user's content was never seen itself and lies before the first of
            them.
    """

    sightings: tuple[Sighting, ...]
    spliced: bool


@dataclass(frozen=True, slots=True)
class Match:
    """An observation that a claim explains.

    Attributes:
        torn: the sighting from which on the write was seen half done (a save truncates first), None
            when it was not; what followed is the user's write and nothing else.
    """

    torn: Sighting | None


class Proofs:
    """Claims and sightings by path; nothing here is logged."""

    def __init__(self) -> None:
        self._claims: dict[bytes, list[Claim]] = {}
        self._seen: dict[bytes, deque[Sighting]] = {}

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
        """Drops the sightings of a path: a decision came between, they cannot be given again."""
        self._seen.pop(path, None)

    def claim(self, path: bytes, client: str, data: bytes, now_ns: int) -> None:
        """Remembers that the user is about to write `data`."""
        self._claims.setdefault(path, []).append(Claim(client, data, now_ns))

    def take(self, path: bytes, after: Entry) -> Match | None:
        """Uses up the claim that an observed content matches, and every older one of the path."""
        if not isinstance(after, File):
            return None
        claims = self._claims.get(path, [])
        for n in reversed(range(len(claims))):
            if not claims[n].used and claims[n].data == after.data:
                for older in claims[: n + 1]:
                    older.used = True
                return Match(self._torn(path, claims[n]))
        return None

    def _torn(self, path: bytes, claim: Claim) -> Sighting | None:
        """Returns the first of the last sightings that only saw the claimed write half done."""
        first = None
        for sighting in reversed(self._seen.get(path, ())):
            after = sighting.after
            part = claim.data.startswith(after.data) if isinstance(after, File) else after == ABSENT
            if sighting.seen_ns < claim.claimed_ns or sighting.owner.proved or not part:
                break
            first = sighting
        return first

    def overwritten(self, path: bytes, known: Entry) -> bytes | None:
        """Returns proved bytes that were on disk but never seen: somebody wrote over them."""
        for claim in self._claims.get(path, ()):
            if claim.written and not claim.used:
                claim.used = True
                if not (isinstance(known, File) and known.data == claim.data):
                    return claim.data
        return None

    def prove(self, path: bytes, client: str, data: bytes, now_ns: int) -> Correction | None:
        """Takes a proof; returns what it corrects, None when nothing was mistaken so far."""
        claims = self._claims.setdefault(path, [])
        mine = [c for c in claims if c.client == client and c.data == data and not c.written]
        claim = mine[-1] if mine else Claim(client, data, now_ns)
        if not mine:
            claims.append(claim)
        claim.written = True
        if claim.used:
            return None
        seen = list(self._seen.get(path, ()))
        for n in reversed(range(len(seen))):
            after = seen[n].after
            if seen[n].seen_ns < claim.claimed_ns - READING_NS:
                break
            if isinstance(after, File) and after.data == data:
                claim.used = True
                return None if seen[n].owner.proved else Correction(tuple(seen[n:]), False)
        for n, sighting in enumerate(seen):
            if mine and sighting.seen_ns >= claim.claimed_ns:
                claim.used = True
                return Correction(tuple(seen[n:]), True)
        return None

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
