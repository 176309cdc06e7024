"""Answers the launchers of one traced run.

Owns the supervisor's end of the launcher protocol (doc/trace.md), and the order of things: rules,
baseline, "go", the command, what it wrote, its line in the log.  Threads of its own; a launcher
that leaves, or a disk that is full, disturbs nobody.  Hop 1.
"""

from __future__ import annotations

import contextlib
import functools
import getpass
import itertools
import os
import platform
import re
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BufferedReader
from pathlib import Path

from agentdiff.daemon import sockets
from agentdiff.sources.descriptors import readable
from agentdiff.sources.run.session import Session, command_line, outcome
from agentdiff.sources.trace.classify import can_write
from agentdiff.sources.trace.log import TraceLog
from agentdiff.sources.trace.redact import redacted
from agentdiff.sources.trace.rules import Rule, first_match

_FIELDS = 9
FINISH_WITHIN_S = 5.0
_PAUSE_S = 0.05
MAX_REQUEST_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What of a command is looked at and kept.

    Attributes:
        rules: of the user, first match wins.
        redact: the user's further patterns.
        env_diff: whether names of changed environment variables are logged.
        stderr_bytes: whether it is logged how much was written to a standard error that is a file.
    """

    rules: tuple[Rule, ...] = ()
    redact: tuple[re.Pattern[str], ...] = ()
    env_diff: bool = False
    stderr_bytes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a launcher says about the command that it stands for.

    Attributes:
        real: the program that will run; empty when there is none.
        cwd: absolute.
        pid: its own word; in a pid namespace it is another than ours.
        tty: whether standard input is a terminal.
        to_file: whether standard output is a regular file.
        parent: id of the traced command around it, empty for none.
        environ: its environment, empty unless asked for.
    """

    tool: str
    real: str
    cwd: str
    pid: int
    ppid: int
    tty: bool
    to_file: bool
    parent: str
    arguments: tuple[str, ...]
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)


def parse(data: bytes, fallback_cwd: str, sender: int = 0) -> Request:
    """Returns the request of a launcher.

    Args:
        data: what it sent.
        fallback_cwd: where it is when that cannot be found out.
        sender: its pid as the kernel has it, 0 when that is not known.

    Raises:
        ValueError: it is not one.
    """
    parts = [os.fsdecode(part) for part in data.split(b"\0")]
    tool, real, cwd, pid, ppid, tty, to_file, parent, count = parts[:_FIELDS]
    end = _FIELDS + int(count)
    pairs = (part.partition("=") for part in parts[end:] if part)
    return Request(
        tool=tool,
        real=real,
        cwd=_cwd(cwd, sender) or fallback_cwd,
        pid=int(pid),
        ppid=int(ppid),
        tty=tty == "1",
        to_file=to_file == "1",
        parent=parent,
        arguments=tuple(parts[_FIELDS:end]),
        environ={name: value for name, _, value in pairs},
    )


def _cwd(claimed: str, pid: int) -> str:
    """Returns where a process is; its own word (PWD) counts where the system does not say."""
    if pid:
        with contextlib.suppress(OSError):
            place = os.readlink(f"/proc/{pid}/cwd")
            if os.path.isdir(place):  # not one that was removed, or is in another mount namespace
                return place
    return claimed if claimed.startswith("/") and os.path.isdir(claimed) else ""


def _user() -> str:
    """Returns the user's name; the number where it has none, as in many containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # the latter from Python 3.13 on
        return str(os.getuid())


class TraceServer:
    """Use as a context manager, entered before the program starts and left when it has ended.

    Args:
        path: of the socket; made and removed here.
        session: what the commands belong to.
        log: where they are written down.
        policy: see `Policy`.
        environ: of the program, for ``env_diff``.
        complain: takes a line for the user; any thread.
    """

    def __init__(
        self,
        path: Path,
        session: Session,
        log: TraceLog,
        policy: Policy,
        environ: Mapping[str, str],
        complain: Callable[[str], None],
    ) -> None:
        self._path = path
        self._complain = complain
        self._session = session
        self._log = log
        self._policy = policy
        self._environ = dict(environ)
        self._numbers = itertools.count(1)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._constant = {
            "user": _user(),
            "host": socket.gethostname(),
            "platform": f"{platform.system().lower()}-{platform.machine()}",
            "session_id": session.id,
        }
        self._complained = False
        self._left = threading.Event()
        self._open: dict[threading.Thread, socket.socket] = {}

    def __enter__(self) -> TraceServer:
        """Binds the socket: launchers that come early wait in its backlog."""
        self._path.unlink(missing_ok=True)
        self._listener.bind(os.fsencode(self._path))
        os.chmod(self._path, 0o600)
        self._listener.listen(512)
        return self

    def start(self) -> None:
        """Begins to answer; after the fork, which threads would not survive."""
        threading.Thread(target=self._accept, name="trace", daemon=True).start()

    def __exit__(self, *_: object) -> None:
        for thread, connection in list(self._open.items()):
            # What has ended is written down; what goes on in the background is not waited for.
            with contextlib.suppress(OSError, ValueError):
                if readable(connection, 0):
                    thread.join(FINISH_WITHIN_S)
        self._path.unlink(missing_ok=True)
        self._left.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while not self._left.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:  # closed, or no descriptor left for one more command at a time
                self._left.wait(_PAUSE_S)
                continue
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._open[thread] = connection
            try:
                thread.start()
            except RuntimeError:  # no thread left: the launcher runs its program alone
                del self._open[thread]
                connection.close()

    def _serve(self, connection: socket.socket) -> None:
        try:
            self._answer(connection)
        finally:
            del self._open[threading.current_thread()]

    def _answer(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError, ValueError):
            stream = connection.makefile("rb")
            size = int(stream.readline(16))
            if not 0 < size <= MAX_REQUEST_BYTES:
                return
            sender = sockets.peer_pid(connection)
            request = parse(stream.read(size), self._session.cwd, sender)
            _Command(self, connection, stream, request).run()

    def number(self) -> int:
        """Returns the number of the next command of this run, from 1."""
        return next(self._numbers)

    @property
    def session(self) -> Session:
        """What the commands belong to."""
        return self._session

    @property
    def policy(self) -> Policy:
        """What is looked at and kept."""
        return self._policy

    def env_diff(self, environ: Mapping[str, str]) -> dict[str, list[str]]:
        """Returns the names, never the values, of what a command's environment changed."""
        ours = {"SHIM_ACTIVE", "AGENTDIFF_TRACE_PARENT", "_", "SHLVL", "PWD", "OLDPWD"}
        before = {name: value for name, value in self._environ.items() if name not in ours}
        after = {name: value for name, value in environ.items() if name not in ours}
        return {
            "added": sorted(after.keys() - before.keys()),
            "changed": sorted(n for n in after.keys() & before.keys() if after[n] != before[n]),
            "removed": sorted(before.keys() - after.keys()),
        }

    def write(self, record: Mapping[str, object]) -> None:
        """Writes one line of the log; complains once when that is impossible."""
        try:
            self._log.write({**record, **self._constant})
        except OSError as error:
            if not self._complained:
                self._complained = True
                self._complain(f"the trace cannot be written: {error.strerror}")


class _Command:
    """One command, from its launcher's question to its end."""

    def __init__(
        self,
        server: TraceServer,
        connection: socket.socket,
        stream: BufferedReader,
        request: Request,
    ) -> None:
        self._server = server
        self._connection = connection
        self._stream = stream
        self._request = request
        self._id = f"{server.session.id}.{server.number()}"
        self._started = self._ended = time.time()

    @functools.cached_property
    def _words(self) -> tuple[str, ...]:
        """Without secrets; a command that only reads does not wait for that."""
        policy = self._server.policy
        return redacted(self._request.tool, self._request.arguments, policy.redact)

    @functools.cached_property
    def _line(self) -> str:
        return command_line([self._request.tool, *self._words])

    def run(self) -> None:
        """Answers, waits for the end, and writes it down."""
        request, policy = self._request, self._server.policy
        rule = first_match(policy.rules, request.tool, request.arguments)
        if rule is not None:
            self._refuse(rule)
            return
        writes = bool(request.real) and can_write(
            request.tool, request.arguments, to_file=request.to_file
        )
        status = errors = None
        try:
            if writes:
                self._tell("command_started")
            self._send(f"go {self._id} {'wait' if writes else 'run'}")
            status, errors = self._end()
        finally:  # also of a launcher that was killed while it waited for its baseline
            self._ended = time.time()
            self._finish(status, errors, writes=writes)

    def _finish(self, status: int | None, errors: int | None, *, writes: bool) -> None:
        """Tells the end, and writes it down.

        Args:
            status: wait status, None when it is not known.
            errors: bytes on standard error, None when that is not known.
            writes: whether its start was told.
        """
        try:
            if writes:  # first: the launcher waits for it, and nobody for the log
                how = "unknown" if status is None else outcome(status)
                self._tell("command_finished", outcome=how)
                with contextlib.suppress(OSError):
                    self._send("ok")
        finally:
            policy = self._server.policy
            code = None if status is None else os.waitstatus_to_exitcode(status)
            code = code if code is None or code >= 0 else 128 - code  # as a shell has it in $?
            self._write("run", code, {"stderr_bytes": errors} if policy.stderr_bytes else {})

    def _refuse(self, rule: Rule) -> None:
        what = "denied by the rule" if rule.action == "deny" else "dry run, rule"
        verb = "deny" if rule.action == "deny" else "dry"
        self._send(f"{verb} - {what} {rule.command!r}: {self._line}")
        self._write(rule.action, 126 if rule.action == "deny" else 0, {"rule": rule.command})

    def _end(self) -> tuple[int | None, int | None]:
        """Returns wait status and bytes on standard error; None for a launcher that was killed."""
        try:
            line = self._stream.readline(64).decode("ascii").strip()
        except (OSError, ValueError):
            return None, None
        status, _, errors = line.partition("\t")
        return (int(status) if status else None), (int(errors) if errors else None)

    def _tell(self, event: str, **fields: object) -> None:
        self._server.session.tell(
            event,
            cwd=self._request.cwd,
            call=self._id,
            parent=self._request.parent,
            tool=self._request.tool,
            command=self._line,
            **fields,
        )

    def _send(self, line: str) -> None:
        # One line: a newline in a rule or a command would end the answer too early.
        text = line.replace("\n", " ").encode("utf-8", "surrogateescape")
        self._connection.sendall(text + b"\n")

    def _write(self, mode: str, code: int | None, more: Mapping[str, object]) -> None:
        request = self._request
        self._server.write(
            {
                "ts": datetime.fromtimestamp(self._started, UTC).isoformat(timespec="milliseconds"),
                "command": request.tool,
                "argv": _shown([request.tool, *self._words]),
                "cwd": _shown([request.cwd])[0],
                "exit_code": code,
                "duration_ms": round((self._ended - self._started) * 1000, 3),
                "pid": request.pid,
                "ppid": request.ppid,
                "mode": mode,
                "tty": request.tty,
                "id": self._id,
                "parent": request.parent or None,
                "path": _shown([request.real])[0],
                **more,
                **(
                    {"env_diff": self._server.env_diff(request.environ)}
                    if self._server.policy.env_diff
                    else {}
                ),
            }
        )


def _shown(words: Sequence[str]) -> list[str]:
    """Returns words as JSON can hold them: bytes that are not UTF-8 are shown as U+FFFD."""
    return [word.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for word in words]
