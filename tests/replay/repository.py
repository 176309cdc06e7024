"""The commits of a real repository, read from its objects; its work tree is not touched."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

from agentdiff.core.entries import ABSENT, Entry, File, Link
from tests.replay.checks import Commit

_NOTHING = b"0" * 40
_SUBMODULE = b"160000"


class Repository:
    """A repository, bare or not."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._blobs = subprocess.Popen(
            ["git", "-C", str(path), "cat-file", "--batch"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def close(self) -> None:
        """Ends the reader of objects."""
        self._blobs.communicate()

    def commits(self, number: int) -> Iterator[Commit]:
        """Yields the newest commits that have one parent and change files, the newest first."""
        listed = self._git("log", "--no-merges", "--format=%H %P", f"--max-count={2 * number}")
        yielded = 0
        for line in listed.split(b"\n"):
            name, *parents = line.split(b" ")
            if len(parents) != 1 or not parents[0] or yielded == number:
                continue
            commit = self._commit(name, parents[0])
            if commit is not None:
                yielded += 1
                yield commit

    def _git(self, *arguments: str) -> bytes:
        command = ["git", "-C", str(self._path), *arguments]
        return subprocess.run(command, check=True, capture_output=True).stdout

    def _commit(self, name: bytes, parent: bytes) -> Commit | None:
        raw = self._git(
            "diff-tree", "-r", "-z", "--no-renames", "--full-index", parent.decode(), name.decode()
        )
        fields = raw.split(b"\0")
        before: dict[bytes, Entry] = {}
        after: dict[bytes, Entry] = {}
        for meta, path in zip(fields[::2], fields[1::2], strict=False):
            old_mode, new_mode, old_oid, new_oid, _ = meta[1:].split(b" ")
            if _SUBMODULE in (old_mode, new_mode):
                continue
            before[path] = self._entry(old_mode, old_oid)
            after[path] = self._entry(new_mode, new_oid)
        if not before:
            return None
        return Commit(name=name.decode(), before=before, after=after)

    def _entry(self, mode: bytes, oid: bytes) -> Entry:
        if oid == _NOTHING:
            return ABSENT
        assert self._blobs.stdin is not None
        assert self._blobs.stdout is not None
        self._blobs.stdin.write(oid + b"\n")
        self._blobs.stdin.flush()
        header = self._blobs.stdout.readline()
        assert header.split(b" ")[1:2] == [b"blob"], header
        data = self._blobs.stdout.read(int(header.split(b" ")[2]))
        self._blobs.stdout.read(1)
        if mode == b"120000":
            return Link(target=data)
        return File(data=data, mode=0o755 if mode == b"100755" else 0o644)
