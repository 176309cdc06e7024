"""Which paths will a shell command line touch, before it runs.

Owns the walk over what was parsed: working directories, redirections, and which look is taken at
which program.  Must not run, expand or evaluate anything: what only a shell could know makes the
answer incomplete, never wrong.  It sharpens labels; nothing is safe because of it.  Hop 2.

What is taken for granted: a program on the list is the usual one of that name, ``..`` crosses no
link, no file name that a pattern finds starts with ``-``, and redirections into devices write
nothing.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from typing import Final

from agentdiff.errors import MalformedPayload
from agentdiff.targets import shell_files, shell_git, shell_readers
from agentdiff.targets.shell_effects import (
    UNKNOWN_NAME,
    Arg,
    Call,
    Cwds,
    Notes,
    Options,
    ShellTargets,
    joined,
    places,
    read_options,
)
from agentdiff.targets.shell_parse import parse
from agentdiff.targets.shell_syntax import (
    Assignment,
    Chain,
    Command,
    Compound,
    Redirect,
    Script,
    Simple,
    Word,
    brace_expand,
)

MAX_NESTED: Final = 6
"""How many programs that run programs (``sudo``, ``bash -c``) are followed into each other."""
MAX_WORDS: Final = 1024

_FOLDERS: Final = ("/bin/", "/usr/bin/", "/usr/local/bin/", "/opt/homebrew/bin/")
_SHELLS: Final = frozenset({"sh", "bash", "zsh", "dash", "ksh"})
_BEYOND_POSIX: Final = ("((", "[[", "$'", '$"', "<<<", "&>", ">&", "|&", "<(", ">(", "=(")
_PROCESSES: Final = frozenset({"<()", ">()"})
_NICE: Final = Options(takes="n", stops=True)
_PLAIN: Final = Options(stops=True)
_WRAPPERS: Final[dict[str, tuple[Options, int]]] = {
    "builtin": (_PLAIN, 0),
    "caffeinate": (Options(flags="dimsu", takes="t", stops=True), 0),
    "command": (Options(flags="p", stops=True), 0),
    "doas": (Options(flags="n", takes="u", stops=True), 0),
    "exec": (Options(flags="cl", takes="a", stops=True), 0),
    "ionice": (Options(flags="t", takes="cn", stops=True), 0),
    "nice": (_NICE, 0),
    "nohup": (_PLAIN, 0),
    "setsid": (Options(flags="cfw", stops=True), 0),
    "stdbuf": (Options(takes="ioe", stops=True), 0),
    "sudo": (Options(flags="EHSnkb", takes="ugpC", stops=True), 0),
    "time": (Options(flags="pv", takes="f", stops=True), 0),
    "timeout": (
        Options(
            flags="v",
            takes="ks",
            long_flags=frozenset({"foreground", "preserve-status", "verbose"}),
            long_takes=frozenset({"signal", "kill-after"}),
            stops=True,
        ),
        1,
    ),
}
"""Programs that run the one behind their options, and how many operands come before that."""

_XARGS: Final = Options(
    flags="0rtpxo",
    takes="aEILnPsdJR",
    long_flags=frozenset({"null", "no-run-if-empty", "verbose", "max-args", "max-procs"}),
    long_takes=frozenset({"delimiter", "replace"}),
    stops=True,
)


def analyse(command: bytes, cwd: bytes | None) -> ShellTargets:
    """Returns what a command line may change; never fails and always ends.

    Args:
        command: the text that a shell would get (``bash -c``), exact bytes.
        cwd: absolute folder where it starts, None when it is not known.
    """
    notes = Notes()
    _Walk(notes, 0).text(command, None if cwd is None else frozenset([cwd]))
    return notes.targets()


class _Walk:
    """One walk over a parsed command line.

    A walk gives back where the shell may be afterwards: when the last command succeeded, and when
    it failed.
    """

    def __init__(self, notes: Notes, nested: int) -> None:
        self._notes = notes
        self._nested = nested
        self._words = 0

    def text(self, command: bytes, cwds: Cwds) -> None:
        """Looks at a text of its own."""
        if self._nested > MAX_NESTED:
            self._unknown(f"runs commands in commands, more than {MAX_NESTED} deep")
            return
        try:
            script = parse(command)
        except MalformedPayload as error:
            self._unknown(f"the command line {error}")
            return
        self._script(script, cwds)

    def _unknown(self, reason: str) -> None:
        self._notes.reasons[reason] = None

    # --- the shell's own grammar -----------------------------------------------------------------

    def _script(self, script: Script, cwds: Cwds) -> Cwds:
        for chain in script.chains:
            good, bad = self._chain(chain, cwds)
            cwds = cwds if chain.background else joined(good, bad)
        return cwds

    def _chain(self, chain: Chain, cwds: Cwds) -> tuple[Cwds, Cwds]:
        good, bad = self._pipeline(chain.pipelines[0], cwds)
        for joint, pipeline in zip(chain.joints, chain.pipelines[1:], strict=True):
            then, failed = self._pipeline(pipeline, good if joint == "&&" else bad)
            if joint == "&&":
                good, bad = then, joined(bad, failed)
            else:
                good, bad = joined(good, then), failed
        return good, bad

    def _pipeline(self, commands: Sequence[Command], cwds: Cwds) -> tuple[Cwds, Cwds]:
        if len(commands) == 1:
            return self._command(commands[0], cwds, None)
        fed: Word | None = None
        for command in commands:
            self._command(command, cwds, fed)
            fed = _passed_on(command)
        return cwds, cwds

    def _command(self, command: Command, cwds: Cwds, fed: Word | None) -> tuple[Cwds, Cwds]:
        for redirect in command.redirects:
            self._redirect(redirect, cwds)
        if isinstance(command, Simple):
            return self._simple(command, cwds, fed)
        self._expand(command.words, cwds)
        after = self._compound(command, cwds)
        return after, after

    def _compound(self, command: Compound, cwds: Cwds) -> Cwds:
        if command.kind == "subshell":
            self._script(command.scripts[0], cwds)
            return cwds
        if command.kind == "loop":
            if not _within(self._any(command.scripts, cwds), cwds):
                # It moves on with every turn: who knows where the second one starts.
                cwds = self._any(command.scripts, None)
            return cwds
        if command.kind == "group":
            return self._script(command.scripts[0], cwds)
        return self._any(command.scripts, cwds)

    def _any(self, scripts: Sequence[Script], cwds: Cwds) -> Cwds:
        """Looks at scripts of which any may be left out."""
        for script in scripts:
            cwds = joined(cwds, self._script(script, cwds))
        return cwds

    def _redirect(self, redirect: Redirect, cwds: Cwds) -> None:
        for word in (redirect.target, redirect.body):
            for script in word.scripts if word is not None else ():
                self._script(script, cwds)
        if redirect.op in ("<", "<<", "<<-", "<<<", "<&"):
            return
        text = redirect.target.literal
        if redirect.op == ">&" and text is not None and (text.isdigit() or text in ("-", "")):
            return
        [arg, *more] = self._expand([redirect.target], cwds, scripts=False)
        if more:
            self._unknown("redirects into what only the shell knows")
        self._call("a redirection", [], cwds, None).note("write", arg)

    def _expand(self, words: Sequence[Word], cwds: Cwds, *, scripts: bool = True) -> list[Arg]:
        """Returns the arguments that words make, looking at the commands inside them."""
        args: list[Arg] = []
        for word in words:
            for script in word.scripts if scripts else ():
                self._script(script, cwds)
            expanded = brace_expand(word)
            args += [_arg(each) for each in expanded]
        self._words += len(args)
        if self._words > MAX_WORDS:
            self._unknown(f"has more than {MAX_WORDS} words")
            return args[:1]
        return args

    # --- commands --------------------------------------------------------------------------------

    def _simple(self, command: Simple, cwds: Cwds, fed: Word | None) -> tuple[Cwds, Cwds]:
        for assignment in command.assignments:
            self._assign(assignment, cwds)
        args = self._expand(command.words, cwds)
        bodies = [redirect.body for redirect in command.redirects if redirect.op[:2] in ("<", "<<")]
        stdin = bodies[-1] if bodies else fed
        if not args:
            return cwds, cwds
        if args[0].text in ("cd", "pushd", "popd", "chdir"):
            return self._cd(args, cwds), cwds
        self._run(args, cwds, stdin)
        return cwds, cwds

    def _assign(self, assignment: Assignment, cwds: Cwds) -> None:
        self._expand(assignment.values, cwds)
        self._setting(assignment.name)

    def _setting(self, name: str) -> None:
        name = name.partition("=")[0].removesuffix("+")
        if shell_readers.is_decisive(name):
            self._unknown(f"sets {name}, which decides what programs do")

    def _cd(self, args: Sequence[Arg], cwds: Cwds) -> Cwds:
        given = read_options(args[1:], Options(flags="LPe@n"))
        operands = [] if given is None else given.operands
        text = operands[0].text if len(operands) == 1 else None
        if args[0].text == "popd" or not text or text == "-":
            return None
        if cwds is None and not text.startswith("/"):
            return None
        return frozenset(places(text, cwds))

    def _call(self, name: str, args: Sequence[Arg], cwds: Cwds, stdin: Word | None) -> Call:
        def run(inner: Sequence[Arg], where: Cwds) -> None:
            self._deeper(inner, where, None)

        return Call(name=name, args=args, cwds=cwds, stdin=stdin, notes=self._notes, run=run)

    def _deeper(self, args: Sequence[Arg], cwds: Cwds, stdin: Word | None) -> None:
        if self._nested > MAX_NESTED:
            self._unknown(f"runs commands in commands, more than {MAX_NESTED} deep")
            return
        self._nested += 1
        self._run(args, cwds, stdin)
        self._nested -= 1

    def _run(self, args: Sequence[Arg], cwds: Cwds, stdin: Word | None) -> None:
        """Looks at one program with its arguments."""
        if not args or args[0].text is None:
            self._unknown("runs a program whose name only the shell knows")
            return
        name = args[0].text
        folder, base = posixpath.split(name)
        name = base if folder + "/" in _FOLDERS else name
        call = self._call(name, args[1:], cwds, stdin)
        if name in shell_readers.SETTINGS:
            for arg in call.args:
                self._setting(arg.head)
        elif name in _WRAPPERS:
            self._wrapper(call)
        elif name in _SHELLS:
            self._shell(call)
        elif name == "env":
            self._env(call)
        elif name == "xargs":
            self._xargs(call)
        elif name == "git":
            shell_git.look(call)
        elif name in shell_files.PROGRAMS:
            shell_files.PROGRAMS[name](call)
        elif not shell_readers.look(call):
            self._unknown(f"runs {name}, which is not followed")

    def _wrapper(self, call: Call) -> None:
        if call.name == "command" and call.args and call.args[0].text in ("-v", "-V"):
            return
        options, skip = _WRAPPERS[call.name]
        given = read_options(call.args, options)
        if given is None:
            call.unknown(f"{call.name} may have an option that is not followed")
        elif given.operands[skip:]:
            self._deeper(given.operands[skip:], call.cwds, call.stdin)

    def _env(self, call: Call) -> None:
        given = read_options(call.args, Options(flags="i0v", takes="u", stops=True))
        if given is None:
            call.unknown("env may have an option that is not followed")
            return
        rest = list(given.operands)
        while rest and "=" in rest[0].head:
            self._setting(rest.pop(0).head)
        if rest:
            self._deeper(rest, call.cwds, call.stdin)

    def _xargs(self, call: Call) -> None:
        given = read_options(call.args, _XARGS)
        if given is None:
            call.unknown("xargs may have an option that is not followed")
            return
        mark = given.value("I", "replace", "J")
        inner = given.operands or [Arg(text="echo")]
        if mark is not None and mark.text:
            inner = [UNKNOWN_NAME if mark.text in (arg.text or "") else arg for arg in inner]
        else:
            inner = [*inner, UNKNOWN_NAME]
        self._deeper(inner, call.cwds, None)

    def _shell(self, call: Call) -> None:
        """Looks into ``bash -lc '…'``, and into a shell that reads a here-document."""
        operands: list[Arg] = []
        takes_text = False
        args = list(reversed(call.args))
        while args:
            text = args[-1].text
            if operands or text is None or text[:1] not in ("-", "+") or len(text) < 2:
                operands.append(args.pop())
            elif text in ("--", "--login", "--norc", "--noprofile", "--posix"):
                args.pop()
            elif set(text[1:]) <= set("lceuxoifvn"):
                args.pop()
                takes_text = takes_text or "c" in text
                if "o" in text and args:
                    args.pop()
            else:
                call.unknown(f"{call.name} may have an option that is not followed")
                return
        body = operands[0].text if takes_text and operands else None
        if not takes_text and not operands and call.stdin is not None:
            body = call.stdin.literal
        if body is None:
            call.unknown(f"{call.name} runs a script that is not in the command line")
            return
        if call.name not in ("bash", "zsh") and _is_beyond_posix(body):
            call.unknown(f"{call.name} may not read it as bash does")
            return
        _Walk(self._notes, self._nested + 1).text(body.encode("latin-1"), call.cwds)


def _arg(word: Word) -> Arg:
    """Returns what a program gets; the pipe of a process substitution has no name of its own."""
    if word.atoms and word.atoms[0].kind == "expansion" and word.atoms[0].text in _PROCESSES:
        return Arg(text="/dev/fd/63")
    return Arg(text=word.literal, head=word.head, globs=word.globs)


def _is_beyond_posix(script: str) -> bool:
    """Whether a script may hold what bash reads otherwise than a plain sh; rather yes than no."""
    braces = any(
        char == "{" and script[at - 1 : at] != "$" and not script[at + 1 : at + 2].isspace()
        for at, char in enumerate(script)
    )
    return braces or any(sign in script for sign in _BEYOND_POSIX)


def _passed_on(command: Command) -> Word | None:
    """Returns what ``cat <<EOF |`` passes on to the next command, None when it is not known."""
    if not isinstance(command, Simple) or [word.bare for word in command.words] != ["cat"]:
        return None
    bodies = [redirect.body for redirect in command.redirects if redirect.op[:2] == "<<"]
    return bodies[-1] if bodies and len(bodies) == len(command.redirects) else None


def _within(inner: Cwds, outer: Cwds) -> bool:
    return outer is None or (inner is not None and inner <= outer)
