"""Where each value of a JSON text begins and ends.

Owns the grammar: strict JSON, on request with comments and trailing commas.  Must not change a
text; `agentdiff.install.jsonsplice` does.  No I/O.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final, Literal, NoReturn, TypeAlias

WHITE_SPACE: Final = " \t\r\n"
MAX_DEPTH: Final = 200

Kind: TypeAlias = Literal["object", "array", "scalar"]

_SPACE = re.compile(r"[ \t\r\n]*")
_COMMENT = re.compile(r"//[^\r\n]*|/\*.*?\*/", re.DOTALL)
_STRING = re.compile(r'"[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*"')
_OTHER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null")

_WORDS: Final = {"true": True, "false": False, "null": None}


class JsonSyntaxError(ValueError):
    """A text is not JSON.

    Args:
        reason: what was expected or found.
        text: the text.
        offset: where, in characters.

    Attributes:
        line: 1-based.
        column: 1-based, in characters.
    """

    def __init__(self, reason: str, text: str, offset: int) -> None:
        self.reason = reason
        self.line, self.column = position(text, offset)
        super().__init__(f"line {self.line}, column {self.column}: {reason}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One value.

    Attributes:
        kind: object, array, or anything else.
        start: offset of its first character; `start` and `end` are a half-open range of characters.
        end: offset after its last character.
        children: elements or members, in the order of the text.
        value: what a scalar means.
    """

    kind: Kind
    start: int
    end: int
    children: tuple[Child, ...] = ()
    value: str | float | bool | None = None

    def child(self, step: str | int) -> Child | None:
        """Returns the member with a key, or the element with an index; None when there is none."""
        if isinstance(step, int):
            fits = self.kind == "array" and 0 <= step < len(self.children)
            return self.children[step] if fits else None
        named = (child for child in reversed(self.children) if child.key == step)
        return next(named, None) if self.kind == "object" else None

    def plain(self) -> object:
        """Returns the value as `json.loads` would."""
        if self.kind == "object":
            return {child.key: child.node.plain() for child in self.children}
        if self.kind == "array":
            return [child.node.plain() for child in self.children]
        return self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """An element or a member.

    Attributes:
        key: decoded key, None in an array.
        start: offset of the key, or of the element.
        node: the value.
        comma: offset of the comma behind it, None when there is none.
    """

    key: str | None
    start: int
    node: Node
    comma: int | None


def position(text: str, offset: int) -> tuple[int, int]:
    """Returns line and column of an offset, 1-based, the column in characters."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def parse(text: str, *, comments: bool = False) -> Node:
    """Returns the tree of a whole text.

    Args:
        text: without byte order mark.
        comments: whether comments and trailing commas are allowed.

    Raises:
        JsonSyntaxError: it is not JSON, or nested deeper than `MAX_DEPTH`.
    """
    parser = _Parser(text, comments)
    start = parser.skip(0)
    root = parser.value(start, 0)
    end = parser.skip(root.end)
    if end != len(text):
        parser.fail("text after the end of the document", end)
    return root


class _Parser:
    def __init__(self, text: str, comments: bool) -> None:
        self.text = text
        self.comments = comments

    def fail(self, reason: str, at: int) -> NoReturn:
        raise JsonSyntaxError(reason, self.text, at)

    def skip(self, at: int) -> int:
        """Returns the offset of the next character that means something."""
        while True:
            space = _SPACE.match(self.text, at)
            at = space.end() if space else at
            comment = _COMMENT.match(self.text, at) if self.text[at : at + 1] == "/" else None
            if comment is None:
                return at
            if not self.comments:
                self.fail("a comment, which strict JSON has not", at)
            at = comment.end()

    def value(self, at: int, depth: int) -> Node:
        if depth > MAX_DEPTH:
            self.fail(f"nested deeper than {MAX_DEPTH} levels", at)
        match self.text[at : at + 1]:
            case "{":
                return self.container(at, "object", depth)
            case "[":
                return self.container(at, "array", depth)
            case '"':
                value, end = self.string(at)
                return Node(kind="scalar", start=at, end=end, value=value)
        other = _OTHER.match(self.text, at)
        if other is None:
            self.fail("a value is expected", at)
        word = other.group()
        # Floats only: Python refuses to make an int of more than 4300 digits.
        meaning = _WORDS[word] if word in _WORDS else float(word)
        return Node(kind="scalar", start=at, end=other.end(), value=meaning)

    def string(self, at: int) -> tuple[str, int]:
        string = _STRING.match(self.text, at)
        if string is None:
            self.fail("a string that does not end, or with a character that needs escaping", at)
        raw = string.group()
        return json.loads(raw) if "\\" in raw else raw[1:-1], string.end()

    def container(self, start: int, kind: Kind, depth: int) -> Node:
        close = "}" if kind == "object" else "]"
        children: list[Child] = []
        at = self.skip(start + 1)
        while self.text[at : at + 1] != close:
            if children and children[-1].comma is None:
                self.fail(f"',' or '{close}' is expected", at)
            child = self.child(at, kind, depth)
            children.append(child)
            at = self.skip(child.node.end if child.comma is None else child.comma + 1)
        if children and children[-1].comma is not None and not self.comments:
            self.fail("a trailing comma, which strict JSON has not", children[-1].comma)
        return Node(kind=kind, start=start, end=at + 1, children=tuple(children))

    def child(self, start: int, kind: Kind, depth: int) -> Child:
        key, at = None, start
        if kind == "object":
            if self.text[at : at + 1] != '"':
                self.fail("a key in double quotes is expected", at)
            key, at = self.string(at)
            at = self.skip(at)
            if self.text[at : at + 1] != ":":
                self.fail("':' is expected", at)
            at = self.skip(at + 1)
        node = self.value(at, depth + 1)
        end = self.skip(node.end)
        comma = end if self.text[end : end + 1] == "," else None
        return Child(key=key, start=start, node=node, comma=comma)
