"""What becomes of a command whose output cannot be written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_PROGRAM = (sys.executable, "-m", "agentdiff")
FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="no device here is always full")


def _environ(home: Path) -> dict[str, str]:
    """Returns an environment in which output is buffered, as it usually is."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return {**kept, "HOME": str(home), "XDG_STATE_HOME": str(home)}


def _ended(tmp_path: Path, redirection: str, *argv: str) -> tuple[int, str]:
    """Runs ``agentdiff`` with its output redirected by a shell; returns exit code and stderr."""
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {redirection}', "sh", *_PROGRAM, *argv],
        env=_environ(tmp_path),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stderr


@needs_full
@pytest.mark.parametrize(
    "argv", [["trace", "status"], ["trace", "status", "--json"], ["--version"]], ids=" ".join
)
def test_a_full_disk_is_said_once(tmp_path: Path, argv: list[str]) -> None:
    """Whoever redirects the output learns that it is not there."""
    code, said = _ended(tmp_path, ">/dev/full", *argv)
    assert (code, said) == (3, "agentdiff: standard output: No space left on device\n")


@needs_full
def test_a_complaint_that_nobody_hears_changes_no_exit_code(tmp_path: Path) -> None:
    """The code says what the message would have said."""
    assert _ended(tmp_path, "2>/dev/full", "baseline", "show", "")[0] == 2


@pytest.mark.parametrize("argv", [["trace", "status"], ["trace", "status", "--json"]], ids=" ".join)
def test_closed_output_is_nobody_listening(tmp_path: Path, argv: list[str]) -> None:
    """``>&-`` is as good as ``>/dev/null``."""
    assert _ended(tmp_path, ">&-", *argv) == (0, "")


@pytest.mark.parametrize("argv", [["trace", "status"], ["trace", "status", "--json"]], ids=" ".join)
def test_a_reader_that_left_is_no_error(tmp_path: Path, argv: list[str]) -> None:
    """``agentdiff … | true``: also where the little that was said goes off only at the end."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    with open(write_end, "wb") as closed:
        done = subprocess.run(
            [*_PROGRAM, *argv],
            env=_environ(tmp_path),
            stdout=closed,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )
    assert (done.returncode, done.stderr) == (0, b"")
