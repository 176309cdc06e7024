"""Twelve hours of work in a quarter of one, against an independent recorder: ``make soak``.

    python -m tests.soak [--calls N] [--minutes M] [--files N] [--otlp RATE] [--json FILE]

Ten agents, five Neovims, a reviewer, telemetry, a large git tree, a branch switch and back.  Prints
a table; the exit code is 1 when a row is short or something contradicted the recorder.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.soak import checks
from tests.soak.agents import Agent, Gate, Hooks, Pace
from tests.soak.machine import BRANCH, STORE_MIB, Machine, Sampler, machine
from tests.soak.people import Editor, Reviewer
from tests.soak.recorder import Content, Recorder, Tracked
from tests.soak.report import Row, table
from tests.soak.telemetry import Exporter

AGENTS = 10
EDITORS = 5
FILES_PER_LANE = 40
FILES_PER_EDITOR = 2
WITHIN_MIN = 30.0
IDLE_S = 12.0
TAIL_S = 11.0
"""A call may still write so long after its turn ended; what git does then would be the agent's."""
SETTLES_WITHIN_S = 120.0
EDITORS_END_WITHIN_S = 240.0
CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(slots=True)
class Soak:
    """One run.

    Attributes:
        phases: name → ``(from, to)`` on the monotonic clock.
    """

    made: Machine
    calls: int
    seconds: float
    otlp: int
    recorder: Recorder
    phases: dict[str, tuple[float, float]] = field(default_factory=dict)

    def run(self) -> Iterator[Row]:
        """Works, then yields what was found."""
        recorder, made = self.recorder, self.made
        hooks = Hooks(made.locations.hook_socket, made.locations.hook_client, recorder)
        recent: deque[tuple[str, str]] = deque(maxlen=10_000)
        pace, gate = Pace(self.calls, self.seconds), Gate(AGENTS)
        agents = self._agents(hooks, pace, gate, recent)
        self._warm(hooks)
        sampler = Sampler(made)
        with self._editors() as (go, ended), self._probe() as probed:
            with self._phase("idle"):
                time.sleep(IDLE_S)
            with self._phase("busy"):
                exporter = Exporter(made, recorder, self.otlp, recent)
                go.set()
                reviewer = Reviewer(made, recorder, ended)
                threads = [_thread(one) for one in agents]
                pace.start()
                for thread in threads:
                    thread.start()
                self._switch_branches(pace, gate, threads)
                for thread in threads:
                    thread.join()
                ended.set()
                reviewer.thread.join()
                exporter.stop()
        told("everybody has stopped; comparing")
        with made.client() as client:
            yield from checks.state_rows(made, recorder, client)
            rows = [hooks.sent + len(probed), sampler.problems]
            yield from checks.daemon_rows(client, str(made.root), recorder, *rows)  # type: ignore[arg-type]
        time.sleep(2 * 2.0)  # the sampler sees the end
        sampler.stop()
        yield Row(what="tool calls", value=pace.done, at_least=self.calls)
        yield from checks.resource_rows(sampler.samples, pace.done, STORE_MIB)
        yield from checks.latency_rows(probed, self.phases["idle"], self.phases["busy"])
        yield Row(what="telemetry records", value=exporter.sent)
        for what, count in sorted(recorder.counts.items()):
            if what != "problems":
                yield Row(what=what, value=count)
        began, done = self.phases["busy"]
        yield Row(what="tool calls a minute", value=60 * pace.done / (done - began))
        yield Row(what="daemon's time to end", value=made.stop(), at_most=20.0, unit="s")
        yield from checks.log_rows(made, recorder)

    def _agents(
        self, hooks: Hooks, pace: Pace, gate: Gate, recent: deque[tuple[str, str]]
    ) -> list[Agent]:
        """Returns agents, each with files of its own to work on."""
        tracked = list(self.made.long_files)
        random.Random(1).shuffle(tracked)
        agents = []
        for number in range(AGENTS):
            mine = [tracked.pop() for _ in range(FILES_PER_LANE)]
            lane = [self.recorder.watch(path) for path in mine]
            agents.append(Agent(f"agent{number}", self.recorder, hooks, pace, gate, lane, recent))
        self._typed = [tracked.pop() for _ in range(EDITORS * FILES_PER_EDITOR)]
        for number, path in enumerate(self._typed):
            agents[number % AGENTS].lane.append(self.recorder.watch(path, shared_top=True))
        return agents

    _typed: list[str] = field(default_factory=list)

    def _warm(self, hooks: Hooks) -> None:
        """Opens the workspace and waits for its first cut."""
        self.recorder.still["probe.txt"] = probed = Tracked("probe.txt", *[Content(b"one\n")] * 2)
        probed.disk.put(self.made.root / probed.path)
        common = {"session_id": "warm", "cwd": str(self.made.root), "prompt_id": "p"}
        for event in ("SessionStart", "UserPromptSubmit"):
            payload = {**common, "hook_event_name": event, "source": "startup", "prompt": "go"}
            hooks.send(payload, real=False)
        deadline = time.monotonic() + 300
        with self.made.client() as client:
            while not client.call("daemon.status")["workspaces"][0]["warm"]:
                if time.monotonic() > deadline:
                    raise TimeoutError("the first cut takes more than 300 s")
                time.sleep(0.2)
        hooks.send({**common, "hook_event_name": "SessionEnd", "reason": "other"}, real=False)
        told("the workspace is warm")

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        told(f"{name}…")
        began = time.monotonic()
        yield
        self.phases[name] = (began, time.monotonic())

    @contextmanager
    def _editors(self) -> Iterator[tuple[threading.Event, threading.Event]]:
        """Starts the Neovims; yields the events that begin and end their work."""
        go, ended = threading.Event(), threading.Event()
        editors, threads = [], []
        for number in range(EDITORS):
            paths = self._typed[number * FILES_PER_EDITOR : (number + 1) * FILES_PER_EDITOR]
            files = [self.recorder.files[path] for path in paths]
            ready = threading.Event()
            editor = Editor(f"user{number}", self.made, self.recorder, files, ready, go, ended)
            editors.append(editor)
            threads.append(_thread(editor))
            threads[-1].start()
            ready.wait()
        told(f"{EDITORS} editors are attached")
        try:
            yield go, ended
        finally:
            go.set()
            ended.set()
            for thread in threads:
                thread.join(EDITORS_END_WITHIN_S)
                if thread.is_alive():
                    self.recorder.problem(f"the Neovim of {thread.name} asks something, or hangs")

    @contextmanager
    def _probe(self) -> Iterator[list[tuple[float, float, float]]]:
        """Runs the probe; what it measured is in the list afterwards."""
        samples: list[tuple[float, float, float]] = []
        out = self.made.home / "probe.log"
        argv = [sys.executable, "-m", "tests.soak.probe", str(out), str(self.made.root)]
        process = subprocess.Popen(argv, cwd=CHECKOUT, stdin=subprocess.PIPE)
        try:
            yield samples
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(60)
            for line in out.read_text().splitlines():
                at, hook_s, control_s = map(float, line.split())
                samples.append((at, hook_s, control_s))

    def _switch_branches(self, pace: Pace, gate: Gate, threads: list[threading.Thread]) -> None:
        """Checks another branch out in the middle, and the first again later."""
        for share, branch in ((0.5, BRANCH), (0.75, "main")):
            while pace.done < share * pace.calls and any(one.is_alive() for one in threads):
                time.sleep(0.2)
                progress(pace)
            began = time.monotonic()
            if not gate.close(SETTLES_WITHIN_S):
                self.recorder.problem(f"agents did not come to rest for the branch {branch}")
            time.sleep(TAIL_S)
            self.made.git("checkout", "-q", branch)
            for path in self.made.branch_files:
                self.recorder.moved(path)
            pace.skip(time.monotonic() - began)
            told(f"branch {branch}: {len(self.made.branch_files)} files changed at once")
            gate.open()
        while any(one.is_alive() for one in threads):
            time.sleep(0.2)
            progress(pace)


def _thread(who: Agent | Editor) -> threading.Thread:
    # A daemon's thread: when something breaks here, nobody waits for those who work.
    return threading.Thread(target=who.run, name=who.name, daemon=True)


def told(text: str) -> None:
    """Says how far it is."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def progress(pace: Pace) -> None:
    """Says so at each tenth."""
    tenth = 10 * pace.done // pace.calls
    if tenth > progress.last:  # type: ignore[attr-defined]
        progress.last = tenth  # type: ignore[attr-defined]
        told(f"{pace.done} of {pace.calls} tool calls")


progress.last = 0  # type: ignore[attr-defined]


def main() -> int:
    """Soaks; returns the exit code."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--minutes", type=float, default=13.0, help="over which they are spread")
    parser.add_argument("--files", type=int, default=100_000, help="in the work tree")
    parser.add_argument("--otlp", type=int, default=1000, help="telemetry records a second")
    parser.add_argument("--json", type=Path, help="file for the report")
    args = parser.parse_args()
    began = time.monotonic()
    told(f"making a tree of {args.files} files")
    with machine(args.files, args.files // 20) as made:
        recorder = Recorder(made.root)
        rows = list(Soak(made, args.calls, args.minutes * 60, args.otlp, recorder).run())
        minutes = (time.monotonic() - began) / 60
        rows.append(Row(what="all of it", value=minutes, at_most=WITHIN_MIN, unit="min"))
        problems = recorder.counts["problems"]
        rows.append(Row(what="contradictions in all", value=problems, at_most=0))
        print(table(rows), flush=True)
        for text in (*recorder.problems, *recorder.remarks):
            print(f"- {text}", file=sys.stderr)
        if args.json:
            args.json.parent.mkdir(parents=True, exist_ok=True)
            body = {"v": 1, "rows": [row.as_json() for row in rows], "problems": recorder.problems}
            args.json.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
        told("removing the tree")
    return int(any(row.verdict == "SHORT" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
