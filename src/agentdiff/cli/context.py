"""What every subcommand gets: its arguments, where it runs, and the daemon when it needs it.

Owns the exit codes and the translation of path arguments.  Must not print.
"""

from __future__ import annotations

import argparse
import os
from base64 import b64encode
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentdiff.cli import output
from agentdiff.locations import Locations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentdiff.client import Client

DONE = 0
NOTHING = 1
USAGE = 2
REFUSED = 3
UNAVAILABLE = 4

_MAX_DIGITS = 18  # all of them fit into 64 bits


class UsageError(ValueError):
    """Arguments that argparse cannot judge; the message names them."""


@dataclass(frozen=True)
class Context:
    """One invocation.

    Attributes:
        args: the parsed arguments.
        environ: usually ``os.environ``.
        cwd: absolute, after ``-C``; its bytes need not be UTF-8.
    """

    args: argparse.Namespace
    environ: Mapping[str, str]
    cwd: bytes

    @cached_property
    def locations(self) -> Locations:
        """Where the user's daemon is.

        Raises:
            UsageError: the environment does not say.
        """
        try:
            return Locations.from_env(self.environ)
        except KeyError as error:
            raise UsageError(f"{error.args[0]} is not set in the environment") from error

    @contextmanager
    def daemon(self, *, start: bool = True) -> Iterator[Client]:
        """Connects to the daemon, starting it if allowed.

        Raises:
            DaemonUnavailable: there is none.
            VersionMismatch: it speaks another protocol.
        """
        from agentdiff.client import Client

        with Client(self.locations, start=start) as client:
            yield client

    def call(self, method: str, **params: object) -> dict[str, Any]:
        """Asks the daemon about the workspace of the current folder.

        Raises:
            DaemonUnavailable, RequestError: see `agentdiff.client.Client`.
        """
        with self.daemon() as client:
            client.heard = _tell_waiting
            return client.call(method, **self.place(), **params)

    def place(self) -> dict[str, object]:
        """Returns the parameter that names the current folder."""
        return named("cwd", self.cwd)

    def path(self, argument: str) -> object:
        """Returns a path argument as the protocol wants it: absolute, its folder resolved.

        The last component is not resolved: a link is reviewed as a link.

        Raises:
            UsageError: it is empty, which would mean the whole folder (``reject "$UNSET"``).
        """
        from agentdiff.workspace.spelling import true_path

        if not argument:
            raise UsageError("PATH is empty; the current folder is called .")

        joined = os.path.normpath(os.path.join(self.cwd, os.fsencode(argument)))
        folder, name = os.path.split(joined)
        absolute = true_path(os.path.join(os.path.realpath(folder), name))
        text = os.fsdecode(absolute)
        return text if _is_utf8(absolute) else {"path_b64": b64encode(absolute).decode("ascii")}

    def paths(self, arguments: list[str]) -> list[object]:
        """Returns path arguments as the protocol wants them."""
        return [self.path(argument) for argument in arguments]


def number(text: str, wrong: str) -> int:
    """Returns the number that an argument holds.

    Args:
        text: the argument, or a part of it.
        wrong: what to say when it is none.

    Raises:
        UsageError: it is none, or has more digits than any number here.
    """
    if not (text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS):
        raise UsageError(wrong)
    return int(text)


def named(name: str, path: bytes) -> dict[str, object]:
    """Returns a path parameter: ``name`` when it is UTF-8, else ``name_b64``."""
    if _is_utf8(path):
        return {name: path.decode("utf-8")}
    return {f"{name}_b64": b64encode(path).decode("ascii")}


def make(args: argparse.Namespace, environ: Mapping[str, str]) -> Context:
    """Returns the context of an invocation.

    Raises:
        UsageError: the folder of ``-C`` is not there or not named, or the current one is gone.
    """
    try:
        cwd = os.getcwdb()
    except FileNotFoundError as error:
        raise UsageError("the current folder does not exist any more") from error
    if args.directory == "":
        raise UsageError("-C is empty; the current folder is called .")
    if args.directory is not None:
        cwd = os.path.realpath(os.path.join(cwd, os.fsencode(args.directory)))
        if not os.path.isdir(cwd):
            raise UsageError(f"-C {args.directory}: not a folder")
    return Context(args=args, environ=environ, cwd=cwd)


def workspace_of(context: Context) -> Path:
    """Returns the top level of the innermost git work tree around the folder, else the folder.

    For installers, which must work without a daemon; the daemon also knows older workspaces.
    """
    from agentdiff.workspace.roots import find_root

    return Path(os.fsdecode(find_root(context.cwd, ())))


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _tell_waiting(method: str, params: dict[str, Any]) -> None:
    """Says that a decision waits for an agent that is writing the file."""
    if method == "waiting":
        edit = params["for"][0]
        who, what = output.escaped(edit["agent"]), output.escaped(edit["tool"])
        output.complain(f"waiting for {who}: {what} of {output.path_name(edit)}")
