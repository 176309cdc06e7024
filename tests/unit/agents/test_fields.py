"""What every adapter can rely on when it takes fields out of a payload."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentdiff.agents import fields
from agentdiff.agents.fields import Fields, decode, derived_id, display_text, exact_bytes
from agentdiff.errors import MalformedPayload

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()))


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "is not JSON"),
        (b"nonsense", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b'{"a":NaN}', "is not JSON"),
        (b'\xef\xbb\xbf{"a":1}', "is not JSON"),
        (b"[1]", "is not an object"),
        (b"null", "is not an object"),
        (b'{"a":' + b"[" * 300 + b"]" * 300 + b"}", "is nested deeper than 200 levels"),
        (b"[" * 100_000, "is nested deeper than 200 levels"),
    ],
)
def test_what_is_no_plain_json_object_is_refused(payload: bytes, reason: str) -> None:
    """Anything but one JSON object of sane depth is malformed, and the reason says which."""
    with pytest.raises(MalformedPayload, match=reason):
        decode(payload)


def test_a_payload_over_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A payload larger than the limit is refused before it is decoded."""
    monkeypatch.setattr(fields, "MAX_PAYLOAD_BYTES", 10)
    with pytest.raises(MalformedPayload, match="is 13 bytes, more than 10"):
        decode(b'{"a": "bcde"}')


def test_the_deepest_allowed_nesting_is_taken() -> None:
    """Two hundred levels, the object itself among them, are not too deep."""
    assert decode(b'{"a":' + b"[" * 199 + b"]" * 199 + b"}").at == ""


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b'{"p":"/a\\udcff"}', b"/a\xff"),
        (b'{"p":"/a\xff"}', b"/a\xff"),
        (b'{"p":"/\\ud800"}', b"/\xed\xa0\x80"),
        ('{"p":"/ä"}'.encode(), "/ä".encode()),
    ],
)
def test_a_path_with_bad_bytes_keeps_them(payload: bytes, expected: bytes) -> None:
    """Bytes that are not UTF-8, raw or smuggled as surrogates, reach the path."""
    assert decode(payload).path("p", cwd=None) == expected


@pytest.mark.parametrize(
    ("path", "expected"), [("/x/y", b"/x/y"), ("y", b"/ws/y"), ("../y", b"/ws/../y")]
)
def test_a_relative_path_is_joined_and_not_resolved(path: str, expected: bytes) -> None:
    """A path is joined with the cwd; resolving it is the workspace's business."""
    assert Fields({"p": path}).path("p", cwd=b"/ws") == expected


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ({}, "tool_input.file_path: is missing"),
        ({"file_path": None}, "tool_input.file_path: is missing"),
        ({"file_path": ""}, "tool_input.file_path: is an empty path"),
        ({"file_path": 7}, "tool_input.file_path: is not a string"),
        ({"file_path": "/a\0b"}, "tool_input.file_path: holds a NUL byte"),
        ({"file_path": "a"}, "tool_input.file_path: is not an absolute path"),
    ],
)
def test_a_bad_path_names_its_field(value: dict[str, object], error: str) -> None:
    """The error of a bad path holds the dotted name of its field."""
    with pytest.raises(MalformedPayload) as caught:
        Fields({"tool_input": value}).child("tool_input").path("file_path", cwd=None)
    assert str(caught.value) == error


@pytest.mark.parametrize(
    ("value", "expected"),
    [(True, True), ("true", True), (False, False), ("false", False), (None, True)],
)
def test_a_flag_may_be_a_word(value: object, expected: bool) -> None:
    """``"true"`` and ``"false"`` are flags as well, and null is the default."""
    assert Fields({"f": value}).optional_bool("f", default=True) is expected


@pytest.mark.parametrize("value", [1, 0, "yes", [], {}])
def test_what_is_no_flag_is_refused(value: object) -> None:
    """A number is not taken for a flag."""
    with pytest.raises(MalformedPayload, match=r"^f: is not a boolean$"):
        Fields({"f": value}).optional_bool("f")


@pytest.mark.parametrize("value", ["", 0, False, [], "x"])
def test_what_is_no_object_is_refused(value: object) -> None:
    """An empty text is not taken for an absent object."""
    with pytest.raises(MalformedPayload, match=r"^o: is not an object$"):
        Fields({"o": value}).child("o")


def test_an_array_element_is_named_by_its_index() -> None:
    """An error inside an array says in which element."""
    with pytest.raises(MalformedPayload, match=r"^a\[1\]: is not an object$"):
        Fields({"a": [{}, 1]}).children("a")


@given(ANY_TEXT)
def test_any_text_has_bytes(text: str) -> None:
    """Every JSON string, lone surrogates included, stands for some bytes."""
    assert isinstance(exact_bytes(text), bytes)


@given(st.binary())
def test_smuggled_bytes_come_back(data: bytes) -> None:
    """What surrogates smuggle is restored exactly."""
    assert exact_bytes(data.decode("utf-8", "surrogateescape")) == data


@given(ANY_TEXT)
def test_displayed_text_is_always_utf8(text: str) -> None:
    """Text for people can always be encoded."""
    assert display_text(text).encode("utf-8").decode("utf-8") == display_text(text)


@given(st.text())
def test_good_text_is_displayed_as_it_is(text: str) -> None:
    """Only lone surrogates are replaced."""
    assert display_text(text) == text


def test_a_derived_id_ignores_the_order_of_keys() -> None:
    """The same call has the same id, however its input is ordered."""
    assert derived_id("s", {"a": 1, "b": 2}) == derived_id("s", {"b": 2, "a": 1})


def test_a_derived_id_depends_on_every_part() -> None:
    """Different calls have different ids."""
    assert derived_id("s", "Bash", {"command": "a"}) != derived_id("s", "Bash", {"command": "b"})
