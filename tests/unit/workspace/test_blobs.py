"""The blob store keeps exact bytes, heals what it can, and never serves what it cannot prove."""

import errno
import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agentdiff.core.entries import EMPTY_OID, git_blob_oid
from agentdiff.workspace.blobs import BlobStore
from agentdiff.workspace.packformat import FILE_MARK, HEADER_BYTES, check_pack
from agentdiff.workspace.rewrite import Rewrite

CONTENTS = [b"", b"one\n", b"two\r\n\xff\0", b"x" * 70_000, b"AdB2" * 20]


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """Where a store keeps its pack."""
    return tmp_path / "blobs"


def fill(pack: Path, contents: list[bytes]) -> list[int]:
    """Stores contents and returns the file's length after each."""
    store = BlobStore(pack)
    ends = []
    for data in contents:
        store.put(data)
        ends.append(store.size_bytes)
    store.close()
    return ends


@pytest.mark.parametrize("data", CONTENTS)
def test_returns_the_bytes_that_were_put(pack: Path, data: bytes) -> None:
    """What is put comes back byte for byte under git's blob id."""
    store = BlobStore(pack)
    oid = store.put(data)
    assert (oid, store.get(oid)) == (git_blob_oid(data), data)
    store.close()


def test_reads_what_an_earlier_process_stored(pack: Path) -> None:
    """Opening rebuilds the index from the records."""
    fill(pack, CONTENTS)
    store = BlobStore(pack)
    assert [store.get(git_blob_oid(data)) for data in CONTENTS] == CONTENTS
    assert (store.count, store.problems) == (len(CONTENTS), ())
    store.close()


def test_stores_equal_contents_once(pack: Path) -> None:
    """A second put of the same bytes adds nothing."""
    store = BlobStore(pack)
    store.put(b"same")
    size = store.size_bytes
    store.put(b"same")
    assert (store.count, store.size_bytes) == (1, size)
    store.close()


def test_an_unknown_id_is_a_key_error(pack: Path) -> None:
    """Contents that were never stored are not invented, not even the empty one."""
    store = BlobStore(pack)
    assert EMPTY_OID not in store
    with pytest.raises(KeyError):
        store.get(EMPTY_OID)
    store.close()


def test_the_pack_is_private(pack: Path) -> None:
    """Nobody else may read the user's source."""
    BlobStore(pack).close()
    assert stat.S_IMODE(pack.stat().st_mode) == 0o600


def test_a_torn_tail_is_cut_off_at_every_offset(pack: Path) -> None:
    """Wherever a crash cuts the file, the whole records before stay and the next put works."""
    contents = [b"first\n", b"second\n" * 30, b"third"]
    ends = fill(pack, contents)
    whole = pack.read_bytes()
    for length in range(len(whole)):
        pack.write_bytes(whole[:length])
        store = BlobStore(pack)
        kept = [data for data, end in zip(contents, ends, strict=True) if end <= length]
        assert [data for data in contents if git_blob_oid(data) in store] == kept
        clean = length in (0, len(FILE_MARK), *ends) or length < len(FILE_MARK)
        assert bool(store.problems) == (not clean)
        assert store.get(store.put(contents[-1])) == contents[-1]
        store.close()


def test_a_damaged_record_is_reported_and_never_served(pack: Path) -> None:
    """Every single flipped byte of a record is noticed, and the records around it stay."""
    contents = [b"before", b"damaged " * 9, b"after"]
    ends = fill(pack, contents)
    whole = pack.read_bytes()
    for offset in range(ends[0], ends[1]):
        pack.write_bytes(whole[:offset] + bytes([whole[offset] ^ 0x41]) + whole[offset + 1 :])
        store = BlobStore(pack)
        with pytest.raises(KeyError):
            store.get(git_blob_oid(contents[1]))
        assert store.problems
        assert [store.get(git_blob_oid(data)) for data in (b"before", b"after")] == [
            b"before",
            b"after",
        ]
        store.close()


def test_damage_that_is_found_while_reading_is_healed_by_the_next_put(pack: Path) -> None:
    """A record that rots under an open store is refused, reported, and stored afresh."""
    store = BlobStore(pack)
    oid = store.put(b"rotten " * 9)
    with pack.open("r+b") as file:
        file.seek(len(FILE_MARK) + HEADER_BYTES + 4)
        file.write(b"\0\0\0\0")
    with pytest.raises(KeyError):
        store.get(oid)
    assert (oid in store, len(store.problems)) == (False, 1)
    store.put(b"rotten " * 9)
    assert store.get(oid) == b"rotten " * 9
    store.close()


def test_a_foreign_file_is_refused_and_left_alone(pack: Path) -> None:
    """A pack of another format version is not overwritten."""
    pack.write_bytes(b"adblobs9 something else")
    with pytest.raises(OSError, match="not a blob pack"):
        BlobStore(pack)
    assert pack.read_bytes() == b"adblobs9 something else"


def test_threads_store_at_the_same_time(pack: Path) -> None:
    """Concurrent puts never interleave their records."""
    store = BlobStore(pack)

    def work(number: int) -> None:
        for step in range(50):
            store.put(b"%d " % ((number + step) % 60) * 200)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.close()
    again = BlobStore(pack)
    expected = {b"%d " % number * 200 for number in range(53)}
    assert {again.get(git_blob_oid(data)) for data in expected} == expected
    assert (again.count, again.problems) == (53, ())
    again.close()


def test_a_failed_write_leaves_the_store_as_it_was(pack: Path) -> None:
    """After an error (here: the limit of the file's length) the store serves and stores on."""
    import resource
    import signal

    store = BlobStore(pack, patience_bytes=0)
    store.put(b"small")
    size = store.size_bytes
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            store.put(os.urandom(1000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert (store.size_bytes, pack.stat().st_size) == (size, size)
    assert store.get(store.put(b"next")) == b"next"
    store.close()


def test_what_was_put_lazily_is_there_at_once_and_on_disk_after_flush(pack: Path) -> None:
    """Reading does not wait for writing; another process sees it once it is flushed."""
    store = BlobStore(pack)
    oid = store.put(b"lazy", lazily=True)
    assert (store.get(oid), pack.stat().st_size < store.size_bytes) == (b"lazy", True)
    store.flush()
    assert pack.stat().st_size == store.size_bytes
    assert list(check_pack(pack)) == []
    store.close()
    again = BlobStore(pack)
    assert again.get(oid) == b"lazy"
    again.close()


def _refuse(*_: object) -> int:
    raise OSError(28, "No space left on device")


def test_what_the_disk_refuses_waits_in_memory(pack: Path, monkeypatch) -> None:
    """It is served, it is said, only making it durable fails; then it is written as it came."""
    store = BlobStore(pack)
    kept = store.put(b"kept")
    monkeypatch.setattr(os, "pwrite", _refuse)
    waiting = [store.put(b"lazy", lazily=True), store.put(b"now")]
    store.flush()
    assert "blobs cannot be written: No space left on device" in str(store.problem)
    assert [store.get(oid) for oid in (kept, *waiting)] == [b"kept", b"lazy", b"now"]
    with pytest.raises(OSError, match="No space"):
        store.sync()
    monkeypatch.undo()
    store.sync()
    assert store.problem is None
    store.close()
    again = BlobStore(pack)
    assert [again.get(oid) for oid in (kept, *waiting)] == [b"kept", b"lazy", b"now"]
    again.close()


def test_memory_for_what_the_disk_refuses_is_bounded(pack: Path, monkeypatch) -> None:
    """What does not fit is refused, and what waits already stays."""
    store = BlobStore(pack, patience_bytes=2000)
    monkeypatch.setattr(os, "pwrite", _refuse)
    waiting, lost = store.put(b"waits"), os.urandom(3000)
    with pytest.raises(OSError, match="No space"):
        store.put(lost)
    monkeypatch.undo()
    assert (store.get(waiting), git_blob_oid(lost) in store) == (b"waits", False)
    store.sync()
    assert store.get(store.put(lost)) == lost
    store.close()


def test_a_pack_is_open_once(pack: Path, monkeypatch) -> None:
    """A second daemon cannot write to it, also after it was written anew."""
    monkeypatch.setattr("agentdiff.workspace.packformat._LOCK_WITHIN_S", 0.0)
    store = BlobStore(pack)
    for _ in range(2):
        with pytest.raises(BlockingIOError, match="another agentdiff daemon has it open"):
            BlobStore(pack)
        store.keep_only(lambda _: True, until=store.size_bytes)
    store.close()
    BlobStore(pack).close()


def test_a_rewrite_keeps_what_is_wanted_and_what_is_young(pack: Path) -> None:
    """Only contents that are old and named by nobody go; the file shrinks at once."""
    store = BlobStore(pack)
    wanted, old = store.put(os.urandom(999)), store.put(os.urandom(999))
    mark = store.size_bytes
    young = store.put(b"young", lazily=True)
    freed = store.keep_only(lambda key: key.hex() == wanted, until=mark)
    assert freed > 999
    assert (wanted in store, old in store, store.get(young)) == (True, False, b"young")
    assert pack.stat().st_size == store.size_bytes
    later = store.put(b"later")
    store.close()
    again = BlobStore(pack)
    assert [oid in again for oid in (wanted, old, young, later)] == [True, False, True, True]
    again.close()


@pytest.mark.parametrize("failing", [False, True], ids=["done", "given up"])
def test_nobody_waits_for_a_rewrite(
    pack: Path, monkeypatch: pytest.MonkeyPatch, failing: bool
) -> None:
    """What is stored meanwhile, or stored once more, is there afterwards; readers go on."""
    store = BlobStore(pack)
    wanted, asked, old = (store.put(os.urandom(999)) for _ in range(3))
    data = {oid: store.get(oid) for oid in (wanted, asked)}
    copying, go_on = threading.Event(), threading.Event()
    copy = Rewrite.copy

    def slowly(fresh: Rewrite, *arguments: object) -> None:
        if not copying.is_set():
            copying.set()
            go_on.wait(20)
        copy(fresh, *arguments)

    def refuse(_: Rewrite) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Rewrite, "copy", slowly)
    if failing:
        monkeypatch.setattr(Rewrite, "take_place", refuse)
    with ThreadPoolExecutor(2) as pool:
        mark = store.size_bytes
        done = pool.submit(store.keep_only, lambda key: key.hex() == wanted, until=mark)
        try:
            assert copying.wait(20)
            meanwhile = pool.submit(
                lambda: [store.put(os.urandom(99), lazily=n > 1) for n in range(3)]
            ).result(20)
            assert pool.submit(store.put, data[asked]).result(20) == asked
            assert pool.submit(store.get, old).result(20)
            assert not done.done()
        finally:
            go_on.set()
        assert isinstance(done.exception(20), OSError if failing else type(None))
    here = [wanted, asked, *meanwhile, *([old] if failing else [])]
    assert (all(store.get(oid) for oid in here), old in store) == (True, failing)
    later = store.put(b"later")
    store.close()
    again = BlobStore(pack)
    assert (all(again.get(oid) for oid in (*here, later)), again.problems) == (True, ())
    assert [one.name for one in pack.parent.iterdir()] == [pack.name]
    again.close()


def test_an_interrupted_rewrite_leaves_no_trace(pack: Path) -> None:
    """The next start removes it."""
    BlobStore(pack).close()
    pack.with_name(pack.name + ".new").write_bytes(b"half")
    BlobStore(pack).close()
    assert [one.name for one in pack.parent.iterdir()] == [pack.name]


def test_a_check_finds_damage(pack: Path) -> None:
    """Also in the middle of the file, which opening does not read."""
    store = BlobStore(pack)
    store.put(b"first" * 100)
    middle = store.size_bytes
    store.put(os.urandom(100))
    store.close()
    data = bytearray(pack.read_bytes())
    data[middle - 3] ^= 1
    pack.write_bytes(data)
    [found] = check_pack(pack)
    assert "is damaged" in found


class Shelf:
    """Contents that somebody else keeps."""

    def __init__(self, *contents: bytes) -> None:
        self.contents = {bytes.fromhex(git_blob_oid(one)): one for one in contents}

    def holds(self, key: bytes) -> bool:
        """Whether it is here."""
        return key in self.contents

    def get(self, key: bytes) -> bytes | None:
        """Returns it."""
        return self.contents.get(key)

    def close(self) -> None:
        """Lets go."""
        self.contents.clear()


def test_what_is_held_elsewhere_is_read_from_there(pack: Path) -> None:
    """It is not stored lazily, and stored when somebody insists."""
    store = BlobStore(pack)
    empty = store.size_bytes
    store.lean_on(Shelf(b"theirs"))
    oid = store.put(b"theirs", lazily=True)
    assert (store.size_bytes, store.get(oid)) == (empty, b"theirs")
    store.put(b"theirs")
    store.lean_on(None)
    assert store.get(oid) == b"theirs"
    store.close()
