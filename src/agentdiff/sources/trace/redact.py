"""Takes secrets out of command lines before they are written down or shown.

Owns the rules.  Must not be clever: what looks like a secret is replaced by ``***``; the program
itself gets its words unchanged.  Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

MASK: Final = "***"
# Words are written by agents: every expression takes linear time.  A run of characters is taken
# whole (possessively) and then searched; with `.*word` each place would be tried for each other.
_WORD = re.compile(
    "(?i)token|secret|passw(?:or)?d|passphrase|(?:api|access|private)[-_]?key|credential|bearer"
    "|(?<![a-z])pass(?![a-z])|(?<![a-z])_auth(?![a-z])"
)
_NAMED = re.compile(r"(-{0,2}[\w.-]++)[=:].+", re.DOTALL)
_OPTION = re.compile(r"--?[\w.-]++")
# Also as in JSON and in programs: ``"password": "two words"``, with or without backslashes.
_INSIDE = re.compile(
    r"""(?<![\w.-])([\w.-]++)(\\?["']?\s*+[=:]\s*+\\?)"""
    r"""("(?:[^"\\]|\\.)*+"?|'[^']*+'?|[^\s"'&;\\]++)""",
    re.DOTALL,
)
_USERINFO = re.compile(r"(?<![a-zA-Z0-9+.-])([a-zA-Z0-9+.-]++://)[^/@\s]++@")
_HEADER = re.compile(
    r"(?i)((?:proxy-)?authorization|cookie|set-cookie|x-api-key|x-auth-token|private-token)"
    r"(\\?[\"']?\s*+:\s*+\\?[\"']?)[^\"'\r\n]+"
)
_PEM = re.compile(
    r"(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
)
_KNOWN = re.compile(
    r"\b(?:sk-[A-Za-z0-9_-]{8,}|gh[pousr]_[A-Za-z0-9]{16,}|github_pat_\w{16,}|glpat-[\w-]{16,}"
    r"|xox[abprs]-[\w-]{8,}|npm_[A-Za-z0-9]{16,}|AKIA[A-Z0-9]{12,}|AIza[\w-]{20,})"
    r"|(?<![\w-])eyJ[\w-]{8,}+\.[\w-]{8,}+\.[\w-]+"
)
_USER_OF = frozenset({"curl", "wget"})
_USER_OPTIONS = frozenset({"-u", "--user", "--proxy-user", "-U"})
# One-letter options of curl: flags, and then user, proxy's user, or cookie; the value may follow at
# once.
_OF_CURL = re.compile(r"(-[sSLkfgivNOJ0-9#]*[uUb])(.*)", re.DOTALL)
_KEEPERS = frozenset({"git", "npm", "pnpm"})


def redacted(
    tool: str, arguments: Sequence[str], own: Iterable[re.Pattern[str]] = ()
) -> tuple[str, ...]:
    """Returns a command's words without what looks like a secret.

    Args:
        tool: the program; some options mean a secret for one program only.
        arguments: its words, without the program.
        own: the user's further patterns; what they match is replaced.
    """
    out: list[str] = []
    hide_next = False
    for word in arguments:
        if hide_next and not word.startswith("-"):
            out.append(MASK)
            hide_next = False
            continue
        hide_next = _is_secret(_OPTION.fullmatch(word)) or _is_followed(tool, word, arguments)
        glued = _OF_CURL.fullmatch(word) if tool == "curl" else None
        out.append(_clean(word, own) if glued is None or not glued[2] else f"{glued[1]}{MASK}")
    return tuple(out)


def _is_followed(tool: str, word: str, arguments: Sequence[str]) -> bool:
    """Whether a secret follows `word`, because of what it means to this one program."""
    if tool in _USER_OF and word in (*_USER_OPTIONS, "--cookie"):
        return True
    if tool == "curl":
        found = _OF_CURL.fullmatch(word)
        return found is not None and not found[2]
    if tool in _KEEPERS:
        # `npm config set //registry/:_authToken VALUE`
        return "config" in arguments and _WORD.search(word) is not None and "=" not in word
    return tool == "docker" and word == "-p" and "login" in arguments


def _clean(word: str, own: Iterable[re.Pattern[str]]) -> str:
    named = _NAMED.fullmatch(word)
    if named is not None and _is_secret(named, 1):
        return f"{named[1]}={MASK}"
    word = _USERINFO.sub(rf"\g<1>{MASK}@", word)
    word = _HEADER.sub(rf"\g<1>\g<2>{MASK}", word)
    word = _PEM.sub(rf"\g<1>{MASK}", word)
    word = _INSIDE.sub(_inside, word)
    word = _KNOWN.sub(MASK, word)
    for pattern in own:
        word = pattern.sub(MASK, word)
    return word


def _is_secret(found: re.Match[str] | None, group: int = 0) -> bool:
    """Whether a name was found, and it is one of a secret."""
    return found is not None and _WORD.search(found[group]) is not None


def _inside(found: re.Match[str]) -> str:
    if not _is_secret(found, 1):
        return found[0]
    quote = found[3][0] if found[3][0] in "\"'" else ""
    return f"{found[1]}{found[2]}{quote}{MASK}{quote if found[3].endswith(quote) else ''}"
