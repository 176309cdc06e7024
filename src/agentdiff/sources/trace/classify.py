"""Whether a command can change a file: if it surely cannot, nothing has to be cut before it.

Owns the table of read-only uses of the programs that have launchers.  Must err on one side only: a
command, or an option, that is not in the table can write.  Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from agentdiff.sources.trace.folder import CORE_UTILITIES, DEFAULT

# fmt: off
_ASKS: Final = frozenset({"--version", "--help"})
"""What makes every program that has a launcher by default tell about itself, and do no more."""
_KNOWN: Final = frozenset({*DEFAULT, *CORE_UTILITIES})
_ASKED: Final[Mapping[str, frozenset[str]]] = {
    # What asks elsewhere is the name of a target, a script or a file: `make version`, `rm help`.
    "git": frozenset({"-h", "-v", "help", "version"}),
    "npm": frozenset({"-h", "-v", "help"}),
    "node": frozenset({"-h", "-v"}),
    "python": frozenset({"-h", "-V"}),
    "python3": frozenset({"-h", "-V"}),
    "pip": frozenset({"-h", "-V", "help"}),
    "pip3": frozenset({"-h", "-V", "help"}),
    "jq": frozenset({"-h", "-V"}),
    "curl": frozenset({"-h", "-V"}),
    "wget": frozenset({"-h", "-V"}),
    "unzip": frozenset({"-h", "-v"}),
    "go": frozenset({"help", "version"}),
    "cargo": frozenset({"-h", "-V", "help", "version"}),
    "deno": frozenset({"-h", "-V"}),
    "docker": frozenset({"-v", "help", "version"}),
    "kubectl": frozenset({"-h", "help", "version"}),
}
"""Single words that only make a program tell about itself."""

_GIT_VALUES: Final = frozenset({"-C", "--git-dir", "--work-tree", "--namespace", "--exec-path"})
_GIT_SETS: Final = ("-c", "--config-env")
_GIT_READS: Final = frozenset({
    "blame", "cat-file", "check-attr", "check-ignore", "count-objects", "describe", "diff",
    "diff-files", "diff-index", "diff-tree", "for-each-ref", "grep", "log", "ls-files", "ls-tree",
    "merge-base", "name-rev", "rev-list", "rev-parse", "shortlog", "show", "show-ref", "status",
    "var", "whatchanged",
})


class _Reads(NamedTuple):
    """Subcommands that only read, and which options they have there; values are any words."""

    subcommands: frozenset[str]
    options: frozenset[str]


_PIP: Final = _Reads(
    frozenset({"list", "show", "freeze", "check"}),
    frozenset({"--format", "--outdated", "-o", "--user", "--local", "-l", "--not-required",
               "--files", "-f", "--all", "--verbose", "-v"}),
)
_SUBCOMMANDS: Final[Mapping[str, _Reads]] = {
    "npm": _Reads(
        frozenset({"ls", "list", "view", "info", "outdated", "whoami", "ping", "root", "prefix",
                   "search"}),
        frozenset({"--json", "--depth", "--all", "-a", "--global", "-g", "--long", "-l",
                   "--parseable", "-p"}),
    ),
    "pip": _PIP,
    "pip3": _PIP,
    "go": _Reads(frozenset({"version", "env"}), frozenset({"-m", "-v", "-json", "-changed"})),
    # Not `tree` and `metadata`: they write Cargo.lock where there is none.
    "cargo": _Reads(
        frozenset({"search", "locate-project"}),
        frozenset({"--limit", "--workspace", "--message-format", "--manifest-path"}),
    ),
    "docker": _Reads(
        frozenset({"ps", "images", "inspect", "logs", "info", "top", "stats", "port"}),
        frozenset({"-a", "--all", "-q", "--quiet", "-f", "--format", "--filter", "--follow",
                   "--no-trunc", "--tail", "-n", "--since", "--until", "-t", "--timestamps", "-s",
                   "--size", "--type", "--no-stream", "--digests", "-l", "--latest"}),
    ),
    # Not `cluster-info`, whose `dump` writes a folder.
    "kubectl": _Reads(
        frozenset({"get", "describe", "logs", "explain", "api-resources"}),
        frozenset({"-n", "--namespace", "-A", "--all-namespaces", "-o", "--output", "-l",
                   "--selector", "-w", "--watch", "-f", "--follow", "--tail", "--since", "-c",
                   "--container", "--all-containers", "-p", "--previous", "--context",
                   "--show-labels", "--sort-by", "--field-selector", "--no-headers",
                   "--timestamps"}),
    ),
}
_ONLY_READ: Final = frozenset({
    "jq", "ls", "cat", "head", "tail", "grep", "wc", "diff", "cmp", "stat", "cut", "tr", "du", "df",
    "readlink", "realpath", "basename", "dirname", "md5sum", "sha256sum",
})

# Not `-w`, which can name a file, nor `-T`, which can be a copy to one.
_CURL_FLAGS: Final = frozenset("sSLkIivfgGjqNn046#")
_CURL_VALUES: Final = frozenset("HXduAebxmrF")
_CURL_LONG: Final = frozenset({
    "--silent", "--show-error", "--location", "--head", "--include", "--verbose", "--fail",
    "--fail-with-body", "--header", "--request", "--data", "--data-raw", "--data-binary",
    "--data-urlencode", "--json", "--user", "--user-agent", "--referer", "--cookie", "--proxy",
    "--noproxy", "--max-time", "--connect-timeout", "--retry", "--retry-delay", "--insecure",
    "--compressed", "--get", "--globoff", "--http1.1", "--http2", "--ipv4", "--ipv6", "--url",
    "--form", "--resolve", "--cacert", "--unix-socket", "--no-progress-meter", "--no-buffer",
    "--max-redirs",
})
_TAR_LETTERS: Final = frozenset("tvfzjJZ")
_TAR_OPTIONS: Final = frozenset({
    "-f", "-v", "-vv", "-z", "-j", "-J", "-C", "--file", "--verbose", "--gzip", "--bzip2", "--xz",
    "--zstd", "--directory", "--exclude", "--wildcards", "--list", "-t",
})
_UNZIP_READS: Final = frozenset({"-l", "-t", "-v", "-p", "-Z", "-Z1"})
# fmt: on


def can_write(tool: str, arguments: Sequence[str], *, to_file: bool) -> bool:
    """Tells whether a command can change a file.

    Args:
        tool: the program's name, as its launcher has it.
        arguments: its words, without the program.
        to_file: whether its standard output is a regular file.
    """
    if to_file:
        return True
    if tool in _ONLY_READ or _only_asks(tool, arguments):
        return False
    check = _CHECKS.get(tool)
    if check is not None:
        return check(arguments)
    known = _SUBCOMMANDS.get(tool)
    if known is None or not arguments or arguments[0] not in known.subcommands:
        return True
    return any(_option(word) not in known.options for word in _options(arguments))


def _only_asks(tool: str, arguments: Sequence[str]) -> bool:
    if len(arguments) != 1:
        return False
    word = arguments[0]
    return (tool in _KNOWN and word in _ASKS) or word in _ASKED.get(tool, ())


def _options(words: Sequence[str]) -> list[str]:
    """Returns what may be an option; it may be the value of one as well."""
    return [word for word in words if word.startswith("-") and word != "-"]


def _option(word: str) -> str:
    return word.partition("=")[0]


def _git(arguments: Sequence[str]) -> bool:
    words = iter(arguments)
    for word in words:
        if word in _GIT_VALUES:
            next(words, None)
        elif not word.startswith("-"):
            return word not in _GIT_READS or _git_option_writes(arguments, word)
    return False  # `git`, `git --exec-path`: prints


def _git_option_writes(arguments: Sequence[str], command: str) -> bool:
    """Whether something among the words may write a file, or name a program that git runs.

    Options may be shortened: those are ``--output`` and, of grep, ``--open-files-in-pager``.
    """
    return any(
        word.startswith(("--ou", "--op"))
        or _option(word) in _GIT_SETS
        or (command == "grep" and word.startswith("-") and "O" in word)
        for word in arguments
    )


def _curl(arguments: Sequence[str]) -> bool:
    for word in _options(arguments):
        if word.startswith("--"):
            if word not in _CURL_LONG:
                return True
            continue
        for letter in word[1:]:
            if letter in _CURL_VALUES:
                break  # the rest is its value
            if letter not in _CURL_FLAGS:
                return True
    return False


def _unzip(arguments: Sequence[str]) -> bool:
    # One option: further ones may take the first back (`-l --l`).
    return not arguments or arguments[0] not in _UNZIP_READS or len(_options(arguments)) > 1


def _tar(arguments: Sequence[str]) -> bool:
    first, *more = arguments or [""]
    letters = set(first.removeprefix("-"))
    lists = first == "--list" or ("t" in letters and letters <= _TAR_LETTERS)
    return not lists or any(_option(word) not in _TAR_OPTIONS for word in _options(more))


def _uniq(arguments: Sequence[str]) -> bool:
    # `uniq IN OUT`; a word may be an option's value, and after `--` none is an option.
    names = [word for word in arguments if not word.startswith("-") or word == "-"]
    return len(names) > 1 or "--" in arguments


def _file(arguments: Sequence[str]) -> bool:
    # `file -C`, `--compile`, or shorter: writes magic.mgc.
    return any(
        word.startswith("--c") if word.startswith("--") else "C" in word
        for word in _options(arguments)
    )


_CHECKS: Final[Mapping[str, Callable[[Sequence[str]], bool]]] = {
    "git": _git,
    "curl": _curl,
    "unzip": _unzip,
    "tar": _tar,
    "uniq": _uniq,
    "file": _file,
}
