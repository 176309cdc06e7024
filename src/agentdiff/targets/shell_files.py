"""Programs that change the files they are given: rm, mv, cp, sed -i, tee, patch and their like.

Owns, for each of them, which of its arguments are paths and what happens to these.  Must not know
the shell.  Options are those of GNU and BSD; one that is not listed makes the call unknown.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from typing import Final

from agentdiff.errors import MalformedPayload
from agentdiff.targets import apply_patch
from agentdiff.targets.shell_effects import (
    Arg,
    Call,
    EffectKind,
    Given,
    Options,
    read_options,
)
from agentdiff.targets.shell_scripts import diff_names, perl_is_harmless, sed_is_harmless

_VERBOSE: Final = frozenset({"verbose", "force", "interactive", "recursive", "no-dereference"})
_COPY_LONG: Final = _VERBOSE | {
    *("archive", "preserve", "no-preserve", "no-clobber", "update", "no-target-directory", "link"),
    *("symbolic-link", "dereference", "one-file-system", "remove-destination", "reflink", "sparse"),
    *("strip-trailing-slashes", "symbolic", "relative", "logical", "physical", "compare", "strip"),
}
_INTO: Final = frozenset({"target-directory"})


def _given(call: Call, known: Options) -> Given | None:
    """Returns the options and operands, or notes that they are not understood."""
    given = read_options(call.args, known)
    if given is None:
        call.unknown(f"{call.name} may have an option that is not followed")
    return given


def _each(
    kind: EffectKind, known: Options, *, skip: int = 0, deep: str = ""
) -> Callable[[Call], None]:
    """Returns the look at a program that changes each of its operands.

    Args:
        kind: what it does to them.
        known: its options.
        skip: how many operands come before the paths.
        deep: options that make it go below folders.
    """

    def look(call: Call) -> None:
        given = _given(call, known)
        if given is None:
            return
        spared = 0 if given.has("reference") else skip
        below = given.has(*deep, "recursive") if deep else False
        for arg in given.operands[spared:]:
            call.note(kind, arg, deep=below)

    return look


def _base(arg: Arg) -> str:
    return posixpath.basename((arg.text or "").rstrip("/"))


def _to_destination(call: Call, given: Given, kind: EffectKind, *, deep: bool) -> None:
    """Notes where sources arrive: the last operand, below it, or both when that is not known."""
    into, operands = given.value("t", "target-directory"), given.operands
    if into is None and len(operands) < 2:
        return
    sources = operands if into is not None else operands[:-1]
    target = operands[-1] if into is None else into
    sure = into is not None or len(sources) > 1 or (target.text or "").endswith("/")
    if given.has("T", "no-target-directory") or not sure:
        call.note(kind, target, deep=deep)
    if given.has("T", "no-target-directory"):
        return
    for source in sources:
        if source.text is None:
            call.note(kind, source)
        elif _base(source) in ("", ".", ".."):
            call.note(kind, target, deep=True)
        else:
            call.note(kind, target, deep=deep, below=_base(source))


def _mv(call: Call) -> None:
    known = Options(flags="finvuTZ", takes="t", long_flags=_COPY_LONG, long_takes=_INTO)
    given = _given(call, known)
    if given is None:
        return
    last = len(given.operands) - (0 if given.has("t", "target-directory") else 1)
    for source in given.operands[:last]:
        call.note("move-from", source, deep=True)
    _to_destination(call, given, "move-to", deep=True)


def _cp(call: Call) -> None:
    known = Options(flags="aRrfinpPLHduvxTlscX", takes="t", long_flags=_COPY_LONG, long_takes=_INTO)
    given = _given(call, known)
    if given is not None:
        deep = given.has("a", "R", "r", "archive", "recursive")
        _to_destination(call, given, "write", deep=deep)


def _ln(call: Call) -> None:
    known = Options(flags="sfnvirLPTh", takes="t", long_flags=_COPY_LONG, long_takes=_INTO)
    given = _given(call, known)
    if given is not None and len(given.operands) == 1 and not given.has("t", "target-directory"):
        base = _base(given.operands[0])
        call.note("create", Arg(text=base or None, head=base))
    elif given is not None:
        _to_destination(call, given, "create", deep=False)


def _install(call: Call) -> None:
    known = Options(
        flags="cCdDpsTv",
        takes="gmot",
        long_flags=_COPY_LONG | {"directory"},
        long_takes=_INTO | {"mode", "owner", "group"},
    )
    given = _given(call, known)
    if given is not None and given.has("d", "directory"):
        for arg in given.operands:
            call.note("create", arg)
    elif given is not None:
        _to_destination(call, given, "write", deep=False)


def _chmod(call: Call) -> None:
    """``-x`` looks like an option and is a mode."""
    args = [
        Arg(text=f"a{arg.text}") if set(arg.text or "?") <= set("-rwxXstugo,+=") else arg
        for arg in call.args
        if arg.text not in ("-R", "-v", "-f", "-c", "-h", "-Rv", "-vR", "-Rf", "-fR")
    ]
    deep = any((arg.text or "").startswith("-") and "R" in (arg.text or "") for arg in call.args)
    known = Options(long_flags=frozenset({"recursive", "verbose", "silent", "quiet", "changes"}))
    given = read_options(args, known)
    if given is None:
        call.unknown("chmod may have an option that is not followed")
        return
    for arg in given.operands[1:]:
        call.note("mode", arg, deep=deep or given.has("recursive"))


def _dd(call: Call) -> None:
    for arg in call.args:
        if arg.text is not None and arg.text.startswith("of="):
            path = arg.text.removeprefix("of=")
            call.note("write", Arg(text=path, head=path))
        elif arg.text is None and (arg.head.startswith("of=") or "=" not in arg.head):
            call.unknown("dd has an argument that only the shell knows")


_SED: Final = Options(
    flags="nErsuz",
    takes="efl",
    long_flags=frozenset(
        {"quiet", "silent", "regexp-extended", "separate", "null-data", "unbuffered", "posix"}
    ),
    long_takes=frozenset({"expression", "file", "line-length"}),
)


def _in_place(call: Call, option: str) -> tuple[list[Arg], str | None]:
    """Returns the arguments without ``-i`` and the suffix of the backups, None when not given.

    The letter may end a cluster of flags (``-pi``); what follows it is the suffix.
    """
    rest: list[Arg] = []
    suffix: str | None = None
    for arg in call.args:
        text = arg.text or ""
        letters = text[1:].split("i")[0] if text.startswith("-") else "?"
        if text.startswith("--in-place"):
            suffix = text.partition("=")[2]
        elif text.startswith("-") and "i" in text and set(letters) <= set(option):
            suffix = text[1:].partition("i")[2]
            if letters:
                rest.append(Arg(text=f"-{letters}"))
        else:
            rest.append(arg)
    return rest, suffix


def _note_in_place(call: Call, files: list[Arg], suffix: str) -> None:
    for arg in files:
        call.note("write", arg)
        if suffix and ("*" in suffix or "/" in suffix or arg.text is None):
            call.unknown(f"{call.name} keeps copies under names that are not followed")
        elif suffix:
            call.note("create", Arg(text=f"{arg.text}{suffix}"))


def _sed(call: Call) -> None:
    args, suffix = _in_place(call, "nErsuz")
    given = read_options(args, _SED)
    if given is None:
        call.unknown("sed may have an option that is not followed")
        return
    # BSD takes the suffix of -i from the next argument; an empty one is no file for GNU either.
    operands = [arg for arg in given.operands if arg.text != ""]
    scripts = [*given.options.get("e", []), *given.options.get("expression", [])]
    if not scripts and not given.has("f", "file"):
        scripts, operands = list(operands[:1]), operands[1:]
    if given.has("f", "file") or not all(
        script is not None and script.text is not None and sed_is_harmless(script.text)
        for script in scripts
    ):
        call.unknown("sed runs a script that is not followed")
    if suffix is not None:
        _note_in_place(call, operands, suffix)


def _perl(call: Call) -> None:
    args, suffix = _in_place(call, "pnlwa0")
    given = read_options(args, Options(flags="pnlwas0", takes="eE"))
    codes = [] if given is None else [*given.options.get("e", []), *given.options.get("E", [])]
    known = [code.text for code in codes if code is not None and code.text is not None]
    if given is None or not codes or len(known) < len(codes):
        call.unknown("perl runs a program that is not followed")
        return
    if not all(perl_is_harmless(code) for code in known):
        call.unknown("perl runs a program that is not followed")
    if suffix is not None:
        _note_in_place(call, given.operands, suffix)


def _tee(call: Call) -> None:
    known = Options(flags="aip", long_flags=frozenset({"append", "ignore-interrupts"}))
    given = _given(call, known)
    for arg in given.operands if given is not None else ():
        call.note("write", arg)


def _patch(call: Call) -> None:
    known = Options(
        flags="NRfstEbul",
        takes="pio",
        long_flags=frozenset({"forward", "reverse", "force", "batch", "silent", "dry-run"}),
        long_takes=frozenset({"strip", "input", "output"}),
    )
    given = _given(call, known)
    if given is None or given.has("dry-run"):
        return
    strip = given.value("p", "strip")
    names = named_by_diff(call, 0 if strip is None else strip)
    files = given.operands[:1] or [Arg(text=name) for name in names or ()]
    out = given.value("o", "output")
    if not files or given.has("i", "input"):
        call.unknown("patch reads a patch that is not in the command line")
    for arg in [out] if out is not None else files:
        call.note("write", arg)
        for suffix in (".orig", ".rej") if arg.text else ():
            call.note("create", Arg(text=f"{arg.text}{suffix}"))


def named_by_diff(call: Call, strip: int | Arg) -> list[str] | None:
    """Returns the files that the diff on a call's standard input names, None when not known."""
    number = strip if isinstance(strip, int) else None
    if isinstance(strip, Arg) and (strip.text or "").isdecimal():
        number = int(strip.text or "0")
    text = None if call.stdin is None else call.stdin.literal
    return None if text is None or number is None else diff_names(text, min(number, 64))


def _apply_patch(call: Call) -> None:
    """Codex' own tool, when a model calls it through a shell."""
    text = call.args[0].text if call.args else None
    if not call.args and call.stdin is not None:
        text = call.stdin.literal
    if text is None or len(call.args) > 1:
        call.unknown("apply_patch reads a patch that is not in the command line")
        return
    try:
        operations = apply_patch.parse(text.encode("latin-1"))
    except MalformedPayload as error:
        call.unknown(f"apply_patch gets what is no patch: {error}")
        return
    for operation in operations:
        kind: EffectKind = {"add": "write", "delete": "delete", "update": "write"}[operation.action]  # type: ignore[assignment]
        kind = "move-from" if operation.move_to is not None else kind
        call.note(kind, Arg(text=operation.path.decode("latin-1")))
        if operation.move_to is not None:
            call.note("move-to", Arg(text=operation.move_to.decode("latin-1")))


def _compress(suffix: str, *, undo: bool) -> Callable[[Call], None]:
    def look(call: Call) -> None:
        known = Options(
            flags="cdfknqtvl123456789", long_flags=_VERBOSE | {"keep", "stdout", "decompress"}
        )
        given = _given(call, known)
        if given is None or given.has("c", "stdout", "t", "l"):
            return
        back = undo or given.has("d", "decompress")
        for arg in given.operands:
            call.note("delete", arg)
            text = arg.text or ""
            made = text.removesuffix(suffix) if back else text + suffix
            if back and made == text:
                call.unknown(f"{call.name} makes a file whose name is not followed")
            elif text:
                call.note("create", Arg(text=made))

    return look


_OWN: Final = Options(flags="RvfhHLPc", long_flags=_VERBOSE, long_takes=frozenset({"reference"}))
_RM: Final = Options(
    flags="rRfivdI", long_flags=_VERBOSE | {"dir", "one-file-system", "preserve-root"}
)
_MKDIR: Final = Options(
    flags="pvZ", takes="m", long_flags=_VERBOSE | {"parents"}, long_takes=frozenset({"mode"})
)
_TOUCH: Final = Options(
    flags="acfmh",
    takes="dtrA",
    long_flags=frozenset({"no-create", "no-dereference"}),
    long_takes=frozenset({"date", "reference", "time"}),
)
_TRUNCATE: Final = Options(
    flags="co",
    takes="sr",
    long_flags=frozenset({"no-create"}),
    long_takes=frozenset({"size", "reference"}),
)

PROGRAMS: Final[dict[str, Callable[[Call], None]]] = {
    "apply_patch": _apply_patch,
    "applypatch": _apply_patch,
    "bunzip2": _compress(".bz2", undo=True),
    "bzip2": _compress(".bz2", undo=False),
    "chgrp": _each("mode", _OWN, skip=1, deep="R"),
    "chmod": _chmod,
    "chown": _each("mode", _OWN, skip=1, deep="R"),
    "cp": _cp,
    "dd": _dd,
    "gunzip": _compress(".gz", undo=True),
    "gzip": _compress(".gz", undo=False),
    "install": _install,
    "ln": _ln,
    "mkdir": _each("create", _MKDIR),
    "mv": _mv,
    "patch": _patch,
    "perl": _perl,
    "rm": _each("delete", _RM, deep="rR"),
    "rmdir": _each("delete", Options(flags="pv", long_flags=_VERBOSE | {"parents"})),
    "sed": _sed,
    "gsed": _sed,
    "tee": _tee,
    "touch": _each("create", _TOUCH),
    "truncate": _each("write", _TRUNCATE),
    "unlink": _each("delete", Options()),
    "unxz": _compress(".xz", undo=True),
    "xz": _compress(".xz", undo=False),
}
