"""What the soak found: rows with a limit each, as a table and as JSON.

Owns the verdict: `ok`, or `SHORT` where a value is beyond its limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One finding.

    Attributes:
        what: in a few words.
        value: what was found.
        at_most, at_least: its limit; with neither it is told only.
        unit: of the value.
        note: what helps to read it.
    """

    what: str
    value: float
    at_most: float | None = None
    at_least: float | None = None
    unit: str = ""
    note: str = ""

    @property
    def verdict(self) -> str:
        """``ok``, ``SHORT``, or nothing for what is only told."""
        if self.at_most is None and self.at_least is None:
            return ""
        high = self.at_most is not None and self.value > self.at_most
        low = self.at_least is not None and self.value < self.at_least
        return "SHORT" if high or low else "ok"

    def as_json(self) -> dict[str, Any]:
        """Returns the row for the JSON report."""
        return {
            "what": self.what,
            "value": self.value,
            "at_most": self.at_most,
            "at_least": self.at_least,
            "unit": self.unit,
            "verdict": self.verdict,
            "note": self.note,
        }


def table(rows: Sequence[Row]) -> str:
    """Returns the table for people."""
    cells = [("", "found", "limit", ""), *map(_cells, rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(4)]
    lines = []
    for (what, found, limit, verdict), row in zip(cells, [None, *rows], strict=True):
        note = f"  {row.note}" if row and row.note else ""
        line = f"{what:{widths[0]}}  {found:>{widths[1]}}  {limit:{widths[2]}}  {verdict:5}{note}"
        lines.append(line.rstrip())
    return "\n".join(lines)


def _cells(row: Row) -> tuple[str, str, str, str]:
    limits = [("<=", row.at_most), (">=", row.at_least)]
    limit = " ".join(f"{sign} {_shown(value)}" for sign, value in limits if value is not None)
    unit = f" {row.unit}" if row.unit else ""
    return row.what, _shown(row.value) + unit, limit, row.verdict


def _shown(value: float) -> str:
    if isinstance(value, int) or value == int(value):
        return f"{int(value):,}"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"
