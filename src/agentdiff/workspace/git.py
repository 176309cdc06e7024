"""Owns what git says about a workspace: where its files are, and what it tracks though ignored.

Must not change anything, and must not run anything that the repository configures (fsmonitor,
hooks, filters): whoever wrote the tree may have written its ``.git/config``.  Hop 5.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

_TIMEOUT_S = 20.0
_SAFE = (b"-c", b"core.fsmonitor=false", b"-c", b"core.hooksPath=/dev/null")


@dataclass(frozen=True, slots=True, kw_only=True)
class GitPaths:
    """Absolute paths of what decides about ignoring in one work tree.

    Attributes:
        index: the work tree's index file (may not exist yet).
        exclude: ``info/exclude`` of the repository.
        excludes_file: the user's ``core.excludesFile`` or its default place.
    """

    index: bytes
    exclude: bytes
    excludes_file: bytes


def run_git(root: bytes, *arguments: bytes) -> bytes | None:
    """Runs a reading git command in `root` and returns its output.

    Returns:
        What it printed, None when there is no git, or it fails (no repository, not ours, damaged)
        or takes longer than 20 s.
    """
    environment: Mapping[bytes, bytes] = {
        **{name: value for name, value in os.environb.items() if not name.startswith(b"GIT_")},
        b"GIT_OPTIONAL_LOCKS": b"0",
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
    output = run_git(
        root,
        b"rev-parse",
        b"--show-prefix",
        b"--git-path",
        b"index",
        b"--git-path",
        b"info/exclude",
    )
    if output is None:
        return None
    prefix, index, exclude = output.rstrip(b"\n").split(b"\n")[:3]
    if prefix:  # the work tree starts further up: not a workspace of git's
        return None
    return GitPaths(
        index=os.path.join(root, index),
        exclude=os.path.join(root, exclude),
        excludes_file=find_excludes_file(root),
    )


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
