"""``agentdiff purge`` removes what it names, with nobody else at it, or says why not."""

from __future__ import annotations

import builtins
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from agentdiff.cli import daemon as daemon_command
from agentdiff.cli import purge
from agentdiff.daemon import lifecycle
from tests.unit.cli.shell import AFTER, Shell
from tests.unit.daemon import fixtures


def test_purge_wants_a_confirmation(pending: Shell) -> None:
    """With something pending nothing is removed unless --yes is given."""
    assert pending.run("purge") == 3
    assert pending.json("status", "--json")["totals"]["files"] == 1
    assert pending.run("purge", "--yes") == 0
    assert list(pending.locations.workspaces.iterdir()) == []
    assert (pending.workspace / "a.txt").read_bytes() == AFTER


def test_purge_all_removes_the_state(pending: Shell) -> None:
    """``purge --all --yes`` names and removes the whole state folder, after the daemon left."""
    assert pending.run("purge", "--all", "--yes") == 0
    assert pending.out.decode() == f"removes {pending.locations.state}\n"
    assert not pending.locations.state.exists()


def _spoil(file: Path) -> None:
    file.write_bytes(b"no database at all" * 999)


def _age(file: Path) -> None:
    with closing(sqlite3.connect(file)) as db, db:
        db.execute("UPDATE meta SET value = '999' WHERE key = 'schema'")


@pytest.mark.parametrize("harm", [_spoil, _age])
def test_a_log_that_cannot_be_opened_is_purged(
    pending: Shell, harm: Callable[[Path], None]
) -> None:
    """That is the remedy which is named for it; what pended is not known, so it asks."""
    fixtures.end(pending.locations)
    [folder] = pending.locations.workspaces.iterdir()
    harm(folder / "state.sqlite3")
    assert pending.run("status") == 4
    assert str(folder / "state.sqlite3") in pending.err
    assert pending.run("purge") == 3
    assert pending.out == b""
    assert "a review that cannot be opened (" in pending.err
    assert folder.is_dir()
    assert pending.run("purge", "--yes") == 0
    assert not folder.exists()
    assert pending.run("status") == 0


@pytest.mark.parametrize("more", [[], ["--all"]], ids=["one", "all"])
def test_no_daemon_starts_meanwhile(
    pending: Shell, monkeypatch: pytest.MonkeyPatch, more: list[str]
) -> None:
    """A hook that comes while the folder is removed finds the lock taken."""
    holders = []

    def watched(folder: Path) -> None:
        holders.append(lifecycle.holder(pending.locations.lock_file))
        remove(folder)

    remove = shutil.rmtree
    monkeypatch.setattr(shutil, "rmtree", watched)
    assert pending.run("purge", "--yes", *more) == 0
    assert {None if holder is None else holder.pid for holder in holders} == {os.getpid()}
    assert lifecycle.holder(pending.locations.lock_file) is None


def test_a_daemon_that_stays_keeps_everything(
    pending: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is open is not removed."""

    def late(_: object) -> None:
        raise TimeoutError("the daemon (pid 7) does not leave")

    monkeypatch.setattr(daemon_command, "stop_and_wait", late)
    assert pending.run("purge", "--yes") == 3
    assert "the daemon (pid 7) does not leave: nothing was removed" in pending.err
    assert len(list(pending.locations.workspaces.iterdir())) == 1


def test_what_cannot_be_removed_is_named(pending: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of it may be gone by then."""

    def refuse(folder: Path) -> None:
        raise PermissionError(13, "Permission denied", str(folder / "blobs.pack"))

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", refuse)
        assert pending.run("purge", "--yes") == 3
    assert "blobs.pack: Permission denied: not everything was removed" in pending.err
    assert lifecycle.holder(pending.locations.lock_file) is None


def test_no_answer_is_a_no(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-D at the question, and no standard input at all."""

    def over(_: str) -> str:
        raise EOFError

    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(builtins, "input", over)
    assert not purge._confirmed("1 file pending")
    monkeypatch.setattr(sys, "stdin", None)
    assert not purge._confirmed("1 file pending")


def test_a_daemon_that_left_just_now_is_stopped(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at the lock and the signal."""
    gone = subprocess.Popen(["true"])
    gone.wait()
    shell.locations.prepare()
    found = [lifecycle.Holder(pid=gone.pid, runtime=shell.locations.runtime), None]
    monkeypatch.setattr(lifecycle, "holder", lambda _: found.pop(0) if found else None)
    assert shell.run("daemon", "stop") == 0
    assert shell.out.decode() == f"stopped, pid {gone.pid}\n"
