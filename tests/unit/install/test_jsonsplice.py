"""Editing JSON in place: the edit is there, and every other byte as well."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentdiff.install.jsonsplice import Document
from agentdiff.install.jsontree import JsonSyntaxError

SPACE = st.text(st.sampled_from(" \t\n\r"), max_size=4)
SCALARS = st.sampled_from(["0", "-1.5e3", "true", "null", '""', '"a\\"b,]}"', '"ä\\u00e9"', '"//"'])


def _join(space: st.SearchStrategy[str], items: list[str], draw: st.DrawFn) -> str:
    return ",".join(draw(space) + item + draw(space) for item in items)


@st.composite
def json_texts(draw: st.DrawFn, depth: int = 3) -> str:
    """A JSON value with white space in odd places."""
    kind = draw(st.sampled_from(["scalar", "array", "object"])) if depth else "scalar"
    if kind == "scalar":
        return draw(SCALARS)
    values = draw(st.lists(json_texts(depth - 1), max_size=3))
    if kind == "array":
        inside = _join(SPACE, values, draw)
        return f"[{inside or draw(SPACE)}]"
    keys = draw(st.permutations(['"a"', '"b c"', '"ä"']))
    members = [
        f"{key}{draw(SPACE)}:{draw(SPACE)}{value}" for key, value in zip(keys, values, strict=False)
    ]
    inside = _join(SPACE, members, draw)
    return f"{{{inside or draw(SPACE)}}}"


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    """A file with an object in it, perhaps with an array at x.y, in any layout."""
    foreign = draw(st.lists(json_texts(), max_size=3))
    members = [f'"k{at}":{draw(SPACE)}{value}' for at, value in enumerate(foreign)]
    place = draw(st.sampled_from(["none", "no array", "array"]))
    if place != "none":
        items = _join(SPACE, draw(st.lists(json_texts(1), max_size=2)), draw) or draw(SPACE)
        y = f'"y"{draw(SPACE)}:[{items}]' if place == "array" else draw(SPACE)
        others = draw(st.sampled_from(["", '"z":1,', '"z" : 1 ,\n  ']))
        inner = f"{others}{y}" if place == "array" else y
        members.insert(draw(st.integers(0, len(members))), f'"x":{{{inner}}}')
    inside = _join(SPACE, members, draw) or draw(SPACE)
    bom = draw(st.sampled_from(["", "\ufeff"]))
    return f"{bom}{draw(SPACE)}{{{inside}}}{draw(SPACE)}".encode()


def _plain(data: bytes) -> object:
    return json.loads(data.decode("utf-8-sig"))


@given(documents())
def test_appending_and_removing_restores_every_byte(data: bytes) -> None:
    """What was appended can be removed again, down to the last space."""
    document = Document(data)
    kept = document.append(("x", "y"), {"new": [1, {"a": "ü"}]})
    array = document.find(("x", "y"))
    assert array is not None
    document.remove(("x", "y", len(array.children) - 1), kept)
    assert document.to_bytes() == data


@given(documents())
def test_appending_is_what_it_says(data: bytes) -> None:
    """The edited text means the old value with one more element."""
    expected = _plain(data)
    assert isinstance(expected, dict)
    expected.setdefault("x", {}).setdefault("y", []).append({"new": None})
    document = Document(data)
    document.append(("x", "y"), {"new": None})
    assert _plain(document.to_bytes()) == expected


@given(documents())
def test_two_elements_can_be_removed_in_either_order(data: bytes) -> None:
    """Neighbours of ours do not disturb each other when they go, first one first."""
    document = Document(data)
    kept = document.append(("x", "y"), "first") | document.append(("x", "y"), "second")
    array = document.find(("x", "y"))
    assert array is not None
    document.remove(("x", "y", len(array.children) - 2), kept)
    document.remove(("x", "y", len(array.children) - 2), kept)
    assert document.to_bytes() == data


@given(documents(), json_texts())
def test_replacing_is_what_it_says(data: bytes, text: str) -> None:
    """A replaced value is the new one, and the rest means what it meant."""
    document = Document(data)
    document.append(("x", "y"), "old")
    expected = _plain(document.to_bytes())
    assert isinstance(expected, dict)
    value = expected["x"]["y"][-1] = json.loads(text)
    document.replace(("x", "y", len(expected["x"]["y"]) - 1), value)
    assert _plain(document.to_bytes()) == expected


@given(json_texts())
def test_what_json_accepts_is_parsed_alike(text: str) -> None:
    """The tree means what the standard decoder makes of the text."""
    assert Document(text.encode()).root.plain() == json.loads(text)


@given(st.text(st.sampled_from('{}[]":,\\ \nab1.-e0/tru'), max_size=12))
def test_what_json_refuses_is_refused(text: str) -> None:
    """Strict means strict: exactly what the standard decoder takes is taken, blank text apart."""
    try:
        json.loads(text)
        good = True
    except ValueError:
        good = not text.strip()
    try:
        Document(text.encode())
        taken = True
    except JsonSyntaxError:
        taken = False
    assert taken == good


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b'{"a": 1,}', "line 1, column 8: a trailing comma, which strict JSON has not"),
        (b"{\n  // no\n}", "line 2, column 3: a comment, which strict JSON has not"),
        (b'{\r\n "a" 1}', "line 2, column 6: ':' is expected"),
        (b'{"a": 1 "b": 2}', "line 1, column 9: ',' or '}' is expected"),
        ('{"ä": x}'.encode(), "line 1, column 7: a value is expected"),
        (b"{a: 1}", "line 1, column 2: a key in double quotes is expected"),
        (b'{"a": "b\n"}', "line 1, column 7: a string that does not end, or with a character"),
        (b"{} {}", "line 1, column 4: text after the end of the document"),
        (b'{"a": "\xff"}', "line 1, column 8: is not UTF-8"),
        (b'{"a": ', "line 1, column 7: a value is expected"),
        (b"[" * 300, "line 1, column 202: nested deeper than 200 levels"),
    ],
)
def test_an_error_names_line_and_column(data: bytes, error: str) -> None:
    """Whoever has to repair the file is told where."""
    with pytest.raises(JsonSyntaxError) as caught:
        Document(data)
    assert str(caught.value).startswith(error)


def test_an_element_takes_the_layout_of_its_neighbours() -> None:
    """In a text of many lines an element gets lines of its own, with the indentation there is."""
    document = Document(b'{\r\n\t"x": {\r\n\t\t"y": [\r\n\t\t\t1\r\n\t\t]\r\n\t}\r\n}\r\n')
    document.append(("x", "y"), {"a": 2})
    assert document.to_bytes() == (
        b'{\r\n\t"x": {\r\n\t\t"y": [\r\n\t\t\t1,\r\n\t\t\t{\r\n\t\t\t\t"a": 2\r\n\t\t\t}\r\n'
        b"\t\t]\r\n\t}\r\n}\r\n"
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'{"k":1}', b'{"k":1,"x":{"y":[{"a":2}]}}'),
        (b'{"k": 1}', b'{"k": 1, "x": {"y": [{"a": 2}]}}'),
        (b'{\n "k": 1\n}', b'{\n "k": 1,\n "x": {\n  "y": [\n   {\n    "a": 2\n   }\n  ]\n }\n}'),
        (b"{}", b'{\n  "x": {\n    "y": [\n      {\n        "a": 2\n      }\n    ]\n  }\n}'),
    ],
)
def test_missing_containers_are_made_in_the_style_of_the_text(before: bytes, after: bytes) -> None:
    """Minified text stays minified, indented text indented."""
    document = Document(before)
    document.append(("x", "y"), {"a": 2})
    assert document.to_bytes() == after


@pytest.mark.parametrize(
    "data",
    [
        b'{\n  // mine\n  "x": {"y": [\n    1, // one\n    /* two */\n  ]}\n}\n',
        b'{"x": {"y": [1 /* one */,]}}',
        b'{\n  "k": 1 // last\n}\n',
        b"{\n  // nothing yet\n}\n",
    ],
)
def test_comments_survive_on_request(data: bytes) -> None:
    """Where comments are allowed they stay, through an edit and its opposite."""
    document = Document(data, comments=True)
    kept = document.append(("x", "y"), "new")
    array = document.find(("x", "y"))
    assert array is not None
    document.remove(("x", "y", len(array.children) - 1), kept)
    assert document.to_bytes() == data


def test_a_comment_in_an_empty_object_stays_there() -> None:
    """What is appended to an object of nothing but a comment comes behind the comment."""
    document = Document(b"{\n  // nothing yet\n}\n", comments=True)
    document.append(("x",), 1)
    expected = b'{\n  // nothing yet\n  "x": [\n    1\n  ]\n}\n'
    assert document.to_bytes() == expected


def test_a_comment_beside_a_removed_element_stays() -> None:
    """A comment that somebody wrote between two elements is not taken along with one of them."""
    document = Document(b"[1, // about two\n 2]", comments=True)
    document.remove((1,), {})
    assert document.to_bytes() == b"[1 // about two\n ]"


def test_the_last_of_duplicate_keys_counts() -> None:
    """Duplicate keys mean what they mean to the agent: the last one."""
    document = Document(b'{"x":{"y":[]},"x":{"y":[]}}')
    document.append(("x", "y"), 1)
    assert document.to_bytes() == b'{"x":{"y":[]},"x":{"y":[1]}}'


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"[]", "the root is not an object"),
        (b'{"x": []}', "x is not an object"),
        (b'{"x": {"y": {}}}', "x.y is not an array"),
    ],
)
def test_something_else_in_the_way_is_named(data: bytes, error: str) -> None:
    """A value of another kind is never overwritten."""
    with pytest.raises(TypeError, match=f"^{error}$"):
        Document(data).append(("x", "y"), 1)
