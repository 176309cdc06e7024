"""The trace's log, when several runs write it at once."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from agentdiff.sources.trace.log import NAME, TraceLog, read

LINES = 150


def test_runs_that_put_it_aside_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    """Each line is there once, those of one run in order; nobody else may read them."""

    def write(run: int) -> None:
        log = TraceLog(tmp_path / "trace", max_bytes=1000, keep=100)
        for number in range(LINES):
            log.write({"run": run, "number": number, "padding": "x" * 40})

    threads = [threading.Thread(target=write, args=(run,)) for run in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = list(read(tmp_path / "trace"))
    for run in range(3):
        numbers = [one["number"] for one in found if one["run"] == run]
        assert sorted(numbers) == list(range(LINES))
    files = list((tmp_path / "trace").iterdir())
    assert len(files) > 3
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_a_line_that_was_cut_off_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk was full, or the machine stopped; what comes after it is read."""
    log = TraceLog(tmp_path, max_bytes=1 << 20, keep=0)
    log.write({"number": 1})
    with open(tmp_path / NAME, "ab") as file:
        file.write(b'{"number": 2, "argv": ["gi\n[3]\n\xff\n')
    log.write({"number": 4})
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:5]))  # as on a full disk
    log.write({"number": 5})
    monkeypatch.undo()
    log.write({"number": 6})
    assert [one["number"] for one in read(tmp_path)] == [1, 4, 6]


def test_none_may_be_kept_aside(tmp_path: Path) -> None:
    """Then the old one goes."""
    log = TraceLog(tmp_path, max_bytes=60, keep=0)
    for number in range(5):
        log.write({"number": number, "padding": "x" * 30})
    assert [path.name for path in tmp_path.iterdir()] == [NAME]
    assert [one["number"] for one in read(tmp_path)] == [4]
