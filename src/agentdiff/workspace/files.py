"""Owns writing below a workspace root: compare-and-swap without a window, no link followed.

Must not decide what to write, and must not log.  Hop 5: performs the ledger's write commands; the
engine has logged and synced the intent before.

The new thing is made beside the old one under a name of our own, the two names are exchanged in
one step, and only then what came out is compared with what was expected.  If it is something
else, it is exchanged back.  The other order (compare, then rename) has a window in which a write
is lost unseen.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from dataclasses import dataclass
from typing import TypeAlias

from agentdiff.core.entries import ABSENT, Absent, Directory, Entry, File, Other
from agentdiff.workspace import exchange
from agentdiff.workspace.folders import FolderMode, open_parent, remove_empty_parents, unknown
from agentdiff.workspace.temp import discard, is_own_temp, make_temp, temp_name, write_all
from agentdiff.workspace.tree import (
    Root,
    Signature,
    read_all,
    read_at,
    read_entry,
    read_signed,
    split_path,
)
from agentdiff.workspace.writers import wait_for_writers

__all__ = [
    "Changed",
    "Failed",
    "Outcome",
    "Root",
    "Signature",
    "Written",
    "is_own_temp",
    "read_entry",
    "read_signed",
    "remove_empty_parents",
    "write_entry",
]

# Longer content than this was never expected by anybody: it is reported as oversized, and put back.
_COMPARE_BYTES = 64 << 20
_PUT_BACK_TRIES = 8
_GONE = "the workspace is gone"
_NO_DIRECTORY = frozenset({errno.ENOTDIR, errno.ELOOP})


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The path holds what was to be written.

    Attributes:
        weak: True where exchange was impossible or a program held the old file open for writing:
            then a write in the same instant could have been lost.
        created: directories that had to be made, relative to the root, outermost first.
    """

    weak: bool = False
    created: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """The path did not hold what was expected, and is as it was.

    Attributes:
        found: what it holds.
        displaced: content that somebody wrote and somebody else replaced while we were putting
            things back, and that is nowhere on disk any more; None in all but the rarest races.
    """

    found: Entry
    displaced: Entry | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """Nothing was written; `reason` is a sentence for the user."""

    reason: str


Outcome: TypeAlias = Written | Changed | Failed


def write_entry(
    root: Root,
    path: bytes,
    *,
    expect: Entry,
    write: Entry,
    folder_mode: FolderMode = unknown,
) -> Outcome:
    """Replaces `expect` by `write` at `path`, unless the path holds anything else.

    Missing parent directories are made, with the bits that they had, else as closed as what is
    written.  Permission bits are set exactly; owner, group and extended attributes of a replaced
    file are kept as far as the system lets us.  Callable from any thread.

    Args:
        root: where `path` starts.
        path: relative to the root.
        expect: what the path must hold (bytes, mode and type).
        write: what it shall hold.
        folder_mode: what the directories above it had.

    Raises:
        ValueError: `path` is not a clean relative path.
    """
    if isinstance(expect, Other) or isinstance(write, Other):
        return Failed(
            reason="its content is not kept, so that it can neither be compared nor restored"
        )
    parent, _, name = path.rpartition(b"/")
    split_path(path)
    created: list[bytes] = []
    try:
        if not root.refresh():
            return Changed(found=ABSENT) if expect != ABSENT else Failed(reason=_GONE)
        with contextlib.ExitStack() as stack:
            missing = created if expect == ABSENT != write else None
            fd = open_parent(root, parent, missing, folder_mode, write)
            stack.callback(os.close, fd)
            outcome = _write_at(fd, name, expect, write)
    except OSError as error:
        outcome = _stopped(error, root, path, expect, write)
    if isinstance(outcome, Written):
        return Written(weak=outcome.weak, created=tuple(created))
    remove_empty_parents(root, path, created)
    return outcome


def _stopped(error: OSError, root: Root, path: bytes, expect: Entry, write: Entry) -> Outcome:
    """Tells what an error means that stopped us on the way to the file or at it."""
    if error.errno == errno.ENOENT or error.errno in _NO_DIRECTORY:
        found = read_entry(root, path, max_bytes=_COMPARE_BYTES)
        if found != expect:
            return Changed(found=found)
        if write == ABSENT:
            return Written()
    if error.errno in _NO_DIRECTORY:
        return Failed(reason="a parent is a symbolic link or no directory any more")
    return Failed(reason=error.strerror or str(error))


def _write_at(fd: int, name: bytes, expect: Entry, write: Entry) -> Outcome:
    """Chooses the way that loses nothing for this pair of kinds."""
    # What can be told beforehand disturbs nothing; the proof is what comes out afterwards.
    found = _read(fd, name)
    if found != expect:
        return Changed(found=found)
    if expect == write:
        return Written()
    if isinstance(expect, Absent):
        return _create(fd, name, write)
    if isinstance(write, Absent):
        return _delete(fd, name, expect)
    if isinstance(expect, File) and isinstance(write, File):
        if expect.data == write.data:
            return _change_mode(fd, name, expect, write)
        if _hard_linked(fd, name):
            return _write_in_place(fd, name, expect, write)
    return _exchange(fd, name, expect, write)


def _create(fd: int, name: bytes, write: Entry) -> Outcome:
    temp = make_temp(fd, write, like=None)
    try:
        _place_new(fd, temp, name, write)
    except FileExistsError:
        discard(fd, temp)
        return Changed(found=_read(fd, name))
    except OSError:
        discard(fd, temp)
        raise
    return Written()


def _place_new(fd: int, temp: bytes, name: bytes, write: Entry) -> None:
    """Gives `temp` the name `name` unless something has it; without flags, by hard link.

    Raises:
        FileExistsError: something has that name.
        OSError: why it failed.
    """
    try:
        exchange.rename_new(fd, temp, name)
    except OSError as error:
        if error.errno not in exchange.UNSUPPORTED:
            raise
        if isinstance(write, Directory):
            _rename_directory(fd, temp, name)
        else:
            os.link(temp, name, src_dir_fd=fd, dst_dir_fd=fd, follow_symlinks=False)
            discard(fd, temp)


def _rename_directory(fd: int, temp: bytes, name: bytes) -> None:
    """Renames a directory; the system itself lets it replace nothing but an empty directory."""
    try:
        os.rename(temp, name, src_dir_fd=fd, dst_dir_fd=fd)
    except OSError as error:
        if error.errno in (errno.ENOTDIR, errno.ENOTEMPTY):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name) from error
        raise


def _delete(fd: int, name: bytes, expect: Entry) -> Outcome:
    temp = temp_name()
    if isinstance(expect, Directory):
        # A directory leaves by rmdir, which compares by itself: full ones stay.
        os.rmdir(name, dir_fd=fd)
        return Written()
    try:
        os.rename(name, temp, src_dir_fd=fd, dst_dir_fd=fd)
    except FileNotFoundError:
        return Changed(found=ABSENT)
    held = wait_for_writers(fd, temp)
    out = _read(fd, temp)
    if out == expect and discard(fd, temp):
        return Written(weak=held)
    try:
        _place_new(fd, temp, name, out)
    except FileExistsError:
        # Somebody made a new one meanwhile: the newest stays, and the caller gets what it replaced.
        discard(fd, temp)
        return Changed(found=_read(fd, name), displaced=out)
    return Changed(found=out)


def _exchange(fd: int, name: bytes, expect: Entry, write: Entry) -> Outcome:
    temp = make_temp(fd, write, like=name)
    try:
        exchange.exchange(fd, temp, name)
    except FileNotFoundError:
        discard(fd, temp)
        return Changed(found=ABSENT)
    except OSError as error:
        if error.errno in exchange.UNSUPPORTED:
            return _exchange_by_steps(fd, temp, name, expect, write)
        discard(fd, temp)
        raise
    held = wait_for_writers(fd, temp)
    out = _read(fd, temp)
    if out == expect and discard(fd, temp):
        return Written(weak=held)
    back = _put_back(fd, temp, name, out, ours=write)
    return Failed(reason="the directory is not empty") if back.found == expect else back


def _put_back(fd: int, temp: bytes, name: bytes, out: Entry, *, ours: Entry) -> Changed:
    """Exchanges back until what comes out is what we had put there: the newest write stays.

    `temp` holds `out`, which was not expected; `name` holds `ours`, or what somebody wrote since.
    """
    displaced: Entry | None = None
    placed = ours
    for _ in range(_PUT_BACK_TRIES):
        try:
            exchange.exchange(fd, temp, name)
        except FileNotFoundError:  # somebody deleted ours: the deletion is newer than `out`
            displaced, out = out, ABSENT
            break
        wait_for_writers(fd, temp)
        came, placed = _read(fd, temp), out
        if came == ours:
            break
        # Somebody wrote onto what we had placed: newer than `out`, so it goes back in its turn.
        displaced, out, ours = out, came, placed
    discard(fd, temp)
    return Changed(found=out, displaced=displaced)


def _exchange_by_steps(fd: int, temp: bytes, name: bytes, expect: Entry, write: Entry) -> Outcome:
    """Replaces where names cannot be exchanged: files in place, others by two renames."""
    if isinstance(expect, File) and isinstance(write, File):
        discard(fd, temp)
        return _write_in_place(fd, name, expect, write)
    try:
        removed = _delete(fd, name, expect)
    except OSError:
        discard(fd, temp)
        raise
    if not isinstance(removed, Written):
        discard(fd, temp)
        return removed
    try:
        _place_new(fd, temp, name, write)
    except FileExistsError:
        discard(fd, temp)
        return Changed(found=_read(fd, name), displaced=expect)
    except OSError:
        discard(fd, temp)
        _create(fd, name, expect)
        raise
    return Written(weak=True)


def _change_mode(fd: int, name: bytes, expect: File, write: File) -> Outcome:
    """Changes permission bits only; the content is never touched, so that none can be lost."""
    found, signature = read_at(fd, name, max_bytes=_COMPARE_BYTES)
    if found != expect or signature is None:
        return Changed(found=found)
    file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=fd)
    try:
        if os.fstat(file).st_ino != signature.ino:
            return Changed(found=_read(fd, name))
        os.fchmod(file, write.mode)
    finally:
        os.close(file)
    return Written()


def _write_in_place(fd: int, name: bytes, expect: File, write: File) -> Outcome:
    """Rewrites the inode itself: its other names (hard links) stay names of the same file."""
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    file = os.open(name, flags, dir_fd=fd)
    try:
        status = os.fstat(file)
        data = read_all(file, len(expect.data) + 1, len(expect.data))
        if data != expect.data or stat.S_IMODE(status.st_mode) != expect.mode:
            return Changed(found=_read(fd, name))
        try:
            write_all(file, write.data)
        except OSError:
            with contextlib.suppress(OSError):  # a full disk: the old bytes had their place
                write_all(file, data)
            raise
        if write.mode != expect.mode:
            os.fchmod(file, write.mode)
        os.fsync(file)
    finally:
        os.close(file)
    return Written(weak=True)


def _read(fd: int, name: bytes) -> Entry:
    return read_at(fd, name, max_bytes=_COMPARE_BYTES)[0]


def _hard_linked(fd: int, name: bytes) -> bool:
    try:
        status = os.stat(name, dir_fd=fd, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_nlink > 1
