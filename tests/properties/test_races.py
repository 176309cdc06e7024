"""A change whose system call has returned is in the next cut, whoever made it and however.

Target S6: eleven kinds of change, 55,000 trials under ``HYPOTHESIS_PROFILE=deep``.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from agentdiff.sources.watch import Watcher, open_feed
from agentdiff.workspace.blobs import BlobStore
from agentdiff.workspace.tracker import Tracker, TrackerSettings

WRITER = Path(__file__).with_name("race_writer.py")
DEEP = os.environ.get("HYPOTHESIS_PROFILE") == "deep"
# Of each kind, by how the workspace is followed.
TRIALS = {
    "inotify": 5000 if DEEP else 20,
    "watchdog": 300 if DEEP else 4,
    "sweep": 300 if DEEP else 4,
}
KINDS = [
    *("write", "write_held_open", "truncate_and_write", "rename_over", "truncate"),
    *("copy_file_range", "mapping", "new_file", "new_directories", "unlink_and_recreate"),
    "through_link",
]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")


@pytest.mark.parametrize("by", TRIALS)
def test_no_change_is_missed(tmp_path: Path, by: str) -> None:
    """Another process changes a file, then asks for a cut; the cut has the new content."""
    assert raced(tmp_path, by, TRIALS[by]) == ([], len(KINDS) * TRIALS[by])


def raced(folder: Path, by: str, trials: int) -> tuple[list[str], int]:
    """Follows a tree while the writer plays; returns what was missed, and how much was tried."""
    tree, outside = folder / "tree", folder / "outside"
    outside.mkdir()
    for number in range(8):
        (tree / f"d{number}").mkdir(parents=True)
        for file in range(5):
            (tree / f"d{number}" / f"f{file}").write_bytes(b"x" * 3000)
    root = os.fsencode(tree)
    feed = open_feed(root) if by == "inotify" else None
    blobs = BlobStore(folder / "blobs")
    tracker = Tracker(root, blobs, None, lambda _: None, TrackerSettings(), feed=feed)
    watcher = Watcher(root, tracker.touch, feed)
    if by != "sweep":
        watcher.start()
        assert watcher.wait_ready(20)
    assert tracker.cut().certain
    assert tracker.trusts_feed == (by == "inotify")
    try:
        return play(tracker, tree, outside, trials)
    finally:
        watcher.stop()
        tracker.close()
        blobs.close()


def play(tracker: Tracker, tree: Path, outside: Path, trials: int) -> tuple[list[str], int]:
    """Lets the writer play; returns what was missed, and how many changes there were."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    where = [str(theirs.fileno()), str(tree), str(outside), str(trials)]
    command = [sys.executable, str(WRITER), *where, *KINDS]
    missed, count = [], 0
    with ours, theirs, subprocess.Popen(command, pass_fds=[theirs.fileno()]) as writer:
        theirs.close()
        ours.settimeout(120)
        while message := ours.recv(4096):
            tracker.cut()
            kind, path, oid = message.decode().split()
            known = tracker.lookup(os.fsencode(path))
            if known is None or known.ref.oid != oid:
                missed.append(f"{kind} {path}")
            count += 1
            ours.send(b"go on")
    assert writer.returncode == 0
    return missed, count
