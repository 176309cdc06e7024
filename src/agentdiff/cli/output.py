"""What the command line prints.

Owns escaping, wording of numbers, and the streams.  Names and prompts were written by agents and
strangers: nothing of them reaches a terminal as a control sequence.
"""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TextIO

import orjson

_PLAIN = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\\": "\\\\"}
_COLOURS = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}


def escaped(text: str, limit: int | None = None) -> str:
    r"""Returns text that a terminal shows as it is: one line, no control or direction characters.

    Args:
        text: may hold lone surrogates (bytes that are no UTF-8), which become ``\xNN``.
        limit: longest result in characters, None for any; a longer one ends in ``…``.
    """
    shown = "".join(map(_escaped_character, text))
    return shown if limit is None or len(shown) <= limit else shown[: limit - 1] + "…"


def _escaped_character(character: str) -> str:
    if character in _PLAIN:
        return _PLAIN[character]
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    # Cc are controls, Cf formats (bidirectional overrides among them), Cs surrogates; Zl and Zp
    # break lines.
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
    return character


def counted(number: int, word: str) -> str:
    """Returns ``1 hunk``, ``2 hunks``."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def coloured(text: str, colour: str) -> str:
    """Returns text in a colour if standard output is a terminal that wants colours."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\033[{_COLOURS[colour]}m{text}\033[0m"


def say(line: str = "") -> None:
    """Prints one line to standard output; what the terminal's encoding lacks is escaped."""
    with _sending():
        sys.stdout.write(_encodable(line, sys.stdout.encoding) + "\n")


def complain(line: str) -> None:
    """Prints one line to standard error; where that is impossible the exit code has to do."""
    if sys.stderr is None:  # it is when somebody closed it (``2>&-``)
        return
    try:
        sys.stderr.write(_encodable(f"agentdiff: {line}", sys.stderr.encoding) + "\n")
        sys.stderr.flush()
    except OSError:
        _give_up(sys.stderr)


def stand_in() -> None:
    """Lets commands print when somebody closed standard output (``>&-``): to nobody."""
    if sys.stdout is None:
        # Not inherited: a program that `run` starts finds it closed, as it would without us.
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - as long as we live


def flush() -> None:
    """Sends off what was printed.

    Raises:
        BrokenPipeError: its reader left.
        OSError: it cannot be written; `filename` says so.
    """
    with _sending():
        sys.stdout.flush()


@contextmanager
def _sending() -> Iterator[None]:
    """Names standard output in the error of a write to it, and gives it up."""
    try:
        yield
    except OSError as error:
        _give_up(sys.stdout)
        if isinstance(error, BrokenPipeError):
            raise
        raise OSError(error.errno, error.strerror, "standard output") from error


def _give_up(stream: TextIO) -> None:
    """Lets what a stream could not send, and all that follows, go nowhere.

    Else Python tries again when it ends, complains, and takes an exit code of its own (120).
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _encodable(line: str, encoding: str) -> str:
    return line.encode(encoding or "utf-8", "backslashreplace").decode(encoding or "utf-8")


def say_json(value: object) -> None:
    """Prints JSON, indented for people and parsers alike; what is not UTF-8 becomes U+FFFD."""
    option = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    try:
        data = orjson.dumps(value, option=option)
    except TypeError:  # the name of one of our own folders, for one
        data = orjson.dumps(_utf8(value), option=option)
    say_bytes(data)


def _utf8(value: object) -> object:
    """Returns a JSON value in which every string can be encoded."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if isinstance(value, dict):
        return {_utf8(key): _utf8(one) for key, one in value.items()}
    return [_utf8(one) for one in value] if isinstance(value, list | tuple) else value


def say_bytes(data: bytes) -> None:
    """Writes exact bytes to standard output."""
    with _sending():
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def say_content(data: bytes) -> None:
    """Writes exact bytes, for programs; a terminal gets what could do something to it escaped."""
    if not sys.stdout.isatty():
        say_bytes(data)
        return
    text = data.decode("utf-8", "surrogateescape")
    shown = "".join(c if c in "\n\t\\" else _escaped_character(c) for c in text)
    with _sending():
        sys.stdout.write(_encodable(shown, sys.stdout.encoding))


def path_name(item: object) -> str:
    """Returns the path of an answer for display: a string, or an object with ``path``."""
    return escaped(str(item["path"] if isinstance(item, dict) else item))


def table(rows: Iterable[tuple[str, ...]], indent: str = "  ") -> list[str]:
    """Returns aligned lines; the last column is not padded."""
    listed = list(rows)
    widths = [max(map(len, column)) for column in zip(*listed, strict=True)]
    return [
        indent
        + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in listed
    ]


def owner_name(owner: Mapping[str, Any]) -> str:
    """Returns ``claude · Edit`` and the like."""
    if owner.get("kind") != "agent":
        return escaped(str(owner.get("kind", "?")))
    parts = [owner.get("agent"), owner.get("tool")]
    name = " · ".join(escaped(str(part)) for part in parts if part)
    evidence = owner.get("evidence")
    return name if evidence in (None, "exact") else f"{name} ({escaped(str(evidence))})"
