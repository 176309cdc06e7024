"""What a workspace does while its state cannot be written, and what is left when it can again."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from agentdiff.daemon import degraded
from agentdiff.daemon.ports import RequestError
from tests.unit.daemon.bench import Bench


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
