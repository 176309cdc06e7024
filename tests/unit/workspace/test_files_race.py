"""Another process writes at any moment around our replacement: its bytes are never lost unseen.

A program that keeps the file open for longer than we wait is the one exception, and `weak` says so.
On a machine under load that happens to the writer of this test, now and then.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agentdiff.core.entries import ABSENT, Entry, File
from agentdiff.workspace.files import Root, Written, read_entry, write_entry

TRIALS = 100
BEFORE = File(data=b"before\n", mode=0o644)
OURS = File(data=b"ours\n", mode=0o644)

# Performs one write for each byte that it reads, after a wait that the byte tells.
WRITER = """
import os, sys, time

def rewrite(path):  # as shells and most programs do
    with open(path, "wb", buffering=0) as file:
        file.write(b"theirs\\n")

def append(path):  # opens, lets some time pass, and only then writes
    with open(path, "ab", buffering=0) as file:
        time.sleep(0.000_2)
        file.write(b"theirs\\n")

def rename_over(path):  # as editors and agents do
    rewrite(path + b".new")
    os.rename(path + b".new", path)

write, path = globals()[sys.argv[1]], os.fsencode(sys.argv[2])
while order := os.read(0, 1):
    deadline = time.perf_counter() + order[0] * 8e-6
    while time.perf_counter() < deadline:
        pass
    write(path)
    os.write(1, b".")
"""


@pytest.mark.parametrize("write", [OURS, ABSENT], ids=["replace", "delete"])
@pytest.mark.parametrize("how", ["rewrite", "append", "rename_over"])
def test_no_unseen_write_is_lost(tmp_path: Path, how: str, write: Entry) -> None:
    """After both are done the other's bytes are on disk, or `weak` says that they may not be."""
    root = Root(os.fsencode(tmp_path))
    path = tmp_path / "x"
    writer = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", WRITER, how, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    )
    assert writer.stdin is not None
    assert writer.stdout is not None
    strong = 0
    try:
        for trial in range(TRIALS):
            path.write_bytes(BEFORE.data)
            path.chmod(BEFORE.mode)
            writer.stdin.write(bytes([trial * 7 % 250]))
            outcome = write_entry(root, b"x", expect=BEFORE, write=write)
            assert writer.stdout.read(1) == b"."
            assert set(os.listdir(tmp_path)) <= {"x"}
            if isinstance(outcome, Written) and outcome.weak:
                path.unlink(missing_ok=True)
                continue
            strong += 1
            found = read_entry(root, b"x", max_bytes=1 << 20)
            assert isinstance(found, File)
            assert found.data.endswith(b"theirs\n")
        assert strong > TRIALS // 2
    finally:
        writer.kill()
        writer.communicate()
        root.close()
