"""Paths that lead somewhere else: in what an agent says, in decisions, and under our hands."""

from __future__ import annotations

import base64
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from agentdiff.client import Client, RequestError
from agentdiff.core.entries import ABSENT, File
from agentdiff.workspace.files import Changed, Root, write_entry
from tests.security.victim import Victim

SECRET = b"outside-secret-8d1f"


@pytest.fixture
def links(workspace: Path, outside: Path) -> Path:
    """The workspace, with links of an agent that lead out of it."""
    (workspace / "out").symlink_to(outside)
    (workspace / "secret").symlink_to(outside / "secret.txt")
    (workspace / "up").symlink_to("..")
    return workspace


@pytest.mark.parametrize(
    "path",
    ["../outside/secret.txt", "d/../../outside/secret.txt", "out/secret.txt", "up/outside/a.txt"],
)
def test_a_payload_cannot_name_what_is_outside(victim: Victim, links: Path, path: str) -> None:
    """By dots or through a link: it is counted, and neither read nor kept nor shown."""
    before = victim.call("daemon.status")["counters"]["ignored_paths"]
    assert victim.edit(links, path, b"", act=False)["ok"]
    assert victim.call("daemon.status")["counters"]["ignored_paths"] > before
    assert not [name for name in victim.pending(links) if "outside" in name or "out/" in name]
    assert victim.kept(SECRET) == []


def test_a_link_is_reviewed_as_a_link(victim: Victim, links: Path) -> None:
    """What a link points at is not read as its content: not kept, and not in the diff."""
    victim.call("baseline.set", cwd=str(links), paths=["secret"])
    victim.edit(links, "secret", b"", act=False)
    (links / "second").symlink_to(links.parent / "outside/secret.txt")
    diff = victim.call("diff", cwd=str(links), external=True)
    assert SECRET not in base64.b64decode(diff["diff_b64"])
    shown = victim.call("baseline.show", cwd=str(links), path="secret")
    assert shown["kind"] == "link"
    assert victim.kept(SECRET) == []


@pytest.mark.parametrize("path", ["../outside/a.txt", "/etc/passwd", "d/../../outside/a.txt"])
@pytest.mark.parametrize("method", ["baseline.restore", "baseline.set", "decide", "inline"])
def test_a_decision_cannot_name_what_is_outside(
    victim: Victim, links: Path, method: str, path: str
) -> None:
    """It is refused, by name."""
    more = {"op": "reject", "selection": {"paths": [path]}} if method == "decide" else {}
    with pytest.raises(RequestError, match="outside the workspace") as refused:
        victim.call(method, cwd=str(links), paths=[path], **more)
    assert refused.value.code == "refused"


@pytest.mark.parametrize("path", ["out/a.txt", "out/secret.txt", "up/outside/a.txt", "secret"])
def test_a_decision_does_not_go_through_a_link(victim: Victim, links: Path, path: str) -> None:
    """Below a link there is nothing, for a reject, a restore and a look at the baseline alike."""
    victim.edit(links, "a.txt", b"changed\n")
    selection = {"paths": [path]}
    victim.call("decide", cwd=str(links), op="reject", selection=selection)
    victim.call("baseline.restore", cwd=str(links), paths=[path])
    shown = victim.call("baseline.show", cwd=str(links), path=path)
    assert SECRET not in base64.b64decode(shown["data_b64"])
    assert shown["kind"] in ("absent", "link")


def test_a_claim_cannot_name_what_is_outside(victim: Victim, links: Path) -> None:
    """An editor's claim leads nowhere either, and disturbs nobody."""
    with Client(victim.locations, kind="nvim", start=False) as editor:
        editor.call("attach", cwd=str(links))
        for path in ("../outside/secret.txt", "/etc/passwd", "out/secret.txt", "."):
            claim = {"path": path, "data_b64": "eA==", "written": True}
            editor.notify("claim", cwd=str(links), **claim)
        editor.call("status", cwd=str(links))
    assert victim.bugs() == 0
    assert victim.kept(SECRET) == []


def test_a_parent_that_became_a_link(victim: Victim, workspace: Path, outside: Path) -> None:
    """An agent changes a file, then puts a link in the place of its folder: nothing is followed."""
    victim.edit(workspace, "d/f.txt", b"one\ntwo\n")
    (outside / "f.txt").write_bytes(b"one\ntwo\n")  # exactly what a reject expects to find
    expected = (outside / "f.txt").stat().st_ino
    (workspace / "d").rename(workspace / "moved")
    (workspace / "d").symlink_to(outside)
    for op in ("reject", "undo", "redo"):
        params = {"op": op, "selection": {"all": True}} if op == "reject" else {}
        victim.call("decide" if op == "reject" else op, cwd=str(workspace), **params)
    status = (outside / "f.txt").stat()
    assert ((outside / "f.txt").read_bytes(), status.st_ino) == (b"one\ntwo\n", expected)
    (outside / "f.txt").unlink()


SWAPPER = """
import os, sys
os.chdir(sys.argv[1])
print("ready", flush=True)
while True:
    os.rename("d", "y")
    os.rename("x", "d")
    os.rename("d", "x")
    os.rename("y", "d")
"""


def test_a_parent_that_is_swapped_all_the_time(tmp_path: Path, outside: Path) -> None:
    """Between the check and the use: every step is taken from an open folder, by no name twice."""
    work = tmp_path / "work"
    (work / "d").mkdir(parents=True)
    (work / "x").symlink_to(outside)
    before = (outside / "a.txt").stat()
    entry = File(data=b"one\ntwo\n", mode=stat.S_IMODE(before.st_mode))
    swapper = subprocess.Popen([sys.executable, "-c", SWAPPER, work], stdout=subprocess.PIPE)
    root = Root(os.fsencode(work))
    try:
        assert swapper.stdout is not None
        swapper.stdout.readline()
        for _ in range(1_000):  # what is there only outside is always what is expected
            outcome = write_entry(root, b"d/a.txt", expect=entry, write=File(data=b"", mode=0o600))
            assert outcome == Changed(found=ABSENT)
    finally:
        swapper.kill()
        swapper.communicate()
        root.close()


@pytest.mark.parametrize("kind", ["fifo", "socket", "device", "endless"])
def test_what_is_no_file_holds_nobody_up(victim: Victim, workspace: Path, kind: str) -> None:
    """Named by a payload, standing in the tree, or put in the place of a file that pends."""
    victim.edit(workspace, "d/f.txt", b"changed\n")
    for name in ("special", "d/f.txt"):
        place = workspace / name
        place.unlink(missing_ok=True)
        _make(kind, place)
        assert victim.edit(workspace, name, b"", act=False)["ok"]
    selection = {"all": True, "external": True}
    victim.call("decide", cwd=str(workspace), op="reject", selection=selection)
    victim.call("undo", cwd=str(workspace))
    victim.call("diff", cwd=str(workspace), external=True)
    assert victim.bugs() == 0


def _make(kind: str, place: Path) -> None:
    if kind == "fifo":
        os.mkfifo(place)
    elif kind == "socket":
        if sys.platform != "linux":
            pytest.skip("paths of sockets are short")
        here = os.open(place.parent, os.O_RDONLY)
        with socket.socket(socket.AF_UNIX) as listener:  # by a short name: paths of sockets are
            listener.bind(f"/proc/self/fd/{here}/{place.name}")
        os.close(here)
    elif kind == "device":
        if os.geteuid() != 0:
            pytest.skip("needs root, to make a device")
        os.mknod(place, 0o600 | 0o020000, os.makedev(1, 5))  # /dev/zero
    else:
        place.symlink_to("/dev/zero")
