"""What the little languages inside command lines can write: sed, perl's substitutions, awk, diffs.

Owns the judgement whether such a text is harmless.  Must not evaluate it: what is not understood
for certain is not harmless.
"""

from __future__ import annotations

import itertools
from typing import Final

_SED_PLAIN: Final = frozenset("dDgGhHnNpPxz=}qQlF")
_SED_TEXT: Final = frozenset("aicrRbtT:#")
_PERL_FLAGS: Final = frozenset("gimsxuadlnr")
_PERL_CODE: Final = ("(?{", "(??{", "`")


def sed_is_harmless(script: str) -> bool:
    """Whether a sed script writes only what sed itself edits: no ``w``, no ``e``."""
    at = 0
    while at < len(script):
        if script[at] in " \t\n;}":
            at += 1
            continue
        at = _sed_address(script, at)
        at = _sed_command(script, at) if at >= 0 else -1
        if at < 0:
            return False
    return True


def _sed_address(script: str, at: int) -> int:
    """Returns where the command behind an address starts, -1 when it is not understood."""
    while at < len(script):
        char = script[at]
        if char.isdigit() or char in "$,~+! \t":
            at += 1
        elif char == "/":
            at = _delimited(script, at, 1)
            at = _skip(script, at, "IM")
        elif char == "\\" and at + 1 < len(script):
            at = _delimited(script, at + 1, 1)
            at = _skip(script, at, "IM")
        else:
            return at
        if at < 0:
            return -1
    return -1


def _sed_command(script: str, at: int) -> int:
    """Returns where the next command starts, -1 when this one is not harmless."""
    command = script[at]
    if command == "{":
        return at + 1
    if command in _SED_PLAIN:
        return _sed_end(script, _skip(script, at + 1, "0123456789 \t"))
    if command in _SED_TEXT:
        end = script.find("\n", at)
        while end > 0 and script[end - 1] == "\\":
            end = script.find("\n", end + 1)
        return len(script) if end < 0 else end
    if command in "sy" and at + 1 < len(script):
        end = _delimited(script, at + 1, 2)
        return -1 if end < 0 else _sed_end(script, _skip(script, end, "gpiIm0123456789 \t"))
    return -1


def _sed_end(script: str, at: int) -> int:
    """Returns the end of a command if it is one, else -1."""
    return at if at >= len(script) or script[at] in " \t\n;}" else -1


def perl_is_harmless(code: str) -> bool:
    """Whether perl code is only substitutions and transliterations, none of which runs code."""
    # A variable may have a subscript, and a subscript is code.
    variables = any(
        sign in "$@" and (follows.isalpha() or follows in "_{([:$")
        for sign, follows in itertools.pairwise(code)
    )
    if variables or any(sign in code for sign in _PERL_CODE):
        return False
    at = 0
    while at < len(code):
        if code[at] in " \t\n;":
            at += 1
            continue
        for name in ("s", "tr", "y"):
            start = at + len(name)
            if code.startswith(name, at) and start < len(code) and not code[start].isalnum():
                at = _delimited(code, start, 2)
                break
        else:
            return False
        at = _skip(code, at, "".join(_PERL_FLAGS)) if at >= 0 else -1
        if at < 0 or (at < len(code) and code[at] not in " \t\n;"):
            return False
    return True


def awk_is_harmless(program: str) -> bool:
    """Whether an awk program can neither write a file nor run a program.

    Comparisons with ``>`` are taken for redirections: telling them apart needs awk's grammar.
    """
    return not any(sign in program for sign in (">", "|", "system", "@", "close"))


def diff_names(text: str, strip: int) -> list[str] | None:
    """Returns the files that a unified diff may touch, None when they cannot be told.

    A file whose mode or binary content alone changes is not named by ``---`` and ``+++``.

    Args:
        text: the diff.
        strip: how many leading components of each name go (``-p``).
    """
    if any(sign in text for sign in ("\nGIT binary patch", "\nold mode ", "\nBinary files ")):
        return None
    names: dict[str, None] = {}
    for line in text.split("\n"):
        for sign in ("--- ", "+++ ", "rename from ", "rename to ", "copy to "):
            if not line.startswith(sign):
                continue
            name = line.removeprefix(sign).split("\t")[0].rstrip("\r")
            if name.startswith('"') or not name:
                return None
            drop = strip if sign in ("--- ", "+++ ") else 0
            rest = name.split("/", drop)[-1] if name.count("/") >= drop else name
            if name != "/dev/null":
                names[rest] = None
    return list(names) or None


def _skip(text: str, at: int, chars: str) -> int:
    while 0 <= at < len(text) and text[at] in chars:
        at += 1
    return at


def _delimited(text: str, at: int, parts: int) -> int:
    """Returns the place behind `parts` delimited parts, -1 when they cannot be told for certain.

    That is so for brackets as delimiters, which sed and perl read differently, and for a delimiter
    in a set of characters (``[/]``), which is none there.
    """
    mark = text[at]
    if mark in "\\\n([{<" or mark.isspace():
        return -1
    at += 1
    while at < len(text) and parts:
        char = text[at]
        if char == "\\":
            at += 1
        elif char == mark:
            parts -= 1
        elif char == "[":
            end = text.find("]", at + 1)
            if end < 0 or mark in text[at:end]:
                return -1
        at += 1
    return at if not parts and at <= len(text) else -1
