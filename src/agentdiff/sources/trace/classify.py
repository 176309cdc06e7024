"""Whether a command can change a file: if it surely cannot, nothing has to be cut before it.

Owns the table of read-only uses of the programs that have launchers.  Must err on one side only: a
command that is not in the table can write.  Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

_ASKS = frozenset({"--version", "-V", "--help", "-h", "help", "version"})

_GIT_VALUES = frozenset({"-C", "-c", "--git-dir", "--work-tree", "--namespace", "--exec-path"})
# fmt: off
_GIT_READS = frozenset({
    "blame", "cat-file", "check-attr", "check-ignore", "count-objects", "describe", "diff",
    "diff-files", "diff-index", "diff-tree", "for-each-ref", "grep", "log", "ls-files", "ls-remote",
    "ls-tree", "merge-base", "name-rev", "rev-list", "rev-parse", "shortlog", "show", "show-ref",
    "status", "var", "whatchanged",
})
_SUBCOMMANDS: Final[Mapping[str, frozenset[str]]] = {
    "npm": frozenset({"ls", "list", "view", "info", "outdated", "whoami", "ping", "root", "prefix",
                      "bin", "search"}),
    "pnpm": frozenset({"ls", "list", "view", "outdated", "root", "why"}),
    "pip": frozenset({"list", "show", "freeze", "check", "index"}),
    "pip3": frozenset({"list", "show", "freeze", "check", "index"}),
    "go": frozenset({"version", "env", "list", "doc"}),
    "cargo": frozenset({"tree", "metadata", "search", "locate-project", "pkgid"}),
    "docker": frozenset({"ps", "images", "inspect", "logs", "info", "top", "stats", "port"}),
    "kubectl": frozenset({"get", "describe", "logs", "explain", "api-resources", "cluster-info"}),
}
_ONLY_READ = frozenset({
    "jq", "ls", "cat", "head", "tail", "grep", "wc", "diff", "cmp", "stat", "file", "cut", "tr",
    "uniq", "du", "df", "readlink", "realpath", "basename", "dirname", "md5sum", "sha256sum",
})
# fmt: on
_CURL_WRITES = "oOJDc"
_CURL_LONG = frozenset(
    {
        *("--output", "--remote-name", "--remote-name-all", "--remote-header-name", "--cookie-jar"),
        *("--dump-header", "--trace", "--trace-ascii", "--config", "--stderr", "--etag-save"),
        *("--hsts", "--alt-svc", "--libcurl", "--output-dir"),
    }
)


def can_write(tool: str, arguments: Sequence[str], *, to_file: bool) -> bool:
    """Tells whether a command can change a file.

    Args:
        tool: the program's name, as its launcher has it.
        arguments: its words, without the program.
        to_file: whether its standard output is a regular file.
    """
    if to_file:
        return True
    if len(arguments) == 1 and arguments[0] in _ASKS:
        return False
    if tool in _ONLY_READ:
        return False
    check = _CHECKS.get(tool)
    if check is not None:
        return check(arguments)
    known = _SUBCOMMANDS.get(tool)
    return known is None or not arguments or arguments[0] not in known


def _git(arguments: Sequence[str]) -> bool:
    words = iter(arguments)
    for word in words:
        if word in _GIT_VALUES:
            next(words, None)
        elif not word.startswith("-"):
            # `--output=FILE` writes a diff, `-c` may name an external one: -c is followed by a
            # value that is passed over here, so it counts as writing.
            writes = any(one.startswith("--output") for one in arguments) or "-c" in arguments
            return word not in _GIT_READS or writes
    return False  # `git`, `git --exec-path`: prints


def _curl(arguments: Sequence[str]) -> bool:
    for word in arguments:
        if word.startswith("--"):
            if word.split("=", 1)[0] in _CURL_LONG:
                return True
        elif word.startswith("-") and any(letter in word[1:] for letter in _CURL_WRITES + "K"):
            return True
    return False


def _make(arguments: Sequence[str]) -> bool:
    return "-n" not in arguments and "--dry-run" not in arguments


def _unzip(arguments: Sequence[str]) -> bool:
    return not arguments or arguments[0] not in ("-l", "-t", "-v", "-Z", "-p")


def _tar(arguments: Sequence[str]) -> bool:
    first = arguments[0].lstrip("-") if arguments else ""
    return "--list" not in arguments and not ("t" in first and not set(first) & set("cxruA"))


_CHECKS: Final[Mapping[str, Callable[[Sequence[str]], bool]]] = {
    "git": _git,
    "curl": _curl,
    "make": _make,
    "unzip": _unzip,
    "tar": _tar,
}
