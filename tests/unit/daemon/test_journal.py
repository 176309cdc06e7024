"""The journal of calls that were answered: what is in it survives, until all of it is in a log."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from agentdiff.daemon.journal import Journal

CALLS = [("claude", b"{}", 1, None), ("codex", b'{"a":\n1}', 2, "run-1"), ("claude", b"", 3, None)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where it is; its folder is not there yet."""
    return tmp_path / "state" / "calls.journal"


def test_what_was_noted_comes_back_wherever_it_is_torn(path: Path) -> None:
    """Whole entries in order, and no half of one."""
    journal = Journal(path)
    assert all(journal.note(*call) for call in CALLS)
    journal.close()
    whole = path.read_bytes()
    found = set()
    for end in range(len(whole) + 1):
        path.write_bytes(whole[:end])
        torn = Journal(path)
        calls = list(torn.entries())
        assert torn.owed == (end > 0)
        torn.close()
        assert calls == CALLS[: len(calls)]
        found.add(len(calls))
    assert (found, stat.S_IMODE(path.stat().st_mode)) == ({0, 1, 2, 3}, 0o600)


def test_it_is_emptied_when_all_of_it_was_told_and_not_before(path: Path) -> None:
    """Also what the last daemon left, which counts as one."""
    journal = Journal(path)
    journal.note(*CALLS[0])
    journal.note(*CALLS[1])
    journal.told()
    journal.committed()
    journal.close()
    journal = Journal(path)
    journal.committed()
    assert list(journal.entries()) == CALLS[:2]
    journal.told()
    journal.note(*CALLS[2])
    journal.committed()
    assert list(journal.entries()) == CALLS
    journal.told()
    journal.committed()
    assert list(journal.entries()) == []
    journal.note(*CALLS[2])
    assert list(journal.entries()) == CALLS[2:]
    journal.close()
