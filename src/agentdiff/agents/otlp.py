"""OTLP log records out of a request's body, JSON or protobuf.

Owns the decoding and what is refused.  Must not know any agent (`agentdiff.agents.telemetry`).
Hop 2.

Both encodings are decoded by compiled libraries (orjson; protobuf, see
doc/decisions/0020-otlp-in-protobuf.md).  Only records whose name somebody asked for are turned into
`Record`; the rest, which is nine of ten, costs one look at its attributes.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import orjson

from agentdiff.errors import MalformedPayload

if TYPE_CHECKING:
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue
    from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

PROTOBUF: Final = "application/x-protobuf"
MAX_DEPTH: Final = 16
NEVER_READ: Final = frozenset({"env", "environment"})
"""Attributes that hold secrets: no adapter ever sees them."""
_MAX_DIGITS: Final = 20
"""Of 64 bits; Python refuses some thousands of them."""
_NAME: Final = "event.name"
_TELLING: Final = "claude_code."
"""How a body begins that is the event's full name, so that its attributes need not be looked at."""

Json: TypeAlias = dict[str, Any]


class Record(NamedTuple):
    """One log record; a tuple, of which a second sees a hundred thousand.

    Attributes:
        name: the full name of the event, ``codex.tool_decision``.
        attributes: decoded; without those of `NEVER_READ`.
        trace: W3C trace context, empty when the record is in no trace.
    """

    name: str
    attributes: Mapping[str, object]
    trace: str


def records(body: bytes, content_type: str, wanted: Container[str]) -> list[Record]:
    """Returns the records of a request whose names are in `wanted`, in order.

    Args:
        body: an ``ExportLogsServiceRequest``, unpacked.
        content_type: `PROTOBUF`, or anything else for JSON.
        wanted: full names of events.

    Raises:
        MalformedPayload: it is no such request.
    """
    decode = _from_protobuf if content_type == PROTOBUF else _from_json
    return list(decode(body, wanted))


def full_name(name: str, event_name: str, body: str, scope: str) -> str:
    """Returns the name of an event with its agent's prefix.

    Claude Code (2.1.197) has ``tool_decision`` in the attribute and the prefix in body and scope;
    Codex (0.169.0) has all of it in the attribute, and a place in its source as the event's name.
    """
    if "." in name:
        return name
    if name and body.endswith(f".{name}"):
        return body
    if name and scope.startswith("com.anthropic.claude_code"):
        return f"claude_code.{name}"
    return name or event_name or body


def trace_context(trace: str, span: str, flags: int) -> str:
    """Returns a W3C ``traceparent``, empty when the ids are zero or none."""
    if not trace.strip("0") or not span.strip("0"):
        return ""
    return f"00-{trace.lower()}-{span.lower()}-{flags & 0xFF:02x}"


# --- JSON ----------------------------------------------------------------------------------------


def _from_json(body: bytes, wanted: Container[str]) -> Iterator[Record]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MalformedPayload(f"is not JSON: {error}") from None
    try:
        yield from _json_records(document, wanted)
    except (TypeError, AttributeError, KeyError) as error:
        # Looking before each of a million leaps took half of the time.
        raise MalformedPayload(f"has another shape than OTLP logs: {error}") from None


def _json_records(document: Any, wanted: Container[str]) -> Iterator[Record]:  # noqa: ANN401
    """Yields the records of a request that may have any shape.

    Protobuf's JSON leaves empty lists out.

    Raises:
        TypeError, AttributeError, KeyError: it is no such request.
    """
    for resource in _listed(document.get("resourceLogs")):
        for scoped in _listed(resource.get("scopeLogs")):
            scope = scoped.get("scope") or {}
            scope_name = _text(scope.get("name"))
            for record in _listed(scoped.get("logRecords")):
                said = _string(record.get("body"))
                if said.startswith(_TELLING) and said not in wanted:
                    continue
                listed = _listed(record.get("attributes"))
                try:  # nearly all attributes of nearly all records are text
                    attributes = {one["key"]: one["value"].get("stringValue") for one in listed}
                except KeyError:
                    attributes = _slowly(listed)
                name = _text(attributes.get(_NAME))
                name = full_name(name, _text(record.get("eventName")), said, scope_name)
                if name in wanted:
                    if None in attributes.values():
                        attributes = _slowly(listed)
                    yield _record(name, attributes, _json_trace(record))


def _record(name: str, attributes: Json, trace: str) -> Record:
    for secret in NEVER_READ:
        attributes.pop(secret, None)
    return Record(name, attributes, trace)


def _slowly(listed: list[Any]) -> Json:
    return {
        one["key"]: _json_value(one.get("value"), 0)
        for one in listed
        if one["key"] not in NEVER_READ
    }


def _json_trace(record: Json) -> str:
    trace, flags = record.get("traceId"), record.get("flags")
    if not trace:
        return ""
    number = flags if isinstance(flags, int) else 0
    return trace_context(_text(trace), _text(record.get("spanId")), number)


def _listed(value: object) -> list[Any]:
    """Returns a list, empty for none.

    Raises:
        TypeError: it is something else.
    """
    if value is None:
        return []
    if not isinstance(value, list):
        raise TypeError("a list is something else")
    return value


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _string(value: object) -> str:
    return _text(value.get("stringValue")) if isinstance(value, dict) else ""


def _json_value(value: object, depth: int) -> object:
    """Returns an AnyValue as a plain object; numbers of 64 bits are text in protobuf's JSON."""
    if not isinstance(value, dict) or depth > MAX_DEPTH:
        return None
    for key in ("stringValue", "boolValue", "doubleValue", "bytesValue"):
        if key in value:
            return value[key]
    if "intValue" in value:
        return _integer(value["intValue"])
    if "arrayValue" in value:
        return [_json_value(one, depth + 1) for one in _values(value["arrayValue"])]
    if "kvlistValue" in value:
        pairs = [one for one in _values(value["kvlistValue"]) if isinstance(one, dict)]
        return {str(one.get("key")): _json_value(one.get("value"), depth + 1) for one in pairs}
    return None


def _integer(value: object) -> int | None:
    if isinstance(value, str):
        digits = value.removeprefix("-")
        if not digits.isdecimal() or len(digits) > _MAX_DIGITS:
            raise MalformedPayload("is not a number", field="intValue")
    return int(value) if isinstance(value, str | int) else None


def _values(value: object) -> list[Any]:
    listed = value.get("values") if isinstance(value, dict) else None
    if listed is not None and not isinstance(listed, list):
        raise MalformedPayload("is not an array", field="values")
    return listed or []


# --- protobuf ------------------------------------------------------------------------------------


def _from_protobuf(body: bytes, wanted: Container[str]) -> Iterator[Record]:
    # Imported when the first body comes: 30 ms that most daemons never need.
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

    request = ExportLogsServiceRequest()
    try:
        request.ParseFromString(body)
    except DecodeError as error:
        raise MalformedPayload(f"is not protobuf: {error}") from None
    for resource in request.resource_logs:
        for scoped in resource.scope_logs:
            for record in scoped.log_records:
                name = next((a.value.string_value for a in record.attributes if a.key == _NAME), "")
                said = record.body.string_value
                name = full_name(name, record.event_name, said, scoped.scope.name)
                if name in wanted:
                    yield _protobuf_record(name, record)


def _protobuf_record(name: str, record: LogRecord) -> Record:
    attributes = {
        one.key: one.value.string_value or _protobuf_value(one.value, 0)
        for one in record.attributes
        if one.key not in NEVER_READ
    }
    trace = trace_context(record.trace_id.hex(), record.span_id.hex(), record.flags)
    return Record(name, attributes, trace)


def _protobuf_value(value: AnyValue, depth: int) -> object:
    kind = value.WhichOneof("value")
    if kind is None or depth > MAX_DEPTH:
        return None
    if kind == "array_value":
        return [_protobuf_value(one, depth + 1) for one in value.array_value.values]
    if kind == "kvlist_value":
        pairs = value.kvlist_value.values
        return {pair.key: _protobuf_value(pair.value, depth + 1) for pair in pairs}
    plain: object = getattr(value, kind)
    return plain.hex() if isinstance(plain, bytes) else plain
