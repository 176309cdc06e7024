"""S1 to S5: what it costs to be able to restore a whole workspace, against a shadow repository.

The reference is what others run before a shell command: ``git add -A; git write-tree`` with an
index of its own.  Ours is the product: the installed hook client, a daemon, its tracker and store.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import orjson

from agentdiff.install.hook_client import find_compiler, find_perl, install_hook_client
from agentdiff.locations import Locations
from agentdiff.sources.watch import Watcher, open_feed
from agentdiff.workspace.blobs import BlobStore
from agentdiff.workspace.gitbase import open_packs
from agentdiff.workspace.known import Population
from agentdiff.workspace.known import Row as KnownRow
from agentdiff.workspace.observations import Batch
from agentdiff.workspace.tracker import Tracker, TrackerSettings
from tests.bench.harness import MIN_ROUNDS, Pair, Row, Skipped, timed
from tests.bench.repository import IGNORED_FILES, ShadowGit, git, paths_of, repository
from tests.bench.rows_hook import responder
from tests.bench.spawn import spawner

FILES = 50_000
CHANGED = 10
SWITCHED = 5_000


def rows(scratch: Path) -> Iterator[Row]:
    """Yields the rows of the baseline."""
    shadow = "git add -A; git write-tree into a shadow repository"
    yield Row(
        name="H4",
        what="PreToolUse(Edit) of a 20 KB file, end to end, vs a shell script with jq, a Python "
        "RPC client and git hash-object",
        at_most=1 / 20,
        measure=lambda rounds: _edit(scratch, rounds),
    )
    yield Row(
        name="S1",
        what=f"PreToolUse(Bash), {FILES} files, {CHANGED} changed, end to end, vs {shadow}",
        at_most=1 / 100,
        measure=lambda rounds: _hook(scratch, CHANGED, rounds),
    )
    yield Row(
        name="S2",
        what=f"the same, nothing changed, vs {shadow}",
        at_most=1 / 200,
        measure=lambda rounds: _hook(scratch, 0, rounds),
    )
    yield Row(
        name="S3",
        what=f"a warm cut with {CHANGED} changed files, 100,000 files vs 1,000",
        at_most=1.6,
        measure=lambda rounds: _scaling(scratch, rounds),
    )
    yield Row(
        name="S4-git",
        what=f"first baseline of {FILES} committed files vs a first {shadow}",
        at_most=1 / 25,
        measure=lambda rounds: _first(scratch, rounds, lean=True),
    )
    yield Row(
        name="S4-plain",
        what=f"first baseline of {FILES} files without git vs a first {shadow}",
        at_most=1 / 5,
        measure=lambda rounds: _first(scratch, rounds, lean=False),
    )
    yield Row(
        name="S5",
        what=f"the cut after {SWITCHED} of {FILES} files changed at once, vs {shadow}",
        at_most=1 / 8,
        measure=lambda rounds: _switch(scratch, rounds),
    )


class Tracked:
    """A tracker with its watcher on a work tree, as the daemon has them."""

    def __init__(self, tree: Path, state: Path, *, lean: bool) -> None:
        root = os.fsencode(tree)
        self.blobs = BlobStore(state)
        if lean:
            self.blobs.lean_on(open_packs(root))
        feed = open_feed(root)
        self._rows: dict[bytes, KnownRow] = {}
        self.tracker = Tracker(root, self.blobs, None, self._take, TrackerSettings(), feed=feed)
        self.watcher = Watcher(root, self.tracker.touch, feed)

    def _take(self, batch: Batch) -> None:
        if isinstance(batch.observations, Population):
            self._rows = batch.observations.rows

    def population(self) -> dict[bytes, KnownRow]:
        """Returns what the first cut found, once."""
        rows, self._rows = self._rows, {}
        return rows

    def start(self) -> None:
        """Watches, and takes the first baseline."""
        self.watcher.start()
        self.cut()

    def cut(self) -> None:
        """Takes a cut.

        Raises:
            AssertionError: it is not complete.
        """
        if not self.tracker.cut().certain:
            raise AssertionError("the cut is not complete")

    def close(self) -> None:
        """Ends it."""
        self.watcher.stop()
        self.tracker.close()
        self.blobs.close()


def _change(paths: list[Path], count: int, chosen: random.Random) -> None:
    for path in chosen.sample(paths, count):
        with path.open("a") as file:
            file.write(f"{chosen.random()}\n")


def _hook(scratch: Path, changed: int, rounds: int) -> Pair:
    tree = repository(scratch, FILES, IGNORED_FILES)
    paths, chosen = paths_of(tree), random.Random(changed)
    shadow = ShadowGit(scratch, tree)
    shadow.start()
    shadow.snapshot()
    ours, reference = [], []
    with _daemon(scratch) as places:
        hook = spawner([str(places.hook_client), "claude"], _payload(tree), scratch / "pre.json")
        _say(places, scratch, tree, "SessionStart")
        hook()
        for number in range(max(rounds, MIN_ROUNDS) + 1):
            _change(paths, changed, chosen)
            time.sleep(0.1)  # an agent thinks between writing and the next command
            sides = [(ours, hook), (reference, shadow.snapshot)]
            for samples, action in sides if number % 2 else sides[::-1]:
                samples.append(timed(action))
    return Pair(ours_s=tuple(ours[1:]), reference_s=tuple(reference[1:]))


def _payload(tree: Path) -> bytes:
    return orjson.dumps(
        {
            "session_id": "0d1e7d4c-3c4f-4f6e-9a51-6a1d1f1f8b11",
            "hook_event_name": "PreToolUse",
            "tool_name": "Bash",
            "tool_use_id": "toolu_01",
            "cwd": str(tree),
            "tool_input": {"command": "make -j8 all"},
        }
    )


FIELD = """\
#!/bin/bash
# How plugins of the field take a baseline: read the payload, tell the editor, keep the content.
payload=$(cat)
file=$(printf '%s' "$payload" | jq -r .tool_input.file_path)
session=$(printf '%s' "$payload" | jq -r .session_id)
{python} {client} {socket} "$session" "$file"
cd "$(dirname "$file")" && git hash-object -w "$file" >/dev/null
"""
FIELD_CLIENT = """\
import argparse, json, logging, socket, sys
parser = argparse.ArgumentParser()
for name in ("socket", "session", "file"):
    parser.add_argument(name)
args = parser.parse_args()
body = json.dumps({"session": args.session, "file": args.file}).encode()
with socket.socket(socket.AF_UNIX) as editor:
    editor.connect(args.socket)
    header = {"proto": 1, "min_proto": 1, "agent": "claude", "len": len(body)}
    editor.sendall(json.dumps(header).encode() + b"\\n" + body)
    json.loads(editor.makefile().readline())
"""


def _edit(scratch: Path, rounds: int) -> Pair:
    tree = repository(scratch, 1_000)
    target = tree / "edited.py"
    if shutil.which("jq") is None:
        raise Skipped("no jq")
    script, client = scratch / "field.sh", scratch / "field.py"
    client.write_text(FIELD_CLIENT)
    event = orjson.loads(_payload(tree)) | {"tool_name": "Edit"}
    edit = {"file_path": str(target), "old_string": "x", "new_string": "y" * 1500}
    payload = orjson.dumps(event | {"tool_input": edit})
    chosen, ours, reference = random.Random(4), [], []
    with _daemon(scratch) as places, responder() as answering:
        words = {"python": sys.executable, "client": client, "socket": answering}
        script.write_text(_filled(FIELD, words))
        script.chmod(0o755)
        hook = spawner([str(places.hook_client), "claude"], payload, scratch / "edit.json")
        field = spawner([str(script)], payload, scratch / "field.json")
        for number in range(max(rounds, MIN_ROUNDS) + 1):
            sides = [(ours, hook), (reference, field)]
            for samples, action in sides if number % 2 else sides[::-1]:
                target.write_text(f"{chosen.random()}\n" * 1100)
                time.sleep(0.1)
                samples.append(timed(action))
    target.unlink()
    return Pair(ours_s=tuple(ours[1:]), reference_s=tuple(reference[1:]))


def _filled(text: str, words: dict[str, object]) -> str:
    for word, value in words.items():
        text = text.replace(f"{{{word}}}", str(value))
    return text


def _say(places: Locations, scratch: Path, tree: Path, event: str) -> None:
    body = {"session_id": "s", "hook_event_name": event, "cwd": str(tree), "source": "startup"}
    client = [str(places.hook_client), "claude"]
    spawner(client, orjson.dumps(body), scratch / "say.json")()


@contextlib.contextmanager
def _daemon(scratch: Path) -> Iterator[Locations]:
    """Runs a daemon of its own, with the hook client that an installation would choose."""
    runtime = Path(tempfile.mkdtemp(prefix="ad-bench-", dir="/tmp"))
    home = Path(tempfile.mkdtemp(prefix="home-", dir=scratch))
    environment = {
        **os.environ,
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(runtime),
        **{f"XDG_{name}_HOME": str(home / name.lower()) for name in ("STATE", "CONFIG", "DATA")},
    }
    places = Locations.from_env(environment)
    search = os.environ["PATH"]
    install_hook_client(
        places, sys.executable, perl=find_perl(search), compiler=find_compiler(search)
    )
    places.config.mkdir(parents=True, exist_ok=True)
    places.config_file.write_text("[otlp]\nenabled = false\n")
    command = [sys.executable, "-m", "agentdiff", "daemon", "run"]
    daemon = subprocess.Popen(command, env=environment)
    try:
        deadline = time.monotonic() + 60
        while not places.hook_socket.exists():
            if daemon.poll() is not None or time.monotonic() > deadline:
                raise AssertionError("the daemon did not start")
            time.sleep(0.02)
        yield places
    finally:
        daemon.terminate()
        daemon.wait()
        shutil.rmtree(runtime)


def _scaling(scratch: Path, rounds: int) -> Pair:
    """Measures both sizes in turns, each with its own tracker."""
    sides: list[tuple[list[float], Tracked, list[Path]]] = []
    chosen = random.Random(3)
    for files in (100_000, 1_000):
        tree = repository(scratch, files)
        tracked = Tracked(tree, scratch / f"blobs-{files}", lean=True)
        tracked.start()
        sides.append(([], tracked, paths_of(tree)))
    for number in range(3 * max(rounds, MIN_ROUNDS) + 1):
        for samples, tracked, paths in sides if number % 2 else sides[::-1]:
            _change(paths, CHANGED, chosen)
            samples.append(timed(tracked.cut))
            time.sleep(0.05)
    for _, tracked, _ in sides:
        tracked.close()
    return Pair(ours_s=tuple(sides[0][0][1:]), reference_s=tuple(sides[1][0][1:]))


def _first(scratch: Path, rounds: int, *, lean: bool) -> Pair:
    tree = repository(scratch, FILES, IGNORED_FILES)
    git(tree, "checkout", "-qf", ".")
    git(tree, "update-index", "-q", "--refresh")
    time.sleep(0.1)
    (tree / ".git" / "index").touch()
    shadow = ShadowGit(scratch, tree, "first")
    ours, reference = [], []
    # A shadow repository of that size takes ten seconds and more to make: five rounds are enough.
    for number in range(min(max(rounds, MIN_ROUNDS), MIN_ROUNDS) + 1):
        state = scratch / f"first-{number}"
        tracked = Tracked(tree, state, lean=lean)
        ours.append(timed(tracked.start))
        tracked.close()
        state.unlink()
        shadow.start()
        reference.append(timed(shadow.snapshot))
    return Pair(ours_s=tuple(ours[1:]), reference_s=tuple(reference[1:]))


def _switch(scratch: Path, rounds: int) -> Pair:
    """Changes the files in another process, as a checkout does; then asks for the state."""
    tree = repository(scratch, FILES, IGNORED_FILES)
    shadow = ShadowGit(scratch, tree, "switch")
    shadow.start()
    shadow.snapshot()
    git(tree, "checkout", "-qf", ".")
    names = scratch / "switched"
    names.write_text("\n".join(str(path) for path in paths_of(tree)[:SWITCHED]))
    program = (
        "import sys\n"
        "for name in open(sys.argv[1]).read().split('\\n'):\n"
        "    with open(name, 'a') as file: file.write('# branch ' + sys.argv[2] + '\\n')\n"
    )
    tracked = Tracked(tree, scratch / "blobs-switch", lean=True)
    tracked.start()
    ours, reference = [], []
    for number in range(max(rounds, MIN_ROUNDS) + 1):
        command = [sys.executable, "-ISE", "-c", program, str(names), str(number)]
        subprocess.run(command, check=True)
        ours.append(timed(tracked.cut))
        reference.append(timed(shadow.snapshot))
    tracked.close()
    return Pair(ours_s=tuple(ours[1:]), reference_s=tuple(reference[1:]))
