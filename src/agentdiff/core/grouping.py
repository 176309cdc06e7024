"""Whose work a change is, for headings: turn, session or agent.

Owns the groups of a review and the short phrases for owners.  Must not decide who the owner is.
Hop 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from agentdiff.core.ledger import Ledger
from agentdiff.core.owners import Owner
from agentdiff.core.sessions import Turn

Grouping: TypeAlias = Literal["turn", "session", "agent", "file"]
GROUPINGS: tuple[Grouping, ...] = ("turn", "session", "agent", "file")

MAX_PROMPT = 120
_OTHERS = {
    "shared": "several agents at once",
    "external": "nobody known",
    "git": "git",
    "user": "you",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One heading of a review.

    Attributes:
        kind: kind of its owners (``agent``, ``shared``, ``external``, ``git``, ``user``).
        agent, session, turn: what the group stands for; None where it is not that fine.
        n: number of the turn in the workspace, 0 without one.
        label: the heading.
    """

    kind: str
    label: str
    n: int = 0
    agent: str | None = None
    session: str | None = None
    turn: str | None = None

    @property
    def order(self) -> tuple[int, int, str, str]:
        """Where the group stands: agents in the order of their turns, then the others."""
        rank = 0 if self.kind == "agent" else 1 + list(_OTHERS).index(self.kind)
        return rank, self.n, self.agent or "", self.session or ""

    def to_json(self) -> dict[str, Any]:
        """Returns the shape of the protocol."""
        return {
            "kind": self.kind,
            "agent": self.agent,
            "session": self.session,
            "turn": self.turn,
            "n": self.n or None,
        }


def group_of(ledger: Ledger, owners: Sequence[Owner], by: Grouping) -> Group:
    """Returns the group that a change with these owners stands in.

    A change of several turns stands in the newest of them: that prompt made it what it is.
    """
    agents = [owner for owner in owners if owner.kind == "agent"]
    if not agents:
        kind = next((one for one in _OTHERS if any(o.kind == one for o in owners)), "external")
        return Group(kind=kind, label=_OTHERS[kind])
    newest = max(agents, key=lambda owner: getattr(turn_of(ledger, owner), "n", 0))
    turn = turn_of(ledger, newest)
    agent, session = newest.agent or "agent", newest.session
    if by == "agent":
        return Group(kind="agent", label=_plain(agent), agent=agent)
    if by == "session" or turn is None:
        label = f"{_plain(agent)} · session {_plain((session or '')[:8])}"
        label += _first_prompt(ledger, newest)
        return Group(kind="agent", label=label, agent=agent, session=session)
    label = f"turn {turn.n} · {_plain(agent)}: {headline(turn.prompt)}"
    return Group(
        kind="agent", label=label, n=turn.n, agent=agent, session=session, turn=newest.turn
    )


def _first_prompt(ledger: Ledger, owner: Owner) -> str:
    """Returns what a session began with, by which a person knows it again."""
    mine = (owner.agent or "", owner.session or "")
    turns = [turn for turn in ledger.sessions.turns.values() if (turn.agent, turn.session) == mine]
    first = min(turns, key=lambda turn: turn.n, default=None)
    return "" if first is None else f": {headline(first.prompt)}"


def turn_of(ledger: Ledger, owner: Owner) -> Turn | None:
    """Returns the turn of an agent's line, None when it is not known."""
    key = (owner.agent or "", owner.session or "", owner.turn or "")
    return ledger.sessions.turns.get(key)


def headline(prompt: str) -> str:
    """Returns the first line of a prompt that says something, shortened."""
    lines = [line.strip() for line in prompt.split("\n") if line.strip()]
    text = lines[0] if lines else "(no prompt)"
    text = _plain(text)
    if len(text) > MAX_PROMPT:
        return text[: MAX_PROMPT - 1] + "…"
    return text + " …" if len(lines) > 1 else text


def owner_label(ledger: Ledger, owners: Sequence[Owner]) -> str:
    """Returns owners as a short phrase: ``claude · turn 3 · Edit``."""
    out: list[str] = []
    for owner in owners:
        if owner.kind != "agent":
            out.append(owner.kind)
            continue
        turn = turn_of(ledger, owner)
        parts = [owner.agent or "agent"]
        if turn is not None:
            parts.append(f"turn {turn.n}")
        parts.append(owner.tool or "")
        out.append(" · ".join(_plain(part) for part in parts if part))
    return ", ".join(dict.fromkeys(out))


def _plain(text: str) -> str:
    """Returns what can stand in a line of a buffer: a server chooses the names of its tools."""
    # Control characters would not stand in one line, or not alone in a cell.
    return "".join(char if char.isprintable() else " " for char in text)
