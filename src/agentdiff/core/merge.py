r"""Three-way merge of texts: two edits of one original, both kept, conflicts shown.

Owns the merge itself.  Must not decide what is merged or where it goes.  Hop 4 (undo of a decision
on a path that moved on), and Neovim's modified buffers.

Theory.  Each side is a diff against the original.  Blocks of the two sides that touch form a
region; a region that only one side changed, or both changed alike, takes that text, every other
is a conflict.  Blocks that merely border each other touch, as git has it: the order of two
insertions at one place is nobody's to choose.  A line without terminator is never glued to another.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agentdiff.core.diff import diff_bytes, split_lines
from agentdiff.core.linediff import Block


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Lines of the merged text that come from one region.

    Attributes:
        base, ours, theirs: the region's lines in the original and on both sides.
        conflict: whether both sides changed it, differently.
    """

    base: tuple[bytes, ...]
    ours: tuple[bytes, ...]
    theirs: tuple[bytes, ...]

    @property
    def conflict(self) -> bool:
        """Whether both sides changed it, differently."""
        return self.base != self.ours != self.theirs != self.base

    @property
    def merged(self) -> tuple[bytes, ...]:
        """The lines, where there is no conflict; ours where there is one."""
        return self.theirs if self.ours == self.base else self.ours


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """A merged text, region by region, in order."""

    pieces: tuple[Piece, ...]

    @property
    def clean(self) -> bool:
        """Whether no region is a conflict."""
        return not any(piece.conflict for piece in self.pieces)

    @property
    def data(self) -> bytes:
        """The merged text; conflicts take our side."""
        return _joined(line for piece in self.pieces for line in piece.merged)


def merge3(base: bytes, ours: bytes, theirs: bytes) -> Merge:
    """Merges two edits of `base`, all three of them whole texts."""
    original = split_lines(base)
    sides = (split_lines(ours), split_lines(theirs))
    edits = (diff_bytes(base, ours), diff_bytes(base, theirs))
    pieces: list[Piece] = []
    at = [0, 0, 0]  # original, ours, theirs

    def take(upto: int, drift: tuple[int, int]) -> None:
        ends = (upto, upto + drift[0], upto + drift[1])
        texts = (original, *sides)
        cut = [tuple(text[a:b]) for text, a, b in zip(texts, at, ends, strict=True)]
        if any(cut):
            pieces.append(Piece(base=cut[0], ours=cut[1], theirs=cut[2]))
        at[:] = ends

    drift = (0, 0)
    for first, last, grown in _regions(*edits):
        take(first, drift)
        drift = (drift[0] + grown[0], drift[1] + grown[1])
        take(last, drift)
    take(len(original), drift)
    return Merge(pieces=tuple(pieces))


def _regions(
    ours: Sequence[Block], theirs: Sequence[Block]
) -> list[tuple[int, int, tuple[int, int]]]:
    """Returns (first line, end, growth per side) of each changed region of the original."""
    out: list[tuple[int, int, tuple[int, int]]] = []
    blocks = sorted(
        [(block.a0, block.a1, side, block) for side in (0, 1) for block in (ours, theirs)[side]],
        key=lambda one: one[:3],
    )
    for first, last, side, block in blocks:
        growth = (block.b1 - block.b0) - (block.a1 - block.a0)
        grown = (growth, 0) if side == 0 else (0, growth)
        if out and first <= out[-1][1]:
            before = out[-1]
            total = (before[2][0] + grown[0], before[2][1] + grown[1])
            out[-1] = (before[0], max(before[1], last), total)
        else:
            out.append((first, last, grown))
    return out


def _joined(lines: Iterable[bytes]) -> bytes:
    texts = list(lines)
    return b"".join(
        line if line.endswith(b"\n") or n == len(texts) - 1 else line + b"\n"
        for n, line in enumerate(texts)
    )
