"""The people of the soak: one who reviews on the command line, and five who edit in Neovim.

Owns what they decide and type, and the comparison of each outcome with what the recorder expects.
"""

from __future__ import annotations

import itertools
import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from agentdiff.client import Client, RequestError
from tests.bench.nvim import Neovim
from tests.soak.machine import Machine
from tests.soak.recorder import (
    Content,
    Recorder,
    Snapshot,
    Tracked,
    go_back,
    settle,
    snapshot,
    typed,
)

DECISION_S = 0.2
EDIT_S = 3.0
CAUGHT_UP_WITHIN_S = 180.0


@contextmanager
def held(recorder: Recorder, rng: random.Random, most: int) -> Iterator[list[Tracked]]:
    """Yields some pending files that nobody else has, both ends of each rename."""
    taken: list[Tracked] = []
    try:
        for file in rng.sample(waiting := recorder.pending(), len(waiting)):
            if len(taken) >= most:
                break
            if not file.lock.acquire(blocking=False):
                continue
            pair = file.pair
            if not file.pending or (pair and not pair.lock.acquire(blocking=False)):
                file.lock.release()
                continue
            taken += [file, pair] if pair else [file]
        yield taken
    finally:
        for file in taken:
            file.lock.release()


class Reviewer:
    """Decides what pends, and takes some of it back; on a thread of its own."""

    def __init__(self, made: Machine, recorder: Recorder, ended: threading.Event) -> None:
        self._root = str(made.root)
        self._client = made.client()
        self._recorder = recorder
        self._ended = ended
        self._rng = random.Random("reviewer")
        self.thread = threading.Thread(target=self._run, name="reviewer", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            with self._client:
                while not self._ended.wait(DECISION_S):
                    try:
                        self._decide()
                    except RequestError as error:
                        self._recorder.problem(f"a decision failed: {error.message}")
        except Exception as error:  # noqa: BLE001 - a thread that dies must not look like one that is done
            self._recorder.problem(f"the reviewer died: {error!r}")

    def _decide(self) -> None:
        with held(self._recorder, self._rng, self._rng.choice([1, 1, 2, 8])) as files:
            if not files:
                return
            lined = len(files) == 1 and _is_text(files[0])
            if lined and self._rng.random() < 0.5:
                self._hunk(files[0])
            else:
                self._whole(files)
            for file in files:
                self._recorder.check(file, "after a decision")

    def _whole(self, files: list[Tracked]) -> None:
        op = self._rng.choices(["accept", "reject"], [2, 1])[0]
        answer = self._ask(op, {"paths": [file.path for file in files], "external": True}, files)
        told = {one["path"] for one in answer["refused"]} | set(answer["moved_on"])
        done = [file for file in files if file.path not in told]
        before = snapshot(done)
        if op == "accept":
            self._recorder.accepted(done)
        else:
            self._recorder.rejected(done)
        self._recorder.count(f"{op} of files", len(done))
        if done and self._rng.random() < 0.25:
            self._take_back(before)

    def _hunk(self, file: Tracked) -> None:
        """Decides one hunk; what that makes of base and file is computed here, from lines alone."""
        found = self._client.call("inline", workspace=self._root, paths=[file.path])["files"]
        if not found:
            self._recorder.problem(f"nothing pends: {file.story()}")
            return
        hunks = _hunks(found[0])
        if not hunks:
            self._recorder.problem(f"{file.path} pends but has no hunk: {found[0]}")
            return
        index = self._rng.randrange(len(hunks))
        base, disk = _lines(file.base), _lines(file.disk)
        shift = sum(len(hunk["deleted"]) - hunk["added"] for hunk in hunks[:index])
        chosen = hunks[index]
        new = chosen["start"] - (1 if chosen["added"] else 0)
        old = new + shift
        deleted = [line.encode() for line in chosen["deleted"]]
        if [line.rstrip(b"\n") for line in base[old : old + len(deleted)]] != deleted:
            self._recorder.problem(f"{file.path}: a hunk deletes what is not in the base: {chosen}")
            return
        op = self._rng.choice(["accept", "reject"])
        before = snapshot([file])
        picks = [{"id": chosen["id"], "gen": chosen["gen"]}]
        if self._ask(op, {"hunks": picks}, [file])["refused"]:
            return
        sides = (base[old : old + len(deleted)], disk[new : new + chosen["added"]])
        if op == "accept":
            base[old : old + len(deleted)] = sides[1]
            file.base = replace(file.base, data=b"".join(base))
        else:
            disk[new : new + chosen["added"]] = sides[0]
            file.disk = replace(file.disk, data=b"".join(disk))
        file.note(f"{op} of hunk {chosen['id']}")
        settle(file)
        self._recorder.count(f"{op} of a hunk")
        if self._rng.random() < 0.25:
            self._take_back(before)

    def _take_back(self, before: Snapshot) -> None:
        """Undoes the last decision, and sometimes repeats it."""
        after = snapshot([one[0] for one in before])
        states = [before, *([after] if self._rng.random() < 0.3 else [])]
        for method, state in zip(("undo", "redo"), states, strict=False):
            answer = self._client.call(method, workspace=self._root)
            if answer["refused"] or not answer["done"]:
                self._recorder.problem(f"{method} was not done: {answer}")
                return
            go_back(state, method)
            self._recorder.count(method)

    def _ask(self, op: str, selection: dict[str, Any], files: list[Tracked]) -> dict[str, Any]:
        """Decides; what the daemon did not do is a contradiction."""
        answer = self._client.call("decide", workspace=self._root, op=op, selection=selection)
        reasons = {one["path"]: one["reason"] for one in answer["refused"]}
        reasons |= dict.fromkeys(answer["moved_on"], "moved on")
        for file in files:
            if "uncertain" in reasons.get(file.path, ""):
                self._recorder.count("rejects refused, their baseline came late")
            elif file.path in reasons:
                self._recorder.problem(f"{op} refused, {reasons[file.path]}: {file.story()}")
        return answer


def _hunks(view: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the hunks of an inline view that have lines, each with its old lines."""
    lists = view["hunks"]
    deleted = iter(lists["deleted"])
    hunks = [
        {"id": number, "gen": gen, "start": start, "added": added,
         "deleted": list(itertools.islice(deleted, removed))}
        for number, gen, start, added, removed in zip(
            *(lists[name] for name in ("id", "gen", "start", "added", "removed")), strict=True
        )
    ]  # fmt: skip
    odd = {number for number, _ in lists["odd"]}
    return [hunk for number, hunk in enumerate(hunks) if number not in odd]


def _is_text(file: Tracked) -> bool:
    both = file.base.data is not None and file.disk.data is not None
    return both and file.base.executable == file.disk.executable and file.pair is None


def _lines(content: Content) -> list[bytes]:
    return (content.data or b"").splitlines(keepends=True)


@dataclass(slots=True)
class Editor:
    """One Neovim with the plugin; everything but the constructor runs on `run`'s thread.

    Attributes:
        name: what the lines that are typed begin with.
        files: where this person types.
    """

    name: str
    made: Machine
    recorder: Recorder
    files: list[Tracked]
    ready: threading.Event
    go: threading.Event
    ended: threading.Event

    def run(self) -> None:
        """Edits until it is over."""
        rng = random.Random(self.name)
        try:
            with Neovim(self.made.root) as nvim:
                nvim.lua("vim.cmd.edit(...)", self.files[0].path)
                self._await(nvim, "vim.b.agentdiff_workspace")
                self.ready.set()
                self.go.wait()
                number = 0
                while not self.ended.wait(EDIT_S * rng.uniform(0.5, 1.5)):
                    number += 1
                    self._step(nvim, rng, number)
        except Exception as error:  # noqa: BLE001 - a thread that dies must not look like one that is done
            self.recorder.problem(f"editor {self.name} died: {error!r}")
            self.ready.set()

    def _step(self, nvim: Neovim, rng: random.Random, number: int) -> None:
        """Types a line, or looks at something."""
        if rng.random() < 0.6:
            file = rng.choice(self.files)
            with file.lock:
                self._type(nvim, file, f"{self.name} typed {number}")
        elif rng.random() < 0.5:
            # It waits for an answer as long as `timeout_ms` says, and says so when there is none.
            nvim.lua("vim.cmd('silent! AgentDiff')")
            opened = nvim.lua("return vim.bo.filetype == 'agentdiff'")
            nvim.lua("vim.cmd('silent! only')")
            self.recorder.count("reviews opened" if opened else "reviews not answered in time")
        else:
            present = [one for one in self.recorder.sample(rng, 5) if one.disk.data is not None]
            for file in present[:1]:
                nvim.lua("vim.cmd('silent! edit ' .. vim.fn.fnameescape(...))", file.path)
            nvim.lua("vim.cmd('silent! AgentDiff next')")
            self.recorder.count("files looked at")

    def _await(self, nvim: Neovim, expression: str) -> None:
        """Waits for Neovim much longer than a person would: the machine may be anybody's.

        Raises:
            TimeoutError: in vain.
        """
        deadline = time.monotonic() + CAUGHT_UP_WITHIN_S
        while not nvim.lua("return " + expression):
            if time.monotonic() > deadline:
                said = nvim.lua("return vim.api.nvim_exec2('messages', { output = true }).output")
                raise TimeoutError(f"waited for {expression}; Neovim says: {said}")
            time.sleep(0.02)

    def _type(self, nvim: Neovim, file: Tracked, line: str) -> None:
        """Puts a line before the first and saves, once the buffer shows what is on disk."""
        nvim.lua("vim.cmd('silent! edit ' .. vim.fn.fnameescape(...))", file.path)
        deadline = time.monotonic() + CAUGHT_UP_WITHIN_S
        while _shown(nvim) != file.disk.data:
            if time.monotonic() > deadline:
                self.recorder.problem(f"{self.name}: the buffer of {file.path} never caught up")
                return
            time.sleep(0.02)
        nvim.lua("vim.api.nvim_buf_set_lines(0, 0, 0, true, { ... }) vim.cmd('write')", line)
        text = line.encode() + b"\n"
        file.base, file.disk = typed(file.base, text), typed(file.disk, text)
        file.note(f"{self.name} typed")
        self.recorder.check(file, f"after {self.name} saved")
        self.recorder.count("lines typed")


def _shown(nvim: Neovim) -> bytes:
    lines = nvim.lua("return vim.api.nvim_buf_get_lines(0, 0, -1, false)")
    return b"".join(os.fsencode(line) + b"\n" for line in lines)


def ask(client: Client, method: str, **params: Any) -> dict[str, Any]:
    """Asks until the answer describes a settled workspace; a minute at most."""
    for _ in range(60):
        answer = client.call(method, **params)
        if answer.get("settled", True):
            break
        time.sleep(1)
    return answer
