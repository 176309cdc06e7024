"""Parses a shell command line: lists, pipelines, compound commands and redirections.

Owns the grammar of commands.  Must not evaluate anything and must not know what programs do
(`agentdiff.targets.shell` does).  What it does not understand for certain it refuses: the caller
then knows that it does not know.

Written for this purpose because the grammars at hand misread what agents write without saying so
(doc/decisions/0009-shell-parser.md).
"""

from __future__ import annotations

from typing import Final

from agentdiff.errors import MalformedPayload
from agentdiff.targets.shell_simple import CommandReader
from agentdiff.targets.shell_syntax import (
    Atom,
    Chain,
    Command,
    Compound,
    Redirect,
    Script,
    Word,
)
from agentdiff.targets.shell_words import META

MAX_COMMAND_BYTES: Final = 256 * 1024

_ENDING: Final = frozenset({"then", "elif", "else", "fi", "do", "done", "esac", "}"})


def parse(command: bytes) -> Script:
    """Returns what a command line says.

    Raises:
        MalformedPayload: it is no shell, is too long or too deep, or uses what is not understood.
    """
    if len(command) > MAX_COMMAND_BYTES:
        raise MalformedPayload(f"is longer than {MAX_COMMAND_BYTES} bytes")
    if b"\0" in command:
        raise MalformedPayload("holds a NUL byte")
    return _Parser(command.decode("latin-1")).whole()


class _Parser(CommandReader):
    """Reads lists and compound commands, each one from where the last one ended."""

    def whole(self) -> Script:
        """Reads all of the text."""
        script = self._script()
        if self.at < len(self.text):
            raise self.wrong("has a word or an operator where none can be")
        return script

    def nested(self, text: str) -> Script:
        """Reads a text of its own."""
        return _Parser(text, depth=self.depth + 1, budget=self.budget).whole()

    def document(self, text: str) -> tuple[Atom, ...]:
        """Reads the body of an unquoted here-document."""
        return _Parser(text, depth=self.depth + 1, budget=self.budget).double_quoted("")

    def script_until(self, closing: str) -> Script:
        """Reads commands up to the closing character and consumes it."""
        waiting, self.pending = self.pending, []
        self._deeper()
        script = self._script()
        self.depth -= 1
        if self.look() != closing:
            raise self.wrong(f"misses a {closing}")
        if self.pending:
            raise self.wrong("has a here-document without a body")
        self.at += 1
        self.pending = waiting
        return script

    def _deeper(self) -> None:
        self.depth += 1
        _Parser("", depth=self.depth, budget=self.budget)  # refuses what is too deep

    # --- lists -----------------------------------------------------------------------------------

    def _script(self) -> Script:
        """Reads chains until something that none can start with."""
        chains: list[Chain] = []
        while True:
            self.lines()
            if not self._starts_command():
                return Script(chains=tuple(chains))
            chain = self._chain()
            self.blanks()
            background = self.look() == "&" and self.look(2) != "&&"
            if background or (self.look() == ";" and self.look(2) not in (";;", ";&")):
                self.at += 1
            elif self.look() != "\n":
                chains.append(chain)
                return Script(chains=tuple(chains))
            chains.append(
                Chain(pipelines=chain.pipelines, joints=chain.joints, background=background)
            )

    def _starts_command(self) -> bool:
        self.blanks()
        char = self.look()
        if not char or char in ");|" or (char == "&" and self.look(2) != "&>"):
            return False
        return self._reserved() not in _ENDING

    def _reserved(self) -> str:
        """Returns the word that comes next when it is written bare, without reading it."""
        end = self.at
        while end < len(self.text) and end - self.at < 16 and self.text[end] not in META:
            end += 1
        text = self.text[self.at : end]
        return text if text.isalpha() or text in ("{", "}", "!", "[[") else ""

    def _expect(self, word: str) -> None:
        self.lines()
        if self._reserved() != word:
            raise self.wrong(f"misses {word!r}")
        self.at += len(word)

    def _chain(self) -> Chain:
        pipelines = [self._pipeline()]
        joints: list[str] = []
        while True:
            self.blanks()
            if self.look(2) not in ("&&", "||"):
                break
            joints.append(self.look(2))
            self.at += 2
            self.lines()
            pipelines.append(self._pipeline())
        known = tuple("&&" if joint == "&&" else "||" for joint in joints)
        return Chain(pipelines=tuple(pipelines), joints=known)  # type: ignore[arg-type]

    def _pipeline(self) -> tuple[Command, ...]:
        turned = False
        while (word := self._reserved()) in ("!", "time"):
            turned = turned or word == "!"
            self.at += len(word)
            self.blanks()
            if word == "time" and self.look(2) == "-p":
                self.at += 2
                self.blanks()
        commands = self._piped()
        if not turned:
            return commands
        # Whether it succeeds is the other way round: as a branch, nobody relies on either.
        script = Script(chains=(Chain(pipelines=(commands,)),))
        return (Compound(kind="branch", scripts=(script,)),)

    def _piped(self) -> tuple[Command, ...]:
        commands = [self._command()]
        while True:
            self.blanks()
            if self.look() != "|" or self.look(2) == "||":
                return tuple(commands)
            self.at += 2 if self.look(2) == "|&" else 1
            self.lines()
            commands.append(self._command())

    # --- commands --------------------------------------------------------------------------------

    def _command(self) -> Command:
        self.spend()
        self.blanks()
        if not self._starts_command():
            raise self.wrong("misses a command")
        if self.look(2) == "((":
            start = self.at
            self.at += 2
            scripts = self.arithmetic()
            if scripts is not None:
                return self._compound(Compound(kind="test", scripts=scripts))
            self.at = start
        if self.look() == "(":
            self.at += 1
            return self._compound(Compound(kind="subshell", scripts=(self.script_until(")"),)))
        word = self._reserved()
        self._deeper()
        compound = self._keyword(word)
        self.depth -= 1
        return self.simple() if compound is None else self._compound(compound)

    def _keyword(self, word: str) -> Compound | None:
        """Reads a compound command that a reserved word starts, without its redirections."""
        match word:
            case "{":
                self.at += 1
                script = self._script()
                self._expect("}")
                return Compound(kind="group", scripts=(script,))
            case "if":
                return self._if()
            case "while" | "until":
                self.at += len(word)
                return Compound(kind="loop", scripts=(self._script(), self._body()))
            case "for" | "select":
                self.at += len(word)
                return self._for()
            case "case":
                self.at += len(word)
                return self._case()
            case "[[":
                self.at += 2
                return self._test()
            case "function" | "coproc":
                raise self.wrong(f"uses {word!r}, which is not followed")
        return None

    def _compound(self, compound: Compound) -> Compound:
        """Adds the redirections behind a compound command."""
        redirects: list[Redirect] = []
        self.blanks()
        while self.redirect(redirects):
            self.blanks()
        return Compound(
            kind=compound.kind,
            scripts=compound.scripts,
            words=compound.words,
            redirects=redirects,
        )

    def _body(self) -> Script:
        self._expect("do")
        script = self._script()
        self._expect("done")
        return script

    def _if(self) -> Compound:
        scripts: list[Script] = []
        while self._reserved() in ("if", "elif"):
            self.at += len(self._reserved())
            scripts.append(self._script())
            self._expect("then")
            scripts.append(self._script())
            self.lines()
        if self._reserved() == "else":
            self.at += 4
            scripts.append(self._script())
        self._expect("fi")
        return Compound(kind="branch", scripts=tuple(scripts))

    def _for(self) -> Compound:
        self.blanks()
        words: list[Word] = []
        scripts: tuple[Script, ...] = ()
        if self.look(2) == "((":
            self.at += 2
            scripts = self.arithmetic() or ()
        else:
            self.word()
            self.lines()
            if self._reserved() == "in":
                self.at += 2
                words = self._words()
        self.blanks()
        if self.look() == ";":
            self.at += 1
        return Compound(kind="loop", scripts=(*scripts, self._body()), words=tuple(words))

    def _words(self) -> list[Word]:
        words: list[Word] = []
        while True:
            self.blanks()
            word = self.word()
            if not word.atoms:
                return words
            words.append(word)

    def _case(self) -> Compound:
        self.blanks()
        words = [self.word()]
        scripts: list[Script] = []
        self._expect("in")
        self.lines()
        while self._reserved() != "esac":
            self.at += self.look() == "("
            self.blanks()
            words.append(self.word())
            self.blanks()
            while self.look() == "|":
                self.at += 1
                self.blanks()
                words.append(self.word())
                self.blanks()
            if self.look() != ")":
                raise self.wrong("misses the ) of a pattern")
            self.at += 1
            scripts.append(self._script())
            self.blanks()
            ends = [end for end in (";;&", ";;", ";&") if self.look(len(end)) == end]
            self.at += len(ends[0]) if ends else 0
            self.lines()
            if not ends and self._reserved() != "esac":
                raise self.wrong("misses ;;")
        self._expect("esac")
        return Compound(kind="branch", scripts=tuple(scripts), words=tuple(words))

    def _test(self) -> Compound:
        """Reads ``[[ … ]]``, in which ``<``, ``>`` and parentheses redirect nothing."""
        words: list[Word] = []
        while True:
            self.lines()
            if self.look() in ("", ";"):
                raise self.wrong("has an open [[")
            if self.look() in META and self.look(2) not in ("<(", ">("):
                self.at += 1
                continue
            word = self.word()
            if word.bare == "]]":
                return Compound(kind="test", words=tuple(words))
            words.append(word)
