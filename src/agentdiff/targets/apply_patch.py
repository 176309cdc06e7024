"""Reads a Codex patch: which files it adds, deletes, updates and moves, and how.

Owns the grammar of ``*** Begin Patch`` … ``*** End Patch``.  Must not read a file:
`agentdiff.targets.patch_preview` says what a patch will do to given contents.  Used at hop 2.

The grammar, one marker a line.  White space around a marker is ignored, in an update only behind
it::

    *** Begin Patch
    *** Environment ID: <name>           at most once, before the first file
    *** Add File: <path>                 then lines that start with +
    *** Delete File: <path>
    *** Update File: <path>              then, optionally: *** Move to: <path>
    @@  or  @@ <anchor>                  may be left out before the first chunk
     context, -old, +new                 a line with nothing at all is an empty context line
    *** End of File                      the chunk must match at the end
    *** End Patch

Models also wrap the patch in a heredoc (``<<'EOF'`` … ``EOF``) without any shell: that is taken
off.

Source: Codex 0.169.0, its binary run under the name ``apply_patch``; tests/e2e/test_apply_patch.py
compares it with this module.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from agentdiff.core.chunks import WHITE_SPACE, Chunk
from agentdiff.core.events import Target
from agentdiff.errors import MalformedPayload

MAX_PATCH_BYTES: Final = 32 * 1024 * 1024

_BEGIN: Final = "*** Begin Patch"
_END: Final = "*** End Patch"
_END_OF_FILE: Final = "*** End of File"
_ENVIRONMENT: Final = "*** Environment ID:"
_MOVE: Final = "*** Move to: "
_HEREDOCS: Final = ("<<EOF", "<<'EOF'", '<<"EOF"')

Action: TypeAlias = Literal["add", "delete", "update"]
_HEADERS: Final[dict[str, Action]] = {
    "*** Add File: ": "add",
    "*** Delete File: ": "delete",
    "*** Update File: ": "update",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What a patch wants of one file.

    Attributes:
        action: ``add`` overwrites what is there; ``update`` with `move_to` is a move.
        path: as it is written: relative to the working directory, or absolute; not resolved.
        move_to: where an update puts the file, like `path`.
        data: the whole content of an added file.
        chunks: of an update, at least one.
        line: 1-based line of the header in the patch, heredoc markers not counted.
    """

    action: Action
    path: bytes
    move_to: bytes | None = None
    data: bytes = b""
    chunks: tuple[Chunk, ...] = ()
    line: int = 0


def parse(patch: bytes) -> tuple[Operation, ...]:
    """Returns the operations of a patch in their order; one that only has its markers has none.

    Args:
        patch: the text that a model wrote.

    Raises:
        MalformedPayload: Codex refuses the text as well, and then changes nothing; ``field`` says
            where (``patch`` or ``patch line N``).
    """
    if len(patch) > MAX_PATCH_BYTES:
        raise MalformedPayload(f"is more than {MAX_PATCH_BYTES} bytes", field="patch")
    try:
        text = patch.decode()
    except UnicodeDecodeError as error:
        raise MalformedPayload(f"is not UTF-8 at byte {error.start}", field="patch") from None
    reader = _Reader()
    lines = _envelope(text)
    for line in lines[:-1]:
        # The heredoc is taken off line by line, and each line loses a carriage return again.
        reader.take(line.removesuffix("\r"))
    return reader.finish(lines[-1])


def targets_of(patch: bytes, cwd: bytes | None) -> tuple[Target, ...]:
    """Returns the paths that a patch names, one target for each operation, none for a bad patch.

    Args:
        patch: the text that a model wrote.
        cwd: absolute working directory; None leaves out the paths that are relative to it.
    """
    try:
        operations = parse(patch)
    except MalformedPayload:
        return ()
    targets = (_target(operation, cwd) for operation in operations)
    return tuple(target for target in targets if target is not None)


def place(path: bytes, cwd: bytes | None) -> bytes | None:
    """Returns where Codex looks for a path of a patch: absolute, dots removed; None if unknown.

    Dots are removed from the text, before any link is followed; tabs and carriage returns are left
    out, as Codex takes a path through a URL.
    """
    plain = path.translate(None, b"\t\r")
    if not plain.startswith(b"/"):
        if cwd is None:
            return None
        plain = posixpath.join(cwd, plain)
    return b"/" + posixpath.normpath(plain).lstrip(b"/")


def _target(operation: Operation, cwd: bytes | None) -> Target | None:
    path = place(operation.path, cwd)
    move_to = None if operation.move_to is None else place(operation.move_to, cwd)
    if path is None or b"\0" in path + (move_to or b""):  # no system has such a path
        return None
    match operation.action:
        case "add":
            return Target(path=path, action="write", new_text=operation.data)
        case "delete":
            return Target(path=path, action="delete")
        case "update":
            action: Literal["edit", "move"] = "edit" if move_to is None else "move"
            return Target(path=path, action=action, move_to=move_to, chunks=operation.chunks)


def _envelope(text: str) -> list[str]:
    """Returns the lines of a patch with its first and last marker, without a heredoc around it."""
    lines = [line.removesuffix("\r") for line in text.strip(WHITE_SPACE).split("\n")]
    problem = _unmarked(lines)
    wrapped = lines[0] in _HEREDOCS and lines[-1].endswith("EOF") and len(lines) >= 4
    if problem and wrapped:
        lines = lines[1:-1]
        problem = _unmarked(lines)
    if problem:
        raise MalformedPayload(problem, field="patch")
    return lines


def _unmarked(lines: list[str]) -> str:
    if lines[0].strip(WHITE_SPACE) != _BEGIN:
        return f"does not start with {_BEGIN!r}"
    if lines[-1].strip(WHITE_SPACE) != _END:
        return f"does not end with {_END!r}"
    return ""


@dataclass(slots=True)
class _OpenChunk:
    """A chunk that is still being read."""

    anchor: bytes | None = None
    old: list[bytes] = field(default_factory=list)
    new: list[bytes] = field(default_factory=list)
    context: list[tuple[int, int]] = field(default_factory=list)
    at_end: bool = False

    @property
    def empty(self) -> bool:
        return not self.old and not self.new

    def add(self, line: str) -> None:
        """Takes a line that starts with a blank, ``+`` or ``-``, or is empty."""
        text = line[1:].encode()
        if line[:1] in ("", " "):
            self.context.append((len(self.old), len(self.new)))
        if line[:1] != "+":
            self.old.append(text)
        if line[:1] != "-":
            self.new.append(text)

    def closed(self) -> Chunk:
        return Chunk(
            anchor=self.anchor,
            old=tuple(self.old),
            new=tuple(self.new),
            context=tuple(self.context),
            at_end=self.at_end,
        )


@dataclass(slots=True)
class _OpenFile:
    """An operation that is still being read."""

    action: Action
    path: bytes
    line: int
    move_to: bytes | None = None
    data: list[bytes] = field(default_factory=list)
    chunks: list[_OpenChunk] = field(default_factory=list)

    def closed(self) -> Operation:
        return Operation(
            action=self.action,
            path=self.path,
            move_to=self.move_to,
            data=b"".join(self.data),
            chunks=tuple(chunk.closed() for chunk in self.chunks),
            line=self.line,
        )


class _Reader:
    """Takes a patch line by line; what a line means depends on the file that it belongs to."""

    def __init__(self) -> None:
        self._number = 0
        self._files: list[_OpenFile] = []
        self._environment = False
        self._ended = False

    def take(self, line: str) -> None:
        """Takes one line, its end removed."""
        self._number += 1
        if self._number == 1:
            return  # the envelope was looked at
        current = self._files[-1] if self._files else None
        bare = line.strip(WHITE_SPACE)
        if self._ended:
            if bare:
                raise MalformedPayload(f"does not end with {_END!r}", field="patch")
        elif current is not None and current.action == "update":
            self._take_update(current, line)
        elif self._is_environment(bare) or self._is_header(bare):
            return
        elif current is not None and current.action == "add" and line.startswith("+"):
            current.data.append(line[1:].encode() + b"\n")
        else:
            raise self._wrong(f"is not the header of a file: {bare!r}")

    def finish(self, line: str) -> tuple[Operation, ...]:
        """Takes the last line, which is the end marker, and returns the operations."""
        self._number += 1
        if line.strip(WHITE_SPACE) == _END:
            self._close_update(_END)
        return tuple(file.closed() for file in self._files)

    def _is_environment(self, bare: str) -> bool:
        if self._files or not bare.startswith(_ENVIRONMENT):
            return False
        if self._environment:
            raise self._wrong("names a second environment")
        if not bare.removeprefix(_ENVIRONMENT).strip(WHITE_SPACE):
            raise self._wrong("names no environment")
        self._environment = True
        return True

    def _is_header(self, marker: str) -> bool:
        if marker == _END:
            self._close_update(marker)
            self._ended = True
            return True
        for header, action in _HEADERS.items():
            if marker.startswith(header):
                self._close_update(marker)
                path = marker.removeprefix(header).encode()
                self._files.append(_OpenFile(action, path, self._number))
                return True
        return False

    def _close_update(self, marker: str) -> None:
        """Checks that the update which ends here changes something."""
        current = self._files[-1] if self._files else None
        if current is None or current.action != "update":
            return
        if not current.chunks:
            self._number = current.line
            raise self._wrong(f"updates nothing in {current.path.decode()!r}")
        if current.chunks[-1].empty:
            raise self._wrong(f"ends a chunk without lines: {marker!r}")

    def _take_update(self, current: _OpenFile, line: str) -> None:
        marker = line.rstrip(WHITE_SPACE)
        if self._is_header(marker):
            return
        chunk = current.chunks[-1] if current.chunks else None
        opens = marker == "@@" or marker.startswith("@@ ")
        if chunk is not None and chunk.at_end and not opens:
            if marker:
                raise self._wrong(f"follows the end of the file without @@: {line!r}")
        elif chunk is None and current.move_to is None and marker.startswith(_MOVE):
            current.move_to = marker.removeprefix(_MOVE).encode()
        elif opens:
            if chunk is not None and chunk.empty:
                raise self._wrong(f"opens a chunk behind one without lines: {line!r}")
            anchor = None if marker == "@@" else marker.removeprefix("@@ ").encode()
            current.chunks.append(_OpenChunk(anchor))
        elif marker == _END_OF_FILE:
            if chunk is not None and chunk.empty:
                raise self._wrong("ends the file behind a chunk without lines")
            if chunk is not None:
                chunk.at_end = True
        elif line[:1] in ("", " ", "+", "-"):
            if chunk is None:
                chunk = _OpenChunk()
                current.chunks.append(chunk)
            chunk.add(line)
        else:
            raise self._wrong(f"starts with neither blank, + nor -: {line!r}")

    def _wrong(self, reason: str) -> MalformedPayload:
        return MalformedPayload(reason, field=f"patch line {self._number}")
