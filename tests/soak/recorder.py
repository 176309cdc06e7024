"""The independent recorder: what every file must hold, and what must remain if all is rejected.

Owns the expectations.  Must not import the product nor ask it anything: what it knows it was told
by those who write, under the lock of the file that they write.

Every line that an agent writes carries a token, ``w:<session>:<number>``, so that a line says
itself whose it is.
"""

from __future__ import annotations

import os
import random
import re
import stat
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

TOKEN = re.compile(rb"w:([\w-]+):\d+")
MAX_PROBLEMS = 200


@dataclass(frozen=True, slots=True)
class Content:
    """What a path holds: bytes, None for nothing, and whether it is executable."""

    data: bytes | None = None
    executable: bool = False

    @classmethod
    def read(cls, path: Path) -> Content:
        """Returns what is there now; a link or a folder is not expected and an error."""
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        except (FileNotFoundError, NotADirectoryError):
            return cls()
        with open(fd, "rb") as file:
            mode = os.fstat(fd).st_mode
            return cls(file.read(), bool(mode & stat.S_IXUSR))

    def put(self, path: Path, *, atomic: bool = False) -> None:
        """Makes a path hold this, in place or by renaming another file to it."""
        if self.data is None:
            path.unlink(missing_ok=True)
            return
        target = path.with_name(f".{path.name}.{threading.get_ident()}~") if atomic else path
        for attempt in range(20):  # an undone creation takes the folder away
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                target.write_bytes(self.data)
                mode = 0o755 if self.executable else 0o644
                if atomic or stat.S_IMODE(target.stat().st_mode) != mode:
                    target.chmod(mode)
                if atomic:
                    target.replace(path)
            except FileNotFoundError:
                if attempt == 19:
                    raise
            else:
                return

    def brief(self) -> str:
        """Returns a short description for a message."""
        if self.data is None:
            return "nothing"
        return f"{len(self.data)} bytes{' executable' if self.executable else ''}"


@dataclass(slots=True)
class Tracked:
    """One path.  Everything but `path` and `lock` belongs to whoever holds the lock.

    Attributes:
        path: relative to the workspace.
        base: what must be there when everything that pends is rejected.
        disk: what must be there now.
        committed: what git has of it, on every branch that is checked out.
        writers: sessions that ever wrote it.
        pair: the other end of a rename; both are decided at once.
        shared_top: people edit the first lines; agents stay away from them.
        history: what was done to it last, for a message.
    """

    path: str
    base: Content
    disk: Content
    committed: Content = Content()
    writers: set[str] = field(default_factory=set)
    pair: Tracked | None = None
    shared_top: bool = False
    history: deque[str] = field(default_factory=lambda: deque(maxlen=8))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, what: str) -> None:
        """Remembers what was done to it."""
        now = time.time()
        self.history.append(f"{time.strftime('%H:%M:%S')}.{int(now * 1000) % 1000:03d} {what}")

    def story(self) -> str:
        """Returns what was done to it last."""
        pair = f" [pair of {self.pair.path}]" if self.pair else ""
        return f"{self.path}{pair}: {'; '.join(self.history)}"

    @property
    def pending(self) -> bool:
        """Whether it must be under review."""
        return self.base != self.disk


class Recorder:
    """Any thread.

    Args:
        root: the workspace.

    Attributes:
        files: every path that somebody may write.
        still: paths that no agent touches, because git writes them.
        problems: what contradicted an expectation, the first `MAX_PROBLEMS`.
        remarks: labels that are wrong; the table says whether they may be.
        counts: how often what was done.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files: dict[str, Tracked] = {}
        self.still: dict[str, Tracked] = {}
        self.problems: list[str] = []
        self.remarks: list[str] = []
        self.counts: Counter[str] = Counter()
        self.calls: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def count(self, what: str, by: int = 1) -> None:
        """Counts something."""
        with self._lock:
            self.counts[what] += by

    def call(self, session: str, call: str) -> None:
        """Remembers a tool call."""
        with self._lock:
            self.calls.add((session, call))

    def problem(self, text: str) -> None:
        """Notes a contradiction."""
        with self._lock:
            self.counts["problems"] += 1
            if len(self.problems) < MAX_PROBLEMS:
                self.problems.append(text)

    def watch(self, path: str, *, shared_top: bool = False) -> Tracked:
        """Begins to expect something of a path; what is there now is its base."""
        now = Content.read(self.root / path)
        tracked = Tracked(path, now, now, now, shared_top=shared_top)
        with self._lock:
            return self.files.setdefault(path, tracked)

    def moved(self, path: str) -> None:
        """Git wrote a path by a person's command: that is its base now."""
        now = Content.read(self.root / path)
        self.still[path] = Tracked(path, now, now, now)

    def everything(self) -> list[Tracked]:
        """Returns every path of which something is expected."""
        with self._lock:
            return [*self.files.values(), *self.still.values()]

    def sample(self, rng: random.Random, count: int) -> list[Tracked]:
        """Returns some paths."""
        with self._lock:
            files = list(self.files.values())
        return rng.sample(files, min(count, len(files)))

    def pending(self) -> list[Tracked]:
        """Returns the paths that pend; exact only while nobody writes."""
        with self._lock:
            files = list(self.files.values())
        return [one for one in files if one.pending]

    def write(self, file: Tracked, content: Content, session: str, *, atomic: bool = False) -> None:
        """An agent writes; the caller holds the file's lock."""
        file.writers.add(session)
        file.disk = content
        file.note(f"{session} writes {content.brief()}{' by renaming' if atomic else ''}")
        content.put(self.root / file.path, atomic=atomic)
        self.count("writes")
        self.count("bytes", len(content.data or b""))

    def accepted(self, files: Iterable[Tracked]) -> None:
        """Everything of these paths was accepted."""
        for file in files:
            file.note("accepted")
            file.base = file.disk
            settle(file)

    def rejected(self, files: Iterable[Tracked]) -> None:
        """Everything of these paths was rejected."""
        for file in files:
            file.note("rejected")
            file.disk = file.base
            settle(file)

    def check(self, file: Tracked, what: str) -> bool:
        """Compares the disk with the expectation; the caller holds the lock."""
        found = Content.read(self.root / file.path)
        if found != file.disk:
            self.problem(
                f"{what}: {file.path} holds {found.brief()}, not {file.disk.brief()}"
                f"{_first_difference(found.data, file.disk.data)} ({file.story()})"
            )
        return found == file.disk


Snapshot: TypeAlias = list[tuple[Tracked, Content, Content, Tracked | None]]


def snapshot(files: Iterable[Tracked]) -> Snapshot:
    """Returns what is expected of these files, for `go_back`; the caller holds their locks."""
    return [(file, file.base, file.disk, file.pair) for file in files]


def go_back(state: Snapshot, why: str) -> None:
    """Expects again what was expected then."""
    for file, base, disk, pair in state:
        file.base, file.disk, file.pair = base, disk, pair
        file.note(why)


def settle(file: Tracked) -> None:
    """Forgets the pairing of a path that no longer pends."""
    if file.pair is not None and not file.pending and not file.pair.pending:
        file.pair.pair = None
        file.pair = None


def typed(content: Content, line: bytes) -> Content:
    """Returns a content with a line before the first: what a person typed."""
    return replace(content, data=line + (content.data or b""))


def tokens(lines: Iterable[bytes]) -> Counter[str]:
    """Returns how many of these lines each session wrote."""
    found = (TOKEN.search(line) for line in lines)
    return Counter(match[1].decode() for match in found if match)


def _first_difference(left: bytes | None, right: bytes | None) -> str:
    if left is None or right is None:
        return ""
    pairs = enumerate(zip(left.split(b"\n"), right.split(b"\n"), strict=False), 1)
    for number, (one, other) in pairs:
        if one != other:
            return f"; line {number}: {one[:60]!r}, not {other[:60]!r}"
    return "; one is longer"
