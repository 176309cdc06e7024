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
