"""OTLP logs: recorded requests, in both encodings, and what is refused.

The requests in ``otlp/`` were sent by the real programs (the name says which), users and hosts left
out.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from agentdiff.agents import otlp, telemetry
from agentdiff.core.events import ToolReported, ToolStarted
from agentdiff.errors import MalformedPayload

RECORDED = Path(__file__).with_name("otlp")
JSON = "application/json"
SECRET = "hunter2-never-stored"


def parse(body: bytes, content_type: str = JSON) -> tuple[telemetry.Event, ...]:
    """Returns the events of a request that has nothing malformed."""
    parsed = telemetry.parse(body, content_type, 7)
    assert parsed.malformed == ()
    return parsed.events


def any_value(value: object) -> dict[str, Any]:
    """Returns a plain value as protobuf's JSON has it."""
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case list():
            return {"arrayValue": {"values": [any_value(one) for one in value]}}
        case dict():
            return {"kvlistValue": {"values": attributes(value)}}
        case _:
            return {"stringValue": value}


def attributes(values: dict[str, object]) -> list[dict[str, Any]]:
    """Returns key-value pairs as protobuf's JSON has them."""
    return [{"key": key, "value": any_value(value)} for key, value in values.items()]


def request(values: dict[str, object], **record: object) -> bytes:
    """Returns a request with one record."""
    records = [{"attributes": attributes(values), **record}]
    return json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}).encode()


def protobuf(body: bytes) -> bytes:
    """Returns the same request in the other encoding."""
    message = json_format.Parse(body, ExportLogsServiceRequest())
    data: bytes = message.SerializeToString()
    return data


ENRICHED: dict[str, object] = {
    "event.name": "codex.tool_decision",
    "conversation.id": "s",
    "call_id": "c",
    "tool_name": "exec_command",
    "decision": "approved",
    "source": "Config",
    "argv": ["bash", "-lc", "sed -i s/a/b/ f"],
    "cwd": "/ws",
    "env": {"TOKEN": SECRET},
}


def _plain(event: telemetry.Event) -> dict[str, object]:
    return {
        "event": type(event).__name__,
        **{
            field.name: getattr(event, field.name)
            for field in dataclasses.fields(event)
            if getattr(event, field.name) != field.default and field.name != "received_ns"
        },
    }


@pytest.mark.parametrize("encoding", [JSON, otlp.PROTOBUF])
@pytest.mark.parametrize(
    ("name", "agent", "told"),
    [
        (
            "claude-2.1.197",
            "claude",
            [
                ("toolu_m_00_0", True, None, "config"),
                ("toolu_m_00_0", None, "ok", "config"),
                ("toolu_m_01_0", False, None, "user"),
                ("toolu_m_03_0", True, None, "user"),
                ("toolu_m_03_0", None, "ok", "user"),
                ("toolu_m_04_0", True, None, "user"),
                ("toolu_m_04_0", None, "interrupted", "user"),
            ],
        ),
        (
            "codex-0.169.0-declined",
            "codex",
            [
                ("call_m_00_0", False, None, "user"),
                ("call_m_00_0", None, "error", ""),
                ("call_m_01_0", True, None, "config"),
                ("call_m_01_0", None, "ok", ""),
            ],
        ),
        (
            "gemini-0.61.0",
            "gemini",
            [
                ("", False, "denied", "user"),
                ("", True, "ok", "accepted"),
                ("", True, "ok", "accepted"),
            ],
        ),
    ],
)
def test_recorded_requests(name: str, agent: str, told: list[Any], encoding: str) -> None:
    """Every record about a call is understood; the others are passed over."""
    body = (RECORDED / f"{name}.json").read_bytes()
    events = parse(body if encoding == JSON else protobuf(body), encoding)
    reports = [event for event in events if isinstance(event, ToolReported)]
    assert {event.agent for event in events} == {agent}
    assert [(e.tool_call, e.allowed, e.outcome, e.decided_by) for e in reports] == told


@pytest.mark.parametrize("name", sorted(path.name for path in RECORDED.glob("*.json")))
def test_both_encodings_say_the_same(name: str) -> None:
    """A batch in JSON and in protobuf is the same batch."""
    body = (RECORDED / name).read_bytes()
    assert parse(protobuf(body), otlp.PROTOBUF) == parse(body) != ()


def test_a_failed_command_and_a_failed_patch_of_codex() -> None:
    """``success`` is true for any exit code; a patch that does not apply has no decision."""
    events = parse((RECORDED / "codex-0.169.0.json").read_bytes())
    ended = {e.tool_call: e.outcome for e in events if isinstance(e, ToolReported) and e.outcome}
    assert ended["call_m_02_0"] == ended["call_m_03_0"] == "error"
    assert ended["call_m_00_0"] == "ok"


@pytest.mark.parametrize("encoding", [JSON, otlp.PROTOBUF])
@pytest.mark.parametrize("argv", [ENRICHED["argv"], json.dumps(ENRICHED["argv"])])
def test_enriched_decision_starts_a_call(argv: object, encoding: str) -> None:
    """It has all that a hook would have said; what the environment holds is not even read."""
    body = request({**ENRICHED, "argv": argv})
    started, report = parse(body if encoding == JSON else protobuf(body), encoding)
    assert _plain(started) == {
        "event": "ToolStarted",
        "agent": "codex",
        "session": "s",
        "cwd": b"/ws",
        "tool_call": "c",
        "tool": "exec_command",
        "scope": "tree",
        "command": "sed -i s/a/b/ f",
    }
    assert isinstance(report, ToolReported)
    assert (report.allowed, report.decided_by) == (True, "config")
    assert SECRET not in repr((started, report))


@pytest.mark.parametrize(
    "change",
    [{"decision": "denied"}, {"cwd": None}, {"argv": None}],
    ids=["denied", "without a folder", "stock"],
)
def test_other_decisions_start_nothing(change: dict[str, object]) -> None:
    """Only an allowed command in a known folder is one that can have a baseline."""
    values = {key: value for key, value in {**ENRICHED, **change}.items() if value is not None}
    (report,) = parse(request(values))
    assert isinstance(report, ToolReported)


def test_other_words_of_the_command_are_shown_as_a_shell_line() -> None:
    """Words with blanks stay told apart."""
    started, _ = parse(request({**ENRICHED, "argv": ["rm", "a b"]}))
    assert isinstance(started, ToolStarted)
    assert started.command == "rm 'a b'"


def test_trace_context_is_kept() -> None:
    """As a W3C ``traceparent``; zeros, which exporters send for none, are none."""
    ids = {"traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "spanId": "00f067aa0ba902b7", "flags": 1}
    (report,) = parse(request({**ENRICHED, "decision": "denied"}, **ids))
    assert report.trace == "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    zero = {"traceId": "0" * 32, "spanId": "0" * 16}
    assert parse(request({**ENRICHED, "decision": "denied"}, **zero))[0].trace == ""


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", JSON),
        (b"{", JSON),
        (b"[]", JSON),
        (b'{"resourceLogs": 1}', JSON),
        (b'{"resourceLogs": [1]}', JSON),
        (b'{"resourceLogs": [{"scopeLogs": {}}]}', JSON),
        (b'{"resourceLogs": [{"scopeLogs": [{"logRecords": [{"attributes": [3]}]}]}]}', JSON),
        (b"\xff\xff\xff", otlp.PROTOBUF),
        (b'{"resourceLogs": []}', otlp.PROTOBUF),
    ],
)
def test_what_is_no_request_is_refused(body: bytes, content_type: str) -> None:
    """Never an exception of another kind."""
    with pytest.raises(MalformedPayload):
        telemetry.parse(body, content_type, 7)


@pytest.mark.parametrize("text", ["--5", "-", "", "1" * 5000, "1_0", "0x1"])
def test_a_number_that_is_none_is_refused(text: str) -> None:
    """As text, which is how numbers of 64 bits are written."""
    listed = [*attributes(ENRICHED), {"key": "duration_ms", "value": {"intValue": text}}]
    body = {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"attributes": listed}]}]}]}
    with pytest.raises(MalformedPayload, match="intValue"):
        telemetry.parse(json.dumps(body).encode(), JSON, 7)


def test_one_bad_record_spares_the_others() -> None:
    """The sender would drop the whole batch."""
    good = json.loads(request(ENRICHED))
    bad = json.loads(request({"event.name": "codex.tool_result"}))
    body = json.dumps({"resourceLogs": [*bad["resourceLogs"], *good["resourceLogs"]]}).encode()
    parsed = telemetry.parse(body, JSON, 7)
    assert len(parsed.events) == 2
    assert len(parsed.malformed) == 1
    assert "conversation.id" in parsed.malformed[0]


NESTING_KEYS = [
    *("resourceLogs", "scopeLogs", "logRecords", "attributes", "key", "value", "body", "scope"),
    *("stringValue", "intValue", "arrayValue", "kvlistValue", "values", "name"),
]
NESTED = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "resourceLogs",
                    "scopeLogs",
                    "logRecords",
                    "attributes",
                    "key",
                    "value",
                    "body",
                    "stringValue",
                    "intValue",
                    "arrayValue",
                    "kvlistValue",
                    "values",
                    "scope",
                    "name",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(value=NESTED)
def test_any_json_is_parsed_or_refused(value: object) -> None:
    """No crash, whatever is nested in whatever."""
    for body in (
        json.dumps(value).encode(),
        json.dumps(
            {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"attributes": [value]}]}]}]}
        ).encode(),
    ):
        with contextlib.suppress(MalformedPayload):
            telemetry.parse(body, JSON, 7)


@given(values=st.dictionaries(st.sampled_from(sorted(ENRICHED)), NESTED))
def test_any_attributes_are_parsed_or_refused(values: dict[str, object]) -> None:
    """Attributes of the wrong type spoil their record and nothing else."""
    wrong = [{"key": key, "value": value} for key, value in values.items()]
    records = [{"attributes": attributes({"event.name": ENRICHED["event.name"]}) + wrong}]
    body = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}).encode()
    with contextlib.suppress(MalformedPayload):
        telemetry.parse(body, JSON, 7)
