"""Framing and greeting, without any socket."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentdiff import wire


@given(st.lists(st.binary(max_size=40).filter(lambda line: b"\n" not in line)), st.data())
def test_lines_survive_any_cutting(lines: list[bytes], data: st.DataObject) -> None:
    """However a stream is cut into reads, the same lines come out."""
    stream = b"".join(line + b"\n" for line in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)))))
    buffer = wire.LineBuffer()
    found = [
        line
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)
        for line in buffer.feed(stream[start:end])
    ]
    assert found == lines


def test_long_line_is_refused_before_it_ends() -> None:
    """A line over the limit is an error as soon as that is known."""
    buffer = wire.LineBuffer(limit_bytes=10)
    with pytest.raises(wire.WireError, match="more than 10 bytes"):
        buffer.feed(b"x" * 11)


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b"1", b'"text"', b"\xff"])
def test_only_objects_are_messages(line: bytes) -> None:
    """Anything but a JSON object breaks the protocol."""
    with pytest.raises(wire.WireError):
        wire.decode(line)


@pytest.mark.parametrize(
    ("message", "common"),
    [
        ({"proto": 1, "min_proto": 1}, 1),
        ({"proto": 3, "min_proto": 1}, 1),
        ({"proto": 3, "min_proto": 2}, None),
        ({"proto": 0, "min_proto": 0}, None),
        ({"proto": "1", "min_proto": 1}, None),
        ({}, None),
    ],
)
def test_common_version(message: dict[str, object], common: int | None) -> None:
    """The newest version that both speak is used, and none when there is none."""
    assert wire.common_version(message) == common
