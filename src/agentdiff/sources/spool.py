"""The spool: hooks that no daemon could take, kept on disk until one can.

Owns the file format (doc/protocol.md) and both of its ends: `write` is used by the hook's fallback
client, `Spool.drain` by the daemon.  Must not interpret a payload.  Hop 1.

A file is there until what it told is in the log.  Each try is counted in its name before it begins:
a daemon that dies over one meets it again, and after a few of those puts it aside instead.  A hook
that is told twice changes nothing, because deliveries are idempotent.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sqlite3
import stat
import threading
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping, Set
from pathlib import Path

from agentdiff import wire
from agentdiff.daemon.ports import HookAnswer, PreImage
from agentdiff.errors import MalformedPayload

SUFFIX = ".hook"
BAD = "bad"
MAX_FILES = 4096
"""A spool that nobody empties stops growing here: the newest hooks are lost, not the oldest."""
MAX_TRIES = 3
MAX_PREIMAGE_BYTES = 16 * 1024 * 1024

# No hook client lives longer: one that was received before a spooled one by more than that was not.
_TAKES_AT_MOST_NS = 15_000_000_000
# Time, process, and how often it was tried.
_NAME = re.compile(r"(\d+)(-\d+)(?:\.(\d+))?\.hook")
# The commands of a traced run are kept by one process, on as many threads.
_writing = threading.Lock()

Replay = Callable[[str, bytes, int, tuple[PreImage, ...], str | None], HookAnswer]
OnBad = Callable[[str, str, int], None]


def read_preimage(path: bytes) -> PreImage | None:
    """Reads what a path holds now; None when that is not a regular file of bearable size.

    Follows no link at the last component, and neither blocks on a FIFO nor opens a device for long.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return PreImage(path=path, data=None)
    except (OSError, ValueError):
        return None  # a link, unreadable, or a NUL in the name: nothing that could be restored
    info = os.fstat(fd)
    if not stat.S_ISREG(info.st_mode) or info.st_size > MAX_PREIMAGE_BYTES:
        os.close(fd)
        return None
    with open(fd, "rb") as file:
        data = file.read(MAX_PREIMAGE_BYTES + 1)
    if len(data) > MAX_PREIMAGE_BYTES:
        return None
    return PreImage(path=path, data=data, mode=stat.S_IMODE(info.st_mode))


def write(
    folder: Path,
    agent: str,
    payload: bytes,
    received_ns: int,
    preimages: Iterable[PreImage],
    within: str = "",
) -> Path | None:
    """Keeps one hook; returns its file, None when the spool is full.  Any thread.

    Raises:
        OSError: it cannot be written.
    """
    header = {
        "proto": wire.PROTO,
        "min_proto": wire.MIN_PROTO,
        "agent": agent,
        "len": len(payload),
        "within": within,
        "received_ns": received_ns,
        "preimages": [
            {
                "path_b64": b64encode(image.path).decode("ascii"),
                "data_b64": None if image.data is None else b64encode(image.data).decode("ascii"),
                "mode": image.mode,
            }
            for image in preimages
        ],
    }
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _writing:
        there = set(os.listdir(folder))
        if len(there) >= MAX_FILES:
            return None
        final = folder / _free_name(there, received_ns)
        _write_whole(final, wire.encode(header), payload)
    return final


def _free_name(there: Set[str], received_ns: int) -> str:
    """Returns a name that sorts by time (19 digits until the year 2286), among others.

    Also when the clock was set back, and when two threads of a process are equally early.
    """
    found = (_NAME.fullmatch(name) for name in there)
    newest_ns = max((int(match[1]) for match in found if match), default=0)
    at_ns = newest_ns + 1 if newest_ns - received_ns > _TAKES_AT_MOST_NS else received_ns
    while (name := f"{at_ns:019d}-{os.getpid()}{SUFFIX}") in there:
        at_ns += 1
    return name


def _write_whole(final: Path, *parts: bytes) -> None:
    """Makes a file that appears under its name when it is whole."""
    partial = final.with_suffix(".partial")
    fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(fd, "wb") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(fd)
        os.rename(partial, final)
    except OSError:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise


def parse(data: bytes) -> tuple[str, bytes, int, tuple[PreImage, ...], str | None]:
    """Returns agent, payload, ``received_ns``, pre-images and enclosing run of a spool file.

    The last one is None for none, and of files that an older version wrote.

    Raises:
        MalformedPayload: the file is not what `write` writes.
    """
    line, _, payload = data.partition(b"\n")
    try:
        header: Mapping[str, object] = wire.decode(line)
    except wire.WireError as error:
        raise MalformedPayload(str(error), field="header") from error
    if wire.common_version(header) is None:
        raise MalformedPayload("no common version", field="proto")
    agent, size, received_ns = header.get("agent"), header.get("len"), header.get("received_ns")
    if not isinstance(agent, str) or not agent:
        raise MalformedPayload("missing", field="agent")
    if size != len(payload):
        raise MalformedPayload(f"{size!r}, but {len(payload)} bytes follow", field="len")
    if not isinstance(received_ns, int):
        raise MalformedPayload("not a number", field="received_ns")
    images = header.get("preimages")
    if not isinstance(images, list):
        raise MalformedPayload("not a list", field="preimages")
    within = header.get("within")
    run = within if isinstance(within, str) and within else None
    return agent, payload, received_ns, tuple(map(_preimage, images)), run


def _preimage(value: object) -> PreImage:
    """Reads one entry of ``preimages``."""
    match value:
        case {"path_b64": str(path), "data_b64": None | str() as data, "mode": int(mode)}:
            pass
        case _:
            raise MalformedPayload("not path_b64, data_b64, mode", field="preimages")
    try:
        return PreImage(
            path=b64decode(path, validate=True),
            data=None if data is None else b64decode(data, validate=True),
            mode=mode,
        )
    except ValueError as error:  # `binascii.Error`, or characters that are no ASCII
        raise MalformedPayload(f"not base64: {error}", field="preimages") from error


class Spool:
    """The daemon's end: hands every kept hook on, oldest first.

    Args:
        folder: may be missing.
        replay: takes what `parse` returns; blocks.
        digested: waits until what was handed on is in the log; returns whether it is.
        on_replayed: called before each hook is handed on.
        on_bad: told agent, reason and ``received_ns`` of each file that made no sense.
        logger: the daemon's.
    """

    def __init__(
        self,
        folder: Path,
        replay: Replay,
        *,
        digested: Callable[[], bool],
        on_replayed: Callable[[], None],
        on_bad: OnBad,
        logger: logging.Logger,
    ) -> None:
        self._folder = folder
        self._replay = replay
        self._digested = digested
        self._on_replayed = on_replayed
        self._on_bad = on_bad
        self._logger = logger
        self._lock = threading.Lock()
        # What this daemon had its turn with, and is there all the same.
        self._kept: set[str] = set()
        # What it could not read so far, and said so.
        self._unread: set[str] = set()

    def waiting(self) -> list[str]:
        """Returns the names of the kept hooks, oldest first."""
        try:
            return sorted(name for name in os.listdir(self._folder) if name.endswith(SUFFIX))
        except OSError:
            return []  # missing, as it usually is; or not readable, and then writing fails as well

    def set_aside(self) -> int:
        """Returns how many files made no sense and are kept for a look."""
        try:
            return len(os.listdir(self._folder / BAD))
        except OSError:
            return 0  # there is no such folder before the first of them

    def drain(self) -> int:
        """Hands on what is there and returns how many hooks that were; any thread.

        A second caller waits for the first: nothing may be observed before what was spooled.
        """
        if self._kept.issuperset(self.waiting()):
            return 0
        with self._lock:
            names = [name for name in self.waiting() if name not in self._kept]
            taken = [path for name in names if (path := self._take(name)) is not None]
            if taken and not self._digested():
                self._kept.update(path.name for path in taken)
                return len(taken)
            for path in taken:
                with contextlib.suppress(OSError):
                    path.unlink()
        return len(taken)

    def _take(self, name: str) -> Path | None:
        """Hands one file on; moves it aside when it makes no sense.

        Returns:
            Where it is now, None when it was not taken.
        """
        path = self._folder / name
        data = self._read(path)
        if data is None:
            return None
        try:
            agent, payload, received_ns, images, within = parse(data)
        except MalformedPayload as error:
            self._aside(path)
            self._report(path, "?", str(error), 0)
            return None
        held = self._count(path)
        if held is None:
            self._aside(path)
            self._report(path, agent, f"no daemon survived it, {MAX_TRIES} tried", received_ns)
            return None
        self._on_replayed()
        try:
            self._replay(agent, payload, received_ns, images, within)
        except MalformedPayload as error:
            self._aside(held)
            self._report(path, agent, str(error), received_ns)
            return None
        except (OSError, sqlite3.Error) as error:
            # Its workspace cannot be used now; the next daemon may be luckier.
            self._kept.add(held.name)
            self._logger.error(
                "spooled hook waits", extra={"file": held.name, "reason": str(error)}
            )
            return None
        self._logger.info("hook replayed", extra={"agent": agent, "file": name})
        return held

    def _read(self, path: Path) -> bytes | None:
        """Returns what a file holds; None when it cannot be read now, and its turn comes again."""
        try:
            return path.read_bytes()
        except OSError as error:  # out of descriptors, for one: that says nothing about the hook
            if path.name not in self._unread:
                self._unread.add(path.name)
                self._logger.error(
                    "spooled hook not read", extra={"file": path.name, "reason": str(error)}
                )
            return None

    def _count(self, path: Path) -> Path | None:
        """Counts a try in a file's name; returns where it is now, None when it had its tries."""
        name = _NAME.fullmatch(path.name)
        if name is None:
            return path  # not named by us: it has one try, and `parse` was content
        tries = int(name[3] or 0) + 1
        if tries > MAX_TRIES:
            return None
        counted = path.with_name(f"{name[1]}{name[2]}.{tries}{SUFFIX}")
        try:
            os.rename(path, counted)
        except OSError as error:
            self._logger.error(
                "spooled hook stays", extra={"file": path.name, "reason": str(error)}
            )
            return path
        return counted

    def _aside(self, path: Path) -> None:
        """Moves a file to ``bad/``, out of the way; it is kept for a look."""
        bad = self._folder / BAD
        try:
            bad.mkdir(mode=0o700, exist_ok=True)
            os.replace(path, bad / path.name)
        except OSError as error:
            self._kept.add(path.name)
            self._logger.error(
                "spooled hook stays", extra={"file": path.name, "reason": str(error)}
            )

    def _report(self, path: Path, agent: str, reason: str, received_ns: int) -> None:
        """Says that a file makes no sense."""
        self._on_bad(agent, reason, received_ns)
        self._logger.warning("spooled hook malformed", extra={"file": path.name, "reason": reason})
