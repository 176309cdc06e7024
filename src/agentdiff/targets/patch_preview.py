"""What a Codex patch will do to the files it names, worked out in memory.

Owns the file operations of ``apply_patch``, also where Codex stops half way: it applies one
operation after the other and leaves what it has done when one fails.  Must not read a disk: the
caller brings a reader.  Used at hop 5, for previews.

Source: Codex 0.169.0, its binary run under the name ``apply_patch``; tests/e2e/test_apply_patch.py
compares it with this module.  Codex follows links when it reads and writes, removes the link itself
when it deletes or moves, makes missing folders, overwrites what an added file or a move meets, and
deletes a file that is moved onto itself.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from agentdiff.core.chunks import Mismatch, revise
from agentdiff.core.entries import ABSENT, Absent, Directory, Entry, File, Link, Other
from agentdiff.targets.apply_patch import Operation, place

MAX_LINKS: Final = 40
MAX_NAME_BYTES: Final = 255
MAX_PATH_BYTES: Final = 4095

Read: TypeAlias = Callable[[bytes], Entry]
FailureKind: TypeAlias = Literal["absent", "folder", "unusable", "mismatch", "empty", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One change of one path: absolute, links followed where Codex follows them."""

    path: bytes
    before: Entry
    after: Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why Codex stops.

    Attributes:
        kind: ``absent`` no such file, ``folder`` a folder is there, ``unusable`` the path cannot
            be used, ``mismatch`` the chunks do not fit, ``empty`` a patch without operations,
            ``unknown`` the content is not known to us (`agentdiff.core.entries.Other`).
        path: as the patch names it.
        reason: for a person.
    """

    kind: FailureKind
    path: bytes
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a patch does: the steps before `failure`, or all of them when that is None."""

    steps: tuple[Step, ...]
    failure: Failure | None = None

    def contents(self) -> dict[bytes, Entry]:
        """Returns the last state of each path that a step touches."""
        return {step.path: step.after for step in self.steps}


def preview(
    operations: Sequence[Operation], cwd: bytes, read: Read | Mapping[bytes, Entry]
) -> Preview:
    """Returns what a patch will do.

    Args:
        operations: of `agentdiff.targets.apply_patch.parse`.
        cwd: absolute working directory, a folder.
        read: returns what is at an absolute path now, not following a link at its end (lstat); or
            a mapping that holds all that is there.  A folder that is absent is made.
    """
    if not operations:
        return Preview(steps=(), failure=Failure(kind="empty", path=b"", reason="it names no file"))
    desk = _Desk(cwd, read if callable(read) else lambda path: read.get(path, ABSENT))
    for operation in operations:
        failure = desk.perform(operation)
        if failure is not None:
            return Preview(steps=tuple(desk.steps), failure=failure)
    return Preview(steps=tuple(desk.steps))


class _Desk:
    """The files as they are after the steps so far."""

    def __init__(self, cwd: bytes, read: Read) -> None:
        self._cwd = place(b".", cwd) or b"/"
        self._read = read
        self._written: dict[bytes, Entry] = {}
        self.steps: list[Step] = []

    def perform(self, operation: Operation) -> Failure | None:
        """Does one operation; returns why it could not be done (completely)."""
        match operation.action:
            case "add":
                return self._write(operation.path, operation.data, make_folders=True)
            case "delete":
                return self._remove(operation.path)
            case "update":
                return self._update(operation)

    def _update(self, operation: Operation) -> Failure | None:
        found = self._file(operation.path)
        if isinstance(found, Failure):
            return found
        data = revise(found.data, operation.chunks)
        if isinstance(data, Mismatch):
            return Failure(kind="mismatch", path=operation.path, reason=data.reason)
        if operation.move_to is None:
            return self._write(operation.path, data, make_folders=False)
        return self._write(operation.move_to, data, make_folders=True) or self._remove(
            operation.path
        )

    # --- the file system -------------------------------------------------------------------------

    def _at(self, path: bytes) -> Entry:
        if self._cwd == path or self._cwd.startswith(path.rstrip(b"/") + b"/"):
            return Directory()
        return self._written[path] if path in self._written else self._read(path)

    def _file(self, name: bytes) -> File | Failure:
        where = self._resolve(name, follow=True)
        if isinstance(where, Failure):
            return where
        match self._at(where):
            case File() as file:
                return file
            case Absent():
                return Failure(kind="absent", path=name, reason="there is no such file")
            case Other(kind=kind):
                return Failure(
                    kind="unknown", path=name, reason=f"its content is not known: {kind}"
                )
            case _:
                return Failure(kind="folder", path=name, reason="a folder is there")

    def _write(self, name: bytes, data: bytes, *, make_folders: bool) -> Failure | None:
        where = self._resolve(name, follow=True)
        if isinstance(where, Failure):
            return where
        folder = self._resolve(posixpath.dirname(place(name, self._cwd) or b"/"), follow=True)
        if isinstance(folder, Failure):
            return folder
        before = self._at(where)
        if isinstance(before, Directory):
            return Failure(kind="folder", path=name, reason="a folder is there")
        if isinstance(before, Other):
            return Failure(kind="unknown", path=name, reason=f"it is a {before.kind}")
        if make_folders:
            self._make_folders(folder)
        if isinstance(self._at(posixpath.dirname(where)), Absent):
            return Failure(kind="absent", path=name, reason="its folder is not there")
        self._put(where, before, File(data=data, mode=getattr(before, "mode", 0o644)))
        return None

    def _remove(self, name: bytes) -> Failure | None:
        found = self._file(name)
        if isinstance(found, Failure):
            return found
        where = self._resolve(name, follow=False)
        if isinstance(where, Failure):
            return where
        self._put(where, self._at(where), ABSENT)
        return None

    def _put(self, where: bytes, before: Entry, after: Entry) -> None:
        self._written[where] = after
        self.steps.append(Step(path=where, before=before, after=after))

    def _make_folders(self, folder: bytes) -> None:
        while isinstance(self._at(folder), Absent):
            self._written[folder] = Directory()
            folder = posixpath.dirname(folder)

    def _resolve(self, name: bytes, *, follow: bool) -> bytes | Failure:
        """Returns the path that a name leads to, links in its folders (and at its end) followed."""
        todo = [part for part in reversed((place(name, self._cwd) or b"/").split(b"/")) if part]
        done, links = b"/", 0
        while todo:
            part = todo.pop()
            if part == b"..":
                done = posixpath.dirname(done)
                continue
            path = posixpath.join(done, part)
            if len(part) > MAX_NAME_BYTES or len(path) > MAX_PATH_BYTES or b"\0" in part:
                return Failure(kind="unusable", path=name, reason="no file can have this name")
            entry = self._at(path)
            if isinstance(entry, Link) and (todo or follow):
                links += 1
                if links > MAX_LINKS:
                    return Failure(kind="unusable", path=name, reason="its links lead nowhere")
                done = b"/" if entry.target.startswith(b"/") else done
                parts = entry.target.split(b"/")
                todo += [each for each in reversed(parts) if each not in (b"", b".")]
            elif todo and isinstance(entry, File | Other):
                return Failure(
                    kind="unusable", path=name, reason="a file is where a folder must be"
                )
            else:
                done = path
        return done
