"""What a workspace does while its state cannot be written, and what is left when it can again."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from agentdiff.daemon import degraded, doctor, lifecycle
from agentdiff.daemon.journal import Journal
from agentdiff.daemon.keeping import Keeping
from agentdiff.daemon.ports import RequestError
from agentdiff.workspace.tracker import Tracker
from tests.unit.daemon.bench import WAIT_S, Bench

CHECKOUT = Path(__file__).resolve().parents[3]
_TEST = re.compile(r"^def (test_\w+)", re.MULTILINE)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A running engine on a workspace with two files."""
    bench = Bench(tmp_path)
    for name in ("a", "b"):
        (bench.root / name).write_bytes(b"1\n")
    yield bench
    bench.engine.close()


def _storage_problem(bench: Bench) -> str | None:
    (workspace,) = bench.engine.describe()["workspaces"]  # type: ignore[misc, attr-defined]
    problem: str | None = workspace["storage_problem"]
    return problem


@contextmanager
def _no_room_for_contents(patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every write to a pack fails as on a full disk."""

    def refuse(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with patch.context() as within:
        within.setattr(os, "pwrite", refuse)
        yield


@contextmanager
def _no_room_for_the_log(bench: Bench) -> Iterator[None]:
    """SQLite says that the disk is full, as it does when the file must grow and cannot."""
    desk = bench.engine.desk(os.fsencode(bench.root))
    desk.store._db.execute("PRAGMA max_page_count=1")  # what it has is the least that it takes
    yield
    desk.store._db.execute("PRAGMA max_page_count=1073741823")


def test_with_contents_that_wait_for_the_disk_a_review_goes_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agent is answered, what it did pends, an accept works, a reject is refused with why."""
    bench.prompt()
    bench.write("a", b"2\n")
    with _no_room_for_contents(monkeypatch):
        bench.write("a", b"3\n", call="toolu_2")
        bench.write("b", b"2\n", call="toolu_3")
        assert sorted(bench.status()) == ["a", "b"]
        refused = bench.decide("reject", paths=["a"])["refused"]
        assert "blobs.pack cannot be written: No space left on device" in refused[0]["reason"]
        assert "free space" in refused[0]["reason"]
        assert bench.decide("accept", paths=["b"])["done"] != []
        assert "blobs.pack cannot be written" in str(_storage_problem(bench))
    assert bench.tree() == {"a": b"3\n", "b": b"2\n"}
    assert bench.decide("reject", paths=["a"])["refused"] == []
    assert _storage_problem(bench) is None
    bench.restart()
    assert (sorted(bench.status()), bench.tree()) == ([], {"a": b"1\n", "b": b"2\n"})
    bench.call("undo")
    assert bench.tree()["a"] == b"3\n"


def test_what_a_full_disk_kept_out_of_the_log_is_in_it_later(bench: Bench) -> None:
    """A restart after the disk had room again shows what was shown before."""
    bench.prompt()
    bench.status()
    with _no_room_for_the_log(bench):
        for number in range(40):  # until the pages that SQLite has are full
            name, data = f"new{number}", b"x\n" * 200
            bench.write(name, data, call=f"toolu_{number}")
        before = bench.status()
        assert "state.sqlite3 cannot be written" in str(_storage_problem(bench))
        with pytest.raises(RequestError, match=r"state\.sqlite3 cannot be written"):
            bench.call("baseline.restore", turn="1")
    assert len(before) == 40
    bench.restart()
    assert bench.status() == before


def test_what_happened_is_durable_soon(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """When nobody waits for anything the log is synced, contents first; once, not at every tick."""
    desk = bench.engine.desk(os.fsencode(bench.root))
    synced: list[str] = []
    found: Future[bool] = Future()

    def work() -> None:  # on the worker's thread, so that no tick comes between
        blobs_sync, commit = desk.blobs.sync, desk.store.commit
        monkeypatch.setattr(desk.blobs, "sync", lambda: (synced.append("contents"), blobs_sync()))
        monkeypatch.setattr(desk.store, "commit", lambda **m: (synced.extend(m), commit(**m)))
        desk.keeping._synced_s = time.monotonic() - 60.0
        desk.store.note_made([b"somewhere"])
        desk.tidy()
        desk.tidy()
        found.set_result(desk.store.unsynced)

    bench.engine._queue.put(work)
    assert (found.result(WAIT_S), synced) == (False, ["contents", "durable"])


def test_the_doctor_says_what_a_full_disk_means(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names the file and the reason, and warns of stopping the daemon."""
    bench.prompt()
    with _no_room_for_contents(monkeypatch):
        bench.write("a", b"2\n")
        bench.status()
        described = bench.engine.describe()
        told = degraded._workspace_checks(described["workspaces"])  # type: ignore[arg-type]
        (check,) = [one for one in told if one.id == "storage"]
    assert (check.level, "blobs.pack" in check.detail) == ("error", True)
    assert "do not stop the daemon" in check.remedy
    bench.status()


def test_the_doctor_names_a_log_that_cannot_be_used(bench: Bench) -> None:
    """One of a newer agentdiff, or a damaged one: workspace, folder, remedy."""
    bench.prompt()
    bench.write("a", b"2\n")
    bench.engine.close()
    folder = bench.locations.workspace_folder(os.fsencode(bench.root))
    with closing(sqlite3.connect(folder / "state.sqlite3")) as opened, opened:
        opened.execute("UPDATE meta SET value = '99' WHERE key = 'schema'")
    newer = doctor._log_check(bench.locations)
    assert (newer.level, f"{bench.root} ({folder}) has schema 99" in newer.detail) == (
        "error",
        True,
    )
    (folder / "state.sqlite3").write_bytes(b"not a database at all" * 200)
    (folder / "state.sqlite3-wal").unlink(missing_ok=True)
    damaged = doctor._log_check(bench.locations)
    assert (damaged.level, str(folder) in damaged.detail) == ("error", True)
    assert "No file of the workspace is touched" in damaged.remedy
    bench.start()


@pytest.mark.parametrize("folder", ["state", "runtime"])
def test_the_doctor_names_a_folder_that_is_none(bench: Bench, folder: str) -> None:
    """A file in the place of the folder keeps every daemon from starting."""
    path: Path = getattr(bench.locations, folder)
    moved = path.with_name("moved")
    if path.exists():
        path.rename(moved)
    path.write_bytes(b"in the way")
    (check,) = [one for one in doctor._folder_checks(bench.locations) if one.id == folder]
    assert (check.level, check.remedy) == ("error", f"move {path} away")
    path.unlink()
    if moved.exists():
        moved.rename(path)


def test_the_doctor_names_a_daemon_that_does_not_answer(bench: Bench) -> None:
    """It holds the lock, and its sockets are gone."""
    locations = bench.locations
    locations.prepare()
    lock = lifecycle.Lock.acquire(locations.lock_file, locations.runtime)
    (check,) = doctor._daemon_checks(None, locations)
    assert (check.level, f"pid {os.getpid()} has the lock" in check.detail) == ("error", True)
    assert "agentdiff daemon stop" in check.remedy
    lock.release()


def test_every_fault_names_tests_that_there_are() -> None:
    """``doc/faults.md`` does not promise what nobody checks."""
    tests = CHECKOUT / "tests"
    defined = {
        name
        for file in tests.rglob("test_*.py")
        for name in (*_TEST.findall(file.read_text()), file.name, file.stem)
    }
    named = set(re.findall(r"\btest_\w+(?:\.py)?", (CHECKOUT / "doc" / "faults.md").read_text()))
    assert (len(named) > 30, named - defined) == (True, set())


# --- time ----------------------------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Clocks that can jump, for everything of ours that asks."""
    made = Clock()
    monkeypatch.setattr(time, "time_ns", made.time_ns)
    monkeypatch.setattr(time, "monotonic", made.monotonic)
    defaults = (made.time_ns, None)
    monkeypatch.setattr(Tracker.__init__, "__defaults__", defaults)
    return made


class Clock:
    """Wall clock and monotonic clock, each with an offset in seconds."""

    def __init__(self) -> None:
        self.wall_s = 0.0
        self.run_s = 0.0
        self._time_ns, self._monotonic = time.time_ns, time.monotonic

    def time_ns(self) -> int:
        """Stands for `time.time_ns`."""
        return self._time_ns() + round(self.wall_s * 1e9)

    def monotonic(self) -> float:
        """Stands for `time.monotonic`."""
        return self._monotonic() + self.run_s


@pytest.mark.parametrize(
    ("wall_s", "run_s"),
    [(3600.0, 0.0), (-3600.0, 0.0), (86400.0, 86400.0), (400 * 86400.0, 0.0)],
    ids=["suspended", "set back", "both clocks", "a year"],
)
def test_a_jump_of_the_clock_loses_nothing(
    clock: Clock, tmp_path: Path, wall_s: float, run_s: float
) -> None:
    """In the middle of a call, between calls, and before a decision: all of it pends and goes."""
    bench = Bench(tmp_path)
    for name in ("a", "b", "c"):
        (bench.root / name).write_bytes(b"1\n")
    bench.prompt()
    bench.status()
    desk = bench.engine.desk(os.fsencode(bench.root))

    def work() -> None:
        (bench.root / "a").write_bytes(b"2\n")
        clock.wall_s, clock.run_s = wall_s, run_s
        (bench.root / "b").write_bytes(b"2\n")
        desk.tracker.cut()  # the watcher is faster than the end of the call

    bench.shell(work)
    bench.write("c", b"2\n", call="toolu_2")
    found = bench.status()
    assert sorted(found) == ["a", "b", "c"]
    assert {o["kind"] for one in found.values() for h in one["hunks"] for o in h["owners"]} == {
        "agent"
    }
    bench.restart()
    assert sorted(bench.status()) == ["a", "b", "c"]
    bench.decide("reject")
    assert set(bench.tree().values()) == {b"1\n"}
    bench.call("undo")
    assert set(bench.tree().values()) == {b"2\n"}
    bench.engine.close()


# --- bugs of ours --------------------------------------------------------------------------------


def _broken(*_: object) -> None:
    raise KeyError("a bug")


def test_a_bug_after_a_sleep_does_not_end_the_worker(
    clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is logged and counted as any other, and the next request is answered."""
    bench = Bench(tmp_path)
    bench.status()
    monkeypatch.setattr(bench.engine.desk(os.fsencode(bench.root)).ledger, "resume", _broken)
    clock.wall_s = 3600.0
    assert bench.status() == {}
    assert bench.engine.counters["bugs"] == 1
    bench.engine.close()


def test_a_request_that_a_bug_ended_waits_for_no_answer(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else its workspace would never be closed."""
    bench.prompt()
    bench.write("a", b"2\n")
    desk = bench.engine.desk(os.fsencode(bench.root))
    with monkeypatch.context() as patch:
        patch.setattr(desk.ledger.executor, "handle", _broken)
        with pytest.raises(RequestError, match="decide failed"):
            bench.decide("accept")
    assert desk.answers == {}
    assert bench.decide("accept")["done"] != []


# --- the workspace itself ------------------------------------------------------------------------


def test_a_workspace_that_vanishes_and_comes_back_keeps_its_review(bench: Bench) -> None:
    """Moved away and back (another disk, say): what pended pends, and rejects as before."""
    bench.prompt()
    bench.write("a", b"2\n")
    bench.status()
    away = bench.root.with_name("away")
    bench.root.rename(away)
    with pytest.raises(RequestError, match=f"cwd: no such folder: {bench.root}"):
        bench.call("status")
    bench.hook("PreToolUse", "Bash", {"command": "x", "description": "x"}, call="toolu_2")
    away.rename(bench.root)
    assert "a" in bench.status()
    bench.decide("reject")
    assert bench.tree() == {"a": b"1\n", "b": b"1\n"}


def test_a_workspace_that_is_replaced_is_compared_with_what_was_there(bench: Bench) -> None:
    """Cloned anew in the same place: what pends can be rejected to the bytes that it had before."""
    bench.prompt()
    bench.write("a", b"2\n")
    bench.status()
    shutil.rmtree(bench.root)
    bench.root.mkdir()
    (bench.root / "a").write_bytes(b"3\n")
    (bench.root / "new").write_bytes(b"x\n")
    assert "a" in bench.status()
    bench.decide("reject", all=True, external=True)
    assert bench.tree()["a"] == b"1\n"


def test_a_call_whose_daemon_died_after_its_answer_is_open_for_the_next(
    bench: Bench, tmp_path: Path
) -> None:
    """What it writes pends, though an editor is there before the call's end is heard of."""
    bench.prompt()
    bench.status()
    gate = threading.Event()
    bench.engine._queue.put(lambda: gate.wait(WAIT_S) and None)  # the worker is busy elsewhere
    given = {"file_path": str(bench.root / "made"), "content": "1\n"}
    bench.hook("PreToolUse", "Write", given, call="toolu_2")
    dead = tmp_path / "dead"
    shutil.copytree(bench.locations.state, dead)  # what a process that ends now leaves behind
    gate.set()
    bench.engine.close()
    assert bench.locations.journal.stat().st_size == 0
    (bench.root / "made").write_bytes(b"1\n")
    bench.locations = replace(bench.locations, state=dead)
    bench.start()
    (owners,) = [h["owners"] for h in bench.status()["made"]["hunks"]]
    assert [(one["kind"], one["tool_call"]) for one in owners] == [("agent", "toolu_2")]
    bench.hook("PostToolUse", "Write", given, call="toolu_2", tool_response={})
    bench.engine.close()
    assert bench.locations.journal.stat().st_size == 0
    bench.start()


def test_a_start_on_a_full_disk_does_not_fill_the_journal_for_ever(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the last daemon left stays while it cannot be written, and no longer."""
    bench.prompt()
    bench.engine.close()
    given = {"file_path": str(bench.root / "a"), "content": "2\n"}
    payload = {"session_id": "session-1", "cwd": str(bench.root), "tool_input": given}
    payload |= {"hook_event_name": "PreToolUse", "tool_name": "Write", "tool_use_id": "toolu_2"}
    journal = Journal(bench.locations.journal)
    journal.note("claude", json.dumps(payload).encode(), time.time_ns(), None)
    journal.close()
    with monkeypatch.context() as patch:
        patch.setattr(Keeping, "problem", "disk full")
        bench.start()
        assert [one["state"] for one in bench.call("status")["sessions"]] == ["working"]
        bench.call("status")  # by now the worker has handled and committed the first one
        assert bench.locations.journal.stat().st_size > 0
    bench.engine.close()
    assert bench.locations.journal.stat().st_size == 0
    bench.start()


def test_a_reject_that_a_crash_interrupted_is_nobodys_change(bench: Bench) -> None:
    """What it had deleted is no agent's deletion, though an agent's call is open by then."""
    bench.prompt()
    bench.write("made", b"1\n")
    bench.restart()
    database = bench.locations.workspace_folder(os.fsencode(bench.root)) / "state.sqlite3"
    with closing(sqlite3.connect(database)) as opened:
        seen = opened.execute("SELECT path, row FROM seen_row").fetchall()
    bench.decide("reject", paths=["made"])
    bench.engine.close()
    # The process dies between its write and the record of that: the log ends with the intent.
    with closing(sqlite3.connect(database)) as opened, opened:
        opened.execute("DELETE FROM log WHERE kind = 'DecisionMade'")
        opened.executemany("INSERT OR REPLACE INTO seen_row VALUES (?, ?)", seen)
    bench.start()
    given = {"file_path": str(bench.root / "b"), "content": "2\n"}
    bench.hook("PreToolUse", "Write", given, call="toolu_2")
    assert sorted(bench.status()) == []
    bench.call("undo")
    assert bench.tree()["made"] == b"1\n"
