"""How a measurement is taken, judged and printed.

Owns fairness: both sides are measured in the same run, interleaved, and medians are compared, so
that a noisy machine disturbs both alike.  Must not know what is measured.  A row that cannot run
says why; it never counts as reached.
"""

from __future__ import annotations

import hashlib
import os
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

MIN_ROUNDS = 5
_CALIBRATION_BYTES = 64 * 1024 * 1024


class Skipped(Exception):  # noqa: N818 - it is an outcome, not an error
    """A row cannot be measured here; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """What was measured, in seconds per run: one sample of each side for every round."""

    ours_s: tuple[float, ...]
    reference_s: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measurement.

    Attributes:
        name: short and stable, such as ``D1-local``; results are compared over time by it.
        what: ours, against what, on what.
        at_most: the largest accepted ratio of ours to the reference.
        measure: takes the number of rounds; raises `Skipped` where it cannot run.
        unit: of what is measured: seconds, shown as milliseconds, MiB, or a mere number.
    """

    name: str
    what: str
    at_most: float
    measure: Callable[[int], Pair]
    unit: Literal["s", "MiB", "n"] = "s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A row with its outcome; `pair` is None exactly when `skipped` says why."""

    row: Row
    pair: Pair | None = None
    skipped: str = ""

    @property
    def ours_s(self) -> float | None:
        """Median seconds of our side."""
        return statistics.median(self.pair.ours_s) if self.pair else None

    @property
    def reference_s(self) -> float | None:
        """Median seconds of the reference."""
        return statistics.median(self.pair.reference_s) if self.pair else None

    @property
    def ratio(self) -> float | None:
        """Ours over the reference, by their medians."""
        ours, reference = self.ours_s, self.reference_s
        return None if ours is None or reference is None else ours / reference

    @property
    def verdict(self) -> Literal["ok", "short", "skipped"]:
        """Whether the target is reached."""
        if self.ratio is None:
            return "skipped"
        return "ok" if self.ratio <= self.row.at_most else "short"

    def as_json(self) -> dict[str, Any]:
        """Returns the row for the JSON report, with every sample."""
        pair = self.pair
        return {
            "name": self.row.name,
            "what": self.row.what,
            "unit": self.row.unit,
            "ours_s": self.ours_s,
            "reference_s": self.reference_s,
            "ratio": self.ratio,
            "target": self.row.at_most,
            "verdict": self.verdict,
            "skipped": self.skipped,
            "samples": {"ours_s": pair.ours_s, "reference_s": pair.reference_s} if pair else None,
        }


def interleaved(ours: Callable[[], object], reference: Callable[[], object], rounds: int) -> Pair:
    """Runs both sides once for warmth, then in turns, swapping who goes first in every round."""
    ours()
    reference()
    samples: dict[int, list[float]] = {0: [], 1: []}
    sides = ((0, ours), (1, reference))
    for number in range(max(rounds, MIN_ROUNDS)):
        for side, action in sides if number % 2 == 0 else reversed(sides):
            samples[side].append(timed(action))
    return Pair(ours_s=tuple(samples[0]), reference_s=tuple(samples[1]))


def timed(action: Callable[[], object]) -> float:
    """Returns how many seconds `action` takes."""
    started_ns = time.perf_counter_ns()
    action()
    return (time.perf_counter_ns() - started_ns) / 1e9


def run(row: Row, rounds: int) -> Result:
    """Measures one row; a row that cannot run is an outcome, a row that breaks is an error."""
    try:
        return Result(row=row, pair=row.measure(rounds))
    except Skipped as reason:
        return Result(row=row, skipped=str(reason))


def calibration(scratch: Path) -> dict[str, float]:
    """Returns what this machine needs for three plain things, in seconds (medians of five).

    Args:
        scratch: a folder on the file system that the rows are measured on.
    """
    data = bytes(_CALIBRATION_BYTES)

    def sync() -> None:
        with tempfile.TemporaryFile(dir=scratch) as file:
            file.write(b"x")
            file.flush()
            os.fsync(file.fileno())

    actions: dict[str, Callable[[], object]] = {
        "spawn_s": lambda: subprocess.run(["/bin/sh", "-c", ":"], check=True),
        "fsync_s": sync,
        "sha256_64mib_s": lambda: hashlib.sha256(data).digest(),
    }
    return {
        name: statistics.median(timed(action) for _ in range(MIN_ROUNDS))
        for name, action in actions.items()
    }


def report(results: Sequence[Result], calibrated: dict[str, float]) -> dict[str, Any]:
    """Returns the JSON report."""
    return {
        "v": 1,
        "machine": {
            "python": platform.python_version(),
            "platform": platform.platform(),
            "cpus": os.cpu_count(),
            "calibration": calibrated,
        },
        "rows": [result.as_json() for result in results],
    }


def table(results: Sequence[Result], calibrated: dict[str, float]) -> str:
    """Returns the table for people: ``name  ours  reference  ratio  target  ok|short|skipped``."""
    heading = ("name", "ours", "reference", "ratio", "target", "")
    rows = [heading, *(_cells(result) for result in results)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(heading))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    measured = ", ".join(f"{name[:-2]} {_duration(value)}" for name, value in calibrated.items())
    return "\n".join([*lines, "", f"calibration: {measured}"])


def line(result: Result) -> str:
    """Returns one result on one line."""
    return "  ".join(_cells(result))


def _cells(result: Result) -> tuple[str, ...]:
    verdict = f"skipped: {result.skipped}" if result.skipped else result.verdict
    ours, reference, ratio = result.ours_s, result.reference_s, result.ratio
    return (
        result.row.name,
        "-" if ours is None else _shown(ours, result.row.unit),
        "-" if reference is None else _shown(reference, result.row.unit),
        "-" if ratio is None else f"{ratio:.3g}x",
        f"<= {result.row.at_most:g}x",
        verdict,
    )


def _shown(value: float, unit: str) -> str:
    if unit == "n":
        return f"{value:.6g}"
    return _duration(value) if unit == "s" else f"{value:.3g} {unit}"


def _duration(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms"
