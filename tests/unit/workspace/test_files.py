"""Reading and replacing one path: exact, confined, and no window to lose a write in."""

import os
import socket
import stat
import sys
from pathlib import Path

import pytest

from agentdiff.core.entries import ABSENT, Directory, Entry, File, Link, Other
from agentdiff.workspace import exchange
from agentdiff.workspace.files import (
    Changed,
    Failed,
    Root,
    Signature,
    Written,
    is_own_temp,
    read_entry,
    read_signed,
    remove_empty_parents,
    write_entry,
)
from agentdiff.workspace.tree import is_settled

LIMIT = 1 << 20
NOW_NS = 1_700_000_000_000_000_000
NAMES = [b"plain", b"with space", b"quote\"'$", b"new\nline", b"\xff\xfe", b".agentdiff-tmp"]
KINDS: dict[str, Entry] = {
    "absent": ABSENT,
    "file": File(data=b"one\n", mode=0o644),
    "other content": File(data=b"two\r\n\xff\0", mode=0o644),
    "other mode": File(data=b"one\n", mode=0o750),
    "empty": File(data=b"", mode=0o600),
    "link": Link(target=b"some\xffwhere"),
    "other link": Link(target=b".."),
    "directory": Directory(mode=0o755),
}


@pytest.fixture
def root(tmp_path: Path):
    """A root on an empty directory."""
    opened = Root(os.fsencode(tmp_path))
    yield opened
    opened.close()


def make(path: bytes, entry: Entry) -> None:
    """Puts an entry on the disk by plain system calls."""
    match entry:
        case File():
            with open(path, "wb") as file:
                file.write(entry.data)
            os.chmod(path, entry.mode)
        case Link():
            os.symlink(entry.target, path)
        case Directory():
            os.mkdir(path)
            os.chmod(path, entry.mode)


def names(root: Root) -> list[bytes]:
    """Lists everything directly below the root."""
    return sorted(os.listdir(root.path))


@pytest.fixture(params=["exchange", "steps"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Runs a test with the atomic calls, and again as on a file system that has none."""
    if request.param == "steps":
        monkeypatch.setattr(exchange, "_rename", None)
    return request.param


@pytest.mark.parametrize("to", KINDS)
@pytest.mark.parametrize("origin", KINDS)
def test_replaces_every_kind_by_every_kind(root: Root, way: str, origin: str, to: str) -> None:
    """Whatever is expected and there becomes what is to be written; nothing else is left."""
    path = root.path + b"/x"
    make(path, KINDS[origin])
    outcome = write_entry(root, b"x", expect=KINDS[origin], write=KINDS[to])
    assert isinstance(outcome, Written)
    assert read_entry(root, b"x", max_bytes=LIMIT) == KINDS[to]
    assert names(root) == ([] if to == "absent" else [b"x"])


@pytest.mark.parametrize("there", KINDS)
@pytest.mark.parametrize("expected", KINDS)
def test_leaves_what_was_not_expected(root: Root, way: str, expected: str, there: str) -> None:
    """Anything else at the path stays exactly as it is and is reported, whatever was to come."""
    if expected == there:
        return
    make(root.path + b"/x", KINDS[there])
    for write in KINDS.values():
        outcome = write_entry(root, b"x", expect=KINDS[expected], write=write)
        assert outcome == Changed(found=KINDS[there])
        assert read_entry(root, b"x", max_bytes=LIMIT) == KINDS[there]
        assert names(root) == ([] if there == "absent" else [b"x"])


@pytest.mark.parametrize("name", NAMES)
def test_any_name_can_be_written_below_new_directories(root: Root, name: bytes) -> None:
    """Names are bytes; missing parents are made and reported."""
    path = name + b"/" + name + b"/" + name
    outcome = write_entry(root, path, expect=ABSENT, write=KINDS["file"])
    assert outcome == Written(created=(name, name + b"/" + name))
    assert read_entry(root, path, max_bytes=LIMIT) == KINDS["file"]


@pytest.mark.parametrize(
    ("write", "mode"),
    [
        (File(data=b"", mode=0o644), 0o755),
        (File(data=b"", mode=0o755), 0o755),
        (File(data=b"", mode=0o600), 0o700),
        (File(data=b"", mode=0o400), 0o700),
        (File(data=b"", mode=0o640), 0o750),
        (File(data=b"", mode=0o666), 0o777),
        (Directory(mode=0o711), 0o711),
        (Link(target=b"x"), 0o700),
    ],
)
def test_an_unknown_parent_is_as_closed_as_what_is_written(
    root: Root, write: Entry, mode: int
) -> None:
    """Whoever could not read the file may not have been able to see its name either."""
    old = os.umask(0)
    try:
        write_entry(root, b"a/b/c", expect=ABSENT, write=write)
    finally:
        os.umask(old)
    made = [os.stat(root.path + name).st_mode & 0o7777 for name in (b"/a", b"/a/b")]
    assert made == [mode, mode]


@pytest.mark.parametrize(("had", "made"), [(0o700, 0o700), (0o2775, 0o2775), (0o555, 0o755)])
def test_a_parent_gets_the_bits_that_it_had(root: Root, had: int, made: int) -> None:
    """Whatever the umask; only whoever writes must be able to go on."""
    old = os.umask(0o077)
    try:
        write_entry(root, b"a/c", expect=ABSENT, write=KINDS["file"], folder_mode={b"a": had}.get)
    finally:
        os.umask(old)
    assert os.stat(root.path + b"/a").st_mode & 0o7777 == made


def test_parents_made_for_nothing_are_removed(root: Root) -> None:
    """When the write itself fails, the directories made for it go again."""
    too_long = b"a/b/" + b"n" * 300
    outcome = write_entry(root, too_long, expect=ABSENT, write=KINDS["file"])
    assert isinstance(outcome, Failed)
    assert names(root) == []


def test_only_created_empty_parents_are_removed(root: Root) -> None:
    """Removal stops at a directory that is not in the collection, or not empty."""
    os.makedirs(root.path + b"/mine/a/b")
    make(root.path + b"/mine/a/keep", KINDS["file"])
    made = {b"mine/a", b"mine/a/b"}
    assert remove_empty_parents(root, b"mine/a/b/gone", made) == (b"mine/a/b",)
    os.unlink(root.path + b"/mine/a/keep")
    assert remove_empty_parents(root, b"mine/a/keep", made) == (b"mine/a",)
    assert names(root) == [b"mine"]


def test_a_full_directory_is_never_replaced(root: Root, way: str) -> None:
    """A directory that still holds something is refused, and keeps what it holds."""
    os.mkdir(root.path + b"/x", 0o755)
    os.chmod(root.path + b"/x", 0o755)
    make(root.path + b"/x/inner", KINDS["file"])
    for write in (KINDS["file"], ABSENT):
        outcome = write_entry(root, b"x", expect=KINDS["directory"], write=write)
        assert isinstance(outcome, Failed)
    assert read_entry(root, b"x/inner", max_bytes=LIMIT) == KINDS["file"]
    assert names(root) == [b"x"]


def test_a_full_directory_in_the_place_of_a_file_stays_full(root: Root, way: str) -> None:
    """Where a file is expected and a directory found, its content is not touched."""
    os.mkdir(root.path + b"/x", 0o755)
    make(root.path + b"/x/inner", KINDS["file"])
    for write in (KINDS["link"], KINDS["other content"], ABSENT):
        outcome = write_entry(root, b"x", expect=KINDS["file"], write=write)
        assert outcome == Changed(found=read_entry(root, b"x", max_bytes=LIMIT))
    assert (names(root), os.listdir(root.path + b"/x")) == ([b"x"], [b"inner"])


@pytest.mark.parametrize("write", ["file", "link", "directory"])
def test_a_linked_parent_is_refused(root: Root, tmp_path_factory, write: str) -> None:
    """Nothing is created through a link, even where the deleted file's parent became one."""
    outside = tmp_path_factory.mktemp("outside")
    os.symlink(os.fsencode(outside), root.path + b"/dir")
    outcome = write_entry(root, b"dir/x", expect=ABSENT, write=KINDS[write])
    assert isinstance(outcome, Failed)
    assert os.listdir(outside) == []


def test_a_file_behind_a_linked_parent_is_not_there(root: Root, tmp_path_factory) -> None:
    """Neither read nor delete follows a linked parent."""
    outside = tmp_path_factory.mktemp("outside")
    make(os.fsencode(outside / "x"), KINDS["file"])
    os.symlink(os.fsencode(outside), root.path + b"/dir")
    assert read_entry(root, b"dir/x", max_bytes=LIMIT) == ABSENT
    outcome = write_entry(root, b"dir/x", expect=KINDS["file"], write=ABSENT)
    assert outcome == Changed(found=ABSENT)
    assert (outside / "x").read_bytes() == b"one\n"


@pytest.mark.parametrize("path", [b"", b"/etc/passwd", b"../x", b"a/../x", b"a//b", b"./a", b"a\0"])
def test_unclean_paths_are_a_mistake_of_the_caller(root: Root, path: bytes) -> None:
    """A path that could leave the root never reaches the disk."""
    with pytest.raises(ValueError, match="not a clean path"):
        read_entry(root, path, max_bytes=LIMIT)
    with pytest.raises(ValueError, match="not a clean path"):
        write_entry(root, path, expect=ABSENT, write=KINDS["file"])


def test_a_hard_linked_file_keeps_its_other_name(root: Root) -> None:
    """The inode itself is rewritten, and the outcome says that this is weaker."""
    make(root.path + b"/x", KINDS["file"])
    os.link(root.path + b"/x", root.path + b"/twin")
    outcome = write_entry(root, b"x", expect=KINDS["file"], write=KINDS["other content"])
    assert outcome == Written(weak=True)
    assert read_entry(root, b"twin", max_bytes=LIMIT) == KINDS["other content"]


def test_a_mode_change_keeps_the_inode(root: Root) -> None:
    """Permission bits alone are changed in place, so that no content can be lost."""
    make(root.path + b"/x", KINDS["file"])
    inode = os.stat(root.path + b"/x").st_ino
    write_entry(root, b"x", expect=KINDS["file"], write=KINDS["other mode"])
    assert os.stat(root.path + b"/x").st_ino == inode


@pytest.mark.skipif(sys.platform != "linux", reason="Python offers xattrs on Linux only")
def test_extended_attributes_survive(root: Root) -> None:
    """A replaced file keeps its extended attributes."""
    make(root.path + b"/x", KINDS["file"])
    try:
        os.setxattr(root.path + b"/x", b"user.kept", b"yes")
    except OSError as error:
        pytest.skip(f"no user attributes here: {error}")
    write_entry(root, b"x", expect=KINDS["file"], write=KINDS["other content"])
    assert os.getxattr(root.path + b"/x", b"user.kept") == b"yes"


def test_what_was_never_kept_is_refused(root: Root) -> None:
    """An entry without content can neither be compared nor restored."""
    big = Other(kind="oversized: 99 bytes")
    make(root.path + b"/x", KINDS["file"])
    assert isinstance(write_entry(root, b"x", expect=big, write=ABSENT), Failed)
    assert isinstance(write_entry(root, b"x", expect=KINDS["file"], write=big), Failed)
    assert read_entry(root, b"x", max_bytes=LIMIT) == KINDS["file"]


def test_a_program_that_still_writes_is_said(root: Root) -> None:
    """A file that somebody holds open for writing is replaced, but the guarantee is weak."""
    make(root.path + b"/x", KINDS["file"])
    with open(root.path + b"/x", "ab"):
        outcome = write_entry(root, b"x", expect=KINDS["file"], write=KINDS["other content"])
    assert outcome == Written(weak=sys.platform == "linux")


def test_reads_fifo_socket_and_device_without_opening_them(root: Root) -> None:
    """Things whose content is not kept are named, and never hang the reader."""
    os.mkfifo(root.path + b"/fifo")
    listener = socket.socket(socket.AF_UNIX)
    here = os.open(root.path, os.O_RDONLY)
    listener.bind(f"/proc/self/fd/{here}/sock" if sys.platform == "linux" else "sock")
    listener.close()
    os.close(here)
    found = [read_entry(root, name, max_bytes=LIMIT) for name in (b"fifo", b"sock")]
    assert [entry.kind for entry in found if isinstance(entry, Other)] == ["fifo", "socket"]
    device = Root(b"/dev")
    assert read_entry(device, b"null", max_bytes=LIMIT).ref().note == "device"
    device.close()


def test_an_oversized_file_is_named_with_its_size(root: Root) -> None:
    """Content over the limit is not read; a change of it is still visible in its stamp."""
    make(root.path + b"/x", File(data=b"12345"))
    assert read_entry(root, b"x", max_bytes=5) == File(data=b"12345")
    assert read_entry(root, b"x", max_bytes=4).ref().note == "oversized: 5 bytes"


@pytest.mark.skipif(sys.platform != "linux", reason="needs a file that even root cannot read")
def test_an_unreadable_file_says_why() -> None:
    """A read error is an entry with the reason, not an exception."""
    root = Root(b"/proc/self")
    found = read_entry(root, b"mem", max_bytes=LIMIT)
    root.close()
    assert found.ref().note == "unreadable: Input/output error"


def test_the_signature_is_that_of_the_bytes_read(root: Root) -> None:
    """The signature equals lstat's as long as nothing changes."""
    make(root.path + b"/x", KINDS["file"])
    _, signature = read_signed(root, b"x", max_bytes=LIMIT)
    assert signature is not None
    assert signature.matches(os.lstat(root.path + b"/x"))
    assert signature.mode == stat.S_IMODE(os.lstat(root.path + b"/x").st_mode)


@pytest.mark.parametrize(
    ("mtime_ns", "ctime_ns", "settled"),
    [
        (0, 0, True),
        (0, NOW_NS - 21_000_000, True),
        (0, NOW_NS - 19_000_000, False),
        (0, NOW_NS + 10**12, False),
        (NOW_NS - 19_000_000, 0, False),
        (NOW_NS + 10**12, 0, True),
    ],
)
def test_a_fresh_signature_proves_nothing(mtime_ns: int, ctime_ns: int, settled: bool) -> None:
    """Times within two clock ticks before the read may stay as they are when more is written."""
    signature = Signature(
        mtime_ns=mtime_ns, ctime_ns=ctime_ns, size=1, ino=1, mode=0o644, kind="file"
    )
    assert is_settled(signature, NOW_NS) is settled


def test_a_replaced_root_is_noticed(tmp_path: Path) -> None:
    """After `refresh` the root is the directory that has the path now."""
    place = tmp_path / "w"
    place.mkdir()
    root = Root(os.fsencode(place))
    place.rename(tmp_path / "old")
    assert root.refresh() is False
    place.mkdir()
    make(root.path + b"/x", KINDS["file"])
    assert root.refresh() is True
    assert read_entry(root, b"x", max_bytes=LIMIT) == KINDS["file"]
    root.close()


def test_nothing_is_written_into_a_root_that_was_moved_away(tmp_path: Path) -> None:
    """A root whose path is free holds nothing and takes nothing."""
    place = tmp_path / "w"
    place.mkdir()
    root = Root(os.fsencode(place))
    make(root.path + b"/x", KINDS["file"])
    place.rename(tmp_path / "old")
    assert write_entry(root, b"x", expect=KINDS["file"], write=ABSENT) == Changed(found=ABSENT)
    assert isinstance(write_entry(root, b"y", expect=ABSENT, write=KINDS["file"]), Failed)
    assert os.listdir(tmp_path / "old") == ["x"]
    root.close()


def test_own_temporary_names_are_recognised() -> None:
    """Exactly the names that a write uses for a moment."""
    found = [
        is_own_temp(name) for name in (b".agentdiff-00ff.tmp", b".agentdiff-x", b"a.tmp", b"x")
    ]
    assert found == [True, False, False, False]
