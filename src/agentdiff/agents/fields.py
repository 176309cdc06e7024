"""Takes typed fields out of a foreign JSON payload, or says exactly which field is wrong.

Owns the rules every adapter shares: what is refused (size, depth, type), how text that is not UTF-8
survives, and how an id is derived when the agent sends none.  Must not know any agent.  Hop 2.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import orjson

from agentdiff.errors import MalformedPayload

MAX_PAYLOAD_BYTES: Final = 32 * 1024 * 1024
MAX_DEPTH: Final = 200
"""Deepest nesting of objects and arrays; real payloads have less than ten levels."""


@dataclass(frozen=True, slots=True)
class Fields:
    """One JSON object of a payload, with the dotted name under which errors speak of it.

    A field that is absent and one that is ``null`` are the same: agents use both for "none".

    Attributes:
        value: the decoded object.
        at: dotted name of the object, empty for the payload itself.
    """

    value: Mapping[str, object] = field(default_factory=dict)
    at: str = ""

    def name_of(self, key: str) -> str:
        """Returns the dotted name of `key` in this object."""
        return f"{self.at}.{key}" if self.at else key

    def required_str(self, key: str) -> str:
        """Returns the text of `key`, fit for display and for JSON (never a lone surrogate).

        Raises:
            MalformedPayload: it is absent, empty or not a string.
        """
        text = self.optional_str(key)
        if not text:
            raise MalformedPayload("is missing", field=self.name_of(key))
        return text

    def optional_str(self, key: str) -> str | None:
        """Returns the text of `key` like `required_str`, None when absent.

        Raises:
            MalformedPayload: it is not a string.
        """
        raw = self._raw_str(key)
        return None if raw is None else display_text(raw)

    def optional_bytes(self, key: str) -> bytes | None:
        """Returns the exact bytes that the text of `key` stands for, None when absent.

        Raises:
            MalformedPayload: it is not a string.
        """
        raw = self._raw_str(key)
        return None if raw is None else exact_bytes(raw)

    def optional_bool(self, key: str, *, default: bool = False) -> bool:
        """Returns the flag of `key`; the strings ``"true"`` and ``"false"`` count as well.

        Raises:
            MalformedPayload: it is anything else.
        """
        match self.value.get(key):
            case None:
                return default
            case True | "true":
                return True
            case False | "false":
                return False
            case _:
                raise MalformedPayload("is not a boolean", field=self.name_of(key))

    def path(self, key: str, *, cwd: bytes | None) -> bytes:
        """Returns the path of `key`, absolute, joined with `cwd` but not resolved.

        Raises:
            MalformedPayload: it is absent, empty, not a string, holds a NUL byte, or is relative
                while `cwd` is unknown.
        """
        path = self.optional_path(key, cwd=cwd)
        if path is None:
            raise MalformedPayload("is missing", field=self.name_of(key))
        return path

    def optional_path(self, key: str, *, cwd: bytes | None) -> bytes | None:
        """Returns the path of `key` like `path`, None when absent.

        Raises:
            MalformedPayload: as `path`.
        """
        path = self.optional_bytes(key)
        if path is None:
            return None
        if not path or b"\0" in path:
            reason = "holds a NUL byte" if path else "is an empty path"
            raise MalformedPayload(reason, field=self.name_of(key))
        if not path.startswith(b"/"):
            if cwd is None:
                raise MalformedPayload("is not an absolute path", field=self.name_of(key))
            path = posixpath.join(cwd, path)
        return path

    def child(self, key: str) -> Fields:
        """Returns the object under `key`, an empty one when absent.

        Raises:
            MalformedPayload: it is not an object.
        """
        value = self.value.get(key)
        return _object({} if value is None else value, self.name_of(key))

    def children(self, key: str) -> tuple[Fields, ...]:
        """Returns the objects of the array under `key`, none when absent.

        Raises:
            MalformedPayload: it is not an array, or an element is not an object.
        """
        items = self.value.get(key)
        if items is None:
            return ()
        name = self.name_of(key)
        if not isinstance(items, list):
            raise MalformedPayload("is not an array", field=name)
        return tuple(_object(item, f"{name}[{at}]") for at, item in enumerate(items))

    def _raw_str(self, key: str) -> str | None:
        value = self.value.get(key)
        if value is not None and not isinstance(value, str):
            raise MalformedPayload("is not a string", field=self.name_of(key))
        return value


def decode(payload: bytes) -> Fields:
    """Returns the JSON object that `payload` is.

    Bytes that are not UTF-8 and escaped lone surrogates are kept, so that a path with bad bytes can
    be named; see `exact_bytes`.

    Raises:
        MalformedPayload: it is no JSON object, or larger or deeper than allowed.
    """
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise MalformedPayload(f"is {len(payload)} bytes, more than {MAX_PAYLOAD_BYTES}")
    try:
        value = orjson.loads(payload)
    except orjson.JSONDecodeError:
        # orjson refuses what is not UTF-8; the slower decoder can carry it.
        value = _decode_leniently(payload)
    if not _shallow(value):
        raise MalformedPayload(f"is nested deeper than {MAX_DEPTH} levels")
    return _object(value, "")


def display_text(raw: str) -> str:
    """Returns `raw` with each lone surrogate as U+FFFD: safe to print and to write as JSON."""
    if raw.isascii():
        return raw
    return raw.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def exact_bytes(raw: str) -> bytes:
    r"""Returns the bytes that a JSON string stands for; never fails.

    A surrogate of U+DC80…U+DCFF is the byte it smuggles (``\udcff`` is how a Python program names
    the byte 0xFF, and how `decode` carries it); any other lone surrogate has no byte and takes its
    three-byte form.
    """
    try:
        return raw.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return raw.encode("utf-8", "surrogatepass")


def derived_id(*parts: object) -> str:
    """Returns a stable id for a call whose agent sends none: the same parts give the same id.

    Args:
        *parts: decoded JSON values of this module's depth.
    """
    text = json.dumps(parts, sort_keys=True, default=repr)
    return "derived-" + hashlib.blake2b(text.encode("ascii"), digest_size=12).hexdigest()


def _decode_leniently(payload: bytes) -> object:
    def refuse(constant: str) -> object:
        raise ValueError(f"{constant} is not JSON")

    try:
        value: object = json.loads(
            payload.decode("utf-8", "surrogateescape"), parse_constant=refuse
        )
    except RecursionError:
        raise MalformedPayload(f"is nested deeper than {MAX_DEPTH} levels") from None
    except ValueError as error:
        raise MalformedPayload(f"is not JSON: {error}") from None
    return value


def _object(value: object, at: str) -> Fields:
    if not isinstance(value, dict):
        raise MalformedPayload("is not an object", field=at)
    return Fields(value, at)


def _shallow(value: object) -> bool:
    """Tells whether `value` has at most `MAX_DEPTH` levels, without recursing itself."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        below: list[object] = []
        for item in level:
            if isinstance(item, dict):
                below += item.values()
            elif isinstance(item, list):
                below += item
        if not below:
            return True
        level = below
    return False
