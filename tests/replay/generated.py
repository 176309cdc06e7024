"""Seeded commits over files of the standard library: the same on every machine with one Python."""

from __future__ import annotations

import random
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from agentdiff.core.diff import split_lines
from agentdiff.core.entries import ABSENT, Entry, File, Link
from tests.replay.checks import Commit

FILES = 40
_SMALLEST, _LARGEST = 2_000, 60_000


def commits(number: int, seed: int) -> Iterator[Commit]:
    """Yields commits, each on top of the one before."""
    chosen = random.Random(seed)
    tree = _library(chosen)
    for n in range(number):
        after = _changes(tree, chosen)
        before = {path: tree.get(path, ABSENT) for path in after}
        changed = [path for path in after if after[path] != before[path]]
        if changed:  # what was there may be what is there now
            yield Commit(
                name=f"seed {seed}, commit {n}",
                before={path: before[path] for path in changed},
                after={path: after[path] for path in changed},
            )
        for path, entry in after.items():
            if entry == ABSENT:
                tree.pop(path, None)
            else:
                tree[path] = entry


def _library(chosen: random.Random) -> dict[bytes, Entry]:
    folder = Path(sysconfig.get_paths()["stdlib"])
    names = sorted(
        path for path in folder.glob("*.py") if _SMALLEST < path.stat().st_size < _LARGEST
    )
    return {
        b"lib/" + path.name.encode(): File(data=path.read_bytes())
        for path in chosen.sample(names, FILES)
    }


def _changes(tree: dict[bytes, Entry], chosen: random.Random) -> dict[bytes, Entry]:
    """Returns what one commit makes of some paths."""
    after: dict[bytes, Entry] = {}
    for _ in range(chosen.randint(1, 5)):
        path = chosen.choice(sorted(tree))
        entry = tree[path]
        if path in after:
            continue
        kind = chosen.choice(["edit"] * 12 + ["rename", "move", "chmod", "link", "binary", "text"])
        if isinstance(entry, Link) or kind == "text":
            after[path] = chosen.choice([ABSENT, File(data=b""), Link(target=b"elsewhere")])
        elif isinstance(entry, File) and kind in ("rename", "move"):
            after[path] = ABSENT
            name = b"moved/%d" % chosen.randrange(10**6)
            after[name] = entry if kind == "rename" else _edited(entry, chosen)
        elif isinstance(entry, File) and kind == "chmod":
            after[path] = File(data=entry.data, mode=entry.mode ^ 0o111)
        elif kind == "link":
            after[b"links/%d" % chosen.randrange(9)] = Link(target=path)
        elif kind == "binary":
            data = bytes(chosen.randrange(256) for _ in range(200)) + b"\0"
            after[b"data/%d" % chosen.randrange(9)] = File(data=data)
        elif isinstance(entry, File):
            after[path] = _edited(entry, chosen)
    return after


def _edited(entry: File, chosen: random.Random) -> File:
    """Returns a file after one to four edits such as people and agents make."""
    lines = split_lines(entry.data)
    for _ in range(chosen.randint(1, 4)):
        at = chosen.randrange(len(lines) + 1)
        size = chosen.randint(1, 12)
        kind = chosen.choice(["replace", "delete", "insert", "move", "indent", "rename", "append"])
        piece = lines[at : at + size]
        if kind == "replace":
            lines[at : at + size] = [b"    changed = %d\n" % chosen.randrange(99) for _ in piece]
        elif kind == "delete":
            del lines[at : at + size]
        elif kind == "insert":
            lines[at:at] = [b"    # new line %d\n" % n for n in range(size)]
        elif kind == "move":
            del lines[at : at + size]
            to = chosen.randrange(len(lines) + 1)
            lines[to:to] = piece
        elif kind == "indent":
            lines[at : at + size] = [b"    " + line for line in piece]
        elif kind == "rename":
            lines = [line.replace(b"self", b"this") for line in lines]
        else:
            lines += [b"last = %d" % chosen.randrange(99)]
    ended = [line if line.endswith(b"\n") else line + b"\n" for line in lines[:-1]] + lines[-1:]
    return File(data=b"".join(ended), mode=entry.mode)
