"""Owns what git says about a workspace: where its files are, and what it tracks though ignored.

Must not change anything, and must not run anything that the repository configures (fsmonitor,
hooks, filters, a remote's transport): whoever wrote the tree may have written its
``.git/config``.  Hop 5.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from agentdiff.workspace.plain import is_special

_TIMEOUT_S = 20.0
_FILES = (
    b"index",
    b"info/exclude",
    b"objects",
    b"info/attributes",
    b"packed-refs",
    b"refs/replace",
)
# Git reads these whatever it is asked, and would wait for a FIFO among them as long as we let it.
_READ_BY_GIT = (
    *(b".git", b".gitignore", b".gitattributes", b".git/HEAD", b".git/config", b".git/index"),
    *(b".git/commondir", b".git/config.worktree", b".git/packed-refs", b".git/shallow"),
    *(b".git/info/exclude", b".git/info/attributes", b".git/info/sparse-checkout"),
    *(b".git/info/grafts", b".git/objects/info/alternates", b".git/logs/HEAD"),
)
_SAFE = (b"-c", b"core.fsmonitor=false", b"-c", b"core.hooksPath=/dev/null")


@dataclass(frozen=True, slots=True, kw_only=True)
class GitPaths:
    """Absolute paths of git's files for one work tree; none of them need exist.

    Attributes:
        index: the work tree's index file.
        exclude: ``info/exclude`` of the repository.
        excludes_file: the user's ``core.excludesFile`` or its default place.
        objects: the repository's objects.
        attributes: ``info/attributes`` of the repository.
        packed_refs: its packed references.
        replaced: its references that replace objects, those that are not packed.
    """

    index: bytes
    exclude: bytes
    excludes_file: bytes
    objects: bytes
    attributes: bytes
    packed_refs: bytes
    replaced: bytes


def run_git(root: bytes, *arguments: bytes) -> bytes | None:
    """Runs a reading git command in `root` and returns its output.

    Returns:
        What it printed, None when there is no git, or it fails (no repository, not ours, damaged)
        or takes longer than 20 s, or one of its files is none.
    """
    if any(is_special(os.path.join(root, name)) for name in _READ_BY_GIT):
        return None
    environment: Mapping[bytes, bytes] = {
        **{name: value for name, value in os.environb.items() if not name.startswith(b"GIT_")},
        b"GIT_OPTIONAL_LOCKS": b"0",
        # In a partial clone git fetches what is missing, by commands that the repository names.
        b"GIT_ALLOW_PROTOCOL": b"none",
        b"GIT_NO_LAZY_FETCH": b"1",  # git 2.45; it does not even start to fetch
        b"LC_ALL": b"C",
    }
    try:
        done = subprocess.run(
            [b"git", *_SAFE, b"-C", root, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def find_git(root: bytes) -> GitPaths | None:
    """Returns git's files for the work tree `root`, None when git does not know it as one."""
    asked = [argument for name in _FILES for argument in (b"--git-path", name)]
    output = run_git(root, b"rev-parse", b"--show-prefix", *asked)
    if output is None:
        return None
    prefix, *found = output.rstrip(b"\n").split(b"\n")
    if prefix or len(found) != len(_FILES):
        # The work tree starts further up, so that it is no workspace of git's; or its path has
        # a line feed in it, and git cannot tell where one answer ends.
        return None
    index, exclude, objects, attributes, packed_refs, replaced = (
        os.path.join(root, path) for path in found
    )
    return GitPaths(
        index=index,
        exclude=exclude,
        excludes_file=find_excludes_file(root),
        objects=objects,
        attributes=attributes,
        packed_refs=packed_refs,
        replaced=replaced,
    )


def read_config(root: bytes, pattern: bytes) -> dict[bytes, bytes]:
    """Returns the settings whose names match, by their names in lower case; the last value wins."""
    output = run_git(root, b"config", b"-z", b"--get-regexp", pattern) or b""
    pairs = (setting.partition(b"\n") for setting in output.split(b"\0") if setting)
    return {name.lower(): value for name, _, value in pairs}


def find_excludes_file(root: bytes) -> bytes:
    """Returns the user's own ignore file as git resolves it; it may not exist."""
    configured = run_git(root, b"config", b"--path", b"--get", b"core.excludesFile")
    if configured and configured.strip():
        return os.path.join(root, configured.rstrip(b"\n"))
    home = os.environb.get(b"XDG_CONFIG_HOME") or os.path.join(
        os.environb.get(b"HOME", b"/"), b".config"
    )
    return os.path.join(home, b"git", b"ignore")


def tracked_but_ignored(root: bytes) -> frozenset[bytes]:
    """Returns the paths that git tracks although a pattern ignores them."""
    output = run_git(root, b"ls-files", b"-z", b"-ci", b"--exclude-standard")
    return frozenset(output.split(b"\0")) - {b""} if output else frozenset()
