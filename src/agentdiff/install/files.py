"""Reads and replaces configuration files that belong to the user.

Owns atomic replacement with owner and permissions kept, and backups.  Must not know what is in the
files.
"""

from __future__ import annotations

import contextlib
import difflib
import errno
import hashlib
import os
import stat
import tempfile
from pathlib import Path
from typing import Final

KEPT_BACKUPS: Final = 10


def read(path: Path) -> bytes | None:
    """Returns the content of a file, None when there is none.

    Raises:
        OSError: it is there and cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def missing_folders(path: Path) -> tuple[Path, ...]:
    """Returns the parent folders of `path` that do not exist, innermost first."""
    return tuple(folder for folder in path.parents if not folder.exists())


def replace(path: Path, old: bytes | None, new: bytes, *, mode: int = 0o666) -> None:
    """Puts `new` in the place of `old`, atomically, keeping owner and permissions.

    Args:
        path: free of symbolic links; see `os.path.realpath`.
        old: what the file held when the change was planned, None for no file.
        new: the whole new content.
        mode: permissions of a file that did not exist, less the umask.

    Raises:
        OSError: the file changed since (``EAGAIN``), or it cannot be written; it is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(handle, "wb") as file:
            _copy_permissions(path, file.fileno(), mode)
            file.write(new)
            file.flush()
            os.fsync(file.fileno())
        _check_unchanged(path, old)
        os.replace(name, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


def remove(path: Path, old: bytes | None, folders: tuple[Path, ...] = ()) -> None:
    """Removes a file and those of `folders`, innermost first, that this leaves empty.

    Args:
        path: as for `replace`.
        old: as for `replace`.
        folders: none of them has to exist.

    Raises:
        OSError: the file changed since (``EAGAIN``), or it cannot be removed.
    """
    _check_unchanged(path, old)
    path.unlink(missing_ok=True)
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            return  # somebody keeps something in it, or it is gone


def back_up(folder: Path, path: Path, content: bytes) -> Path:
    """Keeps a copy of a user's file, private; of each file the newest ten are kept.

    Returns:
        The copy: ``<hash of the path>-<number>-<name>``, counting up.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    prefix = hashlib.blake2b(os.fsencode(path), digest_size=6).hexdigest()
    earlier = sorted(folder.glob(f"{prefix}-*"))
    number = int(earlier[-1].name.split("-")[1]) + 1 if earlier else 1
    copy = folder / f"{prefix}-{number:06d}-{path.name}"
    replace(copy, None, content, mode=0o600)
    for old in earlier[: -(KEPT_BACKUPS - 1)]:
        old.unlink()
    return copy


def unified_diff(path: Path, old: bytes | None, new: bytes | None) -> str:
    """Returns the change of one file as a unified diff; empty when there is none."""
    lines = difflib.unified_diff(
        _lines(old),
        _lines(new),
        fromfile="/dev/null" if old is None else str(path),
        tofile="/dev/null" if new is None else str(path),
        lineterm="\n",
    )
    marked = (
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )
    return "".join(marked)


def _check_unchanged(path: Path, old: bytes | None) -> None:
    if read(path) != old:
        raise OSError(errno.EAGAIN, "changed at the same time: try again", str(path))


def _lines(content: bytes | None) -> list[str]:
    text = (content or b"").decode("utf-8", "replace")
    return [part + "\n" for part in text.split("\n")[:-1]] + [
        part for part in text.split("\n")[-1:] if part
    ]


def _copy_permissions(path: Path, handle: int, mode: int) -> None:
    try:
        old = path.stat()
    except FileNotFoundError:
        umask = os.umask(0)
        os.umask(umask)
        os.fchmod(handle, mode & ~umask)
        return
    new = os.fstat(handle)
    if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
        os.fchown(handle, old.st_uid, old.st_gid)
    os.fchmod(handle, stat.S_IMODE(old.st_mode))
