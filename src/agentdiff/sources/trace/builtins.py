"""Built-ins of bash (``cd``, ``export``), read from its xtrace.

Owns the format that ``bash_env.sh`` gives to xtrace lines, and what of it is logged.  Must not keep
values: ``export TOKEN=…`` is logged by its name.  Hop 1.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from agentdiff.sources.trace.redact import redacted

NAMES: Final = frozenset(
    {
        *("cd", "pushd", "popd", "export", "unset", "source", ".", "eval", "exec", "alias", "set"),
        *("umask", "ulimit", "trap", "declare", "readonly", "shopt", "enable", "hash"),
    }
)
_LINE = re.compile(r"^\++\x1f(\d+)\x1f([^\x1f]*)\x1f(.*)$")
_ASSIGNING = frozenset({"export", "declare", "readonly", "alias", "eval"})
_EVERY_S = 1.0
_MAX_BYTES = 64 * 1024 * 1024


def parse(text: str) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    """Yields (pid, cwd, words) of the built-ins in xtrace output, without values of variables."""
    for line in text.split("\n"):
        found = _LINE.match(line)
        if found is None:
            continue
        try:
            words = shlex.split(found[3])
        except ValueError:
            continue
        if words and words[0] in NAMES:
            shown = [w.partition("=")[0] for w in words] if words[0] in _ASSIGNING else words
            yield int(found[1]), found[2], tuple(shown)


class Builtins:
    """Turns a growing xtrace file into lines of the log, until `close`.

    Args:
        path: of the file; made here, private, removed at the end.
        write: takes one record of the log; any thread.
        redact: the user's further patterns.
    """

    def __init__(
        self,
        path: Path,
        write: Callable[[Mapping[str, object]], None],
        redact: Iterable[re.Pattern[str]] = (),
    ) -> None:
        self._path = path
        self._write = write
        self._redact = tuple(redact)
        self._rest = b""
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self._file = open(fd, "rb")  # noqa: SIM115 - closed in `close`
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="builtins", daemon=True)

    def start(self) -> None:
        """Begins to read."""
        self._thread.start()

    def close(self) -> None:
        """Reads the rest and removes the file."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._read()
        self._file.close()
        with contextlib.suppress(OSError):
            self._path.unlink()

    def _work(self) -> None:
        while not self._stop.wait(_EVERY_S):
            self._read()
            if self._file.tell() > _MAX_BYTES:
                os.truncate(self._path, 0)
                self._file.seek(0)

    def _read(self) -> None:
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        text = b"\n".join(lines).decode("utf-8", "replace")
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        for pid, cwd, words in parse(text):
            # `exec`, `trap` and `eval` are given whole commands.
            shown = redacted(words[0], words[1:], self._redact)
            record = {"ts": now, "command": words[0], "argv": [words[0], *shown], "cwd": cwd}
            timing = {"exit_code": None, "duration_ms": None, "pid": pid, "ppid": None}
            self._write({**record, **timing, "mode": "builtin", "tty": None})
