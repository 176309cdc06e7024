"""Ten scripted agents: sessions, turns and tool calls as Claude Code's hooks tell of them.

Owns what they do and how their hooks travel: most by the protocol of the hook client from inside
this process, a share by the installed client.  Payload shapes: tests/golden/claude, reduced to
what is always sent.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import shlex
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.soak.recorder import Content, Recorder, Tracked

CALLS_PER_TURN = 8
CALLS_PER_SESSION = 40
REAL_CLIENT_SHARE = 0.05
ANSWER_WITHIN_S = 30.0
FIRST_FREE_LINE = 8
LONG_LINES = 220


class Hooks:
    """The way of a hook to the daemon; any thread.

    Attributes:
        sent: how many were sent.
        uncertain: how many were answered with a baseline that came late.
        latencies_s: of those that this process sent itself.
    """

    def __init__(self, socket_path: Path, client: Path, recorder: Recorder) -> None:
        self.sent = 0
        self.uncertain = 0
        self.latencies_s: deque[float] = deque(maxlen=100_000)
        self._socket_path = str(socket_path)
        self._client = str(client)
        self._recorder = recorder
        self._lock = threading.Lock()

    def send(self, payload: dict[str, Any], *, real: bool) -> None:
        """Sends one hook and returns when it is answered."""
        body = json.dumps(payload).encode()
        began = time.perf_counter()
        answer = self._by_client(body) if real else self._by_socket(body)
        if not real:
            self.latencies_s.append(time.perf_counter() - began)
        with self._lock:
            self.sent += 1
            self.uncertain += answer.get("certain") is False
        if not answer.get("ok"):
            self._recorder.problem(f"a hook was answered {answer} ({payload['hook_event_name']})")

    def _by_socket(self, body: bytes) -> dict[str, Any]:
        header = b'{"proto":1,"min_proto":1,"agent":"claude","len":%d,"within":""}\n' % len(body)
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(ANSWER_WITHIN_S)
                connection.connect(self._socket_path)
                connection.sendall(header + body)
                line = b""
                while not line.endswith(b"\n"):
                    part = connection.recv(65536)
                    if not part:
                        return {"ok": False, "error": "no answer"}
                    line += part
        except OSError as error:
            return {"ok": False, "error": str(error)}
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _by_client(self, body: bytes) -> dict[str, Any]:
        """Runs the installed client, which always exits 0; the daemon's count says what arrived."""
        read, write = os.pipe()
        actions = [
            (os.POSIX_SPAWN_DUP2, read, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_CLOSE, read),
            (os.POSIX_SPAWN_CLOSE, write),
        ]
        pid = os.posix_spawn(
            self._client, [self._client, "claude"], os.environ, file_actions=actions
        )
        os.close(read)
        with open(write, "wb") as pipe:
            pipe.write(body)
        _, status = os.waitpid(pid, 0)
        return {"ok": status == 0, "error": f"exit status {status}"}


class Pace:
    """Gives out the tool calls, each at its time; any thread.

    Args:
        calls: how many there are.
        seconds: how long they shall take; whoever is late does not wait.
    """

    def __init__(self, calls: int, seconds: float) -> None:
        self.calls = calls
        self.done = 0
        self._gap_s = seconds / calls
        self._paused_s = 0.0
        self._began_s = time.monotonic()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begins to count the time."""
        self._began_s = time.monotonic()

    def skip(self, seconds: float) -> None:
        """Takes a pause out of the schedule."""
        with self._lock:
            self._paused_s += seconds

    def take(self) -> bool:
        """Waits for the time of the next call; False when there is none."""
        with self._lock:
            if self.done >= self.calls:
                return False
            self.done += 1
            due_s = self._began_s + self._paused_s + self.done * self._gap_s
        delay_s = due_s - time.monotonic()
        if delay_s > 0:
            time.sleep(delay_s)
        return True


class Gate:
    """Where agents stop between sessions while git works; any thread."""

    def __init__(self, agents: int) -> None:
        self._agents = agents
        self._changed = threading.Condition()
        self._closed = False
        self._waiting = 0

    @property
    def closed(self) -> bool:
        """Whether agents shall come to the gate."""
        return self._closed

    def leave(self) -> None:
        """An agent has ended."""
        with self._changed:
            self._agents -= 1
            self._changed.notify_all()

    def wait(self) -> None:
        """Waits while it is closed."""
        with self._changed:
            self._waiting += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._closed)
            self._waiting -= 1

    def close(self, timeout_s: float) -> bool:
        """Closes it; returns whether all agents came in time."""
        with self._changed:
            self._closed = True
            return self._changed.wait_for(lambda: self._waiting >= self._agents, timeout_s)

    def open(self) -> None:
        """Lets everybody through."""
        with self._changed:
            self._closed = False
            self._changed.notify_all()


@dataclass(slots=True)
class Agent:
    """One agent, run by `run` on a thread of its own.

    Attributes:
        name: also the seed of what it does.
        lane: the files that it mostly works on.
        recent: calls that ended, ``(session, tool call)``, for telemetry.
    """

    name: str
    recorder: Recorder
    hooks: Hooks
    pace: Pace
    gate: Gate
    lane: list[Tracked]
    recent: deque[tuple[str, str]]
    session: str = ""
    rng: random.Random = field(init=False)
    _serial: Iterator[int] = field(default_factory=itertools.count)
    _turn: str = ""

    def __post_init__(self) -> None:
        self.rng = random.Random(self.name)

    def run(self) -> None:
        """Works until there is no call left."""
        try:
            while self._session():
                if self.gate.closed:
                    self.gate.wait()
        except Exception as error:  # noqa: BLE001 - a thread that dies must not look like one that is done
            self.recorder.problem(f"agent {self.name} died: {error!r}")
        finally:
            self.gate.leave()

    # --- sessions --------------------------------------------------------------------------------

    def _session(self) -> bool:
        """Lives one session; returns whether there may be another."""
        self.session = f"{self.name}-{next(self._serial)}"
        self._hook("SessionStart", source="startup")
        more, calls = True, 0
        while more and calls < CALLS_PER_SESSION and not self.gate.closed:
            self._turn = f"{self.session}-p{calls}"
            self._hook("UserPromptSubmit", prompt=f"Please go on from {calls}")
            for _ in range(CALLS_PER_TURN):
                more = self.pace.take()
                if not more:
                    break
                self._call()
                calls += 1
            self._hook("Stop", stop_hook_active=False, background_tasks=[])
        self._hook("SessionEnd", reason="other")
        self.recorder.count("sessions")
        return more

    def _hook(self, event: str, **fields: Any) -> None:
        payload = {
            "session_id": self.session,
            "transcript_path": "/nowhere.jsonl",
            "cwd": str(self.recorder.root),
            "prompt_id": self._turn,
            "permission_mode": "acceptEdits",
            "hook_event_name": event,
            **fields,
        }
        self.hooks.send(payload, real=self.rng.random() < REAL_CLIENT_SHARE)

    @contextmanager
    def _tool(self, name: str, **given: Any) -> Iterator[None]:
        """Runs the body inside one tool call."""
        call = f"{self.session}-t{next(self._serial)}"
        if name != "Read":  # the log holds what can change something
            self.recorder.call(self.session, call)
        fields: dict[str, Any] = {"tool_name": name, "tool_input": given, "tool_use_id": call}
        if self.rng.random() < 0.05:
            fields["agent_id"] = f"{self.session}-sub"
        self._hook("PreToolUse", **fields)
        yield
        self._hook("PostToolUse", **fields, tool_response={})
        self.recent.append((self.session, call))

    # --- calls -----------------------------------------------------------------------------------

    def _call(self) -> None:
        """Does one thing."""
        kinds: list[tuple[int, Callable[[], None]]] = [
            (36, self._edit),
            (6, self._rewrite),
            (9, self._create),
            (20, self._append),
            (8, self._generate),
            (3, self._remove),
            (2, self._chmod),
            (2, self._move),
            (14, self._read),
        ]
        act = self.rng.choices([one for _, one in kinds], [weight for weight, _ in kinds])[0]
        act()

    @contextmanager
    def _files(self, count: int, fits: Callable[[Tracked], bool]) -> Iterator[list[Tracked]]:
        """Yields up to so many files that nobody else has now."""
        pool = self.lane if self.rng.random() < 0.7 else self.recorder.sample(self.rng, 40)
        taken: list[Tracked] = []
        for file in self.rng.sample(pool, len(pool)):
            if len(taken) < count and file.lock.acquire(blocking=False):
                if file.pair is None and fits(file):
                    taken.append(file)
                else:
                    file.lock.release()
        try:
            yield taken
        finally:
            for file in taken:
                file.lock.release()

    def _path(self, file: Tracked) -> str:
        return str(self.recorder.root / file.path)

    def _line(self) -> bytes:
        words = " ".join(f"{self.rng.getrandbits(24):x}" for _ in range(self.rng.randint(1, 8)))
        return f"w:{self.session}:{next(self._serial)} {words}\n".encode()

    def _lines(self, most: int) -> bytes:
        return b"".join(self._line() for _ in range(self.rng.randint(1, most)))

    def _write(self, file: Tracked, data: bytes | None) -> None:
        content = replace(file.disk, data=data) if data is not None else Content()
        atomic = data is not None and self.rng.random() < 0.2
        self.recorder.write(file, content, self.session, atomic=atomic)

    def _revised(self, data: bytes) -> tuple[bytes, bytes] | None:
        """Returns an old text that is there once, and a new one; None when none was found."""
        lines = data.splitlines(keepends=True)
        if len(lines) <= FIRST_FREE_LINE + 4:
            return None
        at = self.rng.randrange(FIRST_FREE_LINE, len(lines) - 3)
        gone = self.rng.randint(0, 3) if len(lines) < LONG_LINES else 3
        old = b"".join(lines[at : at + gone + 1])
        new = (b"" if gone and self.rng.random() < 0.3 else self._lines(3)) + lines[at + gone]
        return (old, new) if data.count(old) == 1 else None

    def _edit(self) -> None:
        with self._files(1, lambda file: bool(file.disk.data)) as files:
            for file in files:
                data = file.disk.data or b""
                if (change := self._revised(data)) is None:
                    continue
                old, new = (text.decode() for text in change)
                with self._tool("Edit", file_path=self._path(file), old_string=old, new_string=new):
                    self._write(file, data.replace(change[0], change[1], 1))
                return
        self._read()

    def _rewrite(self) -> None:
        with self._files(1, lambda file: bool(file.disk.data)) as files:
            for file in files:
                data = (file.disk.data or b"") + self._lines(4)
                text = data.decode()
                with self._tool("Write", file_path=self._path(file), content=text):
                    self._write(file, data)
                return
        self._read()

    def _create(self) -> None:
        file = self._new_file()
        with file.lock:
            data = b"".join(self._lines(4) for _ in range(6))
            with self._tool("Write", file_path=self._path(file), content=data.decode()):
                self._write(file, data)

    def _new_file(self) -> Tracked:
        folder = self.rng.choice(["made", "made/deep/er", "src"])
        path = f"{folder}/{self.name}-{next(self._serial)}.txt"
        file = self.recorder.watch(path)
        self.lane.append(file)
        return file

    def _append(self) -> None:
        with self._files(1, lambda file: bool(file.disk.data)) as files:
            for file in files:
                line = self._line()
                text, name = shlex.quote(line.decode().rstrip()), shlex.quote(file.path)
                with self._tool("Bash", command=f"printf '%s\\n' {text} >> {name}"):
                    self._write(file, (file.disk.data or b"") + line)
                return
        self._read()

    def _generate(self) -> None:
        """Runs a program whose command line does not say what it writes."""
        some = self._files(self.rng.randint(1, 4), lambda file: not file.shared_top)
        with some as files, self._tool("Bash", command="make generate"):
            for file in files:
                self._write(file, (file.disk.data or b"") + self._lines(3))

    def _remove(self) -> None:
        with self._files(1, lambda file: bool(file.disk.data) and not file.shared_top) as files:
            for file in files:
                with self._tool("Bash", command=f"rm {shlex.quote(file.path)}"):
                    self._write(file, None)
                return
        self._read()

    def _chmod(self) -> None:
        with self._files(1, lambda file: bool(file.disk.data) and not file.shared_top) as files:
            for file in files:
                content = replace(file.disk, executable=not file.disk.executable)
                sign = "+" if content.executable else "-"
                with self._tool("Bash", command=f"chmod {sign}x {shlex.quote(file.path)}"):
                    self.recorder.write(file, content, self.session)
                return
        self._read()

    def _move(self) -> None:
        def fits(file: Tracked) -> bool:
            return bool(file.disk.data) and not file.pending and not file.shared_top

        with self._files(1, fits) as files:
            for file in files:
                other = self._new_file()
                with other.lock:
                    names = f"{shlex.quote(file.path)} {shlex.quote(other.path)}"
                    target = self.recorder.root / other.path
                    with self._tool("Bash", command=f"mv {names}"):
                        target.parent.mkdir(parents=True, exist_ok=True)
                        os.rename(self.recorder.root / file.path, target)
                        other.disk, file.disk = file.disk, Content()
                        file.pair, other.pair = other, file
                        file.note(f"{self.session} moves it away")
                        other.note(f"{self.session} moves it here")
                        self.recorder.count("writes")
                        for one in (file, other):
                            one.writers.add(self.session)
                return
        self._read()

    def _read(self) -> None:
        path = self._path(self.rng.choice(self.lane))
        if self.rng.random() < 0.5:
            with self._tool("Read", file_path=path):
                return
        with self._tool("Bash", command="git status --short | head"):
            return
