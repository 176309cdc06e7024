"""Reads simple commands and redirections.

Owns everything between a word and a list of commands.  Must not know compound commands:
`agentdiff.targets.shell_parse`, its heir, does.
"""

from __future__ import annotations

from typing import Final

from agentdiff.targets.shell_syntax import Assignment, Atom, Redirect, Simple, Word
from agentdiff.targets.shell_words import Pending, WordReader

_REDIRECTS: Final = ("&>>", "<<<", "<<-", "&>", ">>", ">&", ">|", "<<", "<&", "<>", ">", "<")


class CommandReader(WordReader):
    """Reads one simple command after the other."""

    def lines(self) -> None:
        """Skips blanks and line ends; after a line end come its here-documents."""
        self.blanks()
        while self.look() == "\n":
            self.at += 1
            self.bodies()
            self.blanks()
        if self.at >= len(self.text) and self.pending:
            self.bodies()

    def simple(self) -> Simple:
        """Reads assignments, words and redirections; at least one of them."""
        assignments: list[Assignment] = []
        words: list[Word] = []
        redirects: list[Redirect] = []
        while True:
            self.blanks()
            if self.redirect(redirects):
                continue
            if self.look() == "(" and words and words[-1].head.endswith("="):
                words += self._array()  # declare -a name=(…)
                continue
            if self.look() == "(" and words:
                raise self.wrong("defines a function, which is not followed")
            start = self.at
            word = self.word()
            if self.at == start:
                break
            assigned = None if words else self._assignment(word)
            if assigned is None:
                words.append(word)
            else:
                assignments.append(assigned)
        if not (assignments or words or redirects):
            raise self.wrong("misses a command")
        # The list itself, not a copy: the bodies of here-documents are yet to come.
        return Simple(
            assignments=tuple(assignments),
            words=tuple(words),
            redirects=redirects,
        )

    def _assignment(self, word: Word) -> Assignment | None:
        """Returns the assignment that a word is, reading on for an array."""
        first = word.atoms[0]
        name, equals, rest = first.text.partition("=")
        name = name.removesuffix("+")
        index = name.find("[")
        bare = name if index < 0 else name[:index]
        if first.kind != "plain" or not equals or not bare.isidentifier() or not bare.isascii():
            return None
        value = Word(atoms=(Atom(kind="plain", text=rest), *word.atoms[1:]))
        if self.look() == "(" and not rest and len(word.atoms) == 1:
            return Assignment(name=bare, values=tuple(self._array()))
        return Assignment(name=bare, values=(value,))

    def _array(self) -> list[Word]:
        """Reads ``(…)`` behind an equals sign."""
        self.at += 1
        values: list[Word] = []
        while True:
            self.lines()
            element = self.word()
            if not element.atoms:
                break
            values.append(element)
        if self.look() != ")":
            raise self.wrong("has an open array")
        self.at += 1
        return values

    def redirect(self, redirects: list[Redirect]) -> bool:
        """Reads one redirection if one is here; its here-document comes with the line's end."""
        start = self.at
        while self.look().isdigit() and self.look().isascii():
            self.at += 1
        op = next((each for each in _REDIRECTS if self.look(len(each)) == each), "")
        process = op in ("<", ">") and self.look(2)[1:] == "("
        if not op or process or (op[0] == "&" and self.at > start):
            self.at = start
            return False
        self.at += len(op)
        self.blanks()
        target = self.word()
        if not target.atoms:
            raise self.wrong("misses the file of a redirection")
        if op == "<<<":
            redirects.append(Redirect(op=op, target=target, body=target))
            return True
        redirects.append(Redirect(op=op, target=target))
        if op in ("<<", "<<-"):
            if target.literal is None:
                raise self.wrong("has a here-document whose end is not known")
            self.pending.append(
                Pending(
                    redirects=redirects,
                    at=len(redirects) - 1,
                    delimiter=target.literal,
                    quoted=target.bare is None,
                    strip=op == "<<-",
                )
            )
        return True
