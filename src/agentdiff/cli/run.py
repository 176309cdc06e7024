"""``agentdiff run -- CMD…``: any program, with a session, a baseline and, if wanted, a trace.

Owns the order: baseline first, then the program, then its end.  Must not change how the program
behaves: whatever cannot be told is not told.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from agentdiff.cli import hook, launch, output
from agentdiff.cli.context import Context, UsageError
from agentdiff.config import TraceConfig, load
from agentdiff.install import launcher
from agentdiff.install.hook_client import find_compiler, find_perl
from agentdiff.locations import Locations
from agentdiff.sources.run import foreground, terminal
from agentdiff.sources.run.session import Session, command_line
from agentdiff.sources.trace import folder
from agentdiff.sources.trace.builtins import Builtins
from agentdiff.sources.trace.log import TraceLog
from agentdiff.sources.trace.redact import redacted
from agentdiff.sources.trace.rules import Rule
from agentdiff.sources.trace.server import Policy, TraceServer

SESSION = "AGENTDIFF_SESSION"
PAUSE_S = 30.0

_Start: TypeAlias = Callable[[], None]


def run(context: Context) -> int:
    """``agentdiff run``; returns the program's exit code."""
    args = context.args
    voice = _Voice()
    session = Session(
        deliver=deliverer(context.locations, context.environ.get(SESSION, ""), voice.complain),
        name=args.name or os.path.basename(args.cmd[0]),
        argv=tuple(args.cmd),
        cwd=os.fsdecode(context.cwd),
    )
    os.chdir(context.cwd)
    given = launch.telemetry(context, args.cmd[0])
    environ = {**context.environ, **given, SESSION: session.id}
    config = load(context.locations.config_file)
    settings = config.trace
    for problem in config.problems if args.trace else ():
        output.complain(output.escaped(problem))  # a rule that is not in force, for one
    shown = redacted(session.tool, args.cmd[1:], settings.redact)
    command = command_line([args.cmd[0], *shown])
    with _traced(context, session, settings, environ, voice) as trace:
        runner = terminal.run if args.pty else foreground.run
        try:
            session.started(command)
        except KeyboardInterrupt:
            session.ended(command, signal.SIGINT)
            raise
        with voice.held():
            status = runner(
                trace.argv, trace.environ, on_started=trace.start, on_alive=session.alive
            )
        session.ended(command, status)
    return foreground.leave_as(status)


class _Voice:
    """Complains; while the program runs that has to wait: the screen is the program's."""

    def __init__(self) -> None:
        self._held: list[str] | None = None

    def complain(self, text: str) -> None:
        """Takes one line without control characters; any thread."""
        if self._held is None:
            output.complain(text)
        else:
            self._held.append(text)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keeps what is said until the end."""
        self._held = []
        try:
            yield
        finally:
            later, self._held = self._held, None
            for text in later:
                output.complain(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trace:
    """What a program is started with; `start` is called when it has been."""

    argv: Sequence[str]
    environ: Mapping[str, str]
    start: _Start


@contextlib.contextmanager
def _traced(
    context: Context,
    session: Session,
    settings: TraceConfig,
    environ: Mapping[str, str],
    voice: _Voice,
) -> Iterator[_Trace]:
    """Puts the launchers in place and takes them away again; without them the program runs, too."""
    plain = _Trace(argv=context.args.cmd, environ=environ, start=lambda: None)
    if not context.args.trace:
        yield plain
        return
    if (context.locations.trace / "off").exists():
        output.complain("the trace is switched off: agentdiff trace on")
        yield plain
        return
    with contextlib.ExitStack() as stack:
        try:
            with contextlib.ExitStack() as begun:
                trace = _set_up(begun, context, session, settings, environ, voice)
                stack.push(begun.pop_all())
        except OSError as error:
            where = f"{output.escaped(os.fsdecode(error.filename))}: " if error.filename else ""
            output.complain(f"the commands are not traced: {where}{error.strerror or error}")
            trace = plain
        yield trace


def _set_up(
    stack: contextlib.ExitStack,
    context: Context,
    session: Session,
    settings: TraceConfig,
    environ: Mapping[str, str],
    voice: _Voice,
) -> _Trace:
    """Makes launchers and supervisor; what has to be taken away again is on the stack.

    Raises:
        OSError: they cannot be made.
        UsageError: nothing here can execute a launcher.
    """
    locations = context.locations
    search = context.environ.get("PATH", os.defpath)
    perl = find_perl(search)
    program = launcher.program(locations, find_compiler(search), wait_s=folder.WAIT_S)
    if program is None and perl is None:
        raise UsageError("--trace needs perl or a C compiler: install one, or leave --trace out")
    folder.remove_stale(locations.launchers)
    locations.prepare()
    place = locations.launchers / session.id
    stack.callback(shutil.rmtree, place, ignore_errors=True)
    launchers = folder.Launchers(
        place,
        off=locations.trace / "off",
        program=program,
        perl=perl,
        tools=(*folder.DEFAULT, *_more(settings)),
        environ=environ,
    )
    socket = locations.runtime / f"{session.id[:12]}.sock"
    traced = launchers.environment(environ, socket)
    xtrace = launchers.folder / "xtrace"
    if settings.env_diff:
        traced["AGENTDIFF_TRACE_ENV"] = "1"
    if settings.builtins:
        traced["AGENTDIFF_TRACE_BUILTINS"] = str(xtrace)
    policy = Policy(
        rules=tuple(Rule(command=command, action=action) for command, action in settings.rules),
        redact=settings.redact,
        env_diff=settings.env_diff,
        stderr_bytes=settings.stderr_bytes,
    )
    log = TraceLog(locations.trace, max_bytes=settings.max_log_bytes, keep=settings.keep_logs)
    server = stack.enter_context(TraceServer(socket, session, log, policy, traced, voice.complain))
    builtins: Builtins | None = None
    if settings.builtins:
        builtins = Builtins(xtrace, server.write, settings.redact)
        stack.callback(builtins.close)
    start = functools.partial(_start, server, builtins)
    return _Trace(argv=_careful(context.args.cmd), environ=traced, start=start)


def _start(server: TraceServer, builtins: Builtins | None) -> None:
    foreground.allow_descriptors()
    server.start()
    if builtins is not None:
        builtins.start()


def _more(settings: TraceConfig) -> tuple[str, ...]:
    """Returns the programs that the user wants launchers for, and says which cannot have one."""
    for name in settings.tools:
        if not folder.acceptable(name):
            output.complain(
                f"trace.tools: {output.escaped(name)} gets no launcher (a shell, or a path)"
            )
    return (*settings.tools, *(folder.CORE_UTILITIES if settings.core_utilities else ()))


def _careful(argv: Sequence[str]) -> Sequence[str]:
    """Lets an interactive bash forget the place of a launcher that is gone."""
    if os.path.basename(argv[0]) != "bash":
        return argv
    # Long options come first, or bash does not know them.
    at = 1
    while at < len(argv) and argv[at].startswith("--") and argv[at] != "--":
        at += 2 if argv[at] in ("--rcfile", "--init-file") else 1
    return [*argv[:at], "-O", "checkhash", *argv[at:]]


def deliverer(
    locations: Locations, within: str, complain: Callable[[str], None] = output.complain
) -> Callable[[str, bytes], object]:
    """Returns the way to the daemon; it complains once when there is none, or one that hangs.

    After that nobody waits for the next one to start, or to answer, for `PAUSE_S`.  What it does
    not take is spooled all the same.
    """
    complained: list[bool] = []
    again_at = 0.0

    def deliver(agent: str, payload: bytes) -> object:
        nonlocal again_at
        paused = time.monotonic() < again_at  # an agent waits, for each command that it runs
        answer = hook.hand_on(locations, agent, payload, within, paused=paused)
        if answer:
            again_at = 0.0
        elif not paused:
            again_at = time.monotonic() + PAUSE_S
            if not complained:
                complained.append(True)
                what = "no daemon" if answer is None else "the daemon does not answer"
                complain(f"{what}: changes are not followed (agentdiff doctor says why)")
        return answer

    return deliver
