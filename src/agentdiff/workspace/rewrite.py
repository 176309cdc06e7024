"""Owns a blob store's pack that is being written anew, beside the one that is in use.

Nothing of it is found before `take_place`: a crash leaves a file that the next start removes.  Must
not decide what is kept, nor know who else writes to the old pack: that is
`agentdiff.workspace.blobs`.  Hop 5; on one thread.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from agentdiff.workspace.packformat import FILE_MARK, HEADER_BYTES, lock_pack, parse_header


class Rewrite:
    """The new pack.

    Args:
        path: of the one that is in use.

    Attributes:
        index: blob id (20 bytes) → offset of its record.
        end: where the next record goes.
        fd: open and locked; whoever calls `take_place` closes it.
        problems: what was found damaged, one sentence each.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._fresh = path, fresh_path(path)
        self.index: dict[bytes, int] = {}
        self.problems: list[str] = []
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self.fd = os.open(self._fresh, flags, 0o600)
        try:
            lock_pack(self.fd, self._fresh)  # before anybody can find it
            self.end = os.write(self.fd, FILE_MARK)
        except OSError:
            self.discard()
            raise

    def copy(self, fd: int, records: Iterable[tuple[bytes, int]]) -> None:
        """Copies records of the old pack, which are whole, and checks their headers.

        Args:
            fd: the old pack.
            records: blob id and offset of each.

        Raises:
            OSError: a file cannot be read or written.
        """
        for key, at in records:
            head = os.pread(fd, HEADER_BYTES, at)
            header = parse_header(head)
            if header is None or header[0] != key:
                self.problems.append(f"blob {key.hex()} at offset {at} is damaged")
                continue
            record = memoryview(head + os.pread(fd, header[2], at + HEADER_BYTES))
            self.index[key] = self.end
            while record:
                written = os.write(self.fd, record)
                record, self.end = record[written:], self.end + written

    def sync(self) -> None:
        """Makes what was copied durable.

        Raises:
            OSError: the disk refuses.
        """
        os.fsync(self.fd)

    def take_place(self) -> None:
        """Replaces the old pack; what was copied must be durable.

        Raises:
            OSError: the folder refuses; the old one is still there.
        """
        os.rename(self._fresh, self._path)

    def discard(self) -> None:
        """Leaves the old pack as it is."""
        os.close(self.fd)
        with contextlib.suppress(OSError):
            os.unlink(self._fresh)


def fresh_path(path: Path) -> Path:
    """Returns where the new pack is while it is written."""
    return path.with_name(path.name + ".new")
