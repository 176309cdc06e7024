"""P15: whatever is followed, decided and taken back, no file of ours is in the workspace."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.unit.daemon.bench import Bench, Client

Listing: TypeAlias = dict[str, tuple[int, str]]
LINES = [b"line %d\n" % n for n in range(30)]
NAMES = ["a", "sub/b", "gone", "exec"]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A repository with loose and packed objects, an ignored folder, and a Neovim that looks on."""
    bench = Bench(tmp_path)
    for name in NAMES:
        (bench.root / name).parent.mkdir(exist_ok=True)
        (bench.root / name).write_bytes(b"".join(LINES))
    (bench.root / ".gitignore").write_bytes(b"/build\n")
    (bench.root / "build").mkdir()
    (bench.root / "build" / "out").write_bytes(b"built\n")
    git(bench, "init", "-q", "-b", "main")
    git(bench, "add", ".")
    git(bench, "commit", "-qm", "one")
    git(bench, "gc", "-q")
    (bench.root / "a").write_bytes(b"loose\n" + b"".join(LINES))
    git(bench, "commit", "-qam", "two")
    yield bench
    bench.engine.close()


def git(bench: Bench, *arguments: str) -> None:
    """Runs git in the workspace."""
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    subprocess.run(["git", *identity, *arguments], cwd=bench.root, check=True, capture_output=True)


def listing(root: Path) -> Listing:
    """Returns mode and content of everything below a folder, whatever it is."""
    found: Listing = {}
    for folder, folders, files in os.walk(root):
        for name in [*folders, *files]:
            path = Path(folder, name)
            data = b""
            if path.is_symlink():
                data = os.fsencode(path.readlink())
            elif path.is_file():
                data = path.read_bytes()
            digest = hashlib.sha256(data).hexdigest()
            found[str(path.relative_to(root))] = (path.lstat().st_mode, digest)
    return found


def everything(bench: Bench) -> None:
    """Lets the agent change content, mode, kind and existence, and make a file in a new folder."""
    root = bench.root
    bench.write("a", b"loose\n" + b"".join(LINES).replace(b"line 9\n", b"nine\n"))
    bench.write("new/deep/c", b"created\n", call="toolu_2")

    def act() -> None:
        (root / "sub/b").write_bytes(b"".join([b"first\n", *LINES, b"last\n"]))
        (root / "gone").unlink()
        (root / "exec").chmod(0o755)
        (root / "link").symlink_to("a")
        (root / "binary").write_bytes(b"\0\1\2")

    bench.shell(act, call="toolu_3")
    bench.hook("Stop")


def test_nothing_is_left_behind(bench: Bench) -> None:
    """Followed, rejected, undone, redone and rejected again, also over a restart of the daemon."""
    before = listing(bench.root)
    bench.call("attach", Client(id="nvim:1:1", kind="nvim"))
    bench.prompt()
    everything(bench)
    changed = listing(bench.root)
    named = {"a", "sub/b", "gone", "exec", "link", "binary", "new", "new/deep", "new/deep/c"}
    assert {path for path in before | changed if before.get(path) != changed.get(path)} == named

    bench.decide("reject", paths=["a", "sub/b"])
    bench.decide("reject")
    assert bench.status() == {}
    assert listing(bench.root) == before
    bench.call("undo")
    bench.call("undo")
    assert listing(bench.root) == changed
    bench.restart()
    bench.call("redo")
    bench.call("redo")
    assert listing(bench.root) == before


def test_accepting_writes_nothing(bench: Bench) -> None:
    """P2: neither below the workspace nor in its ``.git``, where objects and index stay too."""
    bench.prompt()
    everything(bench)
    changed = listing(bench.root)
    bench.decide("accept", paths=["a"])
    bench.call("status")
    bench.decide("accept")
    assert bench.status() == {}
    bench.call("undo")
    assert bench.status() != {}
    assert listing(bench.root) == changed
