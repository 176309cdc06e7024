"""Runs every row, or those whose names start with an argument; prints the table, writes the JSON.

    python -m tests.bench [--rounds N] [--json FILE] [PREFIX…]

The exit code says whether the measuring worked; whether the targets are reached, the table says.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from agentdiff.daemon.run import tune
from tests.bench import (
    harness,
    rows_agent,
    rows_baseline,
    rows_diff,
    rows_hook,
    rows_live,
    rows_missed,
    rows_otlp,
    rows_render,
    rows_review,
    rows_run,
    rows_watch,
)

SOURCES = (
    *(rows_hook.rows, rows_agent.rows, rows_baseline.rows, rows_watch.rows),
    rows_missed.rows,
    *(rows_diff.rows, rows_review.rows, rows_otlp.rows),
    *(rows_render.rows, rows_live.rows),
    rows_run.rows,
)


def main() -> int:
    """Measures; returns the exit code."""
    parser = argparse.ArgumentParser(prog="make bench", description="Measure agentdiff.")
    parser.add_argument("--rounds", type=int, default=15, help="at least 5; default 15")
    parser.add_argument("--json", type=Path, help="file for the report")
    parser.add_argument("prefix", nargs="*", help="rows to run; default all")
    args = parser.parse_args()
    tune()  # as the daemon is: some rows run its engine in this process
    with tempfile.TemporaryDirectory(prefix="agentdiff-bench-") as folder:
        scratch = Path(folder)
        chosen = [
            row
            for source in SOURCES
            for row in source(scratch)
            if not args.prefix or row.name.startswith(tuple(args.prefix))
        ]
        if not chosen:
            print(f"no row starts with {' or '.join(args.prefix)}", file=sys.stderr)
            return 2
        calibrated = harness.calibration(scratch)
        results = []
        for row in chosen:
            print(f"{row.name}: {row.what}", file=sys.stderr)
            results.append(harness.run(row, args.rounds))
            print(f"  {harness.line(results[-1])}", file=sys.stderr)
            if args.json:  # after each: what an interrupted night has measured is not lost
                args.json.parent.mkdir(parents=True, exist_ok=True)
                report = harness.report(results, calibrated)
                args.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(harness.table(results, calibrated))
    return 0


if __name__ == "__main__":
    sys.exit(main())
