"""The daemon's log: one JSON object per line, rotated, private to the user.

Owns format and file.  Callers name an event and pass fields by ``extra``; environments, payload
bodies and tokens are never among them.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import IO

import orjson

MAX_BYTES = 1024 * 1024
KEPT_FILES = 5
REPEATED_WITHIN_S = 60.0
LOGGER_NAME = "agentdiff.daemon"

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """Makes one line per record: ``t``, ``level``, ``event``, the fields, and ``traceback``."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line without its terminator."""
        entry: dict[str, object] = {
            "t": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        if record.name != LOGGER_NAME:
            entry["logger"] = record.name
        entry |= {k: v for k, v in record.__dict__.items() if k not in _STANDARD}
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return orjson.dumps(entry, default=repr).decode("utf-8")


class Repetitions(logging.Filter):
    """Lets the first of equal records through, and the number of the others with the next one.

    A checkout explains five thousand changes in the same words: one line each would push out
    everything else that the log holds.
    """

    def __init__(self) -> None:
        super().__init__()
        self._last: object = None
        self._since = 0.0
        self._more = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Returns whether a record is written; any thread.  Whatever is wrong always is."""
        fields = [(k, repr(v)) for k, v in record.__dict__.items() if k not in _STANDARD]
        key = (record.levelno, record.getMessage(), fields)
        again = key == self._last and record.created - self._since < REPEATED_WITHIN_S
        if again and record.levelno < logging.WARNING:
            self._more += 1
            return False
        if self._more:
            record.__dict__["more_of_the_last"] = self._more
        self._last, self._since, self._more = key, record.created, 0
        return True


class PrivateRotatingFileHandler(RotatingFileHandler):
    """Creates every file with mode 0600."""

    def _open(self) -> IO[str]:  # type: ignore[override]  # the base class says TextIOWrapper
        def opener(path: str, flags: int) -> int:
            return os.open(path, flags | os.O_CLOEXEC, 0o600)

        return open(self.baseFilename, self.mode, encoding="utf-8", opener=opener)


def open_log(path: Path) -> logging.Logger:
    """Opens the log and sends uncaught exceptions of any thread there; call once per process."""
    handler = PrivateRotatingFileHandler(path, maxBytes=MAX_BYTES, backupCount=KEPT_FILES)
    handler.setFormatter(JsonFormatter())
    handler.addFilter(Repetitions())
    logger = logging.getLogger(LOGGER_NAME)
    logger.setLevel(logging.INFO)
    for each in (logger, logging.getLogger("asyncio"), logging.getLogger("concurrent.futures")):
        each.addHandler(handler)
        each.propagate = False

    def in_thread(args: threading.ExceptHookArgs) -> None:
        name = args.thread.name if args.thread else "?"
        if args.exc_value is not None:
            logger.critical("thread died", exc_info=args.exc_value, extra={"thread_name": name})

    def in_main(
        kind: type[BaseException],
        value: BaseException,
        trace: object,  # noqa: ARG001
    ) -> None:
        logger.critical("daemon died", exc_info=value)
        sys.__excepthook__(kind, value, value.__traceback__)

    threading.excepthook = in_thread
    sys.excepthook = in_main
    return logger
