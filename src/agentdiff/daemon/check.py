"""The outcome of one check of ``agentdiff doctor``.

Owns the value and its JSON (doc/protocol.md).  Must not check anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Level: TypeAlias = Literal["ok", "warn", "error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """The outcome of one check.

    Attributes:
        id: stable name for scripts.
        title: what was checked.
        detail: what was found.
        remedy: what to do, empty when nothing needs doing.
    """

    id: str
    level: Level
    title: str
    detail: str
    remedy: str = ""

    def to_json(self) -> dict[str, object]:
        """Returns the object of doc/protocol.md."""
        return {
            "id": self.id,
            "level": self.level,
            "title": self.title,
            "detail": self.detail,
            "remedy": self.remedy,
        }
