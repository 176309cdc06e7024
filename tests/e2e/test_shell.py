"""What we say that a command line may change covers all that bash changes when it runs it."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from agentdiff.targets.shell import analyse
from e2e.commands import TREE, generate

CASES = 400
BATCHES = 8


def _plant(root: Path) -> None:
    for name in TREE:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x\n")


def _found(root: Path) -> dict[bytes, tuple[object, ...]]:
    """Returns everything below a folder with what makes it differ from something else."""
    found: dict[bytes, tuple[object, ...]] = {}
    for folder, folders, names in os.walk(os.fsencode(root)):
        for path in (os.path.join(folder, name) for name in (*folders, *names)):
            about = os.lstat(path)
            readable = os.path.isfile(path) and not os.path.islink(path)
            data = Path(os.fsdecode(path)).read_bytes() if readable else b""
            found[path] = (about.st_mode, about.st_ino if readable else 0, data)
    return found


def _run(command: str, cwd: Path) -> None:
    """Runs a command line in a folder of its own, with nobody's settings."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(cwd.parent), "NAME": "new"}
    subprocess.run(
        ["bash", "--norc", "-c", command],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("batch", range(BATCHES))
def test_what_bash_changes_was_said(tmp_path: Path, batch: int) -> None:
    """Every changed path is among the effects, unless the answer says that it is incomplete."""
    outcomes: Counter[str] = Counter()
    for seed in range(batch, CASES, BATCHES):
        top = tmp_path / str(seed)
        cwd = top / "one" / "two"
        cwd.mkdir(parents=True)
        _plant(cwd)
        command = generate(seed)
        said = analyse(command.encode(), os.fsencode(cwd))
        before = _found(top)
        _run(command, cwd)
        after = _found(top)
        changed = [p for p in {*before, *after} if before.get(p) != after.get(p)]
        missed = [p for p in changed if not any(each.covers(p) for each in said.effects)]
        assert said.unknown or not missed, (seed, command, said, missed)
        outcomes["unknown" if said.unknown else "readonly" if said.readonly else "complete"] += 1
    assert min(outcomes.values()) >= 3, outcomes
    assert len(outcomes) == 3, outcomes
