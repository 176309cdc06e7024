"""What a git command does to the work tree; what it does inside ``.git`` is not reckoned with.

Owns the meaning of git's commands and options.  Must not run git.  Commands that run hooks
(``commit``, ``push``…) may touch anything: a hook may be a formatter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from agentdiff.targets.shell_effects import Arg, Call, Options, places, read_options
from agentdiff.targets.shell_files import named_by_diff
from agentdiff.targets.shell_readers import means

# fmt: off
_READERS: Final = frozenset({
    "add", "annotate", "blame", "cat-file", "check-attr", "check-ignore", "cherry", "count-objects",
    "describe", "diff-files", "diff-index", "diff-tree", "fetch", "for-each-ref", "fsck", "grep",
    "help", "hash-object", "ls-files", "ls-remote", "ls-tree", "merge-base", "name-rev", "notes",
    "range-diff", "rev-list", "rev-parse", "shortlog", "show-branch", "show-ref", "status",
    "symbolic-ref", "tag", "update-index", "var", "version", "whatchanged", "diff", "log", "show",
    "branch", "config", "reflog", "remote", "write-tree", "commit-tree", "update-ref", "gc",
})
"""Commands that leave the work tree alone."""

_WITH_WORDS: Final[dict[str, frozenset[str]]] = {
    "bisect": frozenset({"log"}),
    "stash": frozenset({"list", "show"}),
    "submodule": frozenset({"status", "summary"}),
    "worktree": frozenset({"list", "lock", "unlock", "prune"}),
    "sparse-checkout": frozenset({"list"}),
    "lfs": frozenset({"ls-files", "status", "env"}),
}
"""Commands that leave the work tree alone when this word follows."""

_SAFE_SETTINGS: Final = ("color.", "user.", "advice.", "core.quotepath")
# fmt: on
_RUNS_OR_WRITES: Final = (
    "--output",
    "--open-files-in-pager",
    "--ext-diff",
    "--edit",
    "--textconv",
    "--filters",
    "--upload-pack",
    "--exec",
)
_EDITS: Final = {"add": "e", "config": "e", "tag": "asue"}
"""Letters with which a command runs an editor."""
_MESSAGES: Final = ("-m", "-F", "--message", "--file")


def look(call: Call) -> None:
    """Notes what a call of git does."""
    at = 0
    cwds = call.cwds
    args = list(call.args)
    while at < len(args) and (args[at].text or "").startswith("-"):
        text = args[at].text or ""
        value = args[at + 1].text if at + 1 < len(args) else None
        if text == "-C" and value is not None:
            cwds = None if cwds is None and value[:1] != "/" else frozenset(places(value, cwds))
            at += 2
        elif text == "-c" and (
            value == "core.pager=cat" or (value or "").startswith(_SAFE_SETTINGS)
        ):
            at += 2
        elif text in ("--no-pager", "-P", "--no-optional-locks", "--literal-pathspecs"):
            at += 1
        elif text in ("--version", "--help", "--exec-path", "--html-path"):
            return
        else:
            call.unknown("git may have an option that is not followed")
            return
    if at >= len(args):
        return
    inner = Call(
        name=f"git {args[at].text}",
        args=args[at + 1 :],
        cwds=cwds,
        stdin=call.stdin,
        notes=call.notes,
        run=call.run,
    )
    _command(args[at].text or "", inner)


def _command(name: str, call: Call) -> None:
    words = _WITH_WORDS.get(name)
    if name == "config":
        _config(call)
    elif name in _READERS:
        _reader(call)
    elif words is not None:
        if not call.args or call.args[0].text not in words:
            call.unknown(f"{call.name} changes what git decides")
        else:
            _reader(call)
    elif name in _COMMANDS:
        _COMMANDS[name](call)
    elif name in ("commit", "push", "merge", "am", "rebase"):
        call.unknown(f"{call.name} may run hooks")
    else:
        call.unknown(f"{call.name} changes what git decides")


def _reader(call: Call) -> None:
    name = call.name.removeprefix("git ")
    told = any((arg.text or "").startswith(_MESSAGES) for arg in call.args)
    editing = "" if name == "tag" and told else _EDITS.get(name, "")
    if name == "notes" and call.args and not told and call.args[0].text not in ("list", "show"):
        call.unknown(f"{call.name} may run an editor")
    for arg in call.args:
        text = arg.text or ""
        if text == "--":
            return
        if arg.text is None and arg.may_be_option:
            call.unknown(f"{call.name} has an argument that may be an option")
        elif text.startswith("--"):
            # git takes a part of an option that is not another one as a whole.
            if text != "--text" and means(text, _RUNS_OR_WRITES):
                call.unknown(f"{call.name} has an option that writes or runs something")
        elif text[:2] == "-O" or (text[:1] == "-" and set(text[1:]) & set(editing)):
            call.unknown(f"{call.name} has an option that writes or runs something")


def _config(call: Call) -> None:
    """A setting may name a program, which the next command of git runs."""
    _reader(call)
    scopes = ("--global", "--local", "--system", "--worktree")
    args = [arg for arg in call.args if arg.text not in scopes]
    first = (args[0].text or "") if args else ""
    reads = first in ("-l", "--list", "list", "get") or first.startswith("--get")
    if not reads and len(args) > 1 and not first.startswith(_SAFE_SETTINGS):
        call.unknown(f"{call.name} changes what git decides")


def _has(call: Call, *options: str) -> bool:
    return any(arg.text in options for arg in call.args)


def _paths(call: Call, args: Sequence[Arg]) -> None:
    """Notes files that git writes or removes; a path may be a folder."""
    for arg in args:
        if arg.text is not None and (set(arg.text) & set("*?[\\") or arg.text.startswith(":")):
            call.unknown(f"{call.name} is given a pattern")
        else:
            call.note("write", arg, deep=True)


def _checkout(call: Call) -> None:
    """Only what stands behind ``--`` is surely a path."""
    marks = [at for at, arg in enumerate(call.args) if arg.text == "--"]
    before = call.args[: marks[0]] if marks else call.args
    behind = call.args[marks[0] + 1 :] if marks else []
    calm = frozenset({"-q", "--quiet", "-f", "--force", "--ours", "--theirs", "-m"})
    others = [arg for arg in before if arg.text not in calm]
    if not behind or any(arg.may_be_option for arg in others):
        call.unknown(f"{call.name} changes what git decides")
    else:
        _paths(call, behind)


def _restore(call: Call) -> None:
    known = Options(
        flags="SWqmp",
        takes="s",
        long_flags=frozenset({"staged", "worktree", "quiet", "ours", "theirs", "patch", "merge"}),
        long_takes=frozenset({"source"}),
    )
    given = read_options(call.args, known)
    if given is None:
        call.unknown(f"{call.name} may have an option that is not followed")
    elif not given.has("S", "staged") or given.has("W", "worktree"):
        _paths(call, given.operands)


def _reset(call: Call) -> None:
    calm = ("--soft", "--mixed", "-q", "--quiet", "-N", "--")
    odd = [arg for arg in call.args if arg.may_be_option and arg.text not in calm]
    if odd:
        call.unknown(f"{call.name} changes what git decides")


def _clean(call: Call) -> None:
    known = Options(flags="dfnqxX", takes="e", long_flags=frozenset({"dry-run", "force", "quiet"}))
    given = read_options(call.args, known)
    if given is None or not given.has("n", "dry-run"):
        call.unknown(f"{call.name} removes what git decides")


def _rm(call: Call) -> None:
    known = Options(
        flags="rfqn",
        long_flags=frozenset({"cached", "force", "quiet", "dry-run", "ignore-unmatch"}),
    )
    given = read_options(call.args, known)
    if given is None:
        call.unknown(f"{call.name} may have an option that is not followed")
    elif not given.has("cached", "n", "dry-run"):
        for arg in given.operands:
            if arg.text is not None and set(arg.text) & set("*?[\\:"):
                call.unknown(f"{call.name} is given a pattern")
            else:
                call.note("delete", arg, deep=given.has("r"))


def _mv(call: Call) -> None:
    dropped = ("-f", "-k", "-v", "--force", "--verbose")
    args = [arg for arg in call.args if arg.text not in dropped]
    call.run([Arg(text="mv"), *args], call.cwds)


def _apply(call: Call) -> None:
    looks = frozenset({"stat", "numstat", "summary", "check", "cached"})
    known = Options(
        flags="Rvq3",
        takes="p",
        long_flags=looks
        | {"index", "reverse", "verbose", "quiet", "3way", "recount", "unidiff-zero"},
        long_takes=frozenset({"whitespace"}),
    )
    given = read_options(call.args, known)
    if given is not None and given.has(*looks):
        return  # `--apply`, which is not known here, would apply all the same
    strip = given.value("p") if given is not None else None
    names = named_by_diff(call, 1 if strip is None else strip)
    if given is None or names is None or any(arg.text != "-" for arg in given.operands):
        call.unknown(f"{call.name} reads a patch that is not in the command line")
        return
    for name in names:
        call.note("write", Arg(text=name))


_COMMANDS: Final[dict[str, Callable[[Call], None]]] = {
    "apply": _apply,
    "checkout": _checkout,
    "clean": _clean,
    "mv": _mv,
    "reset": _reset,
    "restore": _restore,
    "rm": _rm,
}
