"""A user interface of Neovim that remembers its screen, and draws it as SVG.

Owns the protocol of ``:help ui`` as far as one grid needs it, and the picture.  Must not know what
is shown.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import escape

import msgpack  # type: ignore[import-untyped]

COLUMNS, ROWS = 100, 30
CELL_W, CELL_H, BASELINE = 8.4, 18, 13
IDLE_S = 0.5


@dataclass(slots=True)
class Cell:
    """One cell: its text, and the number of its highlight."""

    text: str = " "
    attribute: int = 0


@dataclass(slots=True)
class Colours:
    """What a highlight looks like; colours are 24 bits."""

    foreground: int
    background: int
    bold: bool = False
    italic: bool = False
    underline: bool = False


@dataclass(slots=True)
class Screen:
    """A connection to a Neovim, and the grid that it has drawn."""

    path: str
    grid: list[list[Cell]] = field(default_factory=list)
    highlights: dict[int, dict[str, Any]] = field(default_factory=dict)
    foreground: int = 0xFFFFFF
    background: int = 0
    cursor: tuple[int, int] = (0, 0)
    _socket: socket.socket = field(init=False)
    _unpacker: Any = field(init=False)
    _number: int = 0

    def __post_init__(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(self.path)
        self._unpacker = msgpack.Unpacker(raw=False, strict_map_key=False, unicode_errors="replace")

    def attach(self, columns: int, rows: int) -> None:
        """Becomes the screen."""
        options = {"ext_linegrid": True, "rgb": True}
        self._request("nvim_ui_attach", [columns, rows, options])

    def command(self, line: str) -> None:
        """Runs an Ex command."""
        self._request("nvim_command", [line])

    def lua(self, code: str) -> Any:  # noqa: ANN401
        """Runs Lua and returns its value."""
        return self._request("nvim_exec_lua", [code, []])

    def settle(self) -> None:
        """Draws anew, and reads until nothing more comes."""
        self._request("nvim_command", ["redraw!"])
        self._socket.settimeout(IDLE_S)
        try:
            while True:
                self._read()
        except TimeoutError:
            self._socket.settimeout(None)

    def colours(self, cell: Cell) -> Colours:
        """Returns how a cell looks."""
        found = self.highlights.get(cell.attribute, {})
        front = found.get("foreground", self.foreground)
        back = found.get("background", self.background)
        if found.get("reverse"):
            front, back = back, front
        return Colours(
            foreground=front,
            background=back,
            bold=bool(found.get("bold")),
            italic=bool(found.get("italic")),
            underline=bool(found.get("underline")),
        )

    # --- protocol --------------------------------------------------------------------------------

    def _request(self, method: str, arguments: list[Any]) -> Any:  # noqa: ANN401
        self._number += 1
        self._socket.sendall(msgpack.packb([0, self._number, method, arguments]))
        while True:
            for message in self._read():
                if message[0] == 1 and message[1] == self._number:
                    if message[2]:
                        raise OSError(f"{method}: {message[2]}")
                    return message[3]

    def _read(self) -> list[Any]:
        data = self._socket.recv(1 << 16)
        if not data:
            raise OSError("Neovim has gone")
        self._unpacker.feed(data)
        answers = []
        for message in self._unpacker:
            if message[0] == 2 and message[1] == "redraw":
                for name, *batches in message[2]:
                    for batch in batches:
                        self._draw(name, batch)
            else:
                answers.append(message)
        return answers

    def _draw(self, name: str, given: list[Any]) -> None:
        if name == "default_colors_set":
            self.foreground, self.background = given[0], given[1]
        elif name == "hl_attr_define":
            self.highlights[given[0]] = given[1]
        elif name == "grid_resize":
            _, width, height = given
            self.grid = [[Cell() for _ in range(width)] for _ in range(height)]
        elif name == "grid_clear":
            self.grid = [[Cell() for _ in row] for row in self.grid]
        elif name == "grid_cursor_goto":
            self.cursor = (given[1], given[2])
        elif name == "grid_line":
            self._line(given)
        elif name == "grid_scroll":
            self._scroll(given)

    def _line(self, given: list[Any]) -> None:
        _, row, column, cells, *_ = given
        attribute = 0
        for text, *more in cells:
            attribute = more[0] if more else attribute
            for _ in range(more[1] if len(more) > 1 else 1):
                self.grid[row][column] = Cell(text, attribute)
                column += 1

    def _scroll(self, given: list[Any]) -> None:
        _, top, bottom, left, right, rows, _ = given
        moved = range(top, bottom - rows) if rows > 0 else range(bottom - 1, top - rows - 1, -1)
        for row in moved:
            self.grid[row][left:right] = list(self.grid[row + rows][left:right])


def _runs(screen: Screen, row: list[Cell]) -> Iterator[tuple[int, int, str, Colours]]:
    """Yields (first column, columns, text, colours) of neighbours that look alike."""
    start = 0
    for column in range(1, len(row) + 1):
        if column == len(row) or row[column].attribute != row[start].attribute:
            text = "".join(cell.text for cell in row[start:column])
            yield start, column - start, text, screen.colours(row[start])
            start = column


def svg(screen: Screen, rows: int) -> str:
    """Returns the first rows of the screen as a picture."""
    width, height = len(screen.grid[0]) * CELL_W, rows * CELL_H
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width + 16:.0f} {height + 16:.0f}" '
        f'font-family="ui-monospace, Menlo, Consolas, monospace" font-size="14">'
    )
    out = [
        head,
        f'<rect width="100%" height="100%" rx="6" fill="#{screen.background:06x}"/>',
        '<g transform="translate(8 8)" xml:space="preserve">',
    ]
    for number, row in enumerate(screen.grid[:rows]):
        for column, count, text, look in _runs(screen, row):
            x, y = column * CELL_W, number * CELL_H
            if look.background != screen.background:
                out.append(
                    f'<rect x="{x:.1f}" y="{y}" width="{count * CELL_W + 0.5:.1f}" '
                    f'height="{CELL_H}" fill="#{look.background:06x}"/>'
                )
            if not text.strip():
                continue
            style = ' font-weight="bold"' * look.bold + ' font-style="italic"' * look.italic
            style += ' text-decoration="underline"' * look.underline
            out.append(
                f'<text x="{x:.1f}" y="{y + BASELINE}" textLength="{count * CELL_W:.1f}" '
                f'fill="#{look.foreground:06x}"{style}>{escape(text)}</text>'
            )
    return "\n".join([*out, "</g>", "</svg>", ""])
