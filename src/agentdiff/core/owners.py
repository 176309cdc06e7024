"""Who changed a line, and how sure we are.

Owns the `Owner` value.  Must not decide who the owner is: `agentdiff.core.attribution` does.  Hop
4.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

OwnerKind: TypeAlias = Literal["agent", "user", "git", "external", "shared"]
Evidence: TypeAlias = Literal["exact", "likely", "late", "shared", "external"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The author of a line, with the evidence for it.

    Attributes:
        kind: ``agent``; ``user`` (proved by the editor); ``git`` (what a git command put there, of
            an agent if `agent` is set); ``external`` (nothing fits);
            ``shared`` (several sessions' windows were open, one of `among`).
        agent, session, subagent, turn, tool_call, tool: the call, None where unknown.
        evidence: ``exact`` when the content is what the call announced, ``likely`` inside its
            window, ``late`` after it, ``shared`` and ``external`` as the kinds.
        among: the calls of which one wrote it, each as an owner of its own, where it is not known
            which: several sessions' (then it is ``shared``), or several of one session (then the
            fields above are those of the last).
    """

    kind: OwnerKind
    evidence: Evidence
    agent: str | None = None
    session: str | None = None
    subagent: str | None = None
    turn: str | None = None
    tool_call: str | None = None
    tool: str | None = None
    among: tuple[Owner, ...] = ()

    @property
    def proved(self) -> bool:
        """Whether the write moves the base along: a person's own or by a person's git command."""
        return self.kind == "user" or (self.kind == "git" and self.agent is None)

    @property
    def possible(self) -> tuple[Owner, ...]:
        """Everybody who may have written the line: the owner itself where that is known."""
        return self.among or (self,)


USER = Owner(kind="user", evidence="exact")
EXTERNAL = Owner(kind="external", evidence="external")


def unique(owners: Iterable[Owner]) -> tuple[Owner, ...]:
    """Returns the distinct owners in order of first appearance."""
    # Neighbouring lines mostly share one object: hashing it for every line is what would cost.
    runs: list[Owner] = []
    last: Owner | None = None
    for owner in owners:
        if owner is not last:
            runs.append(owner)
            last = owner
    return tuple(dict.fromkeys(runs))
