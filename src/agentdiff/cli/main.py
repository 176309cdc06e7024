"""``agentdiff``: the table of subcommands and the one place where errors become exit codes.

Owns the grammar (DESIGN §6).  Every subcommand's module is imported when it is used.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence

from agentdiff import __version__

# name → "module:function"; help.  `hook` has an entry of its own in `main`.
COMMANDS: Mapping[str, tuple[str, str]] = {
    "status": ("review:status", "what pends: files, hunks, sessions"),
    "diff": ("review:diff", "the pending changes as a unified diff for git apply"),
    "accept": ("review:accept", "make pending changes part of the baseline; the disk is untouched"),
    "reject": ("review:reject", "take pending changes back on disk"),
    "undo": ("review:undo", "take back the last decision of the command line"),
    "redo": ("review:redo", "repeat the last decision that was undone here"),
    "log": ("log:log", "prompts, their tool calls, the commands those ran, and files"),
    "comment": ("feedback:comment", "say something about a change, for the agent to read"),
    "feedback": ("feedback:feedback", "what waits to be told to the agents"),
    "baseline": ("review:baseline", "look at the baseline, move it, or go back to it"),
    "run": ("run:run", "run any program as an agent: session, baseline, trace of its commands"),
    "acp": ("acp:acp", "pass the Agent Client Protocol on to an agent, and follow it"),
    "trace": ("trace:trace", "the trace of commands: switch it on and off, show what it logged"),
    "install": ("manage:install", "connect an agent: write its hook configuration"),
    "uninstall": ("manage:uninstall", "take that configuration back"),
    "doctor": ("manage:doctor", "check the installation and say what to do"),
    "purge": ("purge:purge", "forget the review of this workspace, or everything"),
    "daemon": ("daemon:daemon", "start, stop and look at the background process"),
    "hook": ("hook:main", "hook entry point (payload on standard input)"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code.

    Args:
        argv: arguments without the program's name, None for the process's own.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if sys.platform == "win32":
        sys.stderr.write("agentdiff: Windows is not supported; run it inside WSL\n")
        return 2
    if arguments[:1] == ["hook"]:
        from agentdiff.cli import hook

        return hook.main(arguments[1:])
    from agentdiff.cli import output

    output.stand_in()
    try:
        code = _run(parser().parse_args(arguments))
    except SystemExit as left:  # --help, --version, or a mistake that argparse has named
        code = left.code if isinstance(left.code, int) else 0
    return _flushed(code)


def _flushed(code: int) -> int:
    """Sends off what was printed, which fails here rather than when Python ends."""
    from agentdiff.cli import context, output

    try:
        output.flush()
    except BrokenPipeError:
        return code  # the reader of a pipe left (``| head``), and knows why
    except OSError as error:
        output.complain(f"{error.filename}: {error.strerror}")
        return context.REFUSED
    return code


def _run(args: argparse.Namespace) -> int:
    """Runs a parsed command and turns its errors into messages and exit codes."""
    from agentdiff.cli import context, output
    from agentdiff.client import DaemonUnavailable, RequestError
    from agentdiff.wire import VersionMismatch, WireError

    module, _, function = COMMANDS[args.command][0].partition(":")
    act: Callable[[context.Context], int] = getattr(
        importlib.import_module(f"agentdiff.cli.{module}"), function
    )
    try:
        return act(context.make(args, os.environ))
    except context.UsageError as error:
        output.complain(output.escaped(str(error)))
        return context.USAGE
    except RequestError as error:
        output.complain(output.escaped(error.message))
        codes = {"usage": context.USAGE, "unavailable": context.UNAVAILABLE}
        return codes.get(error.code, context.REFUSED)
    except (DaemonUnavailable, VersionMismatch, WireError) as error:
        output.complain(output.escaped(str(error)))
        return context.UNAVAILABLE
    except BrokenPipeError:
        return context.DONE  # see `_flushed`
    except OSError as error:
        # A file of the user's or of ours that is not as it should be, or standard output.
        where = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
        output.complain(output.escaped(f"{where}{error.strerror or error}"))
        return context.REFUSED
    except KeyboardInterrupt:
        return 130


def parser() -> argparse.ArgumentParser:
    """Returns the grammar of the whole command line."""
    top = argparse.ArgumentParser(
        prog="agentdiff",
        description="Review what coding agents changed in your tree, hunk by hunk.",
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"agentdiff {__version__}")
    _add_directory(top, None)
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    subs = {
        name: commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        for name, (_, text) in COMMANDS.items()
    }
    for name, sub in subs.items():
        _add_directory(sub, argparse.SUPPRESS)
        if name not in ("diff", "baseline", "daemon", "purge", "hook", "run", "acp", "trace"):
            sub.add_argument("--json", action="store_true", help="print JSON")
    _add_review_arguments(subs)
    _add_baseline_arguments(subs["baseline"])
    _add_manage_arguments(subs)
    _add_daemon_arguments(subs["daemon"])
    subs["log"].add_argument(
        "--follow", action="store_true", help="show what happens as it happens, until Ctrl-C"
    )
    _add_run_arguments(subs["run"])
    _add_program(subs["acp"])
    _add_trace_arguments(subs["trace"])
    subs["hook"].add_argument("agent", metavar="AGENT")
    return top


def _add_directory(target: argparse.ArgumentParser, default: str | None) -> None:
    """Adds ``-C``, before or after the subcommand."""
    target.add_argument(
        "-C", dest="directory", metavar="DIR", default=default, help="as if started in DIR"
    )


def _add_owner(target: argparse.ArgumentParser) -> None:
    """Adds the options that choose by owner."""
    target.add_argument("--agent", metavar="NAME", help="only changes of this agent")
    target.add_argument("--session", metavar="ID", help="only changes of this session")
    target.add_argument("--turn", metavar="ID", help="only changes of this turn")
    target.add_argument(
        "--call", metavar="ID", help="only changes of this tool call, as `agentdiff log` has it"
    )
    target.add_argument(
        "--external", action="store_true", help="also changes that no agent is known to have made"
    )


def _add_review_arguments(subs: Mapping[str, argparse.ArgumentParser]) -> None:
    """Adds the arguments of ``diff``, ``accept`` and ``reject``."""
    for name in ("diff", "accept", "reject"):
        subs[name].add_argument("path", metavar="PATH", nargs="*", help="file or folder")
        _add_owner(subs[name])
    for name in ("accept", "reject"):
        sub = subs[name]
        sub.add_argument("--all", action="store_true", help="everything pending")
        sub.add_argument(
            "--hunk",
            metavar="ID[@GEN]",
            action="append",
            default=[],
            help="this hunk (as it was seen at GEN); may be repeated",
        )
        sub.add_argument(
            "--seen", metavar="SEQ", type=int, help="leave what moved on since this status"
        )
    subs["comment"].add_argument("path", metavar="PATH", help="file")
    subs["comment"].add_argument("text", metavar="TEXT", help="told to the agent")
    subs["comment"].add_argument("--hunk", metavar="ID", type=int, help="the hunk it is about")
    subs["comment"].add_argument("--lines", metavar="FIRST[-LAST]", help="the lines it is about")
    subs["feedback"].add_argument("--all", action="store_true", help="also what was told already")
    subs["feedback"].add_argument("--take", action="store_true", help="count it as told")
    subs["reject"].add_argument("--reason", metavar="TEXT", help="told to the agent")
    subs["reject"].add_argument(
        "--discard-user", action="store_true", help="also lose the user's lines in mixed hunks"
    )


def _add_baseline_arguments(sub: argparse.ArgumentParser) -> None:
    """Adds the actions of ``baseline``."""
    actions = sub.add_subparsers(dest="action", metavar="ACTION", required=True)
    known = {
        "list": "files that differ from the baseline, and turns to go back to",
        "show": "the baseline's content of a file, exactly",
        "set": "accept the current content as baseline",
        "restore": "put files back to the baseline, or to the start of a turn",
        "clear": "stop reviewing; the disk is untouched",
    }
    for name, text in known.items():
        action = actions.add_parser(name, help=text, description=text, allow_abbrev=False)
        _add_directory(action, argparse.SUPPRESS)
        action.add_argument("--json", action="store_true", help="print JSON")
        if name == "show":
            action.add_argument("path", metavar="PATH")
        elif name in ("set", "clear"):
            action.add_argument("path", metavar="PATH", nargs="*")
        elif name == "restore":
            action.add_argument("--turn", metavar="ID", help="the start of this turn")
            action.add_argument("--agent", metavar="NAME", help="whose turn it is")
            action.add_argument("--session", metavar="ID", help="in which session the turn is")
            action.add_argument("path", metavar="PATH", nargs="+")


def _add_manage_arguments(subs: Mapping[str, argparse.ArgumentParser]) -> None:
    """Adds the arguments of ``install``, ``uninstall``, ``doctor`` and ``purge``."""
    for name in ("install", "uninstall"):
        sub = subs[name]
        sub.add_argument(
            "agent",
            metavar="AGENT",
            nargs="?" if name == "install" else None,
            help="its name, such as claude; `install --detect` lists them",
        )
        sub.add_argument(
            "--scope",
            choices=("user", "project", "local"),
            default="user",
            help="whose configuration (default: user)",
        )
        sub.add_argument("--dry-run", action="store_true", help="show the change, write nothing")
    subs["install"].add_argument(
        "--detect", action="store_true", help="list the agents of this machine, change nothing"
    )
    subs["doctor"].add_argument(
        "--need-daemon", action="store_true", help="fail (4) when no daemon runs"
    )
    purge = subs["purge"]
    purge.add_argument("--all", action="store_true", help="every workspace, the log, the token")
    purge.add_argument("--yes", action="store_true", help="even if something pends")


def _add_run_arguments(sub: argparse.ArgumentParser) -> None:
    """Adds the arguments of ``run``."""
    sub.add_argument("--pty", action="store_true", help="in a pseudo-terminal of its own")
    sub.add_argument("--trace", action="store_true", help="log the commands that it runs")
    _add_program(sub)


def _add_program(sub: argparse.ArgumentParser) -> None:
    """Adds the program that is started, and its name."""
    sub.add_argument("--name", metavar="NAME", help="the agent's name (default: the program's)")
    sub.add_argument("cmd", metavar="CMD", nargs="+", help="after --: the program and its words")


def _add_trace_arguments(sub: argparse.ArgumentParser) -> None:
    """Adds the actions of ``trace``."""
    actions = sub.add_subparsers(dest="action", metavar="ACTION", required=True)
    known = {
        "on": "let `agentdiff run --trace` trace again",
        "off": "switch every trace off, also of what runs now",
        "status": "whether it is on, where the log is, what is being traced",
        "log": "the commands that were run",
    }
    parsers = {
        name: actions.add_parser(name, help=text, description=text, allow_abbrev=False)
        for name, text in known.items()
    }
    for name, action in parsers.items():
        _add_directory(action, argparse.SUPPRESS)
        if name in ("status", "log"):
            action.add_argument("--json", action="store_true", help="print JSON")
    parsers["log"].add_argument(
        "--session", metavar="ID", help="only this run; its start is enough"
    )
    parsers["log"].add_argument("--last", metavar="N", type=int, help="only the newest N")


def _add_daemon_arguments(sub: argparse.ArgumentParser) -> None:
    """Adds the actions of ``daemon``."""
    actions = sub.add_subparsers(dest="action", metavar="ACTION", required=True)
    known = {
        "start": "start it unless it runs",
        "stop": "ask it to leave, and wait",
        "status": "what it says of itself",
        "run": "run it in this process",
    }
    parsers = {
        name: actions.add_parser(name, help=text, description=text, allow_abbrev=False)
        for name, text in known.items()
    }
    for action in parsers.values():
        _add_directory(action, argparse.SUPPRESS)
    parsers["status"].add_argument("--json", action="store_true", help="print JSON")
    # How `agentdiff.daemon.launch` passes on what it resolved; not for people.
    parsers["run"].add_argument("--detached", action="store_true", help=argparse.SUPPRESS)
    for name in ("state", "runtime", "config", "data"):
        parsers["run"].add_argument(f"--{name}", metavar="DIR", help=argparse.SUPPRESS)
