"""One isolated machine for one test: HOME, workspace, model, the real agents and agentdiff.

Owns the temporary folder with everything in it, the clean environment, the runs of the agent and
the runs of the ``agentdiff`` command.  Must not look into agentdiff's own files: what it says
through its command line is what counts.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias

from e2e import processes, tree
from e2e.barrier import Barrier
from e2e.driver import Driver, Launch
from e2e.model_server import Gate, ModelServer, Scenario

WorkspaceKind: TypeAlias = Literal["git", "dirty", "autocrlf", "plain"]
"""``git``: everything is committed as it is; ``dirty``: every file differs from its commit;
``autocrlf``: committed, and git's copies have other line ends than the files; ``plain``: no git.
"""

CHECKOUT = Path(__file__).resolve().parents[2]
AGENTDIFF = Path(sys.executable).parent / "agentdiff"
AGENT_TIMEOUT_S = 300.0
CLI_TIMEOUT_S = 30.0
PROMPT = "please do the scripted work"
_GIT = (
    "git",
    "-c",
    "user.name=Rig",
    "-c",
    "user.email=rig@localhost",
    "-c",
    "commit.gpgsign=false",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One run of an agent: what must be found again in agentdiff's answers."""

    agent: Driver
    session: str
    prompt: str
    scenario: Scenario


@dataclass(slots=True, kw_only=True)
class AgentRun:
    """An agent while it runs, and after.

    Attributes:
        session: empty as long as only the agent knows it.
    """

    agent: Driver
    session: str
    prompt: str
    scenario: Scenario
    model: ModelServer
    process: subprocess.Popen[bytes]

    @property
    def turn(self) -> Turn:
        """What was played; the session is known when the agent has ended."""
        assert self.session, "the agent is still running"
        return Turn(
            agent=self.agent, session=self.session, prompt=self.prompt, scenario=self.scenario
        )

    def gate(self, name: str) -> Gate:
        """Returns a gate of the scenario."""
        return self.model.gate(name)


@dataclass(slots=True, kw_only=True)
class Rig:
    """Use as a context manager; `close` leaves neither process nor file behind.

    Attributes:
        agent: the one that works here.
        others: agents that work here as well.
        kind: what sort of workspace.
        root: everything is below it; short, because Unix socket paths are limited to about 100
            bytes.
    """

    agent: Driver
    kind: WorkspaceKind
    others: tuple[Driver, ...] = ()
    root: Path = field(
        default_factory=lambda: Path(tempfile.mkdtemp(prefix="ad-", dir="/tmp")).resolve()
    )
    _barriers: list[Barrier] = field(default_factory=list)

    def __enter__(self) -> Self:
        for folder in (self.home, self.workspace, self.outside, self.runtime):
            folder.mkdir(mode=0o700)
        settings = self.home / "config" / "agentdiff" / "config.toml"
        settings.parent.mkdir(parents=True)
        # The user's own daemon, and other tests, may hold the port that is stable per user.
        settings.write_text("[otlp]\nport = 0\n")
        if self.kind != "plain":
            self._run(["git", "init", "-q", "-b", "main"])
        if self.kind == "autocrlf":
            self._run(["git", "config", "core.autocrlf", "input"])
        for agent in (self.agent, *self.others):
            agent.prepare(self)
        return self

    def __exit__(self, *exc_info: object) -> None:
        processes.end_all(self.home)
        for barrier in self._barriers:
            barrier.close()
        shutil.rmtree(self.root)

    @property
    def home(self) -> Path:
        """The user's home; its path marks every process of this rig."""
        return self.root / "home"

    @property
    def workspace(self) -> Path:
        """Where the agent works."""
        return self.root / "ws"

    @property
    def outside(self) -> Path:
        """A folder that nothing follows: pipes, copies."""
        return self.root / "out"

    @property
    def runtime(self) -> Path:
        """``XDG_RUNTIME_DIR``."""
        return self.root / "run"

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """Returns the environment of every process of this rig: of the caller's, only PATH."""
        return {
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(self.runtime),
            "XDG_STATE_HOME": str(self.home / "state"),
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "XDG_DATA_HOME": str(self.home / "data"),
            "XDG_CACHE_HOME": str(self.home / "cache"),
            "PATH": os.environ.get("PATH", os.defpath),
            "SHELL": "/bin/bash",
            "TERM": "xterm-256color",
            "LANG": "C.UTF-8",
            **(extra or {}),
        }

    def prepare(self, baseline: Mapping[bytes, bytes | tuple[bytes, int]]) -> tree.Tree:
        """Fills the workspace and returns its tree: what ``reject --all`` must bring back.

        Args:
            baseline: content, or (content, mode), by path.
        """
        wanted = {
            path: value if isinstance(value, tuple) else (value, 0o644)
            for path, value in baseline.items()
        }
        if self.kind == "dirty":
            for path, (data, mode) in wanted.items():
                self.put(path, b"as committed\n" + data, mode)
            self._commit()
        for path, (data, mode) in wanted.items():
            self.put(path, data, mode)
        if self.kind in ("git", "autocrlf"):
            self._commit()
        return self.tree()

    def put(self, path: bytes, data: bytes, mode: int = 0o644) -> None:
        """Writes one file of the workspace."""
        tree.write(os.path.join(os.fsencode(self.workspace), path), data, mode)

    def tree(self) -> tree.Tree:
        """Returns what is in the workspace now."""
        return tree.walk(os.fsencode(self.workspace))

    def git_names(self) -> set[bytes]:
        """Returns the names of all that is inside ``.git``, objects included."""
        return (
            set(tree.walk(os.fsencode(self.workspace / ".git"))) if self.kind != "plain" else set()
        )

    def barrier(self, name: str) -> Barrier:
        """Returns a new barrier for a shell command."""
        barrier = Barrier(self.outside, name)
        self._barriers.append(barrier)
        return barrier

    def install_hooks(self) -> None:
        """Installs the hooks of every agent the way a user does."""
        for agent in (self.agent, *self.others):
            agent.install(self)

    @contextmanager
    def run(
        self,
        scenario: Scenario,
        *,
        prompt: str = PROMPT,
        resume: str | None = None,
        folder: str = ".",
        agent: Driver | None = None,
    ) -> Iterator[AgentRun]:
        """Starts the agent for one turn and yields it; leaving waits until it has ended well.

        Args:
            scenario: what the model says, over all turns of the session.
            prompt: the user's prompt of this turn.
            resume: session to go on with; None starts a new one.
            folder: where the agent is started, relative to the workspace.
            agent: None for the rig's first.
        """
        agent = agent or self.agent
        session = resume or agent.new_session()
        with ModelServer(scenario) as model:
            launch = Launch(
                prompt=prompt, url=model.url, session=session, resume=resume is not None
            )
            process = subprocess.Popen(
                agent.command(launch),
                cwd=self.workspace / folder,
                env=self.environment(agent.environment(model.url)),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
            run = AgentRun(
                agent=agent,
                session=session,
                prompt=prompt,
                scenario=scenario,
                model=model,
                process=process,
            )
            try:
                yield run
                out, err = process.communicate(timeout=AGENT_TIMEOUT_S)
            except BaseException as error:
                alive = processes.described(self.home)
                processes.end(process.pid)
                out, err = process.communicate()
                error.add_note(f"{agent.name} said {out!r} {err!r}; it asked {model.asked}")
                error.add_note(f"alive: {alive}\nits diary: {agent.diary(self)!r}")
                raise
            assert process.returncode == 0, (process.returncode, out, err, model.asked)
            run.session = session or agent.session_of(out)

    def agentdiff(self, *args: str, expect: int = 0) -> bytes:
        """Runs the command line in the workspace and returns its standard output.

        Raises:
            AssertionError: it ended with another exit code than `expect`.
        """
        return self._run([str(AGENTDIFF), *args], expect=expect)

    def kill_daemon(self) -> None:
        """Ends the daemon as a crash or a power cut would; returns when it is gone."""
        pid = json.loads(self.agentdiff("daemon", "status", "--json"))["pid"]
        processes.end(pid, first=signal.SIGKILL)

    def status(self) -> dict[str, Any]:
        """Returns ``agentdiff status --json``."""
        answer: dict[str, Any] = json.loads(self.agentdiff("status", "--json"))
        return answer

    def log(self) -> list[dict[str, Any]]:
        """Returns ``agentdiff log --json``."""
        answer: list[dict[str, Any]] = json.loads(self.agentdiff("log", "--json"))
        return answer

    def _commit(self) -> None:
        self._run(["git", "add", "-A"])
        self._run([*_GIT, "commit", "-q", "--allow-empty", "-m", "baseline"])

    def _run(self, argv: Sequence[str], *, expect: int = 0) -> bytes:
        done = subprocess.run(
            argv,
            cwd=self.workspace,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=CLI_TIMEOUT_S,
            check=False,
        )
        assert done.returncode == expect, (list(argv), done.returncode, done.stdout, done.stderr)
        return done.stdout
