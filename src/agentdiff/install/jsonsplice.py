"""Edits a JSON text in place: what is not edited keeps every byte.

Owns `Document`: finding, appending, replacing and removing values by cutting and pasting text, so
that key order, white space, line ends, byte order mark and comments elsewhere stay as they are.
Must not know any agent, and does no I/O.  Why it exists: doc/decisions/0005-lossless-json-edits.md.

A *path* is a tuple of keys and indices from the root, ``("hooks", "Stop", 0)``.  Of duplicate keys
the last one counts, as in JavaScript.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final, TypeAlias

from agentdiff.install import jsontree
from agentdiff.install.jsontree import Child, JsonSyntaxError, Node

Path: TypeAlias = tuple[str | int, ...]

BOM: Final = "\ufeff"


class Document:
    """A JSON text that is being edited.

    Args:
        data: the bytes of a file, UTF-8 with or without a byte order mark.
        comments: whether ``//`` and ``/* */`` comments and trailing commas are allowed.

    Raises:
        JsonSyntaxError: the text is not JSON; one of nothing but white space is, see `blank`.
    """

    def __init__(self, data: bytes, *, comments: bool = False) -> None:
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            before = data[: error.start].decode("utf-8", "replace")
            raise JsonSyntaxError("is not UTF-8", before + "?", len(before)) from None
        self._bom = BOM if text.startswith(BOM) else ""
        self._text = text.removeprefix(BOM)
        self._comments = comments
        self.blank = not self._text.strip(jsontree.WHITE_SPACE)
        """Whether there is no value at all."""
        self._root = Node(kind="scalar", start=0, end=0) if self.blank else self._parse()

    def to_bytes(self) -> bytes:
        """Returns the text as it is now."""
        return (self._bom + self._text).encode("utf-8")

    @property
    def root(self) -> Node:
        """The root value; a scalar of no text when `blank`."""
        return self._root

    def find(self, path: Path) -> Node | None:
        """Returns the value at `path`, None when there is none."""
        node = self._root
        for step in path:
            child = node.child(step)
            if child is None:
                return None
            node = child.node
        return node

    def where(self, node: Node) -> tuple[int, int]:
        """Returns line and column of a value, 1-based, the column in characters."""
        return jsontree.position(self._text, node.start)

    def begin(self) -> None:
        """Puts an empty object behind the white space of a blank text."""
        start = len(self._text)
        self._splice(start, start, "{}")
        self.blank = False

    def end(self) -> None:
        """Removes the root: takes back `begin`."""
        self._text = self._text[: self._root.start] + self._text[self._root.end :]
        self._root = Node(kind="scalar", start=0, end=0)
        self.blank = True

    def append(self, path: Path, value: object) -> dict[Path, str]:
        """Appends `value` to the array at `path`; objects and the array are made where missing.

        Args:
            path: keys only; what exists on the way has to be objects, and at the end an array.
            value: what `json.dumps` accepts.

        Returns:
            What `remove` needs to restore the containers that were there and empty: the text
            between the brackets of each, by path.

        Raises:
            TypeError: something else is in the way; the message says at which path.
        """
        depth, node = 0, self._root
        while depth < len(path) and (child := self._member(node, path[:depth], path[depth])):
            depth, node = depth + 1, child.node
        if depth == len(path) and node.kind != "array":
            raise TypeError(f"{dotted(path)} is not an array")
        if depth < len(path):
            return self._grow(node, path, depth, [value])
        kept = {} if node.children else {path: self._inside(node)}
        self._add(node, None, value)
        return kept

    def put(self, path: Path, value: object) -> dict[Path, str]:
        """Adds `value` as the last member at `path`; objects are made where missing.

        Args:
            path: keys only; what exists on the way has to be objects.
            value: what `json.dumps` accepts.

        Returns:
            As `append`.

        Raises:
            KeyError: there is such a member.
            TypeError: something else is in the way; the message says at which path.
        """
        depth, node = 0, self._root
        while depth < len(path) and (child := self._member(node, path[:depth], path[depth])):
            depth, node = depth + 1, child.node
        if depth == len(path):
            raise KeyError(dotted(path))
        return self._grow(node, path, depth, value)

    def _grow(self, node: Node, path: Path, depth: int, value: object) -> dict[Path, str]:
        """Adds a member to the object at ``path[:depth]``, which has none of that name."""
        kept = {} if node.children else {path[:depth]: self._inside(node)}
        for key in reversed(path[depth + 1 :]):
            value = {key: value}
        self._add(node, str(path[depth]), value)
        return kept

    def replace(self, path: Path, value: object) -> None:
        """Replaces the value at `path`, laid out like the one that was there.

        Raises:
            KeyError: there is none.
        """
        node = self._existing(path)
        old = self._text[node.start : node.end]
        indent = self._indent_at(node.start) if "\n" in old else None
        self._splice(node.start, node.end, self._render(value, indent))

    def remove(self, path: Path, kept: Mapping[Path, str]) -> None:
        """Removes the value at `path`, and the containers that this leaves empty.

        Args:
            path: of an array element or an object member.
            kept: containers that stay when they become empty, with the text between their brackets.
                The root always stays.

        Raises:
            KeyError: there is no such value.
        """
        container = self._existing(path[:-1])
        child = container.child(path[-1])
        if child is None:
            raise KeyError(dotted(path))
        if len(container.children) > 1:
            self._cut(container, container.children.index(child))
        elif path[:-1] in kept or len(path) == 1:
            inside = kept.get(path[:-1], "")
            self._splice(container.start + 1, container.end - 1, inside)
        else:
            self.remove(path[:-1], kept)

    def _parse(self) -> Node:
        return jsontree.parse(self._text, comments=self._comments)

    def _splice(self, start: int, end: int, replacement: str) -> None:
        self._text = self._text[:start] + replacement + self._text[end:]
        self._root = self._parse()

    def _existing(self, path: Path) -> Node:
        node = self.find(path)
        if node is None:
            raise KeyError(dotted(path))
        return node

    def _member(self, node: Node, path: Path, key: str | int) -> Child | None:
        if node.kind != "object":
            raise TypeError(f"{dotted(path)} is not an object")
        return node.child(key)

    def _inside(self, node: Node) -> str:
        return self._text[node.start + 1 : node.end - 1]

    def _add(self, container: Node, key: str | None, value: object) -> None:
        """Puts a last element or member into a container, in the layout that it has."""
        indent = self._indent_of_children(container)
        label = "" if key is None else json.dumps(key, ensure_ascii=False) + self._colon(indent)
        child = label + self._render(value, indent)
        if container.children:
            gap = self._newline() + indent if indent is not None else self._space()
            end = container.children[-1].node.end
            self._splice(end, end, "," + gap + child)
        elif indent is not None:
            # Comments stay, other white space does not: `kept` remembers it.
            comments = self._inside(container).rstrip(jsontree.WHITE_SPACE)
            outer = self._newline() + self._indent_at(container.start)
            inside = comments + self._newline() + indent + child + outer
            self._splice(container.start + 1, container.end - 1, inside)
        else:
            self._splice(container.start + 1, container.end - 1, self._inside(container) + child)

    def _cut(self, container: Node, at: int) -> None:
        """Removes one of several children together with one comma; comments around it stay."""
        child = container.children[at]
        if at > 0:
            before = container.children[at - 1]
            gap = self._text[before.node.end : child.start]
            comma = (before.comma or before.node.end) - before.node.end
            rest = gap[:comma] + gap[comma + 1 :]
            self._splice(before.node.end, child.node.end, rest if _speaks(rest) else "")
        else:
            after = container.children[1]
            comma = child.comma or child.node.end
            rest = self._text[child.node.end : comma] + self._text[comma + 1 : after.start]
            self._splice(child.start, after.start, rest if _speaks(rest) else "")

    def _render(self, value: object, indent: str | None) -> str:
        if indent is None:
            separators = ("," + self._space(), self._colon(None))
            return json.dumps(value, ensure_ascii=False, separators=separators)
        lines = json.dumps(value, ensure_ascii=False, indent=self._unit())
        return lines.replace("\n", self._newline() + indent)

    def _indent_of_children(self, container: Node) -> str | None:
        """Returns the white space before each child, None when they share the container's line."""
        if container.children:
            first, last = container.children[0], container.children[-1]
            if "\n" not in self._text[container.start : first.start]:
                return None
            gap = (
                self._text[container.children[-2].node.end : last.start] if last != first else "\n"
            )
            return self._indent_at(last.start if "\n" in gap else first.start)
        if self._root.children and "\n" not in self._text[self._root.start : self._root.end]:
            return None
        return self._indent_at(container.start) + self._unit()

    def _indent_at(self, offset: int) -> str:
        line = self._text[self._text.rfind("\n", 0, offset) + 1 : offset]
        return line[: len(line) - len(line.lstrip(" \t"))]

    def _unit(self) -> str:
        """Returns one level of indentation: what is before the first member of the root."""
        if self._root.children:
            lead = self._text[self._root.start + 1 : self._root.children[0].start]
            unit = lead[lead.rfind("\n") + 1 :]
            if "\n" in lead and unit and not unit.strip(" \t"):
                return unit
        return "  "

    def _newline(self) -> str:
        return "\r\n" if "\r\n" in self._text else "\n"

    def _space(self) -> str:
        """Returns what follows commas and colons on one line: nothing in minified text."""
        first = next(iter(self._root.children), None)
        minified = first is not None and self._text[first.node.start - 1] == ":"
        return "" if minified else " "

    def _colon(self, indent: str | None) -> str:
        return ": " if indent is not None else ":" + self._space()


def dotted(path: Path) -> str:
    """Returns a path as people write it: ``hooks.Stop[0]``."""
    steps = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return steps.removeprefix(".") or "the root"


def _speaks(gap: str) -> bool:
    """Tells whether what is between two values is more than white space."""
    return bool(gap.strip(jsontree.WHITE_SPACE))
