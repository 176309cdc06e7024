"""How a workspace's log that an older agentdiff wrote becomes one of today.

Owns the steps, and the copy that is made before the first of them.  Must not read records:
`agentdiff.core.records` reads those of every version (each carries its own).  Hop 5; while a store
opens.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path

Step = Callable[[sqlite3.Connection], None]

STEPS: Mapping[int, Step] = {}
"""Schema → what makes it the next one, within the caller's transaction.  1 is the first schema."""


class CannotMigrate(OSError):  # noqa: N818 - reads as a fact
    """No way leads from the stored schema to ours."""


def backup_of(file: Path, schema: int) -> Path:
    """Returns where the copy of a log of an older schema is kept."""
    return file.with_name(f"{file.name}.schema{schema}")


def back_up(db: sqlite3.Connection, file: Path, schema: int) -> Path:
    """Copies a whole database beside it, durably; a copy that is there already stays.

    The first copy is the one that the older version wrote: a migration that a crash interrupted
    has changed nothing, and one that had succeeded does not come here again.

    Returns:
        The copy.

    Raises:
        sqlite3.Error: it cannot be written; nothing is left behind.
        OSError: likewise.
    """
    target = backup_of(file, schema)
    if target.exists():
        return target
    partial = target.with_name(target.name + ".partial")
    with contextlib.suppress(FileNotFoundError):
        partial.unlink()
    os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        with contextlib.closing(sqlite3.connect(partial)) as copy:
            db.backup(copy)
        _sync(partial)
        os.rename(partial, target)
        _sync(target.parent)
    except (sqlite3.Error, OSError):
        with contextlib.suppress(OSError):
            partial.unlink()
        raise
    return target


def migrate(db: sqlite3.Connection, file: Path, stored: int, wanted: int) -> Path:
    """Makes a database of schema `stored` one of schema `wanted`, in one transaction.

    The caller notes the new schema in the transaction that this leaves open, and commits it.

    Returns:
        The copy of what was there before.

    Raises:
        CannotMigrate: a step is missing; nothing was changed.
        sqlite3.Error: it failed; nothing was changed.
        OSError: the copy cannot be written; nothing was changed.
    """
    missing = [schema for schema in range(stored, wanted) if schema not in STEPS]
    if missing:
        raise CannotMigrate(
            f"{file} has schema {stored}, which this agentdiff cannot read any more: decide what "
            "pends with the version that wrote it, or `agentdiff purge` that workspace"
        )
    copy = back_up(db, file, stored)
    db.execute("BEGIN IMMEDIATE")
    try:
        for schema in range(stored, wanted):
            STEPS[schema](db)
    except sqlite3.Error:
        db.execute("ROLLBACK")
        raise
    return copy


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
