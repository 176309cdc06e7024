"""What is in a folder, read independently of agentdiff.

Owns the walk that every claim about the disk is checked against, and copies of trees.  Must not use
anything of agentdiff: a bug there must not hide itself here.  Paths are bytes, relative,
``/``-separated.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["file", "link", "dir"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One thing in a tree: `data` is content or a link's target, `mode` the permission bits."""

    kind: Kind
    mode: int
    data: bytes = field(default=b"", repr=False)

    @property
    def as_git_sees_it(self) -> tuple[Kind, bool, bytes]:
        """Kind, executable bit and content: all that a patch can carry."""
        return self.kind, bool(self.mode & 0o100), self.data


Tree: TypeAlias = dict[bytes, Node]


def walk(root: bytes, *, skip: tuple[bytes, ...] = (b".git",)) -> Tree:
    """Returns everything below `root` but the top-level names in `skip`; follows no link.

    Raises:
        AssertionError: a device, socket or pipe is there, which no test makes.
    """
    return dict(_nodes(root, b"", skip))


def _nodes(root: bytes, folder: bytes, skip: tuple[bytes, ...]) -> Iterator[tuple[bytes, Node]]:
    with os.scandir(os.path.join(root, folder)) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        if not folder and entry.name in skip:
            continue
        path = os.path.join(folder, entry.name)
        facts = entry.stat(follow_symlinks=False)
        mode = stat.S_IMODE(facts.st_mode)
        if stat.S_ISLNK(facts.st_mode):
            yield path, Node(kind="link", mode=0, data=os.readlink(entry.path))
        elif stat.S_ISDIR(facts.st_mode):
            yield path, Node(kind="dir", mode=mode)
            yield from _nodes(root, path, skip)
        else:
            assert stat.S_ISREG(facts.st_mode), (
                f"{entry.path!r} is neither file nor folder nor link"
            )
            with open(entry.path, "rb") as file:
                yield path, Node(kind="file", mode=mode, data=file.read())


def files(tree: Tree) -> Tree:
    """Returns the tree without its folders, which git and patches do not know."""
    return {path: node for path, node in tree.items() if node.kind != "dir"}


def changed(before: Tree, after: Tree) -> set[bytes]:
    """Returns the paths (no folders) whose existence, content, kind or mode differs."""
    old, new = files(before), files(after)
    return {path for path in old.keys() | new.keys() if old.get(path) != new.get(path)}


def restore(tree: Tree, root: bytes) -> None:
    """Writes `tree` into the existing, empty folder `root`."""
    for path, node in sorted(tree.items()):
        target = os.path.join(root, path)
        if node.kind == "dir":
            os.mkdir(target)
            os.chmod(target, node.mode)
        elif node.kind == "link":
            os.symlink(node.data, target)
        else:
            write(target, node.data, node.mode)


def write(path: bytes, data: bytes, mode: int = 0o644) -> None:
    """Writes one file in place, with exactly this mode, creating the folders above it."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)
    os.chmod(path, mode)


def describe(before: Tree, after: Tree) -> str:
    """Returns one line for each path that differs, for the message of a test that fails."""
    lines = []
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        if old != new:
            lines.append(f"{path!r}: {_short(old)} -> {_short(new)}")
    return "\n".join(lines)


def _short(node: Node | None) -> str:
    if node is None:
        return "absent"
    shown = node.data if len(node.data) <= 200 else node.data[:200] + b"..."
    return f"{node.kind} {node.mode:o} {shown!r}"
