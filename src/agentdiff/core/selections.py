"""What a decision, a diff or a review is about: paths, hunks, and whose changes.

Owns the test of owners against a selection.  Must not look into states
(`agentdiff.core.decisions` picks) nor look names up (`agentdiff.core.scoping`).  Hop 4.
"""

from __future__ import annotations

from dataclasses import dataclass

from agentdiff.core.owners import Owner


@dataclass(frozen=True, slots=True, kw_only=True)
class HunkPick:
    """One hunk named by a decision, with the generation that was seen.

    Attributes:
        hunk: hunk or pseudo-hunk id.
        gen: generation of its path when it was seen; None decides whatever is there now.
        old: 0-based half-open range of the hunk's old lines, None together with `new` for all of
            it.
        new: 0-based half-open range of the hunk's new lines.
    """

    hunk: int
    gen: int | None = None
    old: tuple[int, int] | None = None
    new: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What a decision is about.  Exactly one of `everything`, `paths`, `picks` is set.

    Attributes:
        agent, session, turn: further restrict to hunks of one owner.
        calls: further restrict to those of one of these tool calls.
        include_external: whether bulk rejects also cover hunks that no agent owns.
        seen: log sequence number that the client saw; paths that moved on since stay pending.
    """

    everything: bool = False
    paths: tuple[bytes, ...] = ()
    picks: tuple[HunkPick, ...] = ()
    agent: str | None = None
    session: str | None = None
    turn: str | None = None
    calls: tuple[str, ...] = ()
    include_external: bool = False
    seen: int | None = None

    @property
    def by_owner(self) -> bool:
        """Whether it restricts whose changes are meant."""
        return bool(self.calls) or (self.agent, self.session, self.turn) != (None, None, None)

    @property
    def takes_whatever_is_there(self) -> bool:
        """Whether it names paths and nothing that restricts what of them was meant."""
        return bool(self.paths) and self.seen is None and not self.by_owner

    def meets(self, owner: Owner) -> bool:
        """Whether somebody who may be meant by an owner is within the restrictions."""
        return any(self._names(one) for one in owner.possible)

    def covers(self, owner: Owner) -> bool:
        """Whether everybody who may be meant by an owner is within the restrictions."""
        return all(self._names(one) for one in owner.possible)

    def _names(self, one: Owner) -> bool:
        return (
            self.agent in (None, one.agent)
            and self.session in (None, one.session)
            and self.turn in (None, one.turn)
            and (not self.calls or one.tool_call in self.calls)
        )
