"""Programs that write nothing, or only when an option says so.

Owns the list of them and of these options.  Must not list a program that runs what a file or a
variable names.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from agentdiff.targets.shell_effects import Arg, Call, Options, read_options
from agentdiff.targets.shell_scripts import awk_is_harmless

# fmt: off
PURE: Final = frozenset({
    ":", "[", "arch", "b2sum", "base32", "basename", "bc", "break", "cal", "cat", "cksum", "clear",
    "cmp", "column", "comm", "continue", "cut", "declare", "df", "diff", "dirname", "dirs", "du",
    "echo", "egrep", "exit", "expand", "export", "expr", "false", "fgrep", "fmt", "fold", "free",
    "getconf", "grep", "groups", "head", "hexdump", "hostname", "id", "jobs", "join", "jq", "kill",
    "let", "local", "locale", "logname", "look", "ls", "md5", "md5sum", "nl", "nproc", "numfmt",
    "od", "paste", "pgrep", "pkill", "popd", "printenv", "ps", "pwd", "readelf", "readlink",
    "readonly", "realpath", "return", "rev", "seq", "set", "sha1sum", "sha256sum", "sha512sum",
    "shasum", "shift", "shopt", "sleep", "stat", "sum", "sync", "tac", "tail", "test", "times",
    "tput", "tr", "true", "tsort", "tty", "type", "typeset", "ulimit", "umask", "uname", "unset",
    "uptime", "vmstat", "wait", "wc", "whereis", "which", "who", "whoami", "zcat", "zgrep",
})
"""Programs and builtins that write no file and run no program, whatever they are given."""

_GUARDED: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "ag": ("", ("--pager",)),
    "bat": ("", ("--pager", "--diff", "--lessopen", "--target")),
    "batcat": ("", ("--pager", "--diff", "--lessopen", "--target")),
    "date": ("s", ("--set",)),
    "fd": ("xX", ("--exec",)),
    "fdfind": ("xX", ("--exec",)),
    "file": ("C", ("--compile",)),
    "hash": ("p", ()),
    "lsof": ("D", ()),
    "nm": ("", ("--plugin",)),
    "objdump": ("", ("--plugin",)),
    "size": ("", ("--plugin",)),
    "strings": ("", ("--plugin",)),
    "rg": ("", ("--pre", "--hostname-bin")),
    "tree": ("oR", ("--output",)),
    "yq": ("is", ("--inplace", "--in-place", "--split-exp", "--security")),
}
"""Programs that write or run something only with one of these letters or long options.

A long one also in part, as `getopt_long` and git take it, and with what follows it.
"""

_VERSIONED: Final = frozenset({
    "bun", "bundle", "cargo", "clang", "cmake", "deno", "docker", "dotnet", "g++", "gcc", "gem",
    "gh", "go", "java", "javac", "make", "mypy", "ninja", "node", "npm", "npx", "perl", "php",
    "pip", "pip3", "pnpm", "poetry", "pytest", "python", "python3", "ruby", "ruff", "rustc", "tsc",
    "uv", "yarn",
})
"""Programs that write nothing when they are only asked for their version or their help."""

_DECISIVE: Final = frozenset({
    "PATH", "ENV", "BASH_ENV", "SHELLOPTS", "BASHOPTS", "LESS", "LESSOPEN", "LESSCLOSE", "MORE",
    "PERL5LIB", "PERL5OPT", "RIPGREP_CONFIG_PATH", "TAR_OPTIONS",
})
# fmt: on
_DECISIVE_FAMILIES: Final = ("GIT_", "LD_", "DYLD_")
_HARMLESS: Final = frozenset({"GIT_PAGER", "GIT_EDITOR", "GIT_TERMINAL_PROMPT", "LD_BIND_NOW"})

SETTINGS: Final = frozenset({"declare", "export", "local", "readonly", "typeset"})
"""Builtins whose arguments are assignments."""


_LEADS: Final = re.compile("-[HLPEXdsx]+|-O[0-3]")
_BASE64: Final = Options(
    flags="dDi",  # `-i` takes a file on macOS, which is only read
    takes="bwo",
    long_flags=frozenset({"decode", "ignore-garbage"}),
    long_takes=frozenset({"break", "input", "output", "wrap"}),
)


def is_decisive(name: str) -> bool:
    """Whether a variable decides what programs do that are in these tables."""
    return (name in _DECISIVE or name.startswith(_DECISIVE_FAMILIES)) and name not in _HARMLESS


def means(text: str, longs: tuple[str, ...]) -> bool:
    """Whether a long option may be one of these: in part, whole, or with something behind it."""
    name = text.partition("=")[0]
    return text.startswith(longs) or any(long.startswith(name) for long in longs)


def _guarded(call: Call, letters: str, longs: tuple[str, ...]) -> None:
    for arg in call.args:
        text = arg.text
        if text == "--":
            return
        if not arg.may_be_option:
            continue
        if text is None:
            call.unknown(f"{call.name} has an argument that may be an option")
            return
        risky = means(text, longs) if text.startswith("--") else set(text[1:]) & set(letters)
        if risky:
            call.unknown(f"{call.name} may have an option that is not followed")


def _output(letters: str, known: Options) -> Callable[[Call], None]:
    """Returns the look at a program that writes only the file that an option names."""

    def look(call: Call) -> None:
        given = read_options(call.args, known)
        if given is None:
            call.unknown(f"{call.name} may have an option that is not followed")
            return
        for arg in (
            value for name in (*letters, "output") for value in given.options.get(name, [])
        ):
            if arg is not None and arg.text != "-":
                call.note("write", arg)

    return look


def _second(known: Options) -> Callable[[Call], None]:
    """Returns the look at a program whose second operand is the file that it writes."""

    def look(call: Call) -> None:
        given = read_options(call.args, known)
        if given is None:
            call.unknown(f"{call.name} may have an option that is not followed")
            return
        for arg in given.operands[1:]:
            call.note("write", arg)

    return look


def _pager(call: Call) -> None:
    """``more`` may be ``less``, which logs what it shows, and does what stands behind ``+``."""
    if any((arg.text or arg.head)[:1] == "+" for arg in call.args):
        call.unknown(f"{call.name} is given commands")
    _guarded(call, "koO", ("--log-file", "--LOG-FILE", "--lesskey"))


def _variables(call: Call) -> None:
    """Builtins that set the variables that they name."""
    for arg in call.args:
        if arg.text is None or is_decisive(arg.text):
            call.unknown(f"{call.name} may set what decides what programs do")
    if call.name in ("mapfile", "readarray"):
        _guarded(call, "C", ())


def _printf(call: Call) -> None:
    text = (call.args[0].text or call.args[0].head) if call.args else ""
    if text.startswith("-v"):
        _variables(call)


def _awk(call: Call) -> None:
    given = read_options(call.args, Options(takes="Fv", stops=True))
    program = given.operands[0].text if given is not None and given.operands else None
    if program is None or not awk_is_harmless(program):
        call.unknown("awk runs a program that is not followed")


def _tar(call: Call) -> None:
    mode = (call.args[0].text or "").lstrip("-") if call.args else ""
    if len(call.args) < 2 or any(arg.may_be_option for arg in call.args[1:]):
        call.unknown("tar may have an option that is not followed")
    elif mode.startswith("t") and set(mode) <= set("tvzjJf"):
        return
    elif mode.startswith("c") and set(mode) <= set("cvzjJhp") | {"f"} and mode.endswith("f"):
        call.note("write", call.args[1])
    else:
        call.unknown("tar unpacks what is not known")


def _find(call: Call) -> None:
    starts: list[Arg] = []
    args = list(call.args)
    at = 0
    # What stands before the folders; `-d s x E X` are BSD's.
    while at < len(args) and _LEADS.fullmatch(args[at].text or ""):
        at += 1
    if at < len(args) and args[at].text in ("-D", "-f"):
        call.unknown("find may have an option that is not followed")
        return
    while at < len(args) and not args[at].may_be_option and args[at].text not in ("(", "!"):
        starts.append(args[at])
        at += 1
    while at < len(args):
        arg = args[at]
        at += 1
        if arg.text is None and arg.may_be_option:
            call.unknown("find has an argument that may be an action")
        elif arg.text in ("-exec", "-execdir", "-ok", "-okdir"):
            end = next((n for n in range(at, len(args)) if args[n].text in (";", "+")), len(args))
            inner = [
                Arg(text=None, globs=True) if "{}" in (a.text or "") else a for a in args[at:end]
            ]
            call.run(inner, None if "dir" in (arg.text or "") else call.cwds)
            at = end + 1
        elif arg.text == "-delete":
            for start in starts or [Arg(text=".")]:
                call.note("delete", start, deep=True)
        elif arg.text in ("-fprint", "-fprint0", "-fprintf", "-fls") and at < len(args):
            call.note("write", args[at])


def _curl(call: Call) -> None:
    known = Options(
        flags="sSLfkIviGgN46#",
        takes="HXdAueombF",
        long_flags=frozenset({"silent", "show-error", "location", "fail", "insecure", "head"}),
        long_takes=frozenset({"header", "request", "data", "max-time", "output", "url", "user"}),
    )
    _output("o", known)(call)


PROGRAMS: Final[dict[str, Callable[[Call], None]]] = {
    **dict.fromkeys(("awk", "gawk", "mawk", "nawk"), _awk),
    **dict.fromkeys(("getopts", "mapfile", "read", "readarray"), _variables),
    **dict.fromkeys(("less", "more"), _pager),
    "base64": _output("o", _BASE64),
    "curl": _curl,
    "find": _find,
    "iconv": _output(
        "o",
        Options(
            flags="lcs",
            takes="fto",
            long_flags=frozenset({"list", "silent", "verbose"}),
            long_takes=frozenset({"from-code", "to-code", "output"}),
        ),
    ),
    "printf": _printf,
    "sort": _output(
        "o",
        Options(
            flags="bcdfghiMnRrsuVmzC",
            takes="kotST",
            long_flags=frozenset({"reverse", "unique", "numeric-sort", "human-numeric-sort"}),
            long_takes=frozenset({"key", "output", "field-separator"}),
        ),
    ),
    "tar": _tar,
    "uniq": _second(Options(flags="cdiuDz", takes="fsw", long_flags=frozenset({"count"}))),
    "xxd": _second(Options(flags="abeirpuEC", takes="clsgonR")),
}


def look(call: Call) -> bool:
    """Looks at a call of one of these programs; False when the program is not one of them."""
    if call.name in PROGRAMS:
        PROGRAMS[call.name](call)
    elif call.name in _GUARDED:
        _guarded(call, *_GUARDED[call.name])
    elif call.name in _VERSIONED and [arg.text for arg in call.args] in (["--version"], ["--help"]):
        return True
    else:
        return call.name in PURE
    return True
