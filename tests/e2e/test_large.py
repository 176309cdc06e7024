"""A shell command of the real Claude Code in a repository of 50,000 files."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e import tree
from e2e.agent_claude import ClaudeCode
from e2e.driver import said, step
from e2e.model_server import Scenario
from e2e.rig import Rig

FILES = 50_000
MEMORY_MIB, DISK_MIB = 120, 5
EDITED = [f"src/d{number}/f{number * 7}.py" for number in range(0, 60, 10)]
CREATED = [f"src/d{number}/created.py" for number in range(4)] + ["new/folder/created.py"]
DELETED = [f"src/d{number}/f{number * 7 + 1}.py" for number in range(100, 104)]
MOVED = {f"src/d{number}/f{number * 7 + 2}.py": f"moved/m{number}.py" for number in (200, 201, 202)}
EXECUTABLE = [f"src/d{number}/f{number * 7 + 3}.py" for number in (300, 301)]
COMMAND = " && ".join(
    [
        *(f"sed -i 's/line 3/line three/' {path}" for path in EDITED),
        "mkdir -p new/folder moved",
        *(f"echo created > {path}" for path in CREATED),
        f"rm {' '.join(DELETED)}",
        *(f"mv {old} {new}" for old, new in MOVED.items()),
        f"chmod +x {' '.join(EXECUTABLE)}",
    ]
)
TOUCHED = [*EDITED, *CREATED, *DELETED, *MOVED, *MOVED.values(), *EXECUTABLE]


@pytest.fixture
def rig(claude: ClaudeCode) -> Iterator[Rig]:
    """A committed, packed repository, older than its index, with ignored files beside."""
    with Rig(agent=claude, kind="git") as made:
        for number in range(FILES):
            folder = made.workspace / "src" / f"d{number // 7}"
            if number % 7 == 0:
                folder.mkdir(parents=True)
            lines = (f"line {line} of file {number}\n" for line in range(number % 40 + 5))
            (folder / f"f{number}.py").write_text("".join(lines))
        (made.workspace / ".gitignore").write_text("node_modules/\n")
        for number in range(200):
            folder = made.workspace / "node_modules" / f"m{number}"
            folder.mkdir(parents=True)
            (folder / "index.js").write_text("x")
        for arguments in (
            ["add", "-A"],
            ["-c", "user.name=Rig", "-c", "user.email=rig@localhost", "commit", "-qm", "all"],
            ["repack", "-adq"],
            ["update-index", "-q", "--refresh"],
        ):
            subprocess.run(["git", *arguments], cwd=made.workspace, check=True)
        (made.workspace / ".git" / "index").touch()
        made.install_hooks()
        yield made


@pytest.mark.timeout(1500)
@pytest.mark.skipif(sys.platform != "linux", reason="the feed is Linux's")
def test_exactly_what_the_command_changed_is_pending_and_comes_back(rig: Rig) -> None:
    """Twenty of 50,000 files; the daemon stays small, and so does what it keeps."""
    base = rig.tree()
    call = rig.agent.bash(COMMAND, *map(os.fsencode, TOUCHED))
    with rig.run(Scenario(steps=said(step(call)))) as run:
        pass
    now = rig.tree()
    changed = {
        path for path in tree.changed(base, now) if now.get(path, base.get(path)).kind == "file"
    }
    assert changed == {os.fsencode(path) for path in TOUCHED}
    status = rig.status()
    assert status["settled"] is True
    pending = {one["path"] for one in status["files"]}
    pending |= {one["old_path"] for one in status["files"] if one.get("old_path")}
    assert pending == set(TOUCHED)
    owners = {
        (owner["agent"], owner["session"])
        for one in status["files"]
        for hunk in one["hunks"]
        for owner in hunk["owners"]
    }
    assert owners == {(rig.agent.name, run.session)}
    assert _daemon_memory_mib(rig) <= MEMORY_MIB
    assert _state_mib(rig) <= DISK_MIB
    rig.agentdiff("reject", "--all")
    assert rig.tree() == base


def _daemon_memory_mib(rig: Rig) -> float:
    pid = rig.status()["daemon"]["pid"]
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError(f"no memory of {pid}")


def _state_mib(rig: Rig) -> float:
    folder = rig.home / "state" / "agentdiff" / "workspaces"
    return sum(one.stat().st_size for one in folder.rglob("*") if one.is_file()) / (1 << 20)
