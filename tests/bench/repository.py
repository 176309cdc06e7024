"""Workspaces that rows are measured on, made once per run: text files like source code, in git.

Owns their shape: seven files a folder on average, 4 KB a file, an ignored ``node_modules`` beside.
"""

from __future__ import annotations

import functools
import os
import random
import shutil
import subprocess
from pathlib import Path

from tests.bench.harness import Skipped

IGNORED_FILES = 30_000
ENV = {
    **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    **{
        f"GIT_{who}_{what}": "bench@example.invalid"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    },
}


def git(folder: Path, *arguments: str) -> bytes:
    """Runs git without the user's settings."""
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=ENV, check=True, stdout=subprocess.PIPE
    )
    return done.stdout


@functools.cache
def repository(scratch: Path, files: int, ignored: int = 0) -> Path:
    """Returns a work tree with that many committed files, all of them in one pack.

    Raises:
        Skipped: there is no git.
    """
    if shutil.which("git") is None:
        raise Skipped("no git on PATH")
    tree = scratch / f"repository-{files}-{ignored}"
    _fill(tree / "src", files, "py")
    (tree / ".gitignore").write_text("node_modules/\n*.log\nbuild/\n")
    git(tree, "init", "-q")
    git(tree, "config", "gc.auto", "0")
    # A threshold of nothing makes git write straight into a pack: no minute for loose objects.
    git(tree, "-c", "core.bigFileThreshold=1", "add", "-A")
    git(tree, "commit", "-qm", "all of it")
    _fill(tree / "node_modules", ignored, "js")
    # As in a checkout that is older than a moment: the index is newer than every file.
    git(tree, "update-index", "-q", "--refresh")
    (tree / ".git" / "index").touch()
    return tree


def paths_of(tree: Path) -> list[Path]:
    """Returns the files that git tracks, in git's order."""
    names = git(tree, "ls-files", "-z", "src").decode().split("\0")
    return [tree / name for name in names if name]


def _fill(top: Path, files: int, extension: str) -> None:
    chosen = random.Random(42)
    words = [f"{chosen.getrandbits(chosen.randint(8, 40)):x}" for _ in range(4000)]
    lines = [
        "    " * chosen.randint(0, 3) + " ".join(chosen.choices(words, k=chosen.randint(2, 9)))
        for _ in range(3000)
    ]
    for number in range(files):
        folder = top / f"p{number // 700:03d}" / f"m{number // 70 % 10}" / f"d{number // 7}"
        if number % 7 == 0:
            folder.mkdir(parents=True, exist_ok=True)
        start, count = chosen.randrange(2700), int(min(chosen.lognormvariate(4.2, 0.8), 290))
        text = "\n".join([f"# {number}", *lines[start : start + count], ""])
        (folder / f"f{number}.{extension}").write_text(text)


class ShadowGit:
    """What plugins of the field do: a repository beside the work tree that is told everything.

    Args:
        scratch: where its folder is made.
        tree: the work tree.
    """

    def __init__(self, scratch: Path, tree: Path, name: str = "shadow") -> None:
        self._tree = tree
        self.folder = scratch / f"{name}-{tree.name}.git"

    def start(self) -> None:
        """Makes an empty one."""
        shutil.rmtree(self.folder, ignore_errors=True)
        git(self._tree, "init", "-q", "--bare", str(self.folder))

    def snapshot(self) -> None:
        """Takes the state of the work tree: ``git add -A; git write-tree``."""
        where = (f"--git-dir={self.folder}", f"--work-tree={self._tree}")
        for command in (("add", "-A", "."), ("write-tree",)):
            git(self._tree, "-c", "gc.auto=0", *where, *command)
