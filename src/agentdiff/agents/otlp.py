"""OTLP log records out of a request's body, JSON or protobuf.

Owns the decoding and what is refused.  Must not know any agent (`agentdiff.agents.telemetry`).
Hop 2.

Both encodings are decoded by compiled libraries (orjson; protobuf, see
doc/decisions/0020-otlp-in-protobuf.md).  Only records whose name somebody asked for are turned into
`Record`; the rest, which is nine of ten, costs one look at its attributes.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import orjson

from agentdiff.errors import MalformedPayload

if TYPE_CHECKING:
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue
    from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

PROTOBUF: Final = "application/x-protobuf"
MAX_DEPTH: Final = 16
NEVER_READ: Final = frozenset({"env", "environment"})
"""Attributes that hold secrets: they are not even decoded."""
_NAME: Final = "event.name"

Json: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One log record.

    Attributes:
        name: the full name of the event, ``codex.tool_decision``.
        attributes: decoded; without those of `NEVER_READ`.
        trace: W3C trace context, empty when the record is in no trace.
    """

    name: str
    attributes: Mapping[str, object]
    trace: str = ""


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
    for resource in _objects(_object(document, "the body"), "resourceLogs"):
        for scoped in _objects(resource, "scopeLogs"):
            scope = scoped.get("scope")
            scope_name = _text(scope.get("name")) if isinstance(scope, dict) else ""
            for record in _objects(scoped, "logRecords"):
                attributes = _objects(record, "attributes")
                name = next(
                    (_string(a.get("value")) for a in attributes if a.get("key") == _NAME), ""
                )
                said = _string(record.get("body"))
                name = full_name(name, _text(record.get("eventName")), said, scope_name)
                if name in wanted:
                    yield _json_record(name, record, attributes)


def _json_record(name: str, record: Json, attributes: Iterable[Json]) -> Record:
    flags = record.get("flags")
    return Record(
        name=name,
        attributes={
            str(one.get("key")): _json_value(one.get("value"), 0)
            for one in attributes
            if one.get("key") not in NEVER_READ
        },
        trace=trace_context(
            _text(record.get("traceId")),
            _text(record.get("spanId")),
            flags if isinstance(flags, int) else 0,
        ),
    )


def _object(value: object, name: str) -> Json:
    if not isinstance(value, dict):
        raise MalformedPayload("is not an object", field=name)
    return value


def _objects(parent: Json, key: str) -> list[Json]:
    """Returns the objects of an array; protobuf's JSON leaves empty ones out."""
    value = parent.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise MalformedPayload("is not an array", field=key)
    for item in value:
        if not isinstance(item, dict):
            raise MalformedPayload("holds something that is not an object", field=key)
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
        number = value["intValue"]
        if isinstance(number, str) and not number.lstrip("-").isdecimal():
            raise MalformedPayload("is not a number", field="intValue")
        return int(number) if isinstance(number, str | int) else None
    if "arrayValue" in value:
        listed = _objects(_object(value["arrayValue"], "arrayValue"), "values")
        return [_json_value(one, depth + 1) for one in listed]
    if "kvlistValue" in value:
        pairs = _objects(_object(value["kvlistValue"], "kvlistValue"), "values")
        return {str(one.get("key")): _json_value(one.get("value"), depth + 1) for one in pairs}
    return None


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
    return Record(
        name=name,
        attributes={
            one.key: _protobuf_value(one.value, 0)
            for one in record.attributes
            if one.key not in NEVER_READ
        },
        trace=trace_context(record.trace_id.hex(), record.span_id.hex(), record.flags),
    )


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
