"""Renames among what pends: which pairs there are now, and which have come apart.

Owns the pairs of a ledger.  Must not decide what a pair is (`agentdiff.core.renames`) nor who wrote
what.  Hop 4, called by `agentdiff.core.observer`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentdiff.core import renames
from agentdiff.core.commands import Command, Publish
from agentdiff.core.entries import ABSENT, File
from agentdiff.core.observing import as_created

if TYPE_CHECKING:
    from agentdiff.core.ledger import Ledger


class Pairing:
    """Finds the pairs of a ledger, and lets go of them.

    Attributes:
        wanted: whether a path came or went since pairs were looked for.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.wanted = False

    def pair(self, now_ns: int) -> list[Command]:
        """Finds what was renamed, once everything of one reading was told."""
        if not self.wanted:
            return []
        self.wanted = False
        ledger, observer = self._ledger, self._ledger.observer
        moves = {
            target.move_to: target.path
            for targets in ledger.tracking.announced.values()
            for target in targets.values()
            if target.move_to is not None
        }
        commands: list[Command] = []
        for old, new in renames.find_pairs(ledger.paths.values(), moves):
            state = renames.paired(old, new, observer.parking.get(old.path), ledger.new_id)
            owner = new.meta[0].owners[-1]
            commands += observer.changed(new.path, new.cur, new.cur, owner, state, now_ns)
            commands.append(Publish(files=(old.path,)))
        return commands

    def mend(self, now_ns: int) -> list[Command]:
        """Lets go of pairs one half of which is something else now, and keeps the others alike."""
        ledger, commands, whole = self._ledger, list[Command](), set[bytes]()
        observer = ledger.observer
        moved, ledger.moved = ledger.moved, {}
        for path in sorted(ledger.renamed):
            state = ledger.paths[path]
            old = ledger.paths.get(state.origin or b"")
            owner = state.meta[0].owners[-1]
            fits = old is not None and old.path not in whole and renames.can_be_origin(old)
            if fits and old is not None and old.base in (state.base, moved.get(path)):
                whole.add(old.path)
                if old.base != state.base and isinstance(state.base, File):
                    observer.proofs.forget(old.path)  # what was seen of it had another base
                    again = renames.rebased(old, state.base, ledger.new_id)
                    commands += observer.changed(old.path, ABSENT, ABSENT, owner, again, now_ns)
                continue
            alone = as_created(state, ledger.new_id)
            commands += observer.changed(path, state.cur, state.cur, owner, alone, now_ns)
            self.wanted = True  # with another base the two may still belong together
        return commands
