"""Reads the words of a shell command line: quotes, expansions and here-documents.

Owns everything below the level of a word.  Must not evaluate anything, and must not know commands:
what stands in a substitution is given back to `agentdiff.targets.shell_parse`, which is this
class's heir.  The rules are those of bash 5 ("Quoting", "Shell Expansions"); zsh and sh agree where
agents write for them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Final

from agentdiff.errors import MalformedPayload
from agentdiff.targets.shell_syntax import Atom, AtomKind, Redirect, Script, Word

MAX_DEPTH: Final = 24
"""Deepest nesting of commands in commands; real command lines have three or four levels."""

MAX_STEPS: Final = 40_000
"""Work for one command line, about 25 kB of commands; the lines of here-documents cost little.  An
agent waits while it is done: some 0.2 s at most."""

META: Final = frozenset(" \t\n|&;()<>")
_SPECIAL: Final = frozenset("\\'\"$`*?[~") | META
_NAME_START: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
_DIGITS: Final = frozenset("0123456789")
_NAME: Final = _NAME_START | _DIGITS
_PARAMETERS: Final = frozenset("@*#?-$!") | _DIGITS
_ESCAPES: Final = dict(zip("abeEfnrtv\\'\"?", "\a\b\x1b\x1b\f\n\r\t\v\\'\"?", strict=True))


@dataclass(slots=True)
class Pending:
    """A here-document whose body has not been reached; `redirects[at]` waits for it."""

    redirects: list[Redirect]
    at: int
    delimiter: str
    quoted: bool
    strip: bool


class WordReader(ABC):
    """A place in a text, and what can be read from there.

    Args:
        text: one character a byte.
        depth: how deep this text is nested in others.
        budget: steps that may be taken, shared with nested readers; a bound on the work, because
            an opening ``((`` is read twice when it turns out not to be arithmetic.
    """

    def __init__(self, text: str, *, depth: int = 0, budget: list[int] | None = None) -> None:
        self.text = text
        self.at = 0
        self.depth = depth
        self.budget = [MAX_STEPS] if budget is None else budget
        self.pending: list[Pending] = []
        if depth > MAX_DEPTH:
            raise MalformedPayload(f"is nested deeper than {MAX_DEPTH} levels")

    @abstractmethod
    def script_until(self, closing: str) -> Script:
        """Reads commands up to the closing character and consumes it."""

    @abstractmethod
    def nested(self, text: str) -> Script:
        """Reads commands that are a text of their own."""

    @abstractmethod
    def document(self, text: str) -> tuple[Atom, ...]:
        """Reads the body of an unquoted here-document."""

    # --- small steps -----------------------------------------------------------------------------

    def look(self, count: int = 1) -> str:
        """Returns the next characters, fewer at the end."""
        return self.text[self.at : self.at + count]

    def spend(self, steps: int = 1) -> None:
        """Counts work, so that no text can make it endless."""
        self.budget[0] -= steps
        if self.budget[0] < 0:
            raise MalformedPayload("takes too long to be read")

    def wrong(self, reason: str) -> MalformedPayload:
        """Returns the error of this place."""
        return MalformedPayload(f"{reason} at byte {self.at}")

    def blanks(self) -> None:
        """Skips blanks, continued lines and a comment."""
        while True:
            self.spend()
            if self.look() in (" ", "\t") and self.look():
                self.at += 1
            elif self.look(2) == "\\\n":
                self.at += 2
            elif self.look() == "#":
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            else:
                return

    # --- words -----------------------------------------------------------------------------------

    def word(self) -> Word:
        """Reads one word; an empty one where none starts."""
        atoms: list[Atom] = []
        while self.at < len(self.text):
            self.spend()
            char = self.text[self.at]
            if char in "<>" and self.look(2)[1:] == "(" and not atoms:
                self.at += 2
                script = self.script_until(")")
                atoms.append(Atom(kind="expansion", text=f"{char}()", scripts=(script,)))
            elif char in META:
                break
            else:
                atoms += self._piece(char, first=not atoms)
        return Word(atoms=tuple(atoms))

    def _piece(self, char: str, *, first: bool) -> tuple[Atom, ...]:
        if char == "\\":
            self.at += 2
            kept = self.text[self.at - 1 : self.at]
            return () if kept == "\n" else (Atom(kind="quoted", text=kept),)
        if char == "'":
            return (Atom(kind="quoted", text=self._until("'")),)
        if char == '"':
            self.at += 1
            return (Atom(kind="quoted", text=""), *self.double_quoted('"'))
        if char == "$":
            return self.dollar(quoted=False)
        if char == "`":
            return (self.backticks(),)
        self.at += 1
        if char in "*?[" and not (char == "[" and self.look() in (META | {""})):
            return (Atom(kind="glob", text=char),)
        if char == "~" and first:
            return (Atom(kind="tilde", text=char),)
        start = self.at - 1
        while self.at < len(self.text) and self.text[self.at] not in _SPECIAL:
            self.at += 1
        self.spend(self.at - start)
        return (Atom(kind="plain", text=self.text[start : self.at]),)

    def _until(self, quote: str) -> str:
        """Reads up to a closing quote in which nothing is special."""
        end = self.text.find(quote, self.at + 1)
        if end < 0:
            raise self.wrong(f"has an open {quote}")
        inside = self.text[self.at + 1 : end]
        self.at = end + 1
        return inside

    def double_quoted(self, closing: str) -> tuple[Atom, ...]:
        """Reads up to an unescaped closing character (none: to the end) as inside double quotes."""
        atoms: list[Atom] = []
        kept = ""
        while self.look() != closing:
            self.spend()
            char = self.look()
            if not char:
                raise self.wrong(f"has an open {closing}")
            if char in "$`":
                atoms.append(Atom(kind="quoted", text=kept))
                kept = ""
                atoms += self.dollar(quoted=True) if char == "$" else (self.backticks(),)
            elif char == "\\" and self.look(2)[1:] in ("$", "`", "\\", "\n", closing or "$"):
                kept += "" if self.look(2)[1:] == "\n" else self.look(2)[1:]
                self.at += 2
            else:
                kept += char
                self.at += 1
        self.at += len(closing)
        return (*atoms, Atom(kind="quoted", text=kept))

    # --- expansions ------------------------------------------------------------------------------

    def dollar(self, *, quoted: bool) -> tuple[Atom, ...]:
        """Reads what a ``$`` starts."""
        start, follows = self.at, self.text[self.at + 1 : self.at + 2]
        scripts: tuple[Script, ...] = ()
        if follows == "'" and not quoted:
            self.at += 1
            return (Atom(kind="quoted", text=self._ansi()),)
        if follows == '"' and not quoted:
            self.at += 2
            return (Atom(kind="quoted", text=""), *self.double_quoted('"'))
        if self.look(3) == "$((":
            scripts = self._arithmetic_or_command()
        elif follows == "(":
            self.at += 2
            scripts = (self.script_until(")"),)
        elif follows == "{":
            scripts = self._parameter('$`"\\' if quoted else "$`'\"\\")
        elif follows in _NAME_START and follows:
            self.at += 1
            while self.look() in _NAME and self.look():
                self.at += 1
        elif follows in _PARAMETERS and follows:
            self.at += 2
        else:
            self.at += 1
            kind: AtomKind = "quoted" if quoted else "plain"
            return (Atom(kind=kind, text="$"),)
        return (Atom(kind="expansion", text=self.text[start : self.at], scripts=scripts),)

    def _arithmetic_or_command(self) -> tuple[Script, ...]:
        start = self.at
        self.at += 3
        scripts = self.arithmetic()
        if scripts is None:
            self.at = start + 2
            scripts = (self.script_until(")"),)
        return scripts

    def arithmetic(self) -> tuple[Script, ...] | None:
        """Reads up to the ``))`` that closes; None when it is no arithmetic after all."""
        scripts: list[Script] = []
        depth = 0
        while char := self.look():
            self.spend()
            if char in "$`'\"\\":
                scripts += self._inside(char)
                continue
            if char == ")" and depth == 0:
                if self.look(2) != "))":
                    return None
                self.at += 2
                return tuple(scripts)
            depth += (char == "(") - (char == ")")
            self.at += 1
        raise self.wrong("has an open ((")

    def _parameter(self, special: str) -> tuple[Script, ...]:
        """Reads ``${…}``, which may hold words with commands in them."""
        self.at += 2
        if self.look() in (" ", "\t", "\n", "|"):
            raise self.wrong("has a ${ with a command in it")
        scripts: list[Script] = []
        depth = 0
        while char := self.look():
            self.spend()
            if char in special:
                scripts += self._inside(char)
                continue
            if char == "}" and depth == 0:
                self.at += 1
                return tuple(scripts)
            depth += (char == "{") - (char == "}")
            self.at += 1
        raise self.wrong("has an open ${")

    def _inside(self, char: str) -> tuple[Script, ...]:
        """Reads one quoted or expanded piece inside an expansion; returns the commands in it."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.wrong(f"is nested deeper than {MAX_DEPTH} levels")
        atoms = self._piece(char, first=False)
        self.depth -= 1
        return tuple(script for atom in atoms for script in atom.scripts)

    def backticks(self) -> Atom:
        """Reads a command in backticks, its own backslashes removed."""
        start = self.at
        self.at += 1
        inside = ""
        while (char := self.look()) != "`":
            self.spend()
            if not char:
                raise self.wrong("has an open backtick")
            if char == "\\" and self.look(2)[1:] in ("`", "\\", "$"):
                self.at += 1
            inside += self.look()
            self.at += 1
        self.at += 1
        script = self.nested(inside)
        return Atom(kind="expansion", text=self.text[start : self.at], scripts=(script,))

    def _ansi(self) -> str:
        r"""Reads ``$'…'`` with its escapes, which name bytes (``\xff``, ``\377``, ``\u00e4``)."""
        self.at += 1
        out = ""
        while (char := self.look()) != "'":
            self.spend()
            if not char:
                raise self.wrong("has an open $'")
            self.at += 1
            out += self._escape() if char == "\\" else char
        self.at += 1
        return out

    def _escape(self) -> str:
        kind = self.look()
        self.at += 1
        if kind in _ESCAPES:
            return _ESCAPES[kind]
        if kind in ("x", "u", "U"):
            digits = self._digits("0123456789abcdefABCDEF", {"x": 2, "u": 4, "U": 8}[kind])
            code = int(digits or "0", 16)
            if not digits or code == 0 or code > 0x10FFFF or 0xD800 <= code < 0xE000:
                raise self.wrong("has an escape that names no character")
            return chr(code) if kind == "x" else chr(code).encode().decode("latin-1")
        if kind == "c":
            self.at += 1
            return chr(ord(self.text[self.at - 1 : self.at] or "@") & 0x1F)
        if kind in "01234567" and kind:
            self.at -= 1
            return chr(int(self._digits("01234567", 3), 8) & 0xFF)
        return "\\" + kind

    def _digits(self, allowed: str, most: int) -> str:
        start = self.at
        while self.at - start < most and self.look() in allowed and self.look():
            self.at += 1
        return self.text[start : self.at]

    # --- here-documents --------------------------------------------------------------------------

    def bodies(self) -> None:
        """Reads the bodies of the here-documents of the line that just ended."""
        for waiting in self.pending:
            lines: list[str] = []
            while True:
                line, ended = self._line(waiting)
                if ended or line == waiting.delimiter:
                    break
                lines.append(line + "\n")
            text = "".join(lines)
            atoms: tuple[Atom, ...] = (Atom(kind="quoted", text=text),)
            if not waiting.quoted and any(char in text for char in "$`\\"):
                atoms = self.document(text)
            redirect = waiting.redirects[waiting.at]
            waiting.redirects[waiting.at] = Redirect(
                op=redirect.op, target=redirect.target, body=Word(atoms=atoms)
            )
        self.pending = []

    def _line(self, waiting: Pending) -> tuple[str, bool]:
        """Returns the next line of a body, and whether the text was over instead."""
        if self.at >= len(self.text):
            return "", True
        line = ""
        while True:
            end = self.text.find("\n", self.at)
            end = len(self.text) if end < 0 else end
            part = self.text[self.at : end]
            self.spend(1 + len(part) // 16)
            line += part.lstrip("\t") if waiting.strip and not line else part
            self.at = end + 1
            slashes = len(part) - len(part.rstrip("\\"))
            # A continued line cannot be the delimiter; quoted bodies know no continued lines.
            if waiting.quoted or slashes % 2 == 0 or self.at >= len(self.text):
                self.at = min(self.at, len(self.text))
                return line, False
            line += "\n"
