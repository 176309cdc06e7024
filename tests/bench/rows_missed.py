"""S6 and S7: what following must never do, as numbers: changes that were missed, of how many.

The tests prove the same (tests/properties/test_races.py, tests/unit/sources/test_limits.py); here
it is more trials, and part of the table.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.bench.harness import Pair, Row, Skipped
from tests.properties.test_races import KINDS, raced

CHECKOUT = Path(__file__).resolve().parents[2]
TRIALS = {"inotify": 400, "watchdog": 50, "sweep": 50}
LIMITS = "tests/unit/sources/test_limits.py"


def rows(_: Path) -> Iterator[Row]:
    """Yields both rows."""
    trials = " and ".join(f"{len(KINDS) * count:,} ({by})" for by, count in TRIALS.items())
    yield Row(
        name="S6",
        what=f"changes of another process that the next cut missed, of {trials}",
        at_most=0.0,
        measure=_races,
        unit="n",
    )
    yield Row(
        name="S7",
        what="limits neither made good nor told: queue overflow, watches, mapping, hard link, …",
        at_most=0.0,
        measure=_limits,
        unit="n",
    )


def _races(_: int) -> Pair:
    if not sys.platform.startswith("linux"):
        raise Skipped("inotify is Linux's")
    missed, tried = 0, 0
    for by, trials in TRIALS.items():
        with tempfile.TemporaryDirectory(prefix="ad-", dir="/tmp") as folder:
            lost, count = raced(Path(folder), by, trials)
        missed, tried = missed + len(lost), tried + count
    return Pair(ours_s=(float(missed),), reference_s=(float(tried),))


def _limits(_: int) -> Pair:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", LIMITS]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (\w+)", done.stdout)}
    if counts.get("skipped") or not counts.get("passed"):
        raise Skipped(f"limits cannot be forced here: {done.stdout.strip()[-200:]}")
    failed = counts.get("failed", 0) + counts.get("error", 0) + counts.get("errors", 0)
    return Pair(ours_s=(float(failed),), reference_s=(float(failed + counts["passed"]),))
