"""What was written by whom, kept beside the product by code of its own.

Owns the model of a workspace that every run is compared with: for each file what it should hold,
and what should remain if everything were rejected.  Must not import `agentdiff.core` (nor anything
else of the product): a recorder that shared its code would share its mistakes.

A file is a row of blocks between lines that never change.  Agents write blocks of their own, the
user other ones, so that no two authors ever meet in one hunk and what a decision must do is plain.
Where a kill left open whether something still happened (a decision whose answer never came), a file
has several possible worlds; the next look at it leaves one of them, or none, which is the failure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

Blocks: TypeAlias = tuple[bytes, ...]
# (what remains if everything is rejected, what is there); None is a file that is not there.
World: TypeAlias = tuple[Blocks | None, Blocks | None]

AGENT_BLOCKS = 5
USER_BLOCKS = 2
_STABLE = 4


def fresh(name: str) -> Blocks:
    """Returns the blocks that a file has in the beginning."""
    return tuple(b"%s block %d\n" % (name.encode(), n) for n in range(AGENT_BLOCKS + USER_BLOCKS))


def render(name: str, blocks: Blocks | None) -> bytes | None:
    """Returns a file's bytes; those of two files have no line in common, or one were a rename."""
    if blocks is None:
        return None
    parts = []
    for number, block in enumerate(blocks):
        parts += [b"== %s %d.%d ==\n" % (name.encode(), number, line) for line in range(_STABLE)]
        parts.append(block)
    return b"".join(parts)


def with_block(blocks: Blocks | None, number: int, text: bytes) -> Blocks | None:
    """Returns the blocks with one of them replaced."""
    if blocks is None:
        return None
    return (*blocks[:number], text, *blocks[number + 1 :])


def accepted(world: World) -> World:
    """Returns what accepting a whole file makes of it."""
    return world[1], world[1]


def rejected(world: World) -> World:
    """Returns what rejecting everything that pends in a file makes of it."""
    return world[0], world[0]


def saved(number: int, text: bytes) -> Callable[[World], World]:
    """Returns what a save by the user does that is known to be theirs."""
    return lambda world: (with_block(world[0], number, text), with_block(world[1], number, text))


def wrote(number: int, text: bytes) -> Callable[[World], World]:
    """Returns what a write does that pends."""
    return lambda world: (world[0], with_block(world[1], number, text))


def became(blocks: Blocks | None) -> Callable[[World], World]:
    """Returns what creating, replacing or deleting a whole file does."""
    return lambda world: (world[0], blocks)


@dataclass
class Recorder:
    """The model of one workspace.

    Attributes:
        worlds: file name → what may be the case.
        notes: what was done, for whoever reads about a failure.
    """

    worlds: dict[str, frozenset[World]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def begin(self, name: str, blocks: Blocks | None) -> None:
        """Notes a file that was there before anybody came (or not at all)."""
        self.worlds[name] = frozenset({(blocks, blocks)})

    def note(self, what: str) -> None:
        """Writes down what is done now."""
        self.notes.append(what)

    def apply(self, name: str, change: Callable[[World], World], *, certainly: bool = True) -> None:
        """Notes that something was done to a file, or may have been."""
        before = self.worlds[name]
        after = frozenset(map(change, before))
        self.worlds[name] = after if certainly else before | after

    def current(self, name: str) -> Blocks | None:
        """Returns what a file holds; the disk has been looked at since it was in doubt."""
        (current,) = {current for _, current in self.worlds[name]}
        return current

    def is_certain(self, name: str) -> bool:
        """Whether there is one world."""
        return len(self.worlds[name]) == 1

    def pends(self, name: str) -> bool:
        """Whether something of a file is to be decided; there is one world."""
        ((base, current),) = self.worlds[name]
        return base != current

    def names(self) -> list[str]:
        """Returns every file that there is or was."""
        return sorted(self.worlds)

    def seen_on_disk(self, name: str, content: bytes | None) -> str | None:
        """Compares a file with the model; what cannot be any more is forgotten.

        Returns:
            What is wrong, None when nothing is.
        """
        left = {world for world in self.worlds[name] if render(name, world[1]) == content}
        if not left:
            wanted = [render(name, current) for _, current in self.worlds[name]]
            return f"{name} on disk: {_differences(content, wanted)}"
        self.worlds[name] = frozenset(left)
        return None

    def seen_as_base(self, name: str, content: bytes | None) -> str | None:
        """Compares what would remain with the model, like `seen_on_disk`."""
        left = {world for world in self.worlds[name] if render(name, world[0]) == content}
        if not left:
            wanted = [render(name, base) for base, _ in self.worlds[name]]
            return f"{name} base: {_differences(content, wanted)}"
        self.worlds[name] = frozenset(left)
        return None


def _differences(found: bytes | None, wanted: Iterable[bytes | None]) -> str:
    """Says how a content differs from each that it may be, by lines."""
    said = []
    for one in wanted:
        if found is None or one is None:
            said.append(
                f"{'absent' if found is None else 'there'} instead of "
                f"{'absent' if one is None else 'there'}"
            )
            continue
        have, want = found.split(b"\n"), one.split(b"\n")
        said.append(
            f"has {[x for x in have if x not in want]}, lacks {[x for x in want if x not in have]}"
        )
    return " / or ".join(said)
