"""Contents that are nowhere on disk any more, or under a name of ours only: they go to the store.

Owns what becomes of both.  Must not decide what a path should hold.  Hop 5; the engine's worker
thread.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable

from agentdiff.core.entries import Entry, File, Link, Other
from agentdiff.daemon.recall import Recall
from agentdiff.workspace.temp import discard, is_own_temp
from agentdiff.workspace.tree import Root, read_at


def keep(recall: Recall, logger: logging.Logger, path: bytes, entry: Entry) -> None:
    """Keeps a content that is nowhere on disk any more: three writers met on one name."""
    recall.keep(entry)
    logger.error(
        "content displaced by a concurrent write is kept in the store",
        extra={"path": repr(path), "oid": entry.ref().oid},
    )


def clear_up(
    recall: Recall, logger: logging.Logger, held: Root, paths: Iterable[bytes], max_bytes: int
) -> None:
    """Removes the temporary names that a write left behind which a crash interrupted.

    Such a name holds what was to be written, or what was there before; or, where somebody wrote in
    that very instant, what they wrote: what the store lacks is kept there first.  What cannot be
    kept stays where it is, and is named in the log.

    Args:
        recall: of the workspace.
        logger: the daemon's.
        held: the root.
        paths: what the interrupted decision was to write; the names are beside them.
        max_bytes: longest content that is kept.
    """
    for folder in sorted({path.rpartition(b"/")[0] for path in paths}):
        try:
            with held.open_directory(folder, listing=True) as fd:
                for name in filter(is_own_temp, map(os.fsencode, os.listdir(fd))):
                    path = folder + b"/" + name if folder else name
                    _clear(recall, logger, fd, path, max_bytes)
        except OSError as error:
            extra = {"path": repr(folder), "reason": error.strerror}
            logger.warning("not looked for what a crash left behind", extra=extra)


def _clear(recall: Recall, logger: logging.Logger, fd: int, path: bytes, max_bytes: int) -> None:
    """Removes one of them from the folder `fd`.

    Raises:
        OSError: the folder, or the store, refuses; nothing is lost.
    """
    name = path.rpartition(b"/")[2]
    entry, _ = read_at(fd, name, max_bytes=max_bytes)
    if isinstance(entry, File | Link) and not recall.blobs.holds(bytes.fromhex(entry.ref().oid)):
        keep(recall, logger, path, entry)
        recall.blobs.sync()
    if isinstance(entry, Other) or not discard(fd, name):
        extra = {"path": repr(path)}
        logger.error("a crash left this behind, and it cannot be kept elsewhere", extra=extra)
