"""T1 to T4: what a traced command costs, and what the ACP proxy adds to a message.

The launcher is measured with a real supervisor (`TraceServer`) whose daemon answers at once: the
time of a cut is measured by the S rows.  Its overhead is what remains when the program's own time
is taken off both sides.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from agentdiff.install import launcher
from agentdiff.install.hook_client import find_compiler, find_perl
from agentdiff.sources.run.session import Session
from agentdiff.sources.trace.folder import WAIT_S, Launchers
from agentdiff.sources.trace.log import TraceLog
from agentdiff.sources.trace.server import Policy, TraceServer
from tests.bench.harness import Pair, Row, Skipped, interleaved

LIMIT_S = 0.005
MESSAGE_LIMIT_S = 0.001
MESSAGES = 400
ECHO = "import os\nwhile data := os.read(0, 65536):\n    os.write(1, data)\n"


def rows(scratch: Path) -> Iterator[Row]:
    """Yields the rows of launcher and proxy."""
    for name, words in (("read", ["--version"]), ("write", ["update-index", "--refresh"])):
        yield Row(
            name=f"T1-{name}",
            what=f"git {words[0]} through its launcher vs sh -c of the same",
            at_most=3.0,
            measure=lambda rounds, words=words: _launched(scratch, words, rounds),
        )
        yield Row(
            name=f"T2-{name}",
            what=f"overhead of the launcher of git {words[0]} vs 5 ms",
            at_most=1.0,
            measure=lambda rounds, words=words: _overhead(scratch, words, rounds),
        )
    yield Row(
        name="T3",
        what="95th percentile that the ACP proxy adds to a message, there and back, vs 2 ms",
        at_most=1.0,
        measure=_proxy,
    )


@contextlib.contextmanager
def _traced(scratch: Path) -> Iterator[tuple[Path, Mapping[str, str]]]:
    """Yields the folder of the launchers and their environment."""
    perl, compiler = find_perl(os.environ["PATH"]), find_compiler(os.environ["PATH"])
    program = launcher.build(launcher.source_of(WAIT_S), compiler) if compiler else None
    if program is None and perl is None:
        raise Skipped("neither perl nor a C compiler")
    root = Path(tempfile.mkdtemp(prefix="ad-", dir="/tmp"))
    session = Session(deliver=lambda *_: None, name="bench", argv=("bench",), cwd=str(scratch))
    try:
        launchers = Launchers(
            root / "run",
            off=root / "off",
            program=program,
            perl=perl,
            tools=("git",),
            environ=os.environ,
        )
        log = TraceLog(root / "log", max_bytes=1 << 30, keep=0)
        environ = launchers.environment(os.environ, root / "sock")
        with TraceServer(root / "sock", session, log, Policy(), environ, print) as server:
            server.start()
            yield launchers.bin, environ
    finally:
        shutil.rmtree(root)


def _spawner(argv: list[str], environ: Mapping[str, str]) -> Callable[[], None]:
    null = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]

    def spawn() -> None:
        _, status = os.waitpid(os.posix_spawn(argv[0], argv, environ, file_actions=null), 0)
        if status != 0:
            raise AssertionError(f"{argv} ends with status {status}")

    return spawn


def _launched(scratch: Path, words: list[str], rounds: int) -> Pair:
    with _traced(scratch) as (folder, environ), tempfile.TemporaryDirectory(dir=scratch) as work:
        line = " ".join(["git", *words])
        bare, ours = {**os.environ, **_repository(work)}, {**environ, **_repository(work)}
        launcher = _spawner([str(folder / "git"), *words], ours)
        return interleaved(launcher, _spawner(["/bin/sh", "-c", line], bare), rounds)


def _repository(folder: str) -> dict[str, str]:
    """Makes an empty repository; returns the variables that lead git to it."""
    subprocess.run(["git", "init", "-q", folder], check=True)
    return {"GIT_DIR": f"{folder}/.git", "GIT_WORK_TREE": folder}


def _overhead(scratch: Path, words: list[str], rounds: int) -> Pair:
    """Compares the launcher with the program itself; the difference with the limit."""
    git = shutil.which("git")
    assert git is not None
    with _traced(scratch) as (folder, environ), tempfile.TemporaryDirectory(dir=scratch) as work:
        where = _repository(work)
        pair = interleaved(
            _spawner([str(folder / "git"), *words], {**environ, **where}),
            _spawner([git, *words], {**os.environ, **where}),
            max(rounds, 31),
        )
    added = zip(pair.ours_s, pair.reference_s, strict=True)
    return Pair(
        ours_s=tuple(max(ours - bare, 0.0) for ours, bare in added),
        reference_s=(LIMIT_S,) * len(pair.ours_s),
    )


def _proxy(rounds: int) -> Pair:
    """Takes, in each round, the 95th percentile with the proxy minus the median without."""
    root = Path(tempfile.mkdtemp(prefix="ad-", dir="/tmp"))
    environ = {
        **os.environ,
        **{f"XDG_{name}_HOME": str(root) for name in ("STATE", "CONFIG", "DATA", "CACHE")},
        "XDG_RUNTIME_DIR": str(root),
    }
    echo = [sys.executable, "-I", "-S", "-c", ECHO]
    ours = [sys.executable, "-P", "-m", "agentdiff", "acp", "--", *echo]
    added = []
    try:
        (root / "agentdiff").mkdir()
        (root / "agentdiff" / "config.toml").write_text("[otlp]\nport = 0\n")
        with _pipe(ours, environ) as through, _pipe(echo, environ) as bare:
            for _ in range(max(min(rounds, 9), 5)):
                direct = sorted(bare() for _ in range(MESSAGES))
                proxied = sorted(through() for _ in range(MESSAGES))
                added.append(proxied[MESSAGES * 95 // 100] - direct[MESSAGES // 2])
        subprocess.run([*ours[:4], "daemon", "stop"], env=environ, check=False, capture_output=True)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    return Pair(ours_s=tuple(added), reference_s=(2 * MESSAGE_LIMIT_S,) * len(added))


@contextlib.contextmanager
def _pipe(argv: list[str], environ: Mapping[str, str]) -> Iterator[Callable[[], float]]:
    """Yields an action that sends a message and waits for its echo, and says how long that took."""
    text = b'{"jsonrpc":"2.0","method":"session/update","params":{"sessionId":"s","update":{'
    text += b'"sessionUpdate":"agent_message_chunk","content":{"type":"text","text":"'
    message = text + b"x" * 400 + b'"}}}}\n'
    process = subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=dict(environ)
    )
    assert process.stdin is not None
    assert process.stdout is not None
    there, back = process.stdin.fileno(), process.stdout.fileno()

    def once() -> float:
        started = time.perf_counter()
        os.write(there, message)
        missing = len(message)
        while missing:
            missing -= len(os.read(back, missing))
        return time.perf_counter() - started

    try:
        for _ in range(20):
            once()
        yield once
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()
