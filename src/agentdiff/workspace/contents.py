"""Owns putting contents that were read into the blob store, and what is known where that fails.

Must not know paths.  Hop 5, on the tracker's own thread.
"""

from __future__ import annotations

from agentdiff.core.entries import Entry, File, Link, Other, Ref
from agentdiff.workspace.blobs import BlobStore

_NOT_KEPT = "not kept"
_GAPS = ("unreadable", "oversized", _NOT_KEPT)


class Contents:
    """Contents on their way into the store.

    Args:
        blobs: where they go.
    """

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs
        # Why the store refused something since the last flush.
        self._refused: OSError | None = None

    def keep(self, entry: Entry) -> tuple[Ref, bool]:
        """Stores the content of an entry; False when that failed and must be tried again."""
        data, oid = (entry.data, entry.oid) if isinstance(entry, File) else (None, "")
        if isinstance(entry, Link):
            data = entry.target
        if data is not None:
            try:
                self._blobs.put(data, lazily=True, oid=oid)
            except OSError as error:  # the state folder's disk is full, say
                self._refused = error
                return _not_kept(error), False
        return entry.ref(), True

    def flush(self) -> Ref | None:
        """Writes what was put lazily; returns what is known instead of contents that are lost."""
        try:
            self._blobs.flush()
        except OSError as error:
            self._refused = error
        refused, self._refused = self._refused, None
        return None if refused is None else _not_kept(refused)

    def holds(self, ref: Ref) -> bool:
        """Whether what `ref` names can be had again."""
        return ref.kind not in ("file", "link") or ref.oid in self._blobs


def is_gap(ref: Ref) -> bool:
    """Whether something is there whose content is not kept."""
    return ref.kind == "other" and ref.note.startswith(_GAPS)


def _not_kept(error: OSError) -> Ref:
    return Other(kind=f"{_NOT_KEPT}: {error.strerror}").ref()
