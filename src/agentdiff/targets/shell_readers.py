"""Programs that write nothing, or only when an option says so.

Owns the list of them and of these options.  Must not list a program that runs what a file or a
variable names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from agentdiff.targets.shell_effects import Arg, Call, Options, read_options
from agentdiff.targets.shell_scripts import awk_is_harmless

# fmt: off
PURE: Final = frozenset({
    ":", "[", "ag", "arch", "b2sum", "base32", "base64", "basename", "bc", "break", "cal", "cat",
    "cksum", "clear", "cmp", "column", "comm", "continue", "cut", "declare", "df", "diff",
    "dirname", "dirs", "du", "echo", "egrep", "exit", "expand", "export", "expr", "false", "fgrep",
    "fmt", "fold", "free", "getconf", "getopts", "grep", "groups", "hash", "head", "hexdump",
    "hostname", "iconv", "id", "jobs", "join", "jq", "kill", "let", "local",
    "locale", "logname", "look", "ls", "lsof", "md5", "md5sum", "more", "nl", "nm",
    "nproc", "numfmt", "objdump", "od", "paste", "pgrep", "pkill", "popd", "printenv", "printf",
    "ps", "pwd", "read", "readelf", "readlink", "readonly", "realpath", "return",
    "rev", "seq", "set", "sha1sum", "sha256sum", "sha512sum", "shasum", "shift", "shopt", "size",
    "sleep", "stat", "strings", "sum", "sync", "tac", "tail", "test", "times", "tput", "tr", "true",
    "tsort", "tty", "type", "typeset", "ulimit", "umask", "uname", "unset", "uptime", "vmstat",
    "wait", "wc", "whereis", "which", "who", "whoami", "zcat", "zgrep",
})
"""Programs and builtins that write no file, whatever they are given."""

_GUARDED: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "bat": ("", ("--pager", "--diff")),
    "batcat": ("", ("--pager", "--diff")),
    "date": ("s", ("--set",)),
    "fd": ("xX", ("--exec",)),
    "fdfind": ("xX", ("--exec",)),
    "file": ("C", ("--compile",)),
    "less": ("oO", ("--log-file", "--LOG-FILE")),
    "mapfile": ("C", ()),
    "readarray": ("C", ()),
    "rg": ("", ("--pre", "--hostname-bin")),
    "tree": ("oR", ("--output",)),
    "yq": ("is", ("--inplace", "--split-exp")),
}
"""Programs that write or run something only with one of these letters or long options."""

_VERSIONED: Final = frozenset({
    "bun", "bundle", "cargo", "clang", "cmake", "deno", "docker", "dotnet", "g++", "gcc", "gem",
    "gh", "go", "java", "javac", "make", "mypy", "ninja", "node", "npm", "npx", "perl", "php",
    "pip", "pip3", "pnpm", "poetry", "pytest", "python", "python3", "ruby", "ruff", "rustc", "tsc",
    "uv", "yarn",
})
"""Programs that write nothing when they are only asked for their version or their help."""
# fmt: on

SETTINGS: Final = frozenset({"declare", "export", "local", "readonly", "typeset"})
"""Builtins whose arguments are assignments."""


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
        risky = text.startswith(longs) if text.startswith("--") else set(text[1:]) & set(letters)
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
    "curl": _curl,
    "find": _find,
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
