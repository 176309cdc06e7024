"""The store keeps what it was told, in order, and refuses what it does not know."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from agentdiff.core.codec import SCHEMA
from agentdiff.core.entries import ABSENT_REF, File, Link, Ref
from agentdiff.core.owners import USER
from agentdiff.core.records import PathChanged, Record, SessionChanged, TurnStarted
from agentdiff.workspace.known import pack
from agentdiff.workspace.migrations import CannotMigrate
from agentdiff.workspace.observations import Known
from agentdiff.workspace.store import Store, StoreTooNew, root_of
from agentdiff.workspace.tree import Signature

SIGNATURE = Signature(mtime_ns=1, ctime_ns=2, size=3, ino=4, mode=0o100644, kind="file")
WHO = {"agent": "claude", "session": "s"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the store is."""
    return tmp_path / "ws"


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    """A fresh store."""
    made = Store(folder, b"/w")
    yield made
    made.close()


def reopened(folder: Path, what: str) -> object:
    """Returns what another process reads from the file."""
    with closing(Store(folder, b"/w")) as other:
        return list(other.records()) if what == "records" else unpacked(other)


def unpacked(store: Store) -> dict[bytes, Known] | None:
    """Returns what was last seen, as it is compared."""
    seen = store.seen()
    return None if seen is None else seen.unpacked()


def changed(path: bytes, at_ns: int) -> Record:
    """Returns a change of a path."""
    return PathChanged(
        path=path, before=ABSENT_REF, after=ABSENT_REF, owner=USER, state=None, at_ns=at_ns
    )


RECORDS: list[Record] = [
    SessionChanged(**WHO, state="idle", at_ns=1, cwd=b"/w \xff"),
    TurnStarted(**WHO, turn="t", n=1, prompt="p", at_ns=2),
    changed(b"\xff", 3),
]


def test_records_come_back_in_order(store: Store, folder: Path) -> None:
    """With their sequence numbers."""
    for seq, record in enumerate(RECORDS, start=1):
        store.append(seq, record)
    store.commit()
    assert reopened(folder, "records") == list(enumerate(RECORDS, start=1))


@pytest.mark.parametrize("durable", [False, True])
def test_what_is_not_committed_is_not_there(store: Store, folder: Path, durable: bool) -> None:
    """A transaction is all or nothing; a durable commit takes all that ran before."""
    store.append(1, RECORDS[0])
    assert reopened_without_waiting(folder) == 0
    store.commit(durable=durable)
    assert reopened_without_waiting(folder) == 1


def reopened_without_waiting(folder: Path) -> int:
    """Returns how many records a reader sees."""
    with closing(sqlite3.connect(folder / "state.sqlite3")) as database:
        return int(database.execute("SELECT count(*) FROM log").fetchone()[0])


def test_a_commit_of_nothing_is_harmless(store: Store) -> None:
    """Twice, durable or not."""
    store.commit()
    store.commit(durable=True)
    assert list(store.records()) == []


def test_closing_commits(folder: Path) -> None:
    """What was told last is kept."""
    with closing(Store(folder, b"/w")) as store:
        store.append(1, RECORDS[0])
    assert reopened(folder, "records") == [(1, RECORDS[0])]


def test_a_sequence_number_is_used_once(store: Store) -> None:
    """Two records cannot claim the same place."""
    store.append(1, RECORDS[0])
    with pytest.raises(sqlite3.IntegrityError):
        store.append(1, RECORDS[1])


def test_changes_since_a_record_are_changes_only(store: Store) -> None:
    """Sessions and turns are no content, and the record itself is before."""
    for seq, record in enumerate([*RECORDS, changed(b"later", 9)], start=1):
        store.append(seq, record)
    found = [record for _, record in store.changes_since(0)]
    assert found == [RECORDS[2], changed(b"later", 9)]
    assert [record for _, record in store.changes_since(3)] == [changed(b"later", 9)]


def test_an_unpopulated_workspace_has_seen_nothing(store: Store) -> None:
    """None, not an empty table: the first cut has to populate."""
    assert store.seen() is None
    store.learn([(b"f", ABSENT_REF, None)])
    assert store.seen() is None


@pytest.mark.parametrize(
    ("ref", "signature"),
    [
        (File(data=b"x", mode=0o755).ref(), SIGNATURE),
        (Link(target=b"\xff").ref(), SIGNATURE),
        (ABSENT_REF, None),
        (Ref(kind="other", note="oversized: 9 bytes", oid="9-1"), None),
    ],
)
def test_what_was_seen_comes_back(
    store: Store, folder: Path, ref: Ref, signature: Signature | None
) -> None:
    """Content and signature, for paths of any bytes."""
    store.populate({})
    store.learn([(b"d/\xff\n", ref, signature)])
    store.commit()
    assert reopened(folder, "seen") == {b"d/\xff\n": Known(ref=ref, signature=signature)}


def test_the_last_sighting_counts(store: Store) -> None:
    """One row per path."""
    store.populate({})
    store.learn([(b"f", ABSENT_REF, None)])
    store.learn([(b"f", File(data=b"").ref(), SIGNATURE)])
    assert unpacked(store) == {b"f": Known(ref=File(data=b"").ref(), signature=SIGNATURE)}


def test_an_empty_workspace_is_populated_too(store: Store) -> None:
    """Seen once, and nothing there."""
    store.populate({})
    store.learn([])
    assert unpacked(store) == {}


def test_the_file_is_private(store: Store, folder: Path) -> None:
    """0600 in a folder of 0700: it names prompts."""
    assert (folder.stat().st_mode & 0o777, store.path.stat().st_mode & 0o777) == (0o700, 0o600)


def test_the_folder_tells_whose_it_is(folder: Path) -> None:
    """Whatever the bytes of the root, and without writing to it."""
    with closing(Store(folder, b"/w \xff")):
        pass
    assert root_of(folder) == b"/w \xff"


@pytest.mark.parametrize("content", [None, b"something else entirely\n" * 99])
def test_a_folder_that_is_nobodys_says_so(folder: Path, content: bytes | None) -> None:
    """No state in it, or something that is no state."""
    folder.mkdir()
    if content is not None:
        (folder / "state.sqlite3").write_bytes(content)
    assert root_of(folder) is None


def test_what_is_forgotten_is_not_there(store: Store) -> None:
    """The tracker finds it anew, should it come back."""
    store.populate({})
    store.learn([(b"f", ABSENT_REF, None), (b"g", ABSENT_REF, None)])
    store.learn([], [b"f"])
    assert unpacked(store) == {b"g": Known(ref=ABSENT_REF)}


def test_a_newer_schema_is_refused_and_left_alone(folder: Path) -> None:
    """The message names the file and the remedy."""
    Store(folder, b"/w").close()
    newer = str(SCHEMA + 1)
    with closing(sqlite3.connect(folder / "state.sqlite3")) as database, database:
        database.execute("UPDATE meta SET value = ? WHERE key = 'schema'", (newer,))
    with pytest.raises(StoreTooNew, match="upgrade agentdiff"):
        Store(folder, b"/w")
    with closing(sqlite3.connect(folder / "state.sqlite3")) as database:
        assert database.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone() == (
            newer,
        )


def _older(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Makes a log that the version before wrote: ours, from the view of a later one."""
    store = Store(folder, b"/w")
    store.append(1, RECORDS[0])
    store.close()
    patch.setattr("agentdiff.workspace.store.SCHEMA", SCHEMA + 1)


def _schema(file: Path) -> str:
    with closing(sqlite3.connect(file)) as database:
        return str(database.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()[0])


def test_an_older_log_is_migrated_and_kept_beside(folder: Path, monkeypatch) -> None:
    """The steps change it once; the copy is what the older version wrote, and private."""
    _older(folder, monkeypatch)
    steps = {SCHEMA: lambda db: db.execute("ALTER TABLE log ADD COLUMN more TEXT")}
    monkeypatch.setattr("agentdiff.workspace.migrations.STEPS", steps)
    for _ in range(2):
        store = Store(folder, b"/w")
        assert list(store.records()) == [(1, RECORDS[0])]
        store.close()
    copy = folder / f"state.sqlite3.schema{SCHEMA}"
    assert (_schema(folder / "state.sqlite3"), _schema(copy)) == (str(SCHEMA + 1), str(SCHEMA))
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600


def test_a_migration_that_fails_changes_nothing(folder: Path, monkeypatch) -> None:
    """Half of it is rolled back, and the older version goes on with its file."""
    _older(folder, monkeypatch)

    def step(db: sqlite3.Connection) -> None:
        db.execute("DELETE FROM log")
        db.execute("nonsense")

    monkeypatch.setattr("agentdiff.workspace.migrations.STEPS", {SCHEMA: step})
    with pytest.raises(sqlite3.OperationalError, match="nonsense"):
        Store(folder, b"/w")
    monkeypatch.undo()
    assert reopened(folder, "records") == [(1, RECORDS[0])]


def test_a_log_that_is_too_old_is_refused_and_left_alone(folder: Path, monkeypatch) -> None:
    """The message names the file and the remedy."""
    _older(folder, monkeypatch)
    with pytest.raises(CannotMigrate, match=r"state\.sqlite3 has schema .*agentdiff purge"):
        Store(folder, b"/w")
    monkeypatch.undo()
    assert reopened(folder, "records") == [(1, RECORDS[0])]


@contextmanager
def _full(file: Path, limit: int = 0) -> Iterator[None]:
    """No file of this process can grow beyond the log's present length, or the limit."""
    wal = file.with_name(file.name + "-wal")
    limit = limit or max(file.stat().st_size, wal.stat().st_size if wal.exists() else 0)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


def test_what_a_full_disk_refuses_is_written_later_in_order(folder: Path) -> None:
    """Nothing is forgotten, it is said, and only what must be durable fails."""
    store = Store(folder, b"/w")
    long = replace(RECORDS[1], prompt="x" * 100_000)  # type: ignore[call-arg]
    with _full(store.path):
        store.append(1, long)
        store.learn([(b"a", File(data=b"1").ref(), None)])
        store.commit()
        assert "state.sqlite3 cannot be written" in str(store.problem)
        store.append(2, RECORDS[2])
        store.note_made([b"d"])
        with pytest.raises(sqlite3.OperationalError, match="cannot be written"):
            store.commit(durable=True)
        with pytest.raises(sqlite3.OperationalError, match="cannot be written"):
            list(store.changes_since(0))
    store.commit(durable=True)
    assert (store.problem, store.made()) == (None, {b"d"})
    assert reopened(folder, "records") == [(1, long), (2, RECORDS[2])]
    store.close()


def test_opening_needs_no_room(folder: Path) -> None:
    """A daemon that starts on a full disk can show the review, and notes what it cannot write."""
    store = Store(folder, b"/w")
    store.populate({})
    for number in range(3000):  # more than loading leaves as they are
        store.learn([(b"%d" % number, File(data=b"1").ref(), None)])
    store.append(1, RECORDS[0])
    store.close()
    with _full(store.path, limit=64 << 10):  # room for the index of the write-ahead log
        again = Store(folder, b"/w")
        again._db.execute("PRAGMA cache_size=1")  # so that a large transaction is written at once
        assert (len(again.seen() or ()), [seq for seq, _ in again.records()]) == (3000, [1])
        again.append(2, replace(RECORDS[1], prompt="x" * 200_000))  # type: ignore[call-arg]
        again.commit()
        assert "cannot be written" in str(again.problem)
    again.close()
    assert [seq for seq, _ in reopened(folder, "records")] == [1, 2]  # type: ignore[attr-defined]


def test_a_file_that_is_no_database_is_an_error(folder: Path) -> None:
    """It is not replaced: somebody's data may be in it."""
    folder.mkdir()
    (folder / "state.sqlite3").write_bytes(b"something else entirely\n" * 99)
    with pytest.raises(sqlite3.Error):
        Store(folder, b"/w")
    assert (folder / "state.sqlite3").read_bytes().startswith(b"something else")


def test_a_process_that_dies_loses_only_what_it_had_not_committed(folder: Path) -> None:
    """Any prefix of commits is a consistent state."""
    child = os.fork()
    if child == 0:
        store = Store(folder, b"/w")
        store.append(1, RECORDS[0])
        store.commit()
        store.append(2, RECORDS[1])
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert reopened(folder, "records") == [(1, RECORDS[0])]


def test_a_log_that_is_torn_anywhere_is_a_prefix(folder: Path, tmp_path: Path) -> None:
    """Wherever a power cut ends the file, the commits before are whole, and no half of one is."""
    store = Store(folder, b"/w")
    store.populate({})
    count = 8
    for number in range(1, count + 1):
        store.append(number, changed(b"%d" % number, number))
        store.learn([(b"%d" % number, File(data=b"%d" % number).ref(), None)])
        store.commit(durable=number % 3 == 0)
    wal = store.path.with_name("state.sqlite3-wal").read_bytes()
    main = store.path.read_bytes()
    store.close()
    found = set()
    step = len(wal) // 60
    for end in (*range(0, len(wal), step), len(wal)):
        copy = tmp_path / f"torn-{end}"
        copy.mkdir()
        (copy / "state.sqlite3").write_bytes(main)
        (copy / "state.sqlite3-wal").write_bytes(wal[:end])
        with closing(Store(copy, b"/w")) as torn:
            seqs = [seq for seq, _ in torn.records()]
            seen = torn.seen()
        assert seqs == list(range(1, len(seqs) + 1))
        assert sorted(seen or ()) == [b"%d" % seq for seq in seqs]
        found.add(len(seqs))
    assert found == set(range(count + 1))


def test_a_population_comes_back_and_what_was_learnt_wins(store: Store, folder: Path) -> None:
    """Thousands of files take a few chunks; rows before and after the population prevail."""
    crowd = {b"d/%d" % number: Known(ref=File(data=b"%d" % number).ref()) for number in range(5000)}
    link = Known(ref=Link(target=b"to").ref())
    store.learn([(b"d/1", ABSENT_REF, None)])
    store.populate({path: pack(seen) for path, seen in {**crowd, b"link": link}.items()})
    store.learn([(b"d/2", File(data=b"new").ref(), None)], [b"d/3"])
    store.commit()
    gone = {path: seen for path, seen in crowd.items() if path not in (b"d/1", b"d/2", b"d/3")}
    expected = {
        **gone,
        b"link": link,
        b"d/1": Known(ref=ABSENT_REF),
        b"d/2": Known(ref=File(data=b"new").ref()),
    }
    assert reopened(folder, "seen") == expected


def test_many_rows_become_a_crowd_when_they_are_loaded(store: Store, folder: Path) -> None:
    """Loading is not slower for a workspace whose every file changed once."""
    store.populate({})
    store.learn([(b"%d" % number, File(data=b"").ref(), None) for number in range(3000)])
    store.learn([], [b"7"])
    store.commit()
    first = reopened(folder, "seen")
    with closing(sqlite3.connect(folder / "state.sqlite3")) as db:
        assert db.execute("SELECT count(*) FROM seen_row").fetchone() == (0,)
    assert reopened(folder, "seen") == first
    assert len(first) == 2999
