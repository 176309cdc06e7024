"""Contents and states of one workspace, brought back from its store.

Owns what a ref or a logged item stands for.  Must not decide or write, except to keep a content.
Hop 5; the engine's worker thread, `load` also while a workspace opens.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from agentdiff.core.decisions import below
from agentdiff.core.entries import ABSENT, Directory, Entry, File, Link, Other, Ref
from agentdiff.core.events import LoadedItem
from agentdiff.core.history import History, recalled
from agentdiff.core.proofs import CLAIM_NS
from agentdiff.core.records import DecisionItem, DecisionMade, DecisionTurned, PathChanged
from agentdiff.core.undoing import UndoStep
from agentdiff.workspace.blobs import BlobStore
from agentdiff.workspace.store import Store

# How long after it saw something the core may still correct whose it was, and more.
_CORRECTED_NS = 2 * CLAIM_NS


@dataclass(frozen=True, slots=True)
class Recall:
    """The memory of a workspace."""

    store: Store
    blobs: BlobStore

    def keep(self, entry: Entry) -> None:
        """Stores an entry's content."""
        if isinstance(entry, File):
            self.blobs.put(entry.data)
        elif isinstance(entry, Link):
            self.blobs.put(entry.target)

    def load(self, ref: Ref) -> Entry:
        """Returns the entry that a ref names; content that is gone is an `Other` that says so."""
        if ref.kind == "absent":
            return ABSENT
        if ref.kind == "dir":
            return Directory(mode=ref.mode)
        if ref.kind == "other":
            return Other(kind=ref.note, stamp=ref.oid)
        try:
            data = self.blobs.get(ref.oid)
        except KeyError:
            return Other(kind="content lost: it is not in the store", stamp=ref.oid)
        if ref.kind == "link":
            return Link(target=data)
        if len(data) != ref.size:  # git converted the file, and it changed before that was noticed
            return Other(kind="content lost: git has it in another form", stamp=ref.oid)
        return File(data=data, mode=ref.mode, oid=ref.oid)

    def item(self, item: DecisionItem) -> LoadedItem:
        """Returns a decision's path with its states and contents."""
        return recalled(item, self.load)

    def items(self, step: UndoStep) -> tuple[DecisionItem, ...]:
        """Returns what an undo, or a redo, would turn.

        Raises:
            sqlite3.OperationalError: the disk refuses, so that it is not in the file.
        """
        record = self.store.record(step.since)
        assert isinstance(record, DecisionMade | DecisionTurned)
        return step.items(record)

    def turned(self, step: UndoStep, *, redo: bool) -> tuple[LoadedItem, ...]:
        """Returns what an undo (or redo) turns, with what happened to these paths since.

        Raises:
            sqlite3.OperationalError: as `items`.
        """
        history = History(step.since, self.store.changes_since(step.since))
        return tuple(recalled(item, self.load, history, redo=redo) for item in self.items(step))

    def content_at(self, seq: int, paths: Iterable[bytes]) -> dict[bytes, Ref]:
        """Returns what paths were at a record, for those that changed since.

        Args:
            seq: that record.
            paths: what is asked for, a folder meaning everything below it; empty means all.
        """
        wanted = tuple(paths)
        found: dict[bytes, Ref] = {}
        first: dict[bytes, PathChanged] = {}
        for _, record in self.store.changes_since(seq):
            pairs: list[tuple[bytes, Ref]] = []
            if isinstance(record, PathChanged):
                pairs = [(record.path, record.before)]
                if record.path not in found:
                    first[record.path] = record
            elif isinstance(record, DecisionMade | DecisionTurned):
                pairs = [(item.path, item.cur_before) for item in record.items]
            for path, ref in pairs:
                if not wanted or below(path, wanted):
                    found.setdefault(path, ref)
        asked = {path: record for path, record in first.items() if path in found}
        return {**found, **self._corrected(seq, asked)}

    def _corrected(self, seq: int, first: Mapping[bytes, PathChanged]) -> dict[bytes, Ref]:
        """Returns what paths were at a record whose first change after it changed nothing.

        A late proof of the user's writes one record for what several had told, with other authors
        (`agentdiff.core.observer`): its `before` is older than they are.  That the last of them
        ends where it ends does not say so alone, for what nobody reviews is not in the log.

        Args:
            seq: that record.
            first: by path, the first change after it.
        """
        if not first:
            return {}
        since_ns = min(record.at_ns for record in first.values()) - _CORRECTED_NS
        told: dict[bytes, list[PathChanged]] = {}
        for record in self.store.changes_until(seq, since_ns):
            if isinstance(record, PathChanged):
                told.setdefault(record.path, []).append(record)
            elif isinstance(record, DecisionMade | DecisionTurned):
                for item in record.items:
                    told.pop(item.path, None)
        out: dict[bytes, Ref] = {}
        for path, again in first.items():
            at = again.after
            for record in reversed(told.get(path, [])):
                if record.after != at:
                    break
                at = record.before
                if at == again.before:
                    out[path] = again.after
                    break
        return out
