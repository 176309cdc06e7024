"""What we say that a patch does is what the real Codex does with it."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from agentdiff.core.entries import ABSENT, Absent, Directory, Entry, File, Link
from agentdiff.errors import MalformedPayload
from agentdiff.targets.apply_patch import parse
from agentdiff.targets.patch_preview import preview
from e2e.agent_codex import Codex
from e2e.patches import Case, generate

CASES = 400
BATCHES = 8


def _plant(root: Path, case: Case) -> None:
    for name, content in case.tree.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            path.symlink_to(content)
        else:
            path.write_bytes(content)


def _entry(path: bytes) -> Entry:
    if os.path.islink(path):
        return Link(target=os.readlink(path))
    if os.path.isdir(path):
        return Directory()
    return File(data=Path(os.fsdecode(path)).read_bytes()) if os.path.exists(path) else ABSENT


def _found(root: Path) -> dict[bytes, bytes]:
    """Returns every file and link below a folder with its content or its target."""
    found: dict[bytes, bytes] = {}
    top = os.fsencode(root)
    for folder, folders, names in os.walk(top):
        for path in (os.path.join(folder, name) for name in (*folders, *names)):
            match _entry(path):
                case File(data=data):
                    found[os.path.relpath(path, top)] = data
                case Link(target=target):
                    found[os.path.relpath(path, top)] = b"-> " + target
                case _:
                    pass
    return found


def _ours(root: Path, patch: str) -> tuple[bool, dict[bytes, bytes], str]:
    """Returns whether the patch succeeds, what is below the root then, and what stops it."""
    there, cwd = _found(root), os.fsencode(root)
    try:
        said = preview(parse(patch.encode()), cwd, _entry)
    except MalformedPayload as error:
        return False, there, str(error)
    for path, entry in said.contents().items():
        name = os.path.relpath(path, cwd)
        there.pop(name, None)
        if not isinstance(entry, Absent):
            assert isinstance(entry, File)
            there[name] = entry.data
    return said.failure is None, there, said.failure.kind if said.failure else ""


def _codex(program: Path, root: Path, patch: str) -> tuple[bool, dict[bytes, bytes], str]:
    """Returns the same of the real program."""
    done = subprocess.run(
        [program, patch], cwd=root, env={"HOME": str(root.parent)}, capture_output=True, check=False
    )
    return done.returncode == 0, _found(root), done.stderr.decode()


@pytest.fixture(scope="module")
def apply_patch(codex: Codex, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Codex' own binary under the name that makes it apply a patch and do nothing else.

    The program that npm puts on the path is a script, which starts the binary of the machine.
    """
    packages = codex.program.parent.parent / "@openai"
    [binary] = packages.glob("codex-*/vendor/*/bin/codex")
    link = tmp_path_factory.mktemp("bin") / "apply_patch"
    link.symlink_to(binary)
    return link


@pytest.mark.parametrize("batch", range(BATCHES))
def test_the_preview_is_what_codex_does(apply_patch: Path, tmp_path: Path, batch: int) -> None:
    """Same success or failure and the same bytes, also where Codex stops half way."""
    outcomes: Counter[str] = Counter()
    for seed in range(batch, CASES, BATCHES):
        case = generate(seed)
        root = tmp_path / str(seed)
        root.mkdir()
        _plant(root, case)
        ours = _ours(root, case.patch)
        theirs = _codex(apply_patch, root, case.patch)
        assert ours[:2] == theirs[:2], (seed, case, ours, theirs)
        outcomes["done" if ours[0] else "stopped"] += 1
    assert min(outcomes["done"], outcomes["stopped"]) >= 10, outcomes
