"""The values that a shell command line is parsed into.

Owns words (what is literal in them and what only a shell could know) and commands.  Must not parse
(`agentdiff.targets.shell_parse`) and must not know what any program does.  Text is one character a
byte (Latin-1), so that any bytes can be carried and named.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

AtomKind: TypeAlias = Literal["plain", "quoted", "glob", "tilde", "expansion"]
CompoundKind: TypeAlias = Literal["group", "subshell", "branch", "loop", "function", "test"]

MAX_EXPANDED: Final = 64
MAX_BRACED: Final = 256
"""Words that braces may make of one, and the pieces that this one may have; of more than that
becomes one word that is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Atom:
    """A piece of a word.

    Attributes:
        kind: ``plain`` and ``quoted`` are literal text; ``glob`` (``*``, ``?``, ``[``), ``tilde``
            and ``expansion`` (variable, substitution, arithmetic) are known only to a shell.
        text: the literal text, quotes removed; of the others what stood there.
        scripts: commands that run while the word is expanded.
    """

    kind: AtomKind
    text: str
    scripts: tuple[Script, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """One word before expansion."""

    atoms: tuple[Atom, ...] = ()

    @property
    def literal(self) -> str | None:
        """The text if no expansion can change it, braces aside; None otherwise."""
        if all(atom.kind in ("plain", "quoted") for atom in self.atoms):
            return "".join(atom.text for atom in self.atoms)
        return None

    @property
    def bare(self) -> str | None:
        """The text if nothing in it was quoted either, as reserved words must be written."""
        if all(atom.kind == "plain" for atom in self.atoms):
            return "".join(atom.text for atom in self.atoms)
        return None

    @property
    def head(self) -> str:
        """The literal text that the word starts with, as far as it goes."""
        out = ""
        for atom in self.atoms:
            if atom.kind not in ("plain", "quoted"):
                break
            out += atom.text
        return out

    @property
    def globs(self) -> bool:
        """Whether only file names decide what it becomes."""
        kinds = {atom.kind for atom in self.atoms}
        return "glob" in kinds and not kinds & {"expansion", "tilde"}

    @property
    def scripts(self) -> tuple[Script, ...]:
        """The commands that run while it is expanded."""
        return tuple(script for atom in self.atoms for script in atom.scripts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect:
    """One redirection.

    Attributes:
        op: as it is written, without the file descriptor.
        target: the file, or for a here-document its delimiter.
        body: the here-document or here-string, None for a file.
    """

    op: str
    target: Word
    body: Word | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """``name=value`` before a command, or alone; an array has one value for each word."""

    name: str
    values: tuple[Word, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Simple:
    """A simple command: assignments, words (the first one is the program) and redirections."""

    assignments: tuple[Assignment, ...] = ()
    words: tuple[Word, ...] = ()
    redirects: Sequence[Redirect] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Compound:
    """A compound command: the scripts inside it, in order, and the words that it expands.

    Attributes:
        kind: ``branch`` runs one of its scripts or none after the first (``if``, ``case``), a
            ``loop`` all of them any number of times; ``test`` is ``[[ ]]`` or ``(( ))``.
    """

    kind: CompoundKind
    scripts: tuple[Script, ...] = ()
    words: tuple[Word, ...] = ()
    redirects: Sequence[Redirect] = ()


Command: TypeAlias = Simple | Compound


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Pipelines joined by ``&&`` and ``||``.

    Attributes:
        pipelines: at least one; each is at least one command.
        joints: the operator before each pipeline but the first.
        background: whether ``&`` ends it.
    """

    pipelines: tuple[tuple[Command, ...], ...]
    joints: tuple[Literal["&&", "||"], ...] = ()
    background: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """Chains, one after the other."""

    chains: tuple[Chain, ...] = ()


def brace_expand(word: Word) -> tuple[Word, ...]:
    """Returns the words that ``{a,b}`` makes of one; a range or too many give an unknown word."""
    if not any(atom.kind == "plain" and "{" in atom.text for atom in word.atoms):
        return (word,)
    unknown = (Word(atoms=(Atom(kind="expansion", text="{}", scripts=word.scripts),)),)
    todo: list[tuple[Atom, ...]] = [_single(word.atoms)]
    if len(todo[0]) > MAX_BRACED:
        return unknown
    done: list[Word] = []
    while todo:
        atoms = todo.pop()
        opened = _first_braces(atoms)
        if opened is None:
            done.append(Word(atoms=_joined(atoms)))
        elif opened == "range" or len(todo) + len(done) + len(opened) > MAX_EXPANDED:
            return unknown
        else:
            todo += reversed(opened)
    return tuple(done)


def _single(atoms: tuple[Atom, ...]) -> tuple[Atom, ...]:
    """Returns the atoms with one character in each plain one that may hold braces."""
    out: list[Atom] = []
    for atom in atoms:
        if atom.kind == "plain" and any(char in atom.text for char in "{},."):
            out += [Atom(kind="plain", text=char) for char in atom.text]
        else:
            out.append(atom)
    return tuple(out)


def _joined(atoms: tuple[Atom, ...]) -> tuple[Atom, ...]:
    out: list[Atom] = []
    for atom in atoms:
        if out and atom.kind == out[-1].kind == "plain":
            out[-1] = Atom(kind="plain", text=out[-1].text + atom.text)
        else:
            out.append(atom)
    return tuple(out)


def _first_braces(
    atoms: tuple[Atom, ...],
) -> list[tuple[Atom, ...]] | Literal["range"] | None:
    """Returns what the first real pair of braces makes of the atoms, None when there is none."""
    marks = [atom.text if atom.kind == "plain" else "" for atom in atoms]
    for start, mark in enumerate(marks):
        if mark != "{":
            continue
        depth, cuts, dots = 0, [start], False
        for at in range(start, len(marks)):
            depth += (marks[at] == "{") - (marks[at] == "}")
            if depth == 1 and marks[at] == ",":
                cuts.append(at)
            dots = dots or (depth == 1 and marks[at : at + 2] == [".", "."])
            if depth == 0:
                cuts.append(at)
                break
        if depth == 0 and len(cuts) > 2:
            head, tail = atoms[:start], atoms[cuts[-1] + 1 :]
            pairs = itertools.pairwise(cuts)
            return [head + atoms[left + 1 : right] + tail for left, right in pairs]
        if depth == 0 and dots:
            return "range"
    return None
