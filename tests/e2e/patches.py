"""Patches for the comparison with Codex: seeded, so that a failure can be had again.

Owns the generator: `generate` returns the files of a small tree and a patch for them.  A third of
the patches apply, many only by the tolerant passes; the others fail, some half way, or are no patch
at all.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

WORDS = (
    "alpha",
    "beta",
    "gamma",
    "if x:",
    "  return 1",
    "\tend",
    "",
    "}",
    "alpha",
    "a - b",
    "it's",
)
FANCY = {
    "-": ("\u2010", "\u2013", "\u2014", "\u2212"),
    "'": ("\u2018", "\u2019", "\u201b"),
    " ": ("\u00a0", "\u2003", "\u202f", "\u3000"),
}
NAMES = ("a.txt", "b.py", "d/c.txt", "d/e/f.txt", "ä ö.txt", "link", "dangling", "nothere.txt", "d")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A tree (path → bytes, or link target as text) and a patch."""

    seed: int
    tree: dict[str, bytes | str]
    patch: str


@dataclass(slots=True)
class Maker:
    """Makes one case from one seed."""

    seed: int
    random: random.Random
    texts: dict[str, str] = field(default_factory=dict)
    tree: dict[str, bytes | str] = field(default_factory=dict)

    def make(self) -> Case:
        """Returns the case."""
        self.grow()
        count = self.random.choice((1, 1, 1, 2, 2, 3, 4))
        body = "".join(self.operation() for _ in range(count))
        patch = f"*** Begin Patch\n{body}*** End Patch"
        if self.random.random() < 0.25:
            patch = self.random.choice(TWISTS)(self, patch)
        return Case(seed=self.seed, tree=self.tree, patch=patch)

    def grow(self) -> None:
        """Makes a few files and links."""
        for name in ("a.txt", "b.py", "d/c.txt", "d/e/f.txt", "ä ö.txt"):
            if self.random.random() < 0.7:
                self.texts[name] = self.text()
                self.tree[name] = self.texts[name].encode()
        if "a.txt" in self.texts and self.random.random() < 0.3:
            self.tree["link"] = "a.txt"
            self.texts["link"] = self.texts["a.txt"]
        if self.random.random() < 0.2:
            self.tree["dangling"] = self.random.choice(("gone.txt", "no/folder", "dangling"))
        if self.random.random() < 0.1:
            self.tree["b.py"] = b"\xff\xfe" + self.text().encode()

    def text(self) -> str:
        """Returns a file: few different lines, any line ends, with or without the last one."""
        lines = [self.fancy(self.random.choice(WORDS)) for _ in range(self.random.randrange(12))]
        style = self.random.choice(("\n", "\n", "\r\n", "mixed", "\r"))
        ends = ("\n", "\r\n") if style == "mixed" else (style,)
        text = "".join(
            line + self.random.choice(("", "", "  ", "\t")) + self.random.choice(ends)
            for line in lines
        )
        return text.rstrip("\r\n") if self.random.random() < 0.3 else text

    def fancy(self, line: str) -> str:
        """Sometimes dresses a line in the characters that Codex takes for plain ones."""
        if self.random.random() > 0.2:
            return line
        return "".join(self.random.choice(FANCY.get(char, (char,))) for char in line)

    def operation(self) -> str:
        """Returns one operation; it may well be one that fails."""
        kind = self.random.random()
        if kind < 0.2:
            name = self.random.choice((*NAMES, "new.txt", "n/e/w.txt", "./d/../x.txt", "t\tab.txt"))
            lines = "".join(
                f"+{self.random.choice(WORDS)}\n" for _ in range(self.random.randrange(4))
            )
            return f"*** Add File: {name}\n{lines}"
        if kind < 0.32:
            return f"*** Delete File: {self.random.choice(NAMES)}\n"
        known = [*self.texts] or ["a.txt"]
        name = self.random.choice(known if self.random.random() < 0.9 else NAMES)
        text = f"*** Update File: {name}\n"
        if self.random.random() < 0.25:
            to = self.random.choice(
                ("moved.txt", "m/o/v.txt", name, "d", "link", "a.txt/x", "b.py")
            )
            text += f"*** Move to: {to}\n"
        return text + self.chunks(self.texts.get(name, self.text()))

    def chunks(self, text: str) -> str:
        """Returns one to three chunks that fit the text, more or less."""
        lines = [line.removesuffix("\r") for line in text.split("\n")]
        out, at = "", 0
        for number in range(self.random.choice((1, 1, 1, 2, 3))):
            start = self.random.randint(at, max(at, len(lines) - 1))
            stop = min(len(lines), start + self.random.choice((0, 1, 1, 2, 3, 4)))
            anchored = self.random.random() < 0.25 and start > at
            if number or self.random.random() < 0.85:
                where = self.blur(lines[self.random.randrange(at, start)]) if anchored else ""
                out += f"@@ {where}\n" if where.strip() else "@@\n"
            out += self.edit(lines[start:stop])
            if self.random.random() < (0.5 if stop >= len(lines) - 1 else 0.05):
                out += "*** End of File\n"
            at = stop if self.random.random() < 0.9 else 0
        return out

    def edit(self, lines: list[str]) -> str:
        """Returns the lines of one chunk: each one kept, dropped or replaced, some added."""
        out = ""
        for line in lines:
            kind = self.random.random()
            if kind < 0.5:
                out += f" {self.blur(line)}\n"
            elif kind < 0.75:
                out += f"-{self.blur(line)}\n"
            else:
                out += f"-{self.blur(line)}\n+{self.random.choice(WORDS)}\n"
        return out + f"+{self.random.choice(WORDS)}\n" * self.random.choice((0, 1, 1, 2))

    def blur(self, line: str) -> str:
        """Writes a line as a model remembers it."""
        kind = self.random.random()
        if kind < 0.75:
            return line
        if kind < 0.83:
            return line.rstrip() + self.random.choice(("", " ", "\x1c"))
        if kind < 0.9:
            return "  " + line.strip()
        if kind < 0.97:
            plain = {fancy: char for char, fancies in FANCY.items() for fancy in fancies}
            return "".join(plain.get(char, char) for char in line)
        return self.random.choice(WORDS)


def _wrap(maker: Maker, patch: str) -> str:
    start, end = maker.random.choice((("<<EOF", "EOF"), ("<<'EOF'", "EOF"), ("<<X", "X")))
    return f"{start}\n{patch}\n{end}\n"


def _drop(maker: Maker, patch: str) -> str:
    lines = patch.split("\n")
    del lines[maker.random.randrange(len(lines))]
    return "\n".join(lines)


def _twice(maker: Maker, patch: str) -> str:
    lines = patch.split("\n")
    at = maker.random.randrange(len(lines))
    return "\n".join([*lines[:at], lines[at], *lines[at:]])


def _insert(maker: Maker, patch: str) -> str:
    lines = patch.split("\n")
    junk = ("junk", "", " ", "*** End Patch", "*** End of File", "@@", "*** Move to: q", "\u2003")
    odd = ("*** Environment ID: e", "*** Environment ID:", "*** Frobnicate File: x", "@@@", "***")
    lines.insert(maker.random.randrange(len(lines) + 1), maker.random.choice(junk + odd))
    return "\n".join(lines)


def _indent(maker: Maker, patch: str) -> str:
    lines = patch.split("\n")
    at = maker.random.randrange(len(lines))
    lines[at] = maker.random.choice((f" {lines[at]}", f"{lines[at]} ", f"\t{lines[at]}\t"))
    return "\n".join(lines)


def _crlf(maker: Maker, patch: str) -> str:
    return patch.replace("\n", maker.random.choice(("\r\n", "\r\r\n", "\r"))) + "\r\n"


TWISTS: tuple[Callable[[Maker, str], str], ...] = (
    *(_wrap, _drop, _drop, _twice, _insert, _insert, _insert, _indent, _indent, _crlf),
)


def generate(seed: int) -> Case:
    """Returns the case of a seed."""
    return Maker(seed=seed, random=random.Random(seed)).make()
