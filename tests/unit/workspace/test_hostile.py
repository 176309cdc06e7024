"""Files of a repository that were not written by git: small ones that would take everything."""

import contextlib
import os
import struct
import subprocess
import threading
import time
import tracemalloc
import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from agentdiff.core.entries import git_blob_oid
from agentdiff.workspace import gitpacks, ignore
from agentdiff.workspace.git import run_git
from agentdiff.workspace.gitindex import GitIndex, UnusableIndex, _offset_varint
from agentdiff.workspace.gitpacks import GitPacks
from agentdiff.workspace.plain import open_plain, read_plain
from agentdiff.workspace.tree import Root

MARK = b"\xfftOc\x00\x00\x00\x02"


def size_of(kind: int, size: int) -> bytes:
    """Returns the head of an object in a pack."""
    out = bytearray([kind << 4 | size & 15])
    size >>= 4
    while size:
        out[-1] |= 0x80
        out.append(size & 0x7F)
        size >>= 7
    return bytes(out)


def packed(folder: Path, objects: Sequence[tuple[bytes, bytes]]) -> GitPacks:
    """Writes a pack of objects, given by name and raw bytes, with its index; opens it."""
    objects = sorted(objects)
    place = folder / "objects/pack"
    place.mkdir(parents=True)
    data, offsets = bytearray(b"PACK" + struct.pack(">II", 2, len(objects))), []
    for _, raw in objects:
        offsets.append(len(data))
        data += raw
    firsts = [sum(name[0] <= byte for name, _ in objects) for byte in range(256)]
    idx = MARK + struct.pack(">256I", *firsts) + b"".join(name for name, _ in objects)
    idx += bytes(4 * len(objects)) + b"".join(struct.pack(">I", at) for at in offsets) + bytes(40)
    (place / "x.idx").write_bytes(idx)
    (place / "x.pack").write_bytes(bytes(data) + bytes(20))
    return GitPacks(os.fsencode(folder / "objects"))


def blob(content: bytes, *, says: int | None = None) -> tuple[bytes, bytes]:
    """Returns a blob with its name; it may say another size than it has."""
    head = size_of(3, len(content) if says is None else says)
    return bytes.fromhex(git_blob_oid(content)), head + zlib.compress(content)


def delta(base: bytes, script: bytes, name: bytes) -> tuple[bytes, bytes]:
    """Returns a delta of the object with the name `base`."""
    return name, size_of(7, len(script)) + base + zlib.compress(script)


def test_a_usual_pack_is_read(tmp_path: Path) -> None:
    """The packs below are wrong only where they are meant to be."""
    base = blob(b"one\n" * 9)
    name = bytes.fromhex(git_blob_oid(b"one\n" + b"two\n"))
    script = b"\x24\x08" + b"\x90\x04" + b"\x04two\n"  # 36 → 8: copy 4 from 0, insert 4
    packs = packed(tmp_path, [base, delta(base[0], script, name)])
    assert (packs.get(base[0]), packs.get(name)) == (b"one\n" * 9, b"one\ntwo\n")
    packs.close()


def test_an_object_of_all_memory_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some kilobytes of pack can say, and be, gigabytes; the limit is a small one here."""
    monkeypatch.setattr(gitpacks, "_MAX_BYTES", 10_000)
    large = blob(bytes(10_001))
    packs = packed(tmp_path, [large, blob(b"small\n")])
    assert packs.get(large[0]) is None
    assert packs.get(blob(b"small\n")[0]) == b"small\n"
    packs.close()


def test_a_delta_makes_no_more_than_it_says(tmp_path: Path) -> None:
    """Seven bytes copy sixteen megabytes: a script of some kilobytes would make terabytes."""
    base = blob(bytes(0xFFFF))
    script = b"\xff\xff\x03" + b"\x01" + b"\xb0\xff\xff" * 4_000  # says 1, makes 262 MB
    packs = packed(tmp_path, [base, delta(base[0], script, b"\x77" * 20)])
    tracemalloc.start()
    try:
        assert packs.get(b"\x77" * 20) is None
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()
        packs.close()


def test_a_delta_of_itself_has_no_content(tmp_path: Path) -> None:
    """Nor has one whose base is its own delta."""
    one, other = b"\x11" * 20, b"\x22" * 20
    objects = [delta(other, b"\x01\x01\x01x", one), delta(one, b"\x01\x01\x01x", other)]
    packs = packed(tmp_path, objects)
    assert packs.get(one) is packs.get(other) is None
    packs.close()


@pytest.mark.parametrize("wrong", ["unsorted", "short"])
def test_an_index_that_is_none_is_not_used(tmp_path: Path, wrong: str) -> None:
    """Looking something up in it raises nothing."""
    packed(tmp_path, [blob(b"x\n")]).close()
    idx = tmp_path / "objects/pack/x.idx"
    data = bytearray(idx.read_bytes())
    if wrong == "unsorted":
        data[8:12] = b"\xff\xff\xff\xff"
    else:
        del data[8 + 1024 + 20 :]
    idx.write_bytes(data)
    packs = GitPacks(os.fsencode(tmp_path / "objects"))
    assert not packs
    assert not packs.holds(b"\x01" * 20)
    packs.close()


def test_numbers_have_an_end() -> None:
    """A megabyte of digits would take hours to become one number."""
    with pytest.raises(ValueError, match="without an end"):
        gitpacks._varint(b"\x80" * 100, 0)
    with pytest.raises(ValueError, match="without an end"):
        _offset_varint(b"\xff" * 100, 0)


def test_paths_of_an_index_do_not_grow_without_end() -> None:
    """In version 4 each path may take all of the one before it: kilobytes would be gigabytes."""
    entry = bytes(24) + b"\0\0\x81\xa4" + bytes(32) + b"\0\0"
    first = entry + b"\0" + b"a" * 5_000 + b"\0"
    data = b"DIRC" + struct.pack(">II", 4, 2) + first + entry + b"\0" + b"b\0" + bytes(20)
    with pytest.raises(UnusableIndex, match="damaged"):
        GitIndex(data, 0)


@pytest.mark.parametrize("kind", ["fifo", "device", "directory", "nul"])
def test_only_regular_files_are_opened(tmp_path: Path, kind: str) -> None:
    """Whatever stands in the place of a file of git's, nobody waits for it."""
    path = os.fsencode(tmp_path / "x")
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        os.symlink("/dev/zero", path)
    elif kind == "directory":
        os.mkdir(path)
    else:
        path += b"\0"
    with pytest.raises(OSError, match=r"no (regular file|path)"):
        os.close(open_plain(path))
    with pytest.raises(OSError, match=r"no (regular file|path)"):
        read_plain(path, 10)


def test_links_of_git_are_followed(tmp_path: Path) -> None:
    """``git worktree`` and some tools use them."""
    (tmp_path / "real").write_bytes(b"content")
    (tmp_path / "link").symlink_to("real")
    assert read_plain(os.fsencode(tmp_path / "link"), 4) == b"cont"


def test_git_is_not_asked_where_it_would_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git opens its own files without a look at what they are."""
    programs, asked = tmp_path / "programs", tmp_path / "asked"
    programs.mkdir()
    (programs / "git").write_text(f"#!/bin/sh\necho asked\n: > {asked}\n")
    (programs / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    root = tmp_path / "work"
    (root / ".git").mkdir(parents=True)
    assert run_git(os.fsencode(root), b"rev-parse") == b"asked\n"
    asked.unlink()
    os.mkfifo(root / ".git/HEAD")
    assert run_git(os.fsencode(root), b"rev-parse") is None
    assert not asked.exists()


def test_nobody_waits_for_git_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somewhere deep in the tree a FIFO holds git; a first look at the tree goes on without it."""
    monkeypatch.setattr(ignore, "_GIT_ANSWERS_WITHIN_S", 0.05)
    root = tmp_path / "work"
    (root / "d").mkdir(parents=True)
    (root / "d/a.txt").write_text("x\n")
    for command in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", *command], cwd=root, check=True)
    fifo = root / "d/.gitignore"
    os.mkfifo(fifo)
    held = Root(os.fsencode(root))
    rules = ignore.IgnoreRules(held, time.time_ns)
    rules.refresh()
    asked = rules._answer
    assert asked is not None
    rules.await_tracked()
    answered = asked.done()
    while not asked.done():  # lets git go on
        with contextlib.suppress(OSError):
            os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
        threading.Event().wait(0.01)
    held.close()
    assert not answered
